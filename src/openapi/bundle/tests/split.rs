//! A document that is split and bundled again is the same document.

use std::collections::{BTreeMap, HashSet};

use crate::openapi::{Map, Value, json};
use proptest::prelude::*;

use super::bundle;
use crate::openapi::pointer;
use crate::openapi::tests::specs;

/// The parts of a document that can stand in a file of their own.
fn parts(root: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut section = |at: &str, value: &Value| {
        let names = value.as_object().into_iter().flat_map(|map| map.keys());
        found.extend(names.map(|name| pointer::join(at, name)));
    };
    section("#/paths", &root["paths"]);
    for (name, value) in root["components"].as_object().into_iter().flatten() {
        section(&pointer::join("#/components", name), value);
    }
    found
}

/// Where a part goes: a file of its own, or a place in one that several share.
type Moves = BTreeMap<String, (String, String)>;

/// Where a local reference leads once the parts are moved, from a file in `parts/` or the root.
fn moved(reference: &str, moves: &Moves, from: Option<&str>) -> String {
    let mut end = reference.len();
    loop {
        if let Some((file, inner)) = moves.get(&reference[..end]) {
            let rest = &reference[end..];
            if from == Some(file) {
                return format!("#{inner}{rest}");
            }
            let folder = if from.is_some() { "" } else { "parts/" };
            let fragment = format!("{inner}{rest}");
            return match fragment.as_str() {
                "" => format!("{folder}{file}"),
                fragment => format!("{folder}{file}#{fragment}"),
            };
        }
        match reference[..end].rfind('/') {
            Some(shorter) => end = shorter,
            None => break,
        }
    }
    match from {
        Some(_) => format!("../root.yaml{reference}"),
        None => reference.to_owned(),
    }
}

/// Changes the references of a part, wherever they stand.
fn relink(value: &mut Value, moves: &Moves, from: Option<&str>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                match inner {
                    Value::String(text) if key == "$ref" && text.starts_with("#/") => {
                        *text = moved(text, moves, from).into();
                    }
                    Value::Object(names) if key == "mapping" => {
                        for text in names.values_mut() {
                            if let Value::String(text) = text
                                && text.starts_with("#/")
                            {
                                *text = moved(text, moves, from).into();
                            }
                        }
                    }
                    inner => relink(inner, moves, from),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|inner| relink(inner, moves, from)),
        _ => {}
    }
}

/// Splits a document: what becomes of each part is decided by a number.
fn split(root: &Value, choice: impl Fn(usize) -> u8) -> Vec<(String, Value)> {
    let mut moves = Moves::new();
    for (index, part) in parts(root).into_iter().enumerate() {
        let to = match choice(index) % 4 {
            0 => continue,
            1 => ("shared.json".to_owned(), format!("/parts/p{index}")),
            _ => (format!("part-{index}.yaml"), String::new()),
        };
        moves.insert(part, to);
    }
    let mut files: BTreeMap<String, Value> = BTreeMap::new();
    let mut rest = root.clone();
    for (part, (file, inner)) in &moves {
        let place = rest.pointer_mut(&part[1..]).unwrap();
        let mut value = std::mem::replace(place, json!({ "$ref": part }));
        relink(&mut value, &moves, Some(file));
        match inner.strip_prefix("/parts/") {
            Some(name) => {
                files
                    .entry(file.clone())
                    .or_insert_with(|| json!({ "parts": {} }))["parts"][name] = value;
            }
            None => drop(files.insert(file.clone(), value)),
        }
    }
    relink(&mut rest, &moves, None);
    let files = files
        .into_iter()
        .map(|(file, value)| (format!("s/parts/{file}"), value));
    std::iter::once(("s/root.yaml".to_owned(), rest))
        .chain(files)
        .collect()
}

/// What a chain of references ends at.
fn end<'v>(root: &'v Value, mut value: &'v Value) -> Option<&'v Value> {
    for _ in 0..32 {
        let Some(reference) = pointer::reference_of(value) else {
            return Some(value);
        };
        value = pointer::resolve(root, reference)?.value;
    }
    None
}

/// Follows both documents from their paths, through all references, side by side.
fn compare(a: &Value, b: &Value) -> Result<(), String> {
    let mut open = vec![(&a["paths"], &b["paths"], String::from("#/paths"))];
    let mut seen = HashSet::new();
    while let Some((mut x, mut y, at)) = open.pop() {
        let (of_x, of_y) = (end(a, x), end(b, y));
        match (of_x, of_y) {
            (Some(to_x), Some(to_y)) => (x, y) = (to_x, to_y),
            // It went in a circle before.
            (None, None) => continue,
            _ => return Err(format!("{at}: {x} {y}")),
        }
        if !seen.insert((std::ptr::from_ref(x), std::ptr::from_ref(y))) {
            continue;
        }
        match (x, y) {
            (Value::Object(x), Value::Object(y)) => {
                let keys = |map: &Map| map.keys().cloned().collect::<Vec<_>>();
                if keys(x) != keys(y) {
                    return Err(format!("{at}: {:?} {:?}", keys(x), keys(y)));
                }
                for (key, inner) in x {
                    let at = pointer::join(&at, key);
                    match (key.as_str(), inner) {
                        ("mapping", Value::Object(names)) => {
                            for (name, text) in names {
                                let refer =
                                    |t: &Value| pointer::resolve(a, t.as_str()?).map(|p| p.value);
                                let other =
                                    |t: &Value| pointer::resolve(b, t.as_str()?).map(|p| p.value);
                                match (refer(text), other(&y[key][name])) {
                                    (Some(x), Some(y)) => open.push((x, y, at.clone())),
                                    (None, None) => {}
                                    _ => return Err(format!("{at}: {text}")),
                                }
                            }
                        }
                        // Data; and what names an anchor is a pointer afterwards.
                        ("const", inner) if inner == &y[key] => {}
                        ("$dynamicRef", Value::String(_)) => {}
                        (name, _) if name.starts_with("x-") => {}
                        _ => open.push((inner, &y[key], at)),
                    }
                }
            }
            (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
                open.extend(
                    x.iter()
                        .zip(y)
                        .enumerate()
                        .map(|(n, (x, y))| (x, y, format!("{at}/{n}"))),
                );
            }
            (x, y) if x == y => {}
            _ => return Err(format!("{at}: {x} {y}")),
        }
    }
    Ok(())
}

/// Splits, bundles, compares.
fn check(root: &Value, choice: impl Fn(usize) -> u8) -> Result<(), String> {
    let files = split(root, choice);
    let files: Vec<(&str, Value)> = files.iter().map(|(l, v)| (l.as_str(), v.clone())).collect();
    if files.len() > 500 {
        return Ok(());
    }
    compare(root, &bundle(&files))
}

/// Small documents whose parts refer to each other.
fn document() -> impl Strategy<Value = Value> {
    let reference = prop_oneof![
        (0..4u8).prop_map(|n| json!({ "$ref": format!("#/components/schemas/S{n}") })),
        (0..4u8).prop_map(|n| json!({ "$ref": format!("#/components/schemas/S{n}/properties/p") })),
        (0..2u8).prop_map(
            |n| json!({ "$ref": format!("#/paths/~1p{n}/get/responses/200/content/a~1b/schema") })
        ),
        (0..4u8).prop_map(|n| json!({ "const": { "$ref": format!("S{n}.yaml") } })),
        Just(json!({ "type": "string" })),
    ];
    let schema = (reference.clone(), reference.clone()).prop_map(
        |(p, item)| json!({ "properties": { "p": { "title": "p", "not": p } }, "allOf": [item] }),
    );
    let schemas = prop::collection::vec(schema, 4);
    let bodies = prop::collection::vec(reference, 2);
    (schemas, bodies).prop_map(|(schemas, bodies)| {
        let mut root = json!({ "openapi": "3.1.0", "paths": {}, "components": { "schemas": {} } });
        for (n, schema) in schemas.into_iter().enumerate() {
            root["components"]["schemas"][format!("S{n}")] = schema;
        }
        for (n, body) in bodies.into_iter().enumerate() {
            let schema = json!({ "items": body });
            root["paths"][format!("/p{n}")] = json!({ "get": { "responses": {
                "200": { "content": { "a/b": { "schema": schema } } } } } });
        }
        root
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn small_documents(root in document(), choices in prop::collection::vec(any::<u8>(), 6)) {
        check(&root, |n| choices[n % choices.len()]).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn real_documents() {
    for spec in specs() {
        for seed in 0..2 {
            let choice = |n: usize| u8::try_from((n * 7 + seed * 3 + n / 5) % 251).unwrap();
            check(&spec.value, choice).unwrap_or_else(|e| panic!("{}: {e}", spec.name));
        }
    }
}
