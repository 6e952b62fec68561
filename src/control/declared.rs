//! The tokens that files declare, and how a change of them reaches the table: what is new opens
//! before the snapshot that knows it serves, what is gone closes after.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::{Config, Inputs as _};
use crate::problems::{Place, Problems, Source};
use crate::tokens::{
    Fingerprint, Level, Origin, ScopeLists, Seen, Token, TokenRecord, TokenShared, TokenTable,
    entries, parse_file, rotate_declared,
};

use super::Inputs;

/// Problems of one token file that are listed; a file of a million lines can be wrong in each.
const LISTED: usize = 20;

/// The tokens that are in the table because a file says so.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: HashMap<Arc<str>, Known>,
}

#[derive(Debug)]
struct Known {
    record: TokenRecord,
    shared: Arc<TokenShared>,
    entries: Vec<(Fingerprint, Arc<Token>)>,
}

/// What the table will hold.
#[derive(Debug)]
pub(super) struct Next {
    known: HashMap<Arc<str>, Known>,
}

/// What the table no longer has to hold.
#[derive(Debug)]
#[must_use]
pub(super) struct Retired(Vec<(Fingerprint, Arc<Token>)>);

/// Reads the token files of a configuration, checked against its declared tokens.
pub(super) fn read_files(
    config: &Config,
    inputs: &mut Inputs,
    problems: &mut Problems,
) -> Vec<TokenRecord> {
    let mut seen = Seen::default();
    let mut records = Vec::new();
    for token in &config.tokens {
        // Among themselves they were compared when the configuration was read.
        if let Ok(record) = TokenRecord::try_from(token) {
            let _ = seen.claim(&record, &Origin::Configuration);
        }
    }
    for path in &config.token_files {
        match inputs.file(path) {
            Err(reason) => {
                let place = Place::named("token_files");
                problems.add(
                    &place,
                    format!("{} can not be read: {reason}", path.display()),
                );
            }
            Ok(bytes) => read_file(path, &bytes, &mut seen, &mut records, problems),
        }
    }
    records
}

fn read_file(
    path: &Path,
    bytes: &[u8],
    seen: &mut Seen,
    records: &mut Vec<TokenRecord>,
    problems: &mut Problems,
) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        problems.add(
            &Place::named("token_files"),
            format!("{} is not UTF-8", path.display()),
        );
        return;
    };
    let name: Arc<str> = Arc::from(path.display().to_string());
    let (read, faults) = parse_file(&name, text, seen);
    records.extend(read);
    for fault in faults.iter().take(LISTED) {
        let place = line_place(path, text, fault.line, fault.column);
        problems.add(&place, fault.message.clone());
    }
    if faults.len() > LISTED {
        let place = Place::named("token_files");
        problems.add(
            &place,
            format!(
                "{} has {} more problems",
                path.display(),
                faults.len() - LISTED
            ),
        );
    }
}

/// A place in a token file. Only its line is kept, and without its content: it may hold a hash
/// that belongs in no report.
fn line_place(path: &Path, _text: &str, line: usize, column: Option<usize>) -> Place {
    let text = "\n".repeat(line.saturating_sub(1)) + &" ".repeat(column.unwrap_or(1));
    let start = text.len().saturating_sub(1);
    Place {
        source: Some(Arc::new(Source {
            path: path.to_owned(),
            text,
        })),
        span: start..start,
        key: "token_files".to_owned(),
    }
}

impl Tokens {
    /// What the table will hold under this configuration. Interns the scope lists, so that the
    /// snapshot can be compiled with them.
    pub(super) fn next(
        &self,
        config: &Config,
        lines: Vec<TokenRecord>,
        lists: &ScopeLists,
        now: Timestamp,
    ) -> Next {
        let declared = config
            .tokens
            .iter()
            .filter_map(|token| Some((TokenRecord::try_from(token).ok()?, token.grace)));
        let records = declared.chain(lines.into_iter().map(|record| (record, Duration::ZERO)));
        let known = records.map(|(record, grace)| {
            let before = self.known.get(&record.id);
            let record = match before {
                Some(before) => rotate_declared(&before.record, &record, grace, now),
                None => record,
            };
            let shared = before.map_or_else(
                || Arc::new(TokenShared::default()),
                |before| Arc::clone(&before.shared),
            );
            // What did not change keeps its place in the table.
            let entries = match before {
                Some(before) if before.record == record => before.entries.clone(),
                Some(before) if before.record.current.fingerprint != record.current.fingerprint => {
                    shared.rotated();
                    entries(&record, lists, &shared)
                }
                _ => entries(&record, lists, &shared),
            };
            (
                Arc::clone(&record.id),
                Known {
                    record,
                    shared,
                    entries,
                },
            )
        });
        Next {
            known: known.collect(),
        }
    }

    /// Puts what is new into the table; gives what has to leave it.
    pub(super) fn enter(&mut self, next: Next, table: &TokenTable) -> Retired {
        let before = std::mem::replace(&mut self.known, next.known);
        let mut added = Vec::new();
        for (id, known) in &self.known {
            for (fingerprint, token) in &known.entries {
                let same = before.get(id).is_some_and(|before| {
                    before
                        .entries
                        .iter()
                        .any(|(_, old)| Arc::ptr_eq(old, token))
                });
                if !same {
                    added.push((*fingerprint, Arc::clone(token)));
                }
            }
        }
        let gone = before
            .into_values()
            .flat_map(|known| known.entries)
            .filter(|(_, token)| {
                !self.known.get(&token.id).is_some_and(|known| {
                    known
                        .entries
                        .iter()
                        .any(|(_, kept)| Arc::ptr_eq(kept, token))
                })
            });
        let retired = Retired(gone.collect());
        table.apply(added, Vec::new());
        retired
    }

    /// All of them, with what their use changes.
    pub(super) fn all(&self) -> Vec<(TokenRecord, Arc<TokenShared>)> {
        let known = self.known.values();
        known
            .map(|known| (known.record.clone(), Arc::clone(&known.shared)))
            .collect()
    }

    /// One of them.
    pub(super) fn find(&self, id: &str) -> Option<(TokenRecord, Arc<TokenShared>)> {
        let known = self.known.get(id)?;
        Some((known.record.clone(), Arc::clone(&known.shared)))
    }

    /// When service tokens end.
    pub(super) fn expiry(&self) -> BTreeMap<Arc<str>, Timestamp> {
        let service = self
            .known
            .values()
            .filter(|known| known.record.level == Level::Service);
        service
            .filter_map(|known| Some((Arc::clone(&known.record.id), known.record.expires?)))
            .collect()
    }
}

impl Retired {
    /// Takes it out of the table, unless something else is in its place by now.
    pub(super) fn leave(self, table: &TokenTable) {
        table.apply(Vec::new(), self.0);
    }
}
