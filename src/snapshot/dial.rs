//! Where a plugin's requests go, and what is presented there.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};

use super::inputs::Patience;
use super::{
    Checked, Credential, Echo, Origins, SecretText, Target, Targets, bundled_roots, roots_of, tls,
};
use crate::config::{self, Roots, Scheme, UpstreamHost};
use crate::headers::Authority;
use crate::problems::{Place, Problems};

/// Where the requests of a plugin go.
pub(super) fn targets(
    plugin: &config::Plugin,
    patience: Patience,
    (system, origins): (&Arc<RootCertStore>, &Origins),
    problems: &mut Problems,
) -> Option<Targets> {
    let servers = plugin.upstream.servers.iter();
    // Authorities are read once for all of them: a file of them may be large.
    let tls = tls(plugin, system, problems)?;
    let targets =
        servers.map(|server| target(plugin, server, patience, tls.as_ref(), origins, problems));
    Targets::new(targets.collect::<Option<Vec<_>>>()?)
}

/// How TLS upstreams are verified, and what they are shown; `None` inside when there is no TLS, outside after a problem.
#[expect(clippy::option_option, reason = "no TLS is no problem")]
fn tls(
    plugin: &config::Plugin,
    system: &Arc<RootCertStore>,
    problems: &mut Problems,
) -> Option<Option<Arc<ClientConfig>>> {
    let upstream = &plugin.upstream;
    let at = |field: &str| Place {
        key: format!("plugins.{}.upstream.{field}", plugin.name),
        ..plugin.at.clone()
    };
    if upstream.scheme != Scheme::Https {
        return Some(None);
    }
    let roots = match &upstream.roots {
        Roots::System if system.is_empty() => {
            problems
                .add(&at("ca"), "the operating system has no root certificates")
                .help("install ca-certificates, or write ca = \"bundled\"");
            return None;
        }
        Roots::System => Ok(Arc::clone(system)),
        Roots::Bundled => Ok(Arc::new(bundled_roots())),
        Roots::File(file) => roots_of(&file.bytes)
            .map(Arc::new)
            .map_err(|error| format!("{}: {error}", file.path.display())),
    };
    let presented = match &upstream.client_certificate {
        Some(pair) => Some(tls::presented(pair, problems)?),
        None => None,
    };
    let config = |roots| tls::client_config(roots, presented).map_err(|error| error.to_string());
    match roots.and_then(config) {
        Ok(config) => Some(Some(config)),
        Err(message) => {
            problems.add(&at("ca"), message);
            None
        }
    }
}

/// One of them.
fn target(
    plugin: &config::Plugin,
    server: &config::Server,
    patience: Patience,
    tls: Option<&Arc<ClientConfig>>,
    origins: &Origins,
    problems: &mut Problems,
) -> Option<Target> {
    let upstream = &plugin.upstream;
    let mut key = server.key(upstream.scheme);
    let tls = match tls {
        None => None,
        Some(config) => {
            key.push_str(&tls_key(upstream));
            let Ok(name) = ServerName::try_from(server.host.clone()) else {
                let at = Place {
                    key: format!("plugins.{}.upstream.url", plugin.name),
                    ..plugin.at.clone()
                };
                let message = format!("`{}` is no name that a certificate can have", server.host);
                problems.add(&at, message);
                return None;
            };
            Some((Arc::clone(config), name))
        }
    };
    let key: Arc<str> = Arc::from(key);
    let mut target = Target {
        origin: origins.of(&key),
        key: Arc::clone(&key),
        host: server.host.clone(),
        port: server.port,
        socket: server.socket.clone(),
        known_as: known_as(&server.host, server.port),
        host_sent: None,
        tls,
        http2: upstream.scheme == Scheme::H2c,
        connect: patience.connect,
        timeout: upstream.timeout,
        total: upstream.total,
        idle: patience.idle,
        resolve: upstream.resolve,
        checked: checked(upstream, &key, origins),
        retries: upstream.retries,
    };
    target.host_sent = match &upstream.host_header {
        UpstreamHost::Upstream => HeaderValue::try_from(target.authority()).ok(),
        UpstreamHost::Client => None,
        UpstreamHost::Name(name) => HeaderValue::try_from(name).ok(),
    };
    Some(target)
}

/// How a server is asked for its health. What was found stays with the way of asking.
fn checked(upstream: &config::Upstream, key: &str, origins: &Origins) -> Option<Checked> {
    let mut settings = upstream.health.clone()?;
    settings.path.insert_str(0, &upstream.base_path);
    let way = format!("{key} {:?} {settings:?}", upstream.host_header);
    Some(Checked {
        condition: origins.condition(way),
        settings,
    })
}

fn known_as(host: &str, port: u16) -> Authority<'static> {
    Authority {
        host: Cow::Owned(host.to_owned()),
        port: Some(port),
    }
}

/// Connections that were verified in another way, or where something else was presented, are not
/// shared. A certificate has one key.
fn tls_key(upstream: &config::Upstream) -> String {
    let fingerprint = |bytes| crate::tokens::Fingerprint::of(bytes).to_hex();
    let mut key = match &upstream.roots {
        Roots::System => "#system".to_owned(),
        Roots::Bundled => "#bundled".to_owned(),
        Roots::File(file) => format!("#{}", fingerprint(&file.bytes)),
    };
    if let Some(pair) = &upstream.client_certificate {
        key.push_str("#as:");
        key.push_str(&fingerprint(&pair.certificate));
    }
    key
}

/// What is presented to the upstream. The values were proven to fit a header.
pub fn credential(credential: &config::Credential) -> Credential {
    use base64::Engine;
    let header = |name: HeaderName, value: Vec<u8>| {
        let mut value = HeaderValue::from_bytes(&value).ok()?;
        value.set_sensitive(true);
        Some((name, value))
    };
    match credential {
        config::Credential::Nothing => Credential::default(),
        config::Credential::Pass => Credential {
            pass: true,
            ..Credential::default()
        },
        config::Credential::Bearer(secret) => Credential {
            header: header(
                http::header::AUTHORIZATION,
                [b"Bearer ", secret.expose()].concat(),
            ),
            ..Credential::default()
        },
        config::Credential::Basic { user, password } => {
            let pair = [user.as_bytes(), b":", password.expose()].concat();
            let value = format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(pair)
            );
            Credential {
                header: header(http::header::AUTHORIZATION, value.into_bytes()),
                ..Credential::default()
            }
        }
        config::Credential::Header { name, value } => Credential {
            header: HeaderName::try_from(name.as_str())
                .ok()
                .and_then(|name| header(name, value.expose().to_vec())),
            ..Credential::default()
        },
        config::Credential::Query { name, value } => {
            let text: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair(name, &String::from_utf8_lossy(value.expose()))
                .finish();
            Credential {
                query: Some(SecretText(text)),
                echo: Echo::new(value.expose()),
                ..Credential::default()
            }
        }
    }
}

/// [`targets`] for whoever only wants to dial. The error is a sentence.
pub fn dial(
    plugin: &config::Plugin,
    limits: &config::Limits,
    system: &Arc<RootCertStore>,
) -> Result<Targets, String> {
    let mut problems = Problems::new();
    let patience = Patience::from(limits);
    targets(
        plugin,
        patience,
        (system, &Origins::default()),
        &mut problems,
    )
    .ok_or_else(|| {
        problems
            .iter()
            .map(|problem| problem.message.clone())
            .collect::<Vec<_>>()
            .join("; ")
    })
}

/// The target and the path of a URL outside of any plugin. The error is a sentence.
pub fn dial_url(
    url: &str,
    limits: &config::Limits,
    system: &Arc<RootCertStore>,
) -> Result<(Target, String), String> {
    let parsed = url::Url::parse(url).map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let host = parsed
        .host_str()
        .ok_or_else(|| format!("`{url}` names no host"))?
        .trim_matches(['[', ']'])
        .to_owned();
    let tls = match parsed.scheme() {
        "http" => None,
        "https" => {
            let roots = if system.is_empty() {
                Arc::new(bundled_roots())
            } else {
                Arc::clone(system)
            };
            let config = tls::client_config(roots, None).map_err(|error| error.to_string())?;
            let name = ServerName::try_from(host.clone())
                .map_err(|_| format!("`{host}` is no name that a certificate can have"))?;
            Some((config, name))
        }
        other => {
            return Err(format!(
                "`{url}`: only http and https can be fetched, not {other}"
            ));
        }
    };
    let port = parsed.port_or_known_default().unwrap_or(80);
    let path = parsed.query().map_or_else(
        || parsed.path().to_owned(),
        |query| format!("{}?{query}", parsed.path()),
    );
    let target = Target {
        key: Arc::from(format!("fetch:{}://{host}:{port}", parsed.scheme())),
        origin: Arc::default(),
        known_as: known_as(&host, port),
        host_sent: None,
        host,
        port,
        socket: None,
        tls,
        http2: false,
        connect: limits.upstream_connect,
        timeout: limits.upstream_idle,
        total: None,
        idle: limits.upstream_idle,
        resolve: limits.upstream_connect,
        checked: None,
        retries: 0,
    };
    Ok((target, path))
}
