use crate::openapi::json;
use proptest::prelude::*;

use super::*;
use crate::openapi::{Api, ReadLimits, Selection, load, read};

/// Lines of a report, such as `skipped #/paths: why`.
fn lines(report: &[Finding]) -> Vec<String> {
    let line = |f: &Finding| format!("{} {}: {}", f.action.as_str(), f.pointer, f.message);
    report.iter().map(line).collect()
}

/// A document with one operation, `GET /a`, and more.
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn document(operation: Value, more: Value) -> Value {
    let mut document = json!({ "openapi": "3.2.0", "info": { "title": "T", "version": "1" },
        "paths": { "/a": { "get": operation } } });
    for (name, value) in more.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

/// What becomes of `GET /a`, and the report.
#[track_caller]
fn operation(operation: Value, more: Value) -> (Value, Vec<String>, Origins) {
    let Converted {
        mut value,
        origins,
        report,
    } = convert(document(operation, more));
    assert_eq!(value["openapi"], "3.1.0");
    let operation = value["paths"]["/a"]["get"].take();
    (operation, lines(&report), origins)
}

/// What becomes of a schema, and how many lines are said of it.
#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn schema(before: Value, after: Value, said: usize) {
    let body = json!({ "content": { "application/json": { "schema": before } } });
    let (found, report, _) = operation(json!({ "requestBody": body }), json!({}));
    let found = &found["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(*found, after);
    assert_eq!(report.len(), said, "{report:?}");
}

/// A document of `tests/specs`.
fn spec(name: &str) -> Value {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs");
    let bytes = std::fs::read(root.join(name)).unwrap();
    read(&bytes, &ReadLimits::default()).unwrap()
}

/// Converts and loads a document of `tests/specs`.
fn loaded(name: &str) -> (Api, Vec<String>) {
    let Converted { value, report, .. } = convert(spec(name));
    let api = load(value, &Selection::default()).unwrap();
    (api, lines(&report))
}

#[test]
fn methods_that_3_1_has_move_to_their_place() {
    let item = json!({ "parameters": [],
        "query": { "operationId": "find", "responses": {} },
        "get": { "summary": "there" },
        "additionalOperations": { "POST": { "operationId": "add" }, "Get": {}, "COPY": {}, "QUERY": 1 } });
    let mut given = document(json!({}), json!({}));
    given["paths"]["/a"] = item;
    let Converted {
        value,
        origins,
        report,
    } = convert(given);
    let expected = json!({ "parameters": [], "get": { "summary": "there" }, "post": { "operationId": "add" } });
    assert_eq!(value["paths"]["/a"], expected);
    let at = "#/paths/~1a/additionalOperations/POST";
    assert_eq!(origins.of("#/paths/~1a/post/tags"), format!("{at}/tags"));
    let expected = [
        "skipped #/paths/~1a/query: `find` has the method QUERY, which OpenAPI 3.1 can not say",
        "repaired #/paths/~1a/additionalOperations/POST: `POST` stands in `additionalOperations`, \
         and is read as `post` of the path",
        "skipped #/paths/~1a/additionalOperations/Get: the path has GET already",
        "skipped #/paths/~1a/additionalOperations/COPY: its method is COPY, which OpenAPI 3.1 can \
         not say",
        "skipped #/paths/~1a/additionalOperations/QUERY: its method is QUERY, which OpenAPI 3.1 \
         can not say",
    ];
    assert_eq!(lines(&report), expected);
}

#[test]
fn a_query_string_becomes_a_parameter_or_goes() {
    let form = |schema: Value| {
        json!({ "name": "q", "in": "querystring", "required": true, "content": {
            "application/x-www-form-urlencoded": { "schema": schema,
                "examples": { "e": { "dataValue": { "a": 1 }, "serializedValue": "a=1" } } } } })
    };
    let json_query =
        json!({ "name": "j", "in": "querystring", "content": { "application/json": {} } });
    let page = json!({ "name": "page", "in": "header", "schema": {} });
    let given = json!({ "parameters": [json_query, form(json!({ "$ref": "#/components/schemas/Q" })), page,
        form(json!({ "type": "string" })), { "$ref": "#/components/parameters/Json" }] });
    let more = json!({ "components": { "schemas": { "Q": { "type": "object" } },
        "parameters": { "Json": { "name": "j", "in": "querystring", "content": { "text/plain; x=y": {} } } } } });
    let (found, report, origins) = operation(given, more);
    let expected = json!({ "parameters": [
        { "name": "q", "in": "query", "required": true, "style": "form", "explode": true,
            "schema": { "$ref": "#/components/schemas/Q" }, "examples": { "e": { "value": { "a": 1 } } } },
        page,
    ] });
    assert_eq!(found, expected);
    let at = "#/paths/~1a/get/parameters";
    let media_type = format!("{at}/1/content/application~1x-www-form-urlencoded");
    assert_eq!(
        origins.of(&format!("{at}/0/schema/type")),
        format!("{media_type}/schema/type")
    );
    assert_eq!(origins.of(&format!("{at}/1/name")), format!("{at}/2/name"));
    let left_out = |index: usize, why: &str| {
        format!(
            "simplified {at}/{index}: it is the whole query string, and {why}, which OpenAPI 3.1 \
             can not say; it is left out"
        )
    };
    let expected = [
        left_out(0, "its media type is `application/json`"),
        format!(
            "repaired {at}/1: it is the whole query string, and becomes a query parameter that is \
             an object in the style `form`, exploded"
        ),
        format!(
            "simplified {media_type}/examples/e: OpenAPI 3.1 has no `serializedValue` here; left \
             out of what is published"
        ),
        left_out(3, "its schema is not that of an object"),
        left_out(4, "its media type is `text/plain; x=y`"),
    ];
    assert_eq!(report, expected);
}

#[test]
fn a_sequence_is_described_as_a_list() {
    let part = json!({ "multipart/mixed": { "itemSchema": { "type": "string" }, "itemEncoding": {} },
        "application/jsonl": { "schema": { "type": "array" }, "itemSchema": {} },
        "application/json": { "$ref": "#/components/mediaTypes/Log" },
        "text/plain": { "$ref": "#/nowhere" } });
    let given = json!({ "responses": { "200": { "summary": "Fine", "content": part } } });
    let more = json!({ "components": { "mediaTypes": {
        "Log": { "$ref": "#/components/mediaTypes/Entries" },
        "Entries": { "itemSchema": { "type": "integer", "xml": { "nodeType": "cdata" } } } } } });
    let (found, report, origins) = operation(given, more);
    let expected = json!({ "responses": { "200": { "description": "Fine", "content": {
        "multipart/mixed": { "schema": { "type": "array", "items": { "type": "string" } } },
        "application/jsonl": { "schema": { "type": "array" } },
        "application/json": { "schema": { "type": "array", "items": { "type": "integer", "xml": {} } } },
        "text/plain": {} } } } });
    assert_eq!(found, expected);
    let at = "#/paths/~1a/get/responses/200/content";
    let origin = |place: &str| origins.of(&format!("{at}/{place}"));
    assert_eq!(
        origin("multipart~1mixed/schema/items/type"),
        format!("{at}/multipart~1mixed/itemSchema/type")
    );
    assert_eq!(
        origin("application~1json/schema/items/type"),
        "#/components/mediaTypes/Entries/itemSchema/type"
    );
    let list = "it is a sequence of items, and is described as a list of them";
    let no =
        |name: &str| format!("OpenAPI 3.1 has no `{name}` here; left out of what is published");
    let expected = [
        format!("simplified {at}/multipart~1mixed/itemSchema: {list}"),
        format!("simplified {at}/multipart~1mixed: {}", no("itemEncoding")),
        format!("simplified {at}/application~1jsonl: {}", no("itemSchema")),
        format!("simplified #/components/mediaTypes/Entries/itemSchema: {list}"),
        format!(
            "simplified #/components/mediaTypes/Entries/itemSchema/xml: {}",
            no("nodeType")
        ),
        format!("simplified {at}/text~1plain: the reference `#/nowhere` leads to no media type"),
    ];
    assert_eq!(report, expected);
}

#[test]
fn schemas_say_what_3_1_has_words_for() {
    let xml = |node: &str| json!({ "xml": { "nodeType": node, "name": "n" } });
    schema(
        xml("attribute"),
        json!({ "xml": { "name": "n", "attribute": true } }),
        0,
    );
    schema(xml("element"), json!({ "xml": { "name": "n" } }), 0);
    schema(xml("text"), json!({ "xml": { "name": "n" } }), 1);
    schema(
        json!({ "type": ["array", "null"], "xml": { "nodeType": "element" } }),
        json!({ "type": ["array", "null"], "xml": { "wrapped": true } }),
        0,
    );
    schema(
        json!({ "oneOf": [{ "discriminator": { "propertyName": "p", "defaultMapping": "X" } }] }),
        json!({ "oneOf": [{ "discriminator": { "propertyName": "p" } }] }),
        1,
    );
    // Data is no schema.
    for name in ["example", "default", "const", "x-y"] {
        schema(
            json!({ name: xml("attribute"), "examples": [xml("text")], "enum": [xml("text")] }),
            json!({ name: xml("attribute"), "examples": [xml("text")], "enum": [xml("text")] }),
            0,
        );
    }
    schema(
        json!({ "properties": { "example": xml("text"), "enum": xml("attribute") } }),
        json!({ "properties": { "example": { "xml": { "name": "n" } },
            "enum": { "xml": { "name": "n", "attribute": true } } } }),
        1,
    );
}

#[test]
fn parameters_and_examples() {
    let cases = [
        (
            json!({ "in": "cookie", "style": "cookie" }),
            json!({ "in": "cookie", "style": "form" }),
            1,
        ),
        (
            json!({ "in": "path", "allowReserved": true }),
            json!({ "in": "path" }),
            1,
        ),
        (
            json!({ "in": "path", "allowReserved": false }),
            json!({ "in": "path" }),
            0,
        ),
        (
            json!({ "in": "query", "allowReserved": true, "allowEmptyValue": true }),
            json!({ "in": "query", "allowReserved": true, "allowEmptyValue": true }),
            0,
        ),
        (
            json!({ "in": "query", "examples": { "a": { "serializedValue": "x" }, "b": { "dataValue": 1 },
                "c": { "value": { "dataValue": 2 } }, "d": { "externalValue": "u", "dataValue": 1 } } }),
            json!({ "in": "query", "examples": { "a": { "value": "x" }, "b": { "value": 1 },
                "c": { "value": { "dataValue": 2 } }, "d": { "externalValue": "u" } } }),
            1,
        ),
        (
            json!({ "in": "query", "example": { "dataValue": 1 }, "x-a": { "dataValue": 1 } }),
            json!({ "in": "query", "example": { "dataValue": 1 }, "x-a": { "dataValue": 1 } }),
            0,
        ),
    ];
    for (before, after, said) in cases {
        let (found, report, _) = operation(json!({ "parameters": [before] }), json!({}));
        assert_eq!(found["parameters"][0], after);
        assert_eq!(report.len(), said, "{report:?}");
    }
}

#[test]
fn the_top_of_the_document() {
    let more = json!({ "$self": "https://a.example/api", "jsonSchemaDialect": "https://spec.openapis.org/oas/3.2/dialect/2025-09-17",
        "servers": [{ "url": "/", "name": "n" }],
        "tags": [{ "name": "a", "summary": "A" }, { "name": "b", "summary": "B", "description": "b", "kind": "nav", "parent": "a" }, 1],
        "security": [{ "https://a.example/api#/components/securitySchemes/s~1t": ["x"] }, { "k": [] }],
        "components": { "schemas": { "S": { "xml": { "nodeType": "attribute" } } },
            "securitySchemes": { "s/t": { "type": "oauth2", "deprecated": true,
            "flows": { "deviceAuthorization": {}, "implicit": {} } } } } });
    let body = json!({ "content": { "a/b": { "schema": { "$ref": "https://a.example/api#/components/schemas/S" } } } });
    let converted = convert(document(json!({ "requestBody": body }), more));
    let value = converted.value;
    assert!(value.get("$self").is_none() && value.get("jsonSchemaDialect").is_none());
    assert_eq!(value["servers"], json!([{ "url": "/" }]));
    assert_eq!(
        value["tags"],
        json!([{ "name": "a", "description": "A" }, { "name": "b", "description": "b" }, 1])
    );
    assert_eq!(value["security"], json!([{ "s/t": ["x"] }, { "k": [] }]));
    assert_eq!(
        value["components"],
        json!({ "schemas": { "S": { "xml": { "attribute": true } } },
            "securitySchemes": { "s/t": { "type": "oauth2", "flows": { "implicit": {} } } } })
    );
    let body = &value["paths"]["/a"]["get"]["requestBody"]["content"]["a/b"]["schema"];
    assert_eq!(*body, json!({ "$ref": "#/components/schemas/S" }));
    let expected = [
        "noted #/$self: OpenAPI 3.1 has no `$self`; references to it are written as local ones",
        "simplified #/servers/0: OpenAPI 3.1 has no `name` here; left out of what is published",
        "simplified #/tags/1: OpenAPI 3.1 has no `summary`, `parent` and `kind` here; left out of \
         what is published",
        "simplified #/components/securitySchemes/s~1t: OpenAPI 3.1 has no `deprecated` here; left \
         out of what is published",
        "simplified #/components/securitySchemes/s~1t/flows: OpenAPI 3.1 has no \
         `deviceAuthorization` here; left out of what is published",
    ];
    assert_eq!(lines(&converted.report), expected);
}

/// What a place is, is said by the reference to it.
#[test]
fn references_are_followed_by_what_they_stand_for() {
    let files = json!({ "0": { "item": { "$ref": "#/x-plugway-files/1" } },
        "1": { "query": {}, "get": { "parameters": [{ "$ref": "#/x-plugway-files/2/p" }],
            "responses": { "200": { "$ref": "#/x-plugway-files/2/r" } } } },
        "2": { "p": { "in": "path", "allowReserved": true, "schema": { "$ref": "#/x-plugway-files/2/s" } },
            "r": { "summary": "R" }, "s": { "items": { "$ref": "#/x-plugway-files/2/s" }, "xml": { "nodeType": "attribute" } },
            "unused": { "summary": "R" } } });
    let mut given = document(json!({}), json!({ "x-plugway-files": files }));
    given["paths"]["/a"] = json!({ "$ref": "#/x-plugway-files/0/item" });
    let Converted { value, report, .. } = convert(given);
    let expected = json!({ "0": { "item": { "$ref": "#/x-plugway-files/1" } },
        "1": { "get": { "parameters": [{ "$ref": "#/x-plugway-files/2/p" }],
            "responses": { "200": { "$ref": "#/x-plugway-files/2/r" } } } },
        "2": { "p": { "in": "path", "schema": { "$ref": "#/x-plugway-files/2/s" } },
            "r": { "description": "R" }, "s": { "items": { "$ref": "#/x-plugway-files/2/s" }, "xml": { "attribute": true } },
            "unused": { "summary": "R" } } });
    assert_eq!(value["x-plugway-files"], expected);
    assert_eq!(report.len(), 2, "{report:?}");
}

#[test]
fn real_documents() {
    let (api, report) = loaded("redocly-cafe-3.2.yaml");
    assert_eq!((api.operations.len(), report.len()), (12, 0), "{report:?}");
    let (api, report) = loaded("oai-tags-3.2.yaml");
    assert_eq!(api.operations.len(), 4);
    assert!(
        report.iter().all(|line| line.contains("#/tags/")),
        "{report:?}"
    );
    let (api, report) = loaded("redocly-oas32-features.yaml");
    // QUERY /products and TEST /products are left out.
    let paths: Vec<&str> = api.operations.iter().map(|o| o.path.as_str()).collect();
    assert_eq!(paths, ["/giftcards", "/stream", "/thing"]);
    insta::assert_snapshot!(report.join("\n"));
}

#[test]
fn a_document_that_refers_much_stays_small() {
    // Each use of a media type is a copy.
    let large: Vec<Value> = (0..1000).map(Value::from).collect();
    let content = json!({ "content": { "a/b": { "$ref": "#/components/mediaTypes/M" } } });
    let paths: Map = (0..2000)
        .map(|n| {
            (
                format!("/{n}"),
                json!({ "get": { "requestBody": content } }),
            )
        })
        .collect();
    let given = document(
        json!({}),
        json!({ "paths": paths, "components": { "mediaTypes": { "M": { "schema": { "enum": large } } } } }),
    );
    let Converted { value, report, .. } = convert(given);
    assert!(measure(&value).nodes < 600_000);
    assert!(lines(&report)[0].contains("makes the document too large"));
}

/// Keys that mean something, also in the wrong place.
const NAMES: &[&str] = &[
    "$ref",
    "$self",
    "additionalOperations",
    "query",
    "get",
    "POST",
    "parameters",
    "in",
    "name",
    "content",
    "schema",
    "itemSchema",
    "itemEncoding",
    "examples",
    "dataValue",
    "serializedValue",
    "responses",
    "summary",
    "xml",
    "nodeType",
    "discriminator",
    "mapping",
    "defaultMapping",
    "style",
    "items",
    "properties",
    "allOf",
    "application/x-www-form-urlencoded",
    "servers",
    "security",
    "tags",
    "flows",
    "deviceAuthorization",
    "encoding",
    "headers",
    "type",
];
/// Texts that mean something in the wrong place.
const TEXTS: &[&str] = &[
    "#/components/schemas/A",
    "#/paths/~1a/get",
    "#/paths/~1a",
    "#",
    "#/",
    "querystring",
    "cookie",
    "object",
    "array",
    "attribute",
    "element",
    "#/components/mediaTypes/A/schema",
    "",
];

/// A hostile value: members that mean something, with values of any type.
fn hostile() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop::sample::select(TEXTS).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        any::<i8>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..6).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                Value::Object(members.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_panics_and_twice_is_once(item in hostile(), part in hostile(), own in hostile(), whole in hostile()) {
        let more = json!({ "$self": own, "servers": own, "tags": own, "security": own,
            "components": { "schemas": { "A": part }, "mediaTypes": { "A": part }, "securitySchemes": part } });
        let mut given = document(item.clone(), more);
        given["paths"]["/b"] = item;
        let once = convert(given).value;
        let twice = convert(once.clone()).value;
        prop_assert_eq!(&once, &twice);
        prop_assert!(load(once, &Selection::default()).is_ok());
        drop(convert(whole));
    }
}
