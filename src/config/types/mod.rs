//! The validated configuration: what a reader of it can rely on.

mod plugin;
mod test;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

pub use self::plugin::{
    Auth, Credential, DocumentAccess, HeaderChanges, HeaderRules, Health, OAuth, OpenApi,
    OpenApiSource, OperationOverride, Plugin, Publish, Reference, Require, Roots, Scheme,
    ServedFile, Server, Spanned, Upstream, UpstreamHost,
};
pub use self::test::{Test, TestCaller};
use crate::config::{Rate, Selector};
use crate::problems::Place;
use crate::tokens::TokenLimits;

/// A validated configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The files that `include` names, each a part that can fail alone.
    pub included: Vec<PathBuf>,
    /// Worker threads; `None`: one per core.
    pub workers: Option<usize>,
    /// Peers whose `Forwarded`, `X-Forwarded-*` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// They are Fly's proxy, whose `Fly-Client-IP` names the client.
    pub behind_fly: bool,
    /// Files with one token record a line.
    pub token_files: Vec<PathBuf>,
    /// Those of them that are URLs.
    pub token_urls: Vec<TokenUrl>,
    /// Addresses.
    pub listen: Listen,
    /// Certificates; empty when there is no HTTPS listener.
    pub certificates: Vec<Certificate>,
    /// Where the state database and the admin socket live.
    pub state_directory: PathBuf,
    /// What is logged.
    pub log: Log,
    /// The plugins, by name, in the order in which they were written.
    pub plugins: Vec<Plugin>,
    /// `[tokens.*]`.
    pub tokens: Vec<DeclaredToken>,
    /// Bounds.
    pub limits: Limits,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenerKind {
    /// TLS, then HTTP/2 or HTTP/1.1 by ALPN.
    Https,
    /// HTTP/1.1, or HTTP/2 by prior knowledge.
    Http,
    /// Prometheus.
    Metrics,
    /// The admin API over TCP.
    Admin,
}

impl ListenerKind {
    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Metrics => "metrics",
            Self::Admin => "admin",
        }
    }
}

/// Where to listen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listen {
    /// TLS listeners.
    pub https: Vec<SocketAddr>,
    /// Plain listeners.
    pub http: Vec<SocketAddr>,
    /// Prometheus.
    pub metrics: Option<SocketAddr>,
    /// Path of the admin socket (default: `admin.sock` in the state directory).
    pub admin: PathBuf,
    /// Loopback addresses of the admin API, for holders of an admin token.
    pub admin_addresses: Vec<SocketAddr>,
    /// Whether trusted proxies tell by the PROXY protocol whose connections they pass on.
    pub proxy_protocol: ProxyProtocol,
}

/// `listen.proxy_protocol`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// Nobody does.
    #[default]
    Off,
    /// A trusted proxy may begin a connection with a header.
    Optional,
    /// Every connection comes from a trusted proxy and begins with a header.
    Required,
}

/// One certificate chain and its key, both PEM. The names come from the certificate.
#[derive(Clone, PartialEq)]
pub struct Certificate {
    /// Where the chain was read.
    pub certificate_path: PathBuf,
    /// Where the key was read.
    pub key_path: PathBuf,
    /// The chain, PEM.
    pub certificate: Arc<[u8]>,
    /// The private key, PEM.
    pub key: Secret,
    /// The place to name when the certificate is refused.
    pub at: Place,
    /// That for the key.
    pub key_at: Place,
}

/// The paths: a chain is public, but nobody reads it byte by byte.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("certificate_path", &self.certificate_path)
            .field("key_path", &self.key_path)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A byte string that must not be shown. No `Display`; `Debug` is constant.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Wraps it.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for the one place that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Least severe level that is written.
    pub level: LogLevel,
    /// Text or JSON.
    pub format: LogFormat,
    /// Which requests get a line.
    pub access: AccessLog,
}

/// `log.level`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// What went wrong.
    Error,
    /// What may go wrong.
    Warn,
    /// What an operator wants to see.
    Info,
    /// For the search of a fault.
    Debug,
    /// Everything.
    Trace,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// `log.access`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// Every request.
    All,
    /// Requests answered with 4xx, 5xx, or cut short.
    Errors,
    /// None.
    Off,
}

/// `[tokens.KEY]`
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredToken {
    /// The key, which is its id.
    pub id: String,
    /// Where it stands.
    pub at: Place,
    /// Level.
    pub level: crate::tokens::Level,
    /// Plugins; `["*"]` is all.
    pub plugins: Vec<Spanned<String>>,
    /// Scopes.
    pub scopes: Vec<Spanned<Selector>>,
    /// At most two, the current one first.
    pub secrets: Vec<DeclaredSecret>,
    /// How long the previous secret stays valid when a referenced one changes.
    pub grace: Duration,
    /// Not valid before.
    pub not_before: Option<jiff::Timestamp>,
    /// Not valid from then on.
    pub expires: Option<jiff::Timestamp>,
    /// What bounds its use.
    pub limits: Option<Arc<TokenLimits>>,
    /// For people.
    pub note: Option<String>,
}

/// One of a token's secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredSecret {
    /// SHA-256 of what the client presents.
    pub fingerprint: crate::tokens::Fingerprint,
    /// Its end, if it has one of its own.
    pub until: Option<jiff::Timestamp>,
}

/// `[limits]`: durations, bytes and counts. `Default` gives the documented defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// TLS handshake, HTTP/2 preface, request line and headers.
    pub request_head: Duration,
    /// Between two reads of a request body.
    pub body_idle: Duration,
    /// The client takes no byte of the response.
    pub write_stall: Duration,
    /// Keep-alive.
    pub idle: Duration,
    /// Shutdown, where that is written.
    pub drain: Option<Duration>,
    /// Name look-up, TCP and TLS to the upstream.
    pub upstream_connect: Duration,
    /// Between two reads of a response body.
    pub upstream_idle: Duration,
    /// Bytes of a request head.
    pub head_bytes: usize,
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a request body.
    pub body_bytes: u64,
    /// Concurrent streams of an HTTP/2 connection.
    pub streams: u32,
    /// Connections overall.
    pub connections: usize,
    /// Connections of one network (IPv4 /24, IPv6 /64), at least 1. Trusted proxies are exempt.
    pub connections_per_network: usize,
    /// Wrong credentials of one network; `None`: as many as it likes.
    pub failed_auth: Option<Rate>,
    /// Requests of a connection.
    pub requests_per_connection: u64,
    /// Least bytes of a request body; `None`: as few as it likes.
    pub body_rate: Option<Rate>,
    /// Characters of an answer; 0: as many as there are.
    pub response_chars: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_head: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            idle: Duration::from_mins(1),
            drain: None,
            upstream_connect: Duration::from_secs(5),
            upstream_idle: Duration::from_mins(1),
            head_bytes: 32 << 10,
            headers: 100,
            body_bytes: 64 << 20,
            streams: 100,
            connections: 20_000,
            connections_per_network: 1000,
            failed_auth: Some(Rate {
                count: NonZeroU32::MIN.saturating_add(599),
                period: Duration::from_mins(1),
            }),
            requests_per_connection: 1_000_000,
            body_rate: Some(Rate {
                count: NonZeroU32::MIN.saturating_add(99),
                period: Duration::from_secs(1),
            }),
            response_chars: 0,
        }
    }
}

/// An entry of `token_files` that is a URL. Among the files it is a path that reads like its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUrl {
    /// http or https, without a user. Its query may hold a secret.
    pub url: String,
    /// How it is shown: without its query.
    pub name: String,
    /// Whether admin tokens may come from there.
    pub admin: bool,
    /// How often it is asked.
    pub every: Duration,
    /// A token that it is asked with.
    pub bearer: Option<Secret>,
    /// Where it is written.
    pub at: Place,
}
