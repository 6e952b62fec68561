//! Counting and merging.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, Version};
use jiff::Timestamp;
use proptest::prelude::*;

use super::super::{Caller, Labels, Outcome};
use super::*;

/// Something that a worker can count.
#[derive(Debug, Clone)]
pub(in super::super) enum Event {
    /// A request: plugin, operation, status, milliseconds, by a service token?
    Request(u8, u8, u16, u64, bool),
    /// An attempt at the upstream.
    Failure(u8),
    /// A connection, and whether it has ended.
    Connection(u8, bool),
    /// A panic.
    Panic,
    /// A refused head.
    Unreadable,
}

/// Any event.
pub(in super::super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0u8..4, 0u8..4, 100u16..600, 0u64..100_000, any::<bool>()).prop_map(
            |(plugin, operation, status, ms, service)| Event::Request(
                plugin, operation, status, ms, service
            )
        ),
        (0u8..4).prop_map(Event::Failure),
        (0u8..3, any::<bool>()).prop_map(|(listener, ended)| Event::Connection(listener, ended)),
        Just(Event::Panic),
        Just(Event::Unreadable),
    ]
}

/// Counts events under the names of a registry.
pub(in super::super) fn count<'a>(
    labels: &Labels,
    events: impl IntoIterator<Item = &'a Event>,
) -> Counters {
    let mut counters = Counters::default();
    for event in events {
        match *event {
            Event::Request(plugin, operation, status, ms, service) => {
                counters.request(&record(labels, plugin, operation, status, ms, service));
            }
            Event::Failure(plugin) => {
                counters.upstream_failure(labels.plugin(&format!("plugin{plugin}")), "connect");
            }
            Event::Connection(listener, ended) => {
                let listener = labels.listener(&format!("https:[::]:844{listener}"));
                counters.connection_opened(listener);
                if ended {
                    counters.connection_closed(listener);
                }
            }
            Event::Panic => counters.panicked(),
            Event::Unreadable => counters.unreadable("parse"),
        }
    }
    counters
}

/// A request that has ended.
fn record(
    labels: &Labels,
    plugin: u8,
    operation: u8,
    status: u16,
    ms: u64,
    service: bool,
) -> Record {
    let mut record = Record::new(
        Timestamp::UNIX_EPOCH,
        HeaderValue::from_static("1"),
        std::net::Ipv4Addr::LOCALHOST.into(),
        Method::GET,
        Version::HTTP_11,
    );
    let operation = format!("op{operation}");
    record.target = Some(labels.target(&format!("plugin{plugin}"), Some(&operation), Some("/x")));
    record.caller = service.then(|| Caller {
        token: Arc::new(("pls_1".to_owned(), "chatgpt".to_owned())),
        level: "service",
        series: Some(labels.token("pls_1")),
    });
    record.status = StatusCode::from_u16(status).ok();
    record.code = (status == 401).then_some("invalid_token");
    record.outcome = if ms.is_multiple_of(2) {
        Outcome::Complete
    } else {
        Outcome::Cut("revoked")
    };
    record.total = Duration::from_millis(ms);
    record.upstream = (status < 400).then_some(Duration::from_millis(ms / 2));
    record.request_bytes = 10;
    record.response_bytes = ms;
    record
}

/// `a`, then `b`.
fn merged(a: &Counters, b: &Counters) -> Counters {
    let mut sum = a.clone();
    sum.merge(b);
    sum
}

proptest! {
    #[test]
    fn merging_is_associative_commutative_and_the_same_as_counting_together(
        a in proptest::collection::vec(event(), 0..20),
        b in proptest::collection::vec(event(), 0..20),
        c in proptest::collection::vec(event(), 0..20),
    ) {
        let labels = Labels::new();
        let together = count(&labels, a.iter().chain(&b).chain(&c));
        let (a, b, c) = (count(&labels, &a), count(&labels, &b), count(&labels, &c));
        prop_assert_eq!(&merged(&merged(&a, &b), &c), &together);
        prop_assert_eq!(&merged(&a, &merged(&b, &c)), &together);
        prop_assert_eq!(&merged(&c, &merged(&b, &a)), &together);
        prop_assert_eq!(&merged(&Counters::default(), &a), &a);
    }
}

#[test]
fn a_bound_belongs_to_the_bucket_below_it() {
    for (place, (seconds, bound)) in BOUNDS.into_iter().enumerate() {
        assert!((bound.as_secs_f64() - seconds).abs() < 1e-12, "{seconds}");
        for (duration, expected) in [(bound, place), (bound + Duration::from_nanos(1), place + 1)] {
            let mut histogram = Histogram::default();
            histogram.observe(duration);
            assert_eq!(histogram.counts[expected], 1, "{duration:?}");
        }
    }
    assert!(BOUNDS.is_sorted_by(|a, b| a.1 < b.1));
}

#[test]
fn a_class_for_each_status() {
    for (status, class) in [
        (101, "1xx"),
        (204, "2xx"),
        (304, "3xx"),
        (404, "4xx"),
        (499, "4xx"),
        (502, "5xx"),
        (799, "5xx"),
    ] {
        assert_eq!(StatusClass::of(status).as_str(), class);
    }
    let numbers = StatusClass::ALL.map(|class| class as usize);
    assert_eq!(numbers, [0, 1, 2, 3, 4], "where they are counted");
}

#[test]
fn a_request_without_a_plugin_is_counted() {
    let labels = Labels::new();
    let mut record = record(&labels, 0, 0, 421, 1, false);
    record.target = None;
    let mut counters = Counters::default();
    counters.request(&record);
    assert_eq!(
        counters.operations[0].iter().map(|(_, n)| n).sum::<u64>(),
        1
    );
    assert_eq!(counters.plugins[0].requests.count(), 1);
}
