//! Switching protocols.

use http::{HeaderValue, Method, Version};

use super::head;
use crate::headers::{switches, upgrade};

fn asked(fields: &str) -> Option<String> {
    let head = head(fields);
    let protocol = upgrade(&Method::GET, Version::HTTP_11, &head)?;
    Some(protocol.to_str().unwrap().to_owned())
}

#[test]
fn one_protocol_is_asked_for() {
    for protocol in ["websocket", "WebSocket", "connect-udp", "irc/6.9", "x_y"] {
        let fields = format!("Connection: keep-alive, Upgrade\nUpgrade: {protocol}");
        assert_eq!(asked(&fields).as_deref(), Some(protocol));
    }
    assert!(asked("Connection: close\nConnection: upgrade\nUpgrade: websocket").is_some());
    assert!(asked("Connection: upgrade\nUpgrade: websocket\nContent-Length: 0").is_some());
}

#[test]
fn what_is_served_as_if_it_had_not_asked() {
    for fields in [
        "Upgrade: websocket",
        "Connection: keep-alive\nUpgrade: websocket",
        "Connection: upgrade",
        "Connection: upgrade\nUpgrade: websocket, irc",
        "Connection: upgrade\nUpgrade: websocket\nUpgrade: websocket",
        "Connection: upgrade\nUpgrade: web socket",
        "Connection: upgrade\nUpgrade: irc/6/9",
        "Connection: upgrade\nUpgrade: /1",
        "Connection: upgrade\nUpgrade: irc/",
        "Connection: upgrade\nUpgrade: websocket\nContent-Length: 1",
        "Connection: upgrade\nUpgrade: websocket\nContent-Length: 00",
        "Connection: upgrade\nUpgrade: websocket\nTransfer-Encoding: chunked",
    ] {
        assert_eq!(asked(fields), None, "{fields}");
    }
    for protocol in [
        "h2c", "H2C", "h2", "h2c/1", "HTTP/2.0", "TLS/1.0", "tls", "https",
    ] {
        let fields = format!("Connection: upgrade\nUpgrade: {protocol}");
        assert_eq!(asked(&fields), None, "{protocol}");
    }
    let fields = head("Connection: upgrade\nUpgrade: websocket");
    for (method, version) in [
        (Method::POST, Version::HTTP_11),
        (Method::HEAD, Version::HTTP_11),
        (Method::GET, Version::HTTP_10),
        (Method::GET, Version::HTTP_2),
    ] {
        assert!(
            upgrade(&method, version, &fields).is_none(),
            "{method} {version:?}"
        );
    }
}

#[test]
fn an_answer_switches_to_what_was_asked_for() {
    let websocket = HeaderValue::from_static("websocket");
    let answer = |fields| switches(&head(fields), &websocket);
    assert!(answer("Connection: Upgrade\nUpgrade: WebSocket"));
    for fields in [
        "Upgrade: websocket",
        "Connection: upgrade",
        "Connection: upgrade\nUpgrade: h2c",
        "Connection: upgrade\nUpgrade: websocket, h2c",
        "Connection: upgrade\nUpgrade: websocket\nUpgrade: websocket",
    ] {
        assert!(!answer(fields), "{fields}");
    }
}
