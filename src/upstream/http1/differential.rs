//! What is read of a response, against what hyper's client reads of the same bytes: property tests
//! and the fuzzer make them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::{spawn_local, yield_now};

use super::{Connection, head};
use crate::body::RequestBody;
use crate::http1::harness::{run, settle};
use crate::upstream::Outgoing;
use crate::upstream::room::Room;
use crate::upstream::stream::Stream;
use crate::upstream::transport::Transport;

/// What a client makes of what it was sent.
#[derive(Debug, Default, Clone, PartialEq)]
struct Seen {
    head: Option<SeenHead>,
    body: Vec<u8>,
    trailers: HeaderMap,
    /// It says that all of it came.
    whole: bool,
    /// Another request may follow.
    free: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct SeenHead {
    status: StatusCode,
    version: Version,
    fields: HeaderMap,
    /// Bytes that are to come.
    length: Option<u64>,
}

impl Seen {
    /// Reads a response to its end. The text is what the error says that it ended with.
    async fn of<B>(response: Response<B>) -> (Self, String)
    where
        B: http_body::Body<Data = Bytes, Error: ToString> + Unpin,
    {
        let mut seen = Self::default();
        // What the codec leaves to others to refuse, others refuse.
        if let Err(error) = crate::headers::framing(response.headers(), response.version()) {
            return (seen, error.to_string());
        }
        let (head, mut body) = response.into_parts();
        seen.head = Some(SeenHead {
            status: head.status,
            version: head.version,
            fields: head.headers,
            length: body.size_hint().exact(),
        });
        while let Some(frame) = body.frame().await {
            match frame.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => seen.body.extend_from_slice(&data),
                Ok(Err(frame)) => seen.trailers = frame.into_trailers().unwrap_or_default(),
                Err(error) => return (seen, error.to_string()),
            }
        }
        seen.whole = true;
        (seen, String::new())
    }
}

/// A connection, and the upstream's end of it.
pub(super) fn pair() -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    let place = Room::endless().take(&"fuzzed".into()).expect("room");
    (
        Connection::new(Transport::Plain(Stream::Unix(ours, place))),
        theirs,
    )
}

/// A request without a host.
pub(super) fn bare<B>(method: &Method, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = method.clone();
    request
}

/// The same as it is sent.
pub(super) fn outgoing(request: Request<RequestBody>) -> Box<Outgoing> {
    let host = HeaderValue::from_static("upstream");
    Box::new(Outgoing::new(request, Some(host)))
}

/// Reads a request head, and nothing behind it.
pub(super) async fn read_head(upstream: &mut UnixStream) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        seen.push(upstream.read_u8().await.expect("a request"));
    }
    String::from_utf8(seen).expect("it is ASCII")
}

/// Reads a request, sends this in these pieces, and closes when nothing more happens. `free` is
/// asked before.
async fn sent<T: 'static>(
    mut upstream: UnixStream,
    pieces: &[&[u8]],
    exchange: impl Future<Output = (Seen, T)> + 'static,
    free: impl FnOnce(&T) -> bool,
) -> (Seen, T) {
    let exchange = spawn_local(exchange);
    read_head(&mut upstream).await;
    for piece in pieces {
        // Who has seen enough reads no more: what else comes has to come all the same.
        if exchange.is_finished() {
            let _ = upstream.try_write(piece);
            break;
        }
        if upstream.write_all(piece).await.is_err() {
            break;
        }
        yield_now().await;
    }
    settle().await;
    if exchange.is_finished() {
        let (mut seen, rest) = exchange.await.expect("nothing panics");
        // What was refused is dropped, and with it the connection.
        seen.free = seen.head.is_some() && free(&rest);
        return (seen, rest);
    }
    drop(upstream);
    exchange.await.expect("nothing panics")
}

/// What ours sees, and why it ended.
async fn ours(method: &Method, pieces: &[&[u8]]) -> (Seen, String) {
    let (connection, upstream) = pair();
    let answer = connection
        .clone()
        .send(outgoing(bare(method, RequestBody::none())));
    let exchange = async move {
        match answer.await {
            Ok(response) => Seen::of(response).await,
            Err(failed) => (Seen::default(), failed.fault.to_string()),
        }
    };
    sent(upstream, pieces, exchange, move |_| {
        connection.is_free() && connection.is_quiet()
    })
    .await
}

/// What hyper sees.
async fn hypers(method: &Method, pieces: &[&[u8]]) -> Seen {
    let (io, upstream) = UnixStream::pair().expect("two sockets");
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_headers(head::FIELDS)
        .handshake(TokioIo::new(io))
        .await
        .expect("nothing is asked before a request");
    let connection = spawn_local(connection);
    let mut request = bare(method, String::new());
    request
        .headers_mut()
        .insert("host", HeaderValue::from_static("upstream"));
    let answer = sender.send_request(request);
    let exchange = async move {
        match answer.await {
            Ok(response) => (Seen::of(response).await.0, sender),
            Err(_) => (Seen::default(), sender),
        }
    };
    sent(upstream, pieces, exchange, move |sender| {
        sender.is_ready() && !connection.is_finished()
    })
    .await
    .0
}

/// Whether it is one of the differences that are meant.
fn is_meant(ours: &Seen, why: &str, theirs: &Seen, bytes: &[u8]) -> bool {
    let stricter = ours.head == theirs.head
        && theirs.body.starts_with(&ours.body)
        && !ours.whole
        && !ours.free;
    // hyper takes any number of zeros before a size. Nobody writes them but to hide something.
    let digits = bytes.split(|byte| !byte.is_ascii_hexdigit());
    if stricter && why.ends_with("a size is too large") {
        return digits.map(<[u8]>::len).any(|length| length > 16);
    }
    // hyper takes some line feeds without a carriage return in trailers, depending on their number.
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    if stricter && why.ends_with("a trailer is malformed") {
        return ends.any(|(at, _)| at == 0 || bytes[at - 1] != b'\r');
    }
    // hyper has other uses for two lengths that no body can have.
    if let Some(head) = &ours.head
        && head.length.is_some_and(|length| length >= u64::MAX - 1)
    {
        return *theirs == Seen::default() && !ours.whole && !ours.free;
    }
    // hyper reads no line of Connection that has other characters than those of ASCII.
    let is_plain = |value: &HeaderValue| value.to_str().is_ok();
    if let Some(head) = &ours.head
        && !head.fields.get_all("connection").iter().all(is_plain)
    {
        let free = theirs.free;
        return *theirs
            == Seen {
                free,
                ..ours.clone()
            };
    }
    false
}

/// Whether both read the same, or differ as they are meant to; else what each read.
pub(crate) fn check(method: &Method, bytes: &[u8], pieces: &[&[u8]]) -> Result<(), String> {
    let ((ours, why), theirs) = run(async {
        let ours = ours(method, pieces).await;
        (ours, hypers(method, pieces).await)
    });
    if ours == theirs || is_meant(&ours, &why, &theirs, bytes) {
        return Ok(());
    }
    let text = bytes.escape_ascii();
    Err(format!(
        "{method} {text}\n{why}\nours: {ours:?}\nhyper's: {theirs:?}"
    ))
}
