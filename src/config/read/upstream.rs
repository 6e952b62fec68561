//! `[plugins.NAME.upstream]`: where the fronted API is, and what it is told.

use std::path::PathBuf;

use toml::de::DeValue;

use super::{file_path, incomplete, is_url, private};
use crate::config::expand::Text;
use crate::config::names;
use crate::config::section::{Reading, Section, understood};
use crate::config::values::{self, Fault, UpstreamUrl};
use crate::config::{
    Certificate, Credential, Health, Roots, Scheme, Secret, ServedFile, Server, Upstream,
    UpstreamHost,
};

/// Reads the table.
pub(super) fn upstream(section: &Section<'_>, reading: &mut Reading<'_>) -> Upstream {
    let (url, servers) = urls(section, reading);
    Upstream {
        host_header: section
            .parsed("host", reading, host_header)
            .unwrap_or(UpstreamHost::Upstream),
        credential: credential(section, reading),
        roots: roots(section, reading),
        client_certificate: client_certificate(section, url.scheme, reading),
        timeout: section.duration("timeout", reading).unwrap_or_default(),
        total: section.duration("total", reading),
        resolve: section.duration("resolve", reading).unwrap_or_default(),
        health: health(section, reading),
        retries: section
            .integer("retries", reading)
            .and_then(|retries| u32::try_from(retries).ok())
            .unwrap_or_default(),
        passes_fly_replay: section.choice("fly_replay", reading) == Some("pass"),
        servers,
        scheme: url.scheme,
        base_path: url.base_path,
    }
}

/// `url`: one or several, which differ in nothing but where they are. The first, and where all
/// are; after a problem something stands in for it.
fn urls(section: &Section<'_>, reading: &mut Reading<'_>) -> (UpstreamUrl, Vec<Server>) {
    let mut urls = section
        .list("url", reading, values::upstream_url)
        .into_iter();
    let Some((first, _)) = urls.next() else {
        if let Some((DeValue::Array(list), at)) = section.find("url")
            && list.is_empty()
        {
            reading.problems.add(&at, "the list has no URL");
        }
        return (UpstreamUrl::default(), vec![Server::default()]);
    };
    let mut servers = vec![first.server.clone()];
    for (url, at) in urls {
        let fault = if url.scheme != first.scheme {
            "is not of the same scheme as the first URL"
        } else if url.base_path != first.base_path {
            "has not the same path as the first URL"
        } else if servers.contains(&url.server) {
            "is written twice"
        } else if servers.len() == Upstream::MOST {
            "is one too many: an upstream may have 64"
        } else {
            servers.push(url.server);
            continue;
        };
        reading
            .problems
            .add(&at, format!("`{}` {fault}", url.server.key(url.scheme)))
            .help("requests go to any of the URLs: scheme and path are the same for all");
    }
    (first, servers)
}

/// `health`
fn health(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<Health> {
    section.written("health")?;
    let table = section.table("health", reading);
    let path = table.parsed("path", reading, |text| {
        let whole = text.starts_with('/') && !text.starts_with("//");
        let sent = http::uri::PathAndQuery::try_from(text).is_ok() && !text.contains('#');
        if !whole || !sent {
            return Err(Fault::with("is no path", "such as `/health`"));
        }
        Ok(text.to_owned())
    });
    let interval = table.duration("interval", reading);
    let timeout = table.duration("timeout", reading);
    let mut count = |name| {
        let count = table.integer(name, reading)?;
        u32::try_from(count).ok()
    };
    let (unhealthy, healthy) = (count("unhealthy"), count("healthy"));
    Some(Health {
        path: path?,
        interval: interval?,
        timeout: timeout?,
        unhealthy: unhealthy?,
        healthy: healthy?,
    })
}

/// `host`: a word, or a name with or without its port.
fn host_header(text: &str) -> Result<UpstreamHost, Fault> {
    match text {
        "upstream" => return Ok(UpstreamHost::Upstream),
        "client" => return Ok(UpstreamHost::Client),
        _ if is_url(text) => return values::host(text).map(UpstreamHost::Name),
        _ => {}
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') && !name.contains(':') | name.ends_with(']') => {
            (name, Some(port))
        }
        _ => (text, None),
    };
    let mut host = values::host(name)?;
    if let Some(port) = port {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let number: u16 = port
            .parse()
            .ok()
            .filter(|number| digits && *number > 0)
            .ok_or_else(|| Fault::new("has a port that can not exist"))?;
        host = format!("{host}:{number}");
    }
    Ok(UpstreamHost::Name(host))
}

/// `ca`: a word, or a file.
fn roots(section: &Section<'_>, reading: &mut Reading<'_>) -> Roots {
    let Some(text) = section.text("ca", reading) else {
        return Roots::System;
    };
    match text.value.as_str() {
        "system" => Roots::System,
        "bundled" => Roots::Bundled,
        path if is_url(path) => {
            let message = format!("`{}` is a URL", text.shown);
            reading.problems.add(&text.at, message).help(
                "write \"system\", \"bundled\", or a file with certificates of authorities (PEM)",
            );
            Roots::System
        }
        _ => {
            let path = file_path(&text.value);
            let bytes = private(&path, &text, reading);
            bytes.map_or(Roots::System, |bytes| {
                Roots::File(ServedFile { path, bytes })
            })
        }
    }
}

/// `client_certificate` and `client_key`: both or none.
fn client_certificate(
    section: &Section<'_>,
    scheme: Scheme,
    reading: &mut Reading<'_>,
) -> Option<Certificate> {
    let written = |key| section.written(key);
    let at = match (written("client_certificate"), written("client_key")) {
        (None, None) => return None,
        (Some(at), Some(_)) => at,
        (Some(at), None) => {
            incomplete("client_key", &at, reading);
            return None;
        }
        (None, Some(at)) => {
            incomplete("client_certificate", &at, reading);
            return None;
        }
    };
    if scheme != Scheme::Https {
        let message = "a client certificate is presented in TLS, and the URL is not https";
        reading
            .problems
            .add(&at, message)
            .help("write an https URL, or remove `client_certificate` and `client_key`");
    }
    let certificate = section.text("client_certificate", reading);
    let key = section.text("client_key", reading);
    let (certificate, key) = (certificate?, key?);
    let certificate_path = file_path(&certificate.value);
    let chain = private(&certificate_path, &certificate, reading);
    let (key_path, secret) = if key.referenced && key.value.contains(PEM) {
        let secret = Secret::new(key.value.as_bytes());
        (PathBuf::from(&key.shown), Some(secret))
    } else {
        let path = file_path(&key.value);
        let bytes = private(&path, &key, reading);
        (path, bytes.map(Secret::new))
    };
    Some(Certificate {
        certificate: chain?,
        key: secret?,
        certificate_path,
        key_path,
        at: certificate.at,
        key_at: key.at,
    })
}

/// How a key begins that a reference gave itself, and not the path of its file.
const PEM: &str = "-----BEGIN ";

/// `credential`: `"pass"`, or a table with exactly one of its keys.
fn credential(section: &Section<'_>, reading: &mut Reading<'_>) -> Credential {
    if let Some(table) = section.either_table("credential", reading) {
        return credential_table(&table, reading).unwrap_or(Credential::Nothing);
    }
    match section.choice("credential", reading) {
        Some(_) => Credential::Pass,
        None => Credential::Nothing,
    }
}

/// The table of `credential`.
fn credential_table(table: &Section<'_>, reading: &mut Reading<'_>) -> Option<Credential> {
    let written: Vec<&str> = ["bearer", "basic", "header", "query"]
        .into_iter()
        .filter(|key| table.written(key).is_some())
        .collect();
    if written.len() != 1 {
        reading
            .problems
            .add(
                table.at(),
                "the credential is one of `bearer`, `basic`, `header` and `query`",
            )
            .help("such as `{ bearer = \"${env:API_TOKEN}\" }`; for none, leave `credential` out");
    }
    let mut found = None;
    for key in written {
        found = match key {
            "bearer" => secret(table, "bearer", reading, bearer).map(Credential::Bearer),
            "basic" => basic(table, reading),
            "header" => header(&table.table("header", reading), reading),
            _ => query(&table.table("query", reading), reading),
        };
    }
    found
}

/// A secret: referenced, and of the form that the request can carry.
pub(super) fn secret(
    section: &Section<'_>,
    key: &str,
    reading: &mut Reading<'_>,
    check: impl Fn(&str) -> Result<(), Fault>,
) -> Option<Secret> {
    let text = referenced(section, key, reading)?;
    understood(&text, &mut reading.problems, |value| {
        check(value).map(|()| Secret::new(value.as_bytes()))
    })
}

/// A string with a reference in it; a secret that was written literally is a problem, and its
/// value no part of the message.
pub(super) fn referenced(
    section: &Section<'_>,
    key: &str,
    reading: &mut Reading<'_>,
) -> Option<Text> {
    let text = section.text(key, reading)?;
    if text.referenced {
        return Some(text);
    }
    let message = format!("the secret `{}` is written literally", text.at.key);
    let help = if section.knows("sha256") {
        "write `${env:NAME}` or `${file:PATH}`, or its hash as `sha256`"
    } else {
        "write `${env:NAME}` or `${file:PATH}`"
    };
    reading.problems.add(&text.at, message).help(help);
    None
}

/// What can stand behind `Bearer`.
pub(super) fn bearer(value: &str) -> Result<(), Fault> {
    if value.is_empty() {
        return Err(Fault::new("is empty"));
    }
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::new(
            "can not be sent: it has white space or characters other than visible ASCII",
        ));
    }
    Ok(())
}

/// `basic`: a table, or `user:password` (RFC 7617: no colon in the user's name).
fn basic(table: &Section<'_>, reading: &mut Reading<'_>) -> Option<Credential> {
    let clean = |value: &str| {
        if value.chars().any(char::is_control) {
            return Err(Fault::new("has a control character"));
        }
        Ok(())
    };
    let user = |name: &str| {
        clean(name)?;
        if name.contains(':') {
            return Err(Fault::new("has a `:` in the user's name"));
        }
        Ok(name.to_owned())
    };
    if let Some(pair) = table.either_table("basic", reading) {
        let user = pair.parsed("user", reading, user);
        let password = secret(&pair, "password", reading, clean);
        return Some(Credential::Basic {
            user: user?,
            password: password?,
        });
    }
    let text = referenced(table, "basic", reading)?;
    understood(&text, &mut reading.problems, |value| {
        clean(value)?;
        let (user, password) = value
            .split_once(':')
            .ok_or_else(|| Fault::with("has no `:`", "user and password, as `user:password`"))?;
        Ok(Credential::Basic {
            user: user.to_owned(),
            password: Secret::new(password.as_bytes()),
        })
    })
}

/// `header`
fn header(table: &Section<'_>, reading: &mut Reading<'_>) -> Option<Credential> {
    let name = table.parsed("name", reading, |text| {
        let name = values::header_name(text)?;
        names::not_the_gateways(&name).map(|()| name)
    });
    let value = secret(table, "value", reading, |value| {
        not_empty(value)?;
        values::header_value(value).map(|_| ())
    });
    Some(Credential::Header {
        name: name?,
        value: value?,
    })
}

/// `query`
fn query(table: &Section<'_>, reading: &mut Reading<'_>) -> Option<Credential> {
    let name = table.parsed("name", reading, |text| {
        not_empty(text)?;
        Ok(text.to_owned())
    });
    let value = secret(table, "value", reading, not_empty);
    Some(Credential::Query {
        name: name?,
        value: value?,
    })
}

/// Refuses nothing at all.
fn not_empty(text: &str) -> Result<(), Fault> {
    match text {
        "" => Err(Fault::new("is empty")),
        _ => Ok(()),
    }
}
