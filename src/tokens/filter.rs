//! Which tokens are listed, and in which order.

use jiff::Timestamp;

use super::reading::NO_HASH;
use super::{FieldFault, Fingerprint, Level, Phase, TokenRecord, TokenShared, duration};

/// Which tokens are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Of this level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Valid in this plugin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// In this phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// With this in its name or note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Not used for so long, or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// Ends within this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_within: Option<String>,
    /// That has the secret with this SHA-256, or had it: one at the most, and which of its secrets
    /// that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// By which field: `name` (default), `id`, `created`, `ends`, `used`, `state`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
}

/// By what a list can be sorted.
pub const SORTS: [&str; 6] = ["name", "id", "created", "ends", "used", "state"];

/// A [`Filter`], understood.
#[derive(Debug)]
pub struct Wanted {
    level: Option<Level>,
    plugin: Option<String>,
    phase: Option<Phase>,
    text: Option<String>,
    unused_since: Option<Timestamp>,
    ends_before: Option<Timestamp>,
    /// With this secret.
    pub secret: Option<Fingerprint>,
    sort: &'static str,
}

impl Filter {
    /// What it means.
    pub fn read(&self, now: Timestamp) -> Result<Wanted, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let mut fault = |field, message: String| faults.push(FieldFault { field, message });
        let secret = self.sha256.as_deref().map(Fingerprint::from_hex);
        if secret == Some(None) {
            fault("sha256", NO_HASH.to_owned());
        }
        let mut word = |field, text: &Option<String>, known: bool, words: &str| {
            if text.is_some() && !known {
                fault(field, format!("must be one of {words}"));
            }
        };
        let level = self.level.as_deref().and_then(Level::from_word);
        word(
            "level",
            &self.level,
            level.is_some(),
            "service, user, admin",
        );
        let phase = self.state.as_deref().and_then(Phase::from_word);
        word(
            "state",
            &self.state,
            phase.is_some(),
            "active, rotating, suspended, expired, revoked",
        );
        let sort = self.sort.as_deref().unwrap_or("name");
        let sort = SORTS.iter().find(|known| **known == sort);
        word("sort", &self.sort, sort.is_some(), &SORTS.join(", "));
        let mut span = |field, text: &Option<String>| {
            let text = text.as_deref()?;
            let length = duration(text);
            if length.is_none() {
                fault(field, "must be a time such as 30m, 24h or 7d".to_owned());
            }
            length
        };
        let idle = span("idle", &self.idle);
        let within = span("ends_within", &self.ends_within);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Wanted {
            level,
            plugin: self.plugin.clone(),
            phase,
            text: self.text.as_ref().map(|text| text.to_lowercase()),
            unused_since: idle.and_then(|idle| now.checked_sub(idle).ok()),
            ends_before: within.and_then(|within| now.checked_add(within).ok()),
            secret: secret.flatten(),
            sort: sort.unwrap_or(&"name"),
        })
    }
}

impl Wanted {
    /// Whether a record is meant.
    pub fn record(&self, record: &TokenRecord, now: Timestamp) -> bool {
        let text = |text: &String| {
            record.name.to_lowercase().contains(text)
                || record
                    .note
                    .as_ref()
                    .is_some_and(|note| note.to_lowercase().contains(text))
        };
        let end = [record.expires, record.current.until]
            .into_iter()
            .flatten()
            .min();
        self.level.is_none_or(|level| level == record.level)
            && self
                .plugin
                .as_ref()
                .is_none_or(|plugin| record.plugins.covers(plugin))
            && self.phase.is_none_or(|phase| phase == record.phase(now))
            && self.text.as_ref().is_none_or(text)
            && self
                .ends_before
                .is_none_or(|before| end.is_some_and(|end| now < end && end <= before))
    }

    /// Whether its last use is so long ago as is asked for.
    pub fn is_idle(&self, shared: Option<&TokenShared>) -> bool {
        self.unused_since
            .is_none_or(|since| last_use(shared).is_none_or(|at| at <= since))
    }

    /// By what a token is sorted: oldest first for times, what has none last.
    pub fn key(
        &self,
        record: &TokenRecord,
        shared: Option<&TokenShared>,
        now: Timestamp,
    ) -> (bool, Timestamp, String) {
        let moment = match self.sort {
            "created" => record.made.as_ref().map(|made| made.at),
            "ends" => [record.expires, record.current.until]
                .into_iter()
                .flatten()
                .min(),
            "used" => last_use(shared),
            "id" => return (false, Timestamp::MIN, record.id.to_string()),
            "state" => {
                let state = record.phase(now).as_str().to_owned();
                return (false, Timestamp::MIN, state);
            }
            _ => return (false, Timestamp::MIN, record.name.to_lowercase()),
        };
        (
            moment.is_none(),
            moment.unwrap_or(Timestamp::MAX),
            String::new(),
        )
    }
}

/// With any of its secrets, also with one that is gone.
fn last_use(shared: Option<&TokenShared>) -> Option<Timestamp> {
    let (_, (at, _)) = shared?.last_of_all()?;
    Some(at)
}
