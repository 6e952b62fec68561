//! What is said of attempts: why, how far, and what came of them.

use jiff::Timestamp;
use serde_json::Value;

use super::documents::Arrival;
use super::remote::Came;
use super::selftest::Verdict;
use crate::problems::Problems;

/// What is done at a start whose files are broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnInvalid {
    /// A broken main file is refused; a broken file of `include` fails alone.
    #[default]
    Alone,
    /// Whatever is broken is refused.
    Fail,
    /// The last generation that served is taken up.
    LastGood,
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What serves.
    Running,
    /// What lies on disk.
    Disk,
    /// A generation that is kept.
    Generation(u64),
}

impl Side {
    /// A number, `running` or `disk`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "running" => Some(Self::Running),
            "disk" => Some(Self::Disk),
            number => number.parse().ok().map(Self::Generation),
        }
    }

    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Running => "running".into(),
            Self::Disk => "disk".into(),
            Self::Generation(number) => number.into(),
        }
    }
}

/// What control waits for.
pub type Delivering = std::pin::Pin<Box<dyn Future<Output = Delivery>>>;

/// What control waited for.
#[derive(Debug)]
pub enum Delivery {
    /// A document that came, or did not.
    Document(Arrival),
    /// What upstreams answered to the tests of a candidate.
    Trial(Verdict),
    /// A token file.
    Tokens(Came),
}

/// Why a configuration is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The process starts.
    Start,
    /// A file changed.
    File,
    /// SIGHUP or `plugway reload`.
    Command {
        /// Also when a plugin is guarded less than before.
        weaker: bool,
    },
    /// A document is to be fetched again.
    Document,
}

/// The step that a configuration failed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Files, references, syntax, keys and values.
    Validate,
    /// Documents, certificates, scopes.
    Compile,
    /// New listeners.
    Bind,
    /// What must not become weaker, and the tests.
    SelfTest,
}

impl Stage {
    /// As it is shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Compile => "compile",
            Self::Bind => "bind",
            Self::SelfTest => "self-test",
        }
    }
}

/// A configuration that was not taken.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Where it failed.
    pub stage: Stage,
    /// Why.
    pub problems: Problems,
    /// Since when.
    pub since: Timestamp,
    /// What was read.
    pub(super) digest: [u8; 32],
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Outcome {
    /// It serves; there may be warnings, of which those are here that the generation before had not.
    Published(Problems),
    /// Every byte is as it was.
    Unchanged,
    /// What served before goes on.
    Refused(Refused),
    /// Documents, or what upstreams answer to tests, are on their way.
    Waiting,
}
