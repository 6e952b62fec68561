//! What a look waits for. An included file that waits is put aside like one that is broken: the
//! others serve meanwhile, however long it takes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::attempt::{Candidate, Manner};
use super::documents::Ask;
use super::parts::{Aside, Held};
use super::selftest::Bases;
use super::{Control, Edges, Inputs, Outcome, Stage};
use crate::config::{Config, Plugin};
use crate::problems::Problems;
use sha2::{Digest, Sha256};

/// What the last look waits for.
#[derive(Debug, Default)]
pub(super) struct Waits {
    now: Vec<Wait>,
    before: Vec<Wait>,
    /// Plugins of the main file that wait while the rest of it is taken.
    pub(super) apart: BTreeSet<String>,
    /// Whoever starts has waited long enough.
    pub(super) hurried: bool,
}

/// A plugin that waits.
#[derive(Debug, Clone)]
struct Wait {
    /// `None`: what waits is no plugin's, and all that changed waits with it.
    plugin: Option<String>,
    /// The included file that it is in; `None`: the main file.
    part: Option<PathBuf>,
    /// For what: a noun phrase.
    what: String,
    /// Nothing serves yet of what is waited for; else it is only asked for again.
    fresh: bool,
    /// It would answer where a plugin of another name does now. That must not go before it is known
    /// that this one can take its place, and may: all that changed waits with it.
    takes: bool,
    since: Timestamp,
}

impl Waits {
    pub(super) fn add(
        &mut self,
        plugin: Option<&str>,
        part: Option<PathBuf>,
        (what, fresh, takes): (String, bool, bool),
    ) {
        let same = |wait: &&Wait| {
            wait.plugin.as_deref() == plugin && wait.part == part && wait.what == what
        };
        if self.now.iter().any(|wait| same(&wait)) {
            return;
        }
        let since = self.before.iter().find(same).map(|wait| wait.since);
        self.now.push(Wait {
            plugin: plugin.map(str::to_owned),
            part,
            what,
            fresh,
            takes,
            since: since.unwrap_or_else(Timestamp::now),
        });
    }

    /// For `status`.
    pub(super) fn to_json(&self) -> Vec<Value> {
        let told = |wait: &Wait| {
            let file = wait.part.as_ref().map(|path| super::status::absolute(path));
            json!({
                "plugin": wait.plugin,
                "file": file,
                "for": wait.what,
                "since": super::status::moment(wait.since),
            })
        };
        self.now.iter().map(told).collect()
    }
}

impl<E: Edges> Control<E> {
    /// A look begins.
    pub(super) fn begin_waits(&mut self) {
        self.waits.before = std::mem::take(&mut self.waits.now);
        self.waits.apart.clear();
        self.documents.begin();
        self.trials.begin();
    }

    /// Whoever starts has waited long enough: what is ready serves, the rest follows.
    pub fn wait_no_longer(&mut self) {
        self.waits.hurried = true;
    }

    /// Whether a document has to be there first.
    pub(super) fn awaits_documents(&mut self, config: &Config, manner: Manner) -> bool {
        let hurried = self.published.is_none() && self.waits.hurried;
        if self.asks_nobody() || hurried {
            return false;
        }
        let awaited = self.documents.awaited(manner.ask == Ask::All);
        if awaited.is_empty() {
            return false;
        }
        let (fresh, taken) = (self.documents.awaited(false), self.taken(config));
        for (name, source) in &awaited {
            let part = part_of(config, name);
            let what = format!("its OpenAPI document from {source}");
            let fresh = fresh.iter().any(|(fresh, _)| fresh == name);
            let takes = taken.contains_key(name);
            self.waits.add(Some(name), part, (what, fresh, takes));
        }
        true
    }

    /// The tests of these plugins are at their upstreams.
    pub(super) fn wait_for_tests(&mut self, config: &Config, plugins: &[String]) {
        let taken = self.taken(config);
        for name in plugins {
            let what = "the answers of its upstream to its tests".to_owned();
            let wait = (what, true, taken.contains_key(name));
            self.waits.add(Some(name), part_of(config, name), wait);
        }
    }

    /// The included files that wait and are not put aside yet. Plugins of the main file are noted with
    /// what waits. `None`: all of it waits, or nothing serves that the others could join.
    pub(super) fn waiting_parts(&mut self, inputs: &Inputs, aside: &Aside) -> Option<Aside> {
        let first = self.published.is_none();
        if self.rolled.is_some() || (first && !self.waits.hurried) {
            return None;
        }
        let (mut more, mut alone) = (Aside::new(), false);
        let Waits { now, apart, .. } = &mut self.waits;
        if now.iter().any(|wait| wait.takes) {
            return None;
        }
        for wait in now {
            let Some(path) = wait.part.clone() else {
                let plugin = wait.plugin.as_ref().filter(|_| wait.fresh && !first)?;
                if apart.insert(plugin.clone()) {
                    self.documents.set_apart(plugin);
                    alone = true;
                }
                continue;
            };
            if aside.contains_key(&path) {
                continue;
            }
            if let Some(plugin) = &wait.plugin {
                self.documents.set_apart(plugin);
            }
            let held = Held {
                stage: Stage::SelfTest,
                problems: Problems::new(),
                since: wait.since,
                serves: self.facts.contains_key(&path),
                waits: true,
                digest: inputs.digest_of_part(Some(&path)),
            };
            more.insert(path, held);
        }
        (alone || !more.is_empty()).then_some(more)
    }

    /// What came of a look in which plugins of the main file stand apart. Without them nothing may
    /// have changed, or what did may be wrong without them: then all of it waits.
    pub(super) fn unless_all_waits(
        &self,
        found: Result<Candidate, Outcome>,
    ) -> Result<Candidate, Outcome> {
        let published = self.published.as_ref();
        let Some(published) = published.filter(|_| !self.waits.apart.is_empty()) else {
            return found;
        };
        let is_nothing = |candidate: &Candidate| {
            candidate.snapshot.config == published.current().config
                && candidate.tokens.is_nothing()
                && self.documents.serve_still()
        };
        match found {
            Ok(candidate) if is_nothing(&candidate) => Err(Outcome::Waiting),
            Err(Outcome::Refused(_)) => Err(Outcome::Waiting),
            found => found,
        }
    }

    /// What the answers to the tests of each plugin depend on.
    pub(super) fn bases(&self, config: &Config, inputs: &Inputs) -> Bases {
        let main = inputs.digest_of_part(None);
        let documents = self.documents.digests();
        let tested = config
            .plugins
            .iter()
            .filter(|plugin| !plugin.tests.is_empty());
        let basis = |plugin: &Plugin| {
            let mut all = Sha256::new();
            all.update(main);
            all.update(inputs.digest_of_part(config.part_of(&plugin.at)));
            all.update(documents.get(&plugin.name).copied().unwrap_or_default());
            (plugin.name.clone(), all.finalize().into())
        };
        tested.map(basis).collect()
    }

    /// Whether something serves of each plugin of the main file that waits.
    pub(super) fn apart_serve(&self) -> bool {
        let running = self.published.as_ref().map(|published| published.current());
        let plugins = || running.iter().flat_map(|running| &running.config.plugins);
        let mut apart = self.waits.apart.iter();
        apart.all(|name| plugins().any(|plugin| plugin.name == *name))
    }

    /// Whether an included file is broken.
    pub(super) fn is_broken(&self) -> bool {
        self.held.values().any(|held| !held.waits)
    }

    /// Whether something on disk waits, and does not serve yet.
    pub fn waits(&self) -> bool {
        !self.waits.now.is_empty()
    }
}

/// The included file that a plugin is in.
fn part_of(config: &Config, name: &str) -> Option<PathBuf> {
    let plugin = config.plugins.iter().find(|plugin| plugin.name == name)?;
    config.part_of(&plugin.at).map(std::path::Path::to_owned)
}
