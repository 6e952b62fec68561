//! Operations whose requests could be those of others.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::{Plugin, Scene, api, with};
use crate::problems::Problems;
use crate::tokens::Call;

/// An operation with these parameters.
fn operation(id: &str, parameters: &Value) -> Value {
    json!({ "operationId": id, "parameters": parameters,
        "responses": { "200": { "description": "" } } })
}

/// A required header with one value.
fn target(value: &str) -> Value {
    json!([{ "name": "X-Amz-Target", "in": "header", "required": true,
        "schema": { "type": "string", "enum": [value] } }])
}

/// The first plugin, with these paths, and what is said of it.
#[track_caller]
fn plugin(extra: &str, paths: &Value) -> (std::sync::Arc<Plugin>, Problems) {
    let document = json!({ "openapi": "3.0.3", "info": { "title": "T", "version": "1" },
        "paths": paths });
    let mut scene = Scene::new();
    scene.api = api(&document.to_string());
    let (snapshot, problems) = scene.compile(&with(extra));
    let mut plugins = snapshot.plugins.iter();
    let found = plugins.find(|plugin| &*plugin.name == "todo").unwrap();
    (std::sync::Arc::clone(found), problems)
}

/// Whether a request is let in as an operation.
fn admits(plugin: &Plugin, target: &str, fields: &[(&str, &str)]) -> bool {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let field = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
        (name.parse().unwrap(), value.parse().unwrap())
    };
    let mut head = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        head.append(name, value);
    }
    let found = plugin.router.find(&Method::POST, path, query).unwrap();
    plugin.operations[found.operation]
        .fixed
        .admits(&head, "/", query)
}

fn is_told(problems: &Problems, words: &[&str]) -> bool {
    let mut messages = problems.iter().map(|problem| &problem.message);
    messages.any(|message| words.iter().all(|word| message.contains(word)))
}

const EXCLUDES: &str = "openapi.exclude = ['Drop']";

#[test]
fn a_header_that_tells_operations_apart_has_to_be_there() {
    let paths = json!({
        "/#X-Amz-Target=Svc.List": { "post": operation("List", &target("Svc.List")) },
        "/#X-Amz-Target=Svc.Drop": { "post": operation("Drop", &target("Svc.Drop")) },
    });
    let (plugin, problems) = plugin(EXCLUDES, &paths);
    let with = |fields: &[(&str, &str)]| admits(&plugin, "/", fields);
    assert!(with(&[("x-amz-target", "Svc.List")]));
    assert!(!with(&[]));
    assert!(!with(&[("x-amz-target", "Svc.Drop")]));
    assert!(!with(&[
        ("x-amz-target", "Svc.List"),
        ("x-amz-target", "Svc.Drop")
    ]));
    assert!(!with(&[
        ("x-amz-target", "Svc.List"),
        ("x_amz_target", "Svc.Drop")
    ]));
    assert!(plugin.operations[0].fixed.has_header(b"X-Amz-Target"));
    assert!(!is_told(&problems, &["Drop"]));
}

#[test]
fn where_nothing_tells_them_apart_it_is_said() {
    let paths = json!({
        "/a/{id}": { "post": operation("List", &json!([])) },
        "/a/{name}": { "post": operation("Drop", &target("Svc.Drop")) },
    });
    let (first, problems) = plugin(EXCLUDES, &paths);
    assert!(admits(&first, "/a/1", &[]));
    assert!(is_told(&problems, &["`Drop`", "`List`", "not published"]));
    // What was to be published is told of in the load report.
    let (_, problems) = plugin("", &paths);
    assert!(!is_told(&problems, &["`Drop`"]));
}

#[test]
fn a_query_does_not_change_the_method() {
    let method = json!([{ "name": "_method", "in": "query", "schema": { "type": "string" } }]);
    let paths = json!({
        "/a": { "post": operation("a", &json!([])) },
        "/b": { "post": operation("b", &method) },
    });
    let (plugin, _) = plugin("", &paths);
    for query in [
        "_method=DELETE",
        "x=1&_Method=PUT",
        "%5Fmethod=x",
        ".method=x",
        "a;_method[]=x",
    ] {
        assert!(!admits(&plugin, &format!("/a?{query}"), &[]), "{query}");
        assert!(admits(&plugin, &format!("/b?{query}"), &[]), "{query}");
    }
    assert!(admits(&plugin, "/a?method=x&my_method=y&x=_method", &[]));
}

#[test]
fn a_form_that_is_looked_at_does_not_either() {
    let action = json!([{ "name": "action", "in": "query", "required": true,
        "schema": { "type": "string" } }]);
    let paths = json!({ "/a": { "post": operation("a", &action) } });
    let fixed = "operations.a.fixed = { action = 'list' }";
    let (plugin, _) = plugin(fixed, &paths);
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    let head = HeaderMap::from_iter([(http::header::CONTENT_TYPE, form)]);
    let fixed = &plugin.operations[0].fixed;
    let kind = fixed.guards(&head).unwrap();
    assert!(fixed.is_repeated(kind, b"a=1&_method=DELETE"));
    assert!(!fixed.is_repeated(kind, b"a=1&method=DELETE"));
}

#[test]
fn a_header_that_never_arrives_is_told() {
    let header = json!([{ "name": "X_Tenant", "in": "header", "schema": { "type": "string" } }]);
    let paths = json!({ "/a": { "post": operation("a", &header) } });
    // The other plugin has the same document, and nothing is said of it.
    let told = |extra: &str| {
        let problems = plugin(extra, &paths).1;
        let messages = problems.iter().map(|problem| &problem.message);
        let words = ["`a`", "`X_Tenant`", "underscore"];
        let is_it = |message: &&String| words.iter().all(|word| message.contains(word));
        messages.filter(is_it).count()
    };
    assert_eq!(told(""), 2);
    assert_eq!(told("headers.underscores = 'pass'"), 1);
    assert_eq!(told("operations.a.fixed = { X_Tenant = 'acme' }"), 1);
}

#[test]
fn a_header_that_an_api_would_believe_never_arrives_and_is_told() {
    let told = |name: &str, extra: &str| {
        let header = json!([{ "name": name, "in": "header", "schema": { "type": "string" } }]);
        let paths = json!({ "/a": { "post": operation("a", &header) } });
        let problems = plugin(extra, &paths).1;
        let messages = problems.iter().map(|problem| problem.message.clone());
        let words = ["`a`", &format!("`{name}`"), "does not go to the upstream"];
        let found = messages.filter(|message| words.iter().all(|word| message.contains(word)));
        found.collect::<Vec<_>>()
    };
    for name in [
        "X-Remote-User",
        "Client-Cert",
        "X_Remote_User",
        "X-Http-Method",
    ] {
        let found = told(name, "headers.underscores = 'pass'");
        // The other plugin has the same document, and drops what has underscores.
        assert_eq!(found.len(), 2, "{name}: {found:?}");
        assert!(found[0].contains("proxies say"), "{found:?}");
    }
    for name in ["X-User-Id", "X-Auth-Token", "Authorization", "X-Request-Id"] {
        assert_eq!(told(name, ""), [""; 0], "{name}");
    }
    let own = "operations.a.fixed = { X-Remote-User = 'acme' }";
    assert_eq!(told("X-Remote-User", own).len(), 1);
}

#[test]
fn similar_paths_are_refused_unless_they_may_pass() {
    let paths = json!({
        "/users/{id}": { "post": operation("user", &json!([])) },
        "/users/export": { "post": operation("Drop", &json!([])) },
    });
    let found = |extra: &str| {
        let (plugin, _) = plugin(extra, &paths);
        plugin
            .router
            .find(&Method::POST, "/users/EXPORT", None)
            .is_ok()
    };
    assert!(!found(EXCLUDES));
    assert!(found("openapi.similar_paths = 'forward'"));
}

/// What a request is told to be as well is weighed by who asks and by what is fixed.
#[test]
fn another_operation_is_let_in_alike_or_not_at_all() {
    let limit = json!([{ "name": "limit", "in": "query", "schema": { "type": "string" } }]);
    let paths = json!({
        "/users/{id}": { "post": operation("user", &json!([])) },
        "/users/me/": { "post": operation("me", &limit) },
        "/users/export/": { "post": operation("Drop", &json!([])) },
    });
    let may = |extra: &str, path: &str, allows: &dyn Fn(Call) -> bool| {
        let (plugin, _) = plugin(extra, &paths);
        let found = plugin.router.find(&Method::POST, path, None).unwrap();
        let doubt = plugin.doubt(found.operation, &found.others, allows);
        doubt.map(|other| plugin.described(other))
    };
    let (all, first) = (|_| true, |call| call == Call::Operation(0));
    assert_eq!(may(EXCLUDES, "/users/7", &first), None);
    assert_eq!(may(EXCLUDES, "/users/me", &all), None);
    let me = Some("`me` (POST /users/me/)".to_owned());
    assert_eq!(may(EXCLUDES, "/users/me", &first), me);
    let drop = "`Drop` (POST /users/export/), which is not published";
    assert_eq!(may(EXCLUDES, "/users/export", &all).as_deref(), Some(drop));
    assert_eq!(may("", "/users/export", &all), None);
    let fixed = "operations.me.fixed = { limit = '10' }";
    assert_eq!(may(fixed, "/users/me", &all), me);
    assert_eq!(may("operations.me.body_bytes = 10", "/users/me", &all), me);
    let forward = &format!("{EXCLUDES}\nopenapi.unpublished = 'forward'");
    assert_eq!(may(forward, "/users/export", &all), None);
    let published = |call| call != Call::Unpublished;
    assert!(may(forward, "/users/export", &published).is_some());
}

#[test]
fn a_path_that_is_withheld_but_for_its_slash_is_told() {
    let paths = json!({
        "/users/{id}": { "post": operation("List", &json!([])) },
        "/users/{id}/": { "post": operation("Drop", &json!([])) },
    });
    let words = ["`Drop`", "`List`", "slash"];
    let (first, problems) = plugin(EXCLUDES, &paths);
    assert!(admits(&first, "/users/1", &[]));
    assert!(is_told(&problems, &words));
    let (_, problems) = plugin("", &paths);
    assert!(!is_told(&problems, &words));
    let forward = format!("{EXCLUDES}\nopenapi.similar_paths = 'forward'");
    assert!(!is_told(&plugin(&forward, &paths).1, &words));
}
