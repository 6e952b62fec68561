//! Who asks, and what they may: from a header to a principal to a yes or no. Pure.
//!
//! ```text
//! Policy::admit      headers → Presented → Arc<Token> → Principal     else AuthError: 401
//! Policy::authorize  level → plugin → network → scope                 else Denied: 403
//! ```
//!
//! A principal comes out of a [`Policy`] and from nowhere else, and only a plugin that asks for
//! no token makes [`Principal::Anonymous`], only one whose API authenticates by itself makes
//! [`Principal::Upstream`]. Below [`Policy::admit`] there is always a principal.
//!
//! The way of a good request takes one SHA-256 and one look-up, holds no lock afterwards and
//! allocates nothing. The checksum in a token is not looked at here: a secret that was made
//! elsewhere may look like one of ours, and good requests would pay for bad ones.
//!
//! # Answers
//!
//! [`challenge`] is the `WWW-Authenticate` of every 401 and 403 here (RFC 6750 §3). Where the
//! credential is in a header of its own (`auth.header = "X-API-Key"`), the scheme stays
//! `Bearer`, since RFC 9110 §11.6.1 wants a challenge and no registered scheme means "a bare
//! token in another header"; a parameter `header="x-api-key"` says where it goes, which clients
//! that do not know it ignore (RFC 9110 §11.2).

mod failure;
mod failures;
mod policy;
mod presented;

pub use failure::{AuthError, AuthFailure, Denied, challenge};
pub use failures::Failures;
pub use policy::{Anonymous, Authenticated, ByUpstream, Policy, Principal, authenticate};
pub use presented::{Malformed, Presented, presented};

#[cfg(test)]
mod tests;
