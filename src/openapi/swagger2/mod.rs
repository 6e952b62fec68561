//! Swagger 2.0 → the shape of `OpenAPI` 3.0. Pure.
//!
//! 1. [`survey`]: where references lead, while everything is where it was written.
//! 2. The structure: [`paths`], [`parameters`], [`body`], [`responses`], [`servers`],
//!    [`security`]. References are still those of the old document; [`ledger`] keeps what moved.
//! 3. [`rewrite`]: references and schemas, over the new document.
//!
//! What 2.0 can say and 3.0 can not is said in another way that lets a caller do the same, and
//! reported. Constructs of 3.0 in a document of 2.0 are kept.

mod body;
mod components;
mod kinds;
mod ledger;
mod media;
mod parameters;
mod paths;
mod responses;
mod rewrite;
mod security;
mod servers;
mod survey;
#[cfg(test)]
mod tests;
mod values;

use std::collections::HashSet;

use crate::openapi::{Map, Value};

use super::origins::Converted;
use super::pointer;
use kinds::Kind;
use ledger::Ledger;
use parameters::Parsed;
use servers::Servers;
use survey::Survey;

/// What the new document says it is.
const VERSION: &str = "3.0.3";

/// A conversion that is under way.
#[derive(Debug)]
struct Conversion<'c> {
    /// What was seen before.
    survey: &'c Survey,
    /// What is written down.
    ledger: &'c mut Ledger,
    /// Media types of bodies where an operation has none of its own.
    consumes: Vec<String>,
    /// Media types of responses where an operation has none of its own.
    produces: Vec<String>,
    /// Where the API is.
    servers: Servers,
    /// Body parameters that become request bodies where they stand, outside of operations.
    homes: HashSet<String>,
}

/// Puts a document of Swagger 2.0 into the shape of `OpenAPI` 3.0. What can not be read is left
/// out or left as it is, and reported. References are local pointers.
pub(super) fn convert(document: Value) -> Converted {
    let mut ledger = Ledger::new(&document);
    let survey = Survey::of(&document, &mut ledger);
    let mut value = document;
    structure(&mut value, &survey, &mut ledger);
    rewrite::rewrite(&mut value, &survey, &ledger);
    let (origins, report) = ledger.finish();
    Converted {
        value,
        origins,
        report,
    }
}

/// Rewrites all but schemas and references.
fn structure(document: &mut Value, survey: &Survey, ledger: &mut Ledger) {
    let Value::Object(map) = document else {
        return;
    };
    let consumes = media::types(map.shift_remove("consumes"), "#/consumes", ledger);
    let produces = media::types(map.shift_remove("produces"), "#/produces", ledger);
    let servers = Servers::take(map, ledger);
    let mut conversion = Conversion {
        survey,
        ledger,
        consumes: consumes.unwrap_or_default(),
        produces: produces.unwrap_or_default(),
        servers,
        homes: HashSet::new(),
    };
    conversion.find_homes(map);
    // What is shared first: its own place is the one that references lead to.
    conversion.document(map);
    let is_part = |kind| matches!(kind, Kind::Parameter | Kind::Response | Kind::Header);
    conversion.roots(document, is_part);
    conversion.roots(document, |kind| !is_part(kind));
    conversion.paths(document);
}

impl Conversion<'_> {
    /// Finds the body parameters that get a place of their own.
    fn find_homes(&mut self, document: &Map) {
        let global = document.get("parameters").and_then(Value::as_object);
        let names = global.into_iter().flat_map(Map::keys);
        let places = names.map(|name| pointer::join("#/parameters", name));
        let roots = self.survey.roots.iter();
        let roots = roots
            .filter(|(_, kind)| *kind == Kind::Parameter)
            .map(|(at, _)| at.clone());
        for at in places.chain(roots) {
            if matches!(self.survey.shared_at(&at).as_deref(), Some(Parsed::Body(_))) {
                self.homes.insert(at);
            }
        }
    }

    /// What is used from places where such things do not stand, mostly other files.
    fn roots(&mut self, document: &mut Value, choose: impl Fn(Kind) -> bool) {
        let survey = self.survey;
        for (at, kind) in survey.roots.iter().filter(|(_, kind)| choose(*kind)) {
            let new = self.ledger.now(at);
            let Some(slot) = document.pointer_mut(&new[1..]) else {
                continue;
            };
            match kind {
                Kind::PathItem => self.path_item(slot, at, survey.inherited(at)),
                Kind::Operation => self.operation(slot, at, &survey.inherited(at)),
                Kind::Response => self.response(slot, &self.produces.clone(), at, &new),
                Kind::Header => self.header(slot, at, &new),
                Kind::Parameter => {
                    let value = slot.take();
                    *slot = self.shared_parameter(value, at, &new);
                }
                _ => {}
            }
        }
    }

    /// A parameter that stands outside of operations, in its new form at its new place.
    fn shared_parameter(&mut self, value: Value, old: &str, new: &str) -> Value {
        let map = match value {
            Value::Object(map) if !pointer::is_reference(&map) => map,
            other => return other,
        };
        let own_schema = map.contains_key("schema");
        match parameters::parse(map.clone(), old, self.ledger) {
            Parsed::Body(body) => {
                let consumes = self.consumes.clone();
                Value::Object(self.body(*body, &consumes, new))
            }
            Parsed::Field(_) => Value::Object(map),
            Parsed::Other(parsed) => {
                if !own_schema {
                    self.moved_fields(&parsed, old, new);
                }
                Value::Object(parsed)
            }
        }
    }

    /// All paths.
    fn paths(&mut self, document: &mut Value) {
        let paths = document.get_mut("paths").and_then(Value::as_object_mut);
        for (key, item) in paths.into_iter().flatten() {
            if !key.starts_with("x-") {
                self.path_item(item, &pointer::join("#/paths", key), Vec::new());
            }
        }
    }

    /// The top of the document, but for paths.
    fn document(&mut self, document: &mut Map) {
        let components = self.components(document);
        paths::own_servers(document);
        if let Some(servers) = self.servers.list() {
            document.entry("servers").or_insert(servers);
        }
        if !components.is_empty() {
            document.insert("components".to_owned(), Value::Object(components));
        }
        document.shift_remove("swagger");
        document.shift_insert(0, "openapi".to_owned(), VERSION.into());
    }
}

/// A reference to a place. Whoever reads it takes `%` for an escape (RFC 6901 §6).
fn reference(pointer: &str) -> String {
    pointer.replace('%', "%25")
}
