//! Every way in which the gateway itself says no: status, code, and an answer that a model or a
//! person can act on (RFC 9457).
//!
//! One closed enum; what a variant becomes is decided once, exhaustively. The client gets a fixed
//! sentence; what the upstream or the system said stays in the log.

mod excess;

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::auth::AuthFailure;
use crate::body::BodyFault;
use crate::headers::RequestFault;
use crate::late::Late;
use crate::tokens::Exceeded;
pub use excess::Excess;

/// A refusal.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// No, a bad, or an insufficient credential.
    #[error("{failure}")]
    Auth {
        /// What exactly.
        failure: AuthFailure,
        /// `WWW-Authenticate` (RFC 6750 §3).
        challenge: HeaderValue,
    },
    /// A wrong credential after many: `limits.failed_auth`.
    #[error("too many wrong credentials came from your network")]
    TooManyFailures {
        /// After which time the next is looked at, seconds.
        retry: u64,
    },
    /// A limit of the token is used up.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    /// A credential that the table does not have, while tokens may be missing in it.
    #[error(
        "the gateway can not look up this token at the moment; repeat the request in a few seconds"
    )]
    StoreUnavailable,
    /// No plugin has this host name.
    #[error(
        "no plugin answers for this host: those are `hosts` and `public_url` of the gateway's plugins"
    )]
    UnknownHost,
    /// Nothing is published there.
    #[error("nothing is published at this path")]
    NoRoute,
    /// Something is, for other methods.
    #[error("this method is not published at this path; published: {allow}")]
    MethodNotAllowed {
        /// `GET, HEAD`
        allow: String,
    },
    /// The path could be read in two ways.
    #[error("the path is refused: {0}")]
    AmbiguousPath(&'static str),
    /// The request's head is not one that can be passed on.
    #[error("the request is refused: {0}")]
    Malformed(#[from] RequestFault),
    /// More header fields than `limits.headers`.
    #[error("the request has more than {limit} header fields")]
    HeadTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The body: too large, too slow, or cut.
    #[error(transparent)]
    Body(#[from] BodyFault),
    /// A document of ours is wanted that can not be made yet.
    #[error("the API's OpenAPI document is not available yet")]
    DocumentUnavailable,
    /// The upstream can not be reached.
    #[error("the API can not be reached")]
    UpstreamUnreachable,
    /// The same, while the program behind is being started.
    #[error("the API is being started; repeat the request in a few seconds")]
    UpstreamStarts,
    /// It did not answer in time.
    #[error("{}", too_late(*.0))]
    UpstreamTimeout(Late),
    /// It answered with something that can not be passed on.
    #[error("the API broke off its answer or sent one that can not be passed on")]
    UpstreamBroken,
    /// It came through this gateway, or others like it, again and again.
    #[error("the request goes in a circle: the API's address leads back to the gateway")]
    Loop,
    /// An upgrade where the upstream is spoken to in HTTP/2 alone.
    #[error("the API is spoken to in HTTP/2, which has no upgrade to another protocol")]
    NoUpgrade,
    /// Its answer is longer than `limits.response_chars`.
    #[error(transparent)]
    ResponseTooLarge(Box<Excess>),
    /// The process has as many connections to upstreams as it may.
    #[error("the gateway has too many requests under way")]
    Overloaded,
    /// A connection that is not taken: `limits.connections` for `all`, or else
    /// `limits.connections_per_network`.
    #[error("{} has too many connections open", if *.all { "the gateway" } else { "your network" })]
    TooManyConnections {
        /// Nobody's are taken.
        all: bool,
    },
    /// `auth = none` of `dev`: a browser page of another origin.
    #[error("requests of this web page's origin are not allowed")]
    ForeignOrigin,
    /// A bug.
    #[error("the gateway failed")]
    Internal,
}

/// Seconds after which a document that could not be fetched, or the tokens, may be there.
const RETRY_OURS: u32 = 5;

static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Methods that are ever forwarded.
const FORWARDED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY";

impl Rejection {
    /// Status and code.
    pub fn kind(&self) -> (StatusCode, &'static str) {
        // Exhaustive on purpose: a new variant does not compile until someone decides.
        match self {
            Self::Auth { failure, .. } => (failure.status(), failure.code()),
            Self::TooManyFailures { .. }
            | Self::Exceeded(Exceeded::Concurrency(_) | Exceeded::Rate { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "rate_limited")
            }
            Self::Exceeded(Exceeded::Quota { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded")
            }
            Self::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
            Self::UnknownHost => (StatusCode::MISDIRECTED_REQUEST, "unknown_host"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no_route"),
            Self::AmbiguousPath(_) => (StatusCode::BAD_REQUEST, "ambiguous_path"),
            Self::MethodNotAllowed { .. }
            | Self::Malformed(RequestFault::Connect | RequestFault::Method) => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed")
            }
            Self::Malformed(_) | Self::Body(BodyFault::Broken) => {
                (StatusCode::BAD_REQUEST, "malformed_request")
            }
            Self::HeadTooLarge { .. } => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "head_too_large",
            ),
            Self::Body(BodyFault::TooLarge { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
            }
            Self::Body(BodyFault::Crowded) | Self::Overloaded => {
                (StatusCode::SERVICE_UNAVAILABLE, "overloaded")
            }
            Self::Body(BodyFault::TooSlow) => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::DocumentUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "document_unavailable"),
            Self::UpstreamUnreachable => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
            Self::UpstreamStarts => (StatusCode::SERVICE_UNAVAILABLE, "upstream_unreachable"),
            Self::UpstreamTimeout(_) => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
            Self::UpstreamBroken => (StatusCode::BAD_GATEWAY, "upstream_broken"),
            Self::Loop => (StatusCode::LOOP_DETECTED, "loop_detected"),
            Self::NoUpgrade => (StatusCode::NOT_IMPLEMENTED, "upgrade_unsupported"),
            Self::ResponseTooLarge(_) => (StatusCode::BAD_GATEWAY, "response_too_large"),
            Self::TooManyConnections { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "too_many_connections")
            }
            Self::ForeignOrigin => (StatusCode::FORBIDDEN, "foreign_origin"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// Whether the connection can not be used after this answer, because what follows on it may
    /// not be what it seems.
    fn closes(&self) -> bool {
        matches!(
            self,
            Self::Malformed(_)
                | Self::Body(_)
                | Self::HeadTooLarge { .. }
                | Self::TooManyConnections { .. }
                | Self::Internal
        )
    }

    /// The answer.
    pub fn into_response(self, request_id: &HeaderValue, http2: bool) -> Response<Bytes> {
        let (status, code) = self.kind();
        let mut response = Response::new(Bytes::from(problem(
            status,
            &self.sentence(),
            code,
            request_id.to_str().unwrap_or_default(),
        )));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.closes() && !http2 {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        match &self {
            Self::Auth { challenge, .. } => {
                headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
            }
            Self::MethodNotAllowed { allow } => {
                if let Ok(value) = HeaderValue::from_str(allow) {
                    headers.insert(header::ALLOW, value);
                }
            }
            Self::Malformed(RequestFault::Connect | RequestFault::Method) => {
                headers.insert(header::ALLOW, HeaderValue::from_static(FORWARDED));
            }
            Self::TooManyFailures { retry } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry));
            }
            Self::Exceeded(exceeded) => {
                headers.insert(
                    header::RETRY_AFTER,
                    HeaderValue::from(exceeded.retry_after()),
                );
                tell_limit(headers, *exceeded);
            }
            Self::DocumentUnavailable | Self::StoreUnavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_OURS));
            }
            Self::Body(BodyFault::Crowded)
            | Self::Overloaded
            | Self::TooManyConnections { .. }
            | Self::UpstreamStarts => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(1));
            }
            _ => {}
        }
        response
    }

    /// What it says: first letter large, a full stop at the end.
    fn sentence(&self) -> String {
        let mut text = String::with_capacity(128);
        // Writing to a string does not fail.
        let _ = write!(text, "{self}");
        // All that is said here begins with a letter of ASCII.
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        if !text.ends_with('.') {
            text.push('.');
        }
        text
    }

    /// The answer as HTTP/1.1 writes it, for a connection that no codec gets.
    pub fn into_bytes(self, request_id: &HeaderValue) -> Bytes {
        let response = self.into_response(request_id, false);
        let status = response.status();
        let reason = status.canonical_reason().unwrap_or("Refused");
        let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        let mut field = |name: &str, value: &[u8]| {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        };
        for (name, value) in response.headers() {
            field(name.as_str(), value.as_bytes());
        }
        field("x-request-id", request_id.as_bytes());
        field(
            "content-length",
            response.body().len().to_string().as_bytes(),
        );
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(response.body());
        bytes.into()
    }
}

/// Which time has passed: a model that knows asks for less, or a person for more of the right one.
fn too_late(late: Late) -> String {
    let seconds = |time: Duration| match time.as_secs_f64() {
        seconds if time == Duration::from_secs(1) => format!("{seconds} second"),
        seconds => format!("{seconds} seconds"),
    };
    match late {
        Late::Head(time) => format!("the API did not answer within {}", seconds(time)),
        Late::Total(time) => format!(
            "the API's answer was not complete within {}, the most that a whole exchange may take \
             (`upstream.total`)",
            seconds(time)
        ),
    }
}

/// The limit that was met, as draft-ietf-httpapi-ratelimit-headers has it since its version 08:
/// what it is (`q` requests in `w` seconds), and what is left (`r` of them, until `t` seconds from
/// now). The number of requests at the same time has no window, and so no line.
fn tell_limit(headers: &mut HeaderMap, exceeded: Exceeded) {
    let (name, limit) = match exceeded {
        Exceeded::Concurrency(_) => return,
        Exceeded::Rate { rate, .. } => ("rate", rate),
        Exceeded::Quota { quota, .. } => ("quota", quota),
    };
    let window = limit.period.as_secs();
    let policy = format!("\"{name}\";q={};w={window}", limit.count);
    let left = format!("\"{name}\";r=0;t={}", exceeded.retry_after());
    for (field, text) in [(&RATELIMIT_POLICY, policy), (&RATELIMIT, left)] {
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(field.clone(), value);
        }
    }
}

/// The body of a refusal (RFC 9457 §3). Written by hand: a refusal costs as little as can be.
fn problem(status: StatusCode, detail: &str, code: &str, request_id: &str) -> String {
    let mut text = String::with_capacity(224 + detail.len());
    // Titles and codes are words.
    for part in [
        "{\"type\":\"about:blank\",\"title\":\"",
        status.canonical_reason().unwrap_or("Refused"),
        "\",\"status\":",
        status.as_str(),
        ",\"detail\":",
    ] {
        text.push_str(part);
    }
    quote(&mut text, detail);
    for part in [",\"code\":\"", code, "\",\"request_id\":"] {
        text.push_str(part);
    }
    quote(&mut text, request_id);
    text.push('}');
    text
}

/// A JSON string (RFC 8259 §7).
fn quote(text: &mut String, value: &str) {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    // Without an early end many bytes are looked at in one step.
    if value.bytes().fold(true, |all, byte| all & plain(byte)) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::Value::from(value).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Rate;

    /// Status, `Retry-After`, `RateLimit-Policy`, `RateLimit`, code and detail, one a line.
    #[track_caller]
    fn check_refusal(rejection: Rejection, expected: &[&str]) {
        let response = rejection.into_response(&HeaderValue::from_static("id"), true);
        let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let mut told = vec![response.status().as_str().to_owned()];
        for name in ["retry-after", "ratelimit-policy", "ratelimit"] {
            let value = response.headers().get(name);
            told.extend(value.map(|value| value.to_str().unwrap().to_owned()));
        }
        told.extend(["code", "detail"].map(|name| problem[name].as_str().unwrap().to_owned()));
        assert_eq!(told, expected);
    }

    #[test]
    fn limits_are_told_in_headers_and_in_a_sentence() {
        let rate = |text| Rate::parse(text).unwrap();
        let ms = Duration::from_millis;
        check_refusal(
            Exceeded::Rate {
                rate: rate("10/s"),
                wait: ms(3),
            }
            .into(),
            &[
                "429",
                "1",
                "\"rate\";q=10;w=1",
                "\"rate\";r=0;t=1",
                "rate_limited",
                "The token may make 10 requests in a second, and made them; repeat the request \
                 after 1 second.",
            ],
        );
        check_refusal(
            Exceeded::Rate {
                rate: rate("1/min"),
                wait: ms(59_001),
            }
            .into(),
            &[
                "429",
                "60",
                "\"rate\";q=1;w=60",
                "\"rate\";r=0;t=60",
                "rate_limited",
                "The token may make 1 request in a minute, and made them; repeat the request \
                 after 60 seconds.",
            ],
        );
    }

    #[test]
    fn what_is_no_rate_is_told_as_well() {
        let ms = Duration::from_millis;
        check_refusal(
            Exceeded::Quota {
                quota: Rate::parse("1000/day").unwrap(),
                wait: ms(3_600_000),
            }
            .into(),
            &[
                "429",
                "3600",
                "\"quota\";q=1000;w=86400",
                "\"quota\";r=0;t=3600",
                "quota_exceeded",
                "The token may make 1000 requests a day (UTC), and made them; the quota begins anew \
                 in 3600 seconds.",
            ],
        );
        check_refusal(
            Exceeded::Concurrency(5.try_into().unwrap()).into(),
            &[
                "429",
                "1",
                "rate_limited",
                "The token has 5 requests under way, the most that it may have at the same time; \
                 repeat the request when one of them has ended.",
            ],
        );
        check_refusal(
            Rejection::StoreUnavailable,
            &[
                "503",
                "5",
                "store_unavailable",
                "The gateway can not look up this token at the moment; repeat the request in a few \
                 seconds.",
            ],
        );
    }

    #[test]
    fn the_time_that_passed_is_named() {
        for (late, detail) in [
            (
                Late::Head(Duration::from_secs(2)),
                "The API did not answer within 2 seconds.",
            ),
            (
                Late::Head(Duration::from_millis(400)),
                "The API did not answer within 0.4 seconds.",
            ),
            (
                Late::Total(Duration::from_secs(1)),
                "The API's answer was not complete within 1 second, the most that a whole exchange \
                 may take (`upstream.total`).",
            ),
        ] {
            let rejection = Rejection::UpstreamTimeout(late);
            check_refusal(rejection, &["504", "upstream_timeout", detail]);
        }
    }

    #[test]
    fn a_problem_is_json_whatever_stands_in_it() {
        for detail in [
            "Plain.",
            "A \"quote\" and a \\.",
            "line\nbreak\u{1}",
            "Ünïcode ✓",
        ] {
            let text = problem(StatusCode::NOT_FOUND, detail, "no_route", "id\"1");
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            let expected = serde_json::json!({
                "type": "about:blank", "title": "Not Found", "status": 404,
                "detail": detail, "code": "no_route", "request_id": "id\"1",
            });
            assert_eq!(read, expected);
        }
    }
}
