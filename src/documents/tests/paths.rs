//! Which paths there are, and of which media type.

use super::*;

#[track_caller]
fn check_paths(plugin: &Plugin, expected: &[&str]) {
    let (documents, _) = compiled(plugin);
    assert_eq!(documents.paths().collect::<Vec<_>>(), expected);
    for path in expected {
        document(&documents, path);
    }
}

#[test]
fn what_is_where() {
    check_paths(&bare(), &GENERATED);

    let without = |gone: &[&str]| -> Vec<&str> {
        GENERATED
            .into_iter()
            .filter(|path| !gone.iter().any(|gone| path.contains(gone)))
            .collect()
    };
    let publish = |manifest, openapi| Plugin {
        publish: Publish { manifest, openapi },
        ..bare()
    };
    check_paths(&publish(false, true), &without(&["ai-plugin"]));
    check_paths(&publish(true, false), &without(&["openapi"]));
    check_paths(
        &publish(false, false),
        &without(&["ai-plugin", "openapi", "catalog"]),
    );

    let url = || Some(Reference::Url("https://example.com/x".to_owned()));
    check_paths(
        &Plugin {
            legal: url(),
            ..bare()
        },
        &without(&["legal"]),
    );
    check_paths(
        &Plugin {
            logo: url(),
            ..bare()
        },
        &without(&["logo"]),
    );
}

#[test]
fn a_path_is_compared_exactly() {
    let (documents, _) = compiled(&bare());
    for path in [
        "",
        "/openapi.json/",
        "//openapi.json",
        "/OpenAPI.json",
        "/openapi%2Ejson",
        "/todos",
    ] {
        assert!(documents.find(path).is_none(), "{path}");
    }
}

#[test]
fn without_the_document_its_paths_are_ours_but_unavailable() {
    let plugin = plugin();
    let (documents, problems) = compiled_with(&plugin, None, None);
    assert_eq!(lines(&problems), Vec::<String>::new());
    for path in documents.paths() {
        let is_unavailable = matches!(documents.find(path), Some(Found::Unavailable));
        assert_eq!(is_unavailable, path.contains("openapi"), "{path}");
    }
    assert_eq!(manifest_of(&documents)["name_for_human"], "Todo List");
}

#[test]
fn a_manifest_that_needs_the_document_waits_for_it() {
    let (documents, problems) = compiled_with(&bare(), None, None);
    assert!(matches!(documents.find(MANIFEST), Some(Found::Unavailable)));
    assert_eq!(
        lines(&problems),
        Vec::<String>::new(),
        "what is missing can not be told yet"
    );
    document(&documents, "/logo.png");
    document(&documents, "/legal");
}

#[test]
fn aliases_are_one_document() {
    let (documents, _) = compiled(&bare());
    for name in [
        "openapi.json",
        "openapi.yaml",
        "openapi-3.0.json",
        "openapi-3.0.yaml",
        "logo.png",
    ] {
        let one = document(&documents, &format!("/{name}"));
        assert!(
            std::ptr::eq(one, document(&documents, &format!("/.well-known/{name}"))),
            "{name}"
        );
    }
}

#[track_caller]
fn check_type(documents: &Documents, path: &str, expected: &str) {
    assert_eq!(document(documents, path).media_type(), expected, "{path}");
}

#[test]
fn media_types() {
    let (documents, _) = compiled(&bare());
    check_type(&documents, MANIFEST, "application/json");
    check_type(&documents, "/openapi.json", "application/json");
    check_type(&documents, "/openapi.yaml", "application/yaml");
    check_type(&documents, "/openapi-3.0.json", "application/json");
    check_type(&documents, "/openapi-3.0.yaml", "application/yaml");
    check_type(&documents, "/logo.png", "image/png");
    check_type(&documents, "/legal", "text/html; charset=utf-8");
    check_type(&documents, "/", "text/html; charset=utf-8");
    check_type(
        &documents,
        "/.well-known/api-catalog",
        "application/linkset+json; profile=\"https://www.rfc-editor.org/info/rfc9727\"",
    );
}

#[track_caller]
fn check_logo(name: &str, path: &str, media_type: &str, expected: &[&str]) {
    let logo = Some(Reference::File(file(name, b"picture")));
    let (documents, problems) = compiled(&Plugin { logo, ..plugin() });
    check_type(&documents, path, media_type);
    check_type(&documents, &format!("/.well-known{path}"), media_type);
    assert_eq!(manifest_of(&documents)["logo_url"], format!("{TODO}{path}"));
    assert_eq!(lines(&problems), expected);
}

#[test]
fn logos() {
    check_logo("a/b.png", "/logo.png", "image/png", &[]);
    check_logo("b.JPG", "/logo.jpg", "image/jpeg", &[]);
    check_logo("b.jpeg", "/logo.jpeg", "image/jpeg", &[]);
    check_logo("b.svg", "/logo.svg", "image/svg+xml", &[]);
    check_logo("b.webp", "/logo.webp", "image/webp", &[]);
    check_logo("b.ico", "/logo.ico", "image/x-icon", &[]);
    let gif = "? plugins.todo.logo: a v1 manifest does not take a GIF for its logo \
               (use a PNG of 512 by 512 pixels)";
    check_logo("b.gif", "/logo.gif", "image/gif", &[gif]);
    let none = "! plugins.todo.logo: b.txt has no ending of a picture \
                (use png, svg, jpg, jpeg, webp or ico)";
    check_logo("b.txt", "/logo.png", "image/png", &[none]);
}

#[track_caller]
fn check_legal(name: &str, bytes: &[u8], media_type: &str) {
    let legal = Some(Reference::File(file(name, bytes)));
    let (documents, problems) = compiled(&Plugin { legal, ..plugin() });
    check_type(&documents, "/legal", media_type);
    assert_eq!(document(&documents, "/legal").content(TODO), bytes);
    assert_eq!(
        manifest_of(&documents)["legal_info_url"],
        format!("{TODO}/legal")
    );
    assert_eq!(lines(&problems), Vec::<String>::new());
}

#[test]
fn legal_pages() {
    check_legal("legal.html", b"<p>", "text/html; charset=utf-8");
    check_legal("terms.md", b"# T", "text/markdown; charset=utf-8");
    check_legal("LICENSE", b"text", "text/plain; charset=utf-8");
}

#[test]
fn files_are_served_as_they_are() {
    let mut plugin = plugin();
    let content = format!("Contact: {ORIGIN}");
    plugin.files = BTreeMap::from([
        (
            "/.well-known/security.txt".to_owned(),
            file("s.txt", content.as_bytes()),
        ),
        (
            "/.well-known/openai-apps-challenge".to_owned(),
            file("challenge", b"abc"),
        ),
        ("/app.html".to_owned(), file("app.html", b"<script>")),
        ("/data".to_owned(), file("data", &[0xff])),
    ]);
    let (mut documents, problems) = compiled(&plugin);
    documents.prepare(&[TODO.to_owned()]);
    assert_eq!(lines(&problems), Vec::<String>::new());
    assert_eq!(text(&documents, "/.well-known/security.txt", TODO), content);
    check_type(
        &documents,
        "/.well-known/security.txt",
        "text/plain; charset=utf-8",
    );
    check_type(
        &documents,
        "/.well-known/openai-apps-challenge",
        "text/plain; charset=utf-8",
    );
    check_type(&documents, "/app.html", "text/html; charset=utf-8");
    check_type(&documents, "/data", "application/octet-stream");
}

#[track_caller]
fn check_file(path: &str, expected: &[&str]) {
    let files = BTreeMap::from([(path.to_owned(), file("x.txt", b"mine"))]);
    let (documents, problems) = compiled(&Plugin { files, ..plugin() });
    assert_eq!(lines(&problems), expected);
    assert_eq!(text(&documents, path, TODO), "mine");
}

#[test]
fn paths_of_files() {
    check_file("/security.txt", &[]);
    check_file("/", &[]);
    check_file(
        "/openapi.json",
        &["? plugins.todo.files: /openapi.json replaces the generated document"],
    );
    check_file(
        "/healthz",
        &["! plugins.todo.files: /healthz is answered by the gateway itself"],
    );
    check_file(
        "/a b",
        &[
            "! plugins.todo.files: \"/a b\" can not be asked for: a path is compared as it is sent \
           (write \"/a%20b\")",
        ],
    );
}

#[test]
fn no_page_of_links_unless_asked_for() {
    let (plugin, texts, info) = (bare(), texts(), Info::default());
    let (info, openapi) = (Some(&info), Some(&texts));
    let (documents, _) = compile(&Material {
        plugin: &plugin,
        info,
        upstream_manifest: None,
        openapi,
        links_page: false,
    });
    assert!(documents.find("/").is_none());
}
