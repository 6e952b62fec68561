//! Documents that people publish.

use std::path::Path;

use crate::openapi::{Value, json};

use super::convert;
use crate::openapi::{Action, Api, ReadLimits, Selection, Target, load, publish, read};

/// A file of `tests/specs`.
fn file(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/specs")
        .join(name);
    read(&std::fs::read(path).unwrap(), &ReadLimits::default()).unwrap()
}

/// Converted and loaded, with the places of the original.
fn api(document: Value) -> Api {
    let converted = convert(document);
    let mut api = load(converted.value, &Selection::default()).unwrap();
    converted.origins.restore(&mut api.report);
    api.report.splice(0..0, converted.report);
    api
}

#[test]
fn real_documents_are_loaded_with_nothing_lost() {
    for (name, operations) in [
        ("alertmanager.v2.yaml", 9),
        ("docker-engine-1.54.v2.yaml", 107),
        ("nytimes-books.v2.yaml", 6),
        ("oai-petstore-expanded.v2.json", 4),
        ("readme-petstore.v2.yaml", 20),
    ] {
        let original = file(name);
        let api = api(original.clone());
        assert_eq!(api.operations.len(), operations, "{name}");
        for finding in &api.report {
            // What publishing changes stands below a place of it: operation, parameter, definition.
            let depth = if finding.pointer.starts_with("#/paths") {
                4
            } else {
                3
            };
            let mut ends = finding.pointer.match_indices('/').map(|(end, _)| end);
            let at = &finding.pointer[1..ends.nth(depth).unwrap_or(finding.pointer.len())];
            assert!(
                original.pointer(at).is_some(),
                "{name}: {at} is no place of it"
            );
            let known = finding.message.contains("operationId")
                || finding.message.contains("`Content-type`")
                || finding.message.contains("beside `$ref`")
                || finding.action == Action::Noted
                || ["is cut to", "as described above", "default"]
                    .iter()
                    .any(|words| finding.message.contains(words));
            assert!(known, "{name}: {finding:?}");
        }
    }
}

#[test]
fn the_parts_of_real_documents_are_where_they_belong() {
    let docker = convert(file("docker-engine-1.54.v2.yaml")).value;
    assert_eq!(docker["servers"], json!([{ "url": "/v1.54" }]));
    let build = &docker["paths"]["/build"]["post"]["requestBody"]["content"];
    let binary = json!({ "schema": { "type": "string", "format": "binary" } });
    assert_eq!(
        build,
        &json!({ "application/octet-stream": binary, "application/x-tar": binary })
    );
    let expanded = convert(file("oai-petstore-expanded.v2.json")).value;
    assert_eq!(
        expanded["servers"],
        json!([{ "url": "http://petstore.swagger.io/api" }])
    );
    let petstore = convert(file("readme-petstore.v2.yaml")).value;
    let form = &petstore["paths"]["/pet/{petId}/uploadImage"]["post"]["requestBody"]["content"]["multipart/form-data"];
    assert_eq!(form["schema"]["properties"]["file"]["format"], "binary");
    assert!(
        petstore["components"]["securitySchemes"]["petstore_auth"]["flows"]["implicit"].is_object()
    );
}

#[test]
fn a_document_in_five_files_is_one() {
    let part = |name: &str| file(&format!("oai-petstore-separate.v2/{name}"));
    // What reading several files makes of their references.
    let mut text = part("spec/swagger.yaml").to_string();
    let mut pet = part("spec/NewPet.yaml").to_string();
    let places = [
        ("Pet.yaml", "#/x-plugway-files/0"),
        ("NewPet.yaml", "#/x-plugway-files/1"),
        ("parameters.yaml#/", "#/x-plugway-files/2/"),
        ("../common/Error.yaml", "#/x-plugway-files/3"),
    ];
    for (from, to) in places {
        text = text.replace(&format!("\"{from}"), &format!("\"{to}"));
        pet = pet.replace(&format!("\"{from}"), &format!("\"{to}"));
    }
    let mut document: Value = serde_json::from_str(&text).unwrap();
    let new_pet: Value = serde_json::from_str(&pet).unwrap();
    document["x-plugway-files"] = json!([
        part("spec/Pet.yaml"),
        new_pet,
        part("spec/parameters.yaml"),
        part("common/Error.yaml")
    ]);
    let api = api(document);
    assert_eq!(api.operations.len(), 4);
    let published = publish(
        &api,
        Target::V3_1_0,
        &super::super::super::PublishOptions::default(),
    );
    let get = &published["paths"]["/pets"]["get"];
    assert_eq!(
        get["parameters"][0],
        json!({ "name": "tags", "in": "query", "description": "tags to filter by",
        "required": false, "style": "form", "explode": false,
        "schema": { "type": "array", "items": { "type": "string" } } })
    );
    assert!(
        published["paths"]["/pets"]["post"]["requestBody"]["content"]["application/json"]["schema"]
            .is_object()
    );
}
