//! Secrets that were written literally are a problem, and a problem shows its source line:
//! the line must not show the secret. So what is shown is a copy of the text with every such
//! value masked, byte by byte, so that places stay where they are.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problems::Place;
use crate::tokens::secrets_in;

use super::keys::{self, Kind, Table};
use super::values;

/// What every private key has in its first line, whatever its form.
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Keys that may hold a secret literally, though they need not: by their table.
const MAY_BE_SECRET: [(&str, &str); 2] = [
    ("plugins.NAME.operations.NAME", "fixed"),
    ("plugins.NAME.headers.request", "set"),
];

/// The text with its literal secrets masked; `syntax` says that it is no TOML, so that lines
/// are judged by their look.
pub(super) fn masked(text: &str, root: &DeTable<'_>, described: &Table, syntax: bool) -> String {
    stars(text, secrets(text, root, described, syntax))
}

/// The same of a text that is shown as a whole, where nobody asked for this very line: without
/// what comments say, and without what may be a secret.
pub(super) fn masked_whole(
    text: &str,
    root: &DeTable<'_>,
    described: &Table,
    syntax: bool,
) -> String {
    let mut spans = secrets(text, root, described, syntax);
    doubtful(described, root, &mut spans);
    comments(text, &mut spans);
    stars(text, spans)
}

/// Where literal secrets are.
fn secrets(text: &str, root: &DeTable<'_>, described: &Table, syntax: bool) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    table(described, root, &mut spans);
    if syntax {
        lines(text, &mut spans);
    }
    userinfo(text, &mut spans);
    // Wherever somebody wrote one, in a comment too.
    spans.extend(secrets_in(text));
    if let Some(found) = root.get("token_files") {
        queries(found, text, &mut spans);
    }
    spans
}

/// The queries of token files at URLs.
fn queries(found: &Spanned<DeValue<'_>>, text: &str, spans: &mut Vec<Range<usize>>) {
    match found.get_ref() {
        DeValue::Array(items) => items.iter().for_each(|item| queries(item, text, spans)),
        DeValue::Table(entry) => {
            let url = entry.get("url").into_iter();
            url.for_each(|url| queries(url, text, spans));
        }
        DeValue::String(url) if url.contains("://") => {
            let span = found.span();
            let written = text.get(span.clone()).unwrap_or_default();
            if let Some(at) = written.find('?') {
                spans.push(span.start + at + 1..span.end);
            }
        }
        _ => {}
    }
}

/// The text with this much of it masked.
fn stars(text: &str, spans: Vec<Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for span in spans {
        let Some(secret) = bytes.get_mut(span) else {
            continue;
        };
        for byte in secret {
            if !matches!(byte, b'\n' | b'\r' | b' ' | b'"' | b'\'') {
                *byte = b'*';
            }
        }
    }
    // A span ends between characters, and whole characters are masked.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Masks in a table what [may be a secret](MAY_BE_SECRET) and is no reference to one.
fn doubtful(described: &Table, values: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (name, found) in values {
        let Some(key) = described.key(name.get_ref()) else {
            continue;
        };
        match (&key.kind, found.get_ref()) {
            _ if MAY_BE_SECRET.contains(&(described.path, key.name)) => literals(found, spans),
            (Kind::Table(inner), DeValue::Table(values)) => doubtful(inner, values, spans),
            (Kind::Named(inner), DeValue::Table(named)) => {
                for (_, item) in named {
                    if let DeValue::Table(values) = item.get_ref() {
                        doubtful(inner, values, spans);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Masks the values of a table, or of what stands where a table should.
fn literals(found: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    match found.get_ref() {
        DeValue::Table(values) => {
            for (_, value) in values {
                literals(value, spans);
            }
        }
        DeValue::String(text) if text.contains("${") => {}
        _ => spans.push(found.span()),
    }
}

/// What stands behind each `#` that is in no string.
fn comments(text: &str, spans: &mut Vec<Range<usize>>) {
    let mut quote: Option<&str> = None;
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let ends = |quote: &str| rest.starts_with(quote);
        let mut step = first.len_utf8();
        match quote {
            // No string of one line goes on in the next, whatever is wrong with it.
            Some(open) if ends(open) || (open.len() == 1 && first == '\n') => {
                (quote, step) = (None, if first == '\n' { 1 } else { open.len() });
            }
            Some("\"" | "\"\"\"") if first == '\\' => {
                step += rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            Some(_) => {}
            None if first == '#' => {
                let end = rest.find('\n').unwrap_or(rest.len());
                spans.push(at + 1..at + end);
                step = end;
            }
            None => {
                quote = ["\"\"\"", "'''", "\"", "'"]
                    .into_iter()
                    .find(|open| ends(open));
                step = quote.map_or(step, str::len);
            }
        }
        at += step;
    }
}

/// Masks in a table what its description says is secret. An unknown key is judged by its name
/// in other tables, and in a table that holds secrets everything unknown is one.
fn table(described: &Table, values: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (name, found) in values {
        if let Some(key) = described.key(name.get_ref()) {
            value(&key.kind, found, spans);
            continue;
        }
        if described.later.contains(&name.get_ref().as_ref()) {
            continue;
        }
        for table in keys::all() {
            if let Some(key) = table.key(name.get_ref()) {
                value(&key.kind, found, spans);
            }
        }
        if has_secrets(described) {
            value(&Kind::Secret, found, spans);
        }
    }
}

/// Masks in a value what its kind says is secret. A value of another type, where a table with
/// secrets should be, is one.
fn value(kind: &Kind, found: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    match (kind, found.get_ref()) {
        // Where a file is wanted.
        (_, DeValue::String(text)) if text.contains(PRIVATE_KEY) => spans.push(found.span()),
        (Kind::Secret | Kind::Fingerprint, DeValue::String(text)) if text.contains("${") => {}
        (Kind::Fingerprint, DeValue::String(text)) if values::fingerprint(text).is_ok() => {}
        // What is no hash may be the secret itself.
        (Kind::Secret | Kind::Fingerprint, _) => spans.push(found.span()),
        (Kind::Table(inner) | Kind::Tables(inner), DeValue::Table(values)) => {
            table(inner, values, spans);
        }
        (Kind::Tables(inner), DeValue::Array(items)) => {
            for item in items {
                value(&Kind::Table(inner), item, spans);
            }
        }
        (Kind::Named(inner), DeValue::Table(named)) => {
            for (_, item) in named {
                value(&Kind::Table(inner), item, spans);
            }
        }
        (Kind::Table(inner) | Kind::Tables(inner) | Kind::Named(inner), _)
            if has_secrets(inner) =>
        {
            value(&Kind::Secret, found, spans);
        }
        (Kind::Either(Kind::Choice(choices), _), DeValue::String(string))
            if choices.iter().any(|(choice, _)| choice == string) => {}
        (Kind::Either(Kind::Secret, table), DeValue::Table(_)) => value(table, found, spans),
        (Kind::Either(Kind::Secret, _), _) => value(&Kind::Secret, found, spans),
        (Kind::Either(_, table), _) => value(table, found, spans),
        _ => {}
    }
}

/// Whether keys of this very table are secrets.
fn has_secrets(table: &Table) -> bool {
    table.keys.iter().any(|key| is_secret(&key.kind))
}

/// Whether a string of this kind is a secret.
fn is_secret(kind: &Kind) -> bool {
    match kind {
        Kind::Secret => true,
        Kind::Either(one, _) => matches!(one, Kind::Secret),
        _ => false,
    }
}

/// In a text that is no TOML: what stands behind `=` on a line that names a secret, or behind
/// the name where there is no `=`.
fn lines(text: &str, spans: &mut Vec<Range<usize>>) {
    let secret: Vec<&str> = keys::all()
        .into_iter()
        .flat_map(|table| table.keys)
        .filter(|key| is_secret(&key.kind))
        .map(|key| key.name)
        .collect();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let names = secret.iter().filter_map(|name| {
            let found = line.find(name)?;
            Some(found + name.len())
        });
        if let (Some(name), false) = (names.min(), line.contains("${")) {
            let from = line.find('=').map_or(name, |equals| equals + 1);
            spans.push(start + from..start + line.len());
        } else if is_bare(line.trim()) {
            spans.push(start..start + line.len());
        }
        start += line.len();
    }
}

/// Whether a line is one long word, as a secret is whose file was taken for a configuration.
fn is_bare(line: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-.:".contains(&byte);
    line.len() >= 12 && line.bytes().all(word) && !line.trim_end_matches('=').contains('=')
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

/// Whether a place of a masked text is masked as a whole.
pub(super) fn is_masked(at: &Place) -> bool {
    let text = at
        .source
        .as_deref()
        .and_then(|source| source.text.get(at.span.clone()));
    text.is_some_and(|text| {
        text.contains('*')
            && text
                .chars()
                .all(|c| matches!(c, '*' | ' ' | '"' | '\'' | '\n' | '\r'))
    })
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
