//! Bytes → `Value`: JSON or YAML, whatever they look like, within bounds.

mod json;
mod scalar;
#[cfg(test)]
mod tests;
mod yaml;

use serde_json::Value;

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
    /// Keys that stand twice in one object; the last one holds.
    pub duplicates: Vec<Duplicate>,
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

/// Why a document can not be read. `Display` is one sentence; [`ReadError::help`] is the mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ReadError {
    /// What is wrong.
    pub kind: ReadErrorKind,
    /// Line, from 1, where there is one.
    pub line: Option<u64>,
    /// Column in characters, from 1, where there is one.
    pub column: Option<u64>,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadErrorKind {
    /// More bytes than allowed.
    #[error("the document has {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Nested too deep.
    #[error("the document is nested deeper than {0} levels")]
    TooDeep(usize),
    /// Too many values, or aliases that expand to too many.
    #[error("the document has more than {0} values, its YAML aliases expanded")]
    TooMany(usize),
    /// Nothing in it.
    #[error("the document is empty")]
    Empty,
    /// Not UTF-8.
    #[error("the document is not UTF-8 text")]
    NotUtf8,
    /// UTF-16 or UTF-32, by its byte order mark.
    #[error("the document is UTF-16 or UTF-32, not UTF-8")]
    Utf16,
    /// Starts with `<`.
    #[error("this is an HTML or XML page, neither JSON nor YAML")]
    Markup,
    /// More than one YAML document in the stream.
    #[error("the file holds more than one YAML document")]
    Several,
    /// A fault of JSON syntax, in the words of the parser.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// A fault of YAML syntax, in the words of the parser.
    #[error("not valid YAML: {0}")]
    Yaml(String),
}

impl ReadError {
    /// An error without a place.
    fn of(kind: ReadErrorKind) -> Self {
        Self {
            kind,
            line: None,
            column: None,
        }
    }

    /// An error at a byte of the text.
    fn at(kind: ReadErrorKind, text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() as u64 + 1;
        Self {
            kind,
            line: Some(line_of(before)),
            column: Some(column),
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match &self.kind {
            ReadErrorKind::TooLarge { .. } => {
                "give a document with only the operations that the plugin needs"
            }
            ReadErrorKind::TooDeep(_) => {
                "move the inner schemas to `components.schemas` and refer to them with `$ref`"
            }
            ReadErrorKind::TooMany(_) => {
                "write `$ref` instead of YAML aliases, or leave out what the plugin does not need"
            }
            ReadErrorKind::Empty => "check that the path or URL names the OpenAPI document",
            ReadErrorKind::NotUtf8 | ReadErrorKind::Utf16 => "save the file as UTF-8",
            ReadErrorKind::Markup => {
                "give the address of the OpenAPI document itself, not of the page that shows it"
            }
            ReadErrorKind::Several => "keep one document and remove the others and their `---`",
            ReadErrorKind::Json(_) => "mend the text at this place; a JSON validator shows it too",
            ReadErrorKind::Yaml(_) => {
                "mend the text at this place: indentation by spaces, and quotes around values \
                 that begin with a special character or hold `: `"
            }
        }
    }
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
    let text = decode(bytes)?;
    let Some(first) = text.trim_start().bytes().next() else {
        return Err(ReadError::of(ReadErrorKind::Empty));
    };
    match first {
        b'<' => Err(ReadError::of(ReadErrorKind::Markup)),
        b'{' | b'[' => match json::read(text, &limits) {
            // YAML's flow style looks like JSON, but allows comments and trailing commas.
            Err(error) if matches!(error.kind, ReadErrorKind::Json(_)) => {
                yaml::read(text, &limits).map_err(|_| error)
            }
            other => other,
        },
        _ => yaml::read(text, &limits),
    }
}

/// UTF-8 without its byte order mark.
fn decode(bytes: &[u8]) -> Result<&str, ReadError> {
    // UTF-32 little endian begins with UTF-16's mark, so two cover the four.
    if bytes.starts_with(b"\xFF\xFE")
        || bytes.starts_with(b"\xFE\xFF")
        || bytes.starts_with(b"\0\0\xFE\xFF")
    {
        return Err(ReadError::of(ReadErrorKind::Utf16));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    std::str::from_utf8(bytes)
        .map_err(|error| ReadError::at(ReadErrorKind::NotUtf8, bytes, error.valid_up_to()))
}

/// The line, from 1, of what follows these bytes.
fn line_of(before: &[u8]) -> u64 {
    before.split(|b| *b == b'\n').count() as u64
}
