//! The configuration: what was written, proven, with every reference resolved.
//!
//! Pure. Text comes in through [`Inputs`], so that whoever calls decides what a file or an
//! environment variable is (and can hash and watch all of them).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::problems::Place;

/// Where text comes from while a configuration is read. Everything that is asked for here
/// goes into the hash of the generation and is watched.
pub trait Inputs {
    /// The bytes of a file, by the path as it was written (relative: to the working directory).
    /// The error is a short reason, such as `No such file or directory`.
    fn file(&mut self, path: &std::path::Path) -> Result<Arc<[u8]>, String>;
    /// The files that match a pattern such as `plugins/*.toml`, sorted.
    fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>, String>;
    /// An environment variable.
    fn env(&mut self, name: &str) -> Option<String>;
}

/// A validated configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads; `None`: one per core.
    pub workers: Option<usize>,
    /// Peers whose `Forwarded`, `X-Forwarded-*` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Files with one token record a line.
    pub token_files: Vec<PathBuf>,
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

/// Where to listen.
#[derive(Debug, Clone, Default)]
pub struct Listen {
    /// TLS listeners.
    pub https: Vec<SocketAddr>,
    /// Plain listeners.
    pub http: Vec<SocketAddr>,
    /// Prometheus.
    pub metrics: Option<SocketAddr>,
    /// Path of the admin socket (default: `admin.sock` in the state directory).
    pub admin: PathBuf,
}

/// One certificate chain and its key, both PEM. The names come from the certificate.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Where the chain was read.
    pub certificate_path: PathBuf,
    /// Where the key was read.
    pub key_path: PathBuf,
    /// The chain, PEM.
    pub certificate: Arc<[u8]>,
    /// The private key, PEM.
    pub key: Secret,
    /// The place to name when the pair is refused.
    pub at: Place,
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

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    /** */
    Error,
    /** */
    Warn,
    /** */
    Info,
    /** */
    Debug,
    /** */
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

/// One wrapped API.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// The name for the model: `[A-Za-z0-9_]{1,50}`.
    pub name: String,
    /// Where `[plugins.NAME]` stands.
    pub at: Place,
    /// For humans.
    pub display_name: Option<String>,
    /// For humans.
    pub description: Option<String>,
    /// For the model.
    pub instructions: Option<String>,
    /// An e-mail address.
    pub contact: Option<String>,
    /// Legal page.
    pub legal: Option<Reference>,
    /// Logo.
    pub logo: Option<Reference>,
    /// Host names, lower case, without port.
    pub hosts: Vec<String>,
    /// An origin such as `https://todo.example.com` (no path, no trailing slash).
    pub public_url: Option<String>,
    /// Which documents are served.
    pub publish: Publish,
    /// Who may read them.
    pub documents: DocumentAccess,
    /// The fronted API.
    pub upstream: Upstream,
    /// Its OpenAPI document.
    pub openapi: OpenApi,
    /// Who may call.
    pub auth: Auth,
    /// Browser origins, lower case, such as `https://chatgpt.com`.
    pub cors_origins: Vec<String>,
    /// Changes to headers.
    pub headers: HeaderRules,
    /// Further files, by path (begins with `/`).
    pub files: BTreeMap<String, ServedFile>,
}

/// A file that is served, or a URL that is only named.
#[derive(Debug, Clone)]
pub enum Reference {
    /// `https://…`
    Url(String),
    /// Bytes, and the path that they came from (its ending gives the media type).
    File(ServedFile),
}

/// A file's path and bytes.
#[derive(Debug, Clone)]
pub struct ServedFile {
    /// As written.
    pub path: PathBuf,
    /// Content.
    pub bytes: Arc<[u8]>,
}

/// `publish`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// `/.well-known/ai-plugin.json`
    pub manifest: bool,
    /// `/openapi*.{json,yaml}`
    pub openapi: bool,
}

/// `documents`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentAccess {
    /// Anyone.
    Public,
    /// Whoever has a token for the plugin.
    Token,
}

/// `[plugins.NAME.upstream]`
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `http` or `https`.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of the URL without trailing slash; empty if it has none.
    pub base_path: String,
    /// The `Host` sent upstream.
    pub host_header: UpstreamHost,
    /// What replaces the client's credential.
    pub credential: Credential,
    /// Which authorities are believed (https).
    pub roots: Roots,
    /// Until the response head.
    pub timeout: Duration,
    /// For the whole exchange, if any.
    pub total: Option<Duration>,
    /// How often a request that can not have been acted on is sent again.
    pub retries: u32,
}

/// `upstream.host`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The upstream's own authority.
    Upstream,
    /// What the client sent.
    Client,
    /// This.
    Name(String),
}

/// `upstream.credential`
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing is sent.
    Nothing,
    /// `Authorization: Bearer`
    Bearer(Secret),
    /// `Authorization: Basic`
    Basic {
        /// User.
        user: String,
        /// Password.
        password: Secret,
    },
    /// A header of its own.
    Header {
        /// Its name, lower case.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// A query parameter.
    Query {
        /// Its name.
        name: String,
        /// Its value.
        value: Secret,
    },
    /// The client's own goes on.
    Pass,
}

/// `upstream.ca`
#[derive(Debug, Clone)]
pub enum Roots {
    /// The operating system's.
    System,
    /// Those in the binary.
    Bundled,
    /// These, PEM.
    File(ServedFile),
}

/// `[plugins.NAME.openapi]`
#[derive(Debug, Clone)]
pub struct OpenApi {
    /// Where the document is.
    pub source: OpenApiSource,
    /// Place of `source` (or of the plugin when it was not written).
    pub at: Place,
    /// What is published; empty: all.
    pub include: Vec<Spanned<Selector>>,
    /// What is not.
    pub exclude: Vec<Spanned<Selector>>,
    /// How often a fetched document is fetched again.
    pub refresh: Duration,
    /// Operations whose path parameters may hold `%2F`.
    pub encoded_slash: Vec<Spanned<String>>,
    /// Whether every other path goes to the upstream too.
    pub forward_unpublished: bool,
}

/// `openapi.source`
#[derive(Debug, Clone)]
pub enum OpenApiSource {
    /// A path on the upstream, begins with `/`.
    Upstream(String),
    /// `http://` or `https://`.
    Url(String),
    /// A file, read.
    File(ServedFile),
}

pub use crate::tokens::Selector;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub struct Spanned<T> {
    /// What.
    pub value: T,
    /// Where.
    pub at: Place,
}

/// `[plugins.NAME.auth]`
#[derive(Debug, Clone)]
pub struct Auth {
    /// `require`
    pub require: Require,
    /// Header that holds the credential, lower case; `authorization` by default.
    pub header: String,
    /// Published in the manifest.
    pub verification_tokens: BTreeMap<String, String>,
    /// Published in the manifest (`require = "upstream"`).
    pub oauth: Option<OAuth>,
}

/// `auth.require`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Require {
    /// Anyone may call.
    None,
    /// A service token.
    Service,
    /// A user token.
    User,
    /// Either.
    Any,
    /// The API decides.
    Upstream,
}

/// `auth.oauth`: fields of the manifest.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// Where the browser goes.
    pub client_url: String,
    /// The token endpoint.
    pub authorization_url: String,
    /// Scope.
    pub scope: String,
    /// Media type of the token request.
    pub authorization_content_type: String,
}

/// `[plugins.NAME.headers]`
#[derive(Debug, Clone, Default)]
pub struct HeaderRules {
    /// To the upstream.
    pub request: HeaderChanges,
    /// To the client.
    pub response: HeaderChanges,
}

/// What is set and what is removed.
#[derive(Debug, Clone, Default)]
pub struct HeaderChanges {
    /// Name (lower case) and value.
    pub set: Vec<(String, String)>,
    /// Names, lower case.
    pub remove: Vec<String>,
}

/// `[tokens.KEY]`
#[derive(Debug, Clone)]
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
    /// For people.
    pub note: Option<String>,
}

/// One of a token's secrets.
#[derive(Debug, Clone)]
pub struct DeclaredSecret {
    /// SHA-256 of what the client presents.
    pub fingerprint: crate::tokens::Fingerprint,
    /// Its end, if it has one of its own.
    pub until: Option<jiff::Timestamp>,
}

/// A declared token as a record, without the places: what the table is filled from. The first
/// secret is the current one; its name is its id.
impl TryFrom<&DeclaredToken> for crate::tokens::TokenRecord {
    /// There is no secret, which a validated configuration does not have.
    type Error = NoSecret;

    fn try_from(declared: &DeclaredToken) -> Result<Self, NoSecret> {
        let mut secrets = declared
            .secrets
            .iter()
            .map(|secret| crate::tokens::SecretRecord {
                fingerprint: secret.fingerprint,
                until: secret.until,
            });
        let current = secrets.next().ok_or(NoSecret)?;
        let id: Arc<str> = declared.id.as_str().into();
        Ok(Self {
            name: Arc::clone(&id),
            id,
            level: declared.level,
            plugins: crate::tokens::Plugins::new(declared.plugins.iter().map(|p| &*p.value)),
            scopes: Arc::new(crate::tokens::ScopeList::new(
                declared.scopes.iter().map(|scope| scope.value.clone()),
            )),
            current,
            previous: secrets.find(|secret| secret.fingerprint != current.fingerprint),
            not_before: declared.not_before,
            expires: declared.expires,
            state: crate::tokens::State::Active,
            note: declared.note.as_deref().map(Arc::from),
        })
    }
}

/// A declared token without a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSecret;

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
    /// Shutdown.
    pub drain: Duration,
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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_head: Duration::from_secs(10),
            body_idle: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(25),
            upstream_connect: Duration::from_secs(5),
            upstream_idle: Duration::from_secs(60),
            head_bytes: 32 << 10,
            headers: 100,
            body_bytes: 64 << 20,
            streams: 100,
            connections: 20_000,
        }
    }
}
