//! The life of a request.
//!
//! [`Gateway::answer`] reads from top to bottom; the order of its steps is the product's policy.

mod admission;
mod bodies;
mod guard;
mod origin;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, header};
use jiff::Timestamp;

use crate::access;
use crate::answer::{Body, Content, Ledger, Recorder};
use crate::auth::Principal;
use crate::body::{Incoming, RequestBody, Upload};
use crate::callers::RequestIds;
use crate::control::Shared;
use crate::documents::{self, Found};
use crate::headers::{self, ClientView, Trust};
use crate::local;
use crate::outbound::{Errand, Stamp, errand, refuse_repeated};
use crate::rejection::Rejection;
use crate::server::{Cut, Event, Handler, ListenerId, Peer, Settings};
use crate::snapshot::{Plugin, Published, Snapshot, View};
use crate::streams::{Kind, Stream, Streams};
use crate::telemetry::{Counters, Record};
use crate::tunnel;
use crate::upstream::{Answer, Room, UpstreamError, Upstreams};
use admission::enter;
use bodies::{bounded, is_read};
use guard::guard;
use origin::{origin, refuse_foreign_page};

/// Serves the requests of one worker.
#[derive(Debug)]
pub struct Gateway {
    view: View,
    shared: Arc<Shared>,
    upstreams: Rc<Upstreams>,
    ledger: Rc<Ledger>,
    streams: Rc<Streams>,
    uses: admission::Uses,
    ids: RequestIds,
    /// In a rehearsal nothing is sent: what would be is noted here.
    held: Option<Rc<Cell<bool>>>,
}

impl Gateway {
    /// For one worker.
    pub fn new(
        published: &Published,
        shared: Arc<Shared>,
        access: access::Writer,
        room: Room,
    ) -> Self {
        Self {
            view: View::new(published),
            shared,
            upstreams: Rc::new(Upstreams::within(room)),
            ledger: Rc::new(Ledger {
                counters: RefCell::default(),
                access,
            }),
            streams: Rc::default(),
            uses: admission::Uses::default(),
            ids: RequestIds::default(),
            held: None,
        }
    }

    /// For a rehearsal, which writes no access lines. With `held` nothing is sent to an upstream:
    /// a request that would be is answered with an empty 200, and noted there.
    pub fn rehearsing(
        published: &Published,
        shared: Arc<Shared>,
        held: Option<Rc<Cell<bool>>>,
    ) -> Self {
        Self {
            held,
            ..Self::new(published, shared, access::Writer::off(), Room::endless())
        }
    }

    /// The life of a request, top to bottom.
    async fn answer(
        &self,
        head: &Parts,
        body: &mut Option<Incoming>,
        snapshot: &Snapshot,
        peer: &Peer,
        recorder: &mut Recorder,
    ) -> Result<Response<Content>, Rejection> {
        let path = head.uri.path();

        // 1. Alive, and willing? Asked by machines that know neither host nor token.
        let waits = self.shared.is_undecided() || self.shared.starting.load(Ordering::Relaxed);
        let begun = self.shared.begun.load(Ordering::Relaxed);
        if let Some(answer) = local::health(&head.method, path, snapshot, !waits, begun) {
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
        let trust = trust(snapshot, peer);
        let client = headers::client_view(
            &head.headers,
            peer.remote.ip(),
            peer.tls,
            authority,
            trust,
            |asked, told| snapshot.may_be(asked, told),
        );
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
            return self.document(found, head, plugin, (&client, peer), recorder);
        }

        // 5. A browser asks before it sends: answered for every path that has methods.
        if head.method == Method::OPTIONS
            && let Some(answer) = local::preflight(plugin, head, path)
        {
            return Ok(answer);
        }
        refuse_foreign_page(plugin, &head.headers, &client, peer)?;

        // 6. Which published operation.
        let errand = errand(plugin, head, &client)?;
        if let Some(index) = errand.operation {
            recorder.record.target = Some(Arc::clone(&plugin.operations[index].record));
        }

        // 7. Who asks? Below this line there is a principal.
        let principal = self.admit(plugin, &head.headers, &errand, recorder)?;

        // 8. Do it.
        let mut body = bounded(&errand, body, snapshot)?;
        recorder.upload = Some(body.upload());
        refuse_repeated(&errand, &mut body).await?;
        self.forward(errand, body, &principal, recorder).await
    }

    /// A document of ours.
    fn document(
        &self,
        found: Found<'_>,
        head: &Parts,
        plugin: &Plugin,
        (client, peer): (&ClientView<'_>, &Peer),
        recorder: &mut Recorder,
    ) -> Result<Response<Content>, Rejection> {
        if head.method == Method::OPTIONS
            && head
                .headers
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Ok(local::open_preflight(&head.headers));
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
                client.ip,
            );
            let principal = admitted.map_err(|failure| self.refused(plugin, failure, None))?;
            self.note_caller(&principal, recorder);
            enter(&principal, recorder)?;
        }
        let Found::Document(document) = found else {
            return Err(Rejection::DocumentUnavailable);
        };
        Ok(document
            .respond(&head.method, &head.headers, &origin(plugin, client, peer))
            .map(Content::Full))
    }

    /// The only way to the upstream.
    #[expect(
        clippy::manual_async_fn,
        reason = "the future of an async fn has room for what it is given twice"
    )]
    fn forward<'r>(
        &'r self,
        errand: Errand<'r>,
        body: RequestBody,
        principal: &'r Principal,
        recorder: &'r mut Recorder,
    ) -> impl Future<Output = Result<Response<Content>, Rejection>> + use<'r> {
        async move {
            let stamp = Stamp {
                request_id: recorder.record.request_id.clone(),
                caller: principal.token().map(|token| &**token),
                host: errand.host(),
                target: errand
                    .target()
                    .ok_or(Rejection::AmbiguousPath("it is too long to be passed on"))?,
            };
            if let Some(held) = &self.held {
                held.set(true);
                return Ok(Response::new(Content::Full(Bytes::new())));
            }
            let (empty, idempotent) = (body.emptiness(), errand.head.method.is_idempotent());
            let again = |refused: bool| {
                let empty = empty.as_ref().filter(|_| refused || idempotent)?;
                Some(errand.outgoing(&stamp, empty.body()))
            };
            let begun = recorder.elapsed();
            self.begin_stream(&errand, body.upload(), principal, recorder);
            let (targets, outgoing) = (&errand.plugin.targets, errand.outgoing(&stamp, body));
            let sent = if let Some(protocol) = errand.upgrade {
                Box::pin(self.upstreams.switch(targets, outgoing, protocol)).await
            } else {
                let sent = self.upstreams.send(targets, outgoing, again).await;
                sent.map(|(response, target)| (Answer::Response(response), target))
            };
            recorder.record.upstream = Some(recorder.elapsed().saturating_sub(begun));
            let starting = self.shared.starting.load(Ordering::Relaxed);
            let failed = |error| upstream_failed(errand.plugin, &error, starting, recorder);
            let (answer, target) = sent.map_err(failed)?;
            if let Some(upload) = &recorder.upload {
                upload.answered();
            }
            let response = match answer {
                Answer::Response(response) => response.map(Content::Upstream),
                Answer::Switched(response) => {
                    let stream = recorder.stream.as_ref();
                    let cut = stream.map(Stream::switches).unwrap_or_default();
                    response.map(|io| Content::Switched(Box::new(io), cut))
                }
            };
            recorder.record.upstream_status = Some(response.status());
            if !errand.plugin.passes_fly_replay && headers::is_fly_replay_body(response.headers()) {
                recorder.upstream_failed("replay");
                return Err(Rejection::UpstreamBroken);
            }
            let response = guard(&errand, response, recorder).await?;
            if let (Some(stream), Content::Upstream(_) | Content::Held(_)) =
                (&recorder.stream, response.body())
            {
                stream.becomes(Kind::of(response.headers()));
            }
            Ok(errand.response(&stamp, response, target))
        }
    }

    /// From here on it may be cut.
    fn begin_stream(
        &self,
        errand: &Errand<'_>,
        upload: Rc<Upload>,
        principal: &Principal,
        recorder: &mut Recorder,
    ) {
        if let Some(cut) = recorder.cut.take() {
            let (plugin, head) = (errand.plugin, errand.head);
            let request = (&head.method, &head.uri);
            let others = errand.others.clone();
            let call = (recorder.record.generation, errand.call(), others);
            let ends = (upload, cut);
            let by = (principal, recorder.record.client);
            let stream = self.streams.begin(plugin, request, by, call, ends);
            recorder.stream = Some(stream);
        }
    }
}

/// Whose word counts. Fly's proxy writes into requests only where it terminates TLS itself, and then
/// comes without: what comes with TLS was passed on as the client wrote it, from the same address.
fn trust<'s>(snapshot: &'s Snapshot, peer: &Peer) -> Trust<'s> {
    let fly = snapshot.config.behind_fly;
    if fly && peer.tls {
        return Trust {
            networks: &[],
            fly: false,
        };
    }
    Trust {
        networks: &snapshot.trusted_proxies,
        fly,
    }
}

impl Handler for Gateway {
    type Body = Body;
    type Report = Counters;

    /// Always answers. What must happen for every request happens here.
    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        peer: Rc<Peer>,
        cut: Cut,
    ) -> impl Future<Output = Response<Body>> + 'static {
        // Taken apart here: the future would have room for the whole as well as for the parts.
        let (head, body) = request.into_parts();
        let mut body = Some(body);
        async move {
            if self.shared.clock.is_watched() {
                // In a box: it is as good as never waited for.
                Box::pin(self.shared.clock.settled()).await;
            }
            let snapshot = self.view.current(); // exactly one per request
            let ip: IpAddr = peer.remote.ip().to_canonical();
            let mut record = Record::new(
                Timestamp::now(),
                self.ids.next(),
                ip,
                head.method.clone(),
                head.version,
            );
            record.tls = peer.tls;
            record.generation = snapshot.generation;
            let mut recorder = Box::new(Recorder::begin(record, Rc::clone(&self.ledger)));
            recorder.cut = Some(cut);
            // Awaited where it is made: kept in a variable it would be there twice.
            let mut response = match self
                .answer(&head, &mut body, &snapshot, &peer, &mut recorder)
                .await
            {
                Ok(response) => response,
                Err(rejection) => {
                    let rejection = self.limited(rejection, &snapshot, recorder.record.client);
                    recorder.rejected(&rejection);
                    let mut response =
                        rejection.into_response(&recorder.record.request_id, peer.http2);
                    // A page may know why it was refused.
                    if let Some(plugin) = named(&snapshot, &recorder.record) {
                        let page = head.headers.get(header::ORIGIN);
                        plugin.cors.decorate(response.headers_mut(), page);
                    }
                    response.map(Content::Full)
                }
            };
            if !peer.http2 && !is_read(&head, body, recorder.upload.as_deref()).await {
                // What is left of it can not be told from the next request.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            match response.into_parts() {
                (head, Content::Switched(upstream, cut)) => {
                    let head = Response::from_parts(head, ());
                    tunnel::open(recorder, head, (upstream, cut), &peer)
                }
                (head, content) => recorder.attach(Response::from_parts(head, content)),
            }
        }
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

    fn crowded(&self, all: bool) -> Bytes {
        Rejection::TooManyConnections { all }.into_bytes(&self.ids.next())
    }

    fn settings(&self) -> Settings {
        let snapshot = self.view.current();
        Settings {
            limits: Arc::clone(&snapshot.limits),
            tls: snapshot.tls.clone(),
            trusted_proxies: Arc::clone(&snapshot.trusted_proxies),
            proxy_protocol: snapshot.config.listen.proxy_protocol,
        }
    }

    fn report(&self) -> Counters {
        self.uses.tell(&self.shared);
        let mut counters = self.ledger.counters.borrow().clone();
        self.streams.count(|kind| counters.stream_is_open(kind));
        counters
    }

    fn note(&self, event: Event) {
        let mut counters = self.ledger.counters.borrow_mut();
        match event {
            Event::HandshakeFailed => counters.unreadable("handshake"),
            Event::Unreadable => counters.unreadable("parse"),
            Event::TimedOut => counters.unreadable("timeout"),
            Event::StreamStalled => counters.unreadable("stalled"),
            Event::Full => counters.connection_refused("full"),
            Event::NetworkFull => counters.connection_refused("network"),
            Event::NoProxy => counters.connection_refused("no_proxy"),
            Event::ProxyHeader => counters.connection_refused("proxy_header"),
        }
    }

    fn connection(&self, (kind, asked): ListenerId, opened: bool) {
        let id = self
            .shared
            .labels
            .listener(&format!("{}:{asked}", kind.name()));
        let mut counters = self.ledger.counters.borrow_mut();
        if opened {
            counters.connection_opened(id);
        } else {
            counters.connection_closed(id);
        }
    }

    fn tick(&self) {
        // An idle worker lets go of the generation before.
        let snapshot = self.view.current();
        let tokens = &self.shared.tokens;
        self.streams.check(&snapshot, tokens, Timestamp::now());
        self.upstreams.tick();
        self.uses.tell(&self.shared);
    }
}

/// The plugin that a record names.
fn named<'a>(snapshot: &'a Snapshot, record: &Record) -> Option<&'a Arc<Plugin>> {
    let name = &record.target.as_ref()?.plugin;
    snapshot.plugins.iter().find(|plugin| plugin.name == *name)
}

/// What the log gets, and what the client gets.
fn upstream_failed(
    plugin: &Plugin,
    error: &UpstreamError,
    starting: bool,
    recorder: &Recorder,
) -> Rejection {
    let (kind, rejection) = match error {
        UpstreamError::Client(fault) => return Rejection::Body(*fault),
        UpstreamError::NoUpgrade => return Rejection::NoUpgrade,
        UpstreamError::Unreachable(_) if starting => ("connect", Rejection::UpstreamStarts),
        UpstreamError::Unreachable(_) => ("connect", Rejection::UpstreamUnreachable),
        UpstreamError::Crowded => ("crowded", Rejection::Overloaded),
        UpstreamError::TimedOut(late) => ("timeout", Rejection::UpstreamTimeout(*late)),
        UpstreamError::Broken(_) => ("broken", Rejection::UpstreamBroken),
    };
    recorder.upstream_failed(kind);
    log_failure(plugin, kind, error, recorder);
    rejection
}

/// Says in the log that an upstream failed. What was asked for is named as it is published: in a path
/// there may be somebody's name, in a query a credential of ours.
fn log_failure(plugin: &Plugin, kind: &str, error: &dyn std::fmt::Display, recorder: &Recorder) {
    let target = recorder.record.target.as_deref();
    let path = target.and_then(|target| target.path.as_deref());
    let path = format!("{}{}", plugin.base_path, path.unwrap_or_default());
    let url = plugin.targets.first().url(&path);
    let request_id = recorder.record.request_id.to_str().unwrap_or_default();
    tracing::info!(plugin = &*plugin.name, kind, url, request_id, %error, "upstream");
}
