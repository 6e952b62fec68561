//! Fixed query parameters: exactly once, exactly that value.
//!
//! Upstreams differ in what they take for the same parameter, so a fixed one counts as given
//! again by everything that a common framework would read as its name. Otherwise
//! `?action=list&action[]=delete` would be authorized as `list` and run as `delete`.

use std::borrow::Cow;

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

/// The decoded value of a parameter that is named exactly once, by exactly this name.
pub(super) fn unique<'q>(query: &'q [u8], key: &str) -> Option<Cow<'q, [u8]>> {
    let (count, value) = occurrences(query, key, |byte| byte == b'&');
    // Some servers also separate at `;`. Under their reading it must be alone, too.
    let alone = |query| occurrences(query, key, is_any_separator).0 == 1;
    if count == 1 && (!query.contains(&b';') || alone(query)) {
        value.map(decode)
    } else {
        None
    }
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

/// Whether some framework takes a raw parameter name for `key`: letter case (ASP.NET), leading
/// blanks, what follows `[` or NUL, and dots and blanks for underscores (PHP).
pub(super) fn reads_as(name: &[u8], key: &[u8]) -> bool {
    // A key that has a bracket itself is one element of an array; its siblings are others.
    let cut = !key.contains(&b'[');
    folded(decoded(name), cut).eq(folded(key.iter().copied(), cut))
}

/// A parameter's name as the most lenient framework reads it.
fn folded(name: impl Iterator<Item = u8>, cut: bool) -> impl Iterator<Item = u8> {
    name.skip_while(|byte| *byte == b' ')
        .take_while(move |byte| *byte != 0 && !(cut && *byte == b'['))
        .map(|byte| match byte {
            b'.' | b' ' => b'_',
            byte => byte.to_ascii_lowercase(),
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
        let (&first, tail) = rest.split_first()?;
        let (byte, tail) = match first {
            b'+' => (b' ', tail),
            b'%' => super::path::encoded_byte(tail).unwrap_or((b'%', tail)),
            byte => (byte, tail),
        };
        rest = tail;
        Some(byte)
    })
}
