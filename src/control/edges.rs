//! What control asks of the edges. `app` implements it with the real ones, tests with others.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};

use crate::config::{Limits, ListenerKind, Log};
use crate::snapshot::{Snapshot, Target};
use crate::tokens::{Fingerprint, Token};

/// The world outside of control.
pub trait Edges {
    /// A socket that nobody accepts from yet.
    type Bound;

    /// Binds. What is `leaving` is not listened on any more as soon as this is. The error is a
    /// sentence.
    fn bind(
        &self,
        kind: ListenerKind,
        address: SocketAddr,
        leaving: &[(ListenerKind, SocketAddr)],
    ) -> Result<Self::Bound, String>;

    /// Binds the admin socket, if it is another than the one that is open: that one is closed when
    /// this one is listened on.
    fn bind_admin(&self, path: &Path) -> Result<Option<Self::Bound>, String>;

    /// Begins to accept.
    fn listen(&mut self, bound: Self::Bound);

    /// Stops to accept; connections go on.
    fn unlisten(&mut self, kind: ListenerKind, asked: SocketAddr);

    /// What is listened on.
    fn listening(&self) -> Vec<Listening>;

    /// Settings outside of the snapshot, and how TLS is spoken.
    fn configure(&self, limits: &Limits, log: Log, tls: Option<Arc<rustls::ServerConfig>>);

    /// How many connections there may be with these limits, and how many there are.
    fn connections(&self, limits: &Limits) -> Connections;

    /// How what is said before anything is published is to be written.
    fn log_as(&self, log: Log);

    /// Gets a document. The error is a sentence.
    fn fetch(&self, order: Order) -> Fetching;

    /// What a candidate answers to requests, one after the other in process. Nothing is sent
    /// upstream, counted or logged; each has an answer, or a sentence why not.
    fn try_requests(&self, trial: &Trial) -> Vec<Result<Tried, String>>;

    /// The same, with what the upstream answers. They are sent at once, some at a time.
    fn try_upstream(&self, trial: Trial) -> Trying;
}

/// Connections of the data path, as far as the process may open descriptors.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// From clients there may be so many.
    pub most: usize,
    /// And from one network so many.
    pub per_network: usize,
    /// To upstreams there are so many, and may be so many.
    pub upstream: (usize, usize),
}

/// Requests to a candidate that does not serve yet.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The candidate.
    pub snapshot: Arc<Snapshot>,
    /// The tokens that there are.
    pub tokens: Vec<(Fingerprint, Arc<Token>)>,
    /// The requests, in origin form and with their `Host`, and how long each may take.
    pub requests: Vec<(Request<Bytes>, Duration)>,
}

/// An answer to a request of a [`Trial`].
#[derive(Debug, Clone)]
pub struct Tried {
    /// Its status.
    pub status: StatusCode,
    /// It is no answer yet: the request would be sent to the upstream.
    pub forwarded: bool,
    /// `code` of a refusal.
    pub code: Option<String>,
}

/// Answers on their way.
pub type Trying = std::pin::Pin<Box<dyn Future<Output = Vec<Result<Tried, String>>>>>;

/// A document on its way.
pub type Fetching = std::pin::Pin<Box<dyn Future<Output = Result<Fetched, String>>>>;

/// What came.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// A document.
    New {
        /// Content.
        bytes: Vec<u8>,
        /// `ETag`, to ask for a newer one with.
        etag: Option<HeaderValue>,
        /// `Last-Modified`
        modified: Option<HeaderValue>,
    },
    /// It is as it was (304).
    Unchanged,
}

/// A listener.
#[derive(Debug, Clone, Copy)]
pub struct Listening {
    /// What is spoken.
    pub kind: ListenerKind,
    /// As configured.
    pub asked: SocketAddr,
    /// As bound.
    pub address: SocketAddr,
    /// Open connections.
    pub connections: usize,
}

/// A document to be fetched.
#[derive(Debug)]
pub struct Order {
    /// From where: the first that a connection can be made to.
    pub targets: Vec<Target>,
    /// Path and query.
    pub path: String,
    /// All but `Host`: the credential above all.
    pub headers: HeaderMap,
    /// Bytes at the most.
    pub limit: usize,
    /// How long it may take.
    pub patience: Duration,
}

/// The head of a request for something that was asked for before: only a newer one is wanted
/// (RFC 9110 §13.1).
pub(super) fn newer_than(
    accept: &'static str,
    etag: Option<&HeaderValue>,
    modified: Option<&HeaderValue>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    let agent = HeaderValue::from_static(concat!("plugway/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::USER_AGENT, agent);
    if let Some(etag) = etag {
        headers.insert(header::IF_NONE_MATCH, etag.clone());
    }
    if let Some(modified) = modified {
        headers.insert(header::IF_MODIFIED_SINCE, modified.clone());
    }
    headers
}
