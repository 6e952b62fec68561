//! Everything that a request needs, compiled from a configuration and the documents of its APIs.
//!
//! Compiling is pure: what comes from outside (texts, documents, roots, the time) is an argument.
//! After it, no request can fail because of configuration.

mod apart;
mod api;
mod condition;
mod dial;
mod document;
mod echo;
mod fixed;
mod inputs;
mod kept;
mod loops;
mod origin;
mod papers;
mod plugin;
mod prefix;
mod proof;
mod reach;
mod similar;
mod target;
#[cfg(test)]
mod tests;
mod tls;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use ipnet::IpNet;
use rustls::RootCertStore;
use rustls::server::ProducesTickets;

pub use condition::{Checked, Condition};
pub use dial::{credential, dial, dial_url};
pub use document::{ApiDocument, Written};
pub use echo::Echo;
pub use fixed::Fixed;
use inputs::{Around, Inputs};
pub use kept::Kept;
pub use loops::listens;
pub use origin::{Admission, Origin, Origins};
pub use plugin::{Operation, Plugin, Public};
pub use proof::Presentable;
pub use target::{Credential, SecretText, Target, Targets};
pub use tls::{CertificateFacts, bundled_roots, covers, names_of, provider, roots_of};

use crate::config::{Config, DeclaredToken, Limits, Require, Spanned};
use crate::openapi;
use crate::problems::{Place, Problems};
pub use crate::route::Other;
use crate::telemetry::Labels;
use crate::tokens::{Level, ScopeLists};

/// What serves: one value for the whole process, replaced as a whole.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts the publications of this process, from 1.
    pub generation: u64,
    /// Hash over every byte that went in, hexadecimal.
    pub hash: String,
    /// The configuration that it was compiled from.
    pub config: Config,
    /// The plugins, in the order of the configuration.
    pub plugins: Vec<Arc<Plugin>>,
    /// Host name → plugin.
    by_host: hashbrown::HashMap<Box<str>, usize>,
    /// The plugin that has no host names of its own, and so the listeners' addresses and the names of
    /// the certificates.
    unnamed: Option<usize>,
    /// The same plugins, with what they were compiled from.
    made: Vec<Arc<kept::Made>>,
    /// For the listeners.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The certificates that are served.
    pub certificates: Vec<CertificateFacts>,
    /// Both, with what they were made of.
    served: tls::Served,
    /// Bounds.
    pub limits: Arc<Limits>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Arc<[IpNet]>,
}

/// What goes into a snapshot beside the configuration.
#[derive(Debug)]
pub struct Material<'a> {
    /// Its number.
    pub generation: u64,
    /// Its hash.
    pub hash: String,
    /// Per plugin: its API, or why it is not there yet.
    pub apis: &'a Apis,
    /// The roots of the operating system.
    pub system_roots: &'a Arc<RootCertStore>,
    /// For TLS sessions; one per process.
    pub tickets: &'a Arc<dyn ProducesTickets>,
    /// Every scope list that a token has.
    pub scopes: &'a ScopeLists,
    /// Names of the metrics.
    pub labels: &'a Labels,
    /// What the process knows of upstreams.
    pub origins: &'a Origins,
    /// What was compiled already.
    pub kept: &'a Kept,
    /// The current time.
    pub now: jiff::Timestamp,
    /// `$FLY_APP_NAME`
    pub fly_app: Option<String>,
    /// Whether this is `dev`: page of links at `/`, and its stricter rules for `require = "none"`.
    pub dev: bool,
    /// Whether commands made tokens, which are in the state database.
    pub stored_tokens: bool,
    /// Whether selectors that match nothing are problems or warnings.
    pub strict: Strict,
    /// Per plugin that serves: what hides operations and parameters. It must not stop to do so
    /// because a document changed under it.
    pub hiding: HashMap<String, HashSet<String>>,
}

/// Whether selectors that match nothing are problems (what was written changed) or warnings (only
/// a document did).
#[derive(Debug, Default)]
pub struct Strict {
    /// Nothing served before. A document that was fetched may have changed since the configuration
    /// was written.
    pub first: bool,
    /// Nothing is going to be published: whoever asks wants to know.
    pub rehearsal: bool,
    /// The texts of the configuration that changed.
    pub changed: HashSet<PathBuf>,
}

impl Strict {
    /// Of what is written at a place, about a document that was fetched or not.
    pub fn at(&self, place: &Place, fetched: bool) -> bool {
        if self.first {
            return self.rehearsal || !fetched;
        }
        let changed = place.file().map(|file| self.changed.contains(file));
        self.rehearsal || changed.unwrap_or(!self.changed.is_empty())
    }
}

/// Per plugin: its API, or why it is not there yet.
pub type Apis = HashMap<String, Result<Arc<ApiDocument>, String>>;

impl Material<'_> {
    /// What compiling a plugin uses of it beside its inputs.
    fn around(&self) -> Around<'_> {
        Around {
            labels: self.labels,
            origins: self.origins,
            scopes: self.scopes,
            strict: &self.strict,
            hiding: &self.hiding,
        }
    }
}

impl Snapshot {
    /// Compiles. `None` when there are problems; warnings do not stop it.
    pub fn compile(
        config: Config,
        material: &Material<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let served = tls::server_config(
            &config.certificates,
            material.tickets,
            &material.kept.served,
            material.now,
            problems,
        );
        loops::refuse(&config, problems);
        let certificates = served.facts();
        let around = material.around();
        let mut made = Vec::new();
        let mut by_host = hashbrown::HashMap::new();
        let mut unnamed = None;
        for (index, plugin) in config.plugins.iter().enumerate() {
            let named = names(plugin);
            if named.is_empty() {
                unnamed = Some(index);
                tell_of_no_host(plugin, &certificates, material, problems);
            }
            for host in named {
                if !certificates.is_empty()
                    && !certificates.iter().any(|known| covers(&known.names, &host))
                {
                    let at = Place {
                        key: format!("plugins.{}.hosts", plugin.name),
                        ..plugin.at.clone()
                    };
                    problems.warn(&at, format!("no certificate covers {host}: clients that verify will refuse it over https"));
                }
                by_host.insert(host.into_boxed_str(), index);
            }
            let inputs = Inputs::of(&config, plugin, material);
            made.extend(material.kept.make(inputs, &around, problems).map(Arc::new));
        }
        let plugins: Vec<_> = made.iter().map(|made| Arc::clone(&made.plugin)).collect();
        check_scopes(&config, &plugins, material, problems);
        if !material.stored_tokens {
            check_callers(&config, problems);
        }
        if problems.has_problems() {
            return None;
        }
        let limits = Arc::new(config.limits.clone());
        let trusted_proxies = Arc::from(&*config.trusted_proxies);
        Some(Self {
            generation: material.generation,
            hash: material.hash.clone(),
            plugins,
            by_host,
            unnamed,
            made,
            tls: served.config.clone(),
            served,
            certificates,
            limits,
            trusted_proxies,
            config,
        })
    }

    /// Whether a request for a host may be one for another, as a trusted proxy tells: where both are
    /// the same plugin's, or the first is nobody's, as that of a proxy that asks for the gateway by an
    /// address of its own.
    pub fn may_be(&self, asked: &str, told: &str) -> bool {
        let asked = self.by_host.get(asked);
        asked.is_none_or(|asked| self.by_host.get(told) == Some(asked))
    }

    /// Whether there is a plugin, and every one can serve. Once that was so (`begun`), one that comes
    /// later, and whose document can not be had, takes nothing from the others: whoever asks would
    /// send their requests elsewhere too.
    pub fn serves(&self, begun: bool) -> bool {
        let mut serve = self
            .plugins
            .iter()
            .map(|plugin| plugin.unavailable.is_none());
        let all = !self.plugins.is_empty() && serve.clone().all(|serves| serves);
        all || (begun && serve.any(|serves| serves))
    }

    /// The plugin that answers for a host name (lower case, without port). `local` is the address
    /// that the client connected to.
    pub fn plugin(&self, host: &str, local: std::net::IpAddr) -> Option<&Arc<Plugin>> {
        if let Some(index) = self.by_host.get(host) {
            return self.plugins.get(*index);
        }
        let plugin = self.plugins.get(self.unnamed?)?;
        let certified = |known: &CertificateFacts| covers(&known.names, host);
        let own = host == "localhost"
            || plugin.fly_host.as_deref() == Some(host)
            || is_address(host, local)
            || self.certificates.iter().any(certified);
        own.then_some(plugin)
    }
}

/// Whether a host name is the address that was connected to, or a loopback one.
fn is_address(host: &str, local: std::net::IpAddr) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<std::net::IpAddr>().is_ok_and(|address| {
        address.to_canonical() == local.to_canonical() || address.is_loopback()
    })
}

/// Whoever comes by another name than `localhost` gets 421, which behind a proxy is everybody.
fn tell_of_no_host(
    plugin: &crate::config::Plugin,
    certificates: &[CertificateFacts],
    material: &Material<'_>,
    problems: &mut Problems,
) {
    let is_name = |name: &String| name != "localhost" && name.parse::<std::net::IpAddr>().is_err();
    let named = certificates
        .iter()
        .flat_map(|known| &known.names)
        .any(is_name);
    if material.dev || material.fly_app.is_some() || named {
        return;
    }
    let message = "it answers for `localhost` and the addresses that it listens on alone: any other host gets 421";
    problems
        .warn(&plugin.at, message)
        .help("write the names that clients use as `hosts`, or their URL as `public_url` (without a file: --public-url)");
}

/// The host names of a plugin: its own, and that of its public URL.
fn names(plugin: &crate::config::Plugin) -> Vec<String> {
    // Addresses stand here as everywhere in code: without brackets.
    let bare = |host: &String| host.trim_matches(['[', ']']).to_owned();
    let mut names: Vec<String> = plugin.hosts.iter().map(bare).collect();
    if let Some(host) = plugin
        .public_url
        .as_deref()
        .and_then(Public::of)
        .map(|public| public.host)
        && !names.contains(&host)
    {
        names.push(host);
    }
    names
}

/// How there comes to be a token.
const CALLERS: &str = "make one with `plugway token create`, declare one ([tokens.NAME] with secret = \"${env:VARIABLE}\"), \
                       name a file in token_files, or, without a configuration file, set PLUGWAY_TOKEN_SHA256 to the SHA-256 of one";

/// A plugin that wants a token which nobody has answers 401 to everyone.
fn check_callers(config: &Config, problems: &mut Problems) {
    for plugin in config
        .plugins
        .iter()
        .filter(|_| config.token_files.is_empty())
    {
        let wanted: &[Level] = match plugin.auth.require {
            Require::None | Require::Upstream => continue,
            Require::Service => &[Level::Service],
            Require::User => &[Level::User],
            Require::Any => &[Level::Service, Level::User],
        };
        let opens = |token: &DeclaredToken| {
            let here = |name: &Spanned<String>| name.value == "*" || name.value == plugin.name;
            wanted.contains(&token.level) && token.plugins.iter().any(here)
        };
        if !config.tokens.iter().any(opens) {
            let key = format!("plugins.{}.auth.require", plugin.name);
            let (name, require) = (&plugin.name, plugin.auth.require.word());
            let message = format!(
                "no token can call plugin {name}: require = \"{require}\", and none is declared"
            );
            problems
                .warn(
                    &Place {
                        key,
                        ..plugin.at.clone()
                    },
                    message,
                )
                .help(CALLERS);
        }
    }
}

/// A scope that matches nothing in any of its token's plugins grants nothing: most likely a
/// mistake, and certainly not what was meant.
fn check_scopes(
    config: &Config,
    plugins: &[Arc<Plugin>],
    material: &Material<'_>,
    problems: &mut Problems,
) {
    for token in &config.tokens {
        let covered = |plugin: &&Arc<Plugin>| {
            token
                .plugins
                .iter()
                .any(|name| name.value == "*" || *name.value == *plugin.name)
        };
        let reach: Vec<_> = plugins.iter().filter(covered).collect();
        // What is not there yet can not be judged.
        if reach.iter().any(|plugin| plugin.unavailable.is_some()) {
            continue;
        }
        let fetched = reach.iter().any(|plugin| plugin.document_is_fetched);
        let strict = material.strict.at(&token.at, fetched);
        // A plugin that was written anew and lost what a token is for is what is wrong.
        let cause = config.plugins.iter().find(|plugin| {
            let here = reach.iter().any(|reached| *reached.name == *plugin.name);
            here && material.strict.at(&plugin.at, fetched)
        });
        for scope in &token.scopes {
            let known = scope.value == crate::tokens::Selector::All
                || reach.iter().any(|plugin| {
                    plugin
                        .operations
                        .iter()
                        .any(|operation| openapi::matches(&scope.value, &operation.meaning))
                });
            if !known {
                let message = format!(
                    "`{}` matches no published operation: it grants nothing",
                    scope.value
                );
                if strict || cause.is_some() {
                    let problem = problems.add(&scope.at, message);
                    problem.help("`plugway print openapi` shows what is published");
                    if let Some(file) = cause
                        .filter(|_| !strict)
                        .and_then(|plugin| plugin.at.file())
                    {
                        problem.about(file);
                    }
                } else {
                    problems.warn(&scope.at, message);
                }
            }
            for plugin in &reach {
                let meant = plugin.operations.iter().map(|one| &one.meaning);
                if let Some(message) = openapi::several(&scope.value, meant) {
                    let help = "the token may call all of them: name those that are meant";
                    problems.warn(&scope.at, message).help(help);
                }
            }
        }
    }
}

/// The one handle to the snapshot that serves.
#[derive(Debug)]
pub struct Published(Arc<ArcSwap<Snapshot>>);

impl Published {
    /// With the first one.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(Arc::new(ArcSwap::new(snapshot)))
    }

    /// Replaces it for every later request.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        self.0.store(snapshot);
    }

    /// The snapshot that serves now.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

/// A snapshot as a worker passes it around: cloned without an atomic.
pub type Local = std::rc::Rc<Arc<Snapshot>>;

/// A worker's view: one atomic load per request, and no count that other workers touch.
#[derive(Debug)]
pub struct View {
    cache: std::cell::RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    /// Shared within the worker without an atomic.
    local: std::cell::RefCell<Local>,
}

impl View {
    /// For one worker.
    pub fn new(published: &Published) -> Self {
        let local = std::rc::Rc::new(published.current());
        Self {
            cache: std::cell::RefCell::new(Cache::new(Arc::clone(&published.0))),
            local: std::cell::RefCell::new(local),
        }
    }

    /// The snapshot that a request keeps to its end.
    pub fn current(&self) -> Local {
        let mut cache = self.cache.borrow_mut();
        let current = cache.load();
        let mut local = self.local.borrow_mut();
        if !Arc::ptr_eq(current, &local) {
            *local = std::rc::Rc::new(Arc::clone(current));
        }
        std::rc::Rc::clone(&local)
    }
}
