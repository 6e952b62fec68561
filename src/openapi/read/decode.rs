//! Bytes → text: UTF-8, or UTF-16 as some editors save it.

use std::borrow::Cow;

use super::{ReadError, ReadErrorKind};

/// The text without byte order marks.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, ReadError> {
    match bytes {
        // UTF-32's mark of little endian begins with that of UTF-16, so it comes first.
        [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => {
            return Err(ReadError::of(ReadErrorKind::Utf32));
        }
        // With a mark, or by where the zeros of its first characters stand (YAML 1.2, §5.2).
        [0xFF, 0xFE, ..] | [1..=0x7F, 0, 1..=0x7F, 0, ..] => {
            return Ok(Cow::Owned(utf16(bytes, u16::from_le_bytes)));
        }
        [0xFE, 0xFF, ..] | [0, 1..=0x7F, 0, 1..=0x7F, ..] => {
            return Ok(Cow::Owned(utf16(bytes, u16::from_be_bytes)));
        }
        _ => {}
    }
    match std::str::from_utf8(bytes) {
        // Tools that join files leave more than one.
        Ok(text) => Ok(Cow::Borrowed(text.trim_start_matches('\u{feff}'))),
        Err(error) => {
            let valid = error.valid_up_to();
            Err(ReadError::at(ReadErrorKind::NotUtf8, bytes, valid))
        }
    }
}

/// UTF-16 with that order of bytes; half pairs are replaced by U+FFFD.
fn utf16(bytes: &[u8], order: fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| order(*pair));
    let mut text = String::with_capacity(bytes.len() / 2);
    let decoded = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
    text.extend(decoded.skip_while(|c| *c == '\u{feff}'));
    text
}
