//! What two values of the same keyword are together.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::openapi::{Map, Value, json};

/// Why two schemas are not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fail {
    /// No value fits both.
    Never,
    /// There is no way to say it, or it is too much to say.
    Unclear,
    /// A schema would be written out that leads back to itself.
    Recursive,
}

/// The tighter of two bounds: the larger, or the smaller.
pub(super) fn tighter(a: &Value, b: &Value, larger: bool) -> Result<Value, Fail> {
    let (first, second) = (a.to_string(), b.to_string());
    if first == second {
        return Ok(a.clone());
    }
    let less = if let (Ok(x), Ok(y)) = (first.parse::<i128>(), second.parse::<i128>()) {
        x < y
    } else {
        let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) else {
            return Err(Fail::Unclear);
        };
        match x.partial_cmp(&y) {
            Some(Ordering::Less) => true,
            Some(Ordering::Greater) => false,
            // What differs in its digits alone may be equal or not.
            _ => return Err(Fail::Unclear),
        }
    };
    Ok(if less == larger { b.clone() } else { a.clone() })
}

/// The types that both allow.
pub(super) fn types(a: &Value, b: &Value) -> Result<Value, Fail> {
    match (a.as_str(), b.as_str()) {
        (Some(x), Some(y)) if x == y => Ok(a.clone()),
        (Some("integer"), Some("number")) => Ok(a.clone()),
        (Some("number"), Some("integer")) => Ok(b.clone()),
        (Some(_), Some(_)) => Err(Fail::Never),
        _ => Err(Fail::Unclear),
    }
}

/// The names of both.
pub(super) fn union(a: &Value, b: &Value) -> Result<Value, Fail> {
    let (Value::Array(a), Value::Array(b)) = (a, b) else {
        return Err(Fail::Unclear);
    };
    let mut seen = HashSet::new();
    let all = a.iter().chain(b);
    let names = all.filter(|name| name.as_str().is_some_and(|name| seen.insert(name)));
    Ok(names.cloned().collect())
}

/// The values that both list, in the order of the first.
pub(super) fn common(a: &Value, b: &Value) -> Result<Value, Fail> {
    let (Value::Array(a), Value::Array(b)) = (a, b) else {
        return Err(Fail::Unclear);
    };
    if !a.iter().chain(b).all(plain) {
        return Err(Fail::Unclear);
    }
    let others: HashSet<String> = b.iter().map(Value::to_string).collect();
    let both: Vec<Value> = a
        .iter()
        .filter(|value| others.contains(&value.to_string()))
        .cloned()
        .collect();
    if both.is_empty() {
        return Err(Fail::Never);
    }
    Ok(Value::Array(both))
}

/// Whether a value is equal to another exactly if it is written in the same way: 1 and 1.0 are
/// the same, and so are objects with another order of members.
fn plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => {
            let text = number.to_string();
            let digits = text.strip_prefix('-').unwrap_or(&text);
            digits.bytes().all(|b| b.is_ascii_digit()) && text != "-0"
        }
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether a value is of a type; `None`: that can not be told.
fn is_of(value: &Value, kind: &str) -> Option<bool> {
    Some(match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
        Value::Number(_) if kind == "number" => true,
        Value::Number(_) if kind == "integer" => plain(value).then_some(true)?,
        Value::Number(_) => false,
    })
}

/// Drops the values that the other keywords of a schema refuse.
pub(super) fn settle(schema: &mut Map, nullable: bool) -> Result<(), Fail> {
    if let Some(only) = schema.get("const").filter(|only| plain(only))
        && let Some(listed) = schema.get("enum")
    {
        common(&json!([only]), listed)?;
        schema.shift_remove("enum");
    }
    let kind = schema
        .get("type")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let Some(kind) = kind {
        let fits =
            |value: &Value| (nullable && value.is_null()) || is_of(value, &kind) != Some(false);
        if schema.get("const").is_some_and(|only| !fits(only)) {
            return Err(Fail::Never);
        }
        if let Some(Value::Array(listed)) = schema.get_mut("enum") {
            listed.retain(fits);
            if listed.is_empty() {
                return Err(Fail::Never);
            }
        }
    }
    let refused = |default: &Value| {
        let listed = schema.get("enum").and_then(Value::as_array);
        let listed = listed.is_some_and(|listed| !listed.contains(default));
        listed || schema.get("const").is_some_and(|only| only != default)
    };
    let null = nullable && schema.get("default") == Some(&Value::Null);
    if !null && schema.get("default").is_some_and(refused) {
        schema.shift_remove("default");
    }
    Ok(())
}

/// Whether a schema allows null, as far as its own keywords say; without `nullable`.
pub(super) fn allows_null(schema: &Map) -> Option<bool> {
    if let Some(kind) = schema.get("type") {
        return (kind != "null").then_some(false);
    }
    if let Some(Value::Array(listed)) = schema.get("enum")
        && !listed.contains(&Value::Null)
    {
        return Some(false);
    }
    let opaque = [
        "enum", "const", "not", "allOf", "anyOf", "oneOf", "if", "then", "else", "$ref",
    ];
    let silent = !opaque.iter().any(|name| schema.contains_key(name));
    silent.then_some(true)
}
