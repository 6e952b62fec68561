//! Which schemas a client can not fill that knows plain values and lists of them.
//!
//! Every schema that a reference leads to is looked at once: a document may name one that is large
//! in each of its operations.

use std::collections::{HashMap, HashSet};

use crate::openapi::{Map, Value};

use super::calls::shown;
use crate::openapi::pointer;

/// How deep `allOf` and lists are followed.
const MAX_DEPTH: usize = 16;

/// How many properties are named.
const NAMED: usize = 5;

/// Why a value can not be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has members of its own.
    Object,
    /// A list of such.
    Objects,
    /// `oneOf`, `anyOf`
    Alternatives,
    /// Its values are not all strings.
    Enum,
}

impl Kind {
    /// What it is.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Objects => "a list of objects",
            Self::Alternatives => "alternatives",
            Self::Enum => "an enum of other values",
        }
    }

    /// Whether nothing can be given for it at all.
    fn is_hard(self) -> bool {
        self != Self::Enum
    }
}

/// Some properties.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// How many.
    count: usize,
    /// The first of them, as they are shown.
    first: Vec<(String, Kind)>,
}

impl Names {
    /// Adds one.
    fn add(&mut self, name: String, kind: Kind) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push((name, kind));
        }
    }

    /// Adds those.
    fn merge(&mut self, others: &Self) {
        self.count += others.count;
        let room = NAMED - self.first.len();
        self.first.extend(others.first.iter().take(room).cloned());
    }

    /// The worst kind, and all of them in words; `None`: there are none.
    pub(super) fn told(&self) -> Option<(Kind, String)> {
        let kinds = || self.first.iter().map(|(_, kind)| *kind);
        let worst = kinds()
            .find(|kind| kind.is_hard())
            .or_else(|| kinds().next())?;
        let word = |(name, kind): &(String, Kind)| {
            if name.is_empty() {
                kind.word().to_owned()
            } else {
                format!("`{name}` is {}", kind.word())
            }
        };
        let mut words: Vec<_> = self.first.iter().map(word).collect();
        if self.count > words.len() {
            words.push(format!("and {} more", self.count - words.len()));
        }
        Some((worst, words.join(", ")))
    }
}

/// The properties of a body that can not be filled.
#[derive(Debug, Clone, Default)]
pub(super) struct Unfit {
    /// Those that the body needs. What another member of an `allOf` requires counts as optional.
    pub(super) required: Names,
    /// The others.
    pub(super) optional: Names,
}

/// The schemas of a document.
#[derive(Debug)]
pub(super) struct Schemas<'a> {
    /// The document.
    root: &'a Value,
    /// What references lead to, as values.
    kinds: HashMap<&'a str, Option<Kind>>,
    /// The same, as bodies.
    bodies: HashMap<&'a str, Unfit>,
}

impl<'a> Schemas<'a> {
    /// None is known yet.
    pub(super) fn new(root: &'a Value) -> Self {
        Self {
            root,
            kinds: HashMap::new(),
            bodies: HashMap::new(),
        }
    }

    /// Why a value can not be filled; `None`: it can.
    pub(super) fn kind(&mut self, schema: &'a Value) -> Option<Kind> {
        self.kind_at(schema, MAX_DEPTH)
    }

    /// [`Self::kind`], so many levels deep.
    fn kind_at(&mut self, schema: &'a Value, depth: usize) -> Option<Kind> {
        let depth = depth.checked_sub(1)?;
        if let Some(reference) = pointer::reference_of(schema) {
            if let Some(known) = self.kinds.get(reference) {
                return *known;
            }
            // What leads back to itself is no worse for it.
            self.kinds.insert(reference, None);
            let place = pointer::resolve(self.root, reference)?;
            let kind = self.kind_at(place.value, depth);
            self.kinds.insert(reference, kind);
            return kind;
        }
        let keywords = schema.as_object()?;
        if keywords.contains_key("oneOf") || keywords.contains_key("anyOf") {
            return Some(Kind::Alternatives);
        }
        match keywords.get("type").and_then(Value::as_str) {
            Some("object") => return Some(Kind::Object),
            None if keywords.contains_key("properties") => return Some(Kind::Object),
            Some("array") => {
                let items = keywords
                    .get("items")
                    .and_then(|items| self.kind_at(items, depth));
                return items.map(|kind| match kind {
                    Kind::Object | Kind::Objects => Kind::Objects,
                    other => other,
                });
            }
            _ => {}
        }
        let values = keywords.get("enum").and_then(Value::as_array);
        let is_plain = |value: &Value| value.is_string() || value.is_null();
        if values.is_some_and(|values| !values.iter().all(is_plain)) {
            return Some(Kind::Enum);
        }
        let parts = keywords.get("allOf").and_then(Value::as_array);
        let mut parts = parts.into_iter().flatten();
        parts.find_map(|part| self.kind_at(part, depth))
    }

    /// The properties of a body that can not be filled.
    pub(super) fn body(&mut self, schema: &'a Value) -> Unfit {
        self.body_at(schema, MAX_DEPTH)
    }

    /// [`Self::body`], so many levels deep.
    fn body_at(&mut self, schema: &'a Value, depth: usize) -> Unfit {
        let Some(depth) = depth.checked_sub(1) else {
            return Unfit::default();
        };
        if let Some(reference) = pointer::reference_of(schema) {
            if let Some(known) = self.bodies.get(reference) {
                return known.clone();
            }
            self.bodies.insert(reference, Unfit::default());
            let Some(place) = pointer::resolve(self.root, reference) else {
                return Unfit::default();
            };
            let unfit = self.body_at(place.value, depth);
            self.bodies.insert(reference, unfit.clone());
            return unfit;
        }
        match schema.as_object() {
            Some(keywords) => self.properties(keywords, depth),
            None => Unfit::default(),
        }
    }

    /// Those of one schema and of its `allOf`.
    fn properties(&mut self, keywords: &'a Map, depth: usize) -> Unfit {
        let mut unfit = Unfit::default();
        if keywords.contains_key("oneOf") || keywords.contains_key("anyOf") {
            unfit.required.add(String::new(), Kind::Alternatives);
            return unfit;
        }
        let required = keywords.get("required").and_then(Value::as_array);
        let required: HashSet<&str> = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = keywords.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let Some(kind) = self.kind(schema) else {
                continue;
            };
            if required.contains(name.as_str()) && kind.is_hard() {
                unfit.required.add(shown(name), kind);
            } else {
                unfit.optional.add(shown(name), kind);
            }
        }
        let parts = keywords.get("allOf").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            let part = self.body_at(part, depth);
            unfit.required.merge(&part.required);
            unfit.optional.merge(&part.optional);
        }
        unfit
    }
}
