//! Fixed query parameters: exactly once, exactly that value.
//!
//! Upstreams differ in what they take for the same parameter, so a fixed one counts as given
//! again by everything that a common framework would read as its name. Otherwise
//! `?action=list&action[]=delete` would be authorized as `list` and run as `delete`.

use std::borrow::Cow;

/// Parameters that may stand before a fixed one. Frameworks read the first 1,000 (PHP's
/// `max_input_vars`, qs, Tomcat) and drop the rest: a fixed one behind them would not be there.
const MOST_BEFORE: usize = 200;

/// How a query stands to a parameter whose value is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It is not there.
    Absent,
    /// It is there once, with this value.
    Same,
    /// It is there with another value, twice, or in a way that could be read as that.
    Other,
}

/// How a query (raw, without the `?`) stands to a parameter.
pub fn held(query: Option<&str>, key: &str, value: &str) -> Held {
    let query = query.unwrap_or_default().as_bytes();
    if !is_given(query, key) {
        Held::Absent
    } else if unique(query, key).is_some_and(|given| *given == *value.as_bytes()) {
        Held::Same
    } else {
        Held::Other
    }
}

/// Whether a query names the parameter by which Express, Rails and Laravel take another method
/// than that of the request line.
pub fn names_method(query: Option<&str>) -> bool {
    query.is_some_and(|query| is_given(query.as_bytes(), METHOD))
}

/// What they call it.
pub const METHOD: &str = "_method";

/// The decoded value of a parameter that is named exactly once, by exactly this name.
pub(super) fn unique<'q>(query: &'q [u8], key: &str) -> Option<Cow<'q, [u8]>> {
    let (count, value) = occurrences(query, key, |byte| byte == b'&');
    // Some servers also separate at `;`. Under their reading it must be alone, too.
    let alone = |query| occurrences(query, key, is_any_separator).0 == 1;
    if count == 1 && (!query.contains(&b';') || alone(query)) && is_read(query, key) {
        value.map(decode)
    } else {
        None
    }
}

/// Whether every framework reads as far as the parameter of this name.
fn is_read(query: &[u8], key: &str) -> bool {
    let named = |pair: &[u8]| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        reads_as(name, key.as_bytes())
    };
    let first = query
        .split(|byte| is_any_separator(*byte))
        .take(MOST_BEFORE);
    // Most queries are short: what is not cut needs no second look.
    query.len() < MOST_BEFORE || first.into_iter().any(named)
}

/// Whether some framework would find a parameter of this name, however often.
pub(super) fn is_given(query: &[u8], key: &str) -> bool {
    occurrences(query, key, is_any_separator).0 > 0
}

/// What any server takes for the end of a parameter.
pub(super) fn is_any_separator(byte: u8) -> bool {
    byte == b'&' || byte == b';'
}

/// How many parameters some framework would read as `key`, and the raw value of the last one
/// that is called exactly so.
pub(super) fn occurrences<'q>(
    query: &'q [u8],
    key: &str,
    is_separator: impl Fn(u8) -> bool,
) -> (usize, Option<&'q [u8]>) {
    let mut count = 0;
    let mut value = None;
    for pair in query.split(|byte| is_separator(*byte)) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = halves.next().unwrap_or_default();
        if !name.is_empty() && reads_as(name, key.as_bytes()) {
            count += 1;
            if decoded(name).eq(key.bytes()) {
                value = Some(halves.next().unwrap_or_default());
            }
        }
    }
    (count, value)
}

/// Whether some framework takes a raw parameter name for `key`: letter case and `%uXXXX`
/// (ASP.NET), brackets in front (Rack 2, qs) and what follows one or NUL, leading blanks, and
/// dots, blanks and brackets that nothing closes for underscores (PHP).
pub(super) fn reads_as(name: &[u8], key: &[u8]) -> bool {
    if key.contains(&b'[') {
        return reads_as_element(name, key);
    }
    let brackets = |byte: &u8| matches!(byte, b'[' | b']');
    let base = folded(decoded_name(name)).take_while(|byte| !brackets(byte));
    // An unclosed bracket: `user[name` is `user_name`.
    let whole = folded(decoded_name(name)).map(under);
    base.eq(folded(key.iter().copied())) || whole.eq(folded(key.iter().copied()))
}

/// The same for a key that is one element of an array, whose siblings are others: the whole
/// array, what is inside of the element, and the ways to write it without brackets.
fn reads_as_element(name: &[u8], key: &[u8]) -> bool {
    let name: Vec<u8> = folded(decoded_name(name)).collect();
    let key: Vec<u8> = folded(key.iter().copied()).collect();
    let flat = |name: &[u8]| -> Vec<u8> {
        let kept = name.iter().copied().filter(|byte| *byte != b']');
        kept.map(under).collect()
    };
    let array = key.split(|byte| *byte == b'[').next().unwrap_or_default();
    name == array || name.starts_with(&key) || flat(&name) == flat(&key)
}

/// A bracket that is read as an underscore.
fn under(byte: u8) -> u8 {
    if byte == b'[' { b'_' } else { byte }
}

/// A parameter's name as the most lenient framework reads it.
fn folded(name: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    name.skip_while(|byte| matches!(byte, b' ' | b'[' | b']'))
        .take_while(|byte| *byte != 0)
        .map(|byte| match byte {
            b'.' | b' ' => b'_',
            byte => byte.to_ascii_lowercase(),
        })
}

/// The bytes of a form-encoded name, `%uXXXX` read as ASP.NET does (beyond ASCII as a byte that
/// no name has).
fn decoded_name(raw: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        if let Some([b'%', b'u' | b'U', digits @ ..]) = rest.get(..6)
            && let Some(code) = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        {
            rest = &rest[6..];
            return Some(u8::try_from(code).unwrap_or(0xff));
        }
        let (byte, tail) = first_decoded(rest)?;
        rest = tail;
        Some(byte)
    })
}

/// Form-decodes a value.
fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        Cow::Owned(decoded(raw).collect())
    } else {
        Cow::Borrowed(raw)
    }
}

/// The bytes of a form-encoded name or value: `+` is a space, a percent sign that begins no byte
/// is itself (WHATWG URL §5.1).
fn decoded(raw: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let (byte, tail) = first_decoded(rest)?;
        rest = tail;
        Some(byte)
    })
}

/// The first of them, and what follows.
fn first_decoded(raw: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, tail) = raw.split_first()?;
    Some(match first {
        b'+' => (b' ', tail),
        b'%' => super::path::encoded_byte(tail).unwrap_or((b'%', tail)),
        byte => (byte, tail),
    })
}
