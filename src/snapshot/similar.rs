//! What else a request may be at the upstream, and whether it is let in all the same.

use super::apart::is_chosen;
use super::{Operation, Plugin};
use crate::config;
use crate::openapi::{self, Api};
use crate::problems::Problems;
use crate::route::{Other, Router};
use crate::tokens::Call;

impl Plugin {
    /// The first of those that a request may be as well at the upstream and that would not be let
    /// in as the one that it was found to be. `allows`: what the caller may. A lenient upstream
    /// would run it for whoever may not call it, or without the parameters that are fixed for it.
    pub fn doubt<'o>(
        &self,
        found: usize,
        others: &'o [Other],
        allows: impl Fn(Call) -> bool,
    ) -> Option<&'o Other> {
        let found = self.operations.get(found);
        let is_let_in = |other: &&Other| match (found, self.operations.get(other.operation)) {
            (Some(found), Some(operation)) => {
                is_guarded_alike(found, operation) && allows(Call::Operation(other.operation))
            }
            _ => self.forward_unpublished && allows(Call::Unpublished),
        };
        others.iter().find(|other| !is_let_in(other))
    }

    /// One of them for people: `` `export` (GET /users/export/) ``, and that it is not published.
    pub fn described(&self, other: &Other) -> String {
        if let Some(operation) = self.operations.get(other.operation) {
            return described(&operation.meaning);
        }
        let place = other.operation.checked_sub(self.operations.len());
        match place.and_then(|place| self.withheld.get(place)) {
            Some(text) => format!("{text}, which is not published"),
            None => "one that its query leaves open".to_owned(),
        }
    }
}

/// Whether requests of two operations have to be the same in all that the gateway looks at.
fn is_guarded_alike(one: &Operation, other: &Operation) -> bool {
    one.fixed == other.fixed && one.body_bytes == other.body_bytes
}

fn described(operation: &openapi::Operation) -> String {
    format!(
        "`{}` ({} {})",
        operation.id, operation.method, operation.path
    )
}

/// The operations that are not published, for people, in the order in which the router has them
/// behind those that are: where one of them may be meant.
pub(super) fn withheld(plugin: &config::Plugin, api: &Api) -> Box<[Box<str>]> {
    if plugin.openapi.passes_similar {
        return Box::default();
    }
    let unpublished = api.unpublished.iter();
    unpublished.map(|one| described(one).into()).collect()
}

/// Says where a published operation has a twin that is not, but for a slash at the end: one of both
/// would be lost if such requests were refused, and an upstream that has both may tell them apart.
pub(super) fn tell(router: &Router, api: &Api, plugin: &config::Plugin, problems: &mut Problems) {
    for (shown, hidden) in router.twins() {
        let hidden = hidden.checked_sub(api.operations.len());
        let hidden = hidden.and_then(|place| api.unpublished.get(place));
        let (Some(shown), Some(hidden)) = (api.operations.get(shown), hidden) else {
            continue;
        };
        // The load report tells of what was to be published.
        if is_chosen(plugin, hidden) {
            continue;
        }
        let message = format!(
            "`{}` is not published, but to an upstream that does not look at a slash at the end its \
             requests are those of `{}` as well, which is published",
            hidden.id, shown.id
        );
        problems.warn(&plugin.openapi.at, message).help(
            "exclude both, or write openapi.similar_paths = \"forward\" if the upstream tells them apart",
        );
    }
}
