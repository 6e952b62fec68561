//! A backup: all that the state database holds, as lines of text that any later plugway can read.
//!
//! The first line says what it is; then tokens (as lines of a token file), last uses, the audit,
//! byte by byte, and generations with what they were made of; the last line counts them and has the
//! hash of all lines before, so that half a backup is never taken for a whole one. Secrets are in it
//! by hash only.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use redb::ReadableTable;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::StoreError;
use super::audit;
use super::change::put;
use super::db::{AUDIT, Db, Outcome, USES};
use super::reader::{Reader, failed};
use super::saved::{self, Restoring, Saved};
use crate::tokens::{Fault, Fingerprint, Origin, Seen, id_fault, parse_records};

/// The form of what follows. The first had no generations.
const FORMAT: u32 = 2;
/// Bytes of one line that are read at the most.
const LONGEST: u64 = 4 << 20;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first.
    PlugwayBackup { format: u32, at: Timestamp },
    /// As in a token file.
    Token(String),
    /// An id, and what is stored of its uses.
    Used(String, String),
    /// A number, and an entry as it is stored.
    Audit(u64, String),
    /// What is kept of generations.
    Kept(Saved),
    /// The last.
    End {
        tokens: u64,
        audit: u64,
        #[serde(default)]
        generations: u64,
        sha256: String,
    },
}

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It can not be read.
    #[error("line {line}: {reason}")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// There is something already.
    #[error(
        "{0} holds a state database already: restore into an empty state directory, or move that one away"
    )]
    Occupied(String),
    /// It could not be put in its place.
    #[error("the state database can not be put in its place: {0}")]
    Unnamed(std::io::Error),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Reader {
    /// Writes a backup, line by line.
    ///
    /// # Errors
    /// The database can not be read. Then the last line is missing, and nobody can restore it.
    pub(in crate::control) fn backup(
        &self,
        now: Timestamp,
        mut write: impl FnMut(String),
    ) -> Result<(), Fault> {
        let mut hash = Sha256::new();
        let mut line = |line: &Line, hash: &mut Sha256| {
            let mut text = serde_json::to_string(line).unwrap_or_default();
            text.push('\n');
            hash.update(&text);
            write(text);
        };
        line(
            &Line::PlugwayBackup {
                format: FORMAT,
                at: now,
            },
            &mut hash,
        );
        let (mut tokens, mut audit, mut generations) = (0, 0, 0);
        self.each(|record| {
            line(&Line::Token(record.to_line()), &mut hash);
            tokens += 1;
        })?;
        if let Some(read) = &self.read {
            let rest: Outcome<()> = (|| {
                for entry in read.open_table(USES)?.iter()? {
                    let (id, used) = entry?;
                    let used = String::from_utf8_lossy(used.value()).into_owned();
                    line(&Line::Used(id.value().to_owned(), used), &mut hash);
                }
                for entry in read.open_table(AUDIT)?.iter()? {
                    let (number, body) = entry?;
                    let body = String::from_utf8_lossy(body.value()).into_owned();
                    line(&Line::Audit(number.value(), body), &mut hash);
                    audit += 1;
                }
                saved::each(read, |saved| {
                    generations += u64::from(matches!(saved, Saved::Generation(..)));
                    line(&Line::Kept(saved), &mut hash);
                })
            })();
            rest.map_err(failed)?;
        }
        let sha256 = Fingerprint(hash.clone().finalize().into()).to_hex();
        line(
            &Line::End {
                tokens,
                audit,
                generations,
                sha256,
            },
            &mut hash,
        );
        Ok(())
    }
}

/// Fills an empty state directory from a backup: all of it or nothing. Gives how many tokens, entries
/// of the audit and generations there were.
///
/// # Errors
/// It is no whole backup, or there is a database already.
pub fn restore(
    directory: &Path,
    backup: impl BufRead,
    now: Timestamp,
) -> Result<(u64, u64, u64), BackupError> {
    let place = Db::new(directory);
    let occupied = || BackupError::Occupied(directory.display().to_string());
    if place.exists() {
        return Err(occupied());
    }
    let lines = read(backup)?;
    let mut db = place.beside();
    db.open(true, now)?;
    let written = db.write(now, |write| {
        let (mut tokens, mut entries) = (0, 0);
        let mut kept = Restoring::new(write);
        for line in &lines {
            match line {
                Line::Token(text) => {
                    for record in parse_records(text).0 {
                        put(write, None, &record)?;
                        tokens += 1;
                    }
                }
                Line::Used(id, used) => {
                    write.open_table(USES)?.insert(&**id, used.as_bytes())?;
                }
                Line::Audit(number, body) => {
                    write.open_table(AUDIT)?.insert(*number, body.as_bytes())?;
                    entries += 1;
                }
                Line::Kept(saved) => kept.put(saved)?,
                Line::PlugwayBackup { .. } | Line::End { .. } => {}
            }
        }
        Ok((tokens, entries, kept.end()?))
    });
    let counts = match written {
        Ok(counts) => counts,
        Err(error) => {
            db.discard();
            return Err(error.into());
        }
    };
    // Somebody may have begun one meanwhile: then it is theirs.
    match db.takes_name(&place) {
        Ok(true) => Ok(counts),
        Ok(false) => Err(occupied()),
        Err(error) => Err(BackupError::Unnamed(error)),
    }
}

/// What one line does not show: ids and secrets that are there twice, and the chain of the audit.
/// Whoever can write a backup can write its hash as well.
struct Told {
    kept: saved::Told,
    seen: Seen,
    entries: u64,
    head: String,
}

impl Told {
    fn new() -> Self {
        Self {
            kept: saved::Told::default(),
            seen: Seen::default(),
            entries: 0,
            head: audit::beginning(),
        }
    }

    /// What is wrong with a line after those before it.
    fn fault(&mut self, line: &Line, number: u64) -> Option<String> {
        match line {
            Line::Token(text) => {
                let (records, problems) = parse_records(text);
                if let Some(problem) = problems.first() {
                    return Some(problem.message.clone());
                }
                let [record] = &records[..] else {
                    return Some("is not one token".to_owned());
                };
                let origin = Origin::Line {
                    file: Arc::from("the backup"),
                    line: usize::try_from(number).unwrap_or(usize::MAX),
                };
                let claimed = || self.seen.claim(record, &origin).err();
                id_fault(&record.id, record.level).or_else(claimed)
            }
            Line::Audit(number, body) => {
                let expected = self.entries.saturating_add(1);
                let fault = audit::fault(*number, body.as_bytes(), expected, &self.head);
                self.entries = *number;
                self.head = audit::hash(body.as_bytes());
                fault.map(|fault| format!("the chain of the audit is broken: {fault}"))
            }
            Line::Kept(saved) => self.kept.fault(saved),
            Line::End { .. } => self.kept.end(),
            Line::PlugwayBackup { .. } | Line::Used(..) => None,
        }
    }
}

/// All lines, proven whole.
fn read(mut backup: impl BufRead) -> Result<Vec<Line>, BackupError> {
    let (mut lines, mut told) = (Vec::new(), Told::new());
    let (mut hash, mut number) = (Sha256::new(), 0);
    let mut text = String::new();
    loop {
        number += 1;
        let fault = |reason: &str| BackupError::Line {
            line: number,
            reason: reason.to_owned(),
        };
        text.clear();
        let got = std::io::Read::take(&mut backup, LONGEST).read_line(&mut text);
        if got.map_err(|error| fault(&error.to_string()))? == 0 {
            return Err(fault("the backup ends too early: its last line is missing"));
        }
        let line: Line =
            serde_json::from_str(&text).map_err(|_| fault("is no line of a backup"))?;
        match &line {
            Line::PlugwayBackup {
                format: 1..=FORMAT, ..
            } if number == 1 => {}
            Line::PlugwayBackup { format, .. } if number == 1 => {
                return Err(fault(&format!(
                    "the backup has format {format}, which this plugway does not know: use the one that wrote it, or a newer one"
                )));
            }
            _ if number == 1 => return Err(fault("is not the first line of a backup")),
            Line::PlugwayBackup { .. } => return Err(fault("begins another backup")),
            Line::End {
                tokens,
                audit,
                generations,
                sha256,
            } => {
                let count = |wanted: fn(&Line) -> bool| {
                    lines.iter().filter(|line| wanted(line)).count() as u64
                };
                let whole = *sha256 == Fingerprint(hash.finalize().into()).to_hex()
                    && *tokens == count(|line| matches!(line, Line::Token(_)))
                    && *audit == count(|line| matches!(line, Line::Audit(..)))
                    && *generations
                        == count(|line| matches!(line, Line::Kept(Saved::Generation(..))));
                if !whole {
                    return Err(fault(
                        "the hash does not fit: a line before is altered or missing",
                    ));
                }
                return told
                    .fault(&line, number)
                    .map_or(Ok(lines), |reason| Err(fault(&reason)));
            }
            Line::Token(_) | Line::Used(..) | Line::Audit(..) | Line::Kept(_) => {
                if let Some(reason) = told.fault(&line, number) {
                    return Err(fault(&reason));
                }
            }
        }
        hash.update(&text);
        lines.push(line);
    }
}
