//! 2.0 → 3.1 and 3.0 → 3.1 → 3.0: the same calls, whichever way was taken.

use std::collections::BTreeMap;

use crate::openapi::{Map, Text, Value, json};
use proptest::prelude::*;

use super::{load_all, options, specs};
use crate::openapi::{Target, publish};

/// What a caller can tell of one operation.
#[derive(Debug, PartialEq)]
struct Call {
    /// By location and name: required, style, explode.
    parameters: BTreeMap<(String, String), (bool, String, bool)>,
    /// Whether there has to be a body, and its media types.
    body: Option<(bool, Vec<String>)>,
    /// Status codes, with their media types.
    responses: BTreeMap<String, Vec<String>>,
}

/// The keys of an object, sorted.
fn keys(value: &Value) -> Vec<String> {
    let mut keys: Vec<String> = value
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .map(Text::to_string)
        .collect();
    keys.sort();
    keys
}

/// What stands there, or what it refers to.
fn target<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// The calls that a published document allows.
fn calls(document: &Value) -> BTreeMap<(String, String), Call> {
    let mut calls = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            calls.insert(
                (path.to_string(), method.to_string()),
                call(document, operation),
            );
        }
    }
    calls
}

fn call(document: &Value, operation: &Value) -> Call {
    let parameter = |parameter: &Value| {
        let text = |key: &str| parameter[key].as_str().map(str::to_owned);
        let location = text("in").unwrap();
        let usual = if matches!(location.as_str(), "query" | "cookie") {
            "form"
        } else {
            "simple"
        };
        let style = text("style").unwrap_or_else(|| usual.to_owned());
        let explode = parameter["explode"].as_bool().unwrap_or(style == "form");
        let required = parameter["required"] == true;
        (
            (location, text("name").unwrap()),
            (required, style, explode),
        )
    };
    let body = operation.get("requestBody");
    let response = |(code, response): (&Text, &Value)| {
        (
            code.to_string(),
            keys(&target(document, response)["content"]),
        )
    };
    Call {
        parameters: operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(parameter)
            .collect(),
        body: body.map(|body| (body["required"] == true, keys(&body["content"]))),
        responses: operation["responses"]
            .as_object()
            .unwrap()
            .iter()
            .map(response)
            .collect(),
    }
}

/// Values of every kind, near the bounds that generated schemas have.
fn instances() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(3),
        json!(5),
        json!(-1),
        json!(2.5),
        json!(""),
        json!("a"),
        json!("abc"),
        json!("abcdef"),
        json!([]),
        json!(["a"]),
        json!([1, 2, 3]),
        json!(["a", "b", "c", "d"]),
        json!([null]),
        json!({}),
        json!({ "a": 1 }),
        json!({ "a": "a" }),
        json!({ "a": null }),
        json!({ "a": "abc", "b": 3 }),
        json!({ "b": [] }),
        json!({ "a": 3, "c": 1 }),
        json!({ "a": { "a": 1 } }),
        json!({ "a": ["a"], "b": null }),
    ]
}

/// Which of the values a schema of a published 3.1 document takes.
fn taken(document: &Value, schema: &Value) -> Vec<bool> {
    let mut whole = json!({ "components": document["components"], "allOf": [schema] });
    if whole["components"].is_null() {
        whole.as_object_mut().unwrap().shift_remove("components");
    }
    let validator = jsonschema::draft202012::new(&whole.clone().into())
        .unwrap_or_else(|error| panic!("{error}: {whole}"));
    instances()
        .iter()
        .map(|value| validator.is_valid(&value.clone().into()))
        .collect()
}

/// The schemas of bodies, by place.
fn schemas(document: &Value) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let content = operation["requestBody"]["content"].as_object();
            for (name, media_type) in content.into_iter().flatten() {
                found.insert(format!("{method} {path} {name}"), &media_type["schema"]);
            }
        }
    }
    found
}

/// Publishes as 3.1, and as 3.0 and that as 3.1; both have to allow the same.
#[track_caller]
fn check(what: &str, original: &Value) {
    let api = load_all(original);
    let straight = publish(&api, Target::V3_1_0, &options());
    let old = publish(&api, Target::V3_0_1, &options());
    assert_eq!(calls(&straight), calls(&old), "{what}: 3.1 and 3.0");
    let around = publish(&load_all(&old), Target::V3_1_0, &options());
    assert_eq!(
        calls(&straight),
        calls(&around),
        "{what}: 3.1 by way of 3.0"
    );
    let back = publish(&load_all(&straight), Target::V3_0_1, &options());
    assert_eq!(calls(&old), calls(&back), "{what}: 3.0 by way of 3.1");
}

#[test]
fn real_documents_allow_the_same_calls_in_both_versions() {
    for spec in specs() {
        check(&spec.name, &spec.value);
    }
}

/// A schema of 3.0 whose meaning both versions can say.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({})),
        Just(json!({ "type": "string" })),
        Just(json!({ "type": "string", "minLength": 1, "maxLength": 3 })),
        Just(json!({ "type": "string", "enum": ["a", "abc"] })),
        Just(json!({ "type": "integer", "minimum": 1, "maximum": 5 })),
        Just(json!({ "type": "number", "minimum": 0, "exclusiveMinimum": true })),
        Just(json!({ "type": "boolean" })),
        Just(json!({ "$ref": "#/components/schemas/Shared" })),
    ];
    let nested = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|items| json!({ "type": "array", "items": items, "maxItems": 3 })),
            (inner.clone(), inner.clone(), any::<bool>(), any::<bool>()).prop_map(
                |(a, b, required, closed)| {
                    let mut schema = json!({ "type": "object", "properties": { "a": a, "b": b } });
                    if required {
                        schema["required"] = json!(["a"]);
                    }
                    if closed {
                        schema["additionalProperties"] = json!(false);
                    }
                    schema
                }
            ),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({ "anyOf": list })),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({ "allOf": list })),
            inner.prop_map(|values| json!({ "type": "object", "additionalProperties": values })),
        ]
    });
    (nested, any::<bool>()).prop_map(|(mut schema, nullable)| {
        let typed = schema.get("type").is_some() && schema.get("enum").is_none();
        if nullable && typed {
            schema["nullable"] = true.into();
        }
        schema
    })
}

/// A parameter with a style that its place may have.
fn parameter() -> impl Strategy<Value = Value> {
    let place = prop_oneof![
        Just(("query", None)),
        Just(("query", Some("form"))),
        Just(("query", Some("spaceDelimited"))),
        Just(("query", Some("pipeDelimited"))),
        Just(("query", Some("deepObject"))),
        Just(("header", Some("simple"))),
        Just(("header", None)),
        Just(("cookie", None)),
    ];
    (
        place,
        "[a-d]",
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        schema(),
    )
        .prop_map(|((location, style), name, required, explode, schema)| {
            let mut parameter = json!({ "in": location, "name": name, "schema": schema });
            for (key, value) in [("required", required), ("explode", explode)] {
                if let Some(value) = value {
                    parameter[key] = value.into();
                }
            }
            if let Some(style) = style {
                parameter["style"] = style.into();
            }
            parameter
        })
}

/// A document of 3.0.
fn document() -> impl Strategy<Value = Value> {
    let media = prop::sample::select(vec![
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
    ]);
    let content = prop::collection::btree_map(media, schema(), 1..3);
    let content = content
        .prop_map(|types| {
            let types = types
                .into_iter()
                .map(|(name, schema)| (name.to_owned(), json!({ "schema": schema })));
            Value::Object(types.collect())
        })
        .boxed();
    let body = (content.clone(), any::<bool>())
        .prop_map(|(content, required)| json!({ "content": content, "required": required }));
    let method = prop::sample::select(vec!["get", "post", "put", "delete", "patch"]);
    let operation = (
        prop::sample::select(vec!["/a", "/a/b", "/c"]),
        method,
        prop::collection::vec(parameter(), 0..4),
        prop::option::of(body),
        prop::collection::btree_map(
            prop::sample::select(vec!["200", "404", "4XX", "default"]),
            prop::option::of(content),
            1..3,
        ),
    );
    (prop::collection::vec(operation, 1..4), schema()).prop_map(|(operations, shared)| {
        let mut paths = json!({});
        for (path, method, parameters, body, responses) in operations {
            let mut operation = json!({ "parameters": parameters, "responses": {} });
            if let Some(body) = body {
                operation["requestBody"] = body;
            }
            for (code, content) in responses {
                operation["responses"][code] = json!({ "description": "said" });
                if let Some(content) = content {
                    operation["responses"][code]["content"] = content;
                }
            }
            paths[path][method] = operation;
        }
        // One that refers to itself would make every other schema recursive.
        let shared = if shared.to_string().contains("$ref") {
            json!({ "type": "string" })
        } else {
            shared
        };
        json!({
            "openapi": "3.0.3", "info": { "title": "T", "version": "1" }, "paths": paths,
            "components": { "schemas": { "Shared": shared } },
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_made_document_allows_the_same_calls_whichever_way_it_took(document in document()) {
        check("made", &document);
    }

    #[test]
    fn a_made_body_takes_the_same_values_whichever_way_it_took(document in document()) {
        let api = load_all(&document);
        let straight = publish(&api, Target::V3_1_0, &options());
        let old = publish(&api, Target::V3_0_1, &options());
        let around = publish(&load_all(&old), Target::V3_1_0, &options());
        let (one, other) = (schemas(&straight), schemas(&around));
        prop_assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (place, schema) in one {
            let here = taken(&straight, schema);
            let there = taken(&around, other[&place]);
            prop_assert_eq!(here, there, "{}: {} and {}", place, schema, other[&place]);
        }
    }
}
