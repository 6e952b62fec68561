//! Reading `Forwarded` (RFC 7239 §4).

use http::HeaderMap;
use http::header::FORWARDED;

/// Most elements that are read.
const MAX_ELEMENTS: usize = 64;

/// What one proxy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Element<'h> {
    /// `for`
    pub(super) node: Option<&'h [u8]>,
    /// `host`
    pub(super) host: Option<&'h [u8]>,
    /// `proto`
    pub(super) proto: Option<&'h [u8]>,
}

/// All elements, in their order; `None` when the field is not there or any of it is malformed.
pub(super) fn elements(headers: &HeaderMap) -> Option<Vec<Element<'_>>> {
    let mut elements = Vec::new();
    for line in headers.get_all(FORWARDED) {
        let mut rest = line.as_bytes().trim_ascii_start();
        loop {
            let (element, tail) = element(rest)?;
            elements.push(element);
            if elements.len() > MAX_ELEMENTS {
                return None;
            }
            match tail.split_first() {
                None => break,
                Some((b',', tail)) => rest = tail.trim_ascii_start(),
                Some(_) => return None,
            }
        }
    }
    (!elements.is_empty()).then_some(elements)
}

/// Pairs, separated by semicolons; and what follows them.
fn element(text: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let mut element = Element::default();
    let mut rest = text;
    loop {
        let (name, tail) = token(rest)?;
        let tail = tail.strip_prefix(b"=")?;
        let (value, tail) = match tail.strip_prefix(b"\"") {
            Some(quoted) => until_quote(quoted)?,
            None => token(tail)?,
        };
        let place = match name {
            name if name.eq_ignore_ascii_case(b"for") => Some(&mut element.node),
            name if name.eq_ignore_ascii_case(b"host") => Some(&mut element.host),
            name if name.eq_ignore_ascii_case(b"proto") => Some(&mut element.proto),
            _ => None,
        };
        // No parameter twice in one element.
        if place.is_some_and(|place| place.replace(value).is_some()) {
            return None;
        }
        rest = tail.trim_ascii_start();
        match rest.strip_prefix(b";") {
            Some(tail) => rest = tail.trim_ascii_start(),
            None => return Some((element, rest)),
        }
    }
}

/// A token that is not empty (RFC 9110 §5.6.2), and what follows it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !is_token_byte(*byte));
    let (token, rest) = text.split_at(end.unwrap_or(text.len()));
    (!token.is_empty()).then_some((token, rest))
}

/// `tchar`
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// The rest of a quoted string, and what follows it. No value that we believe needs a backslash.
fn until_quote(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (text[end] == b'"').then_some((&text[..end], &text[end + 1..]))
}
