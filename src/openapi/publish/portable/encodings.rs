//! How the properties of forms are encoded.

use std::collections::HashSet;

use crate::openapi::{Map, Text, Value};

use super::super::{Action, Finding};
use super::visit::{self, Part};

/// Most schemas that are looked at for the properties of a form.
const MAX_SCHEMAS: usize = 200;

/// Drops the encodings of what is no property (`OpenAPI` 3.1 §4.8.14.1: the key must exist in the
/// schema as a property).
pub(in super::super) fn drop_strays(document: &mut Value, report: &mut Vec<Finding>) {
    let mut places: Vec<String> = Vec::new();
    let mut strays: Vec<Vec<Text>> = Vec::new();
    visit::parts(document, |spot, part| {
        let Part::Media(media) = part else {
            return;
        };
        let Some(Value::Object(encodings)) = media.get("encoding") else {
            return;
        };
        let known = properties(document, media.get("schema"));
        let is_known = |name: &&Text| known.iter().any(|map| map.contains_key(name));
        let stray = encodings.keys().filter(|name| !is_known(name));
        let stray: Vec<Text> = stray.cloned().collect();
        for name in &stray {
            let message = format!("the encoding of `{name}` is dropped: there is no such property");
            let finding = Finding::new(spot.pointer, Action::Simplified, message);
            visit::note(report, finding);
        }
        if !stray.is_empty() || encodings.is_empty() {
            places.push(spot.pointer.to_owned());
            strays.push(stray);
        }
    });
    visit::change(document, &places, |index, media| {
        if let Some(Value::Object(encodings)) = media.get_mut("encoding") {
            let stray: HashSet<&Text> = strays[index].iter().collect();
            encodings.retain(|name, _| !stray.contains(name));
            if encodings.is_empty() {
                media.shift_remove("encoding");
            }
        }
    });
}

/// The properties of all schemas that a value of this schema may fit.
fn properties<'d>(document: &'d Value, schema: Option<&'d Value>) -> Vec<&'d Map> {
    let mut found = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    let mut open: Vec<&Value> = schema.into_iter().collect();
    let mut left = MAX_SCHEMAS;
    while let Some(schema) = open.pop() {
        left -= 1;
        if left == 0 {
            break;
        }
        found.extend(schema.get("properties").and_then(Value::as_object));
        let reference = schema.get("$ref").and_then(Value::as_str);
        let target = reference.and_then(|reference| reference.strip_prefix('#'));
        let target = target.filter(|target| seen.insert(target));
        open.extend(target.and_then(|target| document.pointer(target)));
        for name in ["allOf", "anyOf", "oneOf"] {
            let list = schema.get(name).and_then(Value::as_array);
            open.extend(list.into_iter().flatten().take(MAX_SCHEMAS));
        }
    }
    found
}
