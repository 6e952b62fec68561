//! A connection of which the handshake is over.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::records::Refused;
use super::session::{Said, Sealed, Session};
use crate::layers::scratch::{LARGE, LITTLE};
use crate::layers::{give, give_kept};

/// Bytes that are sealed for one write to a socket. Each write may wake the client, which costs
/// more than what is written.
const SEALED: usize = 256 << 10;
/// Reads that bring nothing for who asked (halves of records, empty ones) before others have their
/// turn.
const FRUITLESS: usize = 4;

thread_local! {
    /// What all connections of a thread are read into, and opened in.
    static OPENED: RefCell<BytesMut> = RefCell::default();
    /// What all connections of a thread are sealed into.
    static SENT: RefCell<Sealed> = RefCell::default();
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stream<T> {
    io: T,
    tls: Box<Tls>,
}

/// All but the connection itself.
#[derive(Debug)]
struct Tls {
    session: Session,
    alpn: Option<Vec<u8>>,
    /// Read, and not opened.
    came: BytesMut,
    /// It lies in a buffer of [`LARGE`] bytes.
    is_large: bool,
    /// Opened, and not asked for.
    plain: Bytes,
    /// Sealed, and not sent.
    out: BytesMut,
    /// `out` is the end of the handshake: it goes with the first answer, or when the client is
    /// waited for.
    is_fresh: bool,
    /// It was said that nothing more will be sent.
    is_shut: bool,
    /// Nothing more can be read, since this happened.
    fault: Option<Fault>,
}

/// Why nothing more can be read.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Refused(Refused),
    /// The client broke off, by this alert.
    Broke(u8),
    /// The connection ended, and nobody had said so: what came may not be all.
    CutOff,
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(why) => Self::new(io::ErrorKind::InvalidData, why),
            Fault::Broke(alert) => Self::new(
                io::ErrorKind::InvalidData,
                format!("the client broke off: alert {alert}"),
            ),
            Fault::CutOff => Self::new(
                io::ErrorKind::UnexpectedEof,
                "the client closed without close_notify",
            ),
        }
    }
}

impl<T> Stream<T> {
    pub(super) fn new(io: T, session: Session, alpn: Option<Vec<u8>>) -> Self {
        Self {
            io,
            tls: Box::new(Tls {
                session,
                alpn,
                came: BytesMut::new(),
                is_large: false,
                plain: Bytes::new(),
                out: BytesMut::new(),
                is_fresh: false,
                is_shut: false,
                fault: None,
            }),
        }
    }

    /// With what a handshake has left: what came and was not opened, and what is to be sent.
    pub(super) fn with(mut self, came: &[u8], out: &[u8]) -> Self {
        self.tls.came = BytesMut::from(came);
        self.tls.is_fresh = !out.is_empty();
        self.tls.out = BytesMut::from(out);
        self
    }

    /// What it goes over.
    pub(crate) fn inner(&self) -> &T {
        &self.io
    }

    /// The protocol that was agreed on (RFC 7301).
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn.as_deref()
    }

    /// See [`Session::wear_after`].
    #[cfg(test)]
    pub(super) fn wear_after(&mut self, records: u64) {
        self.tls.session.wear_after(records);
    }

    /// The same session over another connection.
    #[cfg(test)]
    pub(super) fn over<U>(self, io: U) -> Stream<U> {
        Stream { io, tls: self.tls }
    }

    #[cfg(test)]
    pub(super) fn io(&self) -> &T {
        &self.io
    }

    /// Bytes of memory that wait for somebody.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let came = if self.tls.is_large {
            LARGE
        } else {
            self.tls.came.capacity()
        };
        came + self.tls.out.capacity() + self.tls.plain.len()
    }
}

impl Tls {
    /// Opens what is there as long as somebody wants it: how many bytes are done with. What there is
    /// room for is opened into that room, so that it is not copied.
    fn open(&mut self, bytes: &mut [u8], buf: &mut ReadBuf<'_>) -> usize {
        let mut done = 0;
        while buf.remaining() > 0 && self.fault.is_none() && !self.session.is_closed() {
            let length = match self.session.whole(&bytes[done..]) {
                Ok(Some(length)) => length,
                Ok(None) => break,
                Err(why) => {
                    self.refuse(why);
                    break;
                }
            };
            let record = &mut bytes[done..done + length];
            done += length;
            let room = self.session.opened_length(length);
            let is_direct = room <= buf.remaining();
            let said = if is_direct {
                let out = buf.initialize_unfilled_to(room);
                self.session.open_into(record, out)
            } else {
                self.session.open(record)
            };
            match said {
                Ok(Said::Data(at)) if is_direct => buf.advance(at.len()),
                Ok(Said::Data(at)) => {
                    let data = &record[at];
                    let given = give(data, buf);
                    if given < data.len() {
                        self.plain = Bytes::copy_from_slice(&data[given..]);
                    }
                }
                Ok(Said::Nothing) => {}
                Ok(Said::AsksForKey) => self.say(Session::change_key),
                Ok(Said::Broke(alert)) => {
                    self.fault = Some(Fault::Broke(alert));
                    self.is_shut = true;
                }
                Err(why) => self.refuse(why),
            }
        }
        done
    }

    /// Nothing more is read, and the client is told why.
    fn refuse(&mut self, why: Refused) {
        self.fault = Some(Fault::Refused(why));
        self.say(|session, out| session.complain(why, out));
        self.is_shut = true;
    }

    /// Seals what is said between the two sides; it is sent before anything else. Nothing is said
    /// when it was said that there will be no more.
    #[cold]
    fn say(&mut self, what: impl FnOnce(&mut Session, &mut Sealed) -> Result<(), Refused>) {
        if self.is_shut {
            return;
        }
        let mut sealed = Sealed::default();
        match what(&mut self.session, &mut sealed) {
            Ok(()) => self.out.extend_from_slice(sealed.bytes()),
            // A connection that is over is not worth more.
            Err(why) => self.fault = Some(Fault::Refused(why)),
        }
    }

    /// Gives what was opened before, or opens what was read before. Whether there is an answer.
    fn give_what_came(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        if !self.plain.is_empty() {
            give_kept(&mut self.plain, buf);
            return true;
        }
        let before = buf.filled().len();
        if !self.came.is_empty() {
            let mut came = std::mem::take(&mut self.came);
            let done = self.open(&mut came, buf);
            came.advance(done);
            // A little of a large buffer does not keep all of it.
            if came.is_empty() || self.is_large && came.len() <= LITTLE {
                self.is_large = false;
                came = BytesMut::from(&came[..]);
            }
            self.came = came;
        }
        buf.filled().len() > before || buf.remaining() == 0
    }

    /// The end, if it is there.
    fn end(&self) -> Option<io::Result<()>> {
        if let Some(fault) = self.fault {
            return Some(Err(fault.into()));
        }
        self.session.is_closed().then_some(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Stream<T> {
    /// Sends what was sealed before.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.tls.out.is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, &self.tls.out))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.tls.out.advance(sent);
        }
        self.tls.out = BytesMut::new();
        self.tls.is_fresh = false;
        Poll::Ready(Ok(()))
    }

    /// Seals as much as one write takes, and writes it: how many bytes that were. What the socket
    /// does not take is kept, and goes before anything else.
    fn poll_seal(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tls.is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !self.tls.is_fresh && !self.tls.out.is_empty() {
            ready!(self.poll_send(cx))?;
        }
        SENT.with_borrow_mut(|sealed| {
            let tls = &mut *self.tls;
            sealed.clear();
            // What a handshake has left goes with it.
            sealed.put(&tls.out);
            let taken = tls
                .session
                .send(pieces, SEALED, sealed)
                .map_err(|why| io::Error::other(why.to_string()))?;
            tls.out = BytesMut::new();
            tls.is_fresh = false;
            let mut bytes = sealed.bytes();
            while !bytes.is_empty() {
                match Pin::new(&mut self.io).poll_write(cx, bytes) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(length)) => bytes = &bytes[length..],
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        tls.out = BytesMut::from(bytes);
                        break;
                    }
                }
            }
            Poll::Ready(Ok(taken))
        })
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.tls.give_what_came(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let mut fruitless = 0;
        loop {
            if let Some(end) = me.tls.end() {
                if !me.tls.out.is_empty() {
                    // The last that is said. Who asked has to hear of the end, not of this.
                    let _ = me.poll_send(cx);
                }
                return Poll::Ready(end);
            }
            let read = OPENED.with_borrow_mut(|room| {
                room.clear();
                room.reserve(LARGE + me.tls.came.len());
                room.extend_from_slice(&me.tls.came);
                let length = ready!(poll_read_buf(Pin::new(&mut me.io), cx, room))?;
                if length == 0 {
                    me.tls.fault = Some(Fault::CutOff);
                    return Poll::Ready(Ok(()));
                }
                let done = me.tls.open(room, buf);
                me.tls.is_large = room.len() - done > LITTLE;
                me.tls.came = if me.tls.is_large {
                    room.split_off(done)
                } else {
                    BytesMut::from(&room[done..])
                };
                Poll::Ready(Ok::<_, io::Error>(()))
            });
            if read.is_pending() {
                if me.tls.is_fresh {
                    // The client may wait for this before it says anything.
                    let _ = me.poll_send(cx)?;
                }
                return Poll::Pending;
            }
            ready!(read)?;
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            fruitless += 1;
            if fruitless == FRUITLESS && me.tls.end().is_none() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_seal(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_seal(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.tls.out.is_empty() {
            ready!(self.poll_send(cx))?;
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.tls.is_shut {
            self.tls.say(Session::close);
            self.tls.is_shut = true;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
