//! What a client sends behind the head of its request, whichever codec reads it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// It broke off: its framing is broken, or the client left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body ended early")]
pub struct Lost;

/// See the module.
pub enum Incoming {
    /// Nothing.
    Empty,
    /// Of HTTP/1.1.
    Own(Pin<Box<dyn Body<Data = Bytes, Error = Lost>>>),
    /// Of HTTP/2.
    Stream(hyper::body::Incoming),
}

impl fmt::Debug for Incoming {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Empty => "Empty",
            Self::Own(_) => "Own",
            Self::Stream(_) => "Stream",
        })
    }
}

impl From<hyper::body::Incoming> for Incoming {
    fn from(body: hyper::body::Incoming) -> Self {
        Self::Stream(body)
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Own(body) => body.as_mut().poll_frame(cx),
            Self::Stream(body) => Pin::new(body).poll_frame(cx).map_err(|_| Lost),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Own(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Own(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}
