//! What is taken over is right where it is now.

use std::sync::Arc;
use std::time::Instant;

use super::{DOCUMENT, LEAST, Scene, api, same, with};
use crate::problems::Severity;
use crate::tokens::{Call, ScopeList, Selector};

#[test]
fn warnings_are_given_again_where_their_plugin_stands_now() {
    let mut scene = Scene::new();
    scene.api = api(r#"{"openapi":"3.0.3","info":{"title":"T","version":"1"},"paths":{}}"#);
    let (first, before) = scene.compile(&with(""));
    let (second, after) = scene.compile(&format!("# One\n# Two\n{}", with("")));
    assert_eq!(same(&first, &second), [true, true]);
    assert!(
        before
            .iter()
            .any(|warning| warning.message.contains("no operation is published"))
    );
    let lines = |problems: &crate::problems::Problems, more: usize| -> Vec<_> {
        let line = |problem: &crate::problems::Problem| {
            let position = problem
                .at
                .position()
                .map(|(line, column)| (line + more, column));
            (position, problem.at.key.clone(), problem.message.clone())
        };
        problems.iter().map(line).collect()
    };
    assert_eq!(lines(&before, 2), lines(&after, 0));
    // And again, from what was taken over.
    let (_, back) = scene.compile(&with(""));
    assert_eq!(lines(&before, 0), lines(&back, 0));
}

#[test]
fn a_fault_that_was_a_warning_becomes_a_problem_when_it_is_written() {
    let text = with("openapi.exclude = ['gone']");
    let mut scene = Scene::new();
    scene.strict = false;
    let (_, problems) = scene.compile(&text);
    let is_told = |severity| {
        move |problem: &crate::problems::Problem| {
            problem.severity == severity && problem.message.contains("`gone` matches no")
        }
    };
    assert!(problems.iter().any(is_told(Severity::Warning)));
    scene.strict = true;
    let (refused, problems) = scene.attempt(&text);
    assert!(refused.is_none() && problems.iter().any(is_told(Severity::Problem)));
}

#[test]
fn a_document_is_known_by_what_it_says() {
    let mut scene = Scene::new();
    let (first, _) = scene.compile(&with(""));
    scene.api = api(DOCUMENT);
    let (second, _) = scene.compile(&with(""));
    assert_eq!(same(&first, &second), [true, true]);
    scene.api = api(&DOCUMENT.replace("\"ok\"", "\"fine\""));
    let (third, _) = scene.compile(&with(""));
    assert_eq!(same(&first, &third), [false, false]);
}

#[test]
fn scope_lists_that_came_since_are_learned() {
    let mut scene = Scene::new();
    let (first, _) = scene.compile(&with(""));
    // One that rests meanwhile is told by nobody.
    scene.compile(&with("description = 'Other.'"));
    let list = ScopeList::new([Selector::OperationId("a".to_owned())]);
    let id = scene.scopes.intern(&Arc::new(list));
    let (back, _) = scene.compile(&with(""));
    assert_eq!(same(&first, &back), [true, true]);
    for plugin in &back.plugins {
        assert!(plugin.scopes.allows(id, Call::Operation(0)));
        assert!(!plugin.scopes.allows(id, Call::Operation(1)));
    }
}

#[test]
fn the_one_before_is_kept_and_no_other() {
    let mut scene = Scene::new();
    let (first, _) = scene.compile(&with(""));
    let without = with("").split("[plugins.other]").next().unwrap().to_owned();
    scene.compile(&without);
    let (back, _) = scene.compile(&with(""));
    assert_eq!(
        same(&first, &back),
        [true, true],
        "a plugin that was gone for one generation"
    );

    let mut scene = Scene::new();
    let gone = Arc::downgrade(&scene.compile(&with("")).0.plugins[1]);
    scene.compile(&without);
    assert!(gone.upgrade().is_some());
    scene.compile(&without.replace("todo.example", "more.example"));
    assert!(gone.upgrade().is_none(), "names may come and go for ever");

    let first = Arc::downgrade(&scene.compile(&with("")).0.plugins[0]);
    for number in 0..3 {
        scene.compile(&with(&format!("description = 'Number {number}.'")));
    }
    assert!(first.upgrade().is_none(), "of each plugin one is kept");
}

#[test]
fn a_refused_candidate_pushes_nothing_out() {
    let mut scene = Scene::new();
    let (first, _) = scene.compile(&with(""));
    for number in 0..3 {
        let extra = format!("description = 'Number {number}.'\nopenapi.exclude = ['gone']");
        assert!(scene.attempt(&with(&extra)).0.is_none());
    }
    let (again, _) = scene.compile(&with(""));
    assert_eq!(same(&first, &again), [true, true]);
}

#[test]
fn an_upstream_that_nobody_names_any_more_begins_anew() {
    let mut scene = Scene::new();
    let fail = |target: &crate::snapshot::Target| {
        for _ in 0..3 {
            target.origin.failed(Instant::now(), false);
        }
        let checked = target.checked.as_ref().unwrap();
        for _ in 0..9 {
            checked.condition.found(false, &checked.settings);
        }
        assert!(checked.condition.is_ill());
    };
    let health = with("upstream.health = { path = '/health' }");
    let (first, _) = scene.compile(&health);
    let target = first.plugins[0].targets.first();
    fail(target);
    scene.compile(&format!("# A line above.\n{health}"));
    assert!(
        target.checked.as_ref().unwrap().condition.is_ill(),
        "it is known yet"
    );
    scene.compile(
        &LEAST
            .replace("EXTRA", "")
            .replacen("api.example", "new.example", 1),
    );
    let (back, _) = scene.compile(&health);
    let target = back.plugins[0].targets.first();
    assert!(!target.checked.as_ref().unwrap().condition.is_ill());
    // The other plugin names it too.
    assert_eq!(target.origin.failures(), 3);
}

#[test]
fn certificates_are_read_again_only_when_their_bytes_change() {
    let text = format!(
        "{}[tls]\ncertificate = 'one.pem'\nkey = 'one.key'\n",
        with("").replace("http =", "https =")
    );
    let mut scene = Scene::new();
    let tls = |snapshot: &crate::snapshot::Snapshot| snapshot.tls.clone().unwrap();
    let (first, _) = scene.compile(&text);
    let (second, _) = scene.compile(&format!("# A line above.\n{text}"));
    assert!(Arc::ptr_eq(&tls(&first), &tls(&second)));
    assert_eq!(second.certificates.len(), 1);
    let renewed = scene.files.0["two.pem"].clone();
    scene.files.0.insert("one.pem", renewed);
    let (third, _) = scene.compile(&text);
    assert!(!Arc::ptr_eq(&tls(&first), &tls(&third)));
    let (none, _) = scene.compile(&with(""));
    assert!(none.tls.is_none() && none.certificates.is_empty());
}
