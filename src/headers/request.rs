//! Refusing request heads that could be read in two ways.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Uri, Version};
use thiserror::Error;

use super::authority::{Authority, parse_authority};
use super::fields::{list, only};

/// Why a request is refused before anything else is asked. After one of these an HTTP/1
/// connection should be closed, but for the two about methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestFault {
    /// `CONNECT`: we are no tunnel.
    #[error("CONNECT is not supported")]
    Connect,
    /// A method that is not forwarded.
    #[error("this method is not supported")]
    Method,
    /// Neither `Host` nor `:authority`.
    #[error("the request names no host")]
    MissingHost,
    /// More than one `Host`.
    #[error("the request has more than one Host field")]
    SeveralHosts,
    /// Not a host and a port.
    #[error("the host of the request is not valid")]
    InvalidHost,
    /// `Host` and the target of the request name two.
    #[error("the Host field and the target of the request name different hosts")]
    HostMismatch,
    /// A target with a scheme that is not of HTTP.
    #[error("the scheme of the request is not supported")]
    Scheme,
    /// `Transfer-Encoding` where there is none: in HTTP/1.0 and HTTP/2.
    #[error("Transfer-Encoding is not allowed in this version of HTTP")]
    UnexpectedTransferEncoding,
    /// Anything but exactly one `chunked`.
    #[error("Transfer-Encoding is not exactly one chunked")]
    TransferEncoding,
    /// Several, or not a number.
    #[error("Content-Length is not exactly one number")]
    ContentLength,
    /// Both at once.
    #[error("Content-Length stands beside Transfer-Encoding")]
    TwoLengths,
    /// `Connection` names what is not the connection's.
    #[error("the Connection field names a field that belongs to the request")]
    Connection,
}

/// Checks a request head and says which host it is meant for.
///
/// By the time that we see it, hyper has decided how long the body is and has refused what it
/// can not read: `Transfer-Encoding` in HTTP/1.0 or without a final `chunked`, two different
/// `Content-Length`; of equal ones it keeps the first; `Content-Length` beside
/// `Transfer-Encoding` it removes, and closes the connection afterwards; a fragment it cuts off.
/// What it leaves in the head verbatim is for instance `gzip, chunked`, which it decodes as
/// `chunked`: that, and everything else that an upstream might read otherwise, is refused here.
/// The checks do not rely on hyper having been there. In HTTP/2, h2 has refused
/// connection-specific fields.
///
/// The one host must be named once in HTTP/1.1 (RFC 9112 §3.2), and a target in absolute form
/// must agree with it. In HTTP/2 it is `:authority`, `Host`, or both if they agree (RFC 9113
/// §8.3.1). An HTTP/1.0 request need not name one: its [`Authority`] is then empty.
pub fn check_request<'a>(
    method: &Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    version: Version,
) -> Result<Authority<'a>, RequestFault> {
    check_method(method)?;
    check_framing(headers, version)?;
    let https = match uri.scheme_str() {
        None | Some("http") => false,
        Some("https") => true,
        Some(_) => return Err(RequestFault::Scheme),
    };
    let field = host_field(headers)?;
    let target = match uri.authority() {
        Some(authority) => {
            Some(parse_authority(authority.as_str()).ok_or(RequestFault::InvalidHost)?)
        }
        None => None,
    };
    let same = |a: &Authority<'_>, b: &Authority<'_>| {
        a.host == b.host && a.port_or_default(https) == b.port_or_default(https)
    };
    match (target, field) {
        (Some(target), Some(field)) if !same(&target, &field) => Err(RequestFault::HostMismatch),
        (Some(_), None) if version == Version::HTTP_11 => Err(RequestFault::MissingHost),
        (Some(authority), _) | (None, Some(authority)) => Ok(authority),
        (None, None) if version == Version::HTTP_10 => Ok(Authority::default()),
        (None, None) => Err(RequestFault::MissingHost),
    }
}

/// Only what is forwarded.
fn check_method(method: &Method) -> Result<(), RequestFault> {
    match *method {
        Method::CONNECT => Err(RequestFault::Connect),
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS
        | Method::QUERY => Ok(()),
        _ => Err(RequestFault::Method),
    }
}

/// The `Host` field, if there is one.
fn host_field(headers: &HeaderMap) -> Result<Option<Authority<'_>>, RequestFault> {
    if !headers.contains_key(HOST) {
        return Ok(None);
    }
    let field = only(headers, &HOST).ok_or(RequestFault::SeveralHosts)?;
    let text = field.to_str().map_err(|_| RequestFault::InvalidHost)?;
    let authority = parse_authority(text).ok_or(RequestFault::InvalidHost)?;
    Ok(Some(authority))
}

/// One length at most, of one kind.
fn check_framing(headers: &HeaderMap, version: Version) -> Result<(), RequestFault> {
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    let sized = headers.contains_key(CONTENT_LENGTH);
    if chunked {
        if version != Version::HTTP_11 {
            return Err(RequestFault::UnexpectedTransferEncoding);
        }
        let coding = only(headers, &TRANSFER_ENCODING);
        if !coding.is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            return Err(RequestFault::TransferEncoding);
        }
        if sized {
            return Err(RequestFault::TwoLengths);
        }
    }
    let length = only(headers, &CONTENT_LENGTH).and_then(|value| number(value.as_bytes()));
    if sized && length.is_none() {
        return Err(RequestFault::ContentLength);
    }
    Ok(())
}

/// Refuses a `Connection` that names what was judged in the request's head: what it names goes
/// no further (RFC 9110 §7.6.1), and the upstream would see another request than the one that
/// was let in. `is_judged`: the same of further names, in any case.
pub fn check_connection(
    headers: &HeaderMap,
    is_judged: impl Fn(&[u8]) -> bool,
) -> Result<(), RequestFault> {
    const CONTENT: &[u8] = b"content-";
    const OTHERS: [&[u8]; 4] = [b"authorization", b"cookie", b"host", b"transfer-encoding"];
    let names = |name: &[u8]| {
        let begins = name.get(..CONTENT.len());
        begins.is_some_and(|begin| begin.eq_ignore_ascii_case(CONTENT))
            || OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other))
            || is_judged(name)
    };
    if list(headers, &CONNECTION).any(names) {
        return Err(RequestFault::Connection);
    }
    Ok(())
}

/// `1*DIGIT` that fits (RFC 9110 §8.6).
pub(crate) fn number(digits: &[u8]) -> Option<u64> {
    let digits_only = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| digits_only)?;
    text.parse().ok()
}
