//! The page, read by a small checker of the format.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::super::counters::tests::{Event, count, event};
use super::*;

/// What control would say.
fn gauges() -> Gauges {
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    Gauges {
        version: "0.1.0",
        generation: 7,
        generations_alive: 2,
        reload_last_success: true,
        reloads: [(("published", "publish"), 6), (("refused", "validate"), 1)].into(),
        config_pending_rejected: false,
        token_expiry: [(Arc::from("pls_ab12cd34"), time("2027-01-01T00:00:00Z"))].into(),
        certificates: [(Arc::from("todo.example.com"), time("2027-02-01T00:00:00Z"))].into(),
        platform: vec![
            ("fly_region", Arc::from("fra")),
            ("machine", Arc::from("148e")),
        ],
    }
}

/// A page after a few events.
fn page() -> String {
    let labels = Labels::new();
    let events = [
        Event::Request(0, 0, 200, 12, true),
        Event::Request(0, 0, 200, 44_000, true),
        Event::Request(0, 1, 401, 1, false),
        Event::Failure(0),
        Event::Connection(0, false),
        Event::Connection(0, true),
        Event::Panic,
        Event::Unreadable,
    ];
    let mut counters = count(&labels, &events);
    counters.stream_is_open("upgrade");
    counters.stream_is_open("event_stream");
    counters.stream_is_open("upgrade");
    encode(&counters, &labels, &gauges())
}

#[test]
fn the_page() {
    insta::assert_snapshot!(page());
}

#[test]
fn every_documented_name_is_on_the_first_page() {
    let families = read(&encode(
        &Counters::default(),
        &Labels::new(),
        &Gauges::default(),
    ));
    let names: Vec<_> = families
        .iter()
        .map(|(name, family)| (name.as_str(), family.kind.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("plugway_build", "info"),
            ("plugway_config_pending_rejected", "gauge"),
            ("plugway_connections", "gauge"),
            ("plugway_connections_opened", "counter"),
            ("plugway_connections_refused", "counter"),
            ("plugway_generation", "gauge"),
            ("plugway_generations_alive", "gauge"),
            ("plugway_panics", "counter"),
            ("plugway_platform", "info"),
            ("plugway_reload", "counter"),
            ("plugway_reload_last_success", "gauge"),
            ("plugway_request_bytes", "counter"),
            ("plugway_request_duration_seconds", "histogram"),
            ("plugway_requests", "counter"),
            ("plugway_response_bytes", "counter"),
            ("plugway_streams", "gauge"),
            ("plugway_streams_cut", "counter"),
            ("plugway_tls_certificate_not_after_seconds", "gauge"),
            ("plugway_token_expiry_timestamp_seconds", "gauge"),
            ("plugway_token_requests", "counter"),
            ("plugway_unreadable_requests", "counter"),
            ("plugway_upstream_duration_seconds", "histogram"),
            ("plugway_upstream_failures", "counter"),
        ]
    );
}

#[test]
fn labels_are_escaped() {
    let mut gauges = gauges();
    let hostile = "a\"} 1\nplugway_panics_total 9\\";
    gauges.certificates = [(Arc::from(hostile), Timestamp::UNIX_EPOCH)].into();
    let families = read(&encode(&Counters::default(), &Labels::new(), &gauges));
    let family = &families["plugway_tls_certificate_not_after_seconds"];
    assert_eq!(family.samples.len(), 1);
    assert_eq!(
        family.samples[0].labels,
        [("name".to_owned(), hostile.to_owned())]
    );
    assert_eq!(families["plugway_panics"].samples.len(), 1);
}

#[test]
fn of_many_tokens_those_that_end_first_are_shown() {
    let mut gauges = gauges();
    for n in 0..2 * MAX_TOKENS {
        let second = i64::try_from(n).unwrap();
        let id = format!("{:08}", 2 * MAX_TOKENS - n);
        gauges
            .token_expiry
            .insert(Arc::from(id), Timestamp::from_second(second).unwrap());
    }
    let families = read(&encode(&Counters::default(), &Labels::new(), &gauges));
    let samples = &families["plugway_token_expiry_timestamp_seconds"].samples;
    assert_eq!(samples.len(), MAX_TOKENS);
    assert!(samples.iter().all(|sample| sample.value < 1_000.0));
}

#[test]
fn a_vanished_plugin_keeps_its_series() {
    let labels = Labels::new();
    let counters = count(&labels, &[Event::Request(0, 0, 200, 1, false)]);
    labels.target("later", Some("x"), None);
    let families = read(&encode(&counters, &labels, &gauges()));
    let plugins: Vec<_> = families["plugway_requests"]
        .samples
        .iter()
        .map(|s| &s.labels[0].1)
        .collect();
    assert_eq!(plugins, ["plugin0"]);
}

proptest! {
    #[test]
    fn every_page_is_well_formed(events in proptest::collection::vec(event(), 0..60)) {
        let labels = Labels::new();
        let families = read(&encode(&count(&labels, &events), &labels, &gauges()));
        let requests = events.iter().filter(|event| matches!(event, Event::Request(..))).count();
        let counted: f64 = families["plugway_requests"].samples.iter().map(|sample| sample.value).sum();
        prop_assert!((counted - f64::from(u32::try_from(requests).unwrap())).abs() < 0.5);
    }
}

/// A metric family as it was read.
#[derive(Debug, Default)]
struct ReadFamily {
    kind: String,
    samples: Vec<Sample>,
}

/// One line.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Reads a page, and panics where it is not `OpenMetrics` text 1.0.
#[track_caller]
fn read(page: &str) -> BTreeMap<String, ReadFamily> {
    let body = page.strip_suffix("# EOF\n").expect("ends with # EOF");
    let mut families: BTreeMap<String, ReadFamily> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = HashSet::new();
    for line in body.split_terminator('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && !families.contains_key(name), "{line}");
            current = name.to_owned();
            families.insert(current.clone(), ReadFamily::default());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert_eq!(name, current);
            assert!(name.ends_with(&format!("_{unit}")), "{line}");
        } else {
            assert!(
                seen.insert(line.rsplit_once(' ').unwrap().0),
                "twice: {line}"
            );
            let sample = sample(line);
            let family = families
                .get_mut(&current)
                .expect("a sample after its family");
            let suffix = sample
                .name
                .strip_prefix(&current)
                .expect("families are not mixed");
            let allowed: &[&str] = match family.kind.as_str() {
                "counter" => &["_total"],
                "gauge" => &[""],
                "info" => &["_info"],
                "histogram" => &["_bucket", "_count", "_sum"],
                kind => panic!("{kind}"),
            };
            assert!(allowed.contains(&suffix), "{line}");
            family.samples.push(sample);
        }
    }
    families
        .values()
        .filter(|family| family.kind == "histogram")
        .for_each(check_histogram);
    families
}

/// One line, with the labels that every scraper overwrites refused.
#[track_caller]
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    assert!(
        name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
        "{line}"
    );
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (key, after) = rest.split_once("=\"").unwrap();
            assert!(
                !["app", "region", "host", "instance"].contains(&key),
                "{line}"
            );
            let (value, after) = quoted(after);
            labels.push((key.to_owned(), value));
            match after.strip_prefix(',') {
                Some(after) => rest = after,
                None => break rest = after.strip_prefix('}').unwrap(),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap().parse().unwrap();
    Sample {
        name: name.to_owned(),
        labels,
        value,
    }
}

/// A label's value and what follows its closing quote.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                c => panic!("escape {c:?}"),
            },
            c => value.push(c),
        }
    }
    panic!("no closing quote in {text:?}")
}

/// Buckets only grow, and the last one is the count.
#[track_caller]
fn check_histogram(family: &ReadFamily) {
    let mut series: BTreeMap<Vec<(String, String)>, (f64, f64)> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        labels.retain(|(key, _)| key != "le");
        let (last, count) = series.entry(labels).or_default();
        if sample.name.ends_with("_bucket") {
            assert!(sample.value >= *last, "{sample:?}");
            *last = sample.value;
        } else if sample.name.ends_with("_count") {
            *count = sample.value;
        }
    }
    assert!(
        series
            .values()
            .all(|(last, count)| (last - count).abs() < 0.5)
    );
}
