//! Merging a value into another (Overlay Specification 1.1, Action Object).

use crate::openapi::Value;

use super::super::size::measure;
use super::pointer;

/// What a value is, with its article.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether an update fits a target. The error says what does not, with `at` as the place.
pub(super) fn check(target: &Value, update: &Value, at: &mut String) -> Result<(), String> {
    match (target, update) {
        // Anything can be added to a list.
        (Value::Array(_), _) => Ok(()),
        _ => check_member(target, update, at),
    }
}

/// Whether a member of an update fits the same member of a target.
fn check_member(target: &Value, update: &Value, at: &mut String) -> Result<(), String> {
    match (target, update) {
        (Value::Object(target), Value::Object(update)) => {
            for (name, value) in update {
                let Some(existing) = target.get(name) else {
                    continue;
                };
                let length = at.len();
                pointer::push(at, name);
                check_member(existing, value, at)?;
                at.truncate(length);
            }
            Ok(())
        }
        // Nothing stands there, or nothing is said: `tags:` without a value is null in YAML,
        // and the specification's own example writes it over what is there.
        (Value::Null, _) | (_, Value::Null) | (Value::Array(_), Value::Array(_)) => Ok(()),
        (target, update) if is_plain(target) && is_plain(update) => Ok(()),
        (target, update) => Err(format!(
            "{at} of the document is {}, and {} can not be merged with it",
            kind(target),
            kind(update)
        )),
    }
}

/// Whether it is neither list nor object.
fn is_plain(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// Merges an update that was checked. Returns how many values were added.
pub(super) fn merge(target: &mut Value, update: &Value) -> usize {
    match (target, update) {
        (Value::Array(target), update) if !update.is_array() => {
            target.push(update.clone());
            measure(update).nodes
        }
        // An update that is null replaces a plain value.
        (target, Value::Null) if is_plain(target) => {
            *target = Value::Null;
            0
        }
        (target, update) => merge_member(target, update),
    }
}

/// Merges a member.
fn merge_member(target: &mut Value, update: &Value) -> usize {
    match (target, update) {
        (Value::Object(target), Value::Object(update)) => {
            let mut added = 0;
            for (name, value) in update {
                if let Some(existing) = target.get_mut(name) {
                    added += merge_member(existing, value);
                } else {
                    added += measure(value).nodes;
                    target.insert(name.clone(), value.clone());
                }
            }
            added
        }
        (Value::Array(target), Value::Array(update)) => {
            target.extend_from_slice(update);
            update.iter().map(|item| measure(item).nodes).sum()
        }
        (Value::Array(_) | Value::Object(_), _) => 0,
        (target, update) => {
            *target = update.clone();
            measure(update).nodes - 1
        }
    }
}
