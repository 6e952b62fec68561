//! Connections that have nothing to do.

use super::*;

/// The system knows at once, the runtime when it has looked.
#[test]
fn what_comes_unasked_is_seen() {
    let speak = |upstream: &mut UnixStream| {
        assert_eq!(upstream.try_write(b"x").unwrap(), 1);
    };
    let close = |upstream: &mut UnixStream| {
        *upstream = UnixStream::pair().unwrap().0;
    };
    for happens in [speak as fn(&mut UnixStream), close] {
        run(async {
            let (connection, mut upstream) = pair();
            // So that a write does not have to wait for the runtime to know of its socket.
            upstream.writable().await.unwrap();
            settle().await;
            assert!(connection.is_quiet() && connection.seems_quiet());
            happens(&mut upstream);
            assert!(connection.seems_quiet() && connection.may_be_used(false));
            assert!(!connection.is_quiet() && !connection.may_be_used(true));
            settle().await;
            assert!(!connection.seems_quiet() && !connection.may_be_used(false));
            assert!(!connection.is_quiet());
        });
    }
}

#[test]
fn the_same_behind_a_response() {
    run(async {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let (connection, response, mut upstream) = answered(bytes).await;
        response.unwrap().into_body().collect().await.unwrap();
        connection.shed();
        settle().await;
        assert!(connection.is_free() && connection.is_quiet() && connection.seems_quiet());
        upstream
            .write_all(b"HTTP/1.1 408 Slow\r\n\r\n")
            .await
            .unwrap();
        settle().await;
        assert!(!connection.is_quiet() && !connection.seems_quiet());
    });
}

#[test]
fn it_is_closed_when_nobody_holds_it() {
    run(async {
        let (connection, response, mut upstream) = answered(b"HTTP/1.1 200 OK\r\n\r\n").await;
        drop(connection);
        settle().await;
        // The response does.
        assert!(upstream.try_read(&mut [0]).is_err());
        drop(response);
        assert_eq!(upstream.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_request_that_was_not_sent_is_given_back() {
    run(async {
        let (connection, upstream) = pair();
        drop(upstream);
        let failed = connection.clone().send(get()).await.unwrap_err();
        assert!(matches!(failed.fault, Fault::Closed));
        assert_eq!(failed.unsent.unwrap().request.method(), Method::GET);
        assert!(!connection.spoke() && !connection.is_free());
        // With a body of which nothing was there yet.
        let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n";
        let (body, mut client) = upload(head).await;
        let (connection, upstream) = pair();
        drop(upstream);
        let failed = connection
            .send(request(&Method::POST, body))
            .await
            .unwrap_err();
        client.write_all(b"data").await.unwrap();
        let body = failed.unsent.unwrap().request.into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "data");
    });
}

/// The client has it no more.
#[test]
fn a_request_whose_body_was_begun_is_not_given_back() {
    run(async {
        let head = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nda";
        let (body, _client) = upload(head).await;
        settle().await;
        let (connection, upstream) = pair();
        drop(upstream);
        let failed = connection
            .send(request(&Method::POST, body))
            .await
            .unwrap_err();
        assert!(failed.unsent.is_none());
    });
}

/// Nor is one that the upstream may have acted on.
#[test]
fn a_request_that_was_sent_is_not_given_back() {
    run(async {
        let (connection, mut upstream) = pair();
        let exchange = spawn_local(connection.clone().send(get()));
        read_head(&mut upstream).await;
        drop(upstream);
        let failed = exchange.await.unwrap().unwrap_err();
        assert!(matches!(failed.fault, Fault::Closed) && failed.unsent.is_none());
        assert!(!connection.spoke());
    });
}

/// A head and an event stream that are waited for hold no buffer.
#[test]
fn what_waits_holds_nothing() {
    run(async {
        let held = |connection: &Connection| {
            let wire = connection.0.borrow();
            wire.inflow.held()
        };
        let (connection, _upstream) = pair();
        let mut head = std::pin::pin!(connection.clone().send(get()));
        let pending = poll_fn(|cx| Poll::Ready(head.as_mut().poll(cx).is_pending())).await;
        assert!(pending && held(&connection) == 0);
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n";
        let (connection, response, _upstream) = answered(bytes).await;
        let mut body = response.unwrap().into_body();
        let event = body.frame().await.unwrap().unwrap();
        assert_eq!(event.into_data().unwrap(), ":\n\n");
        let mut next = std::pin::pin!(body.frame());
        let pending = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx).is_pending())).await;
        assert!(pending && held(&connection) == 0);
    });
}
