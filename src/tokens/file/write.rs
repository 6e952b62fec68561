//! A record as a line.

use std::num::NonZeroU32;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;

use super::super::{SecretRecord, State, TokenRecord};

impl TokenRecord {
    /// The record as a line of a token file, without the line's end.
    ///
    /// # Panics
    /// Never: texts, lists of texts and times always have a JSON form.
    pub fn to_line(&self) -> String {
        let plain = SecretRecord::new(self.current.fingerprint);
        let rotates = self.current != plain || self.previous.is_some();
        let secrets = self.secrets().map(|(slot, secret)| Secret {
            sha256: secret.fingerprint.to_hex(),
            until: secret.until,
            slot: slot.as_str(),
            since: secret.since,
            elsewhere: secret.elsewhere,
            finish_when_idle_s: secret.finish_when_idle.map(|idle| idle.as_secs()),
            until_before: secret.until_before,
        });
        let (state, revoked_at) = match self.state {
            State::Active => (None, None),
            State::Suspended => (Some("suspended"), None),
            State::Revoked { at } => (Some("revoked"), at),
        };
        let limits = self.limits.as_deref();
        let line = Line {
            id: &self.id,
            name: (self.name != self.id).then_some(&*self.name),
            level: self.level.as_str(),
            plugins: self.plugins.names().collect(),
            scopes: self.scopes.texts(),
            sha256: (!rotates).then(|| self.current.fingerprint.to_hex()),
            secrets: if rotates {
                secrets.collect()
            } else {
                Vec::new()
            },
            not_before: self.not_before,
            expires: self.expires,
            state,
            revoked_at,
            rate: limits
                .and_then(|limits| limits.rate)
                .map(|rate| rate.to_string()),
            quota: limits
                .and_then(|limits| limits.quota)
                .map(|quota| quota.to_string()),
            concurrency: limits.and_then(|limits| limits.concurrency),
            networks: limits.map_or(&[], |limits| &limits.networks),
            note: self.note.as_deref(),
            created_at: self.made.as_ref().map(|made| made.at),
            created_by: self.made.as_ref().map(|made| &*made.by),
            revoked_by: self.ending.as_ref().map(|ending| &*ending.by),
            revoked_reason: self.ending.as_ref().map(|ending| &*ending.reason),
        };
        serde_json::to_string(&line).expect("texts, lists of texts and times into memory")
    }
}

/// The fields in the order in which they are written.
#[derive(Serialize)]
struct Line<'a> {
    /// Always, also when it could be derived.
    id: &'a str,
    /// Unless it is the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Its word.
    level: &'static str,
    /// `["*"]` for all.
    plugins: Vec<&'a str>,
    /// As configured; empty (and absent) only for an admin token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    /// Of one secret without an end of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<Secret>,
    /// If bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    /// If bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    /// Unless active.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// If revoked at a known time.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// If bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    /// If bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<String>,
    /// If bounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency: Option<NonZeroU32>,
    /// If bounded.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    networks: &'a [IpNet],
    /// If there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    /// If known.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// If known.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    /// If known.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_by: Option<&'a str>,
    /// If known.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_reason: Option<&'a str>,
}

/// One entry of `secrets`.
#[derive(Serialize)]
struct Secret {
    /// Its hash.
    sha256: String,
    /// If it has an end of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// Its word.
    slot: &'static str,
    /// If known.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// If it was.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    elsewhere: bool,
    /// If it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_when_idle_s: Option<u64>,
    /// If it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_before: Option<Timestamp>,
}
