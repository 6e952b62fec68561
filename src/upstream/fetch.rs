//! Fetching a document: one GET, bounded in size and time.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;

use super::Outgoing;
use super::connect::Target;
use super::line::Line;
use crate::body::RequestBody;

/// Redirects to another path of the same upstream that are followed.
const REDIRECTS: usize = 3;

/// What came.
#[derive(Debug)]
pub enum Fetched {
    /// A document.
    New {
        /// Content.
        bytes: Bytes,
        /// `ETag`
        etag: Option<HeaderValue>,
        /// `Last-Modified`
        modified: Option<HeaderValue>,
    },
    /// The one that the request named with `If-None-Match` or `If-Modified-Since` (304).
    Unchanged,
}

/// A document could not be fetched. Says what to look at.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection.
    #[error("{0}")]
    Connect(#[from] super::ConnectError),
    /// The exchange failed.
    #[error("the connection broke: {0}")]
    Codec(#[from] super::CodecError),
    /// Not 200.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// Not plain.
    #[error("its body is encoded ({0}), which was not asked for: have the server send it as it is")]
    Encoded(String),
    /// A redirect that is not followed.
    #[error("it redirects to {0}: name that address in its place")]
    Redirect(String),
    /// Too large or cut short.
    #[error("its body is larger than {} MiB or broke off", .0 >> 20)]
    Body(usize),
    /// Too slow.
    #[error("it did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The path is none.
    #[error("`{0}` can not be put into a request")]
    Path(String),
}

/// Gets `path` from the first of the targets that a connection can be made to. `headers` are all
/// but `Host`.
pub async fn fetch(
    targets: &[Target],
    path: &str,
    headers: &HeaderMap,
    limit: usize,
    patience: Duration,
) -> Result<Fetched, FetchError> {
    timeout(patience, async {
        let mut result = Err(FetchError::Connect(super::ConnectError::NoAddress));
        for target in targets {
            result = get(target, path.to_owned(), headers, limit).await;
            if !matches!(result, Err(FetchError::Connect(_))) {
                break;
            }
        }
        result
    })
    .await
    .map_err(|_| FetchError::TimedOut(patience))?
}

async fn get(
    target: &Target,
    mut path: String,
    headers: &HeaderMap,
    limit: usize,
) -> Result<Fetched, FetchError> {
    for _ in 0..=REDIRECTS {
        let mut line = Line::alone(target).await?;
        let mut request = Request::get(&path)
            .body(RequestBody::none())
            .map_err(|_| FetchError::Path(bare(&path)))?;
        *request.headers_mut() = headers.clone();
        let host = HeaderValue::try_from(target.authority());
        let outgoing = Outgoing::new(request, host.ok());
        let response = line
            .send(Box::new(outgoing))
            .await
            .map_err(|failed| failed.error)?;
        let asked = [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
        if response.status() == StatusCode::NOT_MODIFIED
            && asked.iter().any(|name| headers.contains_key(name))
        {
            return Ok(Fetched::Unchanged);
        }
        if response.status().is_redirection() && response.status() != StatusCode::NOT_MODIFIED {
            path = same_origin(target, response.headers())?;
            continue;
        }
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status()));
        }
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
            let name = String::from_utf8_lossy(encoding.as_bytes());
            return Err(FetchError::Encoded(name.chars().take(20).collect()));
        }
        let field = |name| response.headers().get(name).cloned();
        let (etag, modified) = (field(header::ETAG), field(header::LAST_MODIFIED));
        let body = Limited::new(response.into_body(), limit)
            .collect()
            .await
            .map_err(|_| FetchError::Body(limit))?;
        return Ok(Fetched::New {
            bytes: body.to_bytes(),
            etag,
            modified,
        });
    }
    Err(FetchError::Redirect(bare(&path)))
}

/// The path of a redirect that stays on the upstream.
fn same_origin(target: &Target, headers: &HeaderMap) -> Result<String, FetchError> {
    let location = headers
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("nowhere");
    let origin = format!("{}://{}", target.scheme(), target.authority());
    let path = location.strip_prefix(&origin).unwrap_or(location);
    if path.starts_with('/') && !path.starts_with("//") {
        Ok(path.to_owned())
    } else {
        Err(FetchError::Redirect(bare(location)))
    }
}

/// Without a query: it may hold the upstream's credential.
fn bare(address: &str) -> String {
    address
        .split_once('?')
        .map_or(address.to_owned(), |(bare, _)| format!("{bare}?…"))
}
