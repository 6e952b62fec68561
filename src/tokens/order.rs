//! Orders about tokens, and what becomes of them: the words that the admin API, the command line
//! and the state database have in common.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{CreateRequest, FieldFault, Filter, Plugins, Refusal, RotateRequest, SetRequest};

/// Who asks, and what they may see and change.
#[derive(Debug, Clone)]
pub struct Who {
    /// For the audit: `unix:root`, or the id of an admin token.
    pub by: Arc<str>,
    /// Tokens of these plugins.
    pub plugins: Plugins,
}

impl Who {
    /// Whether a token is theirs to see and to change: all of its plugins are.
    pub fn has(&self, plugins: &Plugins) -> bool {
        match (&self.plugins, plugins) {
            (Plugins::All, _) => true,
            (Plugins::Only(_), Plugins::All) => false,
            (own, Plugins::Only(names)) => names.iter().all(|name| own.covers(name)),
        }
    }

    /// Whether they may ask for what is not about tokens of some plugins.
    pub fn may_all(&self) -> bool {
        self.plugins == Plugins::All
    }
}

/// What is asked of the desk. A token is named by its id, or by its name where that is clear.
#[derive(Debug, Clone)]
pub enum Order {
    /// Makes one.
    Create(CreateRequest),
    /// Changes what was said when it was made.
    Set(String, SetRequest),
    /// Another secret, or another end of the one before.
    Rotate(String, RotateRequest),
    /// Ends the previous secret.
    Finish(String),
    /// Takes the previous secret back.
    Undo(String),
    /// Opens nothing until it is resumed.
    Suspend(String),
    /// Back from that.
    Resume(String),
    /// Ends it for ever, and why.
    Revoke(String, String),
    /// Lines of a token file; `true`: those that are there already are replaced.
    Import(String, bool),
    /// Shows one.
    Show(String),
}

/// What was done.
pub struct Done {
    /// For whoever asked. After a create or a rotation it has the secret: the only time.
    pub value: Value,
    /// Whether anything changed.
    pub changed: bool,
}

/// Without the value: it may hold a secret.
impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done")
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is no such token, or it is not theirs to know.
    Unknown,
    /// No token of theirs has, or had, the secret that is asked about.
    UnknownSecret,
    /// No generation of this number is kept; `None`: none before the one that serves.
    NoGeneration(Option<u64>),
    /// Another generation serves than the one that was expected.
    Changed {
        /// The one that serves.
        serves: u64,
    },
    /// Several have the name.
    Ambiguous(Vec<Arc<str>>),
    /// Fields say what can not be.
    Invalid(Vec<FieldFault>),
    /// The token, or another one, is in the way.
    Conflict(String),
    /// Not theirs to do.
    Forbidden(&'static str),
    /// The database can not be used now.
    Store(String),
    /// A gateway elsewhere says no for a reason of its own.
    Remote(String),
}

impl Fault {
    /// A whole secret where a token was to be named. What was written is not repeated.
    pub fn secret_for_id(field: &'static str) -> Self {
        let message = "this is a whole secret: name a token by its id, which is the first 12 characters (`plugway token show -` reads a secret from standard input and shows whose it is), and replace the secret if others can read your command history";
        Self::Invalid(vec![FieldFault {
            field,
            message: message.to_owned(),
        }])
    }

    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown | Self::UnknownSecret => "unknown_token",
            Self::NoGeneration(_) => "unknown_generation",
            Self::Changed { .. } => "generation_changed",
            Self::Ambiguous(_) => "ambiguous_name",
            Self::Invalid(_) => "invalid_request",
            Self::Conflict(_) => "conflict",
            Self::Forbidden(_) => "forbidden",
            Self::Store(_) => "store_unavailable",
            Self::Remote(_) => "refused",
        }
    }

    /// Sentences for people.
    pub fn detail(&self) -> String {
        match self {
            Self::Unknown => {
                "there is no token with this id or name; `plugway token list` shows what there is"
                    .to_owned()
            }
            Self::UnknownSecret => {
                "no token that you may see has this secret, or had it before; what is read has to be the secret alone"
                    .to_owned()
            }
            Self::NoGeneration(number) => {
                let which = number.map_or_else(
                    || "no generation before this one".to_owned(),
                    |number| format!("no generation {number}"),
                );
                format!("{which} is kept; `plugway history` shows what there is")
            }
            Self::Changed { serves } => format!(
                "generation {serves} serves by now: look at what changed (`plugway history`), and ask again"
            ),
            Self::Ambiguous(ids) => {
                let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
                format!(
                    "several tokens have this name; name one by its id: {}",
                    ids.join(", ")
                )
            }
            Self::Invalid(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                faults.join("; ")
            }
            Self::Conflict(reason) | Self::Store(reason) | Self::Remote(reason) => reason.clone(),
            Self::Forbidden(reason) => (*reason).to_owned(),
        }
    }

    /// As the admin API and `--json` give it (RFC 9457), with its status.
    pub fn problem(&self) -> (u16, Value) {
        let (status, title) = match self {
            Self::Unknown | Self::UnknownSecret | Self::NoGeneration(_) => (404, "Not Found"),
            Self::Changed { .. } => (412, "Precondition Failed"),
            Self::Ambiguous(_) | Self::Conflict(_) => (409, "Conflict"),
            Self::Invalid(_) => (400, "Bad Request"),
            Self::Forbidden(_) => (403, "Forbidden"),
            Self::Store(_) => (503, "Service Unavailable"),
            Self::Remote(_) => (502, "Bad Gateway"),
        };
        let mut problem = json!({
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": self.detail(),
            "code": self.code(),
        });
        if let Self::Invalid(faults) = self {
            problem["errors"] = json!(faults);
        }
        (status, problem)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Conflict(refusal.to_string())
    }
}

impl From<Vec<FieldFault>> for Fault {
    fn from(faults: Vec<FieldFault>) -> Self {
        Self::Invalid(faults)
    }
}

/// What is looked at, without a change.
#[derive(Debug, Clone)]
pub enum Look {
    /// Entries of the audit, the newest first: of this token, so many at the most.
    Audit(Option<String>, usize),
    /// Whether the audit is whole, and has an entry with this hash.
    Verify(Option<String>),
    /// What becomes of a request.
    Explain(Question),
}

/// A request that somebody asks about.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Method and path, such as `POST /todos`.
    pub request: String,
    /// With which token: its id or its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// To which plugin; may be left out when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
}

/// What comes line by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// Tokens, as one JSON array.
    List(Filter),
    /// Stored tokens, as lines of a token file.
    Export,
    /// The audit, from the first entry on.
    Audit,
    /// Everything that the state database holds.
    Backup,
}
