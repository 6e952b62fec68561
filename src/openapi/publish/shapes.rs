//! Forms of schemas that both versions need: null, alternatives by type.

use crate::openapi::{Map, Text, Value, json};

use super::keywords::{is_annotation, types_of};

/// The types without null, and whether null is among them: those of `type`, or of the values that
/// are listed. `combined`: other schemas restrict the value as well.
pub(super) fn all_types(keywords: &Map, combined: bool) -> (Vec<String>, bool) {
    let (mut types, null) = written_types(keywords);
    let several = ["allOf", "anyOf", "oneOf", "not"];
    let combined = combined || several.iter().any(|name| keywords.contains_key(name));
    let Some((listed, listed_null)) = types_of_values(keywords) else {
        return (types, null);
    };
    match types.len() {
        // Null, or several types, would have to be combined with what is beside.
        0 if !null && combined && (listed_null || listed.len() != 1) => {}
        0 if !null => return (listed, listed_null),
        1 => {}
        _ => {
            let own = listed_by_type(keywords, &types);
            if !own.is_empty() {
                types = own;
            }
        }
    }
    (types, null)
}

/// The types of `type` without null, and whether null is among them.
fn written_types(keywords: &Map) -> (Vec<String>, bool) {
    let list = match keywords.get("type") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    };
    let mut types: Vec<String> = list
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let all = types.len();
    types.retain(|name| name != "null");
    let null = types.len() < all;
    (types, null)
}

/// Takes a flag out.
pub(super) fn take_flag(keywords: &mut Map, name: &str) -> bool {
    keywords.shift_remove(name) == Some(Value::Bool(true))
}

/// Whether only null is allowed: `enum: [null]` or `const: null`.
pub(super) fn values_are_null(keywords: &Map) -> bool {
    let only_null = |list: &Value| {
        list.as_array()
            .is_some_and(|l| l.iter().all(Value::is_null))
    };
    keywords.get("const").is_some_and(Value::is_null) || keywords.get("enum").is_some_and(only_null)
}

/// Those of the types that a listed value has.
fn listed_by_type(keywords: &Map, types: &[String]) -> Vec<String> {
    let Some(Value::Array(values)) = keywords.get("enum") else {
        return Vec::new();
    };
    let has = |name: &&String| values.iter().any(|value| is_of(value, name, types));
    types.iter().filter(has).cloned().collect()
}

/// The types of the values of `const` or `enum`, and whether null is among them; `None`: no values
/// are listed. Integers are numbers where other numbers are listed.
pub(super) fn types_of_values(keywords: &Map) -> Option<(Vec<String>, bool)> {
    let values = match (keywords.get("const"), keywords.get("enum")) {
        (Some(only), _) => std::slice::from_ref(only),
        (None, Some(Value::Array(values))) => values.as_slice(),
        _ => return None,
    };
    let mut types: Vec<&str> = Vec::new();
    let mut null = false;
    for value in values {
        let name = match value {
            Value::Null => {
                null = true;
                continue;
            }
            Value::Bool(_) => "boolean",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
            Value::Number(_) => "number",
        };
        if !types.contains(&name) {
            types.push(name);
        }
    }
    if types.contains(&"number") {
        types.retain(|name| *name != "integer");
    }
    Some((types.into_iter().map(str::to_owned).collect(), null))
}

/// Whether a rendered schema allows null and nothing else.
pub(super) fn is_null(schema: &Value) -> bool {
    let Some(map) = schema.as_object() else {
        return false;
    };
    map.get("type") == Some(&json!("null")) || values_are_null(map)
}

/// The annotations of a schema, in their order; the rest stays.
pub(super) fn take_annotations(keywords: &mut Map) -> Map {
    let all = std::mem::take(keywords);
    let (annotations, rest) = all.into_iter().partition(|(name, _)| is_annotation(name));
    *keywords = rest;
    annotations
}

/// One schema per type, each with the keywords that restrict this type; what is left restricts
/// all of them.
pub(super) fn split(keywords: &mut Map, types: &[String]) -> Vec<Map> {
    let mut alternatives: Vec<Map> = types
        .iter()
        .map(|name| Map::from_iter([("type".to_owned(), Value::from(name.as_str()))]))
        .collect();
    keywords.shift_remove("type");
    let names: Vec<Text> = keywords.keys().cloned().collect();
    for name in names {
        let restricts = match name.as_str() {
            "format" => format_types(keywords.get("format")),
            other => types_of(other),
        };
        if restricts.is_empty() {
            continue;
        }
        let Some(value) = keywords.shift_remove(&name) else {
            continue;
        };
        for (alternative, kind) in alternatives.iter_mut().zip(types) {
            if restricts.contains(&kind.as_str()) {
                alternative.insert(name.clone(), value.clone());
            }
        }
    }
    if let Some(Value::Array(values)) = keywords.get("enum").cloned() {
        keywords.shift_remove("enum");
        for (alternative, kind) in alternatives.iter_mut().zip(types) {
            let own: Vec<Value> = values
                .iter()
                .filter(|value| is_of(value, kind, types))
                .cloned()
                .collect();
            alternative.insert("enum".to_owned(), own.into());
        }
        // A type without any of the values is impossible.
        alternatives.retain(|alternative| alternative.get("enum") != Some(&json!([])));
        alternatives.iter_mut().for_each(only_empty);
    }
    alternatives
}

/// A list of the empty object alone, as Swagger documents write sets, is an object without
/// members: generators know no other lists than of plain values. Null beside it is a type.
pub(super) fn only_empty(keywords: &mut Map) {
    let values = match (keywords.get("const"), keywords.get("enum")) {
        (Some(only), _) => std::slice::from_ref(only),
        (None, Some(Value::Array(values))) => values.as_slice(),
        _ => return,
    };
    let empty = |value: &Value| value.as_object().is_some_and(Map::is_empty);
    if !values.iter().any(empty) || !values.iter().all(|value| empty(value) || value.is_null()) {
        return;
    }
    let listed = values.iter().any(Value::is_null);
    let (types, null) = written_types(keywords);
    if listed && (null || types.is_empty()) {
        keywords.insert("nullable".to_owned(), true.into());
    }
    keywords.shift_remove("enum");
    keywords.shift_remove("const");
    keywords.insert("type".to_owned(), "object".into());
    keywords.insert("maxProperties".to_owned(), 0.into());
}

/// Types that a format restricts.
fn format_types(format: Option<&Value>) -> &'static [&'static str] {
    match format.and_then(Value::as_str).unwrap_or_default() {
        "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64"
        | "float" | "double" | "decimal" => &["number", "integer"],
        _ => &["string"],
    }
}

/// Whether a value is of a type; an integer is a number only where no integer is allowed.
fn is_of(value: &Value, kind: &str, types: &[String]) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) => kind == "boolean",
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
        Value::Number(number) => {
            let whole = number.is_i64() || number.is_u64();
            match kind {
                "integer" => whole,
                "number" => !whole || !types.iter().any(|name| name == "integer"),
                _ => false,
            }
        }
    }
}

/// Adds schemas to `allOf`.
pub(super) fn add_all_of(keywords: &mut Map, schema: Value) {
    match keywords.get_mut("allOf") {
        Some(Value::Array(list)) => list.push(schema),
        _ => {
            keywords.insert("allOf".to_owned(), json!([schema]));
        }
    }
}

/// The alternatives, and what restricts all of them, as one schema.
pub(super) fn any_of(alternatives: Vec<Value>, mut rest: Map) -> Map {
    let mut out = Map::new();
    if let Some(all_of) = rest.shift_remove("allOf") {
        out.insert("allOf".to_owned(), all_of);
    }
    if !rest.is_empty() {
        add_all_of(&mut out, Value::Object(rest));
    }
    out.insert("anyOf".to_owned(), alternatives.into());
    out
}
