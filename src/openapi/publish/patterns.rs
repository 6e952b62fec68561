//! Regular expressions of `pattern`, as far as clients in any language read them alike.

use std::iter::Peekable;
use std::str::Chars;

use crate::openapi::Value;

/// The escapes of letters that mean the same everywhere.
const LETTERS: &str = "bBdDsSwWfnrtvxu";

/// Longest pattern, in bytes.
const MAX_LENGTH: usize = 4_000;
/// Most groups within each other: some parsers take a call for each, and fall over.
const MAX_GROUPS: usize = 50;

/// Whether a pattern can be read by those who take their own regular expressions for those of
/// ECMA-262. It says no to a few that all could read, and leaves out to look at ranges, counts
/// and what references to groups mean.
pub(super) fn is_portable(pattern: &str) -> bool {
    if pattern.len() > MAX_LENGTH {
        return false;
    }
    let mut chars = pattern.chars().peekable();
    let mut groups = 0_usize;
    // Whether something stands before that can be repeated, and whether it is repeated already.
    let (mut atom, mut repeated) = (false, false);
    while let Some(c) = chars.next() {
        let fine = match c {
            '\\' => escape(&mut chars),
            '[' => class(&mut chars),
            '(' => {
                groups += 1;
                groups <= MAX_GROUPS && group(&mut chars)
            }
            ')' => {
                let open = groups > 0;
                groups = groups.saturating_sub(1);
                open
            }
            '*' | '+' => atom,
            '?' => atom || repeated,
            _ => true,
        };
        if !fine {
            return false;
        }
        let count = c == '{' && count(&mut chars);
        if count && !atom {
            return false;
        }
        // A question mark behind a quantifier makes it lazy, and ends it.
        let lazy = c == '?' && !atom;
        let quantifier = count || matches!(c, '*' | '+' | '?');
        repeated = quantifier && !lazy;
        atom = !quantifier && !matches!(c, '(' | '|');
    }
    groups == 0
}

/// The same for what stands under `pattern`; what is no text is judged elsewhere.
pub(super) fn is_portable_value(value: &Value) -> bool {
    value.as_str().is_none_or(is_portable)
}

/// Reads what stands behind a backslash; whether all can read it.
fn escape(chars: &mut Peekable<Chars<'_>>) -> bool {
    chars
        .next()
        .is_some_and(|c| !c.is_ascii_alphabetic() || LETTERS.contains(c))
}

/// Reads the kind of a group; whether all know it.
fn group(chars: &mut Peekable<Chars<'_>>) -> bool {
    if chars.next_if_eq(&'?').is_none() {
        return true;
    }
    match chars.next() {
        Some('<') => matches!(chars.next(), Some('=' | '!')),
        kind => matches!(kind, Some(':' | '=' | '!')),
    }
}

/// Reads how often something is repeated, if that is what stands there; else it is text.
fn count(chars: &mut Peekable<Chars<'_>>) -> bool {
    let mut ahead = chars.clone();
    let mut digits = 0;
    loop {
        match ahead.next() {
            Some('}') if digits > 0 => break,
            Some('0'..='9') => digits += 1,
            Some(',') => {}
            _ => return false,
        }
    }
    *chars = ahead;
    true
}

/// Reads a class of characters behind its bracket; whether it ends, and all can read it.
fn class(chars: &mut Peekable<Chars<'_>>) -> bool {
    chars.next_if_eq(&'^');
    // The empty class is one in ECMA-262 alone.
    if chars.peek() == Some(&']') {
        return false;
    }
    while let Some(c) = chars.next() {
        match c {
            ']' => return true,
            '\\' if chars.peek() == Some(&'B') || !escape(chars) => return false,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_deep_or_too_long_is_not_portable() {
        let nested = |depth: usize| "(".repeat(depth) + "a" + &")".repeat(depth);
        assert!(is_portable(&nested(MAX_GROUPS)));
        assert!(!is_portable(&nested(MAX_GROUPS + 1)));
        assert!(is_portable(&"(a)".repeat(MAX_GROUPS + 1)));
        assert!(is_portable(&"a".repeat(MAX_LENGTH)));
        assert!(!is_portable(&"a".repeat(MAX_LENGTH + 1)));
    }

    #[test]
    fn what_some_language_can_not_read_is_not_portable() {
        for pattern in [
            "",
            "^a.*b$",
            r"^\d{2,3}-\w+?$",
            r"[^\]a-z\d]+",
            "(?:a|b)(?=c)(?!d)(?<=e)(?<!f)",
            "a{,b",
            "{",
            r"\u00e9\x41\.\/",
            "^(a+)+$",
            r"[*+?(]",
            "a{2}?",
            r"^[\w\-.]*$",
            "()",
            "é+",
            "^$",
        ] {
            assert!(is_portable(pattern), "{pattern}");
        }
        for pattern in [
            r"^[\p{L}\p{N}]*$",
            r"\p{Alpha}+",
            r"[^\P{C}]",
            "[",
            "[]",
            "(",
            ")",
            "a)",
            "*a",
            "(?i)a",
            "(?<name>a)",
            "(?P<name>a)",
            r"\",
            r"[\",
            "a**",
            "a|*",
            "(+)",
            "{2}",
            "a{2}{3}",
            r"\Qx\E",
            r"\Aa\z",
            "[a",
            "a?+",
        ] {
            assert!(!is_portable(pattern), "{pattern}");
        }
    }
}
