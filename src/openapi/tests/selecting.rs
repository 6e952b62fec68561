use crate::openapi::{Value, json};
use http::Method;

use crate::config::Selector;
use crate::openapi::{Action, Api, LoadError, Selection, Unmatched, load};

fn refused(document: Value) -> String {
    load(document, &Selection::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn other_versions_are_refused_by_name() {
    let not_supported = |what: &str| LoadError::Version(what.to_owned()).to_string();
    for (document, what) in [
        (json!({ "swagger": "1.2" }), "Swagger 1.2"),
        (json!({ "openapi": "3.3.0" }), "OpenAPI 3.3.0"),
        (json!({ "openapi": "4.0" }), "OpenAPI 4.0"),
    ] {
        assert_eq!(refused(document), not_supported(what));
    }
    assert!(not_supported("Swagger 1.2").contains("Swagger 1.2 is not supported"));
    assert!(refused(json!({ "openapi": null })).contains("no version of OpenAPI"));
    for version in [
        json!("3.0.4"),
        json!("3.1"),
        json!(3.1),
        json!(3),
        json!("3.2.0"),
    ] {
        assert!(
            load(json!({ "openapi": version }), &Selection::default()).is_ok(),
            "{version}"
        );
    }
}

#[test]
fn a_document_without_its_first_line_is_read_as_what_it_looks_like() {
    for (document, version) in [
        (json!({ "info": {}, "paths": {} }), "OpenAPI 3.0"),
        (
            json!({ "openapi": "", "paths": {}, "servers": [] }),
            "OpenAPI 3.0",
        ),
        (json!({ "paths": {}, "definitions": {} }), "Swagger 2.0"),
        (
            json!({ "swagger": null, "paths": {}, "basePath": "/" }),
            "Swagger 2.0",
        ),
    ] {
        let api = load(document, &Selection::default()).unwrap();
        assert_eq!(api.report.len(), 1);
        assert!(api.report[0].message.contains(version), "{:?}", api.report);
    }
}

#[test]
fn a_file_that_is_something_else_is_recognised() {
    let seems = |document: Value, what: &str| {
        let message = refused(document);
        assert!(message.contains(what), "{message}");
    };
    seems(
        json!({ "schema_version": "v1", "api": { "url": "x" } }),
        "plugin manifest",
    );
    seems(json!({ "overlay": "1.0.0" }), "overlay");
    seems(json!({ "asyncapi": "3.0.0" }), "AsyncAPI");
    seems(json!({ "info": {}, "item": [] }), "Postman");
    seems(json!({ "detail": "Not Found" }), "error");
    seems(json!([1]), "a list");
    seems(json!("hello"), "plain text");
    seems(json!(null), "a single value");
}

/// Operations as `id: METHOD path`.
fn list(api: &Api) -> Vec<String> {
    let line = |o: &crate::openapi::Operation| format!("{}: {} {}", o.id, o.method, o.path);
    api.operations.iter().map(line).collect()
}

fn todos() -> Value {
    json!({ "openapi": "3.0.3", "paths": {
        "/todos": {
            "get": { "operationId": "list-todos", "tags": ["read", 7] },
            "post": { "operationId": "add", "tags": ["write"] },
        },
        "/todos/{id}#one": { "delete": { "tags": ["write"] } },
    } })
}

#[track_caller]
fn check(
    include: &[Selector],
    exclude: &[Selector],
    expected: &[&str],
    unmatched: (&[usize], &[usize]),
) {
    let selection = Selection {
        include: include.to_vec(),
        exclude: exclude.to_vec(),
    };
    let api = load(todos(), &selection).unwrap();
    assert_eq!(
        api.operations
            .iter()
            .map(|o| o.id.as_str())
            .collect::<Vec<_>>(),
        expected
    );
    let expected = Unmatched {
        include: unmatched.0.to_vec(),
        exclude: unmatched.1.to_vec(),
    };
    assert_eq!(api.unmatched, expected);
}

#[test]
fn selectors_name_operations() {
    let id = |id: &str| Selector::OperationId(id.to_owned());
    let tag = |tag: &str| Selector::Tag(tag.to_owned());
    let route = |method: &str, path: &str| Selector::Route {
        method: method.to_owned(),
        path: path.to_owned(),
    };
    let all = ["list_todos", "add", "delete_todos_by_id_one"];
    check(&[], &[], &all, (&[], &[]));
    check(&[Selector::All], &[], &all, (&[], &[]));
    check(&[id("list-todos")], &[], &all[..1], (&[], &[]));
    check(&[id("list_todos")], &[], &all[..1], (&[], &[]));
    check(&[tag("write")], &[id("add")], &all[2..], (&[], &[]));
    check(
        &[route("GET", "/todos"), route("DELETE", "/todos/{id}")],
        &[],
        &[all[0], all[2]],
        (&[], &[]),
    );
    check(
        &[route("DELETE", "/todos/{id}#one")],
        &[],
        &all[2..],
        (&[], &[]),
    );
    check(
        &[id("none"), tag("read"), route("PUT", "/todos")],
        &[tag("none")],
        &all[..1],
        (&[0, 2], &[0]),
    );
    // An exclude that removes nothing that was included still names something.
    check(&[id("add")], &[tag("read")], &["add"], (&[], &[]));
}

#[test]
fn what_can_not_be_published_is_skipped_and_reported() {
    let document = json!({ "openapi": "3.1.0", "paths": {
        "/a": {
            "options": {}, "trace": {}, "GET": { "operationId": "loud" }, "get": {}, "put": 7,
            "summary": "no method", "x-get": {}, "head": {},
        },
        // What an export of Amazon's API Gateway says of preflights.
        "/a/b": { "options": { "x-amazon-apigateway-integration": { "type": "MOCK" } } },
        "x-note": {},
        "b": { "$ref": "#/components/pathItems/B", "post": { "operationId": "own" } },
        "/c//d": { "get": {} },
        "/e": [],
        "/f": { "$ref": "other.yaml#/f" },
        "/g/{x}": { "get": {} },
        "/g/{y}": { "get": {}, "put": {} },
        "/h": { "$ref": "#/paths/~1h" },
    }, "components": { "pathItems": { "B": { "post": {}, "patch": { "operationId": "theirs" } } } } });
    let api = load(document, &Selection::default()).unwrap();
    assert_eq!(
        list(&api),
        [
            "options_a: OPTIONS /a",
            "loud: GET /a",
            "head_a: HEAD /a",
            "own: POST /b",
            "theirs: PATCH /b",
            "get_g_by_x: GET /g/{x}",
            "put_g_by_y: PUT /g/{y}",
        ]
    );
    let skipped: Vec<&str> = api
        .report
        .iter()
        .filter(|line| line.action == Action::Skipped)
        .map(|line| line.pointer.as_str())
        .collect();
    assert_eq!(
        skipped,
        [
            "#/paths/~1a/trace",
            "#/paths/~1a/get",
            "#/paths/~1a/put",
            "#/paths/~1a~1b/options",
            "#/paths/~1c~1~1d",
            "#/paths/~1e",
            "#/paths/~1f",
            "#/paths/~1h",
            "#/paths/~1g~1{y}/get",
        ]
    );
}

#[test]
fn documents_without_operations_are_fine() {
    for document in [
        json!({ "openapi": "3.1.0" }),
        json!({ "openapi": "3.1.0", "paths": null, "webhooks": {} }),
        json!({ "openapi": "3.1.0", "paths": {} }),
        json!({ "openapi": "3.1.0", "paths": [1] }),
    ] {
        assert!(
            load(document, &Selection::default())
                .unwrap()
                .operations
                .is_empty()
        );
    }
}

#[test]
fn each_operation_knows_the_path_of_its_own_server() {
    let document = json!({ "openapi": "3.1.0", "servers": [{ "url": "https://a.example/v1/" }], "paths": {
        "/root": { "get": {} },
        "/item": { "servers": [{ "url": "https://b.example/v2" }], "get": {},
            "put": { "servers": [{ "url": "/v3" }] }, "post": { "servers": [] } },
    } });
    let api = load(document, &Selection::default()).unwrap();
    let paths: Vec<&str> = api
        .operations
        .iter()
        .map(|o| o.server_path.as_str())
        .collect();
    assert_eq!(paths, ["/v1", "/v2", "/v3", "/v2"]);
    let noted: Vec<_> = api
        .report
        .iter()
        .filter(|f| f.action == Action::Noted)
        .collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].pointer, "#/paths/~1item/servers/0");
    assert!(
        noted[0].message.contains("b.example"),
        "{}",
        noted[0].message
    );
}

#[test]
fn operations_that_differ_by_query_are_two() {
    let document = json!({ "openapi": "3.1.0", "paths": {
        "/i?a=1&b=2": { "get": {} }, "/i?b=2&a=1": { "get": {} }, "/i?a=2": { "get": {} }, "/i": { "get": {} },
    } });
    let api = load(document, &Selection::default()).unwrap();
    let queries: Vec<_> = api.operations.iter().map(|o| o.fixed_query.len()).collect();
    assert_eq!(queries, [2, 1, 0]);
    assert!(
        api.operations
            .iter()
            .all(|o| o.path == "/i" && o.method == Method::GET)
    );
}

#[test]
fn info_is_read_without_what_is_empty() {
    let document = json!({ "openapi": "3.1.0", "info": { "title": " T ", "version": 1, "description": "",
        "contact": { "email": "a@b.example" }, "x-logo": { "url": "l.png" }, "termsOfService": null } });
    let info = load(document, &Selection::default()).unwrap().info;
    assert_eq!(
        (info.title.as_deref(), info.version.as_deref()),
        (Some("T"), Some("1"))
    );
    assert_eq!((info.description, info.terms_of_service), (None, None));
    assert_eq!(info.contact_email.as_deref(), Some("a@b.example"));
    assert_eq!(info.logo_url.as_deref(), Some("l.png"));
}
