//! Titles of schemas.
//!
//! Tools that make types name them after titles, and leave out what would be named like another.

use std::collections::{HashMap, HashSet};

use crate::counted::{counted, plural};
use crate::openapi::{Map, Value};

use super::super::{Action, Finding};
use super::visit::{self, Owner, Spot};

/// Drops the titles that can not be the names of types; they become descriptions where there is
/// none.
pub(in super::super) fn keep_unique(document: &mut Value, report: &mut Vec<Finding>) {
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut count: HashMap<String, usize> = HashMap::new();
    let components = document.pointer("/components/schemas");
    for (name, _) in components.and_then(Value::as_object).into_iter().flatten() {
        *names.entry(reduced(name)).or_default() += 1;
    }
    visit::schemas(document, |_, schema| {
        if let Some(title) = title_of(schema) {
            *count.entry(reduced(title)).or_default() += 1;
        }
    });
    let mut dropped: Vec<String> = Vec::new();
    let mut said: HashSet<usize> = HashSet::new();
    visit::schemas(document, |spot, schema| {
        let Some(title) = title_of(schema) else {
            return;
        };
        let title = reduced(title);
        let own = usize::from(spot.whole && reduced(spot.name) == title);
        let others = names.get(&title).is_some_and(|count| *count > own);
        let twice = count.get(&title).is_some_and(|count| *count > 1);
        if twice || others || title.is_empty() || spot.owner == Owner::Request {
            if !repeats(spot, &title) {
                said.insert(dropped.len());
            }
            dropped.push(spot.pointer.to_owned());
        }
    });
    visit::change(document, &dropped, |index, schema| {
        let title = schema.shift_remove("title");
        if let Some(title) = title.filter(|_| said.contains(&index)) {
            schema.entry("description").or_insert(title);
        }
    });
    if !dropped.is_empty() {
        let message = format!(
            "{}: tools that name types after {} would name two alike",
            counted(
                dropped.len(),
                "title of a schema is not published as a title",
                "titles of schemas are not published as titles"
            ),
            plural(dropped.len(), "it", "them")
        );
        visit::note(report, Finding::new("#", Action::Noted, message));
    }
}

/// The title of a schema.
fn title_of(schema: &Map) -> Option<&str> {
    schema.get("title").and_then(Value::as_str)
}

/// Whether a title says no more than what the schema is called anyway.
fn repeats(spot: &Spot<'_, '_>, title: &str) -> bool {
    title.is_empty() || reduced(spot.name) == title
}

/// What generators make of a name: letters and digits, of one case.
pub(super) fn reduced(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}
