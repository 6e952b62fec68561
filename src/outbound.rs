//! A request on its way to the upstream, and the response on its way back: both heads are built
//! from nothing.

use std::borrow::Cow;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header, uri};

use crate::answer::Content;
use crate::body::RequestBody;
use crate::headers::{self, ClientView, Identity, Outbound, ResponseContext, Rewrite};
use crate::masked::{MaskedBody, remove_telling};
use crate::rejection::Rejection;
use crate::route::{self, Form, Miss};
use crate::snapshot::{Other, Plugin, Target};
use crate::tokens::{Call, Token};
use crate::upstream::Outgoing;

/// What a request wants of a plugin's upstream.
#[derive(Debug)]
pub struct Errand<'a> {
    /// The plugin.
    pub plugin: &'a Plugin,
    /// The client's head.
    pub head: &'a Parts,
    /// Who sent it.
    pub client: &'a ClientView<'a>,
    /// The operation; `None`: a path that is not published, where such are forwarded.
    pub operation: Option<usize>,
    /// What it may be as well at the upstream.
    pub others: Box<[Other]>,
    /// The path, without what is put in front of it.
    pub path: Cow<'a, str>,
    /// Through how many gateways it came.
    pub hops: usize,
    /// The protocol that it wants to switch to.
    pub upgrade: Option<&'a HeaderValue>,
}

/// The published operation that a request is, or the path that is forwarded without being one.
pub fn errand<'a>(
    plugin: &'a Plugin,
    head: &'a Parts,
    client: &'a ClientView<'a>,
) -> Result<Errand<'a>, Rejection> {
    let path = head.uri.path();
    let (operation, path, others) = match plugin.router.find(&head.method, path, head.uri.query()) {
        Ok(found) => {
            let fixed = &plugin.operations[found.operation].fixed;
            if !fixed.admits(&head.headers, path, head.uri.query()) {
                return Err(Rejection::NoRoute);
            }
            (Some(found.operation), found.upstream_path, found.others)
        }
        Err(Miss::Ambiguous(reason)) => return Err(Rejection::AmbiguousPath(reason)),
        Err(Miss::Another(other)) => return Err(Rejection::AmbiguousPath(other.how.reason())),
        // Without its document nothing is known to be published.
        Err(_) if plugin.unavailable.is_some() => return Err(Rejection::DocumentUnavailable),
        Err(_) if plugin.forward_unpublished => match route::check_path(path) {
            Ok(()) => (None, path.into(), Box::default()),
            Err(Miss::Ambiguous(reason)) => return Err(Rejection::AmbiguousPath(reason)),
            Err(_) => return Err(Rejection::NoRoute),
        },
        Err(Miss::NotFound) => return Err(Rejection::NoRoute),
        Err(Miss::MethodNotAllowed { allow }) => {
            return Err(Rejection::MethodNotAllowed {
                allow: allow.to_string(),
            });
        }
    };
    let fixed = operation.map(|index| &plugin.operations[index].fixed);
    headers::check_connection(&head.headers, |name| {
        let auth_header = plugin.outbound.auth_header.as_str();
        name.eq_ignore_ascii_case(auth_header.as_bytes())
            || fixed.is_some_and(|fixed| fixed.has_header(name))
    })?;
    Ok(Errand {
        plugin,
        head,
        client,
        operation,
        others,
        path,
        hops: headers::hops(&head.headers).ok_or(Rejection::Loop)?,
        upgrade: headers::upgrade(&head.method, head.version, &head.headers),
    })
}

/// Bytes of a form that is looked at before it goes on.
const FORM_BYTES: u64 = 8 << 20;

/// A form must not give a fixed parameter of the query again: the upstream may read that one.
/// What can not be looked into is refused as well.
pub async fn refuse_repeated(errand: &Errand<'_>, body: &mut RequestBody) -> Result<(), Rejection> {
    let headers = &errand.head.headers;
    let fixed = errand
        .operation
        .map(|index| &errand.plugin.operations[index].fixed);
    let guarded = fixed.and_then(|fixed| Some((fixed, fixed.guards(headers)?)));
    let Some((fixed, form)) = guarded else {
        return Ok(());
    };
    // Some read the query, too, in the charset of a form that is not there.
    if form == Form::Unclear {
        return Err(Rejection::NoRoute);
    }
    if body.is_empty() {
        return Ok(());
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Rejection::NoRoute);
    }
    let content = body.hold(FORM_BYTES).await?;
    if fixed.is_repeated(form, content) {
        return Err(Rejection::NoRoute);
    }
    Ok(())
}

/// What is the same each time that a request is sent.
#[derive(Debug)]
pub struct Stamp<'a> {
    /// `X-Request-Id`
    pub request_id: HeaderValue,
    /// Who asked, if the gateway knows.
    pub caller: Option<&'a Token>,
    /// `Host`, of the first target if they differ: the others put their own in its place.
    pub host: HeaderValue,
    /// The request's target at the upstream, in origin form.
    pub target: Uri,
}

impl Errand<'_> {
    /// What scopes have to allow.
    pub fn call(&self) -> Call {
        self.operation.map_or(Call::Unpublished, Call::Operation)
    }

    /// A request that a lenient upstream may take for another operation than it was found to be is
    /// refused unless that one would be let in just so. `allows`: what the caller may.
    pub fn refuse_doubtful(&self, allows: impl Fn(Call) -> bool) -> Result<(), Rejection> {
        let Some(found) = self.operation.filter(|_| !self.others.is_empty()) else {
            return Ok(());
        };
        match self.plugin.doubt(found, &self.others, allows) {
            Some(other) => Err(Rejection::AmbiguousPath(other.how.reason())),
            None => Ok(()),
        }
    }

    /// Most bytes of the request's body, where the operation has a bound of its own.
    pub fn body_bytes(&self) -> Option<u64> {
        self.plugin.operations[self.operation?].body_bytes
    }

    /// Parameters by which the operation's answer gets smaller.
    pub fn narrowing(&self) -> &[String] {
        let operation = self.operation.map(|index| &self.plugin.operations[index]);
        operation.map_or(&[], |operation| &operation.narrowing)
    }

    /// What is put in front of the path.
    fn prefix(&self) -> &str {
        self.operation.map_or(&self.plugin.base_path, |index| {
            &self.plugin.operations[index].prefix
        })
    }

    /// The `Host` that is sent.
    pub fn host(&self) -> HeaderValue {
        let own = self.plugin.targets.first().host_sent.clone();
        let host = own.or_else(|| HeaderValue::try_from(self.client.authority.to_string()).ok());
        host.unwrap_or(HeaderValue::from_static(""))
    }

    /// The target that is asked for: `None` when all of it together is too long (the `http` crate
    /// takes 65,534 bytes). Its pieces were parts of a target before, so nothing else can be.
    pub fn target(&self) -> Option<Uri> {
        let client = self.head.uri.query();
        let query = self.with_fixed(client);
        let query = self.plugin.credential.query(query.as_deref());
        let (prefix, path) = (self.prefix(), &*self.path);
        let room = prefix.len() + path.len() + query.as_ref().map_or(0, |query| query.len() + 1);
        let mut text = String::with_capacity(room);
        text.push_str(prefix);
        text.push_str(path);
        if let Some(query) = query {
            text.push('?');
            text.push_str(&query);
        }
        let mut parts = uri::Parts::default();
        parts.path_and_query = Some(uri::PathAndQuery::from_maybe_shared(Bytes::from(text)).ok()?);
        Uri::from_parts(parts).ok()
    }

    /// The query with the hidden parameters that the client did not give, which come first:
    /// frameworks stop to read behind some number of parameters.
    fn with_fixed<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        let fixed = self
            .operation
            .map(|index| &self.plugin.operations[index].fixed);
        let missing: Vec<&str> = fixed
            .into_iter()
            .flat_map(|fixed| fixed.missing(query))
            .collect();
        if missing.is_empty() {
            return query.map(Cow::Borrowed);
        }
        let given = query.filter(|query| !query.is_empty());
        let all: Vec<&str> = missing.into_iter().chain(given).collect();
        Some(all.join("&").into())
    }

    /// The request as it is sent.
    pub fn outgoing(&self, stamp: &Stamp<'_>, body: RequestBody) -> Box<Outgoing> {
        let caller = stamp.caller;
        let out = Outbound {
            policy: &self.plugin.outbound,
            client: self.client,
            identity: Identity {
                principal: caller.map(|caller| &*caller.name),
                token: caller.map(|caller| &*caller.id),
                level: caller.map(|caller| caller.level.as_str()),
            },
            request_id: &stamp.request_id,
            streamed: http_body::Body::size_hint(&body).exact().is_none(),
            hops: self.hops,
            upgrade: self.upgrade,
        };
        let fixed = self
            .operation
            .map(|index| &self.plugin.operations[index].fixed);
        let echo = self.plugin.credential.echo.is_some();
        let plain = self.plugin.response_chars == 0
            && !echo
            && fixed.is_none_or(|fixed| !fixed.has_headers())
            && self.plugin.targets.all().iter().all(Target::is_http1);
        let lines = plain
            .then(|| headers::outbound_lines(&self.head.headers, &out))
            .flatten();
        let mut headers = match &lines {
            Some(_) => HeaderMap::new(),
            None => headers::outbound(&self.head.headers, &out),
        };
        if let Some(fixed) = fixed {
            fixed.apply(&mut headers);
        }
        if self.plugin.response_chars > 0 || echo {
            // Of what is encoded nobody knows how many characters it has, nor what it tells.
            let plain = HeaderValue::from_static("identity");
            headers.insert(header::ACCEPT_ENCODING, plain);
        }
        if echo {
            // Nor would anybody find a secret in a piece of it.
            headers.remove(header::RANGE);
            headers.remove(header::IF_RANGE);
        }
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = stamp.target.clone();
        *request.headers_mut() = headers;
        Box::new(Outgoing {
            request,
            host: stamp.host.clone(),
            lines: lines.unwrap_or_default(),
        })
    }

    /// The response as the client gets it.
    /// `target` is who gave it.
    pub fn response(
        &self,
        stamp: &Stamp<'_>,
        response: Response<Content>,
        target: &Target,
    ) -> Response<Content> {
        let (answer, body) = response.into_parts();
        let (plugin, client) = (self.plugin, self.client);
        let switched = matches!(body, Content::Switched(..));
        let public = plugin
            .public
            .as_ref()
            .filter(|public| public.host == client.authority.host);
        let context = ResponseContext {
            request_id: &stamp.request_id,
            rewrite: Rewrite {
                upstream_https: target.tls.is_some(),
                upstream: &target.known_as,
                host_sent: target
                    .host_sent
                    .as_ref()
                    .unwrap_or(&stamp.host)
                    .to_str()
                    .unwrap_or_default(),
                prefix: self.prefix(),
                public_https: public.map_or(client.https, |public| public.https),
                public: public.map_or(&client.authority, |public| &public.authority),
            },
            rules: &plugin.response_rules,
            // The body goes on unchanged; with 101 and 204 there is none, nor a length (RFC 9110 §8.6).
            content_length: !switched && answer.status != StatusCode::NO_CONTENT,
            trailers: !switched && takes_trailers(self.head),
            fly_replay: plugin.passes_fly_replay,
            upgrade: self.upgrade.filter(|_| switched),
        };
        let mut headers = headers::response(&answer.headers, &context);
        hide_query_credential(plugin, &mut headers);
        plugin
            .cors
            .decorate(&mut headers, self.head.headers.get(header::ORIGIN));
        let body = match (&plugin.credential.echo, body) {
            (Some(echo), Content::Upstream(body)) => {
                Content::Masked(Box::new(MaskedBody::new(body, echo)))
            }
            (Some(echo), Content::Held(body)) => {
                Content::Masked(Box::new(MaskedBody::new(body, echo)))
            }
            (_, body) => body,
        };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = headers;
        response
    }
}

/// An upstream that redirects often repeats the query, and with it the credential that we put
/// there: it is taken out of addresses, and what still tells it is not passed on.
fn hide_query_credential(plugin: &Plugin, headers: &mut HeaderMap) {
    if plugin.credential.query.is_none() {
        return;
    }
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let told = headers.get(&name).and_then(|value| value.to_str().ok());
        let bare = told.and_then(|address| plugin.credential.without_own_query(address));
        if let Some(value) = bare.and_then(|bare| HeaderValue::try_from(bare).ok()) {
            headers.insert(name, value);
        }
    }
    remove_telling(headers, |value| plugin.credential.is_told_in(value));
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
