//! What is too much.

use super::*;

/// What comes of a chunked body.
async fn chunked(body: String) -> Result<(Bytes, usize), Fault> {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (_, response) = answered_and_closed(&format!("{head}{body}")).await;
    let body = response.unwrap().into_body().collect().await?;
    let trailers = body.trailers().map_or(0, http::HeaderMap::len);
    Ok((body.to_bytes(), trailers))
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, Fault>, why: &str) {
    assert_eq!(
        result.unwrap_err().to_string(),
        format!("invalid chunked body: {why}")
    );
}

#[test]
fn a_head_has_400_kib() {
    run(async {
        let line = format!("A: {}\r\n", "x".repeat((4 << 10) - 5));
        let head = |lines| format!("HTTP/1.1 204 None\r\n{}\r\n", line.repeat(lines));
        let (_, response) = answered_and_closed(&head(99)).await;
        assert_eq!(response.unwrap().headers().len(), 99);
        let (connection, response) = answered_and_closed(&head(103)).await;
        assert!(matches!(response, Err(Fault::HeadTooLarge)));
        assert!(!connection.is_free());
        // Nor has a line of it that does not end.
        let (_, response) = answered_and_closed(&"x".repeat(500 << 10)[..]).await;
        assert!(matches!(
            response,
            Err(Fault::Head(_) | Fault::HeadTooLarge)
        ));
    });
}

#[test]
fn a_head_has_256_fields() {
    run(async {
        let head = |lines| format!("HTTP/1.1 204 None\r\n{}\r\n", "a: b\r\n".repeat(lines));
        let (_, response) = answered_and_closed(&head(256)).await;
        assert_eq!(response.unwrap().headers().len(), 256);
        let (_, response) = answered_and_closed(&head(257)).await;
        assert!(matches!(
            response,
            Err(Fault::Head(httparse::Error::TooManyHeaders))
        ));
    });
}

#[test]
fn interim_responses_have_1_mib() {
    run(async {
        let interim = format!("HTTP/1.1 102 P\r\nA: {}\r\n\r\n", "x".repeat(10_000));
        let bytes = |count| format!("{}HTTP/1.1 204 None\r\n\r\n", interim.repeat(count));
        let (connection, response) = answered_and_closed(&bytes(104)).await;
        assert_eq!(response.unwrap().status(), 204);
        assert!(connection.is_free());
        let (_, response) = answered_and_closed(&bytes(106)).await;
        assert!(matches!(response, Err(Fault::BeforeHead)));
    });
}

#[test]
fn a_size_has_16_digits() {
    run(async {
        let body = chunked("0000000000000002\r\nok\r\n0000000000000000\r\n\r\n".into()).await;
        assert_eq!(body.unwrap(), ("ok".into(), 0));
        for size in ["00000000000000002", "10000000000000002"] {
            let body = chunked(format!("{size}\r\nok\r\n0\r\n\r\n")).await;
            assert_refused(body, "a size is too large");
        }
        // As large as they come: it is not there.
        let body = chunked("ffffffffffffffff\r\nok".into()).await;
        assert!(matches!(body, Err(Fault::Closed)));
    });
}

#[test]
fn extensions_have_16_kib_together() {
    run(async {
        let chunk = |length| format!("2;{}\r\nok\r\n", "x".repeat(length));
        let body = |last| format!("{}{}0\r\n\r\n", chunk(8 << 10), chunk(last));
        assert_eq!(chunked(body(8 << 10)).await.unwrap(), ("okok".into(), 0));
        let refused = chunked(body((8 << 10) + 1)).await;
        assert_refused(refused, "its extensions are too long");
        // Blanks mean as little, and there are as many: all but the one that ends the size.
        let blanks = |count| format!("2{}\r\nok\r\n0\r\n\r\n", " ".repeat(count));
        assert_eq!(chunked(blanks(16 << 10)).await.unwrap().0, "ok");
        let refused = chunked(blanks((16 << 10) + 1)).await;
        assert_refused(refused, "its extensions are too long");
    });
}

#[test]
fn trailers_have_16_kib_and_100_fields() {
    run(async {
        // With the line's name and end, and that of the section.
        let body = |length| format!("0\r\na: {}\r\n\r\n", "x".repeat(length));
        assert_eq!(chunked(body((16 << 10) - 7)).await.unwrap().1, 1);
        let refused = chunked(body((16 << 10) - 6)).await;
        assert_refused(refused, "its trailers are too long");
        let body = |fields| format!("0\r\n{}\r\n", "a: b\r\n".repeat(fields));
        assert_eq!(chunked(body(100)).await.unwrap().1, 100);
        assert_refused(chunked(body(101)).await, "a trailer is malformed");
    });
}
