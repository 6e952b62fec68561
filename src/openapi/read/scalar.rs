//! What a plain scalar means: the core schema of YAML 1.2 (§10.3.2), numbers with their digits.

use crate::openapi::Value;

/// Null, a boolean or a number; `None`: a text.
pub(super) fn resolve(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        _ => number(text),
    }
}

/// A number. With leading zeros or underscores it is a text: a postal code, an account.
fn number(text: &str) -> Option<Value> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return prefixed(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return prefixed(digits, 8);
    }
    decimal(text)?.parse().ok().map(Value::Number)
}

/// A whole number to another base.
fn prefixed(digits: &str, radix: u32) -> Option<Value> {
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let number = u128::from_str_radix(digits, radix).ok()?;
    number.to_string().parse().ok().map(Value::Number)
}

/// `[-+]? (\. [0-9]+ | [0-9]+ (\. [0-9]*)?) ([eE] [-+]? [0-9]+)?`, as JSON writes it.
fn decimal(text: &str) -> Option<String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = exponent.map(|e| e.strip_prefix(['-', '+']).unwrap_or(e));
    let valid = digits(whole)
        && fraction.is_none_or(digits)
        && unsigned.is_none_or(|e| !e.is_empty() && digits(e))
        && !(whole.is_empty() && fraction.is_none_or(str::is_empty));
    if !valid || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.map(|f| format!(".{}", if f.is_empty() { "0" } else { f }));
    let exponent = exponent.map(|e| format!("e{e}"));
    Some(format!(
        "{sign}{whole}{}{}",
        fraction.unwrap_or_default(),
        exponent.unwrap_or_default()
    ))
}
