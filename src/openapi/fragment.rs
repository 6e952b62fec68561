//! Keys of `paths` that differ by their fragment alone, such as `/#Action=CreateTags`: a way to
//! write down APIs that tell operations apart by a parameter. No fragment is ever sent, but what
//! it says is true of the request where the parameter is described so.

use crate::openapi::Value;
use url::form_urlencoded;

use super::asked::only_value;
use super::operations::Source;
use super::pointer::resolved;
use super::template::PathKey;

/// Most pairs of a fragment that are looked at.
const MAX_PAIRS: usize = 8;

/// Makes those pairs of a key's fragment part of the query that its operation needs to have the
/// only value of a required query parameter.
pub(super) fn adopt(root: &Value, key: &str, source: &Source<'_>, path: &mut PathKey) {
    let Some((_, fragment)) = key.split_once('#') else {
        return;
    };
    for (name, value) in form_urlencoded::parse(fragment.as_bytes()).take(MAX_PAIRS) {
        let known = path.fixed_query.iter().any(|(other, _)| *other == name);
        if known || !demands(root, source, &name, &value) {
            continue;
        }
        let pair = form_urlencoded::Serializer::new(String::new())
            .append_pair(&name, &value)
            .finish();
        if !path.query.is_empty() {
            path.query.push('&');
        }
        path.query.push_str(&pair);
        path.fixed_query
            .push((name.into_owned(), value.into_owned()));
    }
}

/// Whether an operation has a required query parameter of this name, with this as its only value.
fn demands(root: &Value, source: &Source<'_>, name: &str, value: &str) -> bool {
    let lists = [
        source.body.get("parameters"),
        source.item.field("parameters").map(|place| place.value),
    ];
    let mut all = lists.into_iter().flatten().filter_map(Value::as_array);
    // The operation's own hides the one of its path item.
    let found = all.find_map(|list| {
        let mut each = list.iter().map(|parameter| resolved(root, parameter));
        each.find(|parameter| {
            let text = |key: &str| parameter.get(key).and_then(Value::as_str);
            text("name") == Some(name) && text("in") == Some("query")
        })
    });
    let Some(parameter) = found else {
        return false;
    };
    let schema = parameter.get("schema").unwrap_or(&Value::Null);
    let only = only_value(resolved(root, schema));
    parameter.get("required") == Some(&Value::Bool(true)) && only == Some(value)
}

#[cfg(test)]
mod tests {
    use crate::openapi::{Value, json};

    use crate::openapi::{PublishOptions, Selection, Target, load, publish};

    /// A document of two operations that differ by what stands behind `#`, the second in form.
    fn document(second: &Value) -> Value {
        let action = |value: &str| {
            json!({ "name": "Action", "in": "query", "required": true,
            "schema": { "type": "string", "enum": [value] } })
        };
        let operation = |id: &str, parameters: Value| {
            json!({ "get": { "operationId": id, "parameters": parameters,
                "responses": { "200": { "description": "" } } } })
        };
        json!({ "openapi": "3.0.3", "paths": {
            "/#Action=Make": operation("Make", json!([action("Make")])),
            "/#Action=Drop": operation("Drop", json!([second])),
        } })
    }

    #[test]
    fn a_fragment_that_a_parameter_confirms_tells_operations_apart() {
        let drop = json!({ "name": "Action", "in": "query", "required": true,
            "schema": { "$ref": "#/components/schemas/Drop" } });
        let mut document = document(&drop);
        document["components"] = json!({ "schemas": { "Drop": { "enum": ["Drop"] } } });
        let api = load(document, &Selection::default()).unwrap();
        let queries: Vec<_> = api.operations.iter().map(|o| &o.fixed_query).collect();
        let pair = |value: &str| vec![("Action".to_owned(), value.to_owned())];
        assert_eq!(queries, [&pair("Make"), &pair("Drop")]);
        let out = publish(&api, Target::V3_1_0, &PublishOptions::default());
        let paths: Vec<_> = out["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["/?Action=Make", "/?Action=Drop"]);
    }

    #[test]
    fn a_fragment_that_nothing_confirms_is_no_query() {
        let other = |schema: Value, required: bool| {
            json!({ "name": "Action", "in": "query",
            "required": required, "schema": schema })
        };
        for second in [
            other(json!({ "enum": ["Drop"] }), false),
            other(json!({ "enum": ["Drop", "Make"] }), true),
            other(json!({ "enum": ["Other"] }), true),
            json!({ "name": "Action", "in": "header", "required": true, "schema": { "enum": ["Drop"] } }),
            json!(7),
        ] {
            let api = load(document(&second), &Selection::default()).unwrap();
            assert_eq!(api.operations[1].fixed_query, [], "{second}");
        }
    }
}
