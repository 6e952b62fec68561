//! Documents that change, go and come back.

use super::guards::{including, part};
use super::*;

#[tokio::test]
async fn what_serves_goes_on_until_its_new_document_can_be_had() {
    let mut scene = Scene::empty();
    scene
        .edges
        .0
        .borrow_mut()
        .documents
        .insert("/openapi.json".into(), DOCUMENT.into());
    scene.configure("\"/openapi.json\"", "service", "");
    published(&scene.attempt(Trigger::Start).await);
    scene.configure("\"/typo.json\"", "service", "");
    refused(
        &scene.attempt(Trigger::File).await,
        Stage::Compile,
        "typo.json can not be fetched",
    );
    assert_eq!(scene.operations(), 2);
    // The upstream fails meanwhile: the copy that served was not forgotten.
    scene.edges.0.borrow_mut().documents.clear();
    scene.configure("\"/openapi.json\"", "service", "");
    assert!(matches!(
        scene.attempt(Trigger::File).await,
        Outcome::Unchanged
    ));
    assert!(scene.control.ready());
}

#[tokio::test]
async fn an_upstream_that_lost_an_operation_blocks_neither_start_nor_renewal() {
    let extra = "[plugins.p.files]\n\"/note.txt\" = \"FOLDER/note.txt\"\n";
    let mut scene = Scene::empty();
    scene.write("note.txt", "one");
    scene
        .edges
        .0
        .borrow_mut()
        .documents
        .insert("/openapi.json".into(), DOCUMENT.into());
    scene.configure(
        "\"/openapi.json\"\nopenapi.include = [\"a\", \"gone\"]",
        "service",
        extra,
    );
    published(&scene.attempt(Trigger::Start).await);
    scene.write("note.txt", "two");
    published(&scene.attempt(Trigger::File).await);
    // Who writes a selector that matches nothing now is told so.
    scene.configure(
        "\"/openapi.json\"\nopenapi.include = [\"a\", \"wrong\"]",
        "service",
        extra,
    );
    refused(
        &scene.attempt(Trigger::File).await,
        Stage::Compile,
        "`wrong` matches no operation",
    );
}

#[tokio::test]
async fn a_part_of_a_document_that_comes_back_is_read_again() {
    let mut scene = Scene::empty();
    let document = DOCUMENT.replacen(
        "\"responses\"",
        "\"parameters\":[{\"$ref\":\"part.json\"}],\"responses\"",
        1,
    );
    assert_ne!(document, DOCUMENT);
    let part = "{\"name\":\"q\",\"in\":\"query\",\"schema\":{}}";
    scene.write("openapi.json", &document);
    scene.write("part.json", part);
    let source = format!("\"file:{}\"", scene.path("openapi.json").display());
    scene.configure(&source, "service", "");
    published(&scene.attempt(Trigger::Start).await);
    // What served goes on while it is gone, and it is watched for.
    fs::remove_file(scene.path("part.json")).unwrap();
    let outcome = scene.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    let watched = &scene.control.watched.0;
    assert!(watched.contains(&scene.path("part.json")), "{watched:?}");
    scene.write("part.json", &part.replace("\"q\"", "\"r\""));
    published(&scene.attempt(Trigger::File).await);
    let watched = &scene.control.watched.0;
    assert!(watched.contains(&scene.path("part.json")), "{watched:?}");
}

#[tokio::test]
async fn overlays_that_are_reordered_or_no_longer_named_change_the_document() {
    let mut scene = Scene::new("");
    for name in ["one", "two"] {
        let said = format!(
            "overlay: 1.0.0\ninfo: {{title: O, version: '1'}}\nactions:\n- target: $.info\n  \
             update: {{title: {name}}}\n"
        );
        scene.write(&format!("{name}.yaml"), &said);
    }
    for (list, title) in [
        ("one two", "two"),
        ("two one", "one"),
        ("two", "two"),
        ("", "T"),
    ] {
        let path = |name| format!("\"{}\"", scene.path(&format!("{name}.yaml")).display());
        let list: Vec<String> = list.split_whitespace().map(path).collect();
        let overlays = format!("openapi.overlays = [{}]\n", list.join(","));
        scene.configure("\"file:FOLDER/openapi.json\"", "service", &overlays);
        published(&scene.attempt(Trigger::Command { weaker: false }).await);
        let plugin = Arc::clone(&scene.control.published().unwrap().current().plugins[0]);
        assert_eq!(plugin.title, title, "{overlays}");
    }
}

/// Another plugin in the main file, whose document is somewhere else.
fn another(source: &str, require: &str) -> String {
    format!(
        "[plugins.q]\nhosts = [\"q.example\"]\nupstream.url = \"http://127.0.0.1:9\"\n\
         openapi.source = \"{source}\"\nauth.require = \"{require}\"\n"
    )
}

const FILE: &str = "\"file:FOLDER/openapi.json\"";

fn described(text: &str, rest: &str) -> String {
    format!("description = \"{text}\"\n{rest}")
}

fn description(scene: &Scene) -> String {
    let running = scene.control.published().unwrap().current();
    running.config.plugins[0].description.clone().unwrap()
}

/// Takes what was ordered as come.
async fn deliver(scene: &mut Scene) -> Outcome {
    for order in scene.control.take_orders() {
        let delivery = order.await;
        scene.control.delivered(delivery);
    }
    scene.control.resume(Trigger::Document)
}

#[tokio::test]
async fn a_new_plugin_of_the_main_file_waits_alone() {
    let mut scene = Scene::new(&described("one", ""));
    published(&scene.attempt(Trigger::Start).await);
    let token = "[tokens.t]\nlevel = \"service\"\nplugins = [\"q\"]\nscopes = [\"a\"]\n\
                 sha256 = \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"\n";
    scene.serves("/slow.json", DOCUMENT);
    let with = |text: &str| described(text, &another("/slow.json", "service"));
    // Alone it changes nothing that could be taken without it.
    scene.configure(FILE, "service", &with("one"));
    let outcome = scene.control.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Waiting), "{outcome:?}");
    assert_eq!(
        (scene.control.generation(), scene.plugins()),
        (1, vec!["p".to_owned()])
    );
    // What else is written is.
    scene.configure(FILE, "service", &with("two"));
    published(&scene.control.attempt(Trigger::File).await);
    assert_eq!(
        (description(&scene), scene.plugins()),
        ("two".to_owned(), vec!["p".to_owned()])
    );
    assert_eq!(scene.control.status()["waiting"][0]["plugin"], "q");
    let outcome = scene.control.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
    assert!(scene.control.fetching());
    // What can not be taken without it waits with it.
    scene.configure(FILE, "service", &(with("three") + token));
    let outcome = scene.control.attempt(Trigger::File).await;
    let waits = matches!(outcome, Outcome::Waiting) || scene.control.waits();
    assert!(waits, "{outcome:?}");
    let outcome = deliver(&mut scene).await;
    published(&outcome);
    assert_eq!(
        (description(&scene), scene.plugins()),
        ("three".to_owned(), vec!["p".to_owned(), "q".to_owned()])
    );
    assert!(!scene.control.waits() && !scene.control.fetching() && scene.control.ready());
    let outcome = scene.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Unchanged), "{outcome:?}");
}

#[tokio::test]
async fn a_plugin_of_the_main_file_whose_document_moves_goes_on_alone_as_it_was() {
    let mut scene = Scene::empty();
    scene.write("openapi.json", DOCUMENT);
    for path in ["/old.json", "/new.json"] {
        scene.serves(path, DOCUMENT);
    }
    let with = |text: &str, source: &str| described(text, &another(source, "service"));
    scene.configure(FILE, "service", &with("one", "/old.json"));
    published(&scene.attempt(Trigger::Start).await);
    scene.configure(FILE, "service", &with("two", "/new.json"));
    published(&scene.control.attempt(Trigger::File).await);
    assert_eq!(description(&scene), "two");
    let source = |scene: &Scene| {
        let status = scene.control.status();
        status["plugins"][1]["document"]["source"].to_string()
    };
    assert!(source(&scene).contains("/old.json"));
    // Its bytes are the same, and it is another all the same.
    published(&deliver(&mut scene).await);
    assert!(source(&scene).contains("/new.json") && !scene.control.waits());
    // What does not come is refused, as without another change.
    scene.configure(FILE, "service", &with("three", "/none.json"));
    published(&scene.control.attempt(Trigger::File).await);
    refused(
        &deliver(&mut scene).await,
        Stage::Compile,
        "none.json can not be fetched",
    );
    assert_eq!(description(&scene), "three");
    assert!(source(&scene).contains("/new.json"));
}

#[tokio::test]
async fn a_plugin_of_the_main_file_that_waits_keeps_no_included_file_waiting() {
    let mut scene = Scene::new("");
    fs::create_dir(scene.path("more")).unwrap();
    including(&scene, "more/*.toml");
    scene.write("more/r.toml", &part(&scene, "r", "service"));
    published(&scene.attempt(Trigger::Start).await);
    scene.serves("/slow.json", DOCUMENT);
    let main = fs::read_to_string(scene.path("p.toml")).unwrap();
    scene.write("p.toml", &(main + &another("/slow.json", "service")));
    let outcome = scene.control.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Waiting), "{outcome:?}");
    scene.write("more/s.toml", &part(&scene, "s", "service"));
    published(&scene.control.attempt(Trigger::File).await);
    assert_eq!(scene.plugins(), ["p", "r", "s"]);
    published(&deliver(&mut scene).await);
    assert_eq!(scene.plugins(), ["p", "q", "r", "s"]);
    assert!(scene.control.ready());
}

#[tokio::test]
async fn a_document_that_stands_in_is_not_asked_for_meanwhile() {
    let mut scene = Scene::empty();
    scene.serves("/old.json", DOCUMENT);
    scene.serves("/new.json", DOCUMENT);
    scene.configure("\"/old.json\"", "service", "");
    published(&scene.attempt(Trigger::Start).await);
    scene.configure("\"/old.json\"", "service", &described("two", ""));
    published(&scene.attempt(Trigger::File).await);
    scene.control.save(jiff::Timestamp::now());
    let rolling = crate::control::Rolling {
        to: Some(1),
        weaker: false,
        by: "unix:test".into(),
    };
    let rolled = scene.control.roll_back(&rolling, jiff::Timestamp::now());
    published(&rolled.unwrap());
    scene.configure("\"/new.json\"", "service", &described("three", ""));
    let outcome = scene.control.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Waiting), "{outcome:?}");
    // What is due would look at what was rolled back to, and the edit be forgotten.
    assert_eq!(scene.control.due(), None);
}
