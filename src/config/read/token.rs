//! `[tokens.KEY]`: declared tokens.

use std::num::NonZeroU32;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use toml::de::DeValue;

use super::server;
use super::upstream::referenced;
use crate::config::section::{Reading, Section, understood};
use crate::config::values::{self, Fault};
use crate::config::{DeclaredSecret, DeclaredToken, Selector, SelectorError, Spanned};
use crate::problems::Place;
use crate::tokens::{Fingerprint, Level, TokenLimits};

/// Shortest secret, in bytes: what is shorter can be guessed.
const SHORTEST: usize = 16;

/// Longest secret, in bytes: it must fit into a request head with all the rest.
const LONGEST: usize = 4096;

/// The tokens of a file, in the order in which they were written.
pub(in crate::config) fn tokens(
    root: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Vec<DeclaredToken> {
    let mut tokens = Vec::new();
    for (id, at, section) in root.named("tokens", reading) {
        let first = check_key(&id, &at, reading);
        tokens.push(token(id, at, &section, first, reading));
    }
    tokens
}

/// A key that can be an id beside those of all other tokens. Whether nobody had it before.
fn check_key(id: &str, at: &Place, reading: &mut Reading<'_>) -> bool {
    let valid = (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if !valid {
        reading.problems.add(
            at,
            "a token's key has 1 to 64 letters, digits, `_`, `.` and `-`",
        );
    }
    if ["pls_", "plu_", "pla_", "plf_"]
        .iter()
        .any(|prefix| id.starts_with(prefix))
    {
        reading
            .problems
            .add(
                at,
                "a token's key does not begin as the ids of made tokens do",
            )
            .help("take a name, such as `chatgpt`; the key is never the secret");
    }
    if let Some(first) = reading.seen.tokens.get(id) {
        let message = format!("the token `{id}` is already defined at {first}");
        reading.problems.add(at, message);
        return false;
    }
    reading.seen.tokens.insert(id.to_owned(), at.clone());
    true
}

/// One token; if it is not the first of its key, its secrets are compared with no others.
fn token(
    id: String,
    at: Place,
    section: &Section<'_>,
    first: bool,
    reading: &mut Reading<'_>,
) -> DeclaredToken {
    let level = match section.choice("level", reading) {
        Some("user") => Level::User,
        Some("admin") => Level::Admin,
        _ => Level::Service,
    };
    let grace = section.duration("grace", reading).unwrap_or_default();
    if let (Some(at), None) = (section.written("grace"), section.written("secret")) {
        reading
            .problems
            .warn(&at, "the grace period has no effect without `secret`")
            .help("in `secrets`, `until` says how long the previous one is valid");
    }
    let not_before = section.time("not_before", reading);
    let expires = section.time("expires", reading);
    ended(expires.as_ref(), "the token has already expired", reading);
    if let (Some((start, _)), Some((end, at))) = (&not_before, &expires)
        && start >= end
    {
        reading
            .problems
            .add(at, "the token expires before it becomes valid");
    }
    DeclaredToken {
        level,
        plugins: plugins(section, reading),
        scopes: scopes(section, reading),
        secrets: secrets(first.then_some(id.as_str()), section, reading),
        grace,
        not_before: not_before.map(|(time, _)| time),
        expires: expires.map(|(time, _)| time),
        limits: limits(section, reading),
        note: section.text("note", reading).map(|note| note.value),
        id,
        at,
    }
}

/// `rate`, `quota`, `concurrency` and `networks`; `None`: none of them.
fn limits(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<Arc<TokenLimits>> {
    let concurrency = section.integer("concurrency", reading);
    let limits = TokenLimits {
        rate: section.rate("rate", reading),
        quota: section.rate("quota", reading),
        concurrency: concurrency
            .and_then(|most| u32::try_from(most).ok())
            .and_then(NonZeroU32::new),
        networks: networks(section, reading),
    };
    (!limits.is_empty()).then(|| Arc::new(limits))
}

/// `networks`. An empty list could mean anywhere or nowhere.
fn networks(section: &Section<'_>, reading: &mut Reading<'_>) -> Vec<IpNet> {
    let list = server::networks(section, "networks", reading);
    if let Some(at) = empty_list(section, "networks") {
        reading
            .problems
            .add(&at, format!("`{}` is empty", at.key))
            .help("leave it out if the token may be used from anywhere");
    }
    let most = TokenLimits::MOST_NETWORKS;
    if let Some((_, at)) = list.get(most) {
        let message = format!("a token has at most {most} networks");
        reading
            .problems
            .add(at, message)
            .help("write networks that hold several of them");
    }
    list.into_iter().map(|(network, _)| network).collect()
}

/// Where a list without any entry was written.
fn empty_list(section: &Section<'_>, name: &str) -> Option<Place> {
    match section.find(name)? {
        (DeValue::Array(items), at) if items.is_empty() => Some(at),
        _ => None,
    }
}

/// Warns of an end that lies in the past.
fn ended(end: Option<&(Timestamp, Place)>, message: &str, reading: &mut Reading<'_>) {
    if let Some((end, at)) = end
        && *end <= reading.now
    {
        reading.problems.warn(at, message);
    }
}

/// `plugins`: names, which are compared with the plugins once all are known.
fn plugins(section: &Section<'_>, reading: &mut Reading<'_>) -> Vec<Spanned<String>> {
    let list = section.list("plugins", reading, |text| Ok(text.to_owned()));
    not_empty(section, "plugins", reading);
    list.into_iter()
        .map(|(value, at)| Spanned { value, at })
        .collect()
}

/// `scopes`
fn scopes(section: &Section<'_>, reading: &mut Reading<'_>) -> Vec<Spanned<Selector>> {
    let list = section.list("scopes", reading, |text| {
        text.parse().map_err(|error: SelectorError| {
            Fault::with(
                error.to_string(),
                format!("{}, or `*`", SelectorError::HELP),
            )
        })
    });
    not_empty(section, "scopes", reading);
    list.into_iter()
        .map(|(value, at)| Spanned { value, at })
        .collect()
}

/// An empty list was left so by mistake, or grants nothing on purpose; neither is a token.
fn not_empty(section: &Section<'_>, name: &str, reading: &mut Reading<'_>) {
    if let Some(at) = empty_list(section, name) {
        let message = format!("`{}` is empty: the token could call nothing", at.key);
        reading
            .problems
            .add(&at, message)
            .help("write what it may call; `[\"*\"]` is all");
    }
}

/// Exactly one of `secret`, `sha256` and `secrets`.
fn secrets(
    id: Option<&str>,
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Vec<DeclaredSecret> {
    let keys = ["secret", "sha256", "secrets"];
    let written = keys.iter().filter(|key| section.written(key).is_some());
    match written.count() {
        0 => {
            reading
                .problems
                .add(section.at(), format!("`{}` has no secret", section.at().key))
                .help("write `secret = \"${env:NAME}\"`, `sha256 = \"…\"`, or two of them as `secrets`");
        }
        1 => {}
        _ => {
            reading
                .problems
                .add(
                    section.at(),
                    "only one of `secret`, `sha256` and `secrets` can be written",
                )
                .help("for two at a time, write both into `secrets`");
        }
    }
    let mut secrets: Vec<DeclaredSecret> = one(id, section, None, reading).into_iter().collect();
    let tables = section.tables("secrets", reading);
    if let Some(at) = section.written("secrets")
        && !(1..=2).contains(&tables.len())
    {
        reading
            .problems
            .add(&at, "a token has one or two secrets, the current one first");
    }
    for table in &tables {
        let until = table.time("until", reading);
        ended(until.as_ref(), "the secret has already ended", reading);
        let count = ["secret", "sha256"]
            .iter()
            .filter(|key| table.written(key).is_some())
            .count();
        if count != 1 {
            reading
                .problems
                .add(table.at(), "write one of `secret` and `sha256`");
        }
        secrets.extend(one(id, table, until.map(|(time, _)| time), reading));
    }
    secrets
}

/// The secret of a table, by `secret` or by `sha256`.
fn one(
    id: Option<&str>,
    section: &Section<'_>,
    until: Option<Timestamp>,
    reading: &mut Reading<'_>,
) -> Option<DeclaredSecret> {
    let by_hash = section.parsed("sha256", reading, values::fingerprint);
    let by_secret = section
        .written("secret")
        .and_then(|_| referenced(section, "secret", reading))
        .and_then(|text| understood(&text, &mut reading.problems, presentable));
    let at = section.written("secret").or(section.written("sha256"))?;
    let fingerprint = by_secret.or(by_hash)?;
    if let Some(id) = id {
        claim(fingerprint, id, &at, reading);
    }
    Some(DeclaredSecret { fingerprint, until })
}

/// The fingerprint of a secret that a client can send and nobody can guess.
fn presentable(secret: &str) -> Result<Fingerprint, Fault> {
    if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::with(
            "can not be sent in a header: it has white space or characters other than visible \
             ASCII",
            "`plugway token generate` makes a good one",
        ));
    }
    if secret.len() < SHORTEST {
        return Err(Fault::with(
            format!("is shorter than {SHORTEST} bytes"),
            "`plugway token generate` makes a good one",
        ));
    }
    if secret.len() > LONGEST {
        return Err(Fault::new(format!("is longer than {LONGEST} bytes")));
    }
    Ok(Fingerprint::of(secret.as_bytes()))
}

/// A secret belongs to one token: which of two should a request be?
fn claim(fingerprint: Fingerprint, id: &str, at: &Place, reading: &mut Reading<'_>) {
    if let Some((other, first)) = reading.seen.fingerprints.get(&fingerprint) {
        let message = if other == id {
            format!("the token has the same secret twice, see {first}")
        } else {
            format!("the token `{other}` has the same secret, see {first}")
        };
        reading
            .problems
            .add(at, message)
            .help("every token has secrets of its own");
    } else {
        let claim = (id.to_owned(), at.clone());
        reading.seen.fingerprints.insert(fingerprint, claim);
    }
}
