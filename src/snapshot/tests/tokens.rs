//! No token is published, whoever wrote it into a text.

use http::{HeaderMap, Method};

use super::{LEAST, Plugin, Scene, api};
use crate::documents::Found;
use crate::tokens::{Level, generate_from_system};

/// What is answered at a path.
fn served(plugin: &Plugin, path: &str) -> String {
    let Some(Found::Document(document)) = plugin.documents.find(path) else {
        panic!("nothing at {path}");
    };
    let answer = document.respond(&Method::GET, &HeaderMap::new(), "https://todo.example");
    String::from_utf8(answer.into_body().to_vec()).unwrap()
}

#[test]
fn a_token_in_a_document_is_not_served() {
    let token = generate_from_system(Level::Service).unwrap();
    let text = format!(
        r#"{{"openapi":"3.0.3","info":{{"title":"T {0}","version":"1"}},"paths":{{"/a":{{"get":{{
        "operationId":"a","description":"send {0}","responses":{{"200":{{"description":"ok"}}}}}}}},
        "/b/{0}":{{"get":{{"operationId":"b{0}","responses":{{"200":{{"description":"ok"}}}}}}}}}}}}"#,
        token.expose()
    );
    let fetched = LEAST.replace(
        "openapi.source = \"openapi.json\"",
        "openapi.source = \"/openapi.json\"",
    );
    for (config, is_fetched) in [(LEAST, false), (&*fetched, true)] {
        let mut scene = Scene::new();
        scene.api = api(&text);
        let (snapshot, problems) = scene.attempt(&config.replace("EXTRA", ""));
        let told = problems.iter().find(|one| one.message.contains(token.id()));
        let told = told.unwrap_or_else(|| panic!("{problems}"));
        assert!(!problems.render(false).contains(token.expose()));
        // A file is the operator's own to mend; what an API says must not stop its gateway.
        assert_eq!(problems.has_problems(), !is_fetched, "{told:?}");
        let Some(snapshot) = snapshot else { continue };
        let plugin = &snapshot.plugins[0];
        // Nor written to a line of the log or a series.
        let records = plugin.operations.iter().map(|one| &one.record);
        let records = format!("{:?} {:?}", records.collect::<Vec<_>>(), scene.labels);
        assert!(
            records.contains(&format!("/b/{}…", token.id())),
            "{records}"
        );
        assert!(!records.contains(token.expose()), "{records}");
        for path in [
            "/openapi.json",
            "/openapi.yaml",
            "/openapi-3.0.json",
            "/.well-known/ai-plugin.json",
            "/legal",
        ] {
            let body = served(plugin, path);
            assert!(!body.contains(token.expose()), "{path}: {body}");
            if path.starts_with("/openapi") {
                assert!(
                    body.contains(&format!("send {}…", token.id())),
                    "{path}: {body}"
                );
            }
        }
    }
}
