//! A request as it is given to the way upstream.

use http::{HeaderValue, Request};

use crate::body::RequestBody;

/// A request without what the codec says itself: `Host`, the framing of its body.
#[derive(Debug)]
pub struct Outgoing {
    /// Method, target in origin form, body, and fields.
    pub request: Request<RequestBody>,
    /// `Host`, or `:authority`.
    pub host: HeaderValue,
    /// Further fields, as lines of HTTP/1.1. Only for targets that speak nothing else
    /// ([`Target::is_http1`](super::Target::is_http1)).
    pub lines: Vec<u8>,
}
