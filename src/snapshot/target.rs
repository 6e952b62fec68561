//! Where a plugin's requests go.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::{Checked, Echo, Origin};
use crate::config::Upstream;
use crate::headers::Authority;

/// An upstream, ready to be dialled.
#[derive(Debug, Clone)]
pub struct Target {
    /// Identity of its connections: equal keys may share them.
    pub key: Arc<str>,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The unix socket that is connected to instead.
    pub socket: Option<PathBuf>,
    /// TLS and the name to verify.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// HTTP/2 by prior knowledge (RFC 9113 §3.3). With TLS the upstream chooses.
    pub http2: bool,
    /// `limits.upstream_connect`
    pub connect: Duration,
    /// `upstream.timeout`: until the response head.
    pub timeout: Duration,
    /// `upstream.total`
    pub total: Option<Duration>,
    /// `limits.upstream_idle`: between two pieces of a response body.
    pub idle: Duration,
    /// `upstream.resolve`: after how long a name is looked up again.
    pub resolve: Duration,
    /// Its health, if it is asked for it.
    pub checked: Option<Checked>,
    /// `upstream.retries`
    pub retries: u32,
    /// What the process knows of it.
    pub origin: Arc<Origin>,
    /// Host and port, for addresses that it sends back.
    pub known_as: Authority<'static>,
    /// The `Host` that it is sent; `None`: the client's.
    pub host_sent: Option<HeaderValue>,
}

impl Target {
    /// Whether HTTP/1.1 is spoken there, whatever it says itself.
    pub fn is_http1(&self) -> bool {
        self.tls.is_none() && !self.http2
    }

    /// `host:port` as it stands in a URL and in `Host`, without a default port.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.tls.is_some(), self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// As it is written in a configuration, with a path behind it.
    pub fn url(&self, path: &str) -> String {
        let unix = if self.http2 { "unix+h2c" } else { "unix" };
        let scheme = if self.http2 { "h2c" } else { self.scheme() };
        match &self.socket {
            Some(socket) if path.is_empty() => format!("{unix}:{}", socket.display()),
            Some(socket) => format!("{unix}:{}:{path}", socket.display()),
            None => format!("{scheme}://{}{path}", self.authority()),
        }
    }

    /// Whether several requests may be under way on one connection.
    pub fn may_share(&self) -> bool {
        self.http2 || self.tls.is_some()
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// Where the requests of a plugin may go: at least one target, at most 64.
#[derive(Debug, Clone)]
pub struct Targets(Vec<Target>);

impl Targets {
    /// `None` if there is none, or too many.
    pub fn new(targets: Vec<Target>) -> Option<Self> {
        (1..=Upstream::MOST)
            .contains(&targets.len())
            .then_some(Self(targets))
    }

    /// All of them.
    pub fn all(&self) -> &[Target] {
        &self.0
    }

    /// The first, which stands for all where one is wanted.
    pub fn first(&self) -> &Target {
        &self.0[0]
    }
}

/// What the gateway presents to the upstream.
#[derive(Debug, Clone, Default)]
pub struct Credential {
    /// A header, its value marked sensitive.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// `name=value`, percent-encoded.
    pub query: Option<SecretText>,
    /// The same value, to be found in what comes back.
    pub echo: Option<Echo>,
    /// The client's own goes on.
    pub pass: bool,
}

impl Credential {
    /// The query that goes upstream: the client's, without the parameter that is ours, and ours.
    pub fn query<'a>(&self, client: Option<&'a str>) -> Option<Cow<'a, str>> {
        let Some(own) = &self.query else {
            return client.map(Cow::Borrowed);
        };
        let mine = parameter(&own.0);
        let mut query: String = client
            .into_iter()
            .flat_map(|query| query.split('&'))
            .filter(|pair| !pair.is_empty() && parameter(pair) != mine)
            .flat_map(|pair| [pair, "&"])
            .collect();
        query.push_str(&own.0);
        Some(Cow::Owned(query))
    }
}

impl Credential {
    /// An address that the upstream sends back, without the parameter that is ours; `None` when
    /// it has none.
    pub fn without_own_query(&self, address: &str) -> Option<String> {
        let own = parameter(&self.query.as_ref()?.0)?;
        let (rest, fragment) = match address.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (address, None),
        };
        let (path, query) = rest.split_once('?')?;
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| parameter(pair).as_ref() != Some(&own))
            .collect();
        if kept.len() == query.split('&').count() {
            return None;
        }
        let query = if kept.is_empty() {
            String::new()
        } else {
            format!("?{}", kept.join("&"))
        };
        let fragment = fragment.map_or(String::new(), |fragment| format!("#{fragment}"));
        Some(format!("{path}{query}{fragment}"))
    }

    /// Whether a value that the upstream sends back holds the secret that is sent in the query.
    pub fn is_told_in(&self, value: &[u8]) -> bool {
        let Some((_, secret)) = self.query.as_ref().and_then(|own| own.0.split_once('=')) else {
            return false;
        };
        if self.echo.as_ref().is_some_and(|echo| echo.is_in(value)) {
            return true;
        }
        let holds = |secret: &[u8]| {
            !secret.is_empty() && value.windows(secret.len()).any(|window| window == secret)
        };
        let plain = url::form_urlencoded::parse(secret.as_bytes()).next();
        holds(secret.as_bytes()) || plain.is_some_and(|(plain, _)| holds(plain.as_bytes()))
    }
}

/// The decoded name of a query parameter.
fn parameter(pair: &str) -> Option<String> {
    let first = url::form_urlencoded::parse(pair.as_bytes()).next();
    first.map(|(name, _)| name.into_owned())
}

/// Text that must not be shown.
#[derive(Clone)]
pub struct SecretText(pub String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential() -> Credential {
        Credential {
            query: Some(SecretText("api_key=s%3Cecret".into())),
            ..Credential::default()
        }
    }

    #[track_caller]
    fn check(address: &str, expected: Option<&str>) {
        assert_eq!(credential().without_own_query(address).as_deref(), expected);
    }

    #[test]
    fn an_address_that_comes_back_loses_the_credential() {
        check("/slash/?x=1&api_key=s%3Cecret", Some("/slash/?x=1"));
        check("/slash/?api%5Fkey=s%3Cecret#top", Some("/slash/#top"));
        check(
            "http://a.example/?api_key=other&y=2",
            Some("http://a.example/?y=2"),
        );
        check("/slash/?x=1", None);
        check("/slash/", None);
        assert!(credential().is_told_in(b"<https://a/?k=s%3Cecret>; rel=next"));
        assert!(credential().is_told_in(b"0; url=/?k=s<ecret"));
        assert!(!credential().is_told_in(b"/?k=secret"));
        assert!(!Credential::default().is_told_in(b"anything"));
    }

    #[test]
    fn a_client_can_not_name_the_parameter_that_is_ours() {
        let sent = |query| credential().query(query).map(Cow::into_owned);
        assert_eq!(sent(None).as_deref(), Some("api_key=s%3Cecret"));
        assert_eq!(
            sent(Some("a=1&api_key=mine&b")).as_deref(),
            Some("a=1&b&api_key=s%3Cecret")
        );
        assert_eq!(
            sent(Some("api%5fkey=mine")).as_deref(),
            Some("api_key=s%3Cecret")
        );
    }
}
