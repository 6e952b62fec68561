//! The socket of a connection of HTTP/2, or below TLS: what the pool and the codec both have to
//! know of it.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::stream::Stream;

/// Bytes that may come before the first SETTINGS of HTTP/2: far more than they take.
const BEFORE_SETTINGS: u64 = 1 << 20;

/// A socket, held by the codec that reads and writes and by the pool that looks at it.
///
/// A lock, though all of it is on one thread, because hyper wants `Send` of what it may hand out
/// for an upgrade. It is never contended, and never held across an await.
#[derive(Debug, Clone)]
pub(super) struct Socket(Arc<Mutex<Stream>>);

impl Socket {
    pub(super) fn new(stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }

    /// See [`Stream::is_quiet`].
    pub(super) fn is_quiet(&self) -> bool {
        self.lock().is_quiet()
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}

/// What came on a connection of HTTP/2 before its first SETTINGS.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    settled: AtomicBool,
    bytes: AtomicU64,
    read: Notify,
    /// Why a read was the last.
    error: Mutex<Option<io::Error>>,
}

impl Traffic {
    /// Waits until something came, or the end. What it was has been handled then by who read it,
    /// who is polled without a break.
    pub(super) async fn hear(&self) {
        self.read.notified().await;
    }

    /// The error that ended the reads, which hyper keeps to itself.
    pub(super) fn error(&self) -> Option<io::Error> {
        self.error.lock().ok()?.take()
    }

    /// The SETTINGS came.
    pub(super) fn settled(&self) {
        self.settled.store(true, Relaxed);
    }
}

/// A stream that counts what comes before the SETTINGS, and leaves its end to the reader.
///
/// An upstream that refuses an upload answers and closes, and then its system resets the
/// connection. What it said is there to be read, but hyper gives the exchange up at the first
/// write that fails. So such a write is one that does not get on: the reads, which are due at the
/// same time, give what was said and then the end or the error.
#[derive(Debug)]
pub(super) struct Counted<T> {
    inner: T,
    traffic: Arc<Traffic>,
}

impl<T> Counted<T> {
    pub(super) fn new(inner: T, traffic: Arc<Traffic>) -> Self {
        Self { inner, traffic }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        let traffic = &self.traffic;
        if !traffic.settled.load(Relaxed) {
            let length = (buf.filled().len() - before) as u64;
            let bytes = traffic.bytes.fetch_add(length, Relaxed) + length;
            if bytes > BEFORE_SETTINGS {
                return Poll::Ready(Err(io::Error::other("too much before its SETTINGS")));
            }
            if let Poll::Ready(Err(error)) = &result
                && let Ok(mut kept) = traffic.error.lock()
            {
                *kept = Some(io::Error::new(error.kind(), error.to_string()));
            }
            traffic.read.notify_one();
        }
        result
    }
}

/// Whether a failed write says no more than that the upstream is gone: what it said before is there to
/// be read.
pub(super) fn says_only_that_it_is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset
    )
}

/// The result of a write, see [`Counted`].
fn left_to_the_reader<R>(result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
    match result {
        Poll::Ready(Err(error)) if says_only_that_it_is_gone(&error) => Poll::Pending,
        result => result,
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counted<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        left_to_the_reader(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        left_to_the_reader(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        left_to_the_reader(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
