//! A request and its response at the same time, and what becomes of the connection.

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n";

/// An upload of which half was sent when the response began.
struct Halfway {
    connection: Connection,
    response: Response<Download>,
    upload: Rc<crate::body::Upload>,
    client: UnixStream,
    upstream: UnixStream,
}

async fn halfway(response: &str) -> Halfway {
    let (body, mut client) = upload(POST).await;
    let upload = body.upload();
    let (connection, mut upstream) = pair();
    let exchange = spawn_local(connection.clone().send(request(&Method::POST, body)));
    read_head(&mut upstream).await;
    client.write_all(b"01234").await.unwrap();
    assert_eq!(read(&mut upstream, 5).await, b"01234");
    upstream.write_all(response.as_bytes()).await.unwrap();
    Halfway {
        connection,
        response: exchange.await.unwrap().unwrap(),
        upload,
        client,
        upstream,
    }
}

async fn read(upstream: &mut UnixStream, length: usize) -> Vec<u8> {
    let mut seen = vec![0; length];
    upstream.read_exact(&mut seen).await.unwrap();
    seen
}

#[test]
fn an_upload_goes_on_behind_an_early_response() {
    run(async {
        let mut exchange = halfway("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        let body = exchange.response.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "ok");
        assert!(!exchange.connection.is_free());
        exchange.client.write_all(b"56789").await.unwrap();
        assert_eq!(read(&mut exchange.upstream, 5).await, b"56789");
        settle().await;
        assert!(exchange.connection.is_free() && exchange.upload.ended());
    });
}

#[test]
fn an_early_response_goes_on_behind_the_upload() {
    run(async {
        let mut exchange = halfway("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok").await;
        // Nobody asks for the response meanwhile.
        exchange.client.write_all(b"56789").await.unwrap();
        assert_eq!(read(&mut exchange.upstream, 5).await, b"56789");
        settle().await;
        assert!(!exchange.connection.is_free());
        exchange.upstream.write_all(b"ay").await.unwrap();
        let body = exchange.response.into_body().collect().await.unwrap();
        assert_eq!(body.to_bytes(), "okay");
        assert!(exchange.connection.is_free());
    });
}

#[test]
fn a_response_that_nobody_wants_ends_the_upload() {
    run(async {
        let mut exchange = halfway("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok").await;
        drop((exchange.response, exchange.connection));
        settle().await;
        assert_eq!(Rc::strong_count(&exchange.upload), 1);
        assert_eq!(exchange.upstream.read(&mut [0]).await.unwrap(), 0);
    });
}

/// A client that breaks off is no end of its request, nor has the response an end then.
#[test]
fn a_broken_upload_breaks_the_response() {
    run(async {
        let exchange = halfway("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok").await;
        let mut body = exchange.response.into_body();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "ok"
        );
        let reader = spawn_local(async move { body.frame().await.unwrap() });
        settle().await;
        assert!(!reader.is_finished());
        drop(exchange.client);
        assert!(matches!(reader.await.unwrap(), Err(Fault::Request)));
        assert!(exchange.upload.fault().is_some());
        assert!(!exchange.connection.is_free());
    });
}

#[test]
fn a_broken_upload_without_a_response() {
    run(async {
        let (body, client) = upload(POST).await;
        let (connection, mut upstream) = pair();
        let exchange = spawn_local(connection.clone().send(request(&Method::POST, body)));
        read_head(&mut upstream).await;
        drop(client);
        let failed = exchange.await.unwrap().unwrap_err();
        assert!(matches!(failed.fault, Fault::Request) && failed.unsent.is_none());
        assert!(!connection.is_free());
    });
}

/// An upstream that takes no more says why, and its system resets the connection.
#[test]
fn the_answer_of_one_that_hung_up_is_read() {
    for answer_length in [2, 100_000] {
        run(async {
            let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
            let (body, mut client) = upload(head).await;
            let (connection, mut upstream) = pair();
            let exchange = spawn_local(connection.clone().send(request(&Method::POST, body)));
            let write = spawn_local(async move {
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
                while client.write_all(chunk.as_bytes()).await.is_ok() {}
            });
            read_head(&mut upstream).await;
            settle().await;
            let answer = "x".repeat(answer_length);
            let head = format!("HTTP/1.1 413 Large\r\nContent-Length: {answer_length}\r\n\r\n");
            upstream
                .write_all((head + &answer).as_bytes())
                .await
                .unwrap();
            drop(upstream);
            let response = exchange.await.unwrap().unwrap();
            assert_eq!(response.status(), 413);
            assert_eq!(
                response.into_body().collect().await.unwrap().to_bytes(),
                answer
            );
            assert!(!connection.is_free());
            drop(connection);
            write.abort();
        });
    }
}

/// One that answered nothing.
#[test]
fn one_that_hung_up_in_silence() {
    run(async {
        let (body, mut client) = upload(POST).await;
        let (connection, mut upstream) = pair();
        let exchange = spawn_local(connection.clone().send(request(&Method::POST, body)));
        read_head(&mut upstream).await;
        drop(upstream);
        client.write_all(b"0123456789").await.unwrap();
        let failed = exchange.await.unwrap().unwrap_err();
        assert!(
            matches!(failed.fault, Fault::Closed | Fault::Io(_)),
            "{}",
            failed.fault
        );
        assert!(failed.unsent.is_none() && !connection.spoke());
    });
}

const SWITCH: &[u8] = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello";

#[test]
fn what_comes_with_a_switch_is_read_first() {
    run(async {
        let (connection, response, mut upstream) = answered(SWITCH).await;
        drop(response.unwrap());
        let mut switched = connection.into_switched().unwrap();
        upstream.write_all(b" world").await.unwrap();
        let mut seen = [0; 11];
        // Into less room than there is to read.
        switched.read_exact(&mut seen[..3]).await.unwrap();
        switched.read_exact(&mut seen[3..]).await.unwrap();
        assert_eq!(&seen, b"hello world");
        switched.write_all(b"bye").await.unwrap();
        switched.shutdown().await.unwrap();
        assert_eq!(read(&mut upstream, 3).await, b"bye");
        assert_eq!(upstream.read(&mut [0]).await.unwrap(), 0);
        drop(upstream);
        assert_eq!(switched.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_switched_connection_takes_no_request() {
    run(async {
        let (connection, response, _upstream) = answered(&SWITCH[..SWITCH.len() - 5]).await;
        assert!(!connection.is_free());
        // As long as somebody has the response, nobody else has the connection.
        assert!(connection.into_switched().is_none());
        drop(response);
    });
}

/// Pieces that are small enough to be copied behind each other are not for that reason collected: it
/// is polled for each of them, as by the task of a client's connection.
#[test]
fn no_more_is_taken_than_the_upstream_takes() {
    run(async {
        let head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let (body, client) = upload(head).await;
        let (connection, _upstream) = pair();
        let mut exchange = std::pin::pin!(connection.clone().send(request(&Method::POST, body)));
        let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
        let (mut taken, mut rest) = (0, &b""[..]);
        for _ in 0..20_000 {
            if rest.is_empty() {
                rest = chunk.as_bytes();
            }
            if let Ok(length) = client.try_write(rest) {
                taken += length;
                rest = &rest[length..];
            }
            let pending = poll_fn(|cx| Poll::Ready(exchange.as_mut().poll(cx).is_pending())).await;
            assert!(pending);
            yield_now().await;
        }
        assert!(
            taken < 3 << 20,
            "{taken} bytes of an upload that nobody reads"
        );
    });
}

/// The upstream reads no more and says nothing: the client, whose body was waited for, is not what the
/// exchange waits for any longer, so that its clock runs.
#[test]
fn who_can_not_be_sent_to_is_the_one_that_is_waited_for() {
    run(async {
        let (body, _client) = upload(POST).await;
        let waits = body.upload();
        let (connection, upstream) = pair();
        let upstream = upstream.into_std().unwrap();
        upstream.shutdown(std::net::Shutdown::Read).unwrap();
        let mut exchange = std::pin::pin!(connection.clone().send(request(&Method::POST, body)));
        let pending = poll_fn(|cx| Poll::Ready(exchange.as_mut().poll(cx).is_pending())).await;
        assert!(pending && !waits.waits_for_client());
    });
}
