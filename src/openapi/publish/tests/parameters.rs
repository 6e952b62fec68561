use crate::openapi::{Value, json};

use super::published;
use crate::openapi::{PublishOptions, Selection, Target, load, publish};

const TARGETS: [Target; 2] = [Target::V3_1_0, Target::V3_0_1];

/// The published parameter of an operation with this one alone, and what is reported about it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn parameter(target: Target, parameter: Value) -> (Value, Vec<String>) {
    let components = json!({ "schemas": {
        "Order": { "type": "string", "enum": ["asc", "desc"] },
        "Wrapped": { "allOf": [{ "$ref": "#/components/schemas/Order" }] },
        "Loop": { "anyOf": [{ "$ref": "#/components/schemas/Loop" }, { "type": "integer" }] },
    } });
    let document = json!({ "openapi": "3.1.0", "components": components, "paths": {
        "/p": { "get": { "parameters": [parameter], "responses": {} } } } });
    let api = load(document, &Selection::default()).unwrap();
    let report = api
        .report
        .iter()
        .filter(|f| f.pointer.contains("parameters"));
    let report = report.map(|f| f.message.clone()).collect();
    let document = publish(&api, target, &PublishOptions::default());
    let again = published(document.clone(), target);
    let at = "/paths/~1p/get/parameters";
    assert_eq!(document.pointer(at), again.pointer(at), "{target:?} again");
    (document.pointer(at).unwrap()[0].clone(), report)
}

/// Schemas of parameters, and what they are published as.
fn schemas() -> Vec<(Value, Value)> {
    let order = json!({ "$ref": "#/components/schemas/Order" });
    let enumerated = json!({ "type": "string", "enum": ["asc", "desc"] });
    vec![
        (
            json!({ "type": ["string", "null"], "maxLength": 3 }),
            json!({ "type": "string", "maxLength": 3 }),
        ),
        (
            json!({ "anyOf": [order, { "type": "null" }], "default": "asc" }),
            json!({ "type": "string", "enum": ["asc", "desc"], "default": "asc" }),
        ),
        (order.clone(), enumerated.clone()),
        (
            json!({ "$ref": "#/components/schemas/Wrapped" }),
            enumerated,
        ),
        (
            json!({ "allOf": [{ "type": "integer" }, { "minimum": 1 }] }),
            json!({ "type": "integer", "minimum": 1 }),
        ),
        (
            json!({ "enum": [1, 2, null] }),
            json!({ "type": "integer", "enum": [1, 2] }),
        ),
        (
            json!({ "description": "any" }),
            json!({ "type": "string", "description": "any" }),
        ),
        (json!({ "type": "null" }), json!({ "type": "string" })),
        (
            json!({ "type": ["integer", "string"], "default": 5 }),
            json!({ "type": "string", "default": "5" }),
        ),
        (
            json!({ "enum": ["a", 1, true] }),
            json!({ "type": "string", "enum": ["a", "1", "true"] }),
        ),
        (
            json!({ "oneOf": [{ "type": "integer", "minimum": 1 }, { "type": "number" }] }),
            json!({ "type": "number", "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "number" }] }),
        ),
    ]
}

/// Schemas of lists and objects, and what they are published as.
fn structured() -> Vec<(Value, Value)> {
    vec![
        (
            json!({ "type": ["string", "array"], "items": { "type": "string" }, "default": "a" }),
            json!({ "type": "array", "items": { "type": "string" }, "default": ["a"] }),
        ),
        (
            json!({ "anyOf": [{ "type": "integer" }, { "type": "array", "maxItems": 3, "items": { "type": ["string", "null"] } }] }),
            json!({ "type": "array", "maxItems": 3, "items": { "type": "string" } }),
        ),
        (
            json!({ "type": "array", "items": { "type": ["string", "integer"] } }),
            json!({ "type": "array", "items": { "type": "string" } }),
        ),
        (
            json!({ "type": "array", "items": {} }),
            json!({ "type": "array", "items": {} }),
        ),
        (
            json!({ "type": ["object", "string"] }),
            json!({ "type": "string" }),
        ),
        (
            json!({ "type": ["object", "null"], "properties": { "a": { "type": "string" } } }),
            json!({ "type": "object", "properties": { "a": { "type": "string" } } }),
        ),
    ]
}

#[test]
fn parameters_are_of_one_type_that_can_be_sent() {
    for target in TARGETS {
        for (schema, expected) in schemas().iter().chain(&structured()) {
            let (found, _) = parameter(
                target,
                json!({ "name": "p", "in": "query", "schema": schema }),
            );
            assert_eq!(found["schema"], *expected, "{schema} as {target:?}");
        }
    }
}

#[test]
fn parameters_have_a_type_whatever_they_are() {
    for target in TARGETS {
        // What refers to itself has an end.
        let looped = json!({ "name": "p", "in": "query", "schema": { "$ref": "#/components/schemas/Loop" } });
        assert_eq!(
            parameter(target, looped).0["schema"],
            json!({ "type": "string" })
        );
        // With this style an object is what can be sent.
        let deep = json!({ "name": "p", "in": "query", "style": "deepObject", "explode": true,
            "schema": { "type": ["object", "string"] } });
        let (found, report) = parameter(target, deep);
        assert_eq!(
            found,
            json!({ "name": "p", "in": "query", "style": "deepObject", "explode": true,
            "schema": { "type": "object" } })
        );
        assert_eq!(report.len(), 1, "{report:?}");
    }
}

#[test]
fn lists_in_headers_and_values_of_media_types_are_texts() {
    for target in TARGETS {
        let list = json!({ "name": "h", "in": "header", "explode": false, "description": "Which", "example": ["a", "b"],
            "schema": { "type": "array", "items": { "type": "string", "enum": ["a", "b"] }, "default": ["a"] } });
        let (found, report) = parameter(target, list);
        assert_eq!(
            found,
            json!({ "name": "h", "in": "header", "explode": false, "example": "a,b",
            "description": "Which. Values separated by commas, each one of: a, b.",
            "schema": { "type": "string", "default": "a" } })
        );
        assert_eq!(report.len(), 1, "{report:?}");

        let content = json!({ "name": "filter", "in": "query", "content": {
            "application/json": { "schema": { "type": "object" }, "example": { "a": 1 } } } });
        let (found, report) = parameter(target, content);
        let schema = match target {
            Target::V3_1_0 => {
                json!({ "type": "string", "contentMediaType": "application/json", "contentSchema": { "type": "object" } })
            }
            Target::V3_0_1 => json!({ "type": "string" }),
        };
        assert_eq!(
            found,
            json!({ "name": "filter", "in": "query", "example": "{\"a\":1}",
            "description": "A text that is JSON.", "schema": schema })
        );
        assert_eq!(report.len(), 1, "{report:?}");
    }
}

#[test]
fn what_is_added_to_a_description_does_not_make_it_too_long() {
    let list = json!({ "name": "h", "in": "header", "description": "Words and words. ".repeat(100),
        "schema": { "type": "array", "items": { "type": "string" } } });
    let document = json!({ "openapi": "3.1.0", "paths": { "/p": { "get": { "parameters": [list], "responses": {} } } } });
    for (target, limit) in [(Target::V3_1_0, 700), (Target::V3_0_1, 200)] {
        for (cut, most) in [(true, limit), (false, 2_000)] {
            let mut api = load(document.clone(), &Selection::default()).unwrap();
            api.cut = cut;
            let found = publish(&api, target, &PublishOptions::default());
            let text = found["paths"]["/p"]["get"]["parameters"][0]["description"]
                .as_str()
                .unwrap();
            let length = text.chars().count();
            assert!(length <= most && length > most / 2, "{length} of {most}");
            assert!(
                text.ends_with("words. Values separated by commas."),
                "{text}"
            );
        }
    }
}
