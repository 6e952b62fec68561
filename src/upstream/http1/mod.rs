//! HTTP/1.1 towards an upstream (RFC 9112): one exchange at a time on a connection, in the task of
//! the request that it is for.
//!
//! Nothing is polled for a connection that is idle, and nothing is handed from task to task: what
//! waits for the response reads it. Only what is left of a request whose response has begun is
//! sent by a task of its own, since nobody may be asking for the response meanwhile.

#[cfg(any(test, fuzzing))]
pub(super) mod differential;
mod download;
mod head;
mod sending;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf;
use http::{Method, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;

use super::Outgoing;
use super::transport::Transport;
pub(super) use download::Download;
use head::Head;
use sending::Sending;

use crate::http1::{Broken, Inflow, Left};
use crate::layers::give;

/// Bytes of a response's head.
const HEAD: usize = 400 << 10;
/// Bytes that may come before a response head is complete: a head, and interim responses (1xx),
/// which are dropped.
const BEFORE_HEAD: u64 = 1 << 20;

/// How an exchange broke.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The connection ended before the response did.
    #[error("connection closed before message completed")]
    Closed,
    /// It broke.
    #[error("connection error: {0}")]
    Io(#[from] io::Error),
    /// What came is no head of a response.
    #[error("invalid HTTP response head: {0}")]
    Head(httparse::Error),
    /// More than 400 KiB of it.
    #[error("the response head is too large")]
    HeadTooLarge,
    /// More than 1 MiB of interim responses.
    #[error("too much before the response head")]
    BeforeHead,
    /// A length that can not be understood.
    #[error("the response's length is unclear")]
    Length,
    /// RFC 9112 §7.1.
    #[error("invalid chunked body: {0}")]
    Chunks(&'static str),
    /// The request's body ended early, or is longer than it was said to be.
    #[error("the request's body is not what its head says")]
    Request,
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Closed => Self::Closed,
            Broken::Io(error) => Self::Io(error),
            Broken::Chunks(reason) => Self::Chunks(reason),
        }
    }
}

/// The head of a request, as it is written.
#[cfg(any(test, fuzzing))]
pub(crate) fn written(outgoing: &Outgoing) -> Vec<u8> {
    let mut out = Vec::new();
    head::write(outgoing, &mut out);
    out
}

/// A connection, held by who may send a request on it and by the response that comes from it.
/// Closed when neither does.
#[derive(Debug, Clone)]
pub(super) struct Connection(Rc<RefCell<Wire>>);

/// What a connection consists of.
#[derive(Debug)]
struct Wire {
    io: Transport,
    inflow: Inflow,
    /// Bytes that came between the request and the head of its response.
    came: u64,
    /// What is not sent yet of a request.
    sending: Option<Box<Sending>>,
    /// The task that does, if there is a response already.
    rest: Option<Rest>,
    /// Whether another request may follow this response.
    persists: bool,
    /// Whether all of a response was read, or none is due.
    is_read: bool,
}

/// Sends the rest of a request; dropped with the connection.
#[derive(Debug)]
struct Rest {
    task: AbortHandle,
    /// Why it could not go on.
    fault: Option<Fault>,
    /// Who has to be told.
    reader: Option<Waker>,
}

impl Drop for Rest {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An exchange without a response.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) fault: Fault,
    /// The request, if nothing of it was sent.
    pub(super) unsent: Option<Box<Outgoing>>,
}

impl Connection {
    pub(super) fn new(io: Transport) -> Self {
        Self(Rc::new(RefCell::new(Wire {
            io,
            inflow: Inflow::default(),
            came: 0,
            sending: None,
            rest: None,
            persists: true,
            is_read: true,
        })))
    }

    /// Whether another request can be sent on it, as far as the last exchange goes.
    pub(super) fn is_free(&self) -> bool {
        self.0.borrow().is_free()
    }

    /// See [`Transport::is_quiet`].
    pub(super) fn is_quiet(&self) -> bool {
        self.0.borrow_mut().io.is_quiet()
    }

    /// See [`Transport::seems_quiet`].
    pub(super) fn seems_quiet(&self) -> bool {
        self.0.borrow_mut().io.seems_quiet()
    }

    /// Whether a request may be sent. Without need to be sure it is enough that the runtime, which
    /// looked before the tasks of this turn began, knows of nothing: a system call less.
    pub(super) fn may_be_used(&self, must_be_sure: bool) -> bool {
        // Who has used up its turn is told of nothing.
        if must_be_sure || !tokio::task::coop::has_budget_remaining() {
            self.is_quiet()
        } else {
            self.seems_quiet()
        }
    }

    /// Whether a byte came since the request.
    pub(super) fn spoke(&self) -> bool {
        self.0.borrow().came > 0
    }

    /// Gives back what it needs only while something is under way.
    pub(super) fn shed(&self) {
        self.0.borrow_mut().inflow.shed();
    }

    /// Sends a request, and waits for the head of its response. To be held as long as anything of
    /// the exchange is wanted.
    pub(super) async fn send(
        self,
        outgoing: Box<Outgoing>,
    ) -> Result<Response<Download>, Unanswered> {
        let is_head = *outgoing.request.method() == Method::HEAD;
        let begun = |wire: &mut Wire| {
            wire.came = 0;
            wire.persists = false;
            wire.is_read = false;
            wire.sending = Some(Box::new(Sending::new(outgoing)));
        };
        begun(&mut self.0.borrow_mut());
        let head = poll_fn(|cx| self.0.borrow_mut().poll_exchange(cx)).await;
        let mut wire = self.0.borrow_mut();
        let head = head.map_err(|fault| Unanswered {
            fault,
            unsent: wire.sending.take().and_then(|sending| (*sending).unsent()),
        })?;
        let left = download::left(&head, is_head).map_err(|fault| Unanswered {
            fault,
            unsent: None,
        })?;
        wire.persists =
            head.persists && left != Left::Close && head.status != StatusCode::SWITCHING_PROTOCOLS;
        if wire
            .sending
            .as_ref()
            .is_some_and(|sending| !sending.is_stuck())
        {
            wire.rest = Some(self.send_rest());
        }
        drop(wire);
        Ok(head.response(|| Download::new(self.clone(), left)))
    }

    /// Sends what is left of the request from now on.
    fn send_rest(&self) -> Rest {
        let wire = Rc::downgrade(&self.0);
        let task = tokio::task::spawn_local(poll_fn(move |cx| {
            let Some(wire) = wire.upgrade() else {
                return Poll::Ready(());
            };
            let mut wire = wire.borrow_mut();
            let sent = ready!(wire.poll_send(cx));
            if let (Err(fault), Some(rest)) = (sent, &mut wire.rest) {
                rest.fault = Some(fault);
                if let Some(reader) = rest.reader.take() {
                    reader.wake();
                }
            }
            Poll::Ready(())
        }));
        Rest {
            task: task.abort_handle(),
            fault: None,
            reader: None,
        }
    }

    /// What is spoken on it from now on is no HTTP any more. `None`: a response still holds it.
    pub(super) fn into_switched(self) -> Option<Switched> {
        let mut wire = Rc::into_inner(self.0)?.into_inner();
        wire.persists = false;
        Some(Switched(wire))
    }
}

impl Wire {
    fn is_free(&self) -> bool {
        self.persists && self.is_read && self.sending.is_none() && self.inflow.ahead.is_empty()
    }

    /// Sends the request, and reads the head of the response, whichever gets on.
    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Fault>> {
        if let Poll::Ready(Err(fault)) = self.poll_send(cx) {
            return Poll::Ready(Err(fault));
        }
        self.poll_head(cx)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if let Some(sending) = &mut self.sending {
            ready!(sending.poll(&mut self.io, cx))?;
            self.sending = None;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Fault>> {
        loop {
            // Else the head is parsed from the first of them for each that comes.
            self.inflow.skip_empty_lines();
            if !self.inflow.ahead.is_empty() {
                match Head::take(&mut self.inflow.ahead)? {
                    Some(head) if head.is_interim() => continue,
                    Some(head) => return Poll::Ready(Ok(head)),
                    None if self.inflow.ahead.len() >= HEAD => {
                        return Poll::Ready(Err(Fault::HeadTooLarge));
                    }
                    None => {}
                }
            }
            let mut is_due = false;
            while !is_due {
                let length;
                (length, is_due) = ready!(self.inflow.poll_more(&mut self.io, cx, HEAD))?;
                if length == 0 {
                    return Poll::Ready(Err(Fault::Closed));
                }
                self.came += length as u64;
                if self.came > BEFORE_HEAD {
                    return Poll::Ready(Err(Fault::BeforeHead));
                }
            }
        }
    }

    /// Why the rest of the request does not go on; else `reader` is told when it does not.
    fn poll_rest(&mut self, cx: &Context<'_>) -> Option<Fault> {
        let rest = self.rest.as_mut()?;
        rest.reader = Some(cx.waker().clone());
        rest.fault.take()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.is_free() {
            self.io.say_goodbye();
        }
    }
}

/// A connection on which the upstream speaks the protocol that it was asked for, from the first
/// byte behind its 101.
#[derive(Debug)]
pub struct Switched(Wire);

impl AsyncRead for Switched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ahead = &mut self.0.inflow.ahead;
        if !ahead.is_empty() {
            let length = give(ahead, buf);
            ahead.advance(length);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.0.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Switched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.io).poll_shutdown(cx)
    }
}
