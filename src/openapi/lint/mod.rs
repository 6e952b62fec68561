//! What each client's own limits make of the documents that it is served.
//!
//! The clients differ in what they take: how long a text may be, how many operations there may
//! be, which parameters they fill. A [`Profile`] is what is known of one of them, with the
//! sources named beside each rule; [`lint`] tells every place where a document goes beyond it.
//! Nothing here changes a document.

mod actions;
mod calls;
mod copilot;
mod credential;
mod fields;
mod origin;
mod plugin;
mod report;
mod schemas;
mod security_copilot;
mod shared;
#[cfg(test)]
mod tests;

use crate::openapi::Value;

use calls::calls;
use origin::Origin;
use report::Report;

/// A client, or a family of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// What reads a manifest of version 1: `ChatGPT`'s plugins of 2023, Dify, `LobeChat`.
    Plugin,
    /// GPT Actions.
    Actions,
    /// API plugins of Microsoft 365 Copilot, manifest 2.4.
    Copilot,
    /// Microsoft Security Copilot.
    SecurityCopilot,
}

impl Profile {
    /// Every one, in the order in which breaches are told.
    pub const ALL: [Self; 4] = [
        Self::Plugin,
        Self::Actions,
        Self::Copilot,
        Self::SecurityCopilot,
    ];

    /// As it is written on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Actions => "actions",
            Self::Copilot => "copilot",
            Self::SecurityCopilot => "security-copilot",
        }
    }

    /// The client, in a sentence.
    fn reader(self) -> &'static str {
        match self {
            Self::Plugin => "a v1 plugin client",
            Self::Actions => "GPT Actions",
            Self::Copilot => "Microsoft 365 Copilot",
            Self::SecurityCopilot => "Microsoft Security Copilot",
        }
    }

    /// The path of the document that it is given. The manifest of version 1 names the 3.0
    /// document; Security Copilot takes no other; the tools of Microsoft 365 Copilot are sure to
    /// take it, and it has no alternatives where a value may be null.
    fn document(self) -> &'static str {
        match self {
            Self::Actions => "/openapi.json",
            Self::Plugin | Self::Copilot | Self::SecurityCopilot => "/openapi-3.0.json",
        }
    }
}

/// Whether a client can live with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The client refuses the document or the operation, or a call can not succeed.
    Error,
    /// It works less well, or only for some clients of the profile.
    Warning,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// The documents of one plugin, as they are served.
#[derive(Debug, Clone, Copy)]
pub struct Linted<'a> {
    /// `/openapi.json`
    pub v31: &'a Value,
    /// `/openapi-3.0.json`
    pub v30: &'a Value,
    /// `/.well-known/ai-plugin.json`; `None`: it is not published.
    pub manifest: Option<&'a Value>,
    /// How long `/openapi.json` is as it is served, which is indented, in bytes.
    pub v31_bytes: usize,
    /// Where they are served, such as `https://todo.example.com`.
    pub origin: &'a str,
    /// Whether the documents themselves ask for a token.
    pub guarded: bool,
}

/// One place that goes beyond what a client takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Whose limit it is.
    pub profile: Profile,
    /// The path of the served document and a JSON pointer into it, such as
    /// `/openapi.json#/paths/~1todos/get/summary`; of what is missing, where it should stand.
    pub pointer: String,
    /// The place for people, such as `GET /todos (listTodos)`.
    pub place: String,
    /// What is broken, a name that stays the same.
    pub rule: &'static str,
    /// Whether the client can live with it.
    pub severity: Severity,
    /// What is wrong and what comes of it, one sentence.
    pub message: String,
    /// What the client takes.
    pub limit: String,
    /// What stands there.
    pub actual: String,
    /// How to mend it.
    pub help: String,
}

/// Every breach of these profiles, by profile in the order of [`Profile::ALL`], then as their
/// rules come.
pub fn lint(input: &Linted<'_>, profiles: &[Profile]) -> Vec<Breach> {
    let origin = Origin::parse(input.origin);
    let mut all = Vec::new();
    for profile in Profile::ALL {
        if !profiles.contains(&profile) {
            continue;
        }
        let document = match profile {
            Profile::Actions => input.v31,
            Profile::Plugin | Profile::Copilot | Profile::SecurityCopilot => input.v30,
        };
        let look = Look {
            input,
            document,
            origin: &origin,
            calls: &calls(document),
        };
        let mut report = Report::new(profile);
        match profile {
            Profile::Plugin => plugin::check(&look, &mut report),
            Profile::Actions => actions::check(&look, &mut report),
            Profile::Copilot => copilot::check(&look, &mut report),
            Profile::SecurityCopilot => security_copilot::check(&look, &mut report),
        }
        all.extend(report.into_breaches());
    }
    all
}

/// What the rules of one profile look at.
#[derive(Clone, Copy)]
struct Look<'a> {
    /// Everything.
    input: &'a Linted<'a>,
    /// The document that the profile reads.
    document: &'a Value,
    /// Where it is served.
    origin: &'a Origin,
    /// The operations of that document.
    calls: &'a [calls::Call<'a>],
}
