//! What a connection is waiting for, and since when.
//!
//! hyper leaves most waits of a server without an end: the TLS handshake, the HTTP/2 preface, a header block that never ends, a client that
//! takes no byte. All of them are seen where the bytes move, so they are timed there: [`Watched`]
//! notes reads and writes, the service notes requests, and [`drive`] polls the connection and
//! ends it when [`ConnectionWatch::deadline`] has passed.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::Limits;

/// Shared by the layers of one connection, all of which live on one thread.
#[derive(Debug)]
pub(crate) struct ConnectionWatch {
    phase: Cell<Phase>,
    /// Microseconds since [`epoch`] at which the phase began.
    since: Cell<u64>,
    /// When the last pause between requests began.
    idle_since: Cell<u64>,
    /// Since when the peer takes no byte; 0: it does.
    write_blocked: Cell<u64>,
    /// Since when an HTTP/2 frame that belongs to no body is incomplete; 0: none is.
    frame_open: Cell<u64>,
    /// Requests whose response body has not been dropped.
    calls: Cell<u32>,
    /// All requests so far.
    requests: Cell<u64>,
    /// It has had its `limits.requests_per_connection`, and is to be told so.
    spent: Cell<bool>,
}

/// What the connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// TLS handshake, choice of the codec, first request head.
    Opening,
    /// Nothing is expected.
    Idle,
    /// A head has begun.
    Head,
    /// At least one request is being served.
    Active,
}

/// Which wait was too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// Handshake, preface, or request head (`limits.request_head`).
    Head,
    /// Keep-alive (`limits.idle`).
    Idle,
    /// The client takes no byte (`limits.write_stall`).
    Write,
    /// None: it has had its `limits.requests_per_connection`.
    Spent,
}

impl ConnectionWatch {
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Opening),
            since: Cell::new(now()),
            idle_since: Cell::new(now()),
            write_blocked: Cell::new(0),
            frame_open: Cell::new(0),
            calls: Cell::new(0),
            requests: Cell::new(0),
            spent: Cell::new(false),
        })
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(now());
    }

    /// A request head is complete.
    pub(crate) fn call_begins(&self) {
        self.calls.set(self.calls.get() + 1);
        self.enter(Phase::Active);
    }

    /// Counts a request. True for the last that the connection may have, and for those that were
    /// on their way meanwhile.
    pub(crate) fn is_last(&self, limit: u64) -> bool {
        self.requests.set(self.requests.get() + 1);
        self.requests.get() >= limit
    }

    /// Has [`drive`] return once, so that the client can be told to go elsewhere.
    pub(crate) fn spend(&self) {
        self.spent.set(true);
    }

    /// Its response is over, or was given up.
    pub(crate) fn call_ends(&self) {
        self.calls.set(self.calls.get() - 1);
        if self.calls.get() == 0 {
            self.enter(Phase::Idle);
        }
    }

    /// An HTTP/2 frame outside of a body is incomplete, or no longer.
    pub(crate) fn frame_is_open(&self, open: bool) {
        if !open {
            self.frame_open.set(0);
        } else if self.frame_open.get() == 0 {
            self.frame_open.set(now());
        }
    }

    /// HTTP/1.1: the first byte after a pause begins a head. The time of the pause is kept, for
    /// [`Self::back_to_idle`].
    fn bytes_came(&self) {
        if self.phase() == Phase::Idle {
            self.idle_since.set(self.since.get());
            self.enter(Phase::Head);
        }
    }

    /// What came was no head after all (HTTP/2 frames): the pause goes on.
    pub(crate) fn back_to_idle(&self) {
        self.phase.set(Phase::Idle);
        self.since.set(self.idle_since.get());
    }

    fn write_blocked(&self, blocked: bool) {
        if !blocked {
            self.write_blocked.set(0);
        } else if self.write_blocked.get() == 0 {
            self.write_blocked.set(now());
        }
    }

    /// Whether nothing is under way, and has not been for a while.
    pub(crate) fn is_quiet(&self, least: Duration) -> bool {
        self.phase() != Phase::Active
            && self.write_blocked.get() == 0
            && self.since.get() + micros(least) <= now()
    }

    /// When this connection has waited long enough, and for what.
    fn deadline(&self, limits: &Limits) -> Option<(u64, Overdue)> {
        let since = self.since.get();
        let phase = match self.phase() {
            Phase::Opening | Phase::Head => {
                Some((since + micros(limits.request_head), Overdue::Head))
            }
            Phase::Idle => Some((since + micros(limits.idle), Overdue::Idle)),
            Phase::Active => None,
        };
        let from = |mark: &Cell<u64>, limit: Duration, kind| match mark.get() {
            0 => None,
            at => Some((at + micros(limit), kind)),
        };
        let write = from(&self.write_blocked, limits.write_stall, Overdue::Write);
        let frame = from(&self.frame_open, limits.request_head, Overdue::Head);
        [phase, write, frame]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }
}

/// Polls a connection until it ends or has kept us waiting for too long.
///
/// The timer is only moved when a deadline comes nearer than the one it is set to, and only looked
/// at when it rang, so that a busy connection costs no timer operation per request. To be awaited
/// in one task.
pub(crate) async fn drive<F: Future>(
    watch: &ConnectionWatch,
    limits: &Limits,
    connection: Pin<&mut F>,
) -> Result<F::Output, Overdue> {
    let mut connection = connection;
    let mut timer = std::pin::pin!(tokio::time::sleep(limits.request_head));
    // The timer will wake the task that this is polled in.
    let mut is_armed = false;
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(output) = connection.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if watch.spent.get() {
            watch.spent.set(false);
            return Poll::Ready(Err(Overdue::Spent));
        }
        loop {
            let Some((at, kind)) = watch.deadline(limits) else {
                return Poll::Pending;
            };
            let due = tokio::time::Instant::from_std(epoch() + Duration::from_micros(at));
            if is_armed && due >= timer.deadline() && !timer.is_elapsed() {
                return Poll::Pending;
            }
            if at <= now() {
                return Poll::Ready(Err(kind));
            }
            // An elapsed timer has to be set again even for a later time.
            if due < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(due);
            }
            // Who has used up its turn is told Pending by a timer that was not looked at.
            let has_turn = tokio::task::coop::has_budget_remaining();
            if timer.as_mut().poll(cx).is_pending() {
                is_armed = has_turn;
                return Poll::Pending;
            }
            is_armed = false;
        }
    })
    .await
}

/// The socket below TLS: notes that bytes came and that none are taken.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    inner: T,
    watch: Rc<ConnectionWatch>,
}

impl<T> Watched<T> {
    pub(crate) fn new(inner: T, watch: Rc<ConnectionWatch>) -> Self {
        Self { inner, watch }
    }

    /// What is watched.
    pub(crate) fn inner(&self) -> &T {
        &self.inner
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.watch.bytes_came();
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch.write_blocked(result.is_pending());
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch.write_blocked(result.is_pending());
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    // A second early, so that no mark is ever 0, which means "not set".
    *EPOCH.get_or_init(|| {
        Instant::now()
            .checked_sub(Duration::from_secs(1))
            .unwrap_or_else(Instant::now)
    })
}

/// Microseconds since [`epoch`].
pub(crate) fn now() -> u64 {
    micros(epoch().elapsed())
}

/// A duration as microseconds; half a million years at most.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that does much in one poll uses up its turn, and then nothing of the runtime's
    /// answers: its timer is set all the same.
    #[tokio::test]
    async fn a_turn_that_was_used_up_keeps_no_deadline_from_passing() {
        let driven = async {
            let limits = Limits {
                request_head: Duration::from_millis(10),
                idle: Duration::from_millis(40),
                ..Limits::default()
            };
            let watch = ConnectionWatch::new();
            // Later than what the timer is made for, so that it is not moved.
            watch.enter(Phase::Idle);
            let busy = std::pin::pin!(std::future::poll_fn(|cx| {
                while std::pin::pin!(tokio::task::coop::consume_budget())
                    .poll(cx)
                    .is_ready()
                {}
                Poll::<()>::Pending
            }));
            drive(&watch, &limits, busy).await
        };
        let local = tokio::task::LocalSet::new();
        // A task, since it is tasks that have turns.
        let task = local.spawn_local(driven);
        let ended = local.run_until(tokio::time::timeout(Duration::from_secs(5), task));
        let ended = ended.await.map(Result::unwrap);
        assert_eq!(ended, Ok(Err(Overdue::Idle)));
    }
}
