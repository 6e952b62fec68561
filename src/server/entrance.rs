//! Which connections are taken, and from whom they really are.

use std::net::SocketAddr;
use std::sync::Arc;

use socket2::SockRef;
use tokio::net::TcpStream;

use super::linger::Socket;
use super::listener::Kind;
use super::networks::{Held, Networks};
use super::proxy::{self, Announced, Ends};
use super::silence::Silence;
use super::{Event, Handler, Settings};
use crate::config::ProxyProtocol;
use crate::network::{Network, covers};

/// What can be said as soon as a connection is accepted. Counts it for its peer's network; a
/// trusted proxy carries many clients, so that its own is not counted.
pub(super) fn admit(
    settings: &Settings,
    networks: &Arc<Networks>,
    peer: SocketAddr,
) -> Result<Option<Held>, Event> {
    if covers(&settings.trusted_proxies, peer.ip()) {
        return Ok(None);
    }
    if settings.proxy_protocol == ProxyProtocol::Required {
        complain(peer, "its peer is not in trusted_proxies");
        return Err(Event::NoProxy);
    }
    count(settings, networks, peer).map(Some)
}

/// What is said before everything else: reads the header of a trusted proxy that has to, or may
/// send one. `None`: the connection is not taken, and has been counted.
pub(super) async fn identify<H: Handler>(
    handler: &H,
    networks: &Arc<Networks>,
    kind: Kind,
    mut socket: Socket,
    ends: Ends,
) -> Option<(Socket, Ends)> {
    let settings = handler.settings();
    if settings.proxy_protocol == ProxyProtocol::Off
        || !covers(&settings.trusted_proxies, ends.0.ip())
    {
        return Some((socket, ends));
    }
    // Boxed, so that its state is freed when it is over.
    let received = Box::pin(proxy::receive(&mut socket));
    let announced = match tokio::time::timeout(settings.limits.request_head, received).await {
        Ok(Ok(announced)) => announced,
        Ok(Err(_)) => return None,
        Err(_) => {
            handler.note(Event::TimedOut);
            return None;
        }
    };
    let reason = match announced {
        Announced::Ends(None) => return Some((socket, ends)),
        Announced::Ends(Some(named)) => {
            if !covers(&settings.trusted_proxies, named.0.ip()) {
                match count(&settings, networks, named.0) {
                    Ok(held) => socket.hold(held),
                    Err(event) => {
                        turn_away(handler, socket.stream(), kind, event);
                        return None;
                    }
                }
            }
            return Some((socket, named));
        }
        Announced::Nothing if settings.proxy_protocol == ProxyProtocol::Optional => {
            return Some((socket, ends));
        }
        Announced::Nothing => "there is no header",
        Announced::Malformed(reason) => reason,
    };
    complain(ends.0, reason);
    handler.note(Event::ProxyHeader);
    None
}

/// Says why a connection is closed without a word, which looks like a fault of TLS to whoever opened
/// it. Once a minute for each worker: the metrics count all of them.
fn complain(peer: SocketAddr, reason: &'static str) {
    thread_local! {
        static TOLD: Silence = const { Silence::new() };
    }
    if TOLD.with(Silence::is_over) {
        tracing::warn!(%peer, reason, "a connection is closed by listen.proxy_protocol");
    }
}

/// Counts a connection for a network.
fn count(settings: &Settings, networks: &Arc<Networks>, of: SocketAddr) -> Result<Held, Event> {
    let limit = settings.limits.connections_per_network;
    networks
        .enter(Network::of(of.ip()), limit)
        .ok_or(Event::NetworkFull)
}

/// Says no as cheaply as can be: where it is plain HTTP and the client may come again, by an
/// answer that fits into the socket's empty buffer; else by closing. Whether the client reads it
/// is not waited for.
pub(super) fn turn_away<H: Handler>(
    handler: &H,
    stream: Option<&TcpStream>,
    kind: Kind,
    event: Event,
) {
    handler.note(event);
    let crowded = matches!(event, Event::Full | Event::NetworkFull);
    if let (true, Kind::Http, Some(stream)) = (crowded, kind, stream) {
        let _ = SockRef::from(stream).send(&handler.crowded(event == Event::Full));
    }
}
