//! Schemas of `OpenAPI` 3.1.
//!
//! JSON Schema allows a list of types; many clients do not. Each type becomes an alternative of
//! `anyOf`, null included.

use crate::openapi::{Map, Value, json};

use super::keywords::is_annotation;
use super::schema::Draft;
use super::shapes::{self, all_types, split, take_annotations, take_flag};

/// The last step of a schema.
pub(super) fn finish(draft: Draft) -> Value {
    let Draft {
        reference,
        written,
        mut keywords,
        ..
    } = draft;
    let nullable = take_flag(&mut keywords, "nullable");
    exclusive(&mut keywords, "minimum", "exclusiveMinimum");
    exclusive(&mut keywords, "maximum", "exclusiveMaximum");
    let (types, null) = all_types(&keywords, reference.is_some());
    let typed = !types.is_empty();
    // A type that is written holds beside a reference too.
    if (!typed && null) || (reference.is_none() && shapes::values_are_null(&keywords)) {
        let mut out = take_annotations(&mut keywords);
        out.insert("type".to_owned(), "null".into());
        return Value::Object(out);
    }
    let said = !typed && keywords.keys().all(|name| is_annotation(name));
    let written = match written {
        Some(Value::Object(mut written)) if said && !nullable && !null => {
            written.extend(keywords);
            return Value::Object(written);
        }
        written => written,
    };
    if let (false, false, [] | [_]) = (nullable, null, types.as_slice()) {
        if let Some(only) = types.first() {
            keywords.insert("type".to_owned(), only.as_str().into());
        }
        return Value::Object(with_reference(reference, keywords));
    }
    let mut out = take_annotations(&mut keywords);
    let inner = match written {
        // It stands alone once null and texts stand elsewhere.
        Some(Value::Object(written)) if keywords.is_empty() && types.is_empty() => written,
        _ => with_reference(reference, keywords),
    };
    // `nullable` beside nothing that would refuse null says nothing.
    let null = null || (nullable && !inner.is_empty());
    let inner = match types.as_slice() {
        [] => inner,
        [only] => one_type(inner, only),
        several => several_types(inner, several),
    };
    out.extend(if null { or_null(inner) } else { inner });
    Value::Object(out)
}

/// The keywords with `$ref` before them.
fn with_reference(reference: Option<String>, keywords: Map) -> Map {
    let reference = reference.map(|reference| ("$ref".into(), Value::from(reference)));
    reference.into_iter().chain(keywords).collect()
}

/// A single type before its keywords.
fn one_type(mut inner: Map, only: &str) -> Map {
    inner.shift_remove("type");
    let only = ("type".into(), Value::from(only));
    std::iter::once(only).chain(inner).collect()
}

/// An alternative for each type.
fn several_types(mut inner: Map, types: &[String]) -> Map {
    let alternatives = split(&mut inner, types)
        .into_iter()
        .map(Value::Object)
        .collect();
    shapes::any_of(alternatives, inner)
}

/// The schema, or null.
fn or_null(mut inner: Map) -> Map {
    // Null has its own alternative now.
    if let Some(Value::Array(values)) = inner.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let alone = inner.len() == 1 && inner.get("anyOf").is_some_and(Value::is_array);
    let mut alternatives = if alone {
        inner
            .into_iter()
            .flat_map(|(_, list)| into_list(list))
            .collect()
    } else {
        vec![Value::Object(inner)]
    };
    if !alternatives.iter().any(shapes::is_null) {
        alternatives.push(json!({ "type": "null" }));
    }
    Map::from_iter([("anyOf".to_owned(), Value::Array(alternatives))])
}

/// The items of a list.
fn into_list(list: Value) -> Vec<Value> {
    match list {
        Value::Array(list) => list,
        other => vec![other],
    }
}

/// The boolean of 3.0 becomes the bound itself.
fn exclusive(keywords: &mut Map, bound: &str, name: &str) {
    let Some(Value::Bool(flag)) = keywords.get(name) else {
        return;
    };
    match keywords.get(bound).cloned().filter(|_| *flag) {
        Some(value) => {
            keywords.insert(name.to_owned(), value);
            keywords.shift_remove(bound);
        }
        None => {
            keywords.shift_remove(name);
        }
    }
}
