//! Whether a schema allows a value.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::openapi::{Map, Text, Value};
use regex::{Regex, RegexBuilder};
use serde_json::Number;

use super::super::Target;
use super::super::patterns::is_portable;
use super::decimal::Decimal;

/// Most schemas and values that are looked at for one document.
const MAX_STEPS: usize = 1_000_000;
/// Most of them for one value.
const MAX_STEPS_EACH: usize = 10_000;
/// Deepest schema that is looked at.
const MAX_DEPTH: usize = 64;
/// Longest regular expression that is evaluated. In bytes.
const MAX_PATTERN: usize = 1_000;
/// Largest regular expression once it is compiled. In bytes.
const MAX_COMPILED: usize = 64 * 1024;
/// Most regular expressions that are compiled for one document.
const MAX_PATTERNS: usize = 500;

/// Whether something is so; `None`: it can not be told.
type Verdict = Option<bool>;

/// Looks at values with the schemas of one document.
#[derive(Debug)]
pub(super) struct Checker<'d> {
    /// The components.
    schemas: Option<&'d Map>,
    /// The version, which decides on null and on whole numbers.
    target: Target,
    /// Regular expressions by what is written.
    patterns: HashMap<&'d str, Option<Regex>>,
    /// What may still be looked at.
    left: usize,
    /// What may still be looked at for this value.
    left_each: usize,
}

/// All verdicts together: one refusal is enough.
fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut known = Some(true);
    for verdict in verdicts {
        match verdict {
            Some(true) => {}
            Some(false) => return Some(false),
            None => known = None,
        }
    }
    known
}

impl<'d> Checker<'d> {
    /// For the schemas of a document.
    pub(super) fn new(document: &'d Value, target: Target) -> Self {
        let schemas = document.pointer("/components/schemas");
        Self {
            schemas: schemas.and_then(Value::as_object),
            target,
            patterns: HashMap::new(),
            left: MAX_STEPS,
            left_each: 0,
        }
    }

    /// Whether the schema refuses the value for certain.
    pub(super) fn refuses(&mut self, schema: &'d Map, value: &Value) -> bool {
        self.left_each = MAX_STEPS_EACH;
        self.allows(schema, value, 0) == Some(false)
    }

    /// Takes steps; `None`: there are none left.
    fn step(&mut self, count: usize) -> Option<()> {
        self.left = self.left.checked_sub(count)?;
        self.left_each = self.left_each.checked_sub(count)?;
        Some(())
    }

    /// Whether a schema, or what is written in the place of one, allows the value.
    fn allows_by(&mut self, schema: &'d Value, value: &Value, depth: usize) -> Verdict {
        match schema {
            Value::Bool(flag) => Some(*flag),
            Value::Object(schema) => self.allows(schema, value, depth),
            _ => None,
        }
    }

    /// Whether the schema allows the value.
    fn allows(&mut self, schema: &'d Map, value: &Value, depth: usize) -> Verdict {
        if depth > MAX_DEPTH {
            return None;
        }
        self.step(1)?;
        let nullable = schema.get("nullable") == Some(&Value::Bool(true));
        if value.is_null() && nullable && self.target == Target::V3_0_1 {
            return Some(true);
        }
        let mut known = Some(true);
        let checks = [
            Self::by_reference,
            Self::by_type,
            Self::by_values,
            Self::by_combination,
            Self::by_content,
        ];
        for check in checks {
            match check(self, schema, value, depth + 1) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => known = None,
            }
        }
        known
    }

    /// `$ref`
    fn by_reference(&mut self, schema: &'d Map, value: &Value, depth: usize) -> Verdict {
        let Some(reference) = schema.get("$ref") else {
            return Some(true);
        };
        let name = reference.as_str()?.strip_prefix("#/components/schemas/")?;
        self.allows_by(self.schemas?.get(name)?, value, depth)
    }

    /// `type`
    fn by_type(&mut self, schema: &'d Map, value: &Value, _: usize) -> Verdict {
        let name = match schema.get("type") {
            None => return Some(true),
            Some(name) => name.as_str()?,
        };
        Some(match value {
            Value::Null => name == "null",
            Value::Bool(_) => name == "boolean",
            Value::String(_) => name == "string",
            Value::Array(_) => name == "array",
            Value::Object(_) => name == "object",
            Value::Number(number) => match name {
                "number" => true,
                // Validators of 3.0 want it to be written as one.
                "integer" if self.target == Target::V3_0_1 => is_written_whole(number),
                "integer" => Decimal::new(number)?.is_whole(),
                _ => false,
            },
        })
    }

    /// `const` and `enum`
    fn by_values(&mut self, schema: &'d Map, value: &Value, _: usize) -> Verdict {
        let values = match (schema.get("const"), schema.get("enum")) {
            (Some(only), _) => std::slice::from_ref(only),
            (None, Some(Value::Array(values))) => values.as_slice(),
            _ => return Some(true),
        };
        let size = match value {
            Value::Array(list) => list.len() + 1,
            Value::Object(map) => map.len() + 1,
            _ => 1,
        };
        self.step(values.len().saturating_mul(size))?;
        let key = key(value);
        let alike =
            |other: &&Value| std::mem::discriminant(*other) == std::mem::discriminant(value);
        Some(
            values
                .iter()
                .filter(alike)
                .any(|other| self::key(other) == key),
        )
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`
    fn by_combination(&mut self, schema: &'d Map, value: &Value, depth: usize) -> Verdict {
        let mut verdicts = Vec::new();
        for name in ["allOf", "anyOf", "oneOf"] {
            let Some(Value::Array(list)) = schema.get(name) else {
                continue;
            };
            let (mut yes, mut no, mut open) = (0, 0, 0);
            for inner in list {
                match self.allows_by(inner, value, depth) {
                    Some(true) => yes += 1,
                    Some(false) => no += 1,
                    None => open += 1,
                }
            }
            verdicts.push(match (name, yes, no, open) {
                ("allOf", _, 0, 0) | ("anyOf", 1.., _, _) | ("oneOf", 1, _, 0) => Some(true),
                ("allOf", _, 0, _) => None,
                ("allOf", ..) | (_, 0, _, 0) | ("oneOf", 2.., _, _) => Some(false),
                _ => None,
            });
        }
        if let Some(inner) = schema.get("not") {
            verdicts.push(self.allows_by(inner, value, depth).map(|allowed| !allowed));
        }
        all(verdicts)
    }

    /// What restricts values of one type.
    fn by_content(&mut self, schema: &'d Map, value: &Value, depth: usize) -> Verdict {
        match value {
            Value::Number(number) => by_number(schema, number),
            Value::String(text) => self.by_text(schema, text),
            Value::Array(list) => self.by_items(schema, list, depth),
            Value::Object(map) => self.by_members(schema, map, depth),
            Value::Null | Value::Bool(_) => Some(true),
        }
    }

    /// Length, pattern and format of a text.
    fn by_text(&mut self, schema: &'d Map, text: &str) -> Verdict {
        let length = text.chars().count();
        let pattern = match schema.get("pattern").and_then(Value::as_str) {
            Some(pattern) => self.pattern(pattern).map(|regex| regex.is_match(text)),
            None => Some(true),
        };
        let format = schema.get("format").and_then(Value::as_str);
        all([
            within(schema, length, "minLength", "maxLength"),
            pattern,
            Some(is_of_format(text, format.unwrap_or_default())),
        ])
    }

    /// A regular expression, if it can be evaluated.
    fn pattern(&mut self, pattern: &'d str) -> Option<&Regex> {
        if !self.patterns.contains_key(pattern) {
            if pattern.len() > MAX_PATTERN || self.patterns.len() >= MAX_PATTERNS {
                return None;
            }
            let regex = RegexBuilder::new(pattern).size_limit(MAX_COMPILED).build();
            self.patterns.insert(pattern, regex.ok());
        }
        self.patterns.get(pattern)?.as_ref()
    }

    /// The items of a list.
    fn by_items(&mut self, schema: &'d Map, list: &[Value], depth: usize) -> Verdict {
        let mut verdicts = vec![within(schema, list.len(), "minItems", "maxItems")];
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.step(list.len())?;
            let mut seen = HashSet::new();
            verdicts.push(Some(list.iter().all(|item| seen.insert(key(item)))));
        }
        let first = schema.get("prefixItems").and_then(Value::as_array);
        let first = first.map_or(&[][..], Vec::as_slice);
        for (item, inner) in list.iter().zip(first) {
            verdicts.push(self.allows_by(inner, item, depth));
        }
        if let Some(inner) = schema.get("items") {
            for item in list.iter().skip(first.len()) {
                let verdict = self.allows_by(inner, item, depth);
                verdicts.push(verdict);
                if verdict == Some(false) {
                    break;
                }
            }
        }
        all(verdicts)
    }

    /// The members of an object.
    fn by_members(&mut self, schema: &'d Map, map: &Map, depth: usize) -> Verdict {
        let mut verdicts = vec![within(schema, map.len(), "minProperties", "maxProperties")];
        let required = schema.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str);
        verdicts.push(Some(
            required.into_iter().all(|name| map.contains_key(name)),
        ));
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        let others = others.filter(|_| !schema.contains_key("patternProperties"));
        for (name, value) in map {
            let inner = properties.and_then(|properties| properties.get(name));
            if let Some(inner) = inner.or(others) {
                verdicts.push(self.allows_by(inner, value, depth));
            }
        }
        all(verdicts)
    }
}

/// Whether a count is between two bounds.
fn within(schema: &Map, count: usize, least: &str, most: &str) -> Verdict {
    let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
    let count = u64::try_from(count).ok()?;
    let low = bound(least).is_some_and(|least| count < least);
    let high = bound(most).is_some_and(|most| count > most);
    Some(!low && !high)
}

/// Bounds and steps of a number.
fn by_number(schema: &Map, number: &Number) -> Verdict {
    let value = Decimal::new(number)?;
    let mut verdicts = Vec::new();
    let flag = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    for (name, refused, exclusive) in [
        ("minimum", Ordering::Less, "exclusiveMinimum"),
        ("maximum", Ordering::Greater, "exclusiveMaximum"),
    ] {
        for (bound, equal_refused) in [(name, flag(exclusive)), (exclusive, true)] {
            if let Some(Value::Number(bound)) = schema.get(bound) {
                let order = Decimal::new(bound).map(|bound| value.compare(&bound));
                let fits = |order| order != refused && !(equal_refused && order == Ordering::Equal);
                verdicts.push(order.map(fits));
            }
        }
    }
    if let Some(Value::Number(step)) = schema.get("multipleOf") {
        let exact = Decimal::new(step).and_then(|step| value.is_multiple_of(&step));
        verdicts.push(exact);
        // Validators divide binary fractions; what they refuse is of no use either.
        if let (Some(value), Some(step), false) =
            (number.as_f64(), step.as_f64(), is_written_whole(step))
            && step != 0.0
        {
            verdicts.push(Some((value / step).fract() == 0.0));
        }
    }
    let bits = match schema.get("format").and_then(Value::as_str) {
        Some("int32") => Some((i128::from(i32::MIN), i128::from(i32::MAX))),
        Some("int64") => Some((i128::from(i64::MIN), i128::from(i64::MAX))),
        _ => None,
    };
    if let Some((least, most)) = bits.filter(|_| is_written_whole(number)) {
        let value: Option<i128> = number.to_string().parse().ok();
        verdicts.push(Some(value.is_some_and(|v| (least..=most).contains(&v))));
    }
    all(verdicts)
}

/// Whether a number is written without fraction and exponent.
fn is_written_whole(number: &Number) -> bool {
    let text = number.to_string();
    text.strip_prefix('-')
        .unwrap_or(&text)
        .bytes()
        .all(|b| b.is_ascii_digit())
}

/// Whether a text is of a format that generators read defaults by.
fn is_of_format(text: &str, format: &str) -> bool {
    let date = |text: &str| text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    match format {
        "date" => date(text),
        "date-time" => {
            let day = text.get(..10).is_some_and(date);
            day && text
                .get(11..)
                .is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit()))
        }
        "uuid" => {
            let groups: Vec<usize> = text.split('-').map(str::len).collect();
            groups == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
        }
        // Validators of documents look no further, and some read no offset of a zone.
        "time" => text.len() == 8 && text.parse::<jiff::civil::Time>().is_ok(),
        "email" | "idn-email" => text.contains('@'),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "hostname" | "idn-hostname" => is_hostname(text),
        "regex" => is_portable(text),
        "byte" => {
            let digits = text.trim_end_matches('=');
            let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
            text.len().is_multiple_of(4)
                && text.len() - digits.len() < 3
                && digits.bytes().all(known)
        }
        _ => true,
    }
}

/// Whether a text is a name of RFC 1123 §2.1; whether others are, depends on tables of Unicode.
fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && label.trim_matches('-') == label
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A text that equal values have in common: 1 and 1.0 are equal, and members have no order.
pub(super) fn key(value: &Value) -> String {
    let mut out = String::new();
    write_key(value, &mut out);
    out
}

/// Writes the text that equal values have in common.
fn write_key(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => match Decimal::new(number) {
            // Writing to a String can not fail.
            Some(decimal) => drop(write!(out, "{decimal:?}")),
            None => out.push_str(&number.to_string()),
        },
        Value::Array(list) => {
            out.push('[');
            for item in list {
                write_key(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut names: Vec<&Text> = map.keys().collect();
            names.sort_unstable();
            out.push('{');
            for name in names {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_key(&map[name], out);
                out.push(',');
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}
