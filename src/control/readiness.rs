//! Whether the gateway is ready, and since when it is or is not.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::{Control, Edges};

/// What it was when it was last looked at, and since when.
#[derive(Debug)]
pub(super) struct Readiness(Cell<(bool, Timestamp)>);

impl Readiness {
    /// Of a process that starts.
    pub(super) fn not_yet(now: Timestamp) -> Self {
        Self(Cell::new((false, now)))
    }
}

impl<E: Edges> Control<E> {
    /// Whether it is: see [`Snapshot::serves`](crate::snapshot::Snapshot::serves).
    pub fn ready(&self) -> bool {
        let known = self.knows_tokens() && !self.shared.starting.load(Ordering::Relaxed);
        self.published.as_ref().is_some_and(|published| {
            let current = published.current();
            if known && current.serves(false) {
                self.shared.begun.store(true, Ordering::Relaxed);
            }
            known && current.serves(self.shared.begun.load(Ordering::Relaxed))
        })
    }

    /// Looks whether it is another than before; gives since when it is what it is. To be asked
    /// after whatever may change it.
    pub fn ready_since(&self, now: Timestamp) -> Timestamp {
        let (before, since) = self.readiness.0.get();
        let ready = self.ready();
        let since = if ready == before { since } else { now };
        self.readiness.0.set((ready, since));
        since
    }

    /// Generations that something still holds.
    pub fn generations_alive(&self) -> usize {
        self.alive
            .iter()
            .filter(|generation| generation.strong_count() > 0)
            .count()
    }
}
