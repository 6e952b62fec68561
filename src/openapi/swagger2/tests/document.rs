//! The document as a whole: security, servers, both sets of words, values of the wrong kind.

use crate::openapi::{Value, json};

use super::{convert, document, operation, said};
use crate::openapi::Action;

#[test]
fn security_schemes_are_those_of_3_0() {
    let check = |scheme: Value, expected: Value| {
        let value = convert(json!({ "securityDefinitions": { "s": scheme } })).value;
        assert_eq!(value["components"]["securitySchemes"]["s"], expected);
    };
    check(
        json!({ "type": "basic", "description": "d" }),
        json!({ "type": "http", "scheme": "basic", "description": "d" }),
    );
    let key = json!({ "type": "apiKey", "in": "query", "name": "k" });
    check(key.clone(), key);
    let scopes = json!({ "a": "A" });
    let flow = |name: &str, url: Value| {
        let mut flow = url;
        flow["scopes"] = scopes.clone();
        json!({ "type": "oauth2", "flows": { name: flow } })
    };
    let old = |flow: &str, url: Value| {
        let mut scheme = url;
        scheme["type"] = json!("oauth2");
        scheme["flow"] = json!(flow);
        scheme["scopes"] = scopes.clone();
        scheme
    };
    let (ask, token) = (
        json!({ "authorizationUrl": "u" }),
        json!({ "tokenUrl": "t" }),
    );
    let both = json!({ "authorizationUrl": "u", "tokenUrl": "t" });
    check(old("implicit", ask.clone()), flow("implicit", ask));
    check(
        old("password", token.clone()),
        flow("password", token.clone()),
    );
    check(
        old("application", token.clone()),
        flow("clientCredentials", token),
    );
    check(
        old("accessCode", both.clone()),
        flow("authorizationCode", both.clone()),
    );
    check(old("", both.clone()), flow("authorizationCode", both));
    check(
        json!({ "type": "http", "scheme": "bearer" }),
        json!({ "type": "http", "scheme": "bearer" }),
    );
    check(json!(1), json!(1));
}

#[test]
fn servers_may_be_of_the_operation() {
    let more = json!({ "host": "a.example", "basePath": "/v1", "schemes": ["https"] });
    let (own, _) = operation(json!({ "schemes": ["http"] }), more.clone());
    assert_eq!(own["servers"], json!([{ "url": "http://a.example/v1" }]));
    let (same, _) = operation(json!({ "schemes": ["https"] }), more);
    assert_eq!(same.get("servers"), None);
    let written = json!([{ "url": "/x" }]);
    let converted = convert(document(
        json!({}),
        json!({ "basePath": "/v1", "x-servers": written }),
    ));
    assert_eq!(converted.value["servers"], written);
}

#[test]
fn both_sets_of_words_may_be_in_one_document() {
    let value = convert(json!({
        "swagger": "2.0",
        "paths": { "/a": { "get": { "parameters": [{ "$ref": "#/components/parameters/P" }, { "$ref": "#/components/parameters/B" }],
            "responses": { "200": { "content": { "a/b": { "schema": { "$ref": "#/definitions/A" } } } },
                "400": { "$ref": "#/components/responses/R" } } },
          "put": { "requestBody": { "content": { "a/b": { "schema": { "$ref": "#/components/schemas/B" } } } } } } },
        "parameters": { "P": { "in": "query", "name": "p", "type": "string" },
            "B": { "in": "body", "name": "body", "schema": { "$ref": "#/definitions/B" } } },
        "responses": { "R": { "schema": { "$ref": "#/components/schemas/A" } } },
        "definitions": { "A": { "title": "old" }, "B": {} },
        "components": { "schemas": { "A": { "title": "new" } } },
    }))
    .value;
    let get = &value["paths"]["/a"]["get"];
    assert_eq!(
        get["parameters"],
        json!([{ "$ref": "#/components/parameters/P" }])
    );
    assert_eq!(
        get["requestBody"],
        json!({ "$ref": "#/components/requestBodies/B" })
    );
    let schema = |of: &Value| of["schema"]["$ref"].as_str().unwrap().to_owned();
    assert_eq!(
        schema(&get["responses"]["200"]["content"]["a/b"]),
        "#/components/schemas/A-2"
    );
    assert_eq!(
        get["responses"]["400"],
        json!({ "$ref": "#/components/responses/R" })
    );
    let components = &value["components"];
    assert_eq!(
        schema(&components["responses"]["R"]["content"]["application/json"]),
        "#/components/schemas/A"
    );
    assert_eq!(
        schema(&components["requestBodies"]["B"]["content"]["application/json"]),
        "#/components/schemas/B"
    );
    assert_eq!(components["schemas"]["A"]["title"], "new");
    assert_eq!(components["schemas"]["A-2"]["title"], "old");
    assert_eq!(
        schema(&value["paths"]["/a"]["put"]["requestBody"]["content"]["a/b"]),
        "#/components/schemas/B"
    );
}

#[test]
fn values_of_the_wrong_kind_are_reported_and_cost_nothing_else() {
    for (name, action) in [
        ("definitions", Action::Skipped),
        ("parameters", Action::Skipped),
        ("responses", Action::Skipped),
        ("securityDefinitions", Action::Skipped),
        ("components", Action::Skipped),
        ("consumes", Action::Skipped),
        ("host", Action::Skipped),
    ] {
        let converted = convert(document(json!({ "summary": "s" }), json!({ name: 7 })));
        assert_eq!(
            converted.value["paths"]["/a"]["post"]["summary"], "s",
            "{name}"
        );
        let report: Vec<_> = converted
            .report
            .iter()
            .map(|f| (f.action, f.pointer.as_str()))
            .collect();
        assert_eq!(report, [(action, format!("#/{name}").as_str())]);
    }
    let (list, report) = operation(json!({ "parameters": 1 }), json!({}));
    assert_eq!(list["parameters"], json!([]));
    assert_eq!(said(&report), [("skipped", "#/paths/~1a/post/parameters")]);
    for value in [json!(null), json!([]), json!("x"), json!(1), json!({})] {
        convert(value);
    }
}

#[test]
fn a_reference_is_a_text() {
    // An empty `$ref` is what some generators leave; what stands beside it is meant.
    for strange in [json!(null), json!({ "type": "string" }), json!(7)] {
        let (operation, _) = operation(
            json!({ "$ref": strange, "produces": ["a/b"], "responses": { "200": {
                "$ref": strange, "description": "d", "schema": { "type": "integer" },
                "headers": { "h": { "$ref": strange, "type": "boolean" } },
            } } }),
            json!({}),
        );
        let response = &operation["responses"]["200"];
        assert_eq!(
            response["content"],
            json!({ "a/b": { "schema": { "type": "integer" } } })
        );
        assert_eq!(
            response["headers"]["h"]["schema"],
            json!({ "type": "boolean" })
        );
    }
}
