//! Schemas of values that are written as text, such as those of parameters: of one type, without
//! null.

use std::collections::HashSet;

use crate::openapi::{Map, Value, json};

use super::super::super::size;
use super::super::keywords::is_annotation;
use super::super::shapes;

/// Most values that are copied in one document.
const MOST_COPIED: usize = 200_000;
/// Most alternatives of one schema.
const MOST_ALTERNATIVES: usize = 500;
/// Most references and alternatives that one schema is looked through.
const MAX_DEPTH: usize = 24;

/// A type of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `string`
    String,
    /// `integer`
    Integer,
    /// `number`
    Number,
    /// `boolean`
    Boolean,
    /// `array`
    Array,
    /// `object`
    Object,
}

impl Kind {
    /// As the specification calls it.
    fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    /// As the specification calls it; null is none.
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }

    /// The type of a schema, as far as it says so itself.
    pub(super) fn of(schema: &Map) -> Option<Self> {
        if let Some(name) = schema.get("type").and_then(Value::as_str) {
            return Self::parse(name);
        }
        if let Some((types, _)) = shapes::types_of_values(schema)
            && let [only] = types.as_slice()
        {
            return Self::parse(only);
        }
        let has = |name: &str| schema.contains_key(name);
        if has("properties") || has("additionalProperties") {
            Some(Self::Object)
        } else if has("items") {
            Some(Self::Array)
        } else {
            None
        }
    }

    /// Whether it is written as one text.
    fn is_scalar(self) -> bool {
        !matches!(self, Self::Array | Self::Object)
    }
}

/// One of the schemas that a value may fit.
#[derive(Debug, Clone)]
struct Leaf {
    /// The type.
    kind: Kind,
    /// The schema, which may say its type.
    schema: Map,
}

/// A schema made plain.
#[derive(Debug, Default)]
pub(super) struct Plain {
    /// Of one type.
    pub(super) schema: Map,
    /// What is lost, as a message says it.
    pub(super) lost: Option<&'static str>,
    /// Whether null was allowed.
    pub(super) null: bool,
}

/// Makes schemas of one document plain.
#[derive(Debug)]
pub(super) struct Planer<'d> {
    /// The components.
    schemas: Option<&'d Map>,
    /// Values that may still be copied.
    left: usize,
}

impl<'d> Planer<'d> {
    /// For the schemas of a document.
    pub(super) fn new(document: &'d Value) -> Self {
        let schemas = document.pointer("/components/schemas");
        Self {
            schemas: schemas.and_then(Value::as_object),
            left: MOST_COPIED,
        }
    }

    /// What a published reference leads to.
    pub(super) fn target(&self, reference: &str) -> Option<&'d Map> {
        let name = reference.strip_prefix("#/components/schemas/")?;
        self.schemas?.get(name)?.as_object()
    }

    /// The schema behind references without anything beside them.
    pub(super) fn behind<'s>(&self, schema: &'s Map) -> &'s Map
    where
        'd: 's,
    {
        let mut found = schema;
        for _ in 0..MAX_DEPTH {
            let reference = found.get("$ref").and_then(Value::as_str);
            match reference.and_then(|reference| self.target(reference)) {
                Some(target) if found.len() == 1 => found = target,
                _ => break,
            }
        }
        found
    }

    /// The plain form of a schema; `None`: it is plain. A structured value is preferred to a text
    /// if `structured`.
    pub(super) fn plain(&mut self, schema: &Map, structured: bool) -> Option<Plain> {
        if self.is_plain(schema) {
            return None;
        }
        let mut plain = self.reduce(schema, structured).unwrap_or_else(|| Plain {
            schema: Map::from_iter([("type".to_owned(), "string".into())]),
            lost: Some(
                "its schema is too large to be read by all clients and is published as text",
            ),
            null: false,
        });
        self.plain_items(&mut plain);
        let own = schema.iter().filter(|(name, _)| is_annotation(name));
        for (name, value) in own {
            plain.schema.insert(name.clone(), value.clone());
        }
        retype(&mut plain.schema);
        Some(plain)
    }

    /// Whether every client can tell the type of a schema, and null is not of it.
    fn is_plain(&self, schema: &Map) -> bool {
        let reference = schema.get("$ref").and_then(Value::as_str);
        let schema = match reference.and_then(|reference| self.target(reference)) {
            Some(target) if schema.len() == 1 => target,
            _ => schema,
        };
        let null = |value: &Value| {
            value
                .as_array()
                .is_some_and(|l| l.iter().any(Value::is_null))
        };
        let kind = schema
            .get("type")
            .and_then(Value::as_str)
            .and_then(Kind::parse);
        kind.is_some()
            && !schema.contains_key("$ref")
            && schema.get("nullable") != Some(&Value::Bool(true))
            && !schema.get("enum").is_some_and(null)
            && (kind != Some(Kind::Array) || self.has_plain_items(schema))
    }

    /// Whether the items of a list are of one type, or of any.
    fn has_plain_items(&self, schema: &Map) -> bool {
        match schema.get("items") {
            Some(Value::Object(items)) if !items.is_empty() => {
                let behind = self.behind(items);
                let typed = behind.get("type").is_some_and(|kind| kind != "null");
                typed && behind.get("nullable") != Some(&Value::Bool(true))
            }
            _ => true,
        }
    }

    /// Makes the items of a list plain, unless they are lists or objects themselves.
    fn plain_items(&mut self, plain: &mut Plain) {
        if plain.schema.get("type").and_then(Value::as_str) != Some("array")
            || self.has_plain_items(&plain.schema)
        {
            return;
        }
        let Some(Value::Object(items)) = plain.schema.get("items") else {
            return;
        };
        let Some(inner) = self.reduce(&items.clone(), true) else {
            return;
        };
        plain.null |= inner.null;
        plain.lost = plain.lost.or(inner.lost);
        plain.schema.insert("items".to_owned(), inner.schema.into());
    }

    /// The plain form; `None`: that is too much.
    fn reduce(&mut self, schema: &Map, structured: bool) -> Option<Plain> {
        let mut plain = Plain::default();
        let mut leaves = Vec::new();
        self.leaves(schema, 0, &mut leaves, &mut plain.null)?;
        if leaves.iter().any(|leaf| leaf.kind == Kind::Object)
            && leaves.iter().any(|leaf| leaf.kind != Kind::Object)
        {
            leaves.retain(|leaf| (leaf.kind == Kind::Object) == structured);
            plain.lost =
                Some("some of its values are objects and some are not; one kind is published");
        }
        let lists = leaves
            .iter()
            .filter(|leaf| leaf.kind == Kind::Array)
            .count();
        plain.schema = match leaves.len() {
            0 => Map::from_iter([("type".to_owned(), "string".into())]),
            1 => typed(leaves.swap_remove(0)),
            _ if lists > 0 => {
                plain.lost =
                    Some("one value is published as a list of one, which is written alike");
                self.list(leaves)?
            }
            _ => combined(leaves, &mut plain.lost),
        };
        for name in ["nullable", "discriminator"] {
            plain.schema.shift_remove(name);
        }
        Some(plain)
    }

    /// A list of what any of these is or holds.
    fn list(&mut self, leaves: Vec<Leaf>) -> Option<Map> {
        let mut out = Map::new();
        let mut items = Vec::new();
        let mut null = false;
        let (lists, others): (Vec<Leaf>, Vec<Leaf>) = leaves
            .into_iter()
            .partition(|leaf| leaf.kind == Kind::Array);
        let alone = lists.len() == 1;
        for mut leaf in lists {
            match leaf.schema.shift_remove("items") {
                Some(Value::Object(inner)) => self.leaves(&inner, 0, &mut items, &mut null)?,
                _ => items.push(text()),
            }
            if alone {
                leaf.schema.shift_remove("minItems");
                out = leaf.schema;
            }
        }
        items.extend(others.into_iter().map(|mut leaf| {
            shapes::take_annotations(&mut leaf.schema);
            leaf
        }));
        let items = match distinct(items) {
            mut one if one.len() == 1 => typed(one.swap_remove(0)),
            several => combined(several, &mut None),
        };
        out.insert("type".to_owned(), "array".into());
        out.insert("items".to_owned(), items.into());
        Some(out)
    }

    /// The alternatives of a schema without null; `None`: they are too many.
    fn leaves(
        &mut self,
        schema: &Map,
        depth: usize,
        out: &mut Vec<Leaf>,
        null: &mut bool,
    ) -> Option<()> {
        if depth > MAX_DEPTH || out.len() > MOST_ALTERNATIVES {
            return None;
        }
        let mut schema = self.resolved(schema)?;
        if shapes::values_are_null(&schema) || schema.get("type") == Some(&json!("null")) {
            *null = true;
            return Some(());
        }
        *null |= schema.shift_remove("nullable") == Some(Value::Bool(true));
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
        if !schema.contains_key("type") {
            for name in ["anyOf", "oneOf"] {
                let Some(Value::Array(list)) = schema.get(name) else {
                    continue;
                };
                for alternative in list {
                    match alternative {
                        Value::Object(inner) => self.leaves(inner, depth + 1, out, null)?,
                        _ => out.push(text()),
                    }
                }
                return Some(());
            }
        }
        let kind = Kind::of(&schema).or_else(|| self.kind_of_all(&schema));
        out.push(Leaf {
            kind: kind.unwrap_or(Kind::String),
            schema,
        });
        Some(())
    }

    /// The type of what fits several schemas at once.
    fn kind_of_all(&mut self, schema: &Map) -> Option<Kind> {
        let list = schema.get("allOf")?.as_array()?;
        list.iter().take(MAX_DEPTH).find_map(|part| {
            let part = self.resolved(part.as_object()?)?;
            Kind::of(&part)
        })
    }

    /// A copy of a schema with its reference, or the only schema that it restricts, put into it.
    fn resolved(&mut self, schema: &Map) -> Option<Map> {
        let mut out = self.copy(schema)?;
        for _ in 0..MAX_DEPTH {
            let inner = if let Some(reference) = out.shift_remove("$ref") {
                match reference.as_str().and_then(|name| self.target(name)) {
                    Some(target) => self.copy(target)?,
                    None => Map::new(),
                }
            } else if let Some(Value::Array(list)) = out.get("allOf")
                && let [Value::Object(only)] = list.as_slice()
                && !out.contains_key("type")
            {
                let only = only.clone();
                out.shift_remove("allOf");
                only
            } else {
                return Some(out);
            };
            let outer = std::mem::replace(&mut out, inner);
            out.extend(outer);
        }
        None
    }

    /// A copy, if there may be more of them.
    fn copy(&mut self, schema: &Map) -> Option<Map> {
        let left = size::take_map(schema, self.left);
        // What is too large has been looked at as well, and others are looked at less.
        self.left = left.unwrap_or(self.left / 2);
        left?;
        Some(schema.clone())
    }
}

/// Any text.
fn text() -> Leaf {
    Leaf {
        kind: Kind::String,
        schema: Map::new(),
    }
}

/// A schema with its type before its keywords.
fn typed(leaf: Leaf) -> Map {
    let mut out = Map::from_iter([("type".to_owned(), leaf.kind.as_str().into())]);
    out.extend(leaf.schema.into_iter().filter(|(name, _)| name != "type"));
    out
}

/// Without those that stand twice.
fn distinct(leaves: Vec<Leaf>) -> Vec<Leaf> {
    let mut seen = HashSet::new();
    let mut out = leaves;
    out.retain(|leaf| seen.insert(Value::from(typed(leaf.clone())).to_string()));
    out
}

/// One type for schemas of one or several, none of which is a list.
fn combined(leaves: Vec<Leaf>, lost: &mut Option<&'static str>) -> Map {
    let mut leaves = distinct(leaves);
    if leaves.len() == 1 {
        return typed(leaves.swap_remove(0));
    }
    let same = |kind: Kind| leaves.iter().all(|leaf| leaf.kind == kind);
    let numeric = |leaf: &Leaf| matches!(leaf.kind, Kind::Integer | Kind::Number);
    let kind = match leaves.first() {
        Some(first) if same(first.kind) => first.kind,
        _ if leaves.iter().all(numeric) => Kind::Number,
        _ if leaves.iter().all(|leaf| leaf.kind.is_scalar()) => Kind::String,
        // Items that are lists or objects.
        _ => {
            let alternatives: Vec<Value> =
                leaves.into_iter().map(|leaf| typed(leaf).into()).collect();
            return Map::from_iter([("anyOf".to_owned(), alternatives.into())]);
        }
    };
    let mixed = kind == Kind::String && !same(kind);
    if mixed {
        *lost = Some("its values are of several types and are published as text");
    }
    let mut out = Map::from_iter([("type".to_owned(), Value::from(kind.as_str()))]);
    if let Some(values) = values_of(&leaves, mixed) {
        out.insert("enum".to_owned(), values);
    } else if !mixed {
        let alternatives: Vec<Value> = leaves.into_iter().map(|leaf| typed(leaf).into()).collect();
        out.insert("anyOf".to_owned(), alternatives.into());
    }
    out
}

/// The values of schemas that all list theirs.
fn values_of(leaves: &[Leaf], as_text: bool) -> Option<Value> {
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for leaf in leaves {
        let values = match (leaf.schema.get("enum"), leaf.schema.get("const")) {
            (Some(Value::Array(values)), _) => values.as_slice(),
            (_, Some(only)) => std::slice::from_ref(only),
            _ => return None,
        };
        for value in values {
            let value = match written(value) {
                Some(text) if as_text => Value::from(text),
                _ => value.clone(),
            };
            if seen.insert(value.to_string()) {
                out.push(value);
            }
        }
    }
    Some(out.into())
}

/// A value as it is written in a parameter; `None`: not alike everywhere.
pub(super) fn written(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Array(list) => {
            let items: Option<Vec<String>> = list
                .iter()
                .map(|item| written(item).filter(|_| !item.is_array()))
                .collect();
            items.map(|items| items.join(","))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// Gives the values that a schema tells of the type that it has now.
pub(super) fn retype(schema: &mut Map) {
    let kind = schema
        .get("type")
        .and_then(Value::as_str)
        .and_then(Kind::parse);
    let told = |value: &Value| match kind {
        Some(Kind::String) => written(value).map_or_else(|| value.clone(), Value::from),
        Some(Kind::Array) if !value.is_array() && !value.is_null() => json!([value]),
        _ => value.clone(),
    };
    for name in ["default", "example"] {
        if let Some(value) = schema.get_mut(name) {
            *value = told(value);
        }
    }
    if let Some(Value::Array(list)) = schema.get_mut("examples") {
        for value in list {
            *value = told(value);
        }
    }
}
