//! Dialling an upstream.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

pub use crate::snapshot::Target;

use super::Channel;

/// Bytes that may come before a response head is complete: a head, and interim responses (1xx),
/// which are dropped. hyper bounds a head by itself, but not the number of interim ones.
const BEFORE_HEAD: u64 = 1 << 20;

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Name look-up.
    #[error("its name can not be resolved: {0}")]
    Resolve(#[source] io::Error),
    /// The name has no address.
    #[error("its name has no address")]
    NoAddress,
    /// TCP.
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
    let tcp = timeout_at(deadline, tcp(target, deadline))
        .await
        .map_err(late)??;
    match &target.tls {
        None => channel(tcp).await,
        Some((config, name)) => {
            let connector = TlsConnector::from(Arc::clone(config));
            let tls = timeout_at(deadline, connector.connect(ServerName::clone(name), tcp))
                .await
                .map_err(late)?
                .map_err(ConnectError::Tls)?;
            channel(tls).await
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
                stream.set_nodelay(true).map_err(ConnectError::Connect)?;
                return Ok(stream);
            }
            Ok(Err(error)) => Err(ConnectError::Connect(error)),
            Err(_) => Err(ConnectError::TimedOut(share)),
        };
    }
    result
}

async fn channel<T>(io: T) -> Result<Channel, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let traffic = Arc::new(Traffic::default());
    let io = Counted {
        inner: io,
        traffic: Arc::clone(&traffic),
    };
    let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(io)).await?;
    tokio::task::spawn_local(async move {
        // Its error reaches whoever waits for the response.
        let _ = connection.await;
    });
    Ok(Channel { sender, traffic })
}

/// What came on a connection since the last request was sent.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    head_due: AtomicBool,
    bytes: AtomicU64,
}

impl Traffic {
    pub(super) fn expect_head(&self) {
        self.bytes.store(0, Relaxed);
        self.head_due.store(true, Relaxed);
    }

    pub(super) fn head_came(&self) {
        self.head_due.store(false, Relaxed);
    }

    /// Whether a byte came.
    pub(super) fn spoke(&self) -> bool {
        self.bytes.load(Relaxed) > 0
    }
}

/// A socket that counts what comes before a response head.
#[derive(Debug)]
struct Counted<T> {
    inner: T,
    traffic: Arc<Traffic>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if self.traffic.head_due.load(Relaxed) {
            let length = (buf.filled().len() - before) as u64;
            let bytes = self.traffic.bytes.fetch_add(length, Relaxed) + length;
            if bytes > BEFORE_HEAD {
                return Poll::Ready(Err(io::Error::other("too much before the response head")));
            }
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
