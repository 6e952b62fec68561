//! TLS on a connection of a client: the handshake is rustls's, the records behind it are sealed
//! and opened here.
//!
//! rustls has a buffer of its own between a socket and what speaks on it, in both directions: what
//! is uploaded is copied three times on its way, and each record that is sent has memory of its
//! own. Here records are opened where they were read to, in a buffer that all connections of a
//! thread share, and sealed from where their content lies into another; a connection that waits
//! holds neither.

mod handshake;
mod records;
mod session;
mod stream;
#[cfg(test)]
mod tests;

pub(crate) use handshake::accept;
pub(crate) use stream::Stream;
