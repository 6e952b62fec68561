//! The life of a token: what each command makes of its record. Pure; time is an argument.
//!
//! ```text
//!            suspend ⇄ resume
//! create → active ── rotate ──▶ rotating ── finish, grace over ──▶ active
//!            │          ▲            │
//!            │          └── undo ────┘            revoke, from anywhere ▶ revoked, for ever
//!            └── expires ▶ expired, until it is set to end later
//! ```
//!
//! A rotation keeps everything but the secret: id, scopes, limits, and the shared part with its
//! counters. At most two secrets live, and a grace period never outlives what the old secret had.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Ending, Fingerprint, SecretRecord, State, TokenRecord};

/// In which part of its life a token is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// In use, or not yet (`not_before`).
    Active,
    /// Two secrets open it.
    Rotating,
    /// Not for now.
    Suspended,
    /// Its time is over.
    Expired,
    /// Never again.
    Revoked,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::Rotating,
        Self::Suspended,
        Self::Expired,
        Self::Revoked,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rotating => "rotating",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// The phase that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }
}

/// How a secret is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// The new secret.
    pub fingerprint: Fingerprint,
    /// It was made elsewhere.
    pub elsewhere: bool,
    /// How long the previous one stays valid.
    pub grace: Duration,
    /// The previous one ends when nobody used it for so long.
    pub finish_when_idle: Option<Duration>,
}

/// Why a command can not be done with a token as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It was revoked.
    Revoked,
    /// It has expired.
    Expired,
    /// There is no previous secret that lives.
    NotRotating,
    /// The new secret is the one before.
    IsPrevious,
    /// Other machines may have the secret, so idle here says nothing about them.
    Elsewhere,
    /// It is not suspended.
    NotSuspended,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revoked => "the token is revoked, and stays so: create another",
            Self::Expired => "the token has expired: give it another end with `token set` first",
            Self::NotRotating => "no rotation is under way: there is no previous secret that lives",
            Self::IsPrevious => {
                "this is the secret that was replaced: `token rotate --undo` takes it back"
            }
            Self::Elsewhere => {
                "the secret was made elsewhere, and that nobody uses the old one here says \
                 nothing about the other machines: finish with `token rotate --finish` when all \
                 of them show it idle"
            }
            Self::NotSuspended => "the token is not suspended",
        })
    }
}

impl std::error::Error for Refusal {}

/// What a command made of a record: another one, or what it was already.
pub type Changed = Result<Option<TokenRecord>, Refusal>;

impl TokenRecord {
    /// In which part of its life it is.
    pub fn phase(&self, now: Timestamp) -> Phase {
        match self.state {
            State::Revoked { .. } => Phase::Revoked,
            State::Suspended => Phase::Suspended,
            State::Active if self.has_expired(now) => Phase::Expired,
            State::Active if self.live_previous(now).is_some() => Phase::Rotating,
            State::Active => Phase::Active,
        }
    }

    /// Whether its time is over.
    fn has_expired(&self, now: Timestamp) -> bool {
        let over = |end: Option<Timestamp>| end.is_some_and(|end| end <= now);
        over(self.expires) || over(self.current.until)
    }

    /// The previous secret, while its grace period lasts.
    pub fn live_previous(&self, now: Timestamp) -> Option<SecretRecord> {
        self.previous.filter(|secret| secret.lives(now))
    }

    /// Replaces the secret. The one before the previous one, should it still live, ends now.
    /// The same secret again changes nothing.
    ///
    /// # Errors
    /// The token is ended, or the secret is its previous one, or it can not be told when nobody
    /// uses the old one any more.
    pub fn rotate(&self, rotation: Rotation, now: Timestamp) -> Changed {
        match self.phase(now) {
            Phase::Revoked => return Err(Refusal::Revoked),
            Phase::Expired => return Err(Refusal::Expired),
            Phase::Active | Phase::Rotating | Phase::Suspended => {}
        }
        if rotation.fingerprint == self.current.fingerprint {
            return Ok(None);
        }
        if self
            .previous
            .is_some_and(|previous| previous.fingerprint == rotation.fingerprint)
        {
            return Err(Refusal::IsPrevious);
        }
        if rotation.finish_when_idle.is_some() && (rotation.elsewhere || self.current.elsewhere) {
            return Err(Refusal::Elsewhere);
        }
        let grace_end = now.saturating_add(rotation.grace).unwrap_or(Timestamp::MAX);
        let until = [self.current.until, self.expires]
            .into_iter()
            .flatten()
            .fold(grace_end, Timestamp::min);
        let mut next = self.clone();
        next.previous = Some(SecretRecord {
            until: Some(until),
            finish_when_idle: rotation.finish_when_idle,
            until_before: self.current.until,
            ..self.current
        });
        next.current = SecretRecord {
            since: Some(now),
            elsewhere: rotation.elsewhere,
            ..SecretRecord::new(rotation.fingerprint)
        };
        Ok(Some(next))
    }

    /// Ends the previous secret now. It is kept, so that its holder is told why. One that has ended
    /// already stays as it is.
    ///
    /// # Errors
    /// There never was one.
    pub fn finish(&self, now: Timestamp) -> Changed {
        let Some(mut previous) = self.live_previous(now) else {
            return self.previous.map(|_| None).ok_or(Refusal::NotRotating);
        };
        previous.until = Some(now);
        previous.finish_when_idle = None;
        let mut next = self.clone();
        next.previous = Some(previous);
        Ok(Some(next))
    }

    /// From when on the previous secret counts as idle: it ends when it was not used since, for
    /// as long as the rotation said.
    ///
    /// # Errors
    /// No rotation is under way, or the secret may be used elsewhere.
    pub fn finish_when_idle(&self, idle: Duration, now: Timestamp) -> Changed {
        let mut previous = self.live_previous(now).ok_or(Refusal::NotRotating)?;
        if previous.elsewhere || self.current.elsewhere {
            return Err(Refusal::Elsewhere);
        }
        if previous.finish_when_idle == Some(idle) {
            return Ok(None);
        }
        previous.finish_when_idle = Some(idle);
        let mut next = self.clone();
        next.previous = Some(previous);
        Ok(Some(next))
    }

    /// Takes the previous secret back and ends the new one. It has the end of its own again that it
    /// had before the rotation.
    ///
    /// # Errors
    /// There is no previous secret that lives.
    pub fn undo(&self, now: Timestamp) -> Changed {
        if matches!(self.state, State::Revoked { .. }) {
            return Err(Refusal::Revoked);
        }
        let previous = self.live_previous(now).ok_or(Refusal::NotRotating)?;
        let mut next = self.clone();
        next.current = SecretRecord {
            until: previous.until_before,
            finish_when_idle: None,
            until_before: None,
            ..previous
        };
        next.previous = Some(SecretRecord {
            until: Some(now),
            ..self.current
        });
        Ok(Some(next))
    }

    /// Opens nothing until it is resumed.
    ///
    /// # Errors
    /// It is revoked.
    pub fn suspend(&self) -> Changed {
        match self.state {
            State::Revoked { .. } => Err(Refusal::Revoked),
            State::Suspended => Ok(None),
            State::Active => Ok(Some(self.in_state(State::Suspended))),
        }
    }

    /// Back from suspension.
    ///
    /// # Errors
    /// It is not suspended.
    pub fn resume(&self) -> Changed {
        match self.state {
            State::Revoked { .. } => Err(Refusal::Revoked),
            State::Active => Err(Refusal::NotSuspended),
            State::Suspended => Ok(Some(self.in_state(State::Active))),
        }
    }

    /// Ends it for ever. A token that was revoked before keeps its first end.
    pub fn revoke(&self, by: &Arc<str>, reason: &str, now: Timestamp) -> Option<Self> {
        if matches!(self.state, State::Revoked { .. }) {
            return None;
        }
        let mut next = self.in_state(State::Revoked { at: Some(now) });
        next.ending = Some(Arc::new(Ending {
            by: Arc::clone(by),
            reason: reason.into(),
        }));
        Some(next)
    }

    /// The same in another state.
    fn in_state(&self, state: State) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Level, Plugins};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn print(number: u32) -> Fingerprint {
        Fingerprint::of(&number.to_le_bytes())
    }

    fn record(expires: Option<i64>) -> TokenRecord {
        TokenRecord {
            id: "pls_ab12cd34".into(),
            name: "chatgpt".into(),
            level: Level::Service,
            plugins: Plugins::All,
            scopes: Arc::default(),
            current: SecretRecord::new(print(0)),
            previous: None,
            not_before: None,
            expires: expires.map(at),
            state: State::Active,
            limits: None,
            note: None,
            made: None,
            ending: None,
        }
    }

    fn rotation(number: u32, grace: u64) -> Rotation {
        Rotation {
            fingerprint: print(number),
            elsewhere: false,
            grace: Duration::from_secs(grace),
            finish_when_idle: None,
        }
    }

    #[test]
    fn a_grace_period_does_not_outlive_the_token() {
        let rotated = record(Some(50))
            .rotate(rotation(1, 100), at(10))
            .unwrap()
            .unwrap();
        assert_eq!(rotated.previous.unwrap().until, Some(at(50)));
        assert_eq!(rotated.phase(at(10)), Phase::Rotating);
        assert_eq!(rotated.phase(at(50)), Phase::Expired);
    }

    #[test]
    fn the_same_secret_again_changes_nothing() {
        let once = record(None)
            .rotate(rotation(1, 100), at(0))
            .unwrap()
            .unwrap();
        assert_eq!(once.rotate(rotation(1, 100), at(5)), Ok(None));
        assert_eq!(
            once.rotate(rotation(0, 100), at(5)),
            Err(Refusal::IsPrevious)
        );
    }

    #[test]
    fn idle_here_says_nothing_about_other_machines() {
        let mut asked = rotation(1, 100);
        asked.finish_when_idle = Some(Duration::from_hours(2));
        asked.elsewhere = true;
        assert_eq!(record(None).rotate(asked, at(0)), Err(Refusal::Elsewhere));
        asked.elsewhere = false;
        let mut from_elsewhere = record(None);
        from_elsewhere.current.elsewhere = true;
        assert_eq!(from_elsewhere.rotate(asked, at(0)), Err(Refusal::Elsewhere));
    }

    #[test]
    fn undo_is_possible_inside_the_grace_period_only() {
        let rotated = record(None)
            .rotate(rotation(1, 100), at(0))
            .unwrap()
            .unwrap();
        let back = rotated.undo(at(99)).unwrap().unwrap();
        assert_eq!(back.current.fingerprint, print(0));
        assert_eq!(back.current.until, None);
        assert_eq!(back.phase(at(99)), Phase::Active);
        assert_eq!(rotated.undo(at(100)), Err(Refusal::NotRotating));
    }

    #[test]
    fn undo_gives_the_end_back_that_the_secret_had() {
        let mut first = record(None);
        first.current.until = Some(at(80));
        let rotated = first.rotate(rotation(1, 50), at(0)).unwrap().unwrap();
        assert_eq!(rotated.previous.unwrap().until, Some(at(50)));
        let back = rotated.undo(at(10)).unwrap().unwrap();
        assert_eq!(back.current, first.current);
        // And nothing of it is left when the next rotation begins.
        let again = back.rotate(rotation(2, 10), at(20)).unwrap().unwrap();
        assert_eq!(again.undo(at(25)).unwrap().unwrap().current, first.current);
    }

    /// One command of a random life.
    #[derive(Debug, Clone)]
    enum Step {
        Rotate(u64, Option<u64>),
        Finish,
        Undo,
        Suspend,
        Resume,
        Revoke,
        Wait(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..200_u64, proptest::option::of(1..100_u64)).prop_map(|(g, i)| Step::Rotate(g, i)),
            2 => Just(Step::Finish),
            2 => Just(Step::Undo),
            2 => Just(Step::Suspend),
            2 => Just(Step::Resume),
            1 => Just(Step::Revoke),
            6 => (0..150_i64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Whatever happens to it in whatever order: at most two secrets live, none of a revoked
        /// or suspended token does, a grace period ends no later than the token, what is revoked
        /// stays so, nothing but secrets, state and ending changes, and a refused command changes
        /// nothing.
        #[test]
        fn a_life(
            steps in proptest::collection::vec(step(), 0..40),
            expires in proptest::option::of(1..2000_i64),
        ) {
            let first = record(expires);
            let mut token = first.clone();
            let (mut now, mut made) = (0, 0);
            for step in steps {
                let before = token.clone();
                let done = match step {
                    Step::Rotate(grace, idle) => {
                        made += 1;
                        let mut rotation = rotation(made, grace);
                        rotation.finish_when_idle = idle.map(Duration::from_secs);
                        token.rotate(rotation, at(now))
                    }
                    Step::Finish => token.finish(at(now)),
                    Step::Undo => token.undo(at(now)),
                    Step::Suspend => token.suspend(),
                    Step::Resume => token.resume(),
                    Step::Revoke => Ok(token.revoke(&"unix:root".into(), "leaked", at(now))),
                    Step::Wait(seconds) => { now += seconds; Ok(None) }
                };
                if let Ok(Some(next)) = done {
                    token = next;
                }
                let lives = |secret: &SecretRecord| secret.lives(at(now));
                let live = token.secrets().filter(|(_, secret)| lives(secret)).count();
                prop_assert!(live <= 2);
                if let (Some(previous), Some(end)) = (token.live_previous(at(now)), token.expires) {
                    prop_assert!(previous.until.is_some_and(|until| until <= end));
                }
                if let Some(previous) = token.previous {
                    prop_assert!(previous.until.is_some(), "a previous secret has an end");
                    prop_assert_ne!(previous.fingerprint, token.current.fingerprint);
                }
                if before.phase(at(now)) == Phase::Revoked {
                    prop_assert_eq!(&token.state, &before.state);
                    prop_assert_eq!(&token.ending, &before.ending);
                }
                let mut same = token.clone();
                (same.current, same.previous) = (first.current, first.previous);
                (same.state, same.ending) = (first.state, first.ending.clone());
                prop_assert_eq!(same, first.clone());
            }
        }
    }
}
