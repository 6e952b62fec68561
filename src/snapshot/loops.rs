//! Upstreams that are the gateway itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Config, Plugin, Server};
use crate::problems::{Place, Problems};

/// Refuses an upstream that is one of the gateway's own listeners. What leads back by another
/// name, or by other machines, is told by the requests themselves.
pub(super) fn refuse(config: &Config, problems: &mut Problems) {
    for plugin in &config.plugins {
        for server in &plugin.upstream.servers {
            if let Some(listener) = own(config, server) {
                told(plugin, server, listener, problems);
            }
        }
    }
}

fn told(plugin: &Plugin, server: &Server, listener: &str, problems: &mut Problems) {
    let at = Place {
        key: format!("plugins.{}.upstream.url", plugin.name),
        ..plugin.at.clone()
    };
    let address = server.key(plugin.upstream.scheme);
    let message = format!(
        "the upstream {address} of plugin {} is the gateway itself: {listener} listens there",
        plugin.name
    );
    problems
        .add(&at, message)
        .help("upstream.url is where the API listens, [listen] where the gateway does");
}

/// The key of the listener that is this server.
fn own(config: &Config, server: &Server) -> Option<&'static str> {
    let listen = &config.listen;
    if let Some(socket) = &server.socket {
        return (*socket == listen.admin).then_some("listen.admin");
    }
    let metrics: Vec<_> = listen.metrics.into_iter().collect();
    let all: [(&[SocketAddr], _); 4] = [
        (&listen.http, "listen.http"),
        (&listen.https, "listen.https"),
        (&metrics, "listen.metrics"),
        (&listen.admin_addresses, "listen.admin"),
    ];
    let is_here = |address: &SocketAddr| listens(*address, &server.host, server.port);
    let mut found = all.into_iter();
    found.find_map(|(addresses, key)| addresses.iter().any(is_here).then_some(key))
}

/// Whether who listens at an address is reached under a host, as it is written, and a port.
pub fn listens(address: SocketAddr, host: &str, port: u16) -> bool {
    let bare = host.trim_matches(['[', ']']);
    let local: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let asked: Vec<IpAddr> = match bare.parse::<IpAddr>() {
        // To connect to no address in particular is to connect to this machine.
        Ok(ip) if ip.is_unspecified() => local
            .into_iter()
            .filter(|l| l.is_ipv4() == ip.is_ipv4())
            .collect(),
        Ok(ip) => vec![ip.to_canonical()],
        Err(_) if bare.trim_end_matches('.').eq_ignore_ascii_case("localhost") => local.to_vec(),
        Err(_) => Vec::new(),
    };
    let here = |ip: &IpAddr| {
        let own = address.ip();
        let any = own.is_unspecified() && own.is_ipv4() == ip.is_ipv4() && ip.is_loopback();
        any || own.to_canonical() == *ip
    };
    // Port 0 is one that nobody knows yet.
    address.port() == port && port != 0 && asked.iter().any(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_in_other_words() {
        let check = |address: &str, host: &str, expected| {
            let address = address.parse().unwrap();
            assert_eq!(listens(address, host, 8080), expected, "{address} {host}");
        };
        for host in [
            "127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "0.0.0.0",
            "::ffff:127.0.0.1",
        ] {
            check("127.0.0.1:8080", host, true);
            check("0.0.0.0:8080", host, true);
            check("127.0.0.1:8081", host, false);
            check("10.0.0.1:8080", host, false);
        }
        for host in ["::1", "[::1]", "localhost", "::", "[::]"] {
            check("[::1]:8080", host, true);
            check("[::]:8080", host, true);
        }
        check("0.0.0.0:8080", "127.0.0.2", true);
        check("127.0.0.1:8080", "127.0.0.2", false);
        check("0.0.0.0:8080", "::1", false);
        check("[::]:8080", "127.0.0.1", false);
        check("10.0.0.1:8080", "10.0.0.1", true);
        check("0.0.0.0:8080", "10.0.0.1", false);
        check("0.0.0.0:8080", "api", false);
        assert!(!listens("0.0.0.0:0".parse().unwrap(), "localhost", 0));
    }
}
