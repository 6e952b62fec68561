//! How much of its limits a token has used: an atomic for each of them, neither a lock nor an
//! allocation, and nothing at all for a token that has none.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;

use super::{Rate, TokenLimits, TokenShared};
use crate::counted::counted;

/// What was used. Kept over every change of the record: another limit holds for what was used
/// under the one before.
#[derive(Debug, Default)]
pub(super) struct Usage {
    bucket: Bucket,
    period: Period,
    at_once: AtomicU32,
}

/// One limit, of which everything is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// As many requests are under way as may be at the same time.
    Concurrency(NonZeroU32),
    /// Too many came lately.
    Rate {
        /// How many may come.
        rate: Rate,
        /// When the next one may, from now.
        wait: Duration,
    },
    /// As many came as this period of the clock has.
    Quota {
        /// How many it has.
        quota: Rate,
        /// When the next period begins, from now; whole seconds.
        wait: Duration,
    },
}

impl Exceeded {
    /// After how many seconds it is worth while to try again; at least one.
    pub fn retry_after(self) -> u64 {
        match self {
            // Nobody knows when one of them ends.
            Self::Concurrency(_) => 1,
            Self::Rate { wait, .. } | Self::Quota { wait, .. } => {
                let rest = u64::from(wait.subsec_nanos() > 0);
                (wait.as_secs() + rest).max(1)
            }
        }
    }
}

/// The `detail` of the answer: what was used, and what to do.
impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = counted(self.retry_after(), "second", "seconds");
        match self {
            Self::Concurrency(most) => write!(
                f,
                "the token has {} under way, the most that it may have at the same time; \
                 repeat the request when one of them has ended",
                counted(most.get(), "request", "requests")
            ),
            Self::Rate { rate, .. } => write!(
                f,
                "the token may make {} in {}, and made them; repeat the request after {seconds}",
                counted(rate.count.get(), "request", "requests"),
                period_words(*rate).0,
            ),
            Self::Quota { quota, .. } => write!(
                f,
                "the token may make {} {}, and made them; the quota begins anew in {seconds}",
                counted(quota.count.get(), "request", "requests"),
                period_words(*quota).1,
            ),
        }
    }
}

impl std::error::Error for Exceeded {}

/// A period as a length of time, and as one of the clock.
const fn period_words(rate: Rate) -> (&'static str, &'static str) {
    match rate.period.as_secs() {
        0..=1 => ("a second", "a second"),
        2..=60 => ("a minute", "a minute"),
        61..=3600 => ("an hour", "an hour"),
        _ => ("a day", "a day (UTC)"),
    }
}

/// A request's place among those that its token has under way, left when it is dropped.
#[derive(Debug)]
#[must_use = "it is left at once"]
pub struct Place(Arc<TokenShared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.usage.at_once.fetch_sub(1, Relaxed);
    }
}

impl TokenShared {
    /// Counts a request against the limits of a token. The place, if there is a limit to them, is
    /// to be kept for as long as the request lasts.
    ///
    /// # Errors
    /// One of the limits is used up, the first in the order concurrency, rate, quota. Then nothing
    /// of the others is used: what was taken of them is given back.
    pub fn enter(
        self: &Arc<Self>,
        limits: &TokenLimits,
        now: Timestamp,
    ) -> Result<Option<Place>, Exceeded> {
        let usage = &self.usage;
        let place = match limits.concurrency {
            Some(most) => {
                let enter = |under_way: u32| (under_way < most.get()).then_some(under_way + 1);
                let entered = usage.at_once.fetch_update(Relaxed, Relaxed, enter);
                entered.map_err(|_| Exceeded::Concurrency(most))?;
                Some(Place(Arc::clone(self)))
            }
            None => None,
        };
        if let Some(rate) = limits.rate {
            let taken = usage.bucket.take(rate, now);
            taken.map_err(|wait| Exceeded::Rate { rate, wait })?;
        }
        if let Some(quota) = limits.quota
            && let Err(wait) = usage.period.take(quota, now)
        {
            if let Some(rate) = limits.rate {
                usage.bucket.give_back(rate);
            }
            return Err(Exceeded::Quota { quota, wait });
        }
        Ok(place)
    }

    /// How much of a quota was used: the number of the period since 1970, in periods of whatever
    /// length the quota has, and how many requests came in it. Zeros: none ever.
    pub fn quota_used(&self) -> (u64, u32) {
        split(self.usage.period.0.load(Relaxed))
    }

    /// What [`Self::quota_used`] gave before the process began. What came since is added.
    pub fn restore_quota(&self, period: u64, count: u32) {
        let _ = self.usage.period.0.fetch_update(Relaxed, Relaxed, |held| {
            let (number, used) = split(held);
            let count = match number.cmp(&period) {
                std::cmp::Ordering::Less => count,
                std::cmp::Ordering::Equal => used.saturating_add(count),
                std::cmp::Ordering::Greater => return None,
            };
            Some(join(period, count))
        });
    }
}

/// A rate: the generic cell rate algorithm (ITU-T I.371), as the crate `governor` has it. It holds
/// when all that was taken is made up for, nanoseconds since 1970 by the clock on the wall: this
/// one goes on while a machine is suspended.
#[derive(Debug, Default)]
struct Bucket(AtomicU64);

/// By how much a clock may differ between two requests without having been set back: they look
/// at it when they begin, and one may overtake another. Nanoseconds.
const OVERTAKEN: u64 = 100_000_000;

impl Bucket {
    /// As many as the rate names may come at once, then one after another.
    ///
    /// # Errors
    /// It is one too many, and was not taken; the next may come after this time. A clock that was
    /// set back, or a rate that was lower before, makes nobody wait for longer than one who has
    /// just taken everything.
    fn take(&self, rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let now = nanos(now);
        let (each, credit) = steps(rate);
        let full = now.saturating_add(credit).saturating_add(each);
        let mut held = self.0.load(Relaxed);
        loop {
            let known = if held > full.saturating_add(OVERTAKEN) {
                full
            } else {
                held
            };
            let even = known.max(now);
            let wait = (even - now).saturating_sub(credit);
            let next = if wait == 0 {
                even.saturating_add(each)
            } else {
                known
            };
            // Who is refused all the time writes nothing.
            if wait > 0 && next == held {
                return Err(Duration::from_nanos(wait));
            }
            match (
                self.0.compare_exchange_weak(held, next, Relaxed, Relaxed),
                wait,
            ) {
                (Ok(_), 0) => return Ok(()),
                (Ok(_), wait) => return Err(Duration::from_nanos(wait)),
                (Err(other), _) => held = other,
            }
        }
    }

    /// What was taken was not used.
    fn give_back(&self, rate: Rate) {
        let (each, _) = steps(rate);
        let back = |held: u64| Some(held.saturating_sub(each));
        let _ = self.0.fetch_update(Relaxed, Relaxed, back);
    }
}

/// The time that one is worth, and what may be taken in advance beside it; nanoseconds.
fn steps(rate: Rate) -> (u64, u64) {
    let count = u64::from(rate.count.get());
    let period = u64::try_from(rate.period.as_nanos()).unwrap_or(u64::MAX);
    let each = period / count;
    (each, each * (count - 1))
}

/// Nanoseconds since 1970; 0 before, and no more after 2554.
fn nanos(now: Timestamp) -> u64 {
    u64::try_from(now.as_nanosecond().max(0)).unwrap_or(u64::MAX)
}

/// A quota: the number of a period and what came in it, so that a new period begins by itself.
#[derive(Debug, Default)]
struct Period(AtomicU64);

/// Bits for what came in a period; the number of the period has those above.
const COUNT: u32 = 24;
const _: () = assert!(Rate::MOST < 1 << COUNT);

impl Period {
    /// Counts one.
    ///
    /// # Errors
    /// The period has no more, and nothing was counted; the next begins after this time. A clock
    /// that was set back into an earlier period finds what was used still used, until that
    /// period ends.
    fn take(&self, quota: Rate, now: Timestamp) -> Result<(), Duration> {
        let now = u64::try_from(now.as_second()).unwrap_or(0);
        let length = quota.period.as_secs().max(1);
        let most = quota.count.get();
        let decided = self.0.fetch_update(Relaxed, Relaxed, |held| {
            let (number, used) = counting(held, now, length);
            // Of a refused one only that the clock was set back is kept.
            let next = join(number, if used < most { used + 1 } else { used });
            (next != held).then_some(next)
        });
        let (Ok(held) | Err(held)) = decided;
        let (number, used) = counting(held, now, length);
        if used < most {
            return Ok(());
        }
        let next = (number + 1).saturating_mul(length);
        Err(Duration::from_secs(next.saturating_sub(now)))
    }
}

/// The period that is counted in, and what came in it so far.
fn counting(held: u64, now: u64, length: u64) -> (u64, u32) {
    let (number, used) = split(held);
    let current = now / length;
    if number < current {
        (current, 0)
    } else if number > current && number.saturating_mul(length) - now <= 1 {
        // Just before it by this clock: one request overtook another at its beginning.
        (number, used)
    } else {
        (current, used)
    }
}

/// The number of a period and a count, as they are held.
const fn split(held: u64) -> (u64, u32) {
    (held >> COUNT, (held & ((1 << COUNT) - 1)) as u32)
}

/// The inverse of [`split`]; no more than it can hold.
const fn join(number: u64, count: u32) -> u64 {
    let most = (1 << COUNT) - 1;
    let count = if count > most { most } else { count };
    number << COUNT | count as u64
}

#[cfg(test)]
mod tests;
