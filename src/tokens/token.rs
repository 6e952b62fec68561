//! What a live secret opens: the record that a request finds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use ecow::EcoString;
use jiff::Timestamp;
use jiff::tz::Offset;

use super::usage::Usage;
use super::{Level, ScopeListId, TokenLimits};
use crate::network::Network;

/// One secret of one token. Immutable: a change makes another one and puts it in its place.
///
/// It holds nothing that was compiled, so that a token of one generation can not be read with
/// the operations of another.
#[derive(Debug, Clone)]
pub struct Token {
    /// Public id, such as `pls_ab12cd34`; what logs, lists and metrics name.
    pub id: Arc<str>,
    /// For people. In here if it is short, since it goes to the API with each request: elsewhere it
    /// would be a miss of the cache for each among a million.
    pub name: EcoString,
    /// What it is for.
    pub level: Level,
    /// Where it is valid.
    pub plugins: Plugins,
    /// What it may call there.
    pub scopes: ScopeListId,
    /// Not valid before.
    pub not_before: Option<Timestamp>,
    /// Not valid from then on.
    pub expires: Option<Timestamp>,
    /// What its owners decided.
    pub state: State,
    /// Which of the token's secrets this is.
    pub slot: Slot,
    /// The end of this secret, if it has one before that of the token.
    pub until: Option<Timestamp>,
    /// What bounds its use.
    pub limits: Option<Arc<TokenLimits>>,
    /// For people.
    pub note: Option<Arc<str>>,
    /// What an edited record and both secrets of a rotation have in common.
    pub shared: Arc<TokenShared>,
}

impl Token {
    /// Whether it opens anything at this time, and if not, why.
    pub fn status(&self, now: Timestamp) -> Status {
        let ended = match self.state {
            State::Revoked { at } => Some(Ended::Revoked(at)),
            State::Suspended => Some(Ended::Suspended),
            State::Active => self.ended_by_time(now),
        };
        ended.map_or(Status::Live, Status::Ended)
    }

    /// The reason that the clock gives.
    fn ended_by_time(&self, now: Timestamp) -> Option<Ended> {
        if let Some(start) = self.not_before.filter(|start| now < *start) {
            return Some(Ended::NotYet(start));
        }
        if let Some(end) = self.expires.filter(|end| *end <= now) {
            return Some(Ended::Expired(end));
        }
        let end = self.until.filter(|end| *end <= now)?;
        Some(match self.slot {
            Slot::Current => Ended::Expired(end),
            Slot::Previous => Ended::Replaced(end),
        })
    }
}

/// Whether a token opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Live,
    /// It does not.
    Ended(Ended),
}

/// Why a real token opens nothing. Its `Display` is the `error_description` of RFC 6750,
/// which only the holder of the right secret is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It will be valid from then on.
    NotYet(Timestamp),
    /// Its time is over since then.
    Expired(Timestamp),
    /// Another secret took its place, and the grace period ended then.
    Replaced(Timestamp),
    /// It was revoked, and when, if that is known.
    Revoked(Option<Timestamp>),
    /// It is suspended, and may come back.
    Suspended,
}

/// A day (UTC) for what is past; to the second for what somebody may wait for.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |at: &Timestamp| Offset::UTC.to_datetime(*at).date();
        match self {
            Self::NotYet(at) => write!(f, "not valid before {at:.0}"),
            Self::Expired(at) => write!(f, "expired {}", day(at)),
            Self::Replaced(at) => write!(f, "replaced by another secret, ended {}", day(at)),
            Self::Revoked(Some(at)) => write!(f, "revoked {}", day(at)),
            Self::Revoked(None) => f.write_str("revoked"),
            Self::Suspended => f.write_str("suspended"),
        }
    }
}

/// What the owners of a token decided about it. That it is not valid yet or any more by time
/// is no state: the clock says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// In use.
    #[default]
    Active,
    /// Not for now.
    Suspended,
    /// Never again.
    Revoked {
        /// When, if that is known.
        at: Option<Timestamp>,
    },
}

/// Which of a token's at most two secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Slot {
    /// The one that was made last.
    Current,
    /// The one before, in its grace period.
    Previous,
}

impl Slot {
    /// The word for it in files, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a token is valid.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Plugins {
    /// Everywhere, in plugins of the future too: written as `*`.
    All,
    /// In these, sorted, each once.
    Only(Arc<[Arc<str>]>),
}

impl Plugins {
    /// From names as written; `*` among them is all.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        if names.contains(&"*") {
            return Self::All;
        }
        names.sort_unstable();
        names.dedup();
        Self::Only(names.into_iter().map(Arc::from).collect())
    }

    /// Whether a plugin is among them.
    pub fn covers(&self, plugin: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| **name == *plugin),
        }
    }

    /// The names as they are written, `*` for all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names: &[Arc<str>] = match self {
            Self::All => &[],
            Self::Only(names) => names,
        };
        matches!(self, Self::All)
            .then_some("*")
            .into_iter()
            .chain(names.iter().map(AsRef::as_ref))
    }
}

/// What changes while a token is used, and outlives each of its records.
#[derive(Debug, Default)]
pub struct TokenShared {
    /// Of the current and of the previous secret.
    last_use: [LastUse; 2],
    /// What was used of its limits, with either secret.
    pub(super) usage: Usage,
    /// See [`Self::number`]; one more than it, and 0 if nobody asked yet.
    number: AtomicU32,
}

/// When a secret was used last, and from where. Of two uses in the same moment either may leave
/// its network.
#[derive(Debug)]
struct LastUse {
    /// Minutes since 1970; [`NEVER`] if it was not used.
    minute: AtomicI64,
    /// [`Network::to_bits`] of the first use in that minute.
    network: AtomicU64,
}

/// No use yet.
const NEVER: i64 = i64::MIN;

impl Default for LastUse {
    fn default() -> Self {
        Self {
            minute: AtomicI64::new(NEVER),
            network: AtomicU64::new(Network::NOWHERE),
        }
    }
}

impl LastUse {
    /// Takes what is later than what is there; whether it is.
    fn note(&self, minute: i64, network: u64) -> bool {
        if self.minute.load(Ordering::Relaxed) >= minute {
            return false;
        }
        self.network.store(network, Ordering::Relaxed);
        self.minute.fetch_max(minute, Ordering::Release) < minute
    }
}

impl TokenShared {
    /// Notes a use; whether it is the first of this secret in this minute. A hot token writes once
    /// a minute; every other use only reads, so that the workers do not take its cache line from
    /// each other.
    pub fn used(&self, slot: Slot, now: Timestamp, network: Network) -> bool {
        let minute = now.as_second().div_euclid(60);
        self.of(slot).note(minute, network.to_bits())
    }

    /// The minute of the last use of a secret, and the network of the first use in it.
    pub fn last_use(&self, slot: Slot) -> Option<(Timestamp, Option<Network>)> {
        let last = self.of(slot);
        let minute = last.minute.load(Ordering::Acquire);
        if minute == NEVER {
            return None;
        }
        let at = Timestamp::from_second(minute.saturating_mul(60)).ok()?;
        let network = last.network.load(Ordering::Relaxed);
        Some((at, Network::from_bits(network)))
    }

    /// What [`Self::last_use`] gave before the process began: the minute since 1970. A later use
    /// stays.
    pub fn restore_use(&self, slot: Slot, minute: i64, network: Option<Network>) {
        let network = network.map_or(Network::NOWHERE, Network::to_bits);
        self.of(slot).note(minute, network);
    }

    /// The current secret became the previous one: its last use goes with it. To be called
    /// once, before the new secret enters the table.
    pub fn rotated(&self) {
        let (current, previous) = (self.of(Slot::Current), self.of(Slot::Previous));
        let network = current.network.swap(Network::NOWHERE, Ordering::Relaxed);
        let minute = current.minute.swap(NEVER, Ordering::Relaxed);
        previous.network.store(network, Ordering::Relaxed);
        previous.minute.store(minute, Ordering::Release);
    }

    /// The previous secret became the current one again: both last uses go along. To be called as
    /// [`Self::rotated`] is.
    pub fn exchanged(&self) {
        let (current, previous) = (self.of(Slot::Current), self.of(Slot::Previous));
        let network = current.network.load(Ordering::Relaxed);
        let minute = current.minute.load(Ordering::Relaxed);
        let network = previous.network.swap(network, Ordering::Relaxed);
        let minute = previous.minute.swap(minute, Ordering::Relaxed);
        current.network.store(network, Ordering::Relaxed);
        current.minute.store(minute, Ordering::Release);
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

    /// The last use of one secret.
    fn of(&self, slot: Slot) -> &LastUse {
        match slot {
            Slot::Current => &self.last_use[0],
            Slot::Previous => &self.last_use[1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// An active token without bounds, to be changed by `with`.
    fn token(with: impl FnOnce(&mut Token)) -> Token {
        let mut token = Token {
            id: "pls_ab12cd34".into(),
            name: "chatgpt".into(),
            level: Level::Service,
            plugins: Plugins::All,
            scopes: crate::tokens::ScopeLists::default().intern(&Arc::default()),
            not_before: None,
            expires: None,
            state: State::Active,
            slot: Slot::Current,
            until: None,
            limits: None,
            note: None,
            shared: Arc::default(),
        };
        with(&mut token);
        token
    }

    /// The status at noon of 2026-11-20 (UTC), as text.
    #[track_caller]
    fn check(with: impl FnOnce(&mut Token), expected: &str) {
        let status = match token(with).status(at("2026-11-20T12:00:00Z")) {
            Status::Live => "live".to_owned(),
            Status::Ended(reason) => reason.to_string(),
        };
        assert_eq!(status, expected);
    }

    #[test]
    fn the_true_reason() {
        let before = Some(at("2026-11-20T11:59:59.5Z"));
        let noon = Some(at("2026-11-20T12:00:00Z"));
        let after = Some(at("2026-11-20T12:00:00.25Z"));
        check(|_| (), "live");
        check(
            |t| (t.not_before, t.expires, t.until) = (noon, after, after),
            "live",
        );
        check(
            |t| t.not_before = after,
            "not valid before 2026-11-20T12:00:00Z",
        );
        check(
            |t| t.not_before = Some(at("2027-01-02T03:04:05+01:00")),
            "not valid before 2027-01-02T02:04:05Z",
        );
        check(|t| t.expires = noon, "expired 2026-11-20");
        check(|t| t.expires = before, "expired 2026-11-20");
        check(|t| t.until = noon, "expired 2026-11-20");
        check(
            |t| (t.until, t.slot) = (before, Slot::Previous),
            "replaced by another secret, ended 2026-11-20",
        );
        check(|t| (t.until, t.slot) = (after, Slot::Previous), "live");
        check(|t| t.state = State::Suspended, "suspended");
        check(|t| t.state = State::Revoked { at: None }, "revoked");
        check(
            |t| t.state = State::Revoked { at: before },
            "revoked 2026-11-20",
        );
        check(
            |t| (t.state, t.expires) = (State::Suspended, before),
            "suspended",
        );
        check(
            |t| (t.expires, t.until) = (before, before),
            "expired 2026-11-20",
        );
    }

    #[test]
    fn plugins_cover_by_whole_name() {
        let some = Plugins::new(["todo", "shop", "todo"]);
        assert!(some.covers("todo") && some.covers("shop"));
        assert!(!some.covers("tod") && !some.covers("Todo") && !some.covers("*"));
        assert_eq!(some.names().collect::<Vec<_>>(), ["shop", "todo"]);
        let all = Plugins::new(["todo", "*"]);
        assert!(all.covers("anything"));
        assert_eq!(all.names().collect::<Vec<_>>(), ["*"]);
        assert!(!Plugins::new([]).covers("todo"));
    }

    #[test]
    fn last_use_is_kept_by_the_minute_and_moves_with_its_secret() {
        let network = |text: &str| text.parse::<Network>().unwrap();
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
        shared.rotated();
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
    fn a_restored_use_is_taken_unless_there_is_a_later_one() {
        let shared = TokenShared::default();
        let network: Network = "192.0.2.0/24".parse().unwrap();
        shared.restore_use(Slot::Current, 29_000_000, Some(network));
        let first = Timestamp::from_second(29_000_000 * 60).unwrap();
        assert_eq!(shared.last_use(Slot::Current), Some((first, Some(network))));
        shared.restore_use(Slot::Current, 28_000_000, None);
        assert_eq!(shared.last_use(Slot::Current), Some((first, Some(network))));
        shared.restore_use(Slot::Current, 29_000_001, None);
        let second = Timestamp::from_second(29_000_001 * 60).unwrap();
        assert_eq!(shared.last_use(Slot::Current), Some((second, None)));
    }

    #[test]
    fn the_number_of_counters_is_asked_for_once() {
        let shared = TokenShared::default();
        assert_eq!(shared.number(|| 0), 0);
        assert_eq!(shared.number(|| panic!("asked again")), 0);
        shared.rotated();
        assert_eq!(shared.number(|| panic!("asked again")), 0);
    }

    /// Many uses in the first second of a minute: one of them is the first.
    #[test]
    fn one_use_in_a_minute_is_the_first() {
        let shared = TokenShared::default();
        let (now, network) = (at("2026-11-20T12:00:00Z"), "10.0.0.0/24".parse().unwrap());
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
