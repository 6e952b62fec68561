//! The loop of an own listener, and what bounds its clients.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::peer::Peer;
use super::room::Networks;

/// What a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at a time; further ones wait until one of them ends.
    pub(super) connections: usize,
    /// Of one network; further ones are closed.
    pub(super) of_network: usize,
    /// From the connection until somebody has shown an admin token over it.
    pub(super) unknown: Option<Duration>,
    /// From the connection, or the answer before, until the whole head is there.
    pub(super) head: Option<Duration>,
    /// While it takes nothing of an answer.
    pub(super) write: Duration,
}

impl Bounds {
    /// Whoever can connect to an address of this machine.
    pub(super) const TCP: Self = Self {
        connections: 64,
        of_network: 64,
        unknown: None,
        head: Some(Duration::from_secs(10)),
        write: Duration::from_secs(30),
    };
    /// The same, to ask for more than the metrics page: who says nothing, or nothing right, leaves
    /// soon, and no network takes all the places.
    pub(super) const GUARDED: Self = Self {
        connections: 256,
        of_network: 64,
        unknown: Some(Duration::from_secs(4)),
        ..Self::TCP
    };
    /// Who may open the socket may end the process as well: an idle connection is kept.
    pub(super) const UNIX: Self = Self {
        connections: Semaphore::MAX_PERMITS,
        of_network: Semaphore::MAX_PERMITS,
        unknown: None,
        head: None,
        write: Duration::from_secs(30),
    };
}

/// What can be listened on.
pub(super) trait Listener {
    /// What is accepted.
    type Raw: Send + 'static;
    /// Both directions of a connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and who it is.
    async fn accept(&self) -> io::Result<(Self::Raw, Peer)>;

    /// A connection, as soon as it can be spoken over.
    fn open(raw: Self::Raw) -> impl Future<Output = io::Result<Self::Io>> + Send + 'static;
}

/// TLS on TCP.
pub(super) struct Secured<F> {
    pub(super) listener: TcpListener,
    /// What holds now; `None`: nothing does, and nobody is served.
    pub(super) tls: F,
}

impl<F: Fn() -> Option<Arc<ServerConfig>> + 'static> Listener for Secured<F> {
    type Raw = (tokio::net::TcpStream, Option<Arc<ServerConfig>>);
    type Io = TlsStream<tokio::net::TcpStream>;

    async fn accept(&self) -> io::Result<(Self::Raw, Peer)> {
        let (stream, peer) = self.listener.accept().await?;
        let _ = stream.set_nodelay(true);
        Ok(((stream, (self.tls)()), Peer::at(peer.ip())))
    }

    async fn open((stream, tls): Self::Raw) -> io::Result<Self::Io> {
        let tls = tls.ok_or_else(|| io::Error::other("there is no certificate"))?;
        let shaken = TlsAcceptor::from(tls).accept(stream);
        tokio::time::timeout(HANDSHAKE, shaken).await?
    }
}

impl Listener for TcpListener {
    type Raw = tokio::net::TcpStream;
    type Io = Self::Raw;

    async fn accept(&self) -> io::Result<(Self::Raw, Peer)> {
        let (stream, peer) = Self::accept(self).await?;
        let _ = stream.set_nodelay(true);
        Ok((stream, Peer::at(peer.ip())))
    }

    async fn open(raw: Self::Raw) -> io::Result<Self::Io> {
        Ok(raw)
    }
}

impl Listener for UnixListener {
    type Raw = tokio::net::UnixStream;
    type Io = Self::Raw;

    async fn accept(&self) -> io::Result<(Self::Raw, Peer)> {
        let (stream, _) = Self::accept(self).await?;
        let peer = Peer::of(&stream);
        Ok((stream, peer))
    }

    async fn open(raw: Self::Raw) -> io::Result<Self::Io> {
        Ok(raw)
    }
}

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// After an accept that failed, for want of descriptors say: what is wrong is not wrong with one
/// connection, and gets no better by asking at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop`, then until the requests that are under way are answered.
pub(super) async fn serve<L: Listener>(
    listener: L,
    routes: Router,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(bounds.connections));
    let networks = Networks::default();
    let (ending, end) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((raw, peer)) => {
                let Some(share) = networks.share(&peer, bounds.of_network) else {
                    continue;
                };
                let known = Arc::clone(&peer.known);
                let routes = routes.clone().layer(axum::Extension(ConnectInfo(peer)));
                let mut end = end.clone();
                connections.spawn(async move {
                    let _places = (place, share);
                    let served = async {
                        match L::open(raw).await {
                            Ok(stream) => {
                                let ending = async { drop(end.changed().await) };
                                connection(stream, routes, bounds, ending).await;
                            }
                            Err(error) => tracing::debug!(%error, "an admin connection"),
                        }
                    };
                    unless_unknown(served, &known, bounds.unknown).await;
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "an admin or metrics listener accepts nothing for now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let _ = ending.send(());
    while connections.join_next().await.is_some() {}
}

/// A connection, for as long as it may last if nobody shows an admin token over it.
async fn unless_unknown(served: impl Future<Output = ()>, known: &Notify, most: Option<Duration>) {
    tokio::pin!(served);
    if let Some(most) = most {
        tokio::select! {
            biased;
            () = &mut served => return,
            () = known.notified() => {}
            () = tokio::time::sleep(most) => return,
        }
    }
    served.await;
}

/// The client was gone before it was accepted (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

/// Serves a connection; from `ending` on, no further request of it.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Router,
    bounds: Bounds,
    ending: impl Future<Output = ()>,
) {
    let io = TokioIo::new(Stalling {
        stream,
        most: bounds.write,
        stalled: None,
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .serve_connection(io, TowerToHyperService::new(routes));
    tokio::pin!(connection, ending);
    let served = tokio::select! {
        served = &mut connection => served,
        () = &mut ending => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an admin or metrics connection");
    }
}

/// A stream whose other end has to take something now and then while there is something to take.
struct Stalling<S> {
    stream: S,
    most: Duration,
    /// Since a write did not go on: when that is too long.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Stalling<S> {
    /// A write that went on or did not.
    fn checked<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let end = Instant::now() + self.most;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.checked(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.checked(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.checked(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.checked(shut, cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::Body;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::super::room::{HELD, taken};
    use super::*;

    /// Short enough to be waited for.
    const SHORT: Duration = Duration::from_millis(50);
    /// Longer than any test takes.
    const LONG: Duration = Duration::from_mins(10);
    /// More than the system holds for a connection.
    const MUCH: usize = 64 << 20;

    async fn started(bounds: Bounds) -> (SocketAddr, oneshot::Sender<()>, JoinSet<()>) {
        let read = async |body: Body| match taken(body, 10, SHORT, &HELD).await {
            Ok((bytes, _)) => format!("{} bytes", bytes.len()),
            Err(_) => "nothing".to_owned(),
        };
        let routes = Router::new()
            .route("/", get(async || "hello"))
            .route("/much", get(async || vec![b'x'; MUCH]))
            .route("/body", post(read));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let mut served = JoinSet::new();
        served.spawn(serve(listener, routes, bounds, async {
            let _ = stopped.await;
        }));
        (address, stop, served)
    }

    async fn sent(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// Reads an answer that ends in this; the connection stays.
    async fn answer(stream: &mut TcpStream, end: &str) {
        let mut got = Vec::new();
        while !got.ends_with(end.as_bytes()) {
            let read = stream.read_buf(&mut got).await.unwrap();
            assert!(read > 0, "{:?} and no more", String::from_utf8_lossy(&got));
        }
        assert!(got.starts_with(b"HTTP/1.1 200 "));
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn bounds(connections: usize, head: Duration, write: Duration) -> Bounds {
        Bounds {
            connections,
            of_network: connections,
            unknown: None,
            head: Some(head),
            write,
        }
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        let (address, _stop, _served) = started(bounds(9, SHORT, LONG)).await;
        for begun in ["", "GET / HTTP/1.1\r\nHost"] {
            let mut stream = sent(address, begun).await;
            assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0, "{begun}");
        }
        let mut stream = sent(address, GET).await;
        answer(&mut stream, "hello").await;
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0, "idle");
    }

    #[tokio::test]
    async fn a_body_that_stands_still_is_not_waited_for() {
        let (address, _stop, _served) = started(bounds(9, LONG, LONG)).await;
        for (length, body, end) in [
            (5, "12345", "5 bytes"),
            (5, "123", "nothing"),
            (11, "12345678901", "nothing"),
        ] {
            let head =
                format!("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
            let mut stream = sent(address, &(head + body)).await;
            answer(&mut stream, end).await;
        }
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_for_another_to_end() {
        let (address, _stop, _served) = started(bounds(1, LONG, LONG)).await;
        let mut first = sent(address, GET).await;
        answer(&mut first, "hello").await;
        let mut second = sent(address, GET).await;
        for _ in 0..20 {
            first.write_all(GET.as_bytes()).await.unwrap();
            answer(&mut first, "hello").await;
            let read = second.try_read(&mut [0; 9]);
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        drop(first);
        answer(&mut second, "hello").await;
    }

    #[tokio::test]
    async fn of_one_network_no_more_than_its_share_is_served() {
        let bounds = Bounds {
            connections: 9,
            ..bounds(1, LONG, LONG)
        };
        let (address, _stop, _served) = started(bounds).await;
        let mut first = sent(address, GET).await;
        answer(&mut first, "hello").await;
        let mut second = TcpStream::connect(address).await.unwrap();
        assert_eq!(second.read(&mut [0; 9]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn who_shows_no_token_leaves_soon() {
        let bounds = Bounds {
            unknown: Some(SHORT),
            ..bounds(9, LONG, LONG)
        };
        let (address, _stop, _served) = started(bounds).await;
        for begun in ["", "GET / HTTP/1.1\r\nHost"] {
            let mut stream = sent(address, begun).await;
            assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0, "{begun}");
        }
        // Who did stays.
        let (known, mut ticks) = (Notify::new(), 0);
        known.notify_one();
        let served = async {
            tokio::time::sleep(2 * SHORT).await;
            ticks += 1;
        };
        unless_unknown(served, &known, Some(SHORT)).await;
        assert_eq!(ticks, 1);
    }

    #[tokio::test]
    async fn who_does_not_read_makes_room() {
        let (address, _stop, _served) = started(bounds(1, LONG, SHORT)).await;
        let much = GET.replace("/ ", "/much ");
        let _silent = sent(address, &much).await;
        let mut second = sent(address, GET).await;
        answer(&mut second, "hello").await;
    }

    #[tokio::test]
    async fn at_the_end_idle_connections_are_closed() {
        let (address, stop, mut served) = started(bounds(9, LONG, LONG)).await;
        let mut stream = sent(address, GET).await;
        answer(&mut stream, "hello").await;
        stop.send(()).unwrap();
        assert_eq!(stream.read(&mut [0; 9]).await.unwrap(), 0);
        served.join_next().await.unwrap().unwrap();
    }
}
