//! Host and port (RFC 3986 §3.2), without user information.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// A host and perhaps a port. Its `Display` is what a `Host` field holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authority<'a> {
    /// A name or an address, lower case, without a trailing dot; an IPv6 address without
    /// brackets, in its canonical form. Empty only for an HTTP/1.0 request that names none.
    pub host: Cow<'a, str>,
    /// Its port, where one is written.
    pub port: Option<u16>,
}

impl Authority<'_> {
    /// The port, or that of the scheme.
    pub fn port_or_default(&self, https: bool) -> u16 {
        self.port.unwrap_or(if https { 443 } else { 80 })
    }

    /// What `Display` writes, without its detours where it is a name alone.
    pub fn to_text(&self) -> String {
        if self.port.is_none() && !self.host.contains(':') {
            self.host.as_ref().to_owned()
        } else {
            self.to_string()
        }
    }

    /// With its own copy of the host.
    pub fn into_owned(self) -> Authority<'static> {
        Authority {
            host: Cow::Owned(self.host.into_owned()),
            port: self.port,
        }
    }
}

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only an IPv6 address holds a colon.
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Reads `uri-host [ ":" port ]` (RFC 9110 §7.2): a registered name of at most 255 bytes, an IPv4
/// address, or an IPv6 address in brackets; then perhaps a port in decimal, which may be empty.
/// `None` for everything else: user information, `IPvFuture`, zone identifiers, empty hosts.
pub fn parse_authority(text: &str) -> Option<Authority<'_>> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address: IpAddr = address.parse().ok()?;
        let port = port(rest).ok()?;
        return address.is_ipv6().then(|| Authority {
            host: Cow::Owned(address.to_string()),
            port,
        });
    }
    let end = text.find(':').unwrap_or(text.len());
    let (host, rest) = text.split_at(end);
    let port = port(rest).ok()?;
    let host = host.strip_suffix('.').unwrap_or(host);
    // A second dot at the end would be an empty label, and the same name spelt differently.
    if host.is_empty()
        || host.ends_with('.')
        || host.len() > 255
        || !is_registered_name(host.as_bytes())
    {
        return None;
    }
    let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    };
    Some(Authority { host, port })
}

/// Not what may follow a host.
struct NoPort;

/// What follows the host: nothing, or a colon and digits. A number that is none, or too large, is a fault.
fn port(rest: &str) -> Result<Option<u16>, NoPort> {
    if rest.is_empty() || rest == ":" {
        return Ok(None);
    }
    let digits = rest.strip_prefix(':').ok_or(NoPort)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NoPort);
    }
    digits.parse().map(Some).map_err(|_| NoPort)
}

/// `reg-name` of RFC 3986 §3.2.2.
fn is_registered_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&first, tail)) = rest.split_first() {
        rest = match first {
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' => tail,
            _ if first.is_ascii_alphanumeric() => tail,
            b'%' => match tail.split_first_chunk::<2>() {
                Some((digits, tail)) if digits.iter().all(u8::is_ascii_hexdigit) => tail,
                _ => return false,
            },
            _ => return false,
        };
    }
    true
}
