//! `OpenAPI` 3.2 → 3.1.
//!
//! What 3.1 can say is said in its words; what it can not is left out and reported. Only what
//! an operation can lead to is converted, since nothing else is published: path items, what
//! stands in them, and what their references lead to, each read as what the place of the
//! reference makes of it. Examples, defaults and extensions are data and stay as they are.

mod content;
mod parameters;
mod paths;
mod root;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};

use crate::openapi::{Map, Text, Value};

use super::origins::{Converted, Origins};
use super::pointer::{self, Place};
use super::size::measure;
use super::{Action, Finding};

/// Objects that are looked at; a hostile document can refer to one place in many ways.
const MAX_STEPS: usize = 10_000_000;
/// Values that may be copied where a media type is referred to.
const MAX_COPIES: usize = 500_000;
/// Deepest place that is looked at.
const MAX_DEPTH: usize = 256;
/// Deepest value that is written.
const MAX_WRITTEN: usize = super::read::MAX_DEPTH;
/// Longest report.
const MAX_FINDINGS: usize = 10_000;

/// What a place is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Path item.
    PathItem,
    /// Operation.
    Operation,
    /// Parameter.
    Parameter,
    /// Request body.
    RequestBody,
    /// Response.
    Response,
    /// Header.
    Header,
    /// Example.
    Example,
    /// Schema.
    Schema,
    /// Security scheme.
    SecurityScheme,
}

/// Rewrites a document of 3.2 as one of 3.1.
#[expect(
    clippy::needless_pass_by_value,
    reason = "as the conversions of other versions; the old document is not needed any more"
)]
pub(super) fn convert(document: Value) -> Converted {
    let mut value = document.clone();
    let mut converter = Converter::new(&document);
    if let Value::Object(root) = &mut value {
        converter.root(root);
    }
    converter.drain(&mut value);
    Converted {
        value,
        origins: converter.origins,
        report: converter.report,
    }
}

/// Where converting stands.
struct Converter<'d> {
    /// The document as it was.
    original: &'d Value,
    /// `$self`: references that begin with it are local.
    own: &'d str,
    /// The place in the new document.
    at: String,
    /// Its level.
    depth: usize,
    /// What was moved.
    origins: Origins,
    /// What was done.
    report: Vec<Finding>,
    /// Lines of the report, each of which is said once.
    said: HashSet<(String, String)>,
    /// What is referred to and still to be converted.
    queue: VecDeque<(Kind, String)>,
    /// All that ever was in the queue.
    queued: HashSet<(Kind, String)>,
    /// How many objects may still be looked at.
    steps: usize,
    /// How many values may still be copied.
    copies: usize,
}

impl<'d> Converter<'d> {
    /// At the root of a document.
    fn new(original: &'d Value) -> Self {
        let own = original.get("$self").and_then(Value::as_str);
        Self {
            original,
            own: own.unwrap_or_default(),
            at: "#".to_owned(),
            depth: 0,
            origins: Origins::default(),
            report: Vec::new(),
            said: HashSet::new(),
            queue: VecDeque::new(),
            queued: HashSet::new(),
            steps: MAX_STEPS,
            copies: MAX_COPIES,
        }
    }

    /// Converts what is referred to.
    fn drain(&mut self, value: &mut Value) {
        while let Some((kind, place)) = self.queue.pop_front() {
            let Some(target) = place.strip_prefix('#').and_then(|p| value.pointer_mut(p)) else {
                continue;
            };
            self.depth = place.matches('/').count();
            self.at = place;
            self.visit(kind, target);
        }
        if self.steps == 0 {
            "#".clone_into(&mut self.at);
            let message = "it refers to too much; some of it is not converted from OpenAPI 3.2";
            self.note(Action::Noted, message);
        }
    }

    /// Converts a value as what it is.
    fn visit(&mut self, kind: Kind, value: &mut Value) {
        let Value::Object(map) = value else {
            return;
        };
        if self.steps == 0 || self.depth > MAX_DEPTH {
            return;
        }
        self.steps -= 1;
        let refers = self.reference(kind, map);
        match kind {
            // Both can have content beside a reference.
            Kind::PathItem => self.path_item(map),
            Kind::Schema => self.schema(map),
            _ if refers => {}
            Kind::Operation => self.operation(map),
            Kind::Parameter => self.parameter(map),
            Kind::RequestBody => self.content(map),
            Kind::Response => self.response(map),
            Kind::Header => self.header(map),
            Kind::Example => self.example(map),
            Kind::SecurityScheme => self.security_scheme(map),
        }
    }

    /// Visits a member, if it is there.
    fn member(&mut self, map: &mut Map, name: &str, kind: Kind) {
        if let Some(value) = map.get_mut(name) {
            self.within(name, |this| this.visit(kind, value));
        }
    }

    /// Visits all values of a member that is an object.
    fn members(&mut self, map: &mut Map, name: &str, kind: Kind) {
        if let Some(Value::Object(inner)) = map.get_mut(name) {
            self.within(name, |this| {
                for (name, value) in inner {
                    this.within(name, |this| this.visit(kind, value));
                }
            });
        }
    }

    /// One level deeper.
    fn within<T>(&mut self, segment: &str, run: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.at.len();
        pointer::push(&mut self.at, segment);
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        self.at.truncate(length);
        result
    }

    /// One level deeper, in a list.
    fn within_item<T>(&mut self, index: usize, run: impl FnOnce(&mut Self) -> T) -> T {
        self.within(&index.to_string(), run)
    }

    /// Where this place stood in the old document.
    fn origin(&self) -> String {
        self.origins.of(&self.at)
    }

    /// Says that a member of this place was another one.
    fn moved(&mut self, name: &str, old: String) {
        self.origins.moved(pointer::join(&self.at, name), old);
    }

    /// A line of the report about this place.
    fn note(&mut self, action: Action, message: impl Into<String>) {
        self.note_at(self.origin(), action, message);
    }

    /// A line of the report about a place of the old document.
    fn note_at(&mut self, at: String, action: Action, message: impl Into<String>) {
        let message = message.into();
        if self.report.len() < MAX_FINDINGS && self.said.insert((at.clone(), message.clone())) {
            self.report.push(Finding::new(at, action, message));
        }
    }

    /// If it is a reference, what it leads to is converted as the same kind.
    fn reference(&mut self, kind: Kind, map: &mut Map) -> bool {
        let Some(Value::String(reference)) = map.get_mut("$ref") else {
            return false;
        };
        self.localise(reference);
        self.enqueue(kind, reference);
        true
    }

    /// Makes a reference to the document's own name a local one.
    fn localise(&self, reference: &mut Text) {
        let local = self.local(reference);
        if local.len() < reference.len() {
            *reference = local.into();
        }
    }

    /// A reference without the document's own name.
    fn local<'r>(&self, reference: &'r str) -> &'r str {
        reference
            .strip_prefix(self.own)
            .filter(|rest| rest.starts_with('#'))
            .unwrap_or(reference)
    }

    /// Converts what a reference leads to, later.
    fn enqueue(&mut self, kind: Kind, reference: &str) {
        let Some(place) = pointer::resolve(self.original, reference) else {
            return;
        };
        let place = (kind, place.pointer);
        if self.queued.insert(place.clone()) {
            self.queue.push_back(place);
        }
    }

    /// The object of the old document that a value stands for: what its references lead to, or
    /// the one at its own place.
    fn follow(&self, value: &Value) -> Option<(String, &'d Map)> {
        let reference = pointer::reference_of(value)?;
        let place = pointer::resolve(self.original, self.local(reference))?;
        self.follow_place(place)
    }

    /// The object that a place of the old document stands for.
    fn follow_place(&self, place: Place<'d>) -> Option<(String, &'d Map)> {
        pointer::follow(self.original, place).ok()
    }
}

/// A text that is not blank.
fn text<'v>(map: &'v Map, name: &str) -> Option<&'v str> {
    let text = map.get(name)?.as_str()?;
    (!text.trim().is_empty()).then_some(text)
}

/// `a`, `b` and `c`, in quotes.
fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
