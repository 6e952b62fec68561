//! Which operations are published.

use super::Operation;
use crate::config::Selector;

/// `include` and `exclude`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// What is published; empty: everything.
    pub include: Vec<Selector>,
    /// What of that is not.
    pub exclude: Vec<Selector>,
}

/// Selectors that named no operation of the document, as indexes into the [`Selection`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unmatched {
    /// Into `include`.
    pub include: Vec<usize>,
    /// Into `exclude`.
    pub exclude: Vec<usize>,
}

impl Selection {
    /// Whether it is published.
    fn takes(&self, operation: &Operation) -> bool {
        let any = |selectors: &[Selector]| selectors.iter().any(|s| matches(s, operation));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }

    /// The operations that are published, and the selectors that named none.
    pub(super) fn apply(&self, operations: Vec<Operation>) -> (Vec<Operation>, Unmatched) {
        let idle = |selectors: &[Selector]| {
            let names_none =
                |s: &Selector| !operations.iter().any(|operation| matches(s, operation));
            selectors
                .iter()
                .enumerate()
                .filter(|(_, s)| names_none(s))
                .map(|(i, _)| i)
                .collect()
        };
        let unmatched = Unmatched {
            include: idle(&self.include),
            exclude: idle(&self.exclude),
        };
        let taken = operations
            .into_iter()
            .filter(|operation| self.takes(operation))
            .collect();
        (taken, unmatched)
    }
}

/// Whether a selector names an operation: by the operationId of the document or the published
/// one, by tag, or by method and path as the document or the published document writes it.
pub fn matches(selector: &Selector, operation: &Operation) -> bool {
    match selector {
        Selector::All => true,
        Selector::OperationId(id) => {
            *id == operation.id
                || *id == operation.given_id
                || operation.original_id.as_ref() == Some(id)
        }
        Selector::Tag(tag) => operation.tags.contains(tag),
        Selector::Route { method, path } => {
            method == operation.method.as_str()
                && (*path == operation.path || *path == operation.path_key)
        }
    }
}

/// What a selector means that is the operationId of several operations of one document, where it may
/// stand once (OpenAPI 3.1.0 §4.8.10): all of them, which is seldom what was meant. `None`: it is not.
pub fn several<'o>(
    selector: &Selector,
    operations: impl Iterator<Item = &'o Operation>,
) -> Option<String> {
    let Selector::OperationId(_) = selector else {
        return None;
    };
    let named: Vec<String> = operations
        .filter(|operation| matches(selector, operation))
        .map(|operation| {
            let (id, method, path) = (&operation.id, &operation.method, &operation.path);
            format!("{id} ({method} {path})")
        })
        .collect();
    (named.len() > 1).then(|| {
        format!(
            "`{selector}` is the operationId of {} operations: {}",
            named.len(),
            named.join(", ")
        )
    })
}
