//! Answering browsers (the CORS protocol of the Fetch standard, §3.2).
//!
//! Credentials are never allowed: a token is presented by a header that the page sets, not by
//! what the browser holds.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::fields::{append, list, only, set, set_text};

/// Most header names that one preflight may ask for.
const MAX_NAMES: usize = 64;

/// A page on the internet asks for an address in a private network.
static REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
/// The answer to it.
static ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// What pages may read besides the fields that they always may.
const EXPOSED: &str = "X-Request-Id, WWW-Authenticate, Retry-After, Location, Link, ETag, \
                       Content-Disposition";

/// Which pages may call a plugin.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    /// Origins as browsers send them: `https://chatgpt.com`.
    origins: Vec<String>,
}

/// The answer to a preflight; it has no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// 204, or 403 for an origin that is not allowed, so that its author sees a refusal and not
    /// a success without effect.
    pub status: StatusCode,
    /// Without `Content-Length`.
    pub headers: HeaderMap,
}

impl Cors {
    /// For these origins: scheme and host in lower case, a port only where it is not the
    /// scheme's own.
    pub fn new(origins: &[String]) -> Self {
        Self {
            origins: origins.to_vec(),
        }
    }

    /// Whether pages of this origin may call.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        let origin = origin.as_bytes();
        self.origins
            .iter()
            .any(|allowed| allowed.as_bytes() == origin)
    }

    /// The answer to an OPTIONS request that is a preflight: one with `Origin` and
    /// `Access-Control-Request-Method`. `None` if it is none. `methods` is the list of those
    /// that the path has, `private_network` whether a page of the internet may reach us in a
    /// private network.
    pub fn preflight(
        &self,
        headers: &HeaderMap,
        methods: &str,
        private_network: bool,
    ) -> Option<Preflight> {
        if !headers.contains_key(ORIGIN) || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut answer = HeaderMap::with_capacity(8);
        set(&mut answer, &VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = only(headers, &ORIGIN).filter(|origin| self.allows(origin)) else {
            return Some(Preflight {
                status: StatusCode::FORBIDDEN,
                headers: answer,
            });
        };
        set(&mut answer, &ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        set_text(&mut answer, &ACCESS_CONTROL_ALLOW_METHODS, methods);
        let names = requested(headers);
        if !names.is_empty() {
            set_text(&mut answer, &ACCESS_CONTROL_ALLOW_HEADERS, &names);
        }
        let ten_minutes = HeaderValue::from_static("600");
        set(&mut answer, &ACCESS_CONTROL_MAX_AGE, ten_minutes);
        let asked = headers.get(&REQUEST_PRIVATE_NETWORK);
        if private_network && asked.is_some_and(|value| value == "true") {
            set(
                &mut answer,
                &ALLOW_PRIVATE_NETWORK,
                HeaderValue::from_static("true"),
            );
        }
        Some(Preflight {
            status: StatusCode::NO_CONTENT,
            headers: answer,
        })
    }

    /// Adds to the head of a response what lets the page of an allowed origin read it. `origin`
    /// is that of the request. Where pages are allowed at all, every response varies with it.
    pub fn decorate(&self, head: &mut HeaderMap, origin: Option<&HeaderValue>) {
        if self.origins.is_empty() {
            return;
        }
        let varies = |element: &[u8]| element == b"*" || element.eq_ignore_ascii_case(b"origin");
        if !list(head, &VARY).any(varies) {
            append(head, &VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = origin.filter(|origin| self.allows(origin)) {
            set(head, &ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let exposed = HeaderValue::from_static(EXPOSED);
            set(head, &ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }
}

/// The header names that a preflight asks for, as a list again; names that are none are left
/// out, and the browser then refuses to send them.
fn requested(headers: &HeaderMap) -> String {
    let mut names = String::new();
    for name in list(headers, &ACCESS_CONTROL_REQUEST_HEADERS).take(MAX_NAMES) {
        if let Ok(name) = HeaderName::from_bytes(name) {
            if !names.is_empty() {
                names.push_str(", ");
            }
            names.push_str(name.as_str());
        }
    }
    names
}
