//! The content of one file, and how a fragment finds its way in it.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::openapi::{Map, Value};
use percent_encoding::percent_decode_str;

use super::super::pointer;

/// Deepest value that is walked: what is read is not as deep.
pub(super) const MAX_DEPTH: usize = 128;
/// Most segments of a fragment.
const MAX_SEGMENTS: usize = 256;
/// Longest pointer that an anchor stands for, in bytes: each reference to it is made of one.
const MAX_ANCHORED: usize = 512;
/// Anchors of one file.
const MAX_ANCHORS: usize = 100_000;

/// The content of one file. It stands still until everything is found: parts of it are known by
/// their addresses.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// What was read, if it was.
    pub(super) value: Option<Box<Value>>,
    /// Pointers by `$id`, `$anchor` and `$dynamicAnchor`, once one was asked for.
    anchors: OnceLock<HashMap<String, String>>,
}

/// What a fragment leads to.
pub(super) struct Found<'c> {
    /// The whole pointer, escaped; empty for the whole file.
    pub(super) pointer: String,
    /// The value there; or the reference on the way that has to be followed first.
    pub(super) value: &'c Value,
    /// Where that is; as long as `pointer` unless it is on the way.
    pub(super) at: String,
}

impl Found<'_> {
    /// Whether nothing has to be followed first.
    pub(super) fn is_there(&self) -> bool {
        self.at.len() == self.pointer.len()
    }
}

impl Content {
    /// Of what was read.
    pub(super) fn new(value: Value) -> Self {
        Self {
            value: Some(Box::new(value)),
            anchors: OnceLock::new(),
        }
    }

    /// What a fragment (without `#`) leads to: a pointer, an anchor, or the whole file.
    pub(super) fn find(&self, fragment: &str) -> Option<Found<'_>> {
        let root = self.value.as_deref()?;
        if fragment.is_empty() || (fragment == "/" && root.get("").is_none()) {
            return Some(Found {
                pointer: String::new(),
                value: root,
                at: String::new(),
            });
        }
        if let Some(path) = fragment.strip_prefix('/') {
            return descend(root, path);
        }
        if let Some(anchored) = self.anchor(fragment) {
            if anchored == "/" {
                return self.find("");
            }
            return descend(root, &encode(anchored.strip_prefix('/')?));
        }
        // `Pet.yaml#definitions/Pet`
        descend(root, fragment)
    }

    /// The pointer of the schema with this `$id`, `$anchor` or `$dynamicAnchor`; the root's is
    /// `/`.
    pub(super) fn anchor(&self, name: &str) -> Option<&str> {
        let root = self.value.as_deref()?;
        let anchors = self.anchors.get_or_init(|| {
            let mut anchors = HashMap::new();
            collect(root, &mut String::new(), 0, &mut anchors);
            anchors
        });
        anchors.get(name).map(String::as_str)
    }

    /// The pointer of a schema of this name, as old documents refer to it.
    pub(super) fn named(&self, name: &str) -> Option<String> {
        let root = self.value.as_deref()?;
        let has = |map: Option<&Value>| map.and_then(|map| map.get(name)).is_some();
        let section = if has(root.get("components").and_then(|c| c.get("schemas"))) {
            "/components/schemas"
        } else if has(root.get("definitions")) {
            "/definitions"
        } else {
            return None;
        };
        Some(pointer::join(section, name))
    }
}

/// A pointer as the fragment of a reference: what would be decoded is encoded.
pub(super) fn encode(pointer: &str) -> String {
    pointer.replace('%', "%25")
}

/// Follows the segments of a pointer (without its first slash).
fn descend<'c>(root: &'c Value, path: &str) -> Option<Found<'c>> {
    let mut value = root;
    let mut at = String::new();
    let mut segments = path.split('/');
    for (index, segment) in segments.by_ref().enumerate() {
        if index == MAX_SEGMENTS {
            return None;
        }
        let decoded = unescape(&percent_decode_str(segment).decode_utf8_lossy());
        let raw = unescape(segment);
        if let Some(inner) = pointer::child(value, &decoded) {
            value = inner;
            pointer::push(&mut at, &decoded);
        } else if let Some(inner) = pointer::child(value, &raw) {
            value = inner;
            pointer::push(&mut at, &raw);
        } else {
            pointer::reference_of(value)?;
            let mut whole = at.clone();
            pointer::push(&mut whole, &decoded);
            for (more, segment) in segments.enumerate() {
                if index + more == MAX_SEGMENTS {
                    return None;
                }
                let decoded = percent_decode_str(segment).decode_utf8_lossy();
                pointer::push(&mut whole, &unescape(&decoded));
            }
            return Some(Found {
                pointer: whole,
                value,
                at,
            });
        }
    }
    Some(Found {
        pointer: at.clone(),
        value,
        at,
    })
}

/// A segment as the key that it stands for.
fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// All anchors and ids in a value; of several with one name the first.
fn collect(value: &Value, at: &mut String, depth: usize, anchors: &mut HashMap<String, String>) {
    if depth > MAX_DEPTH || at.len() > MAX_ANCHORED || anchors.len() > MAX_ANCHORS {
        return;
    }
    let length = at.len();
    match value {
        Value::Object(map) => {
            for name in names(map) {
                if !anchors.contains_key(name) {
                    let at = if at.is_empty() { "/" } else { at.as_str() };
                    anchors.insert(name.to_owned(), at.to_owned());
                }
            }
            for (key, inner) in map {
                pointer::push(at, key);
                collect(inner, at, depth + 1, anchors);
                at.truncate(length);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                pointer::push_index(at, index);
                collect(inner, at, depth + 1, anchors);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// What a schema can be referred to by.
fn names(map: &Map) -> impl Iterator<Item = &str> {
    let text = |keyword| map.get(keyword).and_then(Value::as_str);
    ["$anchor", "$dynamicAnchor", "$id"]
        .into_iter()
        .filter_map(text)
        .map(|name| name.trim_end_matches('#'))
        .filter(|name| !name.is_empty())
}
