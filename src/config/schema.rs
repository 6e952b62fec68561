//! The JSON Schema (2020-12) of a configuration, from the description of its keys.

use serde_json::{Map, Value, json};

use super::keys::{Absent, Key, Kind, ROOT, Table};
use super::values;

/// A string with a reference in it means what the reference gives, so any such string passes.
const REFERENCE: &str = r"\$\{(env|file):";

/// The JSON Schema of a configuration, for editors: descriptions, defaults, no unknown keys.
/// What only several keys together show (one of `secret` and `sha256`, say), `load` checks.
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plugway",
    });
    merge(&mut schema, table(&ROOT));
    schema
}

/// A table: its keys and no others.
fn table(table: &Table) -> Value {
    let properties: Map<String, Value> = table
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = table
        .keys
        .iter()
        .filter(|key| matches!(key.absent, Absent::Required))
        .map(|key| key.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A key: its values, its description, its default.
fn property(key: &Key) -> Value {
    let mut schema = kind(&key.kind);
    schema["description"] = json!(key.doc);
    match key.absent {
        Absent::Text(text) => schema["default"] = json!(text),
        Absent::Number(number) => schema["default"] = json!(number),
        Absent::List(list) => schema["default"] = json!(list),
        Absent::Required | Absent::Unset => {}
    }
    schema
}

/// The values of a kind.
fn kind(described: &Kind) -> Value {
    match described {
        // A date and time of TOML reaches a schema as a string.
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Kind::Text(_) | Kind::Url(_) | Kind::Time => json!({ "type": "string" }),
        Kind::Fingerprint => json!({
            "type": "string",
            "pattern": format!("^[0-9A-Fa-f]{{64}}$|{REFERENCE}"),
        }),
        Kind::Secret => json!({ "type": "string", "pattern": REFERENCE }),
        Kind::Choice(choices) => {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            json!({ "anyOf": [{ "enum": names }, { "type": "string", "pattern": REFERENCE }] })
        }
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Duration { min, max } => json!({
            "type": "string",
            "pattern": format!("^[0-9]+ ?(ms|s|m|h|d)$|{REFERENCE}"),
            "$comment": format!(
                "{} to {}",
                values::write_duration(*min),
                values::write_duration(*max)
            ),
        }),
        Kind::Rate { off } => json!({
            "type": "string",
            "pattern": format!(
                "^({}[0-9]+ ?/ ?(s|min|h|day))$|{REFERENCE}",
                if *off { "off|" } else { "" }
            ),
        }),
        Kind::Size { min, max } => json!({
            "anyOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                {
                    "type": "string",
                    "pattern": format!("^[0-9]+ ?([KMGT]i?)?B$|{REFERENCE}"),
                },
            ],
        }),
        Kind::List(item) => json!({ "type": "array", "items": kind(item) }),
        Kind::OneOrMany(item) => json!({
            "anyOf": [
                kind(item),
                { "type": "array", "items": kind(item), "minItems": 1 },
            ],
        }),
        Kind::Map(item) => json!({ "type": "object", "additionalProperties": kind(item) }),
        Kind::Table(inner) => table(inner),
        Kind::Tables(inner) => json!({ "type": "array", "items": table(inner) }),
        Kind::Named(inner) => json!({ "type": "object", "additionalProperties": table(inner) }),
        Kind::Either(one, other) => json!({ "anyOf": [kind(one), kind(other)] }),
    }
}

/// Adds the members of one object to another.
fn merge(schema: &mut Value, other: Value) {
    if let (Value::Object(schema), Value::Object(other)) = (schema, other) {
        schema.extend(other);
    }
}
