//! Generations are kept a little later than they serve.

use jiff::{SignedDuration, Timestamp};

use super::*;

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
