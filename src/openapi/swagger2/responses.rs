//! Responses and their headers.

use crate::openapi::{Map, Value};

use super::super::Action;
use super::super::pointer;
use super::body::{is_file, media_type, or_default};
use super::values::{self, Location};
use super::{Conversion, media};

impl Conversion<'_> {
    /// The responses of an operation. `own`: whether `produces` is its own.
    pub(super) fn responses(&mut self, responses: &mut Map, produces: &[String], at: &str) {
        for (code, value) in responses.iter_mut() {
            if code.starts_with("x-") {
                continue;
            }
            let here = pointer::join(at, code);
            let reference = pointer::reference_of(value).map(str::to_owned);
            let Some(reference) = reference else {
                self.response(value, produces, &here, &here);
                continue;
            };
            if produces == self.produces {
                continue;
            }
            // The media types of this operation hold, not those of the document.
            let Some((old, shared)) = self.survey.response(&reference) else {
                continue;
            };
            let old = old.to_owned();
            if let Some(copy) = self.ledger.copy(&shared) {
                *value = copy;
                self.ledger.origin(&here, &old);
                self.response(value, produces, &old, &here);
            } else {
                let reason =
                    "it is published with the media types of the document, not of the operation";
                self.ledger.note(&here, Action::Simplified, reason);
            }
        }
    }

    /// One response, which stood at `old` and is put at `at`.
    pub(super) fn response(&mut self, value: &mut Value, produces: &[String], old: &str, at: &str) {
        if let Value::String(text) = value {
            self.ledger
                .note(old, Action::Repaired, "a text is read as its description");
            let text = std::mem::take(text);
            *value = Value::Object(Map::from_iter([("description".to_owned(), text.into())]));
            return;
        }
        let Value::Object(map) = value else {
            return;
        };
        if pointer::is_reference(map) {
            return;
        }
        if let Some(Value::Object(headers)) = map.get_mut("headers") {
            let (old, at) = (pointer::join(old, "headers"), pointer::join(at, "headers"));
            for (name, header) in headers.iter_mut() {
                self.header(
                    header,
                    &pointer::join(&old, name),
                    &pointer::join(&at, name),
                );
            }
        }
        let schema = map
            .shift_remove("schema")
            .filter(|schema| !schema.is_null());
        if map.get("content").is_some_and(Value::is_object) {
            if schema.is_some() {
                let reason = "its `content` is used, not the schema beside it";
                self.ledger.note(old, Action::Simplified, reason);
            }
            return;
        }
        let examples = map.shift_remove("examples");
        let mut content = Map::new();
        if let Some(schema) = schema {
            let types = or_default(produces, is_file(&schema));
            let schema_at = format!("{old}/schema");
            let content_at = pointer::join(at, "content");
            content = self.content(Some(schema), &types, &schema_at, &content_at);
        }
        self.examples(&mut content, examples, old, at);
        if !content.is_empty() {
            map.insert("content".to_owned(), Value::Object(content));
        }
    }

    /// Puts the examples of a response to its media types.
    fn examples(&mut self, content: &mut Map, examples: Option<Value>, old: &str, at: &str) {
        let examples = match examples {
            None | Some(Value::Null) => return,
            Some(Value::Object(map)) => map,
            Some(_) => {
                let reason = "its examples are none by media type and are left out";
                self.ledger.note(old, Action::Simplified, reason);
                return;
            }
        };
        let at = pointer::join(at, "content");
        for (name, example) in examples
            .into_iter()
            .filter(|(name, _)| !name.starts_with("x-"))
        {
            let essence = media::essence(&name);
            let mut known = content.keys().filter(|key| media::essence(key) == essence);
            let key = match known.next() {
                Some(key) => key.clone(),
                // Errors are often told as another media type than `produces` says, and only
                // their examples say so.
                None if name.contains('/') => name,
                None => match content.keys().next() {
                    Some(first) => first.clone(),
                    None => continue,
                },
            };
            if !content.contains_key(&key) {
                let first = content
                    .values()
                    .next()
                    .and_then(|first| first.get("schema"));
                let schema = first.and_then(|schema| self.ledger.copy(schema));
                let new = format!("{}/schema", pointer::join(&at, &key));
                self.ledger.origin(&new, &format!("{old}/schema"));
                content.insert(key.clone(), media_type(schema));
            }
            if let Some(Value::Object(media_type)) = content.get_mut(&key) {
                media_type.entry("example").or_insert(example);
            }
        }
    }

    /// A header of a response.
    pub(super) fn header(&mut self, value: &mut Value, old: &str, at: &str) {
        let Value::Object(map) = value else {
            return;
        };
        let own = map.contains_key("schema") || map.contains_key("content");
        if own || pointer::is_reference(map) {
            return;
        }
        if !map.contains_key("example")
            && let Some(example) = map.shift_remove("x-example")
        {
            map.insert("example".to_owned(), example);
        }
        let Some(written) = values::take(map, Location::Header, old, self.ledger) else {
            return;
        };
        values::with_hint(map, written.hint);
        map.insert("schema".to_owned(), Value::Object(written.schema));
        self.moved_fields(map, old, at);
    }
}
