//! The life of a request as the server sees it, and the executor of HTTP/2 streams.
//!
//! A body is not polled while its client takes nothing, so a body can not time a client that
//! stalls. On HTTP/1.1 the socket shows it; on HTTP/2 only the future that owns the stream can be
//! ended, so it is timed here.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::watch::ConnectionWatch;
use crate::alarm::Alarm;

/// One request of a connection, from its head to the drop of its response body.
#[derive(Debug)]
pub(crate) struct Call {
    watch: Rc<ConnectionWatch>,
    /// Since when a piece of the body is in the codec's hands and no further one was asked for.
    given: Cell<Option<Instant>>,
    /// What owns the response: the connection of HTTP/1.1, the stream's future of HTTP/2.
    task: OnceCell<AbortHandle>,
}

impl Call {
    pub(crate) fn begin(watch: &Rc<ConnectionWatch>) -> Rc<Self> {
        watch.call_begins();
        Rc::new(Self {
            watch: Rc::clone(watch),
            given: Cell::new(None),
            task: OnceCell::new(),
        })
    }

    /// Names the task that [`Cut`] ends.
    pub(super) fn owned_by(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }
}

/// Ends one exchange before its time, whether or not its client takes anything: a body is not
/// polled meanwhile, so what owns it is dropped. HTTP/1.1: the connection is closed, without the
/// end of the body. HTTP/2: the stream is reset, and the connection's others go on.
#[derive(Debug)]
pub struct Cut(Rc<Call>);

impl Cut {
    pub(super) fn of(call: &Rc<Call>) -> Self {
        Self(Rc::clone(call))
    }

    /// Does it, as soon as the worker comes to it.
    pub fn now(&self) {
        if let Some(task) = self.0.task.get() {
            task.abort();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.watch.call_ends();
    }
}

/// A response body that keeps its [`Call`] alive and notes whether the client takes it.
#[derive(Debug)]
pub(crate) struct Tracked<B> {
    body: B,
    call: Rc<Call>,
    /// HTTP/2: see [`StreamExecutor`].
    timed: bool,
    /// What is left of a frame that was cut, see [`PIECE`].
    rest: Bytes,
}

/// Bytes that an HTTP/2 client has to take within `limits.write_stall`. Larger frames are cut:
/// h2 wants the next one only when it has sent the last one, and a client that takes a little at
/// a time would seem to take nothing of a large one.
const PIECE: usize = 16 << 10;

impl<B> Tracked<B> {
    pub(crate) fn new(body: B, call: Rc<Call>, timed: bool) -> Self {
        Self {
            body,
            call,
            timed,
            rest: Bytes::new(),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Tracked<B> {
    /// [`Body::poll_frame`] in pieces.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) => self.rest = data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if !self.timed {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        let result = self.poll_piece(cx);
        self.call.given.set(result.is_ready().then(Instant::now));
        result
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower().saturating_add(rest));
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper.saturating_add(rest));
        }
        whole
    }
}

/// Spawns the futures of one HTTP/2 connection's streams on the worker.
#[derive(Clone)]
pub(crate) struct StreamExecutor {
    /// The call that the service began last: hyper executes its future right after.
    pub(crate) begun: Rc<RefCell<Option<Rc<Call>>>>,
    pub(crate) stall: Duration,
    pub(crate) stalled: Rc<dyn Fn()>,
}

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, future: F) {
        let begun = self.begun.borrow_mut().take();
        let task = tokio::task::spawn_local(Timed {
            future,
            call: begun.as_ref().map(Rc::downgrade),
            stall: self.stall,
            stalled: Rc::clone(&self.stalled),
            alarm: Alarm::default(),
        });
        if let Some(call) = begun {
            call.owned_by(task.abort_handle());
        }
    }
}

pin_project! {
    /// The future of a stream, given up when its client stalls: dropped, it resets the stream.
    struct Timed<F> {
        #[pin]
        future: F,
        call: Option<Weak<Call>>,
        stall: Duration,
        stalled: Rc<dyn Fn()>,
        alarm: Alarm,
    }
}

impl<F: Future<Output = ()>> Future for Timed<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let me = self.project();
        if me.future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let call = me.call.as_ref().and_then(Weak::upgrade);
        let Some(given) = call.and_then(|call| call.given.get()) else {
            return Poll::Pending;
        };
        ready!(me.alarm.poll(cx, given + *me.stall));
        (me.stalled)();
        Poll::Ready(())
    }
}
