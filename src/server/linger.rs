//! The end of a connection that we close first.
//!
//! A socket closed while bytes of the client are unread is reset, and the reset can overtake the
//! answer (a 413 to a large upload, say; many clients read no answer before they have sent all).
//! So the write side is shut, and what still comes is read and dropped, for a bounded time
//! and amount.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

use crate::layers::give;

/// How long a client may go on sending after our end.
const TIME: Duration = Duration::from_secs(15);
/// How much of it is read: more than bodies are allowed to have by default.
const BYTES: usize = 65 << 20;
/// How long it may be silent.
const SILENCE: Duration = Duration::from_secs(2);

/// Whether a connection is in the middle of an answer that ends with the connection.
pub(crate) type OpenEnded = Rc<Cell<bool>>;

/// A socket whose client has our answer and may not have read it, and what counts it as open.
pub(crate) type Lingering = (TcpStream, Arc<dyn Send + Sync>);

/// A socket that, when dropped after an orderly end of ours, is handed to the worker to linger.
pub(crate) struct Socket {
    stream: Option<TcpStream>,
    /// What was read and given back: the next that is read.
    ahead: Bytes,
    /// The client said that it is done.
    ended: bool,
    /// We said that we are done.
    shut: bool,
    /// What was begun ends where we say so, and nothing else tells that it is all.
    open_ended: OpenEnded,
    /// Counts the connection as open until it is dropped.
    open: Arc<dyn Send + Sync>,
    lingering: UnboundedSender<Lingering>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Socket {
    pub(crate) fn new(
        stream: TcpStream,
        open: Arc<dyn Send + Sync>,
        lingering: UnboundedSender<Lingering>,
    ) -> Self {
        Self {
            stream: Some(stream),
            ahead: Bytes::new(),
            open,
            ended: false,
            shut: false,
            open_ended: OpenEnded::default(),
            lingering,
        }
    }

    /// Gives bytes back that were read: they are read once more, before all others.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }

    /// Keeps something beside what counts the connection, for as long as that.
    pub(crate) fn hold(&mut self, more: impl Send + Sync + 'static) {
        self.open = Arc::new((Arc::clone(&self.open), more));
    }

    /// To be set while an answer is on its way that ends with the connection.
    pub(crate) fn open_ended(&self) -> OpenEnded {
        Rc::clone(&self.open_ended)
    }

    /// The socket itself.
    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        self.stream.as_ref()
    }

    fn io(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        if self.shut && !self.ended {
            // The worker is gone: so is the process.
            let _ = self.lingering.send((stream, Arc::clone(&self.open)));
        } else if !self.shut && self.open_ended.get() {
            // Half of an answer must not be taken for all of it (RFC 9112 §8): a reset says so.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// Reads what still comes and drops it.
pub(crate) async fn linger((mut stream, open): Lingering) {
    let _ = stream.shutdown().await;
    let read = async {
        let mut buffer = vec![0; 16 << 10];
        let mut left = BYTES;
        while let Ok(Ok(length @ 1..)) = timeout(SILENCE, stream.read(&mut buffer)).await {
            let Some(rest) = left.checked_sub(length) else {
                return;
            };
            left = rest;
        }
    };
    let _ = timeout(TIME, read).await;
    drop((stream, open));
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let length = give(&self.ahead, buf);
            self.ahead.advance(length);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let result = self.io()?.poll_read(cx, buf);
        match result {
            Poll::Ready(Ok(())) if buf.filled().len() == before && buf.remaining() > 0 => {
                self.ended = true;
            }
            Poll::Ready(Err(_)) => self.ended = true,
            _ => {}
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        self.io()?.poll_shutdown(cx)
    }
}
