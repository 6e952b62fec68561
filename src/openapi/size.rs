//! How large values are.

use crate::openapi::{Map, Value};

/// Deepest value that is measured; what is deeper counts as one value.
const MAX_DEPTH: usize = 256;

/// Bytes of text that weigh as much as a value does.
const BYTES: usize = 64;

/// How large a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Values in it, itself counted.
    pub(super) nodes: usize,
    /// Levels below it.
    pub(super) depth: usize,
}

/// Measures a value.
pub(super) fn measure(value: &Value) -> Size {
    let mut size = Size { nodes: 0, depth: 0 };
    count(value, 0, &mut size);
    size
}

/// What a value weighs: itself and all that is in it, texts by their length. What is bounded by
/// its values alone may be one text of any size.
pub(super) fn weight(value: &Value) -> usize {
    take(value, usize::MAX).map_or(usize::MAX, |left| usize::MAX - left)
}

/// What an object weighs.
pub(super) fn of_map(map: &Map) -> usize {
    take_map(map, usize::MAX).map_or(usize::MAX, |left| usize::MAX - left)
}

/// What is left of a budget when a value is taken from it; `None`: it is not enough.
pub(super) fn take(value: &Value, budget: usize) -> Option<usize> {
    take_all(vec![value], budget)
}

/// [`take`] for an object.
pub(super) fn take_map(map: &Map, budget: usize) -> Option<usize> {
    let own = 1 + map.keys().map(|key| of_text(key)).sum::<usize>();
    take_all(map.values().collect(), budget.checked_sub(own)?)
}

/// Takes values and all in them; stops when nothing is left.
fn take_all(mut open: Vec<&Value>, mut left: usize) -> Option<usize> {
    while let Some(value) = open.pop() {
        left = left.checked_sub(1 + text_of(value) / BYTES)?;
        match value {
            Value::Object(inner) => {
                left = left.checked_sub(inner.keys().map(|key| of_text(key)).sum())?;
                open.extend(inner.values());
            }
            Value::Array(inner) => open.extend(inner),
            _ => {}
        }
    }
    Some(left)
}

/// What a text weighs beside the value that it is.
pub(super) fn of_text(text: &str) -> usize {
    text.len() / BYTES
}

/// How long a text or the digits of a number are, in bytes.
pub(super) fn text_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Number(number) => number.as_str().len(),
        _ => 0,
    }
}

/// Counts a value and what is in it.
fn count(value: &Value, level: usize, size: &mut Size) {
    size.nodes += 1;
    size.depth = size.depth.max(level);
    if level == MAX_DEPTH {
        return;
    }
    match value {
        Value::Array(list) => {
            for item in list {
                count(item, level + 1, size);
            }
        }
        Value::Object(map) => {
            for item in map.values() {
                count(item, level + 1, size);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::openapi::json;

    use super::*;

    #[test]
    fn texts_weigh_by_their_length() {
        let long = "x".repeat(10 * BYTES);
        let check = |value: Value, expected: usize| {
            assert_eq!(weight(&value), expected);
            assert_eq!(take(&value, expected), Some(0));
            assert_eq!(take(&value, expected - 1), None);
        };
        check(json!(null), 1);
        check(json!({ "a": [1, "b", {}] }), 5);
        check(json!(long), 11);
        check(json!({ long.as_str(): [long] }), 23);
        let digits: Value = serde_json::from_str(&"9".repeat(10 * BYTES)).unwrap();
        check(digits, 11);
    }
}
