//! What the configuration says of single operations, beside what the document says.

use std::collections::{HashMap, HashSet};

use super::operations::Candidate;
use super::{Operation, hidden, select};
use crate::config::Selector;

/// Replaces parts of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The operation: by operationId, or by method and path.
    pub selector: Selector,
    /// Its published operationId: `[A-Za-z0-9_]{1,64}`.
    pub id: Option<String>,
    /// Its published summary; empty: none.
    pub summary: Option<String>,
    /// Its published description; empty: none.
    pub description: Option<String>,
    /// Whether clients ask before they call it.
    pub consequential: Option<bool>,
    /// Parameters that clients do not see, and their values.
    pub fixed: Vec<(String, String)>,
}

/// An override that can not be what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideFault {
    /// Which one.
    pub index: usize,
    /// What of it.
    pub part: OverridePart,
    /// One sentence.
    pub message: String,
    /// Whether the configuration can not be taken with it.
    pub stops: bool,
}

/// A part of an override.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverridePart {
    /// Its name: the operation that is meant.
    Selector,
    /// `id`
    Id,
    /// `fixed`: the parameter at this index.
    Fixed(usize),
}

/// Applies overrides to the operations of a document, which stand in the order of `candidates`.
pub(super) fn apply(
    root: &super::Value,
    overrides: &[Override],
    operations: &mut [Operation],
    candidates: &mut [Candidate<'_>],
) -> Vec<OverrideFault> {
    let mut faults = Vec::new();
    let fault = |index, part, message: String, stops| OverrideFault {
        index,
        part,
        message,
        stops,
    };
    let mut taken: HashMap<usize, usize> = HashMap::new();
    for (index, wanted) in overrides.iter().enumerate() {
        let named = |operation: &Operation| select::matches(&wanted.selector, operation);
        let found: Vec<usize> = (0..operations.len())
            .filter(|at| named(&operations[*at]))
            .collect();
        let [at] = found.as_slice() else {
            let message = if found.is_empty() {
                format!("`{}` is no operation of the document", wanted.selector)
            } else {
                format!("`{}` is the name of several operations", wanted.selector)
            };
            faults.push(fault(
                index,
                OverridePart::Selector,
                message,
                !found.is_empty(),
            ));
            continue;
        };
        if taken.insert(*at, index).is_some() {
            let message = format!(
                "`{}` has a table already, under another name",
                wanted.selector
            );
            faults.push(fault(index, OverridePart::Selector, message, true));
            continue;
        }
        let operation = &mut operations[*at];
        operation.summary.clone_from(&wanted.summary);
        operation.description.clone_from(&wanted.description);
        operation.consequential = wanted.consequential;
        for (place, (name, value)) in wanted.fixed.iter().enumerate() {
            let part = OverridePart::Fixed(place);
            match hidden::hide(root, operation, &mut candidates[*at], name, value) {
                Ok(None) => {}
                Ok(Some(remark)) => faults.push(fault(index, part, remark, false)),
                Err(reason) => faults.push(fault(index, part, reason, true)),
            }
        }
    }
    rename(overrides, operations, &taken, &mut faults);
    faults
}

/// Gives operations the ids that were asked for, as long as each stays unique.
fn rename(
    overrides: &[Override],
    operations: &mut [Operation],
    taken: &HashMap<usize, usize>,
    faults: &mut Vec<OverrideFault>,
) {
    let wish = |at: &usize| overrides[*taken.get(at)?].id.as_ref();
    // What is renamed away makes room.
    let kept = (0..operations.len()).filter(|at| wish(at).is_none());
    let mut used: HashSet<String> = kept.map(|at| operations[at].id.clone()).collect();
    let mut renamed: Vec<(usize, usize)> = taken.iter().map(|(at, index)| (*index, *at)).collect();
    renamed.sort_unstable();
    for (index, at) in renamed {
        let Some(id) = &overrides[index].id else {
            continue;
        };
        if used.insert(id.clone()) {
            operations[at].id.clone_from(id);
        } else {
            faults.push(OverrideFault {
                index,
                part: OverridePart::Id,
                message: format!("another operation is called `{id}`"),
                stops: true,
            });
        }
    }
}
