//! The life of a connection: TLS, choice of the codec, requests, end.

use std::cell::{Cell, OnceCell, RefCell};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::cork::cork;
use super::drain::Drain;
use super::h2frames::FrameWatch;
use super::http1::Course;
use super::linger::{OpenEnded, Socket};
use super::presence::Far;
use super::silence::Silence;
use super::sniff::{Rewind, is_http2};
use super::streams::{Call, Cut, StreamExecutor, Tracked};
use super::watch::{ConnectionWatch, Overdue, Phase, Watched, drive};
use super::{End, Event, Handler, Kind, Peer, Settings, http1, tunnel};
use crate::body::Incoming;
use crate::tls;

/// How long an idle HTTP/1.1 connection is kept when the process drains, so that a request which
/// is on its way is answered (with `Connection: close`) and not cut (hyper#3792).
const DRAIN_LINGER: Duration = Duration::from_secs(1);
/// How long a connection may take for its orderly end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What every step of a connection needs.
struct Context<H: Handler> {
    handler: Rc<H>,
    settings: Settings,
    watch: Rc<ConnectionWatch>,
    drain: Drain,
    task: Task,
}

/// The task that serves a connection, known once it is spawned.
pub(super) type Task = Rc<OnceCell<AbortHandle>>;

/// Serves a connection to its end.
pub(crate) async fn serve<H: Handler>(
    handler: Rc<H>,
    kind: Kind,
    socket: Socket,
    (remote, local): (SocketAddr, SocketAddr),
    (drain, task): (Drain, Task),
) {
    let settings = handler.settings();
    let watch = ConnectionWatch::new();
    let open_ended = socket.open_ended();
    let io = Watched::new(socket, Rc::clone(&watch));
    let context = Context {
        handler,
        settings,
        watch,
        drain,
        task,
    };
    let peer = move |tls, http2| Peer {
        remote,
        local,
        tls,
        http2,
        draining: Cell::new(false),
        tunnel: RefCell::new(None),
    };
    match (kind, &context.settings.tls) {
        (Kind::Https, Some(tls)) => {
            let accept = tls::accept(Arc::clone(tls), io);
            // Boxed, so that the state of a handshake is freed when it is over.
            let stream = match drive(
                &context.watch,
                &context.settings.limits,
                Box::pin(accept).as_mut(),
            )
            .await
            {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::debug!(%remote, %error, "TLS handshake");
                    return context.handler.note(Event::HandshakeFailed);
                }
                Err(_) => return context.handler.note(Event::HandshakeFailed),
            };
            if stream.alpn() == Some(b"h2") {
                serve_http2(&context, stream, peer(true, true)).await;
            } else {
                serve_http1(&context, stream, peer(true, false), OpenEnded::default()).await;
            }
        }
        (Kind::Https, None) => {}
        (Kind::Http | Kind::Metrics | Kind::Admin, _) => {
            let mut io = Rewind::new(io);
            let sniffed = {
                let sniff = std::pin::pin!(is_http2(&mut io));
                drive(&context.watch, &context.settings.limits, sniff).await
            };
            match sniffed {
                Ok(Ok(true)) => serve_http2(&context, io, peer(false, true)).await,
                Ok(Ok(false)) => serve_http1(&context, io, peer(false, false), open_ended).await,
                Ok(Err(_)) => {}
                Err(_) => context.handler.note(Event::TimedOut),
            }
        }
    }
}

/// Serves one side of a pipe within the process, as a connection of HTTP/1.1 to its end.
pub async fn serve_within<H: Handler>(handler: Rc<H>, io: tokio::io::DuplexStream, peer: Peer) {
    let context = Context {
        settings: handler.settings(),
        handler,
        watch: ConnectionWatch::new(),
        drain: Drain::default(),
        task: Task::default(),
    };
    serve_http1(&context, io, peer, OpenEnded::default()).await;
}

/// `open_ended`: what the socket is told of an answer that ends with the connection. TLS says itself
/// whether an end is one.
async fn serve_http1<H, T>(context: &Context<H>, io: T, peer: Peer, open_ended: OpenEnded)
where
    H: Handler,
    T: AsyncRead + AsyncWrite + Far + Unpin + 'static,
{
    let peer = Rc::new(peer);
    let limits = &context.settings.limits;
    let service = Service::new(context, &peer, None);
    let switched = Cell::new(None);
    let course = Course {
        open_ended,
        ..Course::default()
    };
    let conversation = Conversation {
        future: async {
            let client = http1::serve(io, |request| service.call(request), limits, &course).await?;
            switched.set(client);
            Ok(())
        },
        closing: &course.closing,
    };
    run(context, &peer, std::pin::pin!(conversation)).await;
    if let Some(mut far) = peer.tunnel.take() {
        match switched.take() {
            // Boxed, so that other connections have no room for it.
            Some(client) => {
                if !Box::pin(tunnel::connect(client, far, &context.watch, limits)).await {
                    context.handler.note(Event::TimedOut);
                }
            }
            // It left before it had its 101.
            None => far.ended(End::ClientLeft),
        }
    }
}

async fn serve_http2<H, T>(context: &Context<H>, io: T, peer: Peer)
where
    H: Handler,
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let peer = Rc::new(peer);
    let limits = &context.settings.limits;
    let begun = Rc::new(RefCell::new(None));
    let handler = Rc::clone(&context.handler);
    let executor = StreamExecutor {
        begun: Rc::clone(&begun),
        stall: limits.write_stall,
        stalled: Rc::new(move || handler.note(Event::StreamStalled)),
    };
    let service = Service::new(context, &peer, Some(begun));
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = service.call(request.map(Incoming::from));
        async move { Ok::<_, Infallible>(response.await) }
    });
    let (cork, hold) = cork(io);
    let connection = http2::Builder::new(executor)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        // Tighter than h2's own 1024: a client that makes us reset a hundred of its streams is
        // attacking (CVE-2025-8671, "MadeYouReset").
        .max_local_error_reset_streams(100)
        .max_pending_accept_reset_streams(20)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .timer(TokioTimer::new())
        .serve_connection(
            TokioIo::new(FrameWatch::new(cork, Rc::clone(&context.watch))),
            service,
        );
    run(context, &peer, std::pin::pin!(hold.over(connection))).await;
}

/// The handler as codecs want it, with what must happen for every request.
struct Service<H> {
    handler: Rc<H>,
    watch: Rc<ConnectionWatch>,
    peer: Rc<Peer>,
    task: Task,
    /// Requests that the connection may have.
    limit: u64,
    /// HTTP/2: see [`StreamExecutor`].
    begun: Option<Begun>,
}

/// See [`StreamExecutor`].
type Begun = Rc<RefCell<Option<Rc<Call>>>>;

impl<H: Handler> Service<H> {
    fn new(context: &Context<H>, peer: &Rc<Peer>, begun: Option<Begun>) -> Self {
        Self {
            handler: Rc::clone(&context.handler),
            watch: Rc::clone(&context.watch),
            peer: Rc::clone(peer),
            task: Rc::clone(&context.task),
            limit: context.settings.limits.requests_per_connection,
            begun,
        }
    }

    fn call(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Tracked<H::Body>>> + use<H> {
        let call = Call::begin(&self.watch);
        let timed = self.begun.is_some();
        let last = self.watch.is_last(self.limit);
        if let Some(begun) = &self.begun {
            *begun.borrow_mut() = Some(Rc::clone(&call));
            if last {
                self.watch.spend();
            }
        } else if let Some(task) = self.task.get() {
            call.owned_by(task.clone());
        }
        let (handler, peer) = (Rc::clone(&self.handler), Rc::clone(&self.peer));
        let answer = Rc::clone(&handler).handle(request, Rc::clone(&peer), Cut::of(&call));
        // Boxed: it is moved several times, and is some kilobytes.
        let mut answer = Box::pin(answer);
        async move {
            // A bug costs one request, not the connection with its other streams.
            let mut response = std::future::poll_fn(|cx| poll_caught(answer.as_mut(), cx))
                .await
                .unwrap_or_else(|()| handler.panicked());
            let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            if (last || peer.draining.get()) && !peer.http2 && !switches {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response.map(|body| Tracked::new(body, call, timed))
        }
    }
}

/// Polls a future; a panic in it is an error.
fn poll_caught<F: Future>(
    future: Pin<&mut F>,
    cx: &mut std::task::Context<'_>,
) -> Poll<Result<F::Output, ()>> {
    match std::panic::catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(())),
    }
}

/// A connection that can be asked to end after what is under way.
pub(super) trait Graceful: Future<Output = Result<(), Self::Fault>> {
    /// How it breaks.
    type Fault: std::error::Error;

    fn graceful_shutdown(self: Pin<&mut Self>);

    /// Whether it broke by what the client sent, not by its leaving.
    fn is_unreadable(fault: &Self::Fault) -> bool;
}

pin_project! {
    /// A connection of HTTP/1.1.
    struct Conversation<'c, F> {
        #[pin]
        future: F,
        closing: &'c Cell<bool>,
    }
}

impl<F: Future<Output = Result<(), http1::Fault>>> Future for Conversation<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

impl<F: Future<Output = Result<(), http1::Fault>>> Graceful for Conversation<'_, F> {
    type Fault = http1::Fault;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.closing.set(true);
    }

    fn is_unreadable(fault: &http1::Fault) -> bool {
        matches!(fault, http1::Fault::Head(_))
    }
}

impl<T, S, B, E> Graceful for http2::Connection<TokioIo<T>, S, E>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: http_body::Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    type Fault = hyper::Error;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }

    fn is_unreadable(fault: &hyper::Error) -> bool {
        fault.is_parse() || !is_closed(fault)
    }
}

/// Drives the connection: its deadlines, the drain of the process, its end.
async fn run<H: Handler, C: Graceful>(
    context: &Context<H>,
    peer: &Peer,
    mut connection: Pin<&mut C>,
) {
    let (watch, limits) = (&context.watch, &context.settings.limits);
    let ended = loop {
        let step = drive(watch, limits, connection.as_mut());
        let ended = match context.drain.unless_begun(step).await {
            Some(ended) => ended,
            None => drain(context, peer, connection.as_mut()).await,
        };
        match ended {
            // What is under way goes on.
            Err(Overdue::Spent) => connection.as_mut().graceful_shutdown(),
            ended => break ended,
        }
    };
    match ended {
        Ok(Ok(())) | Err(Overdue::Spent) => {}
        Ok(Err(error)) => {
            if C::is_unreadable(&error) {
                context.handler.note(Event::Unreadable);
                unreadable(peer, &error);
            }
            tracing::debug!(remote = %peer.remote, error = chain(&error), "connection");
        }
        Err(Overdue::Idle) => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(FAREWELL, connection).await;
        }
        Err(Overdue::Head | Overdue::Write) => context.handler.note(Event::TimedOut),
    }
}

/// The process is shutting down: what is under way goes on, nothing new begins.
async fn drain<H: Handler, C: Graceful>(
    context: &Context<H>,
    peer: &Peer,
    mut connection: Pin<&mut C>,
) -> Result<Result<(), C::Fault>, Overdue> {
    let (watch, limits) = (&context.watch, &context.settings.limits);
    peer.draining.set(true);
    // HTTP/1.1 is told by the next answer. An answer whose head is out has not said so, and its
    // client may send the next request in the moment in which it ends.
    let begun = Instant::now();
    while !peer.http2
        && (begun.elapsed() < DRAIN_LINGER
            || watch.phase() == Phase::Head
            || !watch.is_quiet(DRAIN_LINGER))
    {
        let step = drive(watch, limits, connection.as_mut());
        match tokio::time::timeout(DRAIN_LINGER / 4, step).await {
            Ok(Err(Overdue::Spent)) | Err(_) => {}
            Ok(ended) => return ended,
        }
    }
    connection.as_mut().graceful_shutdown();
    loop {
        let step = drive(watch, limits, connection.as_mut());
        match tokio::time::timeout(DRAIN_LINGER / 4, step).await {
            Ok(Err(Overdue::Spent)) => {}
            Ok(ended) => return ended,
            // An HTTP/2 client that is asleep does not answer the farewell: nothing of its own is
            // under way, so it is not waited for.
            Err(_) if watch.is_quiet(DRAIN_LINGER) => return Ok(Ok(())),
            Err(_) => {}
        }
    }
}

/// Says whose request could not be read, and why, which a client that was not made for this port
/// says nowhere. Nothing of it is repeated: there may be a secret in it.
fn unreadable(peer: &Peer, error: &dyn std::error::Error) {
    thread_local! {
        static TOLD: Silence = const { Silence::new() };
    }
    if TOLD.with(Silence::is_over) {
        tracing::info!(peer = %peer.remote, reason = chain(error), "a request can not be read");
    }
}

/// Whether the peer simply went away.
fn is_closed(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return !matches!(error.kind(), io::ErrorKind::InvalidData);
        }
        if let Some(error) = cause.downcast_ref::<h2::Error>() {
            return error.is_io() || error.is_remote();
        }
        source = cause.source();
    }
    false
}

/// An error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
