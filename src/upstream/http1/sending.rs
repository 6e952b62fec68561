//! A request on its way out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderName;
use http_body::{Body as _, Frame};
use tokio::io::AsyncWrite;

use super::{Fault, head};
use crate::body::BodyFault;
use crate::http1::{Message, Outflow, Unsent, is_announced};
use crate::upstream::Outgoing;
use crate::upstream::socket::says_only_that_it_is_gone;

/// What is left of a request.
#[derive(Debug)]
pub(super) struct Sending {
    outgoing: Box<Outgoing>,
    outflow: Outflow,
    stuck: Option<Stuck>,
}

/// The upstream takes no more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stuck {
    /// It never took any, and nothing was taken from the client.
    untouched: bool,
}

impl Message for Outgoing {
    type Error = BodyFault;

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        Pin::new(self.request.body_mut()).poll_frame(cx)
    }

    fn announces(&self, trailer: &HeaderName) -> bool {
        is_announced(self.request.headers(), trailer)
    }
}

impl Sending {
    pub(super) fn new(outgoing: Box<Outgoing>) -> Self {
        let mut out = Vec::new();
        let framing = head::write(&outgoing, &mut out);
        Self {
            outgoing,
            outflow: Outflow::new(out, framing),
            stuck: None,
        }
    }

    /// The request, if nothing of it was sent.
    pub(super) fn unsent(self) -> Option<Box<Outgoing>> {
        (self.stuck == Some(Stuck { untouched: true })).then_some(self.outgoing)
    }

    /// Whether the upstream takes no more of it. What it said is there to be read all the same:
    /// one that refuses an upload answers and closes, and then its system resets the connection.
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck.is_some()
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
        match ready!(self.outflow.poll(io, &mut *self.outgoing, cx)) {
            Err(Unsent::Io(error)) if says_only_that_it_is_gone(&error) => {
                let untouched = !self.outflow.is_begun();
                self.stuck = Some(Stuck { untouched });
                self.outgoing.request.body().upload().give_up();
                Poll::Pending
            }
            Err(Unsent::Io(error)) => Poll::Ready(Err(error.into())),
            Err(Unsent::Body(_) | Unsent::Length) => Poll::Ready(Err(Fault::Request)),
            Ok(()) => Poll::Ready(Ok(())),
        }
    }
}
