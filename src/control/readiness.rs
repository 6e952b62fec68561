//! Whether the gateway is ready, and since when it is or is not.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::{Control, Edges};

/// What it was when it was last looked at.
#[derive(Debug)]
pub(super) struct Readiness {
    /// Whether it was, and since when.
    last: Cell<(bool, Timestamp)>,
    /// Whether every plugin could serve at some time.
    begun: Cell<bool>,
}

impl Readiness {
    /// Of a process that starts.
    pub(super) fn not_yet(now: Timestamp) -> Self {
        Self {
            last: Cell::new((false, now)),
            begun: Cell::new(false),
        }
    }
}

impl<E: Edges> Control<E> {
    /// Whether there is a plugin, and every one can serve. Once that was so, one that comes later, and
    /// whose document can not be had, takes nothing from the others: whoever asks would send their
    /// requests elsewhere too.
    pub fn ready(&self) -> bool {
        let known = self.knows_tokens() && !self.shared.starting.load(Ordering::Relaxed);
        self.published.as_ref().is_some_and(|published| {
            let plugins = &published.current().plugins;
            let mut serve = plugins.iter().map(|plugin| plugin.unavailable.is_none());
            let all = !plugins.is_empty() && serve.clone().all(|serves| serves);
            if known && all {
                self.readiness.begun.set(true);
            }
            known && (all || (self.readiness.begun.get() && serve.any(|serves| serves)))
        })
    }

    /// Looks whether it is another than before; gives since when it is what it is. To be asked
    /// after whatever may change it.
    pub fn ready_since(&self, now: Timestamp) -> Timestamp {
        let (before, since) = self.readiness.last.get();
        let ready = self.ready();
        let since = if ready == before { since } else { now };
        self.readiness.last.set((ready, since));
        since
    }
}
