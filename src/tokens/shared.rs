//! What changes while a token is used.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use jiff::Timestamp;

use super::Slot;
use super::usage::Usage;
use crate::network::Network;

/// What changes while a token is used, and outlives each of its records.
///
/// When each secret was used last, and from where, is in arrays: pairs would be larger. Of two uses in
/// the same moment either may leave its network.
#[derive(Debug)]
pub struct TokenShared {
    /// [`Network::to_bits`] of the first use in that minute: of the current secret, of the previous one,
    /// and of those that are gone.
    network: [AtomicU64; 3],
    /// Minutes since 1970; [`NEVER`] if there was no use.
    minute: [AtomicU32; 3],
    /// What was used of its limits, with any secret.
    pub(super) usage: Usage,
    /// See [`Self::number`]; one more than it, and 0 if nobody asked yet.
    number: AtomicU32,
}

/// There may be a million of them.
const _: () = assert!(size_of::<TokenShared>() <= 64);

/// No use yet.
const NEVER: u32 = 0;

/// A use: the minute since 1970, and the network.
pub type Use = (Timestamp, Option<Network>);

/// Where the secrets of a token stood before it changed: its current one, and its previous one; `None`
/// for one that is new, or is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moves(pub(super) [Option<Slot>; 2]);

impl Default for TokenShared {
    fn default() -> Self {
        Self {
            network: [const { AtomicU64::new(Network::NOWHERE) }; 3],
            minute: [const { AtomicU32::new(NEVER) }; 3],
            usage: Usage::default(),
            number: AtomicU32::new(0),
        }
    }
}

impl TokenShared {
    /// Notes a use; whether it is the first of this secret in this minute. A hot token writes once
    /// a minute; every other use only reads, so that the workers do not take its cache line from
    /// each other.
    pub fn used(&self, slot: Slot, now: Timestamp, network: Network) -> bool {
        let minute = now.as_second().div_euclid(60);
        self.note(Some(slot), as_held(minute), network.to_bits())
    }

    /// The minute of the last use of a secret, and the network of the first use in it.
    pub fn last_use(&self, slot: Slot) -> Option<Use> {
        self.held(Some(slot))
    }

    /// The same of the secrets that are gone.
    pub fn ended_use(&self) -> Option<Use> {
        self.held(None)
    }

    /// The last use of all secrets that it ever had, and of which; `None`: of one that is gone. Of two
    /// in the same minute it is that of one that is there, and rather that of the current one: whoever
    /// has moved to it would else be told that they did not.
    pub fn last_of_all(&self) -> Option<(Option<Slot>, Use)> {
        [None, Some(Slot::Previous), Some(Slot::Current)]
            .into_iter()
            .filter_map(|slot| Some((slot, self.held(slot)?)))
            .max_by_key(|(_, (at, _))| *at)
    }

    /// What [`Self::last_use`] gave before the process began, or [`Self::ended_use`] for `None`: the
    /// minute since 1970. A later use stays.
    pub fn restore_use(&self, slot: Option<Slot>, minute: i64, network: Option<Network>) {
        let network = network.map_or(Network::NOWHERE, Network::to_bits);
        self.note(slot, as_held(minute), network);
    }

    /// Secrets changed their places, or are gone: their last uses go with them. To be called once,
    /// before the new ones enter the table.
    pub fn moved(&self, Moves(from): Moves) {
        let slots = [Slot::Current, Slot::Previous];
        let before = slots.map(|slot| self.load(Some(slot)));
        for (slot, (minute, network)) in slots.into_iter().zip(before) {
            if !from.contains(&Some(slot)) {
                self.note(None, minute, network);
            }
        }
        for (slot, from) in slots.into_iter().zip(from) {
            if from != Some(slot) {
                let nothing = (NEVER, Network::NOWHERE);
                let (minute, network) = from.map_or(nothing, |from| before[place(Some(from))]);
                self.network[place(Some(slot))].store(network, Ordering::Relaxed);
                self.minute[place(Some(slot))].store(minute, Ordering::Release);
            }
        }
    }

    /// The number that counters know the token by. It is asked for once and kept here, beside what
    /// every request looks at: to find it takes a lock.
    pub fn number(&self, find: impl FnOnce() -> u32) -> u32 {
        if let Some(number) = self.number.load(Ordering::Relaxed).checked_sub(1) {
            return number;
        }
        let number = find();
        let kept = number.saturating_add(1);
        self.number.store(kept, Ordering::Relaxed);
        number
    }

    /// Takes what is later than what is there; whether it is.
    fn note(&self, slot: Option<Slot>, minute: u32, network: u64) -> bool {
        let held = &self.minute[place(slot)];
        if held.load(Ordering::Relaxed) >= minute {
            return false;
        }
        self.network[place(slot)].store(network, Ordering::Relaxed);
        held.fetch_max(minute, Ordering::Release) < minute
    }

    fn load(&self, slot: Option<Slot>) -> (u32, u64) {
        let minute = self.minute[place(slot)].load(Ordering::Acquire);
        (minute, self.network[place(slot)].load(Ordering::Relaxed))
    }

    fn held(&self, slot: Option<Slot>) -> Option<Use> {
        let (minute, network) = self.load(slot);
        if minute == NEVER {
            return None;
        }
        let at = Timestamp::from_second(i64::from(minute) * 60).ok()?;
        Some((at, Network::from_bits(network)))
    }
}

/// A minute since 1970 as it is held; a clock that shows an earlier one is wrong.
fn as_held(minute: i64) -> u32 {
    u32::try_from(minute.max(1)).unwrap_or(u32::MAX)
}

/// Where the last use of a secret is held; `None`: of those that are gone.
const fn place(slot: Option<Slot>) -> usize {
    match slot {
        Some(Slot::Current) => 0,
        Some(Slot::Previous) => 1,
        None => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a rotation moves them.
    const ROTATED: Moves = Moves([None, Some(Slot::Current)]);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn last_use_is_kept_by_the_minute_and_moves_with_its_secret() {
        let (home, work) = (network("192.0.2.0/24"), network("2001:db8::/64"));
        let shared = TokenShared::default();
        assert_eq!(shared.last_use(Slot::Current), None);
        assert!(shared.used(Slot::Current, at("2026-11-20T12:00:59Z"), home));
        // The same minute, and a clock that went back.
        for later in ["2026-11-20T12:00:59.9Z", "2026-11-20T11:00:00Z"] {
            assert!(!shared.used(Slot::Current, at(later), work));
        }
        let noon = Some((at("2026-11-20T12:00:00Z"), Some(home)));
        assert_eq!(shared.last_use(Slot::Current), noon);
        shared.moved(ROTATED);
        assert_eq!(shared.last_use(Slot::Current), None);
        assert_eq!(shared.last_use(Slot::Previous), noon);
        assert!(shared.used(Slot::Previous, at("2026-11-20T12:01:00Z"), work));
        assert_eq!(
            shared.last_use(Slot::Previous),
            Some((at("2026-11-20T12:01:00Z"), Some(work)))
        );
        assert_eq!(shared.last_use(Slot::Current), None);
    }

    #[test]
    fn the_last_use_of_all_outlives_its_secret() {
        let (home, work) = (network("192.0.2.0/24"), network("2001:db8::/64"));
        let shared = TokenShared::default();
        let noon = (at("2026-11-20T12:00:00Z"), Some(home));
        assert_eq!(shared.last_of_all(), None);
        shared.used(Slot::Current, noon.0, home);
        assert_eq!(shared.last_of_all(), Some((Some(Slot::Current), noon)));
        shared.moved(ROTATED);
        assert_eq!(shared.last_of_all(), Some((Some(Slot::Previous), noon)));
        assert_eq!(shared.ended_use(), None);
        shared.moved(ROTATED);
        assert_eq!(shared.last_use(Slot::Previous), None);
        assert_eq!(shared.last_of_all(), Some((None, noon)));
        // Back, and on: one that was used earlier does not take its place.
        shared.used(Slot::Current, at("2026-11-20T11:00:00Z"), work);
        shared.moved(Moves([Some(Slot::Previous), Some(Slot::Current)]));
        assert_eq!(shared.last_use(Slot::Current), None);
        assert!(shared.last_use(Slot::Previous).is_some());
        shared.moved(Moves([None, None]));
        assert_eq!(shared.last_use(Slot::Previous), None);
        assert_eq!(shared.ended_use(), Some(noon));
        // In the same minute it is that of the secret that is there.
        shared.used(Slot::Current, noon.0, work);
        let same = (noon.0, Some(work));
        assert_eq!(shared.last_of_all(), Some((Some(Slot::Current), same)));
        // What stands where it stood is not touched.
        shared.moved(Moves([Some(Slot::Current), None]));
        assert_eq!(shared.last_use(Slot::Current), Some(same));
    }

    #[test]
    fn in_the_same_minute_the_current_secret_was_used_last() {
        let (home, work) = (network("192.0.2.0/24"), network("2001:db8::/64"));
        let shared = TokenShared::default();
        shared.used(Slot::Current, at("2026-11-20T12:00:01Z"), home);
        shared.moved(ROTATED);
        shared.used(Slot::Current, at("2026-11-20T12:00:02Z"), work);
        let noon = at("2026-11-20T12:00:00Z");
        let last = Some((Some(Slot::Current), (noon, Some(work))));
        assert_eq!(shared.last_of_all(), last);
        // A minute is one.
        shared.used(Slot::Previous, at("2026-11-20T12:01:00Z"), home);
        let (slot, _) = shared.last_of_all().unwrap();
        assert_eq!(slot, Some(Slot::Previous));
    }

    #[test]
    fn a_clock_before_all_minutes_is_a_use_all_the_same() {
        let shared = TokenShared::default();
        assert!(shared.used(Slot::Current, Timestamp::MIN, network("10.0.0.0/24")));
        assert!(shared.last_use(Slot::Current).is_some());
        assert!(shared.used(Slot::Current, Timestamp::MAX, network("10.0.0.0/24")));
        assert_eq!(
            shared.last_use(Slot::Current).unwrap().0.as_second() % 60,
            0
        );
    }

    #[test]
    fn a_restored_use_is_taken_unless_there_is_a_later_one() {
        let shared = TokenShared::default();
        let network = network("192.0.2.0/24");
        shared.restore_use(Some(Slot::Current), 29_000_000, Some(network));
        let first = Timestamp::from_second(29_000_000 * 60).unwrap();
        assert_eq!(shared.last_use(Slot::Current), Some((first, Some(network))));
        shared.restore_use(Some(Slot::Current), 28_000_000, None);
        assert_eq!(shared.last_use(Slot::Current), Some((first, Some(network))));
        shared.restore_use(Some(Slot::Current), 29_000_001, None);
        let second = Timestamp::from_second(29_000_001 * 60).unwrap();
        assert_eq!(shared.last_use(Slot::Current), Some((second, None)));
    }

    #[test]
    fn the_number_of_counters_is_asked_for_once() {
        let shared = TokenShared::default();
        assert_eq!(shared.number(|| 0), 0);
        assert_eq!(shared.number(|| panic!("asked again")), 0);
        shared.moved(ROTATED);
        assert_eq!(shared.number(|| panic!("asked again")), 0);
    }

    /// Many uses in the first second of a minute: one of them is the first.
    #[test]
    fn one_use_in_a_minute_is_the_first() {
        let shared = TokenShared::default();
        let (now, network) = (at("2026-11-20T12:00:00Z"), network("10.0.0.0/24"));
        let used = || (0..100).filter(|_| shared.used(Slot::Current, now, network));
        let firsts = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| used().count())).collect();
            threads
                .into_iter()
                .map(|made| made.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(firsts, 1);
    }
}
