//! The documents of a plugin, as the world gets them.

use anyhow::bail;

use crate::documents::Found;
use crate::snapshot::{Plugin, Snapshot};

/// The origin that a plugin has for the world.
pub(super) fn origin(snapshot: &Snapshot, plugin: &Plugin) -> String {
    if let Some(public) = &plugin.public {
        return public.origin.clone();
    }
    let config = snapshot
        .config
        .plugins
        .iter()
        .find(|config| config.name == *plugin.name);
    let hosts = config.map_or(&[][..], |config| &config.hosts);
    let local = |host: &str| host == "localhost" || host.starts_with("127.");
    let named = hosts.iter().find(|host| !local(host)).or(hosts.first());
    let host = named
        .or(plugin.fly_host.as_ref())
        .map_or("localhost", String::as_str);
    let listen = &snapshot.config.listen;
    let (scheme, usual, address) = match (listen.https.first(), listen.http.first()) {
        (Some(address), _) => ("https", 443, Some(address)),
        // What stands before a plain listener for all the world terminates TLS.
        (None, Some(_)) if !local(host) => return format!("https://{host}"),
        (None, address) => ("http", 80, address),
    };
    match address
        .map(std::net::SocketAddr::port)
        .filter(|port| *port != usual)
    {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

/// A document as it is served at an origin. The error says why there is none.
pub(super) fn document(plugin: &Plugin, path: &str, origin: &str) -> anyhow::Result<String> {
    match plugin.documents.find(path) {
        Some(Found::Document(document)) => {
            Ok(String::from_utf8_lossy(&document.content(origin)).into_owned())
        }
        Some(Found::Unavailable) => bail!(
            "plugin {} has no OpenAPI document yet: {}",
            plugin.name,
            plugin
                .unavailable
                .as_deref()
                .unwrap_or("it has not been fetched")
        ),
        None => bail!(
            "plugin {} does not publish {path} (its `publish` says what it does)",
            plugin.name
        ),
    }
}
