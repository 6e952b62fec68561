//! Passes over the finished document, seen from outside.

use crate::openapi::{Map, Value, json};

use super::{document, published};
use crate::openapi::{Action, PublishOptions, Selection, Target, load, publish};

const TARGETS: [Target; 2] = [Target::V3_1_0, Target::V3_0_1];

#[test]
fn titles_that_would_name_two_types_alike_become_descriptions() {
    let others = json!({ "schemas": {
        "Own": { "type": "object", "title": "own" },
        "Other": { "type": "object", "title": "Taken-Name" },
        "TakenName": { "type": "string", "title": "Unique" },
    } });
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let schema = json!({ "type": "object", "properties": {
        "own": reference("Own"), "other": reference("Other"), "name": reference("TakenName"),
        "first": { "type": "string", "title": "Some text" },
        "second": { "type": "string", "title": "Some Text", "description": "said" },
        "page_size": { "type": "integer", "title": "Page Size" },
        "size": { "type": "integer", "title": "Page Size" },
        "title": { "type": "string" },
        "data": { "enum": [{ "title": "Some text" }] },
    } });
    for target in TARGETS {
        let found = published(document("3.1.0", schema.clone(), others.clone()), target);
        let schemas = &found["components"]["schemas"];
        assert_eq!(schemas["Own"], json!({ "type": "object", "title": "own" }));
        assert_eq!(
            schemas["Other"],
            json!({ "type": "object", "description": "Taken-Name" })
        );
        assert_eq!(
            schemas["TakenName"],
            json!({ "type": "string", "title": "Unique" })
        );
        let properties = &schemas["S"]["properties"];
        assert_eq!(
            properties["first"],
            json!({ "type": "string", "description": "Some text" })
        );
        assert_eq!(
            properties["second"],
            json!({ "type": "string", "description": "said" })
        );
        assert_eq!(properties["page_size"], json!({ "type": "integer" }));
        assert_eq!(
            properties["size"],
            json!({ "type": "integer", "description": "Page Size" })
        );
        assert_eq!(properties["title"], json!({ "type": "string" }));
        assert_eq!(
            properties["data"]["enum"],
            json!([{ "title": "Some text" }])
        );
    }
    let api = load(document("3.1.0", schema, others), &Selection::default()).unwrap();
    let noted: Vec<_> = api
        .report
        .iter()
        .filter(|f| f.message.contains("titles"))
        .collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(noted[0].action, Action::Noted);
    assert!(
        noted[0].message.starts_with("5 titles"),
        "{}",
        noted[0].message
    );
}

#[test]
fn titles_in_bodies_name_nothing() {
    let body = json!({ "content": { "application/json": { "schema": { "title": "New thing", "type": "object",
        "properties": { "a": { "type": "string", "title": "A" } } } } } });
    let document = json!({ "openapi": "3.1.0", "paths": { "/p": { "post": { "requestBody": body, "responses": {} } } } });
    let found = published(document, Target::V3_1_0);
    let at = "/paths/~1p/post/requestBody/content/application~1json/schema";
    let expected = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "description": "New thing" });
    assert_eq!(found.pointer(at).unwrap(), &expected);
}

/// Schemas with a default that they allow.
fn kept() -> Vec<Value> {
    let text = json!({ "type": "string" });
    vec![
        json!({ "type": "integer", "default": 5, "minimum": 5, "maximum": 5 }),
        json!({ "type": "number", "default": 0.3, "multipleOf": 0.3 }),
        json!({ "type": "integer", "default": 9_007_199_254_740_993_u64, "multipleOf": 3 }),
        json!({ "type": "string", "default": "abc", "minLength": 3, "maxLength": 3, "pattern": "^[a-c]+$" }),
        // What can not be evaluated is taken as it is.
        json!({ "type": "string", "default": "abc", "pattern": "(?=z)" }),
        json!({ "type": "array", "default": ["a", "b"], "items": text, "uniqueItems": true }),
        json!({ "type": "array", "default": [], "items": text }),
        json!({ "type": "array", "default": [{ "a": "b" }], "items": { "type": "object", "properties": { "a": text }, "required": ["a"] } }),
        json!({ "anyOf": [text, { "type": "integer" }], "default": 1 }),
        json!({ "oneOf": [{ "$ref": "#/components/schemas/E" }, { "type": "integer" }], "default": "a" }),
        json!({ "allOf": [{ "$ref": "#/components/schemas/E" }], "default": "a" }),
        json!({ "default": "anything" }),
        json!({ "type": "string", "format": "date", "default": "2024-02-29" }),
        json!({ "type": "string", "format": "date-time", "default": "2024-02-29T00:00:00Z" }),
        json!({ "allOf": [{ "$ref": "#/components/schemas/Loop" }], "default": "a" }),
    ]
}

/// Schemas with a default that is of no use.
fn dropped() -> Vec<Value> {
    let text = json!({ "type": "string" });
    vec![
        json!({ "type": "integer", "default": "5" }),
        json!({ "type": "integer", "default": 5, "minimum": 6 }),
        json!({ "type": "integer", "default": 5, "multipleOf": 2 }),
        json!({ "type": "number", "default": 0.35, "multipleOf": 0.1 }),
        json!({ "type": "integer", "format": "int32", "default": 3_000_000_000_u64 }),
        json!({ "type": "string", "default": "abc", "minLength": 4 }),
        json!({ "type": "string", "default": "abc", "pattern": "^z" }),
        json!({ "type": "string", "default": "b", "enum": ["a"] }),
        json!({ "type": "array", "default": "a", "items": text }),
        json!({ "type": "array", "default": ["a", 1], "items": text }),
        json!({ "type": "array", "default": ["a", "a"], "items": text, "uniqueItems": true }),
        json!({ "type": "array", "default": ["a"], "items": text, "minItems": 2 }),
        json!({ "type": "array", "default": [{}], "items": { "type": "object", "properties": { "a": text }, "required": ["a"] } }),
        json!({ "type": "array", "default": [{ "b": 1 }], "items": { "type": "object", "additionalProperties": false } }),
        json!({ "anyOf": [text, { "type": "integer" }], "default": true }),
        json!({ "oneOf": [text, { "type": "string", "maxLength": 3 }], "default": "a" }),
        json!({ "allOf": [{ "$ref": "#/components/schemas/E" }], "default": "A" }),
        json!({ "not": text, "default": "a" }),
        json!({ "type": "string", "default": null }),
        json!({ "type": "object", "default": {} }),
        json!({ "type": "string", "format": "date", "default": "today" }),
        json!({ "type": "string", "format": "uuid", "default": "none" }),
        json!({ "type": "string", "format": "time", "default": "noon" }),
        json!({ "type": "string", "format": "email", "default": "nobody" }),
        json!({ "type": "string", "format": "ipv4", "default": "::1" }),
        json!({ "type": "string", "format": "ipv6", "default": "127.0.0.1" }),
        json!({ "type": "string", "format": "idn-hostname", "default": "a b" }),
        json!({ "type": "string", "format": "regex", "default": "(" }),
    ]
}

#[test]
fn defaults_are_values_that_their_schema_allows() {
    let (kept, dropped) = (kept(), dropped());
    let others = json!({ "schemas": {
        "E": { "type": "string", "enum": ["a", "b"] },
        "Loop": { "allOf": [{ "$ref": "#/components/schemas/Loop" }] },
    } });
    let all = kept
        .iter()
        .map(|s| (s, true))
        .chain(dropped.iter().map(|s| (s, false)));
    for target in TARGETS {
        for (schema, keeps) in all.clone() {
            let document = document("3.1.0", schema.clone(), others.clone());
            let found = published(document, target);
            let found = found["components"]["schemas"]["S"].get("default");
            assert_eq!(
                found,
                schema.get("default").filter(|_| keeps),
                "{schema} as {target:?}"
            );
        }
    }
    let nullable = json!({ "type": ["string", "null"], "enum": ["a", null], "default": null });
    for target in TARGETS {
        let found = published(document("3.1.0", nullable.clone(), json!({})), target);
        assert_eq!(found["components"]["schemas"]["S"].get("default"), None);
    }
}

#[test]
fn a_dropped_default_is_reported_where_it_stood() {
    let schema =
        json!({ "type": "object", "properties": { "a/b": { "type": "string", "default": 1 } } });
    let api = load(document("3.1.0", schema, json!({})), &Selection::default()).unwrap();
    let found: Vec<_> = api
        .report
        .iter()
        .filter(|f| f.message.contains("default"))
        .collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pointer, "#/components/schemas/S/properties/a~1b");
    assert_eq!(found[0].action, Action::Simplified);
}

/// Schemas, their values and the names of these once they are published.
fn named() -> Vec<(Value, Value, Value)> {
    let names = "x-enum-varnames";
    vec![
        (
            json!({ "type": "string", "enum": ["asc", "desc", "ASC", "+1", "-1", "", "1.5"] }),
            json!(["asc", "desc", "ASC", "+1", "-1", "", "1.5"]),
            json!([
                "ASC",
                "DESC",
                "ASC_2",
                "VALUE_1",
                "VALUE_1_2",
                "VALUE",
                "VALUE_1_5"
            ]),
        ),
        (
            json!({ "type": "string", "enum": ["a", "A", "a_2"] }),
            json!(["a", "A", "a_2"]),
            json!(["A", "A_2", "A_2_2"]),
        ),
        (
            json!({ "type": "string", "enum": ["a", "b"] }),
            json!(["a", "b"]),
            Value::Null,
        ),
        (
            json!({ "type": "integer", "enum": [1, -1, 1] }),
            json!([1, -1]),
            Value::Null,
        ),
        (
            json!({ "type": "string", "enum": ["a", "b", "a"], names: ["One", "Two", "Three"] }),
            json!(["a", "b"]),
            json!(["One", "Two"]),
        ),
        (
            json!({ "type": "string", "enum": ["a", "b"], names: ["One"] }),
            json!(["a", "b"]),
            Value::Null,
        ),
        (
            json!({ "type": "string", "enum": ["a", "A"], names: ["1", "2"] }),
            json!(["a", "A"]),
            json!(["A", "A_2"]),
        ),
        (
            json!({ "type": "string", "enum": ["a", "A"], names: ["small", "large"] }),
            json!(["a", "A"]),
            json!(["small", "large"]),
        ),
        (
            json!({ "type": "string", names: ["small"] }),
            Value::Null,
            Value::Null,
        ),
    ]
}

#[test]
fn values_that_would_be_named_alike_have_names() {
    let names = "x-enum-varnames";
    for target in TARGETS {
        for (schema, values, named) in &named() {
            let found = published(document("3.1.0", schema.clone(), json!({})), target);
            let found = &found["components"]["schemas"]["S"];
            assert_eq!(
                (&found["enum"], &found[names]),
                (values, named),
                "{schema} as {target:?}"
            );
        }
    }
}

#[test]
fn reserved_extensions_are_dropped() {
    let schema = json!({ "type": "string", "x-oai-a": 1, "x-oas-b": 2, "x-ms-ours": 3 });
    let mut document = document("3.1.0", schema, json!({}));
    let operation = &mut document["paths"]["/s"]["get"];
    operation["x-oai-meta"] = json!({});
    operation["x-ms-ours"] = json!(1);
    operation["responses"]["x-oas-r"] = json!(1);
    let found = published(document, Target::V3_1_0);
    assert_eq!(
        found["components"]["schemas"]["S"],
        json!({ "type": "string", "x-ms-ours": 3 })
    );
    let text = found.to_string();
    assert!(!text.contains("x-oai") && !text.contains("x-oas"), "{text}");
    assert_eq!(found["paths"]["/s"]["get"]["x-ms-ours"], 1);
}

#[test]
fn media_types_have_what_clients_want() {
    let form = json!({ "schema": { "allOf": [{ "$ref": "#/components/schemas/S" }, { "properties": { "b": { "type": "string" } } }] },
        "encoding": { "a": { "contentType": "text/plain" }, "b": { "style": "form" }, "c": {} } });
    let mut document = document(
        "3.1.0",
        json!({ "type": "object", "properties": { "a": { "type": "string" } } }),
        json!({}),
    );
    document["paths"]["/f"] = json!({ "post": { "responses": { "200": { "description": "", "content": {
            "application/problem+json; charset=utf-8": {}, "application/jsonl": {} } } },
        "requestBody": { "content": { "multipart/form-data": form, "application/json": null,
            "application/x-www-form-urlencoded": { "schema": {}, "encoding": { "z": {} } } } } } });
    let api = load(document, &Selection::default()).unwrap();
    for target in TARGETS {
        let found = publish(&api, target, &PublishOptions::default());
        let operation = &found["paths"]["/f"]["post"];
        let body = &operation["requestBody"]["content"];
        assert_eq!(
            body["multipart/form-data"]["encoding"],
            json!({ "a": { "contentType": "text/plain" }, "b": { "style": "form" } })
        );
        assert_eq!(
            body["application/x-www-form-urlencoded"],
            json!({ "schema": {} })
        );
        assert_eq!(body["application/json"], json!({ "schema": {} }));
        let answer = &operation["responses"]["200"]["content"];
        assert_eq!(
            *answer,
            json!({ "application/problem+json; charset=utf-8": { "schema": {} }, "application/jsonl": {} })
        );
    }
    let strays = api
        .report
        .iter()
        .filter(|f| f.message.contains("no such property"));
    assert_eq!(strays.count(), 2);
}

#[test]
fn many_operations_take_no_longer_than_they_are() {
    let alternatives: Vec<Value> = (0..400).map(|i| json!({ "const": i })).collect();
    let schemas = json!({
        "Many": { "oneOf": alternatives },
        "Twice": { "anyOf": [{ "$ref": "#/components/schemas/Twice" }, { "$ref": "#/components/schemas/Twice" }] },
    });
    let reference = |name: &str, default: Value| json!({ "anyOf": [{ "$ref": format!("#/components/schemas/{name}") }, { "type": "null" }], "default": default });
    let paths: Map = (0..500)
        .map(|i| {
            let parameters = json!([
                { "name": "many", "in": "query", "schema": reference("Many", json!(i)) },
                { "name": "twice", "in": "query", "schema": reference("Twice", json!("a")) },
            ]);
            (
                format!("/p{i}"),
                json!({ "get": { "parameters": parameters, "responses": {} } }),
            )
        })
        .collect();
    let document =
        json!({ "openapi": "3.1.0", "paths": paths, "components": { "schemas": schemas } });
    // Each is looked at 400 and 2^30 times if a look is not bounded: then this does not end.
    let found = published(document, Target::V3_1_0);
    assert_eq!(found["paths"].as_object().unwrap().len(), 500);
}
