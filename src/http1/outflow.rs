//! What is sent on a connection: a head, and the body behind it.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName};
use http_body::Frame;
use tokio::io::AsyncWrite;

use super::field;

/// Bytes of a piece of the body that are copied behind its framing, so that a small one takes one
/// buffer.
const SMALL: usize = 1 << 10;
/// Bytes of small pieces that are sent together, where they are there together.
const GATHERED: usize = 16 << 10;

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// By its length, of which so much is left.
    Length(u64),
    /// By an empty chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// What is sent, behind its head.
pub(crate) trait Message {
    /// Why it breaks off.
    type Error;

    /// What comes next of its body, see [`http_body::Body::poll_frame`].
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>>;

    /// Whether its head announced this trailer: without that it is not sent.
    fn announces(&self, trailer: &HeaderName) -> bool;
}

/// Why a message could not be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsent<E> {
    /// The connection broke.
    #[error("connection error: {0}")]
    Io(#[from] io::Error),
    /// The body ended before its time.
    #[error("{0}")]
    Body(E),
    /// The body is longer or shorter than it was said to be.
    #[error("the body is not what its head says")]
    Length,
}

/// What is left to be sent of a message.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Outflow {
    /// The head, and what frames pieces; the first that is sent.
    out: Vec<u8>,
    /// Bytes of it that are sent.
    sent: usize,
    /// A piece of the body, behind it.
    piece: Bytes,
    framing: Framing,
    /// The piece is a chunk, whose end is not written yet.
    is_chunk: bool,
    /// All of the body was taken.
    is_over: bool,
    /// What was sent is not known to have left TLS.
    is_dirty: bool,
    /// The receiver has not taken what is there: no more of the body is taken.
    is_blocked: bool,
    /// A byte was sent, or something of the body was taken.
    is_begun: bool,
}

impl Outflow {
    /// A head, and how the end of what follows on it is told.
    pub(crate) fn new(head: Vec<u8>, framing: Framing) -> Self {
        Self {
            out: head,
            sent: 0,
            piece: Bytes::new(),
            framing,
            is_chunk: false,
            is_over: framing == Framing::Length(0),
            is_dirty: false,
            is_blocked: false,
            is_begun: false,
        }
    }

    /// Whether the message can not be made anew: a byte of it was sent, or something of its body
    /// was taken.
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Whether all of the body was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Sends the message of which this is the head. Ready when all of it is out.
    pub(crate) fn poll<T: AsyncWrite + Unpin, M: Message>(
        &mut self,
        io: &mut T,
        message: &mut M,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Unsent<M::Error>>> {
        loop {
            // The head goes with what is there of the body.
            let taken = self.poll_gather(message, cx)?;
            while self.sent < self.out.len() || !self.piece.is_empty() {
                let written = self.poll_write(io, cx);
                self.is_blocked = written.is_pending();
                ready!(written)?;
            }
            self.out.clear();
            self.sent = 0;
            if std::mem::take(&mut self.is_chunk) {
                self.out.extend_from_slice(b"\r\n");
                continue;
            }
            if taken.is_pending() || self.is_over {
                if self.is_dirty {
                    ready!(Pin::new(&mut *io).poll_flush(cx))?;
                    self.is_dirty = false;
                }
                return taken.map(Ok);
            }
        }
    }

    fn poll_write<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let out = &self.out[self.sent..];
        let written = if self.piece.is_empty() {
            ready!(Pin::new(io).poll_write(cx, out))?
        } else if out.is_empty() {
            ready!(Pin::new(io).poll_write(cx, &self.piece))?
        } else {
            let both = [IoSlice::new(out), IoSlice::new(&self.piece)];
            ready!(Pin::new(io).poll_write_vectored(cx, &both))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_out = written.min(out.len());
        self.sent += of_out;
        self.piece.advance(written - of_out);
        self.is_begun = true;
        self.is_dirty = true;
        Poll::Ready(Ok(()))
    }

    /// Takes of the body what is there, up to a large piece or many small ones. Pending: there
    /// will be more.
    fn poll_gather<M: Message>(
        &mut self,
        message: &mut M,
        cx: &mut Context<'_>,
    ) -> Result<Poll<()>, Unsent<M::Error>> {
        while !self.is_over
            && !self.is_blocked
            && self.piece.is_empty()
            && self.out.len() < GATHERED
        {
            let Poll::Ready(frame) = message.poll_frame(cx) else {
                return Ok(Poll::Pending);
            };
            self.is_begun = true;
            let frame = frame.transpose().map_err(Unsent::Body)?;
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => self.frame(data)?,
                Some(Err(frame)) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    self.end(&trailers, |name| message.announces(name))?;
                }
                None => self.end(&HeaderMap::new(), |_| false)?,
            }
        }
        Ok(Poll::Ready(()))
    }

    fn frame<E>(&mut self, data: Bytes) -> Result<(), Unsent<E>> {
        let is_small = data.len() <= SMALL;
        match &mut self.framing {
            _ if data.is_empty() => {}
            Framing::Length(left) => {
                let length = data.len() as u64;
                *left = left.checked_sub(length).ok_or(Unsent::Length)?;
                // Nobody asks for the end behind the last byte.
                self.is_over = *left == 0;
                if is_small && !self.is_over {
                    self.out.extend_from_slice(&data);
                } else {
                    self.piece = data;
                }
            }
            Framing::Close if is_small => self.out.extend_from_slice(&data),
            Framing::Close => self.piece = data,
            Framing::Chunked => {
                write!(self.out, "{:x}\r\n", data.len())?;
                if is_small {
                    self.out.extend_from_slice(&data);
                    self.out.extend_from_slice(b"\r\n");
                } else {
                    self.piece = data;
                    self.is_chunk = true;
                }
            }
        }
        Ok(())
    }

    /// The end of the body. Trailers have a place in chunks alone.
    fn end<E>(
        &mut self,
        trailers: &HeaderMap,
        announced: impl Fn(&HeaderName) -> bool,
    ) -> Result<(), Unsent<E>> {
        self.is_over = true;
        match self.framing {
            Framing::Length(0) | Framing::Close => {}
            Framing::Length(_) => return Err(Unsent::Length),
            Framing::Chunked => {
                self.out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    if announced(name) {
                        field(name, value, &mut self.out);
                    }
                }
                self.out.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}
