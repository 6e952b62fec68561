//! YAML: the one wrapper around `serde-saphyr`.
//!
//! We use the event parser that it exports rather than its `Deserialize`: that one recurses
//! with some 20 KiB of stack a level, loses digits beyond 64 bits and the lines of keys. The
//! rules are those of its switches for `OpenAPI` (`strict_booleans`,
//! `leading_zero_numbers_as_strings`, `underscored_numbers_as_strings`): YAML 1.2's core schema,
//! and what merely resembles a number stays a text.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{
    ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag, options,
};

use super::scalar;
use super::{Document, Duplicate, ReadError, ReadErrorKind, ReadLimits};

/// Reads YAML by the core rules of 1.2.
pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Document, ReadError> {
    let options = options! {
        emit_comments: false,
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
    };
    let text = shield(text);
    let mut builder = Builder::new(limits, matches!(text, Cow::Owned(_)));
    for next in Parser::new_from_str_with_options(&text, options) {
        let (event, span) = next.map_err(|error| explain(&error, limits))?;
        builder.take(event, &span)?;
    }
    let value = builder
        .root
        .ok_or_else(|| ReadError::of(ReadErrorKind::Empty))?;
    Ok(Document {
        value: value.value,
        duplicates: builder.duplicates,
    })
}

/// The parser's error in our words.
fn explain(error: &ScanError, limits: &ReadLimits) -> ReadError {
    let kind = match error.kind() {
        ErrorKind::RecursionLimitExceeded => ReadErrorKind::TooDeep(limits.depth),
        _ => ReadErrorKind::Yaml(error.info()),
    };
    at(kind, error.marker())
}

/// What is added to the code of a control character to shield it.
const SHIELD: u32 = 0x10_FE00;

/// The text without control characters, which YAML forbids and which exporters write all the
/// same: they stand at the end of the private planes while the parser looks.
fn shield(text: &str) -> Cow<'_, str> {
    let forbidden = |c: char| matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f'..='\u{84}' | '\u{86}'..='\u{9f}');
    if !text.contains(forbidden) {
        return Cow::Borrowed(text);
    }
    let shielded = |c: char| char::from_u32(u32::from(c) + SHIELD).filter(|_| forbidden(c));
    Cow::Owned(text.chars().map(|c| shielded(c).unwrap_or(c)).collect())
}

/// Undoes [`shield`].
fn unshield(text: &str) -> String {
    let code = |c: char| {
        u32::from(c)
            .checked_sub(SHIELD)
            .filter(|code| *code <= 0x9f)
    };
    text.chars()
        .map(|c| code(c).and_then(char::from_u32).unwrap_or(c))
        .collect()
}

/// An error at a place. The parser counts columns from 0.
fn at(kind: ReadErrorKind, marker: &Marker) -> ReadError {
    ReadError {
        kind,
        line: Some(marker.line() as u64),
        column: Some(marker.col() as u64 + 1),
    }
}

/// A finished value with its size, which its aliases have as well.
#[derive(Debug, Clone)]
struct Built {
    /// The value.
    value: Value,
    /// Values and keys in it, itself included.
    nodes: usize,
    /// Levels of lists and mappings in it.
    height: usize,
}

impl Built {
    /// A value without inner values.
    fn leaf(value: Value) -> Self {
        Self {
            value,
            nodes: 1,
            height: 0,
        }
    }
}

/// A list or mapping that is not closed yet.
struct Frame {
    /// What is in it.
    content: Content,
    /// Anchor, or 0.
    anchor: usize,
    /// See [`Built::nodes`].
    nodes: usize,
    /// The greatest height of what is in it.
    height: usize,
}

/// What is in a list or mapping.
enum Content {
    /// Items.
    List(Vec<Value>),
    /// Entries.
    Map(Entries),
}

/// The entries of a mapping.
#[derive(Default)]
struct Entries {
    /// Keys and values.
    map: Map<String, Value>,
    /// Lines of the keys.
    lines: HashMap<String, u64>,
    /// The key whose value comes next, and whether it is a merge key.
    key: Option<(String, bool)>,
    /// Mappings to merge, in their order.
    merged: Vec<Map<String, Value>>,
}

/// Builds a value from events, without recursion.
struct Builder<'l> {
    /// Bounds.
    limits: &'l ReadLimits,
    /// Whether the text is shielded.
    shielded: bool,
    /// Open lists and mappings.
    open: Vec<Frame>,
    /// Values that an alias may repeat.
    anchors: HashMap<usize, Built>,
    /// Values and keys built so far, copies included.
    nodes: usize,
    /// The document.
    root: Option<Built>,
    /// Doubled keys.
    duplicates: Vec<Duplicate>,
}

impl<'l> Builder<'l> {
    /// With nothing built.
    fn new(limits: &'l ReadLimits, shielded: bool) -> Self {
        Self {
            limits,
            shielded,
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            root: None,
            duplicates: Vec::new(),
        }
    }

    /// The next event.
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), ReadError> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(at(ReadErrorKind::Several, &span.start))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let text = if self.shielded {
                    Cow::Owned(unshield(&text))
                } else {
                    text
                };
                if self.wants_key() {
                    return self.key(text.into_owned(), style, anchor, span);
                }
                let value = scalar_value(text, style, tag.as_deref());
                self.finish(Built::leaf(value), anchor, span)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(Content::List(Vec::new()), anchor, span)
            }
            Event::MappingStart(_, anchor, _) => {
                self.open(Content::Map(Entries::default()), anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    /// Whether the next node is a key.
    fn wants_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Frame {
                content: Content::Map(Entries { key: None, .. }),
                ..
            })
        )
    }

    /// A key, as it is written.
    fn key(
        &mut self,
        text: String,
        style: ScalarStyle,
        anchor: usize,
        span: &Span,
    ) -> Result<(), ReadError> {
        self.count(1, span)?;
        if anchor != 0 {
            self.anchors
                .insert(anchor, Built::leaf(Value::String(text.clone())));
        }
        let merge = text == "<<" && style == ScalarStyle::Plain;
        let Some(Frame {
            content: Content::Map(entries),
            ..
        }) = self.open.last_mut()
        else {
            return Ok(());
        };
        if !merge {
            let line = span.start.line() as u64;
            if let Some(first_line) = entries.lines.insert(text.clone(), line) {
                self.duplicates.push(Duplicate {
                    key: text.clone(),
                    first_line,
                    line,
                });
            }
        }
        entries.key = Some((text, merge));
        Ok(())
    }

    /// A list or mapping begins.
    fn open(&mut self, content: Content, anchor: usize, span: &Span) -> Result<(), ReadError> {
        if self.wants_key() {
            let words = "a key is a list or a mapping, which no JSON object can have";
            return Err(at(ReadErrorKind::Yaml(words.to_owned()), &span.start));
        }
        if self.open.len() >= self.limits.depth {
            return Err(at(ReadErrorKind::TooDeep(self.limits.depth), &span.start));
        }
        self.open.push(Frame {
            content,
            anchor,
            nodes: 1,
            height: 0,
        });
        Ok(())
    }

    /// A list or mapping ends.
    fn close(&mut self, span: &Span) -> Result<(), ReadError> {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let value = match frame.content {
            Content::List(items) => Value::Array(items),
            Content::Map(entries) => Value::Object(entries.finish()),
        };
        let built = Built {
            value,
            nodes: frame.nodes,
            height: frame.height + 1,
        };
        self.finish(built, frame.anchor, span)
    }

    /// A copy of an anchored value.
    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), ReadError> {
        let Some(built) = self.anchors.get(&anchor) else {
            let words = "an alias stands inside the value that it repeats";
            return Err(at(ReadErrorKind::Yaml(words.to_owned()), &span.start));
        };
        if self.open.len() + built.height > self.limits.depth {
            return Err(at(ReadErrorKind::TooDeep(self.limits.depth), &span.start));
        }
        let nodes = built.nodes;
        if self.wants_key() {
            let key = built.value.as_str().map(str::to_owned);
            let key = key.unwrap_or_else(|| built.value.to_string());
            return self.key(key, ScalarStyle::SingleQuoted, 0, span);
        }
        // Counted before it is copied.
        self.count(nodes, span)?;
        self.nodes -= 1;
        let copy = self.anchors.get(&anchor).cloned();
        copy.map_or(Ok(()), |copy| self.finish(copy, 0, span))
    }

    /// A value is complete: it goes where it belongs.
    fn finish(&mut self, built: Built, anchor: usize, span: &Span) -> Result<(), ReadError> {
        self.count(1, span)?;
        if anchor != 0 {
            self.count(built.nodes, span)?;
            self.anchors.insert(anchor, built.clone());
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(built);
            return Ok(());
        };
        frame.nodes += built.nodes;
        frame.height = frame.height.max(built.height);
        match &mut frame.content {
            Content::List(items) => items.push(built.value),
            Content::Map(entries) => {
                frame.nodes += 1;
                entries.add(built.value);
            }
        }
        Ok(())
    }

    /// That many more nodes.
    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), ReadError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.limits.nodes {
            return Err(at(ReadErrorKind::TooMany(self.limits.nodes), &span.start));
        }
        Ok(())
    }
}

impl Entries {
    /// The value of the key that came before.
    fn add(&mut self, value: Value) {
        let Some((key, merge)) = self.key.take() else {
            return;
        };
        match value {
            Value::Object(map) if merge => self.merged.push(map),
            Value::Array(list) if merge && list.iter().all(Value::is_object) => {
                let maps = list.into_iter().filter_map(|item| match item {
                    Value::Object(map) => Some(map),
                    _ => None,
                });
                self.merged.extend(maps);
            }
            value => {
                self.map.insert(key, value);
            }
        }
    }

    /// All entries: written ones hide merged ones, and earlier merged ones later ones.
    fn finish(self) -> Map<String, Value> {
        let mut map = self.map;
        for (key, value) in self.merged.into_iter().flatten() {
            map.entry(key).or_insert(value);
        }
        map
    }
}

/// A scalar as a value: what is quoted, or tagged as a text, is a text.
fn scalar_value(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let plain = match tag {
        None => style == ScalarStyle::Plain,
        Some(tag) => matches!(tag.core_suffix(), Some("int" | "float" | "bool" | "null")),
    };
    let value = if plain { scalar::resolve(&text) } else { None };
    value.unwrap_or_else(|| Value::String(text.into_owned()))
}
