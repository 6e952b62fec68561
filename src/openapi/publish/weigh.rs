//! How many values an operation has once its parameters and its body are inlined.

use serde_json::{Map, Value};

use super::super::operations::Source;
use super::super::pointer::{self, Place};

/// What is left of a budget of values when this operation is published; `None`: it is too
/// much.
pub(in super::super) fn weigh(root: &Value, source: &Source<'_>, budget: usize) -> Option<usize> {
    let mut left = take_map(source.body, budget)?;
    let shared = source.item.field("parameters");
    let own = source.body.get("parameters");
    for list in [shared.map(|place| place.value), own].into_iter().flatten() {
        for parameter in list.as_array().into_iter().flatten() {
            left = take_target(root, parameter, left)?;
        }
    }
    match source.body.get("requestBody") {
        Some(body) => take_target(root, body, left),
        None => Some(left),
    }
}

/// Takes what stands there, or what a reference leads to.
fn take_target(root: &Value, value: &Value, left: usize) -> Option<usize> {
    let place = Place {
        pointer: String::new(),
        value,
    };
    match pointer::follow(root, place) {
        Ok((_, target)) => take_map(target, left),
        Err(_) => left.checked_sub(1),
    }
}

/// Takes all values of an object.
pub(super) fn take_map(map: &Map<String, Value>, left: usize) -> Option<usize> {
    take_all(map.values().collect(), left.checked_sub(1)?)
}

/// Takes a value and all in it.
pub(super) fn take(value: &Value, left: usize) -> Option<usize> {
    take_all(vec![value], left)
}

/// Takes values and all in them; stops when nothing is left.
fn take_all(mut open: Vec<&Value>, mut left: usize) -> Option<usize> {
    while let Some(value) = open.pop() {
        left = left.checked_sub(1)?;
        match value {
            Value::Object(inner) => open.extend(inner.values()),
            Value::Array(inner) => open.extend(inner),
            _ => {}
        }
    }
    Some(left)
}
