//! Where the parts of a rewritten document stand in what was written.
//!
//! A document is rewritten before it is loaded: several files become one value, Swagger 2.0
//! becomes 3.0. Reports name the places that their reader can open, so every step says what it
//! moved.

use std::collections::HashMap;

use crate::openapi::Value;

use super::Finding;

/// A document in another version of `OpenAPI`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Converted {
    /// The new document.
    pub(super) value: Value,
    /// Where its parts stood.
    pub(super) origins: Origins,
    /// What was repaired, simplified or skipped. Its places are those of the old document.
    pub(super) report: Vec<Finding>,
}

/// Moves of one step: from a pointer into the new document to one into the old.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// By the new pointer. What has no entry, nor any parent that has one, was not moved.
    moves: HashMap<String, String>,
}

impl Origins {
    /// What stands at `new` (such as `#/paths/~1todos/post/requestBody`) stood at `old`: a pointer
    /// (`#/paths/~1todos/post/parameters/0`), or a file and a pointer (`parts/todo.yaml#/post`).
    pub fn moved(&mut self, new: impl Into<String>, old: impl Into<String>) {
        self.moves.insert(new.into(), old.into());
    }

    /// Where a place of the new document stood in the old one: by the longest of its parents that
    /// was moved.
    pub fn of(&self, pointer: &str) -> String {
        if self.moves.is_empty() {
            return pointer.to_owned();
        }
        let mut length = pointer.len();
        loop {
            if let Some(old) = self.moves.get(&pointer[..length]) {
                let rest = &pointer[length..];
                return format!("{old}{rest}");
            }
            match pointer[..length].rfind('/') {
                Some(shorter) => length = shorter,
                None => return pointer.to_owned(),
            }
        }
    }

    /// Puts the places of findings about the new document back to where they stood in the old.
    pub fn restore(&self, report: &mut [Finding]) {
        for finding in report {
            finding.pointer = self.of(&finding.pointer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_parent_that_was_moved_decides() {
        let mut origins = Origins::default();
        origins.moved("#/a/b", "x.yaml#");
        origins.moved("#/a/b/c", "#/old");
        let check = |pointer: &str, expected: &str| assert_eq!(origins.of(pointer), expected);
        check("#/a/b/c/d", "#/old/d");
        check("#/a/b/cc", "x.yaml#/cc");
        check("#/a/b", "x.yaml#");
        check("#/a/x", "#/a/x");
        check("#", "#");
    }
}
