//! Heads: what a request says before its body, and what a response does.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Version, header};

use http_body::Body as _;

use super::{Fault, HEAD};
use crate::http1::{Framing, field, options};
use crate::upstream::Outgoing;

/// Fields that a response's head may have.
pub(super) const FIELDS: usize = 256;

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) fields: HeaderMap,
    /// Whether the connection goes on behind the response (RFC 9112 §9.3).
    pub(super) persists: bool,
}

impl Head {
    /// Takes a head off the front of what came. `None`: it is not whole yet.
    pub(super) fn take(ahead: &mut Bytes) -> Result<Option<Self>, Fault> {
        let mut lines = [const { MaybeUninit::uninit() }; FIELDS];
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let status = config.parse_response_with_uninit_headers(&mut parsed, ahead, &mut lines);
        let length = match status.map_err(Fault::Head)? {
            httparse::Status::Complete(length) if length > HEAD => {
                return Err(Fault::HeadTooLarge);
            }
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => return Ok(None),
        };
        let version = match parsed.version {
            Some(0) => Version::HTTP_10,
            _ => Version::HTTP_11,
        };
        let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
        let status = status.ok_or(Fault::Head(httparse::Error::Status))?;
        let mut fields = HeaderMap::with_capacity(parsed.headers.len());
        let mut connection = None;
        for line in parsed.headers.iter() {
            let name = HeaderName::from_bytes(line.name.as_bytes());
            let name = name.map_err(|_| Fault::Head(httparse::Error::HeaderName))?;
            // Shares what was read, which goes when the response does.
            let value = HeaderValue::from_maybe_shared(ahead.slice_ref(line.value));
            let value = value.map_err(|_| Fault::Head(httparse::Error::HeaderValue))?;
            if name == header::CONNECTION {
                options(&value, &mut connection);
            }
            fields.append(name, value);
        }
        let persists = connection.unwrap_or(version == Version::HTTP_11);
        let _ = ahead.split_to(length);
        Ok(Some(Self {
            status,
            version,
            fields,
            persists,
        }))
    }

    /// Whether another head follows on this one (RFC 9110 §15.2).
    pub(super) fn is_interim(&self) -> bool {
        self.status.is_informational() && self.status != StatusCode::SWITCHING_PROTOCOLS
    }

    pub(super) fn response<B>(self, body: impl FnOnce() -> B) -> Response<B> {
        let mut response = Response::new(body());
        *response.status_mut() = self.status;
        *response.version_mut() = self.version;
        *response.headers_mut() = self.fields;
        response
    }
}

/// Writes the head of a request in origin form, with the framing of its body in place of what it
/// says of that.
pub(super) fn write(outgoing: &Outgoing, out: &mut Vec<u8>) -> Framing {
    let request = &outgoing.request;
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    out.reserve(target.len() + outgoing.lines.len() + 256);
    out.extend_from_slice(request.method().as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    field(&header::HOST, &outgoing.host, out);
    out.extend_from_slice(&outgoing.lines);
    for (name, value) in request.headers() {
        if *name != header::CONTENT_LENGTH && *name != header::TRANSFER_ENCODING {
            field(name, value, out);
        }
    }
    let exact = request.body().size_hint().exact();
    let framing = exact.map_or(Framing::Chunked, Framing::Length);
    if let Some(length) = exact {
        if length > 0 || outgoing.expects_content() {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(HeaderValue::from(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    } else {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    framing
}
