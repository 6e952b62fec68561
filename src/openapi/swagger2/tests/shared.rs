//! What is used from elsewhere: by reference, from the path item, from other files.

use crate::openapi::{Map, Value, json};

use super::{convert, said};
use crate::openapi::{PublishOptions, Selection, Target, load, publish};

/// Bodies at all places where they can stand.
fn bodies() -> Value {
    let refer = |to: &str| json!({ "parameters": [{ "$ref": to }] });
    json!({
        "swagger": "2.0", "consumes": ["application/xml"],
        "paths": {
            "/global": { "post": refer("#/parameters/B"), "put": {
                "consumes": ["a/b"], "parameters": [{ "$ref": "#/parameters/B" }] } },
            "/file": { "post": refer("#/x-plugway-files/0/body") },
            "/chain": { "post": refer("#/parameters/C") },
            "/inline": { "post": refer("#/paths/~1home/post/parameters/1"), "put": refer("#/paths/~1home/post/parameters/2") },
            "/home": { "post": { "parameters": [
                { "in": "query", "name": "q", "type": "string" },
                { "in": "body", "name": "body", "schema": { "title": "home" } },
                { "in": "query", "name": "r", "type": "string" },
            ] } },
            "/schema": { "get": { "responses": { "200": { "schema": { "$ref": "#/paths/~1home/post/parameters/1/schema" } } } } },
        },
        "parameters": {
            "B": { "in": "body", "name": "body", "schema": { "title": "global" } },
            "C": { "$ref": "#/x-plugway-files/0/body" },
        },
        "x-plugway-files": [{ "body": { "in": "body", "name": "body", "required": true, "schema": { "title": "file", "x-nullable": true } } }],
    })
}

#[test]
fn a_shared_body_is_a_request_body_wherever_it_stands() {
    let converted = convert(bodies());
    let value = &converted.value;
    let body = |path: &str, method: &str| value["paths"][path][method]["requestBody"].clone();
    assert_eq!(
        body("/global", "post"),
        json!({ "$ref": "#/components/requestBodies/B" })
    );
    assert_eq!(
        body("/global", "put"),
        json!({ "content": { "a/b": { "schema": { "title": "global" } } } })
    );
    assert_eq!(
        value["components"]["requestBodies"]["B"],
        json!({ "content": { "application/xml": { "schema": { "title": "global" } } } })
    );
    for path in ["/file", "/chain"] {
        assert_eq!(
            body(path, "post"),
            json!({ "$ref": "#/x-plugway-files/0/body" }),
            "{path}"
        );
    }
    assert_eq!(
        value["x-plugway-files"][0]["body"],
        json!({ "required": true, "content": {
        "application/xml": { "schema": { "title": "file", "nullable": true } } } })
    );
    assert_eq!(
        body("/inline", "post"),
        json!({ "content": { "application/xml": { "schema": { "title": "home" } } } })
    );
    assert_eq!(
        value["paths"]["/inline"]["put"]["parameters"],
        json!([{ "$ref": "#/paths/~1home/post/parameters/1" }])
    );
    assert_eq!(converted.report, []);
}

#[test]
fn places_of_a_body_are_known_by_their_old_names() {
    let converted = convert(bodies());
    let value = &converted.value;
    let home = "#/paths/~1home/post/requestBody/content/application~1xml/schema";
    let schema = &value["paths"]["/schema"]["get"]["responses"]["200"]["content"]["application/json"]
        ["schema"];
    let place = crate::openapi::pointer::resolve(value, schema["$ref"].as_str().unwrap());
    assert_eq!(place.unwrap().value, &json!({ "title": "home" }));
    assert_eq!(
        converted.origins.of(home),
        "#/paths/~1home/post/parameters/1/schema"
    );
    assert_eq!(
        converted
            .origins
            .of("#/paths/~1home/post/parameters/1/schema/type"),
        "#/paths/~1home/post/parameters/2/type"
    );
    assert_eq!(
        converted.origins.of("#/components/requestBodies/B"),
        "#/parameters/B"
    );
    assert_eq!(converted.report, []);
}

#[test]
fn the_body_of_a_path_item_is_that_of_its_operations() {
    let value = convert(json!({ "swagger": "2.0", "paths": {
        "/a": {
            "parameters": [
                { "in": "body", "name": "body", "schema": { "title": "shared" } },
                { "in": "query", "name": "q", "type": "string" },
            ],
            "get": {}, "DELETE": {},
            "put": { "parameters": [{ "in": "body", "name": "own", "schema": { "title": "own" } }] },
        },
        "/form": {
            "parameters": [{ "in": "formData", "name": "a", "type": "string" }, { "in": "formData", "name": "b", "type": "string" }],
            "post": { "parameters": [{ "in": "formData", "name": "a", "type": "integer" }] },
        },
    } }))
    .value;
    let title = |method: &str| {
        value["paths"]["/a"][method]["requestBody"]["content"]["application/json"]["schema"]["title"].clone()
    };
    assert_eq!(
        (title("get"), title("DELETE"), title("put")),
        (json!("shared"), json!("shared"), json!("own"))
    );
    assert_eq!(
        value["paths"]["/a"]["parameters"],
        json!([{ "in": "query", "name": "q", "schema": { "type": "string" } }])
    );
    let form = &value["paths"]["/form"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]
        ["schema"];
    assert_eq!(
        form["properties"],
        json!({ "b": { "type": "string" }, "a": { "type": "integer" } })
    );
}

#[test]
fn other_files_are_converted_where_they_are_used() {
    let converted = convert(json!({
        "swagger": "2.0", "produces": ["text/xml"],
        "paths": {
            "/a": { "$ref": "#/x-plugway-files/0" },
            "/b": { "get": { "$ref": "#/x-plugway-files/1/get" }, "parameters": [{ "in": "formData", "name": "f", "type": "string" }] },
        },
        "x-plugway-files": [
            { "get": {
                "parameters": [{ "$ref": "#/x-plugway-files/2/limit" }, { "$ref": "#/x-plugway-files/2/field" }],
                "responses": { "200": { "$ref": "#/x-plugway-files/3/ok" }, "404": { "schema": { "$ref": "#/x-plugway-files/4" } } },
                "x-data": { "schema": { "x-nullable": true } },
            } },
            { "get": { "responses": { "200": { "schema": { "type": "file" } } } } },
            { "limit": { "in": "query", "name": "limit", "type": "array", "items": { "type": "string" } },
              "field": { "in": "formData", "name": "field", "type": "string" } },
            { "ok": { "schema": { "$ref": "#/x-plugway-files/4/properties/inner" }, "headers": { "A": { "$ref": "#/x-plugway-files/3/header" } } },
              "header": { "type": "integer" } },
            { "x-nullable": true, "properties": { "inner": { "type": "file" }, "self": { "$ref": "#/x-plugway-files/4" } } },
        ],
    }));
    let files = &converted.value["x-plugway-files"];
    let get = &files[0]["get"];
    assert_eq!(
        get["parameters"],
        json!([{ "$ref": "#/x-plugway-files/2/limit" }])
    );
    let form = &get["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    assert_eq!(form["properties"], json!({ "field": { "type": "string" } }));
    assert_eq!(
        get["responses"]["404"]["content"],
        json!({ "text/xml": { "schema": { "$ref": "#/x-plugway-files/4" } } })
    );
    assert_eq!(get["x-data"], json!({ "schema": { "x-nullable": true } }));
    let other = &files[1]["get"];
    assert_eq!(
        other["responses"]["200"]["content"],
        json!({ "text/xml": { "schema": { "type": "string", "format": "binary" } } })
    );
    assert!(other["requestBody"]["content"]["application/x-www-form-urlencoded"].is_object());
    assert_eq!(files[2]["limit"]["explode"], false);
    assert_eq!(
        files[3]["ok"]["content"],
        json!({ "text/xml": { "schema": { "$ref": "#/x-plugway-files/4/properties/inner" } } })
    );
    assert_eq!(
        files[3]["header"],
        json!({ "schema": { "type": "integer" } })
    );
    assert_eq!(
        files[4],
        json!({ "nullable": true, "properties": {
        "inner": { "type": "string", "format": "binary" }, "self": { "$ref": "#/x-plugway-files/4" } } })
    );
    assert_eq!(converted.report, []);
    let api = load(converted.value, &Selection::default()).unwrap();
    assert_eq!(api.operations.len(), 2);
}

#[test]
fn a_shared_response_has_the_media_types_of_who_uses_it() {
    let converted = convert(json!({
        "swagger": "2.0", "produces": ["a/b"],
        "paths": { "/a": {
            "get": { "responses": { "200": { "$ref": "#/responses/R" } } },
            "put": { "produces": ["c/d"], "responses": { "200": { "$ref": "#/responses/R" } } },
        } },
        "responses": { "R": { "description": "d", "schema": { "title": "t" } } },
    }));
    let of = |method: &str| converted.value["paths"]["/a"][method]["responses"]["200"].clone();
    assert_eq!(of("get"), json!({ "$ref": "#/components/responses/R" }));
    assert_eq!(
        of("put"),
        json!({ "description": "d", "content": { "c/d": { "schema": { "title": "t" } } } })
    );
    assert_eq!(
        converted.value["components"]["responses"]["R"]["content"],
        json!({ "a/b": { "schema": { "title": "t" } } })
    );
    assert_eq!(
        converted
            .origins
            .of("#/paths/~1a/put/responses/200/content/c~1d/schema/x"),
        "#/responses/R/schema/x"
    );
}

#[test]
fn references_that_lead_into_what_is_moved_lead_there_still() {
    let converted = convert(json!({
        "swagger": "2.0",
        "paths": { "/a%20{b}": {
            "get": { "responses": { "200": { "schema": { "type": "array", "items": { "title": "item" } } } },
                     "parameters": [{ "in": "query", "name": "q", "type": "array", "items": { "type": "string" } }] },
            "put": { "responses": { "200": { "schema": { "$ref": "#/paths/~1a%2520%7Bb%7D/get/responses/200/schema/items" } },
                                    "201": { "schema": { "$ref": "#/paths/~1a%2520{b}/get/parameters/0/items" } },
                                    "202": { "schema": { "$ref": "#/definitions/A/properties/deep" } } } },
        } },
        "definitions": { "A": { "$ref": "#/definitions/B" }, "B": { "properties": { "deep": { "title": "deep" } } } },
    }));
    let value = &converted.value;
    for (status, expected) in [
        ("200", json!({ "title": "item" })),
        ("201", json!({ "type": "string" })),
        ("202", json!({ "title": "deep" })),
    ] {
        let schema = &value["paths"]["/a%20{b}"]["put"]["responses"][status]["content"]["application/json"]
            ["schema"];
        let place = crate::openapi::pointer::resolve(value, schema["$ref"].as_str().unwrap());
        assert_eq!(place.unwrap().value, &expected, "{status}");
    }
}

#[test]
fn a_short_document_can_not_become_a_long_one() {
    let types: Vec<Value> = (0..200).map(|n| json!(format!("a/{n}"))).collect();
    let own: Vec<&Value> = types.iter().rev().collect();
    let operation = json!({ "parameters": [{ "$ref": "#/parameters/B" }], "consumes": own, "produces": own,
                            "responses": { "200": { "$ref": "#/responses/R" } } });
    let short = json!({ "post": { "parameters": [{ "in": "body", "name": "b", "schema": { "enum": vec![1; 100] } }],
                                  "responses": { "200": { "schema": { "enum": vec![1; 100] } } } } });
    let mut paths: Map = (0..500).map(|n| (format!("/{n}"), short.clone())).collect();
    paths.insert("/own".to_owned(), json!({ "post": operation }));
    let document = json!({
        "swagger": "2.0", "consumes": types, "produces": types, "paths": paths,
        "parameters": { "B": { "in": "body", "name": "b", "schema": { "enum": vec![1; 100_000] } } },
        "responses": { "R": { "schema": { "enum": vec![1; 100_000] } } },
    });
    let before = document.to_string().len();
    let converted = convert(document);
    let after = converted.value.to_string().len();
    assert!(after < 10 * before, "{before} → {after}");
    let told = said(&converted.report);
    assert!(told.iter().any(|(what, _)| *what == "simplified"));
    for path in converted.value["paths"].as_object().unwrap().values() {
        assert!(
            !path["post"]["requestBody"]["content"]
                .as_object()
                .unwrap()
                .is_empty()
        );
        assert!(
            !path["post"]["responses"]["200"]
                .as_object()
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn chains_of_references_end_where_they_did_however_many_begin_in_them() {
    let chain = |section: &str, last: Value| {
        let next = |n: usize| json!({ "$ref": format!("#/{section}/C{}", n + 1) });
        let links = (0..40).map(|n| (format!("C{n}"), next(n)));
        let last = [("C40".to_owned(), last)];
        links.chain(last).collect::<Map>()
    };
    let body = json!({ "in": "body", "name": "b", "schema": { "type": "string" } });
    let operation =
        |n: usize| json!({ "post": { "parameters": [{ "$ref": format!("#/parameters/C{n}") }] } });
    let document = json!({
        "swagger": "2.0",
        "paths": { "/far": operation(8), "/near": operation(9), "/nearest": operation(40) },
        "parameters": chain("parameters", body),
    });
    let api = load(document, &Selection::default()).unwrap();
    let published = publish(&api, Target::V3_1_0, &PublishOptions::default());
    let body = |path: &str| {
        published["paths"][path]["post"]
            .get("requestBody")
            .is_some()
    };
    assert!(body("/nearest"));
    // As many references are followed as were before each chain was followed once.
    assert!(body("/near"));
    assert!(!body("/far"));
}
