//! The body of a response, read off its connection by who asks for it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

use super::head::Head;
use super::{Connection, Fault, Wire};
use crate::http1::{Chunks, Left};

/// What follows on a head (RFC 9112 §6.3). Whether that is to be trusted is another question
/// ([`crate::headers::framing`]).
pub(super) fn left(head: &Head, is_head_request: bool) -> Result<Left, Fault> {
    let bodiless = matches!(
        head.status,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if is_head_request || bodiless {
        return Ok(Left::Nothing);
    }
    if head.fields.contains_key(header::TRANSFER_ENCODING) {
        return Ok(Left::Chunks(Chunks::new()));
    }
    Ok(match length(&head.fields)? {
        Some(0) => Left::Nothing,
        Some(length) => Left::Length(length),
        None => Left::Close,
    })
}

/// The first number of `Content-Length`: that it is the only one is looked at elsewhere.
fn length(head: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = head.get(header::CONTENT_LENGTH) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Fault::Length)?;
    let first = text.split(',').next().unwrap_or_default().trim();
    if !first.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Length);
    }
    first.parse().map(Some).map_err(|_| Fault::Length)
}

/// See the module.
#[derive(Debug)]
pub(in crate::upstream) struct Download {
    connection: Connection,
    left: Left,
    /// Why there is no more, not told yet.
    fault: Option<Fault>,
}

impl Download {
    pub(super) fn new(connection: Connection, left: Left) -> Self {
        if left == Left::Nothing {
            connection.0.borrow_mut().is_read = true;
        }
        Self {
            connection,
            left,
            fault: None,
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let me = &mut *self;
        if let Some(fault) = me.fault.take() {
            // What may still come is nothing that this body could go on with.
            me.left = Left::Nothing;
            return Poll::Ready(Some(Err(fault)));
        }
        // The connection may be somebody else's by now.
        if me.left == Left::Nothing {
            return Poll::Ready(None);
        }
        let mut wire = me.connection.0.borrow_mut();
        let frame = if let Some(fault) = wire.poll_rest(cx) {
            Err(fault)
        } else {
            let Wire { inflow, io, .. } = &mut *wire;
            ready!(inflow.poll_frame(io, cx, &mut me.left)).map_err(Fault::from)
        };
        wire.is_read = me.left == Left::Nothing;
        match frame {
            Ok(frame) => Poll::Ready(frame.map(Ok)),
            Err(fault) => {
                wire.persists = false;
                // Told in a turn of its own: who sends it on has sent then what came before.
                me.fault = Some(fault);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
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
