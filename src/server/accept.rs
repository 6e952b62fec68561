//! Accepting: what is queued, whether there is room, what can go wrong, and that what was accepted
//! is told of.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Handler;
use super::worker::ListenerId;

/// All connections that are queued in a socket, which nobody waits at any more. The runtime is not
/// asked, since it may not know of those that came this very moment.
pub(super) fn queued(
    socket: std::net::TcpListener,
) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    std::iter::from_fn(move || {
        loop {
            match socket.accept() {
                Ok((stream, remote)) => {
                    let stream = stream.set_nonblocking(true).map(|()| stream);
                    if let Ok(stream) = stream.and_then(TcpStream::from_std) {
                        return Some((stream, remote));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
                Err(error) if is_connection_fault(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "what is queued is lost");
                    return None;
                }
            }
        }
    })
}

/// A connection that waits to be accepted right now, if there is one.
pub(super) async fn at_once(socket: &tokio::net::TcpListener) -> Option<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match socket.poll_accept(cx) {
            Poll::Ready(Ok(accepted)) => Some(accepted),
            _ => None,
        })
    })
    .await
}

/// A descriptor in reserve.
pub(super) fn spare() -> Option<std::fs::File> {
    std::fs::File::open("/dev/null").ok()
}

/// An error of the connection that was to be accepted, not of the listener.
pub(super) fn is_connection_fault(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, WouldBlock,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | WouldBlock
    )
}

/// Tells the handler of a connection's begin and end, also when it ends by a panic.
pub(super) struct Counted<H: Handler> {
    handler: Rc<H>,
    listener: ListenerId,
}

impl<H: Handler> Counted<H> {
    pub(super) fn begin(handler: &Rc<H>, listener: ListenerId) -> Self {
        handler.connection(listener, true);
        Self {
            handler: Rc::clone(handler),
            listener,
        }
    }
}

impl<H: Handler> Drop for Counted<H> {
    fn drop(&mut self) {
        self.handler.connection(self.listener, false);
    }
}

/// How long a connection may wait for one of `limits.connections` to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is looked for that.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// Vacancy for one connection more, as an accept loop sees it.
pub(super) struct Vacancy<'s> {
    open: &'s AtomicUsize,
    limit: &'s AtomicUsize,
    /// Since when there has been none.
    full: Option<Instant>,
}

impl<'s> Vacancy<'s> {
    /// Of so many open ones, and how many there may be.
    pub(super) fn new(open: &'s AtomicUsize, limit: &'s AtomicUsize) -> Self {
        let full = None;
        Self { open, limit, full }
    }

    /// Whether there is room; waits a moment for it. Meanwhile connections queue in the kernel,
    /// which bounds them. Who is there when the listener stops was promised an answer.
    pub(super) async fn is_there(&mut self, stop: &CancellationToken) -> bool {
        while self.open.load(Relaxed) >= self.limit.load(Relaxed) {
            if self.full.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                return false;
            }
            tokio::select! {
                () = stop.cancelled() => return true,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        self.full = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than the runtime would give in one turn.
    #[tokio::test]
    async fn all_that_is_queued() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&socket).listen(1024).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let clients: Vec<_> = (0..500)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let accepted: Vec<_> = queued(socket).map(|(_, remote)| remote).collect();
        let connected = clients.iter().map(|client| client.local_addr().unwrap());
        assert_eq!(accepted, connected.collect::<Vec<_>>());
    }
}
