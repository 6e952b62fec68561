//! Which protocol a plain connection speaks: by our own look at its first bytes, under the
//! deadline of the connection (hyper-util's `auto` has no timer while it decides).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::h2frames::PREFACE;
use crate::layers::give;

/// Reads until the bytes are the HTTP/2 preface (prior knowledge, RFC 9113 §3.3) or can not be it.
pub(crate) async fn is_http2<T: AsyncRead + Unpin>(io: &mut Rewind<T>) -> io::Result<bool> {
    loop {
        let seen = &io.prefix[..io.end];
        if seen != &PREFACE[..seen.len()] {
            return Ok(false);
        }
        if seen.len() == PREFACE.len() {
            return Ok(true);
        }
        let read = io.inner.read(&mut io.prefix[io.end..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        io.end += read;
    }
}

/// Gives the bytes that were looked at once more.
#[derive(Debug)]
pub(crate) struct Rewind<T> {
    prefix: [u8; PREFACE.len()],
    start: usize,
    end: usize,
    inner: T,
}

impl<T> Rewind<T> {
    /// Whose bytes they are.
    pub(crate) fn inner(&self) -> &T {
        &self.inner
    }

    pub(crate) fn new(inner: T) -> Self {
        Self {
            prefix: [0; PREFACE.len()],
            start: 0,
            end: 0,
            inner,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Rewind<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.start < me.end {
            me.start += give(&me.prefix[me.start..me.end], buf);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut me.inner).poll_read(cx, buf)
    }
}

crate::layers::pass_writes!(Rewind);
