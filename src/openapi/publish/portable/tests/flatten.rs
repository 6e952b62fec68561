use crate::openapi::{Map, Value, json};

use super::super::flatten;
use crate::openapi::{Finding, Target};

/// What stands in the place of a schema; the others are components.
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn flat(schema: Value, others: Value, target: Target) -> (Value, Vec<Finding>) {
    let content = json!({ "application/json": { "schema": schema } });
    let mut document = json!({
        "paths": { "/a": { "post": { "requestBody": { "content": content } } } },
        "components": { "schemas": others },
    });
    let mut report = Vec::new();
    flatten(&mut document, target, &mut report);
    let once = document.clone();
    flatten(&mut document, target, &mut Vec::new());
    assert_eq!(document, once, "again");
    let at = "/paths/~1a/post/requestBody/content/application~1json/schema";
    (document.pointer_mut(at).unwrap().take(), report)
}

/// Beside these components.
#[track_caller]
fn check_in(target: Target, schema: Value, expected: &Value) {
    let others = json!({
        "Base": { "title": "B", "description": "base", "type": "object", "example": {}, "required": ["a"],
            "properties": { "a": { "type": "string" }, "kind": to("Kind") } },
        "Kind": { "type": "string", "enum": ["x", "y"] },
        "Null": { "type": "object", "nullable": true, "properties": { "n": {} } },
        "Alias": { "$ref": "#/components/schemas/Base", "description": "alias" },
        "Tree": { "type": "object", "properties": { "children": { "type": "array", "items": to("Tree") }, "t": to("Tree") } },
        "Pet": { "type": "object", "discriminator": { "propertyName": "p" }, "properties": { "p": {} } },
        "Either": { "oneOf": [to("Left"), to("Right")] },
        "Left": { "type": "object", "properties": { "l": {} }, "required": ["l"] },
        "Right": { "type": "object", "properties": { "r": {} }, "required": ["r"] },
        "Codes": { "type": "integer", "oneOf": [{ "const": 1, "title": "One" }, { "const": 2, "title": "Two" }] },
    });
    let text = schema.to_string();
    let (found, report) = flat(schema, others, target);
    assert_eq!(found, *expected, "{text} in {target:?}: {found}");
    assert_eq!(report, [], "{text}");
}

/// The same in both versions.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn check(schema: Value, expected: Value) {
    check_in(Target::V3_1_0, schema.clone(), &expected);
    check_in(Target::V3_0_1, schema, &expected);
}

/// It stays as it is in both versions.
#[track_caller]
fn stays(schema: Value) {
    check(schema.clone(), schema);
}

/// A reference.
fn to(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[test]
fn a_reference_with_texts_is_written_as_its_version_does() {
    let described = json!({ "allOf": [to("Base"), { "title": "t" }, { "description": "d" }], "deprecated": true });
    let in_3_1 = json!({ "$ref": "#/components/schemas/Base", "title": "t", "description": "d", "deprecated": true });
    let in_3_0 =
        json!({ "allOf": [to("Base")], "title": "t", "description": "d", "deprecated": true });
    check_in(Target::V3_1_0, described.clone(), &in_3_1);
    check_in(Target::V3_0_1, described, &in_3_0);
    check(json!({ "allOf": [to("Base")] }), to("Base"));
    // The type that it has anyway.
    check(
        json!({ "type": "object", "allOf": [to("Base"), {}] }),
        to("Base"),
    );
    check(json!({ "allOf": [to("Base"), to("Base")] }), to("Base"));
    let nullable = json!({ "allOf": [to("Base")], "nullable": true });
    check_in(Target::V3_0_1, nullable.clone(), &nullable);
    check_in(
        Target::V3_0_1,
        json!({ "type": "object", "allOf": [to("Base"), { "description": "d" }], "nullable": true }),
        &json!({ "description": "d", "allOf": [to("Base")], "nullable": true }),
    );
}

#[test]
fn objects_become_one() {
    let base = json!({ "a": { "type": "string" }, "kind": to("Kind") });
    let with = |more: Value| {
        let mut all = base.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    // The texts of the whole win, then those of what comes last.
    check(
        json!({ "allOf": [to("Base"), { "type": "object", "properties": { "b": {} }, "required": ["b"] }], "title": "T" }),
        json!({ "type": "object", "title": "T", "description": "base", "required": ["a", "b"], "properties": with(json!({ "b": {} })) }),
    );
    check(
        json!({ "properties": { "b": {} }, "allOf": [to("Base"), { "description": "d" }] }),
        json!({ "type": "object", "description": "d", "required": ["a"], "properties": with(json!({ "b": {} })) }),
    );
    // A property of both is what both allow.
    check(
        json!({ "allOf": [to("Base"), { "properties": {
            "a": { "type": "string", "maxLength": 3 }, "kind": { "type": "string", "enum": ["y", "z"] } } }] }),
        json!({ "type": "object", "description": "base", "required": ["a"], "properties": {
            "a": { "type": "string", "maxLength": 3 }, "kind": { "type": "string", "enum": ["y"] } } }),
    );
    check(
        json!({ "allOf": [{ "properties": { "n": { "type": "string", "pattern": "a" } } },
            { "properties": { "n": { "type": "string", "pattern": "b" } } }] }),
        json!({ "properties": { "n": { "allOf": [{ "type": "string", "pattern": "a" }, { "type": "string", "pattern": "b" }] } } }),
    );
    // One that leads to itself elsewhere is as good as any other.
    check(
        json!({ "allOf": [to("Tree"), { "type": "object", "properties": { "x": {} } }] }),
        json!({ "type": "object", "properties": {
            "children": { "type": "array", "items": to("Tree") }, "t": to("Tree"), "x": {} } }),
    );
}

#[test]
fn what_is_not_exact_stays() {
    stays(json!({ "allOf": [to("Pet"), { "properties": { "q": {} } }] }));
    stays(json!({ "allOf": [to("Tree"), { "properties": { "t": { "minProperties": 1 } } }] }));
    stays(json!({ "allOf": [{ "pattern": "a" }, { "pattern": "b" }] }));
    stays(json!({ "allOf": [{ "type": "string" }, { "type": "integer" }] }));
    stays(
        json!({ "allOf": [{ "properties": { "a": {} }, "additionalProperties": false }, { "properties": { "b": {} } }] }),
    );
    stays(json!({ "allOf": [to("Nowhere"), { "properties": { "b": {} } }] }));
    stays(json!({ "allOf": [{ "enum": [1] }, { "enum": [1.0] }] }));
    stays(json!({ "allOf": [7, { "type": "string" }] }));
    for schema in [
        json!({ "allOf": [{ "properties": { "a": {} } }, { "properties": { "b": {} } }], "unevaluatedProperties": false }),
        json!({ "allOf": [{ "prefixItems": [{}] }, { "items": { "type": "string" } }] }),
    ] {
        check_in(Target::V3_1_0, schema.clone(), &schema);
    }
}

#[test]
fn bounds_are_the_tighter() {
    check(
        json!({ "type": "number", "minimum": 1, "maxLength": 5, "allOf": [
            { "type": "integer", "minimum": 2.5, "maximum": 9 }, { "maximum": 90, "maxLength": 4, "uniqueItems": false }], "uniqueItems": true }),
        json!({ "type": "integer", "minimum": 2.5, "maximum": 9, "maxLength": 4, "uniqueItems": true }),
    );
    check_in(
        Target::V3_0_1,
        json!({ "allOf": [{ "minimum": 2, "exclusiveMinimum": true, "maximum": 5, "exclusiveMaximum": true },
            { "minimum": 2, "maximum": 4, "exclusiveMaximum": false }] }),
        &json!({ "minimum": 2, "exclusiveMinimum": true, "maximum": 4 }),
    );
    check(
        json!({ "allOf": [{ "additionalProperties": { "type": "number" } }, { "properties": { "a": { "minimum": 1 } }, "additionalProperties": { "minimum": 3 } }] }),
        json!({ "properties": { "a": { "type": "number", "minimum": 1 } }, "additionalProperties": { "type": "number", "minimum": 3 } }),
    );
}

#[test]
fn null_is_allowed_if_all_allow_it() {
    let n = json!({ "n": {} });
    check_in(
        Target::V3_0_1,
        json!({ "allOf": [to("Null"), { "type": "object", "minProperties": 1 }] }),
        &json!({ "type": "object", "properties": n, "minProperties": 1 }),
    );
    check_in(
        Target::V3_0_1,
        json!({ "allOf": [to("Null"), { "type": "object", "minProperties": 1, "nullable": true }] }),
        &json!({ "type": "object", "properties": n, "minProperties": 1, "nullable": true }),
    );
    check_in(
        Target::V3_0_1,
        json!({ "allOf": [to("Null"), { "minProperties": 1 }] }),
        &json!({ "type": "object", "properties": n, "minProperties": 1, "nullable": true }),
    );
    let unclear = json!({ "allOf": [to("Null"), { "not": { "minProperties": 9 } }] });
    check_in(Target::V3_0_1, unclear.clone(), &unclear);
    check_in(
        Target::V3_1_0,
        json!({ "allOf": [{ "anyOf": [to("Kind"), { "type": "null" }] }, { "type": "string" }] }),
        &to("Kind"),
    );
    check_in(
        Target::V3_1_0,
        json!({ "allOf": [{ "anyOf": [{ "type": "integer" }, { "type": "null" }] },
            { "anyOf": [{ "type": "number", "minimum": 0 }, { "type": "null" }] }] }),
        &json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "null" }] }),
    );
}

#[test]
fn alternatives_take_what_stands_beside_them() {
    let own = |name: &str| json!({ "type": "object", "properties": { name: {}, "x": { "type": "string" } }, "required": [name] });
    check(
        json!({ "description": "d", "allOf": [to("Either"), { "properties": { "x": { "type": "string" } } }] }),
        json!({ "description": "d", "oneOf": [own("l"), own("r")] }),
    );
    // What can not be is left out.
    check(
        json!({ "allOf": [to("Codes")], "type": "integer", "enum": [2], "description": "d" }),
        json!({ "type": "integer", "const": 2, "title": "Two", "description": "d" }),
    );
    check(
        json!({ "allOf": [to("Either"), { "type": "object" }] }),
        json!({ "oneOf": [to("Left"), to("Right")], "type": "object" }),
    );
}

#[test]
fn growth_is_bounded_and_what_is_small_comes_first() {
    let large = |count: usize| {
        let properties: Map = (0..count)
            .map(|number| (format!("p{number}"), json!({})))
            .collect();
        json!({ "type": "object", "properties": properties })
    };
    let mut others = Map::new();
    others.insert("Large".to_owned(), large(1_500));
    others.insert("Small".to_owned(), large(100));
    others.insert("Huge".to_owned(), large(5_000));
    for number in 0..300 {
        for name in ["Large", "Small", "Huge"] {
            let heir = json!({ "allOf": [to(name), { "properties": { "own": {} } }] });
            others.insert(format!("{name}{number}"), heir);
        }
    }
    let content = json!({ "a/b": { "schema": to("Large0") } });
    let mut document = json!({
        "paths": { "/a": { "post": { "requestBody": { "content": content } } } },
        "components": { "schemas": others },
    });
    let mut report = Vec::new();
    flatten(&mut document, Target::V3_1_0, &mut report);
    let left = |name: &str| {
        let heirs =
            (0..300).map(|number| &document["components"]["schemas"][format!("{name}{number}")]);
        heirs.filter(|heir| heir.get("allOf").is_some()).count()
    };
    assert_eq!([left("Small"), left("Large"), left("Huge")], [0, 300, 300]);
    assert_eq!(report.len(), 1, "{report:?}");
}

#[test]
fn parts_that_contain_each_other_end() {
    let others = json!({
        "A": { "allOf": [to("B"), { "properties": { "a": {} } }] },
        "B": { "allOf": [to("A"), { "properties": { "b": {} } }] },
        "C": { "properties": { "c": { "allOf": [to("C"), { "properties": { "d": {} } }] } } },
        "X": { "properties": { "x": to("X") } },
        "Y": { "properties": { "x": to("Y") } },
        "Z": { "allOf": [to("X"), to("Y")] },
    });
    let (_, report) = flat(to("A"), others, Target::V3_1_0);
    assert_eq!(report, []);
    // A long chain, and a wide one.
    let mut chain = Map::new();
    for number in 0..5_000 {
        let part = json!({ "properties": { format!("p{number}"): {} } });
        let next = to(&format!("S{}", number + 1));
        chain.insert(format!("S{number}"), json!({ "allOf": [next, part] }));
    }
    chain.insert("S5000".to_owned(), json!({ "type": "object" }));
    let mut document = json!({ "components": { "schemas": chain } });
    flatten(&mut document, Target::V3_0_1, &mut Vec::new());
    let left = document.to_string().matches("allOf").count();
    assert!((4_000..5_000).contains(&left), "{left}");
}
