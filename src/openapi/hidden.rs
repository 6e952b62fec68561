//! Parameters with fixed values: clients do not see them, the upstream always gets them.

use crate::openapi::Value;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::location::Location;
use super::operations::Candidate;
use super::{Hidden, Operation, template};

/// What stands in a path segment as it is (RFC 3986 §3.3: unreserved characters).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Hides a parameter of an operation. A remark is returned for one that the document does not
/// have, which goes into the query; the error is a reason.
pub(super) fn hide(
    root: &Value,
    operation: &mut Operation,
    candidate: &mut Candidate<'_>,
    name: &str,
    value: &str,
) -> Result<Option<String>, String> {
    let mut remark = None;
    let location = match find(root, candidate, name) {
        Some(location) => location,
        None if template::names(&candidate.path.path).any(|known| known == name) => Location::Path,
        None => {
            remark = Some(format!(
                "operation {} has no parameter `{name}`: it is added to the query",
                operation.id
            ));
            Location::Query
        }
    };
    match location {
        Location::Cookie => {
            return Err(format!(
                "`{name}` is a cookie; fixed values go into path, query and header"
            ));
        }
        Location::Path => {
            if value.is_empty() || matches!(value, "." | "..") {
                return Err(format!("`{value}` can not be a segment of a path"));
            }
            let text = utf8_percent_encode(value, SEGMENT).to_string();
            operation.path = operation.path.replace(&format!("{{{name}}}"), &text);
            candidate.path.path.clone_from(&operation.path);
        }
        Location::Query if operation.fixed_query.iter().any(|(known, _)| known == name) => {
            return Err(format!(
                "`{name}` has its value in the path of the document already"
            ));
        }
        Location::Query | Location::Header => {}
    }
    operation.hidden.push(Hidden {
        location,
        name: name.to_owned(),
        value: value.to_owned(),
    });
    Ok(remark)
}

/// Where the operation has a parameter of this name. One name in several places: the query wins.
fn find(root: &Value, candidate: &Candidate<'_>, name: &str) -> Option<Location> {
    let mut found: Vec<Location> = Vec::new();
    for parameter in candidate.source.parameters(root) {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let location = text("in").and_then(Location::parse);
        found.extend(location.filter(|l| text("name").is_some_and(|known| l.same(known, name))));
    }
    let order = [
        Location::Query,
        Location::Header,
        Location::Path,
        Location::Cookie,
    ];
    order.into_iter().find(|location| found.contains(location))
}
