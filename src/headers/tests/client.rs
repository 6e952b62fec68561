//! Who is on the other end.

use ipnet::IpNet;

use super::super::{Trust, client_view, parse_authority};
use super::head;

/// What is seen of a request by TLS to `a` from this peer, with `10.0.0.0/8` and `fd00::/8`
/// trusted: client, hops, scheme, host, request id.
#[track_caller]
fn seen(peer: &str, fields: &str, fly: bool) -> String {
    let networks: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
    let trust = Trust {
        networks: &networks,
        fly,
    };
    let fields = head(fields);
    let authority = parse_authority("a").unwrap();
    // What `a` may not be.
    let may_be = |asked: &str, told: &str| (asked, told) != ("a", "other.example");
    let view = client_view(
        &fields,
        peer.parse().unwrap(),
        true,
        authority,
        trust,
        may_be,
    );
    assert_eq!(view.hops.first().unwrap_or(&view.peer), &view.ip);
    let scheme = if view.https { "https" } else { "http" };
    let mut text = format!("{} {scheme}://{}", view.ip, view.authority);
    if !view.hops.is_empty() {
        text = format!("{text} by {:?}", view.hops);
    }
    match view.request_id {
        Some(id) => format!("{text} as {id}"),
        None => text,
    }
}

/// From `10.0.0.1`, which is trusted.
#[track_caller]
fn check(fields: &str, expected: &str) {
    assert_eq!(seen("10.0.0.1", fields, false), expected, "{fields}");
}

#[test]
fn strangers_are_not_believed() {
    let fields = "X-Forwarded-For: 1.2.3.4
        X-Forwarded-Proto: http
        X-Forwarded-Host: evil.example
        Forwarded: for=1.2.3.4
        Fly-Client-IP: 1.2.3.4
        X-Request-Id: theirs";
    assert_eq!(seen("203.0.113.7", fields, true), "203.0.113.7 https://a");
    assert_eq!(seen("2001:db8::1", fields, true), "2001:db8::1 https://a");
    assert_eq!(
        seen("::ffff:203.0.113.7", fields, true),
        "203.0.113.7 https://a"
    );
}

#[test]
fn addresses_from_the_right() {
    check("", "10.0.0.1 https://a");
    check("X-Forwarded-For: 1.2.3.4", "1.2.3.4 https://a by [1.2.3.4]");
    check(
        "X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.0.0.9",
        "1.2.3.4 https://a by [1.2.3.4, 10.0.0.9]",
    );
    check(
        "X-Forwarded-For: 6.6.6.6, 1.2.3.4\nX-Forwarded-For: 10.0.0.9",
        "1.2.3.4 https://a by [1.2.3.4, 10.0.0.9]",
    );
    check(
        "X-Forwarded-For: 10.0.0.8, 10.0.0.9",
        "10.0.0.8 https://a by [10.0.0.8, 10.0.0.9]",
    );
    check(
        "X-Forwarded-For: 1.2.3.4:5678",
        "1.2.3.4 https://a by [1.2.3.4]",
    );
    check(
        "X-Forwarded-For: [2001:db8::1]:99, fd00::1",
        "2001:db8::1 https://a by [2001:db8::1, fd00::1]",
    );
    check(
        "X-Forwarded-For: ::ffff:1.2.3.4",
        "1.2.3.4 https://a by [1.2.3.4]",
    );
    check("X-Forwarded-For: 1.2.3.4, unknown", "10.0.0.1 https://a");
    check(
        "X-Forwarded-For: 1.2.3.4, x, 10.0.0.9",
        "10.0.0.9 https://a by [10.0.0.9]",
    );
    check(
        "X-Forwarded-For: 1.2.3.4, 10.0.0.9,,",
        "1.2.3.4 https://a by [1.2.3.4, 10.0.0.9]",
    );
    let mapped = seen("::ffff:10.0.0.1", "X-Forwarded-For: 1.2.3.4", false);
    assert_eq!(mapped, "1.2.3.4 https://a by [1.2.3.4]");
    let long = format!("X-Forwarded-For: {}", "10.0.0.9,".repeat(1000));
    assert_eq!(
        seen("10.0.0.1", &long, false).matches("10.0.0.9").count(),
        33
    );
}

#[test]
fn host_and_scheme() {
    check("X-Forwarded-Proto: http", "10.0.0.1 http://a");
    check("X-Forwarded-Proto: HTTPS, https", "10.0.0.1 https://a");
    check("X-Forwarded-Proto: http, https", "10.0.0.1 https://a");
    check("X-Forwarded-Proto: ftp", "10.0.0.1 https://a");
    check(
        "X-Forwarded-Host: B.example:81",
        "10.0.0.1 https://b.example:81",
    );
    check(
        "X-Forwarded-Host: b.example, c.example",
        "10.0.0.1 https://a",
    );
    check("X-Forwarded-Host: u@b.example", "10.0.0.1 https://a");
    check("X-Forwarded-Host: other.example", "10.0.0.1 https://a");
    check(
        "Forwarded: host=other.example;proto=http",
        "10.0.0.1 http://a",
    );
    check("X-Forwarded-Host: caf\\xE9", "10.0.0.1 https://a");
}

#[test]
fn the_standard_field() {
    check("Forwarded: for=1.2.3.4", "1.2.3.4 https://a by [1.2.3.4]");
    check(
        "Forwarded: for=6.6.6.6;proto=https;host=evil, For=\"[2001:db8::1]:99\" ; Proto=http;host=\"b:81\", for=10.0.0.9;by=_x;host=inner",
        "2001:db8::1 http://b:81 by [2001:db8::1, 10.0.0.9]",
    );
    check(
        "Forwarded: for=6.6.6.6\nForwarded: for=1.2.3.4;proto=http",
        "1.2.3.4 http://a by [1.2.3.4]",
    );
    check("Forwarded: for=unknown;host=b", "10.0.0.1 https://b");
    check(
        "Forwarded: for=_hidden, for=10.0.0.9;proto=http",
        "10.0.0.9 http://a by [10.0.0.9]",
    );
    check("Forwarded: proto=http;host=b", "10.0.0.1 http://b");
    for malformed in [
        "",
        "for",
        "for=",
        "=1.2.3.4",
        "for=1.2.3.4;",
        "for=1.2.3.4,",
        "for=\"1.2.3.4",
        "for=1.2.3.4 x",
        "for=1.2.3.4;for=1.2.3.5",
        "for=\"1\\\\.2.3.4\"",
        ";for=1.2.3.4",
        "for=[2001:db8::1]",
        "for=\\xE9",
    ] {
        check(&format!("Forwarded: {malformed}"), "10.0.0.1 https://a");
    }
    check(
        &format!("Forwarded: for=1.2.3.4{}", ",for=10.0.0.9".repeat(64)),
        "10.0.0.1 https://a",
    );
    // A proxy that writes the older fields may pass on what a client writes here.
    check(
        "X-Forwarded-For: 1.2.3.4\nForwarded: for=6.6.6.6;host=evil",
        "1.2.3.4 https://a by [1.2.3.4]",
    );
    check(
        "X-Forwarded-Proto: http\nForwarded: for=6.6.6.6;host=evil",
        "10.0.0.1 http://a",
    );
}

#[test]
fn request_ids() {
    check(
        "X-Request-Id: 01J-a_b.c:d/e+f=@~",
        "10.0.0.1 https://a as 01J-a_b.c:d/e+f=@~",
    );
    check(
        &format!("X-Request-Id: {}", "a".repeat(129)),
        "10.0.0.1 https://a",
    );
    for refused in ["", "a b", "a\"b", "\\xE9", "a,b", "x\nX-Request-Id: y"] {
        check(&format!("X-Request-Id: {refused}"), "10.0.0.1 https://a");
    }
}

#[test]
fn behind_fly() {
    let fields = "X-Forwarded-For: 1.2.3.4, 66.241.1.1\nFly-Client-IP: 1.2.3.4";
    assert_eq!(
        seen("10.0.0.1", fields, true),
        "1.2.3.4 https://a by [1.2.3.4]"
    );
    assert_eq!(
        seen("10.0.0.1", fields, false),
        "66.241.1.1 https://a by [66.241.1.1]"
    );
    let told = "X-Forwarded-Proto: http\nX-Forwarded-Host: evil.example:81\nX-Request-Id: theirs";
    assert_eq!(seen("10.0.0.1", told, true), "10.0.0.1 http://a");
    let told = "Forwarded: for=6.6.6.6;host=evil.example;proto=http";
    assert_eq!(seen("10.0.0.1", told, true), "10.0.0.1 https://a");
    let forged = "Fly-Client-IP: 1.2.3.4\nFly-Client-IP: 6.6.6.6";
    assert_eq!(seen("10.0.0.1", forged, true), "10.0.0.1 https://a");
}
