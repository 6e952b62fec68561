//! Parameters with fixed values: clients do not see them, the upstream always gets them.

use crate::openapi::{Map, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::location::Location;
use super::operations::Candidate;
use super::pointer::resolved;
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
        Some((location, parameter)) => {
            let schema = resolved(root, parameter.get("schema").unwrap_or(&Value::Null));
            // The value itself may be a secret.
            remark = forbidden(schema, value).map(|reason| {
                let id = &operation.id;
                format!("the value of `{name}` is not one that operation {id} takes: {reason}")
            });
            location
        }
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
fn find<'d>(root: &'d Value, candidate: &Candidate<'d>, name: &str) -> Option<(Location, &'d Map)> {
    let mut found: Vec<(Location, &Map)> = Vec::new();
    for parameter in candidate.source.parameters(root) {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str);
        let location = text("in").and_then(Location::parse);
        let location = location.filter(|l| text("name").is_some_and(|known| l.same(known, name)));
        found.extend(location.map(|location| (location, parameter)));
    }
    let order = [
        Location::Query,
        Location::Header,
        Location::Path,
        Location::Cookie,
    ];
    let first = |location| found.iter().find(|(known, _)| *known == location).copied();
    order.into_iter().find_map(first)
}

/// Why a schema does not allow a value, which is sent as text. Only what it says itself counts.
fn forbidden(schema: &Value, value: &str) -> Option<String> {
    let is_value = |allowed: &Value| match allowed {
        Value::String(text) => **text == *value,
        other => {
            let shown = other.to_string();
            shown == value
        }
    };
    let kind = schema.get("type").and_then(Value::as_str);
    if kind == Some("array") {
        return None;
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        return (!allowed.iter().any(is_value)).then(|| {
            let shown = allowed.iter().take(SHOWN).map(Value::to_string);
            format!("it is one of {}", shown.collect::<Vec<_>>().join(", "))
        });
    }
    if let Some(only) = schema.get("const") {
        return (!is_value(only)).then(|| format!("it is {only}"));
    }
    let fits = match kind {
        Some("integer") => value.parse::<i128>().is_ok(),
        Some("number") => value.parse::<f64>().is_ok_and(f64::is_finite),
        Some("boolean") => matches!(value, "true" | "false"),
        _ => true,
    };
    (!fits).then(|| format!("its type is {}", kind.unwrap_or_default()))
}

/// Allowed values that are told.
const SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::json;

    #[test]
    fn values_that_a_schema_forbids() {
        let check = |schema: &Value, value: &str, expected: Option<&str>| {
            assert_eq!(
                forbidden(schema, value).as_deref(),
                expected,
                "{schema} {value}"
            );
        };
        let choice = json!({ "type": "string", "enum": ["json", "xml", 3] });
        check(&choice, "xml", None);
        check(&choice, "3", None);
        check(&choice, "yaml", Some("it is one of \"json\", \"xml\", 3"));
        check(&json!({ "const": "a" }), "b", Some("it is \"a\""));
        check(&json!({ "type": "integer" }), "-7", None);
        check(
            &json!({ "type": "integer" }),
            "many",
            Some("its type is integer"),
        );
        check(&json!({ "type": "number" }), "1e3", None);
        check(
            &json!({ "type": "number" }),
            "NaN",
            Some("its type is number"),
        );
        check(
            &json!({ "type": "boolean" }),
            "yes",
            Some("its type is boolean"),
        );
        check(&json!({ "type": "array", "enum": ["a"] }), "b", None);
        check(&json!({ "type": ["integer", "null"] }), "b", None);
        check(&Value::Null, "b", None);
    }
}
