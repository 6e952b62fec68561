//! Bodies of responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Wake;

use http_body::Body;

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// The next turn of who reads the body.
fn turn(body: &mut Download, woken: &Arc<Woken>) -> Poll<Option<Result<Bytes, Fault>>> {
    let waker = Waker::from(Arc::clone(woken));
    Pin::new(body)
        .poll_frame(&mut Context::from_waker(&waker))
        .map_ok(|frame| frame.into_data().unwrap())
}

/// Who sends a body on has sent what came before a fault when it hears of that.
#[test]
fn a_fault_has_a_turn_of_its_own() {
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n";
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndata".to_owned(),
        chunks.to_owned(),
        format!("{chunks}x"),
        format!("{chunks}0\r\n:\r\n\r\n"),
    ] {
        run(async {
            let (connection, response) = answered_and_closed(&bytes).await;
            let (mut body, woken) = (response.unwrap().into_body(), Arc::new(Woken::default()));
            settle().await;
            let data = turn(&mut body, &woken);
            assert!(matches!(data, Poll::Ready(Some(Ok(data))) if data == "data"));
            assert_eq!(woken.0.load(Relaxed), 0);
            assert!(turn(&mut body, &woken).is_pending(), "{bytes}");
            assert_eq!(woken.0.load(Relaxed), 1);
            assert!(!body.is_end_stream() && !connection.is_free());
            assert!(matches!(turn(&mut body, &woken), Poll::Ready(Some(Err(_)))));
            assert!(!connection.is_free());
        });
    }
}

/// Who asks on after a fault must not hear that all is well, whatever follows on it.
#[test]
fn nothing_comes_behind_a_fault() {
    run(async {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (connection, response) =
            answered_and_closed(&format!("{head}x4\r\ndata\r\n0\r\n\r\n")).await;
        let mut body = response.unwrap().into_body();
        assert!(matches!(body.frame().await, Some(Err(Fault::Chunks(_)))));
        assert!(!matches!(body.frame().await, Some(Ok(_))));
        assert!(!connection.is_free());
    });
}

#[test]
fn the_last_bytes_are_known_to_be_the_last() {
    run(async {
        for framed in [
            "Content-Length: 4\r\n\r\ndata",
            "Transfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n0\r\n\r\n",
        ] {
            let bytes = format!("HTTP/1.1 200 OK\r\n{framed}");
            let (connection, response, _upstream) = answered(bytes.as_bytes()).await;
            let mut body = response.unwrap().into_body();
            assert!(!body.is_end_stream());
            assert!(body.frame().await.unwrap().unwrap().is_data());
            assert!(body.is_end_stream() && connection.is_free());
            assert_eq!(body.size_hint().exact(), Some(0));
            assert!(body.frame().await.is_none());
        }
    });
}

#[test]
fn a_body_without_length_ends_with_the_connection() {
    run(async {
        let (connection, response) = answered_and_closed("HTTP/1.1 200 OK\r\n\r\ndata").await;
        let body = response.unwrap().into_body();
        assert_eq!(
            (body.size_hint().lower(), body.size_hint().upper()),
            (0, None)
        );
        assert_eq!(body.collect().await.unwrap().to_bytes(), "data");
        assert!(!connection.is_free());
    });
}

#[test]
fn some_responses_have_no_body() {
    run(async {
        for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304)] {
            let (connection, mut upstream) = pair();
            let method = method.parse().unwrap();
            let exchange = connection
                .clone()
                .send(request(&method, RequestBody::none()));
            let exchange = spawn_local(exchange);
            read_head(&mut upstream).await;
            let head = format!("HTTP/1.1 {status} Any\r\nContent-Length: 5\r\n\r\n");
            upstream.write_all(head.as_bytes()).await.unwrap();
            let response = exchange.await.unwrap().unwrap();
            assert_eq!(response.headers()["content-length"], "5");
            assert!(response.body().is_end_stream());
            assert!(connection.is_free() && connection.is_quiet());
            // The one that there is none of would be the next response.
            upstream.write_all(b"hello").await.unwrap();
            assert!(!connection.is_quiet());
        }
    });
}

#[test]
fn trailers_come_last() {
    run(async {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            4;a=b\r\ndata\r\n0\r\nX-A: 1\r\nx-a:2\r\n\r\n";
        let (connection, response, _upstream) = answered(bytes).await;
        let body = response.unwrap().into_body().collect().await.unwrap();
        let trailers = body.trailers().unwrap();
        let values: Vec<_> = trailers.get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(body.to_bytes(), "data");
        assert!(connection.is_free());
    });
}

/// Of two readings of where a line of trailers ends, each has another one for the next response.
#[test]
fn lines_of_trailers_end_as_they_should() {
    run(async {
        for trailers in [
            "a: b\n\r\n",
            "a: b\nc: d\r\n\r\n",
            "a: b\n\r\n\r\n",
            "\n\r\n",
            "a: b\r\n\n",
        ] {
            let bytes =
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailers}");
            let (connection, response) = answered_and_closed(&bytes).await;
            let body = response.unwrap().into_body().collect().await;
            assert!(matches!(body, Err(Fault::Chunks(_))), "{trailers:?}");
            assert!(!connection.is_free());
        }
    });
}

/// Reads become larger as they are filled, and what is read is what was sent all the same.
#[test]
fn large_bodies() {
    run(async {
        let data: Vec<_> = (0..3u32 << 18).flat_map(u32::to_be_bytes).collect();
        let (connection, mut upstream) = pair();
        let exchange = spawn_local(connection.clone().send(get()));
        read_head(&mut upstream).await;
        let sent = data.clone();
        let write = spawn_local(async move {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len());
            upstream.write_all(head.as_bytes()).await.unwrap();
            upstream.write_all(&sent).await.unwrap();
            upstream
        });
        let body = exchange.await.unwrap().unwrap().into_body();
        assert_eq!(body.size_hint().exact(), Some(data.len() as u64));
        assert!(body.collect().await.unwrap().to_bytes() == data);
        assert!(connection.is_free() && connection.is_quiet());
        drop(write.await);
    });
}
