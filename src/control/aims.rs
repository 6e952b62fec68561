//! What tokens of files are for and is not there. It may come yet, so that it is a warning; for tokens
//! of the configuration itself it is a problem.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::declared;
use crate::counted::plural;
use crate::openapi;
use crate::problems::{Place, Problems, closest};
use crate::snapshot::Snapshot;
use crate::tokens::{Plugins, Selector};

/// Warnings that are given; files may be many, and alike.
const MOST: usize = 20;

/// Compares the tokens of files with what is published.
pub(super) fn check(tokens: &declared::Next, snapshot: &Snapshot, problems: &mut Problems) {
    let names: Vec<&str> = snapshot.plugins.iter().map(|one| &*one.name).collect();
    // What is missing, and a token that names it: the same one each time.
    let mut missing: BTreeMap<String, Arc<str>> = BTreeMap::new();
    // Most tokens of files are alike.
    let mut alike: HashMap<_, &declared::Aim> = HashMap::new();
    for aim in tokens.aims() {
        let first = alike.entry((&aim.plugins, &aim.scopes)).or_insert(aim);
        if aim.id < first.id {
            *first = aim;
        }
    }
    for aim in alike.into_values() {
        let mut note = |what: String| {
            let known = missing.entry(what).or_insert_with(|| Arc::clone(&aim.id));
            if aim.id < *known {
                known.clone_from(&aim.id);
            }
        };
        if aim.plugins != Plugins::All {
            for name in aim.plugins.names().filter(|name| !names.contains(name)) {
                let meant = closest(name, names.iter().copied());
                let meant = meant.map_or(String::new(), |meant| format!(" (is it `{meant}`?)"));
                note(format!("the plugin `{name}`, which is not there{meant}"));
            }
        }
        let plugins = snapshot.plugins.iter();
        let reach: Vec<_> = plugins
            .filter(|plugin| aim.plugins.covers(&plugin.name))
            .collect();
        // What is not there yet can not be judged.
        if reach.is_empty() || reach.iter().any(|plugin| plugin.unavailable.is_some()) {
            continue;
        }
        for scope in aim.scopes.selectors() {
            let matches = |plugin: &&&Arc<crate::snapshot::Plugin>| {
                let mut operations = plugin.operations.iter();
                operations.any(|one| openapi::matches(scope, &one.meaning))
            };
            if *scope != Selector::All && reach.iter().find(matches).is_none() {
                note(format!(
                    "`{scope}`, which matches no published operation of its plugins"
                ));
            }
        }
    }
    let more = missing.len().saturating_sub(MOST);
    let place = Place::named("token_files");
    for (what, id) in missing.into_iter().take(MOST) {
        problems.warn(&place, format!("token {id} names {what}"));
    }
    if more > 0 {
        let message = format!(
            "tokens of files name {more} more {} not there",
            plural(more, "thing that is", "things that are")
        );
        problems.warn(&place, message);
    }
}
