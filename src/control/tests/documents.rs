//! Documents that change, go and come back.

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
