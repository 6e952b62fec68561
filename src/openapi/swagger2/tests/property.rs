//! Any document of 2.0: no panic, and no parameter is lost.

use std::collections::BTreeSet;

use crate::openapi::{Map, Value, json};
use proptest::prelude::*;

use super::convert;
use crate::openapi::{Selection, Target, load, publish};

/// What a parameter may say besides its name and place.
fn details() -> impl Strategy<Value = Value> {
    let kinds = prop::sample::select(&["string", "integer", "array", "file", "object", ""][..]);
    let formats = prop::sample::select(&["csv", "ssv", "tsv", "pipes", "multi", "?", ""][..]);
    (kinds, formats, any::<bool>(), any::<bool>()).prop_map(|(kind, format, required, items)| {
        let mut out = Map::new();
        if !kind.is_empty() {
            out.insert("type".to_owned(), kind.into());
        }
        if !format.is_empty() {
            out.insert("collectionFormat".to_owned(), format.into());
        }
        if required {
            out.insert("required".to_owned(), true.into());
        }
        if items {
            out.insert(
                "items".to_owned(),
                json!({ "type": "array", "items": { "type": "string" } }),
            );
        }
        Value::Object(out)
    })
}

/// A parameter; a body is always called `body`, since there can only be one.
fn parameter() -> impl Strategy<Value = Value> {
    let places = &["query", "header", "path", "formData", "body"][..];
    let names = &["a", "b", "c", "d"][..];
    (
        prop::sample::select(places),
        prop::sample::select(names),
        details(),
    )
        .prop_map(|(place, name, mut parameter)| {
            parameter["in"] = place.into();
            parameter["name"] = if place == "body" { "body" } else { name }.into();
            if place == "body" {
                parameter["schema"] = json!({ "$ref": "#/definitions/D" });
            }
            parameter
        })
}

/// A list of parameters: as they are, or references to shared ones or to those of another file.
fn list() -> impl Strategy<Value = Value> {
    let reference = prop_oneof![
        (0..4_usize).prop_map(|n| format!("#/parameters/{n}")),
        (0..4_usize).prop_map(|n| format!("#/x-plugway-files/{n}")),
        (0..3_usize).prop_map(|n| format!("#/paths/~10~1{{a}}/parameters/{n}")),
        (0..3_usize).prop_map(|n| format!("#/paths/~11~1{{a}}/post/parameters/{n}")),
        Just("#/nowhere".to_owned()),
    ];
    let reference = reference.prop_map(|to| json!({ "$ref": to }));
    prop::collection::vec(prop_oneof![2 => parameter(), 1 => reference], 0..5).prop_map(Value::from)
}

fn media_types() -> impl Strategy<Value = Value> {
    let names = &[
        "application/json",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "text/plain",
    ][..];
    prop_oneof![
        2 => Just(Value::Null),
        3 => prop::collection::vec(prop::sample::select(names), 0..3).prop_map(Value::from),
    ]
}

fn response() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!({ "description": "d" }),
        json!({ "description": "d", "schema": { "$ref": "#/definitions/D" } }),
        json!({ "schema": { "type": "file" }, "examples": { "application/json": { "$ref": "x" } } }),
        json!({ "$ref": "#/responses/R" }),
        json!({ "$ref": "#/x-plugway-files/5" }),
        json!({ "headers": { "A": { "type": "array", "collectionFormat": "tsv" } } }),
        json!(1),
    ])
}

fn operation() -> impl Strategy<Value = Value> {
    (list(), media_types(), media_types(), response()).prop_map(|(list, consumes, produces, response)| {
        json!({ "parameters": list, "consumes": consumes, "produces": produces, "responses": { "200": response } })
    })
}

fn item() -> impl Strategy<Value = Value> {
    (list(), operation(), operation(), any::<bool>()).prop_map(|(list, get, post, shared)| {
        let mut item = json!({ "get": get, "post": post });
        if shared {
            item["parameters"] = list;
        }
        item
    })
}

fn document() -> impl Strategy<Value = Value> {
    let items = prop::collection::vec(item(), 1..4);
    let globals = prop::collection::vec(parameter(), 4);
    let files = prop::collection::vec(parameter(), 4);
    (items, globals, files, item(), media_types(), media_types()).prop_map(
        |(items, globals, mut files, other, consumes, produces)| {
            let mut paths: Map =
                items.into_iter().enumerate().map(|(n, item)| (format!("/{n}/{{a}}"), item)).collect();
            paths.insert("/file".to_owned(), json!({ "$ref": "#/x-plugway-files/4" }));
            files.push(other);
            files.push(json!({ "schema": { "type": "string" } }));
            let globals: Map =
                globals.into_iter().enumerate().map(|(n, p)| (n.to_string(), p)).collect();
            json!({
                "swagger": "2.0", "info": { "title": "T", "version": "1" }, "consumes": consumes,
                "produces": produces, "paths": paths, "parameters": globals,
                "definitions": { "D": { "type": "object", "x-nullable": true } },
                "responses": { "R": { "description": "r", "schema": { "$ref": "#/definitions/D" } } },
                "x-plugway-files": files,
            })
        },
    )
}

/// Follows references, but not in circles.
fn follow<'d>(root: &'d Value, value: &'d Value) -> &'d Value {
    let mut value = value;
    for _ in 0..32 {
        let Some(to) = value.get("$ref").and_then(Value::as_str) else {
            return value;
        };
        value = root.pointer(&to[1..]).unwrap_or(&Value::Null);
    }
    &Value::Null
}

/// Path, method, `in` and name of everything that a caller can give.
type Inputs = BTreeSet<(String, String, String, String)>;

/// The path items and operations of a document.
fn operations(root: &Value) -> Vec<(String, String, &Value, &Value)> {
    let mut all = Vec::new();
    for (path, item) in root["paths"].as_object().unwrap() {
        let item = follow(root, item);
        for method in ["get", "post"] {
            all.push((path.to_string(), method.to_owned(), item, &item[method]));
        }
    }
    all
}

/// What a document of 2.0 asks for. References through a parameter's index are not followed where
/// they lead to another reference.
fn asked(root: &Value) -> Inputs {
    let mut inputs = Inputs::new();
    for (path, method, item, operation) in operations(root) {
        let lists = [&item["parameters"], &operation["parameters"]];
        let parameters = lists.into_iter().filter_map(Value::as_array).flatten();
        for parameter in parameters.map(|parameter| follow(root, parameter)) {
            if let (Some(place), Some(name)) =
                (parameter["in"].as_str(), parameter["name"].as_str())
            {
                inputs.insert((
                    path.clone(),
                    method.clone(),
                    place.to_owned(),
                    name.to_owned(),
                ));
            }
        }
    }
    inputs
}

/// What the same document offers as 3.0.
fn offered(root: &Value) -> Inputs {
    let mut inputs = Inputs::new();
    for (path, method, item, operation) in operations(root) {
        let mut add = |place: &str, name: &str| {
            inputs.insert((
                path.clone(),
                method.clone(),
                place.to_owned(),
                name.to_owned(),
            ));
        };
        let lists = [&item["parameters"], &operation["parameters"]];
        for parameter in lists.into_iter().filter_map(Value::as_array).flatten() {
            let parameter = follow(root, parameter);
            if let (Some(place), Some(name)) =
                (parameter["in"].as_str(), parameter["name"].as_str())
            {
                add(place, name);
            }
        }
        let body = follow(root, &operation["requestBody"]);
        for media_type in body["content"]
            .as_object()
            .into_iter()
            .flat_map(Map::values)
        {
            let schema = &media_type["schema"];
            match schema["properties"].as_object() {
                Some(properties) => properties.keys().for_each(|name| add("formData", name)),
                None if schema["$ref"] == "#/components/schemas/D" => add("body", "body"),
                None => {}
            }
        }
    }
    inputs
}

/// Any value where something else belongs.
fn broken() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        prop::sample::select(
            &[
                "",
                "#/",
                "$ref",
                "#/definitions/D",
                "body",
                "array",
                "#/paths/~10~1{a}/get"
            ][..]
        )
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let names = &[
            "$ref",
            "in",
            "name",
            "schema",
            "type",
            "items",
            "parameters",
            "content",
            "get",
            "mapping",
        ][..];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(names).prop_map(str::to_owned),
                inner,
                0..4
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every pointer of a value.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    let mut inner = |key: &str, value: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        pointers(value, &format!("{at}/{key}"), out);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| inner(key, value)),
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                inner(&index.to_string(), value);
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_that_a_caller_can_give_is_lost(document in document()) {
        let asked = asked(&document);
        let converted = convert(document);
        let offered = offered(&converted.value);
        let lost: Vec<_> = asked.difference(&offered).collect();
        prop_assert!(lost.is_empty(), "{lost:?}");
        let added: Vec<_> = offered.difference(&asked).collect();
        prop_assert!(added.is_empty(), "{added:?}");
        let api = load(converted.value, &Selection::default()).unwrap();
        publish(&api, Target::V3_0_1, &crate::openapi::PublishOptions::default());
    }

    #[test]
    fn a_broken_document_is_converted_too(
        document in document(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), broken()), 1..6),
    ) {
        let mut document = document;
        for (index, value) in changes {
            let mut all = Vec::new();
            pointers(&document, "", &mut all);
            let at = index.get::<String>(&all);
            *document.pointer_mut(at).unwrap() = value;
        }
        let converted = convert(document.clone());
        for finding in &converted.report {
            let at = finding.pointer[1..].to_owned();
            let place = crate::openapi::pointer::resolve(&document, &format!("#{}", at.replace('%', "%25")));
            prop_assert!(at.is_empty() || place.is_some(), "{finding:?}");
        }
        if let Ok(api) = load(converted.value, &Selection::default()) {
            publish(&api, Target::V3_1_0, &crate::openapi::PublishOptions::default());
        }
    }
}
