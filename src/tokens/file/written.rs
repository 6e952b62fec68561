//! What is written as a line is read as what it was.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::{
    Ending, Fingerprint, Level, Making, Plugins, Rate, ScopeList, SecretRecord, Selector, State,
    TokenLimits, TokenRecord,
};
use super::tests::read;
use super::{Seen, parse_file};

/// Any record that a token file can hold.
fn any_record() -> impl Strategy<Value = TokenRecord> {
    let time = || {
        proptest::option::of(
            (0..4_000_000_000_i64, 0..1_000_000_000_i32)
                .prop_map(|(s, n)| jiff::Timestamp::new(s, n).unwrap()),
        )
    };
    let texts = |pattern: &'static str| proptest::collection::vec(pattern, 1..4);
    let state = (0..3, time()).prop_map(|(which, at)| match which {
        0 => State::Active,
        1 => State::Suspended,
        _ => State::Revoked { at },
    });
    (
        ("[A-Za-z0-9_.-]{1,64}", "[ -~é]{1,60}", 0..3_usize),
        (
            texts("[*]|[A-Za-z0-9_]{1,50}"),
            texts("[*]|tag:[ -)+-~é]{1,9}|(GET|PUT) /[ -~]{0,9}|[a-zé\"]{1,9}"),
        ),
        (
            any::<[u8; 32]>(),
            time(),
            proptest::option::of((any::<[u8; 32]>(), time())),
        ),
        (
            time(),
            time(),
            state,
            proptest::option::of("[ -~é]{1,60}"),
            limits(),
            proptest::option::of(ending()),
        ),
    )
        .prop_map(|(names, lists, secrets, rest)| TokenRecord {
            id: names.0.into(),
            name: names.1.into(),
            level: Level::ALL[names.2],
            plugins: Plugins::new(lists.0.iter().map(String::as_str)),
            scopes: Arc::new(ScopeList::new(
                lists.1.iter().filter_map(|s| Selector::parse(s).ok()),
            )),
            current: SecretRecord {
                until: secrets.1,
                ..SecretRecord::new(Fingerprint(secrets.0))
            },
            previous: secrets.2.map(previous),
            not_before: rest.0,
            expires: rest.1,
            state: rest.2,
            limits: rest.4,
            note: rest.3.clone().map(Arc::from),
            made: made(rest.0, rest.3),
            ending: rest.5.filter(|_| matches!(rest.2, State::Revoked { .. })),
        })
        .prop_filter("in order", |record| {
            record
                .not_before
                .zip(record.expires)
                .is_none_or(|(start, end)| start < end)
                && (record.level == Level::Admin || !record.scopes.selectors().is_empty())
        })
}

/// A previous secret with all that can be known of one.
fn previous((bytes, until): ([u8; 32], Option<jiff::Timestamp>)) -> SecretRecord {
    SecretRecord {
        until,
        since: until,
        elsewhere: bytes[0] & 1 == 1,
        finish_when_idle: (bytes[0] & 2 == 2).then(|| Duration::from_secs(bytes[1].into())),
        until_before: until.filter(|_| bytes[0] & 4 == 4),
        ..SecretRecord::new(Fingerprint(bytes))
    }
}

/// When and by whom, if both are given.
fn made(at: Option<jiff::Timestamp>, by: Option<String>) -> Option<Arc<Making>> {
    at.zip(by)
        .map(|(at, by)| Arc::new(Making { at, by: by.into() }))
}

/// By whom and why.
fn ending() -> impl Strategy<Value = Arc<Ending>> {
    ("[a-z:]{1,20}", "[ -~é]{1,60}").prop_map(|(by, reason)| {
        Arc::new(Ending {
            by: by.into(),
            reason: reason.into(),
        })
    })
}

/// Bounds of every sort, or none.
fn limits() -> impl Strategy<Value = Option<Arc<TokenLimits>>> {
    let rate = || {
        proptest::option::of(
            (1..=Rate::MOST, 0..4_usize).prop_map(|(count, period)| Rate {
                count: count.try_into().unwrap(),
                period: Duration::from_secs([1, 60, 3600, 86_400][period]),
            }),
        )
    };
    let networks = proptest::collection::vec((any::<std::net::IpAddr>(), 0..=32_u8), 0..3);
    (rate(), rate(), any::<u32>(), networks).prop_map(|(rate, quota, concurrency, networks)| {
        let limits = TokenLimits {
            rate,
            quota,
            concurrency: concurrency.try_into().ok(),
            networks: networks
                .into_iter()
                .filter_map(|(address, bits)| ipnet::IpNet::new(address, bits).ok())
                .collect(),
        };
        (!limits.is_empty()).then(|| Arc::new(limits))
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(record in any_record()) {
        let line = record.to_line();
        prop_assert!(!line.contains('\n'));
        let (records, problems) = parse_file(&"t".into(), &line, &mut Seen::default());
        prop_assert_eq!(problems, vec![]);
        prop_assert_eq!(records, vec![record]);
    }

    #[test]
    fn reading_never_panics(text in "\\PC{0,200}") {
        read(&text);
    }

    #[test]
    fn a_damaged_line_never_panics(record in any_record(), at in 0..400_usize, by in any::<char>()) {
        let mut damaged: Vec<char> = record.to_line().chars().collect();
        let at = at % damaged.len();
        damaged[at] = by;
        read(&damaged.iter().collect::<String>());
        damaged.truncate(at);
        let (records, problems) = read(&damaged.iter().collect::<String>());
        prop_assert!(records.is_empty());
        prop_assert_eq!(problems.is_empty(), at == 0);
    }
}
