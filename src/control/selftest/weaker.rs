//! What a change may not do by itself: let in more than before, or what only a restart does.

use super::super::{Control, Edges};
use crate::config::{Config, Require};
use crate::problems::{Place, Problems};
use crate::snapshot::Snapshot;

impl<E: Edges> Control<E> {
    /// What only a restart can change is reported, and goes on as it was.
    pub(in crate::control) fn check_fixed(&self, next: &Config, problems: &mut Problems) {
        let Some(published) = &self.published else {
            return;
        };
        let running = &published.current().config;
        if running.workers != next.workers {
            let show = |workers: Option<usize>| {
                workers.map_or("one per core".to_owned(), |count| count.to_string())
            };
            let message = format!(
                "workers changes from {} to {} at the next start",
                show(running.workers),
                show(next.workers)
            );
            problems.warn(&Place::named("workers"), message);
        }
        let (was, is) = (&running.state_directory, &next.state_directory);
        if was != is {
            let message = format!(
                "state.directory changes from {} to {} at the next start",
                was.display(),
                is.display()
            );
            problems.warn(&Place::named("state.directory"), message);
        }
    }

    /// A plugin that lets in more than before is most likely a mistake.
    pub(super) fn check_not_weaker(&self, next: &Snapshot, problems: &mut Problems) {
        let Some(published) = &self.published else {
            return;
        };
        let running = published.current();
        for plugin in &next.plugins {
            let Some(before) = running
                .plugins
                .iter()
                .find(|before| before.name == plugin.name)
            else {
                continue;
            };
            let at = next
                .config
                .plugins
                .iter()
                .find(|config| config.name == *plugin.name)
                .map(|config| &config.at);
            let place = |key: &str| {
                let key = format!("plugins.{}.{key}", plugin.name);
                at.map_or_else(
                    || Place::named(key.clone()),
                    |at| Place {
                        key: key.clone(),
                        ..at.clone()
                    },
                )
            };
            if lets_in_more(before.require, plugin.require) {
                problems
                    .add(
                        &place("auth.require"),
                        "the plugin would let in requests that it refuses now",
                    )
                    .help("if that is meant: plugway reload --weaker");
            }
            if plugin.forward_unpublished && !before.forward_unpublished {
                problems
                    .add(
                        &place("openapi.unpublished"),
                        "the plugin would forward paths that it refuses now",
                    )
                    .help("if that is meant: plugway reload --weaker");
            }
        }
    }
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
