//! Looks at many tokens, or at the audit: a view of one moment, for another thread.

use std::sync::Arc;

use jiff::Timestamp;
use redb::ReadTransaction;
use serde_json::Value;

use super::audit::{self, Verdict};
use super::db::{Outcome, SECRETS};
use super::load;
use super::view::{self, Source};
use crate::control::Shared;
use crate::control::declared::{Shelf, Spot};
use crate::tokens::{
    Fault, Filter, Fingerprint, ScopeLists, TokenRecord, TokenShared, Wanted, Who,
};

/// What the database and the declared tokens were at one moment.
#[derive(Debug)]
pub(in crate::control) struct Reader {
    pub(super) read: Option<ReadTransaction>,
    declared: Shelf,
}

impl Reader {
    pub(super) fn new(read: Option<ReadTransaction>, declared: Shelf) -> Self {
        Self { read, declared }
    }

    /// The tokens that are wanted and theirs, sorted, as one JSON array, piece by piece: as values a
    /// million take gigabytes.
    pub(in crate::control) fn list(
        &self,
        filter: &Filter,
        who: &Who,
        shared: &Shared,
        now: Timestamp,
        mut piece: impl FnMut(String),
    ) -> Result<(), Fault> {
        let wanted = filter.read(now)?;
        if let Some(secret) = &wanted.secret {
            let holder = self.holder(secret, &wanted, (who, shared), now)?;
            piece(holder.map_or("[]".to_owned(), |token| format!("[{token}]")));
            return Ok(());
        }
        let lists = &shared.scopes;
        let held = |record: &TokenRecord| held(record, shared);
        let mut found = Vec::new();
        let mut take = |record: &TokenRecord, shared: Option<&TokenShared>, spot: Option<Spot>| {
            if who.has(&record.plugins) && wanted.record(record, now) && wanted.is_idle(shared) {
                let key = wanted.key(record, shared, now);
                found.push((key, Arc::clone(&record.id), spot));
            }
        };
        self.declared.each(lists, |record, shared, spot| {
            take(record, Some(shared), Some(spot));
        });
        self.each(|record| take(record, held(record).as_deref(), None))?;
        found.sort_unstable();
        let mut before = "[";
        for (_, id, spot) in found {
            let declared = spot.and_then(|spot| self.declared.at(spot, lists));
            let token = if let Some((record, shared)) = declared {
                view::token(&record, Some(&shared), Source::Declared, now)
            } else if let Some(record) = self.one(&id)? {
                view::token(&record, held(&record).as_deref(), Source::State, now)
            } else {
                continue;
            };
            piece(format!("{before}{token}"));
            before = ",";
        }
        piece(if before == "[" { "[]" } else { "]" }.to_owned());
        Ok(())
    }

    /// Whose a secret is, or was, if it is wanted and theirs; and which of its secrets.
    fn holder(
        &self,
        secret: &Fingerprint,
        wanted: &Wanted,
        (who, shared): (&Who, &Shared),
        now: Timestamp,
    ) -> Result<Option<Value>, Fault> {
        let declared = self.declared.holder(secret, &shared.scopes);
        let (record, uses, source) = if let Some((record, uses)) = declared {
            (record, Some(uses), Source::Declared)
        } else if let Some(record) = self.stored_holder(secret)? {
            let uses = held(&record, shared);
            (record, uses, Source::State)
        } else {
            return Ok(None);
        };
        let uses = uses.as_deref();
        if !(who.has(&record.plugins) && wanted.record(&record, now) && wanted.is_idle(uses)) {
            return Ok(None);
        }
        let mut token = view::token(&record, uses, source, now);
        let slot = record
            .secrets()
            .find(|(_, own)| own.fingerprint == *secret)
            .map_or(view::ENDED, |(slot, _)| slot.as_str());
        token["slot"] = slot.into();
        Ok(Some(token))
    }

    /// The stored token that has a secret, or had it.
    fn stored_holder(&self, secret: &Fingerprint) -> Result<Option<TokenRecord>, Fault> {
        let Some(read) = &self.read else {
            return Ok(None);
        };
        let found: Outcome<Option<TokenRecord>> = (|| {
            let table = read.open_table(SECRETS)?;
            match table.get(secret.0.as_slice())? {
                Some(id) => load::one(read, id.value()),
                None => Ok(None),
            }
        })();
        found.map_err(failed)
    }

    /// A stored record.
    fn one(&self, id: &str) -> Result<Option<TokenRecord>, Fault> {
        match &self.read {
            Some(read) => load::one(read, id).map_err(failed),
            None => Ok(None),
        }
    }

    /// The stored tokens as lines of a token file.
    pub(in crate::control) fn export(
        &self,
        who: &Who,
        mut line: impl FnMut(String),
    ) -> Result<(), Fault> {
        self.each(|record| {
            if who.has(&record.plugins) {
                line(record.to_line());
            }
        })
    }

    /// Entries of the audit, the newest first.
    pub(in crate::control) fn audit(
        &self,
        id: Option<&str>,
        most: usize,
    ) -> Result<Vec<Value>, Fault> {
        let Some(read) = &self.read else {
            return Ok(Vec::new());
        };
        audit::newest(read, id, most).map_err(failed)
    }

    /// Whether the audit is whole.
    pub(in crate::control) fn verify(&self, head: Option<&str>) -> Result<Verdict, Fault> {
        match &self.read {
            Some(read) => audit::verify(read, head).map_err(failed),
            None => Err(Fault::Store(
                "there is no state database yet, and so no audit".to_owned(),
            )),
        }
    }

    /// Every record that is theirs, declared ones first.
    pub(in crate::control) fn each_visible(
        &self,
        (who, lists): (&Who, &ScopeLists),
        mut show: impl FnMut(&TokenRecord),
    ) -> Result<(), Fault> {
        let mut theirs = |record: &TokenRecord| {
            if who.has(&record.plugins) {
                show(record);
            }
        };
        self.declared.each(lists, |record, _, _| theirs(record));
        self.each(theirs)
    }

    /// The audit from its first entry on, each as a line, with its hash.
    pub(in crate::control) fn audit_lines(
        &self,
        mut line: impl FnMut(String),
    ) -> Result<(), Fault> {
        let Some(read) = &self.read else {
            return Ok(());
        };
        audit::each(read, |body| line(format!("{}\n", audit::shown(body)))).map_err(failed)
    }

    /// Whether there is a database: what has none has not nothing in it.
    pub(in crate::control) fn is_there(&self) -> Result<(), Fault> {
        match &self.read {
            Some(_) => Ok(()),
            None => Err(Fault::Store(
                "there is no state database: is this the folder, and the configuration, of the gateway?".to_owned(),
            )),
        }
    }

    /// Every stored record.
    pub(super) fn each(&self, show: impl FnMut(&TokenRecord)) -> Result<(), Fault> {
        match &self.read {
            Some(read) => load::each(read, show).map_err(failed),
            None => Ok(()),
        }
    }
}

/// What is known of the use of a stored token.
fn held(record: &TokenRecord, shared: &Shared) -> Option<Arc<TokenShared>> {
    let held = shared.tokens.get(&record.current.fingerprint);
    held.map(|token| Arc::clone(&token.shared))
}

/// The reason is reported once more, with its file, when the database is used next.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn failed(error: redb::Error) -> Fault {
    Fault::Store(format!("the state database can not be read: {error}"))
}
