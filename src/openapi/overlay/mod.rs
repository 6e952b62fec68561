//! Overlays: changes that are laid over a document (Overlay Specification 1.0 and 1.1).
//!
//! 1.1 can say all that 1.0 can, so both are read by the rules of 1.1. Where a tool has to
//! choose, the choice is written at the place.

mod act;
mod merge;
mod path;
#[cfg(test)]
mod tests;

use crate::openapi::{Map, Value};
pub use act::REMOVES_NOTHING;

use super::{Action as Done, Finding, pointer};
use path::{Budget, Path};

/// Most actions of one overlay.
const MAX_ACTIONS: usize = 10_000;
/// Steps that all actions of one overlay have together: a few seconds.
const MAX_WORK: u64 = 100_000_000;

/// An overlay that could be read.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// `info.title`
    title: String,
    /// `extends`
    extends: Option<String>,
    /// `actions`, in order.
    actions: Vec<Action>,
    /// What is in the overlay and means nothing.
    ignored: Vec<Finding>,
}

/// One fault of an overlay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverlayError {
    /// A member that has to be there.
    #[error("{pointer} has no `{member}`, which every overlay needs there")]
    Missing {
        /// Where it should be.
        pointer: String,
        /// Its name.
        member: &'static str,
    },
    /// A value of another type.
    #[error("{pointer} is {found}, and has to be {wanted}")]
    Type {
        /// The value.
        pointer: String,
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// Another version of overlays.
    #[error("#/overlay is `{found}`, and only overlays of the versions 1.0 and 1.1 are read")]
    Version {
        /// The version.
        found: String,
    },
    /// No action, or too many.
    #[error("#/actions has {count} actions, and has to have between 1 and 10,000")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// A `JSONPath` that can not be read.
    #[error("{pointer} is no JSONPath (RFC 9535): {reason}, at character {column}")]
    Path {
        /// The expression.
        pointer: String,
        /// Where in it, counted from 1.
        column: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// An action that does nothing, and has a member that overlays do not know: most likely a typo.
    #[error(
        "{pointer} is no member of an action, which has `update`, `remove` or `copy`: this one has none of them"
    )]
    Unknown {
        /// The member.
        pointer: String,
    },
    /// `update` and `copy`, each of which has no effect if the other is there.
    #[error("{pointer} has both `update` and `copy`, and can have only one of them")]
    Both {
        /// The action.
        pointer: String,
    },
}

impl OverlayError {
    /// Where in the overlay, such as `#/actions/0/target`.
    pub fn pointer(&self) -> &str {
        match self {
            Self::Missing { pointer, .. }
            | Self::Type { pointer, .. }
            | Self::Path { pointer, .. }
            | Self::Unknown { pointer }
            | Self::Both { pointer } => pointer,
            Self::Version { .. } => "#/overlay",
            Self::Count { .. } => "#/actions",
        }
    }
}

/// One action.
#[derive(Debug, Clone)]
struct Action {
    /// `target`
    target: Path,
    /// What is done.
    change: Change,
}

/// What an action does.
#[derive(Debug, Clone)]
enum Change {
    /// `remove: true`
    Remove,
    /// `update`
    Update(Value),
    /// `copy`
    Copy(Path),
    /// Nothing is said.
    None,
}

impl Overlay {
    /// Reads an overlay; all faults at once.
    pub fn parse(document: &Value) -> Result<Self, Vec<OverlayError>> {
        let mut reader = Reader::default();
        let overlay = reader.overlay(document);
        match overlay {
            Some(overlay) if reader.faults.is_empty() => Ok(overlay),
            _ => Err(reader.faults),
        }
    }

    /// What the overlay is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The document that it was written for. It is not fetched: the overlay is applied to
    /// whatever the configuration names.
    pub fn extends(&self) -> Option<&str> {
        self.extends.as_deref()
    }

    /// Applies all actions in order. What matched nothing, or could not be done, is returned,
    /// with pointers into the overlay.
    pub fn apply(&self, document: &mut Value) -> Vec<Finding> {
        self.apply_within(document, MAX_WORK)
    }

    /// [`apply`](Self::apply) with so many steps.
    fn apply_within(&self, document: &mut Value, steps: u64) -> Vec<Finding> {
        let mut report = self.ignored.clone();
        let mut run = act::Run::new(document, Budget::new(steps));
        for (index, action) in self.actions.iter().enumerate() {
            let mut at = "#/actions".to_owned();
            pointer::push_index(&mut at, index);
            if !run.act(action, &at, document, &mut report) {
                break;
            }
        }
        report
    }
}

/// Reads an overlay.
#[derive(Default)]
struct Reader {
    /// What is wrong.
    faults: Vec<OverlayError>,
    /// What means nothing.
    ignored: Vec<Finding>,
}

impl Reader {
    /// The whole overlay.
    fn overlay(&mut self, document: &Value) -> Option<Overlay> {
        let root = self.object(document, "#")?;
        self.version(root);
        let info = self.required(root, "#", "info");
        let info = info.and_then(|info| self.object(info, "#/info"));
        let mut title = None;
        if let Some(info) = info {
            title = self.required(info, "#/info", "title");
            title = title.filter(|title| self.text(title, "#/info/title").is_some());
            if let Some(version) = self.required(info, "#/info", "version")
                // YAML makes a number of `1.0`.
                && !version.is_number()
            {
                self.text(version, "#/info/version");
            }
            self.ignore(info, "#/info", &["title", "version", "description"]);
        }
        let extends = root.get("extends");
        let extends = extends.and_then(|value| self.text(value, "#/extends"));
        let actions = self.actions(root);
        self.ignore(root, "#", &["overlay", "info", "extends", "actions"]);
        Some(Overlay {
            title: title?.as_str()?.to_owned(),
            extends,
            actions,
            ignored: std::mem::take(&mut self.ignored),
        })
    }

    /// `overlay`; the third number says nothing.
    fn version(&mut self, root: &Map) {
        let Some(version) = self.required(root, "#", "overlay") else {
            return;
        };
        let found = match version {
            Value::String(text) => text.trim().to_owned(),
            // YAML makes a number of `1.0`.
            Value::Number(number) => number.to_string(),
            _ => {
                self.text(version, "#/overlay");
                return;
            }
        };
        let mut parts = found.split('.');
        if !matches!(
            (parts.next(), parts.next()),
            (Some("1"), Some("0" | "1") | None)
        ) {
            let found = found.chars().take(40).collect();
            self.faults.push(OverlayError::Version { found });
        }
    }

    /// `actions`
    fn actions(&mut self, root: &Map) -> Vec<Action> {
        let Some(actions) = self.required(root, "#", "actions") else {
            return Vec::new();
        };
        let Some(actions) = actions.as_array() else {
            self.wrong("#/actions", actions, "a list");
            return Vec::new();
        };
        let count = actions.len();
        if count == 0 || count > MAX_ACTIONS {
            self.faults.push(OverlayError::Count { count });
            return Vec::new();
        }
        let mut out = Vec::with_capacity(count);
        for (index, action) in actions.iter().enumerate() {
            let mut at = "#/actions".to_owned();
            pointer::push_index(&mut at, index);
            out.extend(self.action(action, &at));
        }
        out
    }

    /// One action.
    fn action(&mut self, action: &Value, at: &str) -> Option<Action> {
        let action = self.object(action, at)?;
        let target = self.required(action, at, "target");
        let target = target.and_then(|target| self.path(target, &pointer::join(at, "target")));
        if let Some(description) = action.get("description") {
            self.text(description, &pointer::join(at, "description"));
        }
        let remove = match action.get("remove") {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.wrong(&pointer::join(at, "remove"), other, "true or false");
                false
            }
        };
        let copy = action.get("copy");
        let copy = copy.map(|copy| self.path(copy, &pointer::join(at, "copy")));
        let update = action.get("update");
        if !remove && update.is_some() && copy.is_some() {
            let pointer = at.to_owned();
            self.faults.push(OverlayError::Both { pointer });
        }
        let known = ["target", "description", "update", "remove", "copy"];
        if known[2..].iter().any(|name| action.contains_key(name)) {
            self.ignore(action, at, &known);
        } else if let Some(name) = unknown(action, &known).next() {
            let pointer = pointer::join(at, name);
            self.faults.push(OverlayError::Unknown { pointer });
        }
        let change = match (remove, update, copy) {
            // `remove` goes before the others.
            (true, ..) => Change::Remove,
            (_, Some(update), _) => Change::Update(update.clone()),
            (_, _, Some(copy)) => Change::Copy(copy?),
            _ => Change::None,
        };
        Some(Action {
            target: target?,
            change,
        })
    }

    /// A `JSONPath`.
    fn path(&mut self, value: &Value, at: &str) -> Option<Path> {
        let text = self.text(value, at)?;
        match Path::parse(&text) {
            Ok(path) => Some(path),
            Err(error) => {
                self.faults.push(OverlayError::Path {
                    pointer: at.to_owned(),
                    column: error.column,
                    reason: error.reason,
                });
                None
            }
        }
    }

    /// A member that has to be there.
    fn required<'d>(&mut self, of: &'d Map, at: &str, member: &'static str) -> Option<&'d Value> {
        let found = of.get(member);
        if found.is_none() {
            let pointer = at.to_owned();
            self.faults.push(OverlayError::Missing { pointer, member });
        }
        found
    }

    /// An object.
    fn object<'d>(&mut self, value: &'d Value, at: &str) -> Option<&'d Map> {
        if !value.is_object() {
            self.wrong(at, value, "an object");
        }
        value.as_object()
    }

    /// A text.
    fn text(&mut self, value: &Value, at: &str) -> Option<String> {
        if !value.is_string() {
            self.wrong(at, value, "a text");
        }
        value.as_str().map(str::to_owned)
    }

    /// Says that a value is of another type.
    fn wrong(&mut self, at: &str, value: &Value, wanted: &'static str) {
        self.faults.push(OverlayError::Type {
            pointer: at.to_owned(),
            found: merge::kind(value),
            wanted,
        });
    }

    /// Says which members mean nothing.
    fn ignore(&mut self, of: &Map, at: &str, known: &[&str]) {
        for name in unknown(of, known).take(act::MAX_LINES) {
            let message = "overlays have no such member; it is ignored";
            let at = pointer::join(at, name);
            self.ignored.push(Finding::new(at, Done::Noted, message));
        }
    }
}

/// Members that overlays do not know, and that are no extensions.
fn unknown<'m>(of: &'m Map, known: &[&str]) -> impl Iterator<Item = &'m str> {
    of.keys()
        .map(ecow::EcoString::as_str)
        .filter(|name| !known.contains(name) && !name.starts_with("x-"))
}
