//! `limits.response_chars`: an answer that is too long for a model is replaced by one that tells
//! it to ask for less.

use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body::Body as _;

use crate::answer::{Content, Recorder};
use crate::held::{Unfit, Unit, hold};
use crate::outbound::Errand;
use crate::rejection::{Excess, Rejection};
use crate::upstream::ResponseFault;

/// The same response, or a refusal. Of what is guarded, only that is held whose length does not
/// tell by itself.
pub(super) async fn guard(
    errand: &Errand<'_>,
    response: Response<Content>,
    recorder: &Recorder,
) -> Result<Response<Content>, Rejection> {
    let method = &errand.head.method;
    if errand.plugin.response_chars == 0
        || !is_guarded(method, response.status(), response.headers())
    {
        return Ok(response);
    }
    // Boxed, so that requests that nobody guards have no room for it.
    Box::pin(guarded(errand, response, recorder)).await
}

async fn guarded(
    errand: &Errand<'_>,
    response: Response<Content>,
    recorder: &Recorder,
) -> Result<Response<Content>, Rejection> {
    let (limit, method) = (errand.plugin.response_chars, &errand.head.method);
    let unit = unit(response.headers());
    let (head, content) = response.into_parts();
    let Content::Upstream(body) = content else {
        return Ok(Response::from_parts(head, content));
    };
    let excess = |bytes| {
        Rejection::ResponseTooLarge(Box::new(Excess {
            bytes,
            limit,
            encoded: unit == Unit::Bytes,
            carried_out: !method.is_safe(),
            status: (!head.status.is_success()).then_some(head.status),
            narrowing: errand.narrowing().to_vec(),
        }))
    };
    let content = match body.size_hint().exact() {
        Some(length) if length <= limit => Content::Upstream(body),
        Some(length) if length > limit.saturating_mul(unit.bytes()) => {
            return Err(excess(Some(length)));
        }
        length => match hold(body, unit, limit).await {
            Ok(held) => Content::Held(Box::new(held)),
            Err(Unfit::TooLarge) => return Err(excess(length)),
            Err(Unfit::Broken(fault)) => {
                let (kind, rejection) = match fault {
                    ResponseFault::TooLong(late) => ("timeout", Rejection::UpstreamTimeout(late)),
                    _ => ("body", Rejection::UpstreamBroken),
                };
                recorder.upstream_failed(kind);
                super::log_failure(errand.plugin, kind, &fault, recorder);
                return Err(rejection);
            }
        },
    };
    Ok(Response::from_parts(head, content))
}

/// Whether it is a text that a client reads as a whole.
fn is_guarded(method: &Method, status: StatusCode, headers: &HeaderMap) -> bool {
    let bodiless = *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // Who asks for a range has asked for less already.
    if bodiless || status == StatusCode::PARTIAL_CONTENT {
        return false;
    }
    let media = headers.get(header::CONTENT_TYPE);
    media.is_none_or(|media| media.to_str().is_ok_and(is_text))
}

/// Whether a media type is one of texts, and not of event streams.
fn is_text(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim();
    let media = media.to_ascii_lowercase();
    let Some((kind, form)) = media.split_once('/') else {
        return true;
    };
    let endings = ["json", "xml", "yaml", "javascript", "-www-form-urlencoded"];
    match kind {
        "text" => form != "event-stream",
        "application" => form.contains("json") || endings.iter().any(|end| form.ends_with(end)),
        _ => form.ends_with("+json") || form.ends_with("+xml"),
    }
}

/// What can be counted: characters of UTF-8; else the bytes as they come.
fn unit(headers: &HeaderMap) -> Unit {
    let encoded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let media = headers.get(header::CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok());
    let charset = media
        .unwrap_or_default()
        .split(';')
        .skip(1)
        .find_map(|one| {
            let (name, value) = one.split_once('=')?;
            let is_it = name.trim().eq_ignore_ascii_case("charset");
            is_it.then(|| value.trim().trim_matches('"').to_ascii_lowercase())
        });
    let utf8 = |charset: &String| matches!(charset.as_str(), "utf-8" | "utf8" | "us-ascii");
    if encoded || !charset.as_ref().is_none_or(utf8) {
        Unit::Bytes
    } else {
        Unit::Characters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn what_is_a_text() {
        for media in [
            "text/html; charset=utf-8",
            "Application/JSON",
            "application/problem+json",
            "application/x-ndjson",
            "application/atom+xml",
            "image/svg+xml",
            "application/x-yaml",
            "application/x-www-form-urlencoded",
            "nonsense",
        ] {
            assert!(is_text(media), "{media}");
        }
        for media in [
            "text/event-stream",
            "text/event-stream; charset=utf-8",
            "image/png",
            "application/octet-stream",
            "application/pdf",
            "application/grpc",
            "multipart/mixed; boundary=json",
            "audio/mpeg",
        ] {
            assert!(!is_text(media), "{media}");
        }
    }

    #[test]
    fn what_is_guarded() {
        let json = headers(&[("content-type", "application/json")]);
        let guarded = |method, status| is_guarded(&method, status, &json);
        assert!(guarded(Method::GET, StatusCode::OK));
        assert!(guarded(Method::POST, StatusCode::BAD_REQUEST));
        assert!(!guarded(Method::HEAD, StatusCode::OK));
        assert!(!guarded(Method::GET, StatusCode::PARTIAL_CONTENT));
        assert!(!guarded(Method::GET, StatusCode::NOT_MODIFIED));
        assert!(is_guarded(&Method::GET, StatusCode::OK, &headers(&[])));
    }

    #[test]
    fn what_is_counted() {
        for (pairs, expected) in [
            (&[][..], Unit::Characters),
            (
                &[("content-type", "text/plain; a=b; Charset=\"UTF-8\"")],
                Unit::Characters,
            ),
            (
                &[("content-type", "text/plain; charset=utf-16")],
                Unit::Bytes,
            ),
            (&[("content-encoding", "identity")], Unit::Characters),
            (&[("content-encoding", "gzip")], Unit::Bytes),
        ] {
            assert_eq!(unit(&headers(pairs)), expected, "{pairs:?}");
        }
    }
}
