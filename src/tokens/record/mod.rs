//! A token as it is declared, stored and exported; what it puts into the table; and what
//! becomes of it when the secret it refers to changes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{
    Fingerprint, Level, Moves, Plugins, ScopeList, ScopeLists, Slot, State, Token, TokenLimits,
    TokenShared,
};

/// A token with its at most two secrets, by hash only. One line of a token file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Public id: `pls_ab12cd34`, the key of a declared token, or `plf_…` for a foreign one.
    pub id: Arc<str>,
    /// For people; not unique.
    pub name: Arc<str>,
    /// What it is for.
    pub level: Level,
    /// Where it is valid.
    pub plugins: Plugins,
    /// What it may call there.
    pub scopes: Arc<ScopeList>,
    /// The secret that was made last.
    pub current: SecretRecord,
    /// The one before, in its grace period.
    pub previous: Option<SecretRecord>,
    /// Not valid before.
    pub not_before: Option<Timestamp>,
    /// Not valid from then on.
    pub expires: Option<Timestamp>,
    /// What its owners decided.
    pub state: State,
    /// What bounds its use; `None`: nothing does.
    pub limits: Option<Arc<TokenLimits>>,
    /// For people.
    pub note: Option<Arc<str>>,
    /// How it came to be, if that is known.
    pub made: Option<Arc<Making>>,
    /// How a revoked one came to its end, if that is known.
    pub ending: Option<Arc<Ending>>,
}

/// When a token was made, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// When.
    pub at: Timestamp,
    /// Such as `unix:root`, or the id of an admin token.
    pub by: Arc<str>,
}

/// Who revoked a token, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Such as `unix:root`, or the id of an admin token.
    pub by: Arc<str>,
    /// In their words.
    pub reason: Arc<str>,
}

/// One secret of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretRecord {
    /// SHA-256 of what the client presents.
    pub fingerprint: Fingerprint,
    /// Its end, if it has one of its own.
    pub until: Option<Timestamp>,
    /// When it became the current one, if that is known.
    pub since: Option<Timestamp>,
    /// It was made elsewhere, so other machines may have it as well.
    pub elsewhere: bool,
    /// Of a previous one: it ends when nobody used it for so long.
    pub finish_when_idle: Option<Duration>,
    /// Of a previous one: the end of its own that it had as the current one.
    pub until_before: Option<Timestamp>,
}

impl SecretRecord {
    /// One without an end of its own, of which nothing else is known.
    pub const fn new(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint,
            until: None,
            since: None,
            elsewhere: false,
            finish_when_idle: None,
            until_before: None,
        }
    }

    /// Whether it has not ended by itself.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|end| now < end)
    }
}

impl TokenRecord {
    /// The secrets, the current one first.
    pub fn secrets(&self) -> impl Iterator<Item = (Slot, SecretRecord)> {
        let previous = self.previous.map(|secret| (Slot::Previous, secret));
        [(Slot::Current, self.current)].into_iter().chain(previous)
    }

    /// Where its secrets stood before; `None`: all that there were stand where they stood.
    pub fn moves(&self, before: impl Iterator<Item = (Slot, Fingerprint)>) -> Option<Moves> {
        let (mut moves, mut moved) = (Moves([None; 2]), false);
        for (stood, secret) in before {
            let mut now = self.secrets();
            let now = now.find(|(_, own)| own.fingerprint == secret);
            let now = now.map(|(slot, _)| slot);
            moved |= now != Some(stood);
            match now {
                Some(Slot::Current) => moves.0[0] = Some(stood),
                Some(Slot::Previous) => moves.0[1] = Some(stood),
                None => {}
            }
        }
        moved.then_some(moves)
    }

    /// The same, after another record.
    pub fn moves_from(&self, before: &Self) -> Option<Moves> {
        self.moves(
            before
                .secrets()
                .map(|(slot, secret)| (slot, secret.fingerprint)),
        )
    }
}

/// What a record puts into the table: one entry for each secret, also when the token is ended,
/// so that its holder is told why. `shared` is the one that the token had before, or a new one.
pub fn entries(
    record: &TokenRecord,
    lists: &ScopeLists,
    shared: &Arc<TokenShared>,
) -> Vec<(Fingerprint, Arc<Token>)> {
    let scopes = lists.intern(&record.scopes);
    record
        .secrets()
        .map(|(slot, secret)| {
            let token = Token {
                id: Arc::clone(&record.id),
                name: (&*record.name).into(),
                level: record.level,
                plugins: record.plugins.clone(),
                scopes,
                not_before: record.not_before,
                expires: record.expires,
                state: record.state,
                slot,
                until: secret.until,
                limits: record.limits.clone(),
                note: record.note.clone(),
                shared: Arc::clone(shared),
            };
            (secret.fingerprint, Arc::new(token))
        })
        .collect()
}

/// Whether two tokens' entries say the same, whatever they share with others: then one can stay
/// in the table for the other.
pub fn same_entries(one: &[(Fingerprint, Arc<Token>)], two: &[(Fingerprint, Arc<Token>)]) -> bool {
    one.len() == two.len()
        && one
            .iter()
            .zip(two)
            .all(|((a, one), (b, two))| a == b && same(one, two))
}

/// Whether two tokens say the same. A new field has to be looked at here.
fn same(one: &Token, two: &Token) -> bool {
    let Token {
        id,
        name,
        level,
        plugins,
        scopes,
        not_before,
        expires,
        state,
        slot,
        until,
        limits,
        note,
        shared: _,
    } = one;
    (id, name, level, plugins, scopes)
        == (&two.id, &two.name, &two.level, &two.plugins, &two.scopes)
        && (not_before, expires, until) == (&two.not_before, &two.expires, &two.until)
        && (state, slot, limits, note) == (&two.state, &two.slot, &two.limits, &two.note)
}

/// The record that a token's entries came from, as far as they tell: who made it and since when
/// is not among that.
pub fn record_of(entries: &[(Fingerprint, Arc<Token>)], lists: &ScopeLists) -> Option<TokenRecord> {
    let of = |slot| {
        let found = entries.iter().find(move |(_, token)| token.slot == slot)?;
        Some(SecretRecord {
            until: found.1.until,
            ..SecretRecord::new(found.0)
        })
    };
    let (_, token) = entries.first()?;
    Some(TokenRecord {
        id: Arc::clone(&token.id),
        name: token.name.as_str().into(),
        level: token.level,
        plugins: token.plugins.clone(),
        scopes: lists.get(token.scopes)?,
        current: of(Slot::Current)?,
        previous: of(Slot::Previous),
        not_before: token.not_before,
        expires: token.expires,
        state: token.state,
        limits: token.limits.clone(),
        note: token.note.clone(),
        made: None,
        ending: None,
    })
}

/// What a declared token becomes when the secret that it refers to may have changed.
///
/// `previous` is what was in force, a running grace period included; `next` is what the
/// configuration says now. A new secret makes the old one the previous one, until `grace` is
/// over or the old one would have ended anyway; a grace of zero ends it at once. The same
/// secret keeps a grace period that is still running. Two secrets that are written out are
/// taken as written.
///
/// The shared part of the token must be told ([`TokenShared::moved`]) when secrets changed their places.
pub fn rotate_declared(
    previous: &TokenRecord,
    next: &TokenRecord,
    grace: Duration,
    now: Timestamp,
) -> TokenRecord {
    let mut result = next.clone();
    let followed = previous.id == next.id && previous.state == State::Active;
    if next.previous.is_some() || !followed || grace.is_zero() {
        return result;
    }
    result.previous = if previous.current.fingerprint == next.current.fingerprint {
        previous.previous
    } else {
        let grace_end = now.saturating_add(grace).unwrap_or(Timestamp::MAX);
        let end = [previous.current.until, previous.expires]
            .into_iter()
            .flatten()
            .fold(grace_end, Timestamp::min);
        Some(SecretRecord {
            until: Some(end),
            ..previous.current
        })
    };
    result.previous = result
        .previous
        .filter(|secret| secret.lives(now) && secret.fingerprint != next.current.fingerprint);
    result
}

#[cfg(test)]
mod tests;
