//! Faults of a configuration: all at once, each with its place and the mend.

use std::path::PathBuf;
use std::sync::Arc;

/// A place in a source text. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Place {
    /// The text it is in; `None`: no text (a command line, a fetched document).
    pub source: Option<Arc<Source>>,
    /// Byte range in the text.
    pub span: std::ops::Range<usize>,
    /// Dotted key such as `plugins.todo.auth.require`, or what the thing is called.
    pub key: String,
}

/// A source text and its name.
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
}
