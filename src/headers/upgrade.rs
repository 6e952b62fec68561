//! Switching to another protocol (RFC 9110 §7.8).

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Version};

use super::fields::{list, only};

/// Protocols that are never switched to. Inside of them HTTP goes on: requests would reach the
/// upstream that nobody authenticates.
const NEVER: [&str; 6] = ["h2", "h2c", "http", "https", "ssl", "tls"];

/// The protocol that a request asks to switch to, if it is one that is passed on; otherwise the
/// request is served as if it had not asked, which every server may do.
///
/// That is a GET of HTTP/1.1 without a body (what follows its head is then the next request, or
/// belongs to the new protocol, and nothing in between) whose `Connection` names `Upgrade`, and
/// whose `Upgrade` is one protocol. A list of them would leave open which one the answer is for.
pub fn upgrade<'h>(
    method: &Method,
    version: Version,
    headers: &'h HeaderMap,
) -> Option<&'h HeaderValue> {
    if *method != Method::GET || version != Version::HTTP_11 {
        return None;
    }
    let protocol = only(headers, &UPGRADE)?;
    let (name, _) = parts(protocol.as_bytes())?;
    let refused = NEVER
        .iter()
        .any(|never| name.eq_ignore_ascii_case(never.as_bytes()));
    let bare = !headers.contains_key(TRANSFER_ENCODING)
        && headers
            .get_all(CONTENT_LENGTH)
            .iter()
            .all(|length| length == "0");
    (!refused && bare && is_named(headers)).then_some(protocol)
}

/// Whether a 101 switches to the protocol that was asked for. Names of protocols are compared
/// without regard to case, as their recipients do.
pub fn switches(answer: &HeaderMap, asked: &HeaderValue) -> bool {
    let given = only(answer, &UPGRADE).map(|given| given.as_bytes().trim_ascii());
    given.is_some_and(|given| given.eq_ignore_ascii_case(asked.as_bytes().trim_ascii()))
        && is_named(answer)
}

/// Whether `Connection` names `Upgrade`, as who sends it has to.
fn is_named(headers: &HeaderMap) -> bool {
    list(headers, &CONNECTION).any(|name| name.eq_ignore_ascii_case(b"upgrade"))
}

/// Name and version of one protocol: `protocol-name ["/" protocol-version]`.
fn parts(protocol: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut parts = protocol.trim_ascii().split(|byte| *byte == b'/');
    let (name, version) = (parts.next()?, parts.next());
    let whole = parts.next().is_none() && is_token(name) && version.is_none_or(is_token);
    whole.then_some((name, version))
}

/// `token` of RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    let marks = b"!#$%&'*+-.^_`|~";
    !text.is_empty()
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || marks.contains(byte))
}
