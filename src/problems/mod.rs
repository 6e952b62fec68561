//! Faults of a configuration: all at once, each with its place and the mend.
//!
//! A [`Problem`] names one [`Place`]; [`Problems`] holds them in the order in which a reader
//! meets them (file by file, top to bottom) and renders them for people and for programs.

mod closest;
mod render;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use closest::closest;

/// A place in a source text. Cheap to clone.
#[derive(Clone)]
pub struct Place {
    /// The text it is in; `None`: no text (a command line, a fetched document).
    pub source: Option<Arc<Source>>,
    /// Byte range in the text.
    pub span: Range<usize>,
    /// Dotted key such as `plugins.todo.auth.require`, or what the thing is called.
    pub key: String,
}

impl Place {
    /// A place that no text shows: it is rendered as its key alone.
    pub fn named(key: impl Into<String>) -> Self {
        Self {
            source: None,
            span: 0..0,
            key: key.into(),
        }
    }

    /// An element of the list that this place is: its key with an index, from 0.
    #[must_use]
    pub fn item(mut self, index: usize) -> Self {
        self.key = format!("{}[{index}]", self.key);
        self
    }

    /// The path of the file that it is in; `None` without a text.
    pub fn file(&self) -> Option<&Path> {
        self.source.as_deref().map(|source| source.path.as_path())
    }

    /// Line and column, both from 1, the column in characters; `None` without a text.
    pub fn position(&self) -> Option<(usize, usize)> {
        let text = self.source.as_deref()?.text.as_str();
        let before = &text[..floor_char_boundary(text, self.span.start)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Some((line, before[line_start..].chars().count() + 1))
    }

    /// Top to bottom: without a text first, then by path, then by offset.
    fn order(&self, other: &Self) -> Ordering {
        self.file()
            .cmp(&other.file())
            .then(self.span.start.cmp(&other.span.start))
    }
}

/// Always: where something was written is no part of what it says. So whatever holds places can be
/// compared by derived code, which forgets no field.
impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

/// `path:line:column`, or the key where there is no text.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file(), self.position()) {
            (Some(path), Some((line, column))) => write!(f, "{}:{line}:{column}", path.display()),
            _ => f.write_str(&self.key),
        }
    }
}

/// One line: a place is part of nearly every value of a configuration, its text is not news.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.is_some() {
            write!(f, "Place({self} {})", self.key)
        } else {
            write!(f, "Place({})", self.key)
        }
    }
}

/// A source text and its name. Secrets that were written literally are masked in it.
#[derive(Debug)]
pub struct Source {
    /// The path as it was given.
    pub path: PathBuf,
    /// The text.
    pub text: String,
}

/// Stops the configuration, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Problem,
    /// It does not.
    Warning,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
        }
    }
}

/// One fault.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Whether it stops the configuration.
    pub severity: Severity,
    /// Where.
    pub at: Place,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// What to do, if that is not plain from the message.
    pub help: Option<String>,
    /// The file that it is about, where that is not the one that the place is in.
    pub about: Option<PathBuf>,
}

impl Problem {
    /// Of a severity, at a place.
    pub fn new(severity: Severity, at: Place, message: impl Into<String>) -> Self {
        Self {
            severity,
            at,
            message: message.into(),
            help: None,
            about: None,
        }
    }

    /// Says which file it is about, where that is not the one that the place is in.
    pub fn about(&mut self, file: &Path) -> &mut Self {
        self.about = Some(file.to_owned());
        self
    }

    /// The file that is at fault; `None` where there is no text.
    pub fn file(&self) -> Option<&Path> {
        self.about.as_deref().or_else(|| self.at.file())
    }

    /// Says what to do.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// Every fault that was found, sorted by file and offset. Faults at one place keep the order
/// in which they were added.
#[derive(Debug, Clone, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what stops the configuration.
    pub fn add(&mut self, at: &Place, message: impl Into<String>) -> &mut Problem {
        self.insert(Problem::new(Severity::Problem, at.clone(), message))
    }

    /// Adds what does not.
    pub fn warn(&mut self, at: &Place, message: impl Into<String>) -> &mut Problem {
        self.insert(Problem::new(Severity::Warning, at.clone(), message))
    }

    /// Adds one that was made elsewhere.
    pub fn push(&mut self, problem: Problem) {
        self.insert(problem);
    }

    /// Adds all of another list.
    pub fn append(&mut self, other: Self) {
        for problem in other.0 {
            self.insert(problem);
        }
    }

    /// Keeps the list sorted, so that every way of reading it agrees.
    fn insert(&mut self, problem: Problem) -> &mut Problem {
        let index = self
            .0
            .partition_point(|before| before.at.order(&problem.at) != Ordering::Greater);
        self.0.insert(index, problem);
        &mut self.0[index]
    }

    /// Whether one of them stops the configuration.
    pub fn has_problems(&self) -> bool {
        self.iter()
            .any(|problem| problem.severity == Severity::Problem)
    }

    /// Only what stops the configuration: what a refusal is about.
    #[must_use]
    pub fn stopping(&self) -> Self {
        let stops = |problem: &&Problem| problem.severity == Severity::Problem;
        Self(self.iter().filter(stops).cloned().collect())
    }

    /// What is not in another list as well, wherever it stands there in its file.
    #[must_use]
    pub fn beside(&self, other: &Self) -> Self {
        fn name(problem: &Problem) -> (Severity, &str, Option<&Path>, &str) {
            let Problem {
                severity,
                at,
                message,
                ..
            } = problem;
            (*severity, &at.key, problem.file(), message)
        }
        // There may be thousands, of as many plugins.
        let known: BTreeSet<_> = other.iter().map(name).collect();
        let new = |problem: &&Problem| !known.contains(&name(problem));
        Self(self.iter().filter(new).cloned().collect())
    }

    /// Whether there is nothing at all, no warning either.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are, warnings included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// The warnings if nothing stops the configuration, else everything.
    pub fn into_result(self) -> Result<Self, Self> {
        if self.has_problems() {
            Err(self)
        } else {
            Ok(self)
        }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The plain rendering.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// The nearest offset at or before `index` that is no part of a character.
fn floor_char_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}
