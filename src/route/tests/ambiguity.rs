//! Paths that could be read in two ways.

use http::Method;

use super::super::{MAX_PATH, MAX_SEGMENTS, Miss, check_path};
use super::{check, router};

/// Published.
const READINGS_SPECS: &str = "GET /todos/{id}
    GET /todos
    GET /files/{name}.json
    GET /{tenant}/users
    GET /admin/users
    %GET /raw/{path}/meta
    %GET /raw/{path}.txt";

/// Requests.
const READINGS_CASES: &str = "GET /todos%2F7 => ambiguous
    GET /todos/a%2fb => ambiguous
    GET /nothing%2fhere => ambiguous
    POST /todos/a%2fb => ambiguous
    GET /todos/a\\b => ambiguous
    GET /todos/a%5cb => ambiguous
    GET /todos/%2e => ambiguous
    GET /todos/%2E%2e => ambiguous
    GET /todos/.%2e => ambiguous
    GET /todos/. => ambiguous
    GET /todos/.. => ambiguous
    GET /todos/../todos => ambiguous
    GET /todos/..;x => ambiguous
    GET /todos/..%3bx => ambiguous
    GET /todos/%2e;x/y => ambiguous
    GET /todos//7 => ambiguous
    GET //todos => ambiguous
    GET /todos// => ambiguous
    GET /todos/;x => ambiguous
    GET /;x/users => ambiguous
    GET /todos;x => ambiguous
    GET /todos;x/7 => ambiguous
    GET /todos%3bx/7 => ambiguous
    GET /admin;x/users => ambiguous
    GET /acme;x/users => 3 /acme;x/users
    GET /files/a.json;x => ambiguous
    GET /files/a;x.json => ambiguous
    GET /todos/%zz => ambiguous
    GET /todos/%4 => ambiguous
    GET /todos/% => ambiguous
    GET /todos/%u002e => ambiguous
    GET /todos/%00 => ambiguous
    GET /todos/a%0d%0ab => ambiguous
    GET /todos/%7f => ambiguous
    GET /todos/\u{1} => ambiguous
    GET /todos/\u{e9} => ambiguous
    GET /todos/a b => ambiguous
    GET /todos#x => ambiguous
    GET /todos/%c0%ae%c0%ae => ambiguous
    GET /todos/%C1%9C => ambiguous
    GET /todos/%c0x%ae => 0 /todos/%c0x%ae
    GET todos => ambiguous
    OPTIONS * => ambiguous
    GET http://x/todos => ambiguous
    GET /raw/a%2Fb%2fc/meta => 5 /raw/a%2Fb%2fc/meta
    GET /raw/https%3A%2F%2Fexample.com/meta => 5 /raw/https%3A%2F%2Fexample.com/meta
    GET /raw/a%2Fb.txt => 6 /raw/a%2Fb.txt
    GET /raw/a%2F..%2Fb/meta => ambiguous
    GET /raw/..%2Fb/meta => ambiguous
    GET /raw/a%2F%2e%2E;x/meta => ambiguous
    GET /raw/a%5cb/meta => ambiguous
    GET /raw%2Fa/meta => ambiguous";

#[test]
fn paths_with_two_readings() {
    check(READINGS_SPECS, READINGS_CASES);
    // The empty path can not be written as a line.
    assert!(matches!(
        router("GET /").find(&Method::GET, "", None),
        Err(Miss::Ambiguous(_))
    ));
}

#[test]
fn paths_that_nobody_publishes() {
    for (path, expected) in [
        ("/", true),
        ("/a/b;c/", true),
        ("/a%20b", true),
        ("/a%2Fb", false),
        ("/a/../b", false),
        ("/a//b", false),
        ("/a\\b", false),
        ("/a/;b", false),
        ("*", false),
    ] {
        assert_eq!(check_path(path).is_ok(), expected, "{path}");
    }
}

#[test]
fn bounds() {
    let router = router("GET /{x}");
    let path = |length| format!("/{}", "x".repeat(length - 1));
    assert!(router.find(&Method::GET, &path(MAX_PATH), None).is_ok());
    let long = path(MAX_PATH + 1);
    let miss = router.find(&Method::GET, &long, None);
    assert_eq!(miss, Err(Miss::Ambiguous("a path that is too long")));
    let deep = |segments| "/x".repeat(segments);
    assert_eq!(
        router.find(&Method::GET, &deep(MAX_SEGMENTS), None),
        Err(Miss::NotFound)
    );
    let deeper = deep(MAX_SEGMENTS + 1);
    let miss = router.find(&Method::GET, &deeper, None);
    assert_eq!(miss, Err(Miss::Ambiguous("too many segments in the path")));
}
