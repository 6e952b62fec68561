mod hostile;
mod names;
mod places;
mod real;
mod split;

use std::collections::HashMap;

use crate::openapi::{Value, json};

use super::{Bundled, Bundler};

/// Bundles files by location, the root first; what is not among them is missing.
#[track_caller]
fn bundle_all(files: &[(&str, Value)]) -> (Bundled, Vec<String>) {
    let by_location: HashMap<&str, &Value> = files.iter().map(|(l, v)| (*l, v)).collect();
    let mut bundler = Bundler::new(files[0].1.clone(), files[0].0);
    let mut asked = Vec::new();
    loop {
        let wanted = bundler.wanted();
        if wanted.is_empty() {
            break;
        }
        for location in wanted {
            assert!(!asked.contains(&location), "{location} is asked for twice");
            let content = by_location.get(location.as_str()).copied().cloned();
            bundler.supply(
                &location,
                content.ok_or_else(|| "there is no such file".to_owned()),
            );
            asked.push(location);
        }
    }
    (bundler.finish(), asked)
}

#[track_caller]
fn bundle(files: &[(&str, Value)]) -> Value {
    let (bundled, _) = bundle_all(files);
    assert_eq!(bundled.report, [], "{:#}", bundled.value);
    bundled.value
}

/// A document with this as the schema `S`.
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn with_schema(schema: Value) -> Value {
    json!({ "openapi": "3.1.0", "components": { "schemas": { "S": schema } } })
}

fn lines(bundled: &Bundled) -> Vec<String> {
    let line =
        |f: &crate::openapi::Finding| format!("{} {} {}", f.pointer, f.action.as_str(), f.message);
    bundled.report.iter().map(line).collect()
}

#[test]
fn a_document_alone_is_untouched() {
    let root = json!({ "paths": { "/x": { "get": { "responses": { "200": {
        "schema": { "$ref": "#/definitions/X" }, "examples": { "a/b": { "$ref": "x.yaml" } },
    } } } } }, "definitions": { "X": { "default": { "$ref": "y.yaml" } } } });
    let (bundled, asked) = bundle_all(&[("a.yaml", root.clone())]);
    assert_eq!(bundled.value, root);
    assert_eq!(bundled.origins, crate::openapi::Origins::default());
    assert!(asked.is_empty());
}

#[test]
fn what_the_root_says_of_files_is_not_believed() {
    let root = json!({ "x-plugway-files": { "Pet": { "type": "string" } }, "paths": {} });
    assert_eq!(bundle(&[("a.yaml", root)]), json!({ "paths": {} }));
}

#[test]
fn references_resolve_against_their_own_file() {
    let value = bundle(&[
        (
            "s/a.yaml",
            with_schema(json!({ "allOf": [
            { "$ref": "x/pet.yaml" },
            { "$ref": "../common.json#/definitions/Err%20or" },
            { "$ref": "x\\pet.yaml#/properties/a" },
            { "$ref": "a.yaml#/components/schemas/S" },
            { "$ref": "x/pet.yaml#named" },
            { "$ref": "\u{feff} ./x/pet.yaml# " },
            { "$ref": "/components/schemas/S" },
        ] })),
        ),
        (
            "s/x/pet.yaml",
            json!({ "properties": {
            "a": { "$ref": "#/properties/b" }, "b": { "$ref": "../a.yaml#/components/schemas/S" },
            "c": { "$ref": "other%7Bid%7D.yaml" }, "d": { "$anchor": "named" }, "e": { "$ref": "#named" },
            "f": { "$ref": "#" }, "g": { "$dynamicRef": "#named" },
        } }),
        ),
        ("s/x/other{id}.yaml", json!({ "$ref": "last.yaml" })),
        ("s/x/last.yaml", json!({ "$ref": "pet.yaml" })),
        (
            "common.json",
            json!({ "openapi": "3.0.0", "paths": { "/unused": { "$ref": "unused.yaml" } },
            "definitions": { "Err or": { "items": { "$ref": "#/definitions/100%25" } }, "100%": {}, "Unused": {} } }),
        ),
    ]);
    assert_eq!(
        value,
        json!({ "openapi": "3.1.0",
            "components": { "schemas": { "S": { "allOf": [
                { "$ref": "#/x-plugway-files/pet" },
                { "$ref": "#/x-plugway-files/common/definitions/Err or" },
                { "$ref": "#/x-plugway-files/pet/properties/a" },
                { "$ref": "#/components/schemas/S" },
                { "$ref": "#/x-plugway-files/pet/properties/d" },
                { "$ref": "#/x-plugway-files/pet" },
                { "$ref": "#/components/schemas/S" },
            ] } } },
            "x-plugway-files": {
                "pet": { "properties": {
                    "a": { "$ref": "#/x-plugway-files/pet/properties/b" }, "b": { "$ref": "#/components/schemas/S" },
                    "c": { "$ref": "#/x-plugway-files/other_id" }, "d": { "$anchor": "named" },
                    "e": { "$ref": "#/x-plugway-files/pet/properties/d" }, "f": { "$ref": "#/x-plugway-files/pet" },
                    "g": { "$dynamicRef": "#/x-plugway-files/pet/properties/d" },
                } },
                "common": { "definitions": {
                    "Err or": { "items": { "$ref": "#/x-plugway-files/common/definitions/100%25" } }, "100%": {} } },
                "other_id": { "$ref": "#/x-plugway-files/last" },
                "last": { "$ref": "#/x-plugway-files/pet" },
            },
        })
    );
}

#[test]
fn path_items_are_embedded() {
    let root = json!({ "openapi": "3.0.0", "paths": {
        "/a": { "$ref": "paths/a.yaml", "summary": "of the root" },
        "/b": { "$ref": "paths/all.yaml#/~1b" },
        "/c": { "$ref": "paths/a.yaml" },
    } });
    let (bundled, _) = bundle_all(&[
        ("s/root.yaml", root),
        (
            "s/paths/a.yaml",
            json!({ "$ref": "next.yaml", "summary": "of a", "put": { "$ref": "#/x" }, "x": {} }),
        ),
        (
            "s/paths/next.yaml",
            json!({ "summary": "of next", "get": { "requestBody": { "$ref": "body.yaml" } } }),
        ),
        (
            "s/paths/all.yaml",
            json!({ "/b": { "get": { "responses": { "200": { "$ref": "#/ok" } } } }, "ok": { "description": "" } }),
        ),
        ("s/paths/body.yaml", json!({ "content": {} })),
    ]);
    assert_eq!(bundled.report, []);
    let paths = &bundled.value["paths"];
    assert_eq!(
        paths["/a"],
        json!({
        "summary": "of the root", "get": { "requestBody": { "$ref": "#/x-plugway-files/body" } },
        "put": { "$ref": "#/x-plugway-files/a/x" }, "x": {} })
    );
    assert_eq!(
        paths["/b"],
        json!({ "get": { "responses": { "200": { "$ref": "#/x-plugway-files/all/ok" } } } })
    );
    assert_eq!(paths["/c"]["summary"], "of a");
    assert_eq!(
        bundled.value["x-plugway-files"],
        json!({
        "a": { "x": {} }, "all": { "ok": { "description": "" } }, "body": { "content": {} } })
    );
    let origins = [
        ("#/paths/~1a/summary", "#/paths/~1a/summary"),
        ("#/paths/~1a/put/x", "s/paths/a.yaml#/put/x"),
        (
            "#/paths/~1a/get/requestBody",
            "s/paths/next.yaml#/get/requestBody",
        ),
        ("#/paths/~1b", "s/paths/all.yaml#/~1b"),
        ("#/paths/~1c/summary", "s/paths/a.yaml#/summary"),
        (
            "#/x-plugway-files/body/content",
            "s/paths/body.yaml#/content",
        ),
        ("#/openapi", "#/openapi"),
    ];
    for (new, old) in origins {
        assert_eq!(bundled.origins.of(new), old);
    }
}

#[test]
fn what_components_only_refer_to_stands_there() {
    let (bundled, _) = bundle_all(&[
        (
            "root.yaml",
            json!({ "openapi": "3.0.0",
            "paths": { "$ref": "paths.yaml" },
            "components": {
                "schemas": { "$ref": "schemas/_index.yaml" },
                "parameters": { "Page": { "$ref": "params.yaml#/page" }, "Again": { "$ref": "params.yaml#/page" } },
            } }),
        ),
        (
            "paths.yaml",
            json!({ "/a": { "$ref": "paths/a.yaml" }, "/b": { "summary": "b" } }),
        ),
        (
            "paths/a.yaml",
            json!({ "parameters": [{ "$ref": "../params.yaml#/page" }],
            "get": { "responses": { "200": { "content": { "a/b": { "schema": { "$ref": "../schemas/Pet.yaml" } } } } } } }),
        ),
        (
            "schemas/_index.yaml",
            json!({ "Pet": { "$ref": "./Pet.yaml" }, "Tag": { "type": "string" } }),
        ),
        (
            "schemas/Pet.yaml",
            json!({ "properties": { "tag": { "$ref": "_index.yaml#/Tag" }, "mate": { "$ref": "#" } } }),
        ),
        (
            "params.yaml",
            json!({ "page": { "name": "page" }, "unused": {} }),
        ),
    ]);
    assert_eq!(bundled.report, []);
    assert_eq!(
        bundled.value,
        json!({ "openapi": "3.0.0",
        "paths": {
            "/a": { "parameters": [{ "$ref": "#/components/parameters/Page" }],
                "get": { "responses": { "200": { "content": { "a/b": {
                    "schema": { "$ref": "#/components/schemas/Pet" } } } } } } },
            "/b": { "summary": "b" } },
        "components": {
            "schemas": {
                "Pet": { "properties": {
                    "tag": { "$ref": "#/components/schemas/Tag" }, "mate": { "$ref": "#/components/schemas/Pet" } } },
                "Tag": { "type": "string" } },
            "parameters": { "Page": { "name": "page" }, "Again": { "$ref": "#/components/parameters/Page" } } } })
    );
    assert_eq!(
        bundled.origins.of("#/components/schemas/Pet/properties"),
        "schemas/Pet.yaml#/properties"
    );
    assert_eq!(
        bundled.origins.of("#/components/schemas/Tag"),
        "schemas/_index.yaml#/Tag"
    );
    assert_eq!(bundled.origins.of("#/paths/~1a/get"), "paths/a.yaml#/get");
    assert_eq!(bundled.origins.of("#/paths/~1b"), "paths.yaml#/~1b");
}

#[test]
fn what_is_missing_is_said_once() {
    let root = with_schema(json!({ "allOf": [
        { "$ref": "gone.yaml" }, { "$ref": "gone.yaml#/x" }, { "$ref": "pet.yaml#/nothing" },
        { "$ref": "http://[" }, { "$ref": "pet.yaml" },
    ] }));
    let (bundled, asked) = bundle_all(&[
        ("a.yaml", root.clone()),
        (
            "pet.yaml",
            json!({ "items": { "$ref": "gone.yaml" }, "not": { "$ref": "#/nothing" },
            "contains": { "$ref": "#/components/schemas/S" } }),
        ),
    ]);
    assert_eq!(asked, ["gone.yaml", "pet.yaml"]);
    assert_eq!(
        lines(&bundled),
        [
            "#/components/schemas/S/allOf/0/$ref simplified `gone.yaml` can not be had: there is no such file (3 references)",
            "#/components/schemas/S/allOf/3/$ref simplified the reference `http://[` names no file",
            "#/components/schemas/S/allOf/2/$ref simplified the reference to `pet.yaml#/nothing` leads nowhere (2 references)",
            "pet.yaml#/contains/$ref repaired `#/components/schemas/S` is not in `pet.yaml`; that of the root document is meant",
        ]
    );
    let mut expected = root;
    expected["components"]["schemas"]["S"]["allOf"][4] = json!({ "$ref": "#/x-plugway-files/pet" });
    expected["x-plugway-files"] = json!({ "pet": { "items": { "$ref": "gone.yaml" },
        "not": { "$ref": "#/nothing" }, "contains": { "$ref": "#/components/schemas/S" } } });
    assert_eq!(bundled.value, expected);
}

#[test]
fn names_and_ids_are_no_files() {
    let root = json!({ "openapi": "3.2.0", "$self": "https://host/api.yaml", "components": { "schemas": {
        "Acme.Pet": { "$id": "https://ids/pet", "properties": { "a": {} } },
        "S": { "allOf": [
            { "$ref": "Acme.Pet" }, { "$ref": "https://ids/pet" }, { "$ref": "https://ids/pet#/properties/a" },
            { "$ref": "https://host/api.yaml#/components/schemas/S" }, { "$ref": "api.yaml#/components" },
            { "$ref": "x.yaml" },
        ] },
    } } });
    let value = bundle(&[
        ("local/copy.yaml", root),
        (
            "local/x.yaml",
            json!({ "definitions": { "Own": { "$id": "own.json" } }, "allOf": [
            { "$ref": "Own" }, { "$ref": "own.json" }, { "$ref": "https://ids/pet" }, { "$ref": "S" },
        ] }),
        ),
    ]);
    let refs = |value: &Value| -> Vec<String> {
        value["allOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["$ref"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        refs(&value["components"]["schemas"]["S"]),
        [
            "Acme.Pet",
            "https://ids/pet",
            "#/components/schemas/Acme.Pet/properties/a",
            "#/components/schemas/S",
            "#/components",
            "#/x-plugway-files/x",
        ]
    );
    let own = "#/x-plugway-files/x/definitions/Own";
    assert_eq!(
        refs(&value["x-plugway-files"]["x"]),
        [own, own, "https://ids/pet", "S"]
    );
}

#[test]
fn mappings_are_names_or_references() {
    let mapping = json!({ "a": "Dog", "b": "Dog.yaml", "c": "#/components/schemas/Dog", "d": "Cat.v2", "e": "x/y.json" });
    let root = json!({ "components": { "schemas": { "Dog": {}, "Cat.v2": {},
        "S": { "discriminator": { "propertyName": "t", "mapping": mapping, "defaultMapping": "z.yml" } } } } });
    let value = bundle(&[
        ("a.yaml", root),
        (
            "Dog.yaml",
            json!({ "discriminator": { "mapping": { "a": "Dog", "b": "#", "c": "Own" } }, "definitions": { "Own": {} } }),
        ),
        ("x/y.json", json!({})),
        ("z.yml", json!({})),
    ]);
    let found = &value["components"]["schemas"]["S"]["discriminator"];
    assert_eq!(
        found["mapping"],
        json!({ "a": "Dog", "b": "#/x-plugway-files/Dog",
        "c": "#/components/schemas/Dog", "d": "Cat.v2", "e": "#/x-plugway-files/y" })
    );
    assert_eq!(found["defaultMapping"], "#/x-plugway-files/z");
    assert_eq!(
        value["x-plugway-files"]["Dog"]["discriminator"]["mapping"],
        json!({ "a": "Dog",
        "b": "#/x-plugway-files/Dog", "c": "#/x-plugway-files/Dog/definitions/Own" })
    );
}

#[test]
fn a_pointer_may_lead_through_a_reference() {
    let value = bundle(&[
        (
            "a.yaml",
            with_schema(json!({ "items": { "$ref": "b.yaml#/Pet/properties/x" } })),
        ),
        ("b.yaml", json!({ "Pet": { "$ref": "c.yaml" } })),
        (
            "c.yaml",
            json!({ "properties": { "x": { "$ref": "d.yaml" } } }),
        ),
        ("d.yaml", json!({ "type": "string" })),
    ]);
    let found = super::super::pointer::resolve(&value, "#/components/schemas/S/items/$ref");
    let reference = found.unwrap().value.as_str().unwrap();
    let target = super::super::pointer::resolve(&value, reference).unwrap();
    assert_eq!(target.value, &json!({ "$ref": "#/x-plugway-files/d" }));
}
