//! The walk over a schema. It knows where schemas stand; everything else is data, in which
//! `$ref` and `nullable` are words like others.

use crate::openapi::{Map, Text, Value, json};

use super::components::{Renderer, Section};
use super::info::external_docs;
use super::keywords::{Keyword, Kind, coerce, has_reference, is_annotation, keyword};
use super::{Action, Target, patterns, shapes, v30, v31};

/// Deepest schema. What is read is less deep; what is made by hand may not be.
const MAX_DEPTH: usize = 200;

/// The types of JSON Schema.
const TYPES: [&str; 7] = [
    "string", "number", "integer", "boolean", "array", "object", "null",
];

/// A schema whose inner schemas are rendered.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// `$ref`, in its published form.
    pub(super) reference: Option<String>,
    /// `$ref`, as the original has it.
    pub(super) original: Option<String>,
    /// What `$ref` stands for, if it is to be written out where it has a schema of its own.
    pub(super) written: Option<Value>,
    /// All other keywords, in their order. `type` is a text or a list.
    pub(super) keywords: Map,
}

impl<'d> Renderer<'d> {
    /// The published form of a schema.
    pub(super) fn schema(&mut self, value: &'d Value) -> Value {
        match value {
            Value::Bool(true) | Value::Null => json!({}),
            Value::Bool(false) => json!({ "not": {} }),
            Value::Object(_) if self.depth > MAX_DEPTH => {
                self.note(
                    Action::Simplified,
                    "it is nested too deep and published as any value",
                );
                json!({})
            }
            Value::Object(map) => {
                let outermost = self.decide_inlining(value);
                let rendered = self.written_out(map).unwrap_or_else(|| {
                    self.depth += 1;
                    let draft = self.draft(map);
                    self.depth -= 1;
                    self.finish_draft(draft)
                });
                if outermost {
                    self.end_inlining();
                }
                rendered
            }
            _ => {
                self.note(
                    Action::Simplified,
                    "it is no schema and published as any value",
                );
                json!({})
            }
        }
    }

    /// The published form of keywords whose inner schemas are rendered.
    pub(super) fn finish_schema(&mut self, keywords: Map) -> Value {
        let mut draft = Draft::default();
        for (name, value) in keywords {
            let value = match keyword(&name) {
                Keyword::Type => types(&mut draft.keywords, &value),
                Keyword::Data(kind) => coerce(kind, &value),
                _ => Some(value),
            };
            draft.keywords.extend(value.map(|value| (name, value)));
        }
        self.finish_draft(draft)
    }

    /// The last step, which the versions take differently.
    fn finish_draft(&mut self, mut draft: Draft) -> Value {
        if draft.reference.is_some() && self.from_3_0 {
            // OpenAPI 3.0 ignores what stands beside `$ref`; texts were meant all the same.
            let said = |name: &str| is_annotation(name) || name == "nullable";
            if draft.keywords.keys().any(|name| !said(name)) {
                self.note(
                    Action::Simplified,
                    "what stands beside `$ref` has no effect in OpenAPI 3.0",
                );
                draft.keywords.retain(|name, _| said(name));
            }
        }
        // No value at all says as much, and some validators refuse it beside alternatives.
        if draft.keywords.get("default") == Some(&Value::Null) {
            draft.keywords.shift_remove("default");
        }
        shapes::only_empty(&mut draft.keywords);
        match self.target {
            Target::V3_1_0 => v31::finish(draft),
            Target::V3_0_1 => v30::finish(draft),
        }
    }

    /// Renders the inner schemas and drops what can not be read.
    fn draft(&mut self, map: &'d Map) -> Draft {
        let mut draft = Draft::default();
        for (name, value) in map {
            if let Some(value) =
                self.within(name, |this| this.keyword(&mut draft, name, value, map))
            {
                let tuple = name == "items" && value.is_array();
                let name = if tuple { "prefixItems" } else { name.as_str() };
                draft.keywords.insert(name.to_owned(), value);
            }
        }
        // What stood beside the reference and came to nothing does not keep it from being written
        // out: it will not be there when the published document is read.
        let alone = self.from_3_0 || draft.keywords.keys().all(|name| is_annotation(name));
        if let Some(original) = draft.original.take()
            && draft.written.is_none()
            && alone
        {
            draft.written = self.written(&original);
        }
        if let Some(required) = flagged_required(map) {
            let mut names = match draft.keywords.get("required") {
                Some(Value::Array(names)) => names.clone(),
                _ => Vec::new(),
            };
            names.extend(required.into_iter().map(Value::from));
            let names = coerce(Kind::Names, &Value::Array(names));
            draft
                .keywords
                .extend(names.map(|names| ("required".to_owned(), names)));
        }
        draft
    }

    /// The value of one keyword, if it has one that is published under this name.
    fn keyword(
        &mut self,
        draft: &mut Draft,
        name: &str,
        value: &'d Value,
        map: &'d Map,
    ) -> Option<Value> {
        match keyword(name) {
            Keyword::Reference => {
                if draft.reference.is_none() {
                    draft.reference = self.schema_reference(value);
                    draft.original = draft
                        .reference
                        .as_ref()
                        .and(value.as_str())
                        .map(str::to_owned);
                    // 3.0 has schemas beside it, and 3.1 has null.
                    let apart = map.get("nullable") == Some(&Value::Bool(true));
                    if apart || self.target == Target::V3_0_1 {
                        draft.written = self.written(value.as_str()?);
                    }
                }
                None
            }
            Keyword::Schema => match value {
                Value::Array(list) if name == "items" => {
                    (!list.is_empty()).then(|| self.list(list))
                }
                value => Some(self.schema(value)),
            },
            Keyword::SchemaOrFlag if value.is_boolean() => Some(value.clone()),
            Keyword::SchemaOrFlag => value.is_object().then(|| self.schema(value)),
            Keyword::Schemas => match value {
                Value::Array(list) if !list.is_empty() => Some(self.list(list)),
                Value::Object(_) => Some(json!([self.schema(value)])),
                _ => None,
            },
            Keyword::Named => {
                let mut out = Map::new();
                for (inner, schema) in value.as_object()? {
                    out.insert(
                        inner.clone(),
                        self.within(inner, |this| this.schema(schema)),
                    );
                }
                Some(Value::Object(out))
            }
            Keyword::Type => types(&mut draft.keywords, value),
            Keyword::Discriminator => self.discriminator(value, map),
            Keyword::Data(kind) => self.keyword_data(name, kind, value),
            Keyword::Dropped | Keyword::Unknown => None,
        }
    }

    /// The value of a keyword that is data.
    fn keyword_data(&mut self, name: &str, kind: Kind, value: &Value) -> Option<Value> {
        match name {
            "externalDocs" => return external_docs(Some(value)),
            "example" | "examples" if has_reference(value) => return self.data(value),
            "pattern" if !patterns::is_portable_value(value) => {
                let message = "its pattern is left out: some clients can not read it";
                self.note(Action::Simplified, message);
                return None;
            }
            name if name.starts_with("x-") && has_reference(value) => return None,
            _ => {}
        }
        let coerced = coerce(kind, value);
        // A flag instead of a list of names is read where the object is described.
        let empty = value.as_array().is_some_and(Vec::is_empty) && name != "enum";
        let flag = name == "required" && value.is_boolean();
        if coerced.is_none() && !value.is_null() && !empty && !flag {
            self.note(
                Action::Simplified,
                format!("the value of `{name}` can not be used"),
            );
        }
        coerced
    }

    /// A list of schemas.
    fn list(&mut self, list: &'d [Value]) -> Value {
        let mut out = Vec::with_capacity(list.len());
        for (index, schema) in list.iter().enumerate() {
            out.push(self.within_item(index, |this| this.schema(schema)));
        }
        Value::Array(out)
    }

    /// The published form of `$ref`.
    fn schema_reference(&mut self, value: &Value) -> Option<String> {
        let reference = value.as_str()?;
        let found = self.reference(Section::Schemas, reference);
        if found.is_none() {
            let message =
                format!("the reference `{reference}` leads nowhere; any value is published");
            self.note(Action::Simplified, message);
        }
        found
    }

    /// `discriminator`, its references in their published form. Without a mapping it means the
    /// schemas that extend this one, which nobody else may refer to: they are named.
    fn discriminator(&mut self, value: &'d Value, map: &'d Map) -> Option<Value> {
        let property = match value {
            Value::String(name) => name.as_str(),
            value => value.get("propertyName")?.as_str()?,
        };
        let mut mapping = Map::new();
        let written = value.get("mapping").and_then(Value::as_object);
        for (name, reference) in written.into_iter().flatten() {
            let Some(reference) = reference.as_str() else {
                continue;
            };
            if let Some(published) = self.schema_reference(&Value::from(reference)) {
                mapping.insert(name.clone(), published.into());
            }
        }
        if written.is_none() && !map.contains_key("oneOf") && !map.contains_key("anyOf") {
            let at = self.parent();
            let heirs = self.elsewhere(&at, Self::heirs);
            for heir in heirs {
                let pointer = super::super::pointer::join("#/components/schemas", heir);
                if let Some(published) = self.reference(Section::Schemas, &pointer) {
                    mapping.insert(heir.to_owned(), published.into());
                }
            }
        }
        let mut out = Map::new();
        out.insert("propertyName".to_owned(), property.into());
        if !mapping.is_empty() {
            out.insert("mapping".to_owned(), Value::Object(mapping));
        }
        Some(Value::Object(out))
    }
}

/// Properties that say of themselves that they are required, as in early drafts.
fn flagged_required(map: &Map) -> Option<Vec<String>> {
    let properties = map.get("properties")?.as_object()?;
    let flagged =
        |(_, schema): &(&Text, &Value)| schema.get("required") == Some(&Value::Bool(true));
    let names: Vec<String> = properties
        .iter()
        .filter(flagged)
        .map(|(name, _)| name.to_string())
        .collect();
    (!names.is_empty()).then_some(names)
}

/// `type` as a text or a list of the known types; names from elsewhere are translated.
fn types(keywords: &mut Map, value: &Value) -> Option<Value> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        value => std::slice::from_ref(value),
    };
    let mut types: Vec<Value> = Vec::new();
    for item in list {
        let (name, format) = match item {
            Value::Null => ("null", None),
            Value::String(name) => translate(name)?,
            _ => continue,
        };
        if let Some(format) = format.filter(|_| !keywords.contains_key("format")) {
            keywords.insert("format".to_owned(), format.into());
        }
        let name = Value::from(name);
        if !types.contains(&name) {
            types.push(name);
        }
    }
    match types.len() {
        0 => None,
        1 => types.pop(),
        _ => Some(Value::Array(types)),
    }
}

/// The type of JSON Schema and its format; `None` for any type.
fn translate(name: &str) -> Option<(&'static str, Option<&'static str>)> {
    let lower = name.to_ascii_lowercase();
    if let Some(known) = TYPES.iter().find(|known| **known == lower) {
        return Some((known, None));
    }
    Some(match lower.as_str() {
        "str" | "text" | "char" | "enum" => ("string", None),
        "file" | "binary" => ("string", Some("binary")),
        "date" => ("string", Some("date")),
        "datetime" | "date-time" | "timestamp" => ("string", Some("date-time")),
        "uuid" => ("string", Some("uuid")),
        "int" | "int32" | "int64" | "long" => ("integer", None),
        "float" | "double" | "decimal" => ("number", None),
        "bool" => ("boolean", None),
        "list" => ("array", None),
        "dict" | "map" | "json" => ("object", None),
        _ => return None,
    })
}
