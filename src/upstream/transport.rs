//! What a connection of HTTP/1.1 runs over: a socket, or TLS on one.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::socket::Socket;
use super::stream::Stream;
use crate::layers::intake::Intake;

/// See the module.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(Stream),
    /// The socket is the one below it.
    Tls(Box<TlsStream<Intake<Socket>>>, Socket),
}

impl Transport {
    /// See [`Stream::is_quiet`].
    pub(super) fn is_quiet(&mut self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_quiet(),
            // What TLS says for itself (tickets) is taken in here.
            Self::Tls(stream, socket) => {
                let mut byte = [MaybeUninit::uninit()];
                let mut cx = Context::from_waker(Waker::noop());
                let read = Pin::new(stream).poll_read(&mut cx, &mut ReadBuf::uninit(&mut byte));
                read.is_pending() && socket.is_quiet()
            }
        }
    }

    /// The same without a system call as long as the runtime knows of nothing.
    pub(super) fn seems_quiet(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        match self {
            Self::Plain(stream) if stream.poll_read_ready(&mut cx).is_pending() => true,
            _ => self.is_quiet(),
        }
    }

    /// Says the end of TLS, if the socket takes it at once. For a connection that has nothing
    /// under way: for any other its end must look like what it is.
    pub(super) fn say_goodbye(&mut self) {
        if let Self::Tls(stream, _) = self {
            let _ = Pin::new(stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// Hands a call on to what it is.
macro_rules! either {
    ($transport:expr, $inner:ident => $call:expr) => {
        match $transport.get_mut() {
            Transport::Plain($inner) => $call,
            Transport::Tls($inner, _) => $call,
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
