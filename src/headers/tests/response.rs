//! What the client gets.

use http::HeaderValue;

use super::super::{
    ResponseContext, Rewrite, Rules, is_fly_replay_body, parse_authority, response,
    rewrite_location,
};
use super::{head, lines};

/// What the client gets of a response besides `X-Request-Id`, with all lengths and trailers
/// (`true`) or none.
#[track_caller]
fn check(upstream: &str, whole: bool, expected: &str) {
    let upstream_authority = parse_authority("api.internal:8000").unwrap();
    let public = parse_authority("todo.example.com").unwrap();
    let set = [("x-set".to_owned(), "1".to_owned())];
    let remove = ["x-remove".to_owned()];
    let context = ResponseContext {
        fly_replay: false,
        request_id: &HeaderValue::from_static("r1"),
        rewrite: Rewrite {
            upstream_https: false,
            upstream: &upstream_authority,
            host_sent: "api.internal:8000",
            prefix: "/v1",
            public_https: true,
            public: &public,
        },
        rules: &Rules::compile(&set, &remove).unwrap(),
        content_length: whole,
        trailers: whole,
        upgrade: None,
    };
    let sent = response(&head(upstream), &context);
    let mut expected = head(expected);
    expected.extend(head("X-Request-Id: r1\nX-Set: 1"));
    assert_eq!(lines(&sent), lines(&expected));
}

#[test]
fn what_goes_on_goes_on_as_it_is() {
    let fields = "Content-Type: application/json
        Set-Cookie: a=1
        Set-Cookie: b=2
        Server: gunicorn
        X-Powered-By: PHP
        Strict-Transport-Security: max-age=1
        WWW-Authenticate: Basic realm=\"x\"
        Retry-After: 5
        ETag: \"x\"
        Vary: Accept
        Date: Sun, 22 Nov 2026 10:00:00 GMT
        Proxy-Status: x
        Fly-Region: fra
        X-Custom: caf\\xE9";
    check(fields, true, fields);
}

#[test]
fn a_cookie_of_a_path_of_the_upstream_is_one_of_the_path_that_the_client_knows() {
    check(
        "Set-Cookie: sid=abc; Path=/v1; HttpOnly; Secure
         Set-Cookie: a=1;path = /v1/items ;SameSite=Lax
         Set-Cookie: b=1; PATH=/v1/; Path=/v1
         Set-Cookie: c=/v1; Path=/
         Set-Cookie: d=1; Path=/v10
         Set-Cookie: Path=/v1; Max-Age=1
         Set-Cookie: e=1; Path=v1; Path
         Set-Cookie: f=\\xE9; Path=/v1/x; Comment=\\xE9",
        true,
        "Set-Cookie: sid=abc; Path=/; HttpOnly; Secure
         Set-Cookie: a=1; Path=/items;SameSite=Lax
         Set-Cookie: b=1; Path=/; Path=/
         Set-Cookie: c=/v1; Path=/
         Set-Cookie: d=1; Path=/v10
         Set-Cookie: Path=/v1; Max-Age=1
         Set-Cookie: e=1; Path=v1; Path
         Set-Cookie: f=\\xE9; Path=/x; Comment=\\xE9",
    );
}

#[test]
fn what_is_not_the_client_s_stays() {
    check(
        "Connection: close, X-Mine, X-Request-Id
         X-Mine: 1
         X-Remove: 1
         X-Set: 0
         X-Request-Id: theirs
         Keep-Alive: timeout=5
         Proxy-Connection: x
         Proxy-Authenticate: Basic
         Proxy-Authorization: x
         Proxy-Authentication-Info: x
         TE: trailers
         Upgrade: h2c
         HTTP2-Settings: x
         Transfer-Encoding: chunked
         Alt-Svc: h3=\":443\"
         Access-Control-Allow-Origin: *
         Access-Control-Allow-Credentials: true
         Access-Control-Expose-Headers: *
         Fly-Replay: region=fra
         Fly-Replay-Cache: /x
         Fly-Replay-Cache-Control: x
         Accept-Ranges: bytes",
        true,
        "Accept-Ranges: bytes",
    );
}

#[test]
fn lengths_and_trailers() {
    let upstream = "Content-Length: 5\nContent-Length: 5\nTrailer: X-Sum, Set-Cookie\nTrailer: Age";
    check(upstream, true, "Content-Length: 5\nTrailer: x-sum");
    check(upstream, false, "");
}

#[test]
fn addresses_in_heads() {
    check(
        "Location: http://api.internal:8000/v1/todos/7
         Content-Location: /v1/todos/7",
        true,
        "Location: https://todo.example.com/todos/7
         Content-Location: /todos/7",
    );
    check("Location: caf\\xE9", true, "Location: caf\\xE9");
    for address in [
        "/v1/\t/evil.example",
        "/v1\t//evil.example",
        "ht\ttp://evil.example",
    ] {
        check(
            &format!("Location: {address}\nContent-Location: {address}\nAge: 1"),
            true,
            "Age: 1",
        );
    }
}

/// Public form of an address (`-`: as it is), for an upstream at `http://api.internal:8000` with
/// this prefix that was sent `Host: sent.example`, in front of `https://todo.example.com:8443`.
#[track_caller]
fn located(prefix: &str, cases: &str) {
    let upstream = parse_authority("api.internal:8000").unwrap();
    let public = parse_authority("todo.example.com:8443").unwrap();
    let rewrite = Rewrite {
        upstream_https: false,
        upstream: &upstream,
        host_sent: "sent.example",
        prefix,
        public_https: true,
        public: &public,
    };
    for line in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (value, expected) = line.split_once(" => ").unwrap();
        let ours = rewrite_location(value, &rewrite);
        assert_eq!(ours.as_deref().unwrap_or("-"), expected, "{value}");
    }
}

#[test]
fn locations_without_a_prefix() {
    located(
        "",
        "http://api.internal:8000/todos/7?a=b#c => https://todo.example.com:8443/todos/7?a=b#c
         HTTP://API.internal:8000/x => https://todo.example.com:8443/x
         http://api.internal:8000 => https://todo.example.com:8443/
         http://api.internal:8000?a => https://todo.example.com:8443/?a
         //api.internal:8000/x => https://todo.example.com:8443/x
         https://api.internal:8000/x => -
         http://api.internal/x => -
         http://api.internal:8000.evil.example/x => -
         http://u@api.internal:8000/x => -
         http://sent.example/x => https://todo.example.com:8443/x
         https://sent.example/x => https://todo.example.com:8443/x
         https://todo.example.com:8443/x => -
         http://todo.example.com:8443/x => https://todo.example.com:8443/x
         https://login.example.com/x => -
         //login.example.com/x => -
         /todos/7 => -
         todos/7 => -
         ../x => -
         ?a=http://api.internal:8000/ => -
         mailto:x@api.internal => -
         http:/x => -",
    );
}

#[test]
fn locations_below_a_prefix() {
    located(
        "/v1",
        "http://api.internal:8000/v1/todos/7 => https://todo.example.com:8443/todos/7
         http://api.internal:8000/v1 => https://todo.example.com:8443/
         http://api.internal:8000/v1?a => https://todo.example.com:8443/?a
         http://api.internal:8000/v10/x => -
         http://api.internal:8000/login => -
         http://api.internal:8000 => -
         https://todo.example.com:8443/v1/x => https://todo.example.com:8443/x
         https://todo.example.com:8443/x => -
         /v1/todos/7 => /todos/7
         /v1 => /
         /v1/ => /
         /v1#x => /#x
         /v1?next=http://x/ => /?next=http://x/
         /v10 => -
         /login => -
         /v1//evil.example/x => https://todo.example.com:8443//evil.example/x
         /v1/\\evil.example => https://todo.example.com:8443/\\evil.example
         /v1/\\/evil.example => https://todo.example.com:8443/\\/evil.example
         v1/x => -",
    );
}

#[test]
fn orders_to_fly_s_proxy() {
    for (content_type, expected) in [
        ("application/vnd.fly.replay+json", true),
        (" Application/vnd.FLY.replay+json ; charset=utf-8", true),
        ("application/vnd.fly.replay+json, x", true),
        ("application/json", false),
        ("application/vnd.fly.replay+jsonx", false),
    ] {
        let upstream = head(&format!("Content-Type: {content_type}"));
        assert_eq!(is_fly_replay_body(&upstream), expected, "{content_type}");
    }
    let twice = head("Content-Type: text/plain\nContent-Type: application/vnd.fly.replay+json");
    assert!(is_fly_replay_body(&twice));
    assert!(!is_fly_replay_body(&head("")));
}
