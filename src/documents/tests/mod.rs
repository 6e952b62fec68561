//! From a plugin's configuration to the bytes that are served.

mod facts;
mod paths;
mod serving;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::*;
use crate::openapi::{Info, Map, Value, json};
use crate::problems::{Place, Problem, Severity};

/// The origin of most tests.
const TODO: &str = "https://todo.example.com";

/// Every path that is always there with both `publish` values and a built-in logo and page.
const GENERATED: [&str; 14] = [
    "/",
    "/.well-known/ai-plugin.json",
    "/.well-known/api-catalog",
    "/.well-known/logo.png",
    "/.well-known/openapi-3.0.json",
    "/.well-known/openapi-3.0.yaml",
    "/.well-known/openapi.json",
    "/.well-known/openapi.yaml",
    "/legal",
    "/logo.png",
    "/openapi-3.0.json",
    "/openapi-3.0.yaml",
    "/openapi.json",
    "/openapi.yaml",
];

/// A plugin with every value written, and nothing to complain about.
fn plugin() -> Plugin {
    let at = Place {
        source: None,
        span: 3..7,
        key: "plugins.todo".to_owned(),
    };
    Plugin {
        name: "todo".to_owned(),
        at: at.clone(),
        display_name: Some("Todo List".to_owned()),
        description: Some("Manage your to-dos.".to_owned()),
        instructions: Some("Use it to list, add and remove to-dos.".to_owned()),
        contact: Some("dev@example.com".to_owned()),
        legal: Some(Reference::Url("https://example.com/legal".to_owned())),
        logo: Some(Reference::File(file("art/logo.svg", b"<svg/>"))),
        hosts: vec!["todo.example.com".to_owned()],
        public_url: Some(TODO.to_owned()),
        publish: Publish {
            manifest: true,
            openapi: true,
        },
        documents: DocumentAccess::Public,
        upstream: upstream(),
        openapi: OpenApi {
            source: OpenApiSource::Upstream("/openapi.json".to_owned()),
            at,
            include: Vec::new(),
            exclude: Vec::new(),
            refresh: Duration::from_mins(5),
            encoded_slash: Vec::new(),
            forward_unpublished: false,
            passes_similar: false,
            overlays: Vec::new(),
            reference_hosts: Vec::new(),
            cut: true,
            keeps_recursion: false,
        },
        operations: Vec::new(),
        auth: Auth {
            require: Require::Service,
            header: "authorization".to_owned(),
            verification_tokens: BTreeMap::new(),
            oauth: None,
        },
        cors_origins: Vec::new(),
        headers: HeaderRules::default(),
        files: BTreeMap::new(),
        tests: Vec::new(),
    }
}

/// A plugin that leaves out all that it may.
fn bare() -> Plugin {
    Plugin {
        display_name: None,
        description: None,
        instructions: None,
        contact: None,
        legal: None,
        logo: None,
        ..plugin()
    }
}

/// Where the API is.
fn upstream() -> Upstream {
    Upstream {
        scheme: Scheme::Http,
        servers: vec![Server {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            socket: None,
        }],
        base_path: String::new(),
        host_header: UpstreamHost::Upstream,
        credential: Credential::Nothing,
        roots: Roots::System,
        client_certificate: None,
        timeout: Duration::from_secs(40),
        total: None,
        resolve: Duration::from_secs(30),
        health: None,
        retries: 1,
        passes_fly_replay: false,
    }
}

/// A file of the configuration.
fn file(path: &str, bytes: &[u8]) -> ServedFile {
    ServedFile {
        path: PathBuf::from(path),
        bytes: Arc::from(bytes),
    }
}

/// Published documents, short.
fn texts() -> OpenApiTexts {
    OpenApiTexts {
        json_3_1: format!("{{\"openapi\":\"3.1.0\",\"servers\":[{{\"url\":\"{ORIGIN}\"}}]}}")
            .into(),
        yaml_3_1: format!("openapi: 3.1.0\nservers:\n- url: {ORIGIN}\n").into(),
        json_3_0: format!("{{\"openapi\":\"3.0.1\",\"servers\":[{{\"url\":\"{ORIGIN}\"}}]}}")
            .into(),
        yaml_3_0: format!("openapi: 3.0.1\nservers:\n- url: {ORIGIN}\n").into(),
    }
}

/// All documents of a plugin whose API says this.
fn compiled_with(
    plugin: &Plugin,
    info: Option<&Info>,
    upstream_manifest: Option<&Value>,
) -> (Documents, Vec<Problem>) {
    let texts = texts();
    let openapi = info.is_some().then_some(&texts);
    compile(&Material {
        plugin,
        info,
        upstream_manifest,
        openapi,
        links_page: true,
    })
}

/// All documents of a plugin whose API says nothing.
fn compiled(plugin: &Plugin) -> (Documents, Vec<Problem>) {
    compiled_with(plugin, Some(&Info::default()), None)
}

/// A document that must be there.
#[track_caller]
fn document<'a>(documents: &'a Documents, path: &str) -> &'a Document {
    match documents.find(path) {
        Some(Found::Document(document)) => document,
        other => panic!("{path}: {other:?}"),
    }
}

/// Its content as text.
#[track_caller]
fn text(documents: &Documents, path: &str, origin: &str) -> String {
    String::from_utf8(document(documents, path).content(origin).to_vec()).unwrap()
}

/// The manifest.
#[track_caller]
fn manifest_of(documents: &Documents) -> Value {
    serde_json::from_str(&text(documents, MANIFEST, TODO)).unwrap()
}

/// One line for each problem.
fn lines(problems: &[Problem]) -> Vec<String> {
    let line = |problem: &Problem| {
        let mark = if problem.severity == Severity::Problem {
            "!"
        } else {
            "?"
        };
        let help = problem
            .help
            .as_deref()
            .map(|help| format!(" ({help})"))
            .unwrap_or_default();
        format!("{mark} {}: {}{help}", problem.at.key, problem.message)
    };
    problems.iter().map(line).collect()
}

#[test]
fn a_whole_manifest() {
    let mut plugin = plugin();
    plugin
        .auth
        .verification_tokens
        .insert("openai".to_owned(), "0123abc".to_owned());
    let (documents, problems) = compiled(&plugin);
    assert_eq!(lines(&problems), Vec::<String>::new());
    insta::assert_snapshot!(text(&documents, MANIFEST, TODO));
}

#[test]
fn the_manifest_of_every_way_to_authenticate() {
    let oauth = OAuth {
        client_url: "https://api.example.com/authorize".to_owned(),
        authorization_url: "https://api.example.com/token".to_owned(),
        scope: "read write".to_owned(),
        authorization_content_type: "application/json".to_owned(),
    };
    let requires = [
        Require::None,
        Require::Service,
        Require::User,
        Require::Any,
        Require::Upstream,
    ];
    let mut all = Map::new();
    for require in requires {
        for has_tokens in [false, true] {
            for has_oauth in [false, true] {
                let mut plugin = plugin();
                plugin.auth.require = require;
                plugin.auth.oauth = has_oauth.then(|| oauth.clone());
                if has_tokens {
                    let token = ("openai".to_owned(), "0123abc".to_owned());
                    plugin.auth.verification_tokens.extend([token]);
                }
                let (documents, problems) = compiled(&plugin);
                let manifest = manifest_of(&documents);
                let mut label = format!("{require:?}").to_lowercase();
                label.push_str(if has_tokens {
                    ", verification tokens"
                } else {
                    ""
                });
                label.push_str(if has_oauth { ", oauth" } else { "" });
                let scheme = security_scheme(&plugin);
                all.insert(
                    label,
                    json!({
                        "auth": manifest["auth"],
                        "is_user_authenticated": manifest["api"]["is_user_authenticated"],
                        "security_scheme": scheme.map(|(name, scheme)| json!({ name: scheme })),
                        "problems": lines(&problems),
                    }),
                );
            }
        }
    }
    insta::assert_json_snapshot!(all);
}

#[test]
fn a_header_of_its_own_is_an_api_key() {
    let mut plugin = plugin();
    plugin.auth.header = "x-api-key".to_owned();
    for require in [
        Require::Service,
        Require::User,
        Require::Any,
        Require::Upstream,
    ] {
        plugin.auth.require = require;
        let expected = json!({ "type": "apiKey", "in": "header", "name": "x-api-key" });
        assert_eq!(
            security_scheme(&plugin),
            Some(("apiKeyAuth".to_owned(), expected))
        );
        assert_eq!(
            lines(&compiled(&plugin).1),
            [
                "? plugins.todo.auth.header: a v1 manifest can not name a header, so its readers \
              will not send x-api-key (leave `header` out, or \"manifest\" out of `publish`)"
            ]
        );
    }
    plugin.auth.require = Require::None;
    assert_eq!(security_scheme(&plugin), None);
    assert_eq!(lines(&compiled(&plugin).1), Vec::<String>::new());
}

#[test]
fn the_catalog() {
    let (documents, _) = compiled(&plugin());
    insta::assert_snapshot!(text(&documents, "/.well-known/api-catalog", TODO));

    let mut plugin = bare();
    plugin.publish = Publish {
        manifest: false,
        openapi: true,
    };
    let (documents, _) = compiled(&plugin);
    let catalog = text(&documents, "/.well-known/api-catalog", TODO);
    assert!(!catalog.contains("service-meta"), "{catalog}");
    assert!(
        catalog.contains("\"https://todo.example.com/legal\""),
        "{catalog}"
    );
}

#[test]
fn a_manifest_that_names_an_unpublished_document_is_worth_a_warning() {
    let mut plugin = plugin();
    plugin.publish = Publish {
        manifest: true,
        openapi: false,
    };
    assert_eq!(
        lines(&compiled(&plugin).1),
        [
            "? plugins.todo.publish: the manifest names /openapi-3.0.json, which is not published \
          (add \"openapi\" to `publish`, or leave \"manifest\" out)"
        ]
    );
}

#[test]
fn texts_are_escaped_in_pages_and_whole_in_the_manifest() {
    let nasty = "<script>\"a\" & 'b'";
    let mut plugin = bare();
    plugin.display_name = Some(nasty.to_owned());
    plugin.description = Some("</p><img src=x> {{contact}}".to_owned());
    plugin.contact = Some("\"><b>@example.com".to_owned());
    plugin.files.insert("/a\"b".to_owned(), file("x", b""));
    let (documents, _) = compiled(&plugin);
    for path in ["/legal", "/"] {
        let page = text(&documents, path, TODO);
        for raw in ["<script", "<img src=x", "<b>", "a\"b", "\"a\" &"] {
            assert!(!page.contains(raw), "{path} holds {raw}");
        }
        assert!(
            page.contains("&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;"),
            "{page}"
        );
        assert!(page.contains("&lt;img src=x&gt; {{contact}}"), "{page}");
    }
    assert_eq!(manifest_of(&documents)["name_for_human"], nasty);
}

#[test]
fn the_built_in_pages() {
    let (documents, _) = compiled(&Plugin {
        logo: None,
        legal: None,
        ..plugin()
    });
    insta::assert_snapshot!("legal", text(&documents, "/legal", TODO));
    insta::assert_snapshot!("links", text(&documents, "/", TODO));
}

#[test]
fn the_page_of_links_loads_nothing_from_elsewhere() {
    let logo = Some(Reference::Url("https://cdn.example.com/l.png".to_owned()));
    let (documents, _) = compiled(&Plugin { logo, ..plugin() });
    let page = text(&documents, "/", TODO);
    assert!(!page.contains("<img"), "{page}");
    assert!(
        page.contains("href=\"https://cdn.example.com/l.png\""),
        "{page}"
    );
}
