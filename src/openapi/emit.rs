//! A value as YAML that readers of 1.1 and of 1.2 understand alike.
//!
//! Block style; a text is written plain only if no version of YAML could take it for anything
//! else, as a literal block if it has lines, and in double quotes otherwise.

use std::fmt::Write as _;

use crate::openapi::{Map, Value};

/// Longest key before the explicit form is used: readers look 1,024 characters ahead for `:`.
const MAX_SIMPLE_KEY: usize = 250;

/// A value as a YAML document. What was written is let go of at once, so that a large value and
/// its text are not both there as a whole.
pub fn to_yaml(value: Value) -> String {
    // A text that grows is there twice while it moves; room that is not used costs nothing.
    let mut out = String::with_capacity(2 * value.json_bytes());
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0, false),
        Value::Array(list) if !list.is_empty() => sequence(&mut out, list, 0, false),
        value => {
            flat(&mut out, &value, 0);
            out.push('\n');
        }
    }
    out.shrink_to_fit();
    out
}

/// Two spaces a level.
fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

/// The entries of a mapping. `inline`: the first one continues a line.
fn mapping(out: &mut String, map: Map, level: usize, mut inline: bool) {
    for (key, value) in map {
        if !std::mem::take(&mut inline) {
            indent(out, level);
        }
        self::key(out, &key, level);
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                mapping(out, inner, level + 1, false);
            }
            Value::Array(inner) if !inner.is_empty() => {
                out.push('\n');
                sequence(out, inner, level + 1, false);
            }
            value => {
                out.push(' ');
                flat(out, &value, level + 1);
                out.push('\n');
            }
        }
    }
}

/// A key, up to its colon.
fn key(out: &mut String, key: &str, level: usize) {
    let start = out.len();
    if is_plain(key) {
        out.push_str(key);
    } else {
        quoted(out, key);
    }
    // As it is written: an escape is longer than what it stands for.
    if out.len() - start > MAX_SIMPLE_KEY {
        out.insert_str(start, "? ");
        out.push('\n');
        indent(out, level);
    }
}

/// The items of a sequence. `inline`: the first one continues a line.
fn sequence(out: &mut String, list: Vec<Value>, level: usize, mut inline: bool) {
    for value in list {
        if !std::mem::take(&mut inline) {
            indent(out, level);
        }
        out.push_str("- ");
        match value {
            Value::Object(inner) if !inner.is_empty() => mapping(out, inner, level + 1, true),
            Value::Array(inner) if !inner.is_empty() => sequence(out, inner, level + 1, true),
            value => {
                flat(out, &value, level + 1);
                out.push('\n');
            }
        }
    }
}

/// Whatever needs no lines of its own, without the line break at its end. `level` is that of
/// the lines of a literal block.
fn flat(out: &mut String, value: &Value, level: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => self::number(out, &number.to_string()),
        Value::String(text) if is_plain(text) => out.push_str(text),
        Value::String(text) if is_literal(text) => literal(out, text, level),
        Value::String(text) => quoted(out, text),
        // Only empty ones come here.
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// A number. YAML 1.1 wants a dot and a sign where JSON has neither: `1e3` is a text there.
fn number(out: &mut String, text: &str) {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        out.push_str(text);
        return;
    };
    out.push_str(mantissa);
    if !mantissa.contains('.') {
        out.push_str(".0");
    }
    out.push('e');
    if !exponent.starts_with(['+', '-']) {
        out.push('+');
    }
    out.push_str(exponent);
}

/// Whether a text may stand without quotes: letters, digits and a few signs, and nothing that
/// any YAML takes for a number, a boolean, null, a date or a merge key.
fn is_plain(text: &str) -> bool {
    let Some(first) = text.bytes().next() else {
        return false;
    };
    let starts = first.is_ascii_alphabetic() || matches!(first, b'/' | b'_' | b'$' | b'(');
    let inside = |c: char| {
        c.is_ascii_alphanumeric()
            || " -_./()$+;=^".contains(c)
            || (c.is_alphabetic() && c > '\u{ff}')
    };
    let mut rest = text.char_indices();
    let middle = rest.all(|(at, c)| match c {
        // A colon or comma is a sign only before a space, or in flow style, which is not used.
        ':' => text
            .as_bytes()
            .get(at + 1)
            .is_some_and(|next| !next.is_ascii_whitespace()),
        ',' | '\'' | '"' | '{' | '}' | '?' | '!' | '@' | '<' | '>' | '|' | '*' | '&' | '%'
        | '[' | ']' | '~' | '`' => true,
        c => inside(c),
    });
    starts && middle && !text.ends_with(' ') && !is_word(text)
}

/// Words that some YAML reads as something else, in any case.
fn is_word(text: &str) -> bool {
    let words = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity",
    ];
    // An exponent without a mantissa: a number to some readers of 1.1.
    let exponent = text.strip_prefix(['e', 'E']);
    let exponent = exponent.map(|rest| rest.strip_prefix(['-', '+']).unwrap_or(rest));
    let is_exponent = exponent.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    is_exponent || words.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a text can be a literal block: lines of printable characters, with nothing at their
/// ends that could be lost, and no space before the first.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let printable = |c: char| {
        matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
            && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && body.chars().all(printable)
        && body
            .lines()
            .all(|line| !line.ends_with(' ') && !line.starts_with(['%', '#']))
        && !body
            .lines()
            .any(|line| line.starts_with("---") || line.starts_with("..."))
}

/// A literal block, without the last line break.
fn literal(out: &mut String, text: &str, level: usize) {
    let body = text.strip_suffix('\n');
    out.push_str(if body.is_some() { "|" } else { "|-" });
    let body = body.unwrap_or(text);
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, level.max(1));
            out.push_str(line);
        }
    }
}

/// A text in double quotes, on one line.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~'
            | '\u{a1}'..='\u{2027}'
            | '\u{202a}'..='\u{d7ff}'
            | '\u{e000}'..='\u{fefe}'
            | '\u{ff00}'..='\u{fffd}'
            | '\u{10000}'.. => out.push(c),
            // Writing to a String can not fail; what is left is below U+10000.
            c => drop(write!(out, "\\u{:04X}", u32::from(c))),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use crate::openapi::json;
    use proptest::prelude::*;

    use super::*;
    use crate::openapi::{ReadLimits, read};

    /// Texts that some reader could take for something else.
    const TEXTS: &[&str] = &[
        "",
        " ",
        "no",
        "on",
        "Y",
        "1e3",
        "e1",
        "09:00",
        "0123",
        "=",
        "~",
        "null",
        "<<",
        ".",
        "-",
        "- a",
        "---",
        "...",
        "a: b",
        "a:",
        ":a",
        "a #b",
        "#a",
        "a,b",
        "[a]",
        "{a}",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "a\\b",
        " a",
        "a ",
        "a\tb",
        "\t",
        "a\nb",
        "a\nb\n",
        "a\n\nb\n\n",
        "\na",
        "a\n b",
        " a\nb",
        "a \nb",
        "a\r\nb",
        "\u{85}",
        "a\u{85}b\nc",
        "\u{2028}",
        "\u{feff}",
        "\u{0}",
        "\u{7f}",
        "\u{9f}",
        "😀",
        "é\nü",
        "2020-01-01",
        "1_000",
        "0x1F",
        "0o7",
        "+1",
        ".inf",
        "NaN",
        "true",
        "inf",
        "日本",
        "a\n---\nb",
        "#\na",
        "a\n#b",
        "%a\nb",
        "http://a.example/b?c=d#e",
        "Bearer ${x}",
        "?",
        "? a",
        "a?",
        "\u{a0}",
        "\u{10ffff}",
        "\u{fffe}",
    ];

    #[track_caller]
    fn check(value: &Value) {
        let yaml = to_yaml(value.clone());
        let again = read(yaml.as_bytes(), &ReadLimits::default());
        assert_eq!(again.as_ref(), Ok(value), "{yaml}");
    }

    #[test]
    fn every_text_comes_back() {
        for &text in TEXTS {
            check(&json!(text));
            check(&json!({ "a": text, "b": [text, [text]] }));
            check(&json!({ text: { text: text } }));
            check(&json!([[{ text: [text] }], text]));
        }
        check(&json!({ "k".repeat(2000): { "k".repeat(300): ["v".repeat(5000)] } }));
        // Short, but long as it is written.
        check(&json!({ "\0".repeat(200): { "\"".repeat(240): [{ "\u{85}".repeat(249): {} }] } }));
    }

    #[test]
    fn every_shape_comes_back() {
        check(&json!(null));
        check(&json!([]));
        check(&json!({}));
        check(
            &json!({ "a": [], "b": {}, "c": [[], {}, [[]], [{}]], "d": [{ "e": [1, { "f": null }] }] }),
        );
        check(&json!([[[1, 2], [3]], [{ "a": 1, "b": [2] }, { "c": { "d": true } }]]));
        let numbers = "[0, -0, 1.10, -1.5, 18446744073709551616, 123456789012345678901234567890]";
        check(&read(numbers.as_bytes(), &ReadLimits::default()).unwrap());
    }

    #[test]
    fn it_is_pleasant_to_read() {
        let value = json!({ "openapi": "3.1.0", "paths": { "/a/{b}": { "get": { "description": "One.\n\nTwo: three.",
            "tags": ["x", "no"], "responses": { "200": { "$ref": "#/c" } } } } }, "list": [{ "a": 1.5e3 }] });
        let yaml = r##"openapi: "3.1.0"
paths:
  /a/{b}:
    get:
      description: |-
        One.

        Two: three.
      tags:
        - x
        - "no"
      responses:
        "200":
          $ref: "#/c"
list:
  - a: 1500.0
"##;
        assert_eq!(to_yaml(value), yaml);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>(), key in "[ -~\n\t\u{80}-\u{a0}é😀]{0,20}") {
            check(&json!({ key: [text] }));
        }
    }
}
