//! The codec over real sockets: what these tests write is what an upstream sends.

mod bodies;
mod differences;
mod exchange;
mod heads;
mod idle;
mod limits;
mod requests;

use std::cell::Cell;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::{spawn_local, yield_now};

use super::differential::{bare, outgoing, pair, read_head};
use super::*;
use crate::body::RequestBody;
use crate::http1::harness::{run, settle};

const GET: &str = "GET / HTTP/1.1\r\nhost: upstream\r\n\r\n";

fn request(method: &Method, body: RequestBody) -> Box<Outgoing> {
    outgoing(bare(method, body))
}

fn get() -> Box<Outgoing> {
    request(&Method::GET, RequestBody::none())
}

/// An exchange of which the upstream sends this, and goes on listening.
async fn answered(bytes: &[u8]) -> (Connection, Result<Response<Download>, Fault>, UnixStream) {
    let (connection, mut upstream) = pair();
    let response = spawn_local(connection.clone().send(get()));
    assert_eq!(read_head(&mut upstream).await, GET);
    upstream.write_all(bytes).await.unwrap();
    let response = response.await.unwrap().map_err(|failed| failed.fault);
    (connection, response, upstream)
}

/// The same of one that closes then.
async fn answered_and_closed(bytes: &str) -> (Connection, Result<Response<Download>, Fault>) {
    let (connection, mut upstream) = pair();
    let response = spawn_local(connection.clone().send(get()));
    read_head(&mut upstream).await;
    let bytes = bytes.to_owned();
    spawn_local(async move { upstream.write_all(bytes.as_bytes()).await });
    (
        connection,
        response.await.unwrap().map_err(|failed| failed.fault),
    )
}

/// The body of a request that a client sends: what is written to its end of the connection.
async fn upload(head: &str) -> (RequestBody, UnixStream) {
    let (incoming, client) = incoming(head).await;
    (body_of(incoming), client)
}

fn body_of(incoming: Incoming) -> RequestBody {
    RequestBody::new(
        incoming.into(),
        1 << 30,
        (Duration::from_secs(30), None),
        None,
    )
}

/// A request as the codec towards clients gives it on.
async fn incoming(head: &str) -> (Incoming, UnixStream) {
    let (mut client, ours) = UnixStream::pair().unwrap();
    let (give, given) = oneshot::channel();
    let give = Cell::new(Some(give));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        if let Some(give) = give.take() {
            let _ = give.send(request.into_body());
        }
        std::future::pending::<Result<Response<String>, io::Error>>()
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(ours), service);
    spawn_local(connection);
    client.write_all(head.as_bytes()).await.unwrap();
    (given.await.unwrap(), client)
}
