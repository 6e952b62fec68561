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
    String(String),
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
        let text = if f.alternate() {
            serde_json::to_string_pretty(self)
        } else {
            serde_json::to_string(self)
        };
        f.write_str(&text.map_err(|_| std::fmt::Error)?)
    }
}

/// A [`Value`] as `serde_json::json!` writes one.
macro_rules! json {
    ($($json:tt)+) => {
        $crate::openapi::Value::from(::serde_json::json!($($json)+))
    };
}
pub(crate) use json;
