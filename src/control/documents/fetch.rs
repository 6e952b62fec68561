//! Ordering what a document is made of, and the API's own manifest.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::openapi::Value;
use http::HeaderMap;
use rustls::RootCertStore;

use super::known::{Copy, Known};
use super::shown;
use crate::config::{self, OpenApiSource};
use crate::control::edges::{Edges, Fetched, Order, newer_than};
use crate::openapi::{self, ReadLimits};
use crate::snapshot;

/// Bytes of a fetched document.
const LARGEST: usize = 32 << 20;
/// How long a document may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where the API's own manifest would be.
const MANIFEST: &str = "/.well-known/ai-plugin.json";

/// What came, by location.
type Results = Vec<(String, Result<Fetched, String>)>;

/// Orders the locations, and the API's own manifest when the configuration leaves something to it.
pub(super) fn fetch<E: Edges>(
    plugin: &config::Plugin,
    root: &str,
    limits: &config::Limits,
    edges: &E,
    roots: &Arc<RootCertStore>,
    (locations, known): (BTreeSet<String>, &Known),
) -> impl Future<Output = (Results, Option<Value>)> + 'static + use<E> {
    let complete = plugin.contact.is_some()
        && plugin.legal.is_some()
        && plugin.logo.is_some()
        && plugin.description.is_some();
    let upstream = Upstream::of(plugin, limits, roots);
    let manifest = (!complete && locations.contains(root)).then(|| {
        let order = upstream.as_ref().ok()?.order(plugin, MANIFEST, None);
        Some(edges.fetch(order))
    });
    let hint = match &plugin.openapi.source {
        OpenApiSource::Upstream(path) if std::path::Path::new(path).is_file() => {
            format!(" (there is a file {path}: as a source it is written file:{path})")
        }
        _ => String::new(),
    };
    let root = root.to_owned();
    let mut fetching = Vec::new();
    for location in locations {
        let copy = known.copies.get(&location);
        let own = upstream
            .as_ref()
            .ok()
            .and_then(|upstream| upstream.path_of(&location));
        let order = match own {
            Some(path) => upstream
                .as_ref()
                .map_err(Clone::clone)
                .map(|u| u.order(plugin, path, copy)),
            None => elsewhere(&location, limits, roots, copy),
        };
        let hint = if location == root {
            hint.clone()
        } else {
            String::new()
        };
        let named = shown(plugin, &location);
        fetching.push((location, order.map(|order| edges.fetch(order)), named, hint));
    }
    async move {
        let mut results = Vec::new();
        for (location, fetching, name, hint) in fetching {
            let result = match fetching {
                Ok(fetching) => fetching.await,
                Err(error) => Err(error),
            };
            let result =
                result.map_err(|error| format!("{name} can not be fetched: {error}{hint}"));
            results.push((location, result));
        }
        let manifest = match manifest.flatten() {
            Some(manifest) => manifest.await.ok(),
            None => None,
        };
        let manifest = manifest.and_then(|fetched| match fetched {
            Fetched::New { bytes, .. } => openapi::read(&bytes, &ReadLimits::default()).ok(),
            Fetched::Unchanged => None,
        });
        (results, manifest)
    }
}

/// The upstream, as something is fetched from it.
struct Upstream {
    targets: Vec<snapshot::Target>,
    credential: snapshot::Credential,
    origin: String,
}

impl Upstream {
    fn of(
        plugin: &config::Plugin,
        limits: &config::Limits,
        roots: &Arc<RootCertStore>,
    ) -> Result<Self, String> {
        let upstream = &plugin.upstream;
        Ok(Self {
            targets: snapshot::dial(plugin, limits, roots)?.all().to_vec(),
            credential: snapshot::credential(&upstream.credential),
            origin: upstream.first().origin(upstream.scheme),
        })
    }

    /// The path of a URL that is the upstream's.
    fn path_of<'l>(&self, location: &'l str) -> Option<&'l str> {
        location
            .strip_prefix(&self.origin)
            .filter(|path| path.starts_with('/'))
    }

    /// An order with the credential, which goes to the upstream and nowhere else. A path without
    /// the base path (the manifest's) gets it.
    fn order(&self, plugin: &config::Plugin, path: &str, copy: Option<&Copy>) -> Order {
        let base = &plugin.upstream.base_path;
        let path = match path {
            MANIFEST => format!("{base}{path}"),
            path => path.to_owned(),
        };
        let path = match &self.credential.query {
            Some(query) if path.contains('?') => format!("{path}&{}", query.0),
            Some(query) => format!("{path}?{}", query.0),
            None => path,
        };
        let mut headers = headers(copy);
        if let Some((name, value)) = &self.credential.header {
            headers.insert(name.clone(), value.clone());
        }
        Order {
            targets: self.targets.clone(),
            path,
            headers,
            limit: LARGEST,
            patience: PATIENCE,
        }
    }
}

/// An order to another host.
fn elsewhere(
    url: &str,
    limits: &config::Limits,
    roots: &Arc<RootCertStore>,
    copy: Option<&Copy>,
) -> Result<Order, String> {
    let (target, path) = snapshot::dial_url(url, limits, roots)?;
    Ok(Order {
        headers: headers(copy),
        targets: vec![target],
        path,
        limit: LARGEST,
        patience: PATIENCE,
    })
}

/// The head of a request for a document; only a newer one is wanted (RFC 9110 §13.1).
fn headers(copy: Option<&Copy>) -> HeaderMap {
    newer_than(
        "application/json, application/yaml, */*;q=0.5",
        copy.and_then(|copy| copy.etag.as_ref()),
        copy.and_then(|copy| copy.modified.as_ref()),
    )
}
