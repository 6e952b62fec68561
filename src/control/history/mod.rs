//! The generations that served: kept when they are published, listed, compared, and taken up again.

mod lapse;
mod roll;
mod show;
mod wider;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::documents::Pins;
use super::inputs::{Inputs, Instead, OnDisk};
use super::parts::Aside;
use super::state::{Contents, Disk, Generation, KeptDocument, KeptFile};
use super::{Control, Edges, Refused};
use crate::snapshot::Snapshot;
use crate::tokens::Fingerprint;

pub use roll::Rolling;

/// A generation of before that serves, until a change of what lies on disk is accepted.
#[derive(Debug)]
pub(super) struct Rolled {
    /// Its number.
    pub(super) to: u64,
    pub(super) instead: Arc<Instead>,
    pub(super) pins: Arc<Pins>,
    /// What lay on disk then.
    disk: OnDisk,
    /// What of that was refused.
    pub(super) refused: Option<Refused>,
    /// Whether somebody asked for it, so that it holds beyond this process.
    asked: bool,
}

/// What is to be kept of a generation, as soon as nobody waits for it.
#[derive(Debug)]
pub(super) struct Unsaved {
    generation: Generation,
    contents: Contents,
    since: Timestamp,
}

/// After the last swap, until what was published is written: who asked for it is told first, and who
/// asks at once for more does not wait for the disk.
const QUIET: Duration = Duration::from_millis(20);
/// What is not written yet is not put off beyond this, or this many of them.
const LONGEST: Duration = Duration::from_millis(200);
const MOST_UNSAVED: usize = 16;

impl<E: Edges> Control<E> {
    /// Where the files of the next attempt come from.
    pub(super) fn inputs(&self) -> Inputs {
        match &self.rolled {
            Some(rolled) => Inputs::with(Arc::clone(&rolled.instead)),
            None => Inputs::default()
                .after(self.good.seen())
                .foreseen_by(&self.foresight),
        }
    }

    /// The number of what is published next. A start with the very bytes that served last goes on
    /// with their number.
    pub(super) fn next_number(&mut self, hash: &str, now: Timestamp) -> u64 {
        let desk = self.desk.as_mut();
        let told = desk.as_ref().map(|desk| desk.numbers.highest());
        let told = told.unwrap_or_default();
        if self.published.is_some() {
            // A successor may have taken numbers before it failed.
            return self.generation.max(told.0) + 1;
        }
        let newest = desk.and_then(|desk| desk.newest(now));
        let kept = newest.map(|newest| (newest.number, newest.hash));
        // Lost, restored, or behind a process that was killed: numbers do not go back with it.
        let last = kept.filter(|kept| kept.0 >= told.0).unwrap_or(told);
        if last.0 > 0 && last.1 == hash {
            last.0
        } else {
            last.0 + 1
        }
    }

    /// A number is taken, before anybody sees it.
    pub(super) fn take_number(&mut self, snapshot: &Snapshot) {
        if let Some(desk) = &mut self.desk {
            desk.numbers.note(snapshot.generation, &snapshot.hash);
        }
    }

    /// Notes what the generation that serves now was made of.
    pub(super) fn remember(
        &mut self,
        snapshot: &Snapshot,
        inputs: &Inputs,
        (aside, held): (&Aside, &Aside),
    ) {
        if self.unsaved.len() >= MOST_UNSAVED {
            self.save(Timestamp::now());
        }
        let mut contents = Contents::new();
        let files = self.files(inputs, aside, &mut contents);
        // A start that goes on with a number was not what made the generation.
        let begins = self.record.is_none() && self.cause.0 == "start";
        let first = if begins { self.kept(snapshot) } else { None };
        let (at, cause, by, back) = if let Some(first) = first {
            (first.at, first.cause, first.by, first.rolled_back_to)
        } else {
            let (cause, by) = self.cause.clone();
            let back = self.rolled.as_ref().map(|rolled| rolled.to);
            (self.since, cause.to_owned(), by, back)
        };
        let plugins = snapshot.plugins.iter();
        let waits = held.iter().filter(|(_, held)| held.waits);
        let generation = Generation {
            number: snapshot.generation,
            hash: snapshot.hash.clone(),
            at,
            cause,
            by,
            rolled_back_to: back,
            disk: self
                .rolled
                .as_ref()
                .filter(|rolled| rolled.asked)
                .map(kept_disk),
            texts: self.texts.keys().cloned().collect(),
            files,
            globs: matched(inputs, held),
            documents: self.fetched(&mut contents),
            plugins: plugins
                .map(|plugin| (plugin.name.to_string(), plugin.operations.len()))
                .collect(),
            guards: self.guards_of(&snapshot.config, held),
            held: held.keys().cloned().collect(),
            waits: waits.map(|(path, _)| path.clone()).collect(),
        };
        self.record = Some(Arc::new(generation.clone()));
        self.unsaved.push(Unsaved {
            generation,
            contents,
            since: Timestamp::now(),
        });
    }

    /// The same generation, as an earlier process kept it.
    fn kept(&mut self, snapshot: &Snapshot) -> Option<Generation> {
        let newest = self.desk.as_mut()?.newest(Timestamp::now())?;
        let is_it = newest.number == snapshot.generation && newest.hash == snapshot.hash;
        is_it.then_some(newest)
    }

    /// The files that it was made of. Of what is put aside those that serve are named, with the hashes
    /// of the secrets of now.
    fn files(&self, inputs: &Inputs, aside: &Aside, contents: &mut Contents) -> Vec<KeptFile> {
        let mut files = Vec::new();
        for kept in inputs.kept() {
            let (path, sha256) = (kept.path.to_owned(), Fingerprint(kept.digest));
            let parts: Vec<PathBuf> = kept.parts.iter().map(|part| (*part).to_owned()).collect();
            // What is broken is not what serves.
            let asked = !kept.by_main && parts.iter().all(|part| aside.contains_key(part));
            if asked {
                continue;
            }
            if let Some(bytes) = kept.bytes {
                contents.insert(sha256, Arc::clone(bytes));
            }
            let parts = if kept.by_main { Vec::new() } else { parts };
            files.push(KeptFile {
                path,
                sha256,
                private: kept.bytes.is_none(),
                parts,
            });
        }
        let before = self.record.as_deref();
        for file in before.iter().flat_map(|before| &before.files) {
            let serves = |part: &PathBuf| aside.get(part).is_some_and(|held| held.serves);
            let there = || files.iter().any(|other| other.path == file.path);
            if file.parts.iter().any(serves) && !there() {
                let renewed = |part: &PathBuf| self.good.renewed(part)?.reads.of(&file.path);
                let renewed = file.parts.iter().find_map(renewed);
                files.push(KeptFile {
                    sha256: renewed.unwrap_or(file.sha256),
                    ..file.clone()
                });
            }
        }
        files
    }

    /// What is known of the generation that serves is another than when it was kept; its bytes are
    /// the same.
    pub(super) fn keep_record(&mut self) {
        let Some(generation) = self.record.as_deref().cloned() else {
            return;
        };
        let same = |unsaved: &&mut Unsaved| unsaved.generation.number == generation.number;
        if let Some(unsaved) = self.unsaved.last_mut().filter(same) {
            unsaved.generation = generation;
            return;
        }
        self.unsaved.push(Unsaved {
            generation,
            contents: Contents::new(),
            since: Timestamp::now(),
        });
    }

    /// The documents that were fetched, as they serve.
    fn fetched(&self, contents: &mut Contents) -> Vec<KeptDocument> {
        let mut documents = Vec::new();
        for (plugin, source, parts) in self.documents.fetched() {
            // An address may hold a secret, and secrets are kept nowhere.
            let bare = |address: &str| !address.contains(['?', '@', '#']);
            if !(bare(source) && parts.iter().all(|(location, _)| bare(location))) {
                continue;
            }
            let mut hashes = BTreeMap::new();
            for (location, bytes) in parts {
                let hash = Fingerprint::of(bytes);
                contents.insert(hash, Arc::clone(bytes));
                hashes.insert(location.to_owned(), hash);
            }
            documents.push(KeptDocument {
                plugin: plugin.to_owned(),
                source: source.to_owned(),
                parts: hashes,
            });
        }
        documents
    }

    /// When something is to be [saved](Self::save).
    pub fn save_due(&self) -> Option<Timestamp> {
        let (first, last) = (self.unsaved.first()?, self.unsaved.last()?);
        let after = |unsaved: &Unsaved, pause| unsaved.since.saturating_add(pause).ok();
        let due = after(last, QUIET).min(after(first, LONGEST));
        due.filter(|_| !self.lent)
    }

    /// Keeps the generations that were published, where there is a state database. That they can not
    /// be kept is no reason not to serve. While a successor has the database it is put off.
    pub fn save(&mut self, now: Timestamp) {
        if self.lent || self.unsaved.is_empty() {
            return;
        }
        let unsaved = std::mem::take(&mut self.unsaved);
        let kept = unsaved.iter();
        let kept: Vec<_> = kept
            .map(|unsaved| (&unsaved.generation, &unsaved.contents))
            .collect();
        let saved = self.with_desk(|desk, scene| desk.keep(&kept, scene, now));
        let error = match saved {
            Ok(Ok(())) => {
                self.unkept = false;
                // The first time the directory is made with the database.
                let newest = unsaved.last().map(|unsaved| &unsaved.generation);
                if let Some((desk, newest)) = self.desk.as_mut().zip(newest) {
                    desk.numbers.note(newest.number, &newest.hash);
                }
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(fault) => fault.detail(),
        };
        if !std::mem::replace(&mut self.unkept, true) {
            tracing::warn!(
                error,
                "generations are not kept: `plugway rollback` can not take up what serves now"
            );
        }
    }
}

/// What patterns matched, without files of which nothing serves.
fn matched(inputs: &Inputs, aside: &Aside) -> BTreeMap<String, Vec<PathBuf>> {
    let absent = |path: &PathBuf| aside.get(path).is_some_and(|held| !held.serves);
    let globs = inputs.globs().iter().map(|(pattern, paths)| {
        let paths = paths.iter().filter(|path| !absent(path));
        (pattern.clone(), paths.cloned().collect())
    });
    globs.collect()
}

/// What lay on disk when a generation was rolled back to.
fn kept_disk(rolled: &Rolled) -> Disk {
    let files = rolled.disk.files.iter();
    Disk {
        files: files
            .map(|(path, digest)| (path.clone(), Fingerprint(*digest)))
            .collect(),
        globs: rolled.disk.globs.clone(),
    }
}

impl Generation {
    /// The included files that were refused, and did not just wait.
    fn broken(&self) -> impl Iterator<Item = &PathBuf> {
        let held = self.held.iter();
        held.filter(|path| !self.waits.contains(path))
    }

    /// Whether somebody rolled back to it.
    fn is_rolled_back(&self) -> bool {
        self.disk.is_some()
    }

    /// What lay on disk then.
    fn on_disk(&self) -> OnDisk {
        let disk = self.disk.clone().unwrap_or_default();
        let files = disk.files.into_iter();
        OnDisk {
            files: files.map(|(path, hash)| (path, hash.0)).collect(),
            globs: disk.globs,
        }
    }
}

/// Files, patterns and documents of a generation, to be read instead of what is there now.
fn standing_in(
    generation: &Generation,
    contents: &Contents,
) -> Result<(Instead, Pins), Vec<PathBuf>> {
    let (mut instead, mut missing) = (Instead::default(), Vec::new());
    for file in generation.files.iter().filter(|file| !file.private) {
        match contents.get(&file.sha256) {
            Some(bytes) => drop(instead.files.insert(file.path.clone(), Arc::clone(bytes))),
            None => missing.push(file.path.clone()),
        }
    }
    let mut pins = HashMap::new();
    for document in &generation.documents {
        let mut parts = BTreeMap::new();
        for (location, hash) in &document.parts {
            match contents.get(hash) {
                Some(bytes) => drop(parts.insert(location.clone(), Arc::clone(bytes))),
                None => missing.push(Path::new(location).to_owned()),
            }
        }
        pins.insert((document.plugin.clone(), document.source.clone()), parts);
    }
    instead.globs.clone_from(&generation.globs);
    if missing.is_empty() {
        Ok((instead, pins))
    } else {
        Err(missing)
    }
}
