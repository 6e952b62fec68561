//! Lists of values that generators make types of.

use std::collections::{HashMap, HashSet};

use crate::openapi::{Map, Value, json};

use super::super::Target;
use super::allows::key;
use super::visit;

/// Names of the values, for generators that know them.
const NAMES: &str = "x-enum-varnames";

/// Removes values that are listed twice, and names those that generators would name alike.
pub(in super::super) fn name_values(document: &mut Value) {
    let mut places = Vec::new();
    visit::schemas(document, |spot, schema| {
        let values = schema.get("enum").and_then(Value::as_array);
        let names = schema.get(NAMES);
        let twice = values.is_some_and(|values| has_twice(values, key));
        let alike = values.is_some_and(|values| has_twice(values, name_of)) && names.is_none();
        let unusable = names.is_some_and(|names| !are_usable(names, values));
        if twice || alike || unusable {
            places.push(spot.pointer.to_owned());
        }
    });
    visit::change(document, &places, |_, schema| mend(schema));
}

/// A schema that is null alone lists null, which generators know; they know the type null only
/// as an alternative.
pub(in super::super) fn list_null(document: &mut Value, target: Target) {
    if target == Target::V3_0_1 {
        return;
    }
    let mut places = Vec::new();
    visit::schemas(document, |spot, schema| {
        if !spot.alternative && schema.get("type") == Some(&json!("null")) {
            places.push(spot.pointer.to_owned());
        }
    });
    visit::change(document, &places, |_, schema| {
        schema.shift_remove("type");
        schema.insert("enum".to_owned(), json!([null]));
    });
}

/// Whether two values have something in common.
fn has_twice(values: &[Value], common: fn(&Value) -> String) -> bool {
    let mut seen = HashSet::new();
    !values.iter().all(|value| seen.insert(common(value)))
}

/// What generators make of a value: upper-case letters and digits of ASCII.
fn name_of(value: &Value) -> String {
    let Value::String(text) = value else {
        // The names of other values tell them apart.
        return key(value);
    };
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c.to_ascii_uppercase());
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    name
}

/// Whether these are names for these values, each another.
fn are_usable(names: &Value, values: Option<&Vec<Value>>) -> bool {
    let (Value::Array(names), Some(values)) = (names, values) else {
        return false;
    };
    let mut seen = HashSet::new();
    let usable = |name: &Value| {
        let Value::String(name) = name else {
            return false;
        };
        let head = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        head && rest && seen.insert(name.to_ascii_uppercase())
    };
    names.len() == values.len() && names.iter().all(usable)
}

/// Makes the values distinct, and their names.
fn mend(schema: &mut Map) {
    drop_twice(schema);
    let values = schema.get("enum").and_then(Value::as_array);
    if schema
        .get(NAMES)
        .is_some_and(|names| !are_usable(names, values))
    {
        schema.shift_remove(NAMES);
    }
    let Some(Value::Array(values)) = schema.get("enum") else {
        return;
    };
    if !schema.contains_key(NAMES) && has_twice(values, name_of) {
        let names = names_for(values);
        schema.insert(NAMES.to_owned(), names);
    }
}

/// Drops values that are listed already, and what is said of them in lists beside.
fn drop_twice(schema: &mut Map) {
    let Some(Value::Array(values)) = schema.get("enum") else {
        return;
    };
    let mut seen = HashSet::new();
    let kept: Vec<bool> = values.iter().map(|value| seen.insert(key(value))).collect();
    if kept.iter().all(|kept| *kept) {
        return;
    }
    for (name, list) in schema.iter_mut() {
        if (name == "enum" || name.starts_with("x-enum"))
            && let Value::Array(list) = list
            && list.len() == kept.len()
        {
            let mut kept = kept.iter();
            list.retain(|_| kept.next() == Some(&true));
        }
    }
}

/// A name for each value.
fn names_for(values: &[Value]) -> Value {
    let mut used: HashSet<String> = HashSet::new();
    let mut next: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::with_capacity(values.len());
    for value in values {
        let text = match value {
            Value::String(_) => name_of(value),
            other => name_of(&Value::from(other.to_string())),
        };
        let mut base = text.trim_matches('_').to_owned();
        if !base.starts_with(|c: char| c.is_ascii_alphabetic()) {
            base.insert_str(0, if base.is_empty() { "VALUE" } else { "VALUE_" });
        }
        let count = next.entry(base.clone()).or_default();
        let mut name = base.clone();
        *count += 1;
        if *count > 1 {
            name = format!("{base}_{count}");
        }
        while !used.insert(name.clone()) {
            *count += 1;
            name = format!("{base}_{count}");
        }
        names.push(Value::from(name));
    }
    names.into()
}
