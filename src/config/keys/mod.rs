//! Every key that a configuration may hold, described once.
//!
//! The description drives the check for unknown keys, the readers (defaults, bounds, choices)
//! and the JSON Schema, so that they can not drift apart.

mod openapi;
mod plugin;
mod root;
mod test;
mod token_files;

use std::time::Duration;

pub(super) use self::root::{INCLUDED, ROOT};

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    /// Its path as it is written, `NAME` for a name that the author chooses; empty: the root.
    pub path: &'static str,
    /// One line.
    pub doc: &'static str,
    /// Its keys, in the order in which a reader wants them.
    pub keys: &'static [Key],
    /// Keys that a later version will know.
    pub later: &'static [&'static str],
}

impl Table {
    /// The description of one of its keys.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// A key.
#[derive(Debug)]
pub(super) struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// What holds when it is not written.
    pub absent: Absent,
    /// One line, the end of a sentence such as "`timeout`: …".
    pub doc: &'static str,
}

/// A key, in one line.
const fn key(name: &'static str, kind: Kind, absent: Absent, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        absent,
        doc,
    }
}

/// What a value may be.
#[derive(Debug)]
pub(super) enum Kind {
    /// A string; what it is, such as "an e-mail address".
    Text(&'static str),
    /// The same of a URL, or of a request: its query may be a secret.
    Url(&'static str),
    /// A string that must hold a reference: a secret is never written literally.
    Secret,
    /// A string: the SHA-256 of a secret, 64 hexadecimal digits.
    Fingerprint,
    /// One of these strings, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A whole number.
    Integer {
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
    /// A string such as `30s`.
    Duration {
        /// Shortest.
        min: Duration,
        /// Longest.
        max: Duration,
    },
    /// A string such as `64MiB`, or a number of bytes.
    Size {
        /// Least bytes.
        min: u64,
        /// Most bytes.
        max: u64,
    },
    /// A string such as `600/min`.
    Rate {
        /// Or `off`.
        off: bool,
    },
    /// A boolean.
    Flag,
    /// A string, a number or a boolean.
    Scalar,
    /// RFC 3339, as a string or as a date and time of TOML.
    Time,
    /// An array.
    List(&'static Kind),
    /// One value, or an array of them.
    OneOrMany(&'static Kind),
    /// A table with keys of the author's choice.
    Map(&'static Kind),
    /// A table.
    Table(&'static Table),
    /// An array of tables.
    Tables(&'static Table),
    /// A table of tables with names of the author's choice.
    Named(&'static Table),
    /// Either of two; a string is the first, a table or a list the second.
    Either(&'static Kind, &'static Kind),
}

/// What holds when a key is not written.
#[derive(Debug)]
pub(super) enum Absent {
    /// It must be written.
    Required,
    /// Nothing; what that means is in the description.
    Unset,
    /// This string.
    Text(&'static str),
    /// This number.
    Number(u64),
    /// These strings.
    List(&'static [&'static str]),
}

impl Kind {
    /// "expected …"
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Text(what) | Self::Url(what) => (*what).to_owned(),
            Self::Secret => "a reference to a secret, such as `${env:NAME}`".to_owned(),
            Self::Fingerprint => "a SHA-256 as 64 hexadecimal digits".to_owned(),
            Self::Choice(choices) => format!("one of {}", names(choices)),
            Self::Integer { .. } => "a whole number".to_owned(),
            Self::Duration { .. } => "a duration such as `30s`".to_owned(),
            Self::Size { .. } => "a size such as `64MiB`, or a number of bytes".to_owned(),
            Self::Rate { off: true } => "a rate such as `600/min`, or `off`".to_owned(),
            Self::Rate { off: false } => "a rate such as `600/min`".to_owned(),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Scalar => "a string, a number or a boolean".to_owned(),
            Self::Time => "a time such as `2026-12-02T14:00:00Z`".to_owned(),
            Self::List(item) => format!("a list, each {}", item.expected()),
            Self::OneOrMany(item) => format!("{}, or a list of such", item.expected()),
            Self::Map(item) => format!("a table, each value {}", item.expected()),
            Self::Table(_) => "a table".to_owned(),
            Self::Tables(_) => "a list of tables".to_owned(),
            Self::Named(table) => format!("a table [{}]", table.path),
            Self::Either(text, table) => format!("{}, or {}", text.expected(), table.expected()),
        }
    }

    /// The tables in it, itself excluded.
    pub(super) fn tables(&self) -> Vec<&'static Table> {
        match self {
            Self::Table(table) | Self::Tables(table) | Self::Named(table) => vec![*table],
            Self::Either(one, other) => [one.tables(), other.tables()].concat(),
            _ => Vec::new(),
        }
    }
}

/// `` `a`, `b` or `c` ``
pub(super) fn names(choices: &[(&str, &str)]) -> String {
    let quoted: Vec<String> = choices
        .iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// Every table, the root first, depth first.
pub(super) fn all() -> Vec<&'static Table> {
    /// Adds a table and what is in it.
    fn add(table: &'static Table, all: &mut Vec<&'static Table>) {
        all.push(table);
        for key in table.keys {
            for inner in key.kind.tables() {
                add(inner, all);
            }
        }
    }
    let mut tables = Vec::new();
    add(&ROOT, &mut tables);
    tables
}

/// Milliseconds, for bounds.
const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Seconds, for bounds.
const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An hour.
const HOUR: Duration = secs(3600);
/// A day.
const DAY: Duration = secs(86_400);
