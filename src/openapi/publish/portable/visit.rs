//! The walk over a finished document: it knows where schemas stand, and where data does.

use crate::openapi::{Map, Value};

use super::super::super::pointer;
use super::super::Finding;
use super::super::keywords::{Keyword, keyword};

/// Deepest schema that is looked at. What is published is less deep; what is made by hand may not
/// be.
const MAX_DEPTH: usize = 300;
/// Longest report of one rendering.
const MAX_FINDINGS: usize = 20_000;

/// Whose schema it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A parameter's, or a request body's.
    Request,
    /// A response's, or a header's.
    Response,
    /// A component's.
    Component,
}

/// Where a part of the document stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot<'a, 'd> {
    /// Pointer into the document.
    pub(super) pointer: &'a str,
    /// Whose it is.
    pub(super) owner: Owner,
    /// The nearest property, parameter or component that it is in.
    pub(super) name: &'d str,
    /// Whether it is the schema of a component itself.
    pub(super) whole: bool,
    /// Whether it is one of several schemas of `anyOf` or `oneOf`.
    pub(super) alternative: bool,
}

/// A part of the document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'d> {
    /// A schema.
    Schema(&'d Map),
    /// A media type.
    Media(&'d Map),
}

/// Shows every schema of a document, those around others first.
pub(super) fn schemas<'d>(document: &'d Value, mut visit: impl FnMut(&Spot<'_, 'd>, &'d Map)) {
    parts(document, |spot, part| {
        if let Part::Schema(schema) = part {
            visit(spot, schema);
        }
    });
}

/// Shows every schema and every media type of a document.
pub(super) fn parts<'d>(document: &'d Value, visit: impl FnMut(&Spot<'_, 'd>, Part<'d>)) {
    let mut walk = Walk {
        at: "#".to_owned(),
        owner: Owner::Component,
        visit,
    };
    walk.document(document);
}

/// Changes what stands at these places of a document. A place that stands in another comes after
/// it, and is changed before it. The work is told the index of the place.
pub(super) fn change(
    document: &mut Value,
    places: &[String],
    mut work: impl FnMut(usize, &mut Map),
) {
    for (index, place) in places.iter().enumerate().rev() {
        let found = document.pointer_mut(place.strip_prefix('#').unwrap_or(place));
        if let Some(Value::Object(map)) = found {
            work(index, map);
        }
    }
}

/// Adds to the report, which is of bounded length.
pub(super) fn note(report: &mut Vec<Finding>, finding: Finding) {
    if report.len() < MAX_FINDINGS {
        report.push(finding);
    }
}

/// The members of a member.
fn members<'d>(value: &'d Value, name: &str) -> impl Iterator<Item = (&'d str, &'d Value)> {
    let map = value.get(name).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// Where the walk is.
struct Walk<V> {
    /// Pointer to what is looked at.
    at: String,
    /// Whose schemas these are.
    owner: Owner,
    /// Is shown all parts.
    visit: V,
}

impl<'d, V: FnMut(&Spot<'_, 'd>, Part<'d>)> Walk<V> {
    /// Looks at a member.
    fn within(&mut self, segment: &str, work: impl FnOnce(&mut Self)) {
        let length = self.at.len();
        pointer::push(&mut self.at, segment);
        work(self);
        self.at.truncate(length);
    }

    /// Looks at each member of a member.
    fn each(
        &mut self,
        value: &'d Value,
        name: &str,
        mut work: impl FnMut(&mut Self, &'d str, &'d Value),
    ) {
        self.within(name, |this| {
            for (key, inner) in members(value, name) {
                this.within(key, |this| work(this, key, inner));
            }
        });
    }

    /// All of the document.
    fn document(&mut self, document: &'d Value) {
        self.each(document, "paths", |this, _, item| {
            let operations = item.as_object().into_iter().flatten();
            for (method, operation) in operations {
                this.within(method, |this| this.operation(operation));
            }
        });
        let Some(components) = document.get("components") else {
            return;
        };
        self.within("components", |this| {
            this.owner = Owner::Component;
            this.each(components, "schemas", |this, name, schema| {
                this.schema(schema, name, (true, false), 0);
            });
            this.owner = Owner::Request;
            this.each(components, "parameters", |this, _, parameter| {
                let name = parameter.get("name").and_then(Value::as_str);
                this.value(parameter, name.unwrap_or_default());
            });
            this.each(components, "requestBodies", |this, _, body| {
                this.content(body, "");
            });
            this.owner = Owner::Response;
            this.each(components, "responses", |this, _, response| {
                this.response(response);
            });
            this.each(components, "headers", |this, name, header| {
                this.value(header, name);
            });
        });
    }

    /// An operation.
    fn operation(&mut self, operation: &'d Value) {
        self.owner = Owner::Request;
        if let Some(Value::Array(list)) = operation.get("parameters") {
            self.within("parameters", |this| {
                for (index, parameter) in list.iter().enumerate() {
                    let name = parameter.get("name").and_then(Value::as_str);
                    this.within(&index.to_string(), |this| {
                        this.value(parameter, name.unwrap_or_default());
                    });
                }
            });
        }
        if let Some(body) = operation.get("requestBody") {
            self.within("requestBody", |this| this.content(body, ""));
        }
        self.owner = Owner::Response;
        self.each(operation, "responses", |this, _, response| {
            this.response(response);
        });
    }

    /// A response.
    fn response(&mut self, response: &'d Value) {
        self.each(response, "headers", |this, name, header| {
            this.value(header, name);
        });
        self.content(response, "");
    }

    /// A parameter or a header.
    fn value(&mut self, value: &'d Value, name: &'d str) {
        if let Some(schema) = value.get("schema") {
            self.within("schema", |this| {
                this.schema(schema, name, (false, false), 0);
            });
        }
        self.content(value, name);
    }

    /// The media types of what has some.
    fn content(&mut self, value: &'d Value, name: &'d str) {
        self.each(value, "content", |this, _, media| {
            this.show(Part::Media, media, name, (false, false));
            if let Some(schema) = media.get("schema") {
                this.within("schema", |this| {
                    this.schema(schema, name, (false, false), 0);
                });
            }
            this.each(media, "encoding", |this, _, encoding| {
                this.each(encoding, "headers", |this, name, header| {
                    if let Some(schema) = header.get("schema") {
                        this.within("schema", |this| {
                            this.schema(schema, name, (false, false), 0);
                        });
                    }
                });
            });
        });
    }

    /// Shows a part, if it is an object.
    fn show(
        &mut self,
        part: fn(&'d Map) -> Part<'d>,
        value: &'d Value,
        name: &'d str,
        (whole, alternative): (bool, bool),
    ) {
        if let Value::Object(map) = value {
            let spot = Spot {
                pointer: &self.at,
                owner: self.owner,
                name,
                whole,
                alternative,
            };
            (self.visit)(&spot, part(map));
        }
    }

    /// A schema and those in it.
    fn schema(&mut self, value: &'d Value, name: &'d str, how: (bool, bool), depth: usize) {
        let Value::Object(map) = value else {
            return;
        };
        if depth > MAX_DEPTH {
            return;
        }
        self.show(Part::Schema, value, name, how);
        for (key, inner) in map {
            match (keyword(key), inner) {
                (Keyword::Schema | Keyword::SchemaOrFlag, Value::Object(_)) => {
                    self.within(key, |this| {
                        this.schema(inner, name, (false, false), depth + 1);
                    });
                }
                (Keyword::Schemas, Value::Array(list)) => {
                    let several = list.len() > 1 && matches!(key.as_str(), "anyOf" | "oneOf");
                    self.within(key, |this| {
                        for (index, inner) in list.iter().enumerate() {
                            this.within(&index.to_string(), |this| {
                                this.schema(inner, name, (false, several), depth + 1);
                            });
                        }
                    });
                }
                (Keyword::Named, Value::Object(named)) => {
                    let property = key == "properties";
                    self.within(key, |this| {
                        for (inner_name, inner) in named {
                            let name = if property { inner_name } else { name };
                            this.within(inner_name, |this| {
                                this.schema(inner, name, (false, false), depth + 1);
                            });
                        }
                    });
                }
                _ => {}
            }
        }
    }
}
