//! Paths that are another operation's to a server that ignores case, endings, the last slash, dots
//! and spaces at the end of segments, that decodes slashes, or ends a path at a semicolon.
//!
//! `0 /users/export or 2` is the first operation here and the third there: the caller decides.

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
         GET /users/export. => 0 /users/export. or 2
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

#[test]
fn a_slash_at_the_end_leads_to_another_operation() {
    check(
        "GET /users/{id}
         PUT /users/{id}
         -GET /users/export/
         GET /users/me/
         GET /users/v{major}-{minor}/
         GET /users/{id}/posts
         -GET /users/{id}/drafts/",
        "GET /users/7 => 0 /users/7
         GET /users/7/ => not found
         GET /users/export => 0 /users/export or 2
         HEAD /users/export => 0 /users/export for GET or 2
         GET /users/%65xport => 0 /users/%65xport or 2
         GET /users/EXPORT => 0 /users/EXPORT or 2
         GET /users/export.json => 0 /users/export.json or 2
         GET /users/export;x => ambiguous
         GET /users/exports => 0 /users/exports
         GET /users/export/ => not found
         PUT /users/export => 1 /users/export
         GET /users/me => 0 /users/me or 3
         GET /users/me/ => 3 /users/me/
         GET /users/v1-2 => 0 /users/v1-2 or 4
         GET /users/v1-2/ => 4 /users/v1-2/
         GET /users/7/posts => 5 /users/7/posts
         GET /users/7/drafts => not found",
    );
    check(
        "GET /users/{id}/
         -GET /users/export
         GET /{any}/list
         -GET /groups/list/
         GET /{any}
         -GET /teams/",
        "GET /users/7/ => 0 /users/7/
         GET /users/export/ => 0 /users/export/ or 1
         GET /users/EXPORT/ => 0 /users/EXPORT/ or 1
         GET /users/export.csv/ => 0 /users/export.csv/ or 1
         GET /users/export => not found
         GET /groups/list => 2 /groups/list or 3
         GET /users/list => 2 /users/list or 0
         GET /groups => 4 /groups
         GET /teams => 4 /teams or 5
         GET /teams/ => not found",
    );
}

/// A document that has a path with a slash and without knows which is which.
#[test]
fn with_and_without_a_slash_are_not_similar_to_each_other() {
    check(
        "GET /items
         -GET /items/
         GET /items/{id}
         -GET /items/{id}/
         GET /items/all
         GET /items/all/",
        "GET /items => 0 /items
         GET /items/7 => 2 /items/7
         GET /items/all => 4 /items/all
         GET /items/all/ => 5 /items/all/
         GET /items/ => not found
         GET /items/ALL => ambiguous",
    );
}

#[test]
fn dots_and_spaces_at_the_end_of_a_segment_lead_to_another_operation() {
    check(
        "GET /users/{id}
         -GET /users/export
         -GET /users
         GET /users/{id}/posts
         -GET /users/export/posts/
         -GET /users/posts
         GET /users/{id}.json",
        "GET /users/export%20 => 0 /users/export%20 or 1
         GET /users/export%2e => 0 /users/export%2e or 1
         GET /users/export%20%20 => 0 /users/export%20%20 or 1
         GET /users/export%20. => 0 /users/export%20. or 1
         GET /users/export.. => ambiguous
         GET /users/Export.%20 => ambiguous
         GET /users/EXPORT%20 => 0 /users/EXPORT%20 or 1
         GET /users/export%20x => 0 /users/export%20x
         GET /users/%20export => 0 /users/%20export
         GET /users/7. => 0 /users/7.
         GET /users/7.json. => 0 /users/7.json. or 6
         GET /users/%20 => 0 /users/%20 or 2
         GET /users/... => 0 /users/... or 2
         GET /users/export%20/posts => 3 /users/export%20/posts or 4
         GET /users/export./posts => 3 /users/export./posts or 4
         GET /users/7./posts => 3 /users/7./posts
         GET /users/7.x/posts => 3 /users/7.x/posts
         GET /users/%20/posts => 3 /users/%20/posts or 5",
    );
    // What is left may be an operation that comes later in the order.
    check(
        "GET /files/{name}.{ending}
         -GET /files/{name}",
        "GET /files/a.b => 0 /files/a.b
         GET /files/a.b. => 0 /files/a.b.
         GET /files/a.%20 => 0 /files/a.%20 or 1",
    );
}

#[test]
fn an_encoded_slash_leads_to_another_operation() {
    check(
        "%GET /files/{id}
         -GET /files/{id}/acl
         GET /files/{id}/tags/
         -PUT /files/{id}/put
         GET /files/{id}/{part}/raw
         GET /files/{id}/{part}/{name}
         -GET /files/reset
         GET /users/{id}/acl",
        "GET /files/1%2Facl => 0 /files/1%2Facl or 1
         GET /files/1%2facl => 0 /files/1%2facl or 1
         GET /files/1%2f%61cl => 0 /files/1%2f%61cl or 1
         GET /files/1%2FACL => 0 /files/1%2FACL or 1
         GET /files/1%2Facl.json => 0 /files/1%2Facl.json or 1
         GET /files/1%2Facl%2F => 0 /files/1%2Facl%2F or 1
         GET /files/1%2F%2Facl => 0 /files/1%2F%2Facl or 1
         GET /files/1%2Facl. => 0 /files/1%2Facl. or 1
         GET /files/1%2Facl;x => 0 /files/1%2Facl;x or 1
         GET /files/1%2Ftags => 0 /files/1%2Ftags or 2
         GET /files/1%2F => 0 /files/1%2F
         GET /files/%2F1 => 0 /files/%2F1
         GET /files/%2Freset => 0 /files/%2Freset or 6
         GET /files/1%2Fput => 0 /files/1%2Fput
         GET /files/1%2Fx => 0 /files/1%2Fx
         GET /files/1%2F2%2F3 => 0 /files/1%2F2%2F3 or 5
         GET /files/1%2F2%2Fraw => 0 /files/1%2F2%2Fraw or 4
         GET /files/1%2F2%2F3%2F4 => 0 /files/1%2F2%2F3%2F4
         GET /files/1%5Cacl => ambiguous
         GET /files/1%5cacl => ambiguous
         GET /files/1%2F..%2Facl => ambiguous
         GET /users/1%2Facl => ambiguous",
    );
    check(
        "%GET /{path}
         -GET /admin/users
         -GET /admin",
        "GET /a => 0 /a
         GET /admin%2Fusers => 0 /admin%2Fusers or 1
         GET /ADMIN%2Fusers => 0 /ADMIN%2Fusers or 1
         GET /%2Fadmin => 0 /%2Fadmin or 2
         GET /admin%2F => 0 /admin%2F or 2
         GET /a%2Fb => 0 /a%2Fb",
    );
}

#[test]
fn ends_and_slashes_are_let_through_where_that_is_asked_for() {
    super::check(
        "%GET /files/{id}
         -GET /files/{id}/acl
         -GET /files/export/",
        "GET /files/1%2Facl => 0 /files/1%2Facl
         GET /files/export => 0 /files/export
         GET /files/export%20 => 0 /files/export%20",
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

/// As Fastify reads it up to its version 4.
#[test]
fn up_to_a_semicolon_it_may_be_another_operation() {
    check(
        "GET /users/{id}
         GET /users/{id}/posts
         -GET /files/{id}
         GET /files/{id}/versions
         GET /things/{id}?action=get
         -GET /things/{id}?action=wipe",
        "GET /users/7;x => 0 /users/7;x
         GET /users/7;x/posts => 1 /users/7;x/posts or 0
         GET /users/7%3Bx/posts => 1 /users/7%3Bx/posts
         GET /users/7/posts => 1 /users/7/posts
         GET /files/7;x/versions => 3 /files/7;x/versions or 2
         GET /files/7;x/y/z => ambiguous
         GET /users/7;x/y/z => ambiguous
         GET /nothing/7;x => not found
         GET /things/7;x?action=get => 4 /things/7;x
         GET /things/7;action=wipe&x?action=get => 4 /things/7;action=wipe&x or 5",
    );
}

/// Some servers drop what stands behind a semicolon, and to others it is a letter like any.
#[test]
fn a_semicolon_hides_no_other_operation() {
    check(
        "%GET /files/{id}
         -GET /files/{id}/v{n}.json
         GET /docs/{name}
         -GET /docs/{name}.txt",
        "GET /files/7%2Fv1.json => 0 /files/7%2Fv1.json or 1
         GET /files/7%2Fv;1.json => 0 /files/7%2Fv;1.json or 1
         GET /files/7%2Fv1;x.json => 0 /files/7%2Fv1;x.json or 1
         GET /files/7;%2Fv1;.json => 0 /files/7;%2Fv1;.json or 1
         GET /docs/a.TXT => ambiguous
         GET /docs/a;b.TXT => ambiguous
         GET /docs/a%3Bb.TXT => ambiguous
         GET /docs/a;b => 2 /docs/a;b",
    );
}

#[test]
fn case_is_that_of_all_letters() {
    check(
        "GET /benutzer/{id}
         -GET /benutzer/löschen
         GET /akten/{name}
         -GET /akten/{name}.ö",
        "GET /benutzer/L%C3%96SCHEN => ambiguous
         GET /benutzer/l%C3%96schen => ambiguous
         GET /benutzer/loschen => 0 /benutzer/loschen
         GET /akten/a.%C3%96 => ambiguous
         GET /akten/a.o => 2 /akten/a.o",
    );
}

/// A server that looks before it decodes does not find the text of an escaped segment.
#[test]
fn text_beside_parameters_goes_on_as_it_is() {
    check(
        "GET /docs/{name}.txt
         GET /docs/{name}
         GET /a-{x}/{y}",
        "GET /docs/a.tx%74 => 0 /docs/a.txt
         GET /docs/a%2Etxt => 0 /docs/a.txt
         GET /docs/%61%20b.txt => 0 /docs/a%20b.txt
         GET /docs/%61 => 1 /docs/%61
         GET /%61-1/%61%2c => 2 /a-1/%61%2c",
    );
}
