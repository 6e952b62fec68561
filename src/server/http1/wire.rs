//! What a connection consists of, shared by who speaks on it and by the body of its request.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::Fault;
use super::head::{Bounds, Head};
use crate::alarm::Alarm;
use crate::http1::{Broken, Inflow, Left};
use crate::server::presence::{Far, Presence};

/// What asks for a body (RFC 9110 §15.2.1).
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How often it is looked whether a client is there of which something is unread.
const LOOK: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Wire<T> {
    /// Gone when the connection is over, though somebody may still hold a body.
    io: Option<T>,
    inflow: Inflow,
    /// Whether all of the request was read.
    is_read: bool,
    /// The answer has begun: nobody is asked for a body any more.
    pub(super) is_answered: bool,
    /// What is left to be said before the body comes.
    asking: &'static [u8],
    /// What was said of it is not known to have left TLS.
    is_dirty: bool,
    /// Who wants to know when all of the request was read.
    reader: Option<Waker>,
    look: Look,
}

/// Looking for a client of which something is unread.
#[derive(Debug, Default)]
struct Look {
    /// When next.
    at: Option<Instant>,
    alarm: Alarm,
    /// Something of the body was read since the last time.
    moves: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io: Some(io),
            inflow: Inflow::default(),
            is_read: true,
            is_answered: false,
            asking: &[],
            is_dirty: false,
            reader: None,
            look: Look::default(),
        }
    }

    /// Waits for the head of a request. `None`: the client leaves, or `closing` says that there is
    /// to be no further one and none has begun.
    pub(super) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        bounds: Bounds,
        closing: &Cell<bool>,
    ) -> Poll<Result<Option<Head>, Fault>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(None));
        };
        loop {
            self.inflow.skip_empty_lines();
            let ahead = &mut self.inflow.ahead;
            if !ahead.is_empty()
                && let Some(head) = Head::take(ahead, bounds)?
            {
                if ahead.is_empty() {
                    *ahead = Bytes::new();
                }
                self.is_read = head.left == Left::Nothing;
                self.is_answered = false;
                self.look.at = None;
                self.asking = if head.waits && !self.is_read {
                    CONTINUE
                } else {
                    &[]
                };
                return Poll::Ready(Ok(Some(head)));
            }
            if closing.get() && self.inflow.is_empty() {
                return Poll::Ready(Ok(None));
            }
            let mut is_due = false;
            while !is_due {
                let has_begun = !self.inflow.is_empty();
                let length;
                (length, is_due) = match ready!(self.inflow.poll_more(io, cx, bounds.bytes)) {
                    Ok(more) => more,
                    // One that is between requests may simply be gone.
                    Err(_) if !has_begun => return Poll::Ready(Ok(None)),
                    Err(error) => return Poll::Ready(Err(error.into())),
                };
                if length == 0 {
                    return Poll::Ready(if has_begun {
                        Err(Fault::Closed)
                    } else {
                        Ok(None)
                    });
                }
            }
        }
    }

    /// What comes next of the request's body.
    pub(super) fn poll_upload(
        &mut self,
        cx: &mut Context<'_>,
        left: &mut Left,
    ) -> Poll<Result<Option<Frame<Bytes>>, Broken>> {
        if !self.is_answered {
            ready!(self.poll_ask(cx))?;
        }
        let Some(io) = &mut self.io else {
            return Poll::Ready(Err(Broken::Closed));
        };
        let frame = ready!(self.inflow.poll_frame(io, cx, left));
        self.look.moves = true;
        if *left == Left::Nothing {
            self.is_read = true;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        Poll::Ready(frame)
    }

    /// Says what is left of what asks for the body. What has begun has to be said to its end, also
    /// before the answer.
    pub(super) fn poll_ask(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        while !self.asking.is_empty() {
            let written = ready!(Pin::new(&mut *io).poll_write(cx, self.asking))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.asking = &self.asking[written..];
            self.is_dirty = true;
        }
        if self.is_dirty {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.is_dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The answer begins: a body that nobody asked for by now is not asked for.
    pub(super) fn answers(&mut self) {
        if self.asking.len() == CONTINUE.len() {
            self.asking = &[];
        }
    }

    /// Whether another request can be read.
    pub(super) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.inflow.held()
    }

    /// Takes the connection away, with what was read of it and not looked at.
    pub(super) fn take(&mut self) -> Option<(T, Bytes)> {
        let ahead = std::mem::take(&mut self.inflow.ahead);
        Some((self.io.take()?, ahead))
    }
}

impl<T: AsyncRead + AsyncWrite + Far + Unpin> Wire<T> {
    /// Whether the client is gone while its request is served. What it sends meanwhile is kept, and
    /// no more of it is read than once.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        if !self.is_read {
            if self
                .reader
                .as_ref()
                .is_none_or(|reader| !reader.will_wake(cx.waker()))
            {
                self.reader = Some(cx.waker().clone());
            }
            return self.poll_look(cx);
        }
        let Some(io) = &mut self.io else {
            return Poll::Ready(Fault::Closed);
        };
        if self.inflow.ahead.is_empty() {
            match ready!(self.inflow.poll_unexpected(io, cx)) {
                Ok(0) => return Poll::Ready(Fault::Closed),
                Ok(_) => {}
                Err(error) => return Poll::Ready(error.into()),
            }
        }
        self.poll_look(cx)
    }

    /// The same while bytes are unread, behind which an end is not seen: the system is asked now and
    /// then.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<Fault> {
        loop {
            let at = *self.look.at.get_or_insert_with(|| Instant::now() + LOOK);
            ready!(self.look.alarm.poll(cx, at));
            self.look.at = None;
            let presence = self.io.as_ref().map_or(Presence::Gone, Far::presence);
            let moves = std::mem::take(&mut self.look.moves) && !self.is_read;
            match presence {
                // It may have sent its last, and that is on its way to the upstream.
                Presence::Ended if moves => {}
                Presence::There => {}
                Presence::Ended | Presence::Gone => return Poll::Ready(Fault::Closed),
            }
        }
    }
}

/// A connection as who writes on it sees it. The body of a request can be read meanwhile.
pub(super) struct Writes<'w, T>(pub(super) &'w Rc<RefCell<Wire<T>>>);

impl<T: AsyncWrite + Unpin> Writes<'_, T> {
    fn with<R>(
        &self,
        write: impl FnOnce(Pin<&mut T>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        match &mut self.0.borrow_mut().io {
            Some(io) => write(Pin::new(io)),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Writes<'_, T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write_vectored(cx, bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_shutdown(cx))
    }
}
