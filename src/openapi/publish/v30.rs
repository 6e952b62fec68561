//! Schemas of `OpenAPI` 3.0: an older and smaller dialect.

use crate::openapi::{Map, Value, json};

use super::content::is_json;
use super::keywords::is_annotation;
use super::schema::Draft;
use super::shapes::{self, add_all_of, all_types, split, take_annotations, take_flag};

/// The keywords that a schema of 3.0 may have, besides annotations.
const KNOWN: &[&str] = &[
    "type",
    "nullable",
    "format",
    "enum",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "items",
    "maxProperties",
    "minProperties",
    "required",
    "properties",
    "additionalProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "discriminator",
    "$ref",
    "xml",
];

/// Alternatives that are compared with each other.
const MAX_COMPARED: usize = 32;

/// The last step of a schema.
pub(super) fn finish(draft: Draft) -> Value {
    let Draft {
        reference,
        written,
        mut keywords,
        ..
    } = draft;
    let mut nullable = take_flag(&mut keywords, "nullable");
    translate(&mut keywords, reference.is_some());
    for name in ["anyOf", "oneOf"] {
        nullable |= without_null(&mut keywords, name);
    }
    nullable |= take_flag(&mut keywords, "nullable");
    let (types, null) = all_types(&keywords, reference.is_some());
    nullable |= null;
    // A type that is written holds beside a reference too.
    if (types.is_empty() && null) || (reference.is_none() && shapes::values_are_null(&keywords)) {
        let mut out = take_annotations(&mut keywords);
        out.insert("nullable".to_owned(), true.into());
        out.insert("enum".to_owned(), json!([null]));
        return Value::Object(out);
    }
    if let Some(reference) = reference {
        let reference = written.unwrap_or_else(|| json!({ "$ref": reference }));
        if keywords.is_empty() && types.is_empty() && !nullable {
            return reference;
        }
        match keywords.get_mut("allOf") {
            Some(Value::Array(list)) => list.insert(0, reference),
            _ => add_all_of(&mut keywords, reference),
        }
    }
    finish_types(keywords, &types, nullable)
}

/// What 3.0 writes in other words.
fn translate(keywords: &mut Map, reference: bool) {
    constant(keywords);
    example(keywords);
    exclusive(
        keywords,
        "minimum",
        "exclusiveMinimum",
        |excluded, bound| excluded < bound,
    );
    exclusive(
        keywords,
        "maximum",
        "exclusiveMaximum",
        |excluded, bound| excluded > bound,
    );
    tuple(keywords);
    patterns(keywords);
    closed(keywords, reference);
}

/// Writes the types, and leaves only what 3.0 knows.
fn finish_types(mut keywords: Map, types: &[String], mut nullable: bool) -> Value {
    bytes(&mut keywords, types);
    let mut keywords = match types {
        [] => keywords,
        [only] => {
            keywords.insert("type".to_owned(), only.as_str().into());
            keywords
        }
        several => several_types(keywords, several, std::mem::take(&mut nullable)),
    };
    keywords.retain(|name, _| KNOWN.contains(&name.as_str()) || is_annotation(name));
    if keywords.get("type") == Some(&json!("array")) && !keywords.contains_key("items") {
        keywords.insert("items".to_owned(), json!({}));
    }
    // `nullable` beside nothing that would refuse null says nothing.
    if nullable && keywords.keys().any(|name| !is_annotation(name)) {
        keywords.insert("nullable".to_owned(), true.into());
    }
    Value::Object(keywords)
}

/// `const` → `enum`
fn constant(keywords: &mut Map) {
    if let Some(value) = keywords.shift_remove("const") {
        keywords.insert("enum".to_owned(), json!([value]));
    }
}

/// `examples` → `example`
fn example(keywords: &mut Map) {
    let first = keywords
        .shift_remove("examples")
        .and_then(|list| list.get(0).cloned());
    if let Some(first) = first.filter(|_| !keywords.contains_key("example")) {
        keywords.insert("example".to_owned(), first);
    }
}

/// A bound that is excluded becomes a bound and a flag, unless the other bound is tighter.
fn exclusive(keywords: &mut Map, bound: &str, name: &str, looser: fn(f64, f64) -> bool) {
    let Some(Value::Number(excluded)) = keywords.get(name).cloned() else {
        return;
    };
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let other = number(keywords.get(bound));
    let excluded_float = excluded.as_f64().unwrap_or_default();
    if other.is_some_and(|bound| looser(excluded_float, bound)) {
        keywords.shift_remove(name);
    } else {
        keywords.insert(bound.to_owned(), Value::Number(excluded));
        keywords.insert(name.to_owned(), true.into());
    }
}

/// `prefixItems` → `items` that any of them fits.
fn tuple(keywords: &mut Map) {
    let Some(Value::Array(mut alternatives)) = keywords.shift_remove("prefixItems") else {
        return;
    };
    let length = alternatives.len();
    let ends = ["additionalItems", "unevaluatedItems"]
        .iter()
        .any(|name| keywords.get(name) == Some(&Value::Bool(false)));
    match keywords.shift_remove("items") {
        Some(items) if items == json!({ "not": {} }) => {
            keywords.entry("maxItems").or_insert(length);
        }
        Some(items) => alternatives.push(items),
        None if ends => {
            keywords.entry("maxItems").or_insert(length);
        }
        None => alternatives.push(json!({})),
    }
    keywords.insert("items".to_owned(), one_of_them(alternatives));
}

/// One schema that fits what any of these fits.
fn one_of_them(alternatives: Vec<Value>) -> Value {
    let mut distinct: Vec<Value> = Vec::new();
    for schema in alternatives {
        if schema == json!({}) {
            return schema;
        }
        // A long list is not worth comparing each with each.
        if distinct.len() > MAX_COMPARED || !distinct.contains(&schema) {
            distinct.push(schema);
        }
    }
    if distinct.len() == 1 {
        return distinct.swap_remove(0);
    }
    let keywords = Map::from_iter([("anyOf".to_owned(), Value::Array(distinct))]);
    finish(Draft {
        keywords,
        ..Draft::default()
    })
}

/// `patternProperties` → `additionalProperties`: the patterns are lost, the schemas stay.
fn patterns(keywords: &mut Map) {
    let Some(Value::Object(patterns)) = keywords.shift_remove("patternProperties") else {
        return;
    };
    if patterns.is_empty() {
        return;
    }
    let mut alternatives: Vec<Value> = patterns.into_iter().map(|(_, schema)| schema).collect();
    if let Some(other @ Value::Object(_)) = keywords.get("additionalProperties") {
        alternatives.push(other.clone());
    }
    keywords.insert("additionalProperties".to_owned(), one_of_them(alternatives));
}

/// `unevaluatedProperties: false` is `additionalProperties: false` where nothing is combined.
fn closed(keywords: &mut Map, reference: bool) {
    let combined = ["allOf", "anyOf", "oneOf"]
        .iter()
        .any(|name| keywords.contains_key(name));
    if keywords.get("unevaluatedProperties") == Some(&Value::Bool(false)) && !combined && !reference
    {
        keywords.entry("additionalProperties").or_insert(false);
    }
}

/// Drops null from the alternatives, and says whether it was there.
fn without_null(keywords: &mut Map, name: &str) -> bool {
    let Some(Value::Array(list)) = keywords.get_mut(name) else {
        return false;
    };
    let all = list.len();
    list.retain(|schema| !shapes::is_null(schema));
    if list.len() == all {
        return false;
    }
    if list.is_empty() {
        keywords.shift_remove(name);
        keywords.insert("enum".to_owned(), json!([null]));
        return true;
    }
    if list.len() == 1 {
        let only = list.swap_remove(0);
        keywords.shift_remove(name);
        absorb(keywords, only);
    }
    true
}

/// Puts the only alternative that is left into the schema around it.
fn absorb(keywords: &mut Map, only: Value) {
    match only {
        Value::Object(inner)
            if !inner.contains_key("$ref") && keywords.keys().all(|name| is_annotation(name)) =>
        {
            for (name, value) in inner {
                keywords.entry(name).or_insert(value);
            }
        }
        only => add_all_of(keywords, only),
    }
}

/// Encoded or raw bytes have a format in 3.0.
fn bytes(keywords: &mut Map, types: &[String]) {
    let encoding = keywords.shift_remove("contentEncoding");
    let media_type = keywords.shift_remove("contentMediaType");
    if keywords.contains_key("format") || !types.iter().any(|name| name == "string") {
        return;
    }
    let format = match (encoding.as_ref().and_then(Value::as_str), media_type) {
        (Some("base64" | "base64url"), _) => "byte",
        (None, Some(Value::String(kind))) if !is_json(&kind) && !kind.starts_with("text/") => {
            "binary"
        }
        _ => return,
    };
    keywords.insert("format".to_owned(), format.into());
}

/// An alternative for each type.
fn several_types(mut keywords: Map, types: &[String], nullable: bool) -> Map {
    let mut out = take_annotations(&mut keywords);
    let mut alternatives = Vec::new();
    for mut alternative in split(&mut keywords, types) {
        if nullable {
            alternative.insert("nullable".to_owned(), true.into());
        }
        if alternative.get("type") == Some(&json!("array")) {
            tuple(&mut alternative);
            alternative.entry("items").or_insert_with(|| json!({}));
        }
        alternative.retain(|name, _| KNOWN.contains(&name.as_str()));
        alternatives.push(Value::Object(alternative));
    }
    keywords.retain(|name, _| KNOWN.contains(&name.as_str()));
    out.extend(shapes::any_of(alternatives, keywords));
    out
}
