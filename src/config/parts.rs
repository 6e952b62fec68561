//! The parts of a configuration: its main file, and one for each file that `include` names. Such
//! a file is the unit of failure: where it is broken, something else stands in for it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::section::{Reading, Seen};
use super::{Config, DeclaredToken, Plugin, Require};
use crate::problems::Place;
use crate::tokens::Fingerprint;

/// What an included file gives.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Its plugins.
    pub plugins: Vec<Plugin>,
    /// Its tokens.
    pub tokens: Vec<DeclaredToken>,
}

/// What is not read as it is written.
#[derive(Debug, Default)]
pub struct Parts {
    /// What stands in for a file.
    pub kept: BTreeMap<PathBuf, Part>,
    /// Those of them that are not what serves, since they have other secrets.
    pub renewed: BTreeSet<PathBuf>,
    /// Files that nothing stands in for: it is as if they were not there.
    pub absent: BTreeSet<PathBuf>,
    /// Plugins of the main file that are not taken as they are written there, and what stands in for
    /// each, if anything does.
    pub apart: BTreeMap<String, Option<Plugin>>,
    /// Hashes of the texts that serve. They are read before all others: of two files that
    /// contradict each other the one that changed is at fault.
    pub known: BTreeMap<PathBuf, Fingerprint>,
    /// Files that were broken when they were last looked at. They are read after all others: what
    /// they want must not stand in the way of anybody else's change.
    pub suspect: BTreeSet<PathBuf>,
    /// How many files that serve each pattern of `include` matched.
    pub matched: BTreeMap<String, usize>,
    /// Files that declare something in what serves.
    pub declare: BTreeSet<PathBuf>,
    /// Whether such a pattern may match none any more, and such a file be empty: else it is more
    /// likely that their folder is gone by mistake, and that the file is being written.
    pub may_vanish: bool,
}

impl Config {
    /// The included files that give something.
    pub fn declaring(&self) -> BTreeSet<PathBuf> {
        let plugins = self.plugins.iter().map(|plugin| &plugin.at);
        let places = plugins.chain(self.tokens.iter().map(|token| &token.at));
        let files = places.filter_map(|at| self.part_of(at));
        files.map(Path::to_owned).collect()
    }

    /// The included file that a place is in; `None`: the main file, or no text at all.
    pub fn part_of(&self, at: &Place) -> Option<&Path> {
        let file = at.file()?;
        let included = self.included.iter().find(|path| path.as_path() == file);
        included.map(PathBuf::as_path)
    }

    /// What an included file gave.
    pub fn part(&self, file: &Path) -> Part {
        let here = |at: &Place| at.file() == Some(file);
        let plugins = self.plugins.iter().filter(|plugin| here(&plugin.at));
        let tokens = self.tokens.iter().filter(|token| here(&token.at));
        Part {
            plugins: plugins.cloned().collect(),
            tokens: tokens.cloned().collect(),
        }
    }
}

impl Parts {
    /// Puts what stands in for plugins of the main file into their places.
    pub(super) fn stand_in(&self, plugins: &mut Vec<Plugin>, reading: &mut Reading<'_>) {
        for (name, kept) in &self.apart {
            let Some(index) = plugins.iter().position(|plugin| plugin.name == *name) else {
                continue;
            };
            if let Some(kept) = kept {
                Seen::keep_hosts(kept, true, reading);
                plugins[index] = kept.clone();
            } else {
                plugins.remove(index);
                reading.seen.incomplete = true;
            }
        }
    }
}

impl Seen {
    /// Takes what stands in for a file as if it had been read. What contradicts it is at fault; with
    /// secrets that are new, it is itself.
    pub(super) fn keep(part: &Part, renewed: bool, reading: &mut Reading<'_>) {
        for plugin in &part.plugins {
            let (name, at) = (&plugin.name, &plugin.at);
            if let Some(other) = reading.seen.plugins.get(name) {
                let (other, at) = blame(renewed, other, at);
                let message = format!("the plugin `{name}` is already defined at {at}");
                reading.problems.add(other, message);
            } else {
                reading.seen.plugins.insert(name.clone(), at.clone());
            }
            Self::keep_hosts(plugin, renewed, reading);
            if plugin.auth.require == Require::None {
                reading.seen.unguarded.push(at.clone());
            }
        }
        for token in &part.tokens {
            let (id, at) = (&token.id, &token.at);
            if let Some(other) = reading.seen.tokens.get(id) {
                let (other, at) = blame(renewed, other, at);
                let message = format!("the token `{id}` is already defined at {at}");
                reading.problems.add(other, message);
            } else {
                reading.seen.tokens.insert(id.clone(), at.clone());
            }
            for secret in &token.secrets {
                if let Some((other, there)) = reading.seen.fingerprints.get(&secret.fingerprint)
                    && other != id
                {
                    let id = if renewed { other } else { id };
                    let (there, at) = blame(renewed, there, at);
                    let message = format!("the token `{id}` has the same secret, see {at}");
                    let problem = reading.problems.add(there, message);
                    problem.help("every token has secrets of its own");
                } else {
                    let claim = (id.clone(), at.clone());
                    reading.seen.fingerprints.insert(secret.fingerprint, claim);
                }
            }
        }
    }

    /// The hosts of a plugin that stands in for something.
    fn keep_hosts(plugin: &Plugin, renewed: bool, reading: &mut Reading<'_>) {
        let (name, at) = (&plugin.name, &plugin.at);
        for host in plugin.hosts.iter().cloned().chain(host_of(plugin)) {
            match reading.seen.hosts.get(&host) {
                Some((other, there)) if other != name => {
                    let name = if renewed { other } else { name };
                    let (there, at) = blame(renewed, there, at);
                    let message =
                        format!("the host already leads to the plugin `{name}`, see {at}");
                    let problem = reading.problems.add(there, message);
                    problem.help("a host leads to one plugin");
                }
                Some(_) => {}
                None => {
                    let claim = (name.clone(), at.clone());
                    reading.seen.hosts.insert(host, claim);
                }
            }
        }
    }
}

/// Which of two places is at fault, and which is not.
fn blame<'a>(renewed: bool, other: &'a Place, own: &'a Place) -> (&'a Place, &'a Place) {
    if renewed { (own, other) } else { (other, own) }
}

/// The host of `public_url`.
pub(crate) fn host_of(plugin: &Plugin) -> Option<String> {
    let (_, authority) = plugin.public_url.as_deref()?.split_once("://")?;
    let port = authority.rfind(':').filter(|_| !authority.ends_with(']'));
    Some(authority[..port.unwrap_or(authority.len())].to_owned())
}
