//! The times that an upstream has for an answer, and which of them has passed.

use std::time::Duration;

use tokio::time::Instant;

/// A time of an upstream's that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// `upstream.timeout`: there was no response head.
    #[error("the upstream did not answer within {} s", .0.as_secs_f64())]
    Head(Duration),
    /// `upstream.total`: the exchange was not over.
    #[error("the exchange was not over within the {} s of `upstream.total`", .0.as_secs_f64())]
    Total(Duration),
}

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
