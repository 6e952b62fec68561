//! The documents of the APIs: from files, URLs and upstreams, with the last good copy kept.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use rustls::RootCertStore;
use serde_json::Value;

use super::edges::{Edges, Order};
use crate::config::{self, Config, OpenApiSource};
use crate::openapi::{self, ReadLimits};
use crate::snapshot::{self, ApiDocument, Target};

/// Bytes of a fetched document.
const LARGEST: usize = 64 << 20;
/// How long a document may take to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Until an upstream that could not give its document is asked again; doubled each time.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_mins(1);
/// Where the API's own manifest would be.
const MANIFEST: &str = "/.well-known/ai-plugin.json";

/// What is known of one plugin's document.
#[derive(Debug)]
pub(super) struct Known {
    /// The last good copy.
    good: Option<Good>,
    /// What went wrong since.
    pub(super) error: Option<String>,
    /// When it is to be asked again.
    due: Option<tokio::time::Instant>,
    failures: u32,
    in_flight: bool,
    /// `openapi.refresh`
    refresh: Duration,
}

#[derive(Debug)]
struct Good {
    digest: [u8; 32],
    document: Arc<ApiDocument>,
    at: Timestamp,
}

/// The documents of all plugins.
#[derive(Default)]
pub(super) struct Library {
    /// By plugin and source: what serves is kept until something else does.
    known: HashMap<Key, Known>,
    /// The sources of the configuration that was looked at last.
    wanted: HashMap<String, String>,
    /// Those of the one that serves.
    serving: HashMap<String, String>,
    orders: Vec<Delivering>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

/// Name of a plugin, and what its document is fetched or read from.
type Key = (String, String);

/// A document on its way.
pub type Delivering = std::pin::Pin<Box<dyn Future<Output = Delivery>>>;

/// A document that came, or did not.
#[derive(Debug)]
pub struct Delivery {
    name: String,
    identity: String,
    result: Result<(Vec<u8>, Option<Value>), String>,
}

/// How a plugin's document stands, for `status`.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) source: String,
    pub(super) state: &'static str,
    pub(super) since: Option<Timestamp>,
    pub(super) error: Option<String>,
}

/// What may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Only what is not there.
    Missing,
    /// What is due.
    Due,
    /// Everything that is not a file.
    All,
}

impl Library {
    /// Brings the documents of a configuration up to date, as far as they are files, and orders
    /// the others. An error in a file is the configuration's; an upstream that fails is not, and
    /// keeps its last good copy.
    pub(super) fn settle<E: Edges>(
        &mut self,
        config: &Config,
        edges: &E,
        roots: &Arc<RootCertStore>,
        ask: Ask,
        now: Timestamp,
    ) -> Vec<(usize, String)> {
        self.wanted.clear();
        let mut faults = Vec::new();
        for (index, plugin) in config.plugins.iter().enumerate() {
            let identity = identity(plugin);
            self.wanted.insert(plugin.name.clone(), identity.clone());
            let key = (plugin.name.clone(), identity.clone());
            let known = self.known.entry(key).or_insert_with(Known::new);
            known.refresh = plugin.openapi.refresh;
            if let OpenApiSource::File(file) = &plugin.openapi.source {
                if let Err(error) = known.read(&file.bytes, None, now) {
                    faults.push((index, format!("{}: {error}", file.path.display())));
                }
            } else if known.wants(ask) {
                known.in_flight = true;
                let (name, fetching) = (
                    plugin.name.clone(),
                    fetch(plugin, &config.limits, edges, roots),
                );
                self.orders.push(Box::pin(async move {
                    Delivery {
                        name,
                        identity,
                        result: fetching.await,
                    }
                }));
            }
        }
        faults
    }

    /// What was ordered and not yet taken away to be waited for.
    pub(super) fn take_orders(&mut self) -> Vec<Delivering> {
        std::mem::take(&mut self.orders)
    }

    /// Takes what came.
    pub(super) fn delivered(&mut self, delivery: Delivery, now: Timestamp) {
        // What was ordered for a source that is forgotten is of no use any more.
        let key = (delivery.name, delivery.identity);
        if let Some(known) = self.known.get_mut(&key) {
            known.in_flight = false;
            known.came(delivery.result, now);
        }
    }

    /// The documents of the configuration that was looked at last.
    fn wanted(&self) -> impl Iterator<Item = (&String, &Known)> {
        self.wanted.iter().filter_map(|(name, identity)| {
            let known = self.known.get(&(name.clone(), identity.clone()))?;
            Some((name, known))
        })
    }

    /// That configuration serves: what only others wanted is forgotten.
    pub(super) fn settled(&mut self) {
        self.serving.clone_from(&self.wanted);
        let serving = &self.serving;
        self.known
            .retain(|(name, identity), _| serving.get(name) == Some(identity));
    }

    /// Plugins of `serving` that have their document now and would not have one any more, and
    /// why: a source that was changed to one that gives none.
    pub(super) fn lost(&self, serving: &[String]) -> Vec<(String, String)> {
        let lost = |(name, known): (&String, &Known)| {
            let gone = known.good.is_none() && serving.contains(name);
            gone.then(|| (name.clone(), known.error.clone().unwrap_or_default()))
        };
        self.wanted().filter_map(lost).collect()
    }

    /// Whether a document is on its way for the first time (or, if `all`, again).
    pub(super) fn awaits(&self, all: bool) -> bool {
        let fresh = |known: &Known| known.good.is_none() && known.failures == 0;
        self.wanted()
            .any(|(_, known)| known.in_flight && (all || fresh(known)))
    }

    /// What [`snapshot::Material`] wants.
    pub(super) fn apis(&self) -> HashMap<String, Result<Arc<ApiDocument>, String>> {
        let missing = |known: &Known| {
            let error = known.error.clone();
            error.unwrap_or_else(|| "it has not been fetched yet".to_owned())
        };
        let api = |known: &Known| match &known.good {
            Some(good) => Ok(Arc::clone(&good.document)),
            None => Err(missing(known)),
        };
        self.wanted()
            .map(|(name, known)| (name.clone(), api(known)))
            .collect()
    }

    /// Hash over all of them.
    pub(super) fn digest(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        let mut names: Vec<_> = self.wanted().collect();
        names.sort_by_key(|(name, _)| *name);
        let mut all = Sha256::new();
        for (name, known) in names {
            all.update(Sha256::digest(name));
            all.update(known.good.as_ref().map_or([0; 32], |good| good.digest));
        }
        all.finalize().into()
    }

    /// When a document is to be asked for again.
    pub(super) fn due(&self) -> Option<tokio::time::Instant> {
        let waiting = self.wanted().filter(|(_, known)| !known.in_flight);
        waiting.filter_map(|(_, known)| known.due).min()
    }

    pub(super) fn standing(&self, plugin: &str) -> Option<Standing> {
        let identity = self.serving.get(plugin)?;
        let known = self.known.get(&(plugin.to_owned(), identity.clone()))?;
        let state = match (&known.good, &known.error) {
            (Some(_), None) => "current",
            (Some(_), Some(_)) => "last good copy",
            (None, _) => "unavailable",
        };
        Some(Standing {
            source: shown(identity),
            state,
            since: known.good.as_ref().map(|good| good.at),
            error: known.error.clone(),
        })
    }
}

impl Known {
    fn new() -> Self {
        Self {
            good: None,
            error: None,
            due: None,
            failures: 0,
            in_flight: false,
            refresh: Duration::MAX,
        }
    }

    fn wants(&self, ask: Ask) -> bool {
        !self.in_flight
            && match ask {
                Ask::All => true,
                Ask::Missing => self.good.is_none() && self.failures == 0,
                Ask::Due => self
                    .due
                    .is_some_and(|due| due <= tokio::time::Instant::now()),
            }
    }

    /// Takes bytes, if they are a document.
    fn read(
        &mut self,
        bytes: &[u8],
        manifest: Option<Value>,
        now: Timestamp,
    ) -> Result<(), String> {
        let digest = crate::tokens::Fingerprint::of(bytes).0;
        if self.good.as_ref().is_some_and(|good| good.digest == digest) {
            return Ok(());
        }
        let document =
            openapi::read(bytes, &ReadLimits::default()).map_err(|error| error.to_string())?;
        // Whether it is an OpenAPI document at all is found out here, so that a bad copy of an
        // upstream never replaces a good one.
        let document = Arc::new(document);
        openapi::load(Arc::clone(&document), &openapi::Selection::default())
            .map_err(|error| error.to_string())?;
        let document = Arc::new(ApiDocument { document, manifest });
        self.good = Some(Good {
            digest,
            document,
            at: now,
        });
        Ok(())
    }

    fn came(&mut self, result: Result<(Vec<u8>, Option<Value>), String>, now: Timestamp) {
        let read = result.and_then(|(bytes, manifest)| self.read(&bytes, manifest, now));
        let wait = match read {
            Ok(()) => {
                self.error = None;
                self.failures = 0;
                self.refresh
            }
            Err(error) => {
                self.error = Some(error);
                self.failures = self.failures.saturating_add(1);
                let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(10).saturating_sub(1));
                if self.good.is_some() {
                    wait.max(RETRY_FIRST * 5).min(RETRY_LAST)
                } else {
                    wait.min(RETRY_LAST / 4)
                }
            }
        };
        self.due = Some(tokio::time::Instant::now() + wait);
    }
}

/// What a document is fetched or read from, as `status` shows it.
fn identity(plugin: &config::Plugin) -> String {
    let upstream = &plugin.upstream;
    match &plugin.openapi.source {
        OpenApiSource::File(file) => std::path::absolute(&file.path)
            .unwrap_or_else(|_| file.path.clone())
            .display()
            .to_string(),
        OpenApiSource::Url(url) => url.clone(),
        OpenApiSource::Upstream(path) => {
            let scheme = if upstream.tls { "https" } else { "http" };
            format!(
                "{scheme}://{}:{}{}{path}",
                upstream.host, upstream.port, upstream.base_path
            )
        }
    }
}

/// An address without its query and user, which may hold a secret.
fn shown(address: &str) -> String {
    let bare = address
        .split_once('?')
        .map_or(address.to_owned(), |(bare, _)| format!("{bare}?…"));
    match bare.split_once("://").and_then(|(scheme, rest)| {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (_, host) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://{host}/{path}"))
    }) {
        Some(anonymous) => anonymous,
        None => bare,
    }
}

/// Orders a document, and the API's own manifest when the configuration leaves something to it.
fn fetch<E: Edges>(
    plugin: &config::Plugin,
    limits: &config::Limits,
    edges: &E,
    roots: &Arc<RootCertStore>,
) -> impl Future<Output = Result<(Vec<u8>, Option<Value>), String>> + 'static + use<E> {
    let orders = order(plugin, limits, roots);
    let complete = plugin.contact.is_some()
        && plugin.legal.is_some()
        && plugin.logo.is_some()
        && plugin.description.is_some();
    let identity = identity(plugin);
    let hint = match &plugin.openapi.source {
        OpenApiSource::Upstream(path) if std::path::Path::new(path).is_file() => {
            format!(" (there is a file {path}: as a source it is written file:{path})")
        }
        _ => String::new(),
    };
    let futures = orders.map(|(document, manifest)| {
        let manifest = (!complete).then(|| edges.fetch(manifest));
        (edges.fetch(document), manifest)
    });
    async move {
        let (document, manifest) = futures?;
        let manifest = async {
            let bytes = match manifest {
                Some(manifest) => manifest.await.ok()?,
                None => return None,
            };
            openapi::read(&bytes, &ReadLimits::default()).ok()
        };
        let (document, manifest) = tokio::join!(document, manifest);
        let document = document
            .map_err(|error| format!("{} can not be fetched: {error}{hint}", shown(&identity)))?;
        Ok((document, manifest))
    }
}

/// The order for a document and the one for the API's own manifest.
fn order(
    plugin: &config::Plugin,
    limits: &config::Limits,
    roots: &Arc<RootCertStore>,
) -> Result<(Order, Order), String> {
    let target = snapshot::dial(plugin, limits, roots)?;
    let credential = snapshot::credential(&plugin.upstream.credential);
    let order = |target: Target, path: String, secret: bool| {
        let mut headers = HeaderMap::new();
        if let Ok(host) = HeaderValue::from_str(&target.authority()) {
            headers.insert(header::HOST, host);
        }
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("application/json, application/yaml, */*;q=0.5"),
        );
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("plugway/", env!("CARGO_PKG_VERSION"))),
        );
        // The credential goes to the upstream and nowhere else.
        if secret && let Some((name, value)) = &credential.header {
            headers.insert(name.clone(), value.clone());
        }
        let query = credential.query.as_ref().filter(|_| secret);
        let path = match query {
            Some(query) if path.contains('?') => format!("{path}&{}", query.0),
            Some(query) => format!("{path}?{}", query.0),
            None => path,
        };
        Order {
            target,
            path,
            headers,
            limit: LARGEST,
            patience: PATIENCE,
        }
    };
    let base = &plugin.upstream.base_path;
    let manifest = order(target.clone(), format!("{base}{MANIFEST}"), true);
    let document = match &plugin.openapi.source {
        OpenApiSource::Url(url) => {
            let (target, path) = snapshot::dial_url(url, limits, roots)?;
            order(target, path, false)
        }
        OpenApiSource::Upstream(path) => order(target, format!("{base}{path}"), true),
        OpenApiSource::File(_) => order(target, String::new(), false),
    };
    Ok((document, manifest))
}
