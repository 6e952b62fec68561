//! Trailers of both directions.

use http::header::TRAILER;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::fields::{append, fields, head_like, list};
use super::names::{are_twins, is_trailer};

/// Most trailers that a `Trailer` field may announce.
const MAX_NAMES: usize = 64;

/// The trailers that go on: none that frames or routes a message, authenticates it, or changes
/// how its head or its content is read (RFC 9110 §6.5.1), and not the header that holds the
/// client's `credential`, whatever is passed: a credential in a trailer was never looked at.
pub fn clean_trailers(trailers: &HeaderMap, credential: Option<&HeaderName>) -> HeaderMap {
    let mut clean = head_like(trailers, 0);
    for (name, value) in fields(trailers) {
        let is_credential = credential.is_some_and(|one| are_twins(one.as_str(), name.as_str()));
        if !is_credential && is_trailer(name.as_str()) {
            append(&mut clean, name, value.clone());
        }
    }
    clean
}

/// The `Trailer` field that goes on: the names of those that may.
pub(super) fn announced(head: &HeaderMap, credential: Option<&HeaderName>) -> Option<HeaderValue> {
    let mut names = String::new();
    for name in list(head, &TRAILER).take(MAX_NAMES) {
        let Ok(name) = HeaderName::from_bytes(name) else {
            continue;
        };
        let is_credential = credential.is_some_and(|one| are_twins(one.as_str(), name.as_str()));
        if !is_credential && is_trailer(name.as_str()) {
            if !names.is_empty() {
                names.push_str(", ");
            }
            names.push_str(name.as_str());
        }
    }
    HeaderValue::try_from(names)
        .ok()
        .filter(|value| !value.is_empty())
}
