//! Answers that need neither a token nor the upstream: health and preflights.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use crate::answer::Content;
use crate::documents;
use crate::snapshot::{Plugin, Snapshot};

/// `/healthz` and `/readyz`: on every listener, for any host. `begun`: as for [`Snapshot::serves`].
pub fn health(
    method: &Method,
    path: &str,
    snapshot: &Snapshot,
    willing: bool,
    begun: bool,
) -> Option<Response<Content>> {
    let ready = match path {
        "/healthz" => true,
        "/readyz" => willing && snapshot.serves(begun),
        _ => return None,
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let text: &'static str = if ready { "ok\n" } else { "not ready\n" };
    let mut response = Response::new(Content::Full(Bytes::from_static(text.as_bytes())));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

/// The answer to a preflight of a page that wants to call an operation.
pub fn preflight(plugin: &Plugin, head: &Parts, path: &str) -> Option<Response<Content>> {
    let methods = plugin.router.allowed(path, head.uri.query()).to_string();
    let answer = plugin
        .cors
        .preflight(&head.headers, &methods, plugin.private_network)?;
    let mut response = Response::new(Content::Full(Bytes::new()));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Some(response)
}

/// Documents may be read from any page.
pub fn open_preflight(asked: &HeaderMap) -> Response<Content> {
    let mut response = Response::new(Content::Full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(documents::ALLOW),
    );
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("600"),
    );
    response
}
