//! Path items and operations.

use std::rc::Rc;

use crate::openapi::{Map, Value, json};

use super::super::Action;
use super::super::pointer;
use super::kinds::is_method;
use super::parameters::Parsed;
use super::{Conversion, media};

/// Media types that a parameter may name.
const MAX_NAMED: usize = 20;

impl Conversion<'_> {
    /// A path item. `brought`: bodies and form fields that a path item which refers to this one
    /// brings; a list of its own hides them.
    pub(super) fn path_item(&mut self, value: &mut Value, at: &str, brought: Vec<Rc<Parsed>>) {
        let Value::Object(item) = value else {
            return;
        };
        let mut shared = brought;
        if let Some(list) = item.get_mut("parameters") {
            let list_at = pointer::join(at, "parameters");
            let (stay, parts) = self.parameters(list.take(), &list_at);
            *list = Value::Array(stay);
            shared = parts;
        }
        for part in &shared {
            if let Parsed::Body(_) | Parsed::Field(_) = &**part {
                // Several operations may use it: the first has it, and is where it can be found.
                self.share(part);
            }
        }
        own_servers(item);
        for (name, value) in item.iter_mut().filter(|(name, _)| is_method(name)) {
            let at = pointer::join(at, name);
            self.operation(value, &at, &shared);
        }
    }

    /// What several operations use can be referred to.
    fn share(&mut self, part: &Parsed) {
        match part {
            Parsed::Body(body) => self.ledger.target(body.schema_at.clone()),
            Parsed::Field(field) => self.ledger.target(field.old.clone()),
            Parsed::Other(_) => {}
        }
    }

    /// An operation. `shared`: bodies and form fields of its path item.
    pub(super) fn operation(&mut self, value: &mut Value, at: &str, shared: &[Rc<Parsed>]) {
        let Value::Object(map) = value else {
            return;
        };
        if pointer::is_reference(map) {
            return;
        }
        let mut types = |map: &mut Map, name: &str, document: &[String]| {
            let written = map.shift_remove(name);
            let own = media::types(written, &pointer::join(at, name), self.ledger);
            own.unwrap_or_else(|| document.to_vec())
        };
        let mut consumes = types(map, "consumes", &self.consumes);
        let produces = types(map, "produces", &self.produces);
        if let Some(schemes) = map.shift_remove("schemes")
            && let Some(servers) = self.servers.with_schemes(&schemes)
        {
            map.entry("servers").or_insert(servers);
        }
        own_servers(map);
        let list_at = pointer::join(at, "parameters");
        let mut own = Vec::new();
        if let Some(list) = map.get_mut("parameters") {
            let (stay, parts) = self.parameters(list.take(), &list_at);
            add_media_types(&mut consumes, &stay);
            *list = Value::Array(stay);
            own = parts;
        }
        let parts = self.choose(own, shared);
        if map.contains_key("requestBody") {
            if let Some(old) = parts.first() {
                let reason =
                    "its `requestBody` is used, not what its parameters say about the body";
                self.ledger.note(old, Action::Simplified, reason);
            }
        } else if !parts.is_empty() {
            let body = self.request_body(
                parts,
                &consumes,
                &pointer::join(at, "requestBody"),
                &list_at,
            );
            let list = map.keys().position(|key| key == "parameters");
            let after = list.map_or(map.len(), |index| index + 1);
            map.shift_insert(after, "requestBody".to_owned(), body);
        }
        if let Some(Value::Object(responses)) = map.get_mut("responses") {
            let at = pointer::join(at, "responses");
            self.responses(responses, &produces, &at);
        }
    }
}

/// `x-servers`, which documents of 2.0 use for what only 3.0 can say.
pub(super) fn own_servers(map: &mut Map) {
    if map
        .get("x-servers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
        && !map.contains_key("servers")
        && let Some(servers) = map.shift_remove("x-servers")
    {
        map.insert("servers".to_owned(), json!(servers));
    }
}

/// A header parameter `Content-Type` may name media types that `consumes` does not. In 3.0 only
/// the body has them, and such a parameter says nothing.
fn add_media_types(consumes: &mut Vec<String>, parameters: &[Value]) {
    let text = |parameter: &Value, name: &str| Some(parameter.get(name)?.as_str()?.to_owned());
    let named = parameters.iter().filter(|parameter| {
        text(parameter, "in").as_deref() == Some("header")
            && text(parameter, "name").is_some_and(|name| name.eq_ignore_ascii_case("content-type"))
    });
    let values = named.filter_map(|parameter| parameter.get("schema")?.get("enum")?.as_array());
    for name in values.flatten().filter_map(Value::as_str).take(MAX_NAMED) {
        if name.contains('/') && !consumes.iter().any(|known| known == name) {
            consumes.push(name.to_owned());
        }
    }
}
