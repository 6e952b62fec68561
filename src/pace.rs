//! Whether somebody who sends a little at a time sends enough. Time is an argument.

use std::time::Duration;

use crate::config::Rate;

/// How long somebody may still be waited for: spent by waiting, earned by bytes, never more than
/// in the beginning. So it is the average over the last while that counts, and only what was
/// really waited: what others took their time for costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    left: Duration,
    most: Duration,
    rate: Rate,
}

impl Credit {
    /// `rate` in bytes; `most` is what is given in advance.
    pub fn new(rate: Rate, most: Duration) -> Self {
        Self {
            left: most,
            most,
            rate,
        }
    }

    /// What is left.
    pub fn left(&self) -> Duration {
        self.left
    }

    /// So long was waited.
    pub fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    /// So many bytes came.
    pub fn earn(&mut self, bytes: u64) {
        if self.left == self.most {
            return;
        }
        let count = u128::from(self.rate.count.get());
        let nanos = self.rate.period.as_nanos() * u128::from(bytes) / count;
        let earned = u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos);
        self.left = self.left.saturating_add(earned).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn credit(bytes_a_second: u32, most: u64) -> Credit {
        let rate = Rate {
            count: NonZeroU32::new(bytes_a_second).unwrap(),
            period: Duration::from_secs(1),
        };
        Credit::new(rate, Duration::from_secs(most))
    }

    /// Seconds after which one that sends `bytes` each `every` milliseconds has no credit left.
    fn end(mut credit: Credit, bytes: u64, every: u64) -> Option<u64> {
        let pause = Duration::from_millis(every);
        let mut at = Duration::ZERO;
        while at < Duration::from_hours(1) {
            if credit.left() <= pause {
                return Some((at + credit.left()).as_secs());
            }
            credit.spend(pause);
            credit.earn(bytes);
            at += pause;
        }
        None
    }

    #[test]
    fn a_trickle_ends_and_a_stream_does_not() {
        // A byte now and then lives little longer than silence.
        assert_eq!(end(credit(100, 30), 0, 1000), Some(30));
        assert_eq!(end(credit(100, 30), 1, 1000), Some(30));
        // Half of what is wanted: twice as long.
        assert_eq!(end(credit(100, 30), 50, 1000), Some(59));
        // Enough, in whatever pieces.
        assert_eq!(end(credit(100, 30), 100, 1000), None);
        assert_eq!(end(credit(100, 30), 2900, 29_000), None);
        assert_eq!(end(credit(100, 30), 1, 10), None);
    }

    #[test]
    fn nothing_is_saved_up() {
        let mut credit = credit(100, 30);
        credit.earn(u64::MAX);
        assert_eq!(credit.left(), Duration::from_secs(30));
        credit.spend(Duration::from_secs(31));
        assert_eq!(credit.left(), Duration::ZERO);
        credit.earn(1000);
        assert_eq!(credit.left(), Duration::from_secs(10));
        credit.earn(u64::MAX);
        assert_eq!(credit.left(), Duration::from_secs(30));
    }

    proptest! {
        /// Who sends at least as much as is wanted for each wait is never cut.
        #[test]
        fn enough_is_enough(waits in prop::collection::vec(1u64..9_000, 1..200), rate in 1u32..1_000_000) {
            let mut credit = credit(rate, 10);
            for wait in waits {
                prop_assert!(credit.left() > Duration::from_millis(wait));
                credit.spend(Duration::from_millis(wait));
                credit.earn((u64::from(rate) * wait).div_ceil(1000));
            }
        }
    }
}
