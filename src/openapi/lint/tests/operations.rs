//! Rules of operations, parameters and bodies.

use crate::openapi::{Map, Value, json};

use super::super::Profile::{Actions, Copilot, Plugin, SecurityCopilot};
use super::*;

#[test]
fn texts_of_operations_and_parameters() {
    for name in ["summary", "description"] {
        let at = format!("/{name}");
        operation(Plugin, &at, long(200), &[]);
        operation(
            Plugin,
            &at,
            long(201),
            &[&format!("warning operation-text @/{name}")],
        );
        operation(Actions, &at, long(300), &[]);
        operation(
            Actions,
            &at,
            long(301),
            &[&format!("error operation-text @/{name}")],
        );
        operation(Copilot, &at, long(4_000), &[]);
        operation(
            Copilot,
            &at,
            long(4_001),
            &[&format!("error operation-text @/{name}")],
        );
        operation(SecurityCopilot, &at, long(9_000), &[]);
    }
    let at = "/parameters/1/description";
    operation(Plugin, at, long(200), &[]);
    operation(
        Plugin,
        at,
        long(201),
        &["warning parameter-text @/parameters/1/description"],
    );
    operation(Actions, at, long(700), &[]);
    operation(
        Actions,
        at,
        long(701),
        &["error parameter-text @/parameters/1/description"],
    );
    operation(
        Copilot,
        at,
        long(4_001),
        &["error parameter-text @/parameters/1/description"],
    );
    operation(SecurityCopilot, at, long(9_000), &[]);
}

#[test]
fn authentication_by_the_document() {
    let scheme = "/components/securitySchemes/bearerAuth";
    let actions = format!("error auth-kind /openapi.json#{scheme}");
    let copilot = format!("error auth-kind /openapi-3.0.json#{scheme}");
    let key = |place: &str| json!({ "type": "apiKey", "in": place, "name": "X-API-Key" });
    documents(Actions, scheme, key("header"), &[]);
    documents(Actions, scheme, key("query"), &[&actions]);
    documents(Copilot, scheme, key("query"), &[]);
    documents(Copilot, scheme, key("cookie"), &[&copilot]);
    for profile in [Plugin, SecurityCopilot] {
        documents(
            profile,
            scheme,
            key("header"),
            &["error auth-header /.well-known/ai-plugin.json#/auth"],
        );
    }
    let http = |word: &str| json!({ "type": "http", "scheme": word });
    documents(Actions, scheme, http("Basic"), &[]);
    documents(Copilot, scheme, http("basic"), &[&copilot]);
    documents(Actions, scheme, http("digest"), &[&actions]);
    let code = |host: &str| {
        let url = |path: &str| format!("https://{host}/{path}");
        let flow = json!({ "authorizationUrl": url("a"), "tokenUrl": url("t"), "scopes": {} });
        json!({ "type": "oauth2", "flows": { "authorizationCode": flow } })
    };
    documents(Actions, scheme, code("login.example.com"), &[]);
    documents(Actions, scheme, code("accounts.google.com"), &[]);
    let flow = format!("error oauth-domain /openapi.json#{scheme}/flows/authorizationCode");
    let both = [
        format!("{flow}/authorizationUrl"),
        format!("{flow}/tokenUrl"),
    ];
    documents(
        Actions,
        scheme,
        code("notgoogle.com"),
        &[&both[0], &both[1]],
    );
    documents(Copilot, scheme, code("login.example.org"), &[]);
    let other = json!({ "type": "oauth2", "flows": { "clientCredentials": { "tokenUrl": "https://example.com" } } });
    documents(Actions, scheme, other, &[&actions]);
}

#[test]
fn security_of_operations() {
    operation(
        Actions,
        "/security",
        Value::Null,
        &["warning security-missing @"],
    );
    operation(Copilot, "/security", Value::Null, &[]);
    let two = json!([{ "bearerAuth": [] }, { "other": [] }]);
    operation(
        Actions,
        "/security",
        two,
        &["error auth-mixed /openapi.json#/components/securitySchemes"],
    );
    operation(Actions, "/security", json!([]), &[]);
}

#[test]
fn operation_ids() {
    operation(
        Plugin,
        "/operationId",
        Value::Null,
        &["warning operation-id @/operationId"],
    );
    operation(
        Actions,
        "/operationId",
        json!(" "),
        &["error operation-id @/operationId"],
    );
    operation(
        Copilot,
        "/operationId",
        Value::Null,
        &["error operation-id @/operationId"],
    );
    operation(
        Copilot,
        "/operationId",
        json!("add-todo"),
        &["error operation-id @/operationId"],
    );
    operation(Actions, "/operationId", json!("add-todo"), &[]);
    operation(
        SecurityCopilot,
        "/operationId",
        Value::Null,
        &["warning operation-id @/operationId"],
    );
}

#[test]
fn parameters_that_are_dropped() {
    let parameter = |place: &str, required: bool| json!({ "name": "X-Tenant", "in": place, "required": required, "schema": { "type": "string" } });
    for place in ["header", "cookie"] {
        operation(
            Plugin,
            "/parameters/1",
            parameter(place, true),
            &["warning parameter-dropped @/parameters/1"],
        );
        operation(
            Plugin,
            "/parameters/1",
            parameter(place, false),
            &["warning parameter-dropped @/parameters/1"],
        );
        operation(
            Actions,
            "/parameters/1",
            parameter(place, true),
            &["error parameter-dropped @/parameters/1"],
        );
        operation(
            Actions,
            "/parameters/1",
            parameter(place, false),
            &["warning parameter-dropped @/parameters/1"],
        );
        operation(Copilot, "/parameters/1", parameter(place, true), &[]);
        operation(
            SecurityCopilot,
            "/parameters/1",
            parameter(place, true),
            &[],
        );
    }
    let mut v31 = document("3.1.0");
    put(
        &mut v31,
        "/components/securitySchemes/bearerAuth",
        json!({ "type": "apiKey", "in": "header", "name": "x-tenant" }),
    );
    put(
        &mut v31,
        &format!("{POST}/parameters/1"),
        parameter("header", true),
    );
    assert_eq!(
        lint(&whole(&v31, &v31, &manifest()), &[Actions]),
        [],
        "the credential itself is sent"
    );
}

#[test]
fn parameters_by_reference() {
    let reference = json!({ "$ref": "#/components/parameters/Q" });
    for profile in [Plugin, Actions] {
        operation(
            profile,
            "/parameters/1",
            reference.clone(),
            &["error parameter-reference @/parameters/1"],
        );
    }
    operation(Copilot, "/parameters/1", reference, &[]);
}

#[test]
fn parameters_that_copilot_can_not_fill() {
    let check = |schema: Value, expected: &[&str]| {
        operation(Copilot, "/parameters/0/schema", schema, expected);
    };
    let error = ["error parameter-type @/parameters/0"];
    check(json!({ "type": "object" }), &error);
    check(json!({ "properties": {} }), &error);
    check(json!({ "oneOf": [{ "type": "string" }] }), &error);
    check(json!({ "anyOf": [] }), &error);
    check(json!({ "$ref": "#/components/schemas/Flat" }), &error);
    check(
        json!({ "allOf": [{ "$ref": "#/components/schemas/Flat" }], "nullable": true }),
        &error,
    );
    check(
        json!({ "type": "array", "items": { "type": "object" } }),
        &error,
    );
    check(
        json!({ "type": "array", "items": { "type": "array", "items": { "type": "integer" } } }),
        &[],
    );
    check(json!({ "$ref": "#/components/schemas/Loop" }), &[]);
    check(json!({ "$ref": "#/nowhere" }), &[]);
    check(
        json!({ "type": "integer", "enum": [1, 2] }),
        &["warning parameter-enum @/parameters/0"],
    );
    check(
        json!({ "type": "string", "nullable": true, "enum": ["a", null] }),
        &[],
    );
    operation(
        Copilot,
        "/parameters/1/schema",
        json!({ "type": "object" }),
        &["warning parameter-type @/parameters/1"],
    );
    for profile in [Plugin, Actions, SecurityCopilot] {
        operation(
            profile,
            "/parameters/0/schema",
            json!({ "type": "object" }),
            &[],
        );
    }
}

#[test]
fn bodies_that_copilot_can_not_fill() {
    let at = "/requestBody/content/application~1json/schema";
    let check = |schema: Value, expected: &[&str]| operation(Copilot, at, schema, expected);
    check(
        json!({ "$ref": "#/components/schemas/Deep" }),
        &["error parameter-type @/requestBody"],
    );
    check(json!({ "$ref": "#/components/schemas/Flat" }), &[]);
    check(json!({ "$ref": "#/components/schemas/Loop" }), &[]);
    check(
        json!({ "allOf": [{ "$ref": "#/components/schemas/Deep" }] }),
        &["error parameter-type @/requestBody"],
    );
    check(
        json!({ "oneOf": [] }),
        &["error parameter-type @/requestBody"],
    );
    check(
        json!({ "properties": { "a": { "anyOf": [] } } }),
        &["warning parameter-type @/requestBody"],
    );
    check(
        json!({ "required": ["a"], "properties": { "a": { "enum": [1] } } }),
        &["warning parameter-enum @/requestBody"],
    );
    operation(
        Copilot,
        "/requestBody/content",
        json!({ "application/json": { "schema": { "oneOf": [] } } }),
        &["error parameter-type @/requestBody"],
    );
    let optional = json!({ "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Deep" } } } });
    operation(
        Copilot,
        "/requestBody",
        optional,
        &["warning parameter-type @/requestBody"],
    );
    let many: Map = (0..9)
        .map(|i| (format!("p{i}"), json!({ "type": "object" })))
        .collect();
    let (v31, mut v30) = (document("3.1.0"), document("3.0.1"));
    put(
        &mut v30,
        &format!("{POST}{at}"),
        json!({ "properties": many }),
    );
    let found = lint(&whole(&v31, &v30, &manifest()), &[Copilot]);
    assert!(
        found[0].actual.ends_with("`p4` is an object, and 4 more"),
        "{}",
        found[0].actual
    );
}

#[test]
fn bodies_that_are_no_text() {
    let content = |kinds: &[&str]| {
        Value::Object(
            kinds
                .iter()
                .map(|kind| ((*kind).to_owned(), json!({})))
                .collect(),
        )
    };
    let request = |kinds: &[&str], expected: &[&str]| {
        operation(Actions, "/requestBody/content", content(kinds), expected);
    };
    request(
        &["multipart/form-data"],
        &["error request-media-type @/requestBody/content"],
    );
    request(
        &["application/octet-stream"],
        &["error request-media-type @/requestBody/content"],
    );
    request(&["multipart/form-data", "application/json"], &[]);
    request(&["application/x-www-form-urlencoded"], &[]);
    request(&["image/svg+xml; charset=utf-8"], &[]);
    request(&["*/*"], &[]);
    request(&[], &[]);
    let optional = json!({ "content": content(&["image/png"]) });
    operation(
        Actions,
        "/requestBody",
        optional,
        &["warning request-media-type @/requestBody/content"],
    );
    let response = |code: &str, expected: &[&str]| {
        let responses = Value::Object(
            [(
                code.to_owned(),
                json!({ "content": content(&["application/pdf"]) }),
            )]
            .into_iter()
            .collect(),
        );
        operation(Actions, "/responses", responses, expected);
    };
    response("200", &["warning response-media-type @/responses"]);
    response("2XX", &["warning response-media-type @/responses"]);
    response("404", &[]);
}
