//! Parameters, among them those that are the whole query string.

use crate::openapi::{Map, Value};

use super::{Action, Converter, Kind, Place, pointer};

/// The media type of a query string of names and values.
const FORM: &str = "application/x-www-form-urlencoded";

/// A query string that 3.1 can say.
struct Form {
    /// The media type as it is written.
    name: String,
    /// Where it stood.
    pointer: String,
    /// What it says.
    body: Map,
}

impl Converter<'_> {
    /// `parameters`
    pub(super) fn parameters(&mut self, of: &mut Map) {
        let Some(Value::Array(list)) = of.get_mut("parameters") else {
            return;
        };
        self.within("parameters", |this| {
            let mut kept = Vec::with_capacity(list.len());
            for (index, mut item) in std::mem::take(list).into_iter().enumerate() {
                let old = this.within_item(index, |this| this.origin());
                if let Some(reason) = this.unsayable_query(&item) {
                    this.note_at(old, Action::Simplified, reason);
                    continue;
                }
                let place = kept.len();
                if place != index {
                    this.moved(&place.to_string(), old);
                }
                this.within_item(place, |this| this.visit(Kind::Parameter, &mut item));
                kept.push(item);
            }
            *list = kept;
        });
    }

    /// Why a parameter has to be left out; `None`: it stays.
    fn unsayable_query(&self, item: &Value) -> Option<String> {
        let found = self.follow(item);
        let body = match &found {
            Some((_, body)) => *body,
            None => item.as_object()?,
        };
        if !is_query_string(body) {
            return None;
        }
        let form = self.form(body)?.err()?;
        Some(format!(
            "it is the whole query string, and {form}, which OpenAPI 3.1 can not say; it is left \
             out"
        ))
    }

    /// The content of a parameter that is the whole query string. `None`: it is converted
    /// already; the error says what it is instead of a form.
    fn form(&self, body: &Map) -> Option<Result<Form, String>> {
        let none = || Some(Err("it has no media type".to_owned()));
        let Some(Value::Object(content)) = body.get("content") else {
            return none();
        };
        let Some((name, media_type)) = content.iter().next() else {
            return none();
        };
        let plain = name.split(';').next().unwrap_or_default().trim();
        if !plain.eq_ignore_ascii_case(FORM) {
            let name: String = name.chars().take(80).collect();
            return Some(Err(format!("its media type is `{name}`")));
        }
        let (pointer, body) = match self.follow(media_type) {
            Some((pointer, body)) => (pointer, body.clone()),
            None => (String::new(), media_type.as_object().cloned()?),
        };
        if !body.get("schema").is_some_and(|s| self.is_object_schema(s)) {
            return Some(Err("its schema is not that of an object".to_owned()));
        }
        let name = name.to_string();
        Some(Ok(Form {
            name,
            pointer,
            body,
        }))
    }

    /// Whether a schema describes an object, as far as can be seen without reading all of it.
    fn is_object_schema(&self, schema: &Value) -> bool {
        let found = self.follow(schema);
        let body = match (&found, schema) {
            (Some((_, body)), _) => *body,
            (None, Value::Object(body)) => body,
            _ => return false,
        };
        match body.get("type") {
            Some(Value::String(kind)) => kind == "object",
            Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
            _ => ["properties", "additionalProperties", "patternProperties"]
                .iter()
                .chain(&["allOf", "anyOf", "oneOf", "required"])
                .any(|name| body.contains_key(name)),
        }
    }

    /// One parameter.
    pub(super) fn parameter(&mut self, parameter: &mut Map) {
        if is_query_string(parameter) {
            self.query_string(parameter);
        }
        let location = parameter.get("in").and_then(Value::as_str);
        let in_query = location == Some("query");
        let in_cookie = location == Some("cookie");
        if in_cookie
            && parameter
                .get("style")
                .is_some_and(|style| style == "cookie")
        {
            parameter.insert("style".to_owned(), "form".into());
            let message = "the style `cookie` is written as `form`, which says the same but for \
                           escaped characters";
            self.note(Action::Simplified, message);
        }
        // In 3.1 it is a matter of queries alone.
        if !in_query && parameter.contains_key("allowReserved") {
            let flag = parameter.shift_remove("allowReserved");
            if flag == Some(Value::Bool(true)) {
                self.unsayable(&["allowReserved"]);
            }
        }
        self.header(parameter);
    }

    /// A parameter that is the whole query string: an object that is written as a form is the
    /// same names and values.
    fn query_string(&mut self, parameter: &mut Map) {
        let Some(Ok(mut form)) = self.form(parameter) else {
            return;
        };
        let mut old = form.pointer.clone();
        if old.is_empty() {
            old = pointer::join(&pointer::join(&self.origin(), "content"), &form.name);
        }
        self.note(
            Action::Repaired,
            "it is the whole query string, and becomes a query parameter that is an object in \
             the style `form`, exploded",
        );
        parameter.shift_remove("content");
        for (name, value) in [
            ("in", Value::from("query")),
            ("style", Value::from("form")),
            ("explode", Value::from(true)),
        ] {
            parameter.insert(name.to_owned(), value);
        }
        for name in ["schema", "example", "examples"] {
            if let Some(value) = form.body.shift_remove(name)
                && !parameter.contains_key(name)
            {
                parameter.insert(name.to_owned(), value);
                self.moved(name, pointer::join(&old, name));
            }
        }
        if form.body.contains_key("encoding") {
            let message = "how parts of the query string are encoded can not be said in OpenAPI \
                           3.1; left out";
            self.note(Action::Simplified, message);
        }
    }

    /// The schema, content and examples of a header or parameter.
    pub(super) fn header(&mut self, header: &mut Map) {
        self.member(header, "schema", Kind::Schema);
        self.content(header);
        self.members(header, "examples", Kind::Example);
    }

    /// The place of the old document that a media type stands for.
    pub(super) fn place_of(&self, reference: &str) -> Option<(String, &Map)> {
        let place: Place<'_> = pointer::resolve(self.original, self.local(reference))?;
        self.follow_place(place)
    }
}

/// Whether a parameter is the whole query string.
fn is_query_string(parameter: &Map) -> bool {
    parameter
        .get("in")
        .is_some_and(|place| place == "querystring")
}
