//! `OpenAPI` documents on [`Value`]: read, select, publish. Pure.
//!
//! bytes → [`read`] → [`load`] (which operations there are, and which of them are published)
//! → [`publish`] (what clients are shown) → [`to_yaml`]; [`lint`] says where that goes beyond what
//! a client takes.

mod asked;
mod bundle;
pub(crate) mod cut;
mod dialect;
mod emit;
mod fragment;
mod hidden;
mod identify;
pub mod lint;
mod load;
mod location;
mod narrow;
mod operations;
mod origins;
mod overlay;
mod overrides;
mod pointer;
mod prepare;
mod publish;
mod read;
mod select;
mod servers;
mod size;
mod swagger2;
mod template;
#[cfg(test)]
mod tests;
mod v32;
mod value;

use std::sync::Arc;

pub use asked::{demanded_headers, has_query_parameter, header_such_that};
pub use bundle::{Bundled, Bundler};
pub use dialect::LoadError;
pub use emit::to_yaml;
pub use load::{LoadOptions, load, load_prepared};
pub use location::Location;
pub use narrow::narrowing;
pub use origins::Origins;
pub use overlay::{Overlay, OverlayError, REMOVES_NOTHING};
pub use overrides::{Override, OverrideFault, OverridePart};
pub use prepare::Prepared;
pub use publish::{InfoOverrides, PublishOptions, Target, publish};
pub use read::{
    Document, Duplicate, ReadError, ReadErrorKind, ReadLimits, Repair, lines, read, read_document,
};
pub use select::{Selection, Unmatched, matches, several};
pub(crate) use value::json;
pub use value::{Map, Text, Value};

/// What an API's document says, reduced to the operations that are published.
#[derive(Debug, Clone)]
pub struct Api {
    /// `info` of the original.
    pub info: Info,
    /// Published operations, in the order of the document.
    pub operations: Vec<Operation>,
    /// Operations of the document that are not published: no template of a published one may
    /// stand in for them.
    pub unpublished: Vec<Operation>,
    /// What was repaired, simplified or skipped, and why.
    pub report: Vec<Finding>,
    /// Selectors that named no operation.
    pub unmatched: Unmatched,
    /// Overrides that can not be what was meant.
    pub faults: Vec<OverrideFault>,
    /// Whether long descriptions are cut when the document is published.
    pub cut: bool,
    /// Whether schemas that lead back to themselves are published so.
    pub keeps_recursion: bool,
    /// The original document (after reading), from which the published ones are made.
    pub source: Arc<Value>,
}

/// The parts of `info` that a manifest can use. Empty strings are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// `info.title`
    pub title: Option<String>,
    /// `info.version`
    pub version: Option<String>,
    /// `info.summary`
    pub summary: Option<String>,
    /// `info.description`
    pub description: Option<String>,
    /// `info.contact.email`
    pub contact_email: Option<String>,
    /// `info.termsOfService`
    pub terms_of_service: Option<String>,
    /// `info.x-logo.url`
    pub logo_url: Option<String>,
}

/// One published operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Unique, `[A-Za-z0-9_]{1,64}`, stable when the document is reordered.
    pub id: String,
    /// The operationId of the original, if it had one.
    pub original_id: Option<String>,
    /// The id that it has unless the configuration gives it another.
    pub given_id: String,
    /// Says instead of the document what it does, in a line; empty: nothing.
    pub summary: Option<String>,
    /// Says instead of the document what it does; empty: nothing.
    pub description: Option<String>,
    /// Says instead of the rule whether clients ask before they call it.
    pub consequential: Option<bool>,
    /// Parameters that clients do not see.
    pub hidden: Vec<Hidden>,
    /// Method.
    pub method: http::Method,
    /// Path template without query and fragment, such as `/todos/{id}`.
    pub path: String,
    /// The key of `paths` in the original.
    pub path_key: String,
    /// A query that is written in the path key: exactly once, exactly that value. Decoded.
    pub fixed_query: Vec<(String, String)>,
    /// Tags.
    pub tags: Vec<String>,
    /// Path of the operation's own first server (operation, path item, document), without
    /// trailing slash; empty if it has none.
    pub server_path: String,
    /// Host and port of that server; `None` if it is relative or there is none.
    pub server_host: Option<String>,
}

/// A parameter that clients do not see and the upstream always gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Where it goes; never a cookie.
    pub location: Location,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// One line of the load report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// JSON pointer into the original, such as `#/paths/~1todos/get`.
    pub pointer: String,
    /// Repaired, simplified, skipped …
    pub action: Action,
    /// What and why, one sentence.
    pub message: String,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing is lost.
    Repaired,
    /// Something that no caller needs is lost.
    Simplified,
    /// It is not published.
    Skipped,
    /// Only worth knowing.
    Noted,
}

impl Action {
    /// What is lost comes before what is not.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Skipped => 0,
            Self::Repaired => 1,
            Self::Simplified => 2,
            Self::Noted => 3,
        }
    }

    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::Simplified => "simplified",
            Self::Skipped => "skipped",
            Self::Noted => "noted",
        }
    }
}

/// How many lines of each kind a load report has, such as `; 2 skipped, 1 repaired`; empty for none.
pub fn counted(report: &[Finding]) -> String {
    let kinds = [
        Action::Skipped,
        Action::Repaired,
        Action::Simplified,
        Action::Noted,
    ];
    let count = |kind| report.iter().filter(|line| line.action == kind).count();
    let counts: Vec<String> = kinds
        .into_iter()
        .filter(|kind| count(*kind) > 0)
        .map(|kind| format!("{} {}", count(kind), kind.as_str()))
        .collect();
    if counts.is_empty() {
        String::new()
    } else {
        format!("; {}", counts.join(", "))
    }
}
