//! Cases as lines; properties are in a file of their own.

mod ambiguity;
mod properties;
mod queries;
mod similar;

use std::borrow::Cow;
use std::fmt::Write as _;

use http::Method;

use super::{Methods, Miss, Router, Spec, Unroutable, Why};

/// A specification from a line such as `GET /todos/{id}?action=list`. A line that begins with
/// `-` is not published, one that begins with `%` takes encoded slashes.
fn spec(line: &str) -> Spec {
    let (flag, line) = match line.as_bytes()[0] {
        flag @ (b'-' | b'%') => (flag, &line[1..]),
        _ => (b' ', line),
    };
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key.to_owned(), value.to_owned())
    };
    Spec {
        method: method.parse().unwrap(),
        path: path.to_owned(),
        fixed_query: query
            .split('&')
            .filter(|q| !q.is_empty())
            .map(pair)
            .collect(),
        encoded_slash: flag == b'%',
        published: flag != b'-',
    }
}

/// A router of lines, every one of which is reachable.
#[track_caller]
fn router(lines: &str) -> Router {
    let specs: Vec<_> = lines
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .map(spec)
        .collect();
    let (router, mut unroutable) = Router::build(&specs);
    unroutable.retain(|lost| specs[lost.operation].published);
    assert_eq!(unroutable, []);
    router
}

/// What a request is: the index and the upstream path, or the miss in words.
fn outcome(router: &Router, request: &str) -> String {
    let (method, target) = request.split_once(' ').unwrap();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    match router.find(&method.parse().unwrap(), path, query) {
        Ok(found) => {
            let get = if found.head_of_get { " for GET" } else { "" };
            let mut text = format!("{} {}{get}", found.operation, found.upstream_path);
            for other in &found.others {
                let _ = write!(text, " or {}", other.operation);
            }
            text
        }
        Err(Miss::NotFound) => "not found".to_owned(),
        Err(Miss::MethodNotAllowed { allow }) => format!("allow {allow}"),
        Err(Miss::Ambiguous(_) | Miss::Another(_)) => "ambiguous".to_owned(),
    }
}

/// Requests and what they are, one a line: `GET /todos => 0 /todos`.
#[track_caller]
fn check(specs: &str, cases: &str) {
    let router = router(specs);
    for line in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (request, expected) = line.split_once(" => ").unwrap();
        assert_eq!(outcome(&router, request), expected, "{request}");
    }
}

#[test]
fn published_operations() {
    check(
        "GET /todos
         POST /todos
         GET /todos/{id}
         DELETE /todos/{id}
         GET /
         PUT /todos/
         HEAD /only",
        "GET /todos => 0 /todos
         GET /todos?done=1&x => 0 /todos
         HEAD /todos => 0 /todos for GET
         POST /todos => 1 /todos
         GET /todos/7 => 2 /todos/7
         GET /todos/%37 => 2 /todos/%37
         GET /todos/a%20b%C3%A9 => 2 /todos/a%20b%C3%A9
         GET /todos/%ff => 2 /todos/%ff
         GET /todos/a;b=1 => 2 /todos/a;b=1
         GET /todos/a%25b => 2 /todos/a%25b
         GET /todos/... => 2 /todos/...
         GET /todos/.well-known => 2 /todos/.well-known
         HEAD /todos/7 => 2 /todos/7 for GET
         DELETE /todos/7 => 3 /todos/7
         GET / => 4 /
         PUT /todos/ => 5 /todos/
         GET /todos/ => allow PUT
         PUT /todos => allow GET, HEAD, POST
         POST /todos/7 => allow GET, HEAD, DELETE
         BREW /todos => allow GET, HEAD, POST
         GET /Todos => not found
         GET /todos/7/ => not found
         GET /todos/7/x => not found
         GET /todo => not found
         HEAD /only => 6 /only
         GET /only => allow HEAD",
    );
}

#[test]
fn static_segments_go_upstream_as_the_template_has_them() {
    check(
        "GET /to dos/{id}
         GET /caf%c3%a9/|/{id}
         GET /100%
         GET /a;b/{x}",
        "GET /to%20dos/%41 => 0 /to%20dos/%41
         GET /t%6f%20d%6Fs/x%2Dy => 0 /to%20dos/x%2Dy
         GET /caf%C3%A9/|/1 => 1 /caf%C3%A9/%7C/1
         GET /%63af%c3%A9/%7c/1 => 1 /caf%C3%A9/%7C/1
         GET /100%25 => 2 /100%25
         GET /a;b/1 => 3 /a;b/1
         GET /a%3Bb/1 => 3 /a;b/1",
    );
}

#[test]
fn concrete_before_templated_and_back() {
    check(
        "GET /Files/{FileId}
         PUT /Files/{FolderId}
         GET /Associations/Count
         GET /Associations/{ObjectId}
         DELETE /Associations/{ObjectId}
         GET /a/{x}/c
         GET /a/b/{y}/d
         GET /{z}/b/c/{w}",
        "GET /Files/1 => 0 /Files/1
         PUT /Files/1 => 1 /Files/1
         POST /Files/1 => allow GET, HEAD, PUT
         GET /Associations/Count => 2 /Associations/Count
         DELETE /Associations/Count => 4 /Associations/Count
         PATCH /Associations/Count => allow GET, HEAD, DELETE
         GET /Associations/1 => 3 /Associations/1
         GET /a/b/c => 5 /a/b/c
         GET /a/b/c/d => 6 /a/b/c/d
         GET /a/b/c/e => 7 /a/b/c/e
         GET /a/x/c/d => not found",
    );
}

#[test]
fn text_and_parameters_in_one_segment() {
    check(
        "GET /lists/{date}/{list}.json
         GET /lists/{date}/{list}
         GET /lists/{date}/names.json
         GET /a/{x}-{y}
         GET /b/{x}{y}
         GET /c/v{x}.{y}z
         GET /c/{x}.tar.{y}
         GET /d/{x}aba{y}b",
        "GET /lists/2026/fiction.json => 0 /lists/2026/fiction.json
         GET /lists/2026/fiction%2Ejson => 0 /lists/2026/fiction.json
         GET /lists/2026/.json => 1 /lists/2026/.json
         GET /lists/2026/fiction.jso => 1 /lists/2026/fiction.jso
         GET /lists/2026/names.json => 2 /lists/2026/names.json
         GET /a/1-2 => 3 /a/1-2
         GET /a/1-2-3 => 3 /a/1-2-3
         GET /a/--- => 3 /a/---
         GET /a/-2 => not found
         GET /a/1- => not found
         GET /a/- => not found
         GET /b/x => not found
         GET /b/xy => 4 /b/xy
         GET /c/v1.2z => 5 /c/v1.2z
         GET /c/v1.z => not found
         GET /c/vz => not found
         GET /c/v1.tar.gz => 6 /c/v1.tar.gz
         GET /d/xabyabaaab => 7 /d/xabyabaaab
         GET /d/xababab => 7 /d/xababab
         GET /d/xabab => not found",
    );
}

#[test]
fn unpublished_operations_keep_their_paths() {
    check(
        "GET /users/{id}
         DELETE /users/{id}
         -DELETE /users/all
         -GET /users/count
         -HEAD /users/head
         -GET /secret
         POST /users/all
         GET /dup/{b}
         -GET /dup/{a}",
        "DELETE /users/7 => 1 /users/7
         DELETE /users/all => allow GET, HEAD, POST
         DELETE /users/al%6c => allow GET, HEAD, POST
         GET /users/all => 0 /users/all
         GET /users/count => allow DELETE
         HEAD /users/count => allow DELETE
         HEAD /users/head => allow GET, DELETE
         GET /users/head => 0 /users/head
         GET /secret => not found
         GET /secret;x => ambiguous
         GET /dup/1 => 7 /dup/1",
    );
}

#[test]
fn allowed_methods() {
    let router = router(
        "GET /a
         POST /a
         -PUT /a
         PUT /{x}
         QUERY /{x}?k=v",
    );
    for (path, query, expected) in [
        ("/a", None, "GET, HEAD, POST"),
        ("/a", Some("k=v"), "GET, HEAD, POST, QUERY"),
        ("/b", None, "PUT"),
        ("/b/", None, ""),
        ("/a;x", None, ""),
        ("//", None, ""),
    ] {
        assert_eq!(router.allowed(path, query).to_string(), expected, "{path}");
    }
}

#[test]
fn a_path_in_the_template_s_own_spelling_is_not_copied() {
    let router = router("GET /todos/{id}");
    let found = router.find(&Method::GET, "/todos/%41", None).unwrap();
    assert!(matches!(found.upstream_path, Cow::Borrowed(_)));
}

#[test]
fn method_sets() {
    assert_eq!(Methods::of(&Method::TRACE), Methods::NONE);
    assert_eq!(
        Methods::of(&Method::from_bytes(b"get").unwrap()),
        Methods::NONE
    );
    let all = Methods::all().fold(Methods::NONE, Methods::union);
    assert_eq!(
        all.to_string(),
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, QUERY"
    );
}

#[test]
fn operations_that_are_left_out() {
    #[track_caller]
    fn check(lines: &[&str], expected: &[(usize, Why)]) {
        let specs: Vec<_> = lines.iter().map(|line| spec(line)).collect();
        let (_, unroutable) = Router::build(&specs);
        let unroutable: Vec<_> = unroutable
            .into_iter()
            .map(|Unroutable { operation, why }| (operation, why))
            .collect();
        assert_eq!(unroutable, expected, "{lines:?}");
    }
    let collides = |with| Why::Collides { with };
    check(
        &["GET /a/{x}", "GET /a/{y}", "PUT /a/{z}"],
        &[(1, collides(0))],
    );
    check(
        &["GET /a/{x}.{y}", "GET /a/{p}.{q}", "GET /%61/{r}%2E{s}"],
        &[(1, collides(0)), (2, collides(0))],
    );
    check(
        &["GET /a?x=1&y=2", "GET /a?y=2&x=1", "GET /a?x=1"],
        &[(1, collides(0))],
    );
    check(
        &["-GET /a/{x}", "GET /a/{y}", "-GET /b//c", "-TRACE /c"],
        &[(0, collides(1))],
    );
    check(
        &["TRACE /a", "CONNECT /b", "QUERY /c"],
        &[(0, Why::Method), (1, Why::Method)],
    );
}

#[test]
fn templates_that_no_request_can_have() {
    for path in [
        "a", "", "/a//b", "//", "/a/../b", "/./a", "/%2e%2E", "/..;a", "/;a", "/a%2Fb", "/a\\b",
        "/a%00", "/a{b", "/a}b", "/a{{b}", "/a{b/c}", "/a{",
    ] {
        let (_, unroutable) = Router::build(&[Spec {
            path: path.to_owned(),
            ..spec("GET /")
        }]);
        assert!(
            matches!(
                unroutable[..],
                [Unroutable {
                    why: Why::Template(_),
                    ..
                }]
            ),
            "{path}"
        );
    }
    let long = |path: String| {
        Router::build(&[Spec {
            path,
            ..spec("GET /")
        }])
        .1
        .len()
    };
    assert_eq!(long("/x".repeat(super::MAX_SEGMENTS)), 0);
    assert_eq!(long("/x".repeat(super::MAX_SEGMENTS + 1)), 1);
    assert_eq!(long(format!("/{}", "x".repeat(super::MAX_PATH))), 1);
}
