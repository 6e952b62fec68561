//! The head that the client gets.

use http::header::{CONNECTION, CONTENT_TYPE, TRAILER, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::client::X_REQUEST_ID;
use super::fields::{append, fields, head_like, remove_named, set};
use super::location::{Rewrite, rewrite_cookie, rewrite_location};
use super::names::{Returned, returned};
use super::rules::Rules;
use super::trailers::announced;

/// What is known of one response.
#[derive(Debug, Clone, Copy)]
pub struct ResponseContext<'a> {
    /// `X-Request-Id`
    pub request_id: &'a HeaderValue,
    /// What replaces the upstream's addresses.
    pub rewrite: Rewrite<'a>,
    /// Changes that the configuration asks for.
    pub rules: &'a Rules,
    /// Whether `Content-Length` is kept: for HEAD and 304, and for a body that goes on unchanged
    /// and has that size. Otherwise hyper makes it from the body.
    pub content_length: bool,
    /// Whether trailers may follow: the client takes them, and the body is one that goes on.
    pub trailers: bool,
    /// Whether orders to Fly's proxy go on.
    pub fly_replay: bool,
    /// The protocol that this response switches to.
    pub upgrade: Option<&'a HeaderValue>,
}

/// Builds the head that the client gets. Of the upstream's fields come all that
/// `names.rs` does not hold back, byte for byte; `Location` and `Content-Location`
/// as [`rewrite_location`] says, and `Set-Cookie` as [`rewrite_cookie`]; `Trailer` for those that may follow.
/// `Server`, `Strict-Transport-Security` and the like are the upstream's to say.
pub fn response(upstream: &HeaderMap, context: &ResponseContext<'_>) -> HeaderMap {
    let mut head = head_like(upstream, 8);
    for (name, value) in fields(upstream) {
        match returned(name.as_str()) {
            Returned::Replay if context.fly_replay => append(&mut head, name, value.clone()),
            Returned::Pass => append(&mut head, name, value.clone()),
            Returned::ContentLength if context.content_length => {
                set(&mut head, name, value.clone());
            }
            Returned::Location => located(&mut head, name, value, &context.rewrite),
            Returned::SetCookie => {
                let ours = rewrite_cookie(value.as_bytes(), context.rewrite.prefix);
                let ours = ours.and_then(|cookie| HeaderValue::try_from(cookie).ok());
                append(&mut head, name, ours.unwrap_or_else(|| value.clone()));
            }
            Returned::Trailer if context.trailers => {
                if let Some(value) = announced(upstream, None) {
                    set(&mut head, &TRAILER, value);
                }
            }
            Returned::Drop
            | Returned::Connection
            | Returned::ContentLength
            | Returned::Trailer
            | Returned::Replay => {}
        }
    }
    for value in upstream.get_all(CONNECTION) {
        remove_named(&mut head, value);
    }
    context.rules.apply(&mut head);
    if let Some(protocol) = context.upgrade {
        set(&mut head, &UPGRADE, protocol.clone());
        set(&mut head, &CONNECTION, HeaderValue::from_static("upgrade"));
    }
    set(&mut head, &X_REQUEST_ID, context.request_id.clone());
    head
}

/// Adds a field that holds an address. One with a control character is none (RFC 3986 §2), and
/// browsers skip tabs: behind a prefix that is cut, `/v1/\t/evil.example` would be another host.
fn located(head: &mut HeaderMap, name: &HeaderName, value: &HeaderValue, rewrite: &Rewrite<'_>) {
    if value.as_bytes().iter().any(u8::is_ascii_control) {
        return;
    }
    let text = std::str::from_utf8(value.as_bytes()).ok();
    let ours = text.and_then(|text| rewrite_location(text, rewrite));
    let ours = ours.and_then(|text| HeaderValue::try_from(text).ok());
    append(head, name, ours.unwrap_or_else(|| value.clone()));
}

/// Whether the body of a response is an order to Fly's proxy, which would act on it: a
/// compromised upstream could have an authenticated request replayed elsewhere. Such a response
/// must not go on.
pub fn is_fly_replay_body(upstream: &HeaderMap) -> bool {
    upstream.get_all(CONTENT_TYPE).iter().any(|value| {
        let mut parts = value.as_bytes().split(|byte| matches!(byte, b';' | b','));
        let media_type = parts.next().unwrap_or_default().trim_ascii();
        media_type.eq_ignore_ascii_case(b"application/vnd.fly.replay+json")
    })
}
