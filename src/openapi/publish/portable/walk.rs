//! Where schemas stand in a published document. Everything else is data, in which `$ref` and
//! `allOf` are words like others.

use crate::openapi::{Map, Text, Value};

use super::super::super::pointer;
use super::super::keywords::{Keyword, is_annotation, keyword};

/// What is done with a schema; the pointer says where it stands, and is as it was when the work
/// is done.
pub(super) type Work<'a> = dyn FnMut(&mut Value, &mut String) + 'a;

/// Does something with each schema directly inside of one.
pub(super) fn each_inner(schema: &mut Map, at: &mut String, work: &mut Work<'_>) {
    for (name, value) in schema {
        let kind = keyword(name);
        match (kind, value) {
            (Keyword::Schema | Keyword::SchemaOrFlag, value @ Value::Object(_)) => {
                below(at, name, |at| work(value, at));
            }
            (Keyword::Named, Value::Object(named)) => {
                below(at, name, |at| {
                    for (name, schema) in named {
                        below(at, name, |at| work(schema, at));
                    }
                });
            }
            (Keyword::Schemas, Value::Array(list)) => {
                below(at, name, |at| {
                    for (index, schema) in list.iter_mut().enumerate() {
                        let length = at.len();
                        pointer::push_index(at, index);
                        work(schema, at);
                        at.truncate(length);
                    }
                });
            }
            _ => {}
        }
    }
}

/// The schemas directly inside of one.
pub(super) fn inner(schema: &Map) -> impl Iterator<Item = &Value> {
    schema.iter().flat_map(|(name, value)| {
        let (one, named, list) = match (keyword(name), value) {
            (Keyword::Schema | Keyword::SchemaOrFlag, Value::Object(_)) => {
                (Some(value), None, None)
            }
            (Keyword::Named, Value::Object(named)) => (None, Some(named.values()), None),
            (Keyword::Schemas, Value::Array(list)) => (None, None, Some(list.iter())),
            _ => (None, None, None),
        };
        let named = named.into_iter().flatten();
        one.into_iter()
            .chain(named)
            .chain(list.into_iter().flatten())
    })
}

/// Does something with each schema that stands in a path or in a component that is no schema.
pub(super) fn each_outside(document: &mut Value, work: &mut Work<'_>) {
    let mut at = "#".to_owned();
    members(document, "paths", &mut at, &mut |item, at| {
        each(item, at, &mut |operation, at| {
            of_operation(operation, at, work);
        });
    });
    let Some(components) = document.get_mut("components") else {
        return;
    };
    below(&mut at, "components", |at| {
        members(components, "responses", at, &mut |response, at| {
            of_response(response, at, work);
        });
        for section in ["parameters", "requestBodies", "headers"] {
            members(components, section, at, &mut |carrier, at| {
                of_carrier(carrier, at, work, 0);
            });
        }
    });
}

/// The schemas of an operation.
fn of_operation(operation: &mut Value, at: &mut String, work: &mut Work<'_>) {
    if let Some(Value::Array(list)) = operation.get_mut("parameters") {
        below(at, "parameters", |at| {
            for (index, parameter) in list.iter_mut().enumerate() {
                let length = at.len();
                pointer::push_index(at, index);
                of_carrier(parameter, at, work, 0);
                at.truncate(length);
            }
        });
    }
    if let Some(body) = operation.get_mut("requestBody") {
        below(at, "requestBody", |at| of_carrier(body, at, work, 0));
    }
    members(operation, "responses", at, &mut |response, at| {
        of_response(response, at, work);
    });
}

/// The schemas of a response.
fn of_response(response: &mut Value, at: &mut String, work: &mut Work<'_>) {
    members(response, "headers", at, &mut |header, at| {
        of_carrier(header, at, work, 0);
    });
    of_carrier(response, at, work, 0);
}

/// The schemas of what has a schema or media types with schemas: a parameter, a header, a body.
fn of_carrier(carrier: &mut Value, at: &mut String, work: &mut Work<'_>, depth: usize) {
    // Headers of encodings of headers: a document is no deeper than what is read.
    if depth > 32 {
        return;
    }
    if let Some(schema) = carrier.get_mut("schema") {
        below(at, "schema", |at| work(schema, at));
    }
    members(carrier, "content", at, &mut |media_type, at| {
        if let Some(schema) = media_type.get_mut("schema") {
            below(at, "schema", |at| work(schema, at));
        }
        members(media_type, "encoding", at, &mut |encoding, at| {
            members(encoding, "headers", at, &mut |header, at| {
                of_carrier(header, at, work, depth + 1);
            });
        });
    });
}

/// Does something with the members of a member.
fn members(value: &mut Value, name: &str, at: &mut String, work: &mut Work<'_>) {
    if let Some(value) = value.get_mut(name) {
        below(at, name, |at| each(value, at, work));
    }
}

/// Does something with all members.
fn each(value: &mut Value, at: &mut String, work: &mut Work<'_>) {
    for (name, value) in value.as_object_mut().into_iter().flatten() {
        if !name.starts_with("x-") {
            below(at, name, |at| work(value, at));
        }
    }
}

/// Does something at a member.
fn below(at: &mut String, name: &str, work: impl FnOnce(&mut String)) {
    let length = at.len();
    pointer::push(at, name);
    work(at);
    at.truncate(length);
}

/// The name of the schema that a reference means.
pub(super) fn schema_name(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/components/schemas/")
}

/// A schema that is a reference, with nothing beside it that restricts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Referred<'v> {
    /// The name of what is referred to.
    pub(super) name: &'v str,
    /// Whether null is allowed as well, as 3.0 says it.
    pub(super) nullable: bool,
}

/// What a schema refers to, if it does nothing else; in 3.0 a reference with texts is a lone
/// member of `allOf`.
pub(super) fn referred(schema: &Map) -> Option<Referred<'_>> {
    let reference = match (schema.get("$ref"), schema.get("allOf")) {
        (Some(reference), None) => reference,
        (None, Some(Value::Array(list))) => match list.as_slice() {
            [Value::Object(only)] if only.len() == 1 => only.get("$ref")?,
            _ => return None,
        },
        _ => return None,
    };
    let said =
        |name: &Text| is_annotation(name) || matches!(name.as_str(), "$ref" | "allOf" | "nullable");
    if !schema.keys().all(said) {
        return None;
    }
    Some(Referred {
        name: schema_name(reference.as_str()?)?,
        nullable: schema.get("nullable") == Some(&Value::Bool(true)),
    })
}
