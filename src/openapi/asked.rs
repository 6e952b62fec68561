//! What an operation asks of its requests.

use crate::openapi::{Map, Value};

use super::operations::Source;
use super::pointer;
use super::{Location, Operation};

/// Headers that each request of an operation has, with the only value that each may have: where
/// several operations are one path, such a header says which of them is meant.
pub fn demanded_headers(root: &Value, operation: &Operation) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut seen = Vec::new();
    for (name, parameter) in parameters(root, operation, Location::Header) {
        // The operation's own comes first, and hides the one of its path item.
        let name = name.to_ascii_lowercase();
        if seen.contains(&name) {
            continue;
        }
        seen.push(name.clone());
        let schema = parameter.get("schema").unwrap_or(&Value::Null);
        let only = only_value(pointer::resolved(root, schema));
        if let Some(value) = only
            && parameter.get("required") == Some(&Value::Bool(true))
        {
            found.push((name, value.to_owned()));
        }
    }
    found
}

/// A header that clients may send to an operation and of whose name this holds.
pub fn header_such_that<'d>(
    root: &'d Value,
    operation: &Operation,
    holds: impl Fn(&str) -> bool,
) -> Option<&'d str> {
    let hidden = |name: &str| operation.hidden.iter().any(|hidden| hidden.name == name);
    let names = parameters(root, operation, Location::Header).map(|(name, _)| name);
    names.into_iter().find(|name| holds(name) && !hidden(name))
}

/// Whether an operation has a parameter of this name in its query.
pub fn has_query_parameter(root: &Value, operation: &Operation, name: &str) -> bool {
    parameters(root, operation, Location::Query).any(|(known, _)| known == name)
}

/// The parameters of one location with their names, the operation's own first.
fn parameters<'d>(
    root: &'d Value,
    operation: &Operation,
    location: Location,
) -> impl Iterator<Item = (&'d str, &'d Map)> {
    let source = Source::find(root, &operation.path_key, &operation.method);
    let all = source.map(|source| source.parameters(root));
    all.into_iter().flatten().filter_map(move |parameter| {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let there = text("in").and_then(Location::parse) == Some(location);
        text("name").filter(|_| there).map(|name| (name, parameter))
    })
}

/// The only text that a schema allows, if it says so itself.
pub(super) fn only_value(schema: &Value) -> Option<&str> {
    match (schema.get("const"), schema.get("enum")) {
        (Some(only), _) => only.as_str(),
        (None, Some(Value::Array(values))) if values.len() == 1 => {
            values.first().and_then(Value::as_str)
        }
        _ => None,
    }
}
