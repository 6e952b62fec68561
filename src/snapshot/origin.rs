//! What the process knows of an upstream's URL: whether connections to it fail.
//!
//! Shared by all workers and by every generation of the configuration that names the URL. Plain
//! atomics: a request reads one of them, and writes only when something failed or got well.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::Condition;

/// Failures in a row after which a URL is left out.
const ENOUGH: u32 = 3;
/// For how long at first; doubled each time that it fails again.
const SHORTEST: Duration = Duration::from_secs(1);
/// For how long at the most.
const LONGEST: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Origin {
    /// When it was first looked at: times are counted from there.
    epoch: OnceLock<Instant>,
    /// Failures in a row.
    failures: AtomicU32,
    /// Milliseconds after the epoch until which it is left out; 0: it is not, and was not since it
    /// last answered.
    until: AtomicU64,
}

/// Whether a URL may be given a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Open,
    /// Its time out is over: one request may try whether it is back.
    Trial,
    /// It is left out.
    Out,
}

impl Origin {
    /// Whether it may be given a request now.
    pub fn admission(&self, now: Instant) -> Admission {
        match self.until.load(Relaxed) {
            0 => Admission::Open,
            until if until <= self.millis(now) => Admission::Trial,
            _ => Admission::Out,
        }
    }

    /// Takes the one trial for a request; others are kept out until it ended, or for `lease`.
    /// `false`: another request was first.
    pub fn try_out(&self, now: Instant, lease: Duration) -> bool {
        let (until, millis) = (self.until.load(Relaxed), self.millis(now));
        let next = millis.saturating_add(whole_millis(lease));
        until <= millis
            && self
                .until
                .compare_exchange(until, next, Relaxed, Relaxed)
                .is_ok()
    }

    /// A request was answered.
    pub fn succeeded(&self) {
        if self.failures.load(Relaxed) > 0 {
            self.failures.store(0, Relaxed);
            self.until.store(0, Relaxed);
        }
    }

    /// A connection failed. The time for which the URL is now left out, if it is from now on.
    /// Requests that were on their way when it was left out do not make that longer.
    pub fn failed(&self, now: Instant, trial: bool) -> Option<Duration> {
        if !trial && self.admission(now) == Admission::Out {
            return None;
        }
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        let doublings = failures.checked_sub(ENOUGH)?;
        let time = SHORTEST
            .saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(LONGEST);
        let until = self.millis(now).saturating_add(whole_millis(time));
        self.until.store(until, Relaxed);
        Some(time)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// For how much longer it is left out.
    pub fn left_out(&self, now: Instant) -> Option<Duration> {
        let left = self.until.load(Relaxed).checked_sub(self.millis(now))?;
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Never 0, which means something else.
    fn millis(&self, at: Instant) -> u64 {
        let epoch = *self.epoch.get_or_init(|| at);
        whole_millis(at.saturating_duration_since(epoch)).saturating_add(1)
    }
}

fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// All that something names, by what makes their connections alike.
#[derive(Debug, Default)]
pub struct Origins {
    known: Mutex<HashMap<Arc<str>, Weak<Origin>>>,
    checked: Mutex<HashMap<String, Weak<Condition>>>,
}

impl Origins {
    /// What health checks of one kind found; the same for whoever asks, as long as somebody
    /// holds it.
    pub fn condition(&self, way: String) -> Arc<Condition> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(condition) = checked.get(&way).and_then(Weak::upgrade) {
            return condition;
        }
        checked.retain(|_, condition| condition.strong_count() > 0);
        let condition = Arc::<Condition>::default();
        checked.insert(way, Arc::downgrade(&condition));
        condition
    }

    /// What is known of one; the same for whoever asks, as long as somebody holds it.
    pub fn of(&self, key: &Arc<str>) -> Arc<Origin> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(origin) = known.get(key).and_then(Weak::upgrade) {
            return origin;
        }
        known.retain(|_, origin| origin.strong_count() > 0);
        let origin = Arc::<Origin>::default();
        known.insert(Arc::clone(key), Arc::downgrade(&origin));
        origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Fails as often as it takes, and gives the time out.
    #[track_caller]
    fn fail(origin: &Origin, at: Instant, times: &[Option<u64>]) {
        for expected in times {
            let out = origin.failed(at, false).map(|out| out.as_secs());
            assert_eq!(out, *expected);
        }
    }

    #[test]
    fn the_time_out_grows_until_it_answers() {
        let mut now = Instant::now();
        let origin = Origin::default();
        fail(&origin, now, &[None, None, Some(1), None, None]);
        for expected in [2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(origin.admission(now), Admission::Out);
            now += origin.left_out(now).unwrap();
            assert_eq!(origin.admission(now), Admission::Trial);
            fail(&origin, now, &[Some(expected)]);
        }
        origin.succeeded();
        assert_eq!(origin.admission(now), Admission::Open);
        assert_eq!(origin.left_out(now), None);
        fail(&origin, now, &[None, None, Some(1)]);
    }

    #[test]
    fn one_request_tries_whether_it_is_back() {
        let now = Instant::now();
        let origin = Origin::default();
        fail(&origin, now, &[None, None, Some(1)]);
        assert!(!origin.try_out(now, SECOND), "it is left out");
        let later = now + SECOND;
        assert!(origin.try_out(later, SECOND));
        assert!(!origin.try_out(later, SECOND), "one is enough");
        assert_eq!(origin.admission(later), Admission::Out);
        // It never ended: another may.
        assert!(origin.try_out(later + SECOND, SECOND));
        assert_eq!(origin.failed(later + SECOND, true), Some(2 * SECOND));
    }

    #[test]
    fn it_is_known_as_long_as_something_names_it() {
        let now = Instant::now();
        let origins = Origins::default();
        let (one, other) = (Arc::from("one"), Arc::from("other"));
        let origin = origins.of(&one);
        fail(&origin, now, &[None, None, Some(1)]);
        let again = origins.of(&one);
        assert_eq!(again.admission(now), Admission::Out);
        assert_eq!(origins.of(&other).admission(now), Admission::Open);
        drop((origin, again));
        assert_eq!(origins.of(&one).admission(now), Admission::Open);
    }
}
