//! The life of a request.
//!
//! [`Gateway::answer`] reads from top to bottom; the order of its steps is the product's policy.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri};
use hyper::body::Incoming;
use jiff::Timestamp;

use crate::access;
use crate::answer::{Body, Content, Ledger, Recorder};
use crate::auth::{AuthFailure, Principal};
use crate::body::{BodyFault, RequestBody};
use crate::control::Shared;
use crate::documents::{self, Found};
use crate::headers::{self, ClientView, Identity, Outbound, ResponseContext, Rewrite, Trust};
use crate::rejection::Rejection;
use crate::route::{self, Miss};
use crate::server::{Event, Handler, Peer, Settings};
use crate::snapshot::{Plugin, Published, Snapshot, View};
use crate::telemetry::{Caller, Counters, Record};
use crate::tokens::{Call, Token};
use crate::upstream::{UpstreamError, Upstreams};

/// Serves the requests of one worker.
#[derive(Debug)]
pub struct Gateway {
    view: View,
    shared: Arc<Shared>,
    upstreams: Rc<Upstreams>,
    ledger: Rc<Ledger>,
    callers: RefCell<HashMap<*const Token, Rc<CallerFacts>>>,
    ids: RequestIds,
}

/// What a request wants of a plugin, once it is known that it may.
struct Errand<'a> {
    /// The operation; `None`: a path that is not published, where such are forwarded.
    operation: Option<usize>,
    path: std::borrow::Cow<'a, str>,
}

impl Gateway {
    /// For one worker.
    pub fn new(published: Arc<Published>, shared: Arc<Shared>, access: access::Writer) -> Self {
        Self {
            view: View::new(&published),
            shared,
            upstreams: Rc::new(Upstreams::default()),
            ledger: Rc::new(Ledger {
                counters: RefCell::default(),
                access,
            }),
            callers: RefCell::default(),
            ids: RequestIds::new(),
        }
    }

    /// The life of a request, top to bottom.
    async fn answer(
        &self,
        request: Request<Incoming>,
        snapshot: &Snapshot,
        peer: &Peer,
        recorder: &mut Recorder,
    ) -> Result<Response<Content>, Rejection> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();

        // 1. Alive, and willing? Asked by machines that know neither host nor token.
        if let Some(answer) = health(&head.method, path, snapshot) {
            return Ok(answer);
        }

        // 2. A head that can be read in one way only, and who sent it.
        let authority =
            headers::check_request(&head.method, &head.uri, &head.headers, head.version)?;
        if head.headers.len() > snapshot.limits.headers {
            return Err(Rejection::HeadTooLarge {
                limit: snapshot.limits.headers,
            });
        }
        let trust = Trust {
            networks: &snapshot.trusted_proxies,
            fly: false,
        };
        let client =
            headers::client_view(&head.headers, peer.remote.ip(), peer.tls, authority, trust);
        recorder.record.client = client.ip;
        if let Some(id) = client
            .request_id
            .and_then(|id| HeaderValue::from_str(id).ok())
        {
            recorder.record.request_id = id;
        }

        // 3. Which plugin.
        let plugin = snapshot
            .plugin(&client.authority.host, peer.local.ip())
            .ok_or(Rejection::UnknownHost)?;
        recorder.record.target = Some(Arc::clone(&plugin.record));

        // 4. What we generate is answered from memory, and never shadowed by the upstream.
        if let Some(found) = plugin.documents.find(path) {
            return self.document(found, &head, plugin, &client, recorder);
        }

        // 5. A browser asks before it sends: answered for every path that has methods.
        if head.method == Method::OPTIONS
            && let Some(answer) = preflight(plugin, &head, path)
        {
            return Ok(answer);
        }
        refuse_foreign_page(plugin, &head.headers)?;

        // 6. Which published operation.
        let errand = errand(plugin, &head.method, path, head.uri.query())?;
        if let Some(index) = errand.operation {
            recorder.record.target = Some(Arc::clone(&plugin.operations[index].record));
        }

        // 7. Who asks? Below this line there is a principal.
        let principal = self.admit(plugin, &head.headers, &errand, recorder)?;

        // 8. Do it.
        let body = RequestBody::new(
            body,
            snapshot.limits.body_bytes,
            snapshot.limits.body_idle,
            Some(plugin.policy.header().clone()),
        );
        recorder.upload = Some(body.upload());
        check_length(&head.headers, snapshot.limits.body_bytes)?;
        self.forward(&head, body, &errand, &principal, plugin, &client, recorder)
            .await
    }

    /// Who asks, and whether they may.
    fn admit(
        &self,
        plugin: &Plugin,
        headers: &HeaderMap,
        errand: &Errand<'_>,
        recorder: &mut Recorder,
    ) -> Result<Principal, Rejection> {
        let call = errand.operation.map_or(Call::Unpublished, Call::Operation);
        let scope = errand
            .operation
            .map(|index| plugin.operations[index].meaning.id.as_str());
        let admitted = plugin
            .policy
            .admit(headers, &self.shared.tokens, recorder.record.started);
        let principal = admitted.map_err(|error| refused(plugin, error.into(), None))?;
        self.note_caller(&principal, recorder);
        plugin
            .policy
            .authorize(&principal, &plugin.scopes, call)
            .map_err(|denied| refused(plugin, denied.into(), scope))?;
        Ok(principal)
    }

    /// A document of ours.
    fn document(
        &self,
        found: Found<'_>,
        head: &Parts,
        plugin: &Plugin,
        client: &ClientView<'_>,
        recorder: &mut Recorder,
    ) -> Result<Response<Content>, Rejection> {
        if head.method == Method::OPTIONS
            && head
                .headers
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Ok(open_preflight(&head.headers));
        }
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Err(Rejection::MethodNotAllowed {
                allow: documents::ALLOW.to_owned(),
            });
        }
        if plugin.documents_need_token && !plugin.open_paths.contains(head.uri.path()) {
            let admitted = plugin.policy.admit_to_documents(
                &head.headers,
                &self.shared.tokens,
                recorder.record.started,
            );
            let principal = admitted.map_err(|failure| refused(plugin, failure, None))?;
            self.note_caller(&principal, recorder);
        }
        let Found::Document(document) = found else {
            return Err(Rejection::DocumentUnavailable);
        };
        Ok(document
            .respond(&head.method, &head.headers, &origin(plugin, client))
            .map(Content::Full))
    }

    /// The only way to the upstream.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a fact that the steps above have established"
    )]
    async fn forward(
        &self,
        head: &Parts,
        body: RequestBody,
        errand: &Errand<'_>,
        principal: &Principal,
        plugin: &Plugin,
        client: &ClientView<'_>,
        recorder: &mut Recorder,
    ) -> Result<Response<Content>, Rejection> {
        let prefix = errand.operation.map_or(plugin.base_path.as_str(), |index| {
            plugin.operations[index].prefix.as_str()
        });
        let host = plugin
            .host
            .clone()
            .or_else(|| HeaderValue::from_str(&client.authority.to_string()).ok());
        let host = host.unwrap_or_else(|| HeaderValue::from_static(""));
        let facts = principal.token().map(|token| self.facts(token));
        let request_id = recorder.record.request_id.clone();
        let outbound = |body: RequestBody| {
            let identity = Identity {
                principal: facts.as_ref().map(|facts| &facts.name),
                token: facts.as_ref().map(|facts| &facts.id),
                level: facts.as_ref().map(|facts| &facts.level),
            };
            let streamed = http_body::Body::size_hint(&body).exact().is_none();
            let out = Outbound {
                policy: &plugin.outbound,
                client,
                identity,
                request_id: &request_id,
                host: &host,
                streamed,
            };
            let mut headers = headers::outbound(&head.headers, &out);
            frame(&mut headers, &head.method, &body);
            let mut request = Request::new(body);
            *request.method_mut() = head.method.clone();
            *request.uri_mut() = target(plugin, prefix, &errand.path, head.uri.query());
            *request.headers_mut() = headers;
            request
        };
        let repeatable = head
            .method
            .is_idempotent()
            .then(|| body.empty_again())
            .flatten();
        let again = || {
            repeatable
                .as_ref()
                .and_then(RequestBody::empty_again)
                .map(&outbound)
        };
        let begun = recorder.elapsed();
        let sent = self
            .upstreams
            .send(&plugin.target, outbound(body), again)
            .await;
        recorder.record.upstream = Some(recorder.elapsed().saturating_sub(begun));
        let response = sent.map_err(|error| upstream_failed(plugin, error, recorder))?;
        recorder.record.upstream_status = Some(response.status());

        let (answer, body) = response.into_parts();
        if headers::is_fly_replay_body(&answer.headers) {
            recorder.upstream_failed("replay");
            return Err(Rejection::UpstreamBroken);
        }
        let public_origin = plugin
            .public
            .as_ref()
            .filter(|public| public.host == client.authority.host);
        let context = ResponseContext {
            request_id: &request_id,
            rewrite: Rewrite {
                upstream_https: plugin.target.tls.is_some(),
                upstream: &plugin.upstream_authority,
                host_sent: host.to_str().unwrap_or_default(),
                prefix,
                public_https: public_origin.map_or(client.https, |public| public.https),
                public: public_origin.map_or(&client.authority, |public| &public.authority),
            },
            rules: &plugin.response_rules,
            content_length: true,
            trailers: takes_trailers(head),
        };
        let mut headers = headers::response(&answer.headers, &context);
        plugin
            .cors
            .decorate(&mut headers, head.headers.get(header::ORIGIN));
        let mut response = Response::new(Content::Upstream(Box::new(body)));
        *response.status_mut() = answer.status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Notes who called, for the record.
    fn note_caller(&self, principal: &Principal, recorder: &mut Recorder) {
        if let Some(token) = principal.token() {
            recorder.record.caller = Some(Arc::clone(&self.facts(token).caller));
            recorder.record.slot = Some(token.slot.as_str());
        }
    }

    /// What is told of a token, made once per worker.
    fn facts(&self, token: &Arc<Token>) -> Rc<CallerFacts> {
        let mut callers = self.callers.borrow_mut();
        if callers.len() > CALLERS {
            callers.clear();
        }
        let facts = callers.entry(Arc::as_ptr(token)).or_insert_with(|| {
            Rc::new(CallerFacts {
                caller: self.shared.labels.caller(
                    Some(&token.id),
                    Some(&token.name),
                    token.level.as_str(),
                ),
                name: headers::text_value(&token.name),
                id: headers::text_value(&token.id),
                level: HeaderValue::from_static(token.level.as_str()),
                _token: Arc::clone(token),
            })
        });
        Rc::clone(facts)
    }
}

/// Tokens whose facts a worker remembers.
const CALLERS: usize = 4096;

/// What records and the upstream are told of a token.
#[derive(Debug)]
struct CallerFacts {
    caller: Arc<Caller>,
    name: HeaderValue,
    id: HeaderValue,
    level: HeaderValue,
    /// Keeps its address from being another's.
    _token: Arc<Token>,
}

impl Handler for Gateway {
    type Body = Body;
    type Report = Counters;

    /// Always answers. What must happen for every request happens here.
    async fn handle(self: Rc<Self>, request: Request<Incoming>, peer: Rc<Peer>) -> Response<Body> {
        let snapshot = self.view.current(); // exactly one per request
        let ip: IpAddr = peer.remote.ip().to_canonical();
        let mut record = Record::new(
            Timestamp::now(),
            self.ids.next(),
            ip,
            request.method().clone(),
            request.version(),
        );
        record.tls = peer.tls;
        record.generation = snapshot.generation;
        let mut recorder = Box::new(Recorder::begin(record, Rc::clone(&self.ledger)));
        let response = match self.answer(request, &snapshot, &peer, &mut recorder).await {
            Ok(response) => response,
            Err(rejection) => {
                recorder.rejected(&rejection);
                rejection
                    .into_response(&recorder.record.request_id, peer.http2)
                    .map(Content::Full)
            }
        };
        recorder.attach(response)
    }

    fn panicked(&self) -> Response<Body> {
        self.ledger.counters.borrow_mut().panicked();
        let record = Record::new(
            Timestamp::now(),
            self.ids.next(),
            IpAddr::from([0, 0, 0, 0]),
            Method::GET,
            http::Version::HTTP_11,
        );
        let mut recorder = Box::new(Recorder::begin(record, Rc::clone(&self.ledger)));
        recorder.rejected(&Rejection::Internal);
        let response = Rejection::Internal.into_response(&recorder.record.request_id, true);
        recorder.attach(response.map(Content::Full))
    }

    fn settings(&self) -> Settings {
        let snapshot = self.view.current();
        Settings {
            limits: Arc::clone(&snapshot.limits),
            tls: snapshot.tls.clone(),
        }
    }

    fn report(&self) -> Counters {
        self.ledger.counters.borrow().clone()
    }

    fn note(&self, event: Event) {
        self.ledger.counters.borrow_mut().unreadable(match event {
            Event::HandshakeFailed => "handshake",
            Event::Unreadable => "parse",
            Event::TimedOut => "timeout",
            Event::StreamStalled => "stalled",
        });
    }

    fn tick(&self) {
        // An idle worker lets go of the generation before.
        let _ = self.view.current();
        self.upstreams.tick();
    }
}

/// `/healthz` and `/readyz`: on every listener, for any host.
fn health(method: &Method, path: &str, snapshot: &Snapshot) -> Option<Response<Content>> {
    let ready = match path {
        "/healthz" => true,
        "/readyz" => snapshot
            .plugins
            .iter()
            .all(|plugin| plugin.unavailable.is_none()),
        _ => return None,
    };
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let text: &'static str = if ready { "ok\n" } else { "not ready\n" };
    let mut response = Response::new(Content::Full(Bytes::from_static(text.as_bytes())));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

/// The published operation that a request is, or the path that is forwarded without being one.
fn errand<'a>(
    plugin: &Plugin,
    method: &Method,
    path: &'a str,
    query: Option<&str>,
) -> Result<Errand<'a>, Rejection> {
    match plugin.router.find(method, path, query) {
        Ok(found) => Ok(Errand {
            operation: Some(found.operation),
            path: found.upstream_path,
        }),
        Err(Miss::Ambiguous(reason)) => Err(Rejection::AmbiguousPath(reason)),
        // Without its document nothing is known to be published.
        Err(_) if plugin.unavailable.is_some() => Err(Rejection::DocumentUnavailable),
        Err(Miss::NotFound | Miss::MethodNotAllowed { .. }) if plugin.forward_unpublished => {
            route::check_path(path)
                .map_err(|_| Rejection::AmbiguousPath("the path can be read in two ways"))?;
            Ok(Errand {
                operation: None,
                path: path.into(),
            })
        }
        Err(Miss::NotFound) => Err(Rejection::NoRoute),
        Err(Miss::MethodNotAllowed { allow }) => Err(Rejection::MethodNotAllowed {
            allow: allow.to_string(),
        }),
    }
}

/// The answer to a preflight of a page that wants to call an operation.
fn preflight(plugin: &Plugin, head: &Parts, path: &str) -> Option<Response<Content>> {
    let methods = plugin.router.allowed(path, head.uri.query()).to_string();
    let answer = plugin
        .cors
        .preflight(&head.headers, &methods, plugin.private_network)?;
    let mut response = Response::new(Content::Full(Bytes::new()));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Some(response)
}

/// Documents may be read from any page.
fn open_preflight(asked: &HeaderMap) -> Response<Content> {
    let mut response = Response::new(Content::Full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(documents::ALLOW),
    );
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("600"),
    );
    response
}

/// Without tokens, the only thing between a web page and the API is where the page comes from.
fn refuse_foreign_page(plugin: &Plugin, headers: &HeaderMap) -> Result<(), Rejection> {
    let foreign = |origin: &HeaderValue| !plugin.cors.allows(origin);
    if plugin.refuse_foreign_origins && headers.get_all(header::ORIGIN).iter().any(foreign) {
        return Err(Rejection::ForeignOrigin);
    }
    Ok(())
}

/// The origin under which a client knows the plugin.
fn origin(plugin: &Plugin, client: &ClientView<'_>) -> String {
    match &plugin.public {
        Some(public) if public.host == client.authority.host => public.origin.clone(),
        _ => format!(
            "{}://{}",
            if client.https { "https" } else { "http" },
            client.authority
        ),
    }
}

fn refused(plugin: &Plugin, failure: AuthFailure, scope: Option<&str>) -> Rejection {
    Rejection::Auth {
        failure,
        challenge: plugin.policy.challenge(failure, scope),
    }
}

/// A body that is announced as too large is refused before the upstream hears of it.
fn check_length(headers: &HeaderMap, limit: u64) -> Result<(), Rejection> {
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(BodyFault::TooLarge { limit }.into());
    }
    Ok(())
}

/// What hyper does not say by itself about a request's body.
fn frame(headers: &mut HeaderMap, method: &Method, body: &RequestBody) {
    let exact = http_body::Body::size_hint(body).exact();
    if body.is_empty() && matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        // RFC 9110 §8.6: a method that has content says so when there is none.
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    } else if !body.is_empty() && exact.is_none() {
        // Otherwise hyper leaves the body of a GET out.
        headers.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
    }
}

/// The request's target at the upstream: origin form.
fn target(plugin: &Plugin, prefix: &str, path: &str, query: Option<&str>) -> Uri {
    let query = plugin.credential.query(query);
    let mut text = String::with_capacity(
        prefix.len() + path.len() + query.as_ref().map_or(0, |query| query.len() + 1),
    );
    text.push_str(prefix);
    text.push_str(path);
    if let Some(query) = query {
        text.push('?');
        text.push_str(&query);
    }
    let mut parts = uri::Parts::default();
    // Its pieces were parts of a target before.
    parts.path_and_query = uri::PathAndQuery::from_maybe_shared(Bytes::from(text)).ok();
    Uri::from_parts(parts).unwrap_or_default()
}

/// HTTP/2 clients always do; others say so.
fn takes_trailers(head: &Parts) -> bool {
    head.version == http::Version::HTTP_2
        || head.headers.get_all(header::TE).iter().any(|value| {
            value
                .as_bytes()
                .to_ascii_lowercase()
                .windows(8)
                .any(|word| word == b"trailers")
        })
}

/// What the log gets, and what the client gets.
fn upstream_failed(plugin: &Plugin, error: UpstreamError, recorder: &Recorder) -> Rejection {
    let (kind, rejection) = match error {
        UpstreamError::Client(fault) => return Rejection::Body(fault),
        UpstreamError::Unreachable(_) => ("connect", Rejection::UpstreamUnreachable),
        UpstreamError::TimedOut(limit) => (
            "timeout",
            Rejection::UpstreamTimeout {
                seconds: limit.as_secs(),
            },
        ),
        UpstreamError::Broken(_) => ("broken", Rejection::UpstreamBroken),
    };
    recorder.upstream_failed(kind);
    tracing::info!(plugin = &*plugin.name, kind, request_id = ?recorder.record.request_id, %error, "upstream");
    rejection
}

/// Request ids: a random part per worker and a count.
#[derive(Debug)]
struct RequestIds {
    base: u64,
    next: std::cell::Cell<u64>,
}

impl RequestIds {
    fn new() -> Self {
        let mut random = [0; 16];
        // Without randomness ids are still distinct within a worker.
        let _ = getrandom::fill(&mut random);
        let [high, low] =
            [0, 8].map(|at| random[at..at + 8].try_into().map_or(0, u64::from_le_bytes));
        Self {
            base: high,
            next: std::cell::Cell::new(low),
        }
    }

    fn next(&self) -> HeaderValue {
        let count = self.next.get().wrapping_add(1);
        self.next.set(count);
        HeaderValue::from_str(&format!("{:016x}{count:016x}", self.base))
            .unwrap_or(HeaderValue::from_static("0"))
    }
}
