use crate::openapi::{Value, json};

use super::{document, published};
use crate::openapi::{Selection, Target, load};

/// What a schema of one version becomes in both.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn check(version: &str, schema: Value, in_3_1: Value, in_3_0: Value) {
    let others = json!({ "schemas": { "A": { "type": "object" }, "B": { "type": "string" } } });
    for (target, expected) in [(Target::V3_1_0, &in_3_1), (Target::V3_0_1, &in_3_0)] {
        let document = published(document(version, schema.clone(), others.clone()), target);
        let found = &document["components"]["schemas"]["S"];
        assert_eq!(found, expected, "{schema} of {version} as {target:?}");
    }
    // The published form stays as it is.
    for (target, form) in [(Target::V3_1_0, in_3_1), (Target::V3_0_1, in_3_0)] {
        let again = published(
            document(target.version(), form.clone(), others.clone()),
            target,
        );
        assert_eq!(
            again["components"]["schemas"]["S"], form,
            "{target:?} again"
        );
    }
}

/// The same in both versions.
#[track_caller]
fn same(version: &str, schema: Value, expected: Value) {
    check(version, schema, expected.clone(), expected);
}

#[test]
fn null_is_an_alternative_in_3_1_and_a_flag_in_3_0() {
    check(
        "3.0.3",
        json!({ "type": "string", "nullable": true, "description": "d" }),
        json!({ "description": "d", "anyOf": [{ "type": "string" }, { "type": "null" }] }),
        json!({ "type": "string", "description": "d", "nullable": true }),
    );
    check(
        "3.1.0",
        json!({ "type": ["string", "null"], "maxLength": 3, "default": null }),
        json!({ "anyOf": [{ "type": "string", "maxLength": 3 }, { "type": "null" }] }),
        json!({ "type": "string", "maxLength": 3, "nullable": true }),
    );
    // Documents of 3.1 that still say nullable.
    check(
        "3.1.0",
        json!({ "type": "string", "nullable": true }),
        json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
        json!({ "type": "string", "nullable": true }),
    );
    check(
        "3.1.0",
        json!({ "type": ["string", null], "enum": ["a", null] }),
        json!({ "anyOf": [{ "type": "string", "enum": ["a"] }, { "type": "null" }] }),
        json!({ "type": "string", "enum": ["a", null], "nullable": true }),
    );
    check(
        "3.1.0",
        json!({ "type": "null", "title": "n" }),
        json!({ "title": "n", "enum": [null] }),
        json!({ "title": "n", "nullable": true, "enum": [null] }),
    );
    check(
        "3.0.3",
        json!({ "enum": [null], "nullable": true }),
        json!({ "enum": [null] }),
        json!({ "nullable": true, "enum": [null] }),
    );
    // What is beside can not make more of null.
    for beside in ["#/components/schemas/A", "#/info", "#/nowhere"] {
        check(
            "3.1.0",
            json!({ "type": "null", "$ref": beside, "title": "n" }),
            json!({ "title": "n", "enum": [null] }),
            json!({ "title": "n", "nullable": true, "enum": [null] }),
        );
    }
    same(
        "3.0.3",
        json!({ "nullable": true, "description": "any" }),
        json!({ "description": "any" }),
    );
    same(
        "3.0.3",
        json!({ "type": "string", "nullable": false }),
        json!({ "type": "string" }),
    );
}

#[test]
fn alternatives_with_null() {
    let a = json!({ "$ref": "#/components/schemas/A" });
    let b = json!({ "$ref": "#/components/schemas/B" });
    check(
        "3.1.0",
        json!({ "anyOf": [a, { "type": "null" }] }),
        json!({ "anyOf": [a, { "type": "null" }] }),
        json!({ "allOf": [a], "nullable": true }),
    );
    check(
        "3.1.0",
        json!({ "oneOf": [a, b, { "type": "null" }] }),
        json!({ "oneOf": [a, b, { "type": "null" }] }),
        json!({ "oneOf": [a, b], "nullable": true }),
    );
    check(
        "3.1.0",
        json!({ "anyOf": [{ "type": "string", "format": "uuid" }, { "type": "null" }], "title": "t" }),
        json!({ "anyOf": [{ "type": "string", "format": "uuid" }, { "type": "null" }], "title": "t" }),
        json!({ "title": "t", "type": "string", "format": "uuid", "nullable": true }),
    );
    check(
        "3.0.3",
        json!({ "anyOf": [a, b], "nullable": true }),
        json!({ "anyOf": [a, b, { "type": "null" }] }),
        json!({ "anyOf": [a, b], "nullable": true }),
    );
    check(
        "3.0.3",
        json!({ "$ref": "#/components/schemas/A", "nullable": true }),
        json!({ "anyOf": [a, { "type": "null" }] }),
        json!({ "allOf": [a], "nullable": true }),
    );
    check(
        "3.1.0",
        json!({ "anyOf": [{ "type": "null" }] }),
        json!({ "anyOf": [{ "enum": [null] }] }),
        json!({ "nullable": true, "enum": [null] }),
    );
}

#[test]
fn several_types_are_alternatives() {
    check(
        "3.1.0",
        json!({ "type": ["string", "integer"], "maxLength": 3, "minimum": 1, "title": "t" }),
        json!({ "title": "t", "anyOf": [{ "type": "string", "maxLength": 3 }, { "type": "integer", "minimum": 1 }] }),
        json!({ "title": "t", "anyOf": [{ "type": "string", "maxLength": 3 }, { "type": "integer", "minimum": 1 }] }),
    );
    check(
        "3.1.0",
        json!({ "type": ["array", "object", "null"] }),
        json!({ "anyOf": [{ "type": "array" }, { "type": "object" }, { "type": "null" }] }),
        json!({ "anyOf": [{ "type": "array", "nullable": true, "items": {} }, { "type": "object", "nullable": true }] }),
    );
    same(
        "3.1.0",
        json!({ "type": ["string", "boolean"], "enum": ["a", true], "not": { "enum": ["b"] } }),
        json!({ "not": { "enum": ["b"], "type": "string" },
            "anyOf": [{ "type": "string", "enum": ["a"] }, { "type": "boolean", "enum": [true] }] }),
    );
}

#[test]
fn bounds() {
    check(
        "3.0.3",
        json!({ "type": "integer", "minimum": 1, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false }),
        json!({ "type": "integer", "maximum": 9, "exclusiveMinimum": 1 }),
        json!({ "type": "integer", "minimum": 1, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false }),
    );
    check(
        "3.1.0",
        json!({ "type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 9, "maximum": 8 }),
        json!({ "type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 9, "maximum": 8 }),
        json!({ "type": "number", "exclusiveMinimum": true, "maximum": 8, "minimum": 1 }),
    );
}

#[test]
fn words_of_3_1_have_their_like_in_3_0() {
    check(
        "3.1.0",
        json!({ "const": "a", "examples": ["a", "b"] }),
        json!({ "const": "a", "examples": ["a", "b"], "type": "string" }),
        json!({ "enum": ["a"], "example": "a", "type": "string" }),
    );
    check(
        "3.1.0",
        json!({ "type": "string", "contentEncoding": "base64" }),
        json!({ "type": "string", "contentEncoding": "base64" }),
        json!({ "type": "string", "format": "byte" }),
    );
    check(
        "3.1.0",
        json!({ "type": "string", "contentMediaType": "image/png" }),
        json!({ "type": "string", "contentMediaType": "image/png" }),
        json!({ "type": "string", "format": "binary" }),
    );
    check(
        "3.1.0",
        json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer" }], "items": false }),
        json!({ "type": "array", "prefixItems": [{ "type": "string" }, { "type": "integer" }], "items": { "not": {} } }),
        json!({ "type": "array", "maxItems": 2, "items": { "anyOf": [{ "type": "string" }, { "type": "integer" }] } }),
    );
    check(
        "3.1.0",
        json!({ "type": "object", "patternProperties": { "^x": { "type": "string" } }, "additionalProperties": false }),
        json!({ "type": "object", "patternProperties": { "^x": { "type": "string" } }, "additionalProperties": false }),
        json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    );
    check(
        "3.1.0",
        json!({ "type": "object", "unevaluatedProperties": false, "if": true, "then": {}, "propertyNames": { "maxLength": 3 } }),
        json!({ "type": "object", "unevaluatedProperties": false, "if": {}, "then": {}, "propertyNames": { "maxLength": 3 } }),
        json!({ "type": "object", "additionalProperties": false }),
    );
    check(
        "3.1.0",
        json!({ "properties": { "a": true, "b": false } }),
        json!({ "properties": { "a": {}, "b": { "not": {} } } }),
        json!({ "properties": { "a": {}, "b": { "not": {} } } }),
    );
}

#[test]
fn what_stands_beside_a_reference() {
    let a = "#/components/schemas/A";
    check(
        "3.1.0",
        json!({ "$ref": a, "description": "d" }),
        json!({ "$ref": a, "description": "d" }),
        json!({ "description": "d", "allOf": [{ "$ref": a }] }),
    );
    check(
        "3.0.3",
        json!({ "$ref": a, "description": "d", "type": "string" }),
        json!({ "$ref": a, "description": "d" }),
        json!({ "description": "d", "allOf": [{ "$ref": a }] }),
    );
}

#[test]
fn what_means_nothing_beside_a_reference_does_not_keep_it() {
    for (version, beside) in [
        ("3.1.0", json!({ "type": true })),
        ("3.1.0", json!({ "$comment": "c", "unknown": 1 })),
        ("3.1.0", json!({ "$dynamicRef": "#nowhere" })),
        ("3.0.3", json!({ "maxProperties": 3 })),
    ] {
        let mut schema = beside.clone();
        schema["$ref"] = json!("#/components/schemas/A");
        schema["description"] = json!("d");
        let document = json!({ "openapi": version,
            "paths": { "/s": { "post": { "requestBody": { "content": { "a/b": { "schema": schema } } } } } },
            "components": { "schemas": { "A": { "type": "object", "description": "a" } } } });
        for target in [Target::V3_1_0, Target::V3_0_1] {
            let document = published(document.clone(), target);
            let schema =
                &document["paths"]["/s"]["post"]["requestBody"]["content"]["a/b"]["schema"];
            let expected = json!({ "type": "object", "description": "d" });
            assert_eq!(*schema, expected, "{beside} of {version} as {target:?}");
        }
    }
}

#[test]
fn data_is_never_touched() {
    let data = json!({ "$ref": "#/nowhere", "nullable": true, "type": ["a", "null"] });
    same(
        "3.1.0",
        json!({ "type": "object", "default": data, "example": data, "x-ms-data": { "nullable": true } }),
        json!({ "type": "object", "x-ms-data": { "nullable": true } }),
    );
    same(
        "3.1.0",
        json!({ "default": [data] }),
        json!({ "default": [data] }),
    );
    same(
        "3.1.0",
        json!({ "enum": [data, { "const": null }] }),
        json!({ "enum": [data, { "const": null }], "type": "object" }),
    );
    same(
        "3.1.0",
        json!({ "properties": { "$ref": { "type": "string" }, "nullable": { "type": "string" } } }),
        json!({ "properties": { "$ref": { "type": "string" }, "nullable": { "type": "string" } } }),
    );
}

#[test]
fn careless_schemas_are_mended() {
    same(
        "3.0.3",
        json!({ "type": "object", "properties": { "a": { "type": "string", "required": true }, "b": {} } }),
        json!({ "type": "object", "properties": { "a": { "type": "string" }, "b": {} }, "required": ["a"] }),
    );
    same(
        "3.0.3",
        json!({ "type": "String", "maxLength": "10", "minLength": null, "required": [] }),
        json!({ "type": "string", "maxLength": 10 }),
    );
    same(
        "3.0.3",
        json!({ "type": "object", "enum": [{}], "default": null }),
        json!({ "type": "object", "maxProperties": 0 }),
    );
    for multiple in [json!(-1), json!(0), json!("0.0")] {
        let schema = json!({ "type": "integer", "multipleOf": multiple });
        same("3.1.0", schema, json!({ "type": "integer" }));
    }
    same(
        "3.1.0",
        json!({ "const": {} }),
        json!({ "type": "object", "maxProperties": 0 }),
    );
    check(
        "3.1.0",
        json!({ "enum": [{}, null] }),
        json!({ "anyOf": [{ "type": "object", "maxProperties": 0 }, { "type": "null" }] }),
        json!({ "type": "object", "maxProperties": 0, "nullable": true }),
    );
    same(
        "3.1.0",
        json!({ "enum": ["a", {}] }),
        json!({ "anyOf": [{ "type": "string", "enum": ["a"] }, { "type": "object", "maxProperties": 0 }] }),
    );
    same(
        "3.0.3",
        json!({ "type": "file" }),
        json!({ "format": "binary", "type": "string" }),
    );
    same(
        "3.0.3",
        json!({ "type": "any", "description": 12 }),
        json!({ "description": "12" }),
    );
    same(
        "3.1.0",
        json!({ "type": "object", "default": null, "required": ["a", "a", 1] }),
        json!({ "type": "object", "required": ["a"] }),
    );
    same(
        "3.0.3",
        json!({ "allOf": [], "oneOf": { "type": "string" }, "unknown": 1 }),
        json!({ "oneOf": [{ "type": "string" }] }),
    );
    same("3.1.0", json!({ "$ref": "other.yaml#/X" }), json!({}));
}

#[test]
fn every_kind_of_reference_ends_at_a_component() {
    let schema = json!({
        "$id": "https://example.com/s",
        "$dynamicAnchor": "node",
        "type": "object",
        "properties": {
            "local": { "$ref": "#/$defs/Local" },
            "anchor": { "$ref": "#here" },
            "dynamic": { "$dynamicRef": "#node" },
            "deep": { "$ref": "#/components/schemas/A/properties/x" },
            "through": { "$ref": "#/components/schemas/B/properties/x" },
            "bare": { "$ref": "A" },
            "elsewhere": { "$ref": "#/paths/~1s/get/responses/200/content/application~1json/schema" },
            "dangling": { "$ref": "#/components/schemas/None" },
        },
        "$defs": { "Local": { "type": "integer" }, "Here": { "$anchor": "here", "type": "boolean" } },
    });
    let components = json!({ "schemas": {
        "A": { "type": "object", "properties": { "x": { "type": "string" } } },
        "B": { "$ref": "#/components/schemas/A" },
        "Unused": { "$ref": "#/components/schemas/S" },
    } });
    let document = published(document("3.1.0", schema, components), Target::V3_1_0);
    let schemas = &document["components"]["schemas"];
    let target = |property: &str| {
        let reference = schemas["S"]["properties"][property]["$ref"]
            .as_str()
            .unwrap();
        document.pointer(&reference[1..]).unwrap()
    };
    assert_eq!(target("local"), &json!({ "type": "integer" }));
    assert_eq!(target("anchor"), &json!({ "type": "boolean" }));
    assert_eq!(
        schemas["S"]["properties"]["dynamic"],
        json!({ "type": "object", "description": "A S again, as described above." })
    );
    assert_eq!(target("deep"), &json!({ "type": "string" }));
    assert_eq!(target("through"), target("deep"));
    assert_eq!(target("bare"), &schemas["A"]);
    // That is where the response refers to `S`, which has no end.
    assert_eq!(
        target("elsewhere"),
        &json!({ "type": "object", "description": "A S again, as described above." })
    );
    assert_eq!(schemas["S"]["properties"]["dangling"], json!({}));
    assert_eq!(schemas.get("Unused"), None);
    assert_eq!(schemas.get("B"), None);
}

#[test]
fn heirs_of_a_discriminator_are_kept_and_named() {
    let schema = json!({ "type": "object", "discriminator": { "propertyName": "kind" } });
    let heir = json!({ "allOf": [{ "$ref": "#/components/schemas/S" }] });
    let components = json!({ "schemas": { "Cat": heir, "Stone": { "type": "object" } } });
    let document = published(document("3.0.3", schema, components), Target::V3_0_1);
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["S"]["discriminator"]["mapping"],
        json!({ "Cat": "#/components/schemas/Cat" })
    );
    assert_eq!(schemas["Cat"], heir);
    assert_eq!(schemas.get("Stone"), None);
}

#[test]
fn a_pattern_that_some_clients_can_not_read_is_left_out() {
    for (pattern, stays) in [("^[a-z]+$", true), (r"^[\p{L}\p{N}_-]*$", false)] {
        let schema = json!({ "type": "string", "pattern": pattern });
        let document = document("3.0.3", schema, json!({}));
        let api = load(document.clone(), &Selection::default()).unwrap();
        let told = api.report.iter().any(|f| f.pointer.ends_with("/S/pattern"));
        assert_eq!(told, !stays, "{:?}", api.report);
        let out = published(document, Target::V3_0_1);
        let found = &out["components"]["schemas"]["S"]["pattern"];
        assert_eq!(found.is_string(), stays, "{out}");
    }
}
