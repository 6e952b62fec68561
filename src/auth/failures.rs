//! How many wrong credentials a network may try.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::config::Rate;
use crate::network::Network;

/// Places that networks share: 128 KiB, however many there are.
const PLACES: usize = 1 << 14;

/// Wrong credentials by network, shared by all workers and asked only when there is one.
///
/// Each network has one of a fixed number of places, by a hash that nobody outside can compute.
/// Two that have the same share what they may try: what that costs the other is that its *wrong*
/// credentials are answered with 429 instead of 401.
#[derive(Debug)]
pub struct Failures {
    begun: Instant,
    hash: RandomState,
    /// When all that was tried is made up for, nanoseconds since `begun` (a leaky bucket, in the
    /// form of ATM's generic cell rate algorithm).
    even: Box<[AtomicU64]>,
}

impl Failures {
    /// Nothing was tried before `begun`.
    pub fn new(begun: Instant) -> Self {
        Self {
            begun,
            hash: RandomState::new(),
            even: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts a wrong credential. As many as `rate` names may come at once; they are made up for
    /// evenly over its period.
    ///
    /// # Errors
    /// It is one too many, and was not counted; the next may come after this time.
    pub fn count(&self, network: Network, rate: Rate, now: Instant) -> Result<(), Duration> {
        let now = nanos(now.saturating_duration_since(self.begun));
        let each = nanos(rate.period) / u64::from(rate.count.get());
        let credit = nanos(rate.period) - each;
        let place = self.hash.hash_one(network) % (PLACES as u64);
        let Some(even) = usize::try_from(place).ok().and_then(|at| self.even.get(at)) else {
            return Ok(());
        };
        let counted = even.fetch_update(Relaxed, Relaxed, |even| {
            let even = even.max(now);
            (even - now <= credit).then_some(even + each)
        });
        match counted {
            Ok(_) => Ok(()),
            Err(even) => Err(Duration::from_nanos(even - now - credit)),
        }
    }
}

/// A duration in nanoseconds; 584 years at most.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32, seconds: u64) -> Rate {
        Rate {
            count: count.try_into().unwrap(),
            period: Duration::from_secs(seconds),
        }
    }

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn as_many_as_the_rate_names_and_then_one_after_another() {
        let begun = Instant::now();
        let failures = Failures::new(begun);
        let (rate, network) = (rate(3, 60), network("192.0.2.1"));
        let at = |seconds| begun + Duration::from_secs(seconds);
        for _ in 0..3 {
            assert_eq!(failures.count(network, rate, at(1)), Ok(()));
        }
        for _ in 0..10 {
            let wait = Err(Duration::from_secs(20));
            assert_eq!(failures.count(network, rate, at(1)), wait);
        }
        let wait = Err(Duration::from_secs(1));
        assert_eq!(failures.count(network, rate, at(20)), wait);
        assert_eq!(failures.count(network, rate, at(21)), Ok(()));
        assert!(failures.count(network, rate, at(21)).is_err());
        for _ in 0..3 {
            assert_eq!(failures.count(network, rate, at(1000)), Ok(()));
        }
        assert!(failures.count(network, rate, at(1000)).is_err());
    }

    #[test]
    fn other_networks_are_not_meant() {
        let now = Instant::now();
        let failures = Failures::new(now);
        let counted = (0..100_u8)
            .filter(|byte| {
                let network = network(&format!("10.0.{byte}.1"));
                failures.count(network, rate(1, 60), now).is_ok()
            })
            .count();
        // Two of a hundred may have the same place; ten will not.
        assert!(counted > 90, "{counted}");
    }

    #[test]
    fn a_rate_that_changes_holds_from_then_on() {
        let now = Instant::now();
        let failures = Failures::new(now);
        let network = network("2001:db8::1");
        for _ in 0..600 {
            assert_eq!(failures.count(network, rate(600, 60), now), Ok(()));
        }
        assert!(failures.count(network, rate(600, 60), now).is_err());
        assert!(failures.count(network, rate(1, 1), now).is_err());
        assert_eq!(
            failures.count(network, rate(1, 3600), now),
            Err(Duration::from_mins(1))
        );
    }
}
