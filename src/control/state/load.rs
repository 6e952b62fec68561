//! From the database into the table.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, StorageError};

use super::db::{Outcome, TOKENS};
use super::desk::Scene;
use super::ends::Ends;
use super::find::shared_of;
use super::uses;
use crate::tokens::{State, TokenRecord, TokenShared, entries, expect_tokens, parse_records};

/// Records that are read at a time.
const BATCH: usize = 4096;

/// Rotations that end by themselves, and when tokens end.
type Loaded = (HashMap<Arc<str>, Duration>, Ends);

/// Puts all that is stored into the table.
pub(super) fn all(read: &ReadTransaction, scene: &Scene<'_>) -> Outcome<Loaded> {
    let (mut idle, mut ends) = (HashMap::new(), Ends::default());
    expect_tokens(usize::try_from(read.open_table(TOKENS)?.len()?).unwrap_or(usize::MAX));
    let uses = uses::stored(read)?;
    each(read, |record| {
        // In the table already where the database was given up and came back.
        let shared = shared_of(record, scene).unwrap_or_else(|| {
            let shared = Arc::new(TokenShared::default());
            if let Some(used) = uses.get(&*record.id) {
                used.restore(&shared);
            }
            shared
        });
        for (secret, token) in entries(record, &scene.shared.scopes, &shared) {
            scene.shared.tokens.insert(secret, token);
        }
        ends.change(None, record);
        let previous = record
            .previous
            .filter(|_| !matches!(record.state, State::Revoked { .. }));
        if let Some(length) = previous.and_then(|previous| previous.finish_when_idle) {
            idle.insert(Arc::clone(&record.id), length);
        }
    })?;
    if let Some(snapshot) = scene.snapshot {
        snapshot.learn(&scene.shared.scopes);
    }
    Ok((idle, ends))
}

/// Shows every stored record, by id.
pub(super) fn each(read: &ReadTransaction, mut show: impl FnMut(&TokenRecord)) -> Outcome<()> {
    let table = read.open_table(TOKENS)?;
    let mut lines = String::new();
    let mut held = 0;
    let mut hand_over = |lines: &mut String| -> Outcome<()> {
        let (records, problems) = parse_records(lines);
        if !problems.is_empty() {
            return Err(damaged());
        }
        records.iter().for_each(&mut show);
        lines.clear();
        Ok(())
    };
    for entry in table.iter()? {
        let (_, line) = entry?;
        lines.push_str(std::str::from_utf8(line.value()).map_err(|_| damaged())?);
        lines.push('\n');
        held += 1;
        if held % BATCH == 0 {
            hand_over(&mut lines)?;
        }
    }
    hand_over(&mut lines)
}

/// One record.
pub(super) fn one(read: &ReadTransaction, id: &str) -> Outcome<Option<TokenRecord>> {
    let table = read.open_table(TOKENS)?;
    let Some(line) = table.get(id)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(line.value()).map_err(|_| damaged())?;
    let (mut records, problems) = parse_records(text);
    if !problems.is_empty() {
        return Err(damaged());
    }
    Ok(records.pop())
}

/// A line that is none.
fn damaged() -> redb::Error {
    StorageError::Corrupted("a token's record".to_owned()).into()
}
