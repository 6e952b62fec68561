//! The body of a request on its way upstream, and the patience that both directions have.
//!
//! Nothing is collected: a frame is taken from the client when the upstream can take it. But for
//! forms that have to be looked at first.

mod incoming;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

pub use incoming::{Incoming, Lost};

use crate::alarm::Alarm;
use crate::config::Rate;
use crate::pace::Credit;

/// Waits for the next piece of something, and no longer than a limit.
///
/// Costs nothing until it has to wait, and one [`Alarm`] from then on.
#[derive(Debug)]
pub struct Patience {
    limit: Option<Duration>,
    since: Option<Instant>,
    alarm: Alarm,
}

impl Patience {
    /// `None`: it waits forever.
    pub fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            since: None,
            alarm: Alarm::default(),
        }
    }

    /// A piece came.
    pub fn progress(&mut self) {
        self.since = None;
    }

    /// How long it has been waiting by now.
    fn waited(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// None came. Ready when the limit has passed since the last one.
    pub fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_overdue_within(cx, Duration::MAX)
    }

    /// The same, or when `less` has.
    fn poll_overdue_within(&mut self, cx: &mut Context<'_>, less: Duration) -> Poll<()> {
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        let end = *self.since.get_or_insert_with(Instant::now) + limit.min(less);
        self.alarm.poll(cx, end)
    }
}

/// What became of a request's body so far: seen by the one who waits for the response.
#[derive(Debug)]
pub struct Upload {
    bytes: Cell<u64>,
    ended: Cell<bool>,
    /// The upstream asked and the client has not given.
    waiting: Cell<bool>,
    progress: Cell<Instant>,
    /// There is a head of a response: what still comes has its own pace.
    answered: Cell<bool>,
    fault: Cell<Option<BodyFault>>,
}

impl Upload {
    /// Bytes taken from the client.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Whether all of it was taken.
    pub fn ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether the client is the one who is waited for.
    pub fn waits_for_client(&self) -> bool {
        self.waiting.get()
    }

    /// The upstream takes no more of it, so that the client is not waited for.
    pub fn give_up(&self) {
        self.waiting.set(false);
    }

    /// When the upstream last took something (or when the request began).
    pub fn progress(&self) -> Instant {
        self.progress.get()
    }

    /// The head of the response is there. From now on nothing hurries: the two may be speaking
    /// with each other.
    pub fn answered(&self) {
        self.answered.set(true);
    }

    /// What the client did wrong.
    pub fn fault(&self) -> Option<BodyFault> {
        self.fault.get()
    }
}

/// The client's part in a failed upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// More than `limits.body_bytes`.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: u64,
    },
    /// Nothing came for `limits.body_idle`, or less than `limits.body_rate`.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// All bodies that are held have as much as they may together.
    #[error("too many forms are being looked at; try again")]
    Crowded,
    /// Its framing is broken, or the client left.
    #[error("the body ended early")]
    Broken,
}

/// Bytes that all bodies which are held to be looked at may have together, in the whole process.
const HELD: usize = 64 << 20;

/// Bytes of [`HELD`] that are in use.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// A part of the memory for bodies that are held (64 MiB), given back when it is dropped.
#[derive(Debug, Default)]
pub struct Share(usize);

impl Share {
    /// Takes so much more. False if there is not so much left.
    pub fn grow(&mut self, more: usize) -> bool {
        let fits = |used: usize| used.checked_add(more).filter(|sum| *sum <= HELD);
        let taken = IN_USE.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if taken {
            self.0 += more;
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        IN_USE.fetch_sub(self.0, Relaxed);
    }
}

/// Bytes of a body that nobody wants and that are read all the same.
const DISCARDED: u64 = 64 << 10;
/// How long they are waited for.
const DISCARDING: Duration = Duration::from_secs(1);

/// Reads what is left of a small body that nobody wants, so that another request can follow it.
/// False if it is not small, or did not come in time.
pub async fn discard(mut incoming: Incoming) -> bool {
    if incoming
        .size_hint()
        .exact()
        .is_none_or(|length| length > DISCARDED)
    {
        return false;
    }
    let rest = async {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
            frame.ok()?;
        }
        Some(())
    };
    matches!(tokio::time::timeout(DISCARDING, rest).await, Ok(Some(())))
}

/// A request's body.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Option<Incoming>,
    /// All of it, where it had to be looked at.
    held: Option<Bytes>,
    /// What it has of the memory for that.
    share: Share,
    upload: Rc<Upload>,
    patience: Patience,
    /// `limits.body_rate`
    credit: Option<Credit>,
    limit: u64,
    credential: Option<HeaderName>,
}

/// A body without content, before it is made.
#[derive(Debug)]
pub struct Emptiness {
    upload: Rc<Upload>,
    limit: u64,
}

impl Emptiness {
    /// Makes it.
    pub fn body(&self) -> RequestBody {
        RequestBody {
            incoming: None,
            held: None,
            share: Share::default(),
            upload: Rc::clone(&self.upload),
            patience: Patience::new(None),
            credit: None,
            limit: self.limit,
            credential: None,
        }
    }
}

impl RequestBody {
    /// `limit` in bytes; `idle`: between two reads; `rate`: least bytes; `credential`: the header
    /// that no trailer may bring in after all.
    pub fn new(
        incoming: Incoming,
        limit: u64,
        (idle, rate): (Duration, Option<Rate>),
        credential: Option<HeaderName>,
    ) -> Self {
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        Self {
            credential,
            credit: rate.map(|rate| Credit::new(rate, idle)),
            ..Self::from_parts(incoming, limit, Patience::new(Some(idle)))
        }
    }

    /// Without content.
    pub fn none() -> Self {
        Self::from_parts(None, 0, Patience::new(None))
    }

    fn from_parts(incoming: Option<Incoming>, limit: u64, patience: Patience) -> Self {
        let empty = incoming.is_none();
        Self {
            incoming,
            held: None,
            share: Share::default(),
            upload: Rc::new(Upload {
                bytes: Cell::new(0),
                ended: Cell::new(empty),
                waiting: Cell::new(false),
                progress: Cell::new(Instant::now()),
                answered: Cell::new(false),
                fault: Cell::new(None),
            }),
            patience,
            credit: None,
            limit,
            credential: None,
        }
    }

    /// What a body without content is made of once more, for a request that is repeated.
    pub fn emptiness(&self) -> Option<Emptiness> {
        self.is_empty().then(|| Emptiness {
            upload: Rc::clone(&self.upload),
            limit: self.limit,
        })
    }

    /// Its progress.
    pub fn upload(&self) -> Rc<Upload> {
        Rc::clone(&self.upload)
    }

    /// Whether there is no content.
    pub fn is_empty(&self) -> bool {
        self.incoming.is_none() && self.held.is_none()
    }

    /// Takes all of it from the client, `most` bytes or what it may have if that is less, so that
    /// it can be looked at before it goes on. Trailers are left out: forms have none.
    ///
    /// # Errors
    /// [`BodyFault::Crowded`] when all bodies that are held have 64 MiB already, and what
    /// the client did wrong.
    pub async fn hold(&mut self, most: u64) -> Result<&[u8], BodyFault> {
        let limit = self.limit;
        self.limit = limit.min(most);
        let mut bytes = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await {
            if let Ok(data) = frame?.into_data() {
                if !self.share.grow(data.len()) {
                    self.upload.fault.set(Some(BodyFault::Crowded));
                    self.incoming = None;
                    return Err(BodyFault::Crowded);
                }
                bytes.extend_from_slice(&data);
            }
        }
        self.limit = limit;
        self.held = (!bytes.is_empty()).then(|| bytes.freeze());
        Ok(self.held.as_deref().unwrap_or_default())
    }

    fn failed(&mut self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.upload.fault.set(Some(fault));
        self.incoming = None;
        Poll::Ready(Some(Err(fault)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let me = &mut *self;
        if let Some(bytes) = me.held.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(incoming) = &mut me.incoming else {
            return Poll::Ready(me.upload.fault.get().map(Err));
        };
        let frame = match Pin::new(&mut *incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                me.upload.waiting.set(true);
                if me.upload.answered.get() {
                    me.credit = None;
                }
                let left = me.credit.as_ref().map_or(Duration::MAX, Credit::left);
                std::task::ready!(me.patience.poll_overdue_within(cx, left));
                return me.failed(BodyFault::TooSlow);
            }
        };
        me.upload.waiting.set(false);
        me.upload.progress.set(Instant::now());
        let length = match &frame {
            Some(Ok(frame)) => frame.data_ref().map_or(0, Buf::remaining) as u64,
            _ => 0,
        };
        if let Some(credit) = &mut me.credit {
            credit.spend(me.patience.waited());
            credit.earn(length);
        }
        me.patience.progress();
        match frame {
            None => {
                me.upload.ended.set(true);
                me.incoming = None;
                Poll::Ready(None)
            }
            Some(Err(_)) => me.failed(BodyFault::Broken),
            Some(Ok(frame)) => {
                let bytes = me.upload.bytes.get() + length;
                me.upload.bytes.set(bytes);
                if bytes > me.limit {
                    let limit = me.limit;
                    return me.failed(BodyFault::TooLarge { limit });
                }
                // Nobody asks for the end behind trailers, nor, where the length is known, for the
                // one behind the last byte, which in HTTP/2 may come in a frame of its own.
                let ended = frame.is_trailers()
                    || incoming.is_end_stream()
                    || incoming.size_hint().exact() == Some(0);
                me.upload.ended.set(ended);
                Poll::Ready(Some(Ok(match frame.into_trailers() {
                    Ok(trailers) => Frame::trailers(crate::headers::clean_trailers(
                        &trailers,
                        me.credential.as_ref(),
                    )),
                    Err(frame) => frame,
                })))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.upload.fault.get().is_none()
            && self.held.is_none()
            && self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(held) = &self.held {
            return SizeHint::with_exact(held.len() as u64);
        }
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
