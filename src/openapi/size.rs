//! How large values are.

use serde_json::Value;

/// Deepest value that is measured; what is deeper counts as one value.
const MAX_DEPTH: usize = 256;

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
