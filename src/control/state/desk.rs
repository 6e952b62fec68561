//! Where orders about tokens are taken.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use redb::ReadableTableMetadata;

use super::audit::{self, Deed};
use super::change::Write;
use super::db::{Db, Outcome, TOKENS};
use super::ends::Ends;
use super::find::shared_of;
use super::numbers::Numbers;
use super::reader::Reader;
use super::wall::{Turn, Wall};
use super::{StoreError, load, uses};
use crate::control::Shared;
use crate::control::declared::Tokens;
use crate::snapshot::Snapshot;
use crate::tokens::{
    Done, Fault, Fingerprint, Order, Phase, PlainToken, Plugins, Slot, State, Token, TokenRecord,
    Who, entries,
};

/// What orders are about beside the database.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Scene<'a> {
    /// The table, and the scope lists.
    pub(in crate::control) shared: &'a Shared,
    /// What serves; `None` on the command line, where nothing can be compared with it.
    pub(in crate::control) snapshot: Option<&'a Snapshot>,
    /// Tokens of the configuration and of token files.
    pub(in crate::control) declared: &'a Tokens,
}

/// The state database and what is to be done with it.
#[derive(Debug)]
pub(in crate::control) struct Desk {
    pub(super) db: Db,
    /// Whether what is stored is in the table.
    loaded: bool,
    /// Tokens whose record is not certain: an error came while it was written.
    doubtful: HashMap<Arc<str>, Option<TokenRecord>>,
    /// Rotations that end by themselves: by id, after how long without a use.
    idle: HashMap<Arc<str>, Duration>,
    /// When tokens end.
    ends: Ends,
    /// The numbers of generations.
    pub(in crate::control) numbers: Numbers,
    /// Uses that are not written yet.
    pub(super) uses: uses::Pending,
    /// Nothing is known of uses before.
    begun: Timestamp,
    /// When idle rotations are looked at next.
    look: Timestamp,
    /// When it is looked whether the file is still the same, or is there at last.
    glance: Timestamp,
    /// The latest time that was seen.
    wall: Wall,
}

/// Between two looks at whether the file is the same.
const GLANCE: Duration = Duration::from_secs(5);
/// Between two looks at rotations that end when idle.
const LOOK: Duration = Duration::from_secs(10);

impl Desk {
    /// Of this directory; nothing is touched yet.
    pub(in crate::control) fn new(directory: &Path, now: Timestamp) -> Self {
        Self {
            db: Db::new(directory),
            loaded: false,
            doubtful: HashMap::new(),
            idle: HashMap::new(),
            ends: Ends::default(),
            numbers: Numbers::new(directory),
            uses: uses::Pending::new(now),
            begun: now,
            look: now,
            glance: now,
            wall: Wall::new(now),
        }
    }

    /// Something in it made `redb` give up.
    pub(in crate::control) fn is_damaged(&mut self, scene: &Scene<'_>, now: Timestamp) {
        self.db.is_damaged(now);
        let blind = !self.is_complete();
        scene.shared.undecided.store(blind, Ordering::Relaxed);
    }

    /// The directory.
    pub(in crate::control) fn directory(&self) -> &Path {
        self.db.directory()
    }

    /// Why it can not be used, if it can not.
    pub(in crate::control) fn error(&self) -> Option<&StoreError> {
        self.db.unwritten()
    }

    /// Whether every token that is stored is in the table.
    pub(in crate::control) fn is_complete(&self) -> bool {
        self.loaded || !self.db.exists()
    }

    /// Whether tokens are stored, as far as is known.
    pub(in crate::control) fn has_tokens(&mut self, now: Timestamp) -> bool {
        if !self.db.is_open() {
            return self.db.exists();
        }
        let Ok(read) = self.db.read(now) else {
            return true;
        };
        let empty: Outcome<bool> = (|| Ok(read.open_table(TOKENS)?.is_empty()?))();
        !matches!(self.db.checked(empty, now), Ok(true))
    }

    /// Gives the file up, so that a successor can have it.
    pub(in crate::control) fn close(&mut self, now: Timestamp) {
        self.flush(now);
        self.db.close();
    }

    /// Opens what is there, without making anything, and fills the table from it. While it fails,
    /// a secret that is not in the table is one that nobody can judge.
    pub(in crate::control) fn open(
        &mut self,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !self.db.is_open() && !self.db.exists() {
            // One that could not be made is not waited for: the next command tries again.
            self.db.close();
            scene.shared.undecided.store(false, Ordering::Relaxed);
            return Ok(());
        }
        self.ready(false, scene, now)
    }

    /// Opens it, and brings the table to what is stored.
    pub(super) fn ready(
        &mut self,
        create: bool,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let result = self.made_ready(create, scene, now);
        let blind = result.is_err() && !self.is_complete();
        scene.shared.undecided.store(blind, Ordering::Relaxed);
        result
    }

    fn made_ready(
        &mut self,
        create: bool,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.db.open(create, now)?;
        if !self.loaded {
            let read = self.db.read(now)?;
            let loaded = load::all(&read, scene);
            let loaded = self.db.checked(loaded, now)?;
            (self.idle, self.ends) = (loaded.idle, loaded.ends);
            self.loaded = true;
            self.doubtful.clear();
        }
        let mut doubtful = std::mem::take(&mut self.doubtful).into_iter();
        while let Some((id, before)) = doubtful.next() {
            if let Err(error) = self.reconcile(&id, before.as_ref(), scene, now) {
                self.doubtful.insert(id, before);
                self.doubtful.extend(doubtful);
                return Err(error);
            }
        }
        Ok(())
    }

    /// After an error: what is stored is what holds.
    fn reconcile(
        &mut self,
        id: &str,
        before: Option<&TokenRecord>,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let read = self.db.read(now)?;
        let record = load::one(&read, id);
        if let Some(record) = self.db.checked(record, now)?
            && before != Some(&record)
        {
            self.enter(before, &record, scene, now);
        }
        Ok(())
    }

    /// For whoever looks at many: on another thread.
    pub(in crate::control) fn reader(
        &mut self,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<Reader, StoreError> {
        let read = if self.db.is_open() || self.db.exists() {
            self.ready(false, scene, now)?;
            Some(self.db.read(now)?)
        } else {
            None
        };
        Ok(Reader::new(read, scene.declared.shelf()))
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// Then nothing changed, as far as is known; after [`Fault::Store`] it is looked up as soon
    /// as the database can be read again.
    pub(in crate::control) fn perform(
        &mut self,
        order: &Order,
        who: &Who,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<Done, Fault> {
        let creates = matches!(order, Order::Create(_) | Order::Import(..));
        if creates || self.db.is_open() || self.db.exists() {
            self.ready(creates, scene, now)?;
        }
        let desk = &mut Write {
            desk: self,
            who,
            scene,
            now,
        };
        match order {
            Order::Create(request) => desk.create(request),
            Order::Import(lines, replace) => desk.import(lines, *replace),
            Order::Show(key) => {
                let found = desk.find(key)?;
                Ok(desk.unchanged(&found))
            }
            Order::Set(key, request) => desk.set(key, request),
            Order::Rotate(key, request) => desk.rotate(key, request),
            Order::Finish(key) => desk.change(key, "finish", TokenRecord::finish),
            Order::Undo(key) => desk.change(key, "undo", TokenRecord::undo),
            Order::Suspend(key) => desk.change(key, "suspend", |record, _| record.suspend()),
            Order::Resume(key) => desk.change(key, "resume", |record, _| record.resume()),
            Order::Revoke(key, reason) => {
                let by = Arc::clone(&who.by);
                Write::check_reason(reason)?;
                desk.change(key, "revoke", |record, now| {
                    Ok(record.revoke(&by, reason, now))
                })
            }
        }
    }

    /// The record of a token, by its id or its name.
    pub(in crate::control) fn record(
        &mut self,
        key: &str,
        who: &Who,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<TokenRecord, Fault> {
        if self.db.is_open() || self.db.exists() {
            self.ready(false, scene, now)?;
        }
        Ok(self.lookup(key, who, scene, now)?.record)
    }

    /// Puts what is stored into the table: what is new before what was goes.
    pub(super) fn enter(
        &mut self,
        before: Option<&TokenRecord>,
        record: &TokenRecord,
        scene: &Scene<'_>,
        now: Timestamp,
    ) {
        let shared = before
            .and_then(|before| shared_of(before, scene))
            .or_else(|| shared_of(record, scene))
            .unwrap_or_default();
        let added = entries(record, &scene.shared.scopes, &shared);
        if let Some(snapshot) = scene.snapshot {
            // An unknown list allows nothing.
            snapshot.learn(&scene.shared.scopes);
        }
        if let Some(moves) = before.and_then(|before| record.moves_from(before)) {
            shared.moved(moves);
        }
        let table = &scene.shared.tokens;
        let kept: Vec<Fingerprint> = added.iter().map(|(secret, _)| *secret).collect();
        table.apply(added, Vec::new());
        for (_, secret) in before.iter().flat_map(|before| before.secrets()) {
            if !kept.contains(&secret.fingerprint) {
                table.remove(&secret.fingerprint);
            }
        }
        self.ends.change(before, record);
        let idle = record
            .live_previous(now)
            .and_then(|previous| previous.finish_when_idle);
        match idle.filter(|_| !matches!(record.state, State::Revoked { .. })) {
            Some(idle) => self.idle.insert(Arc::clone(&record.id), idle),
            None => self.idle.remove(&record.id),
        };
    }

    /// When service tokens end: the first ten thousand.
    pub(in crate::control) fn ends(&self) -> impl Iterator<Item = (Arc<str>, Timestamp)> {
        self.ends.iter()
    }

    /// Notes what became of declared tokens, where there is an audit. Gives its head.
    pub(in crate::control) fn note_declared(
        &mut self,
        deeds: &[Deed<'_>],
        now: Timestamp,
    ) -> Option<String> {
        if !self.db.is_open() || deeds.is_empty() {
            return None;
        }
        let written = self.db.write(now, |write| {
            let mut head = String::new();
            for deed in deeds {
                head = audit::append(write, deed, now)?;
            }
            Ok(head)
        });
        written
            .inspect_err(
                |error| tracing::error!(%error, "a change of declared tokens is not in the audit"),
            )
            .ok()
    }

    /// From now on a record is not certain: it is this, or what was being written.
    pub(super) fn doubts(&mut self, id: &Arc<str>, before: Option<&TokenRecord>) {
        let known = self.doubtful.entry(Arc::clone(id));
        known.or_insert_with(|| before.cloned());
    }

    /// When it has something to do by itself.
    pub(in crate::control) fn due(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.note_time(now);
        let idle = (!self.idle.is_empty()).then_some(self.look);
        [self.db.due(), idle, self.uses.due(), Some(self.glance)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due: opens the database again, ends rotations that nobody uses any more,
    /// writes last uses.
    pub(in crate::control) fn tick(&mut self, scene: &Scene<'_>, now: Timestamp) {
        self.note_time(now);
        if self.glance <= now {
            self.glance = now.saturating_add(GLANCE).unwrap_or(Timestamp::MAX);
            if let Some(error) = self.db.is_another(now) {
                tracing::error!(%error, "the state database");
            } else if !self.loaded && self.db.exists() && self.db.due().is_none() {
                // A volume that was mounted late, say.
                if let Err(error) = self.open(scene, now) {
                    tracing::error!(%error, "the state database");
                }
            }
        }
        if self.db.due().is_some_and(|due| due <= now) {
            match self.open(scene, now) {
                Ok(()) if self.db.is_open() => {
                    tracing::info!("the state database is there again");
                }
                Ok(()) => tracing::info!("there is no state database any more"),
                Err(error) => tracing::error!(%error, "the state database"),
            }
        }
        if !self.idle.is_empty() && self.look <= now {
            self.look = now.saturating_add(LOOK).unwrap_or(Timestamp::MAX);
            if self.db.is_open() {
                self.finish_idle(scene, now);
            }
        }
        if self.uses.due().is_some_and(|due| due <= now) {
            self.write_uses(now, uses::write_piece);
        }
    }

    /// Looks at the clock. When it was set back, what is due by it would be due too late.
    fn note_time(&mut self, now: Timestamp) {
        match self.wall.note(now) {
            Some(Turn::Back(back)) => {
                tracing::error!("{back}");
                (self.glance, self.look) = (now, now);
            }
            Some(Turn::Caught) => {
                tracing::info!("the clock is where it was before it was set back");
            }
            None => {}
        }
    }

    /// What is wrong with the clock, if it is.
    pub(in crate::control) fn clock_error(&self) -> Option<String> {
        self.wall.back().map(|back| back.to_string())
    }

    /// Ends the previous secrets that nobody used for as long as was said.
    fn finish_idle(&mut self, scene: &Scene<'_>, now: Timestamp) {
        let who = Who {
            by: "plugway".into(),
            plugins: Plugins::All,
        };
        for (id, idle) in self.idle.clone() {
            let Ok(Some(found)) = self.by_id(&id, scene, now) else {
                continue;
            };
            if found.record.phase(now) != Phase::Rotating {
                self.idle.remove(&id);
                continue;
            }
            // A use is known to the minute, and none from before this process began.
            let used = found
                .shared
                .and_then(|shared| shared.last_use(Slot::Previous));
            let used = used.map(|(at, _)| at.saturating_add(Duration::from_mins(1)).unwrap_or(at));
            let since = [used, found.record.current.since, Some(self.begun)]
                .into_iter()
                .flatten()
                .max();
            let quiet = since.map(|since| now.duration_since(since));
            if quiet.is_some_and(|quiet| quiet.unsigned_abs() >= idle && quiet.is_positive()) {
                let done = self.perform(&Order::Finish(id.to_string()), &who, scene, now);
                if let Err(fault) = done {
                    tracing::warn!(token = %id, reason = fault.detail(), "a rotation that nobody uses the old secret of could not be finished");
                }
            }
        }
    }

    /// Notes that a token is in use, to be written with others, see [`uses`].
    pub(in crate::control) fn used(&mut self, token: &Arc<Token>, now: Timestamp) {
        self.uses.note(&token.id, &token.shared, now);
    }

    /// Writes the last uses that are not written yet.
    pub(in crate::control) fn flush(&mut self, now: Timestamp) {
        self.write_uses(now, uses::flush);
    }

    /// All of them or a piece.
    fn write_uses(&mut self, now: Timestamp, write: impl FnOnce(&mut Self, Timestamp)) {
        if self.db.is_open() {
            write(self, now);
        } else {
            // Where there is no database the tokens themselves remember it, and nothing else does.
            let later = self.db.error().is_some();
            self.uses.put_off(later, now);
        }
    }
}

/// What the desk may tell of a secret it made, and only once.
pub(super) fn reveal(secret: &PlainToken) -> serde_json::Value {
    secret.expose().into()
}
