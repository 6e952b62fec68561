//! Refusing responses of unclear length.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Version};
use thiserror::Error;

use super::fields::only;
use super::request::number;

/// Why a response of the upstream is not trusted (502). Its connection must not be used again:
/// what follows on it may be part of this response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FramingError {
    /// Anything but exactly one `chunked`, or in a version that has none.
    #[error("the upstream's Transfer-Encoding is not exactly one chunked")]
    TransferEncoding,
    /// Both at once.
    #[error("the upstream's Content-Length stands beside Transfer-Encoding")]
    TwoLengths,
    /// Not a number, or two different ones.
    #[error("the upstream's Content-Length is not one number")]
    ContentLength,
}

/// Checks the length of a response. Codecs decode a list that ends in `chunked`, and a
/// `Content-Length` beside it stays in the head; both are signs of a confused or hostile
/// upstream, and the second would make the client read the wrong number of bytes.
///
/// Several equal numbers are allowed, as a list or as lines (RFC 9110 §8.6).
pub fn framing(upstream: &HeaderMap, version: Version) -> Result<(), FramingError> {
    let mut length = None;
    for value in upstream.get_all(CONTENT_LENGTH) {
        for element in value.as_bytes().split(|byte| *byte == b',') {
            let number = number(element.trim_ascii()).ok_or(FramingError::ContentLength)?;
            if length
                .replace(number)
                .is_some_and(|before| before != number)
            {
                return Err(FramingError::ContentLength);
            }
        }
    }
    if !upstream.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    let coding = only(upstream, &TRANSFER_ENCODING);
    let chunked = coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !chunked || version != Version::HTTP_11 {
        return Err(FramingError::TransferEncoding);
    }
    match length {
        Some(_) => Err(FramingError::TwoLengths),
        None => Ok(()),
    }
}
