//! What the parts of other files are called once published.

use crate::openapi::{Map, Value, json};

use super::bundle;
use crate::openapi::{PublishOptions, Selection, Target, load, publish};

/// The names of the schemas that are published.
fn published(files: &[(&str, Value)]) -> Vec<String> {
    let api = load(bundle(files), &Selection::default()).unwrap();
    let document = publish(&api, Target::V3_1_0, &PublishOptions::default());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    schemas.keys().map(ToString::to_string).collect()
}

/// A document whose one operation answers with each of these.
fn root(references: &[&str], components: &Value) -> Value {
    let schemas: Vec<Value> = references.iter().map(|r| json!({ "$ref": r })).collect();
    json!({ "openapi": "3.0.3", "components": components, "paths": { "/a": { "get": { "responses": {
        "200": { "description": "", "content": { "application/json": { "schema": { "oneOf": schemas } } } } } } } } })
}

#[test]
fn schemas_are_called_as_in_their_files() {
    let object = || json!({ "type": "object", "properties": { "x": { "type": "object" } } });
    let of = |names: &[&str]| -> Value {
        names
            .iter()
            .map(|n| ((*n).to_owned(), object()))
            .collect::<Map>()
            .into()
    };
    let files = |references: &[&str], components: Value| {
        vec![
            ("a.yaml", root(references, &components)),
            ("Pet.yaml", object()),
            (
                "common.yaml",
                json!({ "components": { "schemas": of(&["Error", "Pet"]) }, "definitions": of(&["Old"]) }),
            ),
            ("schemas.yaml", of(&["Tag", "Error"])),
        ]
    };
    let rows: &[(&[&str], &[&str])] = &[
        (&["Pet.yaml"], &["Pet"]),
        (&["common.yaml#/components/schemas/Error"], &["Error"]),
        (&["common.yaml#/definitions/Old"], &["Old"]),
        (
            &[
                "schemas.yaml#/Tag",
                "schemas.yaml#/Error",
                "common.yaml#/components/schemas/Error",
            ],
            &["Tag", "Error", "common_Error"],
        ),
        (
            &["Pet.yaml", "common.yaml#/components/schemas/Pet"],
            &["Pet", "common_Pet"],
        ),
        (&["Pet.yaml#/properties/x"], &["Pet_properties_x"]),
    ];
    for (references, names) in rows {
        assert_eq!(
            published(&files(references, json!({}))),
            *names,
            "{references:?}"
        );
    }
    // The root's own name stays the root's.
    let components = json!({ "schemas": { "Error": { "type": "string" } } });
    let both = [
        "#/components/schemas/Error",
        "common.yaml#/components/schemas/Error",
    ];
    assert_eq!(
        published(&files(&both, components)),
        ["Error", "common_Error"]
    );
    let alias = json!({ "schemas": { "Pet": { "$ref": "Pet.yaml" } } });
    let both = ["#/components/schemas/Pet", "Pet.yaml"];
    assert_eq!(published(&files(&both, alias)), ["Pet"]);
}
