//! Large reads below TLS.
//!
//! rustls asks its socket for 4 KiB at a time, so that an upload costs a system call for each of
//! them. Here as much is read as there is, up to 64 KiB, into a buffer of the thread, and what was
//! not asked for yet is kept until it is. A connection that has taken all of it holds nothing.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of one read.
const LARGE: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; LARGE].into());
}

/// See the module.
#[derive(Debug)]
pub(super) struct Intake<T> {
    inner: T,
    /// Read, and not asked for yet.
    kept: Bytes,
}

impl<T> Intake<T> {
    pub(super) fn new(inner: T) -> Self {
        Self {
            inner,
            kept: Bytes::new(),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Intake<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.kept.is_empty() {
            if buf.remaining() >= LARGE {
                return Pin::new(&mut me.inner).poll_read(cx, buf);
            }
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let mut large = ReadBuf::new(scratch);
                ready!(Pin::new(&mut me.inner).poll_read(cx, &mut large))?;
                let (now, later) = split(large.filled(), buf.remaining());
                buf.put_slice(now);
                if !later.is_empty() {
                    me.kept = Bytes::copy_from_slice(later);
                }
                Poll::Ready(Ok(()))
            });
            return read;
        }
        let length = me.kept.len().min(buf.remaining());
        buf.put_slice(&me.kept[..length]);
        me.kept.advance(length);
        if me.kept.is_empty() {
            me.kept = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// The first bytes, `most` at the most, and the others.
fn split(bytes: &[u8], most: usize) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.len().min(most))
}

super::writes::pass_writes!(Intake);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// Gives all that it has at once, and counts how often it is asked.
    struct Source(Vec<u8>, usize);

    impl AsyncRead for Source {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let length = self.0.len().min(buf.remaining());
            buf.put_slice(&self.0[..length]);
            self.0.drain(..length);
            self.1 += 1;
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn much_is_read_at_once_and_given_as_it_is_asked_for() {
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut intake = Intake::new(Source(sent.clone(), 0));
        let (mut came, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            let length = intake.read(&mut piece).await.unwrap();
            if length == 0 {
                break;
            }
            came.extend_from_slice(&piece[..length]);
        }
        assert!(came == sent);
        assert_eq!(intake.inner.1, 200_000_usize.div_ceil(LARGE) + 1);
        assert!(intake.kept.is_empty());
    }
}
