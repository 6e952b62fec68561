//! A short document that would be a huge one if all that it refers to were written out.

use crate::openapi::{Map, Value, json};

use crate::openapi::{Action, Api, PublishOptions, Selection, Target, load, publish};

/// `x0`, `x1` and so on.
fn many<T>(count: usize, make: impl Fn(usize) -> T) -> Map
where
    Value: From<T>,
{
    let member = |n: usize| (format!("x{n}"), Value::from(make(n)));
    (0..count).map(member).collect()
}

/// As many operations, all like this one.
fn operations(count: usize, operation: &Value, components: &Value) -> (Api, usize) {
    let paths: Map = (0..count)
        .map(|n| (format!("/x{n}"), json!({ "post": operation })))
        .collect();
    loaded(json!({ "openapi": "3.0.3", "paths": paths, "components": components }))
}

/// What is loaded, and how much larger than the document the larger of its published documents is.
fn loaded(document: Value) -> (Api, usize) {
    let length = document.to_string().len();
    let api = load(document, &Selection::default()).unwrap();
    let of = |target| {
        let published = publish(&api, target, &PublishOptions::default());
        published.to_string().len()
    };
    let published = of(Target::V3_1_0).max(of(Target::V3_0_1));
    (api, published / length)
}

/// Whether the report says of a place that it is published less well.
fn told(api: &Api, action: Action, words: &str) -> bool {
    let mut lines = api.report.iter();
    lines.any(|line| line.action == action && line.message.contains(words))
}

#[test]
fn a_body_of_many_operations_is_published_once_if_it_is_large() {
    let schema =
        json!({ "type": "object", "properties": many(50, |_| json!({ "type": "string" })) });
    let body = |types: usize| json!({ "content": many(types, |_| json!({ "schema": schema })) });
    let components = json!({ "requestBodies": { "Large": body(20), "Small": body(1) } });
    let operation = json!({ "requestBody": { "$ref": "#/components/requestBodies/Large" } });
    let (api, times) = operations(2_000, &operation, &components);
    assert_eq!(api.operations.len(), 2_000);
    assert!(times < 10, "{times} times");
    assert!(told(&api, Action::Noted, "published once and referred to"));
    for target in [Target::V3_1_0, Target::V3_0_1] {
        let published = publish(&api, target, &PublishOptions::default());
        let operation = &published["paths"]["/x7"]["post"];
        let reference = json!({ "$ref": "#/components/requestBodies/Large" });
        assert_eq!(operation["requestBody"], reference);
        let shared = &published["components"]["requestBodies"]["Large"]["content"]["x3"];
        assert_eq!(shared["schema"]["properties"]["x5"]["type"], "string");
    }
    // A few of them are as before.
    let (api, _) = operations(5, &operation, &components);
    let published = publish(&api, Target::V3_1_0, &PublishOptions::default());
    assert!(published["paths"]["/x0"]["post"]["requestBody"]["content"].is_object());
    assert!(published["components"]["requestBodies"].is_null());
}

#[test]
fn a_parameter_of_many_operations_is_published_once_if_it_is_large() {
    let values: Vec<String> = (0..500).map(|n| format!("value {n}")).collect();
    let parameter = json!({ "name": "q", "in": "query", "schema": {
        "anyOf": [{ "type": "string", "enum": values }, { "type": "null" }] } });
    let small = json!({ "name": "r", "in": "query", "schema": { "type": "integer" } });
    let components = json!({ "parameters": { "a/b%41": parameter, "Small": small } });
    let operation = json!({ "parameters": [
        { "$ref": "#/components/parameters/a~1b%2541" }, { "$ref": "#/components/parameters/Small" } ] });
    let (api, times) = operations(2_000, &operation, &components);
    assert_eq!(api.operations.len(), 2_000);
    assert!(times < 10, "{times} times");
    let published = publish(&api, Target::V3_1_0, &PublishOptions::default());
    let list = &published["paths"]["/x7"]["post"]["parameters"];
    let reference = list[0]["$ref"].as_str().unwrap();
    let shared = published
        .pointer(reference.strip_prefix('#').unwrap())
        .unwrap();
    // It is made plain there as well.
    assert_eq!(shared["schema"]["type"], "string");
    assert_eq!(shared["schema"]["enum"][0], "value 0");
    // What is small is written out.
    assert_eq!(list[1]["name"], "r");
}

#[test]
fn a_fixed_parameter_is_none_that_is_published_once() {
    let values: Vec<String> = (0..500).map(|n| format!("value {n}")).collect();
    let parameter = json!({ "name": "q", "in": "query", "schema": { "enum": values } });
    let operation = json!({ "parameters": [{ "$ref": "#/components/parameters/Q" }] });
    let mut paths: Map = (0..2_000)
        .map(|n| (format!("/x{n}"), json!({ "get": operation })))
        .collect();
    paths.insert("/fixed?q=value 7".to_owned(), json!({ "get": operation }));
    let document = json!({ "openapi": "3.0.3", "paths": paths, "components": { "parameters": { "Q": parameter } } });
    let api = load(document, &Selection::default()).unwrap();
    let published = publish(&api, Target::V3_1_0, &PublishOptions::default());
    let list = &published["paths"]["/fixed"]["get"]["parameters"];
    assert_eq!(list[0]["schema"]["enum"], json!(["value 7"]));
    assert!(published["paths"]["/x0"]["get"]["parameters"][0]["$ref"].is_string());
}

#[test]
fn long_texts_are_not_written_out_again_and_again() {
    let long = "long ".repeat(40_000);
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/S" } } });
    let inline = json!({ "requestBody": { "content": content } });
    let body = json!({ "content": content, "description": long });
    let shared = json!({ "requestBody": { "$ref": "#/components/requestBodies/B" } });
    let schemas = json!({ "S": { "type": "string", "description": long } });
    let components = json!({ "schemas": schemas, "requestBodies": { "B": body } });
    for operation in [inline, shared] {
        let (api, times) = operations(200, &operation, &components);
        assert_eq!(api.operations.len(), 200);
        assert!(times < 3, "{times} times");
    }
    // Nor by `allOf`.
    let parts =
        |n: usize| json!({ "allOf": [{ "$ref": "#/components/schemas/S" }, { "maxLength": n }] });
    let schemas = json!({ "S": { "type": "string", "enum": [long] },
        "All": { "type": "object", "properties": many(200, parts) } });
    let content =
        json!({ "application/json": { "schema": { "$ref": "#/components/schemas/All" } } });
    let operation = json!({ "requestBody": { "content": content } });
    let (_, times) = operations(1, &operation, &json!({ "schemas": schemas }));
    assert!(times < 3, "{times} times");
    // An operation can be no component. Some are lost, and the report says so.
    let operation = json!({ "x-ai-note": long });
    let mut paths: Map = (0..2_000)
        .map(|n| (format!("/x{n}"), json!({ "$ref": "#/paths/~1a" })))
        .collect();
    paths.insert("/a".to_owned(), json!({ "get": operation }));
    let (api, times) = loaded(json!({ "openapi": "3.0.3", "paths": paths }));
    assert!(times < 150, "{times} times");
    assert!(api.operations.len() > 20);
    assert!(told(&api, Action::Skipped, "too large"));
}

#[test]
fn what_is_added_to_operations_is_bounded() {
    let names: Vec<String> = (0..60).map(|n| format!("{{p{n}}}")).collect();
    let names = names.join("/");
    let paths: Map = (0..5_000)
        .map(|n| (format!("/{names}/{n}"), json!({ "get": {} })))
        .collect();
    let (api, times) = loaded(json!({ "openapi": "3.0.3", "paths": paths }));
    assert!(api.operations.len() > 500);
    assert!(times < 8, "{times} times");
    assert!(told(&api, Action::Skipped, "too large"));
}
