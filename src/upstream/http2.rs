//! One HTTP/2 connection to an upstream, which many requests share (RFC 9113).
//!
//! It counts as made when the upstream's SETTINGS have come: only then is it known that HTTP/2 is
//! spoken there and how many streams it takes, and not a byte of a request was sent before.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, Connection, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::connect::FAREWELL;
use super::line::Unanswered;
use super::socket::{Counted, Socket, Traffic};
use super::{CodecError, ConnectError, Outgoing};
use crate::alarm::Alarm;
use crate::body::RequestBody;

/// Streams on one connection at the most, however many more the upstream takes: what is lost with
/// a connection is bounded, and so is what its streams wait for each other.
const MOST: u32 = 32;
/// [`MOST`] as a count of our own.
pub(super) const STREAMS: usize = MOST as usize;
/// Bytes of a response that may wait for a client, about as many as a connection of HTTP/1.1 holds.
const STREAM_WINDOW: u32 = 256 << 10;
/// All streams of a connection together: far more than all their windows, so that clients which do
/// not read can not stop the responses of others. h2 counts a data frame of fewer than 256 bytes as
/// if it had them, until it is taken, and ends a connection on which those bytes come to half of
/// this window. 32 streams full of frames of 8 bytes (the shortest event) stay below.
/// Fixed: to adapt it, hyper would send pings.
const CONNECTION_WINDOW: u32 = 512 << 20;
/// See there.
const _: () =
    assert!((STREAM_WINDOW / 8 * (256 - 8)) as u64 * MOST as u64 <= CONNECTION_WINDOW as u64 / 2);
/// Bytes of a request body that wait for the upstream's window.
const SEND_BUFFER: usize = 256 << 10;
/// Bytes of a response's head, counted as RFC 9113 §6.5.2 does.
const HEAD: u32 = 64 << 10;
/// While streams are open, how often a ping asks for the upstream. gRPC servers take more than one
/// in five minutes for an attack; a host that is gone is found by TCP's own probes before.
const PING: Duration = Duration::from_mins(6);
/// How long its answer may take.
const PONG: Duration = Duration::from_secs(20);
/// Streams that were reset and are remembered, so that what the upstream still sends on them is
/// no error. Clients that leave are ordinary.
const REMEMBERED: usize = 1024;

/// A connection, held by the pool and by its streams; closed when nobody holds it.
pub(super) struct Shared {
    sender: RefCell<SendRequest<Upward>>,
    /// How many streams the upstream takes now.
    taken: Box<dyn Fn() -> usize>,
    socket: Socket,
    /// Where it leads, if that was a matter of a name.
    pub(super) peer: Option<SocketAddr>,
    scheme: Scheme,
    wanted: Rc<RefCell<Option<Wanted>>>,
    streams: Cell<usize>,
    /// When the last stream ended.
    since: Cell<Instant>,
    answered: Cell<bool>,
    doubtful: Cell<bool>,
    /// The last `Host`, and what it is as `:authority`.
    authority: RefCell<Option<(HeaderValue, Authority)>>,
    /// Dropped with it, which ends the connection's tasks.
    _held: oneshot::Sender<Infallible>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("peer", &self.peer)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Begins HTTP/2 on `io`, and waits for the upstream's SETTINGS.
    pub(super) async fn begin<T>(
        io: T,
        socket: Socket,
        peer: Option<SocketAddr>,
        scheme: Scheme,
    ) -> Result<Rc<Self>, ConnectError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let traffic = Arc::new(Traffic::default());
        let io = TokioIo::new(Counted::new(io, Arc::clone(&traffic)));
        let tasks = Tasks::default();
        let wanted = Rc::clone(&tasks.wanted);
        let (sender, mut connection) = builder(tasks.clone()).handshake(io).await?;
        settled(&mut connection, &traffic).await?;
        let connection = Rc::new(RefCell::new(Some(connection)));
        let asked = Rc::clone(&connection);
        let (held, released) = oneshot::channel();
        tokio::task::spawn_local(run(connection, tasks.first.take(), released));
        Ok(Rc::new(Self {
            sender: RefCell::new(sender),
            // Nobody asks while it is polled, but for what is dropped there.
            taken: Box::new(move || {
                let connection = asked.try_borrow().ok();
                let connection = connection
                    .as_ref()
                    .and_then(|connection| connection.as_ref());
                connection.map_or(0, Connection::current_max_send_streams)
            }),
            socket,
            peer,
            scheme,
            wanted,
            streams: Cell::new(0),
            since: Cell::new(Instant::now()),
            answered: Cell::new(false),
            doubtful: Cell::new(false),
            authority: RefCell::default(),
            _held: held,
        }))
    }

    /// How many streams it may have at once.
    pub(super) fn limit(&self) -> usize {
        (self.taken)().min(STREAMS)
    }

    /// Whether it never takes a request again.
    pub(super) fn is_over(&self) -> bool {
        self.doubtful.get() || self.sender.borrow().is_closed()
    }

    /// Whether it has had no stream for so long.
    pub(super) fn is_idle(&self, time: Duration) -> bool {
        self.streams.get() == 0 && self.since.get().elapsed() >= time
    }

    /// Whether it takes another stream.
    pub(super) fn has_room(&self) -> bool {
        let streams = self.streams.get();
        streams < STREAMS && streams < self.limit()
    }

    /// Whether it has no stream, and something came all the same which its task has not seen:
    /// maybe its end.
    pub(super) fn has_news(&self) -> bool {
        self.streams.get() == 0 && !self.socket.is_quiet()
    }

    /// Takes a stream. Nothing is sent yet.
    pub(super) fn open(self: &Rc<Self>) -> Stream {
        self.streams.set(self.streams.get() + 1);
        Stream {
            shared: Rc::clone(self),
            upload: None,
            alarm: Alarm::default(),
        }
    }

    /// A request as HTTP/2 has it (RFC 9113 §8.2.2, §8.3.1): `:scheme` and `:authority`, or a `Host`
    /// that is none, and nothing that is about a connection.
    fn address(&self, request: &mut Request<RequestBody>, host: &HeaderValue) {
        let headers = request.headers_mut();
        headers.remove(header::CONNECTION);
        let mut known = self.authority.borrow_mut();
        if known.as_ref().is_none_or(|(known, _)| known != host) {
            let authority = Authority::try_from(host.as_bytes()).ok();
            *known = authority.map(|authority| (host.clone(), authority));
        }
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        if let Some((_, authority)) = &*known {
            parts.authority = Some(authority.clone());
            parts.scheme = Some(self.scheme.clone());
        } else {
            request.headers_mut().insert(header::HOST, host.clone());
        }
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
}

/// What hyper gives requests to streams with, in the hands of who polls it and of who asks it.
type Asked<T> = Rc<RefCell<Option<Connection<TokioIo<Counted<T>>, Upward, Tasks>>>>;

/// Waits for the upstream's SETTINGS.
async fn settled<T>(
    connection: &mut Connection<TokioIo<Counted<T>>, Upward, Tasks>,
    traffic: &Traffic,
) -> Result<(), ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    while connection.current_max_send_streams() == 0 {
        tokio::select! {
            biased;
            ended = &mut *connection => {
                let codec = || ended.err().map(ConnectError::Codec);
                let error = traffic.error().map(ConnectError::Connect).or_else(codec);
                return Err(error.unwrap_or(ConnectError::NotHttp2));
            }
            () = traffic.hear() => {}
        }
    }
    traffic.settled();
    Ok(())
}

/// Runs a connection until it has ended, or nobody holds it.
async fn run<T>(
    connection: Asked<T>,
    mut task: Option<JoinHandle<()>>,
    released: oneshot::Receiver<Infallible>,
) where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let abort = task.as_ref().map(JoinHandle::abort_handle);
    let mut all = std::pin::pin!(async {
        // Its error reaches whoever waits for a response.
        poll_fn(|cx| match &mut *connection.borrow_mut() {
            Some(connection) => Pin::new(connection).poll(cx).map(drop),
            None => Poll::Ready(()),
        })
        .await;
        // Requests that it has not taken go back to who sent them.
        drop(connection.take());
        if let Some(task) = &mut task {
            let _ = task.await;
        }
    });
    tokio::select! {
        biased;
        () = all.as_mut() => return,
        _ = released => {}
    }
    // Nobody will use it again; what it still has to say takes as long as the upstream likes.
    let _ = timeout(FAREWELL, all).await;
    if let Some(abort) = abort {
        abort.abort();
    }
}

/// The opposite of [`Shared::address`], for a request that was not sent.
fn unaddressed(request: Request<Upward>, host: HeaderValue) -> Outgoing {
    let mut request = request.map(|upward| upward.body);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = None;
    parts.authority = None;
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request.headers_mut().remove(header::HOST);
    if request.headers().contains_key(header::TE) {
        let named = HeaderValue::from_static("te");
        request.headers_mut().insert(header::CONNECTION, named);
    }
    Outgoing::new(request, Some(host))
}

fn builder(tasks: Tasks) -> Builder<Tasks> {
    let mut builder = Builder::new(tasks);
    builder
        .timer(TokioTimer::new())
        // None before its SETTINGS: that is how they are seen.
        .initial_max_send_streams(0)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEAD)
        .max_concurrent_reset_streams(REMEMBERED)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}

/// Runs a connection's tasks on this thread.
#[derive(Debug, Clone, Default)]
struct Tasks {
    /// The first: the one that reads and writes. The others end when it does.
    first: Rc<RefCell<Option<JoinHandle<()>>>>,
    /// Of the request whose body was polled last, until when that is wanted.
    wanted: Rc<RefCell<Option<Wanted>>>,
}

/// Until the response has ended: what then is left of the request's body is not sent.
type Wanted = oneshot::Receiver<Infallible>;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        // hyper polls a body once, and if there is more of it gives it to a task at once. That
        // task may come to wait for room and no longer poll the body, so it is ended from here.
        if let Some(wanted) = self.wanted.take() {
            tokio::task::spawn_local(async move {
                tokio::select! {
                    biased;
                    _ = wanted => {}
                    () = task => {}
                }
            });
            return;
        }
        let task = tokio::task::spawn_local(task);
        let mut first = self.first.borrow_mut();
        if first.is_none() {
            *first = Some(task);
        }
    }
}

/// The right to one stream of a connection. Dropped with its response, before the end of which
/// that resets it.
#[derive(Debug)]
pub(super) struct Stream {
    shared: Rc<Shared>,
    /// Dropped with it, which ends the request's body.
    upload: Option<oneshot::Sender<Infallible>>,
    alarm: Alarm,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.streams.set(self.shared.streams.get() - 1);
        self.shared.since.set(Instant::now());
    }
}

impl Stream {
    /// See [`super::line::Line::alarm`].
    pub(super) fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// Whether other requests were answered on the same connection.
    pub(super) fn is_proven(&self) -> bool {
        self.shared.answered.get()
    }

    /// A response head came.
    pub(super) fn answered(&self) {
        self.shared.answered.set(true);
    }

    /// A request waited in vain: new ones get another connection, those that it has stay.
    pub(super) fn doubt(&self) {
        self.shared.doubtful.set(true);
    }

    /// Sends a request.
    pub(super) fn send(
        &mut self,
        outgoing: Box<Outgoing>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> + use<> {
        let says_so = outgoing.expects_content() && outgoing.request.body().is_empty();
        let Outgoing {
            mut request, host, ..
        } = *outgoing;
        self.shared.address(&mut request, &host);
        if says_so {
            let none = HeaderValue::from_static("0");
            request.headers_mut().insert(header::CONTENT_LENGTH, none);
        }
        let mut wanted = None;
        if !request.body().is_empty() {
            let (held, released) = oneshot::channel();
            self.upload = Some(held);
            wanted = Some((released, Rc::clone(&self.shared.wanted)));
        }
        let request = request.map(|body| Upward { body, wanted });
        let sent = self.shared.sender.borrow_mut().try_send_request(request);
        async move {
            sent.await.map_err(|mut failed| Unanswered {
                unsent: failed
                    .take_message()
                    .map(|request| Box::new(unaddressed(request, host))),
                error: CodecError::Http2(failed.into_error()),
            })
        }
    }
}

/// Whether the upstream says that it did not act on the request (RFC 9113 §8.7): it refused the
/// stream, or left it out of those that its GOAWAY names.
pub(super) fn is_refused(error: &CodecError) -> bool {
    cause(error).is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        error.is_remote() && (refused || error.is_go_away())
    })
}

/// Whether the connection was lost, and nothing said why.
pub(super) fn is_lost(error: &CodecError) -> bool {
    let in_time = |error: &hyper::Error| !error.is_timeout();
    cause(error).is_none() && matches!(error, CodecError::Http2(error) if in_time(error))
}

fn cause(error: &CodecError) -> Option<&h2::Error> {
    match error {
        CodecError::Http1(_) => None,
        CodecError::Http2(error) => error.source()?.downcast_ref(),
    }
}

/// A request body on its way into a stream. Its end before its time resets the stream, as what
/// nobody wants any more: hyper would call it an internal error.
struct Upward {
    body: RequestBody,
    /// What is laid where [`Tasks`] looks for it, when the body is polled first.
    wanted: Option<(Wanted, Rc<RefCell<Option<Wanted>>>)>,
}

impl Body for Upward {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some((wanted, place)) = self.wanted.take() {
            *place.borrow_mut() = Some(wanted);
        }
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        frame.map_err(|_| Reason::CANCEL.into())
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
