//! E-mail addresses and URLs that come from documents, and the domains that they belong to.

use std::net::IpAddr;

use url::{Host, Url};

/// Longest address that is taken from a document, in bytes.
const MOST: usize = 2_048;

/// Whether a text is fit to be an e-mail address. Whether mail arrives is not ours to say.
pub(super) fn is_email(text: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>\",;:\\".contains(c);
    match text.rsplit_once('@') {
        Some((local, domain)) => {
            let is_domain = !domain.starts_with('.') && !domain.ends_with('.');
            text.len() <= 254
                && text.chars().all(is_plain)
                && !local.is_empty()
                && !local.contains('@')
                && !domain.is_empty()
                && is_domain
        }
        None => false,
    }
}

/// An e-mail address at a host, which may be an IP address (RFC 5321 §4.1.3).
pub(super) fn email_at(local: &str, host: &str) -> String {
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => format!("{local}@[{address}]"),
        Ok(IpAddr::V6(address)) => format!("{local}@[IPv6:{address}]"),
        Err(_) => format!("{local}@{host}"),
    }
}

/// The URL that a document names, if everyone can reach it: absolute, HTTP, without
/// credentials, on a host that is not local. Templates are full of `http://localhost:3333/…`.
pub(super) fn public_url(text: &str) -> Option<String> {
    let url = Url::parse(text.trim())
        .ok()
        .filter(|_| text.len() <= MOST)?;
    let is_open = url.username().is_empty() && url.password().is_none();
    let is_web = matches!(url.scheme(), "http" | "https");
    let is_public = match url.host()? {
        Host::Domain(name) => is_public_name(name),
        Host::Ipv4(ip) => {
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified())
        }
        Host::Ipv6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local())
        }
    };
    (is_open && is_web && is_public).then(|| url.into())
}

/// The host of a URL, lower case, IPv6 in brackets.
pub(super) fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

/// Whether two hosts belong to different domains, by their last two labels (a v1 installer
/// compares second-level domains). Local names and addresses belong to none.
pub(super) fn differ(one: &str, public: &str) -> bool {
    let is_address = public.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let labels = |name: &str| -> Vec<String> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        name.rsplit('.').take(2).map(str::to_owned).collect()
    };
    is_public_name(public) && !is_address && labels(one) != labels(public)
}

/// Whether a name can mean the same to everyone (RFC 6761, RFC 6762, and what providers use
/// for their own networks).
fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let local = [
        "localhost",
        "local",
        "internal",
        "invalid",
        "test",
        "flycast",
        "lan",
    ];
    name.rsplit_once('.')
        .is_some_and(|(_, last)| !local.contains(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        for good in [
            "dev@example.com",
            "a.b+c@localhost",
            "ü@exämple.de",
            "a@[1.2.3.4]",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b@c",
            "example.com",
            "a@.b",
            "a@b.",
            "a\n@b",
            "<a@b>",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
        assert!(!is_email(&format!("a@{}", "b".repeat(260))));
    }

    #[test]
    fn an_address_at_a_host() {
        assert_eq!(email_at("contact", "a.example"), "contact@a.example");
        assert_eq!(email_at("contact", "127.0.0.1"), "contact@[127.0.0.1]");
        assert_eq!(email_at("contact", "[::1]"), "contact@[IPv6:::1]");
    }

    #[test]
    fn only_what_everyone_can_reach_is_a_public_url() {
        for good in [
            "https://a.example/x",
            "http://8.8.8.8/",
            "https://[2001:db8::1]/logo.png",
        ] {
            assert_eq!(public_url(good).as_deref(), Some(good));
        }
        assert_eq!(
            public_url(" https://A.example/a b").as_deref(),
            Some("https://a.example/a%20b")
        );
        for bad in [
            "/logo.png",
            "logo.png",
            "hello@legal.com",
            "http://localhost:3333/logo.png",
            "http://127.0.0.1/x",
            "http://10.0.0.1/x",
            "http://169.254.1.1/",
            "http://[::1]/",
            "http://[fd00::1]/",
            "http://api/x",
            "http://app.internal/x",
            "ftp://a.example/x",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://u:p@a.example/",
            "",
        ] {
            assert_eq!(public_url(bad), None, "{bad}");
        }
        assert_eq!(
            public_url(&format!("https://a.example/{}", "x".repeat(3_000))),
            None
        );
    }

    #[test]
    fn domains_are_compared_by_two_labels() {
        assert!(!differ("example.com", "todo.example.com"));
        assert!(!differ("Legal.EXAMPLE.com.", "example.com"));
        assert!(differ("example.org", "todo.example.com"));
        assert!(differ("localhost", "todo.example.com"));
        assert!(!differ("example.org", "localhost"));
        assert!(!differ("example.org", "127.0.0.1"));
        assert!(!differ("example.org", "[::1]"));
    }
}
