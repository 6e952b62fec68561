//! Parameters and bodies that several operations refer to.
//!
//! They are written out in each of them, since some clients follow no references there. A short
//! document could become a huge one that way, so there is a limit, beyond which what is largest
//! of them is published once, as a component. It does not depend on the order of the document.

use std::collections::HashMap;

use crate::counted::{counted, plural};
use crate::openapi::{Map, Value, json};

use super::super::Api;
use super::super::operations::Source;
use super::super::pointer::{self, Place};
use super::super::size;
use super::Action;
use super::components::{Renderer, Section};

/// What may be written out again and again in any document; a larger one may grow as much as it
/// weighs itself.
const COPIES: usize = 200_000;

/// What is written out, and what is referred to.
#[derive(Debug, Default)]
pub(in super::super) struct Sharing {
    /// What operations refer to, by its place.
    uses: HashMap<String, Use>,
    /// The heaviest that is written out.
    heaviest: usize,
}

/// How something is used.
#[derive(Debug)]
struct Use {
    /// What it weighs.
    weight: usize,
    /// How many refer to it.
    times: usize,
}

impl Sharing {
    /// What is best for these operations.
    pub(in super::super) fn of<'s, 'd: 's>(
        root: &'d Value,
        sources: impl IntoIterator<Item = &'s Source<'d>>,
    ) -> Self {
        let mut uses: HashMap<String, Use> = HashMap::new();
        for source in sources {
            for (at, map) in referred(root, source) {
                uses.entry(at)
                    .and_modify(|used| used.times += 1)
                    .or_insert_with(|| Use {
                        weight: size::of_map(map),
                        times: 1,
                    });
            }
        }
        let copies = uses.values().map(|used| (used.weight, used.times - 1));
        let room = COPIES.max(size::weight(root));
        let heaviest = heaviest(copies.filter(|(_, copies)| *copies > 0).collect(), room);
        Self { uses, heaviest }
    }

    /// Whether what stands at a place is published once.
    pub(in super::super) fn has(&self, at: &str) -> bool {
        let used = self.uses.get(at);
        used.is_some_and(|used| used.times > 1 && used.weight > self.heaviest)
    }
}

/// The heaviest that is written out: all of a weight are, or none of them.
fn heaviest(mut copies: Vec<(usize, usize)>, room: usize) -> usize {
    copies.sort_unstable();
    let mut left = room;
    let mut heaviest = 0;
    for same in copies.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((weight, _)) = same.first() else {
            break;
        };
        let times: usize = same.iter().map(|(_, times)| times).sum();
        let Some(rest) = left.checked_sub(weight.saturating_mul(times)) else {
            break;
        };
        (left, heaviest) = (rest, *weight);
    }
    heaviest
}

/// The parameters and the body that an operation refers to, and where they stand.
fn referred<'d>(root: &'d Value, source: &Source<'d>) -> impl Iterator<Item = (String, &'d Map)> {
    let around = source.item.field("parameters").map(|place| place.value);
    let own = source.body.get("parameters");
    let parameters = around.into_iter().chain(own).filter_map(Value::as_array);
    let body = source.body.get("requestBody");
    let all = parameters.flatten().chain(body);
    all.filter(|value| pointer::reference_of(value).is_some())
        .filter_map(move |value| {
            let pointer = String::new();
            pointer::follow(root, Place { pointer, value }).ok()
        })
}

impl<'d> Renderer<'d> {
    /// Finds out what is published once. True if anything is.
    pub(super) fn plan_sharing(&mut self, api: &'d Api) {
        let sources: Vec<Source<'d>> = api
            .operations
            .iter()
            .filter_map(|o| Source::find(&api.source, &o.path_key, &o.method))
            .collect();
        self.sharing = Sharing::of(self.root, &sources);
        let uses = self.sharing.uses.keys();
        let count = uses.filter(|at| self.sharing.has(at)).count();
        if count > 0 {
            let message = format!(
                "{} published once and referred to, which some clients do not follow: written \
                 out, {} would be too large",
                counted(count, "parameter or body is", "parameters and bodies are"),
                plural(count, "it", "they")
            );
            self.note_at("#/components", Action::Noted, message);
        }
    }

    /// A reference to what is published once; `None`: it is written out.
    pub(super) fn shared(&mut self, section: Section, at: &str) -> Option<Value> {
        if !self.sharing.has(at) {
            return None;
        }
        // A place is no reference, in which `%` would have a meaning.
        let place = pointer::resolve(self.root, &at.replace('%', "%25"))?;
        let published = self.component(section, place)?;
        Some(json!({ "$ref": published }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_weight_are_written_out_or_none() {
        let check = |copies: &[(usize, usize)], expected: usize| {
            assert_eq!(heaviest(copies.to_vec(), 100), expected);
        };
        check(&[], 0);
        check(&[(10, 5), (2, 3)], 10);
        check(&[(10, 10)], 10);
        check(&[(10, 5), (10, 6), (2, 3)], 2);
        check(&[(usize::MAX, 2), (1, 100)], 1);
    }
}
