//! A response's body, bound to the connection that it comes from.

use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::balance::UnderWay;
use super::deadline::Deadline;
use super::line::{Incoming, Line};
use super::{CodecError, Upstreams};
use crate::body::{Patience, Upload};
use crate::late::Late;

/// Why a body ended early. The client sees its response cut, never presented as whole.
#[derive(Debug, thiserror::Error)]
pub enum ResponseFault {
    /// Connection closed or reset, or broken framing. It is no source: the codec towards the client
    /// looks there for a code to reset its stream with, and the upstream's says something of
    /// another connection. `REFUSED_STREAM` would have the client send its request once more.
    #[error("the upstream broke off: {0}")]
    Broken(CodecError),
    /// HTTP/2: the stream was reset as if all were well, before its end.
    #[error("the upstream broke off its answer")]
    Cut,
    /// Nothing came for `limits.upstream_idle`.
    #[error("the upstream went silent")]
    Silent,
    /// `upstream.total` has passed.
    #[error("{0}")]
    TooLong(Late),
}

/// The right to a connection until the response has been read.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) line: Option<Line>,
    pub(super) pool: Weak<Upstreams>,
    pub(super) key: Arc<str>,
    pub(super) upload: Rc<Upload>,
}

impl Lease {
    /// The response was read to its end: the connection can serve another request, unless the
    /// upstream answered before it had read all of this one. A stream is over, and with it what is
    /// left of the request.
    fn give_back(&mut self) {
        if let (Some(Line::Own(channel)), Some(pool)) = (self.line.take(), self.pool.upgrade())
            && self.upload.ended()
        {
            pool.give_back(&self.key, channel);
        }
    }

    fn is_stream(&self) -> bool {
        matches!(self.line, Some(Line::Stream(_)))
    }
}

/// See the module. Dropped before its end, it closes the connection, or resets the stream.
#[derive(Debug)]
pub struct ResponseBody {
    incoming: Incoming,
    lease: Lease,
    patience: Patience,
    deadline: Option<(Pin<Box<Sleep>>, Late)>,
    under_way: Option<UnderWay>,
    /// Its status says that there is no content (RFC 9110 §15.3.5, §15.4.5).
    bodiless: bool,
}

impl ResponseBody {
    pub(super) fn new(
        incoming: Incoming,
        mut lease: Lease,
        status: StatusCode,
        idle: Option<Duration>,
        deadline: Option<Deadline>,
    ) -> Self {
        if incoming.is_end_stream() {
            lease.give_back();
        }
        let sleep = |until: Deadline| Box::pin(tokio::time::sleep_until(until.at()));
        let deadline = deadline.map(|until| (sleep(until), until.missed()));
        Self {
            incoming,
            lease,
            patience: Patience::new(idle),
            deadline,
            under_way: None,
            bodiless: matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED),
        }
    }

    /// Counts it as under way for as long as it is.
    pub(super) fn count(&mut self, under_way: UnderWay) {
        self.under_way = Some(under_way);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseFault>>> {
        let me = &mut *self;
        if let Some((deadline, late)) = &mut me.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(ResponseFault::TooLong(*late))));
        }
        let frame = match Pin::new(&mut me.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                std::task::ready!(me.patience.poll_overdue(cx));
                return Poll::Ready(Some(Err(ResponseFault::Silent)));
            }
        };
        me.patience.progress();
        // HTTP/2 has no framing that would keep it from sending some.
        if me.bodiless && matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            return Poll::Ready(None);
        }
        // hyper takes a reset without an error for an end (RFC 9113 §8.1), also where there was none.
        if frame.is_none() && me.lease.is_stream() && !me.incoming.is_end_stream() {
            return Poll::Ready(Some(Err(ResponseFault::Cut)));
        }
        if frame.is_none() || me.incoming.is_end_stream() {
            me.lease.give_back();
        }
        Poll::Ready(frame.map(|frame| {
            Ok(
                match frame.map_err(ResponseFault::Broken)?.into_trailers() {
                    Ok(trailers) => {
                        Frame::trailers(crate::headers::clean_trailers(&trailers, None))
                    }
                    Err(frame) => frame,
                },
            )
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // An answer to HEAD has the length of another one's content.
        if self.incoming.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        // Nor is there a length of what does not go on.
        if self.bodiless {
            return SizeHint::default();
        }
        self.incoming.size_hint()
    }
}

/// Whether silence is part of the response: event streams and gRPC.
pub(super) fn is_endless(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|media| {
            let media = media.trim_start().as_bytes();
            let begins = |kind: &[u8]| {
                media
                    .get(..kind.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(kind))
            };
            begins(b"text/event-stream") || begins(b"application/grpc")
        })
}
