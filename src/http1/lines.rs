//! Lines of a head.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Writes a line of a head.
pub(crate) fn field(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// What a line of `Connection` says of the connection's end: `close` has the last word.
pub(crate) fn options(value: &HeaderValue, persists: &mut Option<bool>) {
    for option in value.as_bytes().split(|byte| *byte == b',') {
        let option = option.trim_ascii();
        if option.eq_ignore_ascii_case(b"close") {
            *persists = Some(false);
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            persists.get_or_insert(true);
        }
    }
}

/// Whether `Trailer` names it (RFC 9110 §6.6.2).
pub(crate) fn is_announced(head: &HeaderMap, trailer: &HeaderName) -> bool {
    let lines = head.get_all(header::TRAILER).iter();
    let mut names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    names.any(|name| {
        name.trim_ascii()
            .eq_ignore_ascii_case(trailer.as_str().as_bytes())
    })
}
