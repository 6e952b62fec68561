//! Body parameters and form fields → `requestBody`.

use std::collections::HashSet;
use std::rc::Rc;

use crate::openapi::{Map, Value, json};

use super::super::Action;
use super::super::pointer;
use super::parameters::{Body, Field, Parsed};
use super::{Conversion, media, reference};

/// What an operation says about its body.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The body parameter.
    body: Option<Rc<Parsed>>,
    /// The form fields.
    fields: Vec<Rc<Parsed>>,
}

impl Parts {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.body.is_none() && self.fields.is_empty()
    }

    /// Where the first of them stands.
    pub(super) fn first(&self) -> Option<&str> {
        self.body
            .iter()
            .chain(&self.fields)
            .find_map(|part| match &**part {
                Parsed::Body(body) => Some(body.old.as_str()),
                Parsed::Field(field) => Some(field.old.as_str()),
                Parsed::Other(_) => None,
            })
    }
}

impl Conversion<'_> {
    /// Chooses among what the operation says itself and what its path item says.
    pub(super) fn choose(&mut self, own: Vec<Rc<Parsed>>, shared: &[Rc<Parsed>]) -> Parts {
        let own_names: HashSet<String> = own.iter().filter_map(|part| field_name(part)).collect();
        let has_body = own.iter().any(|part| matches!(**part, Parsed::Body(_)));
        let inherited = shared.iter().filter(|part| match &***part {
            Parsed::Body(_) => !has_body,
            Parsed::Field(field) => !own_names.contains(&field.name),
            Parsed::Other(_) => false,
        });
        let inherited: Vec<Rc<Parsed>> = inherited.map(Rc::clone).collect();
        let mut parts = Parts::default();
        let mut names: HashSet<String> = HashSet::new();
        for part in inherited.into_iter().chain(own) {
            match &*part {
                Parsed::Body(body) => match &parts.body {
                    None => parts.body = Some(part),
                    Some(first) if Rc::ptr_eq(first, &part) => {}
                    Some(_) => {
                        let reason = "a request has one body: this second one is left out";
                        self.ledger.note(&body.old, Action::Simplified, reason);
                    }
                },
                Parsed::Field(field) => {
                    if names.insert(field.name.clone()) {
                        parts.fields.push(part);
                    } else {
                        let reason = format!("the form field `{}` stands twice", field.name);
                        self.ledger.note(&field.old, Action::Simplified, reason);
                    }
                }
                Parsed::Other(_) => {}
            }
        }
        parts
    }

    /// The `requestBody` of an operation, which is put at a place of the new document. `list`:
    /// where its parameters stood.
    pub(super) fn request_body(
        &mut self,
        parts: Parts,
        consumes: &[String],
        at: &str,
        list: &str,
    ) -> Value {
        let Parts { body, fields } = parts;
        let old = match body.as_deref() {
            Some(Parsed::Body(body)) => body.old.clone(),
            _ => String::new(),
        };
        if fields.is_empty() {
            // It may have a place of its own, with the media types of the document.
            let home = self.homes.contains(&old);
            if home && consumes == self.consumes {
                return json!({ "$ref": reference(&old) });
            }
            if home {
                self.ledger.origin(at, &old);
            } else {
                self.ledger.moved(&old, at);
            }
            let body = body.and_then(|body| self.take_body(body));
            let body = body.map(|body| self.body(body, consumes, at));
            return Value::Object(body.unwrap_or_default());
        }
        self.ledger.origin(at, list);
        let forms = form_types(consumes, &fields);
        let mut out = self.form(fields, &forms, at);
        if let Some(body) = body.and_then(|body| self.take_body(body)) {
            let reason = "a body and form fields exclude each other: both are published, \
                          each with media types of its own";
            self.ledger.note(&old, Action::Simplified, reason);
            let others: Vec<String> = consumes
                .iter()
                .filter(|name| !media::is_form(name))
                .cloned()
                .collect();
            let body = self.body(body, &others, at);
            merge(&mut out, body);
        }
        Value::Object(out)
    }

    /// A body parameter to use up; a copy of one that others use too.
    fn take_body(&mut self, part: Rc<Parsed>) -> Option<Body> {
        match Rc::try_unwrap(part) {
            Ok(Parsed::Body(body)) => Some(*body),
            Ok(_) => None,
            Err(shared) => match &*shared {
                Parsed::Body(body) => Some(Body {
                    schema: body.schema.as_ref().map(|schema| {
                        let there = || json!({ "$ref": reference(&body.schema_at) });
                        self.ledger.copy(schema).unwrap_or_else(there)
                    }),
                    example: body.example.as_ref().and_then(|e| self.ledger.copy(e)),
                    extensions: body.extensions.clone(),
                    old: body.old.clone(),
                    schema_at: body.schema_at.clone(),
                    name: body.name.clone(),
                    description: body.description.clone(),
                    required: body.required,
                }),
                _ => None,
            },
        }
    }

    /// A body parameter as a request body.
    pub(super) fn body(&mut self, body: Body, consumes: &[String], at: &str) -> Map {
        let mut out = Map::new();
        if let Some(description) = body.description {
            out.insert("description".to_owned(), description);
        }
        if body.required {
            out.insert("required".to_owned(), true.into());
        }
        let file = body.schema.as_ref().is_some_and(is_file);
        let types = or_default(consumes, file);
        let at = pointer::join(at, "content");
        let mut content = self.content(body.schema, &types, &body.schema_at, &at);
        set_examples(&mut content, body.example);
        out.insert("content".to_owned(), Value::Object(content));
        if !body.name.is_empty() && !body.name.eq_ignore_ascii_case("body") {
            out.insert("x-body-name".to_owned(), body.name.into());
        }
        out.extend(body.extensions);
        out
    }

    /// `content`: a schema for each of some media types. `old`: where the schema stood.
    pub(super) fn content(
        &mut self,
        schema: Option<Value>,
        types: &[String],
        old: &str,
        at: &str,
    ) -> Map {
        let mut content = Map::new();
        for name in types.iter().skip(1) {
            if !self.ledger.afford(8) {
                break;
            }
            let copy = schema.as_ref().map(|schema| self.ledger.copy(schema));
            if copy == Some(None) {
                break;
            }
            let new = format!("{}/schema", pointer::join(at, name));
            self.ledger.origin(&new, old);
            content.insert(name.clone(), media_type(copy.flatten()));
        }
        if content.len() + 1 < types.len() {
            let reason = "not all of its media types are published: the document has too many";
            self.ledger.note(old, Action::Simplified, reason);
        }
        if let Some(first) = types.first() {
            let new = format!("{}/schema", pointer::join(at, first));
            self.ledger.moved(old, &new);
            content.shift_insert(0, first.clone(), media_type(schema));
        }
        content
    }

    /// Form fields as a request body.
    fn form(&mut self, fields: Vec<Rc<Parsed>>, types: &[String], at: &str) -> Map {
        let at = pointer::join(at, "content");
        let first = types.first().map_or("", String::as_str);
        let at = format!("{}/schema/properties", pointer::join(&at, first));
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut encoding = Map::new();
        for part in fields {
            let Some(field) = self.take_field(part) else {
                continue;
            };
            self.ledger
                .moved(&field.old, &pointer::join(&at, &field.name));
            if field.required {
                required.push(Value::from(field.name.as_str()));
            }
            if let Some((style, explode)) = field.style {
                let style = json!({ "style": style, "explode": explode });
                encoding.insert(field.name.clone(), style);
            }
            properties.insert(field.name, field.schema);
        }
        let mut out = Map::new();
        if !required.is_empty() {
            out.insert("required".to_owned(), true.into());
        }
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
        let mut media_type = Map::new();
        media_type.insert("schema".to_owned(), Value::Object(schema));
        if !encoding.is_empty() {
            media_type.insert("encoding".to_owned(), Value::Object(encoding));
        }
        let mut content = Map::new();
        let media_type = Value::Object(media_type);
        for name in types.iter().skip(1) {
            if let Some(copy) = self.ledger.copy(&media_type) {
                content.insert(name.clone(), copy);
            }
        }
        content.shift_insert(0, first.to_owned(), media_type);
        out.insert("content".to_owned(), Value::Object(content));
        out
    }

    /// A form field to use up; a copy of one that others use too.
    fn take_field(&mut self, part: Rc<Parsed>) -> Option<Field> {
        match Rc::try_unwrap(part) {
            Ok(Parsed::Field(field)) => Some(field),
            Ok(_) => None,
            Err(shared) => match &*shared {
                Parsed::Field(field) => {
                    let there = || json!({ "$ref": reference(&field.old) });
                    Some(Field {
                        schema: self.ledger.copy(&field.schema).unwrap_or_else(there),
                        old: field.old.clone(),
                        name: field.name.clone(),
                        required: field.required,
                        file: field.file,
                        style: field.style,
                    })
                }
                _ => None,
            },
        }
    }
}

/// The name of a form field.
fn field_name(part: &Parsed) -> Option<String> {
    match part {
        Parsed::Field(field) => Some(field.name.clone()),
        _ => None,
    }
}

/// A media type with a schema, if there is one.
pub(super) fn media_type(schema: Option<Value>) -> Value {
    schema.map_or_else(|| json!({}), |schema| json!({ "schema": schema }))
}

/// Whether a schema of Swagger 2.0 is a file.
pub(super) fn is_file(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("file")
}

/// The media types, or what is meant where none are written.
pub(super) fn or_default(types: &[String], file: bool) -> Vec<String> {
    if !types.is_empty() {
        return types.to_vec();
    }
    let default = if file {
        "application/octet-stream"
    } else {
        "application/json"
    };
    vec![default.to_owned()]
}

/// The media types that a form is sent as. A file that has to be there needs a multipart one.
fn form_types(consumes: &[String], fields: &[Rc<Parsed>]) -> Vec<String> {
    let file = |must: bool| {
        fields.iter().any(|part| match &**part {
            Parsed::Field(field) => field.file && (field.required || !must),
            _ => false,
        })
    };
    let must_be_multipart = file(true);
    let fits = |name: &&String| {
        media::is_form(name)
            && (!must_be_multipart || media::essence(name).starts_with("multipart/"))
    };
    let types: Vec<String> = consumes.iter().filter(fits).cloned().collect();
    if !types.is_empty() {
        return types;
    }
    let default = if file(false) {
        "multipart/form-data"
    } else {
        "application/x-www-form-urlencoded"
    };
    vec![default.to_owned()]
}

/// Puts a body beside a form: its media types are added, and only what both ask for is asked for.
fn merge(form: &mut Map, mut body: Map) {
    if !(form.contains_key("required") && body.contains_key("required")) {
        form.shift_remove("required");
    }
    body.shift_remove("required");
    let more = body.shift_remove("content");
    if let (Some(Value::Object(content)), Some(Value::Object(more))) =
        (form.get_mut("content"), more)
    {
        for (name, media_type) in more {
            content.entry(name).or_insert(media_type);
        }
    }
    for (name, value) in body {
        form.entry(name).or_insert(value);
    }
}

/// Puts examples where they belong: by media type, or one for all.
fn set_examples(content: &mut Map, examples: Option<Value>) {
    let Some(examples) = examples else {
        return;
    };
    let by_type = match &examples {
        Value::Object(map) => !map.is_empty() && map.keys().all(|key| key.contains('/')),
        _ => false,
    };
    let mut set = |name: Option<&str>, example: Value| {
        let media_type = match name {
            Some(name) => content
                .iter_mut()
                .find(|(key, _)| media::essence(key) == media::essence(name))
                .map(|(_, value)| value),
            None => content.iter_mut().next().map(|(_, value)| value),
        };
        if let Some(Value::Object(media_type)) = media_type {
            media_type.entry("example").or_insert(example);
        }
    };
    match examples {
        Value::Object(map) if by_type => {
            for (name, example) in map {
                set(Some(&name), example);
            }
        }
        example => set(None, example),
    }
}
