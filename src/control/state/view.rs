//! Tokens as they are shown: never a secret, nor its hash.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::tokens::{Phase, Slot, State, TokenRecord, TokenShared};

/// Where a token comes from, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum Source {
    /// The state database: commands change it.
    State,
    /// `[tokens.*]` or a token file: whoever writes that changes it.
    Declared,
}

impl Source {
    /// The word.
    pub(in crate::control) fn word(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Declared => "declared",
        }
    }
}

/// In the place of a slot: a secret that the token had before.
pub(super) const ENDED: &str = "ended";

/// Everything about a token that may be shown.
pub(super) fn token(
    record: &TokenRecord,
    shared: Option<&TokenShared>,
    source: Source,
    now: Timestamp,
) -> Value {
    let mut view = settings(record);
    let mut put = |name: &str, value: Value| {
        view.insert(name.to_owned(), value);
    };
    put("source", source.word().into());
    put("state", record.phase(now).as_str().into());
    let opens = matches!(record.phase(now), Phase::Active | Phase::Rotating);
    let secrets: Vec<Value> = record
        .secrets()
        .map(|(slot, secret)| {
            let used = shared.and_then(|shared| shared.last_use(slot));
            json!({
                "slot": slot.as_str(),
                "since": secret.since.map(moment),
                "until": secret.until.map(moment),
                "live": secret.lives(now) && opens,
                "elsewhere": secret.elsewhere,
                "finish_when_idle": secret.finish_when_idle.map(|idle| idle.as_secs()),
                "last_used": used.map(|(at, _)| moment(at)),
                "last_network": used.and_then(|(_, network)| network).map(|network| network.to_string()),
            })
        })
        .collect();
    let last = shared.and_then(TokenShared::last_of_all);
    put("last_used", json!(last.map(|(_, (at, _))| moment(at))));
    put(
        "last_network",
        json!(
            last.and_then(|(_, (_, network))| network)
                .map(|network| network.to_string())
        ),
    );
    put(
        "last_slot",
        json!(last.map(|(slot, _)| slot.map_or(ENDED, Slot::as_str))),
    );
    let ends = [record.expires, record.current.until]
        .into_iter()
        .flatten()
        .min();
    put("ends", json!(ends.map(moment)));
    put("secrets", secrets.into());
    Value::Object(view)
}

/// What its owners decided about it: for the audit as well.
pub(super) fn settings(record: &TokenRecord) -> Map<String, Value> {
    let limits = record.limits.as_deref();
    let (state, revoked_at) = match record.state {
        State::Active => ("active", None),
        State::Suspended => ("suspended", None),
        State::Revoked { at } => ("revoked", at),
    };
    let view = json!({
        "id": &*record.id,
        "name": &*record.name,
        "level": record.level.as_str(),
        "plugins": record.plugins.names().collect::<Vec<_>>(),
        "scopes": record.scopes.texts(),
        "state": state,
        "not_before": record.not_before.map(moment),
        "expires": record.expires.map(moment),
        "rate": limits.and_then(|limits| limits.rate).map(|rate| rate.to_string()),
        "quota": limits.and_then(|limits| limits.quota).map(|quota| quota.to_string()),
        "concurrency": limits.and_then(|limits| limits.concurrency),
        "networks": limits.map_or(Vec::new(), |limits| limits.networks.iter().map(ToString::to_string).collect()),
        "note": record.note.as_deref(),
        "created_at": record.made.as_ref().map(|made| moment(made.at)),
        "created_by": record.made.as_ref().map(|made| &*made.by),
        "revoked_at": revoked_at.map(moment),
        "revoked_by": record.ending.as_ref().map(|ending| &*ending.by),
        "revoked_reason": record.ending.as_ref().map(|ending| &*ending.reason),
    });
    match view {
        Value::Object(view) => view,
        _ => Map::new(),
    }
}

/// What the audit keeps of a record: its settings, and when each secret began and ends.
pub(in crate::control) fn audited(record: &TokenRecord) -> Value {
    let mut view = settings(record);
    view.retain(|_, value| !value.is_null() && *value != json!([]));
    let secrets: Vec<Value> = record
        .secrets()
        .map(|(slot, secret)| {
            json!({ "slot": slot.as_str(), "since": secret.since.map(moment), "until": secret.until.map(moment) })
        })
        .collect();
    view.insert("secrets".to_owned(), secrets.into());
    Value::Object(view)
}

/// RFC 3339, UTC, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    format!("{at:.0}")
}
