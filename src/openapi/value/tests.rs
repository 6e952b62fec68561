use proptest::prelude::*;

use super::{Entry, Map, Text, Value};

/// The same as `serde_json` has it.
fn other(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn ours(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Values that may be nested three deep, with objects that need an index.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        "[a-c/~\"\\\\é]{0,4}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(3, 64, 24, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec(("[a-f]{0,2}", inner), 0..24)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn reads_and_writes_what_serde_json_does(value in any_json()) {
        let text = value.to_string();
        let read = ours(&text);
        prop_assert_eq!(read.to_string(), &*text);
        prop_assert_eq!(read.json_bytes(), text.len());
        prop_assert_eq!(format!("{read:#}"), format!("{value:#}"));
        prop_assert_eq!(&Value::from(value.clone()), &read);
        prop_assert_eq!(serde_json::Value::from(read), value);
    }

    /// What is done to a map is done to a `serde_json` one too: after each step they are alike,
    /// order included.
    #[test]
    fn a_map_behaves_like_that_of_serde_json(
        steps in prop::collection::vec((0..6_u8, "[a-f]{1,2}", 0..100_u32), 0..80)
    ) {
        let (mut map, mut model) = (Map::new(), serde_json::Map::new());
        for (step, key, number) in steps {
            match step {
                0..=2 => {
                    let old = map.insert(key.clone(), number.into());
                    prop_assert_eq!(old.map(serde_json::Value::from), model.insert(key, number.into()));
                }
                3 => {
                    let old = map.shift_remove(&key);
                    prop_assert_eq!(old.map(serde_json::Value::from), model.shift_remove(&key));
                }
                4 => {
                    map.entry(key.clone()).or_insert(number);
                    model.entry(key).or_insert(number.into());
                }
                _ => {
                    map.retain(|_, value| value.as_u64() != Some(number.into()));
                    model.retain(|_, value| value.as_u64() != Some(number.into()));
                    let place = map.len() / 2;
                    map.shift_insert(place, key.clone(), number.into());
                    model.shift_remove(&key);
                    model.shift_insert(place.min(model.len()), key, number.into());
                }
            }
            prop_assert_eq!(Value::from(map.clone()).to_string(), serde_json::Value::from(model.clone()).to_string());
            for key in model.keys() {
                prop_assert_eq!(map.get(key).map(ToString::to_string), model.get(key).map(ToString::to_string));
            }
            prop_assert!(!map.contains_key("no"));
        }
    }
}

#[test]
fn numbers_keep_their_digits() {
    for text in [
        "9007199254740993",
        "123456789012345678901234567890",
        "0.10",
        "1e+400",
        "-0",
        "[1.0,{\"a\":10000000000000000000000}]",
    ] {
        assert_eq!(ours(text).to_string(), text);
        assert_eq!(other(text).to_string(), text);
    }
}

#[test]
fn the_last_of_doubled_members_holds_at_the_place_of_the_first() {
    assert_eq!(
        ours(r#"{"a":1,"b":2,"a":3}"#).to_string(),
        r#"{"a":3,"b":2}"#
    );
}

#[test]
fn the_order_of_members_says_nothing() {
    assert_eq!(ours(r#"{"a":1,"b":[2]}"#), ours(r#"{"b":[2],"a":1}"#));
    assert_ne!(ours(r#"{"a":1,"b":[2]}"#), ours(r#"{"b":[2],"a":2}"#));
    assert_ne!(ours("[1,2]"), ours("[2,1]"));
}

#[test]
fn pointers_are_those_of_rfc_6901() {
    let text = r#"{"a/b":{"c~d":[10,{"":"x"}]},"0":true}"#;
    let (mut mine, theirs) = (ours(text), other(text));
    for pointer in [
        "",
        "/",
        "a",
        "/a~1b",
        "/a~1b/c~0d",
        "/a~1b/c~0d/0",
        "/a~1b/c~0d/00",
        "/a~1b/c~0d/+1",
        "/a~1b/c~0d/1/",
        "/a~1b/c~0d/-",
        "/0",
        "/a~1b/c~0d/2",
        "/0/x",
        "/a~1b/c~0d/0/",
    ] {
        let expected = theirs.pointer(pointer).map(ToString::to_string);
        assert_eq!(
            mine.pointer(pointer).map(ToString::to_string),
            expected,
            "{pointer}"
        );
        assert_eq!(
            mine.pointer_mut(pointer).map(|v| v.to_string()),
            expected,
            "{pointer}"
        );
    }
}

#[test]
fn an_entry_is_made_once() {
    let mut map = Map::new();
    map.entry("a").or_insert("first");
    map.entry("a").or_insert("second");
    match map.entry("a") {
        Entry::Occupied(mut entry) => {
            assert_eq!(entry.key(), "a");
            assert_eq!(entry.insert(3.into()), "first");
        }
        Entry::Vacant(entry) => panic!("{} is there", entry.key()),
    }
    assert_eq!(Value::from(map).to_string(), r#"{"a":3}"#);
}

/// What a document costs: see the head of the module.
#[test]
fn a_value_is_small() {
    assert_eq!(size_of::<Value>(), 32);
    assert_eq!(size_of::<(Text, Value)>(), 48);
}
