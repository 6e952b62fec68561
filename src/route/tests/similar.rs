//! Paths that are another operation's to a server that ignores case or endings.

use std::fmt::Write as _;

use super::super::{MAX_STEPS, Miss};
use super::{outcome, router};

/// As [`check`](super::check), with similar paths refused.
#[track_caller]
fn check(specs: &str, cases: &str) {
    let mut router = router(specs);
    router.refuse_similar();
    for line in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (request, expected) = line.split_once(" => ").unwrap();
        assert_eq!(outcome(&router, request), expected, "{request}");
    }
}

/// Published, and not.
const USERS: &str = "GET /users/{id}
    PUT /users/{id}
    -GET /users/export
    GET /users/me
    GET /users/{id}/posts
    DELETE /users/me/posts";

#[test]
fn case_and_endings_lead_to_no_other_operation() {
    check(
        USERS,
        "GET /users/7 => 0 /users/7
         GET /users/me => 3 /users/me
         GET /users/export => allow PUT
         GET /users/EXPORT => ambiguous
         HEAD /users/Export => ambiguous
         GET /users/%45xport => ambiguous
         GET /users/ME => ambiguous
         GET /users/export.json => ambiguous
         GET /users/Me.a.b => ambiguous
         GET /users/Export;x => ambiguous
         GET /users/exports => 0 /users/exports
         GET /users/export. => 0 /users/export.
         GET /users/.me => 0 /users/.me
         PUT /users/EXPORT => 1 /users/EXPORT
         PUT /users/export => 1 /users/export
         GET /users/ME/posts => 4 /users/ME/posts
         GET /users/me.x/posts => 4 /users/me.x/posts
         GET /users/me/posts => 4 /users/me/posts
         GET /USERS/7 => not found",
    );
}

#[test]
fn they_are_let_through_where_that_is_asked_for() {
    super::check(
        USERS,
        "GET /users/EXPORT => 0 /users/EXPORT
         GET /users/export.json => 0 /users/export.json",
    );
}

#[test]
fn on_the_way_all_is_similar() {
    check(
        "GET /{tenant}/{thing}
         -GET /users/export
         -GET /files/{name}/{version}
         GET /{tenant}/{thing}/{part}
         -GET /{tenant}/{thing}/log.txt
         -GET /x/a-{b}",
        "GET /a/b => 0 /a/b
         GET /Users/export => ambiguous
         GET /USERS/Export => ambiguous
         GET /Users/exports => 0 /Users/exports
         GET /Files/a/b => ambiguous
         GET /a/b/LOG.txt => ambiguous
         GET /a/b/c => 3 /a/b/c
         GET /X/A-1 => ambiguous
         GET /x/A-1 => ambiguous",
    );
}

#[test]
fn behind_what_is_spelt_exactly_so() {
    check(
        "GET /{tenant}/{thing}
         -GET /users/export
         -GET /v{version}/export",
        "GET /users/EXPORT => ambiguous
         GET /v1/EXPORT => ambiguous
         GET /v1/other => 0 /v1/other",
    );
}

#[test]
fn text_around_parameters_is_similar_too() {
    check(
        "GET /files/{name}
         -GET /files/{name}.Json
         GET /files/v{major}-{minor}",
        "GET /files/a => 0 /files/a
         GET /files/a.Json => not found
         GET /files/a.JSON => ambiguous
         GET /files/v1-2 => 2 /files/v1-2
         GET /files/V1-2 => ambiguous
         GET /files/v1-2.json => ambiguous",
    );
}

/// The way to similar paths is bounded as the others are: what takes longer is refused.
#[test]
fn many_that_are_similar_to_each_other() {
    let mut specs = "GET /{a}/{b}\n".to_owned();
    for bits in 0..(1 << 13) {
        let letter = |place| if bits >> place & 1 == 1 { 'X' } else { 'x' };
        let text: String = (0..13).map(letter).collect();
        let _ = writeln!(specs, "PUT /{text}/b");
    }
    let mut router = router(&specs);
    router.refuse_similar();
    let found = |path| router.find(&http::Method::GET, path, None);
    const { assert!(1 << 13 > MAX_STEPS) };
    assert!(found("/xxxxxxxxxxxx/b").is_ok());
    assert!(matches!(found("/xxxxxxxxxxxxx/b"), Err(Miss::Ambiguous(_))));
}
