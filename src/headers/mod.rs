//! Heads of requests and responses: what is believed, what goes on, what is added.
//!
//! Pure functions over [`HeaderMap`](http::HeaderMap). In the order of a request's life:
//! [`check_request`] refuses heads that could be read in two ways and says which host is meant;
//! [`client_view`] says who is on the other end; [`outbound()`] builds the head that goes
//! upstream, from nothing; [`framing`] refuses responses of unclear length; [`response()`] builds
//! the head that the client gets; [`clean_trailers`] does the same for trailers of both
//! directions. [`Cors`] answers browsers. [`upgrade()`] and [`switches`] say which other protocols
//! a connection may switch to.
//!
//! Rules per header name stand in `names.rs`, and only there.

mod authority;
mod client;
mod cors;
mod fields;
mod framing;
mod location;
mod names;
mod outbound;
mod request;
mod response;
mod rules;
mod trailers;
mod upgrade;

#[cfg(test)]
mod tests;

pub use authority::{Authority, parse_authority};
pub use client::{ClientView, Trust, client_view};
pub use cors::{Cors, Preflight};
pub use fields::text_value;
pub use framing::{FramingError, framing};
pub use location::{Rewrite, rewrite_location};
pub(crate) use names::{are_twins, is_believed};
pub use outbound::{Credential, Identity, Outbound, Policy, hops, outbound, outbound_lines};
pub(crate) use request::number;
pub use request::{RequestFault, check_connection, check_request};
pub use response::{ResponseContext, is_fly_replay_body, response};
pub use rules::{RuleFault, Rules};
pub use trailers::clean_trailers;
pub use upgrade::{switches, upgrade};
