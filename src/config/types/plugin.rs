//! `[plugins.NAME]`, validated.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Certificate, Secret, Selector, Test};
use crate::problems::Place;

/// One wrapped API.
#[derive(Debug, Clone, PartialEq)]
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
    /// Its `OpenAPI` document.
    pub openapi: OpenApi,
    /// What is said of single operations.
    pub operations: Vec<OperationOverride>,
    /// Who may call.
    pub auth: Auth,
    /// Browser origins, lower case, such as `https://chatgpt.com`.
    pub cors_origins: Vec<String>,
    /// Changes to headers.
    pub headers: HeaderRules,
    /// Further files, by path (begins with `/`).
    pub files: BTreeMap<String, ServedFile>,
    /// What must hold of it before it serves; at most [`Test::MOST`].
    pub tests: Vec<Test>,
}

/// A file that is served, or a URL that is only named.
#[derive(Debug, Clone, PartialEq)]
pub enum Reference {
    /// `https://…`
    Url(String),
    /// Bytes, and the path that they came from (its ending gives the media type).
    File(ServedFile),
}

/// A file's path and bytes.
#[derive(Clone, PartialEq)]
pub struct ServedFile {
    /// As written.
    pub path: PathBuf,
    /// Content.
    pub bytes: Arc<[u8]>,
}

/// Path and length: the bytes may be a secret's, and are too many to read.
impl fmt::Debug for ServedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "File({}, {} bytes)",
            self.path.display(),
            self.bytes.len()
        )
    }
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
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Where it is: at least one, at most [`Upstream::MOST`].
    pub servers: Vec<Server>,
    /// The same for all.
    pub scheme: Scheme,
    /// Path of the URLs without trailing slash; empty if they have none.
    pub base_path: String,
    /// The `Host` sent upstream.
    pub host_header: UpstreamHost,
    /// What replaces the client's credential.
    pub credential: Credential,
    /// Which authorities are believed (https).
    pub roots: Roots,
    /// What is presented to it (https).
    pub client_certificate: Option<Certificate>,
    /// Until the response head.
    pub timeout: Duration,
    /// For the whole exchange, if any.
    pub total: Option<Duration>,
    /// After how long a name is looked up again.
    pub resolve: Duration,
    /// How its servers are asked for their health.
    pub health: Option<Health>,
    /// How often a request that can not have been acted on is sent again.
    pub retries: u32,
    /// Its orders to Fly's proxy go on.
    pub passes_fly_replay: bool,
}

impl Upstream {
    /// URLs that one upstream may have.
    pub const MOST: usize = 64;

    /// The first of its servers, which stands for all where one is wanted.
    pub fn first(&self) -> &Server {
        &self.servers[0]
    }
}

/// What `upstream.url` begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2 by prior knowledge, without TLS.
    H2c,
    /// TLS, below which the upstream chooses between HTTP/2 and HTTP/1.1.
    Https,
}

impl Scheme {
    /// As in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::H2c => "h2c",
            Self::Https => "https",
        }
    }
}

/// One of the places that `upstream.url` names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Server {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The unix socket that is connected to; host and port are what an API behind it is called:
    /// `localhost` and 80.
    pub socket: Option<PathBuf>,
}

impl Server {
    /// What tells it from others.
    pub fn key(&self, scheme: Scheme) -> String {
        match &self.socket {
            Some(socket) if scheme == Scheme::H2c => format!("unix+h2c:{}", socket.display()),
            Some(socket) => format!("unix:{}", socket.display()),
            None => format!("{}://{}:{}", scheme.word(), self.host, self.port),
        }
    }

    /// Scheme, host and port as addresses of the API have them, the scheme's own port too.
    pub fn origin(&self, scheme: Scheme) -> String {
        let scheme = match scheme {
            Scheme::Https => "https",
            Scheme::Http | Scheme::H2c => "http",
        };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

/// `upstream.health`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Path and query that are asked for.
    pub path: String,
    /// Between two checks.
    pub interval: Duration,
    /// Until the response head.
    pub timeout: Duration,
    /// Failed checks in a row that make a server unhealthy.
    pub unhealthy: u32,
    /// Good ones in a row that make it healthy again.
    pub healthy: u32,
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
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq)]
pub enum Roots {
    /// The operating system's.
    System,
    /// Those in the binary.
    Bundled,
    /// These, PEM.
    File(ServedFile),
}

/// `[plugins.NAME.openapi]`
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
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
    /// Whether a path that is another operation's to a lenient server is let through.
    pub passes_similar: bool,
    /// Overlays, in the order in which they are applied.
    pub overlays: Vec<Spanned<ServedFile>>,
    /// Hosts that a reference may be fetched from: lower case, with a port if one was written.
    pub reference_hosts: Vec<String>,
    /// Whether long descriptions are cut.
    pub cut: bool,
    /// Whether schemas that lead back to themselves are published so.
    pub keeps_recursion: bool,
}

/// `[plugins.NAME.operations.ID]`
#[derive(Debug, Clone, PartialEq)]
pub struct OperationOverride {
    /// The operation: by operationId, or by method and path.
    pub selector: Selector,
    /// Where the table stands.
    pub at: Place,
    /// Its published operationId: `[A-Za-z0-9_]{1,64}`.
    pub id: Option<Spanned<String>>,
    /// Its published summary.
    pub summary: Option<String>,
    /// Its published description.
    pub description: Option<String>,
    /// Whether clients ask before they call it.
    pub consequential: Option<bool>,
    /// Most bytes of a request's body, instead of `limits.body_bytes`.
    pub body_bytes: Option<u64>,
    /// Parameters that are hidden, by name, with their values.
    pub fixed: Vec<(Spanned<String>, String)>,
}

/// `openapi.source`
#[derive(Debug, Clone, PartialEq)]
pub enum OpenApiSource {
    /// A path on the upstream, begins with `/`.
    Upstream(String),
    /// `http://` or `https://`.
    Url(String),
    /// A file, read.
    File(ServedFile),
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    /// What.
    pub value: T,
    /// Where.
    pub at: Place,
}

/// `[plugins.NAME.auth]`
#[derive(Debug, Clone, PartialEq)]
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

impl Require {
    /// As in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Service => "service",
            Self::User => "user",
            Self::Any => "any",
            Self::Upstream => "upstream",
        }
    }
}

/// `auth.oauth`: fields of the manifest.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeaderRules {
    /// To the upstream.
    pub request: HeaderChanges,
    /// To the client.
    pub response: HeaderChanges,
    /// Whether the client's headers whose names have underscores go to the upstream.
    pub passes_underscores: bool,
}

/// What is set and what is removed.
#[derive(Clone, Default, PartialEq)]
pub struct HeaderChanges {
    /// Name (lower case) and value.
    pub set: Vec<(String, String)>,
    /// Names, lower case.
    pub remove: Vec<String>,
}

/// Names only: a value may be a reference to a secret.
impl fmt::Debug for HeaderChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.set.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HeaderChanges")
            .field("set", &names)
            .field("remove", &self.remove)
            .finish()
    }
}
