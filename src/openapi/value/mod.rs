//! A JSON value in the form that a document is held in.
//!
//! It reads and is used like `serde_json::Value`, and takes less than half of its memory: most
//! objects of a description have one to five members, for which a list that is looked through is
//! smaller and faster than a hash table. Numbers keep their digits.

mod access;
mod convert;
mod index;
mod map;
mod serde;
#[cfg(test)]
mod tests;

pub(super) use map::Entry;
pub use map::Map;
use serde_json::Number;

/// A text, or the name of a member. Up to 15 bytes stand in the value itself, as most names do; of a
/// longer one all clones share the bytes, so that a published document has the texts of its source.
pub type Text = ecow::EcoString;

/// A JSON value.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, with the digits that it was written with.
    Number(Number),
    /// A text.
    String(Text),
    /// A list.
    Array(Vec<Value>),
    /// An object, in the order of the text.
    Object(Map),
}

/// As JSON.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// As JSON without blanks; with `{:#}` indented.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let written = if f.alternate() {
            serde_json::to_writer_pretty(Written(f), self)
        } else {
            serde_json::to_writer(Written(f), self)
        };
        written.map_err(|_| std::fmt::Error)
    }
}

/// Passes on what is written, piece by piece: a document may be large.
struct Written<'f, 'a>(&'f mut std::fmt::Formatter<'a>);

impl std::io::Write for Written<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Pieces of JSON are whole characters.
        let text = std::str::from_utf8(bytes).map_err(std::io::Error::other)?;
        self.0.write_str(text).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A [`Value`] as `serde_json::json!` writes one.
macro_rules! json {
    ($($json:tt)+) => {
        $crate::openapi::Value::from(::serde_json::json!($($json)+))
    };
}
pub(crate) use json;
