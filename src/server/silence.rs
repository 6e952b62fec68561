//! How often the log hears of connections that come to nothing: the metrics count all of them, and
//! whoever opens many must not fill a disk.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long nothing more is written of the same.
const SILENCE: Duration = Duration::from_mins(1);

/// When something was told last. Each worker has its own.
#[derive(Debug, Default)]
pub(super) struct Silence(Cell<Option<Instant>>);

impl Silence {
    /// Nothing was told yet.
    pub(super) const fn new() -> Self {
        Self(Cell::new(None))
    }

    /// Whether it may be told now; then it is taken to be.
    pub(super) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    fn is_over_at(&self, now: Instant) -> bool {
        let told = self.0.get();
        let over = told.is_none_or(|told| now.duration_since(told) >= SILENCE);
        if over {
            self.0.set(Some(now));
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_a_minute() {
        let (silence, begun) = (Silence::new(), Instant::now());
        let after = |seconds| silence.is_over_at(begun + Duration::from_secs(seconds));
        let told: Vec<bool> = [0, 0, 59, 60, 119, 120].map(after).into();
        assert_eq!(told, [true, false, false, true, false, true]);
    }
}
