//! One line of a token file into one record, every fault of it at once.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::super::{
    Ending, Fingerprint, Level, Making, Plugins, ScopeList, SecretRecord, Selector, Slot, State,
    TokenLimits, TokenRecord, contains_token,
};
use super::fields::{Field, Fields, OF_NOTHING, Strange};
use super::foreign_id;

/// Most plugins, and most scopes, of one token.
pub(in crate::tokens) const MAX_LIST: usize = 1000;
/// Most bytes of an id.
pub(in crate::tokens) const MAX_ID: usize = 64;
/// Most bytes of a name, and of a note.
pub(in crate::tokens) const MAX_NAME: usize = 128;
pub(in crate::tokens) const MAX_NOTE: usize = 1024;

/// One fault of a line.
#[derive(Debug)]
pub(super) struct Fault {
    /// Byte in the line, from 0.
    pub(super) at: Option<usize>,
    /// What is wrong; holds no value of the line.
    pub(super) message: String,
}

/// Reads lines. Most tokens of a file have the same few lists: each is read once.
#[derive(Debug, Default)]
pub(super) struct Reader<'a> {
    /// Plugins by the text of their list.
    plugins: HashMap<&'a str, Plugins>,
    /// Scopes by the text of their list.
    scopes: HashMap<&'a str, Arc<ScopeList>>,
    /// Bounds that a line had.
    limits: HashSet<Arc<TokenLimits>>,
    /// The name that was read last: whoever makes a million tokens gives many the same.
    name: Option<Arc<str>>,
}

impl<'a> Reader<'a> {
    /// Reads a line without surrounding space.
    pub(super) fn read(&mut self, text: &'a str) -> Result<TokenRecord, Vec<Fault>> {
        let mut line = Line {
            text,
            faults: Vec::new(),
        };
        let record = line
            .object(text, Field::OF_LINE)
            .and_then(|fields| self.record(&mut line, &fields));
        match record {
            Some(record) if line.faults.is_empty() => Ok(record),
            Some(_) | None => Err(line.faults),
        }
    }

    /// The record that the fields make. Every field is read before any can end the reading,
    /// so that all faults are found.
    fn record(&mut self, line: &mut Line<'a>, fields: &Fields<'a>) -> Option<TokenRecord> {
        let level = line.level(fields);
        let plugins = self.plugins(line, fields);
        let scopes = self.scopes(line, fields, level);
        let secrets = line.secrets(fields);
        let id = line.label(fields, Field::Id, MAX_ID);
        let name = line.label(fields, Field::Name, MAX_NAME).map(|name| {
            let same = self.name.as_ref().filter(|last| **last == name);
            let name = same.map_or(name, Arc::clone);
            self.name = Some(Arc::clone(&name));
            name
        });
        let note = line.label(fields, Field::Note, MAX_NOTE);
        let not_before = line.time(fields, Field::NotBefore);
        let expires = line.time(fields, Field::Expires);
        let state = line.state(fields);
        let limits = line.limits(fields).map(|limits| {
            let known = self.limits.get(&limits).map(Arc::clone);
            known.unwrap_or_else(|| {
                self.limits.insert(Arc::clone(&limits));
                limits
            })
        });
        let made = line.made(fields);
        let ending = line.ending(fields, state);
        if not_before
            .zip(expires)
            .is_some_and(|(start, end)| end <= start)
        {
            line.fault(
                fields.get(Field::Expires),
                "`expires` is not after `not_before`",
            );
        }
        let (current, previous) = secrets?;
        let id = id.unwrap_or_else(|| foreign_id(&current.fingerprint));
        Some(TokenRecord {
            name: name.unwrap_or_else(|| Arc::clone(&id)),
            id,
            level: level?,
            plugins: plugins?,
            scopes: scopes?,
            current,
            previous,
            not_before,
            expires,
            state,
            limits,
            note,
            made,
            ending,
        })
    }

    /// `plugins`
    fn plugins(&mut self, line: &mut Line<'a>, fields: &Fields<'a>) -> Option<Plugins> {
        let raw = line.required(fields, Field::Plugins)?;
        if let Some(known) = self.plugins.get(raw.get()) {
            return Some(known.clone());
        }
        let names = line.list(raw, Field::Plugins)?;
        let good = |name: &str| {
            (1..=50).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !names.iter().all(|name| name == "*" || good(name)) {
            line.fault(Some(raw), "`plugins` has an entry that is no plugin's name");
            return None;
        }
        let plugins = Plugins::new(names.iter().map(AsRef::as_ref));
        self.plugins.insert(raw.get(), plugins.clone());
        Some(plugins)
    }

    /// `scopes`, which an admin token need not have.
    fn scopes(
        &mut self,
        line: &mut Line<'a>,
        fields: &Fields<'a>,
        level: Option<Level>,
    ) -> Option<Arc<ScopeList>> {
        if level == Some(Level::Admin) && fields.get(Field::Scopes).is_none() {
            return Some(Arc::clone(self.scopes.entry("").or_default()));
        }
        let raw = line.required(fields, Field::Scopes)?;
        if let Some(known) = self.scopes.get(raw.get()) {
            return Some(Arc::clone(known));
        }
        let texts = line.list(raw, Field::Scopes)?;
        let mut selectors = Vec::with_capacity(texts.len());
        for (number, text) in (1..).zip(&texts) {
            match Selector::parse(text) {
                Ok(selector) => selectors.push(selector),
                Err(error) => {
                    line.fault(Some(raw), format!("entry {number} of `scopes` {error}"));
                    return None;
                }
            }
        }
        let scopes = Arc::new(ScopeList::new(selectors));
        self.scopes.insert(raw.get(), Arc::clone(&scopes));
        Some(scopes)
    }
}

/// A line and what was found wrong in it.
pub(super) struct Line<'a> {
    /// Without surrounding space.
    text: &'a str,
    /// So far.
    faults: Vec<Fault>,
}

impl<'a> Line<'a> {
    /// Notes a fault at a value of this line.
    pub(super) fn fault(&mut self, at: Option<&RawValue>, message: impl Into<String>) {
        let at = at.and_then(|raw| self.offset(raw.get()));
        self.faults.push(Fault {
            at,
            message: message.into(),
        });
    }

    /// Where a part of the line begins.
    fn offset(&self, part: &str) -> Option<usize> {
        let offset = part
            .as_ptr()
            .addr()
            .checked_sub(self.text.as_ptr().addr())?;
        (offset <= self.text.len()).then_some(offset)
    }

    /// The fields of an object, which is the line or a part of it.
    fn object(&mut self, text: &'a str, known: &'static [Field]) -> Option<Fields<'a>> {
        let fields = match Fields::read(text, known) {
            Ok(fields) => fields,
            Err(error) if error.is_data() => {
                let at = self.offset(text);
                self.faults.push(Fault {
                    at,
                    message: "is not a JSON object".to_owned(),
                });
                return None;
            }
            Err(error) => {
                // Faults of syntax are fixed sentences, followed by a place that counts from
                // where the reading began.
                let sentence = error.to_string();
                let what = sentence.split(" at line ").next().unwrap_or_default();
                let at = error.column().saturating_sub(1).min(self.text.len());
                self.faults.push(Fault {
                    at: Some(at),
                    message: format!("is not JSON: {what}"),
                });
                return None;
            }
        };
        for strange in &fields.strange {
            self.strange(strange, known);
        }
        Some(fields)
    }

    /// Says what a field does not belong there for.
    fn strange(&mut self, strange: &Strange, known: &[Field]) {
        let (name, message) = match strange {
            Strange::Twice(field) => (
                Some(field.name()),
                format!("`{}` is written twice", field.name()),
            ),
            Strange::Credential(name) => (
                Some(*name),
                format!(
                    "`{name}` would be a secret, and a token file holds none: write its hash as \
                     `sha256`, and replace the secret if it was in this file"
                ),
            ),
            Strange::Unknown(name) => {
                let what = name.as_ref().map_or_else(
                    || "a field with an unusual name is not known".to_owned(),
                    |name| format!("`{name}` is not known"),
                );
                let names: Vec<_> = known.iter().map(|field| field.name()).collect();
                (
                    name.as_deref(),
                    format!("{what}; there are {}", names.join(", ")),
                )
            }
        };
        let at = name.and_then(|name| self.text.rfind(&format!("\"{name}\"")));
        self.faults.push(Fault { at, message });
    }

    /// A field that must be written.
    fn required(&mut self, fields: &Fields<'a>, field: Field) -> Option<&'a RawValue> {
        let value = fields.get(field);
        if value.is_none() {
            self.fault(None, format!("`{}` must be written", field.name()));
        }
        value
    }

    /// A value that must be text.
    pub(super) fn text(&mut self, raw: &'a RawValue, field: Field) -> Option<Cow<'a, str>> {
        let text = unquote(raw.get());
        if text.is_none() {
            self.fault(Some(raw), format!("`{}` must be text", field.name()));
        }
        text
    }

    /// A value that must be a list of texts, at least one.
    pub(super) fn list(&mut self, raw: &'a RawValue, field: Field) -> Option<Vec<String>> {
        let name = field.name();
        match serde_json::from_str::<Vec<String>>(raw.get()) {
            Ok(list) if list.is_empty() => {
                self.fault(Some(raw), format!("`{name}` is empty; [\"*\"] is all"));
            }
            Ok(list) if list.len() > MAX_LIST => {
                self.fault(
                    Some(raw),
                    format!("`{name}` has more than {MAX_LIST} entries"),
                );
            }
            Ok(list) if list.iter().any(|text| contains_token(text)) => {
                self.fault(Some(raw), format!("`{name}` holds a secret"));
            }
            Ok(list) => return Some(list),
            Err(_) => self.fault(Some(raw), format!("`{name}` must be a list of texts")),
        }
        None
    }

    /// `level`
    fn level(&mut self, fields: &Fields<'a>) -> Option<Level> {
        let raw = self.required(fields, Field::Level)?;
        let level = Level::from_word(&self.text(raw, Field::Level)?);
        if level.is_none() {
            self.fault(Some(raw), "`level` must be service, user or admin");
        }
        level
    }

    /// `id`, `name` or `note`: they are shown to everybody, so a token in them is a leak.
    fn label(&mut self, fields: &Fields<'a>, field: Field, max: usize) -> Option<Arc<str>> {
        let raw = fields.get(field)?;
        let text = self.text(raw, field)?;
        let name = field.name();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let message = if let Some(fault) = label_fault(&text, max) {
            format!("`{name}` {fault}")
        } else if field == Field::Id && !text.bytes().all(allowed) {
            "`id` may have letters, digits, `_`, `.` and `-` only".to_owned()
        } else {
            return Some(text.into());
        };
        self.fault(Some(raw), message);
        None
    }

    /// A time, if it is written.
    fn time(&mut self, fields: &Fields<'a>, field: Field) -> Option<Timestamp> {
        let raw = fields.get(field)?;
        let time = self.text(raw, field)?.parse();
        if time.is_err() {
            let example = "must be a time such as 2026-12-02T14:00:00Z";
            self.fault(Some(raw), format!("`{}` {example}", field.name()));
        }
        time.ok()
    }

    /// `state` and `revoked_at`
    fn state(&mut self, fields: &Fields<'a>) -> State {
        let at = self.time(fields, Field::RevokedAt);
        let raw = fields.get(Field::State);
        let text = raw.and_then(|raw| self.text(raw, Field::State));
        let state = match text.as_deref() {
            None | Some("active") => State::Active,
            Some("suspended") => State::Suspended,
            Some("revoked") => State::Revoked { at },
            Some(_) => {
                self.fault(raw, "`state` must be active, suspended or revoked");
                State::Active
            }
        };
        if at.is_some() && !matches!(state, State::Revoked { .. }) {
            self.fault(
                fields.get(Field::RevokedAt),
                "`revoked_at` needs `state` to be revoked",
            );
        }
        state
    }

    /// `created_at` and `created_by`
    fn made(&mut self, fields: &Fields<'a>) -> Option<Arc<Making>> {
        let at = self.time(fields, Field::CreatedAt);
        let by = self.label(fields, Field::CreatedBy, MAX_NAME);
        if at.is_some() != by.is_some() {
            let written = fields
                .get(Field::CreatedAt)
                .or(fields.get(Field::CreatedBy));
            self.fault(written, "`created_at` and `created_by` need each other");
        }
        let (at, by) = at.zip(by)?;
        Some(Arc::new(Making { at, by }))
    }

    /// `revoked_by` and `revoked_reason`
    fn ending(&mut self, fields: &Fields<'a>, state: State) -> Option<Arc<Ending>> {
        let by = self.label(fields, Field::RevokedBy, MAX_NAME);
        let reason = self.label(fields, Field::RevokedReason, MAX_NOTE);
        let written = fields
            .get(Field::RevokedBy)
            .or(fields.get(Field::RevokedReason));
        if by.is_some() != reason.is_some() {
            self.fault(written, "`revoked_by` and `revoked_reason` need each other");
        }
        if written.is_some() && !matches!(state, State::Revoked { .. }) {
            self.fault(written, "`revoked_by` needs `state` to be revoked");
        }
        let (by, reason) = by.zip(reason)?;
        Some(Arc::new(Ending { by, reason }))
    }

    /// A hash.
    fn fingerprint(&mut self, fields: &Fields<'a>) -> Option<Fingerprint> {
        let raw = self.required(fields, Field::Sha256)?;
        let fingerprint = Fingerprint::from_hex(&self.text(raw, Field::Sha256)?);
        let message = match fingerprint {
            None => "`sha256` must be 64 hexadecimal digits",
            Some(one) if one.is_of_nothing() => OF_NOTHING,
            Some(_) => return fingerprint,
        };
        self.fault(Some(raw), message);
        None
    }

    /// `sha256`, or `secrets`: the current one and perhaps the previous one.
    fn secrets(&mut self, fields: &Fields<'a>) -> Option<(SecretRecord, Option<SecretRecord>)> {
        let Some(raw) = fields.get(Field::Secrets) else {
            let fingerprint = self.fingerprint(fields)?;
            return Some((SecretRecord::new(fingerprint), None));
        };
        if let Some(other) = fields.get(Field::Sha256) {
            self.fault(Some(other), "has both `sha256` and `secrets`");
            return None;
        }
        let list = serde_json::from_str::<Vec<&'a RawValue>>(raw.get()).unwrap_or_default();
        if !(1..=2).contains(&list.len()) {
            self.fault(Some(raw), "`secrets` must be a list of one or two");
            return None;
        }
        let read: Vec<_> = list.iter().map(|one| self.secret(one)).collect();
        let mut current = None;
        let mut previous = None;
        for (number, secret) in read.into_iter().enumerate() {
            let (slot, secret) = secret?;
            let default = if number == 0 {
                Slot::Current
            } else {
                Slot::Previous
            };
            let place = match slot.unwrap_or(default) {
                Slot::Current => &mut current,
                Slot::Previous => &mut previous,
            };
            if place.replace(secret).is_some() {
                self.fault(Some(raw), "`secrets` has the same slot twice");
                return None;
            }
        }
        let Some(current) = current else {
            self.fault(Some(raw), "`secrets` has no current one");
            return None;
        };
        if previous.is_some_and(|other| other.fingerprint == current.fingerprint) {
            self.fault(Some(raw), "`secrets` has the same hash twice");
            return None;
        }
        Some((current, previous))
    }

    /// One of `secrets`.
    fn secret(&mut self, raw: &'a RawValue) -> Option<(Option<Slot>, SecretRecord)> {
        let fields = self.object(raw.get(), Field::OF_SECRET)?;
        let until = self.time(&fields, Field::Until);
        let slot = match fields.get(Field::Slot) {
            None => None,
            Some(raw) => match self.text(raw, Field::Slot)?.as_ref() {
                "current" => Some(Slot::Current),
                "previous" => Some(Slot::Previous),
                _ => {
                    self.fault(Some(raw), "`slot` must be current or previous");
                    None
                }
            },
        };
        let secret = SecretRecord {
            until,
            since: self.time(&fields, Field::Since),
            until_before: self.time(&fields, Field::UntilBefore),
            elsewhere: self.value(&fields, Field::Elsewhere, "true or false") == Some(true),
            finish_when_idle: self
                .value(&fields, Field::FinishWhenIdle, "a whole number of seconds")
                .map(Duration::from_secs),
            ..SecretRecord::new(self.fingerprint(&fields)?)
        };
        Some((slot, secret))
    }
}

/// Why a text can not be shown to everybody as a name or a note.
pub(in crate::tokens) fn label_fault(text: &str, max: usize) -> Option<String> {
    if text.is_empty() || text.len() > max {
        Some(format!("must have 1 to {max} bytes"))
    } else if contains_token(text) {
        Some("holds a secret".to_owned())
    } else if text.chars().any(char::is_control) {
        Some("holds a control character".to_owned())
    } else {
        None
    }
}

/// The text in a JSON string; `None` for any other value. Most have no escape and are borrowed.
fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}
