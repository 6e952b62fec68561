//! The values of a table: strings, numbers, lists, times, with defaults and bounds from the
//! description.

use std::time::Duration;

use jiff::Timestamp;
use toml::Spanned;
use toml::de::DeValue;

use super::{Reading, Section, in_order, wrong_type};
use crate::config::Rate;
use crate::config::expand::{Text, expand};
use crate::config::keys::{Absent, Kind, names};
use crate::config::values::{self, Fault};
use crate::problems::{Place, Problems};

impl Section<'_> {
    /// A string, references resolved, or its default. `None`: neither, or a problem.
    pub(in crate::config) fn text(&self, name: &str, reading: &mut Reading<'_>) -> Option<Text> {
        let key = self.described(name);
        match (self.find(name), &key.absent) {
            (Some((DeValue::String(raw), at)), _) => {
                expand(raw, &at, reading.inputs, &mut reading.problems)
            }
            (Some((other, at)), _) => {
                wrong_type(&key.kind, other, &at, &mut reading.problems);
                None
            }
            (None, Absent::Text(default)) => Some(Text::literal(default, &self.at)),
            (None, _) => None,
        }
    }

    /// A string that means something.
    pub(in crate::config) fn parsed<T>(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = self.text(name, reading)?;
        understood(&text, &mut reading.problems, parse)
    }

    /// One of the described choices.
    pub(in crate::config) fn choice(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Option<&'static str> {
        let (choices, other) = match &self.described(name).kind {
            Kind::Choice(choices) => (*choices, None),
            Kind::Either(Kind::Choice(choices), Kind::Table(table)) => (*choices, Some(*table)),
            _ => unreachable!("`{name}` is described as something else than a choice"),
        };
        self.parsed(name, reading, |text| {
            choose(text, choices).map_err(|mut fault| {
                if let (Some(table), Some(help)) = (other, &mut fault.help) {
                    let keys: Vec<_> = table.keys.iter().map(|key| key.name).collect();
                    let keys = keys.join(", ");
                    *help = format!("a table with one of the keys {keys}; or {help}");
                }
                fault
            })
        })
    }

    /// A duration within its bounds. Without a default, and not written: `None`.
    pub(in crate::config) fn duration(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Option<Duration> {
        let Kind::Duration { min, max } = self.described(name).kind else {
            unreachable!("`{name}` is described as something else than a duration");
        };
        self.parsed(name, reading, |text| {
            let duration = values::duration(text)?;
            if duration < min {
                let least = values::write_duration(min);
                return Err(Fault::with("is too short", format!("at least `{least}`")));
            }
            if duration > max {
                let most = values::write_duration(max);
                return Err(Fault::with("is too long", format!("at most `{most}`")));
            }
            Ok(duration)
        })
    }

    /// So many in a time. `None`: `off`, not written, or a problem.
    pub(in crate::config) fn rate(&self, name: &str, reading: &mut Reading<'_>) -> Option<Rate> {
        let Kind::Rate { off } = self.described(name).kind else {
            unreachable!("`{name}` is described as something else than a rate");
        };
        let read = |text: &str| values::rate(text, off);
        self.parsed(name, reading, read).flatten()
    }

    /// A size in bytes within its bounds; 0 after a problem.
    pub(in crate::config) fn size(&self, name: &str, reading: &mut Reading<'_>) -> u64 {
        let key = self.described(name);
        let Kind::Size { min, max } = key.kind else {
            unreachable!("`{name}` is described as something else than a size");
        };
        let bounded = |bytes: u64| {
            if bytes < min {
                let least = values::write_bytes(min);
                return Err(Fault::with("is too small", format!("at least `{least}`")));
            }
            if bytes > max {
                let most = values::write_bytes(max);
                return Err(Fault::with("is too large", format!("at most `{most}`")));
            }
            Ok(bytes)
        };
        let found = match self.find(name) {
            Some((number @ DeValue::Integer(_), at)) => integer(number)
                .and_then(|number| u64::try_from(number).map_err(|_| Fault::new("is too small")))
                .and_then(bounded)
                .map_err(|fault| report(&number_text(number), &at, fault, &mut reading.problems))
                .ok(),
            _ => self.parsed(name, reading, |text| values::bytes(text).and_then(&bounded)),
        };
        found.unwrap_or(0)
    }

    /// A whole number within its bounds, or its default.
    pub(in crate::config) fn integer(&self, name: &str, reading: &mut Reading<'_>) -> Option<u64> {
        let key = self.described(name);
        let Kind::Integer { min, max } = key.kind else {
            unreachable!("`{name}` is described as something else than a whole number");
        };
        let (value, at) = match (self.find(name), &key.absent) {
            (Some(found), _) => found,
            (None, Absent::Number(default)) => return Some(*default),
            (None, _) => return None,
        };
        if !matches!(value, DeValue::Integer(_)) {
            wrong_type(&key.kind, value, &at, &mut reading.problems);
            return None;
        }
        let bounded = integer(value).ok().and_then(|number| {
            let number = u64::try_from(number).ok()?;
            (min..=max).contains(&number).then_some(number)
        });
        if bounded.is_none() {
            let fault = Fault::with("is out of bounds", format!("{min} to {max}"));
            report(&number_text(value), &at, fault, &mut reading.problems);
        }
        bounded
    }

    /// A boolean. Not written: `None`.
    pub(in crate::config) fn flag(&self, name: &str, reading: &mut Reading<'_>) -> Option<bool> {
        match self.find(name)? {
            (DeValue::Boolean(flag), _) => Some(*flag),
            (other, at) => {
                wrong_type(
                    &self.described(name).kind,
                    other,
                    &at,
                    &mut reading.problems,
                );
                None
            }
        }
    }

    /// A time: a date and time of TOML with its offset, or a string.
    pub(in crate::config) fn time(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Option<(Timestamp, Place)> {
        let (value, at) = self.find(name)?;
        let text = match value {
            DeValue::Datetime(time) => Text::literal(&time.to_string(), &at),
            DeValue::String(_) => self.text(name, reading)?,
            other => {
                wrong_type(
                    &self.described(name).kind,
                    other,
                    &at,
                    &mut reading.problems,
                );
                return None;
            }
        };
        understood(&text, &mut reading.problems, values::moment).map(|time| (time, at))
    }

    /// The strings of a list, or of one string where that is allowed, or of the default.
    pub(in crate::config) fn texts(&self, name: &str, reading: &mut Reading<'_>) -> Vec<Text> {
        let key = self.described(name);
        let (one, item_kind) = match &key.kind {
            Kind::List(kind) | Kind::Either(_, Kind::List(kind)) => (false, *kind),
            Kind::OneOrMany(kind) => (true, *kind),
            _ => unreachable!("`{name}` is described as something else than a list"),
        };
        match (self.find(name), &key.absent) {
            (Some((DeValue::Array(items), at)), _) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| list_item(item, &at, index, item_kind, reading))
                .collect(),
            (Some((DeValue::String(_), _)), _) if one => {
                self.text(name, reading).into_iter().collect()
            }
            (Some((other, at)), _) => {
                wrong_type(&key.kind, other, &at, &mut reading.problems);
                Vec::new()
            }
            (None, Absent::List(defaults)) => defaults
                .iter()
                .map(|default| Text::literal(default, &self.at))
                .collect(),
            (None, _) => Vec::new(),
        }
    }

    /// The strings of a list that mean something.
    pub(in crate::config) fn list<T>(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Vec<(T, Place)> {
        let texts = self.texts(name, reading);
        let mut list = Vec::with_capacity(texts.len());
        for text in texts {
            if let Some(value) = understood(&text, &mut reading.problems, &parse) {
                list.push((value, text.at));
            }
        }
        list
    }

    /// The choices of a list.
    pub(in crate::config) fn choices(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
        parse: impl Fn(&str) -> Result<(), Fault>,
    ) -> Vec<&'static str> {
        let Kind::List(Kind::Choice(choices)) = &self.described(name).kind else {
            unreachable!("`{name}` is described as something else than a list of choices");
        };
        self.list(name, reading, |text| {
            parse(text)?;
            choose(text, choices)
        })
        .into_iter()
        .map(|(choice, _)| choice)
        .collect()
    }

    /// A table with names of the author's choice: each name, where it is, and its string.
    pub(in crate::config) fn map(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Vec<(Text, Text)> {
        let kind = &self.described(name).kind;
        let (Kind::Map(item_kind), Some((value, at))) = (kind, self.find(name)) else {
            return Vec::new();
        };
        let DeValue::Table(values) = value else {
            wrong_type(kind, value, &at, &mut reading.problems);
            return Vec::new();
        };
        let around = Section { at, ..self.clone() };
        let mut entries = Vec::new();
        for (key, item) in in_order(values) {
            let at = around.inside(key.get_ref(), item.span());
            let key = Text::literal(key.get_ref(), &around.inside(key.get_ref(), key.span()));
            match item.get_ref() {
                DeValue::String(raw) => entries.extend(
                    expand(raw, &at, reading.inputs, &mut reading.problems)
                        .map(|value| (key, value)),
                ),
                other => match scalar_text(other).filter(|_| matches!(item_kind, Kind::Scalar)) {
                    Some(text) => entries.push((key, Text::literal(&text, &at))),
                    None => wrong_type(item_kind, other, &at, &mut reading.problems),
                },
            }
        }
        entries
    }
}

/// A number or boolean as it is written.
fn scalar_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// One string of a list.
pub(super) fn list_item(
    item: &Spanned<DeValue<'_>>,
    list: &Place,
    index: usize,
    kind: &Kind,
    reading: &mut Reading<'_>,
) -> Option<Text> {
    let mut at = list.clone().item(index);
    at.span = item.span();
    match item.get_ref() {
        DeValue::String(raw) => expand(raw, &at, reading.inputs, &mut reading.problems),
        other => {
            wrong_type(kind, other, &at, &mut reading.problems);
            None
        }
    }
}

/// What a text means; a fault is reported where the text stands.
pub(in crate::config) fn understood<T>(
    text: &Text,
    problems: &mut Problems,
    parse: impl Fn(&str) -> Result<T, Fault>,
) -> Option<T> {
    parse(&text.value)
        .map_err(|fault| {
            let shown = match text.shown.as_str() {
                "" => "the empty string".to_owned(),
                shown => format!("`{shown}`"),
            };
            report(&shown, &text.at, fault, problems);
        })
        .ok()
}

/// Reports what is wrong with a value.
fn report(shown: &str, at: &Place, fault: Fault, problems: &mut Problems) {
    let problem = problems.add(at, format!("{shown} {}", fault.what));
    problem.help = fault.help;
}

/// The choice that a text is.
fn choose(
    text: &str,
    choices: &'static [(&'static str, &'static str)],
) -> Result<&'static str, Fault> {
    choices
        .iter()
        .map(|(name, _)| *name)
        .find(|name| *name == text)
        .ok_or_else(|| {
            let meanings: Vec<String> = choices
                .iter()
                .map(|(name, meaning)| format!("\"{name}\" ({meaning})"))
                .collect();
            Fault::with(
                format!("is not one of {}", names(choices)),
                meanings.join(", "),
            )
        })
}

/// The number of an integer value.
fn integer(value: &DeValue<'_>) -> Result<i128, Fault> {
    let DeValue::Integer(integer) = value else {
        return Err(Fault::new("is not a whole number"));
    };
    i128::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| Fault::new("is too large"))
}

/// A number for a message.
fn number_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(integer) => format!("`{integer}`"),
        other => type_name(other).to_owned(),
    }
}

/// What a value is, with its article.
pub(in crate::config) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
