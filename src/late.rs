//! Which of the times that an upstream has for an answer has passed: for the log, and for the client.

use std::time::Duration;

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
