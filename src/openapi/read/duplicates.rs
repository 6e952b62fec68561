//! Keys that stand twice in one object.

use super::Duplicate;

/// How many are kept.
const MAX_DUPLICATES: usize = 1_000;

/// The first ones with their places, and how many more there are.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    /// The first ones.
    pub(super) first: Vec<Duplicate>,
    /// How many more.
    pub(super) more: usize,
}

impl Duplicates {
    /// One more.
    pub(super) fn note(&mut self, key: &str, first_line: u64, line: u64) {
        if self.is_full() {
            self.more += 1;
            return;
        }
        self.first.push(Duplicate {
            key: key.to_owned(),
            first_line,
            line,
        });
    }

    /// Whether the places of further ones are of no use.
    pub(super) fn is_full(&self) -> bool {
        self.first.len() >= MAX_DUPLICATES
    }
}
