//! Secrets that were written literally are a problem, and a problem shows its source line:
//! the line must not show the secret. So what is shown is a copy of the text with every such
//! value masked, byte by byte, so that places stay where they are. What only may be a secret is
//! masked as well: nobody knows what is in a query, in a header, or behind a key that is unknown.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problems::Place;
use crate::tokens::secrets_in;

use super::keys::{self, Key, Kind, Table};
use super::values;

/// What every private key has in its first line, whatever its form.
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Keys that may hold a secret literally, though they need not: by their table.
const MAY_BE_SECRET: [(&str, &str); 3] = [
    ("plugins.NAME.operations.NAME", "fixed"),
    ("plugins.NAME.headers.request", "set"),
    ("plugins.NAME.tests", "body"),
];

/// The text with its literal secrets masked; `syntax` says that it is no TOML, so that lines
/// are judged by their look.
pub(super) fn masked(text: &str, root: &DeTable<'_>, described: &Table, syntax: bool) -> String {
    stars(text, secrets(text, root, described, syntax))
}

/// The same of a text that is shown as a whole, where nobody asked for this very line: without
/// what comments say.
pub(super) fn masked_whole(
    text: &str,
    root: &DeTable<'_>,
    described: &Table,
    syntax: bool,
) -> String {
    let mut spans = secrets(text, root, described, syntax);
    comments(text, &mut spans);
    stars(text, spans)
}

/// Where secrets are, and what may be one.
fn secrets(text: &str, root: &DeTable<'_>, described: &Table, syntax: bool) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    table(described, root, text, &mut spans);
    if syntax {
        lines(text, &mut spans);
    }
    userinfo(text, &mut spans);
    // Wherever somebody wrote one, in a comment too.
    spans.extend(secrets_in(text));
    spans
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

/// Masks every value in this one that is neither a reference nor a boolean; the names of keys stay.
fn literals(found: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    match found.get_ref() {
        DeValue::Table(values) => values.iter().for_each(|(_, value)| literals(value, spans)),
        DeValue::Array(items) => items.iter().for_each(|item| literals(item, spans)),
        DeValue::String(text) if text.contains("${") => {}
        DeValue::Boolean(_) => {}
        _ => spans.push(found.span()),
    }
}

/// Masks the query of a string that is a URL, by its kind or by its look.
fn query(kind: &Kind, found: &Spanned<DeValue<'_>>, text: &str, spans: &mut Vec<Range<usize>>) {
    let Some((bare, _)) = found.get_ref().as_str().and_then(|url| url.split_once('?')) else {
        return;
    };
    let scheme = |scheme: &str| !scheme.contains(char::is_whitespace);
    let looks = bare.split_once("://").is_some_and(|(it, _)| scheme(it));
    if !looks && !matches!(kind, Kind::Url(_)) {
        return;
    }
    let mut span = found.span();
    let written = text.get(span.clone()).unwrap_or_default();
    // With an escape in front of it, nobody knows where it begins.
    if let Some(at) = written.find(&format!("{bare}?")) {
        span.start += at + bare.len() + 1;
    }
    spans.push(span);
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

/// Masks in a table what its description says is secret, and everything unknown: the name of a key
/// tells what was meant by it.
fn table(described: &Table, values: &DeTable<'_>, text: &str, spans: &mut Vec<Range<usize>>) {
    for (name, found) in values {
        match described.key(name.get_ref()) {
            Some(key) if !MAY_BE_SECRET.contains(&(described.path, key.name)) => {
                value(&key.kind, found, text, spans);
            }
            _ => literals(found, spans),
        }
    }
}

/// Masks in a value what its kind says is secret. What stands where a table should be is one.
fn value(kind: &Kind, found: &Spanned<DeValue<'_>>, text: &str, spans: &mut Vec<Range<usize>>) {
    match (kind, found.get_ref()) {
        // Where a file is wanted.
        (_, DeValue::String(it)) if it.contains(PRIVATE_KEY) => spans.push(found.span()),
        (Kind::Secret | Kind::Fingerprint, DeValue::String(it)) if it.contains("${") => {}
        (Kind::Fingerprint, DeValue::String(it)) if values::fingerprint(it).is_ok() => {}
        // What is no hash may be the secret itself.
        (Kind::Secret | Kind::Fingerprint, _) => spans.push(found.span()),
        (Kind::Table(inner) | Kind::Tables(inner), DeValue::Table(values)) => {
            table(inner, values, text, spans);
        }
        (Kind::Named(inner), DeValue::Table(named)) => {
            for (_, item) in named {
                value(&Kind::Table(inner), item, text, spans);
            }
        }
        (Kind::Tables(inner), DeValue::Array(items)) => {
            each(&Kind::Table(inner), items, text, spans);
        }
        (Kind::Table(_) | Kind::Tables(_) | Kind::Named(_), _) => literals(found, spans),
        (Kind::Either(Kind::Choice(choices), _), DeValue::String(string))
            if choices.iter().any(|(choice, _)| choice == string) => {}
        (Kind::Either(Kind::Secret, table), DeValue::Table(_)) => value(table, found, text, spans),
        (Kind::Either(one @ (Kind::Secret | Kind::Url(_)), _), it) if it.as_table().is_none() => {
            value(one, found, text, spans);
        }
        (Kind::Either(_, table), _) => value(table, found, text, spans),
        (Kind::Map(item), DeValue::Table(values)) => {
            for (_, found) in values {
                value(item, found, text, spans);
            }
        }
        (Kind::List(item) | Kind::OneOrMany(item), DeValue::Array(items)) => {
            each(item, items, text, spans);
        }
        (_, DeValue::Array(items)) => each(kind, items, text, spans),
        (Kind::OneOrMany(item), DeValue::String(_)) => query(item, found, text, spans),
        (_, DeValue::String(_)) => query(kind, found, text, spans),
        // No table belongs here.
        (_, DeValue::Table(_)) => literals(found, spans),
        _ => {}
    }
}

/// The same of each value of a list.
fn each(kind: &Kind, items: &[Spanned<DeValue<'_>>], text: &str, spans: &mut Vec<Range<usize>>) {
    for item in items {
        value(kind, item, text, spans);
    }
}

/// Whether a string of this kind is a secret.
fn is_secret(kind: &Kind) -> bool {
    match kind {
        Kind::Secret => true,
        Kind::Either(one, _) => matches!(one, Kind::Secret),
        _ => false,
    }
}

/// In a text that is no TOML, which may be any other file: what stands behind the name of a secret
/// on its line, behind a name that is no key, and in the query of a URL.
fn lines(text: &str, spans: &mut Vec<Range<usize>>) {
    let all: Vec<&Key> = keys::all()
        .into_iter()
        .flat_map(|table| table.keys)
        .collect();
    let secret: Vec<&str> = all
        .iter()
        .filter(|key| is_secret(&key.kind))
        .map(|key| key.name)
        .collect();
    let known: BTreeSet<&str> = all.iter().map(|key| key.name).collect();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let names = secret.iter().filter_map(|name| {
            let found = line.find(name)?;
            Some(found + name.len())
        });
        let named = names.min().filter(|_| !line.contains("${"));
        let named = named.map(|name| line.find('=').map_or(name, |equals| equals + 1));
        let from = [named, unknown(line, &known), in_query(line)];
        if let Some(from) = from.into_iter().flatten().min() {
            spans.push(start + from..start + line.len());
        } else if is_bare(line.trim()) {
            spans.push(start..start + line.len());
        }
        start += line.len();
    }
}

/// Where the first value begins whose name is no key, in TOML, JSON, YAML or a file of variables, or
/// is the key of what [may be a secret](MAY_BE_SECRET).
fn unknown(line: &str, known: &BTreeSet<&str>) -> Option<usize> {
    let quotes = ['"', '\''];
    let mut ends = line.char_indices().filter(|(at, c)| match c {
        '=' => true,
        ':' => line[..*at].ends_with(quotes) || line[at + 1..].starts_with(char::is_whitespace),
        _ => false,
    });
    let harmful = |(at, _): &(usize, char)| {
        let name = line[..*at].trim_end().trim_end_matches(quotes);
        let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let name = name.rsplit(|c| !part(c)).next().unwrap_or_default();
        let last = name.rsplit('.').next().unwrap_or_default();
        let may_be = |part| MAY_BE_SECRET.iter().any(|(_, key)| *key == part);
        !last.is_empty() && (!known.contains(last) || name.split('.').any(may_be))
    };
    ends.find(harmful).map(|(at, _)| at + 1)
}

/// Where the query of the first URL begins.
fn in_query(line: &str) -> Option<usize> {
    let url = line.find("://")?;
    Some(url + line[url..].find('?')? + 1)
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

/// What a message may say of a string: no more than its place in the masked text does.
pub(super) fn told<'r>(raw: &'r str, at: &Place) -> Cow<'r, str> {
    let source = at.source.as_deref();
    let written = source.and_then(|source| source.text.get(at.span.clone()));
    let hides = |raw: &str, written: &str| {
        let star = |c| matches!(c, '*' | ' ' | '"' | '\'' | '\n' | '\r');
        raw.contains(|c| c != '*') && written.contains('*') && written.chars().all(star)
    };
    let Some(written) = written else {
        return Cow::Borrowed(raw);
    };
    match (raw.split_once('?'), written.split_once('?')) {
        _ if hides(raw, written) => Cow::Borrowed("***"),
        (Some((bare, query)), Some((_, stars))) if hides(query, stars) => {
            Cow::Owned(format!("{bare}?***"))
        }
        _ => Cow::Borrowed(raw),
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
