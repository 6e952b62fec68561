//! Reading a raw path: what is refused, and its decoded bytes.

use std::borrow::Cow;

use super::Miss;
use super::similar::is_tail;

/// Longest path, bytes.
pub const MAX_PATH: usize = 8 << 10;
/// Most segments of a path.
pub const MAX_SEGMENTS: usize = 256;

/// Stands for an encoded slash in decoded bytes. NUL is free for it, since no path that is let
/// in holds one; and no literal of a template does, so only a parameter can match it.
pub(super) const SLASH: u8 = 0;

/// The reason for refusing `%2F`; the router gives it too, when the operation does not take it.
pub(super) const ENCODED_SLASH: &str = "an encoded slash in the path";

/// A path that can be read in one way only.
pub(super) struct Facts<'p> {
    /// The path with every segment percent-decoded, still separated by `/`; an encoded slash is
    /// [`SLASH`]. Begins with `/`.
    pub(super) decoded: Cow<'p, [u8]>,
    /// Whether there is a [`SLASH`] in it.
    pub(super) encoded_slash: bool,
    /// Whether there is a `;` in it.
    pub(super) semicolon: bool,
    /// Whether a segment ends with a dot or a space.
    pub(super) tail: bool,
}

/// Whether a path is one that could be read in two ways, for a caller who forwards paths that
/// no operation has. `path` is raw, without the query.
///
/// Refused are: what does not begin with `/`; `%2F` (which [`Router::find`](super::Router::find)
/// lets an operation allow); a backslash, raw or encoded; a segment `.` or `..`, raw or encoded,
/// also in front of `;` (`..;x`, which Java's servers read as `..`) and between encoded slashes;
/// an empty segment inside the path, also one that only parameters make empty (`/;x`); percent
/// signs that begin no byte; control characters and NUL, raw or encoded; overlong UTF-8, which
/// old decoders read as ASCII; raw spaces, `?`, `#` and bytes outside ASCII, which no URI has;
/// more than [`MAX_PATH`] bytes or [`MAX_SEGMENTS`] segments.
///
/// `;` elsewhere is let through: whether it stands in a static segment only a template can say.
pub fn check_path(path: &str) -> Result<(), Miss> {
    match read(path)? {
        facts if facts.encoded_slash => Err(Miss::Ambiguous(ENCODED_SLASH)),
        _ => Ok(()),
    }
}

/// Reads a raw path. The only refusal that is left to the caller is that of an encoded slash.
pub(super) fn read(path: &str) -> Result<Facts<'_>, Miss> {
    let raw = path.as_bytes();
    if raw.first() != Some(&b'/') {
        return Err(Miss::Ambiguous("a path that does not begin with a slash"));
    }
    if raw.len() > MAX_PATH {
        return Err(Miss::Ambiguous("a path that is too long"));
    }
    let seen = raw
        .iter()
        .fold(0, |seen, byte| seen | CLASSES[usize::from(*byte)]);
    if seen & BAD != 0 {
        return Err(Miss::Ambiguous(reason(raw)));
    }
    let mut facts = Facts {
        decoded: Cow::Borrowed(raw),
        encoded_slash: false,
        semicolon: seen & SEMICOLON != 0,
        tail: false,
    };
    if seen & PERCENT != 0 {
        facts.decoded = Cow::Owned(decode(raw)?);
        facts.encoded_slash = facts.decoded.contains(&SLASH);
        facts.semicolon = facts.decoded.contains(&b';');
    }
    facts.tail = segments(&facts.decoded)?;
    Ok(facts)
}

/// Never part of a path that we let in.
const BAD: u8 = 1;
/// `%`
const PERCENT: u8 = 2;
/// `;`
const SEMICOLON: u8 = 4;

/// What is to be known of each byte, so that a path without surprises is read in one sweep.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte {
            0..=0x20 | 0x7F..=0xFF | 0x5C | 0x3F | 0x23 => BAD,
            0x25 => PERCENT,
            0x3B => SEMICOLON,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// What is wrong with a path that holds a [`BAD`] byte.
fn reason(raw: &[u8]) -> &'static str {
    let bad = raw
        .iter()
        .find(|byte| CLASSES[usize::from(**byte)] & BAD != 0);
    match bad {
        Some(b'\\') => BACKSLASH,
        Some(0x80..=0xFF) => "a byte outside ASCII in the path",
        Some(b'?' | b'#') => "a query or a fragment in the path",
        _ => CONTROL,
    }
}

/// The reason for refusing a backslash.
const BACKSLASH: &str = "a backslash in the path";
/// The reason for refusing control characters.
const CONTROL: &str = "a space or a control character in the path";

/// Decodes a path that holds no bad byte.
fn decode(raw: &[u8]) -> Result<Vec<u8>, Miss> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw;
    // Whether the byte before was an encoded one that only overlong UTF-8 begins with.
    let mut overlong = false;
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            decoded.push(first);
            rest = tail;
            overlong = false;
            continue;
        }
        let (byte, tail) = encoded_byte(tail).ok_or(Miss::Ambiguous(
            "a percent sign that begins no byte in the path",
        ))?;
        match byte {
            b'/' => decoded.push(SLASH),
            b'\\' => return Err(Miss::Ambiguous(BACKSLASH)),
            0..0x20 | 0x7F => return Err(Miss::Ambiguous(CONTROL)),
            0x80..=0xBF if overlong => return Err(Miss::Ambiguous("overlong UTF-8 in the path")),
            _ => decoded.push(byte),
        }
        overlong = matches!(byte, 0xC0 | 0xC1);
        rest = tail;
    }
    Ok(decoded)
}

/// The byte of two hexadecimal digits, and what follows them.
pub(super) fn encoded_byte(digits: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], rest) = digits.split_first_chunk::<2>()?;
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    Some((byte, rest))
}

/// Refuses segments that are empty or dots, and too many of them. Whether one ends as Windows would
/// not have it.
fn segments(decoded: &[u8]) -> Result<bool, Miss> {
    let mut segments = decoded.split(|byte| *byte == b'/').skip(1).peekable();
    let (mut count, mut tail) = (0, false);
    while let Some(segment) = segments.next() {
        count += 1;
        tail |= segment.last().is_some_and(|last| is_tail(*last));
        match segment {
            [] if segments.peek().is_some() => {
                return Err(Miss::Ambiguous("an empty segment in the path"));
            }
            [b';', ..] => {
                return Err(Miss::Ambiguous(
                    "an empty segment with parameters in the path",
                ));
            }
            _ if is_dots(segment) => return Err(Miss::Ambiguous("a dot segment in the path")),
            _ => {}
        }
    }
    if count > MAX_SEGMENTS {
        return Err(Miss::Ambiguous("too many segments in the path"));
    }
    Ok(tail)
}

/// Whether a decoded segment, or a part of it between encoded slashes, is `.` or `..`, if need
/// be with parameters behind it.
fn is_dots(segment: &[u8]) -> bool {
    // Most segments are told by their first byte.
    (segment.first() == Some(&b'.') || segment.contains(&SLASH))
        && segment
            .split(|byte| *byte == SLASH)
            .any(|part| matches!(without_parameters(part), b"." | b".."))
}

/// What stands in front of the first `;`.
pub(super) fn without_parameters(segment: &[u8]) -> &[u8] {
    segment
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
}
