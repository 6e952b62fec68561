//! The state database while another process has it.

use jiff::Timestamp;

use super::*;
use crate::tokens::{Fault, Order, Plugins, Who};

#[tokio::test]
async fn who_asks_meanwhile_is_told_who_has_it() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    let who = Who {
        by: "unix:test".into(),
        plugins: Plugins::All,
    };
    let ask = |scene: &mut Scene| {
        let order = Order::Show("nobody".to_owned());
        let asked = scene.control.order(&order, &who, Timestamp::now());
        asked.map(drop).unwrap_err()
    };
    scene.control.lend_state(Timestamp::now());
    let Fault::Store(told) = ask(&mut scene) else {
        panic!("it is lent")
    };
    assert!(
        told.contains("is taking over") && !told.contains("ending"),
        "{told}"
    );
    assert_eq!(scene.control.status()["state_error"], told);
    scene.control.take_state_back(Timestamp::now());
    assert!(!matches!(ask(&mut scene), Fault::Store(_)));
    assert!(scene.control.status()["state_error"].is_null());
    scene.control.close_state(Timestamp::now());
    let Fault::Store(told) = ask(&mut scene) else {
        panic!("it is closed")
    };
    assert!(told.contains("is ending"), "{told}");
}
