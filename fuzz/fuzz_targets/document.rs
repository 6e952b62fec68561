//! Any bytes as an OpenAPI document: read, loaded, published, written, and read back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plugway::openapi::{
    Api, PublishOptions, ReadErrorKind, ReadLimits, Selection, Target, Value, lines, load, publish, read,
    read_document, to_yaml,
};
use serde_json::json;

/// Small, so that what is slow or large shows early.
const LIMITS: ReadLimits = ReadLimits {
    bytes: 256 << 10,
    depth: 112,
    nodes: 20_000,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = read_document(bytes, &LIMITS) else {
        return;
    };
    let breaks = bytes.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() as u64;
    for duplicate in &document.duplicates {
        assert!(duplicate.first_line <= duplicate.line && duplicate.line <= breaks + 1);
    }
    if let Ok(strict) = serde_json::from_slice::<serde_json::Value>(bytes) {
        assert_eq!(Value::from(strict), document.value, "JSON is read as JSON");
    }
    comes_back(&document.value);
    let Ok(api) = load(document.value, &Selection::default()) else {
        return;
    };
    places(bytes, &api, breaks);
    for target in [Target::V3_1_0, Target::V3_0_1] {
        published(&api, target);
    }
});

/// What is written as YAML and as JSON is read as the same.
fn comes_back(value: &Value) {
    let limits = ReadLimits::default();
    let yaml = to_yaml(value.clone());
    match read(yaml.as_bytes(), &limits) {
        // Numbers with an exponent are written with a dot; apart from that nothing differs.
        Ok(again) if again != *value => assert_eq!(to_yaml(again), yaml),
        Ok(_) => {}
        // What is built around a part of a document may be deeper than what is read.
        Err(error) => assert!(matches!(error.kind, ReadErrorKind::TooDeep(_)), "{error:?}\n{yaml}"),
    }
    match read(value.to_string().as_bytes(), &limits) {
        Ok(again) => assert_eq!(again, *value),
        Err(error) => assert!(matches!(error.kind, ReadErrorKind::TooDeep(_)), "{error:?}"),
    }
}

/// Findings have lines that the text has.
fn places(bytes: &[u8], api: &Api, breaks: u64) {
    let pointers = api.report.iter().map(|finding| finding.pointer.as_str());
    for line in lines(bytes, pointers).into_values() {
        assert!((1..=breaks + 1).contains(&line), "line {line} of {}", breaks + 1);
    }
}

/// The published document comes back, and has the operations that it should.
fn published(api: &Api, target: Target) {
    let options = PublishOptions {
        origin: "https://plugin.example".to_owned(),
        security: Some(("bearer".to_owned(), json!({ "type": "http", "scheme": "bearer" }).into())),
        ..PublishOptions::default()
    };
    let document = publish(api, target, &options);
    comes_back(&document);
    let again = load(document, &Selection::default()).expect("what we publish can be loaded");
    let ids = |api: &Api| -> Vec<String> {
        let mut ids: Vec<_> = api.operations.iter().map(|o| o.id.clone()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&again), ids(api), "what we publish has the operations that it should");
}
