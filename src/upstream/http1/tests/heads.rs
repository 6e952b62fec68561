//! Response heads, and what they say of the connection.

use http::{StatusCode, Version};

use super::*;

#[test]
fn a_head_may_be_cut_anywhere() {
    const BYTES: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
        HTTP/1.1 200 Fine\r\nX-A: one\r\nx-b:two \r\nX-a:\r\nContent-Length: 5\r\n\r\nhello";
    for cut in 0..=BYTES.len() {
        run(async {
            let (connection, mut upstream) = pair();
            let exchange = spawn_local(connection.clone().send(get()));
            read_head(&mut upstream).await;
            for piece in [&BYTES[..cut], &BYTES[cut..]] {
                upstream.write_all(piece).await.unwrap();
                settle().await;
            }
            let response = exchange.await.unwrap().unwrap();
            let values = response.headers().get_all("x-a");
            assert!(values.iter().eq(["one", ""]), "{cut}");
            assert_eq!(response.headers()["x-b"], "two");
            assert!(!response.headers().contains_key("link"));
            assert_eq!(response.status(), StatusCode::OK);
            assert!(!connection.is_free());
            assert_eq!(
                response.into_body().collect().await.unwrap().to_bytes(),
                "hello"
            );
            assert!(connection.is_free());
        });
    }
}

#[test]
fn interim_responses_are_passed_over() {
    run(async {
        // What they say of the connection and of a body counts for nothing.
        let interim = "HTTP/1.0 100 Continue\r\nConnection: close\r\nContent-Length: 7\r\n\r\n";
        let bytes = format!("{interim}{interim}HTTP/1.1 204 None\r\n\r\n");
        let (connection, response, _upstream) = answered(bytes.as_bytes()).await;
        assert_eq!(response.unwrap().status(), StatusCode::NO_CONTENT);
        assert!(connection.is_free());
        // Nothing follows on them.
        let (_, response) = answered_and_closed(interim).await;
        assert!(matches!(response, Err(Fault::Closed)));
    });
}

#[test]
fn what_ends_in_a_head_is_no_response() {
    run(async {
        for (bytes, fault) in [
            ("", "connection closed before message completed"),
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n",
                "connection closed before message completed",
            ),
            (
                "HTTP/2.0 200 OK\r\n\r\n",
                "invalid HTTP response head: invalid HTTP version",
            ),
            (
                "HTTP/1.1 099 OK\r\n\r\n",
                "invalid HTTP response head: invalid response status",
            ),
            (
                "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
                "invalid HTTP response head: invalid header name",
            ),
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
                "invalid HTTP response head: invalid header name",
            ),
            (
                "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
                "invalid HTTP response head: invalid header value",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                "the response's length is unclear",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
                "the response's length is unclear",
            ),
        ] {
            let (connection, response) = answered_and_closed(bytes).await;
            assert_eq!(response.unwrap_err().to_string(), fault, "{bytes}");
            assert_eq!(connection.spoke(), !bytes.is_empty());
            assert!(!connection.is_free(), "{bytes}");
        }
    });
}

#[test]
fn another_request_may_follow_if_both_sides_know_where_this_one_ends() {
    run(async {
        for (version, fields, free) in [
            ("1.1", "", true),
            ("1.1", "Connection: keep-alive\r\n", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "Connection: x, CLOSE\t,y\r\n", false),
            (
                "1.1",
                "Connection: keep-alive\r\nConnection: close\r\n",
                false,
            ),
            (
                "1.1",
                "Connection: close\r\nConnection: keep-alive\r\n",
                false,
            ),
            ("1.1", "Connection: closed\r\n", true),
            ("1.0", "", false),
            ("1.0", "Connection: keep-alive\r\n", true),
            ("1.0", "Connection: x, Keep-Alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false),
            ("1.0", "Keep-Alive: timeout=5\r\n", false),
        ] {
            let head = format!("HTTP/{version} 200 OK\r\n{fields}");
            let is_http10 = version == "1.0";
            for (framing, behind, ends) in [
                ("Content-Length: 0\r\n\r\n", "", true),
                ("Content-Length: 2\r\n\r\nok", "", true),
                ("Content-Length: 2\r\n\r\nok", "more", false),
                ("Content-Length: 0\r\n\r\n", "\r\n", false),
                ("\r\nok", "", false),
            ] {
                let bytes = format!("{head}{framing}{behind}");
                let (connection, response) = answered_and_closed(&bytes).await;
                let response = response.unwrap();
                assert_eq!(response.version() == Version::HTTP_10, is_http10);
                let body = response.into_body().collect().await.unwrap();
                assert!(framing.ends_with(str::from_utf8(&body.to_bytes()).unwrap()));
                assert_eq!(connection.is_free(), free && ends, "{bytes}");
            }
        }
    });
}

#[test]
fn one_request_after_the_other() {
    run(async {
        let (connection, mut upstream) = pair();
        for body in ["first", "", "another"] {
            let exchange = spawn_local(connection.clone().send(get()));
            read_head(&mut upstream).await;
            let response = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            upstream.write_all(response.as_bytes()).await.unwrap();
            let response = exchange.await.unwrap().unwrap();
            assert_eq!(
                response.into_body().collect().await.unwrap().to_bytes(),
                body
            );
            assert!(connection.is_free() && connection.is_quiet());
            connection.shed();
        }
    });
}
