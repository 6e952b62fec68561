//! Secrets that were written literally are a problem, and a problem shows its source line:
//! the line must not show the secret. So what is shown is a copy of the text with every such
//! value masked, byte by byte, so that places stay where they are.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Key, Kind, Table};

/// The text with its literal secrets masked; `syntax` says that it is no TOML, so that lines
/// are judged by their look.
pub(super) fn masked(text: &str, root: &DeTable<'_>, described: &Table, syntax: bool) -> String {
    let mut spans = Vec::new();
    table(text, described, root, &mut spans);
    if syntax {
        lines(text, &mut spans);
    }
    userinfo(text, &mut spans);
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        let Some(secret) = bytes.get_mut(span) else {
            continue;
        };
        for byte in secret {
            if !matches!(byte, b'\n' | b'\r' | b'"' | b'\'') {
                *byte = b'*';
            }
        }
    }
    // A span ends between characters, and whole characters are masked.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Masks in a table what its description says is secret. An unknown key is judged by its name
/// in other tables, and in a table that holds secrets everything unknown is one.
fn table(text: &str, described: &Table, values: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    let secrets = described
        .keys
        .iter()
        .any(|key| matches!(key.kind, Kind::Secret));
    for (name, found) in values {
        if let Some(key) = described.key(name.get_ref()) {
            value(text, &key.kind, found, spans);
            continue;
        }
        let elsewhere = keys::all()
            .into_iter()
            .filter_map(|table| table.key(name.get_ref()))
            .filter(|key: &&Key| key.kind.holds_secret());
        for key in elsewhere {
            value(text, &key.kind, found, spans);
        }
        if secrets {
            value(text, &Kind::Secret, found, spans);
        }
    }
}

/// Masks in a value what its kind says is secret, whatever its type.
fn value(text: &str, kind: &Kind, found: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    match (kind, found.get_ref()) {
        (Kind::Table(inner) | Kind::Tables(inner), DeValue::Table(values)) => {
            table(text, inner, values, spans);
        }
        (Kind::Tables(inner), DeValue::Array(items)) => {
            for item in items {
                value(text, &Kind::Table(inner), item, spans);
            }
        }
        (Kind::Named(inner), DeValue::Table(named)) => {
            for (_, item) in named {
                value(text, &Kind::Table(inner), item, spans);
            }
        }
        (Kind::Either(one, other), DeValue::Table(_)) => {
            for kind in [one, other] {
                if !matches!(kind, Kind::Secret) {
                    value(text, kind, found, spans);
                }
            }
        }
        (Kind::Either(one, _), _) => value(text, one, found, spans),
        (Kind::Secret, DeValue::Array(items)) => {
            for item in items {
                value(text, kind, item, spans);
            }
        }
        (Kind::Secret, DeValue::Table(values)) => {
            for (_, item) in values {
                value(text, kind, item, spans);
            }
        }
        (Kind::Secret, DeValue::String(string)) if string.contains("${") => {}
        (Kind::Secret, _) => spans.push(found.span()),
        _ => {}
    }
}

/// In a text that is no TOML: what stands behind `=` on a line that names a secret.
fn lines(text: &str, spans: &mut Vec<Range<usize>>) {
    let is_secret = |kind: &Kind| match kind {
        Kind::Secret => true,
        Kind::Either(one, _) => matches!(one, Kind::Secret),
        _ => false,
    };
    let secret: Vec<&str> = keys::all()
        .into_iter()
        .flat_map(|table| table.keys)
        .filter(|key| is_secret(&key.kind))
        .map(|key| key.name)
        .collect();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(equals) = line.find('=')
            && !line.contains("${")
            && secret.iter().any(|name| line.contains(name))
        {
            spans.push(start + equals + 1..start + line.len());
        }
        start += line.len();
    }
}

/// `user:password@` of a URL, wherever it stands.
fn userinfo(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(scheme) = text[from..].find("://") {
        let start = from + scheme + 3;
        let authority = text[start..]
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\''))
            .map_or(text.len(), |length| start + length);
        if let Some(at) = text[start..authority].rfind('@') {
            spans.push(start..start + at);
        }
        from = authority;
    }
}

/// A text for a message, `user:password@` of a URL masked.
pub(super) fn without_userinfo(text: &str) -> Cow<'_, str> {
    let mut spans = Vec::new();
    userinfo(text, &mut spans);
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = text.to_owned();
    for span in spans.into_iter().rev() {
        masked.replace_range(span, "***");
    }
    Cow::Owned(masked)
}
