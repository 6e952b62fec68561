//! Last uses and used quotas: written off the request path, at most once a minute, and in pieces that
//! keep nobody waiting.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::db::{Outcome, USES};
use super::desk::{Desk, Scene};
use super::find::shared_of;
use crate::tokens::{Slot, TokenRecord, TokenShared, Use};

/// Between two writes of all that was used.
const EVERY: Duration = Duration::from_mins(1);
/// Tokens that are written at a time: some milliseconds. A million of them in one transaction would
/// keep every command waiting for seconds.
const PIECE: usize = 500;
/// Between two pieces, for whoever else wants the thread, the core or the disk.
const PAUSE: Duration = Duration::from_millis(10);

/// A token that was used, and the beginning of its id: what they are sorted by stands in the list
/// itself, since each look elsewhere is a miss of the cache when there are a million.
type Noted = (u128, Arc<str>, Arc<TokenShared>);

/// Tokens that were used since they were written.
#[derive(Debug)]
pub(super) struct Pending {
    /// Since the last write began; a token may be in it more than once.
    noted: Vec<Noted>,
    /// What is left of those that are being written, sorted by id, so that those that are written
    /// together are neighbours in the database as well; the next one is at the end.
    rest: Vec<Noted>,
    /// When they are written, or the next piece of them.
    at: Timestamp,
}

impl Pending {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            noted: Vec::new(),
            rest: Vec::new(),
            at: now,
        }
    }

    pub(super) fn note(&mut self, id: &Arc<str>, shared: &Arc<TokenShared>, now: Timestamp) {
        if self.due().is_none() {
            self.at = after(now, EVERY);
        }
        self.noted
            .push((beginning(id), Arc::clone(id), Arc::clone(shared)));
    }

    /// They can not be written now: later, or never.
    pub(super) fn put_off(&mut self, later: bool, now: Timestamp) {
        if later {
            // Each of them once, however long it takes.
            self.noted.append(&mut self.rest);
            sort(&mut self.noted);
            std::mem::swap(&mut self.noted, &mut self.rest);
        } else {
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
    fn take(&mut self, most: usize) -> Vec<Noted> {
        if self.rest.is_empty() {
            self.rest = std::mem::take(&mut self.noted);
            sort(&mut self.rest);
        }
        let from = self.rest.len().saturating_sub(most);
        let mut taken = self.rest.split_off(from);
        if self.rest.is_empty() {
            // Many are rare; their room is not kept for few.
            self.rest = Vec::new();
        }
        taken.reverse();
        taken
    }

    /// What was taken could not be written: it is taken again.
    fn give_back(&mut self, taken: Vec<Noted>) {
        self.rest.extend(taken.into_iter().rev());
    }

    /// What was taken is written.
    fn written(&mut self, now: Timestamp) {
        let pause = if self.rest.is_empty() { EVERY } else { PAUSE };
        self.at = after(now, pause);
    }
}

/// The first sixteen bytes of an id, as a number in the order of ids.
fn beginning(id: &str) -> u128 {
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(id.bytes()) {
        *to = from;
    }
    u128::from_be_bytes(first)
}

/// The last one first, and of each the one that was noted last.
fn sort(all: &mut Vec<Noted>) {
    all.reverse();
    all.sort_by(|one, other| order(other, one));
    all.dedup_by(|one, other| order(one, other).is_eq());
}

/// By id.
fn order(one: &Noted, other: &Noted) -> Ordering {
    one.0.cmp(&other.0).then_with(|| one.1.cmp(&other.1))
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
    /// The last of those that are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<(i64, Option<String>)>,
    /// Number of the period, and requests in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quota: Option<(u64, u32)>,
}

impl Used {
    fn of(shared: &TokenShared) -> Self {
        let of = |used: Option<Use>| {
            let (at, network) = used?;
            let network = network.map(|network| network.to_string());
            Some((at.as_second().div_euclid(60), network))
        };
        Self {
            current: of(shared.last_use(Slot::Current)),
            previous: of(shared.last_use(Slot::Previous)),
            ended: of(shared.ended_use()),
            quota: Some(shared.quota_used()).filter(|(_, count)| *count > 0),
        }
    }

    /// Into a token that was not used yet.
    pub(super) fn restore(&self, shared: &TokenShared) {
        for (slot, used) in [
            (Some(Slot::Current), &self.current),
            (Some(Slot::Previous), &self.previous),
            (None, &self.ended),
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

fn write(desk: &mut Desk, tokens: Vec<Noted>, now: Timestamp) {
    if tokens.is_empty() {
        return;
    }
    let put = |write: &WriteTransaction| {
        let mut table = write.open_table(USES)?;
        let mut used = Vec::new();
        for (_, id, shared) in &tokens {
            used.clear();
            // Into memory: what could fail is not there.
            let _ = serde_json::to_writer(&mut used, &Used::of(shared));
            table.insert(&**id, used.as_slice())?;
        }
        Ok(())
    };
    // Durable with the last piece: a kill before it loses no more than one in the minute did.
    let written = if desk.uses.rest.is_empty() {
        desk.db.write(now, put)
    } else {
        desk.db.write_on(now, put)
    };
    match written {
        Ok(()) => desk.uses.written(now),
        Err(error) => {
            tracing::warn!(%error, "when tokens were last used could not be written");
            desk.uses.give_back(tokens);
            desk.uses.put_off(true, now);
        }
    }
}

/// What is stored of a token's uses when its secrets change places; `None` if they do not.
pub(super) fn moved(before: &TokenRecord, after: &TokenRecord, scene: &Scene<'_>) -> Option<Used> {
    let moves = after.moves_from(before)?;
    let next = TokenShared::default();
    Used::of(&*shared_of(before, scene)?).restore(&next);
    next.moved(moves);
    Some(Used::of(&next))
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
        piece.map(|(_, id, _)| id.to_string()).collect()
    }

    #[test]
    fn what_is_stored_is_what_is_read() {
        let shared = TokenShared::default();
        // Of before there was the last field.
        let before = r#"{"current":[29000001,"192.0.2.0/24"],"previous":[29000000,null]}"#;
        serde_json::from_str::<Used>(before)
            .unwrap()
            .restore(&shared);
        assert_eq!(shared.ended_use(), None);
        assert_eq!(serde_json::to_string(&Used::of(&shared)).unwrap(), before);
        let whole = r#"{"current":[29000001,"192.0.2.0/24"],"previous":[29000000,null],"ended":[29000002,"2001:db8::/64"]}"#;
        serde_json::from_str::<Used>(whole)
            .unwrap()
            .restore(&shared);
        assert_eq!(serde_json::to_string(&Used::of(&shared)).unwrap(), whole);
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
    fn ids_that_begin_alike_and_what_could_not_be_written_keep_their_order() {
        let mut pending = Pending::new(at(0));
        let long = [
            "the-same-beginning-b",
            "the-same-beginning-a",
            "the",
            "the-same-beginning",
        ];
        noted(&mut pending, &long, at(0));
        let piece = pending.take(2);
        pending.give_back(piece);
        noted(&mut pending, &["a"], at(0));
        assert_eq!(taken(&mut pending, 1), ["the"]);
        assert_eq!(
            taken(&mut pending, 3),
            [
                "the-same-beginning",
                "the-same-beginning-a",
                "the-same-beginning-b"
            ]
        );
        assert_eq!(taken(&mut pending, 9), ["a"]);
    }

    #[test]
    fn what_can_not_be_written_is_put_off_or_let_go_of() {
        let mut pending = Pending::new(at(0));
        noted(&mut pending, &["a", "b"], at(0));
        assert_eq!(taken(&mut pending, 1), ["a"]);
        pending.put_off(true, at(60_000));
        assert_eq!(pending.due(), Some(at(120_000)));
        // However often a token is used meanwhile, it waits once.
        for minute in 2..100 {
            noted(&mut pending, &["b", "b", "c"], at(minute * 60_000));
            pending.put_off(true, at(minute * 60_000));
        }
        assert_eq!((pending.noted.len(), pending.rest.len()), (0, 2));
        assert_eq!(taken(&mut pending, 1), ["b"]);
        pending.put_off(false, at(120_000));
        assert_eq!(pending.due(), None);
    }
}
