//! The time that an exchange with an upstream has.

use std::time::Duration;

use tokio::time::Instant;

use crate::late::Late;

/// When an exchange has to be over: `upstream.total` after its begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    total: Duration,
}

impl Deadline {
    /// For an exchange that begins now.
    pub(super) fn from_now(total: Duration) -> Self {
        Self {
            at: Instant::now() + total,
            total,
        }
    }

    /// The moment.
    pub(super) fn at(&self) -> Instant {
        self.at
    }

    /// What is said when it has passed.
    pub(super) fn missed(&self) -> Late {
        Late::Total(self.total)
    }
}
