//! Each key of a plugin: a change of it makes another plugin, and of that one alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{LEAST, Scene, same, with};
use crate::config::schema;

/// A key as the schema has it, what is written for it, and what is written then.
const KEYS: &[(&str, &str, &str)] = &[
    ("name", "name = 'One'", "name = 'Two'"),
    (
        "description",
        "description = 'One.'",
        "description = 'Two.'",
    ),
    (
        "instructions",
        "instructions = 'One.'",
        "instructions = 'Two.'",
    ),
    (
        "contact",
        "contact = 'one@example.com'",
        "contact = 'two@example.com'",
    ),
    (
        "legal",
        "legal = 'https://example.com'",
        "legal = 'legal.html'",
    ),
    ("logo", "logo = 'logo.png'", "logo = 'logo.svg'"),
    ("hosts", "", "HOSTS"),
    (
        "public_url",
        "public_url = 'https://a.example'",
        "public_url = 'https://b.example'",
    ),
    ("publish", "publish = ['openapi']", "publish = ['manifest']"),
    (
        "tests",
        "tests = [{ request = 'GET /a', as = 'service', expect = 200 }]",
        "tests = [{ request = 'GET /a', as = 'service', expect = 204 }]",
    ),
    ("documents", "documents = 'public'", "documents = 'token'"),
    ("upstream.url", "", "URL"),
    (
        "upstream.host",
        "upstream.host = 'client'",
        "upstream.host = 'a.example'",
    ),
    (
        "upstream.credential.bearer",
        "upstream.credential = { bearer = '${env:A}' }",
        "upstream.credential = { bearer = '${env:B}' }",
    ),
    (
        "upstream.credential.basic.user",
        "upstream.credential = { basic = { user = 'a', password = '${env:A}' } }",
        "upstream.credential = { basic = { user = 'b', password = '${env:A}' } }",
    ),
    (
        "upstream.credential.basic.password",
        "upstream.credential = { basic = { user = 'a', password = '${env:A}' } }",
        "upstream.credential = { basic = { user = 'a', password = '${env:B}' } }",
    ),
    (
        "upstream.credential.header.name",
        "upstream.credential = { header = { name = 'X-A', value = '${env:A}' } }",
        "upstream.credential = { header = { name = 'X-B', value = '${env:A}' } }",
    ),
    (
        "upstream.credential.header.value",
        "upstream.credential = { header = { name = 'X-A', value = '${env:A}' } }",
        "upstream.credential = { header = { name = 'X-A', value = '${env:B}' } }",
    ),
    (
        "upstream.credential.query.name",
        "upstream.credential = { query = { name = 'a', value = '${env:A}' } }",
        "upstream.credential = { query = { name = 'b', value = '${env:A}' } }",
    ),
    (
        "upstream.credential.query.value",
        "upstream.credential = { query = { name = 'a', value = '${env:A}' } }",
        "upstream.credential = { query = { name = 'a', value = '${env:B}' } }",
    ),
    (
        "upstream.ca",
        "upstream.ca = 'one.pem'",
        "upstream.ca = 'two.pem'",
    ),
    (
        "upstream.client_certificate",
        "upstream.client_certificate = 'one.pem'\nupstream.client_key = 'one.key'",
        "upstream.client_certificate = 'two.pem'\nupstream.client_key = 'one.key'",
    ),
    (
        "upstream.client_key",
        "upstream.client_certificate = 'one.pem'\nupstream.client_key = 'one.key'",
        "upstream.client_certificate = 'one.pem'\nupstream.client_key = 'two.key'",
    ),
    (
        "upstream.timeout",
        "upstream.timeout = '1s'",
        "upstream.timeout = '2s'",
    ),
    (
        "upstream.total",
        "upstream.total = '100s'",
        "upstream.total = '200s'",
    ),
    (
        "upstream.resolve",
        "upstream.resolve = '10s'",
        "upstream.resolve = '20s'",
    ),
    (
        "upstream.health.path",
        "upstream.health = { path = '/a' }",
        "upstream.health = { path = '/b' }",
    ),
    (
        "upstream.health.interval",
        "upstream.health = { path = '/a', interval = '5s' }",
        "upstream.health = { path = '/a', interval = '6s' }",
    ),
    (
        "upstream.health.timeout",
        "upstream.health = { path = '/a', timeout = '1s' }",
        "upstream.health = { path = '/a', timeout = '2s' }",
    ),
    (
        "upstream.health.unhealthy",
        "upstream.health = { path = '/a', unhealthy = 4 }",
        "upstream.health = { path = '/a', unhealthy = 5 }",
    ),
    (
        "upstream.health.healthy",
        "upstream.health = { path = '/a', healthy = 4 }",
        "upstream.health = { path = '/a', healthy = 5 }",
    ),
    (
        "upstream.retries",
        "upstream.retries = 0",
        "upstream.retries = 1",
    ),
    ("upstream.fly_replay", "", "upstream.fly_replay = 'pass'"),
    ("openapi.source", "", "SOURCE"),
    (
        "openapi.include",
        "openapi.include = ['a']",
        "openapi.include = ['b']",
    ),
    (
        "openapi.exclude",
        "openapi.exclude = ['a']",
        "openapi.exclude = ['b']",
    ),
    (
        "openapi.refresh",
        "openapi.refresh = '10m'",
        "openapi.refresh = '20m'",
    ),
    ("openapi.encoded_slash", "", "openapi.encoded_slash = ['b']"),
    (
        "openapi.unpublished",
        "openapi.unpublished = 'forward'",
        "openapi.unpublished = 'refuse'",
    ),
    (
        "openapi.similar_paths",
        "openapi.similar_paths = 'forward'",
        "openapi.similar_paths = 'refuse'",
    ),
    (
        "openapi.overlays",
        "openapi.overlays = ['o1', 'o2']",
        "openapi.overlays = ['o2', 'o1']",
    ),
    (
        "openapi.reference_hosts",
        "openapi.reference_hosts = ['a.example']",
        "openapi.reference_hosts = ['b.example']",
    ),
    (
        "openapi.cut",
        "openapi.cut = 'limits'",
        "openapi.cut = 'none'",
    ),
    (
        "openapi.recursion",
        "openapi.recursion = 'cut'",
        "openapi.recursion = 'keep'",
    ),
    (
        "operations.*.id",
        "operations.a.id = 'one'",
        "operations.a.id = 'two'",
    ),
    (
        "operations.*.summary",
        "operations.a.summary = 'One'",
        "operations.a.summary = 'Two'",
    ),
    (
        "operations.*.description",
        "operations.a.description = 'One'",
        "operations.a.description = 'Two'",
    ),
    (
        "operations.*.consequential",
        "operations.a.consequential = true",
        "operations.a.consequential = false",
    ),
    (
        "operations.*.fixed",
        "operations.b.fixed = { id = '1' }",
        "operations.b.fixed = { id = '2' }",
    ),
    (
        "operations.*.body_bytes",
        "operations.a.body_bytes = 1",
        "operations.a.body_bytes = 2",
    ),
    ("auth.require", "", "REQUIRE"),
    ("auth.header", "", "HEADER"),
    ("auth.verification_tokens", "", "TOKENS"),
    (
        "auth.oauth.client_url",
        "OAUTH",
        "https://a.example>https://x.example",
    ),
    (
        "auth.oauth.authorization_url",
        "OAUTH",
        "https://b.example>https://x.example",
    ),
    ("auth.oauth.scope", "OAUTH", "read>write"),
    (
        "auth.oauth.authorization_content_type",
        "OAUTH",
        "application/json>application/x-www-form-urlencoded",
    ),
    (
        "cors.origins",
        "cors.origins = ['https://a.example']",
        "cors.origins = ['https://b.example']",
    ),
    (
        "headers.request.set",
        "headers.request.set = { X-A = '1' }",
        "headers.request.set = { X-A = '2' }",
    ),
    (
        "headers.request.remove",
        "headers.request.remove = ['X-A']",
        "headers.request.remove = ['X-B']",
    ),
    (
        "headers.response.set",
        "headers.response.set = { X-A = '1' }",
        "headers.response.set = { X-A = '2' }",
    ),
    (
        "headers.response.remove",
        "headers.response.remove = ['X-A']",
        "headers.response.remove = ['X-B']",
    ),
    (
        "headers.underscores",
        "headers.underscores = 'pass'",
        "headers.underscores = 'drop'",
    ),
    (
        "files",
        "files = { '/a' = 'served' }",
        "files = { '/b' = 'served' }",
    ),
];

/// What has to stand in the configuration in any case, so that a change is to be made in it.
const NEEDED: &[(&str, &str, &str)] = &[
    (
        "HOSTS",
        "[\"todo.example\"]",
        "[\"todo.example\", \"more.example\"]",
    ),
    ("URL", "https://api.example", "https://api2.example"),
    ("SOURCE", "openapi.json", "same.json"),
    ("REQUIRE", "require = \"service\"", "require = \"user\""),
    (
        "HEADER",
        "require = \"service\"",
        "require = \"service\", header = 'X-Key'",
    ),
    (
        "TOKENS",
        "require = \"service\"",
        "require = \"service\", verification_tokens = { openai = 'x' }",
    ),
];

const OAUTH: &str = "require = \"upstream\", oauth = { client_url = 'https://a.example', \
                     authorization_url = 'https://b.example', scope = 'read', \
                     authorization_content_type = 'application/json' }";

/// Both texts of a row.
fn texts(before: &str, after: &str) -> (String, String) {
    if before == "OAUTH" {
        let text = with("").replacen("require = \"service\"", OAUTH, 1);
        let (from, to) = after.split_once('>').unwrap();
        return (text.clone(), text.replacen(from, to, 1));
    }
    match NEEDED.iter().find(|(word, ..)| *word == after) {
        Some((_, from, to)) => (with(before), with(before).replacen(from, to, 1)),
        None => (with(before), with(after)),
    }
}

#[test]
fn each_key_of_a_plugin_makes_another_of_it_and_of_no_other() {
    for (key, before, after) in KEYS {
        let (before, after) = texts(before, after);
        assert_ne!(before, after, "{key}");
        let mut scene = Scene::new();
        let (first, _) = scene.compile(&before);
        let (again, _) = scene.compile(&before);
        assert_eq!(same(&first, &again), [true, true], "{key}");
        let (second, _) = scene.compile(&after);
        assert_eq!(same(&first, &second), [false, true], "{key}");
        let (back, _) = scene.compile(&before);
        assert_eq!(
            same(&first, &back),
            [true, true],
            "{key}: the one before is there yet"
        );
    }
}

#[test]
fn no_key_of_the_schema_is_forgotten() {
    fn leaves(schema: &Value, path: &str, found: &mut BTreeSet<String>) -> bool {
        let mut inner = false;
        let join = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        for (name, value) in schema["properties"].as_object().into_iter().flatten() {
            if !leaves(value, &join(name), found) {
                found.insert(join(name));
            }
            inner = true;
        }
        if schema["additionalProperties"].is_object() {
            inner |= leaves(&schema["additionalProperties"], &join("*"), found);
        }
        for kind in ["anyOf", "oneOf"] {
            for one in schema[kind].as_array().into_iter().flatten() {
                inner |= leaves(one, path, found);
            }
        }
        inner
    }
    let schema = schema();
    let mut found = BTreeSet::new();
    let plugin = &schema["properties"]["plugins"]["additionalProperties"];
    leaves(plugin, "", &mut found);
    let tested: BTreeSet<String> = KEYS.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(found, tested);
}

#[test]
fn the_bytes_of_each_file_are_part_of_it() {
    let text = with(
        "logo = 'logo.png'\nlegal = 'legal.html'\nfiles = { '/x' = 'served' }\n\
         openapi.overlays = ['o1']\nupstream.ca = 'one.pem'\n",
    );
    for name in ["logo.png", "legal.html", "served", "o1", "one.pem"] {
        let mut scene = Scene::new();
        let (first, _) = scene.compile(&text);
        let other = if name == "one.pem" {
            "two.pem"
        } else {
            "logo.svg"
        };
        let bytes = scene.files.0[other].clone();
        scene.files.0.insert(name, bytes);
        let (second, _) = scene.compile(&text);
        assert_eq!(same(&first, &second), [false, true], "{name}");
    }
}

#[test]
fn what_all_plugins_are_made_of_makes_all_of_them_anew() {
    for (from, to) in [
        (
            "[plugins.todo]",
            "[limits]\nupstream_connect = '1s'\n[plugins.todo]",
        ),
        (
            "[plugins.todo]",
            "[limits]\nupstream_idle = '1s'\n[plugins.todo]",
        ),
        (
            "[plugins.todo]",
            "[limits]\nresponse_chars = 100000\n[plugins.todo]",
        ),
        ("127.0.0.1:1001", "127.0.0.1:1002"),
    ] {
        let mut scene = Scene::new();
        let (first, _) = scene.compile(&with(""));
        let (second, _) = scene.compile(&with("").replacen(from, to, 1));
        assert_eq!(same(&first, &second), [false, false], "{to}");
    }
    let changes: [fn(&mut Scene); 3] = [
        |scene| scene.fly_app = Some("x".into()),
        |scene| scene.dev = true,
        |scene| scene.roots = Arc::new((*scene.roots).clone()),
    ];
    for change in changes {
        let mut scene = Scene::new();
        let (first, _) = scene.compile(&with(""));
        change(&mut scene);
        let (second, _) = scene.compile(&with(""));
        assert_eq!(same(&first, &second), [false, false]);
    }
}

#[test]
fn what_changes_elsewhere_makes_none_of_them_anew() {
    let token = "[tokens.t]\nlevel = 'service'\nplugins = ['*']\nscopes = ['a']\n\
                 sha256 = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'\n";
    let mut scene = Scene::new();
    let (first, _) = scene.compile(&with(""));
    for text in [
        format!("# A line above.\n{}", with("")),
        format!("{}{token}", with("")),
        format!(
            "{}[limits]\nidle = '1s'\nbody_bytes = 7\nstreams = 7\n",
            with("")
        ),
        format!("trusted_proxies = ['10.0.0.0/8']\n{}", with("")),
        format!("{}[log]\nlevel = 'debug'\n", with("")),
        with("").replace("[listen]", "[listen]\nmetrics = '127.0.0.1:7'"),
        with("# A remark.\n\n"),
    ] {
        let (second, _) = scene.compile(&text);
        assert_eq!(same(&first, &second), [true, true], "{text}");
    }
    assert!(LEAST.contains("EXTRA"));
}
