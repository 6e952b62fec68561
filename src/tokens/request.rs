//! What is asked for when a token is made or changed, as the admin API and the command line say
//! it, and what it means.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reading::{Reading, duration, level, unless};
use super::{Fingerprint, Level, SecretRecord, State, TokenLimits, TokenRecord};

/// A token that is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// For people.
    pub name: String,
    /// `service`, `user` or `admin`
    pub level: String,
    /// Where it is valid; `["*"]` is everywhere.
    pub plugins: Vec<String>,
    /// What it may call; `["*"]` is everything. An admin token has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Its end: `90d`, `2027-01-31` or a time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Its begin, written alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Such as `10/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Such as `1000/day`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// Requests at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// From where it may be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The hash of a secret that was made elsewhere; without it one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// With `sha256`: the id that the secret itself names, such as `pls_ab12cd34`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// What is to be changed of a token; what is not said stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SetRequest {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugins: Option<Vec<String>>,
    /// What it may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Its end; `never`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// Its begin; `never`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// `off`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// `off`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// 0: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Empty: from anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    /// Empty: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How a secret is to be replaced, or a replacement ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RotateRequest {
    /// The hash of the new secret, made elsewhere; without it one is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// How long the old one stays valid; 24 hours if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<String>,
    /// The old one ends when nobody used it for so long. Without a new secret: of the rotation
    /// that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_when_idle: Option<String>,
}

/// A field that says nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// Which.
    pub field: &'static str,
    /// What is wrong, without the value: somebody may have written a secret there.
    pub message: String,
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// A token that can be made, but for its secret.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Everything; its fingerprint and id mean nothing unless `given`.
    pub record: TokenRecord,
    /// The secret was made elsewhere and is in the record.
    pub given: bool,
    /// Its end was said as a time from now, so that it differs when it is said again.
    pub relative: bool,
}

/// A grace period that nobody said.
const GRACE: Duration = Duration::from_hours(24);

impl CreateRequest {
    /// What it means, at this time.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn draft(&self, now: Timestamp) -> Result<Draft, Vec<FieldFault>> {
        let mut reading = Reading::new(now);
        let level = reading
            .take("level", level(&self.level))
            .unwrap_or(Level::Service);
        let name = reading.name(&self.name);
        let plugins = reading.plugins(&self.plugins);
        let scopes = reading.scopes(&self.scopes, level);
        let expires = reading.when("expires", self.expires.as_deref());
        let not_before = reading.when("not_before", self.not_before.as_deref());
        reading.order(not_before, expires);
        if expires.is_some_and(|end| end <= now) {
            reading.fault("expires", "is in the past");
        }
        let limits = self.limits(&mut reading);
        reading.bounds_of(level, &limits);
        let note = reading.note(self.note.as_deref());
        let given = reading.hash(self.sha256.as_deref());
        let id = self
            .id
            .as_deref()
            .map(|id| reading.id(id, level, given.is_some()));
        let fingerprint = given.unwrap_or(Fingerprint([0; 32]));
        reading.finish(Draft {
            record: TokenRecord {
                id: id.map_or_else(|| super::foreign_id(&fingerprint), Arc::from),
                name,
                level,
                plugins,
                scopes,
                current: SecretRecord {
                    elsewhere: given.is_some(),
                    since: Some(now),
                    ..SecretRecord::new(fingerprint)
                },
                previous: None,
                not_before,
                expires,
                state: State::Active,
                limits: (!limits.is_empty()).then(|| Arc::new(limits)),
                note,
                made: None,
                ending: None,
            },
            given: given.is_some(),
            relative: self
                .expires
                .as_deref()
                .is_some_and(|text| duration(text).is_some()),
        })
    }

    fn limits(&self, reading: &mut Reading) -> TokenLimits {
        if self.concurrency == Some(0) {
            reading.fault(
                "concurrency",
                "must be at least 1; leave it out for no bound",
            );
        }
        TokenLimits {
            rate: reading.rate("rate", self.rate.as_deref()),
            quota: reading.rate("quota", self.quota.as_deref()),
            concurrency: self.concurrency.and_then(NonZeroU32::new),
            networks: reading.networks(&self.networks),
        }
    }
}

impl Draft {
    /// Whether a token that exists is what is asked for.
    pub fn is(&self, known: &TokenRecord) -> bool {
        let (new, same_end) = (&self.record, self.record.expires == known.expires);
        let end = same_end || (self.relative && known.expires.is_some());
        end && new.name == known.name
            && new.level == known.level
            && new.plugins == known.plugins
            && new.scopes == known.scopes
            && new.not_before == known.not_before
            && new.limits == known.limits
            && new.note == known.note
    }
}

impl SetRequest {
    /// The record as it is asked for. A grace period ends no later than the token.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn apply(
        &self,
        record: &TokenRecord,
        now: Timestamp,
    ) -> Result<TokenRecord, Vec<FieldFault>> {
        let mut reading = Reading::new(now);
        let mut next = record.clone();
        if let Some(name) = &self.name {
            next.name = reading.name(name);
        }
        if let Some(plugins) = &self.plugins {
            next.plugins = reading.plugins(plugins);
        }
        if let Some(scopes) = &self.scopes {
            next.scopes = reading.scopes(scopes, record.level);
        }
        if let Some(text) = &self.expires {
            next.expires = reading.when("expires", unless(text, "never"));
            if next.expires.is_some_and(|end| end <= now) {
                reading.fault("expires", "is in the past: `token revoke` ends a token now");
            }
        }
        if let Some(text) = &self.not_before {
            next.not_before = reading.when("not_before", unless(text, "never"));
        }
        reading.order(next.not_before, next.expires);
        next.limits = self.limits(record, &mut reading);
        if let Some(limits) = &next.limits {
            reading.bounds_of(record.level, limits);
        }
        if let Some(note) = &self.note {
            next.note = reading.note(unless(note, ""));
        }
        if let (Some(previous), Some(end)) = (&mut next.previous, next.expires) {
            previous.until = previous.until.map(|until| until.min(end));
        }
        reading.finish(next)
    }

    fn limits(&self, record: &TokenRecord, reading: &mut Reading) -> Option<Arc<TokenLimits>> {
        let mut limits = record.limits.as_deref().cloned().unwrap_or_default();
        let bound = |text: &String| (text != "off").then(|| text.clone());
        if let Some(rate) = &self.rate {
            limits.rate = reading.rate("rate", bound(rate).as_deref());
        }
        if let Some(quota) = &self.quota {
            limits.quota = reading.rate("quota", bound(quota).as_deref());
        }
        if let Some(concurrency) = self.concurrency {
            limits.concurrency = NonZeroU32::new(concurrency);
        }
        if let Some(networks) = &self.networks {
            limits.networks = reading.networks(networks);
        }
        (!limits.is_empty()).then(|| Arc::new(limits))
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RotateRequest {
    /// The hash, the grace period and the idle time that it says.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn read(
        &self,
    ) -> Result<(Option<Fingerprint>, Duration, Option<Duration>), Vec<FieldFault>> {
        let mut reading = Reading::new(Timestamp::UNIX_EPOCH);
        let given = reading.hash(self.sha256.as_deref());
        let grace = self
            .grace
            .as_deref()
            .map_or(GRACE, |text| reading.duration("grace", text));
        let idle = self
            .finish_when_idle
            .as_deref()
            .map(|text| reading.duration("finish_when_idle", text));
        if idle == Some(Duration::ZERO) {
            reading.fault(
                "finish_when_idle",
                "must be longer than nothing; `--finish` ends it now",
            );
        }
        reading.finish((given, grace, idle))
    }
}

#[cfg(test)]
mod tests {
    use super::super::reading::when;
    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn request() -> CreateRequest {
        CreateRequest {
            name: "ChatGPT".to_owned(),
            level: "service".to_owned(),
            plugins: vec!["todo".to_owned()],
            scopes: vec!["listTodos".to_owned()],
            ..CreateRequest::default()
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut CreateRequest), expected: &[&str]) {
        let mut request = request();
        change(&mut request);
        let faults = request.draft(now()).err().unwrap_or_default();
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        check(|_| {}, &[]);
        check(
            |request| {
                request.level = "root".to_owned();
                request.name = String::new();
                request.plugins.clear();
                request.scopes = vec!["tag:".to_owned()];
                request.expires = Some("soon".to_owned());
                request.rate = Some("fast".to_owned());
                request.concurrency = Some(0);
                request.networks = vec!["10.0.0.0/33".to_owned()];
                request.sha256 = Some("pls_".to_owned());
            },
            &[
                "level: must be service, user or admin",
                "name: must have 1 to 128 bytes",
                "plugins: must be written; `*` is every plugin",
                "scopes: entry 1 has no name after `tag:`",
                "expires: must be such as 90d, 2027-01-31 or 2027-01-31T14:00:00Z",
                "concurrency: must be at least 1; leave it out for no bound",
                "rate: must be such as 10/s, 600/min, 1000/h or 1000/day",
                "networks: entry 1 is no network such as 10.0.0.0/8 or 2001:db8::/32",
                "sha256: must be 64 hexadecimal digits: the SHA-256 of the secret, not the secret",
            ],
        );
        check(
            |request| {
                request.expires = Some("2026-11-20".to_owned());
                request.not_before = Some("1h".to_owned());
            },
            &[
                "expires: is not after `not_before`",
                "expires: is in the past",
            ],
        );
    }

    #[test]
    fn a_name_is_not_one_that_looks_like_another() {
        let ends = "name: begins or ends with a space, or with what nobody sees: leave that out";
        let turns = "name: holds a character that turns the direction of text: leave that out";
        let id = "name: is what the id of another token may be";
        for (name, fault) in [
            ("alice ", ends),
            (" alice", ends),
            ("  ", ends),
            ("alice\u{a0}", ends),
            ("alice\u{200b}", ends),
            ("\u{feff}alice", ends),
            ("ali\u{202e}ce", turns),
            ("pls_ab12CD34", id),
            ("pla_00000000", id),
        ] {
            check(|request| request.name = name.to_owned(), &[fault]);
            let set = SetRequest {
                name: Some(name.to_owned()),
                ..SetRequest::default()
            };
            let record = request().draft(now()).unwrap().record;
            let faults = set.apply(&record, now()).unwrap_err();
            assert_eq!(faults[0].to_string(), fault);
        }
        for name in ["Alice B", "pls_ab12", "pls_ab12CD345", "👩\u{200d}🚀 team"] {
            check(|request| request.name = name.to_owned(), &[]);
        }
        // One that is there already keeps it when something else is changed.
        let mut record = request().draft(now()).unwrap().record;
        record.name = "alice ".into();
        let set = SetRequest {
            note: Some(" indented".to_owned()),
            ..SetRequest::default()
        };
        assert_eq!(&*set.apply(&record, now()).unwrap().name, "alice ");
    }

    #[test]
    fn ipv4_in_the_form_of_ipv6_is_ipv4() {
        let mut asked = request();
        asked.networks = vec![
            "::ffff:10.0.0.0/104".to_owned(),
            "10.0.0.0/8".to_owned(),
            "::ffff:192.0.2.1".to_owned(),
        ];
        let limits = asked.draft(now()).unwrap().record.limits.unwrap();
        let told: Vec<String> = limits.networks.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["10.0.0.0/8", "192.0.2.1/32"]);
        check(
            |request| request.networks = vec!["::ffff:10.0.0.0/64".to_owned()],
            &[
                "networks: entry 1 is an IPv4 address in the form of IPv6, of which it takes less than \
               the 96 bits that say so; write the IPv4 network, such as 10.0.0.0/8",
            ],
        );
    }

    #[test]
    fn moments() {
        for (text, expected) in [
            ("90d", "2027-02-18T12:00:00Z"),
            ("1h 30m", "2026-11-20T13:30:00Z"),
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("2027-01-31T14:00:00+02:00", "2027-01-31T12:00:00Z"),
        ] {
            assert_eq!(
                when(text, now()).unwrap(),
                expected.parse().unwrap(),
                "{text}"
            );
        }
        for text in ["", "3 months", "1y", "2027-13-01", "90", "-5d", "999999d"] {
            assert!(when(text, now()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_set_back() {
        let mut full = request();
        full.expires = Some("1d".to_owned());
        full.rate = Some("10/s".to_owned());
        full.networks = vec!["10.0.0.1".to_owned()];
        full.note = Some("for tests".to_owned());
        let record = full.draft(now()).unwrap().record;
        let set = SetRequest {
            expires: Some("never".to_owned()),
            rate: Some("off".to_owned()),
            networks: Some(Vec::new()),
            note: Some(String::new()),
            ..SetRequest::default()
        };
        let bare = set.apply(&record, now()).unwrap();
        assert_eq!(bare, request().draft(now()).unwrap().record);
        assert_eq!(SetRequest::default().apply(&record, now()).unwrap(), record);
    }

    #[test]
    fn the_same_asked_again_is_the_same() {
        let mut asked = request();
        asked.sha256 = Some("ab".repeat(32));
        asked.expires = Some("90d".to_owned());
        let first = asked.draft(now()).unwrap().record;
        let later = now() + Duration::from_mins(1);
        assert!(asked.draft(later).unwrap().is(&first));
        asked.note = Some("another".to_owned());
        assert!(!asked.draft(later).unwrap().is(&first));
    }
}
