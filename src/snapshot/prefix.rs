//! What is put before the path of an operation on its way to the upstream.

use std::collections::BTreeSet;

use crate::config::Upstream;
use crate::openapi::{Action, Finding, Operation};

/// The path of `upstream.url` if it has one, else that of the operation's own first server, if
/// that is the upstream: where another host keeps its API says nothing about this one.
pub(super) fn prefix<'a>(upstream: &'a Upstream, operation: &'a Operation) -> &'a str {
    if !upstream.base_path.is_empty() {
        &upstream.base_path
    } else if is_elsewhere(upstream, operation) {
        ""
    } else {
        &operation.server_path
    }
}

/// Says which servers were not heeded.
pub(super) fn report(upstream: &Upstream, operations: &[Operation]) -> Vec<Finding> {
    let elsewhere: BTreeSet<(&str, &str)> = operations
        .iter()
        .filter(|operation| is_elsewhere(upstream, operation))
        // Whoever wrote the path knows where the API is.
        .filter(|_| upstream.base_path.is_empty())
        .filter_map(|operation| {
            Some((
                operation.server_host.as_deref()?,
                operation.server_path.as_str(),
            ))
        })
        .collect();
    let finding = |(host, path): (&str, &str)| Finding {
        pointer: "#/servers".to_owned(),
        action: Action::Noted,
        message: if path.is_empty() || !upstream.base_path.is_empty() {
            format!("the server {host} is not the upstream, which is called all the same")
        } else {
            format!(
                "the server {host} is not the upstream, which is called all the same and without \
                 its path {path}; if the upstream has that path too, write it into `upstream.url`"
            )
        },
    };
    elsewhere.into_iter().map(finding).collect()
}

/// Whether its server is another host. Ports do not count, and this machine has several names.
fn is_elsewhere(upstream: &Upstream, operation: &Operation) -> bool {
    let Some(server) = &operation.server_host else {
        return false;
    };
    let name = server
        .rsplit_once(':')
        .map_or(server.as_str(), |(name, _)| name);
    let name = name.trim_matches(['[', ']']);
    !upstream.servers.iter().any(|own| {
        name.eq_ignore_ascii_case(&own.host) || is_loopback(name) && is_loopback(&own.host)
    })
}

/// Whether it is a name of this machine.
fn is_loopback(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Credential, Roots, Scheme, Server, UpstreamHost};

    fn upstream(host: &str, base_path: &str) -> Upstream {
        Upstream {
            scheme: Scheme::Http,
            servers: vec![Server {
                host: host.to_owned(),
                port: 8000,
                socket: None,
            }],
            base_path: base_path.to_owned(),
            host_header: UpstreamHost::Upstream,
            credential: Credential::Nothing,
            roots: Roots::Bundled,
            client_certificate: None,
            timeout: std::time::Duration::from_secs(1),
            total: None,
            resolve: std::time::Duration::from_secs(30),
            health: None,
            retries: 0,
            passes_fly_replay: false,
        }
    }

    fn operation(server_host: Option<&str>, server_path: &str) -> Operation {
        Operation {
            id: "list".to_owned(),
            given_id: "list".to_owned(),
            summary: None,
            description: None,
            consequential: None,
            hidden: Vec::new(),
            original_id: None,
            method: http::Method::GET,
            path: "/todos".to_owned(),
            path_key: "/todos".to_owned(),
            fixed_query: Vec::new(),
            tags: Vec::new(),
            server_path: server_path.to_owned(),
            server_host: server_host.map(str::to_owned),
        }
    }

    #[track_caller]
    fn check(upstream: &Upstream, server: (Option<&str>, &str), expected: &str, told: usize) {
        let operation = operation(server.0, server.1);
        assert_eq!(prefix(upstream, &operation), expected);
        assert_eq!(
            report(upstream, &[operation.clone(), operation]).len(),
            told
        );
    }

    #[test]
    fn whose_path_is_put_before_an_operation() {
        let bare = upstream("api.example", "");
        check(&bare, (None, ""), "", 0);
        check(&bare, (None, "/v1"), "/v1", 0);
        check(&bare, (Some("API.example:443"), "/v1"), "/v1", 0);
        check(&bare, (Some("other.example:443"), "/v1"), "", 1);
        check(&bare, (Some("other.example:443"), ""), "", 1);
        let based = upstream("api.example", "/base");
        check(&based, (None, "/v1"), "/base", 0);
        check(&based, (Some("other.example:443"), "/v1"), "/base", 0);
    }

    #[test]
    fn this_machine_has_several_names() {
        for name in ["localhost:80", "127.0.0.1:9", "[::1]:8000"] {
            check(&upstream("127.0.0.1", ""), (Some(name), "/v1"), "/v1", 0);
        }
        check(
            &upstream("127.0.0.1", ""),
            (Some("10.0.0.1:80"), "/v1"),
            "",
            1,
        );
    }
}
