mod large;
mod parameters;
mod passes;
mod schemas;

use crate::openapi::{Map, Value, json};

use crate::openapi::{Api, InfoOverrides, PublishOptions, Selection, Target, load, publish};

/// A document of a version with this as the schema `S`, and an operation that uses it.
fn document(version: &str, schema: Value, components: Value) -> Value {
    let mut components = components;
    components["schemas"]["S"] = schema;
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/S" } } });
    json!({
        "openapi": version,
        "info": { "title": "T", "version": "1" },
        "paths": { "/s": { "get": { "operationId": "s", "responses": {
            "200": { "description": "", "content": content } } } } },
        "components": components,
    })
}

fn published(document: Value, target: Target) -> Value {
    publish(
        &load(document, &Selection::default()).unwrap(),
        target,
        &PublishOptions::default(),
    )
}

/// The first operation of a document with these paths and components.
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn operation(paths: Value, components: Value) -> (Value, Api) {
    let document = json!({ "openapi": "3.0.3", "paths": paths, "components": components });
    let api = load(document, &Selection::default()).unwrap();
    let published = publish(&api, Target::V3_1_0, &PublishOptions::default());
    let item = published["paths"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    (
        item.as_object().unwrap().values().next().unwrap().clone(),
        api,
    )
}

#[test]
fn parameters_are_merged_inline_and_reachable() {
    let components = json!({ "parameters": {
        "Id": { "name": "id", "in": "path", "description": "of the path", "schema": { "type": "string" } },
        "Loop": { "$ref": "#/components/parameters/Loop" },
    } });
    let paths = json!({ "/a/{id}/{other}": {
        "parameters": [{ "$ref": "#/components/parameters/Id" }, { "name": "q", "in": "query", "schema": {} }],
        "get": { "parameters": [
            { "name": "q", "in": "query", "description": "of the operation", "style": "simple", "schema": { "type": "integer" } },
            { "name": "q", "in": "query" },
            { "name": "authorization", "in": "header", "schema": {} },
            { "name": "gone", "in": "path", "schema": {} },
            { "name": "bare", "in": "query", "type": "array", "items": { "type": "string" } },
            { "name": "x", "in": "body" },
            { "$ref": "#/components/parameters/Loop" },
            { "$ref": "#/components/parameters/None" },
            7,
        ] },
    } });
    let (operation, api) = operation(paths, components);
    assert_eq!(
        operation["parameters"],
        json!([
            { "name": "id", "in": "path", "description": "of the path", "required": true, "schema": { "type": "string" } },
            { "name": "q", "in": "query", "description": "of the operation", "schema": { "type": "integer" } },
            { "name": "bare", "in": "query", "schema": { "type": "array", "items": { "type": "string" } } },
            { "name": "other", "in": "path", "required": true, "schema": { "type": "string" } },
        ])
    );
    assert_eq!(
        operation["responses"],
        json!({ "default": { "description": "The response." } })
    );
    let report: Vec<_> = api
        .report
        .iter()
        .map(|f| (f.action, f.pointer.as_str(), f.message.as_str()))
        .collect();
    insta::assert_debug_snapshot!(report);
}

#[test]
fn bodies_and_responses_survive_what_is_broken() {
    let paths = json!({ "/a": { "post": {
        "requestBody": { "$ref": "#/components/requestBodies/None" },
        "responses": { "200 OK": {}, "4xx": { "$ref": "#/components/responses/None" }, "abc": {}, "201": {
            "description": "d", "links": { "l": {} },
            "headers": { "h": { "description": "no schema" } },
            "content": { "text/plain": null, "a/b": { "schema": true, "examples": { "e": { "value": { "$ref": "x" } } } } },
        } },
    } } });
    let (operation, _) = operation(paths, json!({}));
    assert_eq!(
        operation["requestBody"],
        json!({ "content": { "*/*": {} } })
    );
    assert_eq!(
        operation["responses"],
        json!({
            "200": { "description": "" },
            "4XX": { "description": "" },
            "201": {
                "description": "d",
                "headers": { "h": { "description": "no schema", "schema": { "type": "string" } } },
                "content": { "text/plain": {}, "a/b": { "schema": {} } },
            },
        })
    );
}

#[test]
fn a_fixed_query_is_a_parameter_or_stays_in_the_path() {
    let alone = json!({ "/i?action=list&q={q}": { "get": {} } });
    let (operation, api) = operation(alone, json!({}));
    assert_eq!(api.operations[0].path, "/i");
    assert_eq!(
        operation["parameters"],
        json!([
            { "name": "q", "in": "query", "schema": { "type": "string" } },
            { "name": "action", "in": "query", "required": true, "schema": { "type": "string", "enum": ["list"] } },
        ])
    );
    let beta = json!([{ "name": "beta", "in": "query", "schema": {} }]);
    let document = json!({ "openapi": "3.1.0", "paths": {
        "/r/{a}": { "get": { "parameters": beta } },
        "/r/{b}?beta=true#x": { "get": { "parameters": beta }, "put": {} },
    } });
    let paths = published(document, Target::V3_1_0)["paths"].clone();
    let keys: Vec<_> = paths.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["/r/{a}", "/r/{b}?beta=true", "/r/{b}"]);
    let names = |operation: &Value| -> Vec<String> {
        let list = operation["parameters"].as_array().unwrap();
        list.iter()
            .map(|p| p["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&paths["/r/{a}"]["get"]), ["beta", "a"]);
    assert_eq!(names(&paths["/r/{b}?beta=true"]["get"]), ["b"]);
    assert_eq!(names(&paths["/r/{b}"]["put"]), ["b", "beta"]);
}

#[test]
fn info_is_what_both_versions_know() {
    let document = json!({ "openapi": "3.1.0", "paths": {}, "tags": [{ "name": "unused" }], "x-root": 1,
        "info": { "title": "T", "summary": "S", "version": 1.5, "x-logo": {},
            "contact": { "name": "N", "phone": "P" }, "license": { "name": "MIT", "identifier": "MIT" } } });
    let api = load(document, &Selection::default()).unwrap();
    let mut options = PublishOptions::default();
    assert_eq!(
        publish(&api, Target::V3_1_0, &options)["info"],
        json!({ "title": "T", "summary": "S",
        "contact": { "name": "N" }, "license": { "name": "MIT", "identifier": "MIT" }, "version": "1.5" })
    );
    options.info = InfoOverrides {
        title: Some("U".to_owned()),
        description: Some("D".to_owned()),
    };
    let published = publish(&api, Target::V3_0_1, &options);
    assert_eq!(
        published["info"],
        json!({ "title": "U", "description": "D",
        "contact": { "name": "N" }, "license": { "name": "MIT" }, "version": "1.5" })
    );
    let keys: Vec<_> = published.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["openapi", "info", "servers", "paths"]);
}

#[test]
fn a_short_document_does_not_publish_a_huge_one() {
    let big: Vec<u32> = (0..100_000).collect();
    let parameter = json!({ "name": "big", "in": "query", "schema": { "enum": big } });
    let paths: Value = (0..100)
        .map(|i| {
            (
                format!("/{i}"),
                json!({ "get": { "parameters": [{ "$ref": "#/components/parameters/B" }] } }),
            )
        })
        .collect::<Map>()
        .into();
    let document = json!({ "openapi": "3.0.0", "paths": paths, "components": { "parameters": { "B": parameter } } });
    let api = load(document, &Selection::default()).unwrap();
    // Nothing is lost: what all of them refer to is published once.
    assert_eq!(api.operations.len(), 100);
    let published = publish(&api, Target::V3_1_0, &PublishOptions::default());
    let reference = json!([{ "$ref": "#/components/parameters/B" }]);
    assert_eq!(published["paths"]["/7"]["get"]["parameters"], reference);
    let shared = &published["components"]["parameters"]["B"]["schema"]["enum"];
    assert_eq!(shared.as_array().map(Vec::len), Some(100_000));
}

#[test]
fn depth_is_bounded() {
    // Deeper than what is read, as a caller could make it.
    let schema = (0..180).fold(
        json!({ "type": "string" }),
        |inner, _| json!({ "items": inner }),
    );
    let document = published(document("3.1.0", schema, json!({})), Target::V3_0_1);
    assert!(document["components"]["schemas"]["S"].is_object());
}
