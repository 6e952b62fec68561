//! The audit: every change of a token, chained by hash.
//!
//! An entry is a JSON object; its hash is the SHA-256 of its bytes, and each holds the hash of the
//! one before as `previous` (the first: 64 zeros). Every log line about a change carries the hash
//! of its entry, so that who keeps the log can tell whether the database was rewritten.

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::db::{AUDIT, Outcome};
use crate::tokens::Fingerprint;

/// What was done, by whom, to what.
#[derive(Debug)]
pub(in crate::control) struct Deed<'a> {
    /// `create`, `rotate`, …
    pub(in crate::control) action: &'static str,
    /// Which token, or another thing.
    pub(in crate::control) id: &'a str,
    /// By whom.
    pub(in crate::control) by: &'a str,
    /// As it was; null if it was not.
    pub(in crate::control) before: Value,
    /// As it is.
    pub(in crate::control) after: Value,
}

/// Of the entry before the first.
pub(super) fn beginning() -> String {
    "0".repeat(64)
}

/// Appends an entry; gives its hash.
pub(super) fn append(write: &WriteTransaction, deed: &Deed<'_>, now: Timestamp) -> Outcome<String> {
    let mut table = write.open_table(AUDIT)?;
    let (number, previous) = match table.last()? {
        Some((number, body)) => {
            let number = number.value().checked_add(1);
            let full = || redb::Error::Corrupted("the audit has no number left".to_owned());
            (number.ok_or_else(full)?, hash(body.value()))
        }
        None => (1, beginning()),
    };
    let body = json!({
        "number": number,
        "at": format!("{now:.3}"),
        "by": deed.by,
        "action": deed.action,
        "id": deed.id,
        "before": deed.before,
        "after": deed.after,
        "previous": previous,
    })
    .to_string();
    table.insert(number, body.as_bytes())?;
    Ok(hash(body.as_bytes()))
}

/// The hash of an entry.
pub(super) fn hash(body: &[u8]) -> String {
    Fingerprint(Sha256::digest(body).into()).to_hex()
}

/// What a look at the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Verdict {
    /// Entries.
    pub(in crate::control) entries: u64,
    /// Hash of the last.
    pub(in crate::control) head: String,
    /// The first fault, in a sentence.
    pub(in crate::control) fault: Option<String>,
    /// Whether the hash that was asked for is one of the chain's.
    pub(in crate::control) found: Option<bool>,
}

/// What is wrong with an entry as the one that follows on `head`.
pub(super) fn fault(number: u64, body: &[u8], expected: u64, head: &str) -> Option<String> {
    let read: Value = serde_json::from_slice(body).unwrap_or_default();
    if number != expected {
        Some(format!("entry {expected} is missing"))
    } else if read["number"] != number {
        Some(format!("entry {number} is altered: it says another number"))
    } else if read["previous"] != *head {
        Some(format!(
            "entry {number} does not follow on the one before: that one or this one is altered"
        ))
    } else {
        None
    }
}

/// Goes through all entries. `wanted`: a hash that must be that of one of them.
pub(super) fn verify(read: &ReadTransaction, wanted: Option<&str>) -> Outcome<Verdict> {
    let mut verdict = Verdict {
        entries: 0,
        head: beginning(),
        fault: None,
        found: wanted.map(|wanted| wanted == beginning()),
    };
    for entry in read.open_table(AUDIT)?.iter()? {
        let (number, body) = entry?;
        let (number, body) = (number.value(), body.value());
        let expected = verdict.entries.saturating_add(1);
        if verdict.fault.is_none() {
            verdict.fault = fault(number, body, expected, &verdict.head);
        }
        verdict.entries = number;
        verdict.head = hash(body);
        if wanted == Some(&verdict.head) {
            verdict.found = Some(true);
        }
    }
    if verdict.fault.is_none() && verdict.found == Some(false) {
        verdict.fault = Some(
            "no entry has the hash that was given: entries at the end are missing or altered"
                .to_owned(),
        );
    }
    Ok(verdict)
}

/// The entries from the newest on, `most` at the most; `id`: of one token only.
pub(super) fn newest(read: &ReadTransaction, id: Option<&str>, most: usize) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    for entry in read.open_table(AUDIT)?.iter()?.rev() {
        if found.len() >= most {
            break;
        }
        let (_, body) = entry?;
        let value = shown(body.value());
        if id.is_none_or(|id| is_about(&value, id)) {
            found.push(value);
        }
    }
    Ok(found)
}

/// Whether an entry is about the token with this id or name.
fn is_about(entry: &Value, key: &str) -> bool {
    let named = |side: &str| entry[side]["name"] == key;
    entry["id"] == key || named("before") || named("after")
}

/// Shows every entry as it is stored.
pub(super) fn each(read: &ReadTransaction, mut show: impl FnMut(&[u8])) -> Outcome<()> {
    for entry in read.open_table(AUDIT)?.iter()? {
        show(entry?.1.value());
    }
    Ok(())
}

/// An entry with its hash.
pub(super) fn shown(body: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("hash".to_owned(), hash(body).into());
    }
    value
}
