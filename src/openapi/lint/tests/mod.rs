mod hostile;
mod manifests;
mod operations;
mod whole;

use std::fmt::Write as _;

use crate::openapi::{Value, json};

use super::Profile::Actions;
use super::*;
use crate::openapi::tests::specs;
use crate::openapi::{InfoOverrides, PublishOptions, Selection, Target, load, publish};

const ORIGIN: &str = "https://todo.example.com";

/// A document that no client objects to.
fn document(version: &str) -> Value {
    json!({
        "openapi": version,
        "info": { "title": "Todo", "version": "1" },
        "servers": [{ "url": ORIGIN }],
        "paths": { "/todos/{id}": { "post": {
            "operationId": "addTodo",
            "summary": "Adds one",
            "description": "Adds one.",
            "parameters": [
                { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
                { "name": "q", "in": "query", "description": "Which.", "schema": { "type": "string" } },
            ],
            "requestBody": { "required": true, "content": { "application/json": { "schema": {
                "type": "object", "required": ["title"],
                "properties": { "title": { "type": "string" }, "tags": { "type": "array", "items": { "type": "string" } } },
            } } } },
            "responses": { "200": { "description": "", "content": { "application/json": {} } } },
            "security": [{ "bearerAuth": [] }],
        } } },
        "components": {
            "securitySchemes": { "bearerAuth": { "type": "http", "scheme": "bearer" } },
            "parameters": { "Q": { "name": "q", "in": "query", "required": true, "schema": {} } },
            "schemas": {
                "Flat": { "type": "object", "properties": { "a": { "type": "string" } } },
                "Deep": { "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#/components/schemas/Flat" } } },
                "Loop": { "allOf": [{ "$ref": "#/components/schemas/Loop" }] },
            },
        },
    })
}

/// A manifest that no client objects to.
fn manifest() -> Value {
    json!({
        "schema_version": "v1",
        "name_for_model": "todo",
        "name_for_human": "Todo List",
        "description_for_model": "Use it to manage to-dos.",
        "description_for_human": "Manages to-dos.",
        "auth": { "type": "service_http", "authorization_type": "bearer", "verification_tokens": { "openai": "x" } },
        "api": { "type": "openapi", "url": "https://todo.example.com/openapi-3.0.json" },
        "logo_url": "https://todo.example.com/logo.png",
        "contact_email": "dev@example.com",
        "legal_info_url": "https://example.com/legal",
    })
}

/// Breaches in one line each.
fn lines(breaches: &[Breach]) -> Vec<String> {
    let line = |b: &Breach| format!("{} {} {}", b.severity.word(), b.rule, b.pointer);
    breaches.iter().map(line).collect()
}

/// Puts a value where a pointer leads; null takes away what is there.
fn put(root: &mut Value, pointer: &str, value: Value) {
    let (up, last) = pointer.rsplit_once('/').unwrap();
    let last = last.replace("~1", "/").replace("~0", "~");
    let parent = root.pointer_mut(up).unwrap();
    if value.is_null() {
        parent.as_object_mut().unwrap().shift_remove(&last);
    } else if parent.is_array() {
        parent[last.parse::<usize>().unwrap()] = value;
    } else {
        parent[last] = value;
    }
}

/// Everything as it should be.
fn whole<'a>(v31: &'a Value, v30: &'a Value, manifest: &'a Value) -> Linted<'a> {
    Linted {
        v31,
        v30,
        manifest: Some(manifest),
        v31_bytes: 1_000,
        origin: ORIGIN,
        guarded: false,
    }
}

/// What a profile says when one value of the document is another.
#[track_caller]
fn documents(profile: Profile, pointer: &str, value: Value, expected: &[&str]) {
    let (mut v31, mut v30) = (document("3.1.0"), document("3.0.1"));
    put(&mut v31, pointer, value.clone());
    put(&mut v30, pointer, value);
    let found = lint(&whole(&v31, &v30, &manifest()), &[profile]);
    assert_eq!(lines(&found), expected);
}

/// What a profile says when one value of the manifest is another.
#[track_caller]
fn manifests(profile: Profile, pointer: &str, value: Value, expected: &[&str]) {
    let mut changed = manifest();
    put(&mut changed, pointer, value);
    let (v31, v30) = (document("3.1.0"), document("3.0.1"));
    let found = lint(&whole(&v31, &v30, &changed), &[profile]);
    assert_eq!(lines(&found), expected);
}

/// The pointer of the operation, without `#`.
const POST: &str = "/paths/~1todos~1{id}/post";

#[track_caller]
fn operation(profile: Profile, below: &str, value: Value, expected: &[&str]) {
    let file = profile.document();
    let expected: Vec<_> = expected
        .iter()
        .map(|line| line.replace('@', &format!("{file}#{POST}")))
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    documents(profile, &format!("{POST}{below}"), value, &expected);
}

fn long(length: usize) -> Value {
    "ü".repeat(length).into()
}

#[test]
fn nothing_is_said_of_what_all_take() {
    let (v31, v30, manifest) = (document("3.1.0"), document("3.0.1"), manifest());
    assert_eq!(lint(&whole(&v31, &v30, &manifest), &Profile::ALL), []);
}

/// A document with so many operations.
fn crowd(count: usize) -> Value {
    let mut document = document("3.0.1");
    let post = document.pointer(POST).unwrap().clone();
    let paths = (0..count).map(|i| (format!("/todos/{i}/{{id}}"), json!({ "post": post })));
    document["paths"] = Value::Object(paths.collect());
    document
}

/// The documents of a real API.
fn published(name: &str) -> (Value, Value) {
    let spec = specs().iter().find(|spec| spec.name == name).unwrap();
    let api = load(spec.value.clone(), &Selection::default()).unwrap();
    let options = PublishOptions {
        origin: ORIGIN.to_owned(),
        security: Some((
            "bearerAuth".to_owned(),
            json!({ "type": "http", "scheme": "bearer" }),
        )),
        info: InfoOverrides::default(),
    };
    let of = |target| publish(&api, target, &options);
    (of(Target::V3_1_0), of(Target::V3_0_1))
}

#[test]
fn real_documents() {
    for name in ["museum.yaml", "twilio-messaging.json"] {
        let (v31, v30) = published(name);
        let mut linted = whole(&v31, &v30, &Value::Null);
        linted.manifest = None;
        linted.v31_bytes = format!("{v31:#}").len();
        let mut text = String::new();
        for breach in lint(&linted, &Profile::ALL) {
            writeln!(
                text,
                "{} {} {}\n  {}\n  {}\n  {} / {}\n  {}",
                breach.profile.word(),
                breach.severity.word(),
                breach.rule,
                breach.place,
                breach.message,
                breach.limit,
                breach.actual,
                breach.pointer
            )
            .unwrap();
            let document = if breach.profile == Actions {
                &v31
            } else {
                &v30
            };
            let pointer = breach.pointer.split_once('#').unwrap().1;
            let is_there = breach.rule == "manifest-missing" || document.pointer(pointer).is_some();
            assert!(is_there, "{name}: {} leads nowhere", breach.pointer);
        }
        insta::assert_snapshot!(name.split('.').next().unwrap(), text);
    }
}
