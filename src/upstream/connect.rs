//! Dialling an upstream.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

pub use crate::snapshot::Target;

use super::Channel;
use super::socket::{Counted, Socket, Traffic};
use super::stream::Stream;

/// How long a connection that was given up may take for an orderly end.
const FAREWELL: Duration = Duration::from_secs(1);

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
    #[error("{0}")]
    Codec(#[from] hyper::Error),
}

/// Dials, within `target.connect`.
pub(super) async fn connect(target: &Target) -> Result<Channel, ConnectError> {
    let deadline = Instant::now() + target.connect;
    let late = |_| ConnectError::TimedOut(target.connect);
    let stream = async {
        match &target.socket {
            Some(path) => UnixStream::connect(path)
                .await
                .map(Stream::Unix)
                .map_err(ConnectError::Connect),
            None => tcp(target, deadline).await.map(Stream::Tcp),
        }
    };
    let socket = Socket::new(timeout_at(deadline, stream).await.map_err(late)??);
    match &target.tls {
        None => channel(socket.clone(), socket).await,
        Some((config, name)) => {
            let connector = TlsConnector::from(Arc::clone(config));
            let tls = timeout_at(
                deadline,
                connector.connect(ServerName::clone(name), socket.clone()),
            )
            .await
            .map_err(late)?
            .map_err(ConnectError::Tls)?;
            channel(tls, socket).await
        }
    }
}

/// Tries the addresses of a name one after the other, each with its share of the time.
async fn tcp(target: &Target, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let addresses: Vec<SocketAddr> = match target.host.parse() {
        Ok(ip) => vec![SocketAddr::new(ip, target.port)],
        Err(_) => tokio::net::lookup_host((&*target.host, target.port))
            .await
            .map_err(ConnectError::Resolve)?
            .collect(),
    };
    let mut result = Err(ConnectError::NoAddress);
    for (tried, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        result = match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                prepare(&stream).map_err(ConnectError::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) => Err(ConnectError::Connect(error)),
            Err(_) => Err(ConnectError::TimedOut(share)),
        };
    }
    result
}

/// No delay for small writes; and while an event stream is silent, TCP asks whether the upstream
/// is still there.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    let vanished = TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    SockRef::from(stream).set_tcp_keepalive(&vanished)?;
    stream.set_nodelay(true)
}

async fn channel<T>(io: T, socket: Socket) -> Result<Channel, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let traffic = Arc::new(Traffic::default());
    let io = Counted::new(io, Arc::clone(&traffic));
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(io)).await?;
    let (held, released) = oneshot::channel();
    tokio::task::spawn_local(async move {
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            biased;
            // Its error reaches whoever waits for the response.
            _ = connection.as_mut() => {}
            // Nobody will use it again. hyper then wants to flush what it still has, which takes
            // as long as the upstream likes; and it holds the client's body meanwhile.
            _ = released => drop(timeout(FAREWELL, connection).await),
        }
    });
    Ok(Channel {
        sender,
        traffic,
        socket,
        _held: held,
    })
}
