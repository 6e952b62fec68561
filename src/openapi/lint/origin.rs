//! Where documents are served, and which other addresses belong there.

use std::net::IpAddr;

use crate::openapi::Value;
use url::Url;

use super::report::{At, Fault, Report};
use super::{Look, Severity};

/// The origin of a plugin.
#[derive(Debug)]
pub(super) struct Origin {
    /// As it is written.
    text: String,
    /// Lower case; empty if it could not be read.
    host: String,
    /// Whether it is `https`.
    https: bool,
    /// Its port, or that of its scheme.
    port: u16,
}

impl Origin {
    /// Takes an origin apart.
    pub(super) fn parse(text: &str) -> Self {
        let url = Url::parse(text).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        Self {
            text: text.to_owned(),
            host: host.to_owned(),
            https: url.as_ref().is_some_and(|url| url.scheme() == "https"),
            port: url
                .as_ref()
                .and_then(Url::port_or_known_default)
                .unwrap_or(0),
        }
    }

    /// Whether only this machine or this network knows it: nothing is said about domains then.
    pub(super) fn is_local(&self) -> bool {
        is_local(&self.host)
    }

    /// Whether a host is the root domain of this origin or below it. The root is the host of the
    /// manifest without `www.`.
    pub(super) fn covers(&self, host: &str) -> bool {
        let root = self.host.strip_prefix("www.").unwrap_or(&self.host);
        host == root
            || host
                .strip_suffix(root)
                .is_some_and(|sub| sub.ends_with('.'))
    }

    /// Whether a host belongs to the same second-level domain. Suffixes of several labels
    /// (`co.uk`) are not known: a breach is missed there, none is invented.
    pub(super) fn is_kin(&self, host: &str) -> bool {
        let labels = |name: &str| -> Vec<String> {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            name.rsplit('.').take(2).map(str::to_owned).collect()
        };
        self.covers(host) || labels(host) == labels(&self.host)
    }
}

/// Whether a host means something else elsewhere: a name without a dot, of a private network, or
/// an address of one.
fn is_local(host: &str) -> bool {
    const LOCAL: [&str; 7] = [
        "localhost",
        "local",
        "internal",
        "invalid",
        "test",
        "flycast",
        "lan",
    ];
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        Err(_) => host
            .trim_end_matches('.')
            .rsplit_once('.')
            .is_none_or(|(_, last)| LOCAL.contains(&last)),
    }
}

/// The host of a URL, if it is an absolute one of the web.
pub(super) fn host_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    url.host_str().filter(|_| is_web).map(str::to_owned)
}

/// Clients on the internet reach public addresses only, and those of `OpenAI` want TLS on port 443
/// (reference §2.3, §3.1). `strict`: how bad another port is.
pub(super) fn check(look: &Look<'_>, report: &mut Report, strict: Option<Severity>) {
    let origin = look.origin;
    let reader = report.reader();
    let actual = &origin.text;
    if origin.is_local() {
        let fault = Fault {
            rule: "origin-local",
            severity: Severity::Warning,
            message: format!("{reader} can not reach {actual} from the internet"),
            limit: "a public host name".to_owned(),
            actual: actual.clone(),
            help: "write `public_url` or `hosts` of the plugin".to_owned(),
        };
        report.add(&At::Document("/servers/0/url"), fault);
        return;
    }
    let Some(severity) = strict else { return };
    if !origin.https {
        let fault = Fault {
            rule: "origin-https",
            severity,
            message: format!("{reader} calls nothing without TLS"),
            limit: "https".to_owned(),
            actual: actual.clone(),
            help: "serve it over TLS, or write the https address of what terminates TLS as `public_url`"
                .to_owned(),
        };
        report.add(&At::Document("/servers/0/url"), fault);
    } else if origin.port != 443 {
        let fault = Fault {
            rule: "origin-port",
            severity,
            message: format!("{reader} calls no port but 443"),
            limit: "port 443".to_owned(),
            actual: format!("port {}", origin.port),
            help: "let the plugin be reached on port 443, and write that address as `public_url`"
                .to_owned(),
        };
        report.add(&At::Document("/servers/0/url"), fault);
    }
}

/// The first server has to be there and has to belong to the origin (reference §2.3, §2.5).
pub(super) fn check_server(look: &Look<'_>, report: &mut Report) {
    let server = look.document.pointer("/servers/0/url");
    let server = server.and_then(Value::as_str).unwrap_or_default();
    let host = host_of(server);
    let (message, actual) = match &host {
        None => (
            "it has no server with an absolute address",
            "none".to_owned(),
        ),
        Some(host) if look.origin.covers(host) => return,
        Some(host) => (
            "its first server does not belong to where it is served",
            super::calls::shown(host),
        ),
    };
    let fault = Fault {
        rule: "server",
        severity: Severity::Error,
        message: format!("{message}, and {} calls that one alone", report.reader()),
        limit: format!("{} or below it", look.origin.host),
        actual,
        help: "publish the document with the plugin's own origin as its server".to_owned(),
    };
    report.add(&At::Document("/servers"), fault);
}
