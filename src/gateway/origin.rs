//! Where a request says that it comes from, and under which name it knows us.

use http::{HeaderMap, HeaderValue, header};

use crate::headers::{Authority, ClientView};
use crate::rejection::Rejection;
use crate::server::Peer;
use crate::snapshot::Plugin;

/// Without tokens, the only thing between a web page and the API is where the page comes from.
/// A page of ours (`dev` has one) is no stranger.
pub(super) fn refuse_foreign_page(
    plugin: &Plugin,
    headers: &HeaderMap,
    client: &ClientView<'_>,
    peer: &Peer,
) -> Result<(), Rejection> {
    if !plugin.refuse_foreign_origins {
        return Ok(());
    }
    let own = origin(plugin, client, peer);
    let foreign =
        |from: &HeaderValue| !plugin.cors.allows(from) && from.as_bytes() != own.as_bytes();
    if headers.get_all(header::ORIGIN).iter().any(foreign) {
        return Err(Rejection::ForeignOrigin);
    }
    Ok(())
}

/// The origin under which a client knows the plugin.
///
/// A port that is neither the scheme's own nor one of ours is the client's word, also where a
/// trusted proxy passes it on (most do, without a look): no document is made for it. A client
/// that came to us itself knows the port that it connected to.
pub(super) fn origin(plugin: &Plugin, client: &ClientView<'_>, peer: &Peer) -> String {
    if let Some(public) = &plugin.public
        && public.host == client.authority.host
    {
        return public.origin.clone();
    }
    let scheme = if client.https { "https" } else { "http" };
    let mut authority = client.authority.clone();
    let told = authority.port_or_default(client.https);
    let usual = Authority {
        port: None,
        ..authority.clone()
    }
    .port_or_default(client.https);
    let direct = client.hops.is_empty() && client.ip == client.peer;
    if told != usual && told != peer.local.port() {
        let ours = plugin.ports.contains(&told);
        authority.port = if direct {
            Some(peer.local.port())
        } else {
            authority.port.filter(|_| ours)
        };
    }
    format!("{scheme}://{authority}")
}
