use std::sync::OnceLock;

use crate::openapi::{Map, Value, json};
use proptest::prelude::*;

use super::{options, references, specs};
use crate::openapi::{ReadLimits, Selection, Target, load, publish, read, to_yaml};

/// Texts that mean something in the wrong place.
const TEXTS: &[&str] = &[
    "",
    "#/components/schemas/status",
    "#/paths",
    "#/components/parameters/rowParam",
    "#/",
    "$ref",
    "x",
    "#/components/schemas/BuyMuseumTickets/properties/email",
    "http://[",
    "/{",
    "integer",
    "null",
    "é\u{85}\n",
    "-1",
    "{$request.body}",
    "path",
    "simple",
];

/// Keys that mean something in the wrong place.
const NAMES: &[&str] = &[
    "$ref",
    "type",
    "nullable",
    "schema",
    "content",
    "allOf",
    "anyOf",
    "items",
    "properties",
    "const",
    "enum",
    "default",
    "required",
    "exclusiveMinimum",
    "prefixItems",
    "patternProperties",
    "discriminator",
    "mapping",
    "example",
    "examples",
    "$defs",
    "parameters",
    "in",
    "name",
    "responses",
    "headers",
    "x-y",
    "get",
    "not",
    "additionalProperties",
    "contentEncoding",
    "$dynamicRef",
    "minimum",
    "format",
    "encoding",
    "description",
    "title",
    "oneOf",
    "multipleOf",
    "uniqueItems",
    "x-enum-varnames",
];

/// Values that stand where they do not belong.
fn strange() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(false)),
        Just(json!(-1)),
        Just(json!(1.5)),
        Just(json!(7)),
        prop::sample::select(TEXTS).prop_map(Value::from),
        prop::sample::select(NAMES).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..4).prop_map(|entries| {
                entries
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect::<Map>()
                    .into()
            }),
        ]
    })
}

/// Every pointer of a value.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let key = key.as_str().replace('~', "~0").replace('/', "~1");
                pointers(inner, &format!("{at}/{key}"), out);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                pointers(inner, &format!("{at}/{index}"), out);
            }
        }
        _ => {}
    }
}

/// A document with some of its values replaced, but still a document.
struct Broken {
    document: Value,
    /// What was replaced, for whoever reads a failure.
    changes: Vec<(String, Value)>,
}

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.document["info"]["title"])?;
        self.changes
            .iter()
            .try_for_each(|(at, value)| writeln!(f, "{at} = {value}"))
    }
}

/// Where two values differ first.
pub(super) fn difference(left: &Value, right: &Value) -> String {
    let mut all = Vec::new();
    pointers(left, "", &mut all);
    pointers(right, "", &mut all);
    all.sort_by_key(String::len);
    let differs = |at: &&String| left.pointer(at) != right.pointer(at);
    let at = all.iter().rfind(differs).cloned().unwrap_or_default();
    let up = at.rsplit_once('/').map_or("", |(up, _)| up);
    format!("{at}: {:?} and {:?}", left.pointer(up), right.pointer(up))
}

fn broken() -> impl Strategy<Value = Broken> {
    const DOCUMENTS: &[&str] = &[
        "museum.yaml",
        "oai-tictactoe.yaml",
        "apisix-spec31-gaps.json",
        "swagger-petstore.yaml",
        "readme-circular.json",
    ];
    let change = (any::<prop::sample::Index>(), strange());
    (
        prop::sample::select(DOCUMENTS),
        prop::collection::vec(change, 1..6),
    )
        .prop_map(|(name, changes)| {
            let mut document = specs()
                .iter()
                .find(|spec| spec.name == name)
                .unwrap()
                .value
                .clone();
            let mut made = Vec::new();
            for (index, value) in changes {
                let mut all = Vec::new();
                pointers(&document, "", &mut all);
                all.retain(|pointer| pointer.matches('/').count() > 1);
                let at = index.get::<String>(&all);
                *document.pointer_mut(at).unwrap() = value.clone();
                made.push((at.clone(), value));
            }
            Broken {
                document,
                changes: made,
            }
        })
}

fn validators() -> &'static [(Target, jsonschema::Validator); 2] {
    static VALIDATORS: OnceLock<[(Target, jsonschema::Validator); 2]> = OnceLock::new();
    VALIDATORS.get_or_init(|| {
        let read = |name| super::metaschema(name);
        [
            (
                Target::V3_0_1,
                jsonschema::draft4::new(&read("openapi-3.0.json")).unwrap(),
            ),
            (
                Target::V3_1_0,
                jsonschema::draft202012::new(&read("openapi-3.1.json")).unwrap(),
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_broken_document_is_published_as_a_valid_one(broken in broken()) {
        let api = load(broken.document, &Selection::default()).unwrap();
        for operation in &api.operations {
            prop_assert!((1..=64).contains(&operation.id.len()));
            prop_assert!(operation.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        }
        for (target, validator) in validators() {
            let published = publish(&api, *target, &options());
            if let Some(error) = validator.iter_errors(&published.clone().into()).next() {
                let at = error.instance_path().to_string();
                let part = published.pointer(at.rsplit_once('/').map_or("", |(up, _)| up));
                prop_assert!(false, "{target:?}: {error} at {at} in {}", part.unwrap_or(&Value::Null));
            }
            let again = load(published.clone(), &Selection::default()).unwrap();
            let again = publish(&again, *target, &options());
            prop_assert!(again == published, "{target:?}: {}", difference(&published, &again));
            let yaml = to_yaml(published.clone());
            let again = read(yaml.as_bytes(), &ReadLimits::default()).unwrap();
            prop_assert!(again == published, "{}", difference(&published, &again));
        }
    }

    #[test]
    fn a_broken_document_refers_to_nothing_that_is_not_there(broken in broken()) {
        // Data may hold anything; what is left are schemas, responses, headers and examples.
        fn without_data(value: &mut Value) {
            match value {
                Value::Object(map) => {
                    for name in ["example", "default", "enum", "const", "examples", "value"] {
                        map.shift_remove(name);
                    }
                    map.values_mut().for_each(without_data);
                }
                Value::Array(list) => list.iter_mut().for_each(without_data),
                _ => {}
            }
        }
        let api = load(broken.document, &Selection::default()).unwrap();
        for (target, _) in validators() {
            let mut published = publish(&api, *target, &options());
            without_data(&mut published);
            let mut found = Vec::new();
            references(&published, &mut found);
            for reference in found {
                prop_assert!(published.pointer(&reference[1..]).is_some(), "{}", reference);
            }
        }
    }
}
