//! Large reads below TLS.
//!
//! rustls asks its socket for 4 KiB at a time, so that an upload costs a system call for each of
//! them. Here as much is read as there is, up to 80 KiB, into the [`Scratch`] of the thread, and
//! what was not asked for yet is kept until it is. A connection that has taken all of it holds
//! nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::scratch::{LARGE, Scratch};
use super::{give, give_kept};

thread_local! {
    static SCRATCH: Scratch = Scratch::default();
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Intake<T> {
    inner: T,
    /// Read, and not asked for yet.
    kept: Bytes,
}

impl<T> Intake<T> {
    pub(crate) fn new(inner: T) -> Self {
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
            let read = SCRATCH
                .with(|scratch| scratch.poll_read(&mut me.inner, cx, |came| give(came, buf)));
            me.kept = ready!(read)?.1;
            return Poll::Ready(Ok(()));
        }
        give_kept(&mut me.kept, buf);
        Poll::Ready(Ok(()))
    }
}

super::pass_writes!(Intake);

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
