use crate::openapi::{Map, Value, json};

use super::super::cycles;
use super::super::graph::Graph;
use crate::openapi::{Finding, Target};

/// A document with these schemas, of which a path uses some.
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn cut(schemas: Value, used: &[&str], target: Target) -> (Value, Vec<Finding>) {
    let used: Vec<Value> = used
        .iter()
        .map(|name| json!({ "$ref": format!("#/components/schemas/{name}") }))
        .collect();
    let content = json!({ "application/json": { "schema": { "anyOf": used } } });
    let mut document = json!({
        "paths": { "/a": { "get": { "responses": { "200": { "content": content } } } } },
        "components": { "schemas": schemas },
    });
    let mut report = Vec::new();
    cycles(&mut document, target, &mut report);
    let after = document["components"]["schemas"].as_object().unwrap();
    assert!(!Graph::new(after).recursive.contains(&true), "{document:#}");
    let once = document.clone();
    cycles(&mut document, target, &mut Vec::new());
    assert_eq!(document, once, "again");
    (document["components"]["schemas"].take(), report)
}

/// A reference.
fn to(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

#[test]
fn a_cycle_ends_where_it_closes() {
    let schemas = json!({
        "Node": { "type": "object", "properties": {
            "next": { "anyOf": [to("Node"), { "type": "null" }] },
            "all": { "type": "array", "items": to("List") },
        } },
        "List": { "type": "array", "items": { "$ref": "#/components/schemas/Node", "description": "One" } },
    });
    let (schemas, report) = cut(schemas, &["Node"], Target::V3_1_0);
    assert_eq!(
        schemas,
        json!({
            "Node": { "type": "object", "properties": {
                "next": { "anyOf": [
                    { "type": "object", "description": "A Node again, as described above." },
                    { "type": "null" },
                ] },
                "all": { "type": "array", "items": to("List") },
            } },
            "List": { "type": "array", "items": {
                "type": "object", "description": "One. A Node again, as described above.",
            } },
        })
    );
    let report: Vec<_> = report
        .iter()
        .map(|f| (f.pointer.as_str(), f.message.as_str()))
        .collect();
    assert_eq!(
        report,
        [
            (
                "#/components/schemas/Node/properties/next/anyOf/0",
                "the reference to `Node` closes a cycle, which some clients refuse; any value of \
                 the type `object` is published in its place",
            ),
            (
                "#/components/schemas/List/items",
                "the reference to `Node` closes a cycle, which some clients refuse; any value of \
                 the type `object` is published in its place",
            ),
        ]
    );
}

#[test]
fn what_a_reader_meets_first_is_whole() {
    let schemas = |names: [&str; 3]| {
        let all = json!({
            "A": { "properties": { "b": to("B") } },
            "B": { "properties": { "c": to("C") } },
            "C": { "type": "object", "properties": { "a": to("A"), "b": to("B") } },
        });
        let ordered = names
            .iter()
            .map(|name| ((*name).to_owned(), all[*name].clone()));
        Value::Object(ordered.collect::<Map>())
    };
    let again = |text: &str| json!({ "type": "object", "description": text });
    for names in [["A", "B", "C"], ["C", "B", "A"], ["B", "A", "C"]] {
        let (from_c, _) = cut(schemas(names), &["C"], Target::V3_1_0);
        assert_eq!(
            from_c["C"]["properties"],
            json!({ "a": to("A"), "b": to("B") })
        );
        assert_eq!(
            from_c["B"]["properties"]["c"],
            again("A C again, as described above.")
        );
        // Nobody enters: the first by name is where a reader begins.
        let (from_a, report) = cut(schemas(names), &[], Target::V3_1_0);
        assert_eq!(from_a["A"]["properties"]["b"], to("B"));
        let untyped = json!({ "description": "An A again, as described above." });
        assert_eq!(from_a["C"]["properties"]["a"], untyped);
        assert_eq!(report.len(), 2);
    }
}

#[test]
fn null_stays_allowed_in_3_0() {
    let schemas = json!({
        "N": { "type": "object", "nullable": true, "properties": {
            "a": to("N"),
            "b": { "allOf": [to("N")], "description": "d", "nullable": true, "readOnly": true },
            "c": to("L"),
        } },
        "L": { "type": "array", "items": { "oneOf": [to("L"), to("N"), to("U")] } },
        "U": { "allOf": [to("L")], "nullable": true },
    });
    let (schemas, _) = cut(schemas, &["N"], Target::V3_0_1);
    let n = "A N again, as described above.";
    let l = "A L again, as described above.";
    assert_eq!(
        schemas,
        json!({
            "N": { "type": "object", "nullable": true, "properties": {
                "a": { "type": "object", "nullable": true, "description": n },
                "b": { "type": "object", "nullable": true, "description": format!("d. {n}"), "readOnly": true },
                "c": to("L"),
            } },
            "L": { "type": "array", "items": { "anyOf": [
                { "type": "array", "items": {}, "description": l },
                { "type": "object", "nullable": true, "description": n },
                to("U"),
            ] } },
            "U": { "type": "array", "items": {}, "description": l, "nullable": true },
        })
    );
}

#[test]
fn nothing_is_refused_that_was_accepted() {
    let schemas = json!({ "A": {
        "not": { "properties": { "a": to("A") } },
        "if": to("A"), "then": {}, "else": { "minProperties": 1 },
        "oneOf": [{ "type": "string" }, to("A")],
        "properties": { "p": { "oneOf": [{ "items": to("A") }] } },
    } });
    let (schemas, report) = cut(schemas, &["A"], Target::V3_1_0);
    let again = json!({ "description": "An A again, as described above." });
    assert_eq!(
        schemas,
        json!({ "A": {
            "anyOf": [{ "type": "string" }, again],
            "properties": { "p": { "anyOf": [{ "items": again }] } },
        } })
    );
    assert_eq!(report.len(), 2);
}

#[test]
fn words_are_no_references() {
    let schemas = json!({
        "A": {
            "default": to("A"), "example": to("A"), "x-a": to("A"), "enum": [to("A")],
            "properties": { "$ref": { "type": "string" } },
            "discriminator": { "propertyName": "p", "mapping": { "a": "#/components/schemas/A" } },
        },
    });
    let (after, report) = cut(schemas.clone(), &["A"], Target::V3_1_0);
    assert_eq!(after, schemas);
    assert_eq!(report, []);
}

#[test]
fn other_components_go_in_no_circle() {
    let mut document = json!({ "components": {
        "responses": {
            "A": { "$ref": "#/components/responses/B" },
            "B": { "$ref": "#/components/responses/C" },
            "C": { "$ref": "#/components/responses/B" },
            "D": { "description": "d" },
        },
        "headers": { "H": { "$ref": "#/components/headers/H" } },
        "examples": { "E": { "$ref": "#/components/examples/F" }, "F": { "value": 1 } },
    } });
    let mut report = Vec::new();
    cycles(&mut document, Target::V3_1_0, &mut report);
    assert_eq!(
        document["components"],
        json!({
            "responses": {
                "A": { "$ref": "#/components/responses/B" },
                "B": { "description": "" },
                "C": { "description": "" },
                "D": { "description": "d" },
            },
            "headers": { "H": { "schema": {} } },
            "examples": { "E": { "$ref": "#/components/examples/F" }, "F": { "value": 1 } },
        })
    );
    assert_eq!(report.len(), 3);
}

#[test]
fn long_chains_are_walked_without_recursion() {
    let count = 20_000;
    let mut schemas = Map::new();
    for number in 0..count {
        let next = format!("S{}", (number + 1) % count);
        schemas.insert(
            format!("S{number}"),
            json!({ "properties": { "n": to(&next) } }),
        );
    }
    let (_, report) = cut(Value::Object(schemas), &["S7"], Target::V3_1_0);
    assert_eq!(report.len(), 1);
    assert_eq!(report[0].pointer, "#/components/schemas/S6/properties/n");
}
