//! What a live secret opens: the record that a request finds.

use std::fmt;
use std::sync::Arc;

use ecow::EcoString;
use jiff::Timestamp;
use jiff::tz::Offset;

use super::{Level, ScopeListId, TokenLimits, TokenShared};

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
}
