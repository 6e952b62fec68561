//! What 2.0 has at the top → `components`.

use crate::openapi::{Map, Value};

use super::super::Action;
use super::super::pointer;
use super::parameters::{self, In};
use super::{Conversion, security};

impl Conversion<'_> {
    /// `components`, of what 2.0 has at the top. Those that a document of 2.0 has all the same
    /// are kept.
    pub(super) fn components(&mut self, document: &mut Map) -> Map {
        let mut components = self.section(document, "components").unwrap_or_default();
        for (from, to) in [
            ("definitions", "schemas"),
            ("responses", "responses"),
            ("parameters", "parameters"),
            ("securityDefinitions", "securitySchemes"),
        ] {
            let Some(mut all) = self.section(document, from) else {
                continue;
            };
            if from == "securityDefinitions" {
                security::convert(&mut all, self.ledger);
            }
            let (old, new) = (format!("#/{from}"), format!("#/components/{to}"));
            self.ledger.placed(&old, &new);
            if components
                .get(to)
                .and_then(Value::as_object)
                .is_none_or(Map::is_empty)
            {
                self.ledger.origin(&new, &old);
            }
            for (name, value) in all {
                self.component(&mut components, (from, to), &name, value);
            }
        }
        components
    }

    /// One of them.
    fn component(
        &mut self,
        components: &mut Map,
        (from, to): (&str, &str),
        name: &str,
        mut value: Value,
    ) {
        let old = format!("{}{}", pointer::join("#", from), pointer::join("", name));
        let location = value.as_object().map(parameters::location);
        let to = match (from, location) {
            ("parameters", Some(In::Body)) => "requestBodies",
            // They are in the bodies that use them.
            ("parameters", Some(In::Form)) => return,
            _ => to,
        };
        let slot = components
            .entry(to)
            .or_insert_with(|| Value::Object(Map::new()));
        let all = match slot {
            Value::Object(all) => all,
            other => {
                let at = format!("#/components/{to}");
                self.ledger
                    .note(&at, Action::Skipped, "it is no object and is left out");
                *other = Value::Object(Map::new());
                return self.component(components, (from, to), name, value);
            }
        };
        let mut free = name.to_owned();
        let mut number = 1;
        while all.contains_key(&free) {
            number += 1;
            free = format!("{name}-{number}");
        }
        let new = pointer::join(&format!("#/components/{to}"), &free);
        if free != name || to == "requestBodies" {
            self.ledger.placed(&old, &new);
        }
        if self.ledger.origins.of(&new) != old {
            self.ledger.origin(&new, &old);
        }
        match from {
            "responses" => self.response(&mut value, &self.produces.clone(), &old, &new),
            "parameters" => value = self.shared_parameter(value, &old, &new),
            _ => {}
        }
        all.insert(free, value);
    }

    /// A map at the top of the document.
    fn section(&mut self, document: &mut Map, name: &str) -> Option<Map> {
        match document.shift_remove(name)? {
            Value::Object(map) => Some(map),
            Value::Null => None,
            _ => {
                let reason = format!("`{name}` is no object and is left out");
                self.ledger
                    .note(&format!("#/{name}"), Action::Skipped, reason);
                None
            }
        }
    }
}
