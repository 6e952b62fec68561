//! Listeners, workers and connections: from an accepted socket to a request and back.
//!
//! Knows nothing of plugins: what a request means is the [`Handler`]'s affair. Makes every
//! listening socket of the process.

mod accept;
mod connection;
mod cork;
mod drain;
mod entrance;
mod h2frames;
mod handed;
mod http1;
mod linger;
mod listener;
mod networks;
mod pass;
mod presence;
mod proxy;
mod silence;
mod sniff;
mod streams;
mod tunnel;
mod watch;
mod worker;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub use connection::serve_within;
pub use handed::{Handed, Passed};
#[cfg(any(test, fuzzing))]
pub(crate) use http1::differential::check as differential;
pub use listener::{BindError, Bound, Kind, UnixName, bind, bind_unix};
pub use pass::Channel;
pub use streams::Cut;
pub use worker::{ListenerId, Resting, Workers};

use crate::body::Incoming;
use crate::config::{Limits, ProxyProtocol};

/// What serves the requests of one worker. Made on the worker's thread, lives and dies there.
pub trait Handler: 'static {
    /// Body of a response.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Unpin
        + 'static;
    /// What [`Handler::report`] gives.
    type Report: Send + 'static;

    /// Always answers, unless it uses `cut`.
    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        peer: Rc<Peer>,
        cut: Cut,
    ) -> impl Future<Output = Response<Self::Body>> + 'static;

    /// The answer when serving a request panicked; counts it.
    fn panicked(&self) -> Response<Self::Body>;

    /// The answer of HTTP/1.1, head and body, on a plain connection that is not taken: `all` have
    /// [`Limits::connections`], or else its network has [`Limits::connections_per_network`].
    fn crowded(&self, all: bool) -> Bytes;

    /// What holds for a connection that is accepted now.
    fn settings(&self) -> Settings;

    /// What the worker has counted so far.
    fn report(&self) -> Self::Report;

    /// An event of a connection, to be counted.
    fn note(&self, event: Event);

    /// A connection of a listener was opened, or (on the same worker) closed.
    fn connection(&self, listener: ListenerId, opened: bool);

    /// Called once a second, for housekeeping.
    fn tick(&self);
}

/// What holds for a connection from its accept to its end.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds.
    pub limits: Arc<Limits>,
    /// Certificates and protocol versions; `None`: no TLS is configured.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Peers that carry the connections of many.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Whether these peers tell by the PROXY protocol whose connections they are.
    pub proxy_protocol: ProxyProtocol,
}

/// Something that happened to a connection and not to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The TLS handshake failed or was not finished in time.
    HandshakeFailed,
    /// The codec refused what came (hyper answered 400, 414 or 431 itself, or closed).
    Unreadable,
    /// A wait was too long: a head, or a client that takes no byte.
    TimedOut,
    /// An HTTP/2 stream was reset because its client took no byte.
    StreamStalled,
    /// It was not taken: there are `limits.connections`.
    Full,
    /// It was not taken: its network has `limits.connections_per_network`.
    NetworkFull,
    /// It was not taken: `listen.proxy_protocol` is required and the peer is no trusted proxy.
    NoProxy,
    /// It was not taken: the header of the PROXY protocol is malformed, or is missing.
    ProxyHeader,
}

/// The other end of a connection, and what became of the connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address, or that which a trusted proxy named by the PROXY protocol.
    pub remote: SocketAddr,
    /// The address that it connected to, of the proxy if there is one.
    pub local: SocketAddr,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
    /// Whether the process is shutting down.
    pub draining: Cell<bool>,
    /// What the client is connected with once a 101 is out: set by the handler that gives one.
    pub tunnel: RefCell<Option<Box<dyn Tunnel>>>,
}

/// The far end of a connection that switches to another protocol (RFC 9110 §7.8). The server
/// relays bytes both ways between it and the client.
pub trait Tunnel: AsyncRead + AsyncWrite + Unpin + std::fmt::Debug {
    /// Cancelled when it has to end before its time.
    fn cut(&self) -> CancellationToken;

    /// Told once, before it is dropped; only a worker that is aborted drops it untold.
    fn ended(&mut self, end: End);
}

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Both sides said that they were done, or the far side did and the client has all of it.
    Complete,
    /// The client broke off, or took no byte for `limits.write_stall`.
    ClientLeft,
    /// The far side broke off, or took no byte for `limits.write_stall`.
    UpstreamBroken,
    /// One side was done, and the other silent for `limits.idle`.
    HalfClosed,
    /// See [`Tunnel::cut`].
    Cut,
}
