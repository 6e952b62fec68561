//! Events of YAML → a value, without recursion.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::openapi::value::Entry;
use crate::openapi::{Map, Value};
use serde_saphyr::granit_parser::{Event, Marker, ScalarStyle, Span, Tag};

use super::duplicates::Duplicates;
use super::yaml::{Sink, at, unshield};
use super::{ReadError, ReadErrorKind, ReadLimits, scalar};

/// A finished value with its size, which its aliases have as well.
#[derive(Debug, Clone)]
struct Built {
    /// The value.
    value: Value,
    /// How large it is.
    size: Size,
}

/// The size of a value.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Values and keys in it, itself included.
    nodes: usize,
    /// Bytes of its texts and keys.
    bytes: usize,
    /// Levels of lists and mappings in it.
    height: usize,
}

impl Built {
    /// A value without inner values, whose text is that long.
    fn leaf(value: Value, bytes: usize) -> Self {
        let size = Size {
            nodes: 1,
            bytes,
            height: 0,
        };
        Self { value, size }
    }
}

/// A list or mapping that is not closed yet.
struct Frame {
    /// What is in it.
    content: Content,
    /// Anchor, or 0.
    anchor: usize,
    /// The size of what is in it.
    size: Size,
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
    map: Map,
    /// Lines of the keys, in their order.
    lines: Vec<u64>,
    /// Where each key stands in that order; made when a key stands twice.
    places: HashMap<String, usize>,
    /// The key whose value comes next.
    key: Option<Key>,
    /// Mappings to merge, in their order.
    merged: Vec<Map>,
}

/// A key without its value.
struct Key {
    /// As it is written.
    text: String,
    /// Whether it is a merge key.
    merge: bool,
    /// Its line.
    line: u64,
}

/// Builds a value from events, without recursion.
pub(super) struct Builder<'l> {
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
    /// Bytes of texts in copies.
    copied: usize,
    /// The document.
    root: Option<Value>,
    /// Where another document begins.
    another: Option<Marker>,
    /// Doubled keys.
    duplicates: Duplicates,
}

impl<'l> Builder<'l> {
    /// With nothing built.
    pub(super) fn new(limits: &'l ReadLimits) -> Self {
        Self {
            limits,
            shielded: false,
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            copied: 0,
            root: None,
            another: None,
            duplicates: Duplicates::default(),
        }
    }

    /// The document, and which of its keys stand twice.
    pub(super) fn finish(self) -> Result<(Value, Duplicates), ReadError> {
        let empty = || ReadError::of(ReadErrorKind::Empty);
        Ok((self.root.ok_or_else(empty)?, self.duplicates))
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
            self.count_copy(text.len(), span)?;
            let built = Built::leaf(Value::from(&text), text.len());
            self.anchors.insert(anchor, built);
        }
        if let Some(frame) = self.open.last_mut() {
            frame.size.bytes += text.len();
            if let Content::Map(entries) = &mut frame.content {
                entries.key = Some(Key {
                    merge: is_merge(&text, style),
                    text,
                    line: span.start.line() as u64,
                });
            }
        }
        Ok(())
    }

    /// A list or mapping begins.
    fn open(&mut self, content: Content, anchor: usize, span: &Span) -> Result<(), ReadError> {
        if self.wants_key() {
            return Err(complex_key(span));
        }
        if self.open.len() >= self.limits.depth {
            return Err(at(ReadErrorKind::TooDeep(self.limits.depth), &span.start));
        }
        let size = Size {
            nodes: 1,
            ..Size::default()
        };
        self.open.push(Frame {
            content,
            anchor,
            size,
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
        let mut size = frame.size;
        size.height += 1;
        self.finish_value(Built { value, size }, frame.anchor, span)
    }

    /// A copy of an anchored value.
    fn alias(&mut self, anchor: usize, span: &Span) -> Result<(), ReadError> {
        let Some(built) = self.anchors.get(&anchor) else {
            let kind = ReadErrorKind::Yaml {
                words: "an alias stands inside the value that it repeats".to_owned(),
                mend: "write `$ref` where a schema refers to itself",
            };
            return Err(at(kind, &span.start));
        };
        let size = built.size;
        if self.open.len() + size.height > self.limits.depth {
            return Err(at(ReadErrorKind::TooDeep(self.limits.depth), &span.start));
        }
        let is_key = self.wants_key();
        if is_key && size.height > 0 {
            return Err(complex_key(span));
        }
        // Counted before it is copied.
        self.count_copy(size.bytes, span)?;
        self.count(size.nodes, span)?;
        self.nodes -= 1;
        match self.anchors.get(&anchor).cloned() {
            Some(copy) if is_key => {
                let text = match copy.value {
                    Value::String(text) => text.into(),
                    value => value.to_string(),
                };
                self.key(text, ScalarStyle::SingleQuoted, 0, span)
            }
            Some(copy) => self.finish_value(copy, 0, span),
            None => Ok(()),
        }
    }

    /// A value is complete: it goes where it belongs.
    fn finish_value(&mut self, built: Built, anchor: usize, span: &Span) -> Result<(), ReadError> {
        self.count(1, span)?;
        if anchor != 0 {
            self.count(built.size.nodes, span)?;
            self.count_copy(built.size.bytes, span)?;
            self.anchors.insert(anchor, built.clone());
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(built.value);
            return Ok(());
        };
        frame.size.nodes += built.size.nodes;
        frame.size.bytes += built.size.bytes;
        frame.size.height = frame.size.height.max(built.size.height);
        match &mut frame.content {
            Content::List(items) => items.push(built.value),
            Content::Map(entries) => {
                frame.size.nodes += 1;
                entries.add(built.value, &mut self.duplicates);
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

    /// That many more bytes of text in copies. All of them may be as long as a document.
    fn count_copy(&mut self, bytes: usize, span: &Span) -> Result<(), ReadError> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > self.limits.bytes {
            return Err(at(ReadErrorKind::TooLong(self.limits.bytes), &span.start));
        }
        Ok(())
    }
}

impl Sink for Builder<'_> {
    fn begin(&mut self, shielded: bool) {
        *self = Self {
            shielded,
            ..Self::new(self.limits)
        };
    }

    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), ReadError> {
        match event {
            Event::DocumentStart(..) => {
                self.another = self.root.is_some().then_some(span.start);
                return Ok(());
            }
            // A document without content, as `---` at the end of a file begins one.
            Event::Scalar(_, ScalarStyle::Plain, 0, None)
                if self.open.is_empty() && is_nothing(span) =>
            {
                return Ok(());
            }
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) => {
                if let Some(marker) = self.another {
                    return Err(at(ReadErrorKind::Several, &marker));
                }
            }
            _ => {}
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text = if self.shielded { unshield(text) } else { text };
                if self.wants_key() {
                    return self.key(key_text(text, style, span), style, anchor, span);
                }
                let bytes = text.len();
                let value = scalar_value(text, style, tag.as_deref());
                self.finish_value(Built::leaf(value, bytes), anchor, span)
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
}

impl Entries {
    /// The value of the key that came before.
    fn add(&mut self, value: Value, duplicates: &mut Duplicates) {
        let Some(Key { text, merge, line }) = self.key.take() else {
            return;
        };
        match value {
            Value::Object(map) if merge => return self.merged.push(map),
            Value::Array(list) if merge && list.iter().all(Value::is_object) => {
                let maps = list.into_iter().filter_map(|item| match item {
                    Value::Object(map) => Some(map),
                    _ => None,
                });
                return self.merged.extend(maps);
            }
            _ => {}
        }
        match self.map.entry(text) {
            Entry::Vacant(entry) => {
                if !self.places.is_empty() {
                    let key = entry.key().to_string();
                    self.places.insert(key, self.lines.len());
                }
                entry.insert(value);
                self.lines.push(line);
            }
            Entry::Occupied(mut entry) => {
                entry.insert(value);
                let key = entry.key().clone();
                self.note(&key, line, duplicates);
            }
        }
    }

    /// A key that stands twice.
    fn note(&mut self, key: &str, line: u64, duplicates: &mut Duplicates) {
        if duplicates.is_full() {
            return duplicates.note(key, line, line);
        }
        if self.places.is_empty() {
            let keys = self.map.keys().map(ToString::to_string);
            self.places = keys.zip(0..).collect();
        }
        let first = self
            .places
            .get(key)
            .and_then(|place| self.lines.get_mut(*place));
        let first = first.map_or(line, |first| std::mem::replace(first, line));
        duplicates.note(key, first, line);
    }

    /// All entries: written ones hide merged ones, and earlier merged ones later ones.
    fn finish(self) -> Map {
        let mut map = self.map;
        for (key, value) in self.merged.into_iter().flatten() {
            map.entry(key).or_insert(value);
        }
        map
    }
}

/// Whether nothing is written where this scalar stands.
pub(super) fn is_nothing(span: &Span) -> bool {
    span.start.index() == span.end.index()
}

/// Whether a key merges its value into the mapping.
pub(super) fn is_merge(text: &str, style: ScalarStyle) -> bool {
    text == "<<" && style == ScalarStyle::Plain
}

/// A key as it is written. The parser gives `~` where nothing is.
pub(super) fn key_text(text: Cow<'_, str>, style: ScalarStyle, span: &Span) -> String {
    if style == ScalarStyle::Plain && is_nothing(span) {
        return String::new();
    }
    text.into_owned()
}

/// A list or mapping stands where a key should.
fn complex_key(span: &Span) -> ReadError {
    let kind = ReadErrorKind::Yaml {
        words: "a key is a list or a mapping, which no JSON object can have".to_owned(),
        mend: "put a key that begins with `[` or `{` into quotes, and a value such as `{{name}}` \
               as well",
    };
    at(kind, &span.start)
}

/// A scalar as a value: what is quoted, or tagged as a text, is a text.
fn scalar_value(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let plain = match tag {
        None => style == ScalarStyle::Plain,
        Some(tag) => matches!(tag.core_suffix(), Some("int" | "float" | "bool" | "null")),
    };
    let value = if plain { scalar::resolve(&text) } else { None };
    value.unwrap_or_else(|| Value::from(text.into_owned()))
}
