//! Networks, addresses, hosts, URLs, origins, headers and e-mail addresses.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use url::{Host, ParseError, Url};

use super::Fault;
use crate::config::{Scheme, Server};
use crate::tokens::{NetworkError, parse_network};

/// A network in CIDR, or a plain address, which is a network of one. Host bits are as they are written.
pub(in crate::config) fn network(text: &str) -> Result<IpNet, Fault> {
    parse_network(text).map_err(|error| match error {
        NetworkError::Form => Fault::with(
            "is not a network",
            "write an address or a network in CIDR, such as `10.0.0.0/8` or `fd00::/8`",
        ),
        NetworkError::Mapped => Fault::with(
            NetworkError::MAPPED,
            "write the IPv4 network, such as `10.0.0.0/8`",
        ),
    })
}

/// Where to listen. `localhost` is both loopback addresses; no other name is looked up.
pub(in crate::config) fn addresses(text: &str) -> Result<Vec<SocketAddr>, Fault> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    let fault = || {
        Fault::with(
            "is not an address to listen on",
            "write an IP address and a port, such as `0.0.0.0:8443`, `[::]:8443` or \
             `localhost:8443`",
        )
    };
    if text.starts_with("unix:") {
        return Err(Fault::with(
            "is not supported by this version yet",
            "write an IP address and a port, such as `127.0.0.1:8080`",
        ));
    }
    let (name, port) = text.rsplit_once(':').ok_or_else(fault)?;
    if !name.eq_ignore_ascii_case("localhost") || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(fault());
    }
    let port: u16 = port.parse().map_err(|_| fault())?;
    Ok(vec![
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ])
}

/// A host name or address as a `Host` header has it, lower case, without its port (an IPv6
/// address in brackets). International names become their ASCII form.
pub(in crate::config) fn host(text: &str) -> Result<String, Fault> {
    let help = "write the name alone, such as `todo.example.com`";
    if text.contains("://") {
        return Err(Fault::with("has a scheme", help));
    }
    if text.contains(['/', '?', '#', '@']) {
        return Err(Fault::with("is more than a host name", help));
    }
    if text.contains('*') {
        return Err(Fault::with(
            "is a wildcard",
            "write every host name; wildcards are not supported",
        ));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(Fault::with(
            "is an IPv6 address without brackets",
            "write `[::1]`",
        ));
    }
    if !text.starts_with('[') && text.contains(':') {
        return Err(Fault::with("has a port", help));
    }
    let parse = |text| Host::parse(text).ok().filter(dns);
    match (parse(text), text.strip_suffix('.').and_then(parse)) {
        (Some(host), _) => Ok(host.to_string()),
        (None, Some(host)) => Err(Fault::with(
            "has a dot at its end",
            format!("write `{host}`: a request that names it with the dot is led there too"),
        )),
        (None, None) => Err(Fault::with("is not a host name", help)),
    }
}

/// Whether a host can be a name of the DNS (an address can): labels of 1 to 63 letters,
/// digits, `-` and `_` (which exists in practice), 253 in all, no dot at the end.
fn dns(host: &Host<String>) -> bool {
    let Host::Domain(name) = host else {
        return true;
    };
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// An absolute http(s) URL, without user and password.
fn absolute(text: &str, help: &str) -> Result<Url, Fault> {
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::InvalidPort => Fault::with("has a port that can not exist", help),
        _ => Fault::with("is not a URL", help),
    })?;
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) || text.contains('\\') {
        return Err(Fault::with("has white space or a backslash", help));
    }
    match url.scheme() {
        "http" | "https" => {}
        _ => return Err(Fault::with("is not an http(s) URL", help)),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::with(
            "has a user or a password in it",
            "a URL is no place for a secret; an upstream's is `upstream.credential`",
        ));
    }
    if url.port() == Some(0) || !url.host().is_some_and(|host| dns(&host.to_owned())) {
        return Err(Fault::with("has a host that can not exist", help));
    }
    Ok(url)
}

/// An http(s) URL for people and browsers, as it was written.
pub(in crate::config) fn web_url(text: &str) -> Result<String, Fault> {
    let help = "write an http(s) URL such as `https://api.example.com`";
    absolute(text, help).map(|_| text.to_owned())
}

/// Where an upstream is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::config) struct UpstreamUrl {
    /// What is spoken.
    pub scheme: Scheme,
    /// Its port is its own or the scheme's.
    pub server: Server,
    /// Without a slash at its end.
    pub base_path: String,
}

/// The longest path that a unix socket can have (`sun_path` of Linux, without its end).
const LONGEST_SOCKET: usize = 107;

/// `unix:PATH`, or `unix:PATH:/BASE`: the first `:/` ends the path of the socket.
fn unix_url(text: &str) -> Result<UpstreamUrl, Fault> {
    let help = "write the path of the socket, such as `unix:/run/api.sock`; a path of the API \
                goes behind it: `unix:/run/api.sock:/v1`";
    let (socket, base) = text.split_once(":/").unwrap_or((text, ""));
    if socket.is_empty() || socket.starts_with("//") || socket.ends_with('/') {
        return Err(Fault::with("names no socket", help));
    }
    if socket.chars().any(char::is_control) || socket.len() > LONGEST_SOCKET {
        let what = "has a path that no unix socket can have (107 bytes, no control characters)";
        return Err(Fault::with(what, help));
    }
    let mut url = upstream_url(&format!("http://localhost/{base}"))?;
    url.server.socket = Some(socket.into());
    Ok(url)
}

/// Whether a segment of a path is `.` or `..`, as some server reads it: encoded, or with parameters
/// behind it.
fn is_dots(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    let plain = name.to_ascii_lowercase().replace("%2e", ".");
    matches!(&*plain, "." | "..")
}

/// `http`, `https` or `h2c`, maybe a path, nothing behind it; or a unix socket.
pub(in crate::config) fn upstream_url(text: &str) -> Result<UpstreamUrl, Fault> {
    if let Some(rest) = text.strip_prefix("unix:") {
        return unix_url(rest);
    }
    let over_http = |url| UpstreamUrl {
        scheme: Scheme::H2c,
        ..url
    };
    if let Some(rest) = text.strip_prefix("unix+h2c:") {
        return unix_url(rest).map(over_http);
    }
    if let Some(rest) = text.strip_prefix("h2c://") {
        return upstream_url(&format!("http://{rest}")).map(over_http);
    }
    let help = "write a URL such as `https://api.example.com` or `http://127.0.0.1:8000`, `h2c://` for HTTP/2 \
                without TLS (with TLS the upstream chooses), or `unix:/run/api.sock`";
    let url = absolute(text, help)?;
    // What was read has none any more: it is another path than the one that is written.
    if text.split('/').any(is_dots) {
        return Err(Fault::with(
            "has a dot segment in its path",
            "write the path that is meant, without `.` and `..`",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::with(
            "has a query or a fragment",
            "write scheme, host, port and path; `upstream.credential` can set a query parameter",
        ));
    }
    let base_path = url.path().trim_end_matches('/');
    if base_path.contains("//") {
        return Err(Fault::new("has an empty segment in its path"));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(Fault::new("has no host")),
    };
    let Some(port) = url.port_or_known_default() else {
        return Err(Fault::new("has no port"));
    };
    Ok(UpstreamUrl {
        scheme: match url.scheme() {
            "https" => Scheme::Https,
            _ => Scheme::Http,
        },
        server: Server {
            host,
            port,
            socket: None,
        },
        base_path: base_path.to_owned(),
    })
}

/// Scheme, host and port, lower case, the scheme's own port left out; a slash at the end is
/// forgiven.
pub(in crate::config) fn origin(text: &str) -> Result<String, Fault> {
    let help = "write scheme and host, and nothing behind them: `https://todo.example.com`";
    let url = absolute(text, help).map_err(|fault| Fault::with(fault.what, help))?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::with("is more than an origin", help));
    }
    Ok(url.origin().ascii_serialization())
}

/// Whether an origin is on this machine.
pub(in crate::config) fn loopback(origin: &str) -> bool {
    let Ok(url) = Url::parse(origin) else {
        return false;
    };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The name of a header, lower case.
pub(in crate::config) fn header_name(text: &str) -> Result<String, Fault> {
    http::HeaderName::from_bytes(text.as_bytes())
        .map(|name| name.as_str().to_owned())
        .map_err(|_| {
            Fault::with(
                "is not the name of a header",
                "a name has letters, digits and `-`, such as `X-API-Key`",
            )
        })
}

/// The value of a header: no control characters, no space at an end.
pub(in crate::config) fn header_value(text: &str) -> Result<String, Fault> {
    let visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !visible || text.trim() != text {
        return Err(Fault::new(
            "can not be sent in a header: it has characters other than visible ASCII and spaces, \
             or white space at an end",
        ));
    }
    Ok(text.to_owned())
}

/// An e-mail address, as strictly as people can be trusted with: one `@`, no white space, and
/// a host name behind it.
pub(in crate::config) fn email(text: &str) -> Result<String, Fault> {
    let fault = || Fault::with("is not an e-mail address", "such as `dev@example.com`");
    let (local, domain) = text.split_once('@').ok_or_else(fault)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';');
    if local.is_empty() || local.len() > 64 || local.contains(odd) || host(domain).is_err() {
        return Err(fault());
    }
    Ok(text.to_owned())
}
