//! The page that Prometheus reads, in the `OpenMetrics` text format 1.0.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::counters::{Counters, Histogram, PluginCounters};
use super::labels::{Labels, MAX_TOKENS, Names};

/// Media type of [`encode`]'s page.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What control knows and no worker counts.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    /// Version of the program.
    pub version: &'static str,
    /// Number of the generation that serves.
    pub generation: u64,
    /// Generations that some request or connection still holds.
    pub generations_alive: u64,
    /// Whether the last attempt at a reload published (or changed nothing).
    pub reload_last_success: bool,
    /// Attempts at a reload, by result and by the step that decided it.
    pub reloads: BTreeMap<(&'static str, &'static str), u64>,
    /// Whether a refused configuration waits to be mended.
    pub config_pending_rejected: bool,
    /// When service tokens end, by id. Beyond a thousand, those that end first are shown.
    pub token_expiry: BTreeMap<Arc<str>, Timestamp>,
    /// Of the platform; empty: it is none that tells.
    pub platform: Vec<(&'static str, Arc<str>)>,
    /// When certificates end, by name.
    pub certificates: BTreeMap<Arc<str>, Timestamp>,
}

/// The whole page. `counters` are those of all workers, merged; `labels` is the registry that
/// they were counted under. Rows that were never counted are left out, families never are.
pub fn encode(counters: &Counters, labels: &Labels, gauges: &Gauges) -> String {
    let names = labels.names();
    let mut families = requests(counters, &names);
    families.extend(plugins(&counters.plugins, &names));
    families.extend(process(counters, &names));
    families.extend(control(gauges));
    let mut registry = Registry::with_prefix("plugway");
    registry.register_collector(Box::new(Page(families)));
    let mut page = String::new();
    // Writing to a string does not fail, and no family is refused by the encoder.
    let _ = prometheus_client::encoding::text::encode(&mut page, &registry);
    page
}

/// Answers, by operation and by token.
fn requests(counters: &Counters, names: &Names) -> Vec<Family> {
    let mut requests = Family::counter("requests", "Requests that have ended");
    for ((plugin, operation), tally) in names.operations.values.iter().zip(&counters.operations) {
        let plugin = names
            .plugins
            .values
            .get(*plugin as usize)
            .cloned()
            .unwrap_or_default();
        for ((class, code), count) in tally.iter() {
            requests.row(
                vec![
                    ("plugin", Arc::clone(&plugin)),
                    ("operation", Arc::clone(operation)),
                    ("status_class", class.as_str().into()),
                    ("code", code.into()),
                ],
                Value::Count(count),
            );
        }
    }
    let mut tokens = Family::counter("token_requests", "Requests by service token");
    for (token, tally) in names.tokens.values.iter().zip(&counters.tokens) {
        for ((slot, class), count) in tally.iter() {
            tokens.row(
                vec![
                    ("token", Arc::clone(token)),
                    ("slot", slot.into()),
                    ("status_class", class.as_str().into()),
                ],
                Value::Count(count),
            );
        }
    }
    vec![requests, tokens]
}

/// Durations, bytes and failures, by plugin.
fn plugins(counters: &[PluginCounters], names: &Names) -> Vec<Family> {
    let mut duration = Family::histogram(
        "request_duration",
        "From the request's head to the response's last byte",
    );
    let mut upstream = Family::histogram(
        "upstream_duration",
        "From the request to the upstream's response head",
    );
    let mut received = Family::counter("request", "Bytes of request bodies").unit(Unit::Bytes);
    let mut sent = Family::counter("response", "Bytes of response bodies").unit(Unit::Bytes);
    let mut failures = Family::counter("upstream_failures", "Failed attempts at the upstream");
    for (plugin, counters) in names.plugins.values.iter().zip(counters) {
        let label = || vec![("plugin", Arc::clone(plugin))];
        duration.histogram_row(label(), &counters.requests);
        upstream.histogram_row(label(), &counters.upstream);
        if counters.requests.count() > 0 {
            received.row(label(), Value::Count(counters.request_bytes));
            sent.row(label(), Value::Count(counters.response_bytes));
        }
        for (kind, count) in counters.failures.iter() {
            let mut labels = label();
            labels.push(("kind", kind.into()));
            failures.row(labels, Value::Count(count));
        }
    }
    vec![duration, upstream, received, sent, failures]
}

/// What belongs to no plugin.
fn process(counters: &Counters, names: &Names) -> Vec<Family> {
    let mut connections = Family::gauge("connections", "Open connections");
    let mut opened = Family::counter("connections_opened", "Accepted connections");
    for (listener, counters) in names.listeners.values.iter().zip(&counters.listeners) {
        if counters.opened == 0 {
            continue;
        }
        let label = || vec![("listener", Arc::clone(listener))];
        let open = counters.opened.saturating_sub(counters.closed);
        connections.row(
            label(),
            Value::Gauge(i64::try_from(open).unwrap_or(i64::MAX)),
        );
        opened.row(label(), Value::Count(counters.opened));
    }
    let mut refused = Family::counter("connections_refused", "Connections that were not taken");
    for (reason, count) in counters.refused.iter() {
        refused.row(vec![("reason", reason.into())], Value::Count(count));
    }
    let mut streams = Family::gauge("streams", "Bodies and other protocols under way");
    for (kind, count) in counters.streams.iter() {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        streams.row(vec![("kind", kind.into())], Value::Gauge(count));
    }
    let mut cut = Family::counter("streams_cut", "Responses that the gateway cut");
    for (reason, count) in counters.streams_cut.iter() {
        cut.row(vec![("reason", reason.into())], Value::Count(count));
    }
    let mut unreadable = Family::counter("unreadable_requests", "Request heads that were not HTTP");
    for (kind, count) in counters.unreadable.iter() {
        unreadable.row(vec![("kind", kind.into())], Value::Count(count));
    }
    let mut panics = Family::counter("panics", "Requests that ended in a bug of the gateway");
    panics.row(Vec::new(), Value::Count(counters.panics));
    vec![
        connections,
        opened,
        refused,
        streams,
        cut,
        unreadable,
        panics,
    ]
}

/// What control knows.
fn control(gauges: &Gauges) -> Vec<Family> {
    let mut reloads = Family::counter("reload", "Attempts to load the configuration");
    for ((result, stage), count) in &gauges.reloads {
        reloads.row(
            vec![("result", (*result).into()), ("stage", (*stage).into())],
            Value::Count(*count),
        );
    }
    let mut build = Family::new("build", MetricType::Info, "The program");
    build.row(vec![("version", gauges.version.into())], Value::Info);
    let mut platform = Family::new("platform", MetricType::Info, "Where it runs");
    if !gauges.platform.is_empty() {
        platform.row(gauges.platform.clone(), Value::Info);
    }
    vec![
        single(
            "generation",
            "Number of the configuration that serves",
            gauges.generation,
        ),
        single(
            "generations_alive",
            "Configurations that something still uses",
            gauges.generations_alive,
        ),
        single(
            "reload_last_success",
            "Whether the last reload succeeded",
            u64::from(gauges.reload_last_success),
        ),
        reloads,
        single(
            "config_pending_rejected",
            "Whether a refused configuration waits to be mended",
            u64::from(gauges.config_pending_rejected),
        ),
        ends(
            "token_expiry_timestamp",
            "When a service token ends",
            "token",
            &gauges.token_expiry,
        ),
        ends(
            "tls_certificate_not_after",
            "When a certificate ends",
            "name",
            &gauges.certificates,
        ),
        platform,
        build,
    ]
}

/// A gauge without labels.
fn single(name: &'static str, help: &'static str, value: u64) -> Family {
    let mut family = Family::gauge(name, help);
    family.row(
        Vec::new(),
        Value::Gauge(i64::try_from(value).unwrap_or(i64::MAX)),
    );
    family
}

/// Times in seconds since 1970, the first to come first, at most [`MAX_TOKENS`].
fn ends(
    name: &'static str,
    help: &'static str,
    label: &'static str,
    ends: &BTreeMap<Arc<str>, Timestamp>,
) -> Family {
    let mut ends: Vec<_> = ends.iter().collect();
    ends.sort_by_key(|(_, end)| **end);
    let mut family = Family::gauge(name, help).unit(Unit::Seconds);
    for (what, end) in ends.into_iter().take(MAX_TOKENS) {
        family.row(
            vec![(label, Arc::clone(what))],
            Value::Gauge(end.as_second()),
        );
    }
    family
}

/// A metric with its rows. Its name is without `plugway_`, unit and suffix.
#[derive(Debug)]
struct Family {
    /// Name.
    name: &'static str,
    /// Base unit, which becomes part of the name.
    unit: Option<Unit>,
    /// One sentence.
    help: &'static str,
    /// Type.
    kind: MetricType,
    /// Labels and values.
    rows: Vec<(Row, Value)>,
}

/// Labels of a row.
#[derive(Debug)]
struct Row(Vec<(&'static str, Arc<str>)>);

/// Value of a row.
#[derive(Debug)]
enum Value {
    /// Only grows.
    Count(u64),
    /// Goes up and down.
    Gauge(i64),
    /// Sum in seconds, count, and the buckets with their upper bounds in seconds.
    Histogram(f64, u64, Vec<(f64, u64)>),
    /// Only labels.
    Info,
}

impl Family {
    /// Without rows.
    fn new(name: &'static str, kind: MetricType, help: &'static str) -> Self {
        Self {
            name,
            unit: None,
            help,
            kind,
            rows: Vec::new(),
        }
    }

    /// One that only grows.
    fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, MetricType::Counter, help)
    }

    /// One that goes up and down.
    fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, MetricType::Gauge, help)
    }

    /// Durations.
    fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(name, MetricType::Histogram, help).unit(Unit::Seconds)
    }

    /// With a base unit.
    fn unit(mut self, unit: Unit) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Adds a row.
    fn row(&mut self, labels: Vec<(&'static str, Arc<str>)>, value: Value) {
        self.rows.push((Row(labels), value));
    }

    /// Adds a histogram that is not empty.
    fn histogram_row(&mut self, labels: Vec<(&'static str, Arc<str>)>, histogram: &Histogram) {
        if histogram.count() > 0 {
            let value = Value::Histogram(histogram.sum(), histogram.count(), histogram.buckets());
            self.row(labels, value);
        }
    }
}

impl EncodeLabelSet for Row {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> std::fmt::Result {
        let labels: Vec<_> = self.0.iter().map(|(key, value)| (*key, &**value)).collect();
        labels.encode(encoder)
    }
}

impl Value {
    /// Writes it.
    fn encode(&self, labels: &Row, encoder: &mut MetricEncoder<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
            Self::Gauge(value) => encoder.encode_gauge(value),
            Self::Histogram(sum, count, buckets) => {
                encoder.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None)
            }
            Self::Info => encoder.encode_info(labels),
        }
    }
}

/// What the encoder walks.
#[derive(Debug)]
struct Page(Vec<Family>);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for family in &self.0 {
            let unit = family.unit.as_ref();
            let mut metric =
                encoder.encode_descriptor(family.name, family.help, unit, family.kind)?;
            for (labels, value) in &family.rows {
                // An empty family would write empty braces, and an info metric writes its own.
                if labels.0.is_empty() || matches!(value, Value::Info) {
                    value.encode(labels, &mut metric)?;
                } else {
                    value.encode(labels, &mut metric.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
