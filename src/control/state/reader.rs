//! Looks at many tokens, or at the audit: a view of one moment, for another thread.

use std::sync::Arc;

use jiff::Timestamp;
use redb::ReadTransaction;
use serde_json::Value;

use super::audit::{self, Verdict};
use super::load;
use super::view::{self, Source};
use crate::control::Shared;
use crate::tokens::{Fault, Filter, TokenRecord, TokenShared, Who};

/// What the database and the declared tokens were at one moment.
#[derive(Debug)]
pub(in crate::control) struct Reader {
    pub(super) read: Option<ReadTransaction>,
    declared: Vec<(TokenRecord, Arc<TokenShared>)>,
}

impl Reader {
    pub(super) fn new(
        read: Option<ReadTransaction>,
        declared: Vec<(TokenRecord, Arc<TokenShared>)>,
    ) -> Self {
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
        let mut tokens = Vec::new();
        let mut take = |record: &TokenRecord, shared: Option<&TokenShared>, source| {
            if who.has(&record.plugins) && wanted.record(record, now) && wanted.is_idle(shared) {
                tokens.push(view::token(record, shared, source, now));
            }
        };
        for (record, shared) in &self.declared {
            take(record, Some(shared), Source::Declared);
        }
        self.each(|record| {
            let held = shared.tokens.get(&record.current.fingerprint);
            take(
                record,
                held.as_ref().map(|token| &*token.shared),
                Source::State,
            );
        })?;
        wanted.sort(&mut tokens);
        Ok(tokens)
    }

    /// The same as one JSON array, piece by piece: as values a million take gigabytes.
    pub(in crate::control) fn list_text(
        &self,
        filter: &Filter,
        who: &Who,
        shared: &Shared,
        now: Timestamp,
        mut piece: impl FnMut(String),
    ) -> Result<(), Fault> {
        let wanted = filter.read(now)?;
        let held = |record: &TokenRecord| shared.tokens.get(&record.current.fingerprint);
        let mut found = Vec::new();
        let mut take = |record: &TokenRecord, shared: Option<&TokenShared>, declared| {
            if who.has(&record.plugins) && wanted.record(record, now) && wanted.is_idle(shared) {
                let token = view::token(record, shared, Source::State, now);
                found.push((wanted.key(&token), declared));
            }
        };
        for (number, (record, shared)) in self.declared.iter().enumerate() {
            take(record, Some(shared), Some(number));
        }
        self.each(|record| {
            take(
                record,
                held(record).as_ref().map(|token| &*token.shared),
                None,
            )
        })?;
        found.sort_unstable();
        let mut before = "[";
        for ((_, _, id), declared) in found {
            let token =
                if let Some((record, shared)) = declared.and_then(|at| self.declared.get(at)) {
                    view::token(record, Some(shared), Source::Declared, now)
                } else if let Some(record) = self.one(&id)? {
                    let held = held(&record);
                    let shared = held.as_ref().map(|token| &*token.shared);
                    view::token(&record, shared, Source::State, now)
                } else {
                    continue;
                };
            piece(format!("{before}{token}"));
            before = ",";
        }
        piece(if before == "[" { "[]" } else { "]" }.to_owned());
        Ok(())
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
        who: &Who,
        mut show: impl FnMut(&TokenRecord),
    ) -> Result<(), Fault> {
        let mut theirs = |record: &TokenRecord| {
            if who.has(&record.plugins) {
                show(record);
            }
        };
        self.declared.iter().for_each(|(record, _)| theirs(record));
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
