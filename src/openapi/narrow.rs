//! Parameters by which a caller asks for less.

use crate::openapi::Value;

use super::operations::Source;
use super::{Location, Operation};

/// Names of parameters that say how much, from where, or which part, without case and separators.
const NARROWING: &[&str] = &[
    "limit",
    "pagesize",
    "perpage",
    "page",
    "offset",
    "cursor",
    "top",
    "skip",
    "first",
    "count",
    "size",
    "maxresults",
    "fields",
    "select",
    "filter",
    "q",
    "query",
    "search",
    "since",
    "until",
];

/// How many are told.
const TOLD: usize = 5;

/// The parameters of an operation's query that look as if they made its answer smaller, in the
/// order of the document, without those that clients do not see.
pub fn narrowing(root: &Value, operation: &Operation) -> Vec<String> {
    let Some(source) = Source::find(root, &operation.path_key, &operation.method) else {
        return Vec::new();
    };
    let mut found: Vec<String> = Vec::new();
    for parameter in source.parameters(root) {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let (Some(name), Some(Location::Query)) =
            (text("name"), text("in").and_then(Location::parse))
        else {
            continue;
        };
        let hidden = operation.hidden.iter().any(|hidden| hidden.name == name)
            || operation.fixed_query.iter().any(|(fixed, _)| fixed == name);
        if !hidden && narrows(name) && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found.truncate(TOLD);
    found
}

fn narrows(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let bare: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    NARROWING.contains(&bare.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_case_and_separators() {
        for name in [
            "limit",
            "per_page",
            "perPage",
            "page-size",
            "$filter",
            "Q",
            "page[size]",
        ] {
            assert!(narrows(name), "{name}");
        }
        for name in ["id", "limited", "", "format", "€"] {
            assert!(!narrows(name), "{name}");
        }
    }
}
