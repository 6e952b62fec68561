//! Parameters: those that stay parameters, and those that describe the body of a request.

use std::rc::Rc;

use crate::openapi::{Map, Value};

use super::super::Action;
use super::super::pointer;
use super::Conversion;
use super::ledger::Ledger;
use super::survey::Survey;
use super::values::{self, Location};

/// A parameter of Swagger 2.0, as `OpenAPI` 3.0 sees it.
#[derive(Debug)]
pub(super) enum Parsed {
    /// `in: body`
    Body(Box<Body>),
    /// `in: formData`
    Field(Field),
    /// Any other, in its new form.
    Other(Map),
}

/// A body parameter.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// Where it stands.
    pub(super) old: String,
    /// Where its schema stands: in it, or beside its name.
    pub(super) schema_at: String,
    /// `name`
    pub(super) name: String,
    /// `description`
    pub(super) description: Option<Value>,
    /// `required`
    pub(super) required: bool,
    /// `schema`
    pub(super) schema: Option<Value>,
    /// `x-example`, `x-examples` and the like: by media type, or one for all.
    pub(super) example: Option<Value>,
    /// `x-` fields.
    pub(super) extensions: Map,
}

/// A form field.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Where it stands.
    pub(super) old: String,
    /// `name`
    pub(super) name: String,
    /// `required`
    pub(super) required: bool,
    /// Whether it is a file.
    pub(super) file: bool,
    /// What is in it.
    pub(super) schema: Value,
    /// `style` and `explode`
    pub(super) style: Option<(&'static str, bool)>,
}

/// What is meant by `in`, however it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum In {
    /// `body`
    Body,
    /// `formData`
    Form,
    /// A parameter of 3.0, and how that writes it.
    Parameter(Location, &'static str),
    /// None that is known.
    Unknown,
}

/// What is meant by `in`.
pub(super) fn location(map: &Map) -> In {
    let written = map.get("in").and_then(Value::as_str).unwrap_or_default();
    match written.trim().to_ascii_lowercase().as_str() {
        "body" => In::Body,
        "formdata" | "form" => In::Form,
        "path" => In::Parameter(Location::Path, "path"),
        "query" => In::Parameter(Location::Query, "query"),
        "header" => In::Parameter(Location::Header, "header"),
        "cookie" => In::Parameter(Location::Query, "cookie"),
        _ => In::Unknown,
    }
}

/// Reads a parameter.
pub(super) fn parse(map: Map, at: &str, ledger: &mut Ledger) -> Parsed {
    match location(&map) {
        In::Body => Parsed::Body(Box::new(body(map, at, ledger))),
        In::Form if map.get("name").is_some_and(Value::is_string) => {
            Parsed::Field(field(map, at, ledger))
        }
        In::Form => {
            ledger.note(
                at,
                Action::Skipped,
                "a form field without a name is left out",
            );
            // An empty field list says the same.
            Parsed::Other(map)
        }
        In::Parameter(location, written) => {
            Parsed::Other(ordinary(map, location, written, at, ledger))
        }
        In::Unknown => Parsed::Other(map),
    }
}

/// Whether it is required, as it may be written.
fn is_required(map: &Map) -> bool {
    match map.get("required") {
        Some(Value::Bool(flag)) => *flag,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

/// Its name; empty if it has none.
fn name(map: &Map) -> String {
    let name = map.get("name").and_then(Value::as_str);
    name.unwrap_or_default().to_owned()
}

/// A body parameter.
fn body(mut map: Map, at: &str, ledger: &mut Ledger) -> Body {
    let schema = map
        .shift_remove("schema")
        .filter(|schema| !schema.is_null());
    let required = is_required(&map);
    let inside = schema.is_some();
    let beside = values::take(&mut map, Location::Form, at, ledger);
    let schema = schema.or_else(|| {
        let beside = beside?;
        ledger.note(
            at,
            Action::Repaired,
            "the type beside its name is read as its schema",
        );
        Some(Value::Object(beside.schema))
    });
    if schema.is_none() {
        ledger.note(
            at,
            Action::Repaired,
            "the body has no schema and may be of any kind",
        );
    }
    let example = ["x-examples", "x-example", "examples", "example"]
        .iter()
        .find_map(|name| map.shift_remove(name));
    Body {
        old: at.to_owned(),
        schema_at: if inside {
            format!("{at}/schema")
        } else {
            at.to_owned()
        },
        name: name(&map),
        description: map.shift_remove("description"),
        required,
        schema,
        example,
        extensions: map
            .into_iter()
            .filter(|(name, _)| name.starts_with("x-"))
            .collect(),
    }
}

/// A form field.
fn field(mut map: Map, at: &str, ledger: &mut Ledger) -> Field {
    let name = name(&map);
    let required = is_required(&map);
    map.shift_remove("required");
    // As 3.0 writes it, which some mix in.
    let own = map.shift_remove("schema").filter(Value::is_object);
    let written = values::take(&mut map, Location::Form, at, ledger);
    let (mut schema, style, hint) = match (own, written) {
        (Some(Value::Object(own)), _) => (own, None, None),
        (_, Some(written)) => (written.schema, written.style, written.hint),
        (_, None) => (Map::new(), None, None),
    };
    let typed = schema.keys().any(|name| !name.starts_with("x-"));
    if !typed {
        schema.insert("type".to_owned(), "string".into());
    }
    let file = schema.get("type").and_then(Value::as_str) == Some("file");
    if !pointer::is_reference(&schema) {
        for name in ["description", "title", "example"] {
            if let Some(value) = map.shift_remove(name) {
                schema.entry(name).or_insert(value);
            }
        }
        if let Some(value) = map.shift_remove("x-example") {
            schema.entry("example").or_insert(value);
        }
        values::with_hint(&mut schema, hint);
        schema.extend(map.into_iter().filter(|(name, _)| name.starts_with("x-")));
    }
    Field {
        old: at.to_owned(),
        name,
        required,
        file,
        schema: Value::Object(schema),
        style,
    }
}

/// A parameter that stays one.
fn ordinary(mut map: Map, location: Location, written: &str, at: &str, ledger: &mut Ledger) -> Map {
    if map.get("in").and_then(Value::as_str) != Some(written) {
        ledger.note(
            at,
            Action::Repaired,
            format!("its `in` is read as `{written}`"),
        );
        map.insert("in".to_owned(), written.into());
    }
    if map.get("required").is_some_and(Value::is_string) {
        let required = is_required(&map);
        map.insert("required".to_owned(), required.into());
    }
    if !map.contains_key("example")
        && let Some(example) = map.shift_remove("x-example")
    {
        map.insert("example".to_owned(), example);
    }
    if map.contains_key("content") {
        return map;
    }
    let own = map
        .get("schema")
        .is_some_and(|schema| schema.is_object() || schema.is_boolean());
    let Some(value) = values::take(&mut map, location, at, ledger) else {
        return map;
    };
    // A schema as 3.0 writes it says all.
    if !own {
        values::with_hint(&mut map, value.hint);
        map.insert("schema".to_owned(), Value::Object(value.schema));
    }
    if let Some((style, explode)) = value.style {
        map.entry("style").or_insert_with(|| style.into());
        map.entry("explode").or_insert_with(|| explode.into());
    }
    map
}

impl Conversion<'_> {
    /// A list of parameters: those that stay, and those that describe the body.
    pub(super) fn parameters(&mut self, value: Value, at: &str) -> (Vec<Value>, Vec<Rc<Parsed>>) {
        let mut stay = Vec::new();
        let mut body = Vec::new();
        for (segment, value) in self.list(value, at) {
            let old = pointer::join(at, &segment);
            let mut new = at.to_owned();
            pointer::push_index(&mut new, stay.len());
            let map = match value {
                Value::Object(map) => map,
                other => {
                    self.ledger.moved(&old, &new);
                    stay.push(other);
                    continue;
                }
            };
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                if let Some(shared) = self.survey.shared(reference) {
                    body.push(shared);
                } else {
                    self.ledger.moved(&old, &new);
                    stay.push(Value::Object(map));
                }
                continue;
            }
            let own_schema = map.contains_key("schema");
            match parse(map, &old, self.ledger) {
                Parsed::Other(map) if location(&map) == In::Form => {}
                Parsed::Other(map) => {
                    self.ledger.moved(&old, &new);
                    if !own_schema {
                        self.moved_fields(&map, &old, &new);
                    }
                    stay.push(Value::Object(map));
                }
                part => body.push(Rc::new(part)),
            }
        }
        (stay, body)
    }

    /// The parameters that are written, with the last segment of their places.
    fn list(&mut self, value: Value, at: &str) -> Vec<(String, Value)> {
        match value {
            Value::Array(list) => {
                let numbered = list.into_iter().enumerate();
                numbered
                    .map(|(index, value)| (index.to_string(), value))
                    .collect()
            }
            Value::Object(map) if !pointer::is_reference(&map) && !map.contains_key("in") => {
                let reason = "parameters by name are read as a list";
                self.ledger.note(at, Action::Repaired, reason);
                map.into_iter()
                    .map(|(name, value)| (name.into(), value))
                    .collect()
            }
            Value::Null => Vec::new(),
            _ => {
                let reason = "`parameters` is no list; they are left out";
                self.ledger.note(at, Action::Skipped, reason);
                Vec::new()
            }
        }
    }

    /// Where the fields of a parameter or header are now that they are a schema.
    pub(super) fn moved_fields(&mut self, map: &Map, old: &str, new: &str) {
        if map.contains_key("schema") {
            let schema = format!("{new}/schema");
            self.ledger.origin(&schema, old);
            self.ledger
                .moved(&format!("{old}/items"), &format!("{schema}/items"));
        }
    }
}

/// The bodies and form fields of a list, as others may use it.
pub(super) fn shared_list(
    value: &Value,
    at: &str,
    survey: &Survey,
    ledger: &mut Ledger,
) -> Vec<Rc<Parsed>> {
    let mut shared = Vec::new();
    for (index, value) in value.as_array().into_iter().flatten().enumerate() {
        let Some(map) = value.as_object() else {
            continue;
        };
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            shared.extend(survey.shared(reference));
        } else if matches!(location(map), In::Body | In::Form) {
            let mut old = at.to_owned();
            pointer::push_index(&mut old, index);
            shared.push(Rc::new(parse(map.clone(), &old, ledger)));
        }
    }
    shared
}
