//! Bytes → `Value`: JSON or YAML, whatever they look like, within bounds.

mod build;
mod decode;
mod duplicates;
mod error;
mod escapes;
mod json;
mod lines;
mod scalar;
#[cfg(test)]
mod tests;
mod tokens;
mod yaml;

use crate::openapi::Value;

use duplicates::Duplicates;
pub use error::{ReadError, ReadErrorKind};
pub use lines::lines;

/// How much of a document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// Bytes of the text.
    pub bytes: usize,
    /// Nested objects and lists. More than 112 is read as that.
    pub depth: usize,
    /// Objects, lists, keys and scalars, after YAML aliases are expanded.
    pub nodes: usize,
}

/// The deepest nesting there is: `serde_json` stops at 128, and what we build around a part
/// of a document must still fit.
pub(crate) const MAX_DEPTH: usize = 112;

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            bytes: 32 << 20,
            depth: MAX_DEPTH,
            nodes: 2_000_000,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The content.
    pub value: Value,
    /// Keys that stand twice in one object, in the order of the text; the last one holds. The
    /// first 1,000.
    pub duplicates: Vec<Duplicate>,
    /// How many more there are.
    pub more_duplicates: usize,
    /// What was read in spite of a fault that changes what it says. The first 100.
    pub repairs: Vec<Repair>,
}

impl Document {
    /// A value and what was noted about it.
    fn new(value: Value, duplicates: Duplicates, repairs: Vec<Repair>) -> Self {
        let mut first = duplicates.first;
        first.sort_by_key(|duplicate| duplicate.line);
        Self {
            value,
            duplicates: first,
            more_duplicates: duplicates.more,
            repairs,
        }
    }
}

/// A fault in spite of which a text was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair {
    /// Its line, from 1.
    pub line: u64,
    /// What was done, one sentence.
    pub message: &'static str,
}

/// A key that stands twice in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The key.
    pub key: String,
    /// Line of the one that was dropped, from 1.
    pub first_line: u64,
    /// Line of the one that holds, from 1.
    pub line: u64,
}

/// Reads a JSON or YAML document.
pub fn read(bytes: &[u8], limits: &ReadLimits) -> Result<Value, ReadError> {
    read_document(bytes, limits).map(|document| document.value)
}

/// Reads a JSON or YAML document, and says which keys stand twice.
pub fn read_document(bytes: &[u8], limits: &ReadLimits) -> Result<Document, ReadError> {
    let limits = ReadLimits {
        depth: limits.depth.min(MAX_DEPTH),
        ..*limits
    };
    if bytes.len() > limits.bytes {
        let kind = ReadErrorKind::TooLarge {
            bytes: bytes.len(),
            limit: limits.bytes,
        };
        return Err(ReadError::of(kind));
    }
    let mut document = read_text(bytes, &limits)?;
    document.value.shrink_to_fit();
    Ok(document)
}

/// Reads a text of a size that is allowed.
fn read_text(bytes: &[u8], limits: &ReadLimits) -> Result<Document, ReadError> {
    let text = decode::decode(bytes)?;
    let mut start = text.trim_start().chars();
    match (start.next(), start.next()) {
        (None, _) => Err(ReadError::of(ReadErrorKind::Empty)),
        // `<<` is a merge key.
        (Some('<'), Some('a'..='z' | 'A'..='Z' | '!' | '?' | '/')) => {
            Err(ReadError::of(ReadErrorKind::Markup))
        }
        _ if json::is_json(&text) => json::read(&text, limits),
        _ => yaml::read(&text, limits),
    }
}
