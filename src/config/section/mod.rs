//! One table of a configuration, read by its description. Every getter reports what is wrong
//! with the value and goes on: what it then returns is never published.

mod unknown;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use self::value::{type_name, understood};
use super::Inputs;
use super::expand::Text;
use super::keys::{Absent, Key, Kind, Table, names};
use crate::problems::{Place, Problems, Source};
use crate::tokens::Fingerprint;

/// What is at hand while a configuration is read.
pub(super) struct Reading<'r> {
    /// Files and variables.
    pub inputs: &'r mut dyn Inputs,
    /// Now.
    pub now: Timestamp,
    /// Every fault so far.
    pub problems: Problems,
    /// Who has which name; for the second one.
    pub seen: Seen,
}

/// What may be there only once, with its first place.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Plugins by name.
    pub plugins: BTreeMap<String, Place>,
    /// Tokens by key.
    pub tokens: BTreeMap<String, Place>,
    /// Host names, with the plugin that has them.
    pub hosts: BTreeMap<String, (String, Place)>,
    /// Plugins whose hosts were written, and are wrong.
    pub misnamed: BTreeSet<String>,
    /// Fingerprints, with the token that has them.
    pub fingerprints: BTreeMap<Fingerprint, (String, Place)>,
    /// Places of `require = "none"`.
    pub unguarded: Vec<Place>,
    /// Whether a file could not be read, so that a name may be missing only for that.
    pub incomplete: bool,
}

/// A table that was written, or one that was not: then its defaults hold.
#[derive(Debug, Clone)]
pub(super) struct Section<'d> {
    /// Its description.
    table: &'static Table,
    /// What was written; `None`: nothing.
    values: Option<&'d DeTable<'d>>,
    /// Where it stands; if it was not written, where the table around it stands.
    at: Place,
}

impl<'d> Section<'d> {
    /// A whole file. Its keys are checked.
    pub(super) fn root(
        table: &'static Table,
        values: &'d DeTable<'d>,
        source: &Arc<Source>,
        reading: &mut Reading<'_>,
    ) -> Self {
        let at = Place {
            source: Some(Arc::clone(source)),
            span: 0..0,
            key: String::new(),
        };
        Self::checked(table, Some(values), at, reading)
    }

    /// A table whose keys are checked: unknown ones, and those that are missing.
    fn checked(
        table: &'static Table,
        values: Option<&'d DeTable<'d>>,
        at: Place,
        reading: &mut Reading<'_>,
    ) -> Self {
        let section = Self { table, values, at };
        section.check_unknown(&mut reading.problems);
        section.check_missing(&mut reading.problems);
        section
    }

    /// Where it stands.
    pub(super) fn at(&self) -> &Place {
        &self.at
    }

    /// Whether the table was written.
    pub(super) fn is_written(&self) -> bool {
        self.values.is_some()
    }

    /// Whether a key is one of this table's, written or not.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.table.key(name).is_some()
    }

    /// Whether a key was written, and where its value is.
    pub(super) fn written(&self, name: &str) -> Option<Place> {
        self.find(name).map(|(_, at)| at)
    }

    /// Whether a key was written, and with which value.
    pub(super) fn find(&self, name: &str) -> Option<(&'d DeValue<'d>, Place)> {
        let found = self.values?.get(name)?;
        Some((found.get_ref(), self.inside(name, found.span())))
    }

    /// Where a key of a table inside was written, without checking that table again.
    pub(super) fn table_written_key(&self, table: &str, name: &str) -> Option<Place> {
        match self.find(table)? {
            (DeValue::Table(values), at) => {
                let found = values.get(name)?;
                let key = format!("{}.{name}", at.key);
                let span = found.span();
                Some(Place { span, key, ..at })
            }
            _ => None,
        }
    }

    /// The description of a key.
    ///
    /// # Panics
    /// When there is none: a reader asks for a key that nobody may write. Each reader asks for
    /// all of its keys, so the first test that reads such a table shows it.
    pub(super) fn described(&self, name: &str) -> &'static Key {
        self.table
            .key(name)
            .unwrap_or_else(|| unreachable!("`{name}` is not described in [{}]", self.table.path))
    }

    /// A place inside: a key or a value of this table.
    fn inside(&self, name: &str, span: Range<usize>) -> Place {
        Place {
            source: self.at.source.clone(),
            span,
            key: self.path_of(name),
        }
    }

    /// The dotted path of a key of this table.
    fn path_of(&self, name: &str) -> String {
        let bare = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let dot = if self.at.key.is_empty() { "" } else { "." };
        if bare {
            format!("{}{dot}{name}", self.at.key)
        } else {
            format!("{}{dot}{name:?}", self.at.key)
        }
    }

    /// Says what must be written and is not.
    fn check_missing(&self, problems: &mut Problems) {
        for key in self.table.keys {
            if !matches!(key.absent, Absent::Required) || self.find(key.name).is_some() {
                continue;
            }
            if matches!(key.kind, Kind::Table(_)) {
                continue; // its reader says which of its keys is missing
            }
            let at = self.inside(key.name, self.at.span.clone());
            let message = format!("`{}` is missing", at.key);
            let help = match &key.kind {
                Kind::Choice(choices) => {
                    let choices: Vec<String> = choices
                        .iter()
                        .map(|(name, meaning)| format!("\"{name}\" ({meaning})"))
                        .collect();
                    format!("{}, one of: {}", key.doc, choices.join(", "))
                }
                kind => format!("write {} ({})", kind.expected(), key.doc),
            };
            problems.add(&at, message).help(help);
        }
    }

    /// A table inside, written or not.
    pub(super) fn table(&self, name: &str, reading: &mut Reading<'_>) -> Section<'d> {
        let Kind::Table(table) = self.described(name).kind else {
            unreachable!("`{name}` is described as something else than a table");
        };
        let absent = || Place {
            key: self.path_of(name),
            ..self.at.clone()
        };
        match self.find(name) {
            Some((DeValue::Table(values), at)) => {
                Section::checked(table, Some(values), at, reading)
            }
            Some((other, at)) => {
                wrong_type(
                    &self.described(name).kind,
                    other,
                    &at,
                    &mut reading.problems,
                );
                // One problem is enough: what is missing in it is not.
                Section {
                    table,
                    values: None,
                    at,
                }
            }
            None => Section::checked(table, None, absent(), reading),
        }
    }

    /// A table inside, if it was written as one.
    pub(super) fn written_table(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Option<Section<'d>> {
        self.find(name)?;
        let section = self.table(name, reading);
        section.is_written().then_some(section)
    }

    /// The table of [`Kind::Either`], if a table was written.
    pub(super) fn either_table(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Option<Section<'d>> {
        match (self.find(name)?, &self.described(name).kind) {
            ((DeValue::Table(values), at), Kind::Either(_, Kind::Table(table))) => {
                Some(Section::checked(table, Some(values), at, reading))
            }
            _ => None,
        }
    }

    /// An array of tables.
    pub(super) fn tables(&self, name: &str, reading: &mut Reading<'_>) -> Vec<Section<'d>> {
        let kind = &self.described(name).kind;
        let (Kind::Tables(table), Some((value, at))) = (kind, self.find(name)) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            wrong_type(kind, value, &at, &mut reading.problems);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = self.inside(name, item.span()).item(index);
            match item.get_ref() {
                DeValue::Table(values) => {
                    sections.push(Section::checked(table, Some(values), at, reading));
                }
                other => wrong_type(&Kind::Table(table), other, &at, &mut reading.problems),
            }
        }
        sections
    }

    /// The items of a list, each a string or a table.
    pub(super) fn texts_or_tables(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Vec<Result<Section<'d>, Text>> {
        let Kind::List(kind) = &self.described(name).kind else {
            return Vec::new();
        };
        let (Kind::Either(_, Kind::Table(table)), Some((value, at))) = (kind, self.find(name))
        else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            wrong_type(
                &self.described(name).kind,
                value,
                &at,
                &mut reading.problems,
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(values) => {
                    let at = self.inside(name, item.span()).item(index);
                    found.push(Ok(Section::checked(table, Some(values), at, reading)));
                }
                _ => found.extend(value::list_item(item, &at, index, kind, reading).map(Err)),
            }
        }
        found
    }

    /// A table of tables: each name, where it is written, and its table, in the order in which
    /// they were written.
    pub(super) fn named(
        &self,
        name: &str,
        reading: &mut Reading<'_>,
    ) -> Vec<(String, Place, Section<'d>)> {
        let kind = &self.described(name).kind;
        let (Kind::Named(table), Some((value, at))) = (kind, self.find(name)) else {
            return Vec::new();
        };
        let DeValue::Table(values) = value else {
            wrong_type(kind, value, &at, &mut reading.problems);
            return Vec::new();
        };
        let around = Section {
            table,
            values: Some(values),
            at,
        };
        let mut sections = Vec::new();
        for (name, item) in in_order(values) {
            let at = around.inside(name.get_ref(), name.span());
            match item.get_ref() {
                DeValue::Table(values) => {
                    let section = Section::checked(table, Some(values), at.clone(), reading);
                    sections.push((name.get_ref().to_string(), at, section));
                }
                other => {
                    let at = around.inside(name.get_ref(), item.span());
                    wrong_type(kind, other, &at, &mut reading.problems);
                }
            }
        }
        sections
    }
}

/// The entries of a table as they were written; the parser sorts them by name.
fn in_order<'d>(
    values: &'d DeTable<'d>,
) -> Vec<(
    &'d Spanned<toml::de::DeString<'d>>,
    &'d Spanned<DeValue<'d>>,
)> {
    let mut entries: Vec<_> = values.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// Says what was expected and what was found.
pub(super) fn wrong_type(kind: &Kind, found: &DeValue<'_>, at: &Place, problems: &mut Problems) {
    let problem = problems.add(at, format!("`{}` is {}", at.key, type_name(found)));
    let expected = match kind {
        Kind::Choice(choices) => format!("expected {}", names(choices)),
        Kind::Table(_) if !at.key.ends_with(']') => format!("expected a table [{}]", at.key),
        Kind::Tables(_) => format!("expected a list of tables, each [[{}]]", at.key),
        kind => format!("expected {}", kind.expected()),
    };
    problem.help(expected);
}
