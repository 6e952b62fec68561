//! A request as it is given to the way upstream.

use http::{HeaderValue, Method, Request};
use http_body::Body as _;

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

impl Outgoing {
    /// Without lines. A host that can not be said is an empty one.
    pub(super) fn new(request: Request<RequestBody>, host: Option<HeaderValue>) -> Self {
        Self {
            request,
            host: host.unwrap_or(HeaderValue::from_static("")),
            lines: Vec::new(),
        }
    }

    /// Whether it means the same when it is sent twice (RFC 9110 §9.2.2), and can be: it has no body.
    pub(super) fn may_be_repeated(&self) -> bool {
        self.request.method().is_idempotent() && self.request.body().is_end_stream()
    }

    /// Whether its method has content, so that one without says so (RFC 9110 §8.6).
    pub(super) fn expects_content(&self) -> bool {
        matches!(
            *self.request.method(),
            Method::POST | Method::PUT | Method::PATCH
        )
    }
}
