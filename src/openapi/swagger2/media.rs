//! `consumes` and `produces`.

use crate::openapi::Value;

use super::super::Action;
use super::super::pointer;
use super::ledger::Ledger;

/// Longest list of media types that is used.
const MAX_TYPES: usize = 100;

/// A list of media types. `None`: there is none, what stands above it holds.
pub(super) fn types(value: Option<Value>, at: &str, ledger: &mut Ledger) -> Option<Vec<String>> {
    let written = value?;
    let is_list = written.is_array();
    let list = match written {
        Value::Null => return None,
        Value::Array(list) => list,
        one @ Value::String(_) => {
            ledger.note(
                at,
                Action::Repaired,
                "a single media type is read as a list",
            );
            vec![one]
        }
        _ => {
            ledger.note(at, Action::Skipped, "it is no list of media types");
            return None;
        }
    };
    let mut types: Vec<String> = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let note = |ledger: &mut Ledger, action, message: String| {
            let mut here = at.to_owned();
            if is_list {
                pointer::push_index(&mut here, index);
            }
            ledger.note(&here, action, message);
        };
        if types.len() == MAX_TYPES {
            let message = format!("only the first {MAX_TYPES} media types are used");
            note(ledger, Action::Simplified, message);
            break;
        }
        let Some(text) = entry.as_str() else {
            note(ledger, Action::Skipped, "it is no media type".to_owned());
            continue;
        };
        for part in parts(text) {
            let Some(name) = media_type(part) else {
                note(
                    ledger,
                    Action::Skipped,
                    format!("`{part}` is no media type"),
                );
                continue;
            };
            if name != part {
                note(
                    ledger,
                    Action::Repaired,
                    format!("`{part}` is read as {name}"),
                );
            }
            if !types.contains(&name) {
                types.push(name);
            }
        }
    }
    Some(types)
}

/// A list may be written as one text.
fn parts(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts
        .iter()
        .all(|part| part.contains('/') && !part.contains('"'))
    {
        parts
    } else {
        vec![text.trim()]
    }
}

/// The media type that is meant.
fn media_type(text: &str) -> Option<String> {
    let usable = |part: &str| !part.trim().is_empty();
    match text.split_once('/') {
        Some((kind, rest)) if usable(kind) && usable(rest) => Some(text.to_owned()),
        Some(_) => None,
        None => Some(
            match text.to_ascii_lowercase().as_str() {
                "json" => "application/json",
                "xml" => "application/xml",
                "html" => "text/html",
                "text" | "plain" => "text/plain",
                "form" => "application/x-www-form-urlencoded",
                "multipart" => "multipart/form-data",
                "*" => "*/*",
                _ => return None,
            }
            .to_owned(),
        ),
    }
}

/// A media type without its parameters, in lower case.
pub(super) fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Whether form fields can be sent as this.
pub(super) fn is_form(media_type: &str) -> bool {
    let essence = essence(media_type);
    essence == "application/x-www-form-urlencoded" || essence.starts_with("multipart/")
}

#[cfg(test)]
mod tests {
    use crate::openapi::json;

    use super::*;

    #[test]
    fn media_types_are_read_as_they_are_meant() {
        let check = |value: Value, expected: Option<&[&str]>| {
            let mut ledger = Ledger::new(&Value::Null);
            let types = types(Some(value.clone()), "#/consumes", &mut ledger);
            let expected = expected.map(|e| e.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
            assert_eq!(types, expected, "{value}");
        };
        check(json!(null), None);
        check(json!({ "a": 1 }), None);
        check(json!([]), Some(&[]));
        check(json!("application/json"), Some(&["application/json"]));
        check(
            json!(["json", 1, "text", "json"]),
            Some(&["application/json", "text/plain"]),
        );
        check(json!("a/b, c/d"), Some(&["a/b", "c/d"]));
        check(json!(["a/b; x=\"c/d,e/f\""]), Some(&["a/b; x=\"c/d,e/f\""]));
        check(json!(["/", "x/", "nothing"]), Some(&[]));
    }
}
