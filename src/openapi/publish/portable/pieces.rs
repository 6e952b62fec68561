//! Pieces of schemas: what is said, what restricts, what belongs together.

use crate::openapi::{Map, Value, json};

use super::super::Target;
use super::super::keywords::is_annotation;
use super::meet::Schema;
use super::values::{Fail, tighter};

/// A reference with texts beside it, as a version writes it.
pub(super) fn refer(version: Target, name: &str, said: Schema, nullable: bool) -> Value {
    let reference = format!("#/components/schemas/{name}");
    let mut out = Map::new();
    if version == Target::V3_0_1 && (nullable || !said.is_empty()) {
        out.insert("allOf", json!([{ "$ref": reference }]));
    } else {
        out.insert("$ref".to_owned(), reference.into());
    }
    out.extend(said);
    if nullable {
        out.insert("nullable".to_owned(), true.into());
    }
    Value::Object(out)
}

/// Two schemas that stay two.
pub(super) fn two(a: &Value, b: &Value) -> Value {
    let list = a.get("allOf").and_then(Value::as_array);
    let alone = a.as_object().is_some_and(|map| map.len() == 1);
    let mut all = match list {
        Some(list) if alone && list.len() > 1 => list.clone(),
        _ => vec![a.clone()],
    };
    all.push(b.clone());
    json!({ "allOf": all })
}

/// A reference has nothing beside it in 3.0, and comes first in 3.1.
pub(super) fn tidy(version: Target, mut schema: Schema) -> Schema {
    let Some(reference) = schema.get("$ref").cloned().filter(|_| schema.len() > 1) else {
        return schema;
    };
    schema.shift_remove("$ref");
    let first = if version == Target::V3_0_1 {
        ("allOf".into(), json!([{ "$ref": reference }]))
    } else {
        ("$ref".into(), reference)
    };
    std::iter::once(first).chain(schema).collect()
}

/// The texts and the like of a schema.
pub(super) fn annotations(schema: &Schema) -> Schema {
    let said = schema.iter().filter(|(name, _)| is_annotation(name));
    said.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What a schema has besides.
pub(super) fn assertions(schema: &Schema) -> Schema {
    let rest = schema.iter().filter(|(name, _)| !is_annotation(name));
    rest.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Takes `nullable` out.
pub(super) fn take_nullable(schema: &mut Schema) -> bool {
    schema.shift_remove("nullable") == Some(Value::Bool(true))
}

/// Which alternatives a schema has.
pub(super) fn alternatives(schema: &Schema) -> Result<Option<&'static str>, Fail> {
    match (schema.get("anyOf"), schema.get("oneOf")) {
        (None, None) => Ok(None),
        (Some(Value::Array(_)), None) => Ok(Some("anyOf")),
        (None, Some(Value::Array(_))) => Ok(Some("oneOf")),
        _ => Err(Fail::Unclear),
    }
}

/// Whether a schema describes an object in a way that readers look for in each alternative.
pub(super) fn is_structured(schema: &Schema) -> bool {
    [
        "properties",
        "patternProperties",
        "additionalProperties",
        "required",
    ]
    .iter()
    .any(|name| schema.contains_key(name))
}

/// Alternatives, and what holds for all of them.
pub(super) fn beside(key: &str, list: Vec<Value>, rest: Value, said: [Schema; 2]) -> Schema {
    let mut out = Schema::new();
    for said in said {
        out.extend(said);
    }
    if let Value::Object(rest) = rest {
        out.extend(rest);
    }
    out.insert(key.to_owned(), list.into());
    out
}

/// The members of a keyword.
pub(super) fn named(schema: &Schema, name: &str) -> Map {
    let members = schema.get(name).and_then(Value::as_object);
    members.cloned().unwrap_or_default()
}

/// `additionalProperties`, if it restricts anything.
pub(super) fn restriction(more: Option<&Value>) -> Option<&Value> {
    match more? {
        Value::Bool(true) => None,
        Value::Object(map) if map.keys().all(|name| is_annotation(name)) => None,
        more => Some(more),
    }
}

/// Keywords that depend on each other have to be on one side, or the same on both.
pub(super) fn apart(a: &Schema, b: &Schema) -> Result<(), Fail> {
    for group in [
        ["prefixItems", "items", "additionalItems"].as_slice(),
        &["contains", "minContains", "maxContains"],
        &["if", "then", "else"],
        &["contentEncoding", "contentMediaType", "contentSchema"],
    ] {
        if group[0] == "prefixItems" && !a.contains_key(group[0]) && !b.contains_key(group[0]) {
            continue;
        }
        let has = |schema: &Schema| group.iter().any(|name| schema.contains_key(name));
        if has(a) && has(b) && group.iter().any(|name| a.get(name) != b.get(name)) {
            return Err(Fail::Unclear);
        }
    }
    Ok(())
}

/// A bound of 3.0 and the flag that excludes it: of two, the tighter.
pub(super) fn excluded(
    a: &mut Schema,
    b: &mut Schema,
    bound: &str,
    flag: &str,
    larger: bool,
) -> Result<(), Fail> {
    for schema in [&mut *a, &mut *b] {
        if !schema.contains_key(bound) || schema.get(flag) == Some(&Value::Bool(false)) {
            schema.shift_remove(flag);
        }
    }
    let (Some(first), Some(second)) = (a.get(bound), b.get(bound)) else {
        return Ok(());
    };
    let tight = tighter(first, second, larger)?;
    let is_excluded =
        |schema: &Schema| schema.contains_key(flag) && schema.get(bound) == Some(&tight);
    let excluded = is_excluded(a) || is_excluded(b);
    for schema in [&mut *a, &mut *b] {
        schema.shift_remove(flag);
    }
    b.shift_remove(bound);
    a.insert(bound.to_owned(), tight);
    if excluded {
        a.insert(flag.to_owned(), true.into());
    }
    Ok(())
}
