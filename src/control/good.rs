//! What served last, with the secrets of today: they and token files are rotated also while something
//! on disk is broken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::attempt::{Candidate, Manner};
use super::documents::Ask;
use super::inputs::{self, Inputs, Instead, Reads, Seen};
use super::parts::{Aside, Facts};
use super::{Control, Edges, Outcome, Source, Trigger};
use crate::config::{self, Part, Parts};
use crate::problems::Problems;

/// What the generation that serves was made of.
#[derive(Debug, Default)]
pub(super) struct Good {
    /// As it was read.
    seen: Arc<Seen>,
    /// All of it, where secrets are as they are now.
    files: Arc<Instead>,
    /// Hashes of the secrets that each included file asked for.
    secrets: BTreeMap<PathBuf, [u8; 32]>,
    /// All that each of them asked for.
    reads: BTreeMap<PathBuf, Reads>,
    /// The files of those secrets.
    watched: Vec<PathBuf>,
    /// What serves of files that are broken now, where a secret of theirs is another one since.
    renewed: BTreeMap<PathBuf, Renewed>,
    /// A candidate with what served and the secrets of now is looked at.
    looks_past: bool,
    /// What of that was refused, as it was told.
    refused: Option<[u8; 32]>,
}

/// What stands in for a broken file.
#[derive(Debug)]
pub(super) struct Renewed {
    pub(super) part: Part,
    pub(super) facts: Facts,
    /// What it was made of.
    pub(super) reads: Reads,
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

    /// What stands in with secrets of which something is refused; all of it where nobody is named.
    pub(super) fn doubted(&self, problems: &Problems) -> Vec<PathBuf> {
        let problems = problems.stopping();
        let is_named = |path: &&PathBuf| problems.iter().any(|one| one.file() == Some(path));
        let named: Vec<PathBuf> = self.renewed.keys().filter(is_named).cloned().collect();
        if named.is_empty() {
            self.renewed.keys().cloned().collect()
        } else {
            named
        }
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
        let (mut secrets, mut reads) = (BTreeMap::new(), BTreeMap::new());
        for path in self.facts.keys() {
            let renewed = self.good.renewed.get(path);
            let renewed = renewed.map(|renewed| (renewed.secrets, renewed.reads.clone()));
            let served = || {
                let secrets = self.good.secrets.get(path)?;
                Some((*secrets, self.good.reads.get(path)?.clone()))
            };
            let kept = renewed.or_else(served);
            let kept = kept.filter(|_| aside.contains_key(path));
            let (secret, read) = kept.unwrap_or_else(|| {
                let read = inputs.reads_of_part(Some(path));
                (inputs.secrets_of_part(path), read)
            });
            secrets.insert(path.clone(), secret);
            reads.insert(path.clone(), read);
        }
        self.good = Good {
            seen: Arc::new(inputs.seen()),
            files: Arc::new(Instead {
                files,
                globs,
                is_all: true,
            }),
            secrets,
            reads,
            watched,
            ..Good::default()
        };
    }

    /// Looks whether what stands in for broken files has other secrets by now; `old` keep those that
    /// they have.
    pub(super) fn renew(&mut self, aside: &Aside, old: &BTreeSet<PathBuf>) {
        self.good.renewed.clear();
        let serve = |path: &&PathBuf| {
            !old.contains(*path) && aside.get(*path).is_some_and(|held| held.serves)
        };
        let broken: Vec<PathBuf> = aside.keys().filter(serve).cloned().collect();
        let first = self.published.is_none() || self.rolled.is_some();
        if broken.is_empty() || first {
            return;
        }
        let (mut parts, inputs) = self.as_it_was();
        for path in broken {
            // One of which a secret can not be read goes on with those that it has.
            let Some(part) = parts.remove(&path) else {
                continue;
            };
            let now = inputs.secrets_of_part(&path);
            let known = self.facts.get(&path).zip(self.good.reads.get(&path));
            let Some((facts, reads)) = known else {
                continue;
            };
            if self.good.secrets.get(&path) == Some(&now) {
                continue;
            }
            // As it is known when it is mended, so that it is nothing new then.
            let reads = reads.renewed(inputs.reads_of_part(Some(&path)));
            let renewed = Renewed {
                part,
                facts: Facts {
                    digest: reads.digest(),
                    ..*facts
                },
                reads,
                secrets: now,
            };
            self.good.renewed.insert(path, renewed);
        }
    }

    /// A candidate that asks no upstream: neither tests nor documents.
    pub(super) fn asks_nobody(&self) -> bool {
        self.rolling || self.good.looks_past
    }

    /// The included files that serve, read again with the secrets of today.
    fn as_it_was(&self) -> (BTreeMap<PathBuf, Part>, Inputs) {
        let mut inputs = Inputs::with(Arc::clone(&self.good.files));
        let parts = Parts {
            may_vanish: true,
            ..Parts::default()
        };
        let now = Timestamp::now();
        let parts = match &self.source {
            Source::File(path) => config::load_parts(path, &mut inputs, &parts, now),
            // It includes nothing.
            Source::Text { .. } => BTreeMap::new(),
        };
        (parts, inputs)
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
        let came = match found {
            Ok(candidate) if self.documents.serve_still() => {
                // What was broken beside it is still.
                let beside = self.held.clone();
                self.serve(candidate, &aside, beside, &inputs)
            }
            Ok(_) => Outcome::Unchanged,
            Err(outcome) => outcome,
        };
        if let Outcome::Published(_) = &came {
            tracing::info!(
                generation = self.generation,
                "the configuration on disk is refused; what served before goes on with the secrets and tokens of now"
            );
        }
        self.tell_past(&came);
        let (files, folders) = std::mem::replace(&mut self.watched, watched);
        self.watched.0.extend(files);
        self.watched.1.extend(folders);
        self.waits = waits;
        self.documents.restore(documents);
        self.documents.give_orders(orders);
    }

    /// What serves was looked at with the secrets of now, beside a refusal: where that is refused as
    /// well, it is told once.
    pub(super) fn tell_past(&mut self, came: &Outcome) {
        let refused = match came {
            Outcome::Refused(refused) => Some(refused),
            _ => None,
        };
        let before = std::mem::replace(&mut self.good.refused, refused.map(|one| one.digest));
        let Some(refused) = refused.filter(|one| before != Some(one.digest)) else {
            return;
        };
        tracing::error!(
            stage = refused.stage.word(),
            generation = self.generation,
            problems = %refused.problems.stopping().render(false).trim_end(),
            "what serves can not be renewed either: the secrets and tokens of now are refused, and it goes on with those that it has"
        );
    }

    /// Whether secrets, certificates and token files are held as they were, beside a refusal, since
    /// one of them can not be taken.
    pub(super) fn holds_secrets(&self) -> bool {
        self.refused.is_some() && self.good.refused.is_some()
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
