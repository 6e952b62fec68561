//! The head that goes upstream.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use http::header::{AUTHORIZATION, CONNECTION, COOKIE, FORWARDED, TE, TRAILER, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::client::{
    ClientView, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, X_REQUEST_ID,
};
use super::fields::{
    append, fields, head_like, is_bare, is_value, list, remove_named, set, set_text, text_value,
};
use super::names::{Inbound, are_twins, inbound};
use super::rules::Rules;
use super::trailers::announced;

/// The name of who calls.
static X_PLUGWAY_PRINCIPAL: HeaderName = HeaderName::from_static("x-plugway-principal");
/// The id of the token that was presented.
static X_PLUGWAY_TOKEN: HeaderName = HeaderName::from_static("x-plugway-token");
/// `service` or `user`.
static X_PLUGWAY_LEVEL: HeaderName = HeaderName::from_static("x-plugway-level");
/// Through how many gateways a request came, with this one.
static X_PLUGWAY_HOPS: HeaderName = HeaderName::from_static("x-plugway-hops");
/// Its values; a request that came through that many is refused.
static HOPS: [HeaderValue; 5] = [
    HeaderValue::from_static("1"),
    HeaderValue::from_static("2"),
    HeaderValue::from_static("3"),
    HeaderValue::from_static("4"),
    HeaderValue::from_static("5"),
];
/// The plugin's name.
static X_PLUGWAY_PLUGIN: HeaderName = HeaderName::from_static("x-plugway-plugin");

/// What is the same for all requests of a plugin; compiled once.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `X-Plugway-Plugin`
    pub plugin: HeaderValue,
    /// The header in which clients present their credential.
    pub auth_header: HeaderName,
    /// What the upstream gets in its place.
    pub credential: Credential,
    /// Changes that the configuration asks for, made last but for credential and `Host`.
    pub rules: Rules,
    /// Whether the client's headers whose names have underscores go on.
    pub underscores: bool,
}

/// What the upstream gets for a credential.
#[derive(Clone)]
pub enum Credential {
    /// Nothing.
    Nothing,
    /// The client's own, and its `Authorization`: it is between the two of them.
    Pass,
    /// The gateway's own.
    Header(HeaderName, HeaderValue),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Pass => f.write_str("Pass"),
            Self::Header(name, _) => write!(f, "Header({name}, ..)"),
        }
    }
}

/// Who was authenticated. What is not there is not sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity<'a> {
    /// `X-Plugway-Principal`; text of any kind.
    pub principal: Option<&'a str>,
    /// `X-Plugway-Token`; text of any kind.
    pub token: Option<&'a str>,
    /// `X-Plugway-Level`; ASCII.
    pub level: Option<&'static str>,
}

/// What is known of one request.
#[derive(Debug, Clone, Copy)]
pub struct Outbound<'a> {
    /// Of the plugin.
    pub policy: &'a Policy,
    /// Who is on the other end.
    pub client: &'a ClientView<'a>,
    /// Who was authenticated.
    pub identity: Identity<'a>,
    /// `X-Request-Id`
    pub request_id: &'a HeaderValue,
    /// Whether the body goes in chunks, so that trailers may follow it.
    pub streamed: bool,
    /// What [`hops`] says.
    pub hops: usize,
    /// The protocol that is asked for: what [`upgrade`](super::upgrade()) says.
    pub upgrade: Option<&'a HeaderValue>,
}

/// Through how many gateways like this one a request came; `None`: too many, so that it most
/// likely goes in a circle. What a client writes there can only have its own request refused.
pub fn hops(client: &HeaderMap) -> Option<usize> {
    let Some(value) = client.get(&X_PLUGWAY_HOPS) else {
        return Some(0);
    };
    let place = HOPS.iter().position(|known| known == value);
    let hops = place.map_or(0, |place| place + 1);
    (hops < HOPS.len()).then_some(hops)
}

/// Builds the head that goes upstream, from nothing.
///
/// Of the client's fields come: all that `names.rs` does not hold back, byte for
/// byte; its cookies in one line (RFC 9113 §8.2.3); `TE` if it takes trailers; `Trailer` for
/// those that may follow; its credential only with [`Credential::Pass`]. What its `Connection`
/// names goes (RFC 9110 §7.6.1), *before* anything of ours is added, so that it can not name
/// that. A request to switch protocols goes on if it is one of [`Outbound::upgrade`], and says
/// nothing of trailers. `Host`, `Content-Length` and `Transfer-Encoding` are the codec's.
pub fn outbound(client: &HeaderMap, out: &Outbound<'_>) -> HeaderMap {
    let mut head = head_like(client, 16);
    copied(client, out, &mut head);
    for value in client.get_all(CONNECTION) {
        remove_named(&mut head, value);
    }
    own(client, out, &mut head);
    head
}

/// The same as lines of HTTP/1.1, at a third of the cost; `None`: the head is one of the few in
/// which something is removed or replaced after it was added.
pub fn outbound_lines(client: &HeaderMap, out: &Outbound<'_>) -> Option<Vec<u8>> {
    let keep_alive = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
    if !out.policy.rules.is_empty()
        || out.upgrade.is_some()
        || client.contains_key(TRAILER)
        || !client.get_all(CONNECTION).iter().all(keep_alive)
    {
        return None;
    }
    let mut lines = Lines(Vec::with_capacity(ROOM));
    copied(client, out, &mut lines);
    own(client, out, &mut lines);
    Some(lines.0)
}

/// Bytes of most heads.
const ROOM: usize = 768;

/// What a head is written into.
trait Sink {
    /// Adds a field.
    fn add(&mut self, name: &HeaderName, value: &HeaderValue);
    /// Sets a field that only the gateway sets.
    fn put(&mut self, name: &HeaderName, value: &HeaderValue);
    /// Sets one of ASCII text that was made here.
    fn put_text(&mut self, name: &HeaderName, text: &str);
    /// Sets one of text of any kind: see [`text_value`].
    fn put_words(&mut self, name: &HeaderName, text: &str);
    /// Makes the changes that the configuration asks for.
    fn change(&mut self, rules: &Rules);
}

impl Sink for HeaderMap {
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        append(self, name, value.clone());
    }

    fn put(&mut self, name: &HeaderName, value: &HeaderValue) {
        set(self, name, value.clone());
    }

    fn put_text(&mut self, name: &HeaderName, text: &str) {
        set_text(self, name, text);
    }

    fn put_words(&mut self, name: &HeaderName, text: &str) {
        set(self, name, text_value(text));
    }

    fn change(&mut self, rules: &Rules) {
        rules.apply(self);
    }
}

/// Lines of a head of HTTP/1.1. Nothing is looked for in them: see [`outbound_lines`].
struct Lines(Vec<u8>);

impl Lines {
    fn line(&mut self, name: &HeaderName, value: &[u8]) {
        for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
    }
}

impl Sink for Lines {
    fn add(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.line(name, value.as_bytes());
    }

    fn put(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.line(name, value.as_bytes());
    }

    fn put_text(&mut self, name: &HeaderName, text: &str) {
        // Looked at once more, though it was made here: this is what a line's end would break.
        if is_value(text) {
            self.line(name, text.as_bytes());
        }
    }

    fn put_words(&mut self, name: &HeaderName, text: &str) {
        if is_bare(text) {
            self.line(name, text.as_bytes());
        } else {
            self.line(name, text_value(text).as_bytes());
        }
    }

    /// There are none.
    fn change(&mut self, _: &Rules) {}
}

/// What goes on of the client's fields, in one pass over them.
fn copied(client: &HeaderMap, out: &Outbound<'_>, head: &mut impl Sink) {
    let Policy {
        auth_header,
        credential,
        rules,
        underscores,
        ..
    } = out.policy;
    let pass = matches!(credential, Credential::Pass);
    let (mut cookies, mut trailers) = (false, false);
    for (name, value) in fields(client) {
        let text = name.as_str();
        if are_twins(text, auth_header.as_str()) {
            if pass && name == auth_header {
                head.add(name, value);
            }
            continue;
        }
        // The gateway sets these; a twin would be read as well, perhaps before them.
        let is_twin = |own: &HeaderName| are_twins(text, own.as_str());
        let of_credential = matches!(credential, Credential::Header(own, _) if is_twin(own));
        if of_credential || rules.sets(is_twin) {
            continue;
        }
        match inbound(text, *underscores) {
            Inbound::Pass => head.add(name, value),
            Inbound::Authorization if pass => head.add(&AUTHORIZATION, value),
            Inbound::Impersonation if pass => head.add(name, value),
            Inbound::Cookie => cookies = true,
            Inbound::Trailer => trailers = out.streamed,
            Inbound::Drop
            | Inbound::Connection
            | Inbound::Te
            | Inbound::Authorization
            | Inbound::Impersonation => {}
        }
    }
    if trailers && let Some(value) = announced(client, Some(auth_header)) {
        head.put(&TRAILER, &value);
    }
    if cookies && let Some(value) = one_cookie(client) {
        head.put(&COOKIE, &value);
    }
}

/// What the gateway says itself.
fn own(client: &HeaderMap, out: &Outbound<'_>, head: &mut impl Sink) {
    forwarded(head, out.client);
    if let Some(hops) = HOPS.get(out.hops) {
        head.put(&X_PLUGWAY_HOPS, hops);
    }
    let who = &out.identity;
    for (name, text) in [
        (&X_PLUGWAY_PRINCIPAL, who.principal),
        (&X_PLUGWAY_TOKEN, who.token),
    ] {
        if let Some(text) = text {
            head.put_words(name, text);
        }
    }
    if let Some(level) = who.level {
        head.put(&X_PLUGWAY_LEVEL, &HeaderValue::from_static(level));
    }
    head.put(&X_PLUGWAY_PLUGIN, &out.policy.plugin);
    head.put(&X_REQUEST_ID, out.request_id);
    head.change(&out.policy.rules);
    if let Credential::Header(name, value) = &out.policy.credential {
        let mut value = value.clone();
        value.set_sensitive(true);
        head.put(name, &value);
    }
    if let Some(protocol) = out.upgrade {
        head.put(&UPGRADE, protocol);
        head.put(&CONNECTION, &HeaderValue::from_static("upgrade"));
    } else if list(client, &TE).any(accepts_trailers) {
        // A sender of TE names it in Connection (RFC 9110 §10.1.4).
        head.put(&TE, &HeaderValue::from_static("trailers"));
        head.put(&CONNECTION, &HeaderValue::from_static("te"));
    }
}

/// All cookies in one line.
fn one_cookie(client: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = client.get_all(COOKIE).iter();
    let first = lines.next()?;
    let mut joined = Vec::new();
    for line in lines {
        if joined.is_empty() {
            joined.extend_from_slice(first.as_bytes());
        }
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line.as_bytes());
    }
    if joined.is_empty() {
        return Some(first.clone());
    }
    HeaderValue::try_from(joined).ok()
}

/// Whether an element of `TE` is `trailers` (which takes no weight).
fn accepts_trailers(element: &[u8]) -> bool {
    element.eq_ignore_ascii_case(b"trailers")
}

/// Writes an address: what `Display` does, but in a fifth of the time where it is IPv4.
fn push_address(text: &mut String, address: IpAddr) {
    let IpAddr::V4(address) = address else {
        // Writing to a string does not fail.
        let _ = write!(text, "{address}");
        return;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        for (unit, least) in [(100, 100), (10, 10), (1, 0)] {
            if octet >= least {
                text.push(char::from(b'0' + octet / unit % 10));
            }
        }
    }
}

/// Sets `X-Forwarded-For`, `-Host` and `-Proto`, and `Forwarded` (RFC 7239), where host and
/// scheme stand in the element of the client, as the first proxy saw them.
fn forwarded(head: &mut impl Sink, client: &ClientView<'_>) {
    let scheme = if client.https { "https" } else { "http" };
    let host = client.authority.to_text();
    let mut addresses = String::with_capacity(40);
    let mut elements = String::with_capacity(96);
    for address in client.hops.iter().chain([&client.peer]) {
        let is_first = addresses.is_empty();
        if !is_first {
            addresses.push_str(", ");
            elements.push_str(", ");
        }
        let start = addresses.len();
        push_address(&mut addresses, *address);
        let (before, after) = if address.is_ipv6() {
            ("\"[", "]\"")
        } else {
            ("", "")
        };
        for part in ["for=", before, &addresses[start..], after] {
            elements.push_str(part);
        }
        if is_first {
            if !host.is_empty() {
                let bare = host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
                let quote = if bare { "" } else { "\"" };
                for part in [";host=", quote, &host, quote] {
                    elements.push_str(part);
                }
            }
            elements.push_str(";proto=");
            elements.push_str(scheme);
        }
    }
    head.put_text(&X_FORWARDED_FOR, &addresses);
    head.put_text(&FORWARDED, &elements);
    if !host.is_empty() {
        head.put_text(&X_FORWARDED_HOST, &host);
    }
    head.put(&X_FORWARDED_PROTO, &HeaderValue::from_static(scheme));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_is_written_as_display_does(address: IpAddr) {
            let mut text = String::new();
            push_address(&mut text, address);
            prop_assert_eq!(text, address.to_string());
        }
    }

    #[test]
    fn octets_have_no_leading_zeros() {
        for octet in 0..=255 {
            let address = IpAddr::from([octet, 0, 10, 100]);
            let mut text = String::new();
            push_address(&mut text, address);
            assert_eq!(text, address.to_string());
        }
    }
}
