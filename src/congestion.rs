//! Congestion control, where the host's own choice does not suit.
//!
//! BBR paces what it sends. That is right for the internet, and on loopback and within a data
//! centre it costs a quarter of the CPU of large responses. The classic algorithm is one that
//! every Linux lets every process choose (`tcp_allowed_congestion_control`).

use std::net::IpAddr;
use std::sync::OnceLock;

use socket2::SockRef;
use tokio::net::TcpStream;

/// Takes pacing off a connection whose peer is near.
pub(crate) fn suit(stream: &TcpStream, peer: IpAddr) {
    let socket = SockRef::from(stream);
    if is_near(peer) && paces(&socket) {
        // Where it can not be chosen, what is there works as well.
        let _ = socket.set_tcp_congestion(b"reno");
    }
}

/// Whether new sockets of this host have BBR. Asked once: each question is a system call.
fn paces(socket: &SockRef<'_>) -> bool {
    static PACES: OnceLock<bool> = OnceLock::new();
    *PACES.get_or_init(|| {
        socket
            .tcp_congestion()
            .is_ok_and(|name| name.starts_with(b"bbr"))
    })
}

/// Loopback and private addresses of IPv4 (RFC 1918). Not those of IPv6 (RFC 4193): private
/// networks of clouds span the world.
fn is_near(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_peers_are_near() {
        for (peer, near) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("::ffff:192.168.0.1", true),
            ("::1", true),
            ("203.0.113.7", false),
            ("fdaa::3", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_near(peer.parse().unwrap()), near, "{peer}");
        }
    }
}
