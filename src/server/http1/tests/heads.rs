//! What is a head, and what is answered where none is.

use http::Version;

use super::*;

/// What is answered to these bytes, and whether the connection ends.
async fn refused(limits: Limits, bytes: impl AsRef<[u8]>) -> String {
    let notes = Notes::default();
    let asked = Rc::clone(&notes);
    let mut scene = Scene::within(limits, move |request| {
        asked.borrow_mut().push(request.uri().to_string());
        async { bare(StatusCode::OK) }
    });
    scene.say(bytes).await;
    let (heard, served) = scene.end().await;
    assert!(matches!(served, Err(Fault::Head(_))), "{served:?}");
    assert_eq!(*notes.borrow(), Vec::<String>::new());
    heard
}

fn refusal(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

#[test]
fn what_is_no_head_is_refused_at_once() {
    for bytes in [
        "G(T / HTTP/1.1\r\n\r\n",
        "GET /a b HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        "GET / HTTP/1.1\r\n folded: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: \0\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 5, 5\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: \r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: x\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: \u{e9}, chunked\r\n\r\n",
        "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n",
        // Not even a line: it is not waited for one.
        "\x16\x03\x01\x02",
    ] {
        let heard = run(refused(Limits::default(), bytes));
        assert_eq!(heard, refusal("400 Bad Request"), "{bytes:?}");
    }
}

#[test]
fn what_is_meant_for_another_port_is_told_apart() {
    let reason = |bytes: &[u8]| {
        run(async {
            let mut scene = Scene::within(Limits::default(), |_| async { bare(StatusCode::OK) });
            scene.say(bytes).await;
            let (heard, served) = scene.end().await;
            assert_eq!(heard, refusal("400 Bad Request"));
            served.unwrap_err().to_string()
        })
    };
    let tls = "it is TLS, and plain HTTP is spoken here: https is spoken on listen.https";
    let proxy = "it begins with a header of the PROXY protocol: listen.proxy_protocol reads those, of \
                 trusted_proxies";
    assert_eq!(reason(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), tls);
    for header in [
        &b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nGET / HTTP/1.1\r\n\r\n"[..],
        b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
    ] {
        assert_eq!(reason(header), proxy, "{header:?}");
    }
    let name = "invalid HTTP request head: invalid header name";
    assert_eq!(reason(b"GET / HTTP/1.1\r\nBad Header: 1\r\n\r\n"), name);
}

#[test]
fn what_begins_http2_is_not_answered() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    assert_eq!(run(refused(Limits::default(), preface)), "");
}

#[test]
fn a_head_has_bounds() {
    let limits = Limits {
        head_bytes: 1000,
        headers: 3,
        ..Limits::default()
    };
    let large = refusal("431 Request Header Fields Too Large");
    let long = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(1000));
    let endless = format!("GET /{}", "b".repeat(1000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(4));
    for bytes in [long, endless, many] {
        assert_eq!(run(refused(limits.clone(), bytes)), large);
    }
    let target = format!("GET /{} HTTP/1.1\r\n\r\n", "b".repeat(65_534));
    let limits = Limits {
        head_bytes: 1 << 20,
        ..limits
    };
    let heard = run(refused(limits.clone(), target));
    assert_eq!(heard, refusal("414 URI Too Long"));
    run(async {
        let mut scene = Scene::within(limits, echo);
        scene
            .say("GET / HTTP/1.1\r\na: b\r\na: b\r\na: b\r\n\r\n")
            .await;
        assert_eq!(scene.hear().await, echoed("GET /: "));
    });
    // More than there is room for on the stack.
    run(async {
        let limits = Limits {
            headers: 500,
            ..Limits::default()
        };
        let mut scene = Scene::within(limits, |request| async move {
            assert_eq!(request.headers().len(), 500);
            bare(StatusCode::OK)
        });
        let lines = "a: b\r\n".repeat(500);
        scene.say(format!("GET / HTTP/1.1\r\n{lines}\r\n")).await;
        assert!(scene.hear().await.starts_with("HTTP/1.1 200 OK\r\n"));
    });
}

#[test]
fn a_head_may_come_in_any_pieces() {
    run(async {
        let head = "\r\n\r\nPOST /x HTTP/1.1\r\nhost: a\r\nCONTENT-length: 2\r\nx:\r\nx: \t y \t\r\n\r\nhi\r\n";
        for cut in 0..head.len() {
            let mut scene = Scene::new(|request| async move {
                assert_eq!(request.version(), Version::HTTP_11);
                let values: Vec<_> = request.headers().get_all("x").iter().cloned().collect();
                assert_eq!(values, ["", "y"]);
                echo(request).await
            });
            scene.say(&head[..cut]).await;
            settle().await;
            scene.say(&head[cut..]).await;
            assert_eq!(scene.hear().await, echoed("POST /x: hi"), "{cut}");
        }
        let mut scene = Scene::new(echo);
        for byte in head.bytes() {
            scene.say([byte]).await;
            yield_now().await;
        }
        assert_eq!(scene.hear().await, echoed("POST /x: hi"));
    });
}

#[test]
fn one_length_that_is_said_twice_is_one() {
    run(async {
        let mut scene = Scene::new(|request| async move {
            assert_eq!(
                request.headers().get_all("content-length").iter().count(),
                1
            );
            echo(request).await
        });
        scene
            .say("PUT / HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 02\r\n\r\nhi")
            .await;
        assert_eq!(scene.hear().await, echoed("PUT /: hi"));
    });
}

#[test]
fn behind_two_lengths_nothing_is_a_request() {
    run(async {
        let mut scene = Scene::new(|request| async move {
            // Who serves it can see both, and refuse it.
            assert!(request.headers().contains_key("content-length"));
            assert!(request.headers().contains_key("transfer-encoding"));
            echo(request).await
        });
        scene
            .say("POST / HTTP/1.1\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n")
            .await;
        let (heard, served) = scene.end().await;
        assert_eq!(
            heard,
            "HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nPOST /: "
        );
        assert!(served.unwrap().is_none());
    });
}
