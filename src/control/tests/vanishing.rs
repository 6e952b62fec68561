//! Folders that are gone, and a gateway of which nothing is left.

use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::guards::{including, part};
use super::*;

/// One plugin in the main file, and two that are included.
async fn scene() -> Scene {
    let mut scene = Scene::new("");
    fs::create_dir(scene.path("more")).unwrap();
    including(&scene, "more/*.toml");
    for name in ["q", "r"] {
        scene.write(&format!("more/{name}.toml"), &part(&scene, name, "service"));
    }
    published(&scene.attempt(Trigger::Start).await);
    assert_eq!(scene.plugins(), ["p", "q", "r"]);
    scene
}

#[tokio::test]
async fn a_folder_that_vanished_is_refused_until_somebody_asks_for_it() {
    let mut scene = scene().await;
    fs::rename(scene.path("more"), scene.path("gone")).unwrap();
    let outcome = scene.attempt(Trigger::File).await;
    refused(&outcome, Stage::Validate, "more/*.toml");
    refused(&outcome, Stage::Validate, "2 files");
    refused(&outcome, Stage::Validate, "plugway reload");
    let outcome = scene.attempt(Trigger::Document).await;
    refused(&outcome, Stage::Validate, "2 files");
    assert_eq!(scene.plugins(), ["p", "q", "r"]);
    // It comes back.
    fs::rename(scene.path("gone"), scene.path("more")).unwrap();
    let outcome = scene.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
    assert!(scene.control.status()["pending_rejected"].is_null());
    // It is meant.
    fs::rename(scene.path("more"), scene.path("gone")).unwrap();
    let outcome = scene.attempt(Trigger::Command { weaker: false }).await;
    let Outcome::Published(warnings) = outcome else {
        panic!("{outcome:?}")
    };
    let warnings = warnings.render(false);
    assert!(warnings.contains("2 files"), "{warnings}");
    assert_eq!(scene.plugins(), ["p"]);
    let outcome = scene.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
}

#[tokio::test]
async fn one_file_of_several_that_vanished_is_taken() {
    let mut scene = scene().await;
    fs::remove_file(scene.path("more/q.toml")).unwrap();
    published(&scene.attempt(Trigger::File).await);
    assert_eq!(scene.plugins(), ["p", "r"]);
}

#[tokio::test]
async fn without_a_plugin_it_is_not_ready_and_says_so() {
    let mut scene = Scene::new("");
    let main = format!(
        "include = [\"{0}/more/*.toml\"]\n[listen]\nhttp = \"127.0.0.1:1001\"\n[state]\ndirectory = \"{0}/state\"\n",
        scene.folder.path().display()
    );
    scene.write("p.toml", &main);
    let outcome = scene.attempt(Trigger::Start).await;
    let Outcome::Published(warnings) = outcome else {
        panic!("{outcome:?}")
    };
    let warnings = warnings.render(false);
    assert!(warnings.contains("nothing is served"), "{warnings}");
    assert!(!scene.control.ready());
    fs::create_dir(scene.path("more")).unwrap();
    scene.write("more/q.toml", &part(&scene, "q", "service"));
    published(&scene.attempt(Trigger::File).await);
    assert!(scene.control.ready());
}

#[tokio::test]
async fn since_when_it_is_ready_or_not() {
    let at = |minute: i64| Timestamp::from_second(4_000_000_000 + 60 * minute).unwrap();
    let scene = scene().await;
    assert_eq!(scene.control.ready_since(at(1)), at(1));
    assert_eq!(scene.control.ready_since(at(2)), at(1));
    let starting = &scene.control.shared.starting;
    starting.store(true, Ordering::Relaxed);
    assert_eq!(scene.control.ready_since(at(3)), at(3));
    assert_eq!(scene.control.ready_since(at(4)), at(3));
    let status = scene.control.status();
    assert_eq!(status["ready"], false);
    assert_eq!(status["ready_since"], super::super::status::moment(at(3)));
}

#[tokio::test]
async fn a_folder_that_can_not_be_read_is_not_an_empty_one() {
    use std::os::unix::fs::PermissionsExt;

    let mut scene = scene().await;
    let allow = |scene: &Scene, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(scene.path("more"), mode).unwrap();
    };
    allow(&scene, 0);
    // Root reads everything.
    let readable = fs::read_dir(scene.path("more")).is_ok();
    let outcome = scene.attempt(Trigger::Command { weaker: false }).await;
    allow(&scene, 0o755);
    if readable {
        assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
    } else {
        refused(&outcome, Stage::Validate, "can not be looked up in");
        refused(&outcome, Stage::Validate, "ermission denied");
    }
    assert_eq!(scene.plugins(), ["p", "q", "r"]);
}
