//! Generations are kept a little later than they serve.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::control::{Rolling, restore};
use crate::tokens::{Flow, Plugins, Who};

/// Publishes another generation.
async fn change(scene: &mut Scene, description: usize) {
    let text = format!("description = \"{description}\"\n");
    scene.configure("\"file:FOLDER/openapi.json\"", "service", &text);
    let outcome = scene.attempt(Trigger::Command { weaker: false }).await;
    published(&outcome);
}

fn kept(scene: &mut Scene) -> Vec<u64> {
    let kept = scene.control.generations(Timestamp::now()).unwrap();
    kept.into_iter().map(|one| one.number).collect()
}

#[tokio::test]
async fn who_asks_for_a_change_does_not_wait_until_it_is_kept() {
    let mut scene = Scene::new("");
    assert_eq!(scene.control.save_due(), None);
    published(&scene.attempt(Trigger::Start).await);
    scene.control.save(Timestamp::now());
    assert_eq!(scene.control.save_due(), None);
    // In one breath: they are written together.
    for number in 2..=4 {
        change(&mut scene, number).await;
        let due = scene.control.save_due().unwrap();
        let pause = due.duration_since(Timestamp::now());
        assert!(pause <= SignedDuration::from_millis(20), "{pause:?}");
        assert_eq!(kept(&mut scene), [1]);
    }
    scene.control.save(Timestamp::now());
    assert_eq!(kept(&mut scene), [4, 3, 2, 1]);
    assert_eq!(scene.control.save_due(), None);
}

#[tokio::test]
async fn what_is_not_kept_yet_is_never_much() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    for number in 2..=40 {
        change(&mut scene, number).await;
    }
    let (kept, serves) = (kept(&mut scene), scene.control.generation());
    assert!(serves == 40 && kept[0] + 16 >= serves, "{kept:?}");
}

/// Another process on the same files, after one that was killed.
fn kill(scene: &mut Scene) {
    (scene.shared, _) = Shared::new(16, Instant::now());
    let source = Source::File(scene.path("p.toml"));
    let (edges, shared) = (scene.edges.clone(), Arc::clone(&scene.shared));
    scene.control = Control::new(source, edges, shared).unwrap();
}

#[tokio::test]
async fn a_number_that_served_is_not_given_again_after_a_kill() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    scene.control.save(Timestamp::now());
    change(&mut scene, 2).await;
    change(&mut scene, 3).await;
    kill(&mut scene);
    // The same bytes are the same generation.
    published(&scene.attempt(Trigger::Start).await);
    assert_eq!(scene.control.generation(), 3);
    change(&mut scene, 4).await;
    kill(&mut scene);
    scene.configure("\"file:FOLDER/openapi.json\"", "service", "");
    published(&scene.attempt(Trigger::Start).await);
    assert_eq!(scene.control.generation(), 5);
}

#[tokio::test]
async fn numbers_go_on_where_the_database_is_lost() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    change(&mut scene, 2).await;
    for expected in [3, 4] {
        scene.control.close_state(Timestamp::now());
        fs::remove_file(scene.path("state/plugway.redb")).unwrap();
        kill(&mut scene);
        let text = format!("description = \"{expected}\"\n");
        scene.configure("\"file:FOLDER/openapi.json\"", "service", &text);
        published(&scene.attempt(Trigger::Start).await);
        assert_eq!(scene.control.generation(), expected);
        scene.control.save(Timestamp::now());
    }
}

/// The lines of a backup of now.
fn backup(scene: &mut Scene) -> String {
    let who = Who {
        by: "unix:test".into(),
        plugins: Plugins::All,
    };
    scene.control.save(Timestamp::now());
    let view = scene.control.view(who, Timestamp::now()).unwrap();
    let mut text = String::new();
    view.flow(Flow::Backup, |line| text.push_str(&line))
        .unwrap();
    text
}

#[tokio::test]
async fn a_restored_backup_can_be_rolled_back() {
    const FILES: &str = "[plugins.p.files]\n\"/large\" = \"FOLDER/large\"\n\"/empty\" = \"FOLDER/empty\"\n\
                         [tokens.t]\nlevel = \"service\"\nplugins = [\"p\"]\nscopes = [\"*\"]\n\
                         secret = \"${file:FOLDER/secret}\"\n";
    let mut scene = Scene::new(FILES);
    // More than fits on a line.
    let large = "0123456789abcdef".repeat(100_000);
    for (name, text) in [
        ("large", &*large),
        ("empty", ""),
        ("secret", "a-secret-that-is-long-enough"),
    ] {
        scene.write(name, text);
    }
    published(&scene.attempt(Trigger::Start).await);
    scene.write("large", "small");
    published(&scene.attempt(Trigger::File).await);
    let text = backup(&mut scene);
    assert!(!text.contains("a-secret-that-is-long-enough"));
    assert!(!text.contains(&STANDARD.encode("a-secret-that-is-long-enough")));
    // What served later is lost with the database.
    scene.write("empty", "no more");
    published(&scene.attempt(Trigger::File).await);
    scene.control.close_state(Timestamp::now());
    fs::remove_file(scene.path("state/plugway.redb")).unwrap();
    let restored = restore(&scene.path("state"), text.as_bytes(), Timestamp::now());
    assert_eq!(restored.unwrap(), (0, 0, 2));
    kill(&mut scene);
    scene.write("large", "another");
    published(&scene.attempt(Trigger::Start).await);
    scene.control.save(Timestamp::now());
    assert_eq!(kept(&mut scene), [4, 2, 1]);
    let rolling = Rolling {
        to: Some(1),
        weaker: true,
        by: "unix:test".into(),
    };
    published(&scene.control.roll_back(&rolling, Timestamp::now()).unwrap());
    let running = scene.control.published().unwrap().current();
    let files = &running.config.plugins[0].files;
    assert_eq!(&*files["/large"].bytes, large.as_bytes());
    assert!(files["/empty"].bytes.is_empty() && running.generation == 5);
}

#[tokio::test]
async fn a_backup_whose_generations_are_not_what_they_say_is_refused() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    change(&mut scene, 2).await;
    let text = backup(&mut scene);
    let lines: Vec<&str> = text.lines().collect();
    let at = |word: &str| lines.iter().position(|line| line.contains(word)).unwrap();
    let (first, content) = (at("\"generation\":[1"), at("\"content\""));
    let told = |lines: Vec<String>| {
        // With an end that fits.
        let (end, body) = lines.split_last().unwrap();
        let body = body.join("\n") + "\n";
        let mut end: serde_json::Value = serde_json::from_str(end).unwrap();
        end["end"]["sha256"] = Fingerprint::of(body.as_bytes()).to_hex().into();
        let folder = tempfile::tempdir().unwrap();
        let restored = restore(
            folder.path(),
            format!("{body}{end}\n").as_bytes(),
            Timestamp::now(),
        );
        restored.map_err(|error| error.to_string())
    };
    let owned = || -> Vec<String> { lines.iter().map(|line| (*line).to_owned()).collect() };
    assert_eq!(told(owned()), Ok((0, 0, 2)));
    let mut swapped = owned();
    swapped.swap(first, first + 1);
    assert!(told(swapped).unwrap_err().contains("generation 1"));
    let mut other = owned();
    other[first] = other[first].replace("generation\":[1", "generation\":[0");
    assert!(told(other).unwrap_err().contains("generation 0"));
    // Nothing could follow on it.
    let last = at("\"generation\":[2");
    let mut far = owned();
    far[last] = far[last].replace("[2,", "[18446744073709551615,");
    far[last] = far[last].replace("\\\"number\\\":2", "\\\"number\\\":18446744073709551615");
    assert_eq!(far[last].matches("18446744073709551615").count(), 2);
    assert!(told(far).unwrap_err().contains("18446744073709551615"));
    let mut altered = owned();
    altered[content] = altered[content].replacen(",\"", ",\"AAAA", 1);
    assert!(told(altered).unwrap_err().contains("is not whole"));
}
