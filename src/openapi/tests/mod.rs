mod hostile;
mod roundtrip;
mod selecting;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::OnceLock;

use crate::openapi::json;

use super::*;

/// A document of `tests/specs`.
pub(super) struct Spec {
    /// Its path below that folder.
    pub(super) name: String,
    /// Its content.
    pub(super) value: Value,
}

/// The documents of `tests/specs`, read once.
pub(super) fn specs() -> &'static [Spec] {
    static SPECS: OnceLock<Vec<Spec>> = OnceLock::new();
    SPECS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&root).unwrap() {
            let path = entry.unwrap().path();
            let file = if path.is_dir() {
                path.join("openapi.yaml")
            } else {
                path
            };
            let document = file.extension().is_some_and(|e| e == "json" || e == "yaml");
            if document && file.exists() {
                names.push(
                    file.strip_prefix(&root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
        names.sort();
        let read = |name: String| {
            let bytes = std::fs::read(root.join(&name)).unwrap();
            let limits = ReadLimits::default();
            let value =
                read(&bytes, &limits).unwrap_or_else(|e| panic!("{name}: {e} {:?}", e.line));
            Spec { name, value }
        };
        let specs: Vec<Spec> = names.into_iter().map(read).collect();
        assert_eq!(specs.len(), 30);
        specs
    })
}

/// Both versions.
const TARGETS: [Target; 2] = [Target::V3_1_0, Target::V3_0_1];

/// What a gateway would put in.
fn options() -> PublishOptions {
    PublishOptions {
        origin: "https://todo.example.com".to_owned(),
        security: Some((
            "bearer".to_owned(),
            json!({ "type": "http", "scheme": "bearer" }),
        )),
        info: InfoOverrides::default(),
    }
}

fn load_all(value: &Value) -> Api {
    load(value.clone(), &Selection::default()).unwrap()
}

/// Does something with each document in both versions.
fn each_published(mut check: impl FnMut(&str, &Spec, &Api, Target, &Value)) {
    for spec in specs() {
        let api = load_all(&spec.value);
        for target in TARGETS {
            let what = format!("{} as {target:?}", spec.name);
            check(
                &what,
                spec,
                &api,
                target,
                &publish(&api, target, &options()),
            );
        }
    }
}

/// Every text that stands under `$ref`, or in the mapping of a discriminator.
fn references<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => {
            out.extend(map.get("$ref").and_then(Value::as_str));
            let mapping = map.get("discriminator").and_then(|d| d.get("mapping"));
            let mapping = mapping.and_then(Value::as_object).into_iter().flatten();
            out.extend(mapping.filter_map(|(_, reference)| reference.as_str()));
            map.values().for_each(|inner| references(inner, out));
        }
        Value::Array(list) => list.iter().for_each(|inner| references(inner, out)),
        _ => {}
    }
}

#[test]
fn what_is_published_refers_to_all_that_it_has_and_to_nothing_else() {
    each_published(|what, _, _, _, document| {
        let mut open = Vec::new();
        references(&document["paths"], &mut open);
        let mut reached = HashSet::new();
        while let Some(reference) = open.pop() {
            let target = document.pointer(reference.trim_start_matches('#'));
            let target = target.unwrap_or_else(|| panic!("{what}: {reference} dangles"));
            if reached.insert(reference.to_owned()) {
                references(target, &mut open);
            }
        }
        for section in ["schemas", "responses", "examples", "headers"] {
            for name in document["components"][section]
                .as_object()
                .into_iter()
                .flatten()
                .map(|e| e.0)
            {
                let pointer = format!("#/components/{section}/{name}");
                assert!(reached.contains(&pointer), "{what}: {pointer} is not used");
            }
        }
    });
}

/// A naive look at an operation: parameters, media types of the body, status codes.
type Call = (
    BTreeSet<(String, String)>,
    BTreeSet<String>,
    BTreeSet<String>,
);

fn call(document: &Value, item: &Value, operation: &Value) -> Call {
    fn target<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
            None => value,
        }
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lists = [&item["parameters"], &operation["parameters"]];
    let parameters = lists
        .iter()
        .flat_map(|list| list.as_array().into_iter().flatten())
        .map(|parameter| target(document, parameter))
        .map(|parameter| (text(&parameter["in"]), text(&parameter["name"])))
        .collect();
    let keys = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.to_string())
            .collect()
    };
    let body = &target(document, &operation["requestBody"])["content"];
    (parameters, keys(body), keys(&operation["responses"]))
}

#[test]
fn every_operation_is_published_with_all_that_a_caller_needs() {
    each_published(|what, _, api, _, document| {
        let mut published = HashMap::new();
        for (key, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap();
                published.insert(id, (method.as_str(), key, call(document, item, operation)));
            }
        }
        assert_eq!(published.len(), api.operations.len(), "{what}");
        for operation in &api.operations {
            let (method, key, found) = &published[operation.id.as_str()];
            let source = &*api.source;
            let mut item = &source["paths"][&operation.path_key];
            if let Some(reference) = item["$ref"].as_str() {
                item = source.pointer(reference.trim_start_matches('#')).unwrap();
            }
            assert_eq!(method.to_uppercase(), operation.method.as_str());
            let mut expected = call(source, item, &item[*method]);
            if key.contains('?') {
                expected
                    .0
                    .retain(|(_, name)| operation.fixed_query.iter().all(|(k, _)| k != name));
            }
            let reserved = ["Accept", "Content-Type", "Authorization"];
            expected.0.retain(|(at, name)| {
                at != "header" || !reserved.iter().any(|r| name.eq_ignore_ascii_case(r))
            });
            if expected.2.is_empty() {
                expected.2.insert("default".to_owned());
            }
            if operation.fixed_query.is_empty() {
                assert_eq!(**key, operation.path, "{what}");
            }
            assert_eq!(*found, expected, "{what}: {}", operation.id);
        }
    });
}

#[test]
fn each_document_has_the_operations_that_it_is_known_for() {
    let known = [
        ("box.json", 278),
        ("discord.json", 242),
        ("openai.yaml", 288),
        ("museum.yaml", 8),
        ("meilisearch.json", 113),
        ("oai-webhook-only.yaml", 0),
        ("xero-files.yaml", 18),
        ("apisix-spec31-gaps.json", 7),
        ("twilio-messaging.json", 58),
        ("dropshot-test.json", 31),
        ("readme-parameters-style.json", 23),
        ("animalgpt/openapi.yaml", 4),
    ];
    for (name, operations) in known {
        let spec = specs().iter().find(|spec| spec.name == name).unwrap();
        let api = load_all(&spec.value);
        assert_eq!(api.operations.len(), operations, "{name}");
        // Whatever is missing is in the report.
        let methods = [
            "get", "put", "post", "delete", "patch", "head", "options", "trace",
        ];
        let items = spec.value["paths"].as_object().into_iter().flatten();
        let all: usize = items
            .map(|(_, item)| match item["$ref"].as_str() {
                Some(reference) => spec
                    .value
                    .pointer(reference.trim_start_matches('#'))
                    .unwrap(),
                None => item,
            })
            .map(|item| {
                methods
                    .iter()
                    .filter(|method| item.get(**method).is_some())
                    .count()
            })
            .sum();
        let skipped = api
            .report
            .iter()
            .filter(|line| line.action == Action::Skipped)
            .count();
        assert_eq!(operations + skipped, all, "{name}");
    }
}

#[test]
fn publishing_what_was_published_changes_nothing() {
    each_published(|what, _, _, target, document| {
        let again = publish(&load_all(document), target, &options());
        // Bodies are written out before the passes that simplify schemas: what is small enough only
        // after them is written out the second time.
        let large = ["openai.yaml", "discord.json", "sendgrid-mc-contacts.json"];
        assert!(
            again == *document || large.iter().any(|name| what.starts_with(name)),
            "{what}: {}",
            hostile::difference(document, &again)
        );
    });
}

/// A JSON Schema of `OpenAPI` itself.
fn metaschema(name: &str) -> serde_json::Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs/metaschemas");
    serde_json::from_slice(&std::fs::read(root.join(name)).unwrap()).unwrap()
}

#[test]
fn what_is_published_is_valid() {
    let v3_0 = jsonschema::draft4::new(&metaschema("openapi-3.0.json")).unwrap();
    let v3_1 = jsonschema::draft202012::new(&metaschema("openapi-3.1.json")).unwrap();
    each_published(|what, _, _, target, document| {
        let validator = if target == Target::V3_0_1 {
            &v3_0
        } else {
            &v3_1
        };
        if let Some(error) = validator.iter_errors(&document.clone().into()).next() {
            panic!("{what}: {} at {}", error, error.instance_path());
        }
        if target == Target::V3_1_0 {
            for (name, schema) in document["components"]["schemas"]
                .as_object()
                .into_iter()
                .flatten()
            {
                assert!(
                    jsonschema::draft202012::meta::is_valid(&schema.clone().into()),
                    "{what}: {name}"
                );
            }
        }
    });
}

#[test]
fn each_operation_has_its_security_and_no_other() {
    each_published(|what, _, api, _, document| {
        assert_eq!(document.get("security"), None, "{what}");
        assert_eq!(document.get("webhooks"), None, "{what}");
        assert_eq!(
            document["servers"],
            json!([{ "url": "https://todo.example.com" }]),
            "{what}"
        );
        let schemes = &document["components"]["securitySchemes"];
        assert_eq!(
            *schemes,
            json!({ "bearer": { "type": "http", "scheme": "bearer" } }),
            "{what}"
        );
        for (_, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert_eq!(operation["security"], json!([{ "bearer": [] }]), "{what}");
                assert_eq!(operation.get("servers"), None, "{what}");
                assert_eq!(operation.get("callbacks"), None, "{what}");
                let consequential = method != "get";
                assert_eq!(
                    operation["x-openai-isConsequential"],
                    json!(consequential),
                    "{what}"
                );
            }
        }
        let open = publish(api, Target::V3_1_0, &PublishOptions::default());
        assert_eq!(open["components"].get("securitySchemes"), None, "{what}");
        assert!(
            !open["paths"].to_string().contains("\"security\":"),
            "{what}"
        );
    });
}

#[test]
fn small_documents_as_they_are_published() {
    let small = [
        "museum.yaml",
        "quickstart-todo/openapi.yaml",
        "retrieval-plugin/openapi.yaml",
        "oai-uspto.yaml",
        "oai-tictactoe.yaml",
        "readme-circular.json",
        "apisix-spec31-gaps.json",
    ];
    for name in small {
        let spec = specs().iter().find(|spec| spec.name == name).unwrap();
        let api = load_all(&spec.value);
        let short = name.trim_end_matches("/openapi.yaml").replace('.', "_");
        for (target, version) in [(Target::V3_1_0, "3_1"), (Target::V3_0_1, "3_0")] {
            let yaml = to_yaml(publish(&api, target, &options()));
            insta::assert_snapshot!(format!("{short}_{version}"), yaml);
        }
    }
}

#[test]
fn yaml_and_json_of_a_published_document_say_the_same() {
    each_published(|what, _, _, _, document| {
        let again = read(to_yaml(document.clone()).as_bytes(), &ReadLimits::default()).unwrap();
        assert!(again == *document, "{what}");
    });
}
