//! Whatever the schemas, what they accept is the same before and after.

use crate::openapi::{Value, json};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::walk::each_inner;
use super::super::{cycles, flatten};
use crate::openapi::Target;

/// The components. Each refers to later ones, and to any in a property.
const NAMES: [&str; 4] = ["S", "P", "Q", "R"];

/// A keyword and its value.
fn keyword(target: Target) -> BoxedStrategy<(String, Value)> {
    let kinds = select(vec![
        "string", "integer", "number", "object", "array", "boolean",
    ]);
    let values = vec(
        select(vec![
            json!("a"),
            json!("ab"),
            json!(1),
            json!(2),
            json!(null),
            json!(true),
        ]),
        1..4,
    );
    let excluded = |bound: i32, old: bool| if old { json!(bound == 1) } else { json!(bound) };
    let old = target == Target::V3_0_1;
    let named = |name: &'static str, value: BoxedStrategy<Value>| {
        value
            .prop_map(move |value| (name.to_owned(), value))
            .boxed()
    };
    let number = || (0..3i32).boxed();
    prop_oneof![
        6 => named("type", kinds.prop_map(Value::from).boxed()),
        2 => named("enum", values.prop_map(distinct).boxed()),
        1 => named("minimum", number().prop_map(Value::from).boxed()),
        1 => named("maximum", number().prop_map(Value::from).boxed()),
        1 => named("exclusiveMinimum", number().prop_map(move |n| excluded(n, old)).boxed()),
        1 => named("maxLength", number().prop_map(Value::from).boxed()),
        1 => named("pattern", select(vec![json!("a"), json!("b")]).boxed()),
        1 => named("minProperties", number().prop_map(Value::from).boxed()),
        1 => named("maxItems", number().prop_map(Value::from).boxed()),
        2 => named("required", vec(select(vec![json!("a"), json!("b")]), 1..3).prop_map(distinct).boxed()),
        1 => named("nullable", Just(json!(old)).boxed()),
        1 => named("description", select(vec![json!("d"), json!("e")]).boxed()),
    ]
    .boxed()
}

/// A list without repetitions.
fn distinct(list: Vec<Value>) -> Value {
    let mut out: Vec<Value> = Vec::new();
    for value in list {
        if !out.contains(&value) {
            out.push(value);
        }
    }
    out.into()
}

/// A schema that may refer to some.
fn schema(target: Target, names: &'static [&'static str], depth: u32) -> BoxedStrategy<Value> {
    let plain = vec(keyword(target), 0..4)
        .prop_map(|keywords| Value::Object(keywords.into_iter().collect()));
    let reference = select(if names.is_empty() {
        vec!["R"]
    } else {
        names.to_vec()
    })
    .prop_map(|name| json!({ "$ref": format!("#/components/schemas/{name}") }));
    let refers = u32::from(!names.is_empty()) * 3;
    if depth == 0 {
        return prop_oneof![4 => plain, refers => reference].boxed();
    }
    let inner = || schema(target, names, depth - 1);
    let anywhere = || schema(target, &NAMES, depth - 1);
    let object = vec((select(vec!["a", "b", "c"]), anywhere()), 1..3).prop_map(|all| {
        let all = all
            .into_iter()
            .map(|(name, schema)| (name.to_owned(), schema));
        ("properties".to_owned(), Value::Object(all.collect()))
    });
    let list = |name: &'static str, count: usize| {
        vec(inner(), 1..count).prop_map(move |list| (name.to_owned(), Value::from(list)))
    };
    let more = prop_oneof![Just(json!(false)), Just(json!(true)), anywhere()]
        .prop_map(|more| ("additionalProperties".to_owned(), more));
    let applied = prop_oneof![
        4 => object,
        1 => more,
        5 => list("allOf", 4),
        1 => list("anyOf", 4),
        1 => list("oneOf", 4),
        1 => inner().prop_map(|not| ("not".to_owned(), not)),
        1 => anywhere().prop_map(|items| ("items".to_owned(), items)),
    ];
    let composed = (plain.clone(), vec(applied, 1..3)).prop_map(|(mut plain, applied)| {
        if let Value::Object(plain) = &mut plain {
            plain.extend(applied);
        }
        plain
    });
    prop_oneof![2 => plain, 6 => composed, refers => reference].boxed()
}

/// All components.
fn schemas(target: Target) -> BoxedStrategy<Value> {
    let one = |later: usize| schema(target, &NAMES[later..], 3);
    (one(1), one(2), one(3), one(4))
        .prop_map(|(s, p, q, r)| json!({ "S": s, "P": p, "Q": q, "R": r }))
        .boxed()
}

/// A value that schemas may accept.
fn instance() -> BoxedStrategy<Value> {
    let leaf = select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(2),
        json!(1.5),
        json!("a"),
        json!("ab"),
        json!("b"),
        json!({}),
        json!([]),
    ]);
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..3).prop_map(Value::from),
            4 => vec((select(vec!["a", "b", "c"]), inner), 0..4).prop_map(|all| {
                Value::Object(all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
    .boxed()
}

/// A schema of 3.0 in the words of JSON Schema 2020-12, as plugway reads it: `nullable` allows null
/// whatever else is said.
fn modern(schema: &mut Value) {
    let Value::Object(map) = schema else {
        return;
    };
    each_inner(map, &mut String::new(), &mut |schema, _| modern(schema));
    if map.get("exclusiveMinimum") == Some(&json!(true)) {
        map.shift_remove("exclusiveMinimum");
        if let Some(bound) = map.shift_remove("minimum") {
            map.insert("exclusiveMinimum".to_owned(), bound);
        }
    }
    if map.get("exclusiveMinimum").is_some_and(Value::is_boolean) {
        map.shift_remove("exclusiveMinimum");
    }
    if map.shift_remove("nullable") == Some(json!(true)) {
        let rest = std::mem::take(map);
        map.insert("anyOf".to_owned(), json!([rest, { "type": "null" }]));
    }
}

/// A validator of one component.
fn validator(document: &Value, name: &str, target: Target) -> jsonschema::Validator {
    let mut schemas = document["components"]["schemas"].clone();
    if target == Target::V3_0_1 {
        for (_, schema) in schemas.as_object_mut().unwrap() {
            modern(schema);
        }
    }
    let reference = format!("#/components/schemas/{name}");
    let root = json!({ "components": { "schemas": schemas }, "$ref": reference });
    jsonschema::draft202012::new(&root.into()).unwrap()
}

/// A document with these schemas.
fn document(schemas: &Value) -> Value {
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/S" } } });
    json!({
        "paths": { "/a": { "get": { "responses": { "200": { "content": content } } } } },
        "components": { "schemas": schemas },
    })
}

/// Before and after: the same instances are accepted, and a second time changes nothing.
fn same(schemas: &Value, instances: &[Value], target: Target) -> Result<(), TestCaseError> {
    let before = document(schemas);
    let mut after = before.clone();
    flatten(&mut after, target, &mut Vec::new());
    let mut again = after.clone();
    flatten(&mut again, target, &mut Vec::new());
    prop_assert_eq!(&again, &after, "again");
    let mut ended = after.clone();
    cycles(&mut ended, target, &mut Vec::new());
    for name in NAMES {
        let validators =
            [&before, &after, &ended].map(|document| validator(document, name, target));
        let plain =
            !before.to_string().contains("\"not\"") && !before.to_string().contains("\"oneOf\"");
        for instance in instances {
            let as_validated = serde_json::Value::from(instance.clone());
            let [was, is, loose] = validators.each_ref().map(|v| v.is_valid(&as_validated));
            let text = || format!("{name}: {instance} before {before:#} after {after:#}");
            prop_assert_eq!(was, is, "{}", text());
            // What is refused may be accepted where a cycle ends.
            prop_assert!(loose || !is || !plain, "{} ended {:#}", text(), ended);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn one_schema_accepts_what_the_several_do_in_3_1(
        schemas in schemas(Target::V3_1_0),
        instances in vec(instance(), 24),
    ) {
        same(&schemas, &instances, Target::V3_1_0)?;
    }

    #[test]
    fn one_schema_accepts_what_the_several_do_in_3_0(
        schemas in schemas(Target::V3_0_1),
        instances in vec(instance(), 24),
    ) {
        same(&schemas, &instances, Target::V3_0_1)?;
    }
}

#[test]
fn real_shapes_are_flattened() {
    // The generator above is worth something only if it makes what is flattened.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut before, mut after) = (0, 0);
    for _ in 0..200 {
        let tree = schemas(Target::V3_1_0).new_tree(&mut runner).unwrap();
        let mut document = document(&proptest::strategy::ValueTree::current(&tree));
        before += document.to_string().matches("\"allOf\"").count();
        flatten(&mut document, Target::V3_1_0, &mut Vec::new());
        after += document.to_string().matches("\"allOf\"").count();
    }
    assert!(after * 3 < before * 2, "{before} → {after}");
}
