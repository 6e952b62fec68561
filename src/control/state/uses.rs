//! Last uses and used quotas: written off the request path, at most once a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable};
use serde::{Deserialize, Serialize};

use super::db::{Outcome, USES};
use super::desk::{Desk, Scene};
use crate::tokens::{Slot, Token, TokenShared};

/// Between two writes.
const EVERY: Duration = Duration::from_mins(1);

/// Tokens that were used since the last write.
#[derive(Debug)]
pub(super) struct Pending {
    tokens: HashMap<Arc<str>, Arc<TokenShared>>,
    /// When they are written.
    at: Timestamp,
}

impl Pending {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            tokens: HashMap::new(),
            at: now,
        }
    }

    pub(super) fn note(&mut self, token: &Arc<Token>, now: Timestamp) {
        if self.tokens.is_empty() {
            self.postpone(now);
        }
        self.tokens
            .insert(Arc::clone(&token.id), Arc::clone(&token.shared));
    }

    /// There is nothing yet, or no database to write them to.
    pub(super) fn postpone(&mut self, now: Timestamp) {
        self.at = now.saturating_add(EVERY).unwrap_or(Timestamp::MAX);
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        (!self.tokens.is_empty()).then_some(self.at)
    }
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

/// Writes what is pending. After an error it stays so.
pub(super) fn flush(desk: &mut Desk, _scene: &Scene<'_>, now: Timestamp) {
    if !desk.db.is_open() {
        desk.uses.postpone(now);
        return;
    }
    let pending = std::mem::replace(&mut desk.uses, Pending::new(now));
    if pending.tokens.is_empty() {
        return;
    }
    let written = desk.db.write(now, |write| {
        let mut table = write.open_table(USES)?;
        for (id, shared) in &pending.tokens {
            let used = serde_json::to_vec(&Used::of(shared)).unwrap_or_default();
            table.insert(&**id, used.as_slice())?;
        }
        Ok(())
    });
    if let Err(error) = written {
        tracing::warn!(%error, "when tokens were last used could not be written");
        desk.uses = Pending {
            tokens: pending.tokens,
            at: now.saturating_add(EVERY).unwrap_or(Timestamp::MAX),
        };
    }
}
