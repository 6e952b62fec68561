//! Fields that somebody wrote, and what is wrong in them.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};

use super::file::{MAX_ID, MAX_LIST, MAX_NAME, MAX_NOTE, label_fault, name_fault};
use super::{
    FieldFault, Fingerprint, Level, NetworkError, Plugins, Rate, RateError, ScopeList, Selector,
    TokenLimits, contains_token, parse_network,
};

/// The longest that can be said: 100 years.
const LONGEST: Duration = Duration::from_hours(24 * 36_525);

/// What is said where a hash is wanted.
pub(super) const NO_HASH: &str =
    "must be 64 hexadecimal digits: the SHA-256 of the secret, not the secret";

/// Reads fields; what is wrong in any is kept.
pub(super) struct Reading {
    pub(super) now: Timestamp,
    pub(super) faults: Vec<FieldFault>,
}

impl Reading {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            faults: Vec::new(),
        }
    }

    /// What was read, unless something was wrong.
    pub(super) fn finish<T>(self, read: T) -> Result<T, Vec<FieldFault>> {
        if self.faults.is_empty() {
            Ok(read)
        } else {
            Err(self.faults)
        }
    }

    pub(super) fn fault(&mut self, field: &'static str, message: impl Into<String>) {
        self.faults.push(FieldFault {
            field,
            message: message.into(),
        });
    }

    pub(super) fn take<T>(&mut self, field: &'static str, read: Result<T, String>) -> Option<T> {
        read.map_err(|message| self.fault(field, message)).ok()
    }

    /// A name that a token is to have.
    pub(super) fn name(&mut self, text: &str) -> Arc<str> {
        let fault = label_fault(text, MAX_NAME);
        if let Some(fault) = fault.or_else(|| name_fault(text, None).map(str::to_owned)) {
            self.fault("name", fault);
        }
        text.into()
    }

    pub(super) fn note(&mut self, text: Option<&str>) -> Option<Arc<str>> {
        let text = text?;
        if let Some(fault) = note_fault(text) {
            self.fault("note", fault);
        }
        Some(text.into())
    }

    pub(super) fn plugins(&mut self, names: &[String]) -> Plugins {
        let good = |name: &String| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            name == "*" || ((1..=50).contains(&name.len()) && name.bytes().all(plain))
        };
        if names.is_empty() {
            self.fault("plugins", "must be written; `*` is every plugin");
        } else if names.len() > MAX_LIST {
            self.fault("plugins", format!("has more than {MAX_LIST} entries"));
        } else if names.iter().any(|name| contains_token(name)) {
            self.fault("plugins", "has an entry that holds a secret");
        } else if !names.iter().all(good) {
            self.fault("plugins", "has an entry that is no plugin's name");
        }
        Plugins::new(names.iter().map(String::as_str))
    }

    pub(super) fn scopes(&mut self, texts: &[String], level: Level) -> Arc<ScopeList> {
        if texts.is_empty() && level != Level::Admin {
            self.fault("scopes", "must be written; `*` is every operation");
        }
        if !texts.is_empty() && level == Level::Admin {
            self.fault(
                "scopes",
                "mean nothing for an admin token, which calls no operations: its plugins bound it",
            );
        }
        if texts.len() > MAX_LIST {
            self.fault("scopes", format!("has more than {MAX_LIST} entries"));
        }
        let mut selectors = Vec::with_capacity(texts.len());
        for (number, text) in (1..).zip(texts) {
            match Selector::parse(text) {
                Ok(_) if contains_token(text) => {
                    self.fault("scopes", format!("entry {number} holds a secret"));
                }
                Ok(selector) => selectors.push(selector),
                Err(error) => self.fault("scopes", format!("entry {number} {error}")),
            }
        }
        Arc::new(ScopeList::new(selectors))
    }

    pub(super) fn when(&mut self, field: &'static str, text: Option<&str>) -> Option<Timestamp> {
        let read = when(text?, self.now);
        self.take(field, read)
    }

    pub(super) fn order(&mut self, start: Option<Timestamp>, end: Option<Timestamp>) {
        if start.zip(end).is_some_and(|(start, end)| end <= start) {
            self.fault("expires", "is not after `not_before`");
        }
    }

    pub(super) fn rate(&mut self, field: &'static str, text: Option<&str>) -> Option<Rate> {
        let read = Rate::parse(text?).map_err(|error| match error {
            RateError::Form => "must be such as 10/s, 600/min, 1000/h or 1000/day".to_owned(),
            RateError::Bounds => format!("must be 1 to {} in its time", Rate::MOST),
        });
        self.take(field, read)
    }

    /// The admin API counts nothing.
    pub(super) fn bounds_of(&mut self, level: Level, limits: &TokenLimits) {
        let TokenLimits {
            rate,
            quota,
            concurrency,
            ..
        } = limits;
        let written = [
            ("rate", rate.is_some()),
            ("quota", quota.is_some()),
            ("concurrency", concurrency.is_some()),
        ];
        for (field, _) in written
            .into_iter()
            .filter(|(_, there)| *there && level == Level::Admin)
        {
            self.fault(
                field,
                "means nothing for an admin token: the admin API counts nothing",
            );
        }
    }

    pub(super) fn networks(&mut self, texts: &[String]) -> Vec<IpNet> {
        let most = TokenLimits::MOST_NETWORKS;
        if texts.len() > most {
            self.fault("networks", format!("has more than {most} entries"));
        }
        let mut networks = Vec::with_capacity(texts.len());
        for (number, text) in (1..).zip(texts) {
            match parse_network(text) {
                Ok(network) => networks.push(network),
                Err(NetworkError::Form) => self.fault(
                    "networks",
                    format!("entry {number} is no network such as 10.0.0.0/8 or 2001:db8::/32"),
                ),
                Err(NetworkError::Mapped) => self.fault(
                    "networks",
                    format!(
                        "entry {number} {}; write the IPv4 network, such as 10.0.0.0/8",
                        NetworkError::MAPPED
                    ),
                ),
            }
        }
        networks.sort_unstable();
        networks.dedup();
        networks
    }

    pub(super) fn hash(&mut self, text: Option<&str>) -> Option<Fingerprint> {
        let read = Fingerprint::from_hex(text?);
        let read = read.ok_or_else(|| NO_HASH.to_owned());
        let read = read.and_then(|hash| {
            let nothing = "is that of nothing: the secret was empty when it was hashed";
            if hash.is_of_nothing() {
                Err(nothing.to_owned())
            } else {
                Ok(hash)
            }
        });
        self.take("sha256", read)
    }

    pub(super) fn id(&mut self, id: &str, level: Level, given: bool) -> String {
        let own = super::format::is_public_id(id, level);
        if !given {
            self.fault(
                "id",
                "goes with `sha256` only: a secret that is made here brings its own",
            );
        } else if !own || id.len() > MAX_ID {
            self.fault("id", "must be the first 12 characters of the secret, such as pls_ab12cd34, of the same level");
        }
        id.to_owned()
    }

    pub(super) fn duration(&mut self, field: &'static str, text: &str) -> Duration {
        let read = duration(text).ok_or_else(|| {
            "must be a time such as 30m, 24h, 7d or 0s, at most 100 years".to_owned()
        });
        self.take(field, read).unwrap_or_default()
    }
}

/// Why a text can not be kept as a note or as a reason, which everybody who lists tokens may see.
pub fn note_fault(text: &str) -> Option<String> {
    label_fault(text, MAX_NOTE)
}

/// A text, unless it is the word for none.
pub(super) fn unless<'a>(text: &'a str, none: &str) -> Option<&'a str> {
    Some(text).filter(|text| *text != none)
}

/// A word for a level.
pub(super) fn level(word: &str) -> Result<Level, String> {
    Level::from_word(word).ok_or_else(|| "must be service, user or admin".to_owned())
}

/// `90d`, `24h`, `1h 30m`: what has the same length everywhere, so no months.
pub fn duration(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(length)
        .ok()
        .filter(|length| *length <= LONGEST)
}

/// A moment: a time from now, a day (its begin, UTC), or a time with its offset.
pub(super) fn when(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Some(length) = duration(text) {
        return now
            .checked_add(length)
            .map_err(|_| "is too far away".to_owned());
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    day.and_then(|day| day.to_zoned(TimeZone::UTC).ok())
        .map(|day| day.timestamp())
        .ok_or_else(|| "must be such as 90d, 2027-01-31 or 2027-01-31T14:00:00Z".to_owned())
}
