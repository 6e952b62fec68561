//! Who is on the other end, as far as it is believed.

mod forwarded;

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::authority::{Authority, parse_authority};
use super::fields::{list, only};
use crate::network::covers;
use forwarded::Element;

/// Most hops that are followed.
const MAX_HOPS: usize = 32;

/// How each proxy along the way got the request, for who the client is.
pub(super) static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The host as the client addressed it.
pub(super) static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// `http` or `https`.
pub(super) static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The name of a request in all logs.
pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Fly's proxy names the client here.
static FLY_CLIENT_IP: HeaderName = HeaderName::from_static("fly-client-ip");

/// Which peers are believed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust<'a> {
    /// Their addresses.
    pub networks: &'a [IpNet],
    /// They are Fly's proxy: `Fly-Client-IP` names the client, since the last address of its
    /// `X-Forwarded-For` is the app's own. It writes neither `X-Forwarded-Host` nor `Forwarded`
    /// nor `X-Request-Id`: those are the client's word. Must not be set for another proxy, which
    /// would pass on what a client writes into `Fly-Client-IP`.
    pub fly: bool,
}

impl Trust<'_> {
    /// Whether this address is one of theirs.
    fn covers(&self, address: IpAddr) -> bool {
        covers(self.networks, address)
    }
}

/// Who is on the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientView<'a> {
    /// The client: the peer itself, or whom a trusted peer names.
    pub ip: IpAddr,
    /// The address at the other end of the connection.
    pub peer: IpAddr,
    /// What is believed of the way from the client to the peer: the client first, the peer not
    /// included. Empty when the peer is the client.
    pub hops: Vec<IpAddr>,
    /// Whether the client came by TLS.
    pub https: bool,
    /// How the client addressed us.
    pub authority: Authority<'a>,
    /// The request's id, if a trusted peer gave it one.
    pub request_id: Option<&'a str>,
}

/// Makes it out of a connection and, if its peer is trusted, of what that peer says.
///
/// `X-Forwarded-For` is read from the right: the last address was written by the peer, and each
/// further one by the trusted proxy before it. The first that is not trusted is the client, and
/// what stands left of it is its own invention. The same holds for `Forwarded` (RFC 7239), which
/// is read when there is no `X-Forwarded-For`, `-Host` or `-Proto`: a proxy that writes those
/// commonly passes a client's `Forwarded` on unseen, while one that writes `Forwarded` knows of
/// the older fields. What is malformed is not believed, nor what stands left of it.
///
/// `may_be` says whether the host that the request asks for may be another one, as a peer tells:
/// a proxy that sends the host of its client as `Host` commonly passes on what that client wrote
/// into `X-Forwarded-Host`, which must not choose for it.
pub fn client_view<'a>(
    headers: &'a HeaderMap,
    peer: IpAddr,
    tls: bool,
    authority: Authority<'a>,
    trust: Trust<'_>,
    may_be: impl Fn(&str, &str) -> bool,
) -> ClientView<'a> {
    let peer = peer.to_canonical();
    let mut view = ClientView {
        ip: peer,
        peer,
        hops: Vec::new(),
        https: tls,
        authority,
        request_id: None,
    };
    if !trust.covers(peer) {
        return view;
    }
    if !trust.fly {
        view.request_id = only(headers, &X_REQUEST_ID).and_then(|id| request_id(id.as_bytes()));
    }
    let family = [&X_FORWARDED_FOR, &X_FORWARDED_HOST, &X_FORWARDED_PROTO];
    if family.iter().any(|name| headers.contains_key(*name)) {
        let addresses = list(headers, &X_FORWARDED_FOR).rev().map(node);
        view.hops = walk(addresses, trust);
        let host = agreed(headers, &X_FORWARDED_HOST).filter(|_| !trust.fly);
        let proto = agreed(headers, &X_FORWARDED_PROTO);
        view.believe(host, proto, may_be);
    } else if !trust.fly
        && let Some(elements) = forwarded::elements(headers)
    {
        let addresses = elements
            .iter()
            .rev()
            .map(|element| element.node.and_then(node));
        view.hops = walk(addresses, trust);
        // What the first proxy that is believed says of the client's request.
        if let Some(place) = elements.len().checked_sub(view.hops.len().max(1)) {
            let Element { host, proto, .. } = elements[place];
            view.believe(host, proto, may_be);
        }
    }
    let fly = only(headers, &FLY_CLIENT_IP).filter(|_| trust.fly);
    if let Some(client) = fly.and_then(|value| node(value.as_bytes())) {
        view.hops = vec![client];
    }
    view.ip = view.hops.first().copied().unwrap_or(peer);
    view
}

impl<'a> ClientView<'a> {
    /// Takes over the host and the scheme that a trusted peer names, each if it is valid.
    fn believe(
        &mut self,
        host: Option<&'a [u8]>,
        proto: Option<&'a [u8]>,
        may_be: impl Fn(&str, &str) -> bool,
    ) {
        let host = host.and_then(|host| std::str::from_utf8(host).ok());
        let told = host.and_then(parse_authority);
        if let Some(authority) = told.filter(|told| may_be(&self.authority.host, &told.host)) {
            self.authority = authority;
        }
        match proto {
            Some(proto) if proto.eq_ignore_ascii_case(b"https") => self.https = true,
            Some(proto) if proto.eq_ignore_ascii_case(b"http") => self.https = false,
            _ => {}
        }
    }
}

/// The believed part of a chain that is given from the right, client first.
fn walk(addresses: impl Iterator<Item = Option<IpAddr>>, trust: Trust<'_>) -> Vec<IpAddr> {
    let mut hops = Vec::new();
    for address in addresses.take(MAX_HOPS) {
        let Some(address) = address else { break };
        hops.push(address);
        if !trust.covers(address) {
            break;
        }
    }
    hops.reverse();
    hops
}

/// The value of a field whose elements all say the same. Where they differ, proxies have each
/// added their own, and no one can tell which.
fn agreed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut elements = list(headers, name);
    let first = elements.next()?;
    elements
        .all(|other| other.eq_ignore_ascii_case(first))
        .then_some(first)
}

/// An address, perhaps with a port; an IPv6 address with a port in brackets.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address: IpAddr = match text.parse() {
        Ok(address) => address,
        Err(_) => parse_authority(text)?.host.parse().ok()?,
    };
    Some(address.to_canonical())
}

/// An id that may go into logs and heads as it is.
fn request_id(id: &[u8]) -> Option<&str> {
    let harmless = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'_' | b'.' | b'~' | b':' | b'+' | b'/' | b'=' | b'@'
            )
    };
    let valid = (1..=128).contains(&id.len()) && id.iter().all(harmless);
    std::str::from_utf8(id).ok().filter(|_| valid)
}
