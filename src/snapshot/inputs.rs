//! Exactly what a plugin is compiled from. Compiling sees nothing else of the configuration, so
//! that a plugin can be taken over as it is when all of this is equal.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;

use super::{ApiDocument, Material, Origins, Strict};
use crate::config::{self, Config, Limits};
use crate::telemetry::Labels;
use crate::tokens::ScopeLists;

/// Every byte of it is in the plugin that comes of it. Places are in it, and are no difference.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inputs {
    /// `[plugins.NAME]`, with the bytes of its files.
    pub(super) plugin: config::Plugin,
    /// Its API, or why it is not there yet.
    pub(super) api: Result<Arc<ApiDocument>, String>,
    /// How long its upstream may take.
    pub(super) patience: Patience,
    /// `limits.response_chars`
    pub(super) response_chars: u64,
    /// The ports of `listen.https` and `listen.http`, which stand in the documents.
    pub(super) https: Vec<u16>,
    pub(super) http: Vec<u16>,
    /// `$FLY_APP_NAME`
    pub(super) fly_app: Option<String>,
    /// `plugway dev`
    pub(super) dev: bool,
    /// The roots of the operating system.
    pub(super) system_roots: Roots,
}

/// The bounds of `[limits]` that hold for all upstreams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    /// `limits.upstream_connect`
    pub(super) connect: Duration,
    /// `limits.upstream_idle`
    pub(super) idle: Duration,
}

impl From<&Limits> for Patience {
    fn from(limits: &Limits) -> Self {
        Self {
            connect: limits.upstream_connect,
            idle: limits.upstream_idle,
        }
    }
}

/// Roots that are the same only if they are the same value: they are read once.
#[derive(Debug, Clone)]
pub(super) struct Roots(pub(super) Arc<RootCertStore>);

impl PartialEq for Roots {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Inputs {
    pub(super) fn of(config: &Config, plugin: &config::Plugin, material: &Material<'_>) -> Self {
        let api = match material.apis.get(&plugin.name) {
            Some(api) => api.clone(),
            None => Err("it has not been fetched yet".to_owned()),
        };
        let ports = |addresses: &[SocketAddr]| addresses.iter().map(SocketAddr::port).collect();
        Self {
            plugin: plugin.clone(),
            api,
            patience: Patience::from(&config.limits),
            response_chars: config.limits.response_chars,
            https: ports(&config.listen.https),
            http: ports(&config.listen.http),
            fly_app: material.fly_app.clone(),
            dev: material.dev,
            system_roots: Roots(Arc::clone(material.system_roots)),
        }
    }
}

/// What compiling uses and no plugin depends on: the registries of the process, which give the
/// same for the same name, and how severe a fault is.
pub(super) struct Around<'a> {
    pub(super) labels: &'a Labels,
    pub(super) origins: &'a Origins,
    /// A plugin learns the lists that came since it was compiled.
    pub(super) scopes: &'a ScopeLists,
    /// Whether what matches nothing is a problem or a warning. What has such a fault is
    /// compiled anew each time.
    pub(super) strict: &'a Strict,
    /// Per plugin that serves: what hides something in it.
    pub(super) hiding: &'a HashMap<String, HashSet<String>>,
}
