//! A record as a line.

use jiff::Timestamp;
use serde::Serialize;

use super::super::{State, TokenRecord};

impl TokenRecord {
    /// The record as a line of a token file, without the line's end.
    ///
    /// # Panics
    /// Never: texts, lists of texts and times always have a JSON form.
    pub fn to_line(&self) -> String {
        let rotates = self.current.until.is_some() || self.previous.is_some();
        let secrets = self.secrets().map(|(slot, secret)| Secret {
            sha256: secret.fingerprint.to_hex(),
            until: secret.until,
            slot: slot.as_str(),
        });
        let (state, revoked_at) = match self.state {
            State::Active => (None, None),
            State::Suspended => (Some("suspended"), None),
            State::Revoked { at } => (Some("revoked"), at),
        };
        let line = Line {
            id: &self.id,
            name: (self.name != self.id).then_some(&*self.name),
            level: self.level.as_str(),
            plugins: self.plugins.names().collect(),
            scopes: self
                .scopes
                .selectors()
                .iter()
                .map(ToString::to_string)
                .collect(),
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
            note: self.note.as_deref(),
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
    /// If there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
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
}
