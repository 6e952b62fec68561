//! Finds tokens: by id, by name, by secret.

use std::sync::Arc;

use jiff::Timestamp;

use super::db::{NAMES, Outcome, SECRETS, TOKENS};
use super::desk::{Desk, Scene};
use super::view::Source;
use super::{StoreError, load};
use crate::problems::closest;
use crate::tokens::{Fault, FieldFault, Fingerprint, State, TokenRecord, TokenShared, Who, parse};

/// Tokens of one name that are counted for whoever makes another: each is read from the database.
pub(super) const MOST_COUNTED: usize = 1000;

/// A token as it was found.
pub(super) struct Found {
    pub(super) record: TokenRecord,
    pub(super) source: Source,
    pub(super) shared: Option<Arc<TokenShared>>,
}

impl Desk {
    /// A token by its id or its name.
    pub(super) fn lookup(
        &mut self,
        key: &str,
        who: &Who,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<Found, Fault> {
        if parse(key).is_ok() {
            return Err(Fault::secret_for_id("id"));
        }
        let theirs = |found: &Found| who.has(&found.record.plugins);
        let mut named: Vec<Found> = self
            .by_id(key, scene, now)?
            .filter(theirs)
            .into_iter()
            .collect();
        // An id that only a secret can have is nobody's name.
        if !named.is_empty() && (public_id_of(key) || named[0].record.name == named[0].record.id) {
            return named.pop().ok_or(Fault::Unknown);
        }
        for id in self.ids_of_name(key, now)? {
            if *id == *key {
                continue;
            }
            named.extend(self.by_id(&id, scene, now)?.filter(theirs));
        }
        let declared = scene.declared.named(key, &scene.shared.scopes);
        let declared = declared.into_iter().map(|(record, shared)| Found {
            record,
            source: Source::Declared,
            shared: Some(shared),
        });
        named.extend(
            declared
                .filter(theirs)
                .filter(|found| *found.record.id != *key),
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
        if let Some((record, shared)) = scene.declared.find(id, &scene.shared.scopes) {
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

    /// How many tokens of theirs have a name, up to [`MOST_COUNTED`]. Those that were revoked left it free.
    pub(super) fn namesakes(
        &mut self,
        name: &str,
        who: &Who,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<usize, Fault> {
        let counts = |record: &TokenRecord| {
            who.has(&record.plugins) && !matches!(record.state, State::Revoked { .. })
        };
        let declared = scene.declared.named(name, &scene.shared.scopes);
        let mut count = declared.iter().filter(|(record, _)| counts(record)).count();
        for id in self.ids_of_name(name, now)?.iter().take(MOST_COUNTED) {
            let found = self.by_id(id, scene, now)?;
            let found = found.filter(|found| found.source == Source::State);
            count += usize::from(found.is_some_and(|found| counts(&found.record)));
        }
        Ok(count.min(MOST_COUNTED))
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

    /// The first of these ids that a stored token has. While the database can not be read: none.
    pub(in crate::control) fn first_stored<'a>(
        &mut self,
        ids: impl Iterator<Item = &'a str>,
        now: Timestamp,
    ) -> Option<String> {
        if !self.db.is_open() {
            return None;
        }
        let read = self.db.read(now).ok()?;
        let table = read.open_table(TOKENS).ok()?;
        let mut ids = ids.filter(|id| matches!(table.get(*id), Ok(Some(_))));
        ids.next().map(str::to_owned)
    }

    /// Whether an id is taken.
    pub(super) fn is_taken(
        &mut self,
        id: &str,
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if scene.declared.find(id, &scene.shared.scopes).is_some() {
            return Ok(true);
        }
        let read = self.db.read(now)?;
        let there: Outcome<bool> = (|| Ok(read.open_table(TOKENS)?.get(id)?.is_some()))();
        self.db.checked(there, now)
    }
}

/// There is no such plugin; those that there are, and which of them may be meant.
pub(in crate::control) fn no_plugin(field: &'static str, name: &str, known: &[&str]) -> FieldFault {
    let meant = closest(name, known.iter().copied());
    let meant = meant.map(|meant| format!("; did you mean `{meant}`?"));
    let known = known.join(", ");
    FieldFault {
        field,
        message: format!(
            "there is no plugin {name}; there are: {known}{}",
            meant.unwrap_or_default()
        ),
    }
}

/// What a record's entries in the table share.
pub(super) fn shared_of(record: &TokenRecord, scene: &Scene<'_>) -> Option<Arc<TokenShared>> {
    let mut held = record
        .secrets()
        .filter_map(|(_, secret)| scene.shared.tokens.get(&secret.fingerprint));
    held.find(|token| token.id == record.id)
        .map(|token| Arc::clone(&token.shared))
}

/// Whether a text is an id as secrets bring it: no name may look like one.
fn public_id_of(key: &str) -> bool {
    let own = ["pls_", "plu_", "pla_", "plf_"];
    own.iter().any(|prefix| key.starts_with(prefix))
}
