//! A type beside a name → a schema, and how a list is written.

use crate::openapi::{Map, Value, json};

use super::super::Action;
use super::ledger::Ledger;

/// Fields of a parameter, header or `items` of Swagger 2.0 that belong to its schema.
const FIELDS: &[&str] = &[
    "type",
    "format",
    "items",
    "enum",
    "default",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "nullable",
    "x-nullable",
    // Not of 2.0, but written all the same.
    "properties",
    "additionalProperties",
    "minProperties",
    "maxProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
];
/// Deepest list of lists.
const MAX_DEPTH: usize = 64;
/// Longest list of values that is told in a description.
const MAX_TOLD: usize = 20;

/// Where a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Location {
    /// `path`
    Path,
    /// `query`, and `cookie` that only 3.0 knows
    Query,
    /// `header`, and headers of responses
    Header,
    /// `formData`
    Form,
}

/// What separates the items of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    /// `csv`
    Comma,
    /// `ssv`
    Space,
    /// `tsv`
    Tab,
    /// `pipes`
    Pipe,
    /// `multi`: nothing, the name is repeated.
    Repeated,
}

impl Separator {
    /// From `collectionFormat`.
    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "csv" => Self::Comma,
            "ssv" => Self::Space,
            "tsv" => Self::Tab,
            "pipes" => Self::Pipe,
            "multi" => Self::Repeated,
            _ => return None,
        })
    }

    /// Whether 3.0 can write such a list there.
    fn fits(self, location: Location) -> bool {
        match location {
            Location::Path | Location::Header => matches!(self, Self::Comma | Self::Repeated),
            Location::Query | Location::Form => self != Self::Tab,
        }
    }

    /// `style` and `explode`, where they are not what 3.0 takes for granted.
    fn style(self, location: Location) -> Option<(&'static str, bool)> {
        match (location, self) {
            (Location::Path | Location::Header, _) | (_, Self::Tab) => None,
            (_, Self::Comma) => Some(("form", false)),
            (_, Self::Repeated) => Some(("form", true)),
            (_, Self::Space) => Some(("spaceDelimited", false)),
            (_, Self::Pipe) => Some(("pipeDelimited", false)),
        }
    }

    /// The character, and what it is called.
    fn character(self) -> (&'static str, &'static str) {
        match self {
            Self::Comma | Self::Repeated => (",", "commas"),
            Self::Space => (" ", "spaces"),
            Self::Tab => ("\t", "tabs"),
            Self::Pipe => ("|", "pipes (`|`)"),
        }
    }
}

/// How a value is written, in the words of 3.0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    /// What stands beside the name.
    pub(super) schema: Map,
    /// `style` and `explode`, where they are not what 3.0 takes for granted.
    pub(super) style: Option<(&'static str, bool)>,
    /// What a caller has to know besides, one sentence.
    pub(super) hint: Option<String>,
}

/// Takes the fields of its schema out of a parameter or header. `None`: there are none.
pub(super) fn take(
    map: &mut Map,
    location: Location,
    at: &str,
    ledger: &mut Ledger,
) -> Option<Written> {
    let separator = separator(map, at, ledger);
    let mut schema = Map::new();
    // `required` is a flag of the parameter, unless it lists properties.
    let names = map.get("required").is_some_and(Value::is_array);
    let all = std::mem::take(map);
    for (name, value) in all {
        let belongs = FIELDS.contains(&name.as_str()) || (names && name == "required");
        let into = if belongs { &mut schema } else { &mut *map };
        into.insert(name, value);
    }
    if schema.is_empty() && separator.is_none() {
        return None;
    }
    if schema.contains_key("items") && !schema.contains_key("type") {
        schema.insert("type".to_owned(), "array".into());
    }
    if schema.get("type").and_then(Value::as_str) != Some("array") {
        return Some(Written {
            schema,
            style: None,
            hint: None,
        });
    }
    if let Some(items) = schema.get_mut("items") {
        inner_list(items, at, 0, ledger);
    }
    let separator = separator.unwrap_or(Separator::Comma);
    if separator.fits(location) {
        let style = separator.style(location);
        if separator == Separator::Repeated && style.is_none() {
            let reason = "`multi` is for queries and forms only; its items are separated by commas";
            ledger.note(at, Action::Repaired, reason);
        }
        let hint = None;
        return Some(Written {
            schema,
            style,
            hint,
        });
    }
    let hint = Some(as_text(&mut schema, separator));
    let (_, name) = separator.character();
    let reason = format!(
        "its items are separated by {name}, which OpenAPI 3.0 can not say here: \
         it is published as a text"
    );
    ledger.note(at, Action::Simplified, reason);
    let style = None;
    Some(Written {
        schema,
        style,
        hint,
    })
}

/// Takes `collectionFormat`.
fn separator(map: &mut Map, at: &str, ledger: &mut Ledger) -> Option<Separator> {
    let written = map.shift_remove("collectionFormat")?;
    let separator = written.as_str().and_then(Separator::parse);
    if separator.is_none() && !written.is_null() {
        let reason = "its collectionFormat is none that Swagger 2.0 knows; csv is used";
        ledger.note(at, Action::Simplified, reason);
    }
    separator
}

/// Lists in a list: 3.0 can not say how they are written, so they are texts.
fn inner_list(items: &mut Value, at: &str, depth: usize, ledger: &mut Ledger) {
    let Value::Object(map) = items else {
        return;
    };
    let separator = separator(map, at, ledger).unwrap_or(Separator::Comma);
    let list = map.get("type").and_then(Value::as_str) == Some("array");
    if !list || depth > MAX_DEPTH {
        return;
    }
    let hint = as_text(map, separator);
    map.insert("description".to_owned(), hint.into());
    let reason =
        "lists in its list can not be described in OpenAPI 3.0: they are published as texts";
    ledger.note(at, Action::Simplified, reason);
}

/// Makes a text of a list, and says what a caller has to know.
fn as_text(schema: &mut Map, separator: Separator) -> String {
    let (character, name) = separator.character();
    let mut hint = format!("A list, its items separated by {name}.");
    let allowed = schema.get("items").and_then(|items| items.get("enum"));
    let allowed: Vec<String> = texts(allowed);
    if (1..=MAX_TOLD).contains(&allowed.len()) {
        hint = format!("{hint} Each is one of: {}.", allowed.join(", "));
    }
    let default = texts(schema.get("default"));
    schema.retain(|name, _| name.starts_with("x-") || name == "nullable");
    schema.insert("type".to_owned(), "string".into());
    if !default.is_empty() {
        schema.insert("default".to_owned(), default.join(character).into());
    }
    hint
}

/// The items of a list as they are written.
fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array);
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    list.into_iter().flatten().filter_map(text).collect()
}

/// A description with one more sentence.
pub(super) fn with_hint(map: &mut Map, hint: Option<String>) {
    let Some(hint) = hint else {
        return;
    };
    let text = match map.get("description").and_then(Value::as_str) {
        Some(text) if !text.trim().is_empty() => format!("{} {hint}", text.trim_end()),
        _ => hint,
    };
    map.insert("description".to_owned(), json!(text));
}
