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

#[tokio::test]
async fn an_empty_body_is_being_written() {
    let mut scene = Scene::new("");
    scene.remote(TOKENS, "");
    scene.serves("/tokens", &line("pls_00000001", "one"));
    published(&scene.attempt(Trigger::Start).await);
    let one = line("pls_00000001", "one");
    for (body, opens) in [("", true), (&one, true), (" \n", true), ("# none\n", false)] {
        scene.serves("/tokens", body);
        scene.control.ask_for_tokens(true);
        scene.deliver().await;
        scene.control.resume(Trigger::Document);
        scene.control.settle_clock();
        assert_eq!(scene.opens("one"), opens, "{body:?}");
        let told = scene.control.status().to_string();
        let refused = opens && body != one;
        assert_eq!(told.contains("it is empty"), refused, "{told}");
    }
    // Twice the same is meant.
    for (body, opens) in [(&*one, true), ("", true), ("", false)] {
        scene.serves("/tokens", body);
        scene.control.ask_for_tokens(true);
        scene.deliver().await;
        scene.control.resume(Trigger::Document);
        scene.control.settle_clock();
        assert_eq!(scene.opens("one"), opens, "{body:?}");
    }
}

/// A token file became empty some seconds before it did.
fn empty_for_longer(scene: &mut Scene, name: &str, seconds: i64) {
    let path = scene.path(name);
    let emptied = scene.control.tokens.emptied.get_mut(&path).unwrap();
    emptied.since -= jiff::SignedDuration::from_secs(seconds);
}

#[tokio::test]
async fn each_empty_token_file_is_believed_after_ten_seconds_of_its_own() {
    let mut scene = Scene::new("");
    let [one, two] = ["t.jsonl", "u.jsonl"].map(|name| scene.path(name).display().to_string());
    scene.remote(&format!("token_files = [\"{one}\", \"{two}\"]\n"), "");
    scene.write("t.jsonl", &line("pls_00000001", "one"));
    scene.write("u.jsonl", &line("pls_00000002", "two"));
    published(&scene.attempt(Trigger::Start).await);
    scene.write("t.jsonl", "");
    scene.attempt(Trigger::File).await;
    empty_for_longer(&mut scene, "t.jsonl", 10);
    scene.write("u.jsonl", "");
    // The first is due. The second was emptied just now: nobody knows what comes.
    scene.control.believes_emptied(jiff::Timestamp::now());
    let outcome = scene.attempt(Trigger::File).await;
    refused(&outcome, Stage::Validate, "u.jsonl:1");
    assert!(scene.opens("two"));
    assert!(scene.control.emptied_due() > Some(jiff::Timestamp::now()));
    empty_for_longer(&mut scene, "u.jsonl", 10);
    scene.control.believes_emptied(jiff::Timestamp::now());
    published(&scene.attempt(Trigger::File).await);
    assert!(!scene.opens("one") && !scene.opens("two"));
    assert_eq!(scene.control.emptied_due(), None);
}

#[tokio::test]
async fn an_empty_token_file_ends_nothing_until_somebody_asks_for_it() {
    let mut scene = Scene::new("");
    let tokens = format!("token_files = [\"{}\"]\n", scene.path("t.jsonl").display());
    scene.remote(&tokens, "");
    scene.write("t.jsonl", &line("pls_00000001", "one"));
    published(&scene.attempt(Trigger::Start).await);
    for empty in ["", "\n \n"] {
        scene.write("t.jsonl", empty);
        let outcome = scene.attempt(Trigger::File).await;
        refused(&outcome, Stage::Validate, "t.jsonl:1");
        refused(&outcome, Stage::Validate, "plugway reload");
        assert!(scene.opens("one"));
    }
    // It stays so for ten seconds.
    assert!(scene.control.emptied_due() > Some(jiff::Timestamp::now()));
    empty_for_longer(&mut scene, "t.jsonl", 10);
    assert!(scene.control.emptied_due() <= Some(jiff::Timestamp::now()));
    scene.control.believes_emptied(jiff::Timestamp::now());
    assert_eq!(scene.control.emptied_due(), None);
    published(&scene.attempt(Trigger::File).await);
    assert!(!scene.opens("one") && scene.control.tokens.emptied.is_empty());
    scene.write("t.jsonl", &line("pls_00000001", "one"));
    published(&scene.attempt(Trigger::File).await);
    // A comment says that there is nothing.
    scene.write("t.jsonl", "# none\n");
    published(&scene.attempt(Trigger::File).await);
    assert!(!scene.opens("one"));
    scene.write("t.jsonl", "");
    scene.attempt(Trigger::File).await;
    scene.write("t.jsonl", &line("pls_00000001", "one"));
    published(&scene.attempt(Trigger::File).await);
    assert!(scene.opens("one"));
    scene.write("t.jsonl", "");
    published(&scene.attempt(Trigger::Command { weaker: false }).await);
    assert!(!scene.opens("one"));
}

#[tokio::test]
async fn what_is_in_the_query_of_a_url_is_shown_nowhere() {
    let mut scene = Scene::new("");
    let both = "token_files = [\"http://127.0.0.1:9/tokens?key=s3cret\", \"http://127.0.0.1:9/tokens?key=s3cret2\"]\n";
    scene.remote(both, "");
    scene.serves("/tokens?key=s3cret", &line("pls_00000001", "one"));
    scene.serves("/tokens?key=s3cret2", &line("pls_00000002", "two"));
    published(&scene.attempt(Trigger::Start).await);
    assert!(scene.opens("one") && scene.opens("two"));
    let named = scene.control.remote_ages();
    let named: Vec<&str> = named.keys().map(|name| &**name).collect();
    let name = "http://127.0.0.1:9/tokens?…";
    assert_eq!(named, [name, &format!("{name} (2)")]);
    scene.serves("/tokens?key=s3cret2", "nonsense\n");
    scene.control.ask_for_tokens(true);
    scene.deliver().await;
    scene.control.resume(Trigger::Document);
    let told = scene.control.status().to_string();
    assert!(
        told.contains("is refused") && !told.contains("s3cret"),
        "{told}"
    );
}

#[tokio::test]
async fn an_admin_token_comes_from_a_url_only_where_that_is_written() {
    let admin = |id: &str, secret: &str| line(id, secret).replace("service", "admin");
    let mut scene = Scene::new("");
    scene.remote(TOKENS, "");
    let more = line("pls_00000001", "one");
    scene.serves("/tokens", &more);
    published(&scene.attempt(Trigger::Start).await);
    scene.serves("/tokens", &format!("{more}{}", admin("root", "two")));
    scene.control.ask_for_tokens(true);
    scene.deliver().await;
    scene.control.resume(Trigger::Document);
    scene.control.settle_clock();
    assert!(scene.opens("one") && !scene.opens("two"));
    let told = scene.control.status().to_string();
    assert!(
        told.contains("/tokens:2") && told.contains("admin = true"),
        "{told}"
    );
    scene.remote(
        "token_files = [{ url = \"http://127.0.0.1:9/tokens\", admin = true }]\n",
        "",
    );
    scene.attempt(Trigger::File).await;
    scene.control.ask_for_tokens(true);
    scene.deliver().await;
    published(&scene.control.resume(Trigger::Document));
    scene.control.settle_clock();
    assert!(scene.opens("two"));
    // What was allowed before is not any more, though its bytes are known.
    scene.remote(TOKENS, "");
    let outcome = scene.attempt(Trigger::File).await;
    refused(&outcome, Stage::Validate, "admin token");
    assert!(scene.opens("two"));
}

#[tokio::test]
async fn what_a_token_of_a_file_names_in_vain_is_told() {
    let mut scene = Scene::new("");
    let tokens = format!("token_files = [\"{}\"]\n", scene.path("t.jsonl").display());
    scene.remote(&tokens, "");
    let text = line("pls_00000001", "one");
    let elsewhere = line("pls_00000002", "two").replace("[\"p\"]", "[\"p\",\"later\"]");
    let scope = line("pls_00000003", "three").replace("[\"*\"]", "[\"a\",\"gone\"]");
    scene.write("t.jsonl", &format!("{text}{elsewhere}{scope}"));
    published(&scene.attempt(Trigger::Start).await);
    let told = |scene: &Scene| scene.control.status()["warnings"].to_string();
    let found = told(&scene);
    assert!(
        found.contains("pls_00000002 names the plugin `later`"),
        "{found}"
    );
    assert!(found.contains("pls_00000003 names `gone`"), "{found}");
    assert!(
        !found.contains("`a`") && !found.contains("pls_00000001"),
        "{found}"
    );
    // They are still told when something else changed, and not when they are gone.
    scene.remote(&tokens, "headers.request.set.X-A = \"1\"\n");
    published(&scene.attempt(Trigger::File).await);
    assert!(told(&scene).contains("`gone`"));
    scene.write("t.jsonl", &text);
    published(&scene.attempt(Trigger::File).await);
    assert!(!told(&scene).contains(" names "));
}

#[tokio::test]
async fn the_hash_of_nothing_opens_nothing() {
    let mut scene = Scene::new("");
    let tokens = format!("token_files = [\"{}\"]\n", scene.path("t.jsonl").display());
    scene.remote(&tokens, "");
    scene.write("t.jsonl", &line("pls_00000001", ""));
    let outcome = scene.attempt(Trigger::Start).await;
    refused(&outcome, Stage::Validate, "that of nothing");
}

#[tokio::test]
async fn a_copy_is_not_refused_for_a_local_files_fault() {
    let mut scene = Scene::new("");
    let local = scene.path("t.jsonl").display().to_string();
    let both = format!("token_files = [\"http://127.0.0.1:9/tokens\", \"{local}\"]\n");
    scene.remote(&both, "");
    scene.serves("/tokens", &line("pls_00000001", "one"));
    scene.write("t.jsonl", &line("pls_00000002", "two"));
    published(&scene.attempt(Trigger::Start).await);
    scene.write("t.jsonl", "");
    scene.serves("/tokens", &line("pls_00000003", "three"));
    scene.control.ask_for_tokens(true);
    scene.deliver().await;
    let outcome = scene.control.resume(Trigger::Document);
    refused(&outcome, Stage::Validate, "t.jsonl");
    assert!(scene.opens("one") && scene.opens("two"));
    // What came is taken as soon as the other one is whole again.
    scene.write("t.jsonl", &line("pls_00000002", "two"));
    published(&scene.attempt(Trigger::File).await);
    assert!(scene.opens("three") && !scene.opens("one"));
}
