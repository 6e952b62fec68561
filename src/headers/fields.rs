//! Reading and writing field values.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Most fields that are copied from one head. Far above any limit of ours, and low enough that
/// what the gateway sets always finds room: a `HeaderMap` holds 24,576 names.
const MAX_FIELDS: usize = 16 << 10;

/// The fields of a head that are looked at.
pub(super) fn fields(head: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    head.iter().take(MAX_FIELDS)
}

/// An empty head with room for all of another and a few more.
pub(super) fn head_like(other: &HeaderMap, more: usize) -> HeaderMap {
    let room = other.len().min(MAX_FIELDS) + more;
    HeaderMap::try_with_capacity(room).unwrap_or_default()
}

/// Adds a field. A head that is full stays as it is.
pub(super) fn append(head: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    let _ = head.try_append(name, value);
}

/// Sets a field in place of all of that name. A head that is full stays as it is.
pub(super) fn set(head: &mut HeaderMap, name: &HeaderName, value: HeaderValue) {
    let _ = head.try_insert(name, value);
}

/// Sets a field of ASCII text that was made here.
pub(super) fn set_text(head: &mut HeaderMap, name: &HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        set(head, name, value);
    }
}

/// The elements of a comma-separated list over all lines of a field (RFC 9110 §5.6.1), without
/// blanks around them and without empty ones. Only for lists without quoted strings.
pub(super) fn list<'h>(
    head: &'h HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = &'h [u8]> {
    head.get_all(name).iter().flat_map(elements)
}

/// The elements of one line of such a list.
pub(super) fn elements(value: &HeaderValue) -> impl DoubleEndedIterator<Item = &[u8]> {
    let elements = value.as_bytes().split(|byte| *byte == b',');
    elements
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// The only line of a field: `None` when there is none or more than one.
pub(super) fn only<'h>(head: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = head.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// Removes what a list of names in `Connection` names. By look-up, so that a long list costs no
/// more than its length.
pub(super) fn remove_named(head: &mut HeaderMap, connection: &HeaderValue) {
    for name in elements(connection) {
        if let Ok(name) = std::str::from_utf8(name) {
            head.remove(name);
        }
    }
}

/// Text of any kind as a field value: what is not printable ASCII is percent-encoded, and so is
/// the percent sign, so that it can be undone, and a space at an end, which is no part of a value
/// (RFC 9110 §5.5). For the values of [`Policy`](super::Policy) and
/// [`Identity`](super::Identity); makes no sense for secrets.
pub fn text_value(text: &str) -> HeaderValue {
    let value = if is_bare(text) {
        HeaderValue::from_str(text)
    } else {
        HeaderValue::try_from(encoded(text))
    };
    value.unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Whether text stands in a value as it is, and is read back as it is.
pub(super) fn is_bare(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, 0x20..=0x24 | 0x26..=0x7E); // all but the percent sign
    // All of them, without an end as soon as one is not: that is done for many at a time.
    let all = text.bytes().fold(true, |all, byte| all & plain(byte));
    all && !text.starts_with(' ') && !text.ends_with(' ')
}

/// Whether text is a value of ASCII, in which nothing could be taken for the end of its line
/// (RFC 9110 §5.5).
pub(super) fn is_value(text: &str) -> bool {
    let is_in = |byte: u8| matches!(byte, 0x20..=0x7E | b'\t');
    text.bytes().fold(true, |all, byte| all & is_in(byte))
}

/// Text in which all that could not stand in a value is percent-encoded.
fn encoded(text: &str) -> String {
    let inner = text.trim_matches(' ');
    let before = text.len() - text.trim_start_matches(' ').len();
    let after = text.len() - before - inner.len();
    let space = |count| "%20".repeat(count);
    let inner = utf8_percent_encode(inner, ENCODED);
    format!("{}{inner}{}", space(before), space(after))
}

/// What [`text_value`] encodes besides all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');
