//! Addresses of the upstream in its responses.

use super::authority::{Authority, parse_authority};

/// Which addresses are the upstream's, and what the client calls them.
#[derive(Debug, Clone, Copy)]
pub struct Rewrite<'a> {
    /// Whether the upstream is asked by TLS.
    pub upstream_https: bool,
    /// Its own authority.
    pub upstream: &'a Authority<'a>,
    /// The `Host` that it was sent, from which many frameworks make their addresses.
    pub host_sent: &'a str,
    /// What was put in front of the public path: begins with a slash and ends without one, or
    /// is empty.
    pub prefix: &'a str,
    /// Whether the plugin's origin is an `https` one.
    pub public_https: bool,
    /// The authority of the plugin's origin.
    pub public: &'a Authority<'a>,
}

/// The public form of an address of the upstream; `None` when it goes on as it is.
///
/// Rewritten are absolute addresses of the upstream, addresses of the host that it was sent or
/// of the public one (whatever their scheme: an upstream behind us does not know of our TLS),
/// addresses without a scheme to any of these, and absolute paths; of all of them only such
/// whose path is under the prefix, which is taken off. Others have no public form. Relative
/// references hold on both sides.
pub fn rewrite_location(value: &str, rewrite: &Rewrite<'_>) -> Option<String> {
    let value = value.trim_matches(' ');
    let (https, rest) = match scheme(value) {
        Some((https, rest)) => (https, rest),
        None => match value.strip_prefix("//") {
            Some(rest) => (rewrite.upstream_https, rest),
            None => return below_prefix(value, rewrite).filter(|path| path != value),
        },
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = parse_authority(authority)?;
    let same = |other: &Authority<'_>| {
        authority.host == other.host
            && authority.port_or_default(https) == other.port_or_default(https)
    };
    let upstream = rewrite.upstream;
    let is_upstream = https == rewrite.upstream_https && same(upstream);
    let is_alias = || parse_authority(rewrite.host_sent).is_some_and(|sent| same(&sent));
    if !is_upstream && !same(rewrite.public) && !is_alias() {
        return None;
    }
    let path = stripped(path, rewrite.prefix)?;
    let ours = absolute(&path, rewrite);
    (ours != value).then_some(ours)
}

/// A cookie whose path (RFC 6265 §5.2.4) is below the prefix, for the path that the client knows: under
/// the upstream's it would never be sent back. `None` when it goes on as it is.
pub(super) fn rewrite_cookie(cookie: &[u8], prefix: &str) -> Option<Vec<u8>> {
    if prefix.is_empty() {
        return None;
    }
    let mut parts = cookie.split(|byte| *byte == b';');
    let mut ours = parts.next()?.to_vec();
    let mut changed = false;
    for part in parts {
        ours.push(b';');
        match below(part, prefix) {
            Some(path) => {
                changed = true;
                ours.extend_from_slice(b" Path=");
                ours.extend_from_slice(path.as_bytes());
            }
            None => ours.extend_from_slice(part),
        }
    }
    changed.then_some(ours)
}

/// The path without the prefix, of an attribute `Path` that is below it.
fn below(attribute: &[u8], prefix: &str) -> Option<String> {
    let (name, path) = std::str::from_utf8(attribute).ok()?.split_once('=')?;
    if !name.trim_ascii().eq_ignore_ascii_case("path") {
        return None;
    }
    stripped(path.trim_ascii(), prefix).filter(|path| !path.contains(['?', '#']))
}

/// Whether an absolute address is `https`, and what follows the two slashes. `None` for all
/// other schemes and for none.
fn scheme(value: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = value.split_once("://")?;
    match scheme {
        _ if scheme.eq_ignore_ascii_case("https") => Some((true, rest)),
        _ if scheme.eq_ignore_ascii_case("http") => Some((false, rest)),
        _ => None,
    }
}

/// The public form of an absolute path.
fn below_prefix(value: &str, rewrite: &Rewrite<'_>) -> Option<String> {
    if rewrite.prefix.is_empty() || !value.starts_with('/') {
        return None;
    }
    let path = stripped(value, rewrite.prefix)?;
    // What is left may look like the address of another host: `/v1//evil.example` would.
    let is_path = !path[1..].starts_with(['/', '\\']);
    Some(if is_path {
        path
    } else {
        absolute(&path, rewrite)
    })
}

/// A path (with query and fragment) without the prefix; begins with a slash.
fn stripped(path: &str, prefix: &str) -> Option<String> {
    let rest = path.strip_prefix(prefix)?;
    match rest.bytes().next() {
        Some(b'/') => Some(rest.to_owned()),
        None | Some(b'?' | b'#') => Some(format!("/{rest}")),
        Some(_) => None,
    }
}

/// An address at the plugin's origin.
fn absolute(path: &str, rewrite: &Rewrite<'_>) -> String {
    let scheme = if rewrite.public_https {
        "https"
    } else {
        "http"
    };
    format!("{scheme}://{}{path}", rewrite.public)
}
