//! Token files at URLs, and what comes while something else is looked at.

use super::*;

const TOKENS: &str = "token_files = [\"http://127.0.0.1:9/tokens\"]\n";

fn line(id: &str, secret: &str) -> String {
    let sha256 = Fingerprint::of(secret.as_bytes()).to_hex();
    format!(
        "{{\"id\":\"{id}\",\"level\":\"service\",\"plugins\":[\"p\"],\"scopes\":[\"*\"],\"sha256\":\"{sha256}\"}}\n"
    )
}

impl Scene {
    /// With token files at URLs.
    fn remote(&self, tokens: &str, extra: &str) {
        self.configure(r#""file:FOLDER/openapi.json""#, "service", extra);
        let text = fs::read_to_string(self.path("p.toml")).unwrap();
        self.write("p.toml", &format!("{tokens}{text}"));
    }

    /// Everything that is ordered; whether there was something new.
    async fn deliver(&mut self) -> bool {
        let mut new = false;
        for order in self.control.take_orders() {
            let delivery = order.await;
            new |= self.control.delivered(delivery);
        }
        new
    }
}

#[tokio::test]
async fn whoever_waits_for_the_clock_asks_once_for_all() {
    let mut scene = Scene::new("");
    scene.remote(TOKENS, "");
    scene.serves("/tokens", &line("pls_00000001", "one"));
    published(&scene.attempt(Trigger::Start).await);
    scene.control.ask_for_tokens(true);
    let first = scene.control.take_orders();
    assert_eq!(first.len(), 1);
    // Another request: what it waits for is on its way.
    scene.control.ask_for_tokens(true);
    assert!(scene.control.take_orders().is_empty());
    for order in first {
        let delivery = order.await;
        assert!(!scene.control.delivered(delivery), "nothing new");
    }
    scene.control.settle_clock();
    // The next jump is another one.
    scene.control.ask_for_tokens(true);
    assert_eq!(scene.control.take_orders().len(), 1);
}

#[tokio::test]
async fn a_file_is_not_refused_for_another_ones_fault() {
    let both = "token_files = [\"http://127.0.0.1:9/tokens\", \"http://127.0.0.1:9/more\"]\n";
    let mut scene = Scene::new("");
    scene.remote(both, "");
    scene.serves("/tokens", &line("pls_00000001", "one"));
    scene.serves("/more", &line("pls_00000002", "two"));
    published(&scene.attempt(Trigger::Start).await);
    scene.serves("/tokens", &line("pls_00000003", "three"));
    scene.serves("/more", "nonsense\n");
    scene.control.ask_for_tokens(true);
    assert!(scene.deliver().await);
    published(&scene.control.resume(Trigger::Document));
    assert!(scene.opens("three") && scene.opens("two") && !scene.opens("one"));
}

#[tokio::test]
async fn what_clashed_is_tried_again_when_the_configuration_changed() {
    let token = |secret: &str| {
        let sha256 = Fingerprint::of(secret.as_bytes()).to_hex();
        format!(
            "[tokens.taken]\nlevel = \"service\"\nplugins = [\"p\"]\nscopes = [\"*\"]\nsha256 = \"{sha256}\"\n"
        )
    };
    let mut scene = Scene::new("");
    scene.remote(TOKENS, &token("mine"));
    scene.serves("/tokens", &line("pls_00000001", "one"));
    published(&scene.attempt(Trigger::Start).await);
    scene.serves("/tokens", &line("taken", "two"));
    scene.control.ask_for_tokens(true);
    assert!(scene.deliver().await);
    assert!(matches!(
        scene.control.resume(Trigger::Document),
        Outcome::Unchanged
    ));
    assert!(scene.opens("one") && scene.opens("mine"));
    // The same again is not looked at again.
    scene.control.settle_clock();
    scene.control.ask_for_tokens(true);
    assert!(!scene.deliver().await);
    scene.control.settle_clock();
    scene.remote(TOKENS, "");
    published(&scene.attempt(Trigger::File).await);
    scene.control.ask_for_tokens(true);
    assert!(scene.deliver().await);
    published(&scene.control.resume(Trigger::Document));
    assert!(scene.opens("two") && !scene.opens("one"));
}
