//! Dialling an upstream.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::uri::Scheme;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::TlsConnector;

pub use crate::snapshot::Target;

use super::http1::Connection;
use super::http2::Shared;
use super::names::Names;
use super::room::{Place, Room};
use super::socket::Socket;
use super::stream::Stream;
use super::transport::Transport;
use super::{Channel, told};
use crate::alarm::Alarm;
use crate::congestion;
use crate::layers::intake::Intake;

/// After how long the next address of a name is tried as well (RFC 8305 §5).
const NEXT: Duration = Duration::from_millis(250);
/// How long a connection that was given up may take for an orderly end.
pub(super) const FAREWELL: Duration = Duration::from_secs(1);

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Name look-up.
    #[error("its name can not be resolved: {0}")]
    Resolve(#[source] io::Error),
    /// The name has no address.
    #[error("its name has no address")]
    NoAddress,
    /// TCP, or the unix socket.
    #[error("{0}")]
    Connect(#[source] io::Error),
    /// TLS.
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    /// All of it together took too long.
    #[error("no connection within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The codec refused to start.
    #[error("{}", told(.0))]
    Codec(#[from] hyper::Error),
    /// It ended the connection before it had said that it speaks HTTP/2.
    #[error("it does not speak HTTP/2")]
    NotHttp2,
    /// It speaks nothing else, where HTTP/1.1 is wanted.
    #[error("it does not speak HTTP/1.1")]
    NotHttp1,
    /// There are as many connections as the process may have. Nothing was tried.
    #[error("there are too many connections to upstreams")]
    Crowded,
    /// One that others wait for as well.
    #[error("{0}")]
    Shared(Arc<ConnectError>),
}

impl ConnectError {
    /// Whether there was no room for it here, which says nothing of the upstream.
    pub(super) fn is_crowded(&self) -> bool {
        match self {
            Self::Crowded => true,
            Self::Shared(error) => error.is_crowded(),
            _ => false,
        }
    }
}

/// What may be spoken on a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speak {
    /// What the target says, or, below TLS, what the upstream chooses.
    Any,
    /// HTTP/1.1, the only one that can be upgraded.
    Http1,
}

/// A new connection.
#[derive(Debug)]
pub(super) enum Connected {
    /// For one request after the other.
    Http1(Channel),
    /// For many at once.
    Http2(Rc<Shared>),
}

/// Dials, within `target.connect` and where there is room.
pub(super) async fn connect(
    target: &Target,
    names: &Names,
    room: &Room,
    speak: Speak,
) -> Result<Connected, ConnectError> {
    let deadline = Instant::now() + target.connect;
    let late = |_| ConnectError::TimedOut(target.connect);
    let stream = async {
        match &target.socket {
            Some(path) => {
                let place = room.take(&target.key).ok_or(ConnectError::Crowded)?;
                let stream = UnixStream::connect(path).await;
                stream
                    .map(|stream| Stream::Unix(stream, place))
                    .map_err(ConnectError::Connect)
            }
            None => tcp(target, names, room).await,
        }
    };
    let stream = timeout_at(deadline, stream).await.map_err(|_| {
        names.doubt(target, Instant::now());
        ConnectError::TimedOut(target.connect)
    })??;
    let peer = match &stream {
        Stream::Tcp(tcp, _) if target.host.parse::<IpAddr>().is_err() => tcp.peer_addr().ok(),
        _ => None,
    };
    let connected = async {
        let Some((config, name)) = &target.tls else {
            if target.http2 {
                let socket = Socket::new(stream);
                let shared = Shared::begin(socket.clone(), socket, peer, Scheme::HTTP).await?;
                return Ok(Connected::Http2(shared));
            }
            return Ok(Connected::Http1(channel(Transport::Plain(stream), peer)));
        };
        let socket = Socket::new(stream);
        let connector = TlsConnector::from(Arc::clone(config));
        let name = ServerName::clone(name);
        let below = Intake::new(socket.clone());
        let tls = match speak {
            Speak::Any => connector.connect(name, below).await,
            Speak::Http1 => {
                let connector = connector.with_alpn(vec![b"http/1.1".to_vec()]);
                connector.connect(name, below).await
            }
        };
        let tls = tls.map_err(ConnectError::Tls)?;
        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
            let shared = Shared::begin(tls, socket, peer, Scheme::HTTPS).await?;
            return Ok(Connected::Http2(shared));
        }
        let transport = Transport::Tls(Box::new(tls), socket);
        Ok(Connected::Http1(channel(transport, peer)))
    };
    timeout_at(deadline, connected).await.map_err(late)?
}

/// Connects to one of the addresses.
async fn tcp(target: &Target, names: &Names, room: &Room) -> Result<Stream, ConnectError> {
    // Before a name is looked up, which takes descriptors too.
    let place = room.take(&target.key).ok_or(ConnectError::Crowded)?;
    let addresses = names.addresses(target).await?;
    let connected = match *addresses {
        [address] => attempt(address, place).await,
        _ => first_of(&addresses, place, || room.take(&target.key)).await,
    };
    let (stream, place) = connected.inspect_err(|_| names.doubt(target, Instant::now()))?;
    prepare(&stream).map_err(ConnectError::Connect)?;
    Ok(Stream::Tcp(stream, place))
}

async fn attempt(address: SocketAddr, place: Place) -> Result<(TcpStream, Place), ConnectError> {
    let stream = TcpStream::connect(address).await;
    stream
        .map(|stream| (stream, place))
        .map_err(ConnectError::Connect)
}

/// Tries one address after the other, the next when one fails or takes its time (RFC 8305, with
/// the system's order); the first connection is taken. The first attempt has the place, another
/// one needs another.
async fn first_of(
    addresses: &[SocketAddr],
    place: Place,
    more: impl Fn() -> Option<Place>,
) -> Result<(TcpStream, Place), ConnectError> {
    let mut waiting = addresses.iter();
    let mut attempts = JoinSet::new();
    let mut result = Err(ConnectError::NoAddress);
    let mut place = Some(place);
    loop {
        if waiting.len() > 0
            && let Some(place) = place.take().or_else(&more)
            && let Some(address) = waiting.next()
        {
            drop(attempts.spawn_local(attempt(*address, place)));
        } else if attempts.is_empty() {
            let crowded = waiting.len() > 0;
            return if crowded {
                Err(ConnectError::Crowded)
            } else {
                result
            };
        }
        tokio::select! {
            Some(attempt) = attempts.join_next() => match attempt {
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => result = Err(error),
                Err(_) => {}
            },
            () = sleep(NEXT), if waiting.len() > 0 => {}
        }
    }
}

/// No delay for small writes; and while an event stream is silent, TCP asks whether the upstream
/// is still there.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    let vanished = TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    SockRef::from(stream).set_tcp_keepalive(&vanished)?;
    congestion::suit(stream, stream.peer_addr()?.ip());
    stream.set_nodelay(true)
}

fn channel(transport: Transport, peer: Option<SocketAddr>) -> Channel {
    Channel {
        connection: Connection::new(transport),
        peer,
        proven: false,
        alarm: Alarm::default(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A port that was just given back refuses connections.
    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (first, second) = (
            refusing.local_addr().unwrap(),
            listening.local_addr().unwrap(),
        );
        drop(refusing);
        tokio::task::LocalSet::new()
            .run_until(async {
                let room = Room::endless();
                let more = || room.take(&"one".into());
                let place = || more().unwrap();
                let all = [first, first, second];
                let (stream, held) = first_of(&all, place(), more).await.unwrap();
                assert_eq!(stream.peer_addr().unwrap(), second);
                let refused = first_of(&[first, first], place(), more).await;
                assert!(matches!(refused, Err(ConnectError::Connect(_))));
                assert_eq!(room.taken().0, 1);
                drop(held);
                assert_eq!(room.taken().0, 0);
                // One at a time, where there is room for no more.
                room.resize(1);
                let (stream, _held) = first_of(&all, place(), more).await.unwrap();
                assert_eq!(stream.peer_addr().unwrap(), second);
            })
            .await;
    }
}
