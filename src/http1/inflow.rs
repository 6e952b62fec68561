//! What is read of a connection: heads that come in pieces, and bodies.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

use super::Broken;
use super::chunks::{Chunks, Next};
use crate::layers::scratch::{LARGE, Scratch};

/// Bytes that one read of a large body brings, into a buffer of its own: as much as a processor
/// keeps at hand until it has been encrypted and sent.
const READ_MOST: usize = 128 << 10;

/// What was read of a connection. One that waits holds nothing.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    /// Read, and not looked at yet.
    pub(crate) ahead: Bytes,
    /// A head that is not whole yet, or what a large body is read into.
    room: BytesMut,
    /// The last read of the body brought all that it could.
    is_bulk: bool,
}

/// What is left of a body (RFC 9112 §6.3).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    /// So many bytes.
    Length(u64),
    Chunks(Chunks),
    /// All until the sender closes.
    Close,
}

impl Left {
    /// Bytes that are left, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunks(_) | Self::Close => None,
        }
    }
}

impl Inflow {
    /// Whether nothing was read that has not been taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.room.is_empty()
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.room.capacity() + self.ahead.len()
    }

    /// Gives back what is needed only while something is under way.
    pub(crate) fn shed(&mut self) {
        *self = Self::default();
    }

    /// Some send an empty line behind a body (RFC 9112 §2.2).
    pub(crate) fn skip_empty_lines(&mut self) {
        let ahead = &mut self.ahead;
        loop {
            if ahead.starts_with(b"\r\n") {
                ahead.advance(2);
            } else if ahead.starts_with(b"\n") {
                ahead.advance(1);
            } else {
                break;
            }
        }
        if ahead.is_empty() {
            // An empty piece would still hold what was read.
            *ahead = Bytes::new();
        }
    }

    /// Reads more of a head, behind what came of it. Ready with the number of bytes, 0 at the end,
    /// and whether there is something to be looked at in [`ahead`](Self::ahead): a first piece, or
    /// a head that may be whole, or `most` bytes. Of pieces in between nothing is looked at twice.
    pub(crate) fn poll_more<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<(usize, bool)>> {
        if !self.ahead.is_empty() {
            self.room.extend_from_slice(&self.ahead);
            self.ahead = Bytes::new();
        }
        let piece = ready!(poll_piece(io, cx))?;
        let (length, looked_at) = (piece.len(), self.room.len());
        if looked_at == 0 {
            self.ahead = piece;
            return Poll::Ready(Ok((length, true)));
        }
        self.room.extend_from_slice(&piece);
        let is_due = self.room.len() >= most || may_be_whole(&self.room, looked_at);
        if is_due {
            self.ahead = std::mem::take(&mut self.room).freeze();
        }
        Poll::Ready(Ok((length, is_due)))
    }

    /// Reads what is there when nothing is expected. Ready with the number of bytes, 0 at the end.
    pub(crate) fn poll_unexpected<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.ahead = ready!(poll_piece(io, cx))?;
        Poll::Ready(Ok(self.ahead.len()))
    }

    /// Reads what comes next of a body of which `left` bytes are due, when all that came before
    /// has been taken. Ready with the number of bytes; 0: there are no more.
    fn poll_body<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        left: u64,
    ) -> Poll<io::Result<usize>> {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(READ_MOST);
        self.ahead = if self.is_bulk && most > LARGE {
            self.room.reserve(most);
            ready!(poll_read_buf(Pin::new(io), cx, &mut self.room))?;
            self.room.split().freeze()
        } else {
            ready!(poll_piece(io, cx))?
        };
        let length = self.ahead.len();
        self.is_bulk = length >= LARGE;
        Poll::Ready(Ok(length))
    }

    /// Takes what comes next of a body; `None`: all of it came.
    pub(crate) fn poll_frame<T: AsyncRead + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
        left: &mut Left,
    ) -> Poll<Result<Option<Frame<Bytes>>, Broken>> {
        loop {
            let due = match left {
                Left::Nothing => return Poll::Ready(Ok(None)),
                Left::Length(due) if !self.ahead.is_empty() => {
                    let most = usize::try_from(*due).unwrap_or(usize::MAX);
                    let data = self.ahead.split_to(self.ahead.len().min(most));
                    *due -= data.len() as u64;
                    if *due == 0 {
                        *left = Left::Nothing;
                    }
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Left::Close if !self.ahead.is_empty() => {
                    let data = std::mem::take(&mut self.ahead);
                    return Poll::Ready(Ok(Some(Frame::data(data))));
                }
                Left::Chunks(chunks) => match chunks.next(&mut self.ahead)? {
                    Next::Data(data) => {
                        chunks.look_for_end(&mut self.ahead);
                        if chunks.is_over() {
                            *left = Left::Nothing;
                        }
                        return Poll::Ready(Ok(Some(Frame::data(data))));
                    }
                    Next::Trailers(fields) => {
                        *left = Left::Nothing;
                        return Poll::Ready(Ok(Some(Frame::trailers(fields))));
                    }
                    Next::End => {
                        *left = Left::Nothing;
                        return Poll::Ready(Ok(None));
                    }
                    Next::More => u64::MAX,
                },
                Left::Length(due) => *due,
                Left::Close => u64::MAX,
            };
            if ready!(self.poll_body(io, cx, due))? == 0 {
                if *left != Left::Close {
                    return Poll::Ready(Err(Broken::Closed));
                }
                *left = Left::Nothing;
            }
        }
    }
}

thread_local! {
    static SCRATCH: Scratch = Scratch::default();
}

/// Reads what is there. Ready with nothing at the end.
fn poll_piece<T: AsyncRead + Unpin>(io: &mut T, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    let read = SCRATCH.with(|scratch| scratch.poll_read(io, cx, |_| 0));
    Poll::Ready(ready!(read).map(|(_, piece)| piece))
}

/// Whether there is an empty line in what came; its first bytes were looked at before.
fn may_be_whole(bytes: &[u8], looked_at: usize) -> bool {
    let new = &bytes[looked_at.saturating_sub(2)..];
    let behind = |end: usize| &new[end + 1..];
    memchr::memchr_iter(b'\n', new)
        .any(|end| behind(end).starts_with(b"\n") || behind(end).starts_with(b"\r\n"))
}
