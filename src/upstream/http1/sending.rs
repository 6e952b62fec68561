//! A request on its way out.

use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderName, header};
use http_body::Body;
use tokio::io::AsyncWrite;

use super::Fault;
use super::head::{self, Framing};
use crate::upstream::Outgoing;
use crate::upstream::socket::says_only_that_it_is_gone;

/// Bytes of a piece of the body that are copied behind its framing, so that a small one takes one
/// buffer.
const SMALL: usize = 1 << 10;

/// What is left of a request.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Sending {
    outgoing: Box<Outgoing>,
    /// The head, and what frames pieces; the first that is sent.
    out: Vec<u8>,
    /// Bytes of it that are sent.
    sent: usize,
    /// A piece of the body, behind it.
    piece: Bytes,
    framing: Framing,
    /// The piece is a chunk, whose end is not written yet.
    is_chunk: bool,
    progress: Progress,
    /// All of the body was taken.
    is_over: bool,
    /// What was sent is not known to have left TLS.
    is_dirty: bool,
    /// The upstream has not taken what is there: no more of the body is.
    is_blocked: bool,
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Not a byte was sent, nor anything taken from the client.
    Untouched,
    /// It can not be made anew.
    Begun,
    /// The upstream takes no more of it.
    Stuck {
        /// It never took any, and nothing was taken from the client.
        untouched: bool,
    },
}

impl Sending {
    pub(super) fn new(outgoing: Box<Outgoing>) -> Self {
        let mut out = Vec::new();
        let framing = head::write(&outgoing, &mut out);
        Self {
            is_over: framing == Framing::Length(0),
            outgoing,
            out,
            sent: 0,
            piece: Bytes::new(),
            framing,
            is_chunk: false,
            progress: Progress::Untouched,
            is_dirty: false,
            is_blocked: false,
        }
    }

    /// The request, if nothing of it was sent.
    pub(super) fn unsent(self) -> Option<Box<Outgoing>> {
        let untouched = Progress::Stuck { untouched: true };
        (self.progress == untouched).then_some(self.outgoing)
    }

    /// Whether the upstream takes no more of it. What it said is there to be read all the same:
    /// one that refuses an upload answers and closes, and then its system resets the connection.
    pub(super) fn is_stuck(&self) -> bool {
        matches!(self.progress, Progress::Stuck { .. })
    }

    /// Ready when all of it is sent.
    pub(super) fn poll<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        if self.is_stuck() {
            return Poll::Pending;
        }
        match ready!(self.poll_pieces(io, cx)) {
            Err(Fault::Io(error)) if says_only_that_it_is_gone(&error) => {
                let untouched = self.progress == Progress::Untouched;
                self.progress = Progress::Stuck { untouched };
                self.outgoing.request.body().upload().give_up();
                Poll::Pending
            }
            done => Poll::Ready(done),
        }
    }

    fn poll_pieces<T: AsyncWrite + Unpin>(
        &mut self,
        io: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        loop {
            // The head goes with the first piece, if that is there.
            let taken = if self.piece.is_empty() && !self.is_over && !self.is_blocked {
                self.poll_piece(cx)?
            } else {
                Poll::Ready(())
            };
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
    ) -> Poll<Result<(), Fault>> {
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
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
        }
        let of_out = written.min(out.len());
        self.sent += of_out;
        self.piece.advance(written - of_out);
        self.progress = Progress::Begun;
        self.is_dirty = true;
        Poll::Ready(Ok(()))
    }

    /// Takes a piece of the body from the client, with what frames it.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let frame = ready!(Pin::new(self.outgoing.request.body_mut()).poll_frame(cx));
        self.progress = Progress::Begun;
        let frame = frame.transpose().map_err(|_| Fault::Request)?;
        match frame.map(http_body::Frame::into_data) {
            Some(Ok(data)) => self.frame(data)?,
            Some(Err(frame)) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                self.end(Some(&trailers))?;
            }
            None => self.end(None)?,
        }
        Poll::Ready(Ok(()))
    }

    fn frame(&mut self, data: Bytes) -> Result<(), Fault> {
        if data.is_empty() {
            return Ok(());
        }
        match &mut self.framing {
            Framing::Length(left) => {
                let length = data.len() as u64;
                *left = left.checked_sub(length).ok_or(Fault::Request)?;
                // Nobody asks for the end behind the last byte.
                self.is_over = *left == 0;
                self.piece = data;
            }
            Framing::Chunked => {
                write!(self.out, "{:x}\r\n", data.len())?;
                if data.len() <= SMALL {
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

    /// The end of the body. Trailers have a place in chunks alone, and go if they were announced.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Fault> {
        self.is_over = true;
        match self.framing {
            Framing::Length(0) => {}
            Framing::Length(_) => return Err(Fault::Request),
            Framing::Chunked => {
                self.out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    if is_announced(self.outgoing.request.headers(), name) {
                        head::field(name, value, &mut self.out);
                    }
                }
                self.out.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

/// Whether `Trailer` names it (RFC 9110 §6.6.2).
fn is_announced(head: &HeaderMap, trailer: &HeaderName) -> bool {
    let lines = head.get_all(header::TRAILER).iter();
    let mut names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    names.any(|name| {
        name.trim_ascii()
            .eq_ignore_ascii_case(trailer.as_str().as_bytes())
    })
}
