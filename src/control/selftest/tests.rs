//! What is caught before it serves, with edges that answer as a test says.

use std::sync::Arc;

use jiff::Timestamp;

use super::cast::Cast;
use crate::config::Require;
use crate::control::tests::{DOCUMENT, Scene, published, refused};
use crate::control::{Outcome, Stage, Trigger};
use crate::snapshot::{Plugin, Snapshot};
use crate::tokens::{CompiledScopes, ScopeList, Selector, TokenTable};

const FILE: &str = "\"file:FOLDER/openapi.json\"";

fn test(request: &str, caller: &str, expect: u16, more: &str) -> String {
    format!(
        "[[plugins.p.tests]]\nrequest = \"{request}\"\nas = \"{caller}\"\nexpect = {expect}\n{more}\n"
    )
}

#[tokio::test]
async fn a_test_that_wants_the_upstream_asks_it_once_for_each_attempt() {
    let mut scene = Scene::new(&test("GET /a", "service", 200, "upstream = true"));
    scene.edges.0.borrow_mut().upstream = 503;
    let outcome = scene.attempt(Trigger::Start).await;
    refused(&outcome, Stage::SelfTest, "p.toml:13:10");
    refused(
        &outcome,
        Stage::SelfTest,
        "`GET /a` as service is answered with 503, not with 200",
    );
    assert_eq!(scene.edges.0.borrow().asked, ["/a"]);
    // The same bytes, but not the same answer.
    scene.edges.0.borrow_mut().upstream = 200;
    published(&scene.attempt(Trigger::Start).await);
    assert_eq!(scene.edges.0.borrow().asked, ["/a", "/a"]);
}

#[tokio::test]
async fn what_came_for_another_candidate_says_nothing() {
    let mut scene = Scene::new(&test("GET /a", "service", 200, "upstream = true"));
    scene.edges.0.borrow_mut().upstream = 200;
    let waits = |outcome: &Outcome| matches!(outcome, Outcome::Waiting);
    assert!(waits(&scene.control.attempt(Trigger::Start).await));
    let first = scene.control.take_orders();
    // Looked at again meanwhile: the answer is awaited already.
    assert!(waits(&scene.control.attempt(Trigger::Start).await));
    assert!(scene.control.take_orders().is_empty());
    scene.configure(
        FILE,
        "service",
        &test("GET /b", "user", 200, "upstream = true"),
    );
    assert!(waits(&scene.control.attempt(Trigger::Start).await));
    for order in first {
        let delivery = order.await;
        scene.control.delivered(delivery);
    }
    assert!(waits(&scene.control.resume(Trigger::Start)));
    for order in scene.control.take_orders() {
        let delivery = order.await;
        scene.control.delivered(delivery);
    }
    assert!(!scene.control.fetching());
    published(&scene.control.resume(Trigger::Start));
    assert_eq!(scene.edges.0.borrow().asked, ["/a", "/b"]);
}

#[tokio::test]
async fn a_look_that_did_not_get_to_the_tests_calls_none_off() {
    let mut scene = Scene::empty();
    scene.serves("/openapi.json", DOCUMENT);
    scene.configure("\"/openapi.json\"", "service", "");
    published(&scene.attempt(Trigger::Start).await);
    scene.edges.0.borrow_mut().upstream = 200;
    let extra = test("GET /a", "service", 200, "upstream = true");
    scene.configure("\"/openapi.json\"", "service", &extra);
    let waits = |outcome: &Outcome| matches!(outcome, Outcome::Waiting);
    assert!(waits(&scene.control.attempt(Trigger::File).await));
    let asked = scene.control.take_orders();
    // A command asks for the document again first.
    let command = Trigger::Command { weaker: false };
    assert!(waits(&scene.control.attempt(command).await));
    for order in scene.control.take_orders().into_iter().chain(asked) {
        let delivery = order.await;
        scene.control.delivered(delivery);
    }
    published(&scene.control.resume(command));
    assert_eq!(scene.edges.0.borrow().asked, ["/a"]);
}

#[tokio::test]
async fn an_answer_is_not_forgotten_before_it_was_looked_at() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    scene.edges.0.borrow_mut().upstream = 200;
    let extra = test("GET /a", "service", 200, "upstream = true");
    scene.configure(FILE, "service", &extra);
    let outcome = scene.control.attempt(Trigger::File).await;
    assert!(matches!(outcome, Outcome::Waiting));
    for order in scene.control.take_orders() {
        let delivery = order.await;
        scene.control.delivered(delivery);
    }
    // Another event comes before it goes on.
    published(&scene.control.attempt(Trigger::File).await);
    assert_eq!(scene.edges.0.borrow().asked, ["/a"]);
}

#[tokio::test]
async fn a_request_without_a_token_that_gets_through_stops_the_candidate() {
    let mut scene = Scene::new("");
    scene.edges.0.borrow_mut().open = true;
    let outcome = scene.attempt(Trigger::Start).await;
    let said = "`GET /a` without a token would be sent to the upstream";
    refused(&outcome, Stage::SelfTest, said);
    // Where none is wanted that is right.
    scene.configure(FILE, "none", "");
    published(&scene.attempt(Trigger::Start).await);
}

#[tokio::test]
async fn what_may_be_sent_is_no_answer_but_a_good_one() {
    let mut scene = Scene::new(&test("GET /a", "service", 204, ""));
    published(&scene.attempt(Trigger::Start).await);
    scene.configure(FILE, "service", &test("GET /a", "service", 403, ""));
    let outcome = scene.attempt(Trigger::File).await;
    refused(
        &outcome,
        Stage::SelfTest,
        "would be sent to the upstream, not answered with 403",
    );
    assert!(scene.edges.0.borrow().asked.is_empty());
    assert_eq!(scene.control.published().unwrap().current().generation, 1);
}

/// The one plugin of a configuration, and who asks it.
fn compiled(require: &str) -> (Scene, Plugin, Cast) {
    let mut scene = Scene::empty();
    scene.write("openapi.json", DOCUMENT);
    scene.configure(FILE, require, "");
    let rehearsed = scene.control.rehearse().unwrap();
    let problems = &rehearsed.problems;
    assert!(!problems.has_problems(), "{problems}");
    let snapshot: Snapshot = Arc::into_inner(rehearsed.snapshot.unwrap()).unwrap();
    let cast = Cast::of(&snapshot, &scene.shared.scopes).unwrap();
    snapshot.learn(&scene.shared.scopes);
    let plugin = Arc::clone(&snapshot.plugins[0]);
    // It holds the plugin twice: as it serves, and with what it was made of.
    drop(snapshot);
    (scene, Arc::into_inner(plugin).unwrap(), cast)
}

fn breach(plugin: &Plugin, require: Require, cast: &Cast) -> Option<String> {
    let table = TokenTable::with_capacity(0);
    for (fingerprint, token) in &cast.entries {
        table.insert(*fingerprint, Arc::clone(token));
    }
    plugin.breach(require, &table, &cast.presentable, Timestamp::now())
}

#[tokio::test]
async fn a_policy_that_is_not_what_is_written_is_caught() {
    for (written, require) in [
        ("none", Require::None),
        ("service", Require::Service),
        ("user", Require::User),
        ("any", Require::Any),
        ("upstream", Require::Upstream),
    ] {
        for other in ["none", "service", "user", "any", "upstream"] {
            let (_scene, mut plugin, cast) = compiled(written);
            let (_other, changed, _) = compiled(other);
            plugin.policy = changed.policy;
            let found = breach(&plugin, require, &cast);
            assert_eq!(
                found.is_some(),
                other != written,
                "{written} as {other}: {found:?}"
            );
        }
        let (_scene, plugin, cast) = compiled(written);
        let wrong = if require == Require::None {
            Require::Any
        } else {
            Require::None
        };
        assert!(breach(&plugin, wrong, &cast).is_some());
    }
}

#[tokio::test]
async fn scopes_that_match_nothing_and_open_something_are_caught() {
    let (scene, mut plugin, cast) = compiled("any");
    let nothing = Arc::new(ScopeList::default());
    let gone = Arc::new(ScopeList::new([Selector::OperationId("gone".to_owned())]));
    let id = scene.shared.scopes.intern(&gone);
    assert!(!plugin.grants_nothing_for_something(id, &gone));
    // As if an empty list were all.
    let lists = scene.shared.scopes.all();
    plugin.scopes = CompiledScopes::compile(&lists, 2, |_, _| true);
    assert!(plugin.grants_nothing_for_something(id, &gone));
    let all = Arc::new(ScopeList::new([Selector::All]));
    let empty_as_all: Vec<_> = lists
        .iter()
        .map(|(id, list)| {
            (
                *id,
                if **list == *nothing {
                    Arc::clone(&all)
                } else {
                    Arc::clone(list)
                },
            )
        })
        .collect();
    plugin.scopes = CompiledScopes::compile(&empty_as_all, 2, |_, _| false);
    let found = breach(&plugin, Require::Any, &cast);
    assert_eq!(
        found.as_deref(),
        Some("a token whose scopes match nothing is let in")
    );
}
