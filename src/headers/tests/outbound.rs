//! What goes upstream.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::super::{
    Authority, ClientView, Credential, Identity, Outbound, Policy, RuleFault, Rules, hops,
    outbound, parse_authority, text_value,
};
use super::{head, lines};

/// A client at `203.0.113.7` that asked `todo.example.com` by TLS.
pub(super) fn view() -> ClientView<'static> {
    let ip: IpAddr = "203.0.113.7".parse().unwrap();
    ClientView {
        ip,
        peer: ip,
        hops: Vec::new(),
        https: true,
        authority: parse_authority("todo.example.com").unwrap(),
        request_id: None,
    }
}

/// A plugin that takes its credential in this header.
pub(super) fn policy(auth_header: &'static str, credential: Credential) -> Policy {
    Policy {
        plugin: HeaderValue::from_static("todo"),
        auth_header: HeaderName::from_static(auth_header),
        credential,
        rules: Rules::default(),
        underscores: false,
    }
}

/// The gateway's own credential.
pub(super) fn own(name: &'static str) -> Credential {
    Credential::Header(
        HeaderName::from_static(name),
        HeaderValue::from_static("own"),
    )
}

/// The head for a client's, for principal `alice`; as lines it says the same, in the same order of
/// each name's.
pub(super) fn send(
    client: &HeaderMap,
    policy: &Policy,
    view: &ClientView<'_>,
    streamed: bool,
) -> HeaderMap {
    let request_id = HeaderValue::from_static("r1");
    let out = Outbound {
        policy,
        client: view,
        identity: Identity {
            principal: Some("alice"),
            token: Some("plu_ab12cd34"),
            level: Some("user"),
        },
        request_id: &request_id,
        streamed,
        hops: 0,
        upgrade: None,
    };
    let head = outbound(client, &out);
    lines::check(client, &out, &head);
    head
}

/// What the gateway adds to every head.
pub(super) const OURS: &str = "forwarded: for=203.0.113.7;host=todo.example.com;proto=https
    x-forwarded-for: 203.0.113.7
    x-forwarded-host: todo.example.com
    x-forwarded-proto: https
    x-plugway-hops: 1
    x-plugway-level: user
    x-plugway-plugin: todo
    x-plugway-principal: alice
    x-plugway-token: plu_ab12cd34
    x-request-id: r1";

/// What goes upstream besides what the gateway adds to every head.
#[track_caller]
pub(super) fn check(client: &str, policy: &Policy, expected: &str) {
    let sent = send(&head(client), policy, &view(), true);
    let mut expected = head(expected);
    expected.extend(head(OURS));
    assert_eq!(lines(&sent), lines(&expected), "{client}");
}

#[test]
fn what_goes_on_goes_on_as_it_is() {
    let client = "Accept: */*
        Accept-Language: de
        Accept-Language: en
        Content-Type: multipart/form-data; boundary=x
        X-Custom: caf\\xE9
        X.Custom: 1
        traceparent: 00-1-2-01
        tracestate: a=b
        openai-conversation-id: c
        openai-ephemeral-user-id: u
        fly-replay-src: x
        fly-prefer-region: fra
        Range: bytes=0-1
        Origin: https://chatgpt.com
        Via: 1.1 edge
        Upgrade-Insecure-Requests: 1
        Proxied: yes
        Cookies: 1
        Teapot: 1";
    check(
        client,
        &policy("authorization", Credential::Nothing),
        client,
    );
}

#[test]
fn what_belongs_to_the_connection_stays() {
    check(
        "Connection: keep-alive, X-Mine , x-mine-too,,\"
         Connection: close, X-Plugway-Principal, X-Forwarded-For, Forwarded, Host, X-Request-Id, Cookie
         X-Mine: 1
         X-Mine-Too: 1
         X-Theirs: 1
         Cookie: a=b
         Keep-Alive: timeout=5
         Proxy-Connection: keep-alive
         Proxy-Authenticate: Basic
         Proxy-Authorization: Basic eA==
         Proxy: http://evil.example
         Transfer-Encoding: chunked
         Content-Length: 5
         Upgrade: h2c
         HTTP2-Settings: AAMAAABkAAQAAP__
         Expect: 100-continue
         Host: todo.example.com
         Transfer_Encoding: chunked
         Content_Length: 7
         TE: gzip",
        &policy("authorization", Credential::Nothing),
        "X-Theirs: 1",
    );
}

#[test]
fn who_the_client_is_and_what_it_asks_for_is_ours_to_say() {
    check(
        "Forwarded: for=1.2.3.4
         X-Forwarded: 1.2.3.4
         X-Forwarded-For: 1.2.3.4
         X-Forwarded-Host: evil.example
         X-Forwarded-Proto: http
         X-Forwarded-Port: 1
         X-Forwarded-Prefix: /admin
         X-Forwarded-Server: s
         X-Forwarded-Ssl: off
         X-Forwarded-Client-Cert: c
         X-Real-IP: 1.2.3.4
         X-Client-IP: 1.2.3.4
         X-Cluster-Client-IP: 1.2.3.4
         Client-IP: 1.2.3.4
         True-Client-IP: 1.2.3.4
         CF-Connecting-IP: 1.2.3.4
         CF-Connecting-IPv6: ::1
         Fly-Client-IP: 1.2.3.4
         Fly-Forwarded-Port: 1
         X-Envoy-External-Address: 1.2.3.4
         X-Host: evil.example
         Front-End-Https: on
         WL-Proxy-Client-IP: 1.2.3.4
         X-Original-URL: /admin
         X-Rewrite-URL: /admin
         X-HTTP-Method: DELETE
         X-HTTP-Method-Override: DELETE
         X-Method-Override: DELETE
         X-Plugway-Principal: root
         X-Plugway-Level: admin
         X-Plugway-Anything: 1
         X-Request-Id: theirs
         x_plugway_principal: root
         x-plugway_level: admin
         x.plugway.token: root
         X_Forwarded_For: 1.2.3.4
         X-Forwarded_Proto: http
         X_Real_IP: 1.2.3.4
         X_Request_Id: theirs
         X_HTTP_Method_Override: DELETE
         X_Original.URL: /admin",
        &policy("authorization", Credential::Nothing),
        "",
    );
}

#[test]
fn each_of_these_stays_by_itself() {
    for name in [
        "client-ip",
        "cluster-client-ip",
        "cf-pseudo-ipv4",
        "fastly-client-ip",
        "keep-alive",
        "x-plugway",
        "x-remote-ip",
        "x-remote-addr",
        "x-originating-ip",
        "x-proxyuser-ip",
        "x-azure-clientip",
        "x-appengine-user-ip",
        "x-scheme",
        "x-url-scheme",
        "x-original-forwarded-for",
        "x-original-host",
        "x-original-uri",
        "x-script-name",
        "script-name",
        "path-info",
        "daphne-root-path",
    ] {
        for underscores in [false, true] {
            let none = Policy {
                underscores,
                ..policy("authorization", Credential::Nothing)
            };
            check(&format!("{name}: 1"), &none, "");
            check(&format!("{}: 1", name.replace('-', "_")), &none, "");
        }
    }
}

#[test]
fn a_request_that_goes_in_a_circle_is_told() {
    for (fields, expected) in [
        ("Accept: */*", Some(0)),
        ("X-Plugway-Hops: 1", Some(1)),
        ("X-Plugway-Hops: 4", Some(4)),
        ("X-Plugway-Hops: 5", None),
        ("X-Plugway-Hops: 05", Some(0)),
        ("X-Plugway-Hops: nonsense", Some(0)),
    ] {
        assert_eq!(hops(&head(fields)), expected, "{fields}");
    }
}

#[test]
fn underscores_go_on_only_if_they_may() {
    let client = "X_Custom: 1\nX_Api-Key: k\nREMOTE_ZONE: root\nX-Custom: 2\nX.Custom: 3";
    let nothing = || policy("authorization", Credential::Nothing);
    check(client, &nothing(), "X-Custom: 2\nX.Custom: 3");
    let passes = Policy {
        underscores: true,
        ..nothing()
    };
    check(client, &passes, client);
    let key = Policy {
        underscores: true,
        ..policy("x-api-key", Credential::Pass)
    };
    check(
        client,
        &key,
        "X_Custom: 1\nREMOTE_ZONE: root\nX-Custom: 2\nX.Custom: 3",
    );
}

#[test]
fn the_client_s_credential_goes_on_only_if_passed() {
    let client = "Authorization: Bearer t
        X-Api-Key: k
        X_Api_Key: k
        X.Api-Key: k
        Proxy-Authorization: Basic eA==
        Accept: */*";
    let both = "Authorization: Bearer t\nX-Api-Key: k\nAccept: */*";
    let key = "X-Api-Key: k\nX.Api-Key: k\nAccept: */*";
    check(
        client,
        &policy("x-api-key", Credential::Nothing),
        "Accept: */*",
    );
    check(client, &policy("x-api-key", Credential::Pass), both);
    check(client, &policy("authorization", Credential::Nothing), key);
    check(
        client,
        &policy("authorization", Credential::Pass),
        &format!("Authorization: Bearer t\n{key}"),
    );
    check(
        client,
        &policy("x-api-key", own("authorization")),
        "Authorization: own\nAccept: */*",
    );
    check(
        client,
        &policy("authorization", own("x-api-key")),
        "X-Api-Key: own\nAccept: */*",
    );
    check(
        "Connection: authorization",
        &policy("x-api-key", own("authorization")),
        "Authorization: own",
    );
}

#[test]
fn the_upstream_s_credential_is_not_shown() {
    let policy = policy("authorization", own("authorization"));
    assert!(!format!("{policy:?}").contains("own"));
    let sent = send(&HeaderMap::new(), &policy, &view(), false);
    assert!(sent[AUTHORIZATION].is_sensitive());
}

#[test]
fn cookies_become_one_line() {
    let none = policy("authorization", Credential::Nothing);
    check("Cookie: a=1", &none, "Cookie: a=1");
    check(
        "Cookie: a=1\nCookie: b=\\xE9\nAccept: x\nCookie: c",
        &none,
        "Cookie: a=1; b=\\xE9; c\nAccept: x",
    );
}

#[test]
fn where_the_request_came_from() {
    #[track_caller]
    fn check(view: &ClientView<'_>, expected: &str) {
        let none = policy("authorization", Credential::Nothing);
        let mut sent = send(&HeaderMap::new(), &none, view, false);
        let names: Vec<_> = sent.keys().map(ToString::to_string).collect();
        for name in names.iter().filter(|name| !name.contains("forwarded")) {
            sent.remove(name);
        }
        assert_eq!(lines(&sent), lines(&head(expected)));
    }
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };
    check(
        &ClientView {
            ip: address("2001:db8::1"),
            hops: vec![address("2001:db8::1"), address("10.0.0.1")],
            peer: address("10.0.0.2"),
            https: false,
            authority: parse_authority("Todo.example.com:3333").unwrap(),
            request_id: None,
        },
        "Forwarded: for=\"[2001:db8::1]\";host=\"todo.example.com:3333\";proto=http, for=10.0.0.1, for=10.0.0.2
         X-Forwarded-For: 2001:db8::1, 10.0.0.1, 10.0.0.2
         X-Forwarded-Host: todo.example.com:3333
         X-Forwarded-Proto: http",
    );
    check(
        &ClientView {
            authority: parse_authority("[::1]:3443").unwrap(),
            ..view()
        },
        "Forwarded: for=203.0.113.7;host=\"[::1]:3443\";proto=https
         X-Forwarded-For: 203.0.113.7
         X-Forwarded-Host: [::1]:3443
         X-Forwarded-Proto: https",
    );
    check(
        &ClientView {
            authority: Authority::default(),
            ..view()
        },
        "Forwarded: for=203.0.113.7;proto=https
         X-Forwarded-For: 203.0.113.7
         X-Forwarded-Proto: https",
    );
}

#[test]
fn rules_of_the_configuration() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let set = [pair("X-Tenant", "acme"), pair("accept", "text/plain")];
    let remove = [
        "x-drop".to_owned(),
        "X-Tenant".to_owned(),
        "x-forwarded-for".to_owned(),
    ];
    let rules = Rules::compile(&set, &remove).unwrap();
    assert!(!format!("{rules:?}").contains("acme"));
    let policy = Policy {
        rules,
        ..policy("authorization", own("accept"))
    };
    let client = head("X-Drop: 1\nX-Tenant: evil\nX_Tenant: evil\nAccept: */*\nX-Other: 1");
    let sent = send(&client, &policy, &view(), false);
    let mut expected = head(OURS);
    expected.remove("x-forwarded-for");
    expected.extend(head("X-Tenant: acme\nAccept: own\nX-Other: 1"));
    assert_eq!(lines(&sent), lines(&expected));
}

#[test]
fn rules_that_can_not_be() {
    let set =
        |name: &str, value: &str| Rules::compile(&[(name.to_owned(), value.to_owned())], &[]).err();
    let remove = |name: &str| Rules::compile(&[], &[name.to_owned()]).err();
    assert_eq!(set("x-a", "1"), None);
    assert_eq!(set("x a", "1"), Some(RuleFault::Name("x a".into())));
    assert_eq!(
        set("x-a", "1\r\nb: 2"),
        Some(RuleFault::Value("x-a".into()))
    );
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "transfer_encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "x-plugway-principal",
        "X_Plugway_Level",
        "x-request-id",
        "keep-alive",
        "proxy-connection",
        "http2-settings",
    ] {
        assert_eq!(set(name, "1"), Some(RuleFault::Reserved(name.into())));
        assert_eq!(remove(name), Some(RuleFault::Reserved(name.into())));
    }
}

#[test]
fn any_text_is_a_value() {
    for (text, expected) in [
        ("Alice <a@example.com>", "Alice <a@example.com>"),
        ("Zoë", "Zo%C3%AB"),
        ("100%", "100%25"),
        ("a\r\nb: c\0", "a%0D%0Ab: c%00"),
        ("", ""),
        // A blank at an end is no part of a value: HTTP/1.1 drops it, HTTP/2 calls it malformed.
        ("alice ", "alice%20"),
        (" alice", "%20alice"),
        ("  Alice B  ", "%20%20Alice B%20%20"),
        ("  ", "%20%20"),
        (" Zoë ", "%20Zo%C3%AB%20"),
    ] {
        assert_eq!(text_value(text), expected);
    }
}
