//! What a reload refuses a start refuses: less guard than an earlier process had.

use super::*;
use crate::control::OnInvalid;

const FILE: &str = "\"file:FOLDER/openapi.json\"";

/// A plugin of a file of its own, without operations that matter.
pub(super) fn part(scene: &Scene, name: &str, require: &str) -> String {
    let document = scene.path("openapi.json");
    format!(
        "[plugins.{name}]\nhosts = [\"{name}.example\"]\nupstream.url = \"http://127.0.0.1:9\"\n\
         openapi.source = \"file:{}\"\nauth.require = \"{require}\"\n",
        document.display()
    )
}

/// With `include`, which stands above all tables.
pub(super) fn including(scene: &Scene, pattern: &str) {
    scene.configure(FILE, "service", "");
    let text = fs::read_to_string(scene.path("p.toml")).unwrap();
    let pattern = scene.path(pattern);
    let text = format!("include = [\"{}\"]\n{text}", pattern.display());
    scene.write("p.toml", &text);
}

#[tokio::test]
async fn a_start_with_less_guard_is_refused() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    scene.restart();
    scene.configure(FILE, "any", "");
    let outcome = scene.attempt(Trigger::Start).await;
    refused(&outcome, Stage::SelfTest, "plugway serve --weaker");
    scene.control.starts(OnInvalid::Alone, true);
    published(&scene.attempt(Trigger::Start).await);
    // Said once: it is what served last.
    scene.restart();
    published(&scene.attempt(Trigger::Start).await);
    scene.restart();
    scene.configure(FILE, "user", "");
    let text = fs::read_to_string(scene.path("p.toml")).unwrap();
    scene.write(
        "p.toml",
        &text.replace(
            "auth.require",
            "openapi.unpublished = \"forward\"\nauth.require",
        ),
    );
    let outcome = scene.attempt(Trigger::Start).await;
    refused(&outcome, Stage::SelfTest, "plugway serve --weaker");
}

#[tokio::test]
async fn what_a_plugin_keeps_back_is_a_guard_as_well() {
    for (key, strict, open) in [
        ("documents", "token", "public"),
        ("openapi.similar_paths", "refuse", "forward"),
        ("headers.underscores", "drop", "pass"),
    ] {
        let mut scene = Scene::new("");
        let write = |scene: &Scene, value: &str| {
            scene.configure(FILE, "service", &format!("{key} = \"{value}\"\n"));
        };
        write(&scene, strict);
        published(&scene.attempt(Trigger::Start).await);
        write(&scene, open);
        let outcome = scene.attempt(Trigger::File).await;
        refused(&outcome, Stage::SelfTest, "the plugin would");
        refused(&outcome, Stage::SelfTest, "plugway reload --weaker");
        let Outcome::Refused(told) = &outcome else {
            panic!("{outcome:?}")
        };
        let stopping = told.problems.stopping();
        let keys: Vec<&str> = stopping.iter().map(|one| &*one.at.key).collect();
        assert_eq!(keys, [format!("plugins.p.{key}")]);
        // Neither at a restart.
        scene.restart();
        let outcome = scene.attempt(Trigger::Start).await;
        refused(&outcome, Stage::SelfTest, "plugway serve --weaker");
        scene.restart();
        scene.control.starts(OnInvalid::Alone, true);
        published(&scene.attempt(Trigger::Start).await);
        // What is open may be closed.
        write(&scene, strict);
        published(&scene.attempt(Trigger::File).await);
    }
}

#[tokio::test]
async fn another_name_does_not_get_around_it() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    let renamed = |scene: &Scene, hosts: &str| {
        scene.configure(FILE, "none", "");
        let text = fs::read_to_string(scene.path("p.toml")).unwrap();
        let text = text.replace("[plugins.p]", "[plugins.q]");
        scene.write("p.toml", &text.replace("hosts = [\"p.example\"]", hosts));
    };
    renamed(&scene, "public_url = \"https://p.example\"");
    let outcome = scene.attempt(Trigger::File).await;
    refused(&outcome, Stage::SelfTest, "plugway reload --weaker");
    scene.restart();
    let outcome = scene.attempt(Trigger::Start).await;
    refused(&outcome, Stage::SelfTest, "plugway serve --weaker");
    // What leads to another host is another plugin.
    renamed(&scene, "hosts = [\"q.example\"]");
    published(&scene.attempt(Trigger::Start).await);
    // Without hosts it is every host.
    scene.restart();
    renamed(&scene, "");
    published(&scene.attempt(Trigger::Start).await);
}

#[tokio::test]
async fn of_those_without_hosts_each_stands_for_the_other() {
    let mut scene = Scene::new("");
    let anywhere = |scene: &Scene, name: &str, require: &str| {
        scene.configure(FILE, require, "");
        let text = fs::read_to_string(scene.path("p.toml")).unwrap();
        let text = text.replace("hosts = [\"p.example\"]", "");
        scene.write("p.toml", &text.replace("[plugins.p]", name));
    };
    anywhere(&scene, "[plugins.p]", "service");
    published(&scene.attempt(Trigger::Start).await);
    scene.restart();
    anywhere(&scene, "[plugins.q]", "upstream");
    let outcome = scene.attempt(Trigger::Start).await;
    refused(&outcome, Stage::SelfTest, "plugway serve --weaker");
}

#[tokio::test]
async fn an_included_file_with_less_guard_is_held_at_every_start() {
    let mut scene = Scene::new("");
    fs::create_dir(scene.path("more")).unwrap();
    including(&scene, "more/*.toml");
    scene.write("more/q.toml", &part(&scene, "q", "service"));
    published(&scene.attempt(Trigger::Start).await);
    assert_eq!(scene.plugins(), ["p", "q"]);
    scene.write("more/q.toml", &part(&scene, "q", "none"));
    // Not at the next one either, which knows the first only through this one.
    for _ in 0..2 {
        scene.restart();
        published(&scene.attempt(Trigger::Start).await);
        assert_eq!(scene.plugins(), ["p"]);
    }
    scene.write("more/q.toml", &format!("{}\n", part(&scene, "q", "none")));
    scene.attempt(Trigger::File).await;
    assert_eq!(scene.plugins(), ["p"]);
    scene.write("more/q.toml", &part(&scene, "q", "user"));
    published(&scene.attempt(Trigger::File).await);
    assert_eq!(scene.plugins(), ["p", "q"]);
}

#[tokio::test]
async fn what_vanished_does_not_come_back_with_less() {
    let mut scene = Scene::new("");
    fs::create_dir(scene.path("more")).unwrap();
    including(&scene, "more/*.toml");
    scene.write("more/q.toml", &part(&scene, "q", "service"));
    scene.write("more/r.toml", &part(&scene, "r", "service"));
    published(&scene.attempt(Trigger::Start).await);
    // Written in place, slowly.
    scene.write("more/q.toml", "\n");
    scene.attempt(Trigger::File).await;
    assert_eq!(scene.plugins(), ["p", "q", "r"]);
    let told = scene.control.status().to_string();
    assert!(told.contains("is empty, though"), "{told}");
    scene.write("more/q.toml", &part(&scene, "q", "none"));
    scene.attempt(Trigger::File).await;
    assert_eq!(scene.plugins(), ["p", "q", "r"]);
    let running = scene.control.published().unwrap().current();
    assert!(
        running
            .config
            .plugins
            .iter()
            .all(|one| one.auth.require.word() == "service")
    );
    // Removed and put back, also with another process in between.
    for restart in [false, true] {
        fs::remove_file(scene.path("more/q.toml")).unwrap();
        scene.attempt(Trigger::File).await;
        assert_eq!(scene.plugins(), ["p", "r"]);
        if restart {
            scene.restart();
            scene.attempt(Trigger::Start).await;
        }
        for renamed in ["q", "x"] {
            let text = part(&scene, "q", "none");
            let text = text.replace("[plugins.q]", &format!("[plugins.{renamed}]"));
            scene.write("more/q.toml", &text);
            scene.attempt(Trigger::File).await;
            assert_eq!(scene.plugins(), ["p", "r"]);
        }
    }
    // Somebody says that it is gone: the next of that name is another one.
    fs::remove_file(scene.path("more/q.toml")).unwrap();
    scene.attempt(Trigger::File).await;
    scene.attempt(Trigger::Command { weaker: false }).await;
    scene.restart();
    scene.attempt(Trigger::Start).await;
    scene.write("more/q.toml", &part(&scene, "q", "none"));
    published(&scene.attempt(Trigger::File).await);
    assert_eq!(scene.plugins(), ["p", "q", "r"]);
    // And that an empty one is meant.
    scene.write("more/r.toml", "");
    scene.attempt(Trigger::Command { weaker: false }).await;
    assert_eq!(scene.plugins(), ["p", "q"]);
}

#[tokio::test]
async fn who_let_in_more_is_noted() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    scene.configure(FILE, "none", "");
    scene.control.asked_by(Some("unix:ada".into()));
    published(&scene.attempt(Trigger::Command { weaker: true }).await);
    let history = scene.control.history(jiff::Timestamp::now()).unwrap();
    assert_eq!(history[0]["cause"], "reload --weaker");
    assert_eq!(history[0]["by"], "unix:ada");
}

#[tokio::test]
async fn a_state_that_others_can_write_is_told() {
    use std::os::unix::fs::PermissionsExt;

    let mut scene = Scene::new("");
    let allow = |path: PathBuf, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let told = |scene: &Scene| scene.control.status()["warnings"].to_string();
    fs::create_dir(scene.path("state")).unwrap();
    allow(scene.path("state"), 0o755);
    published(&scene.attempt(Trigger::Start).await);
    assert!(!told(&scene).contains("others can"), "{}", told(&scene));
    scene.restart();
    allow(scene.path("state"), 0o775);
    published(&scene.attempt(Trigger::Start).await);
    assert!(told(&scene).contains("mode 775"), "{}", told(&scene));
}

#[tokio::test]
async fn a_rollback_that_lets_in_more_is_no_reason_to_refuse_the_next_change() {
    let mut scene = Scene::new("");
    let renamed = |scene: &Scene, require: &str, extra: &str| {
        scene.configure(FILE, require, extra);
        let text = fs::read_to_string(scene.path("p.toml")).unwrap();
        scene.write("p.toml", &text.replace("[plugins.p]", "[plugins.q]"));
    };
    renamed(&scene, "none", "");
    published(&scene.attempt(Trigger::Start).await);
    scene.configure(FILE, "service", "");
    published(&scene.attempt(Trigger::File).await);
    let rolling = crate::control::Rolling {
        to: Some(1),
        weaker: true,
        by: "unix:ada".into(),
    };
    let rolled = scene.control.roll_back(&rolling, jiff::Timestamp::now());
    published(&rolled.unwrap());
    renamed(&scene, "none", "headers.request.set.X-A = \"1\"\n");
    published(&scene.attempt(Trigger::File).await);
    assert_eq!(scene.plugins(), ["q"]);
}
