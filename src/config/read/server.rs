//! The tables that are not about one plugin: addresses, certificates, log, bounds.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::{IpNet, Ipv6Net};
use toml::de::DeValue;

use super::{incomplete, private};
use crate::config::section::{Reading, Section};
use crate::config::values::{self, Fault};
use crate::config::{
    AccessLog, Certificate, Limits, Listen, Log, LogFormat, LogLevel, ProxyProtocol, Secret,
    TokenUrl,
};
use crate::problems::Place;

/// All of it.
pub(in crate::config) struct Server {
    /// `workers`
    pub workers: Option<usize>,
    /// `trusted_proxies`
    pub trusted_proxies: Vec<IpNet>,
    /// `trusted_proxies = "fly"`
    pub behind_fly: bool,
    /// `token_files`
    pub token_files: Vec<PathBuf>,
    /// Those of them that are URLs.
    pub token_urls: Vec<TokenUrl>,
    /// `[listen]`
    pub listen: Listen,
    /// `[tls]`
    pub certificates: Vec<Certificate>,
    /// `state.directory`
    pub state_directory: PathBuf,
    /// `[log]`
    pub log: Log,
    /// `[limits]`
    pub limits: Limits,
}

/// Reads the main file's own tables.
pub(in crate::config) fn server(root: &Section<'_>, reading: &mut Reading<'_>) -> Server {
    let state_directory = root
        .table("state", reading)
        .parsed("directory", reading, path)
        .unwrap_or_default();
    let listen = listen(&root.table("listen", reading), &state_directory, reading);
    let (trusted_proxies, behind_fly) = trusted_proxies(root, reading);
    if let Some(at) = root.table_written_key("listen", "proxy_protocol")
        && trusted_proxies.is_empty()
    {
        nobody_is_trusted(listen.proxy_protocol, &at, reading);
    }
    let (token_files, token_urls) = super::token_files::token_files(root, reading);
    Server {
        workers: root
            .integer("workers", reading)
            .map(|workers| usize::try_from(workers).unwrap_or(usize::MAX)),
        trusted_proxies,
        behind_fly,
        token_files,
        token_urls,
        certificates: certificates(root, &listen, reading),
        listen,
        state_directory,
        log: log(&root.table("log", reading), reading),
        limits: limits(&root.table("limits", reading), reading),
    }
}

/// A path of something that need not be there yet.
pub(super) fn path(text: &str) -> Result<PathBuf, Fault> {
    match text {
        "" => Err(Fault::new("is no path")),
        path => Ok(PathBuf::from(path)),
    }
}

/// The networks of `trusted_proxies`, and whether they are those of Fly's proxy.
fn trusted_proxies(root: &Section<'_>, reading: &mut Reading<'_>) -> (Vec<IpNet>, bool) {
    let found = root.find("trusted_proxies");
    if matches!(&found, Some((DeValue::String(word), _)) if word == "fly") {
        return (fly_proxy(), true);
    }
    let networks = networks(root, "trusted_proxies", reading);
    tell_of_everybody(&networks, reading);
    let networks = networks.into_iter().map(|(network, _)| network);
    (networks.collect(), false)
}

/// A list of networks. Host bits mean nothing, and whoever writes some most likely means less.
pub(super) fn networks(
    section: &Section<'_>,
    name: &str,
    reading: &mut Reading<'_>,
) -> Vec<(IpNet, Place)> {
    let mut networks = section.list(name, reading, values::network);
    for (network, at) in &mut networks {
        let (written, whole) = (*network, network.trunc());
        *network = whole;
        if written != whole {
            let address = written.addr();
            reading
                .problems
                .warn(at, format!("`{written}` is taken as `{whole}`"))
                .help(format!(
                    "write `{whole}`, or `{address}` for that address alone"
                ));
        }
    }
    networks
}

/// Says which of these networks are everybody, or half of all, by themselves or together.
fn tell_of_everybody(networks: &[(IpNet, Place)], reading: &mut Reading<'_>) {
    let all: Vec<IpNet> = networks.iter().map(|(network, _)| *network).collect();
    for together in IpNet::aggregate(&all) {
        let Some(share) = share(together) else {
            continue;
        };
        let whole = networks.iter().find(|(part, _)| *part == together);
        let part = || networks.iter().find(|(part, _)| together.contains(part));
        let Some((first, at)) = whole.or_else(part) else {
            continue;
        };
        let who = match whole {
            Some(_) => format!("`{together}` is"),
            None => format!("`{first}` and the others are"),
        };
        let message = format!(
            "{who} {share}: any client may write which address it has, so that `networks` of tokens, `limits.failed_auth` and what is counted by network mean nothing"
        );
        let warning = reading.problems.warn(at, message);
        warning.help("write the networks of the proxies, such as `10.0.0.0/8`");
    }
}

/// How many of those who may be clients are in a network, if it is about all of them. Of IPv6 all
/// that is routed is `2000::/3` (RFC 4291 §2.4 and IANA's registry).
fn share(network: IpNet) -> Option<&'static str> {
    let IpNet::V6(network) = network else {
        return match network.prefix_len() {
            0 => Some("everybody"),
            1 => Some("half of all IPv4 addresses"),
            _ => None,
        };
    };
    let holds = |first: u16, length| {
        let first = Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0);
        Ipv6Net::new(first, length).is_ok_and(|part| network.contains(&part))
    };
    if holds(0x2000, 3) {
        Some("everybody")
    } else if holds(0x2000, 4) || holds(0x3000, 4) {
        Some("half of all IPv6 addresses")
    } else {
        None
    }
}

/// Where Fly's proxy connects from: private IPv4 addresses (RFC 1918 §3). Other machines of an
/// organization come by its private network, which is IPv6 and goes past the proxy, so that they
/// could write into the headers what they like.
fn fly_proxy() -> Vec<IpNet> {
    let private = [
        ([10, 0, 0, 0], 8),
        ([172, 16, 0, 0], 12),
        ([192, 168, 0, 0], 16),
    ];
    private
        .into_iter()
        .filter_map(|(address, prefix)| IpNet::new(address.into(), prefix).ok())
        .collect()
}

/// The PROXY protocol is read from trusted proxies only, and there are none.
fn nobody_is_trusted(protocol: ProxyProtocol, at: &Place, reading: &mut Reading<'_>) {
    let problem = match protocol {
        ProxyProtocol::Off => return,
        ProxyProtocol::Optional => reading.problems.warn(
            at,
            "nobody may send a header: there is no peer in `trusted_proxies`",
        ),
        ProxyProtocol::Required => reading.problems.add(
            at,
            "every connection would be refused: there is no peer in `trusted_proxies`",
        ),
    };
    problem.help("write the networks of the proxies, such as `trusted_proxies = [\"10.0.0.0/8\"]`");
}

/// `[listen]`
fn listen(section: &Section<'_>, state: &Path, reading: &mut Reading<'_>) -> Listen {
    let mut taken = BTreeMap::new();
    let https = addresses(section, "https", &mut taken, reading);
    let http = addresses(section, "http", &mut taken, reading);
    if section.written("https").is_none() && section.written("http").is_none() {
        reading
            .problems
            .add(section.at(), "there is no address to listen on")
            .help("write `https` or `http` into [listen], such as `http = \"127.0.0.1:8080\"`");
    }
    let metrics = section.parsed("metrics", reading, |text| {
        let addresses = values::addresses(text)?;
        addresses
            .first()
            .copied()
            .ok_or_else(|| Fault::new("is no address"))
    });
    if let (Some(address), Some(at)) = (metrics, section.written("metrics")) {
        take(address, &at, &mut taken, reading);
    }
    let mut socket = None;
    let mut admin_addresses = Vec::new();
    for (place, at) in section.list("admin", reading, admin) {
        match place {
            Admin::Socket(path) if socket.is_none() => socket = Some(path),
            Admin::Socket(_) => {
                reading
                    .problems
                    .add(&at, "there is one admin socket at the most");
            }
            Admin::Addresses(addresses) => {
                for address in addresses {
                    take(address, &at, &mut taken, reading);
                    admin_addresses.push(address);
                }
            }
        }
    }
    Listen {
        https,
        http,
        metrics,
        admin: socket.unwrap_or_else(|| state.join("admin.sock")),
        admin_addresses,
        proxy_protocol: match section.choice("proxy_protocol", reading) {
            Some("optional") => ProxyProtocol::Optional,
            Some("required") => ProxyProtocol::Required,
            _ => ProxyProtocol::Off,
        },
    }
}

/// A place of the admin API.
enum Admin {
    Socket(PathBuf),
    Addresses(Vec<SocketAddr>),
}

/// A socket, or addresses: those that are not loopback ones speak TLS, since admin tokens do not
/// cross a network in the clear.
fn admin(text: &str) -> Result<Admin, Fault> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.len() {
            0 => Err(Fault::new("has an empty path")),
            // 108 bytes hold the path of a socket on Linux, 104 on macOS, with a zero at its end.
            101.. => Err(Fault::with(
                "is too long for the path of a socket",
                "at most 100 bytes",
            )),
            _ => Ok(Admin::Socket(PathBuf::from(path))),
        };
    }
    let addresses = values::addresses(text).map_err(|_| {
        Fault::with(
            "is neither a socket nor an address",
            "write `unix:` and a path, such as `unix:state/admin.sock`, or an address, such as `127.0.0.1:9091`",
        )
    })?;
    Ok(Admin::Addresses(addresses))
}

/// The addresses of one key.
fn addresses(
    section: &Section<'_>,
    name: &str,
    taken: &mut BTreeMap<SocketAddr, Place>,
    reading: &mut Reading<'_>,
) -> Vec<SocketAddr> {
    let found = section.list(name, reading, values::addresses);
    if let (Some((DeValue::Array(items), at)), true) = (section.find(name), found.is_empty())
        && items.is_empty()
    {
        let message = format!("`{}` is an empty list", at.key);
        reading
            .problems
            .add(&at, message)
            .help("leave the key out, or write an address");
    }
    let mut all = Vec::new();
    for (addresses, at) in found {
        for address in addresses {
            take(address, &at, taken, reading);
            all.push(address);
        }
    }
    all
}

/// An address can be bound once; port 0 is a new one each time.
fn take(
    address: SocketAddr,
    at: &Place,
    taken: &mut BTreeMap<SocketAddr, Place>,
    reading: &mut Reading<'_>,
) {
    if address.port() == 0 {
        return;
    }
    if let Some(first) = taken.get(&address) {
        let message = format!("{address} is already taken by `{}` at {first}", first.key);
        reading.problems.add(at, message);
    } else {
        taken.insert(address, at.clone());
    }
}

/// `[tls]`: the pair of the table itself, then those of the list.
fn certificates(
    root: &Section<'_>,
    listen: &Listen,
    reading: &mut Reading<'_>,
) -> Vec<Certificate> {
    let section = root.table("tls", reading);
    let further = section.tables("certificates", reading);
    let public = |address: &SocketAddr| !address.ip().is_loopback();
    let public_admin = listen.admin_addresses.iter().any(public);
    let admin = root.table_written_key("listen", "admin");
    let admin = admin.filter(|_| public_admin);
    let https = root.table_written_key("listen", "https").or(admin);
    if https.is_none() {
        if section.is_written() {
            reading
                .problems
                .warn(
                    section.at(),
                    "the certificates are not used: nothing listens for TLS",
                )
                .help("write `https` into [listen], or remove [tls]");
        }
        return Vec::new();
    }
    let mut pairs = Vec::new();
    match (section.written("certificate"), section.written("key")) {
        (None, None) => {}
        (Some(_), Some(_)) => pairs.extend(certificate(&section, reading)),
        (Some(at), None) => incomplete("tls.key", &at, reading),
        (None, Some(at)) => incomplete("tls.certificate", &at, reading),
    }
    for pair in &further {
        pairs.extend(certificate(pair, reading));
    }
    let none = ["certificate", "key", "certificates"]
        .iter()
        .all(|key| section.written(key).is_none());
    let speaks = !listen.https.is_empty() || public_admin;
    if let (Some(at), true, true) = (https, none, speaks) {
        reading
            .problems
            .add(&at, "there is no certificate for the TLS listener")
            .help("write `certificate` and `key` into [tls]");
    }
    pairs
}

/// One pair, read.
fn certificate(section: &Section<'_>, reading: &mut Reading<'_>) -> Option<Certificate> {
    let certificate = section.text("certificate", reading);
    let key = section.text("key", reading);
    let (certificate, key) = (certificate?, key?);
    let certificate_path = PathBuf::from(&certificate.value);
    let key_path = PathBuf::from(&key.value);
    let chain = private(&certificate_path, &certificate, reading);
    let secret: Option<Arc<[u8]>> = private(&key_path, &key, reading);
    Some(Certificate {
        certificate: chain?,
        key: Secret::new(secret?),
        certificate_path,
        key_path,
        at: certificate.at,
        key_at: key.at,
    })
}

/// `[log]`
fn log(section: &Section<'_>, reading: &mut Reading<'_>) -> Log {
    Log {
        level: match section.choice("level", reading) {
            Some("error") => LogLevel::Error,
            Some("warn") => LogLevel::Warn,
            Some("debug") => LogLevel::Debug,
            Some("trace") => LogLevel::Trace,
            _ => LogLevel::Info,
        },
        format: match section.choice("format", reading) {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            _ => LogFormat::Auto,
        },
        access: match section.choice("access", reading) {
            Some("errors") => AccessLog::Errors,
            Some("off") => AccessLog::Off,
            _ => AccessLog::All,
        },
    }
}

/// `[limits]`
fn limits(section: &Section<'_>, reading: &mut Reading<'_>) -> Limits {
    let mut wait = |name| section.duration(name, reading).unwrap_or_default();
    let request_head = wait("request_head");
    let body_idle = wait("body_idle");
    let write_stall = wait("write_stall");
    let idle = wait("idle");
    let upstream_connect = wait("upstream_connect");
    let upstream_idle = wait("upstream_idle");
    let mut count = |name| section.integer(name, reading).unwrap_or_default();
    let headers = count("headers");
    let streams = count("streams");
    let connections = count("connections");
    let connections_per_network = count("connections_per_network");
    let requests_per_connection = count("requests_per_connection");
    let response_chars = count("response_chars");
    Limits {
        request_head,
        body_idle,
        write_stall,
        idle,
        drain: section.duration("drain", reading),
        upstream_connect,
        upstream_idle,
        head_bytes: usize::try_from(section.size("head_bytes", reading)).unwrap_or(usize::MAX),
        headers: usize::try_from(headers).unwrap_or(usize::MAX),
        body_bytes: section.size("body_bytes", reading),
        streams: u32::try_from(streams).unwrap_or(u32::MAX),
        failed_auth: section.rate("failed_auth", reading),
        requests_per_connection,
        body_rate: section.rate("body_rate", reading),
        response_chars,
        connections: usize::try_from(connections).unwrap_or(usize::MAX),
        connections_per_network: usize::try_from(connections_per_network).unwrap_or(usize::MAX),
    }
}
