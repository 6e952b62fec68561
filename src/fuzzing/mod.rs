//! What the fuzzer is offered of what nobody else is: bytes of any kind, and what must hold of what
//! is made of them. Compiled for tests and with `--cfg fuzzing`, which cargo-fuzz sets.

mod config;
mod targets;
#[cfg(test)]
mod tests;
mod tokens;
mod written;

use http::Method;

pub use config::config;
pub use targets::targets;
pub use tokens::tokens;

use crate::http1::harness::Made;

/// Any bytes as what a client sends on a connection.
///
/// # Panics
/// They are not read as hyper reads them, though nobody means that.
pub fn requests(made: &[u8]) {
    let Made { bytes, pieces, .. } = Made::read(made);
    crate::server::differential(bytes, &pieces).unwrap_or_else(|fault| panic!("{fault}"));
}

/// Any bytes as what an upstream answers.
///
/// # Panics
/// They are not read as hyper reads them, though nobody means that.
pub fn responses(made: &[u8]) {
    let Made {
        bytes,
        pieces,
        choice,
    } = Made::read(made);
    let method = match choice {
        1 => Method::HEAD,
        2 => Method::POST,
        _ => Method::GET,
    };
    crate::upstream::differential(&method, bytes, &pieces)
        .unwrap_or_else(|fault| panic!("{fault}"));
}
