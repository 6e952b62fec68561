//! Looks at many tokens, or at the audit: a view of one moment, for another thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use redb::ReadTransaction;
use serde_json::Value;

use super::audit::{self, Verdict};
use super::load;
use super::view::{self, Source};
use crate::control::Shared;
use crate::control::declared::Shelf;
use crate::tokens::{Fault, Filter, ScopeLists, TokenRecord, TokenShared, Who};

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

    /// The tokens that are wanted and theirs, sorted.
    pub(in crate::control) fn list(
        &self,
        filter: &Filter,
        who: &Who,
        shared: &Shared,
        now: Timestamp,
    ) -> Result<Vec<Value>, Fault> {
        let wanted = filter.read(now)?;
        // Only as many as are shown are held: a million views would fill the memory.
        let mut first = BTreeMap::new();
        let mut take = |record: &TokenRecord, shared: Option<&Arc<TokenShared>>, source| {
            let used = shared.map(AsRef::as_ref);
            if who.has(&record.plugins) && wanted.record(record, now) && wanted.is_idle(used) {
                let key = (wanted.key(record, used, now), Arc::clone(&record.id));
                if first.len() < wanted.most()
                    || first.last_key_value().is_some_and(|(last, _)| key < *last)
                {
                    first.insert(key, (record.clone(), shared.cloned(), source));
                }
                if first.len() > wanted.most() {
                    first.pop_last();
                }
            }
        };
        self.declared.each(&shared.scopes, |record, shared| {
            take(record, Some(shared), Source::Declared);
        });
        self.each(|record| {
            let held = shared.tokens.get(&record.current.fingerprint);
            take(
                record,
                held.as_ref().map(|token| &token.shared),
                Source::State,
            );
        })?;
        let views = first
            .into_values()
            .map(|(record, shared, source)| view::token(&record, shared.as_deref(), source, now));
        Ok(views.collect())
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
        self.declared.each(lists, |record, _| theirs(record));
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

    /// Every stored record.
    pub(super) fn each(&self, show: impl FnMut(&TokenRecord)) -> Result<(), Fault> {
        match &self.read {
            Some(read) => load::each(read, show).map_err(failed),
            None => Ok(()),
        }
    }
}

/// The reason is reported once more, with its file, when the database is used next.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn failed(error: redb::Error) -> Fault {
    Fault::Store(format!("the state database can not be read: {error}"))
}
