//! The facts of one request, and the line that tells them.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, Version};
use jiff::Timestamp;

use super::escape;
use super::labels::{SeriesId, TokenId};

/// What is known of one request when its response body has ended or its client has left.
///
/// Made when the request head is there, filled on its way, written and counted once. Filling it
/// allocates nothing: what comes from the configuration or the token table is shared
/// ([`Target`], the token of a [`Caller`]), the rest is static or small.
#[derive(Debug, Clone)]
pub struct Record {
    /// When the request head was there.
    pub started: Timestamp,
    /// `X-Request-Id`, as it is sent on.
    pub request_id: HeaderValue,
    /// The client's address, after trusted proxies.
    pub client: IpAddr,
    /// HTTP version of the connection.
    pub version: Version,
    /// Whether the connection is TLS (ours, not that of a proxy in front).
    pub tls: bool,
    /// Method.
    pub method: Method,
    /// Plugin and operation, as far as they were found.
    pub target: Option<Arc<Target>>,
    /// Who was authenticated, if anyone was.
    pub caller: Option<Caller>,
    /// Which of the token's secrets was presented: `current` or `previous`.
    pub slot: Option<&'static str>,
    /// Status of the response; `None` when the client left before its head.
    pub status: Option<StatusCode>,
    /// Status of the upstream's response, if there was one.
    pub upstream_status: Option<StatusCode>,
    /// Code of our own refusal.
    pub code: Option<&'static str>,
    /// How the body ended.
    pub outcome: Outcome,
    /// From [`started`](Self::started) to the end of the response body.
    pub total: Duration,
    /// From the request to the upstream to its response head, retries included.
    pub upstream: Option<Duration>,
    /// From [`started`](Self::started) to the first byte of the response body.
    pub first_byte: Option<Duration>,
    /// Bytes of the request body that were read.
    pub request_bytes: u64,
    /// Bytes of the response body that were handed to the connection.
    pub response_bytes: u64,
    /// Number of the snapshot that the request was served with.
    pub generation: u64,
}

/// Plugin and operation of a request. Shared by all requests to it; made by
/// [`Labels::target`](super::Labels::target).
#[derive(Debug)]
pub struct Target {
    /// Name of the plugin.
    pub plugin: Arc<str>,
    /// Operation id.
    pub operation: Option<Arc<str>>,
    /// Path template of the operation, never the path that was sent.
    pub path: Option<Arc<str>>,
    /// What counters know it by.
    pub series: SeriesId,
}

/// A principal.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The token, of which nothing is known here but what it is called.
    pub token: Arc<dyn Named>,
    /// `service`, `user` or `admin`.
    pub level: &'static str,
    /// What counters know the token by, when it is a service token: one for each person would grow
    /// without end.
    pub series: Option<TokenId>,
}

/// What has an id and a name. They are asked for when a line is written: a record that had them
/// would touch both texts for each request, and among a million tokens neither is in a cache.
pub trait Named: fmt::Debug + Send + Sync {
    /// What it is known by, never the secret.
    fn id(&self) -> &str;

    /// For people.
    fn name(&self) -> &str;
}

/// How the body of a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was handed to the connection.
    Complete,
    /// The client left, or took no byte for too long.
    ClientLeft,
    /// The upstream broke off, or sent no byte for too long.
    UpstreamBroken,
    /// `upstream.total` passed.
    UpstreamTimeout,
    /// The gateway cut it, for this reason (a word such as `revoked`).
    Cut(&'static str),
}

impl Record {
    /// What is known when the head of a request is there. A record that nobody completes tells
    /// that the client left.
    pub fn new(
        started: Timestamp,
        request_id: HeaderValue,
        client: IpAddr,
        method: Method,
        version: Version,
    ) -> Self {
        Self {
            started,
            request_id,
            client,
            version,
            tls: false,
            method,
            target: None,
            caller: None,
            slot: None,
            status: None,
            upstream_status: None,
            code: None,
            outcome: Outcome::ClientLeft,
            total: Duration::ZERO,
            upstream: None,
            first_byte: None,
            request_bytes: 0,
            response_bytes: 0,
            generation: 0,
        }
    }

    /// The status that is told: 499 when the client left before there was one.
    pub fn status(&self) -> u16 {
        self.status.map_or(CLIENT_LEFT, |status| status.as_u16())
    }

    /// Whether `log.access = "errors"` wants a line: 4xx, 5xx, or cut short.
    pub fn failed(&self) -> bool {
        self.status() >= 400 || self.outcome != Outcome::Complete
    }

    /// Appends one JSON object and a newline. Keys are always in the same order; what is not
    /// known is left out. Durations are in milliseconds.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let target = self.target.as_deref();
        let caller = self.caller.as_ref();
        let _ = write!(out, "{{\"time\":\"{:.3}\"", self.started);
        text(out, "message", Some("request"));
        text(out, "request_id", Some(&lossy(&self.request_id)));
        let _ = write!(out, ",\"client\":\"{}\"", self.client);
        text(out, "protocol", Some(protocol(self.version)));
        let _ = write!(out, ",\"tls\":{}", self.tls);
        text(out, "plugin", target.map(|t| &*t.plugin));
        text(out, "method", Some(self.method.as_str()));
        text(out, "path", target.and_then(|t| t.path.as_deref()));
        text(
            out,
            "operation",
            target.and_then(|t| t.operation.as_deref()),
        );
        text(out, "token", caller.map(|c| c.token.id()));
        text(out, "principal", caller.map(|c| c.token.name()));
        text(out, "level", caller.map(|c| c.level));
        text(out, "slot", self.slot);
        let _ = write!(out, ",\"status\":{}", self.status());
        if let Some(status) = self.upstream_status {
            let _ = write!(out, ",\"upstream_status\":{}", status.as_u16());
        }
        text(out, "code", self.code);
        text(out, "outcome", Some(self.outcome.word()));
        text(out, "cut", self.outcome.reason());
        millis(out, "duration_ms", Some(self.total));
        millis(out, "upstream_ms", self.upstream);
        millis(out, "first_byte_ms", self.first_byte);
        let _ = write!(out, ",\"request_bytes\":{}", self.request_bytes);
        let _ = write!(out, ",\"response_bytes\":{}", self.response_bytes);
        let _ = writeln!(out, ",\"generation\":{}}}", self.generation);
    }

    /// Appends one line for a person at a terminal, with the status in colour if wanted.
    pub fn write_text(&self, out: &mut Vec<u8>, colour: bool) {
        let target = self.target.as_deref();
        let (on, off) = if colour {
            (self.colour(), "\x1b[0m")
        } else {
            ("", "")
        };
        let path = target
            .and_then(|t| t.path.as_deref())
            .map_or_else(|| "-".to_owned(), word);
        let _ = write!(
            out,
            "{:.3} {on}{}{off} {:<7} {path:<32} {:>9} {:>8}",
            self.started,
            self.status(),
            word(self.method.as_str()),
            format!("{:.1}ms", self.total.as_secs_f64() * 1e3),
            size(self.response_bytes),
        );
        self.write_text_rest(out);
        out.push(b'\n');
    }

    /// The part of the line that has no columns.
    fn write_text_rest(&self, out: &mut Vec<u8>) {
        if let Some(target) = self.target.as_deref() {
            let _ = write!(out, " {}", word(&target.plugin));
            if let Some(operation) = &target.operation {
                let _ = write!(out, ".{}", word(operation));
            }
        }
        if let Some(caller) = self.caller.as_ref() {
            let _ = write!(out, " {}:{}", caller.level, word(caller.token.name()));
        }
        if let Some(code) = self.code {
            let _ = write!(out, " {}", word(code));
        }
        if self.outcome != Outcome::Complete {
            let _ = write!(out, " {}", self.outcome.word());
        }
        if let Some(reason) = self.outcome.reason() {
            let _ = write!(out, ":{}", word(reason));
        }
        let _ = write!(out, " {} {}", self.client, protocol(self.version));
        let _ = write!(out, " {}", word(&lossy(&self.request_id)));
    }

    /// SGR sequence for the class of the status.
    fn colour(&self) -> &'static str {
        match self.status() {
            500.. => "\x1b[31m",
            400.. => "\x1b[33m",
            300.. => "\x1b[36m",
            _ => "\x1b[32m",
        }
    }
}

impl Outcome {
    /// As it is written.
    fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::ClientLeft => "client_left",
            Self::UpstreamBroken => "upstream_broken",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Cut(_) => "cut",
        }
    }

    /// Why the gateway cut it.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Cut(reason) => Some(reason),
            _ => None,
        }
    }
}

/// Appends `,"key":"text"`.
fn text(out: &mut Vec<u8>, key: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        let _ = write!(out, ",\"{key}\":");
        escape::json(out, value);
    }
}

/// Appends `,"key":12.345`: milliseconds with microseconds behind the point.
fn millis(out: &mut Vec<u8>, key: &'static str, value: Option<Duration>) {
    if let Some(value) = value {
        let micros = value.as_micros();
        let _ = write!(out, ",\"{key}\":{}.{:03}", micros / 1000, micros % 1000);
    }
}

/// One word for a terminal.
fn word(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape::word(&mut out, text);
    out
}

/// A request id that a trusted proxy sent may hold any byte but controls.
fn lossy(value: &HeaderValue) -> Cow<'_, str> {
    String::from_utf8_lossy(value.as_bytes())
}

/// `HTTP/1.1` or `HTTP/2`, as ALPN and people say it.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

/// Bytes in about three digits.
fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        // Tenths in integers: no number of bytes loses its precision on the way.
        Some((unit, shift)) => {
            let tenths = (u128::from(bytes) * 10) >> shift;
            format!("{}.{}{unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes}B"),
    }
}

/// nginx's number for a client that left before the response.
const CLIENT_LEFT: u16 = 499;

#[cfg(test)]
mod tests;
