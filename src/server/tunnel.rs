//! Connections that speak another protocol: bytes are relayed both ways until both sides are done.
//!
//! There is no limit on silence, since it is part of such protocols (TCP's keep-alive finds peers
//! that vanished), but for two: who takes no byte for `limits.write_stall` is given up, and so is
//! a connection of which one side is done while the other is silent for `limits.idle`.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::streams::Call;
use super::watch::{ConnectionWatch, drive};
use super::{End, Tunnel};
use crate::config::Limits;

/// Bytes that are read at once. They are kept only when the other side does not take them.
const PIECE: usize = 16 << 10;

/// Connects the client, whose 101 is out, with the far end. False when the client took no byte
/// for too long.
pub(super) async fn connect<C: AsyncRead + AsyncWrite + Unpin>(
    client: C,
    mut far: Box<dyn Tunnel>,
    watch: &Rc<ConnectionWatch>,
    limits: &Limits,
) -> bool {
    // To the watch this is one more request: only writes are timed.
    let _call = Call::begin(watch);
    let (cut, mut in_time) = (far.cut(), true);
    let relay = std::pin::pin!(Relay {
        client,
        far: &mut *far,
        up: Way::default(),
        down: Way::default(),
        moved: Instant::now(),
        timer: None,
        limits,
    });
    let end = tokio::select! {
        // Also when neither side does anything.
        () = cut.cancelled() => End::Cut,
        ended = drive(watch, limits, relay) => {
            in_time = ended.is_ok();
            ended.unwrap_or(End::ClientLeft)
        }
    };
    far.ended(end);
    in_time
}

/// Both ways, until the end.
struct Relay<'a, C> {
    client: C,
    far: &'a mut dyn Tunnel,
    /// From the client.
    up: Way,
    /// To the client.
    down: Way,
    /// When something last moved while only one way was open.
    moved: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    limits: &'a Limits,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Relay<'_, C> {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let before = (self.up.state, self.down.state);
        let up = self.up.poll(cx, &mut self.client, &mut *self.far);
        let down = self.down.poll(cx, &mut *self.far, &mut self.client);
        let moved = std::mem::take(&mut self.up.moved) | std::mem::take(&mut self.down.moved);
        if before != (self.up.state, self.down.state) || (moved && self.is_half()) {
            self.moved = Instant::now();
        }
        match (up, down) {
            // The far side said all that it had to say, and the client has it.
            (Poll::Ready(_), Poll::Ready(Ok(()))) | (_, Poll::Ready(Err(Fault::Unsaid))) => {
                Poll::Ready(End::Complete)
            }
            (Poll::Ready(Err(Fault::From | Fault::Unsaid)), _)
            | (_, Poll::Ready(Err(Fault::To))) => Poll::Ready(End::ClientLeft),
            (Poll::Ready(Err(Fault::To)), _) | (_, Poll::Ready(Err(Fault::From))) => {
                Poll::Ready(End::UpstreamBroken)
            }
            (Poll::Pending, _) | (_, Poll::Pending) => self.poll_overdue(cx),
        }
    }

    /// Whether one way has ended and the other has not.
    fn is_half(&self) -> bool {
        (self.up.state == State::Done) != (self.down.state == State::Done)
    }

    /// Ready when it has waited long enough. That the client takes nothing is seen below TLS, by
    /// the connection's watch.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let blocked = self.up.blocked.map(|at| at + self.limits.write_stall);
        let half = self.is_half().then(|| self.moved + self.limits.idle);
        let Some(at) = blocked.into_iter().chain(half).min() else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx).map(|()| {
            if blocked == Some(at) {
                End::UpstreamBroken
            } else {
                End::HalfClosed
            }
        })
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Future for Relay<'_, C> {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        self.poll_end(cx)
    }
}

/// What ended a way before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The sender broke off.
    From,
    /// The sender ended without the farewell of TLS, as many do that have one of their own. That
    /// is passed on as it is: the receiver gets none either.
    Unsaid,
    /// The receiver takes nothing any more.
    To,
}

/// How far a way is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    /// Nothing more comes; the receiver is to hear of it.
    Ending,
    /// It did.
    Done,
    /// So much for the sender; the receiver is to have what came before.
    Failing(Fault),
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    state: State,
    /// What was read and is not taken yet.
    rest: Vec<u8>,
    unflushed: bool,
    /// Since when the receiver takes nothing.
    blocked: Option<Instant>,
    /// Something moved.
    moved: bool,
}

impl Way {
    /// Moves what can be moved. Ready when all is done, or a side failed.
    fn poll<F, T>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut F,
        to: &mut T,
    ) -> Poll<Result<(), Fault>>
    where
        F: AsyncRead + Unpin + ?Sized,
        T: AsyncWrite + Unpin + ?Sized,
    {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            std::task::ready!(self.push(cx, to, &rest))?;
        }
        while self.state == State::Open {
            let mut space = [MaybeUninit::uninit(); PIECE];
            let mut piece = ReadBuf::uninit(&mut space);
            match Pin::new(&mut *from).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if piece.filled().is_empty() => self.state = State::Ending,
                Poll::Ready(Ok(())) => std::task::ready!(self.push(cx, to, piece.filled()))?,
                Poll::Ready(Err(error)) => {
                    self.state = State::Failing(match error.kind() {
                        io::ErrorKind::UnexpectedEof => Fault::Unsaid,
                        _ => Fault::From,
                    });
                }
                Poll::Pending => {
                    std::task::ready!(self.flush(cx, to))?;
                    return Poll::Pending;
                }
            }
        }
        std::task::ready!(self.flush(cx, to))?;
        match self.state {
            State::Failing(fault) => return Poll::Ready(Err(fault)),
            State::Ending => {
                let shut = Pin::new(&mut *to).poll_shutdown(cx);
                std::task::ready!(self.given(shut))?;
                self.state = State::Done;
            }
            State::Open | State::Done => {}
        }
        Poll::Ready(Ok(()))
    }

    /// Writes. What is not taken is kept for the next time.
    fn push<T>(&mut self, cx: &mut Context<'_>, to: &mut T, bytes: &[u8]) -> Poll<Result<(), Fault>>
    where
        T: AsyncWrite + Unpin + ?Sized,
    {
        let mut left = bytes;
        while !left.is_empty() {
            let written = Pin::new(&mut *to).poll_write(cx, left);
            match self.given(written) {
                Poll::Ready(Ok(length @ 1..)) => left = &left[length..],
                Poll::Ready(_) => return Poll::Ready(Err(Fault::To)),
                Poll::Pending => {
                    self.rest = left.to_vec();
                    return Poll::Pending;
                }
            }
            self.unflushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn flush<T>(&mut self, cx: &mut Context<'_>, to: &mut T) -> Poll<Result<(), Fault>>
    where
        T: AsyncWrite + Unpin + ?Sized,
    {
        if self.unflushed {
            let flushed = Pin::new(&mut *to).poll_flush(cx);
            std::task::ready!(self.given(flushed))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// What the receiver made of something: notes whether it takes anything.
    fn given<R>(&mut self, result: Poll<io::Result<R>>) -> Poll<Result<R, Fault>> {
        if result.is_pending() {
            self.blocked.get_or_insert_with(Instant::now);
        } else {
            self.blocked = None;
            self.moved = true;
        }
        result.map_err(|_| Fault::To)
    }
}
