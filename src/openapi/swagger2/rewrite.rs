//! The last step, over what is 3.0 by now: references are led to where things stand, and
//! schemas are put into the words of 3.0.

use std::collections::{HashMap, VecDeque};

use crate::openapi::{Map, Value, json};

use super::super::pointer;
use super::kinds::Kind;
use super::ledger::Ledger;
use super::survey::{Survey, covered};

/// Deepest value that is rewritten; what is read is less deep.
const MAX_DEPTH: usize = 256;

/// Rewrites what is reached from the root of a document, and what that refers to.
pub(super) fn rewrite(document: &mut Value, survey: &Survey, ledger: &Ledger) {
    let mut rewriter = Rewriter {
        survey,
        ledger,
        roots: HashMap::new(),
        open: VecDeque::new(),
        at: "#".to_owned(),
    };
    rewriter.walk(document, Kind::Document, 0);
    while let Some((at, kind)) = rewriter.open.pop_front() {
        if let Some(value) = document.pointer_mut(&at[1..]) {
            rewriter.at = at;
            rewriter.inside(value, kind, 0);
        }
    }
}

/// The walk.
struct Rewriter<'c> {
    /// Where references lead.
    survey: &'c Survey,
    /// Where things are now.
    ledger: &'c Ledger,
    /// Places that are used as something although they do not stand where such things stand.
    roots: HashMap<String, Kind>,
    /// Those of them that are not rewritten yet.
    open: VecDeque<(String, Kind)>,
    /// Where we are.
    at: String,
}

impl Rewriter<'_> {
    /// A value that we come to; a root is left to its own turn.
    fn walk(&mut self, value: &mut Value, kind: Kind, depth: usize) {
        if self.roots.is_empty() || self.roots.get(&self.at) != Some(&kind) {
            self.inside(value, kind, depth);
        }
    }

    /// What is in a value.
    fn inside(&mut self, value: &mut Value, kind: Kind, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let length = self.at.len();
        match value {
            Value::Object(map) => {
                if kind.refers() {
                    self.reference(map, kind);
                }
                if kind == Kind::Schema {
                    self.schema(map);
                }
                for (name, inner) in map.iter_mut() {
                    if let (Some(kind), true) = (kind.child(name), is_container(inner)) {
                        pointer::push(&mut self.at, name);
                        self.walk(inner, kind, depth + 1);
                        self.at.truncate(length);
                    }
                }
            }
            Value::Array(list) => {
                let kind = match kind {
                    Kind::Schema => Kind::Schema,
                    Kind::Parameters => Kind::Parameter,
                    _ => return,
                };
                for (index, inner) in list.iter_mut().enumerate().filter(|(_, v)| is_container(v)) {
                    pointer::push_index(&mut self.at, index);
                    self.walk(inner, kind, depth + 1);
                    self.at.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// `$ref`
    fn reference(&mut self, map: &mut Map, kind: Kind) {
        if let Some(Value::String(text)) = map.get_mut("$ref")
            && let Some(new) = self.lead(text, kind)
        {
            *text = new.into();
        }
    }

    /// What a reference has to be now. `None`: it leads nowhere, or is no pointer.
    fn lead(&mut self, reference: &str, kind: Kind) -> Option<String> {
        if !reference.starts_with("#/") {
            return None;
        }
        let old = self.survey.alias(reference);
        let new = self.ledger.now(old);
        let known = self.roots.get(&new) == Some(&kind);
        if !known && !covered(&new, kind, &self.roots) {
            self.roots.insert(new.clone(), kind);
            self.open.push_back((new.clone(), kind));
        }
        Some(super::reference(&new))
    }

    /// The words of a schema that are others in 3.0.
    fn schema(&mut self, map: &mut Map) {
        let nullable = match map.get("x-nullable") {
            Some(Value::Bool(flag)) => Some(*flag),
            Some(Value::String(text)) if text == "true" => Some(true),
            _ => None,
        };
        if let Some(flag) = nullable {
            map.shift_remove("x-nullable");
            if flag {
                map.entry("nullable").or_insert(Value::Bool(true));
            }
        }
        if map.get("type").and_then(Value::as_str) == Some("file") {
            map.insert("type".to_owned(), "string".into());
            map.insert("format".to_owned(), "binary".into());
        }
        match map.get_mut("discriminator") {
            Some(name @ Value::String(_)) => {
                let property = name.take();
                *name = json!({ "propertyName": property });
            }
            Some(Value::Object(discriminator)) => {
                if let Some(Value::Object(mapping)) = discriminator.get_mut("mapping") {
                    for target in mapping.values_mut() {
                        if let Value::String(text) = target
                            && let Some(new) = self.lead(text, Kind::Schema)
                        {
                            *text = new.into();
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether there can be anything in it.
fn is_container(value: &Value) -> bool {
    matches!(value, Value::Object(_) | Value::Array(_))
}
