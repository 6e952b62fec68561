//! The body of a request, read off its connection by who asks for it.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::Wire;
use crate::body::Lost;
use crate::http1::Left;

/// See the module.
pub(super) struct Upload<T> {
    wire: Rc<RefCell<Wire<T>>>,
    left: Left,
}

impl<T> Upload<T> {
    pub(super) fn new(wire: Rc<RefCell<Wire<T>>>, left: Left) -> Self {
        Self { wire, left }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Body for Upload<T> {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        let me = &mut *self;
        // The connection may be at the next request by now.
        if me.left == Left::Nothing {
            return Poll::Ready(None);
        }
        let frame = ready!(me.wire.borrow_mut().poll_upload(cx, &mut me.left));
        if frame.is_err() {
            // What may still come is nothing that this body could go on with.
            me.left = Left::Nothing;
        }
        Poll::Ready(frame.map_err(|_| Lost).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.left == Left::Nothing
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .length()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
