//! The documents of the APIs: from files, URLs and upstreams, with the last good copy kept.

mod assemble;
mod fetch;
mod known;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::openapi::Value;
use jiff::Timestamp;
use rustls::RootCertStore;

use super::edges::{Edges, Fetched};
use super::{Inputs, Trigger};
use crate::config::{self, Config, Inputs as _, OpenApiSource};
use crate::problems::Place;
use crate::snapshot::ApiDocument;
use assemble::Private;
use fetch::fetch;
use known::Known;

/// Until what is due is due again, where a look did not get as far as to ask for it.
const LATER: Duration = Duration::from_secs(5);

/// The documents of all plugins.
#[derive(Default)]
pub(super) struct Library {
    /// By plugin and source: what serves is kept until something else does.
    known: HashMap<Key, Known>,
    /// The sources of the configuration that was looked at last.
    wanted: HashMap<String, String>,
    /// Those of the one that serves.
    serving: HashMap<String, String>,
    /// The hashes of its documents.
    served: HashMap<String, [u8; 32]>,
    /// Plugins whose file is broken: what serves stands in for what could be had.
    kept: Standins,
    /// What a plugin wants whose file waits for it, while its last good part serves.
    apart: BTreeSet<Key>,
    /// What [`stale`](Self::stale) and [`lacking`](Self::lacking) were when the log was told.
    told: BTreeMap<String, String>,
    orders: Vec<Arriving>,
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

/// Per plugin: the document that stands in for its own, or why it had none.
pub(super) type Standins = HashMap<String, Result<Arc<ApiDocument>, String>>;

/// Per plugin and source: what was fetched for another generation, by location.
pub(super) type Pins = HashMap<Key, BTreeMap<String, Arc<[u8]>>>;

/// What locations held.
pub(super) type Held<'a> = Vec<(&'a str, &'a Arc<[u8]>)>;

/// A document on its way.
pub(super) type Arriving = std::pin::Pin<Box<dyn Future<Output = Arrival>>>;

/// A document that came, or did not.
#[derive(Debug)]
pub struct Arrival {
    name: String,
    identity: String,
    /// By location.
    results: Vec<(String, Result<Fetched, String>)>,
    /// The API's own manifest, if it was asked for and came.
    manifest: Option<Value>,
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

impl From<Trigger> for Ask {
    fn from(trigger: Trigger) -> Self {
        match trigger {
            Trigger::Start | Trigger::File => Self::Missing,
            Trigger::Document => Self::Due,
            Trigger::Command { .. } => Self::All,
        }
    }
}

impl Library {
    /// Brings the documents of a configuration up to date, as far as what they are made of is
    /// there, and orders the rest. A fault in a file is the configuration's; an upstream that
    /// fails is not, and keeps its last good copy.
    pub(super) fn settle<E: Edges>(
        &mut self,
        config: &Config,
        inputs: &mut Inputs,
        (edges, roots): (&E, &Arc<RootCertStore>),
        (kept, pins): (Standins, Option<&Pins>),
        (ask, now): (Ask, Timestamp),
    ) -> Vec<(Place, String)> {
        self.wanted.clear();
        self.kept = kept;
        let mut faults = Vec::new();
        let private = Private::of(config, inputs.watched().0.into_iter());
        for plugin in &config.plugins {
            let identity = identity(plugin);
            self.wanted.insert(plugin.name.clone(), identity.clone());
            let key = (plugin.name.clone(), identity.clone());
            let pinned = pins.and_then(|pins| pins.get(&key));
            let known = self.known.entry(key).or_insert_with(Known::new);
            known.shown = shown(plugin, &identity);
            if self.kept.contains_key(&plugin.name) {
                known.due = None;
                continue;
            }
            known.refresh = plugin.openapi.refresh;
            known.pin(pinned);
            let asked = known.asks(plugin, &identity, ask);
            inputs.begin(config.part_of(&plugin.at));
            let missing = match known.assemble(plugin, &identity, (inputs, &private), now) {
                Ok(missing) => missing,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            let order = known.order(asked, missing);
            if order.is_empty() {
                continue;
            }
            let fetching = fetch(
                plugin,
                &identity,
                &config.limits,
                edges,
                roots,
                (order, &*known),
            );
            let name = plugin.name.clone();
            self.orders.push(Box::pin(async move {
                let (results, manifest) = fetching.await;
                Arrival {
                    name,
                    identity,
                    results,
                    manifest,
                }
            }));
        }
        inputs.begin(None);
        faults
    }

    /// What is known now, to be [restored](Self::restore) when an attempt comes to nothing.
    pub(super) fn saved(&self) -> Self {
        Self {
            known: self.known.clone(),
            wanted: self.wanted.clone(),
            serving: self.serving.clone(),
            served: self.served.clone(),
            kept: self.kept.clone(),
            apart: self.apart.clone(),
            told: self.told.clone(),
            orders: Vec::new(),
        }
    }

    /// These are to be waited for, and no others.
    pub(super) fn give_orders(&mut self, orders: Vec<Arriving>) {
        self.orders = orders;
    }

    /// It is as it was.
    pub(super) fn restore(&mut self, saved: Self) {
        let orders = std::mem::take(&mut self.orders);
        *self = Self { orders, ..saved };
    }

    /// The fetched documents of a configuration that nothing is known of yet: plugin and source.
    pub(super) fn strangers(&self, config: &Config) -> Vec<Key> {
        let fetched =
            |plugin: &&config::Plugin| !matches!(plugin.openapi.source, OpenApiSource::File(_));
        let plugins = config.plugins.iter().filter(fetched);
        let keys = plugins.map(|plugin| (plugin.name.clone(), identity(plugin)));
        keys.filter(|key| !self.known.contains_key(key)).collect()
    }

    /// What served when an earlier process ran, for when nothing else can be had.
    pub(super) fn recall(&mut self, key: Key, parts: BTreeMap<String, Arc<[u8]>>) {
        self.known.entry(key).or_insert_with(Known::new).stored = Some(parts);
    }

    /// What was ordered and not yet taken away to be waited for.
    pub(super) fn take_orders(&mut self) -> Vec<Arriving> {
        std::mem::take(&mut self.orders)
    }

    /// Takes what came.
    pub(super) fn delivered(&mut self, delivery: Arrival) {
        // What was ordered for a source that is forgotten is of no use any more.
        let key = (delivery.name, delivery.identity);
        if let Some(known) = self.known.get_mut(&key) {
            known.came(delivery.results, delivery.manifest);
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
        self.served = self.digests();
        self.serving.clone_from(&self.wanted);
        let (serving, apart) = (&self.serving, &self.apart);
        self.known
            .retain(|key, _| serving.get(&key.0) == Some(&key.1) || apart.contains(key));
    }

    /// The plugins that would have no document, and why.
    pub(super) fn missing(&self) -> Vec<(String, String)> {
        let missing = |(name, known): (&String, &Known)| {
            let none = known.good.is_none() && !self.kept.contains_key(name);
            none.then(|| (name.clone(), known.error.clone().unwrap_or_default()))
        };
        self.wanted().filter_map(missing).collect()
    }

    /// The plugins that serve by a document which can not be had again, or is none any more, and why.
    pub(super) fn stale(&self) -> BTreeMap<String, String> {
        self.failing(true)
    }

    /// The plugins that serve without a document, and why.
    pub(super) fn lacking(&self) -> BTreeMap<String, String> {
        self.failing(false)
    }

    /// The plugins whose document can not be had, of those that have a last good copy or of the others.
    fn failing(&self, good: bool) -> BTreeMap<String, String> {
        let standing = |(name, identity): (&String, &String)| {
            let known = self.known.get(&(name.clone(), identity.clone()))?;
            let error = known.error.clone()?;
            (known.good.is_some() == good).then(|| (name.clone(), error))
        };
        self.serving.iter().filter_map(standing).collect()
    }

    /// Says in the log what changed in both: nobody may look at it for long.
    pub(super) fn tell_stale(&mut self) {
        let (mut stale, lacking) = (self.stale(), self.lacking());
        for (plugin, error) in stale.iter().chain(&lacking) {
            if self.told.contains_key(plugin) {
                continue;
            }
            let what = if lacking.contains_key(plugin) {
                "the OpenAPI document can not be had: the plugin answers 503 until it can"
            } else {
                "the OpenAPI document can not be renewed; the last good copy goes on"
            };
            tracing::warn!(plugin, error, "{what}");
        }
        stale.extend(lacking);
        for plugin in self.told.keys().filter(|name| !stale.contains_key(*name)) {
            tracing::info!(plugin, "the OpenAPI document is as it should be again");
        }
        self.told = stale;
    }

    /// A look begins: nothing waits apart.
    pub(super) fn begin(&mut self) {
        self.apart.clear();
    }

    /// A plugin's file waits for its document, or is refused without it, and something else stands in
    /// for the plugin.
    pub(super) fn set_apart(&mut self, plugin: &str) {
        if let Some(identity) = self.wanted.get(plugin) {
            self.apart.insert((plugin.to_owned(), identity.clone()));
        }
    }

    /// Whether a document is on its way.
    pub(super) fn are_under_way(&self) -> bool {
        let mut apart = self.apart.iter().filter_map(|key| self.known.get(key));
        apart.any(|known| known.in_flight) || self.wanted().any(|(_, known)| known.in_flight)
    }

    /// The plugins whose document is on its way for the first time (or, if `all`, again), and from
    /// where.
    pub(super) fn awaited(&self, all: bool) -> Vec<(String, String)> {
        let fresh = |known: &Known| known.good.is_none() && known.failures == 0;
        let awaited = |(name, identity): (&String, &String)| {
            let known = self.known.get(&(name.clone(), identity.clone()))?;
            let awaited = known.in_flight && (all || fresh(known));
            awaited.then(|| (name.clone(), known.shown.clone()))
        };
        self.wanted.iter().filter_map(awaited).collect()
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
        let mut apis: HashMap<_, _> = self
            .wanted()
            .map(|(name, known)| (name.clone(), api(known)))
            .collect();
        apis.extend(self.kept.clone());
        apis
    }

    /// Hash over all of them.
    pub(super) fn digest(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        let mut all = Sha256::new();
        for (name, digest) in self.digests().into_iter().collect::<BTreeMap<_, _>>() {
            all.update(Sha256::digest(name));
            all.update(digest);
        }
        all.finalize().into()
    }

    /// The hash of each; zeros where there is none.
    pub(super) fn digests(&self) -> HashMap<String, [u8; 32]> {
        let digest = |(name, known): (&String, &Known)| {
            let served = self.served.get(name).copied();
            let served = served.filter(|_| self.kept.contains_key(name));
            let good = || known.good.as_ref().map(|good| good.digest);
            (name.clone(), served.or_else(good).unwrap_or([0; 32]))
        };
        self.wanted().map(digest).collect()
    }

    /// What was fetched for the documents that serve: plugin, source, and what each location held.
    pub(super) fn fetched(&self) -> impl Iterator<Item = (&str, &str, Held<'_>)> {
        self.serving.iter().filter_map(|(plugin, source)| {
            let known = self.known.get(&(plugin.clone(), source.clone()))?;
            let parts = known.fetched();
            (!parts.is_empty()).then_some((plugin.as_str(), source.as_str(), parts))
        })
    }

    /// Whether the documents are those that serve.
    pub(super) fn serve_still(&self) -> bool {
        self.digests() == self.served
    }

    /// Whatever is due and was not asked for, since nothing got that far, is due a little later.
    pub(super) fn put_off(&mut self) {
        let now = tokio::time::Instant::now();
        for known in self.known.values_mut().filter(|known| !known.in_flight) {
            known.due = known
                .due
                .map(|due| if due <= now { now + LATER } else { due });
        }
    }

    /// What could not be had is due.
    pub(super) fn hurry(&mut self) {
        let failed = self
            .known
            .values_mut()
            .filter(|known| known.error.is_some());
        failed.for_each(Known::hurry);
    }

    /// When a document is to be asked for again.
    pub(super) fn due(&self) -> Option<tokio::time::Instant> {
        let apart = self.apart.iter().filter_map(|key| self.known.get(key));
        let all = self.wanted().map(|(_, known)| known).chain(apart);
        let waiting = all.filter(|known| !known.in_flight);
        waiting.filter_map(|known| known.due).min()
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
            source: known.shown.clone(),
            state,
            since: known.good.as_ref().map(|good| good.at),
            error: known.error.clone(),
        })
    }
}

/// What a document is fetched or read from: where its references begin, and what is kept goes by.
pub(super) fn identity(plugin: &config::Plugin) -> String {
    let upstream = &plugin.upstream;
    match &plugin.openapi.source {
        OpenApiSource::File(file) => std::path::absolute(&file.path)
            .unwrap_or_else(|_| file.path.clone())
            .display()
            .to_string(),
        OpenApiSource::Url(url) => url.clone(),
        OpenApiSource::Upstream(path) => {
            let origin = upstream.first().origin(upstream.scheme);
            format!("{origin}{}{path}", upstream.base_path)
        }
    }
}

/// Where something of a document is, as people are told. What is behind a socket is fetched as from
/// `localhost`, which nobody wrote: there it is the socket and the path, as in the log.
fn shown(plugin: &config::Plugin, location: &str) -> String {
    let upstream = &plugin.upstream;
    let server = upstream.first();
    let own = || location.strip_prefix(&server.origin(upstream.scheme));
    match own().filter(|path| server.socket.is_some() && path.starts_with('/')) {
        Some(path) => format!("{}:{}", server.key(upstream.scheme), bare(path)),
        None => bare(location),
    }
}

/// An address without its query and user, which may hold a secret.
fn bare(address: &str) -> String {
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
