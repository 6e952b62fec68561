//! Documents that mean harm.

use crate::openapi::{Map, Value, json};
use proptest::prelude::*;

use super::super::Profile::Actions;
use super::*;

#[test]
fn many_operations_and_one_large_schema_take_linear_time() {
    let mut document = crowd(10_000);
    let properties: Map = (0..10_000)
        .map(|i| (format!("p{i}"), json!({ "type": "object" })))
        .collect();
    document["components"]["schemas"]["Large"] = json!({ "properties": properties });
    let large = json!({ "$ref": "#/components/schemas/Large" });
    for item in document["paths"].as_object_mut().unwrap().values_mut() {
        item["post"]["requestBody"]["content"]["application/json"]["schema"] = large.clone();
    }
    // Work that grew with the square of their number would take hours.
    let found = lint(&whole(&document, &document, &manifest()), &Profile::ALL);
    assert!(found.len() > 10_000);
}

#[test]
fn what_is_told_has_a_bound() {
    let mut document = document("3.0.1");
    let mut post = document.pointer(POST).unwrap().clone();
    let header = json!({ "name": "X", "in": "header", "schema": {} });
    post["parameters"] = vec![header; 1_000].into();
    document["paths"] = json!({ format!("/{}", "x".repeat(1 << 20)): { "post": post } });
    let found = lint(&whole(&document, &document, &manifest()), &[Actions]);
    assert!(found.len() < 100);
    let last = found.last().unwrap();
    assert_eq!((last.rule, last.severity), ("more", Severity::Warning));
    assert!(last.place.len() < 100);
}

/// Something that stands where it does not belong.
fn strange() -> impl Strategy<Value = Value> {
    let reference = json!({ "$ref": "#/components/schemas/Deep" });
    let circle = json!({ "$ref": "#/components/schemas/Loop" });
    prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(""),
        json!("é\u{1b}[0m"),
        json!([]),
        json!({}),
        json!([[]]),
        json!([{}]),
        json!({ "a": null }),
        json!({ "allOf": [{}, 7] }),
        reference,
        circle,
    ])
}

/// Every pointer of a value but the first.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(k, v)| (k.as_str().replace('~', "~0").replace('/', "~1"), v))
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(i, v)| (i.to_string(), v))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        out.push(format!("{at}/{key}"));
        pointers(child, &format!("{at}/{key}"), out);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn anything_may_stand_anywhere(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), strange()), 1..6)) {
        let (mut document, mut manifest) = (document("3.0.1"), manifest());
        for (index, in_manifest, value) in changes {
            let root = if in_manifest { &mut manifest } else { &mut document };
            let mut all = Vec::new();
            pointers(root, "", &mut all);
            if !all.is_empty() {
                *root.pointer_mut(index.get::<String>(&all)).unwrap() = value;
            }
        }
        for breach in lint(&whole(&document, &document, &manifest), &Profile::ALL) {
            for text in [&breach.place, &breach.message, &breach.limit, &breach.actual, &breach.help] {
                prop_assert!(!text.is_empty() && !text.contains(char::is_control), "{breach:?}");
            }
        }
    }
}
