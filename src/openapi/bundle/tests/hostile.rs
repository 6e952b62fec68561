//! Values of any form, and many of them.

use crate::openapi::{Map, Value, json};
use proptest::prelude::*;

use super::super::{Bundler, MAX_NODES};
use super::{bundle_all, lines, with_schema};

/// Keys and texts that mean something.
const WORDS: &[&str] = &[
    "$ref",
    "$ref",
    "$dynamicRef",
    "paths",
    "components",
    "schemas",
    "definitions",
    "parameters",
    "responses",
    "/a",
    "get",
    "allOf",
    "items",
    "properties",
    "discriminator",
    "mapping",
    "defaultMapping",
    "content",
    "schema",
    "callbacks",
    "$id",
    "$anchor",
    "$self",
    "openapi",
    "x-plugway-files",
    "b",
    "0",
    "",
    "webhooks",
    "pathItems",
];
const REFERENCES: &[&str] = &[
    "b.yaml",
    "b.yaml#/paths/~1a",
    "c.yaml#/components",
    "a.yaml",
    "a.yaml#/paths",
    "#/paths/~1a",
    "#",
    "#b",
    "b",
    "b.yaml#b",
    "c.yaml",
    "c.yaml#/0/b",
    "b.yaml#/$ref",
    "#/x-plugway-files/b",
    "#/%",
    "",
    "#/",
    "c.yaml#/",
    "https://h/x",
    "b.yaml#/components/schemas/b/properties/b",
];

fn any_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        prop::sample::select(WORDS),
        prop::sample::select(REFERENCES)
    ];
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(1)),
        text.prop_map(Value::from),
        prop::sample::select(REFERENCES).prop_map(|r| json!({ "$ref": r })),
    ];
    leaf.prop_recursive(6, 60, 5, |inner| {
        let key = prop::sample::select(WORDS).prop_map(str::to_owned);
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => prop::collection::vec((key, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn no_value_is_too_strange(mut a in any_value(), b in any_value(), c in any_value()) {
        // Of a section of the root that is a reference and more, only the first is followed.
        for section in a.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(section) = section.as_object_mut().filter(|map| map.len() > 1) {
                section.shift_remove("$ref");
            }
        }
        let (bundled, asked) = bundle_all(&[("a.yaml", a), ("b.yaml", b), ("c.yaml", c)]);
        // What is bundled is one document: nothing more is wanted but what was missing.
        let mut again = Bundler::new(bundled.value.clone(), "a.yaml");
        for location in again.wanted() {
            prop_assert!(asked.contains(&location) || location == "a.yaml", "{location}");
        }
        for finding in &bundled.report {
            prop_assert!(finding.pointer.contains('#'), "{finding:?}");
        }
    }
}

#[test]
fn files_that_refer_in_a_circle_end() {
    let (bundled, _) = bundle_all(&[
        (
            "a.yaml",
            json!({ "paths": { "$ref": "b.yaml", "/a": { "$ref": "c.yaml" } },
            "components": { "$ref": "b.yaml", "schemas": { "A": { "$ref": "c.yaml" } } } }),
        ),
        ("b.yaml", json!({ "$ref": "c.yaml" })),
        ("c.yaml", json!({ "$ref": "b.yaml" })),
    ]);
    assert_eq!(bundled.report, []);
    assert!(bundled.value["paths"]["/a"].is_object());
}

#[test]
fn a_reference_to_its_own_text_ends() {
    for target in ["b.yaml#/x/$ref", "b.yaml#/y", "b.yaml#/z/0"] {
        let (bundled, _) = bundle_all(&[
            (
                "a.yaml",
                with_schema(json!({ "allOf": [{ "$ref": target }] })),
            ),
            (
                "b.yaml",
                json!({ "x": { "$ref": "b.yaml#/x/$ref" }, "y": "b.yaml#/y", "z": [{ "$ref": "b.yaml#/z/0/$ref" }] }),
            ),
        ]);
        assert!(bundled.value.is_object(), "{target}");
    }
}

#[test]
fn there_are_not_too_many_files() {
    let references: Vec<Value> = (0..600)
        .map(|n| json!({ "$ref": format!("{n}.yaml") }))
        .collect();
    let mut bundler = Bundler::new(with_schema(json!({ "allOf": references })), "a.yaml");
    let wanted = bundler.wanted();
    assert_eq!(wanted.len(), 499);
    for location in wanted {
        bundler.supply(&location, Ok(json!({})));
    }
    let bundled = bundler.finish();
    assert_eq!(bundled.report.len(), 101);
    let first = lines(&bundled).swap_remove(0);
    assert!(
        first.ends_with("`499.yaml` can not be had: a document has at most 500 files"),
        "{first}"
    );
}

#[test]
fn files_are_not_too_large_nor_too_deep() {
    let root = with_schema(
        json!({ "allOf": [{ "$ref": "wide.yaml" }, { "$ref": "deep.yaml" }, { "$ref": "good.yaml" }] }),
    );
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({ "items": inner }));
    let (bundled, _) = bundle_all(&[
        ("a.yaml", root),
        ("wide.yaml", Value::from(vec![0; MAX_NODES])),
        ("deep.yaml", nested(110)),
        ("good.yaml", nested(109)),
    ]);
    assert_eq!(
        lines(&bundled),
        [
            "#/components/schemas/S/allOf/0/$ref simplified `wide.yaml` can not be had: the files of this document have more than 2000000 values together",
            "#/components/schemas/S/allOf/1/$ref simplified `deep.yaml` can not be had: it is nested deeper than 109 levels",
        ]
    );
    // What the caller hands over itself may be as deep as it likes.
    let mut deep = json!({ "$ref": "x.yaml" });
    for _ in 0..5_000 {
        // Not by `json!`, which copies.
        let list = Value::Array(vec![deep]);
        deep = Value::Object(Map::from_iter([("allOf".to_owned(), list)]));
    }
    let root = Map::from_iter([(
        "definitions".to_owned(),
        Value::Object(Map::from_iter([("S".to_owned(), deep)])),
    )]);
    let bundled = Bundler::new(Value::Object(root), "a.yaml").finish();
    assert_eq!(bundled.report, []);
    // Dropping it is not ours to bound.
    std::mem::forget(bundled);
}

#[test]
fn what_is_not_supplied_is_missing_and_what_is_not_wanted_is_ignored() {
    let root = with_schema(json!({ "$ref": "b.yaml" }));
    let mut bundler = Bundler::new(root.clone(), "a.yaml");
    bundler.supply("b.yaml", Ok(json!({ "early": true })));
    assert_eq!(bundler.wanted(), ["b.yaml"]);
    bundler.supply("other.yaml", Ok(json!({})));
    bundler.supply("a.yaml", Ok(json!({})));
    assert!(bundler.wanted().is_empty());
    let bundled = bundler.finish();
    assert_eq!(bundled.value, root);
    assert_eq!(
        lines(&bundled),
        ["#/components/schemas/S/$ref simplified `b.yaml` can not be had: it was not read"]
    );
}

#[test]
fn a_path_item_is_not_copied_without_end() {
    let large: Map = (0..10_000)
        .map(|n| (format!("x-{n}"), json!([1, 2, 3, 4])))
        .collect();
    let paths: Map = (0..10_000)
        .map(|n| (format!("/{n}"), json!({ "$ref": "item.yaml" })))
        .collect();
    let (bundled, _) = bundle_all(&[
        ("a.yaml", json!({ "paths": paths })),
        ("item.yaml", Value::Object(large.clone())),
    ]);
    let found = bundled.value["paths"].as_object().unwrap();
    assert_eq!(found["/0"], Value::Object(large.clone()));
    assert_eq!(found["/9999"], json!({ "$ref": "#/x-plugway-files/item" }));
    assert_eq!(
        bundled.value["x-plugway-files"]["item"],
        Value::Object(large)
    );
}

#[test]
fn the_cost_grows_with_the_size() {
    // A long key above many references, and long pointers: neither is stored for each of them.
    let key = "k".repeat(100_000);
    let references: Vec<Value> = (0..20_000)
        .map(|n| json!({ "$ref": format!("b.yaml#/{}", n % 7) }))
        .collect();
    let long: Vec<Value> = (0..200)
        .map(|_| json!({ "$ref": format!("b.yaml#/a{}", "/x".repeat(20_000)) }))
        .collect();
    let schema = json!({ "properties": { key: { "allOf": references } }, "anyOf": long });
    let other = json!({ "a": { "$ref": "b.yaml#/0" }, "0": {} });
    let (bundled, _) = bundle_all(&[("a.yaml", with_schema(schema)), ("b.yaml", other)]);
    assert_eq!(bundled.report.len(), 7);
    assert!(
        bundled
            .report
            .iter()
            .all(|f| f.pointer.len() < 2_000 && f.message.len() < 2_000)
    );
}
