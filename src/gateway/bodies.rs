//! The body of a request: how large it may be, and whether it was read.

use http::request::Parts;
use http::{HeaderMap, header};

use crate::body::{self, BodyFault, Incoming, RequestBody, Upload};
use crate::outbound::Errand;
use crate::rejection::Rejection;
use crate::snapshot::Snapshot;

/// The body as it goes upstream, within the bounds of the operation or else of all. One that is
/// announced as too large is refused before the upstream hears of it.
pub(super) fn bounded(
    errand: &Errand<'_>,
    body: &mut Option<Incoming>,
    snapshot: &Snapshot,
) -> Result<RequestBody, Rejection> {
    let limits = &snapshot.limits;
    let limit = errand.body_bytes().unwrap_or(limits.body_bytes);
    check_length(&errand.head.headers, limit)?;
    Ok(body.take().map_or_else(RequestBody::none, |body| {
        let credential = errand.plugin.policy.header().clone();
        let pace = (limits.body_idle, limits.body_rate);
        RequestBody::new(body, limit, pace, Some(credential))
    }))
}

fn check_length(headers: &HeaderMap, limit: u64) -> Result<(), Rejection> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(BodyFault::TooLarge { limit }.into());
    }
    Ok(())
}

/// Whether a request was read to its end, so that another can follow it. `body` is what nobody
/// wanted: a little is read here, unless its sender waits to be asked for it.
pub(super) async fn is_read(head: &Parts, body: Option<Incoming>, upload: Option<&Upload>) -> bool {
    match body {
        None => upload.is_none_or(Upload::ended),
        Some(body) => {
            http_body::Body::is_end_stream(&body)
                || (!head.headers.contains_key(header::EXPECT) && body::discard(body).await)
        }
    }
}
