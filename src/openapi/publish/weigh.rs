//! What operations weigh once their parameters and bodies are written out.

use std::collections::HashMap;

use crate::openapi::{Map, Value};

use super::super::operations::Source;
use super::super::pointer::{self, Place};
use super::super::size;
use super::shared::Sharing;

/// What every published operation has.
const OPERATION: usize = 12;
/// A parameter that is in a path and described nowhere.
const NAMED: usize = 6;
/// A reference.
const REFERENCE: usize = 2;

/// Weighs the operations of a document.
pub(in super::super) struct Scales<'d> {
    /// The document.
    root: &'d Value,
    /// What is not written out.
    sharing: Sharing,
    /// Weights that are known, by where the values are in memory: what many share is looked at
    /// once.
    known: HashMap<*const Map, usize>,
}

impl<'d> Scales<'d> {
    /// For these operations of a document.
    pub(in super::super) fn new<'s>(
        root: &'d Value,
        sources: impl IntoIterator<Item = &'s Source<'d>>,
    ) -> Self
    where
        'd: 's,
    {
        Self {
            root,
            sharing: Sharing::of(root, sources),
            known: HashMap::new(),
        }
    }

    /// What an operation weighs whose path has so many names.
    pub(in super::super) fn weigh(&mut self, source: &Source<'d>, names: usize) -> usize {
        let mut weight = OPERATION + names * NAMED + self.known(source.body);
        let around = source.item.field("parameters").map(|place| place.value);
        for parameter in around.and_then(Value::as_array).into_iter().flatten() {
            weight += self.carrier(parameter);
        }
        // What stands in the operation itself is weighed already.
        let own = source.body.get("parameters").and_then(Value::as_array);
        let body = source.body.get("requestBody");
        for value in own.into_iter().flatten().chain(body) {
            if pointer::reference_of(value).is_some() {
                weight += self.carrier(value);
            }
        }
        weight
    }

    /// A parameter or a body, or what a reference to one leads to.
    fn carrier(&mut self, value: &'d Value) -> usize {
        let place = Place {
            pointer: String::new(),
            value,
        };
        match pointer::follow(self.root, place) {
            Ok((at, _)) if self.sharing.has(&at) => REFERENCE,
            Ok((_, target)) => self.known(target),
            Err(_) => 1,
        }
    }

    /// What an object weighs.
    fn known(&mut self, map: &'d Map) -> usize {
        let known = self.known.entry(std::ptr::from_ref(map));
        *known.or_insert_with(|| size::of_map(map))
    }
}
