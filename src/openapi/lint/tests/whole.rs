//! Rules of whole documents.

use crate::openapi::json;

use super::super::Profile::{Actions, Plugin, SecurityCopilot};
use super::*;

#[test]
fn versions_and_servers() {
    let line = |rule: &str, file: &str, at: &str| format!("error {rule} {file}#{at}");
    let version = line("openapi-version", "/openapi-3.0.json", "/openapi");
    for (said, plugin, security) in [
        ("3.0.0", true, true),
        ("3.0.3", true, false),
        ("3.1.0", false, false),
    ] {
        documents(
            Plugin,
            "/openapi",
            said.into(),
            if plugin {
                &[]
            } else {
                std::slice::from_ref(&version)
            }
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .as_slice(),
        );
        documents(
            SecurityCopilot,
            "/openapi",
            said.into(),
            if security {
                &[]
            } else {
                std::slice::from_ref(&version)
            }
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .as_slice(),
        );
        documents(Actions, "/openapi", said.into(), &[]);
    }
    for profile in Profile::ALL {
        let line = line("server", profile.document(), "/servers");
        documents(profile, "/servers", json!([]), &[&line]);
        documents(profile, "/servers", json!([{ "url": "/v1" }]), &[&line]);
        documents(
            profile,
            "/servers",
            json!([{ "url": "https://example.com" }]),
            &[&line],
        );
        documents(
            profile,
            "/servers",
            json!([{ "url": "https://api.todo.example.com/v1" }]),
            &[],
        );
    }
}

#[test]
fn numbers_of_operations() {
    let check = |count: usize, expected: [&str; 4]| {
        let document = crowd(count);
        let mut found = Profile::ALL.map(|_| "");
        for breach in lint(&whole(&document, &document, &manifest()), &Profile::ALL) {
            if breach.rule == "operations" {
                found[Profile::ALL
                    .iter()
                    .position(|p| *p == breach.profile)
                    .unwrap()] = breach.severity.word();
            }
        }
        assert_eq!(found, expected, "{count}");
    };
    check(0, ["error"; 4]);
    check(10, [""; 4]);
    check(11, ["warning", "", "warning", ""]);
    check(30, ["warning", "", "warning", ""]);
    check(31, ["error", "error", "warning", ""]);
}

#[test]
fn where_documents_are_served() {
    let check = |origin: &str, expected: [&str; 4]| {
        let (mut v30, mut manifest) = (document("3.0.1"), manifest());
        v30["servers"][0]["url"] = origin.into();
        manifest["api"]["url"] = format!("{origin}/openapi-3.0.json").into();
        let linted = Linted {
            origin,
            ..whole(&v30, &v30, &manifest)
        };
        for (profile, expected) in Profile::ALL.into_iter().zip(expected) {
            let found = lines(&lint(&linted, &[profile]));
            let rules: Vec<_> = found
                .iter()
                .map(|line| line.split(" /").next().unwrap())
                .collect();
            assert_eq!(rules.join(", "), expected, "{origin} {}", profile.word());
        }
    };
    check("https://www.example.com", [""; 4]);
    check(
        "https://todo.example.com:8443",
        ["warning origin-port", "error origin-port", "", ""],
    );
    check(
        "http://todo.example.com",
        ["warning origin-https", "error origin-https", "", ""],
    );
    for local in [
        "https://localhost:8443",
        "http://127.0.0.1",
        "http://[::1]:80",
        "https://todo.internal",
        "https://10.0.0.1",
    ] {
        check(local, ["warning origin-local"; 4]);
    }
}

#[test]
fn documents_that_are_missing_guarded_or_large() {
    let document = document("3.0.1");
    let manifest = manifest();
    let whole = whole(&document, &document, &manifest);
    let rules = |linted: &Linted<'_>| -> Vec<String> {
        let found = lint(linted, &Profile::ALL);
        found
            .iter()
            .map(|b| format!("{} {} {}", b.profile.word(), b.severity.word(), b.rule))
            .collect()
    };
    let without = Linted {
        manifest: None,
        ..whole
    };
    assert_eq!(
        rules(&without),
        [
            "plugin error manifest-missing",
            "security-copilot warning manifest-missing"
        ]
    );
    let guarded = Linted {
        guarded: true,
        ..whole
    };
    let expected = [
        "plugin error documents-guarded",
        "actions warning documents-guarded",
        "security-copilot error documents-guarded",
    ];
    assert_eq!(rules(&guarded), expected);
    assert!(
        rules(&Linted {
            v31_bytes: 1_000_000,
            ..whole
        })
        .is_empty()
    );
    assert_eq!(
        rules(&Linted {
            v31_bytes: 1_000_001,
            ..whole
        }),
        ["actions error document-size"]
    );
}
