//! What can not be shown from outside, since it depends on when the runtime looks.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use tokio::task::LocalSet;

use super::*;
use crate::body::RequestBody;
use crate::snapshot::Targets;

const FIRST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
const MINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine";
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

pub(super) fn target(port: u16) -> Target {
    Target {
        key: "test".into(),
        host: "127.0.0.1".into(),
        port,
        socket: None,
        tls: None,
        http2: false,
        connect: Duration::from_secs(5),
        timeout: Duration::from_secs(5),
        total: None,
        idle: Duration::from_secs(5),
        resolve: Duration::from_secs(30),
        checked: None,
        retries: 0,
        origin: Arc::default(),
        known_as: crate::headers::parse_authority("127.0.0.1").unwrap(),
        host_sent: None,
    }
}

/// Reads a request head.
fn read_head(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        seen.push(byte[0]);
    }
}

/// An upstream that answers once, does something to the connection when it is told to, tells that
/// it did, and answers properly on the next connection.
fn upstream(after: fn(&mut TcpStream)) -> (u16, Sender<()>, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ((go, gone), (done, told)) = (channel(), channel());
    std::thread::spawn(move || {
        let (mut first, _) = listener.accept().unwrap();
        read_head(&mut first);
        first.write_all(FIRST.as_bytes()).unwrap();
        gone.recv().unwrap();
        after(&mut first);
        done.send(()).unwrap();
        let (mut second, _) = listener.accept().unwrap();
        read_head(&mut second);
        second.write_all(MINE.as_bytes()).unwrap();
        let _ = second.read(&mut [0]);
    });
    (port, go, told)
}

async fn post(upstreams: &Rc<Upstreams>, target: &Target) -> Result<Bytes, UpstreamError> {
    let request = Request::post("/").body(RequestBody::none()).unwrap();
    let outgoing = Outgoing::new(request, Some(HeaderValue::from_static("test")));
    let targets = Targets::new(vec![target.clone()]).unwrap();
    let sent = upstreams.send(&targets, Box::new(outgoing), |_| None);
    let response = Box::pin(sent).await?.0;
    Ok(response.into_body().collect().await.unwrap().to_bytes())
}

/// Something happened to an idle connection, and the runtime has had no chance to see it: the
/// next request, which must not be sent twice (a POST, whatever may be repeated of others; anything
/// where nothing may be), goes out on another connection.
#[track_caller]
fn check(after: fn(&mut TcpStream)) {
    for retries in [0, 2] {
        look(after, retries);
    }
}

#[track_caller]
fn look(after: fn(&mut TcpStream), retries: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        let (port, go, told) = upstream(after);
        let (mut target, upstreams) = (target(port), Rc::new(Upstreams::default()));
        target.retries = retries;
        assert_eq!(post(&upstreams, &target).await.unwrap(), "first");
        // Blocks the thread, and with it the runtime.
        go.send(()).unwrap();
        told.recv().unwrap();
        assert_eq!(post(&upstreams, &target).await.unwrap(), "mine");
    });
}

#[test]
fn bytes_that_nobody_asked_for() {
    check(|stream| stream.write_all(POISON.as_bytes()).unwrap());
}

#[test]
fn an_end_that_was_not_announced() {
    check(|stream| stream.shutdown(std::net::Shutdown::Both).unwrap());
}

/// An upstream that answers each request on every connection, and how many connections it has.
fn answering() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            count.fetch_add(1, Relaxed);
            std::thread::spawn(move || {
                loop {
                    read_head(&mut stream);
                    if stream.write_all(MINE.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, made)
}

#[tokio::test]
async fn what_is_idle_makes_room_and_what_is_not_does_not() {
    let (one, other) = (answering(), answering());
    let named = |key: &str, port| Target {
        key: key.into(),
        ..target(port)
    };
    let (first, second) = (named("one", one.0), named("other", other.0));
    LocalSet::new()
        .run_until(async {
            let room = Room::new(2);
            let upstreams = Rc::new(Upstreams::within(room.clone()));
            assert_eq!(post(&upstreams, &first).await.unwrap(), "mine");
            assert_eq!(room.taken(), (1, 2), "it is kept");
            let names = Names::default();
            let busy = connect::connect(&second, &names, &room, connect::Speak::Any);
            let busy = Box::pin(busy).await.unwrap();
            assert_eq!(room.taken(), (2, 2));
            assert_eq!(post(&upstreams, &second).await.unwrap(), "mine");
            // The one that was idle was closed for it, and where it is tight none is kept.
            assert_eq!(room.taken(), (1, 2));
            assert_eq!(post(&upstreams, &first).await.unwrap(), "mine");
            assert_eq!((one.1.load(Relaxed), other.1.load(Relaxed)), (2, 2));

            // Nothing is idle: nothing is tried, and the upstream is not to blame.
            room.resize(1);
            let refused = post(&upstreams, &first).await;
            assert!(
                matches!(refused, Err(UpstreamError::Crowded)),
                "{refused:?}"
            );
            assert_eq!(one.1.load(Relaxed), 2);
            drop(busy);
            assert_eq!(post(&upstreams, &first).await.unwrap(), "mine");
        })
        .await;
}
