//! Escapes in double quotes that no parser takes: a document is not lost for them.

use super::Repair;

/// Longest list of repairs.
const MAX_REPAIRS: usize = 100;

/// Whose escapes they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// RFC 8259, §7.
    Json,
    /// YAML 1.2, §5.7.
    Yaml,
}

impl Language {
    /// How many hexadecimal digits follow this letter; `None`: it is no escape.
    fn digits(self, letter: u8) -> Option<usize> {
        match (self, letter) {
            (_, b'u') => Some(4),
            (Self::Yaml, b'x') => Some(2),
            (Self::Yaml, b'U') => Some(8),
            (Self::Yaml, _) if b"0aveN_LP \t\n\r".contains(&letter) => Some(0),
            _ => b"\"\\/bfnrt".contains(&letter).then_some(0),
        }
    }
}

/// Adds a string, with its quotes, to a text: a backslash that begins no escape is taken as it is,
/// half of a surrogate pair becomes U+FFFD, and in JSON control characters are escaped.
pub(super) fn mend(
    string: &[u8],
    language: Language,
    line: u64,
    out: &mut Vec<u8>,
    repairs: &mut Vec<Repair>,
) {
    let mut at = 0;
    while let Some(&byte) = string.get(at) {
        match byte {
            b'\\' => at += escape(&string[at..], language, line, out, repairs),
            byte if byte < b' ' && language == Language::Json => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
}

/// Adds one escape, and says how many bytes of the original it had.
fn escape(
    rest: &[u8],
    language: Language,
    line: u64,
    out: &mut Vec<u8>,
    repairs: &mut Vec<Repair>,
) -> usize {
    let mut note = |message| {
        if repairs.len() < MAX_REPAIRS {
            repairs.push(Repair { line, message });
        }
    };
    let letter = rest.get(1).copied().unwrap_or_default();
    let digits = language.digits(letter);
    let Some((code, length)) = digits.and_then(|digits| Some((hex(rest, digits)?, digits + 2)))
    else {
        if letter == b'\'' {
            out.push(letter);
            return 2;
        }
        note("a backslash that begins no escape is taken as it is written");
        out.extend_from_slice(b"\\\\");
        return 1;
    };
    let low =
        || (rest.get(6) == Some(&b'\\') && rest.get(7) == Some(&b'u')).then(|| hex(&rest[6..], 4));
    match code {
        0xD800..=0xDBFF if length == 6 => {
            if matches!(low(), Some(Some(0xDC00..=0xDFFF))) {
                out.extend_from_slice(&rest[..12]);
                return 12;
            }
        }
        0xD800..=0xDFFF | 0x11_0000.. => {}
        _ => {
            out.extend_from_slice(&rest[..length]);
            return length;
        }
    }
    note("half of a surrogate pair is replaced by U+FFFD");
    out.extend_from_slice(b"\\ufffd");
    length
}

/// The value of so many hexadecimal digits after `\x`; 0 for none.
fn hex(rest: &[u8], digits: usize) -> Option<u32> {
    if digits == 0 {
        return Some(0);
    }
    let digits = rest.get(2..2 + digits)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
