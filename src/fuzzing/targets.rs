//! A request of any bytes, understood as the gateway does, and what is written of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header, uri};
use http_body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use rustls::RootCertStore;

use super::written::sound;
use crate::body::{Incoming, Lost, RequestBody};
use crate::config::{self, Inputs, load_text};
use crate::headers::{Trust, check_request, client_view};
use crate::openapi::{self, Prepared, ReadLimits};
use crate::outbound::{Stamp, errand};
use crate::problems::Problems;
use crate::snapshot::{ApiDocument, Apis, Kept, Material, Origins, Snapshot, Strict};
use crate::telemetry::Labels;
use crate::tokens::ScopeLists;
use crate::upstream::written;

/// Paths of every kind: static ones, parts of segments, parameters, a slash in one, fixed queries.
const DOCUMENT: &str = r#"{"openapi":"3.0.3","info":{"title":"T","version":"1"},"paths":{
"/todos":{"get":{"operationId":"list"},"post":{"operationId":"add"}},
"/todos/{id}":{"get":{"operationId":"one"},"delete":{"operationId":"remove"}},
"/todos/count":{"get":{"operationId":"count"}},
"/f%69les/{name}.json":{"get":{"operationId":"part"}},
"/a b/{x}-{y}":{"put":{"operationId":"pair"}},
"/raw/{path}":{"get":{"operationId":"raw"},"patch":{"operationId":"patch"}},
"/search":{"get":{"operationId":"search","parameters":[
{"name":"mode","in":"query","schema":{"type":"string"}},
{"name":"X-Mode","in":"header","schema":{"type":"string"}}]}}}}"#;

/// A plugin for each way in which heads are made.
const CONFIGURATION: &str = r#"trusted_proxies = ["192.0.2.0/24"]
[listen]
http = "127.0.0.1:1"
[plugins.todo]
hosts = ["todo.example"]
upstream = { url = "http://api.example/v1", credential = { bearer = "${env:OURS}" } }
openapi = { source = "openapi.json", encoded_slash = ["raw"] }
auth.require = "service"
[plugins.open]
hosts = ["open.example"]
upstream = { url = "http://api.example", host = "client", credential = "pass" }
openapi = { source = "openapi.json", unpublished = "forward", similar_paths = "forward" }
auth.require = "service"
headers.underscores = "pass"
[plugins.other]
hosts = ["other.example"]
upstream = { url = "http://api.example:8080/", credential = { query = { name = "key", value = "${env:OURS}" } } }
openapi = { source = "openapi.json" }
operations.search.fixed = { mode = "safe", X-Mode = "safe" }
auth = { require = "any", header = "X-API-Key" }
headers.request = { set = { X-Set = "set" }, remove = ["X-Removed"] }
"#;

/// Nothing but what the configuration above needs.
struct Needed;

impl Inputs for Needed {
    fn file(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        match path.to_str() {
            Some("openapi.json") => Ok(DOCUMENT.as_bytes().into()),
            _ => Err(format!("{} is not there", path.display())),
        }
    }

    fn glob(&mut self, _: &str) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn env(&mut self, _: &str) -> Option<String> {
        Some("ours-0123456789".to_owned())
    }
}

thread_local! {
    static SNAPSHOT: Snapshot = compiled();
}

fn compiled() -> Snapshot {
    let now = Timestamp::UNIX_EPOCH;
    let (config, mut problems) = load_text(
        "plugway.toml",
        CONFIGURATION,
        &mut Needed,
        &config::Parts::default(),
        now,
    );
    let config = config.unwrap_or_else(|| panic!("{problems}"));
    let value = openapi::read(DOCUMENT.as_bytes(), &ReadLimits::default());
    let prepared = value.ok().and_then(|value| Prepared::new(value).ok());
    let api = Arc::new(ApiDocument {
        prepared: prepared.expect("a document"),
        texts: [("openapi.json".to_owned(), DOCUMENT.as_bytes().into())].into(),
        root: "openapi.json".to_owned(),
        manifest: None,
    });
    let apis: Apis = ["todo", "open", "other"]
        .map(|name| (name.to_owned(), Ok(Arc::clone(&api))))
        .into();
    let material = Material {
        generation: 1,
        hash: String::new(),
        apis: &apis,
        system_roots: &Arc::new(RootCertStore::empty()),
        tickets: &rustls::crypto::aws_lc_rs::Ticketer::new().expect("a ticketer"),
        scopes: &ScopeLists::default(),
        labels: &Labels::new(),
        origins: &Origins::default(),
        kept: &Kept::default(),
        now,
        fly_app: None,
        dev: false,
        stored_tokens: true,
        strict: Strict::default(),
        hiding: HashMap::new(),
    };
    snapshot(config, &material, &mut problems)
}

fn snapshot(config: config::Config, material: &Material<'_>, problems: &mut Problems) -> Snapshot {
    Snapshot::compile(config, material, problems).unwrap_or_else(|| panic!("{problems}"))
}

/// How a request comes.
#[derive(Debug, Clone, Copy)]
struct Way(u8);

impl Way {
    fn version(self) -> Version {
        match self.0 & 3 {
            0 => Version::HTTP_10,
            1 => Version::HTTP_2,
            _ => Version::HTTP_11,
        }
    }

    /// The body that is on its way, and what is known of its length.
    fn body(self) -> RequestBody {
        let left = match self.0 >> 2 & 3 {
            0 => return RequestBody::none(),
            1 => Some(7),
            2 => Some(u64::MAX),
            _ => None,
        };
        let idle = std::time::Duration::from_secs(1);
        let incoming = Incoming::Own(Box::pin(Coming(left)));
        RequestBody::new(incoming, u64::MAX, (idle, None), None)
    }

    fn peer(self) -> IpAddr {
        let host = if self.0 & 16 == 0 {
            [192, 0, 2, 1]
        } else {
            [198, 51, 100, 1]
        };
        Ipv4Addr::from(host).into()
    }

    fn tls(self) -> bool {
        self.0 & 32 != 0
    }
}

/// A body of which nothing has come yet.
struct Coming(Option<u64>);

impl Body for Coming {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        self.0.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A request of lines: method, target, host, fields. Whatever the codecs can give can be said, and
/// more: they refuse some of it. `None`: there are no such values.
fn read(way: Way, lines: &[u8]) -> Option<Parts> {
    let mut lines = lines.split(|byte| *byte == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let mut head = Request::new(()).into_parts().0;
    head.method = Method::from_bytes(next()).ok()?;
    head.version = way.version();
    head.uri = Uri::from_maybe_shared(Bytes::copy_from_slice(next())).ok()?;
    let host = next();
    if head.version == Version::HTTP_2 {
        head.uri = addressed(&head.uri, host)?;
    } else {
        append(&mut head.headers, header::HOST, host)?;
    }
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (
            HeaderName::from_bytes(&line[..colon]).ok()?,
            &line[colon + 1..],
        );
        append(&mut head.headers, name, value)?;
    }
    Some(head)
}

fn append(fields: &mut HeaderMap, name: HeaderName, value: &[u8]) -> Option<()> {
    let value = HeaderValue::from_bytes(value.trim_ascii()).ok()?;
    fields.append(name, value);
    Some(())
}

/// With the pseudo fields of HTTP/2.
fn addressed(uri: &Uri, host: &[u8]) -> Option<Uri> {
    let mut parts = uri::Parts::default();
    parts.path_and_query = Some(
        uri.path_and_query()
            .cloned()
            .unwrap_or(PathAndQuery::from_static("/")),
    );
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(host).ok()?);
    Uri::from_parts(parts).ok()
}

/// A request of any bytes: the first says how it comes, see [`Way`], then lines as [`read`] wants
/// them. Whether a request that is let in was written, so that the tests know that some are.
///
/// # Panics
/// What a strict parser reads in what is written upstream is not exactly the request that was
/// understood.
pub fn targets(made: &[u8]) -> bool {
    let Some((first, lines)) = made.split_first() else {
        return false;
    };
    let way = Way(*first);
    let Some(head) = read(way, lines) else {
        return false;
    };
    SNAPSHOT.with(|snapshot| forwarded(snapshot, way, &head).is_some())
}

/// What the gateway does but for asking who it is. `None`: the request is refused.
fn forwarded(snapshot: &Snapshot, way: Way, head: &Parts) -> Option<()> {
    let authority = check_request(&head.method, &head.uri, &head.headers, head.version).ok()?;
    if head.headers.len() > snapshot.limits.headers {
        return None;
    }
    let trust = Trust {
        networks: &snapshot.trusted_proxies,
        fly: false,
    };
    let client = client_view(
        &head.headers,
        way.peer(),
        way.tls(),
        authority,
        trust,
        |asked, told| snapshot.may_be(asked, told),
    );
    let plugin = snapshot.plugin(&client.authority.host, Ipv4Addr::LOCALHOST.into())?;
    let errand = errand(plugin, head, &client).ok()?;
    let id = client
        .request_id
        .and_then(|id| HeaderValue::from_str(id).ok());
    let stamp = Stamp {
        request_id: id.unwrap_or(HeaderValue::from_static("r1")),
        caller: None,
        host: errand.host(),
        target: errand.target()?,
    };
    let outgoing = errand.outgoing(&stamp, way.body());
    let bytes = written(&outgoing);
    if let Err(fault) = sound(&errand, &outgoing, &bytes) {
        panic!("{fault}: {}\nof {head:?}", bytes.escape_ascii());
    }
    Some(())
}
