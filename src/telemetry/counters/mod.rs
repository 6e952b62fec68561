//! Plain counters that one worker owns.

use std::time::Duration;

use super::labels::{ListenerId, PluginId, TokenId};
use super::record::Record;

/// All that one worker has counted. No atomic and no lock: the worker that owns it counts, and
/// hands a copy to whoever writes the page, who merges the copies of all workers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// By operation of [`SeriesId`](super::SeriesId): answers by class and code (empty: none).
    pub(super) operations: Vec<Tally<(StatusClass, &'static str)>>,
    /// By [`PluginId`].
    pub(super) plugins: Vec<PluginCounters>,
    /// By [`TokenId`]: answers by slot and class.
    pub(super) tokens: Vec<Answers>,
    /// By [`ListenerId`].
    pub(super) listeners: Vec<Connections>,
    /// What is under way, by kind: a copy for the page has them, counted when it is made.
    pub(super) streams: Tally<&'static str>,
    /// Responses that the gateway cut, by reason.
    pub(super) streams_cut: Tally<&'static str>,
    /// Connections that were not taken, by reason.
    pub(super) refused: Tally<&'static str>,
    /// Request heads that the HTTP library refused by itself, by kind.
    pub(super) unreadable: Tally<&'static str>,
    /// Requests that ended in a panic.
    pub(super) panics: u64,
}

/// What is counted for a plugin as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PluginCounters {
    /// Whole requests.
    pub(super) requests: Histogram,
    /// The upstream until its response head.
    pub(super) upstream: Histogram,
    /// Bytes of request bodies.
    pub(super) request_bytes: u64,
    /// Bytes of response bodies.
    pub(super) response_bytes: u64,
    /// Attempts at the upstream that failed, by kind.
    pub(super) failures: Tally<&'static str>,
}

/// Connections of a listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Connections {
    /// Accepted.
    pub(super) opened: u64,
    /// Of those, ended.
    pub(super) closed: u64,
}

impl Counters {
    /// Counts a request that has ended. The only place that counts requests.
    pub fn request(&mut self, record: &Record) {
        let class = StatusClass::of(record.status());
        let series = record
            .target
            .as_ref()
            .map(|target| target.series)
            .unwrap_or_default();
        at(&mut self.operations, series.operation).add((class, record.code.unwrap_or_default()), 1);
        let plugin = at(&mut self.plugins, series.plugin.0);
        plugin.requests.observe(record.total);
        if let Some(upstream) = record.upstream {
            plugin.upstream.observe(upstream);
        }
        plugin.request_bytes += record.request_bytes;
        plugin.response_bytes += record.response_bytes;
        if let Some(TokenId(token)) = record.caller.as_ref().and_then(|caller| caller.series) {
            at(&mut self.tokens, token).add(record.slot.unwrap_or(SLOTS[0]), class);
        }
        if let Some(reason) = record.outcome.reason() {
            self.streams_cut.add(reason, 1);
        }
    }

    /// Counts an attempt at the upstream that failed (a request that is tried again may have
    /// several). `kind` is a word such as `connect` or `timeout`.
    pub fn upstream_failure(&mut self, plugin: PluginId, kind: &'static str) {
        at(&mut self.plugins, plugin.0).failures.add(kind, 1);
    }

    /// Counts an accepted connection. The worker that counts its opening counts its end.
    pub fn connection_opened(&mut self, listener: ListenerId) {
        at(&mut self.listeners, listener.0).opened += 1;
    }

    /// Counts the end of a connection.
    pub fn connection_closed(&mut self, listener: ListenerId) {
        at(&mut self.listeners, listener.0).closed += 1;
    }

    /// Counts a connection that was not taken. `reason` is a word such as `network`.
    pub fn connection_refused(&mut self, reason: &'static str) {
        self.refused.add(reason, 1);
    }

    /// Counts a request head that the HTTP library refused before we saw it. `kind` is a word
    /// such as `parse` or `too_large`.
    pub fn unreadable(&mut self, kind: &'static str) {
        self.unreadable.add(kind, 1);
    }

    /// Counts a stream that is under way, in a copy for the page. `kind` is a word such as
    /// `event_stream`.
    pub fn stream_is_open(&mut self, kind: &'static str) {
        self.streams.add(kind, 1);
    }

    /// Counts a request that ended in a panic.
    pub fn panicked(&mut self) {
        self.panics += 1;
    }

    /// Adds what another worker has counted.
    pub fn merge(&mut self, other: &Self) {
        merge(&mut self.operations, &other.operations, Tally::merge);
        merge(&mut self.plugins, &other.plugins, PluginCounters::merge);
        merge(&mut self.tokens, &other.tokens, Answers::merge);
        merge(&mut self.listeners, &other.listeners, |ours, theirs| {
            ours.opened += theirs.opened;
            ours.closed += theirs.closed;
        });
        self.streams.merge(&other.streams);
        self.streams_cut.merge(&other.streams_cut);
        self.refused.merge(&other.refused);
        self.unreadable.merge(&other.unreadable);
        self.panics += other.panics;
    }
}

impl PluginCounters {
    /// Adds what another worker has counted.
    fn merge(&mut self, other: &Self) {
        self.requests.merge(&other.requests);
        self.upstream.merge(&other.upstream);
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        self.failures.merge(&other.failures);
    }
}

/// First digit of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StatusClass {
    /// 1xx: a switched protocol.
    Informational,
    /// 2xx
    Success,
    /// 3xx
    Redirection,
    /// 4xx, 499 among them.
    ClientError,
    /// 5xx, and whatever an upstream sends above.
    ServerError,
}

impl StatusClass {
    /// All of them, each at its own number (see [`Answers`]).
    const ALL: [Self; 5] = [
        Self::Informational,
        Self::Success,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
    ];

    /// Of a status.
    fn of(status: u16) -> Self {
        match status {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    /// As a label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

/// Which of a token's secrets: the one that is presented unless something else is said, first.
const SLOTS: [&str; 2] = ["current", "previous"];

/// Answers to a token, by slot and class. All in one place, unlike a [`Tally`]: there may be a million
/// of them, and none is in a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Answers([[u64; StatusClass::ALL.len()]; SLOTS.len()]);

impl Answers {
    /// One more.
    fn add(&mut self, slot: &str, class: StatusClass) {
        self.0[usize::from(slot == SLOTS[1])][class as usize] += 1;
    }

    /// Adds what another worker has counted.
    fn merge(&mut self, other: &Self) {
        let ours = self.0.as_flattened_mut().iter_mut();
        for (ours, theirs) in ours.zip(other.0.as_flattened()) {
            *ours += theirs;
        }
    }

    /// Slots, classes and counts, without those that there were none of.
    pub(super) fn iter(&self) -> impl Iterator<Item = ((&'static str, StatusClass), u64)> {
        let slots = SLOTS.into_iter().zip(&self.0);
        let all = slots.flat_map(|(slot, counts)| {
            StatusClass::ALL
                .into_iter()
                .zip(counts)
                .map(move |(class, count)| ((slot, class), *count))
        });
        all.filter(|(_, count)| *count > 0)
    }
}

/// Counts under a handful of keys that the program itself names, in the order of the keys. The
/// search is linear: there are rarely more than three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally<K>(Vec<(K, u64)>);

impl<K: Copy + Ord> Tally<K> {
    /// Adds to a key.
    fn add(&mut self, key: K, count: u64) {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| *known == key) {
            *known += count;
        } else {
            let place = self.0.partition_point(|(known, _)| *known < key);
            self.0.insert(place, (key, count));
        }
    }

    /// Adds what another worker has counted.
    fn merge(&mut self, other: &Self) {
        for (key, count) in &other.0 {
            self.add(*key, *count);
        }
    }

    /// Keys and counts.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, u64)> {
        self.0.iter().copied()
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Durations, sorted into buckets. The sum is in whole nanoseconds, so that merging gives the
/// same in any order (it would overflow after 584 years of work).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Histogram {
    /// How many fell into each bucket of [`BOUNDS`], and above the last.
    counts: [u64; BOUNDS.len() + 1],
    /// Sum, nanoseconds.
    sum: u64,
}

impl Histogram {
    /// Counts a duration. A bound belongs to the bucket below it.
    fn observe(&mut self, duration: Duration) {
        let bucket = BOUNDS.partition_point(|(_, bound)| *bound < duration);
        self.counts[bucket] += 1;
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum = self.sum.saturating_add(nanos);
    }

    /// Adds what another worker has counted.
    fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *ours += theirs;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many durations there were.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum, seconds.
    pub(super) fn sum(&self) -> f64 {
        Duration::from_nanos(self.sum).as_secs_f64()
    }

    /// Upper bound in seconds and count of each bucket, not yet added up.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS
            .iter()
            .map(|(seconds, _)| *seconds)
            .chain([f64::INFINITY]);
        bounds.zip(self.counts).collect()
    }
}

/// Upper bounds of the buckets, in seconds and as durations: from what the gateway itself costs
/// to the 45 s after which assistants stop waiting.
const BOUNDS: [(f64, Duration); 15] = [
    (0.0005, Duration::from_micros(500)),
    (0.001, Duration::from_millis(1)),
    (0.0025, Duration::from_micros(2_500)),
    (0.005, Duration::from_millis(5)),
    (0.01, Duration::from_millis(10)),
    (0.025, Duration::from_millis(25)),
    (0.05, Duration::from_millis(50)),
    (0.1, Duration::from_millis(100)),
    (0.25, Duration::from_millis(250)),
    (0.5, Duration::from_millis(500)),
    (1.0, Duration::from_secs(1)),
    (2.5, Duration::from_millis(2_500)),
    (5.0, Duration::from_secs(5)),
    (15.0, Duration::from_secs(15)),
    (45.0, Duration::from_secs(45)),
];

/// The value at a place, made if it is not there yet: a name may be newer than the counters.
fn at<T: Default>(values: &mut Vec<T>, place: u32) -> &mut T {
    let place = place as usize;
    if values.len() <= place {
        values.resize_with(place + 1, T::default);
    }
    &mut values[place]
}

/// Merges by place.
fn merge<T: Default>(ours: &mut Vec<T>, theirs: &[T], add: impl Fn(&mut T, &T)) {
    if ours.len() < theirs.len() {
        ours.resize_with(theirs.len(), T::default);
    }
    for (ours, theirs) in ours.iter_mut().zip(theirs) {
        add(ours, theirs);
    }
}

#[cfg(test)]
pub(super) mod tests;
