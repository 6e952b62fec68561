//! The head of a request (RFC 9112 §3 to §6).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};

use super::spare;
use crate::headers::number;
use crate::http1::{Chunks, Left, options};
use crate::server::h2frames::PREFACE;

/// Fields for which there is room on the stack; `limits.headers` may want more.
const FIELDS: usize = 128;
/// Bytes of a request target: as many as `http::Uri` takes.
const TARGET: usize = (u16::MAX - 1) as usize;

/// Begins a record of a TLS handshake: its type, and the first byte of all versions.
const HANDSHAKE: &[u8] = &[22, 3];
/// Begin a header of the PROXY protocol: of version 1, and of version 2 without the empty lines at
/// its beginning, which are skipped before every request.
const PROXY: [&[u8]; 3] = [b"PROXY TCP", b"PROXY UNKNOWN", b"\0\r\nQUIT\n"];

/// Bounds of a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes (`limits.head_bytes`).
    pub(super) bytes: usize,
    /// Fields (`limits.headers`).
    pub(super) fields: usize,
}

/// Why what came is no head. Each has the status that is answered (RFC 9110 §15.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::server) enum Malformed {
    /// It can not be read (RFC 9112 §3).
    #[error("invalid HTTP request head: {0}")]
    Grammar(#[from] httparse::Error),
    /// The target is no URI.
    #[error("invalid request target")]
    Target,
    /// It is longer than 65,534 bytes.
    #[error("the request target is too long")]
    TargetTooLong,
    /// See [`Bounds`].
    #[error("the request head is too large")]
    TooLarge,
    /// Not a number, or different ones.
    #[error("the Content-Length is not one number")]
    Length,
    /// In HTTP/1.0, or without `chunked` at its end (RFC 9112 §6.1).
    #[error("the Transfer-Encoding can not be understood")]
    TransferEncoding,
    /// What begins TLS (RFC 8446 §5.1): a record of a handshake, of any version.
    #[error("it is TLS, and plain HTTP is spoken here: https is spoken on listen.https")]
    Tls,
    /// What a proxy says before everything else.
    #[error(
        "it begins with a header of the PROXY protocol: listen.proxy_protocol reads those, of trusted_proxies"
    )]
    ProxyHeader,
    /// What begins HTTP/2 where HTTP/1.1 was agreed on. Nothing is answered.
    #[error("HTTP/2 where HTTP/1.1 was agreed on")]
    Http2,
}

impl Malformed {
    /// What these bytes are, which begin no head: of another protocol that is meant for another port
    /// the log says so.
    fn of(bytes: &[u8], error: httparse::Error) -> Self {
        let begins = |beginning: &&[u8]| bytes.starts_with(beginning);
        if bytes.starts_with(HANDSHAKE) {
            Self::Tls
        } else if PROXY.iter().any(begins) {
            Self::ProxyHeader
        } else {
            Self::Grammar(error)
        }
    }

    /// What is answered.
    pub(super) fn status(self) -> Option<StatusCode> {
        match self {
            Self::Grammar(httparse::Error::TooManyHeaders) | Self::TooLarge => {
                Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            }
            Self::TargetTooLong => Some(StatusCode::URI_TOO_LONG),
            Self::Grammar(_)
            | Self::Target
            | Self::Length
            | Self::TransferEncoding
            | Self::Tls
            | Self::ProxyHeader => Some(StatusCode::BAD_REQUEST),
            Self::Http2 => None,
        }
    }
}

/// What a head says.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) request: Request<()>,
    pub(super) left: Left,
    /// Whether the client lets another request follow (RFC 9112 §9.3).
    pub(super) persists: bool,
    /// Whether it waits to be asked for the body (RFC 9110 §10.1.1).
    pub(super) waits: bool,
    /// Whether it takes trailers (RFC 9110 §6.5.1).
    pub(super) takes_trailers: bool,
}

impl Head {
    /// Takes a head off the front of what came. `None`: it is not whole yet.
    pub(super) fn take(ahead: &mut Bytes, bounds: Bounds) -> Result<Option<Self>, Malformed> {
        let taken = if bounds.fields <= FIELDS {
            let mut lines = [const { MaybeUninit::uninit() }; FIELDS];
            Self::parse(ahead, bounds, &mut lines[..bounds.fields])?
        } else {
            let mut lines = vec![MaybeUninit::uninit(); bounds.fields];
            Self::parse(ahead, bounds, &mut lines)?
        };
        let Some((head, length)) = taken else {
            return Ok(None);
        };
        ahead.advance(length);
        Ok(Some(head))
    }

    /// The head, and its length in bytes.
    fn parse<'b>(
        ahead: &'b Bytes,
        bounds: Bounds,
        lines: &mut [MaybeUninit<httparse::Header<'b>>],
    ) -> Result<Option<(Self, usize)>, Malformed> {
        let mut parsed = httparse::Request::new(&mut []);
        let config = httparse::ParserConfig::default();
        let length = match config.parse_request_with_uninit_headers(&mut parsed, ahead, lines) {
            Ok(httparse::Status::Complete(length)) if length <= bounds.bytes => length,
            Ok(httparse::Status::Partial) if ahead.len() < bounds.bytes => return Ok(None),
            Ok(_) => return Err(Malformed::TooLarge),
            Err(_) if ahead.starts_with(PREFACE) => return Err(Malformed::Http2),
            Err(error) => return Err(Malformed::of(ahead, error)),
        };
        let (method, target) = (
            parsed.method.unwrap_or_default(),
            parsed.path.unwrap_or_default(),
        );
        if target.len() > TARGET {
            return Err(Malformed::TargetTooLong);
        }
        let mut request = Request::new(());
        *request.method_mut() =
            Method::from_bytes(method.as_bytes()).map_err(|_| httparse::Error::Token)?;
        // Shares what was read, as the values do: that goes when the request does.
        *request.uri_mut() = Uri::from_maybe_shared(ahead.slice_ref(target.as_bytes()))
            .map_err(|_| Malformed::Target)?;
        *request.version_mut() = match parsed.version {
            Some(0) => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        let mut body = Body::default();
        let mut fields = spare::take();
        for line in parsed.headers.iter() {
            let name = HeaderName::from_bytes(line.name.as_bytes())
                .map_err(|_| httparse::Error::HeaderName)?;
            let value = HeaderValue::from_maybe_shared(ahead.slice_ref(line.value))
                .map_err(|_| httparse::Error::HeaderValue)?;
            if body.note(&name, &value)? == Note::Said {
                continue;
            }
            fields.append(name, value);
        }
        let is_modern = request.version() == Version::HTTP_11;
        *request.headers_mut() = fields;
        let head = Self {
            left: body.left(is_modern)?,
            // Behind a CONNECT, which nobody serves, its client may speak anything.
            persists: !body.is_unclear()
                && *request.method() != Method::CONNECT
                && body.connection.unwrap_or(is_modern),
            waits: is_modern && body.waits,
            takes_trailers: body.takes_trailers,
            request,
        };
        Ok(Some((head, length)))
    }
}

/// What the fields of a head say of its body and of the connection.
#[derive(Debug, Default)]
struct Body {
    length: Option<u64>,
    /// Whether the last coding of the last `Transfer-Encoding` is `chunked`.
    is_chunked: Option<bool>,
    connection: Option<bool>,
    waits: bool,
    takes_trailers: bool,
}

/// What is made of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Note {
    New,
    /// The same number once more, which is left out (RFC 9110 §8.6).
    Said,
}

impl Body {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<Note, Malformed> {
        match *name {
            header::CONTENT_LENGTH => {
                let length = number(value.as_bytes()).ok_or(Malformed::Length)?;
                match self.length.replace(length) {
                    Some(before) if before == length => return Ok(Note::Said),
                    Some(_) => return Err(Malformed::Length),
                    None => {}
                }
            }
            header::TRANSFER_ENCODING => {
                let last = value.as_bytes().rsplit(|byte| *byte == b',').next();
                let last = last.unwrap_or_default().trim_ascii();
                // What has other characters than those of ASCII is no list of codings at all
                // (RFC 9112 §7): who knows what others read there.
                self.is_chunked =
                    Some(last.eq_ignore_ascii_case(b"chunked") && value.to_str().is_ok());
            }
            header::CONNECTION => options(value, &mut self.connection),
            header::EXPECT => {
                self.waits = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            }
            header::TE => {
                let mut codings = value.as_bytes().split(|byte| *byte == b',');
                self.takes_trailers |=
                    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"));
            }
            _ => {}
        }
        Ok(Note::New)
    }

    /// Two lengths: what is between them may be another request (RFC 9112 §6.1). Who serves the
    /// request refuses it; here the connection ends behind it.
    fn is_unclear(&self) -> bool {
        self.length.is_some() && self.is_chunked.is_some()
    }

    fn left(&self, is_modern: bool) -> Result<Left, Malformed> {
        match (self.is_chunked, self.length) {
            (Some(true), _) if is_modern => Ok(Left::Chunks(Chunks::new())),
            (Some(_), _) => Err(Malformed::TransferEncoding),
            (None, None | Some(0)) => Ok(Left::Nothing),
            (None, Some(length)) => Ok(Left::Length(length)),
        }
    }
}
