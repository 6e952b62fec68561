//! Media types, responses and examples.

use crate::openapi::{Map, Value, json};

use super::{Action, Converter, Kind, MAX_WRITTEN, measure, pointer, text};

/// Encodings by position, which 3.1 does not have.
const BY_POSITION: &[&str] = &["prefixEncoding", "itemEncoding"];

impl Converter<'_> {
    /// `content`
    pub(super) fn content(&mut self, of: &mut Map) {
        let Some(Value::Object(content)) = of.get_mut("content") else {
            return;
        };
        self.within("content", |this| {
            for (name, media_type) in content {
                this.within(name, |this| this.media_type(media_type));
            }
        });
    }

    /// One media type, or a reference to one.
    fn media_type(&mut self, value: &mut Value) {
        if let Some(reference) = pointer::reference_of(value) {
            match self.referred(reference) {
                Ok((place, copy)) => {
                    self.origins.moved(self.at.as_str(), place);
                    *value = copy;
                }
                Err(reason) => {
                    self.note(Action::Simplified, reason);
                    *value = json!({});
                }
            }
        }
        let Value::Object(body) = value else {
            return;
        };
        if self.steps == 0 {
            return;
        }
        self.steps -= 1;
        if let Some(item) = body.shift_remove("itemSchema") {
            self.items(body, item);
        }
        let lost: Vec<&str> = BY_POSITION
            .iter()
            .filter(|name| body.shift_remove(name).is_some())
            .copied()
            .collect();
        self.unsayable(&lost);
        self.member(body, "schema", Kind::Schema);
        self.members(body, "examples", Kind::Example);
        if let Some(Value::Object(encodings)) = body.get_mut("encoding") {
            self.within("encoding", |this| {
                for (name, encoding) in encodings {
                    this.within(name, |this| this.encoding(encoding));
                }
            });
        }
    }

    /// A copy of the media type that a reference leads to, since 3.1 has none for them.
    fn referred(&mut self, reference: &str) -> Result<(String, Value), String> {
        let found = self.place_of(reference);
        let (place, body) =
            found.ok_or_else(|| format!("the reference `{reference}` leads to no media type"))?;
        let copy = Value::Object(body.clone());
        let size = measure(&copy);
        if self.depth + size.depth > MAX_WRITTEN {
            return Err(format!("what `{reference}` leads to is nested too deep"));
        }
        self.copies = self
            .copies
            .checked_sub(size.nodes)
            .ok_or_else(|| format!("what `{reference}` leads to makes the document too large"))?;
        Ok((place, copy))
    }

    /// `itemSchema`: the content of such a media type is the list of its items
    /// (`OpenAPI` 3.2, Sequential Media Types).
    fn items(&mut self, body: &mut Map, item: Value) {
        if body.contains_key("schema") {
            self.unsayable(&["itemSchema"]);
            return;
        }
        let old = pointer::join(&self.origin(), "itemSchema");
        // A list puts it one level deeper.
        let fits = self.depth + 2 + measure(&item).depth <= MAX_WRITTEN;
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "array".into());
        if fits {
            schema.insert("items".to_owned(), item);
        }
        body.insert("schema".to_owned(), Value::Object(schema));
        self.moved("schema", old.clone());
        let items = pointer::join(&pointer::join(&self.at, "schema"), "items");
        self.origins.moved(items, old.clone());
        let message = "it is a sequence of items, and is described as a list of them";
        self.note_at(old, Action::Simplified, message);
    }

    /// How one part of a form is encoded.
    fn encoding(&mut self, value: &mut Value) {
        let Value::Object(encoding) = value else {
            return;
        };
        let lost: Vec<&str> = BY_POSITION
            .iter()
            .chain(&["encoding"])
            .filter(|name| encoding.shift_remove(name).is_some())
            .copied()
            .collect();
        self.unsayable(&lost);
        self.members(encoding, "headers", Kind::Header);
    }

    /// A response.
    pub(super) fn response(&mut self, response: &mut Map) {
        if let Some(summary) = response.shift_remove("summary") {
            if text(response, "description").is_none() {
                response.insert("description".to_owned(), summary);
            } else {
                self.unsayable(&["summary"]);
            }
        }
        self.members(response, "headers", Kind::Header);
        self.content(response);
    }

    /// An example: 3.1 has one member for what it is and how it is written.
    pub(super) fn example(&mut self, example: &mut Map) {
        let known =
            |example: &Map| example.contains_key("value") || example.contains_key("externalValue");
        for name in ["dataValue", "serializedValue"] {
            let Some(value) = example.shift_remove(name) else {
                continue;
            };
            if known(example) {
                self.unsayable(&[name]);
            } else {
                let old = pointer::join(&self.origin(), name);
                self.moved("value", old);
                example.insert("value".to_owned(), value);
            }
        }
    }
}
