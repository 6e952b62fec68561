use std::collections::HashMap;
use std::thread;

use governor::clock::{Clock, FakeRelativeClock};
use governor::{Quota, RateLimiter};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// So many nanoseconds after noon of a day of 2026 (UTC).
fn after(nanoseconds: u64) -> Timestamp {
    at("2026-11-20T12:00:00Z") + Duration::from_nanos(nanoseconds)
}

fn rate(text: &str) -> Rate {
    Rate::parse(text).unwrap()
}

fn limits(rate: Option<&str>, quota: Option<&str>, concurrency: u32) -> TokenLimits {
    TokenLimits {
        rate: rate.map(self::rate),
        quota: quota.map(self::rate),
        concurrency: NonZeroU32::new(concurrency),
        networks: Vec::new(),
    }
}

fn any_rate() -> impl Strategy<Value = Rate> {
    let count = prop_oneof![4 => 1..12_u32, 1 => 1..=Rate::MOST];
    let period = prop::sample::select(vec![1, 60, 3600, 86_400]);
    (count, period).prop_map(|(count, seconds)| Rate {
        count: count.try_into().unwrap(),
        period: Duration::from_secs(seconds),
    })
}

proptest! {
    /// Whatever the pauses: the same requests are let through, and the others are told to wait
    /// for the same time.
    #[test]
    fn the_rate_is_that_of_governor(
        rate in any_rate(),
        steps in prop::collection::vec((0..80_u64, -2..3_i64, 1..16_u32), 1..60),
    ) {
        let (each, _) = steps_of(rate);
        let clock = FakeRelativeClock::default();
        let quota = Quota::with_period(Duration::from_nanos(each)).unwrap().allow_burst(rate.count);
        let oracle = RateLimiter::direct_with_clock(quota, clock.clone());
        let (bucket, mut passed) = (Bucket::default(), 0);
        for (eighths, nanoseconds, requests) in steps {
            // Around the moments at which something changes.
            let pause = (each / 8 * eighths).saturating_add_signed(nanoseconds);
            clock.advance(Duration::from_nanos(pause));
            passed += pause;
            for _ in 0..requests {
                let expected = oracle.check().map_err(|until| until.wait_time_from(clock.now()));
                prop_assert_eq!(bucket.take(rate, after(passed)), expected);
            }
        }
    }

    /// A clock that only goes on: each period has what the quota names, and no more.
    #[test]
    fn a_quota_is_what_a_period_has(
        quota in any_rate(),
        steps in prop::collection::vec((0..3_u64, 0..3_000_000_000_u64, 1..16_u32), 1..60),
    ) {
        let (period, mut passed) = (Period::default(), 0);
        let mut model: HashMap<i64, u32> = HashMap::new();
        let seconds = i64::try_from(quota.period.as_secs()).unwrap();
        for (periods, nanoseconds, requests) in steps {
            passed += u64::try_from(quota.period.as_nanos()).unwrap() / 2 * periods + nanoseconds;
            let now = after(passed);
            let number = now.as_second().div_euclid(seconds);
            for _ in 0..requests {
                let used = model.entry(number).or_default();
                let rest = u64::try_from((number + 1) * seconds - now.as_second()).unwrap();
                let expected = if *used < quota.count.get() {
                    *used += 1;
                    Ok(())
                } else {
                    Err(Duration::from_secs(rest))
                };
                prop_assert_eq!(period.take(quota, now), expected);
            }
        }
    }

    /// A clock that jumps: nobody is refused for longer than a period and what a request may have
    /// overtaken another by, and who waited for as long as it was told is let through.
    #[test]
    fn no_jump_of_the_clock_locks_a_token_out(
        (rate, quota) in (any_rate(), any_rate()),
        jumps in prop::collection::vec((-100_000..100_000_i64, 1..16_u32), 1..40),
    ) {
        let (bucket, period) = (Bucket::default(), Period::default());
        let mut now = after(0);
        for (seconds, requests) in jumps {
            now += jiff::SignedDuration::from_secs(seconds);
            for _ in 0..requests {
                if let Err(wait) = bucket.take(rate, now) {
                    let (each, _) = steps_of(rate);
                    prop_assert!(wait <= Duration::from_nanos(each + OVERTAKEN));
                    now += wait;
                    prop_assert_eq!(bucket.take(rate, now), Ok(()));
                }
                if let Err(wait) = period.take(quota, now) {
                    prop_assert!(wait <= quota.period + Duration::from_secs(1));
                    now += wait;
                    prop_assert_eq!(period.take(quota, now), Ok(()));
                }
            }
        }
    }

    /// A token beside one that is never asked for what is refused: they are used up alike.
    #[test]
    fn a_refused_request_uses_nothing(
        steps in prop::collection::vec((0..400_u64, 0..3_usize, 1..5_u32), 1..60),
    ) {
        let limits = limits(Some("4/s"), Some("9/min"), 2);
        let (token, beside) = (Arc::new(TokenShared::default()), Arc::new(TokenShared::default()));
        let (mut places, mut passed) = (Vec::new(), 0);
        for (milliseconds, ended, requests) in steps {
            passed += milliseconds * 1_000_000;
            places.truncate(places.len().saturating_sub(ended));
            let now = after(passed);
            for _ in 0..requests {
                if let Ok(place) = token.enter(&limits, now) {
                    let same = beside.enter(&limits, now);
                    prop_assert!(same.is_ok(), "{same:?}");
                    places.push((place, same));
                }
                prop_assert_eq!(token.quota_used(), beside.quota_used());
                let even = |shared: &TokenShared| shared.usage.bucket.0.load(Relaxed).max(nanos(now));
                prop_assert_eq!(even(&token), even(&beside));
                prop_assert_eq!(token.usage.at_once.load(Relaxed), u32::try_from(places.len()).unwrap());
            }
        }
    }

    #[test]
    fn what_is_held_is_read_again(number in 0..1_u64 << 40, count in 0..1_u32 << 24) {
        prop_assert_eq!(split(join(number, count)), (number, count));
    }
}

/// [`steps`], under a name that a test's arguments do not hide.
fn steps_of(rate: Rate) -> (u64, u64) {
    steps(rate)
}

#[test]
fn the_order_is_concurrency_rate_quota() {
    let limits = limits(Some("2/day"), Some("1/day"), 1);
    let shared = Arc::new(TokenShared::default());
    let now = at("2026-11-20T06:00:00Z");
    let place = shared.enter(&limits, now).unwrap();
    let one = NonZeroU32::MIN;
    assert_eq!(
        shared.enter(&limits, now).unwrap_err(),
        Exceeded::Concurrency(one)
    );
    drop(place);
    let wait = Duration::from_hours(18);
    let quota = rate("1/day");
    assert_eq!(
        shared.enter(&limits, now).unwrap_err(),
        Exceeded::Quota { quota, wait }
    );
    // A place that was taken in vain was left, and the rate has the other one still.
    let higher = TokenLimits {
        quota: None,
        ..limits.clone()
    };
    drop(shared.enter(&higher, now).unwrap());
    let wait = Duration::from_hours(12);
    let rate = rate("2/day");
    assert_eq!(
        shared.enter(&limits, now).unwrap_err(),
        Exceeded::Rate { rate, wait }
    );
}

#[test]
fn another_limit_holds_for_what_was_used() {
    let shared = Arc::new(TokenShared::default());
    let now = at("2026-11-20T12:00:00Z");
    let few = limits(Some("1/day"), Some("1/day"), 0);
    assert!(shared.enter(&few, now).unwrap().is_none());
    assert!(shared.enter(&few, now).is_err());
    // Everything of the new rate is taken, and comes back in its own time.
    let many = limits(Some("10/s"), Some("1000/h"), 0);
    let refused = shared.enter(&many, now).unwrap_err();
    let wait = Duration::from_millis(100);
    let rate = rate("10/s");
    assert_eq!(refused, Exceeded::Rate { rate, wait });
    assert!(shared.enter(&many, now + wait).is_ok());
    // Hours are counted anew; a day finds what came in the hour.
    assert_eq!(shared.quota_used(), (498_660, 1));
    assert!(shared.enter(&limits(None, Some("1/day"), 0), now).is_err());
}

#[test]
fn a_quota_begins_anew_with_the_period_of_the_clock() {
    let (period, quota) = (Period::default(), rate("2/min"));
    let take = |time: &str| period.take(quota, at(time)).map_err(|wait| wait.as_secs());
    assert_eq!(take("2026-11-20T12:00:58.9Z"), Ok(()));
    assert_eq!(take("2026-11-20T12:00:58.9Z"), Ok(()));
    assert_eq!(take("2026-11-20T12:00:58.9Z"), Err(2));
    assert_eq!(take("2026-11-20T12:00:59.999Z"), Err(1));
    assert_eq!(take("2026-11-20T12:01:00Z"), Ok(()));
    // One that began before it, and was overtaken, counts in the period that has begun.
    assert_eq!(take("2026-11-20T12:00:59.9Z"), Ok(()));
    assert_eq!(take("2026-11-20T12:00:59.9Z"), Err(61));
    assert_eq!(take("2026-11-20T12:01:59Z"), Err(1));
    // A clock that was set back finds it used up, until the minute that it shows is over.
    assert_eq!(take("2026-11-20T11:30:10Z"), Err(50));
    assert_eq!(take("2026-11-20T11:31:00Z"), Ok(()));
}

#[test]
fn what_was_used_is_restored() {
    let quota = limits(None, Some("10/day"), 0);
    let shared = Arc::new(TokenShared::default());
    assert_eq!(shared.quota_used(), (0, 0));
    let now = at("2026-11-20T12:00:00Z");
    let day = u64::try_from(now.as_second()).unwrap() / 86_400;
    let _ = shared.enter(&quota, now).unwrap();
    shared.restore_quota(day - 1, 10);
    assert_eq!(shared.quota_used(), (day, 1), "yesterday");
    shared.restore_quota(day, 8);
    assert_eq!(shared.quota_used(), (day, 9));
    let _ = shared.enter(&quota, now).unwrap();
    assert!(shared.enter(&quota, now).is_err());
    let fresh = Arc::new(TokenShared::default());
    fresh.restore_quota(day, u32::MAX);
    assert!(fresh.enter(&quota, now).is_err());
    assert!(fresh.enter(&quota, now + Duration::from_hours(12)).is_ok());
}

/// What many threads take at the same moment.
#[test]
fn no_thread_takes_more_than_there_is() {
    let now = at("2026-11-20T12:00:00Z");
    for (limits, expected) in [
        (limits(Some("500/day"), None, 0), 500),
        (limits(None, Some("500/day"), 0), 500),
        (limits(Some("700/day"), Some("500/day"), 0), 500),
        (limits(Some("500/day"), Some("700/day"), 1000), 500),
    ] {
        let shared = Arc::new(TokenShared::default());
        let work = || (0..500).filter(|_| shared.enter(&limits, now).is_ok());
        let entered = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| work().count())).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(entered, expected, "{limits:?}");
        assert_eq!(shared.usage.at_once.load(Relaxed), 0);
    }
    let (shared, limits) = (Arc::new(TokenShared::default()), limits(None, None, 3));
    let under_way = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let Ok(place) = shared.enter(&limits, now) else {
                        continue;
                    };
                    assert!(under_way.fetch_add(1, Relaxed) < 3);
                    under_way.fetch_sub(1, Relaxed);
                    drop(place);
                }
            });
        }
    });
    assert_eq!(shared.usage.at_once.load(Relaxed), 0);
}
