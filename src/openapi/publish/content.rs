//! Media types, encodings and headers.

use crate::openapi::{Map, Value, json};

use super::super::pointer;
use super::components::{Renderer, Section};
use super::keywords::{extensions, text};
use super::{Action, Target};

impl<'d> Renderer<'d> {
    /// `content`: media types; `None` if it is no object.
    pub(super) fn content(&mut self, value: &'d Value) -> Option<Value> {
        let types = value.as_object()?;
        let mut out = Map::new();
        for (name, media_type) in types {
            let rendered = self.within(name, |this| this.media_type(name, media_type));
            out.insert(name.clone(), rendered);
        }
        Some(Value::Object(out))
    }

    /// One media type.
    fn media_type(&mut self, name: &str, value: &'d Value) -> Value {
        let empty = Map::new();
        let Some(body) = value.as_object() else {
            if !value.is_null() {
                self.note(Action::Simplified, "the media type is no object");
            }
            return Value::Object(self.bytes(name, empty));
        };
        let mut out = Map::new();
        if let Some(schema) = body.get("schema") {
            let schema = self.within("schema", |this| this.schema(schema));
            out.insert("schema".to_owned(), schema);
        } else {
            out = self.bytes(name, out);
        }
        self.examples(&mut out, body);
        if let Some(encodings) = body.get("encoding").and_then(Value::as_object) {
            let mut rendered = Map::new();
            for (property, encoding) in encodings {
                let Some(encoding) = encoding.as_object() else {
                    continue;
                };
                let encoding = self.within("encoding", |this| {
                    this.within(property, |this| this.encoding(encoding))
                });
                rendered.insert(property.clone(), encoding);
            }
            out.insert("encoding".to_owned(), Value::Object(rendered));
        }
        out.extend(extensions(body).map(|(k, v)| (k.clone(), v.clone())));
        Value::Object(out)
    }

    /// The schema of what has none: 3.1 has no schema for bytes, 3.0 has one, and for JSON many
    /// clients want one.
    fn bytes(&self, name: &str, mut out: Map) -> Map {
        if is_json(name) {
            out.insert("schema".to_owned(), json!({}));
        }
        if self.target == Target::V3_0_1 && name.starts_with("application/octet-stream") {
            out.insert(
                "schema".to_owned(),
                json!({ "type": "string", "format": "binary" }),
            );
        }
        out
    }

    /// How one property of a form is encoded.
    fn encoding(&mut self, encoding: &'d Map) -> Value {
        let mut out = Map::new();
        if let Some(kind) = encoding.get("contentType").and_then(text) {
            out.insert("contentType".to_owned(), kind.into());
        }
        if let Some(headers) = encoding.get("headers").and_then(Value::as_object) {
            let headers = self.within("headers", |this| this.headers(headers));
            out.insert("headers".to_owned(), headers);
        }
        let styles = ["form", "spaceDelimited", "pipeDelimited", "deepObject"];
        if let Some(style) = encoding.get("style").and_then(Value::as_str)
            && styles.contains(&style)
        {
            out.insert("style".to_owned(), style.into());
        }
        for name in ["explode", "allowReserved"] {
            if let Some(flag) = encoding.get(name).and_then(Value::as_bool) {
                out.insert(name.to_owned(), flag.into());
            }
        }
        out.extend(extensions(encoding).map(|(k, v)| (k.clone(), v.clone())));
        Value::Object(out)
    }

    /// `headers`
    pub(super) fn headers(&mut self, headers: &'d Map) -> Value {
        let mut out = Map::new();
        for (name, header) in headers {
            let rendered = self.within(name, |this| this.header(header));
            out.insert(name.clone(), rendered);
        }
        Value::Object(out)
    }

    /// A header object or a reference to one.
    pub(super) fn header(&mut self, value: &'d Value) -> Value {
        if let Some(reference) = pointer::reference_of(value) {
            let published = self.reference_or_note(Section::Headers, reference);
            return published.unwrap_or_else(|| json!({ "schema": { "type": "string" } }));
        }
        let Some(body) = value.as_object() else {
            return json!({ "schema": { "type": "string" } });
        };
        let mut out = Map::new();
        if let Some(text) = body.get("description").and_then(text) {
            out.insert("description".to_owned(), text.into());
        }
        if let Some(required) = body.get("required").and_then(Value::as_bool) {
            out.insert("required".to_owned(), required.into());
        }
        self.describe_value(&mut out, body);
        Value::Object(out)
    }
}

/// Whether a media type is JSON (RFC 6839 §3.1).
pub(super) fn is_json(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or_default().trim();
    let name = name.to_ascii_lowercase();
    name == "application/json" || name.ends_with("+json")
}
