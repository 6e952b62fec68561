//! The end of a connection that we close first.
//!
//! A socket closed while bytes of the client are unread is reset, and the reset can overtake the
//! answer (a 413 to a large upload, say). So the write side is shut, and what still comes is read
//! and dropped, for a bounded time and amount.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;

/// How long a client may go on sending after our end.
const TIME: Duration = Duration::from_secs(2);
/// How much of it is read.
const BYTES: usize = 4 << 20;

/// A socket that, when dropped after an orderly end of ours, is handed to the worker to linger.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Option<TcpStream>,
    /// The client said that it is done.
    ended: bool,
    /// We said that we are done.
    shut: bool,
    lingering: UnboundedSender<TcpStream>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, lingering: UnboundedSender<TcpStream>) -> Self {
        Self {
            stream: Some(stream),
            ended: false,
            shut: false,
            lingering,
        }
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take()
            && self.shut
            && !self.ended
        {
            // The worker is gone: so is the process.
            let _ = self.lingering.send(stream);
        }
    }
}

/// Reads what still comes and drops it.
pub(crate) async fn linger(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let read = async {
        let mut buffer = vec![0; 16 << 10];
        let mut left = BYTES;
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            let Some(rest) = left.checked_sub(length) else {
                return;
            };
            left = rest;
        }
    };
    let _ = tokio::time::timeout(TIME, read).await;
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = self.stream()?.poll_read(cx, buf);
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
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut = true;
        self.stream()?.poll_shutdown(cx)
    }
}
