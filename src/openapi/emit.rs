//! A value as YAML that readers of 1.1 and of 1.2 understand alike.
//!
//! Block style; a text is written plain only if no version of YAML could take it for anything
//! else, as a literal block if it has lines, and in double quotes otherwise.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Longest key before the explicit form is used: readers look 1,024 characters ahead for `:`.
const MAX_SIMPLE_KEY: usize = 250;

/// A value as a YAML document.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0, false),
        Value::Array(list) if !list.is_empty() => sequence(&mut out, list, 0, false),
        value => {
            flat(&mut out, value, 0);
            out.push('\n');
        }
    }
    out
}

/// Two spaces a level.
fn indent(out: &mut String, level: usize) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

/// The entries of a mapping. `inline`: the first one continues a line.
fn mapping(out: &mut String, map: &Map<String, Value>, level: usize, mut inline: bool) {
    for (key, value) in map {
        if !std::mem::take(&mut inline) {
            indent(out, level);
        }
        if key.len() > MAX_SIMPLE_KEY {
            out.push_str("? ");
            quoted(out, key);
            out.push('\n');
            indent(out, level);
        } else if is_plain(key) {
            out.push_str(key);
        } else {
            quoted(out, key);
        }
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
                flat(out, value, level + 1);
                out.push('\n');
            }
        }
    }
}

/// The items of a sequence. `inline`: the first one continues a line.
fn sequence(out: &mut String, list: &[Value], level: usize, mut inline: bool) {
    for value in list {
        if !std::mem::take(&mut inline) {
            indent(out, level);
        }
        out.push_str("- ");
        match value {
            Value::Object(inner) if !inner.is_empty() => mapping(out, inner, level + 1, true),
            Value::Array(inner) if !inner.is_empty() => sequence(out, inner, level + 1, true),
            value => {
                flat(out, value, level + 1);
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
    words.iter().any(|word| text.eq_ignore_ascii_case(word))
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
    let body = match text.strip_suffix('\n') {
        Some(body) => {
            out.push('|');
            body
        }
        None => {
            out.push_str("|-");
            text
        }
    };
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
