//! From the database into the table.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, StorageError};

use super::db::{Outcome, TOKENS};
use super::desk::Scene;
use super::ends::Ends;
use super::find::shared_of;
use super::uses::{self, Used};
use crate::tokens::{State, TokenRecord, TokenShared, entries, expect_tokens, parse_records};

/// Records that are read at a time.
const BATCH: usize = 4096;
/// Most threads that read records beside the one that takes them out of the database, which is
/// a good third of the work.
const HELPERS: usize = 3;

/// What else is known after all was read.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Rotations that end by themselves, by the token's id: after how long without a use.
    pub(super) idle: HashMap<Arc<str>, Duration>,
    /// When tokens end.
    pub(super) ends: Ends,
}

/// Puts all that is stored into the table, with every processor that there is: a start waits
/// for it.
pub(super) fn all(read: &ReadTransaction, scene: &Scene<'_>) -> Outcome<Loaded> {
    let count = usize::try_from(read.open_table(TOKENS)?.len()?).unwrap_or(usize::MAX);
    expect_tokens(count);
    let uses = uses::stored(read)?;
    let others = thread::available_parallelism().map_or(1, usize::from) - 1;
    let helpers = others.min(HELPERS).min(count / BATCH);
    let loaded = with_helpers(read, helpers, &|lines, loaded: &mut Loaded| {
        taken(lines, |record| loaded.enter(record, scene, &uses))
    })?;
    if let Some(snapshot) = scene.snapshot {
        snapshot.learn(&scene.shared.scopes);
    }
    Ok(loaded)
}

/// Has every batch entered by somebody: by one of the helpers, or by this thread when they have
/// enough to do, so that it waits for nobody.
fn with_helpers(
    read: &ReadTransaction,
    helpers: usize,
    enter: &(impl Fn(&str, &mut Loaded) -> Outcome<()> + Sync),
) -> Outcome<Loaded> {
    let (give, take) = sync_channel::<String>(2 * helpers);
    let take = Mutex::new(take);
    thread::scope(|scope| {
        let help = || help(&take, enter);
        // One that can not be had is no reason not to start.
        let helpers: Vec<_> = (0..helpers)
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, help).ok())
            .collect();
        let mut loaded = Loaded::default();
        let read = batches(read, |lines| match give.try_send(std::mem::take(lines)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                *lines = batch;
                enter(lines, &mut loaded)
            }
        });
        drop(give);
        for helper in helpers {
            loaded.join(helper.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        read.map(|()| loaded)
    })
}

/// Enters batches until there are no more.
fn help(
    take: &Mutex<Receiver<String>>,
    enter: &impl Fn(&str, &mut Loaded) -> Outcome<()>,
) -> Outcome<Loaded> {
    let mut loaded = Loaded::default();
    loop {
        let next = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(lines) = next else {
            return Ok(loaded);
        };
        enter(&lines, &mut loaded)?;
    }
}

impl Loaded {
    /// Puts a token into the table.
    fn enter(&mut self, record: &TokenRecord, scene: &Scene<'_>, uses: &HashMap<String, Used>) {
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
        self.ends.change(None, record);
        let previous = record
            .previous
            .filter(|_| !matches!(record.state, State::Revoked { .. }));
        if let Some(length) = previous.and_then(|previous| previous.finish_when_idle) {
            self.idle.insert(Arc::clone(&record.id), length);
        }
    }

    /// What another thread found beside it.
    fn join(&mut self, other: Self) {
        self.idle.extend(other.idle);
        self.ends.join(other.ends);
    }
}

/// Shows every stored record, by id.
pub(super) fn each(read: &ReadTransaction, mut show: impl FnMut(&TokenRecord)) -> Outcome<()> {
    batches(read, |lines| taken(lines, &mut show))
}

/// Gives every stored line, by id, some thousand at a time. What is left in the text is its room
/// for the next ones.
fn batches(
    read: &ReadTransaction,
    mut hand_over: impl FnMut(&mut String) -> Outcome<()>,
) -> Outcome<()> {
    let table = read.open_table(TOKENS)?;
    let mut lines = String::new();
    let mut held = 0;
    for entry in table.iter()? {
        let (_, line) = entry?;
        lines.push_str(std::str::from_utf8(line.value()).map_err(|_| damaged())?);
        lines.push('\n');
        held += 1;
        if held % BATCH == 0 {
            hand_over(&mut lines)?;
            lines.clear();
        }
    }
    hand_over(&mut lines)
}

/// Shows the records of a batch.
fn taken(lines: &str, show: impl FnMut(&TokenRecord)) -> Outcome<()> {
    let (records, problems) = parse_records(lines);
    if !problems.is_empty() {
        return Err(damaged());
    }
    records.iter().for_each(show);
    Ok(())
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

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase};

    use super::*;

    /// A database with so many lines, which are what their ids are.
    fn stored(count: usize) -> Database {
        let made = Database::builder().create_with_backend(InMemoryBackend::new());
        let database = made.unwrap();
        let write = database.begin_write().unwrap();
        let mut table = write.open_table(TOKENS).unwrap();
        for number in 0..count {
            let id = number.to_string();
            table.insert(&*id, id.as_bytes()).unwrap();
        }
        drop(table);
        write.commit().unwrap();
        database
    }

    #[test]
    fn every_line_is_entered_once_by_however_many() {
        for count in [0, 1, BATCH, 5 * BATCH + 7] {
            let database = stored(count);
            for helpers in [0, 1, 3] {
                let read = database.begin_read().unwrap();
                let entered = Mutex::new(0);
                let enter = |lines: &str, loaded: &mut Loaded| {
                    *entered.lock().unwrap() += lines.lines().count();
                    let idle = lines.lines().map(|id| (id.into(), Duration::ZERO));
                    loaded.idle.extend(idle);
                    Ok(())
                };
                let loaded = with_helpers(&read, helpers, &enter).unwrap();
                assert_eq!(loaded.idle.len(), count, "with {helpers}");
                assert_eq!(*entered.lock().unwrap(), count, "with {helpers}");
            }
        }
    }

    #[test]
    fn what_is_damaged_is_told_whoever_reads_it() {
        let database = stored(6 * BATCH);
        for helpers in [0, 1, 3] {
            for bad in ["0", "9999"] {
                let read = database.begin_read().unwrap();
                let enter = |lines: &str, _: &mut Loaded| {
                    let damage = lines.lines().any(|id| id == bad);
                    if damage { Err(damaged()) } else { Ok(()) }
                };
                let loaded = with_helpers(&read, helpers, &enter);
                assert!(loaded.is_err(), "{bad} with {helpers}");
            }
        }
    }
}
