//! Last uses and used quotas: written off the request path, at most once a minute, and in pieces that
//! keep nobody waiting.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::db::{Outcome, USES};
use super::desk::{Desk, Scene};
use super::find::shared_of;
use crate::tokens::{Slot, TokenRecord, TokenShared};

/// Between two writes of all that was used.
const EVERY: Duration = Duration::from_mins(1);
/// Tokens that are written at a time: some milliseconds. A million of them in one transaction would
/// keep every command waiting for seconds.
const PIECE: usize = 500;
/// Between two pieces, for whoever else wants the thread, the core or the disk.
const PAUSE: Duration = Duration::from_millis(10);

/// Tokens by id: those that are written together are neighbours in the database as well.
type Tokens = BTreeMap<Arc<str>, Arc<TokenShared>>;

/// Tokens that were used since they were written.
#[derive(Debug)]
pub(super) struct Pending {
    /// Since the last write began.
    noted: Tokens,
    /// What is left of those that are being written.
    rest: Tokens,
    /// When they are written, or the next piece of them.
    at: Timestamp,
}

impl Pending {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            noted: Tokens::new(),
            rest: Tokens::new(),
            at: now,
        }
    }

    pub(super) fn note(&mut self, id: &Arc<str>, shared: &Arc<TokenShared>, now: Timestamp) {
        if self.due().is_none() {
            self.at = after(now, EVERY);
        }
        self.noted.insert(Arc::clone(id), Arc::clone(shared));
    }

    /// They can not be written now: later, or never.
    pub(super) fn put_off(&mut self, later: bool, now: Timestamp) {
        if !later {
            self.noted.clear();
            self.rest.clear();
        }
        self.at = after(now, EVERY);
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        let none = self.noted.is_empty() && self.rest.is_empty();
        (!none).then_some(self.at)
    }

    /// Takes the next ones to be written, in their order. Those that are used meanwhile wait for the
    /// next minute.
    fn take(&mut self, most: usize) -> Vec<(Arc<str>, Arc<TokenShared>)> {
        if self.rest.is_empty() {
            self.rest = std::mem::take(&mut self.noted);
        }
        std::iter::from_fn(|| self.rest.pop_first())
            .take(most)
            .collect()
    }

    /// What was taken is written.
    fn written(&mut self, now: Timestamp) {
        let pause = if self.rest.is_empty() { EVERY } else { PAUSE };
        self.at = after(now, pause);
    }
}

fn after(now: Timestamp, pause: Duration) -> Timestamp {
    now.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

/// As it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Used {
    /// Minute since 1970 and network, of the current secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<(i64, Option<String>)>,
    /// Of the previous one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<(i64, Option<String>)>,
    /// Number of the period, and requests in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quota: Option<(u64, u32)>,
}

impl Used {
    fn of(shared: &TokenShared) -> Self {
        let of = |slot| {
            let (at, network) = shared.last_use(slot)?;
            let network = network.map(|network| network.to_string());
            Some((at.as_second().div_euclid(60), network))
        };
        Self {
            current: of(Slot::Current),
            previous: of(Slot::Previous),
            quota: Some(shared.quota_used()).filter(|(_, count)| *count > 0),
        }
    }

    /// Into a token that was not used yet.
    pub(super) fn restore(&self, shared: &TokenShared) {
        for (slot, used) in [
            (Slot::Current, &self.current),
            (Slot::Previous, &self.previous),
        ] {
            if let Some((minute, network)) = used {
                let network = network.as_ref().and_then(|network| network.parse().ok());
                shared.restore_use(slot, *minute, network);
            }
        }
        if let Some((period, count)) = self.quota {
            shared.restore_quota(period, count);
        }
    }
}

/// All that is stored, by id.
pub(super) fn stored(read: &ReadTransaction) -> Outcome<HashMap<String, Used>> {
    let mut all = HashMap::new();
    for entry in read.open_table(USES)?.iter()? {
        let (id, used) = entry?;
        // What can not be read is as good as none: it decides nothing.
        if let Ok(used) = serde_json::from_slice(used.value()) {
            all.insert(id.value().to_owned(), used);
        }
    }
    Ok(all)
}

/// Writes a piece of what is pending. After an error it stays so.
pub(super) fn write_piece(desk: &mut Desk, now: Timestamp) {
    let piece = desk.uses.take(PIECE);
    write(desk, piece, now);
}

/// Writes all that is pending. After an error it stays so.
pub(super) fn flush(desk: &mut Desk, now: Timestamp) {
    let mut all = desk.uses.take(usize::MAX);
    all.extend(desk.uses.take(usize::MAX));
    write(desk, all, now);
}

fn write(desk: &mut Desk, tokens: Vec<(Arc<str>, Arc<TokenShared>)>, now: Timestamp) {
    if tokens.is_empty() {
        return;
    }
    let written = desk.db.write(now, |write| {
        let mut table = write.open_table(USES)?;
        let mut used = Vec::new();
        for (id, shared) in &tokens {
            used.clear();
            // Into memory: what could fail is not there.
            let _ = serde_json::to_writer(&mut used, &Used::of(shared));
            table.insert(&**id, used.as_slice())?;
        }
        Ok(())
    });
    match written {
        Ok(()) => desk.uses.written(now),
        Err(error) => {
            tracing::warn!(%error, "when tokens were last used could not be written");
            desk.uses.rest.extend(tokens);
            desk.uses.put_off(true, now);
        }
    }
}

/// What is stored of a token's uses when its secrets change places; `None` if they do not.
pub(super) fn moved(before: &TokenRecord, after: &TokenRecord, scene: &Scene<'_>) -> Option<Used> {
    if before.current.fingerprint == after.current.fingerprint {
        return None;
    }
    let mut used = Used::of(&*shared_of(before, scene)?);
    let back = before
        .previous
        .is_some_and(|previous| previous.fingerprint == after.current.fingerprint);
    let replaced = used.current.take();
    if back {
        used.current = used.previous.take();
    }
    used.previous = replaced;
    Some(used)
}

/// Writes what is stored of one token's uses.
pub(super) fn put(write: &WriteTransaction, id: &str, used: &Used) -> Outcome<()> {
    let used = serde_json::to_vec(used).unwrap_or_default();
    write.open_table(USES)?.insert(id, used.as_slice())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    fn noted(pending: &mut Pending, ids: &[&str], now: Timestamp) {
        for id in ids {
            let shared = Arc::default();
            pending.note(&Arc::from(*id), &shared, now);
        }
    }

    fn taken(pending: &mut Pending, most: usize) -> Vec<String> {
        let piece = pending.take(most).into_iter();
        piece.map(|(id, _)| id.to_string()).collect()
    }

    #[test]
    fn what_was_used_is_written_in_pieces_and_the_rest_a_minute_later() {
        let mut pending = Pending::new(at(0));
        assert_eq!(pending.due(), None);
        noted(&mut pending, &["d", "b", "a"], at(1_000));
        noted(&mut pending, &["c", "a", "e"], at(5_000));
        assert_eq!(pending.due(), Some(at(61_000)));
        assert_eq!(taken(&mut pending, 2), ["a", "b"]);
        pending.written(at(61_000));
        assert_eq!(pending.due(), Some(at(61_010)));
        // Used again while others are written, and one that was not used yet.
        noted(&mut pending, &["a", "f"], at(61_005));
        assert_eq!(pending.due(), Some(at(61_010)));
        assert_eq!(taken(&mut pending, 2), ["c", "d"]);
        pending.written(at(61_010));
        assert_eq!(taken(&mut pending, 2), ["e"]);
        pending.written(at(61_020));
        assert_eq!(pending.due(), Some(at(121_020)));
        assert_eq!(taken(&mut pending, 2), ["a", "f"]);
        pending.written(at(121_020));
        assert_eq!(pending.due(), None);
    }

    #[test]
    fn what_can_not_be_written_is_put_off_or_let_go_of() {
        let mut pending = Pending::new(at(0));
        noted(&mut pending, &["a", "b"], at(0));
        assert_eq!(taken(&mut pending, 1), ["a"]);
        pending.put_off(true, at(60_000));
        assert_eq!(pending.due(), Some(at(120_000)));
        pending.put_off(false, at(120_000));
        assert_eq!(pending.due(), None);
    }
}
