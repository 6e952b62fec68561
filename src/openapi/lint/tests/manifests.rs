//! Rules of the manifest.

use crate::openapi::{Value, json};

use super::super::Profile::{Copilot, Plugin, SecurityCopilot};
use super::*;

#[test]
fn texts_of_the_manifest() {
    let file = "/.well-known/ai-plugin.json#";
    let check = |profile, name: &str, fits: usize, severity: &str| {
        let rule = name.replace('_', "-");
        manifests(profile, &format!("/{name}"), "x".repeat(fits).into(), &[]);
        let line = format!("{severity} {rule} {file}/{name}");
        manifests(
            profile,
            &format!("/{name}"),
            "x".repeat(fits + 1).into(),
            &[&line],
        );
    };
    check(Plugin, "name_for_model", 50, "error");
    check(Plugin, "name_for_human", 20, "warning");
    check(Plugin, "description_for_human", 100, "warning");
    check(Plugin, "description_for_model", 8_000, "error");
    let line = |rule: &str, name: &str| format!("error {rule} {file}/{name}");
    manifests(
        Plugin,
        "/name_for_human",
        long(51),
        &[&line("name-for-human", "name_for_human")],
    );
    manifests(
        Plugin,
        "/description_for_human",
        long(121),
        &[&line("description-for-human", "description_for_human")],
    );
    check(Copilot, "name_for_human", 20, "warning");
    check(Copilot, "description_for_human", 100, "warning");
    check(Copilot, "description_for_model", 2_048, "warning");
    check(SecurityCopilot, "name_for_model", 100, "error");
    check(SecurityCopilot, "name_for_human", 40, "error");
    check(SecurityCopilot, "description_for_human", 200, "error");
    check(SecurityCopilot, "description_for_model", 16_000, "error");
}

/// What a profile says of a field that is another.
#[track_caller]
fn field(profile: Profile, pointer: &str, value: Value, expected: &str) {
    let line = format!("{expected} /.well-known/ai-plugin.json#{pointer}");
    let expected: &[&str] = if expected.is_empty() { &[] } else { &[&line] };
    manifests(profile, pointer, value, expected);
}

#[test]
fn fields_of_the_manifest() {
    let no = Value::Null;
    field(Plugin, "/logo_url", no, "error manifest-field");
    field(Plugin, "/contact_email", json!(7), "error manifest-field");
    field(
        SecurityCopilot,
        "/auth",
        json!("none"),
        "error manifest-field",
    );
    field(
        Plugin,
        "/schema_version",
        json!("v2.1"),
        "error manifest-version",
    );
    let gif = json!("https://example.com/a.GIF");
    field(Plugin, "/logo_url", gif, "warning logo");
    field(Plugin, "/api/type", json!("graphql"), "error api-type");
}

#[test]
fn letters_of_the_name_for_the_model() {
    let name = "/name_for_model";
    field(Plugin, name, json!("to do"), "error name-for-model");
    field(Plugin, name, json!("to_do"), "");
    field(Copilot, name, json!("to_do"), "warning namespace");
    field(SecurityCopilot, name, json!("to do"), "");
    field(
        SecurityCopilot,
        name,
        json!("to/do"),
        "error name-for-model",
    );
}

#[test]
fn domains_of_the_manifest() {
    let legal = "/legal_info_url";
    field(
        Plugin,
        legal,
        json!("https://example.org/"),
        "warning legal-domain",
    );
    field(
        Plugin,
        legal,
        json!("hello@legal.com"),
        "warning legal-domain",
    );
    let contact = "/contact_email";
    field(Plugin, contact, json!("a@mail.example.com"), "");
    field(
        Plugin,
        contact,
        json!("a@example.org"),
        "warning contact-domain",
    );
    let url = "/api/url";
    field(Plugin, url, json!("https://api.todo.example.com/x"), "");
    field(
        Plugin,
        url,
        json!("https://example.com/x"),
        "error api-domain",
    );
    field(Plugin, url, json!("/openapi.json"), "error api-domain");
}

#[test]
fn authentication_by_the_manifest() {
    let at = |line: &&str| line.replace('@', "/.well-known/ai-plugin.json#/auth");
    let check = |profile, value: Value, expected: &[&str]| {
        let expected: Vec<_> = expected.iter().map(at).collect();
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        manifests(profile, "/auth", value, &expected);
    };
    let user = json!({ "type": "user_http", "authorization_type": "bearer" });
    check(Plugin, user.clone(), &[]);
    check(SecurityCopilot, user, &["error auth-kind @/type"]);
    let basic = json!({ "type": "service_http", "authorization_type": "basic" });
    check(
        Plugin,
        basic.clone(),
        &["warning verification-token @/verification_tokens"],
    );
    check(
        SecurityCopilot,
        basic,
        &["error authorization-type @/authorization_type"],
    );
    check(
        Plugin,
        json!({ "type": "user_http" }),
        &["error authorization-type @/authorization_type"],
    );
    check(
        Plugin,
        json!({ "type": "api_key" }),
        &["error auth-kind @/type"],
    );
    check(Plugin, json!({ "type": "none" }), &[]);
    let mut oauth = json!({
        "type": "oauth", "client_url": "https://example.com/a", "scope": "",
        "authorization_url": "https://example.com/t", "authorization_content_type": "application/json",
    });
    check(Plugin, oauth.clone(), &[]);
    check(SecurityCopilot, oauth.clone(), &[]);
    oauth["client_url"] = json!("");
    oauth["authorization_content_type"] = json!("text/plain");
    let expected = [
        "error oauth-field @/client_url",
        "error oauth-field @/authorization_content_type",
    ];
    check(Plugin, oauth, &expected);
}
