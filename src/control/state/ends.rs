//! When service tokens end: for an alarm, so those that end first.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::tokens::{Level, State, TokenRecord};

/// Tokens that are kept in mind.
const MOST: usize = 10_000;

/// The ends, the next one first.
#[derive(Debug, Default)]
pub(super) struct Ends(BTreeSet<(Timestamp, Arc<str>)>);

impl Ends {
    /// A token is something else now.
    pub(super) fn change(&mut self, before: Option<&TokenRecord>, after: &TokenRecord) {
        if let Some(end) = before.and_then(end) {
            self.0.remove(&(end, Arc::clone(&after.id)));
        }
        if let Some(end) = end(after) {
            self.insert((end, Arc::clone(&after.id)));
        }
    }

    /// What was kept of other tokens.
    pub(super) fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|end| self.insert(end));
    }

    /// Keeps one more, or all but the last.
    fn insert(&mut self, end: (Timestamp, Arc<str>)) {
        self.0.insert(end);
        if self.0.len() > MOST {
            self.0.pop_last();
        }
    }

    /// All that are kept.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Arc<str>, Timestamp)> {
        self.0.iter().map(|(at, id)| (Arc::clone(id), *at))
    }
}

/// The end of a token that somebody may forget to renew.
fn end(record: &TokenRecord) -> Option<Timestamp> {
    let meant = record.level == Level::Service && record.state == State::Active;
    record.expires.filter(|_| meant)
}
