//! Where a `$ref` is a reference, and where it is data.

use crate::openapi::json;

use super::{bundle_all, lines};

#[test]
fn only_references_are_references() {
    let data = json!({ "$ref": "data.yaml" });
    let root = json!({
        "openapi": "3.2.0",
        "info": { "x-a": data, "$ref": "data.yaml" },
        "x-b": { "schema": data },
        "paths": {
            "x-c": data,
            "/a": { "x-d": data, "get": {
                "x-e": data,
                "parameters": [
                    { "name": "p", "example": data, "examples": { "one": { "value": data, "dataValue": data } },
                      "schema": { "const": data, "enum": [data], "default": data, "example": data, "examples": [data] } },
                ],
                "requestBody": { "content": { "a/b": { "example": data, "schema": {
                    "properties": {
                        "example": { "$ref": "example.yaml" },
                        "default": { "$ref": "default.yaml" },
                        "$ref": { "$ref": "ref.yaml" },
                        "x-f": { "$ref": "x.yaml" },
                    },
                    "x-g": data,
                    "required": ["$ref"],
                    "patternProperties": { "const": { "items": { "$ref": "items.yaml" } } },
                    "dependentSchemas": { "enum": { "not": { "$ref": "not.yaml" } } },
                } } } },
                "responses": { "x-h": data, "200": { "links": { "l": { "parameters": { "p": data } } } } },
            } },
        },
    });
    let mut files = vec![("a.yaml", root.clone())];
    let names = ["example", "default", "ref", "x", "items", "not"].map(|n| format!("{n}.yaml"));
    files.extend(
        names
            .iter()
            .map(|name| (name.as_str(), json!({ "title": name }))),
    );
    let (bundled, asked) = bundle_all(&files);
    assert_eq!(asked, names);
    assert_eq!(lines(&bundled), [""; 0]);
    let mut expected = root;
    let schema = &mut expected["paths"]["/a"]["get"]["requestBody"]["content"]["a/b"]["schema"];
    for name in ["example", "default"] {
        schema["properties"][name]["$ref"] = json!(format!("#/x-plugway-files/{name}"));
    }
    schema["properties"]["$ref"]["$ref"] = json!("#/x-plugway-files/ref");
    schema["properties"]["x-f"]["$ref"] = json!("#/x-plugway-files/x");
    schema["patternProperties"]["const"]["items"]["$ref"] = json!("#/x-plugway-files/items");
    schema["dependentSchemas"]["enum"]["not"]["$ref"] = json!("#/x-plugway-files/not");
    let mut value = bundled.value;
    value
        .as_object_mut()
        .unwrap()
        .shift_remove("x-plugway-files");
    assert_eq!(value, expected);
}

/// Places that references can stand in.
const PLACES: &[&str] = &[
    "/paths/~1a/get/parameters/0",
    "/paths/~1a/parameters/0",
    "/paths/~1a/get/parameters/0/schema",
    "/paths/~1a/get/parameters/0/items",
    "/paths/~1a/get",
    "/paths/~1a/GET",
    "/paths/~1a/query",
    "/paths/~1a/additionalOperations/COPY",
    "/paths/~1a/get/requestBody",
    "/paths/~1a/get/responses/200",
    "/paths/~1a/get/responses/200/schema",
    "/paths/~1a/get/responses/200/headers/h",
    "/paths/~1a/get/responses/200/headers/h/schema",
    "/paths/~1a/get/responses/200/content/a~1b",
    "/paths/~1a/get/responses/200/content/a~1b/schema",
    "/paths/~1a/get/responses/200/content/a~1b/itemSchema",
    "/paths/~1a/get/responses/200/content/a~1b/examples/e",
    "/paths/~1a/get/responses/200/links/l",
    "/paths/~1a/get/requestBody/content/a~1b/encoding/e/headers/h",
    "/paths/~1a/get/requestBody/content/a~1b/prefixEncoding/0/headers/h",
    "/paths/~1a/get/requestBody/content/a~1b/itemEncoding/headers/h",
    "/paths/~1a/get/parameters/0/content/a~1b/schema",
    "/paths/~1a/get/callbacks/c",
    "/paths/~1a/get/callbacks/c/{$request.body}/post/requestBody",
    "/webhooks/w/post/requestBody",
    "/definitions/D/items",
    "/parameters/P/schema",
    "/responses/R/schema",
    "/components/schemas/S/items",
    "/components/responses/R/content/a~1b/schema",
    "/components/parameters/P/schema",
    "/components/requestBodies/B/content/a~1b/schema",
    "/components/headers/H/schema",
    "/components/callbacks/C/x/get",
    "/components/pathItems/I/get",
    "/components/mediaTypes/M/itemSchema",
    "/components/links/L",
    "/components/examples/E",
    "/components/securitySchemes/S",
];

/// Keywords of a schema that hold schemas.
const KEYWORDS: &[&str] = &[
    "not",
    "items",
    "contains",
    "propertyNames",
    "if",
    "then",
    "else",
    "contentSchema",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "additionalItems",
    "allOf/0",
    "anyOf/0",
    "oneOf/0",
    "prefixItems/0",
    "items/0",
    "properties/p",
    "patternProperties/p",
    "dependentSchemas/p",
    "dependencies/p",
    "definitions/p",
    "$defs/p",
];

#[test]
fn every_place_of_a_reference_is_known() {
    let schemas: Vec<String> = KEYWORDS
        .iter()
        .map(|keyword| format!("/components/schemas/S/{keyword}"))
        .collect();
    for place in PLACES
        .iter()
        .copied()
        .chain(schemas.iter().map(String::as_str))
    {
        // Built from the inside: a number is the position in a list.
        let mut value = json!({ "$ref": "x.yaml" });
        for segment in place.rsplit('/').filter(|s| !s.is_empty()) {
            let key = segment.replace("~1", "/");
            value = if key == "0" {
                json!([value])
            } else {
                json!({ key: value })
            };
        }
        let (bundled, asked) =
            bundle_all(&[("a.yaml", value), ("x.yaml", json!({ "title": "x" }))]);
        assert_eq!(asked, ["x.yaml"], "{place}");
        let found = bundled.value.pointer(place).unwrap();
        let is_local = found["$ref"] == json!("#/x-plugway-files/x");
        assert!(
            is_local || *found == json!({ "title": "x" }),
            "{place}: {:#}",
            bundled.value
        );
    }
}
