//! What served last, with the secrets of today: they and token files are rotated also while something
//! on disk is broken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::attempt::{Candidate, Manner};
use super::documents::Ask;
use super::inputs::{self, Inputs, Instead, Seen};
use super::parts::{Aside, Facts};
use super::{Control, Edges, Outcome, Source, Trigger};
use crate::config::{self, Config, Part, Parts};

/// What the generation that serves was made of.
#[derive(Debug, Default)]
pub(super) struct Good {
    /// As it was read.
    seen: Arc<Seen>,
    /// All of it, where secrets are as they are now.
    files: Arc<Instead>,
    /// Hashes of the secrets that each included file asked for.
    secrets: BTreeMap<PathBuf, [u8; 32]>,
    /// The files of those secrets.
    watched: Vec<PathBuf>,
    /// What serves of files that are broken now, where a secret of theirs is another one since.
    renewed: BTreeMap<PathBuf, Renewed>,
    /// A candidate with what served and the secrets of now is looked at.
    looks_past: bool,
}

/// What stands in for a broken file.
#[derive(Debug)]
pub(super) struct Renewed {
    pub(super) part: Part,
    pub(super) facts: Facts,
    /// Hash of its secrets.
    secrets: [u8; 32],
}

impl Good {
    /// What stands in for a broken file, if it is not what serves.
    pub(super) fn renewed(&self, path: &Path) -> Option<&Renewed> {
        self.renewed.get(path)
    }

    /// Whether something stands in that is not what serves.
    pub(super) fn renews(&self) -> bool {
        !self.renewed.is_empty()
    }

    /// To read after it.
    pub(super) fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }
}

impl<E: Edges> Control<E> {
    /// The files and folders that matter now.
    pub fn watched(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let (mut files, mut folders) = self.watched.clone();
        if self.rolled.is_some() {
            files.extend(self.on_disk.files.keys().cloned());
            folders.extend(
                self.on_disk
                    .globs
                    .keys()
                    .map(|pattern| inputs::folder_of(pattern)),
            );
        }
        // Of what is broken the secrets are not asked for any more, and rotated all the same.
        if self.refused.is_some() || !self.held.is_empty() {
            files.extend(self.good.watched.iter().cloned());
        }
        files.extend(self.main_file());
        (files, folders)
    }

    /// It serves now.
    pub(super) fn note_good(&mut self, inputs: &Inputs, aside: &Aside) {
        let record = self.record.iter().flat_map(|record| &record.files);
        let mut files = BTreeMap::new();
        let mut watched = Vec::new();
        for file in record {
            if file.private {
                // Some are addresses.
                let local = !file.path.to_string_lossy().contains("://");
                watched.extend(local.then(|| file.path.clone()));
            } else if let Some(bytes) = inputs.whole(&file.path, &file.sha256.0) {
                files.insert(file.path.clone(), bytes);
            } else if let Some(bytes) = self.good.files.files.get(&file.path) {
                files.insert(file.path.clone(), Arc::clone(bytes));
            }
        }
        let globs = self.record.iter().flat_map(|record| &record.globs);
        let globs = globs.map(|(pattern, paths)| (pattern.clone(), paths.clone()));
        let globs = globs.collect();
        let mut secrets = BTreeMap::new();
        for path in self.facts.keys() {
            let renewed = self.good.renewed(path).map(|renewed| renewed.secrets);
            let known = renewed.or_else(|| self.good.secrets.get(path).copied());
            let kept = known.filter(|_| aside.contains_key(path));
            let digest = kept.unwrap_or_else(|| inputs.secrets_of_part(path));
            secrets.insert(path.clone(), digest);
        }
        self.good = Good {
            seen: Arc::new(inputs.seen()),
            files: Arc::new(Instead {
                files,
                globs,
                is_all: true,
            }),
            secrets,
            watched,
            ..Good::default()
        };
    }

    /// Looks whether what stands in for broken files has other secrets by now, if that `matters`.
    pub(super) fn renew(&mut self, aside: &Aside, matters: bool) {
        self.good.renewed.clear();
        let serve = |path: &&PathBuf| aside.get(*path).is_some_and(|held| held.serves);
        let broken: Vec<PathBuf> = aside.keys().filter(serve).cloned().collect();
        let first = self.published.is_none() || self.rolled.is_some();
        if broken.is_empty() || first || !matters {
            return;
        }
        let (Some(config), inputs) = self.as_it_was() else {
            return;
        };
        for path in broken {
            let now = inputs.secrets_of_part(&path);
            let Some(facts) = self.facts.get(&path) else {
                continue;
            };
            if self.good.secrets.get(&path) == Some(&now) {
                continue;
            }
            let digest = [facts.digest, now].concat();
            let digest = Sha256::digest(digest).into();
            let renewed = Renewed {
                part: config.part(&path),
                facts: Facts { digest, ..*facts },
                secrets: now,
            };
            self.good.renewed.insert(path, renewed);
        }
    }

    /// A candidate that asks no upstream: neither tests nor documents.
    pub(super) fn asks_nobody(&self) -> bool {
        self.rolling || self.good.looks_past
    }

    /// The configuration that serves, read again with the secrets of today.
    fn as_it_was(&self) -> (Option<Config>, Inputs) {
        let mut inputs = Inputs::with(Arc::clone(&self.good.files));
        let parts = Parts {
            may_vanish: true,
            ..Parts::default()
        };
        let now = Timestamp::now();
        let (config, problems) = match &self.source {
            Source::File(path) => config::load(path, &mut inputs, &parts, now),
            Source::Text { name, text, .. } => {
                config::load_text(name, text, &mut inputs, &parts, now)
            }
        };
        (config.filter(|_| !problems.has_problems()), inputs)
    }

    /// The main file on disk is refused: whether what serves has other secrets or token files by
    /// now, with which it goes on.
    pub(super) fn look_past(&mut self, manner: Manner) {
        if self.holds_on(manner)
            || self.published.is_none()
            || self.rolled.is_some()
            || self.rehearsal
        {
            return;
        }
        let (documents, orders) = (self.documents.saved(), self.documents.take_orders());
        let (watched, waits) = (self.watched.clone(), std::mem::take(&mut self.waits));
        let (found, aside, inputs) = self.past();
        // Documents are those that serve: another one, of what is refused, is no part of this.
        if let (Ok(candidate), true) = (found, self.documents.serve_still()) {
            // What was broken beside it is still.
            let mut held = self.held.clone();
            held.extend(aside);
            if let Outcome::Published(_) = self.serve(candidate, held, &inputs) {
                tracing::info!(
                    generation = self.generation,
                    "the configuration on disk is refused; what served before goes on with the secrets and tokens of now"
                );
            }
        }
        let (files, folders) = std::mem::replace(&mut self.watched, watched);
        self.watched.0.extend(files);
        self.watched.1.extend(folders);
        self.waits = waits;
        self.documents.restore(documents);
        self.documents.give_orders(orders);
    }

    /// A candidate of what serves, with the secrets of now.
    fn past(&mut self) -> (Result<Candidate, Outcome>, Aside, Inputs) {
        let manner = Manner {
            trigger: Trigger::File,
            ask: Ask::Missing,
            hasty: false,
            idle: false,
        };
        self.good.looks_past = true;
        let found = self.accepted(manner, |control| {
            Inputs::with(Arc::clone(&control.good.files))
        });
        self.good.looks_past = false;
        found
    }

    /// A candidate of what lies on disk, for which no upstream is asked.
    pub(super) fn without_upstreams(
        &mut self,
        manner: Manner,
    ) -> (Result<Candidate, Outcome>, Aside) {
        self.good.looks_past = true;
        let found = self.candidate(manner, &mut Inputs::default());
        self.good.looks_past = false;
        found
    }
}
