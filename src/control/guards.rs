//! How plugins are guarded, as it is kept of a generation and told to a successor: what a reload
//! refuses, a start and a take-over refuse too.

use serde::{Deserialize, Serialize};

use crate::config::{self, Require};

/// Who gets through to the API of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The name of the plugin.
    name: String,
    /// `auth.require`
    require: String,
    /// Whether paths that are not published are forwarded.
    forwards_unpublished: bool,
    /// Its hosts and that of its `public_url`; none: every host.
    hosts: Vec<String>,
}

/// A plugin that lets in more than one of before.
#[derive(Debug, PartialEq, Eq)]
pub struct Weaker {
    /// The plugin.
    pub plugin: String,
    /// The key that makes it so.
    pub key: &'static str,
    /// What it would do.
    pub what: &'static str,
}

impl Guard {
    /// That of a plugin.
    pub(super) fn of(plugin: &config::Plugin) -> Self {
        let mut hosts = plugin.hosts.clone();
        hosts.extend(config::host_of(plugin).filter(|host| !plugin.hosts.contains(host)));
        Self {
            name: plugin.name.clone(),
            require: plugin.auth.require.word().to_owned(),
            forwards_unpublished: plugin.openapi.forward_unpublished,
            hosts,
        }
    }

    /// Those of all plugins.
    pub(super) fn of_all(config: &config::Config) -> Vec<Self> {
        config.plugins.iter().map(Self::of).collect()
    }

    /// Whether somebody who asked the one may ask the other now: by its name, or at a host.
    pub(super) fn stands_for(&self, other: &Self) -> bool {
        let anywhere = self.hosts.is_empty() && other.hosts.is_empty();
        let shared = self.hosts.iter().any(|host| other.hosts.contains(host));
        self.name == other.name || anywhere || shared
    }

    /// A word that nobody knows asks for as much as there is.
    fn require(&self) -> Require {
        let known = [
            Require::None,
            Require::Service,
            Require::User,
            Require::Any,
            Require::Upstream,
        ];
        let mut known = known.into_iter();
        let found = known.find(|require| require.word() == self.require);
        found.unwrap_or(Require::Service)
    }
}

/// What lets in more than what it stands for, each key of a plugin once.
pub fn weaker(before: &[Guard], after: &[Guard]) -> Vec<Weaker> {
    let mut all = Vec::new();
    for guard in after {
        let mut found = |key, what| {
            all.push(Weaker {
                plugin: guard.name.clone(),
                key,
                what,
            });
        };
        let known = || before.iter().filter(|known| guard.stands_for(known));
        if known().any(|known| lets_in_more(known.require(), guard.require())) {
            found("auth.require", "would let in requests that it refuses now");
        }
        if guard.forwards_unpublished && known().any(|known| !known.forwards_unpublished) {
            found(
                "openapi.unpublished",
                "would forward paths that it refuses now",
            );
        }
    }
    all
}

/// Whether a plugin that asked for `before` would let in requests that it refused.
fn lets_in_more(before: Require, after: Require) -> bool {
    use Require::{Any, None, Service, Upstream, User};
    match (before, after) {
        (None | Upstream, None) => before == Upstream,
        // With `upstream` the gateway would no longer look at the credential itself.
        (Any | Service | User, None | Upstream) | (Service | User, Any) => true,
        (None | Upstream, _) | (Any, Any | Service | User) | (Service | User, Service | User) => {
            false
        }
    }
}
