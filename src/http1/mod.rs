//! What HTTP/1.1 (RFC 9112) is in both directions: how bodies begin and end, how bytes are gathered
//! and sent. Requests and responses have their own codecs, in `server` and `upstream`.

mod chunks;
#[cfg(test)]
pub(crate) mod grammar;
#[cfg(any(test, fuzzing))]
pub(crate) mod harness;
mod inflow;
mod lines;
mod outflow;

use std::io;

pub(crate) use chunks::Chunks;
pub(crate) use inflow::{Inflow, Left};
pub(crate) use lines::{field, is_announced, options};
pub(crate) use outflow::{Framing, Message, Outflow, Unsent};

/// How what is read of a message broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection ended before the message did.
    #[error("connection closed before message completed")]
    Closed,
    /// It broke.
    #[error("connection error: {0}")]
    Io(#[from] io::Error),
    /// RFC 9112 §7.1.
    #[error("invalid chunked body: {0}")]
    Chunks(&'static str),
}
