//! JSON: one look for bounds and doubled keys, then `serde_json`; and what people take for JSON,
//! mended first.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::openapi::Value;

use super::duplicates::Duplicates;
use super::escapes::{self, Language};
use super::tokens::{Kind, Token, Tokens, lines_in};
use super::{Document, ReadError, ReadErrorKind, ReadLimits, Repair, yaml};

/// Whether a text is to be read as JSON: its first sign that is no comment opens an object or a
/// list.
pub(super) fn is_json(text: &str) -> bool {
    let mut tokens = Tokens::new(text);
    // A comment of YAML is left to YAML.
    let first =
        tokens.find(|token| token.kind != Kind::Comment || text[token.start..].starts_with('#'));
    first.is_some_and(|token| matches!(token.kind, Kind::Open(_)))
}

/// Reads JSON. `limits.depth` is below the depth at which `serde_json` itself stops.
pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Document, ReadError> {
    let duplicates = scan(text, limits)?;
    let strict = match serde_json::from_str(text) {
        Ok(value) => return Ok(Document::new(value, duplicates, Vec::new())),
        Err(error) => explain(text, &error),
    };
    let (mended, repairs) = mend(text);
    let error = match serde_json::from_str::<Value>(&mended) {
        Ok(value) => return Ok(Document::new(value, duplicates, repairs)),
        // A string that goes over lines has fewer now, and places after it differ.
        Err(error) if lines_in(mended.as_bytes()) == lines_in(text.as_bytes()) => {
            explain(&mended, &error)
        }
        Err(_) => strict,
    };
    // YAML's flow style looks like JSON, but allows words and single quotes. It would take `//` for
    // a word, though: comments are out of the mended text.
    match yaml::read(&mended, limits) {
        Ok(mut document) => {
            document.repairs.extend(repairs);
            Ok(document)
        }
        Err(_) => Err(error),
    }
}

/// The parser's error in our words. It counts columns in bytes, and lines by `\n` alone.
fn explain(text: &str, error: &serde_json::Error) -> ReadError {
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or(&words).to_owned();
    let before = error.line().saturating_sub(1);
    let line = text.split_inclusive('\n').take(before).map(str::len);
    let offset = line.sum::<usize>() + error.column().saturating_sub(1);
    ReadError::at(ReadErrorKind::Json(words), text.as_bytes(), offset)
}

/// A look over the text that counts what the parser would build, before it builds it, and
/// remembers where each key stands.
fn scan(text: &str, limits: &ReadLimits) -> Result<Duplicates, ReadError> {
    let mut duplicates = Duplicates::default();
    // Open objects (their keys and lines) and lists (`None`).
    let mut open: Vec<Option<HashMap<Cow<'_, str>, u64>>> = Vec::new();
    let mut nodes = 0;
    let mut last: Option<Token> = None;
    for token in Tokens::new(text) {
        match token.kind {
            Kind::Open(is_object) => {
                if open.len() == limits.depth {
                    let kind = ReadErrorKind::TooDeep(limits.depth);
                    return Err(ReadError::at(kind, text.as_bytes(), token.start));
                }
                open.push(is_object.then(HashMap::new));
            }
            Kind::Close => drop(open.pop()),
            Kind::Colon => {
                if let (Some(Some(keys)), Some(key)) = (open.last_mut(), last)
                    && let Some(name) = string(text, &key)
                    && let Some(first) = keys.insert(name.clone(), key.line)
                {
                    duplicates.note(&name, first, key.line);
                }
            }
            _ => {}
        }
        if matches!(token.kind, Kind::Open(_) | Kind::Text | Kind::Word) {
            nodes += 1;
            if nodes > limits.nodes {
                let kind = ReadErrorKind::TooMany(limits.nodes);
                return Err(ReadError::at(kind, text.as_bytes(), token.start));
            }
        }
        last = (token.kind == Kind::Text).then_some(token);
    }
    Ok(duplicates)
}

/// What a string says.
pub(super) fn string<'t>(text: &'t str, token: &Token) -> Option<Cow<'t, str>> {
    let quoted = text.get(token.start..token.end)?;
    if quoted.contains('\\') {
        return serde_json::from_str(quoted).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(quoted.strip_prefix('"')?.strip_suffix('"')?))
}

/// The text without comments and without commas at the end of lists, its strings escaped as they
/// should be. What is taken out leaves spaces, so that places stay what they were.
fn mend(text: &str) -> (String, Vec<Repair>) {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(text.len());
    let mut repairs = Vec::new();
    let mut done = 0;
    let mut comma = None;
    for token in Tokens::new(text) {
        out.extend_from_slice(&bytes[done..token.start]);
        done = token.end;
        let own = &bytes[token.start..token.end];
        match token.kind {
            Kind::Comment => {
                let blank = |b: &u8| if matches!(b, b'\n' | b'\r') { *b } else { b' ' };
                out.extend(own.iter().map(blank));
                continue;
            }
            Kind::Close => {
                if let Some(at) = comma {
                    out[at] = b' ';
                }
                out.extend_from_slice(own);
            }
            Kind::Text => {
                escapes::mend(own, Language::Json, token.line, &mut out, &mut repairs);
            }
            _ => out.extend_from_slice(own),
        }
        comma = (token.kind == Kind::Comma).then(|| out.len() - 1);
    }
    out.extend_from_slice(&bytes[done..]);
    (String::from_utf8_lossy(&out).into_owned(), repairs)
}
