//! Doing actions: each wholly within the bounds or not at all.

use std::collections::{BTreeMap, HashSet};
use std::mem::discriminant;

use crate::counted::plural;
use crate::openapi::Value;

use super::super::read::MAX_DEPTH;
use super::super::size::{Size, measure};
use super::merge;
use super::path::{Budget, Exceeded, Path};
use super::{Action, Change, Done, Finding};

/// What a removal that removes nothing says: whoever wrote it believes that something is hidden.
pub const REMOVES_NOTHING: &str = "its target selects nothing in the document: nothing is removed";
/// Most values of a document after an action.
const MAX_NODES: usize = 2_000_000;
/// Lines of the report about one action.
pub(super) const MAX_LINES: usize = 10;
/// Longest report.
const MAX_FINDINGS: usize = 10_000;
/// Steps that copying one value costs.
const COPYING: usize = 4;

/// What applying an overlay knows.
pub(super) struct Run {
    /// Values in the document.
    nodes: usize,
    /// What may still be done.
    budget: Budget,
}

/// Why an action was not done.
enum Stop {
    /// This one can not be done.
    Here(String),
    /// Nor can those after it.
    All,
}

impl From<Exceeded> for Stop {
    fn from(exceeded: Exceeded) -> Self {
        match exceeded {
            Exceeded::Work => Stop::All,
            Exceeded::Matches => Stop::Here(
                "it selects more than 500,000 places on its way; nothing is changed".to_owned(),
            ),
        }
    }
}

impl Run {
    /// For a document.
    pub(super) fn new(document: &Value, budget: Budget) -> Self {
        let nodes = measure(document).nodes;
        Self { nodes, budget }
    }

    /// Values in the document.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> usize {
        self.nodes
    }

    /// Does an action that stands `at` a place of the overlay. Returns whether there may be
    /// another one.
    pub(super) fn act(
        &mut self,
        action: &Action,
        at: &str,
        document: &mut Value,
        report: &mut Vec<Finding>,
    ) -> bool {
        let mut say = |what, message: String| {
            if report.len() < MAX_FINDINGS {
                report.push(Finding::new(at, what, message));
            }
        };
        match self.change(action, document, &mut say) {
            Ok(()) => true,
            Err(Stop::Here(reason)) => {
                say(Done::Skipped, reason);
                true
            }
            Err(Stop::All) => {
                let reason = "the overlay asks for more work than one may; this action and \
                              those after it are not done";
                say(Done::Skipped, reason.to_owned());
                false
            }
        }
    }

    /// Does an action.
    fn change(
        &mut self,
        action: &Action,
        document: &mut Value,
        say: &mut impl FnMut(Done, String),
    ) -> Result<(), Stop> {
        if matches!(action.change, Change::None) {
            let message = "it has no `update`, `remove` or `copy`, and changes nothing";
            say(Done::Noted, message.to_owned());
            return Ok(());
        }
        let places = action.target.places(document, &self.budget)?;
        if places.is_empty() {
            // Whoever wrote it counts on it.
            match action.change {
                Change::Remove => say(Done::Noted, REMOVES_NOTHING.to_owned()),
                _ => say(
                    Done::Skipped,
                    "its target selects nothing in the document: the action is not done".to_owned(),
                ),
            }
            return Ok(());
        }
        match &action.change {
            Change::None => Ok(()),
            Change::Remove => self.remove(places, document),
            Change::Update(update) => self.merge(&places, update, document, say),
            Change::Copy(source) => {
                let value = self.copied(source, document)?;
                self.merge(&places, &value, document, say)
            }
        }
    }

    /// The one value that `copy` selects.
    fn copied(&self, source: &Path, document: &Value) -> Result<Value, Stop> {
        let places = source.places(document, &self.budget)?;
        let [place] = places.as_slice() else {
            return Err(Stop::Here(match places.len() {
                0 => "its `copy` selects nothing in the document".to_owned(),
                many => format!("its `copy` selects {many} places, and has to select one"),
            }));
        };
        let value = document.pointer(place).unwrap_or(&Value::Null);
        self.budget
            .spend(measure(value).nodes.saturating_mul(COPYING))?;
        Ok(value.clone())
    }

    /// Merges a value into each place.
    fn merge(
        &mut self,
        places: &[String],
        update: &Value,
        document: &mut Value,
        say: &mut impl FnMut(Done, String),
    ) -> Result<(), Stop> {
        self.fits(places, measure(update), document)?;
        let mut refused = 0;
        for place in places {
            let Some(target) = document.pointer_mut(place) else {
                continue;
            };
            let mut at = format!("#{place}");
            match merge::check(target, update, &mut at) {
                Ok(()) => self.nodes += merge::merge(target, update),
                Err(reason) => {
                    refused += 1;
                    if refused < MAX_LINES {
                        say(Done::Skipped, reason);
                    }
                }
            }
        }
        if refused >= MAX_LINES {
            let more = refused - MAX_LINES + 1;
            let places = plural(more, "place", "places");
            let message = format!("{more} more {places} can not be merged with it either");
            say(Done::Skipped, message);
        }
        Ok(())
    }

    /// Whether the document stays within its bounds, and whether all places are alike.
    fn fits(&self, places: &[String], size: Size, document: &Value) -> Result<(), Stop> {
        let added = places.len().saturating_mul(size.nodes);
        if self.nodes.saturating_add(added) > MAX_NODES {
            return Err(Stop::Here(format!(
                "it adds up to {added} values to the document, which may have 2,000,000; nothing \
                 is changed"
            )));
        }
        let deepest = places.iter().map(|place| place.matches('/').count()).max();
        if deepest.unwrap_or(0) + size.depth > MAX_DEPTH {
            return Err(Stop::Here(format!(
                "the document would be nested deeper than {MAX_DEPTH} levels; nothing is changed"
            )));
        }
        let written = places.iter().map(String::len).sum::<usize>();
        self.budget
            .spend(added.saturating_mul(COPYING).saturating_add(written))?;
        // «MUST be either all objects or all arrays or all primitives»
        let mut kinds = places.iter().filter_map(|place| {
            let value = document.pointer(place)?;
            let plain = !value.is_object() && !value.is_array();
            Some(if plain { &Value::Null } else { value })
        });
        let first = kinds.next();
        let same = |value: &Value| first.is_some_and(|f| discriminant(f) == discriminant(value));
        if !kinds.all(same) {
            let reason = "its target selects values of different kinds (objects, lists, others), \
                          which one value can not be merged with; nothing is changed";
            return Err(Stop::Here(reason.to_owned()));
        }
        Ok(())
    }

    /// Removes each place. What lies below another one, or further back in a list, goes
    /// first, so that no place moves.
    fn remove(&mut self, places: Vec<String>, document: &mut Value) -> Result<(), Stop> {
        let mut parents: BTreeMap<String, HashSet<String>> = BTreeMap::new();
        for place in places {
            let Some((parent, last)) = place.rsplit_once('/') else {
                let reason = "its target is the whole document, which can not be removed";
                return Err(Stop::Here(reason.to_owned()));
            };
            let last = last.replace("~1", "/").replace("~0", "~");
            parents.entry(parent.to_owned()).or_default().insert(last);
        }
        let mut length = 0;
        for parent in parents.keys() {
            let children = match document.pointer(parent) {
                Some(Value::Object(map)) => map.len(),
                Some(Value::Array(list)) => list.len(),
                _ => 0,
            };
            length += children + parent.len();
        }
        self.budget.spend(length)?;
        for (parent, gone) in parents.into_iter().rev() {
            let nodes = &mut self.nodes;
            match document.pointer_mut(&parent) {
                Some(Value::Object(map)) => map.retain(|name, value| {
                    let stays = !gone.contains(name.as_str());
                    if !stays {
                        *nodes = nodes.saturating_sub(measure(value).nodes);
                    }
                    stays
                }),
                Some(Value::Array(list)) => {
                    let mut index = 0;
                    let gone: HashSet<usize> = gone.iter().filter_map(|i| i.parse().ok()).collect();
                    list.retain(|value| {
                        let stays = !gone.contains(&index);
                        index += 1;
                        if !stays {
                            *nodes = nodes.saturating_sub(measure(value).nodes);
                        }
                        stays
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }
}
