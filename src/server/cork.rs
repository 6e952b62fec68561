//! Writes of one turn leave together.
//!
//! The HTTP/2 codec flushes after nearly every frame, and below TLS each flush is a record and a
//! system call. Many streams that are answered in one turn of the connection would pay them all;
//! here what they write is gathered, a flush is granted at once, and what was gathered goes out
//! when the turn is over: [`Corked`] polls the connection and then lets go of it.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::Graceful;

/// Bytes that are gathered at the most: two full TLS records.
const CAPACITY: usize = 32 << 10;
/// A write of so much gains nothing by being gathered, and is not copied.
const BULK: usize = 16 << 10;

thread_local! {
    /// What the next turn of any connection gathers into: its pages are at hand, and need not grow.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What the codec writes to. See the module.
#[derive(Debug)]
pub(super) struct Cork<T>(Arc<Mutex<Inner<T>>>);

#[derive(Debug)]
struct Inner<T> {
    io: T,
    gathered: Vec<u8>,
    /// Bytes of it that were taken.
    taken: usize,
    /// Something was written and not flushed.
    dirty: bool,
    /// Why letting go failed: the codec finds it wherever it looks next.
    failed: Option<io::ErrorKind>,
}

/// A cork over `io`, and what lets go of it.
pub(super) fn cork<T>(io: T) -> (Cork<T>, Hold<T>) {
    let inner = Arc::new(Mutex::new(Inner {
        io,
        gathered: Vec::new(),
        taken: 0,
        dirty: false,
        failed: None,
    }));
    (Cork(Arc::clone(&inner)), Hold(inner))
}

impl<T> Cork<T> {
    /// Never contended: codec and connection are polled by one thread. hyper wants `Send` of what
    /// it may hand out for an upgrade.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        lock(&self.0)
    }
}

/// The other end of a cork.
#[derive(Debug)]
pub(super) struct Hold<T>(Arc<Mutex<Inner<T>>>);

impl<T> Hold<T> {
    /// The connection whose codec writes to the cork.
    pub(super) fn over<C>(self, connection: C) -> Corked<T, C> {
        Corked {
            cork: self.0,
            connection: Box::pin(connection),
        }
    }
}

fn lock<T>(inner: &Mutex<Inner<T>>) -> MutexGuard<'_, Inner<T>> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Inner<T> {
    fn check(&self) -> io::Result<()> {
        self.failed.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// All of it was taken, or nobody will. An idle connection holds no buffer.
    fn let_go_of_buffer(&mut self) {
        self.gathered.clear();
        self.taken = 0;
        SPARE.set(std::mem::take(&mut self.gathered));
    }
}

impl<T: AsyncWrite + Unpin> Inner<T> {
    /// Writes what was gathered.
    fn poll_empty(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        if self.gathered.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while self.taken < self.gathered.len() {
            let left = &self.gathered[self.taken..];
            let taken = ready!(Pin::new(&mut self.io).poll_write(cx, left))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.taken += taken;
        }
        self.let_go_of_buffer();
        Poll::Ready(Ok(()))
    }

    /// Writes what was gathered, and flushes.
    fn poll_let_go(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_empty(cx))?;
        if self.dirty {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes all of a write of this length, if it is to be gathered and there is room.
    fn gathers(&mut self, length: usize) -> bool {
        let fits =
            self.failed.is_none() && length < BULK && self.gathered.len() + length <= CAPACITY;
        self.dirty |= fits;
        if fits && self.gathered.is_empty() {
            self.gathered = SPARE.take();
            self.gathered.reserve(CAPACITY);
        }
        fits
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Cork<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        inner.check()?;
        Pin::new(&mut inner.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Cork<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        if inner.gathers(buf.len()) {
            inner.gathered.extend_from_slice(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        ready!(inner.poll_empty(cx))?;
        inner.dirty = true;
        Pin::new(&mut inner.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        let length = bufs.iter().map(|buf| buf.len()).sum();
        if inner.gathers(length) {
            for buf in bufs {
                inner.gathered.extend_from_slice(buf);
            }
            return Poll::Ready(Ok(length));
        }
        ready!(inner.poll_empty(cx))?;
        inner.dirty = true;
        Pin::new(&mut inner.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Granted: what was written leaves at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.lock().check())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.poll_let_go(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}

/// A connection whose writes leave when its turn is over.
pub(super) struct Corked<T, C> {
    cork: Arc<Mutex<Inner<T>>>,
    connection: Pin<Box<C>>,
}

impl<T: AsyncWrite + Unpin, C: Future> Future for Corked<T, C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let ended = self.connection.as_mut().poll(cx);
        let mut inner = lock(&self.cork);
        if inner.failed.is_none()
            && let Poll::Ready(Err(error)) = inner.poll_let_go(cx)
        {
            inner.let_go_of_buffer();
            inner.failed = Some(error.kind());
            // So that the codec looks.
            cx.waker().wake_by_ref();
        }
        ended
    }
}

impl<T, C> Graceful for Corked<T, C>
where
    T: AsyncWrite + Unpin,
    C: Graceful,
{
    type Fault = C::Fault;

    fn graceful_shutdown(mut self: Pin<&mut Self>) {
        self.connection.as_mut().graceful_shutdown();
    }

    fn is_unreadable(fault: &C::Fault) -> bool {
        C::is_unreadable(fault)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Notes each write and flush; takes `room` bytes and then none until there is room again.
    #[derive(Debug, Default)]
    struct Sink {
        writes: Vec<Vec<u8>>,
        flushes: usize,
        room: usize,
        broken: bool,
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.broken {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            let taken = self.room.min(buf.len());
            if taken == 0 {
                return Poll::Pending;
            }
            self.room -= taken;
            self.writes.push(buf[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncRead for Sink {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    fn sink(room: usize) -> Sink {
        Sink {
            room,
            ..Sink::default()
        }
    }

    fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_writes_of_a_turn_are_one() {
        let (mut cork, hold) = cork(sink(usize::MAX));
        let mut turn = hold.over(async move {
            for piece in ["one ", "two ", "three"] {
                cork.write_all(piece.as_bytes()).await.unwrap();
                cork.flush().await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        assert!(once(&mut turn).is_pending());
        let inner = lock(&turn.cork);
        assert_eq!(inner.io.writes, [b"one two three".to_vec()]);
        assert_eq!((inner.io.flushes, inner.gathered.capacity()), (1, 0));
    }

    #[test]
    fn bulk_is_not_copied_and_stays_in_order() {
        let (mut cork, hold) = cork(sink(usize::MAX));
        let bulk = vec![b'x'; BULK];
        let expected = [b"small".to_vec(), bulk.clone(), b"end".to_vec()];
        let mut turn = hold.over(async move {
            cork.write_all(b"small").await.unwrap();
            cork.write_all(&bulk).await.unwrap();
            cork.write_all(b"end").await.unwrap();
        });
        assert!(once(&mut turn).is_ready());
        assert_eq!(lock(&turn.cork).io.writes, expected);
    }

    #[test]
    fn a_client_that_takes_nothing_holds_the_codec_back() {
        let (mut cork, hold) = cork(sink(1_000));
        let mut turn = hold.over(async move {
            for _ in 0..100 {
                cork.write_all(&[7; 1_000]).await.unwrap();
            }
            cork.shutdown().await.unwrap();
        });
        for _ in 0..5 {
            assert!(once(&mut turn).is_pending());
        }
        assert!(lock(&turn.cork).gathered.len() <= CAPACITY);
        lock(&turn.cork).io.room = usize::MAX;
        assert!(once(&mut turn).is_ready());
        let written: usize = lock(&turn.cork).io.writes.iter().map(Vec::len).sum();
        assert_eq!(written, 100_000);
    }

    #[test]
    fn what_fails_at_the_end_of_a_turn_is_found_in_the_next() {
        let (mut cork, hold) = cork(sink(0));
        let mut turn = hold.over(async move {
            cork.write_all(b"lost").await.unwrap();
            let mut waited = false;
            poll_fn(|_| {
                if std::mem::replace(&mut waited, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
            cork.write_all(b"more").await
        });
        lock(&turn.cork).io.broken = true;
        assert!(once(&mut turn).is_pending());
        let Poll::Ready(Err(error)) = once(&mut turn) else {
            panic!("the codec is told");
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
