mod document;
mod property;
mod real;
mod shared;

use crate::openapi::{Text, Value, json};

use super::super::Finding;
use super::convert;
use crate::openapi::origins::Converted;

/// A document with one operation, `POST /a`.
fn document(operation: Value, mut more: Value) -> Value {
    let mut document = json!({ "swagger": "2.0", "info": { "title": "T", "version": "1" } });
    document["paths"]["/a"]["post"] = operation;
    let more = std::mem::take(more.as_object_mut().unwrap());
    document.as_object_mut().unwrap().extend(more);
    document
}

/// What `POST /a` becomes.
fn operation(operation: Value, more: Value) -> (Value, Vec<Finding>) {
    let mut converted = convert(document(operation, more));
    let operation = converted.value["paths"]["/a"]["post"].take();
    (operation, converted.report)
}

/// Where something was said, and what was done there.
fn said(report: &[Finding]) -> Vec<(&str, &str)> {
    report
        .iter()
        .map(|f| (f.action.as_str(), f.pointer.as_str()))
        .collect()
}

#[test]
fn the_version_comes_first_and_what_is_not_of_2_0_stays() {
    for version in [json!("2.0"), json!(2.0), json!(2)] {
        let Converted { value, report, .. } = convert(json!({
            "x-a": { "$ref": "#/definitions/A" }, "swagger": version, "info": { "title": "T" },
            "paths": {}, "definitions": { "A": {} }, "tags": [{ "name": "t" }],
            "externalDocs": { "url": "u" }, "security": [{ "k": [] }],
        }));
        assert_eq!(
            value,
            json!({
                "openapi": "3.0.3", "x-a": { "$ref": "#/definitions/A" }, "info": { "title": "T" },
                "paths": {}, "tags": [{ "name": "t" }], "externalDocs": { "url": "u" },
                "security": [{ "k": [] }], "components": { "schemas": { "A": {} } },
            })
        );
        assert_eq!(value.as_object().unwrap().keys().next().unwrap(), "openapi");
        assert_eq!(report, []);
    }
}

/// What a parameter called `p` becomes, which has to be this; gives what was done to it.
fn check_parameter(parameter: &Value, expected: &Value) -> Vec<&'static str> {
    let named = |value: &Value| {
        let mut value = value.clone();
        value["name"] = json!("p");
        value
    };
    let own = json!({ "parameters": [named(parameter)] });
    let (operation, report) = operation(own, json!({}));
    assert_eq!(operation["parameters"][0], named(expected), "{parameter}");
    report.iter().map(|f| f.action.as_str()).collect()
}

#[test]
fn parameters_get_schemas_and_styles() {
    let check = |parameter: Value, expected: Value| check_parameter(&parameter, &expected);
    let list = |format: &str| json!({ "in": "query", "type": "array", "items": { "type": "string" }, "collectionFormat": format });
    let styled = |style: &str, explode: bool| {
        let schema = json!({ "type": "array", "items": { "type": "string" } });
        json!({ "in": "query", "schema": schema, "style": style, "explode": explode })
    };
    check(
        json!({ "in": "query", "type": "integer", "format": "int64", "minimum": 1, "default": 2,
                "enum": [1, 2], "required": true, "description": "d", "allowEmptyValue": true, "x-y": 1 }),
        json!({ "in": "query", "required": true, "description": "d", "allowEmptyValue": true, "x-y": 1,
                "schema": { "type": "integer", "format": "int64", "minimum": 1, "default": 2, "enum": [1, 2] } }),
    );
    check(list("csv"), styled("form", false));
    check(list("multi"), styled("form", true));
    check(list("ssv"), styled("spaceDelimited", false));
    check(list("pipes"), styled("pipeDelimited", false));
    let unknown = check(list("rows"), styled("form", false));
    assert_eq!(unknown, ["simplified"]);
    let text =
        |hint: &str| json!({ "in": "query", "description": hint, "schema": { "type": "string" } });
    let told = check(list("tsv"), text("A list, its items separated by tabs."));
    assert_eq!(told, ["simplified"]);
}

#[test]
fn lists_that_3_0_can_not_write_are_texts_and_the_rest_is_kept() {
    let check = |parameter: Value, expected: Value| check_parameter(&parameter, &expected);
    check(
        json!({ "in": "path", "type": "array", "items": { "type": "string" } }),
        json!({ "in": "path", "schema": { "type": "array", "items": { "type": "string" } } }),
    );
    check(
        json!({ "in": "header", "description": "Ids.", "type": "array", "default": [1, 2], "collectionFormat": "pipes",
                "items": { "type": "integer", "enum": [1, 2] } }),
        json!({ "in": "header", "schema": { "type": "string", "default": "1|2" },
                "description": "Ids. A list, its items separated by pipes (`|`). Each is one of: 1, 2." }),
    );
    check(
        json!({ "in": "query", "collectionFormat": "multi", "type": "array",
                "items": { "type": "array", "collectionFormat": "ssv", "items": { "type": "string" } } }),
        json!({ "in": "query", "style": "form", "explode": true, "schema": { "type": "array", "items": {
                "type": "string", "description": "A list, its items separated by spaces." } } }),
    );
    check(
        json!({ "in": "Query", "x-nullable": true, "type": "string", "x-example": "e" }),
        json!({ "in": "query", "schema": { "type": "string", "nullable": true }, "example": "e" }),
    );
    // As 3.0 writes it.
    check(
        json!({ "in": "query", "schema": { "type": "array" }, "style": "form", "explode": true }),
        json!({ "in": "query", "schema": { "type": "array" }, "style": "form", "explode": true }),
    );
    check(
        json!({ "in": "query", "content": { "application/json": {} }, "type": "string" }),
        json!({ "in": "query", "content": { "application/json": {} }, "type": "string" }),
    );
    check(json!({ "in": "query" }), json!({ "in": "query" }));
    check(
        json!({ "in": "nowhere", "type": [1] }),
        json!({ "in": "nowhere", "type": [1] }),
    );
}

#[test]
fn a_body_parameter_is_a_request_body() {
    let check = |more: Value, own: Value, expected: Value| {
        let (operation, _) = operation(own.clone(), more);
        assert_eq!(operation["requestBody"], expected, "{own}");
        assert_eq!(operation["parameters"], json!([]));
        assert!(operation.get("consumes").is_none());
    };
    let body = json!({ "in": "body", "name": "body", "schema": { "$ref": "#/definitions/A" } });
    let a = json!({ "schema": { "$ref": "#/components/schemas/A" } });
    let definitions = json!({ "definitions": { "A": { "type": "object" } } });
    let with = |more: Value| {
        let mut all = definitions.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    check(
        definitions.clone(),
        json!({ "parameters": [body] }),
        json!({ "content": { "application/json": a } }),
    );
    check(
        with(json!({ "consumes": ["application/xml", "text/json"] })),
        json!({ "parameters": [body] }),
        json!({ "content": { "application/xml": a, "text/json": a } }),
    );
    check(
        with(json!({ "consumes": ["application/xml"] })),
        json!({ "parameters": [body], "consumes": [] }),
        json!({ "content": { "application/json": a } }),
    );
    check(
        definitions.clone(),
        json!({ "consumes": ["application/json"], "parameters": [{
            "in": "body", "name": "pet", "required": true, "description": "d", "x-y": 1,
            "x-examples": { "application/json": { "$ref": "#/definitions/A" } },
            "schema": { "type": "array", "items": { "$ref": "#/definitions/A" } } }] }),
        json!({ "description": "d", "required": true, "x-body-name": "pet", "x-y": 1,
            "content": { "application/json": { "example": { "$ref": "#/definitions/A" },
                "schema": { "type": "array", "items": { "$ref": "#/components/schemas/A" } } } } }),
    );
    check(
        json!({}),
        json!({ "parameters": [{ "in": "body", "name": "body" }] }),
        json!({ "content": { "application/json": {} } }),
    );
    check(
        json!({}),
        json!({ "parameters": [{ "in": "body", "name": "body", "type": "file" }] }),
        json!({ "content": { "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } } }),
    );
}

#[test]
fn form_fields_are_properties_of_a_request_body() {
    let file = json!({ "in": "formData", "name": "f", "type": "file", "description": "A file.", "required": true });
    let text = json!({ "in": "formData", "name": "t", "type": "array", "items": { "type": "string" },
                       "collectionFormat": "multi", "x-y": 1 });
    let check = |consumes: Value, fields: &[&Value], types: &[&str]| {
        let own = json!({ "parameters": fields, "consumes": consumes });
        let (operation, _) = operation(own, json!({}));
        let content = operation["requestBody"]["content"].as_object().unwrap();
        let keys: Vec<&str> = content.keys().map(Text::as_str).collect();
        assert_eq!(keys, types, "{consumes}");
        operation["requestBody"].clone()
    };
    let urlencoded = "application/x-www-form-urlencoded";
    let multipart = "multipart/form-data";
    let body = check(json!(null), &[&text], &[urlencoded]);
    assert_eq!(
        body,
        json!({ "content": { urlencoded: {
        "schema": { "type": "object", "properties": { "t": {
            "type": "array", "items": { "type": "string" }, "x-y": 1 } } },
        "encoding": { "t": { "style": "form", "explode": true } } } } })
    );
    let body = check(json!(null), &[&file, &text], &[multipart]);
    assert_eq!(body["required"], true);
    let schema = &body["content"][multipart]["schema"];
    assert_eq!(schema["required"], json!(["f"]));
    assert_eq!(
        schema["properties"]["f"],
        json!({ "type": "string", "format": "binary", "description": "A file." })
    );
    check(json!(["application/json"]), &[&file], &[multipart]);
    check(json!(["application/json"]), &[&text], &[urlencoded]);
    check(
        json!([urlencoded, multipart]),
        &[&text],
        &[urlencoded, multipart],
    );
    check(json!([urlencoded, multipart]), &[&file], &[multipart]);
    check(json!([urlencoded]), &[&file], &[multipart]);
    check(json!(["multipart/mixed"]), &[&text], &["multipart/mixed"]);
}

#[test]
fn what_can_not_be_said_twice_is_reported() {
    let body = |name: &str| json!({ "in": "body", "name": name, "schema": { "type": "string" } });
    let field = |kind: &str| json!({ "in": "formData", "name": "f", "type": kind });
    let (two, report) = operation(
        json!({ "parameters": [body("body"), body("b")] }),
        json!({}),
    );
    assert_eq!(
        two["requestBody"]["content"]["application/json"]["schema"]["type"],
        "string"
    );
    assert_eq!(
        said(&report),
        [("simplified", "#/paths/~1a/post/parameters/1")]
    );
    let (twice, report) = operation(
        json!({ "parameters": [field("string"), field("integer")] }),
        json!({}),
    );
    let form = "application/x-www-form-urlencoded";
    assert_eq!(
        twice["requestBody"]["content"][form]["schema"]["properties"]["f"]["type"],
        "string"
    );
    assert_eq!(
        said(&report),
        [("simplified", "#/paths/~1a/post/parameters/1")]
    );
    let own = json!({ "parameters": [field("string"), body("b")] });
    let (both, report) = operation(own, json!({ "consumes": ["application/json"] }));
    assert_eq!(
        both["requestBody"],
        json!({ "x-body-name": "b", "content": {
        form: { "schema": { "type": "object", "properties": { "f": { "type": "string" } } } },
        "application/json": { "schema": { "type": "string" } } } })
    );
    assert_eq!(
        said(&report),
        [("simplified", "#/paths/~1a/post/parameters/1")]
    );
    let own = json!({ "parameters": [body("b")], "requestBody": { "content": { "a/b": {} } } });
    let (kept, report) = operation(own, json!({}));
    assert_eq!(kept["requestBody"], json!({ "content": { "a/b": {} } }));
    assert_eq!(
        said(&report),
        [("simplified", "#/paths/~1a/post/parameters/0")]
    );
}

#[test]
fn responses_have_a_schema_for_each_media_type() {
    let check = |more: Value, own: Value, expected: Value| {
        let (operation, _) = operation(
            json!({ "produces": own, "responses": { "200": more } }),
            json!({}),
        );
        assert_eq!(operation["responses"]["200"], expected);
        assert!(operation.get("produces").is_none());
    };
    let text = json!({ "type": "string" });
    check(
        json!({ "description": "d" }),
        json!(null),
        json!({ "description": "d" }),
    );
    check(json!("ok"), json!(null), json!({ "description": "ok" }));
    check(
        json!({ "schema": text }),
        json!([]),
        json!({ "content": { "application/json": { "schema": text } } }),
    );
    check(
        json!({ "schema": text, "x-y": 1, "examples": { "a/b": { "$ref": "#/x" }, "c/d;q=1": 1 } }),
        json!(["a/b", "c/d"]),
        json!({ "x-y": 1, "content": {
            "a/b": { "schema": text, "example": { "$ref": "#/x" } }, "c/d": { "schema": text, "example": 1 } } }),
    );
    check(
        json!({ "schema": text, "examples": { "application/json": 1 } }),
        json!(["a/b"]),
        json!({ "content": { "a/b": { "schema": text }, "application/json": { "schema": text, "example": 1 } } }),
    );
    check(
        json!({ "examples": { "a/b": 1 } }),
        json!(null),
        json!({ "content": { "a/b": { "example": 1 } } }),
    );
    check(
        json!({ "schema": { "type": "file" } }),
        json!(null),
        json!({ "content": { "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } } }),
    );
    check(
        json!({ "schema": { "type": "file" } }),
        json!(["image/png"]),
        json!({ "content": { "image/png": { "schema": { "type": "string", "format": "binary" } } } }),
    );
    check(
        json!({ "content": { "a/b": {} }, "schema": {} }),
        json!(null),
        json!({ "content": { "a/b": {} } }),
    );
    check(
        json!({ "headers": { "X-A": { "type": "integer", "description": "d" }, "X-B": { "schema": text }, "X-C": 1,
            "X-D": { "type": "array", "items": text, "collectionFormat": "csv" } } }),
        json!(null),
        json!({ "headers": { "X-A": { "schema": { "type": "integer" }, "description": "d" },
            "X-B": { "schema": text }, "X-C": 1, "X-D": { "schema": { "type": "array", "items": text } } } }),
    );
}

#[test]
fn schemas_are_put_into_the_words_of_3_0_and_data_stays() {
    let schema = json!({
        "type": "object", "x-nullable": true, "discriminator": "kind", "required": ["kind"],
        "example": { "$ref": "#/definitions/A", "type": "file", "x-nullable": true },
        "default": { "$ref": "#/definitions/A" },
        "enum": [{ "$ref": "#/definitions/A" }],
        "x-data": { "schema": { "$ref": "#/definitions/A" } },
        "properties": {
            "example": { "$ref": "#/definitions/A", "description": "d", "x-nullable": true },
            "default": { "type": "file" },
            "x-thing": { "$ref": "#/definitions/A%20b~1c" },
            "names": { "type": ["string", "null"], "required": true },
            "missing": { "$ref": "#/definitions/Missing" },
        },
    });
    let value = convert(
        json!({ "swagger": "2.0", "paths": {}, "definitions": { "A": schema, "A b/c": {} } }),
    )
    .value;
    let expected = json!({
        "type": "object", "nullable": true, "discriminator": { "propertyName": "kind" }, "required": ["kind"],
        "example": { "$ref": "#/definitions/A", "type": "file", "x-nullable": true },
        "default": { "$ref": "#/definitions/A" },
        "enum": [{ "$ref": "#/definitions/A" }],
        "x-data": { "schema": { "$ref": "#/definitions/A" } },
        "properties": {
            "example": { "$ref": "#/components/schemas/A", "description": "d", "nullable": true },
            "default": { "type": "string", "format": "binary" },
            "x-thing": { "$ref": "#/components/schemas/A b~1c" },
            "names": { "type": ["string", "null"], "required": true },
            "missing": { "$ref": "#/components/schemas/Missing" },
        },
    });
    assert_eq!(value["components"]["schemas"]["A"], expected);
}
