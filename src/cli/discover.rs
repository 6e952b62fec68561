//! Where an API has its OpenAPI document, when nobody says so.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use anyhow::anyhow;
use http::{HeaderMap, HeaderValue, header};
use tokio::task::LocalSet;

use super::misuse;
use crate::app::Search;
use crate::config::{self, Limits};
use crate::control::{self, Source};
use crate::openapi::{self, ReadLimits};
use crate::{snapshot, upstream};

/// Where an upstream is asked for its document.
const PLACES: [&str; 5] = [
    "/openapi.json",
    "/openapi.yaml",
    "/swagger.json",
    "/v3/api-docs",
    "/.well-known/openapi.yaml",
];

/// Why there is no place.
enum NotFound {
    /// It does not answer at all.
    Silent,
    /// Anything else.
    Other(anyhow::Error),
}

/// Finds the document of an API. One that does not answer at all is asked later, by the gateway;
/// and that of a program which is to be started, when it answers.
pub(super) fn now_or_later(upstream: &str, program: &[OsString]) -> anyhow::Result<String> {
    can_be_asked(upstream)?;
    if !program.is_empty() {
        return Ok(PLACES[0].to_owned());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match LocalSet::new().block_on(&runtime, find(upstream)) {
        Ok(place) => Ok(place.to_owned()),
        Err(NotFound::Silent) => Ok(PLACES[0].to_owned()),
        Err(NotFound::Other(error)) => Err(error),
    }
}

/// Finds it when the program answers; `configuration` is that with the place.
pub(super) fn search(upstream: String, configuration: impl Fn(&str) -> Source + 'static) -> Search {
    let (upstream, configuration) = (Rc::<str>::from(upstream), Rc::new(configuration));
    Box::new(move || {
        let (upstream, configuration) = (Rc::clone(&upstream), Rc::clone(&configuration));
        Box::pin(async move {
            match find(&upstream).await {
                Ok(place) => Ok(configuration(place)),
                Err(NotFound::Silent) => Err(anyhow!("{upstream} does not answer any more")),
                Err(NotFound::Other(error)) => Err(error),
            }
        })
    })
}

/// Whether it is where an API can be. What may be a secret in it is not repeated.
pub(super) fn is_upstream(upstream: &str) -> anyhow::Result<()> {
    let after_scheme = upstream.split_once("://").map_or("", |(_, rest)| rest);
    let mut parts = after_scheme.split(['/', '?', '#']);
    if parts
        .next()
        .is_some_and(|authority| authority.contains('@'))
    {
        return Err(misuse(
            "--upstream takes no user and password: write a configuration with upstream.credential",
        ));
    }
    if after_scheme.is_empty() && !upstream.starts_with("unix") {
        return Err(misuse(format!(
            "--upstream takes a URL, such as http://{upstream}"
        )));
    }
    config::is_upstream(upstream).map_err(|why| {
        let shown = match upstream.split_once('?') {
            Some((bare, _)) => format!("{bare}?***"),
            None => upstream.to_owned(),
        };
        misuse(format!("--upstream `{shown}` {why}"))
    })
}

/// Whether it can be asked for its document.
fn can_be_asked(upstream: &str) -> anyhow::Result<()> {
    if upstream.starts_with("unix:") || upstream.starts_with("unix+h2c:") {
        return Err(misuse(
            "an API on a unix socket is not asked for its document: name it with --openapi FILE (or --openapi /PATH, which the API is asked for)",
        ));
    }
    Ok(())
}

/// The first of [`PLACES`] that has a document.
async fn find(upstream: &str) -> Result<&'static str, NotFound> {
    // Reading them takes longer than all else that a start does.
    let roots = if upstream.starts_with("https:") {
        control::system_roots()
    } else {
        rustls::RootCertStore::empty()
    };
    let roots = std::sync::Arc::new(roots);
    let limits = Limits {
        upstream_connect: Duration::from_secs(3),
        ..Limits::default()
    };
    let (target, base) = snapshot::dial_url(upstream, &limits, &roots)
        .map_err(|error| NotFound::Other(anyhow!(error)))?;
    let base = base.trim_end_matches('/').to_owned();
    let mut headers = HeaderMap::new();
    headers.insert(
        header::ACCEPT,
        HeaderValue::from_static("application/json, application/yaml, */*;q=0.5"),
    );
    let mut said = String::new();
    for place in PLACES {
        let path = format!("{base}{place}");
        let targets = std::slice::from_ref(&target);
        let patience = Duration::from_secs(5);
        match upstream::fetch(targets, &path, &headers, 64 << 20, patience).await {
            Ok(upstream::Fetched::Unchanged) => {}
            Ok(upstream::Fetched::New { bytes, .. }) => {
                let read = openapi::read(&bytes, &ReadLimits::default())
                    .map_err(|error| error.to_string());
                match read.and_then(|document| {
                    openapi::Prepared::new(document).map_err(|error| error.to_string())
                }) {
                    Ok(_) => return Ok(place),
                    Err(error) => drop(writeln!(said, "  {path}: {error}")),
                }
            }
            Err(upstream::FetchError::Connect(error)) => {
                tracing::debug!(%error, "the upstream does not answer yet");
                return Err(NotFound::Silent);
            }
            Err(error) => drop(writeln!(said, "  {path}: {error}")),
        }
    }
    Err(NotFound::Other(anyhow!(
        "{upstream} answers, but gives no OpenAPI document. Asked:\n{said}\
         Name it with --openapi FILE or --openapi URL. \
         Does the API want a credential (401, 403)? Then write a configuration with \
         upstream.credential and serve that: plugway serve --config FILE. \
         No document at all? A list of the paths that callers need is enough to begin with: \
         see \"An API without a document\" in README.md"
    )))
}
