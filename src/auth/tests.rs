use std::net::IpAddr;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::config::{Auth, Require};
use crate::tokens::{
    Call, CompiledScopes, Fingerprint, Level, Plugins, ScopeList, ScopeLists, SecretRecord,
    Selector, State, TokenLimits, TokenRecord, TokenTable, entries,
};

const REQUIRES: [Require; 5] = [
    Require::None,
    Require::Service,
    Require::User,
    Require::Any,
    Require::Upstream,
];

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Where requests come from.
fn home() -> IpAddr {
    "192.0.2.7".parse().unwrap()
}

/// Headers from lines such as `authorization: Bearer x`.
fn headers(lines: &[&str]) -> HeaderMap {
    lines
        .iter()
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| {
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        })
        .collect()
}

/// Operations of the plugin `todo`: 0 is `list`, 1 is `add`.
struct World {
    table: TokenTable,
    scopes: CompiledScopes,
}

/// Tokens whose secret is their id: `service`, `user` and `admin` may do all in every plugin;
/// the others are service tokens that differ as their names say.
fn world() -> World {
    let (table, lists) = (TokenTable::with_capacity(0), ScopeLists::default());
    let put = |id: &str, level: Level, with: &dyn Fn(&mut TokenRecord)| {
        let mut record = TokenRecord {
            id: id.into(),
            name: id.into(),
            level,
            plugins: Plugins::All,
            scopes: Arc::new(ScopeList::new([Selector::All])),
            current: SecretRecord::new(Fingerprint::of(id.as_bytes())),
            previous: None,
            not_before: None,
            expires: None,
            state: State::Active,
            limits: None,
            note: None,
            made: None,
            ending: None,
        };
        with(&mut record);
        table.apply(entries(&record, &lists, &Arc::default()), Vec::new());
    };
    let before = Some("2026-11-20T00:00:00Z".parse().unwrap());
    let after = Some("2026-11-21T00:00:00Z".parse().unwrap());
    put("service", Level::Service, &|_| ());
    put("user", Level::User, &|_| ());
    put("admin", Level::Admin, &|_| ());
    put("shop", Level::Service, &|record| {
        record.plugins = Plugins::new(["shop"]);
    });
    put("list", Level::Service, &|record| {
        record.plugins = Plugins::new(["shop", "todo"]);
        record.scopes = Arc::new(ScopeList::new([Selector::OperationId("list".into())]));
    });
    bound_to_networks(&put);
    put("late", Level::User, &|record| record.not_before = after);
    put("old", Level::User, &|record| record.expires = before);
    put("out", Level::Service, &|record| {
        record.state = State::Suspended;
    });
    put("gone", Level::Service, &|record| {
        record.state = State::Revoked { at: before }
    });
    put("new", Level::Service, &|record| {
        let secret = |text: &str, until| SecretRecord {
            until,
            ..SecretRecord::new(Fingerprint::of(text.as_bytes()))
        };
        record.current = secret("new", None);
        record.previous = Some(secret("replaced", before));
    });
    let operations = ["list", "add"];
    let scopes = CompiledScopes::compile(&lists.all(), 2, |selector, operation| {
        *selector == Selector::OperationId(operations[operation].to_owned())
    });
    World { table, scopes }
}

/// Makes a token: its id, its level, and what is different.
type Put<'a> = dyn Fn(&str, Level, &dyn Fn(&mut TokenRecord)) + 'a;

/// Tokens that are bound to networks: `here` may do all from home, the others nothing.
fn bound_to_networks(put: &Put<'_>) {
    let only = |network: &str| {
        let networks = vec![network.parse().unwrap()];
        let limits = TokenLimits {
            networks,
            ..TokenLimits::default()
        };
        Some(Arc::new(limits))
    };
    put("here", Level::Service, &|record| {
        record.limits = only("192.0.2.0/28");
    });
    put("there", Level::Service, &|record| {
        record.limits = only("10.0.0.0/8");
        record.scopes = Arc::new(ScopeList::new([Selector::OperationId("list".into())]));
    });
    put("there-shop", Level::Service, &|record| {
        record.limits = only("10.0.0.0/8");
        record.plugins = Plugins::new(["shop"]);
    });
}

fn policy(require: Require, header: &str) -> Policy {
    let auth = Auth {
        require,
        header: header.to_owned(),
        verification_tokens: std::collections::BTreeMap::new(),
        oauth: None,
    };
    Policy::new("todo", &auth).unwrap()
}

/// What becomes of a request for operation 1 with this credential: who it is, or the code.
#[track_caller]
fn check(require: Require, credential: &str, expected: &str) {
    let world = world();
    let policy = policy(require, "authorization");
    let headers = match credential {
        "" => HeaderMap::new(),
        value => headers(&[&format!("authorization: {value}")]),
    };
    let outcome = policy
        .admit(&headers, &world.table, now())
        .map_err(AuthFailure::from)
        .and_then(|principal| {
            policy.authorize(&principal, &world.scopes, Call::Operation(1), home())?;
            Ok(principal)
        });
    let shown = match &outcome {
        Ok(Principal::Token(token)) => &token.id,
        Ok(Principal::Anonymous(_)) => "anonymous",
        Ok(Principal::Upstream(_)) => "upstream",
        Err(failure) => failure.code(),
    };
    assert_eq!(shown, expected, "{require:?} {credential}");
}

#[test]
fn who_may_call() {
    use Require::{Any, None, Service, Upstream, User};
    // require, and what no, a service, a user and an admin token get
    for (require, nothing, service, user, admin) in [
        (None, "anonymous", "service", "user", "wrong_level"),
        (
            Service,
            "missing_token",
            "service",
            "wrong_level",
            "wrong_level",
        ),
        (User, "missing_token", "wrong_level", "user", "wrong_level"),
        (Any, "missing_token", "service", "user", "wrong_level"),
        (
            Upstream,
            "missing_token",
            "upstream",
            "upstream",
            "upstream",
        ),
    ] {
        check(require, "", nothing);
        check(require, "Bearer service", service);
        check(require, "Bearer user", user);
        check(require, "bearer admin", admin);
    }
    for require in [None, Service, User, Any] {
        check(require, "Bearer nobody", "invalid_token");
        check(require, "Basic service", "malformed_token");
        check(require, "Bearer", "malformed_token");
        for ended in ["late", "old", "out", "gone", "replaced"] {
            check(require, &format!("Bearer {ended}"), "invalid_token");
        }
    }
    for require in [None, Service, Any] {
        check(require, "Bearer shop", "wrong_plugin");
        check(require, "Bearer list", "insufficient_scope");
        check(require, "Bearer new", "new");
    }
    check(Any, "Bearer here", "here");
    // Level comes before plugin, plugin before network, network before scope.
    check(User, "Bearer shop", "wrong_level");
    check(User, "Bearer there", "wrong_level");
    check(Any, "Bearer there-shop", "wrong_plugin");
    check(Any, "Bearer there", "wrong_network");
    for any in ["Basic x", "Digest username=\"x\"", "é", "Bearer nobody"] {
        check(Upstream, any, "upstream");
    }
}

#[test]
fn the_api_reads_its_own_header_and_an_empty_one_is_none() {
    let world = world();
    let admit = |header: &str, lines: &[&str]| {
        policy(Require::Upstream, header).admit(&headers(lines), &world.table, now())
    };
    let is_upstream = |found| matches!(found, Ok(Principal::Upstream(_)));
    assert!(is_upstream(admit(
        "authorization",
        &["authorization: a", "authorization: b"]
    )));
    assert!(is_upstream(admit("x-api-key", &["x-api-key: a"])));
    assert_eq!(
        admit("authorization", &["authorization: "]).unwrap_err(),
        AuthError::Missing
    );
    assert_eq!(
        admit("x-api-key", &["authorization: a"]).unwrap_err(),
        AuthError::Missing
    );
}

#[test]
fn scopes_bound_operations_and_unpublished_paths() {
    let world = world();
    let policy = policy(Require::Any, "authorization");
    let may = |token: &str, call| {
        let headers = headers(&[&format!("authorization: Bearer {token}")]);
        let principal = policy.admit(&headers, &world.table, now()).unwrap();
        policy.authorize(&principal, &world.scopes, call, home())
    };
    assert_eq!(may("list", Call::Operation(0)), Ok(()));
    assert_eq!(may("list", Call::Operation(1)), Err(Denied::Scope));
    assert_eq!(may("list", Call::Unpublished), Err(Denied::Scope));
    assert_eq!(may("user", Call::Operation(0)), Ok(()));
    assert_eq!(may("user", Call::Unpublished), Ok(()));
}

#[test]
fn a_principal_of_another_policy_may_nothing() {
    let world = world();
    let with = headers(&["authorization: Bearer service"]);
    let none = HeaderMap::new();
    for made_by in REQUIRES {
        for sent in [&with, &none] {
            let made = policy(made_by, "authorization").admit(sent, &world.table, now());
            let Ok(principal) = made else { continue };
            for asked in REQUIRES {
                let answer = policy(asked, "authorization").authorize(
                    &principal,
                    &world.scopes,
                    Call::Operation(0),
                    home(),
                );
                let fits = match principal {
                    Principal::Token(_) => {
                        matches!(asked, Require::None | Require::Service | Require::Any)
                    }
                    Principal::Anonymous(_) | Principal::Upstream(_) => asked == made_by,
                };
                assert_eq!(answer.is_ok(), fits, "{made_by:?} {asked:?} {principal:?}");
            }
        }
    }
}

#[test]
fn hidden_documents_want_level_plugin_and_network_only() {
    let world = world();
    let ask = |require, token: &str| {
        let lines = [&*format!("authorization: Bearer {token}")];
        let headers = if token.is_empty() {
            HeaderMap::new()
        } else {
            headers(&lines)
        };
        let found = policy(require, "authorization").admit_to_documents(
            &headers,
            &world.table,
            now(),
            home(),
        );
        found
            .map(|principal| principal.token().unwrap().id.to_string())
            .map_err(AuthFailure::code)
    };
    for require in REQUIRES {
        assert_eq!(ask(require, ""), Err("missing_token"));
        assert_eq!(ask(require, "nobody"), Err("invalid_token"));
        assert_eq!(ask(require, "admin"), Err("wrong_level"));
        let or = |level, id: &str| {
            if require == level {
                Err("wrong_level")
            } else {
                Ok(id.to_owned())
            }
        };
        assert_eq!(ask(require, "user"), or(Require::Service, "user"));
        assert_eq!(ask(require, "service"), or(Require::User, "service"));
        assert_eq!(
            ask(require, "list"),
            or(Require::User, "list"),
            "its scopes do not matter"
        );
    }
    assert_eq!(ask(Require::Any, "shop"), Err("wrong_plugin"));
    assert_eq!(ask(Require::Any, "here"), Ok("here".to_owned()));
    assert_eq!(ask(Require::Any, "there"), Err("wrong_network"));
}

#[test]
fn networks_hold_for_the_address_at_the_time_of_the_question() {
    let world = world();
    let policy = policy(Require::Any, "authorization");
    let headers = headers(&["authorization: Bearer here"]);
    let principal = policy.admit(&headers, &world.table, now()).unwrap();
    let from = |address: &str| {
        let client = address.parse().unwrap();
        policy.authorize(&principal, &world.scopes, Call::Operation(0), client)
    };
    for inside in ["192.0.2.0", "192.0.2.15", "::ffff:192.0.2.1"] {
        assert_eq!(from(inside), Ok(()), "{inside}");
    }
    for outside in ["192.0.2.16", "10.0.0.1", "::1", "2001:db8::1"] {
        assert_eq!(from(outside), Err(Denied::Network), "{outside}");
    }
}

/// The challenge and status for a credential at operation `addTodo`.
#[track_caller]
fn check_answer(header: &str, credential: &str, status: u16, expected: &str) {
    let world = world();
    let policy = policy(Require::Service, header);
    let lines = [&*format!("{header}: {credential}")];
    let headers = if credential.is_empty() {
        HeaderMap::new()
    } else {
        headers(&lines)
    };
    let failure = policy
        .admit(&headers, &world.table, now())
        .map_err(AuthFailure::from)
        .and_then(|principal| {
            Ok(policy.authorize(&principal, &world.scopes, Call::Operation(1), home())?)
        })
        .unwrap_err();
    assert_eq!(failure.status().as_u16(), status);
    assert_eq!(policy.challenge(failure, Some("addTodo")), expected);
}

#[test]
fn challenges() {
    let check = |credential: &str, status: u16, expected: &str| {
        check_answer("authorization", credential, status, expected);
    };
    let invalid = r#"Bearer realm="todo", error="invalid_token""#;
    let ended = |reason| format!(r#"{invalid}, error_description="{reason}""#);
    let forbidden = r#"Bearer realm="todo", error="insufficient_scope", scope="addTodo""#;
    check("", 401, r#"Bearer realm="todo""#);
    check(
        "Basic x",
        401,
        r#"Bearer realm="todo", error="invalid_request""#,
    );
    check("Bearer nobody", 401, invalid);
    check("Bearer gone", 401, &ended("revoked 2026-11-20"));
    check("Bearer old", 401, &ended("expired 2026-11-20"));
    check("Bearer out", 401, &ended("suspended"));
    check(
        "Bearer late",
        401,
        &ended("not valid before 2026-11-21T00:00:00Z"),
    );
    check(
        "Bearer replaced",
        401,
        &ended("replaced by another secret, ended 2026-11-20"),
    );
    check("Bearer user", 403, forbidden);
    check("Bearer shop", 403, forbidden);
    check("Bearer list", 403, forbidden);
    check(
        "Bearer there",
        403,
        r#"Bearer realm="todo", error="insufficient_scope", error_description="not for use from this network""#,
    );
    check_answer(
        "x-api-key",
        "",
        401,
        r#"Bearer realm="todo", header="x-api-key""#,
    );
    check_answer(
        "x-api-key",
        "nobody",
        401,
        r#"Bearer realm="todo", header="x-api-key", error="invalid_token""#,
    );
    // A document has no scope to name.
    let denied = policy(Require::Any, "authorization").challenge(Denied::Plugin.into(), None);
    assert_eq!(denied, r#"Bearer realm="todo", error="insufficient_scope""#);
}

#[test]
fn no_debug_and_no_sentence_shows_a_secret() {
    let world = world();
    let secret = "pls_ab12cd340123456789ABCDEFGHIJKLMNOPQRSTUV2Mvk2c";
    let policy = policy(Require::Any, "authorization");
    for value in [
        format!("Bearer {secret}"),
        secret.to_owned(),
        format!("Bearer {secret} x"),
    ] {
        let headers = headers(&[&format!("authorization: {value}")]);
        let presented = presented(&headers, &AUTHORIZATION);
        let failure: AuthFailure = policy
            .admit(&headers, &world.table, now())
            .unwrap_err()
            .into();
        let challenge = policy.challenge(failure, Some("x"));
        let shown = format!("{presented:?} {failure:?} {failure} {challenge:?} {policy:?}");
        assert!(!shown.contains(&secret[12..]), "{shown}");
    }
}

proptest! {
    #[test]
    fn a_challenge_is_always_three_quoted_parameters(realm in "\\PC{0,20}", scope in "\\PC{0,20}") {
        let value = challenge(&realm, &AUTHORIZATION, Denied::Scope.into(), Some(&scope));
        let text = value.to_str().unwrap();
        prop_assert!(text.starts_with("Bearer realm=\""));
        prop_assert_eq!(text.matches('"').count(), 6);
        prop_assert!(!text.contains('\\'));
    }
}
