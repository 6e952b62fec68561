//! Where orders about tokens are taken.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::change::Write;
use super::db::{Db, NAMES, Outcome, SECRETS, TOKENS};
use super::reader::Reader;
use super::view::Source;
use super::{StoreError, load, uses};
use crate::control::Shared;
use crate::control::declared::Tokens;
use crate::snapshot::Snapshot;
use crate::tokens::{
    Done, Fault, Fingerprint, Order, Phase, PlainToken, Plugins, Slot, State, Token, TokenRecord,
    TokenShared, Who, entries, parse,
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
    doubtful: BTreeSet<Arc<str>>,
    /// Rotations that end by themselves: by id, after how long without a use.
    idle: HashMap<Arc<str>, Duration>,
    /// Uses that are not written yet.
    pub(super) uses: uses::Pending,
    /// Nothing is known of uses before.
    begun: Timestamp,
    /// When idle rotations are looked at next.
    look: Timestamp,
}

/// Between two looks at rotations that end when idle.
const LOOK: Duration = Duration::from_secs(10);

/// A token as it was found.
pub(super) struct Found {
    pub(super) record: TokenRecord,
    pub(super) source: Source,
    pub(super) shared: Option<Arc<TokenShared>>,
}

impl Desk {
    /// Of this directory; nothing is touched yet.
    pub(in crate::control) fn new(directory: &Path, now: Timestamp) -> Self {
        Self {
            db: Db::new(directory),
            loaded: false,
            doubtful: BTreeSet::new(),
            idle: HashMap::new(),
            uses: uses::Pending::new(now),
            begun: now,
            look: now,
        }
    }

    /// The directory.
    pub(in crate::control) fn directory(&self) -> &Path {
        self.db.directory()
    }

    /// Why it can not be used, if it can not.
    pub(in crate::control) fn error(&self) -> Option<&StoreError> {
        self.db.error()
    }

    /// Whether every token that is stored is in the table.
    pub(in crate::control) fn is_complete(&self) -> bool {
        self.loaded || !self.db.exists()
    }

    /// Gives the file up, so that a successor can have it.
    pub(in crate::control) fn close(&mut self, scene: &Scene<'_>, now: Timestamp) {
        self.flush(scene, now);
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
    fn ready(&mut self, create: bool, scene: &Scene<'_>, now: Timestamp) -> Result<(), StoreError> {
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
            self.idle = loaded;
            self.loaded = true;
            self.doubtful.clear();
        }
        for id in std::mem::take(&mut self.doubtful) {
            if let Err(error) = self.reconcile(&id, scene, now) {
                self.doubtful.insert(id);
                return Err(error);
            }
        }
        Ok(())
    }

    /// After an error: what is stored is what holds.
    fn reconcile(
        &mut self,
        id: &Arc<str>,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let read = self.db.read(now)?;
        let record = load::one(&read, id);
        if let Some(record) = self.db.checked(record, now)? {
            self.enter(None, &record, scene, now);
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
        Ok(Reader::new(read, scene.declared.all()))
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

    /// A token by its id or its name.
    pub(super) fn lookup(
        &mut self,
        key: &str,
        who: &Who,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<Found, Fault> {
        if parse(key).is_ok() {
            return Err(Fault::Invalid(vec![crate::tokens::FieldFault {
                field: "id",
                message: "this is a whole secret: name a token by its id, which is the first 12 characters, and replace the secret if others can read your command history".to_owned(),
            }]));
        }
        let theirs = |found: &Found| who.has(&found.record.plugins);
        if let Some(found) = self.by_id(key, scene, now)?.filter(theirs) {
            return Ok(found);
        }
        let mut named = Vec::new();
        for id in self.ids_of_name(key, now)? {
            named.extend(self.by_id(&id, scene, now)?.filter(theirs));
        }
        let declared = scene
            .declared
            .all()
            .into_iter()
            .filter(|(record, _)| *record.name == *key);
        named.extend(
            declared
                .map(|(record, shared)| Found {
                    record,
                    source: Source::Declared,
                    shared: Some(shared),
                })
                .filter(theirs),
        );
        // One that was revoked does not stand in the way of the one that took its place.
        if named.len() > 1 {
            let ended = |found: &Found| matches!(found.record.state, State::Revoked { .. });
            if named.iter().any(|found| !ended(found)) {
                named.retain(|found| !ended(found));
            }
        }
        match named.len() {
            0 => Err(Fault::Unknown),
            1 => named.pop().ok_or(Fault::Unknown),
            _ => Err(Fault::Ambiguous(
                named.into_iter().map(|found| found.record.id).collect(),
            )),
        }
    }

    /// A token by its id.
    pub(super) fn by_id(
        &mut self,
        id: &str,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<Option<Found>, Fault> {
        if let Some((record, shared)) = scene.declared.find(id) {
            return Ok(Some(Found {
                record,
                source: Source::Declared,
                shared: Some(shared),
            }));
        }
        if !self.db.is_open() {
            return Ok(None);
        }
        let read = self.db.read(now)?;
        let record = load::one(&read, id);
        let record = self.db.checked(record, now)?;
        Ok(record.map(|record| Found {
            shared: shared_of(&record, scene),
            record,
            source: Source::State,
        }))
    }

    fn ids_of_name(&mut self, name: &str, now: Timestamp) -> Result<Vec<String>, StoreError> {
        if !self.db.is_open() {
            return Ok(Vec::new());
        }
        let read = self.db.read(now)?;
        let ids: Outcome<Vec<String>> = (|| {
            let table = read.open_multimap_table(NAMES)?;
            let mut ids = Vec::new();
            for id in table.get(name)? {
                ids.push(id?.value().to_owned());
            }
            Ok(ids)
        })();
        self.db.checked(ids, now)
    }

    /// Whose a secret is, of all that were ever known here.
    pub(super) fn holder(
        &mut self,
        secret: &Fingerprint,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<Option<Arc<str>>, StoreError> {
        if let Some(token) = scene.shared.tokens.get(secret) {
            return Ok(Some(Arc::clone(&token.id)));
        }
        let read = self.db.read(now)?;
        let id: Outcome<Option<Arc<str>>> = (|| {
            let table = read.open_table(SECRETS)?;
            Ok(table.get(secret.0.as_slice())?.map(|id| id.value().into()))
        })();
        self.db.checked(id, now)
    }

    /// Whether an id is taken.
    pub(super) fn is_taken(
        &mut self,
        id: &str,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if scene.declared.find(id).is_some() {
            return Ok(true);
        }
        let read = self.db.read(now)?;
        let there: Outcome<bool> = (|| Ok(read.open_table(TOKENS)?.get(id)?.is_some()))();
        self.db.checked(there, now)
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
        if let Some(before) = before
            && before.current.fingerprint != record.current.fingerprint
        {
            let back = before
                .previous
                .is_some_and(|previous| previous.fingerprint == record.current.fingerprint);
            if back {
                shared.exchanged();
            } else {
                shared.rotated();
            }
        }
        let table = &scene.shared.tokens;
        let kept: Vec<Fingerprint> = added.iter().map(|(secret, _)| *secret).collect();
        table.apply(added, Vec::new());
        for (_, secret) in before.iter().flat_map(|before| before.secrets()) {
            if !kept.contains(&secret.fingerprint) {
                table.remove(&secret.fingerprint);
            }
        }
        let idle = record
            .live_previous(now)
            .and_then(|previous| previous.finish_when_idle);
        match idle.filter(|_| !matches!(record.state, State::Revoked { .. })) {
            Some(idle) => self.idle.insert(Arc::clone(&record.id), idle),
            None => self.idle.remove(&record.id),
        };
    }

    /// From now on a record is not certain.
    pub(super) fn doubts(&mut self, id: &Arc<str>) {
        self.doubtful.insert(Arc::clone(id));
    }

    /// When it has something to do by itself.
    pub(in crate::control) fn due(&self) -> Option<Timestamp> {
        let idle = (self.db.is_open() && !self.idle.is_empty()).then_some(self.look);
        [self.db.due(), idle, self.uses.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due: opens the database again, ends rotations that nobody uses any more,
    /// writes last uses.
    pub(in crate::control) fn tick(&mut self, scene: &Scene<'_>, now: Timestamp) {
        if self.db.due().is_some_and(|due| due <= now) {
            match self.open(scene, now) {
                Ok(()) if self.db.is_open() => tracing::info!("the state database is there again"),
                Ok(()) => {}
                Err(error) => tracing::error!(%error, "the state database"),
            }
        }
        if !self.idle.is_empty() && self.look <= now && self.db.is_open() {
            self.look = now.saturating_add(LOOK).unwrap_or(Timestamp::MAX);
            self.finish_idle(scene, now);
        }
        if self.uses.due().is_some_and(|due| due <= now) {
            self.flush(scene, now);
        }
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

    /// Notes that a token is in use, to be written within a minute.
    pub(in crate::control) fn used(&mut self, token: &Arc<Token>, now: Timestamp) {
        self.uses.note(token, now);
    }

    /// Writes the last uses that are not written yet.
    pub(in crate::control) fn flush(&mut self, scene: &Scene<'_>, now: Timestamp) {
        uses::flush(self, scene, now);
    }
}

/// What a record's entries in the table share.
fn shared_of(record: &TokenRecord, scene: &Scene<'_>) -> Option<Arc<TokenShared>> {
    let mut held = record
        .secrets()
        .filter_map(|(_, secret)| scene.shared.tokens.get(&secret.fingerprint));
    held.find(|token| token.id == record.id)
        .map(|token| Arc::clone(&token.shared))
}

/// What the desk may tell of a secret it made, and only once.
pub(super) fn reveal(secret: &PlainToken) -> serde_json::Value {
    secret.expose().into()
}
