//! Whether the machine stood still: suspended and woken, or its clock set. What was fetched before
//! that may be old, and is asked for again before anybody is judged by it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

/// How far the clock of the wall and that of the machine may drift apart unnoticed.
const DRIFT: i64 = 2_000;
/// How long a request waits at the most: then what is known decides.
const PATIENCE: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// There is something that can be old.
    watched: AtomicBool,
    /// The wall's clock at [`Self::start`], in milliseconds since 1970.
    offset: AtomicI64,
    wanted: Notify,
    done: Notify,
}

impl Clock {
    /// Both clocks, read at the same time.
    pub fn new(start: Instant, wall: Timestamp) -> Self {
        Self {
            start,
            watched: AtomicBool::new(false),
            offset: AtomicI64::new(wall.as_millisecond()),
            wanted: Notify::new(),
            done: Notify::new(),
        }
    }

    /// From now on it matters, or does not.
    pub fn watch(&self, watched: bool) {
        self.watched.store(watched, Ordering::Relaxed);
    }

    /// Whether there is something that can be old.
    pub fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    fn at_start(&self, now: Instant, wall: Timestamp) -> i64 {
        let passed = now.saturating_duration_since(self.start).as_millis();
        wall.as_millisecond() - i64::try_from(passed).unwrap_or(i64::MAX)
    }

    /// Whether the clocks went apart since what there is was asked for.
    pub fn jumped(&self, now: Instant, wall: Timestamp) -> bool {
        self.watched.load(Ordering::Relaxed)
            && self
                .at_start(now, wall)
                .abs_diff(self.offset.load(Ordering::Relaxed))
                > DRIFT.unsigned_abs()
    }

    /// Everything was asked for again.
    pub fn settle(&self, now: Instant, wall: Timestamp) {
        self.offset
            .store(self.at_start(now, wall), Ordering::Relaxed);
        self.done.notify_waiters();
    }

    /// Waits, if the clock jumped, until everything was asked for again.
    pub async fn settled(&self) {
        if !self.jumped(Instant::now(), Timestamp::now()) {
            return;
        }
        let patience = tokio::time::sleep(PATIENCE);
        let mut patience = std::pin::pin!(patience);
        loop {
            let mut done = std::pin::pin!(self.done.notified());
            done.as_mut().enable();
            if !self.jumped(Instant::now(), Timestamp::now()) {
                return;
            }
            self.wanted.notify_one();
            tokio::select! {
                () = done => {}
                () = &mut patience => return,
            }
        }
    }

    /// Somebody waits.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_a_jump_until_it_is_settled() {
        let (start, wall) = (Instant::now(), Timestamp::from_second(1_000_000).unwrap());
        let clock = Clock::new(start, wall);
        let at = |passed: u64, wall_passed: i64| {
            let now = start + Duration::from_millis(passed);
            (now, wall + jiff::SignedDuration::from_millis(wall_passed))
        };
        let jumped = |(now, wall)| clock.jumped(now, wall);
        assert!(!jumped(at(0, 60_000)), "nothing can be old");
        clock.watch(true);
        assert!(!jumped(at(10_000, 10_900)));
        assert!(jumped(at(10_000, 70_000)));
        assert!(jumped(at(10_000, -5_000)), "set back");
        let (now, later) = at(10_000, 70_000);
        clock.settle(now, later);
        assert!(!jumped(at(20_000, 80_500)));
        assert!(jumped(at(20_000, 20_000)));
    }

    #[tokio::test]
    async fn whoever_waits_goes_on_when_it_is_settled() {
        let clock = Clock::new(Instant::now(), Timestamp::from_second(0).unwrap());
        clock.watch(true);
        let control = async {
            clock.wanted().await;
            clock.settle(Instant::now(), Timestamp::now());
        };
        tokio::join!(clock.settled(), clock.settled(), control);
        assert!(!clock.jumped(Instant::now(), Timestamp::now()));
    }
}
