//! What is read of requests, against what hyper's server reads of the same bytes: property tests
//! and the fuzzer make them.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, spawn_local, yield_now};

use super::{Course, serve};
use crate::config::Limits;
use crate::http1::harness::{run, settle};
use crate::server::h2frames::PREFACE;

/// A request as who serves it sees it.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    method: Method,
    uri: Uri,
    version: Version,
    fields: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
    /// All of it came.
    whole: bool,
}

/// A connection from both ends.
#[derive(Debug, Default, Clone, PartialEq)]
struct Talk {
    requests: Vec<Seen>,
    /// The status of each answer, those of the codec too.
    statuses: Vec<u16>,
    /// It was ended by who serves it.
    closed: bool,
}

/// Notes a request, and answers it.
async fn note<B>(request: Request<B>, seen: Rc<RefCell<Vec<Seen>>>) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, mut body) = request.into_parts();
    let mut this = Seen {
        method: head.method,
        uri: head.uri,
        version: head.version,
        fields: head.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
        whole: false,
    };
    let number = seen.borrow().len();
    seen.borrow_mut().push(this.clone());
    this.whole = loop {
        match body.frame().await.map(|frame| frame.map(Frame::into_data)) {
            None => break true,
            Some(Ok(Ok(data))) => this.body.extend_from_slice(&data),
            Some(Ok(Err(frame))) => this.trailers = frame.into_trailers().unwrap_or_default(),
            Some(Err(_)) => break false,
        }
        seen.borrow_mut()[number] = this.clone();
    };
    seen.borrow_mut()[number] = this;
    Response::new(Full::from("ok"))
}

/// Sends this in these pieces, and says that there is no more when nothing more happens.
async fn talk(
    mut client: DuplexStream,
    pieces: &[&[u8]],
    seen: Rc<RefCell<Vec<Seen>>>,
    served: JoinHandle<()>,
) -> Talk {
    for piece in pieces {
        if client.write_all(piece).await.is_err() {
            break;
        }
        yield_now().await;
    }
    settle().await;
    let closed = served.is_finished();
    let _ = client.shutdown().await;
    let mut heard = Vec::new();
    let _ = client.read_to_end(&mut heard).await;
    served.await.expect("nothing panics");
    let text = String::from_utf8_lossy(&heard);
    let statuses = text.split("HTTP/1.").skip(1);
    let statuses = statuses.filter_map(|answer| answer.get(2..5)?.parse().ok());
    Talk {
        requests: seen.take(),
        statuses: statuses.filter(|status| *status != 100).collect(),
        closed,
    }
}

/// Both ends of a connection that holds all that is sent on it: what is not read keeps nobody from
/// writing, and an answer is longer than its request.
fn connection(pieces: &[&[u8]]) -> (DuplexStream, DuplexStream) {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    duplex(4096 + 8 * length)
}

async fn ours(pieces: &[&[u8]]) -> Talk {
    let (client, ours) = connection(pieces);
    let seen = Rc::<RefCell<Vec<Seen>>>::default();
    let noted = Rc::clone(&seen);
    let served = spawn_local(async move {
        let service = |request| note(request, Rc::clone(&noted));
        let _ = serve(ours, service, &Limits::default(), &Course::default()).await;
    });
    talk(client, pieces, seen, served).await
}

async fn hypers(pieces: &[&[u8]]) -> Talk {
    let (client, ours) = connection(pieces);
    let seen = Rc::<RefCell<Vec<Seen>>>::default();
    let noted = Rc::clone(&seen);
    let limits = Limits::default();
    let served = spawn_local(async move {
        let service = hyper::service::service_fn(|request| {
            let answer = note(request, Rc::clone(&noted));
            async { Ok::<_, std::convert::Infallible>(answer.await) }
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .half_close(false)
            .max_headers(limits.headers)
            .max_header_size(limits.head_bytes)
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(ours), service)
            .await;
    });
    talk(client, pieces, seen, served).await
}

/// Whether what stands behind the last empty line is the beginning of something that is no head.
fn ends_in_no_head(bytes: &[u8]) -> bool {
    let begun = memchr::memrchr_iter(b'\n', bytes).find_map(|end| {
        let behind = &bytes[end + 1..];
        let empty = behind.strip_prefix(b"\r").unwrap_or(behind);
        empty.strip_prefix(b"\n")
    });
    let mut lines = [httparse::EMPTY_HEADER; 128];
    let mut head = httparse::Request::new(&mut lines);
    begun.is_some_and(|begun| head.parse(begun).is_err())
}

/// Whether HTTP/2 begins behind line ends of which one is a carriage return alone.
fn is_late_preface(bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(bytes, PREFACE).any(|at| {
        let is_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let ends = bytes[..at].iter().rev().take_while(is_end).count();
        let mut ends = bytes[at - ends..=at].windows(2);
        ends.any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
    })
}

/// Whether it is one of the differences that are meant.
fn is_meant(ours: &Talk, theirs: &Talk, bytes: &[u8]) -> bool {
    // hyper reads no line of Connection that has other characters than those of ASCII.
    let is_plain = |value: &HeaderValue| value.to_str().is_ok();
    let mut connections = ours.requests.iter();
    if connections.any(|seen| !seen.fields.get_all("connection").iter().all(is_plain)) {
        return true;
    }
    let same = ours.requests.iter().zip(&theirs.requests);
    let same = same.take_while(|(ours, theirs)| ours == theirs).count();
    // A length that is none is refused also behind a coding, with which hyper looks at no length.
    let refused = ours.statuses.last() == Some(&400) && ours.requests.len() == same;
    if refused && theirs.requests.len() == same && theirs.statuses.last() == Some(&431) {
        return true;
    }
    // What can be no head is refused here with its first bytes, also behind an empty line.
    if refused && ours.closed && !theirs.closed && ours.requests == theirs.requests {
        return ours.statuses.strip_suffix(&[400]) == Some(&theirs.statuses);
    }
    // Both close on the preface of HTTP/2; behind a carriage return alone, which is no empty line
    // (RFC 9112 §2.2), it is no preface here, and so there is an answer first.
    if ours.closed && theirs.closed && ours.requests == theirs.requests && is_late_preface(bytes) {
        return ours.statuses.strip_suffix(&[400]) == Some(&theirs.statuses);
    }
    // A head in pieces is looked at when it may be whole, here and there; hyper takes the empty
    // lines in front (RFC 9112 §2.2) for its end, and so looks sooner.
    let sooner = theirs.statuses.strip_suffix(&[400]) == Some(&ours.statuses);
    if sooner && theirs.closed && !ours.closed && ours.requests == theirs.requests {
        return ends_in_no_head(bytes);
    }
    let coded = |seen: &Seen| seen.fields.contains_key("transfer-encoding");
    if refused && theirs.requests.get(same).is_some_and(coded) {
        return bytes
            .to_ascii_lowercase()
            .windows(14)
            .any(|name| name == b"content-length");
    }
    // Where all are the same, it is the last after which they part.
    let same = same.min(ours.requests.len().saturating_sub(1));
    let (Some(mine), other) = (ours.requests.get(same), theirs.requests.get(same)) else {
        return false;
    };
    // hyper takes the length away where there is a coding; here who serves the request can see
    // both, and refuses it.
    let has = |name| mine.fields.contains_key(name);
    if has("transfer-encoding") && has("content-length") {
        let mut theirs = mine.clone();
        theirs.fields.remove("content-length");
        return ours.requests.len() == same + 1 && other == Some(&theirs) || !mine.whole;
    }
    let last = ours.requests.len() == same + 1;
    let stricter =
        last && !mine.whole && other.is_some_and(|other| other.body.starts_with(&mine.body));
    // hyper takes any number of zeros before a size. Nobody writes them but to hide something.
    let mut digits = bytes.split(|byte| !byte.is_ascii_hexdigit());
    if stricter && digits.any(|digits| digits.len() > 16) {
        return true;
    }
    // hyper takes some line feeds without a carriage return in trailers, depending on their number.
    let mut ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    if stricter && ends.any(|(at, _)| at == 0 || bytes[at - 1] != b'\r') {
        return true;
    }
    // Here a line of trailers is judged when it is whole.
    if last && !mine.whole && other == Some(mine) && ours.statuses == theirs.statuses {
        return true;
    }
    // hyper has other uses for two lengths that no body can have.
    let length = mine
        .fields
        .get("content-length")
        .and_then(|value| value.to_str().ok()?.parse().ok());
    last && length.is_some_and(|length: u64| length >= u64::MAX - 1)
}

/// Whether both read the same, or differ as they are meant to; else what each read.
pub(crate) fn check(bytes: &[u8], pieces: &[&[u8]]) -> Result<(), String> {
    let (ours, theirs) = run(async { (ours(pieces).await, hypers(pieces).await) });
    if ours == theirs || is_meant(&ours, &theirs, bytes) {
        return Ok(());
    }
    let text = bytes.escape_ascii();
    Err(format!("{text}\nours: {ours:#?}\nhyper's: {theirs:#?}"))
}
