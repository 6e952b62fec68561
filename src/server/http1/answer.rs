//! The head of a response (RFC 9112 §4 to §6), and what says how its body ends.

use std::cell::RefCell;
use std::io::Write as _;

use http::{HeaderMap, HeaderName, Method, Request, StatusCode, Version, header, response};
use http_body::Body;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::head::Head;
use super::spare;
use crate::http1::{Framing, field, options};

/// Bytes that most heads need.
const ROOM: usize = 512;

/// What a request asks of its answer.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Asked {
    is_head: bool,
    is_modern: bool,
    persists: bool,
    takes_trailers: bool,
}

impl Asked {
    pub(super) fn by(head: &Head) -> Self {
        let request: &Request<()> = &head.request;
        Self {
            is_head: *request.method() == Method::HEAD,
            is_modern: request.version() == Version::HTTP_11,
            persists: head.persists,
            takes_trailers: head.takes_trailers,
        }
    }

    /// Nothing that can be understood.
    pub(super) fn nothing() -> Self {
        Self {
            is_head: false,
            is_modern: true,
            persists: false,
            takes_trailers: false,
        }
    }
}

/// A head that is written, and what it promises.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Vec<u8>,
    pub(super) framing: Framing,
    /// Whether another request may follow.
    pub(super) persists: bool,
    /// Trailers that were announced, and that the client takes.
    pub(super) trailers: Vec<HeaderName>,
    /// What is spoken behind it is no HTTP any more.
    pub(super) switches: bool,
}

impl Answer {
    /// Writes a head. `persists`: whether the connection may go on, if the client wants it to.
    pub(super) fn new<B: Body>(
        response: response::Parts,
        body: &B,
        asked: Asked,
        persists: bool,
    ) -> Self {
        let (status, fields) = (response.status, response.headers);
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        let bodiless = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let tells_of_another = status == StatusCode::NOT_MODIFIED || (asked.is_head && !bodiless);
        let framing = if asked.is_head || bodiless {
            Framing::Length(0)
        } else {
            framing(&fields, body, asked.is_modern)
        };
        let mut out = Vec::with_capacity(ROOM);
        status_line(status, asked.is_modern, &mut out);
        let mut said = None;
        let mut is_dated = false;
        for (name, value) in &fields {
            match *name {
                // Said below, of what is really sent. What a HEAD is answered with, or a 304, is
                // kept: it is about another response (RFC 9110 §8.6).
                header::CONTENT_LENGTH if !tells_of_another => continue,
                header::TRANSFER_ENCODING => continue,
                header::TRAILER if framing != Framing::Chunked => continue,
                header::CONNECTION => options(value, &mut said),
                header::DATE => is_dated = true,
                _ => {}
            }
            field(name, value, &mut out);
        }
        if !asked.is_head && !bodiless {
            say_framing(framing, &mut out);
        }
        let persists = persists
            && asked.persists
            && framing != Framing::Close
            && (switches || said != Some(false));
        if !switches {
            if !persists && said != Some(false) && asked.is_modern {
                out.extend_from_slice(b"connection: close\r\n");
            } else if persists && !asked.is_modern && said.is_none() {
                out.extend_from_slice(b"connection: keep-alive\r\n");
            }
        }
        if !is_dated {
            out.extend_from_slice(b"date: ");
            date(Timestamp::now(), &mut out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        let trailers = if framing == Framing::Chunked && asked.takes_trailers {
            announced(&fields)
        } else {
            Vec::new()
        };
        spare::give(fields);
        Self {
            head: out,
            framing,
            persists,
            trailers,
            switches,
        }
    }
}

/// How the end of a body is told.
fn framing<B: Body>(fields: &HeaderMap, body: &B, is_modern: bool) -> Framing {
    let known = if body.is_end_stream() {
        Some(0)
    } else {
        body.size_hint().exact()
    };
    let said = || {
        let value = fields.get(header::CONTENT_LENGTH)?;
        value.to_str().ok()?.parse().ok()
    };
    match known.or_else(said) {
        Some(length) => Framing::Length(length),
        None if is_modern => Framing::Chunked,
        None => Framing::Close,
    }
}

fn say_framing(framing: Framing, out: &mut Vec<u8>) {
    match framing {
        Framing::Length(length) => {
            // A Vec takes all.
            let _ = write!(out, "content-length: {length}\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Close => {}
    }
}

fn status_line(status: StatusCode, is_modern: bool, out: &mut Vec<u8>) {
    if status == StatusCode::OK && is_modern {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    // A client of HTTP/1.0 is spoken to as one.
    out.extend_from_slice(if is_modern {
        b"HTTP/1.1 "
    } else {
        b"HTTP/1.0 "
    });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    // Many want a reason, though it may be missing.
    let reason = status.canonical_reason().unwrap_or("<none>");
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The names that `Trailer` has.
fn announced(fields: &HeaderMap) -> Vec<HeaderName> {
    let lines = fields.get_all(header::TRAILER).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

/// Writes a date (RFC 9110 §5.6.7), which is made once a second.
fn date(now: Timestamp, out: &mut Vec<u8>) {
    thread_local! {
        static MADE: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    let second = now.as_second();
    MADE.with(|made| {
        let mut made = made.borrow_mut();
        if made.0 != second {
            let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
            *made = (second, text.unwrap_or_default());
        }
        out.extend_from_slice(made.1.as_bytes());
    });
}
