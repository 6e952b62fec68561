//! Why a document can not be read, where, and what to do about it.

use super::tokens;

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
    /// Aliases that repeat too long texts.
    #[error("the document's YAML aliases repeat more than {0} bytes of text")]
    TooLong(usize),
    /// Nothing in it.
    #[error("the document is empty")]
    Empty,
    /// Not UTF-8.
    #[error("the document is not UTF-8 text")]
    NotUtf8,
    /// UTF-32, by its byte order mark.
    #[error("the document is UTF-32, not UTF-8")]
    Utf32,
    /// Starts with `<`.
    #[error("this is an HTML or XML page, neither JSON nor YAML")]
    Markup,
    /// More than one YAML document in the stream.
    #[error("the file holds more than one YAML document")]
    Several,
    /// A fault of JSON syntax, in the words of the parser.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// A fault of YAML syntax.
    #[error("not valid YAML: {words}")]
    Yaml {
        /// What is wrong.
        words: String,
        /// What to do about it.
        mend: &'static str,
    },
}

/// What to do about a fault of YAML that has no better advice.
pub(super) const MEND_YAML: &str = "mend the text at this place: indentation by spaces, and \
                                    quotes around values that begin with a special character or \
                                    hold `: `";

impl ReadError {
    /// An error without a place.
    pub(super) fn of(kind: ReadErrorKind) -> Self {
        Self {
            kind,
            line: None,
            column: None,
        }
    }

    /// An error at a byte of the text.
    pub(super) fn at(kind: ReadErrorKind, text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let start = before.iter().rposition(|b| matches!(b, b'\n' | b'\r'));
        let start = start.map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() as u64 + 1;
        Self {
            kind,
            line: Some(tokens::lines_in(before) + 1),
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
            ReadErrorKind::TooMany(_) | ReadErrorKind::TooLong(_) => {
                "write `$ref` instead of YAML aliases, or leave out what the plugin does not need"
            }
            ReadErrorKind::Empty => "check that the path or URL names the OpenAPI document",
            ReadErrorKind::NotUtf8 | ReadErrorKind::Utf32 => "save the file as UTF-8",
            ReadErrorKind::Markup => {
                "give the address of the OpenAPI document itself, not of the page that shows it"
            }
            ReadErrorKind::Several => "keep one document and remove the others and their `---`",
            ReadErrorKind::Json(_) => "mend the text at this place; a JSON validator shows it too",
            ReadErrorKind::Yaml { mend, .. } => mend,
        }
    }
}
