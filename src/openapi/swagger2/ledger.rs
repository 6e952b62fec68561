//! What a conversion writes down: moves, findings, and how much it may still copy.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use crate::openapi::Value;

use super::super::size::{take, weight};
use super::super::{Action, Finding, Origins};

/// Bytes of pointers that are written down. A path may be long and hold many parameters: beyond
/// this, findings name a place above the right one.
const MAX_POINTERS: usize = 64 << 20;
/// Longest report.
const MAX_FINDINGS: usize = 10_000;
/// Values that may be copied from any document, however small.
const FREE_COPIES: usize = 50_000;

/// What a conversion writes down.
#[derive(Debug)]
pub(super) struct Ledger {
    /// From new places to old ones.
    pub(super) origins: Origins,
    /// From old places to new ones, as far as there are references to them.
    moves: HashMap<String, String>,
    /// Old places that are referred to.
    targets: BTreeSet<String>,
    /// What was repaired, simplified or skipped.
    report: Vec<Finding>,
    /// What the report has, so that nothing is said twice.
    said: HashSet<(String, String)>,
    /// Bytes of pointers that may still be written down.
    pointers_left: usize,
    /// Values that may still be copied.
    copies_left: usize,
}

impl Ledger {
    /// An empty one for a document.
    pub(super) fn new(document: &Value) -> Self {
        Self {
            origins: Origins::default(),
            moves: HashMap::new(),
            targets: BTreeSet::new(),
            report: Vec::new(),
            said: HashSet::new(),
            pointers_left: MAX_POINTERS,
            copies_left: FREE_COPIES + 2 * weight(document),
        }
    }

    /// A place of the old document is referred to.
    pub(super) fn target(&mut self, old: String) {
        self.targets.insert(old);
    }

    /// Takes bytes from what may be written down.
    fn spend(&mut self, bytes: usize) -> bool {
        match self.pointers_left.checked_sub(bytes) {
            Some(left) => {
                self.pointers_left = left;
                true
            }
            None => false,
        }
    }

    /// What is in the new document at `new` came from `old`; who refers to `old` still means
    /// what is there.
    pub(super) fn origin(&mut self, new: &str, old: &str) {
        if new != old && self.spend(new.len() + old.len()) {
            self.origins.moved(new, old);
        }
    }

    /// What stood at `old` is now at `new`.
    pub(super) fn moved(&mut self, old: &str, new: &str) {
        self.origin(new, old);
        if self.is_target(old) {
            self.placed(old, new);
        }
    }

    /// What is referred to as `old` is now at `new`; the first place is the one that counts.
    pub(super) fn placed(&mut self, old: &str, new: &str) {
        if new != old && !self.moves.contains_key(old) && self.spend(new.len() + old.len()) {
            self.moves.insert(old.to_owned(), new.to_owned());
        }
    }

    /// Whether there is a reference to the place or into it.
    fn is_target(&self, old: &str) -> bool {
        if self.targets.is_empty() {
            return false;
        }
        if self.targets.contains(old) {
            return true;
        }
        let inside = format!("{old}/");
        let from = Bound::Included(inside.as_str());
        self.targets
            .range::<str, _>((from, Bound::Unbounded))
            .next()
            .is_some_and(|target| target.starts_with(&inside))
    }

    /// Where what stood at `old` is now.
    pub(super) fn now(&self, old: &str) -> String {
        let mut length = old.len();
        loop {
            if let Some(new) = self.moves.get(&old[..length]) {
                return format!("{new}{}", &old[length..]);
            }
            match old[..length].rfind('/') {
                Some(shorter) => length = shorter,
                None => return old.to_owned(),
            }
        }
    }

    /// Says something about a place of the old document.
    pub(super) fn note(&mut self, at: &str, action: Action, message: impl Into<String>) {
        let message = message.into();
        if self.report.len() < MAX_FINDINGS
            && self.spend(2 * at.len())
            && self.said.insert((at.to_owned(), message.clone()))
        {
            self.report.push(Finding::new(at, action, message));
        }
    }

    /// A copy, if there is still room for one.
    pub(super) fn copy(&mut self, value: &Value) -> Option<Value> {
        let left = take(value, self.copies_left);
        // Once refused, always refused: no second look at what is too large.
        self.copies_left = left.unwrap_or_default();
        left.map(|_| value.clone())
    }

    /// Room for so many values more.
    pub(super) fn afford(&mut self, values: usize) -> bool {
        let left = self.copies_left.checked_sub(values);
        self.copies_left = left.unwrap_or(self.copies_left);
        left.is_some()
    }

    /// What is kept of it.
    pub(super) fn finish(self) -> (Origins, Vec<Finding>) {
        (self.origins, self.report)
    }
}
