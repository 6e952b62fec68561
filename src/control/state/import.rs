//! Takes tokens that another state database, or a file, has.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::audit::{self, Deed};
use super::change::{Write, put};
use super::uses;
use super::view::{self, Source};
use crate::counted::plural;
use crate::tokens::{
    Done, Fault, FieldFault, Fingerprint, Making, State, TokenRecord, expect_tokens, foreign_id,
    is_public_id, parse_import,
};

/// Tokens of one import of which each gets an entry of its own in the audit.
const TOLD: usize = 1000;

/// Tokens that are told to name what is not there.
const WARNINGS: usize = 20;

impl Write<'_> {
    /// Takes lines of a token file, all or none.
    pub(super) fn import(&mut self, lines: &str, replace: bool) -> Result<Done, Fault> {
        let (records, problems) = parse_import(lines);
        if let Some(first) = problems.first() {
            let column = first
                .column
                .map_or(String::new(), |column| format!(", column {column}"));
            let rest = match problems.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more {})", plural(more, "problem", "problems")),
            };
            let message = format!("line {}{column}: {}{rest}", first.line, first.message);
            return Err(Fault::Invalid(vec![FieldFault {
                field: "lines",
                message,
            }]));
        }
        let asked = records.len();
        let mut changes = Vec::new();
        let mut warnings = Vec::new();
        for record in records {
            if let Err(Fault::Invalid(faults)) = self.check_reach(&record.plugins, &record.scopes)
                && warnings.len() < WARNINGS
            {
                let reasons: Vec<String> = faults.iter().map(ToString::to_string).collect();
                warnings.push(format!("token {}: {}", record.id, reasons.join("; ")));
            }
            changes.extend(self.imported(record, replace)?);
        }
        let replaced = changes
            .iter()
            .filter(|(before, _)| before.is_some())
            .count();
        if !changes.is_empty() {
            self.commit_all(&changes, lines)?;
        }
        let mut value = json!({
            "added": changes.len() - replaced,
            "replaced": replaced,
            "unchanged": asked - changes.len(),
        });
        if !warnings.is_empty() {
            value["warnings"] = json!(warnings);
        }
        expect_tokens(self.scene.shared.tokens.len());
        Ok(Done {
            value,
            changed: !changes.is_empty(),
        })
    }

    /// What an admin of some plugins may not say about a token.
    fn bound_to_own(&self, record: &mut TokenRecord) -> Result<(), Fault> {
        self.check_level(record.level)?;
        if !self.who.may_all() {
            let own = is_public_id(&record.id, record.level)
                || record.id == foreign_id(&record.current.fingerprint);
            if !own {
                return Err(Fault::Forbidden(
                    "only an admin for all plugins gives a token an id that its secret does not bring",
                ));
            }
            // Who made and ended it is theirs to say only about themselves.
            record.made = None;
            record.ending = None;
        }
        Ok(())
    }

    /// What one imported record changes: what was, and what is to be.
    fn imported(
        &mut self,
        mut record: TokenRecord,
        replace: bool,
    ) -> Result<Option<(Option<TokenRecord>, TokenRecord)>, Fault> {
        if !self.who.has(&record.plugins) {
            return Err(Fault::Forbidden(
                "this admin token is not for all of the plugins of these tokens",
            ));
        }
        self.bound_to_own(&mut record)?;
        let id = Arc::clone(&record.id);
        let before = self.desk.by_id(&id, self.scene, self.now)?;
        if let Some(found) = &before {
            if found.source == Source::Declared {
                return Err(Fault::Conflict(format!(
                    "token {id} is declared in the configuration or in a token file"
                )));
            }
            if !self.who.has(&found.record.plugins) {
                return Err(Fault::Forbidden(
                    "this admin token is not for all of the plugins of the tokens that are there",
                ));
            }
        }
        let before = before.map(|found| found.record);
        if record.made.is_none() {
            let known = before.as_ref().and_then(|before| before.made.clone());
            record.made = Some(known.unwrap_or_else(|| {
                Arc::new(Making {
                    at: self.now,
                    by: Arc::clone(&self.who.by),
                })
            }));
        }
        if before.as_ref() == Some(&record) {
            return Ok(None);
        }
        if before.is_some() && !replace {
            return Err(Fault::Conflict(format!(
                "token {id} is there already and differs: `--replace` takes the imported one"
            )));
        }
        let revoked = |record: &TokenRecord| matches!(record.state, State::Revoked { .. });
        if before.as_ref().is_some_and(revoked) && !revoked(&record) {
            return Err(Fault::Conflict(format!(
                "token {id} is revoked here, and stays so: take its line out of the import"
            )));
        }
        for (slot, secret) in record.secrets() {
            let holder = self
                .desk
                .holder(&secret.fingerprint, self.scene, self.now)?;
            if holder.is_some_and(|holder| holder != id) {
                return Err(Fault::Conflict(format!(
                    "the {slot} secret of token {id} belongs to another token"
                )));
            }
        }
        Ok(Some((before, record)))
    }

    fn commit_all(
        &mut self,
        changes: &[(Option<TokenRecord>, TokenRecord)],
        lines: &str,
    ) -> Result<(), Fault> {
        let (now, by, scene) = (self.now, Arc::clone(&self.who.by), self.scene);
        let written = self.desk.db.write(now, |write| {
            for (before, after) in changes {
                put(write, before.as_ref(), after)?;
                let moved = before.as_ref();
                let moved = moved.and_then(|before| uses::moved(before, after, scene));
                if let Some(moved) = moved {
                    uses::put(write, &after.id, &moved)?;
                }
            }
            let mut head = String::new();
            if changes.len() <= TOLD {
                for (before, after) in changes {
                    let before = before.as_ref().map_or(Value::Null, view::audited);
                    let deed = Deed {
                        action: "import",
                        id: &after.id,
                        by: &by,
                        before,
                        after: view::audited(after),
                    };
                    head = audit::append(write, &deed, now)?;
                }
            } else {
                let digest = Fingerprint(Sha256::digest(lines).into()).to_hex();
                let after = json!({ "tokens": changes.len(), "lines_sha256": digest });
                let deed = Deed {
                    action: "import",
                    id: "*",
                    by: &by,
                    before: Value::Null,
                    after,
                };
                head = audit::append(write, &deed, now)?;
            }
            Ok(head)
        });
        let head = written.inspect_err(|_| {
            for (before, after) in changes {
                self.desk.doubts(&after.id, before.as_ref());
            }
        })?;
        if changes.len() > TOLD {
            // What a large write replaced is cleared away by the next one, which takes its time:
            // not in a command that somebody waits for. If it fails, that one does it.
            let _ = self.desk.db.write(now, |_| Ok(()));
        }
        for (before, after) in changes {
            self.desk.enter(before.as_ref(), after, self.scene, now);
        }
        tracing::info!(action = "import", tokens = changes.len(), by = %self.who.by, audit = head, "tokens imported");
        Ok(())
    }
}
