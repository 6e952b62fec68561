//! Text that can not be mistaken for anything else on its line.

use std::io::Write as _;

/// Appends `text` as a JSON string. Beyond what JSON asks for, everything that a terminal or a
/// line reader could act on is written as `\uXXXX`.
pub(super) fn json(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.len() <= MAX_CHARS && is_all_plain(text) {
        out.extend_from_slice(text.as_bytes());
    } else {
        for c in clipped(text) {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                c if is_active(c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
    out.push(b'"');
}

/// Appends `text` for a reader of columns: as it is when it is one word, else in quotes.
pub(super) fn word(out: &mut String, text: &str) {
    if !text.is_empty() && text.len() <= MAX_CHARS && !text.contains(' ') && is_all_plain(text) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in clipped(text) {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if is_active(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether none of it needs an escape. Without an early end many bytes are looked at in one step.
fn is_all_plain(text: &str) -> bool {
    text.bytes().fold(true, |all, b| all & is_plain(b))
}

/// Printable ASCII that needs no escape.
fn is_plain(b: u8) -> bool {
    matches!(b, b' '..=b'~') && b != b'"' && b != b'\\'
}

/// Whether a terminal or a line reader could act on it: controls (C0, C1), line and paragraph
/// separators, and what turns the direction of writing.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// At most [`MAX_CHARS`] characters, with a mark where something is missing.
fn clipped(text: &str) -> impl Iterator<Item = char> {
    let cut = text.char_indices().nth(MAX_CHARS).map(|(at, _)| at);
    let mark = cut.map(|_| '…');
    text[..cut.unwrap_or(text.len())].chars().chain(mark)
}

/// Characters of one field: a client can send a method as long as a request head.
const MAX_CHARS: usize = 300;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, as_json: &str, as_word: &str) {
        let mut out = Vec::new();
        json(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), as_json);
        let mut out = String::new();
        word(&mut out, text);
        assert_eq!(out, as_word);
    }

    #[test]
    fn escapes() {
        check("GET", r#""GET""#, "GET");
        check("/todos/{id}", r#""/todos/{id}""#, "/todos/{id}");
        check("", r#""""#, r#""""#);
        check("two words", r#""two words""#, r#""two words""#);
        check("häßlich", r#""häßlich""#, r#""häßlich""#);
        check("a\"b\\c", r#""a\"b\\c""#, r#""a\"b\\c""#);
        check(
            "x\n{\"a\":1}",
            r#""x\u000a{\"a\":1}""#,
            r#""x\u{a}{\"a\":1}""#,
        );
        check(
            "\x1b[2J\x7f\u{9b}",
            r#""\u001b[2J\u007f\u009b""#,
            r#""\u{1b}[2J\u{7f}\u{9b}""#,
        );
        check(
            "\u{202e}\u{2028}",
            r#""\u202e\u2028""#,
            r#""\u{202e}\u{2028}""#,
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let mut out = Vec::new();
        json(&mut out, &"ü".repeat(MAX_CHARS + 1));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!("\"{}…\"", "ü".repeat(MAX_CHARS))
        );
        let mut out = String::new();
        word(&mut out, &"x".repeat(32 << 10));
        assert_eq!(out.chars().count(), MAX_CHARS + 3);
    }

    proptest! {
        #[test]
        fn json_reads_back_as_one_line(text in "\\PC{0,40}|.{0,40}|[\\x00-\\x9f\u{2028}\u{202e}]{0,40}") {
            let mut out = Vec::new();
            json(&mut out, &text);
            prop_assert_eq!(&serde_json::from_slice::<String>(&out).unwrap(), &text);
            prop_assert!(!String::from_utf8(out).unwrap().chars().any(is_active));
            let mut out = String::new();
            word(&mut out, &text);
            prop_assert!(!out.chars().any(is_active));
        }
    }
}
