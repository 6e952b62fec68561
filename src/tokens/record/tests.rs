use proptest::prelude::*;

use super::*;
use crate::tokens::{Ended, Status};

/// A fingerprint by a letter.
fn print(letter: char) -> Fingerprint {
    Fingerprint::of(letter.to_string().as_bytes())
}

/// So many seconds after an arbitrary instant.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

/// A record from `current[@until] [previous[@until]] [!expires]`, times in seconds.
fn record(text: &str) -> TokenRecord {
    let mut record = TokenRecord {
        id: "chatgpt".into(),
        name: "chatgpt".into(),
        level: Level::Service,
        plugins: Plugins::All,
        scopes: Arc::default(),
        current: SecretRecord::new(print('?')),
        previous: None,
        not_before: None,
        expires: None,
        state: State::Active,
        limits: None,
        note: None,
        made: None,
        ending: None,
    };
    let mut secrets = Vec::new();
    for word in text.split(' ') {
        if let Some(end) = word.strip_prefix('!') {
            record.expires = Some(at(end.parse().unwrap()));
            continue;
        }
        let (name, until) = word
            .split_once('@')
            .map_or((word, None), |(n, u)| (n, Some(u)));
        let until = until.map(|until| at(until.parse().unwrap()));
        let fingerprint = print(name.parse().unwrap());
        secrets.push(SecretRecord {
            until,
            ..SecretRecord::new(fingerprint)
        });
    }
    record.current = secrets[0];
    record.previous = secrets.get(1).copied();
    record
}

/// The result at second 100.
#[track_caller]
fn check(previous: &str, next: &str, grace: u64, expected: &str) {
    let grace = Duration::from_secs(grace);
    let rotated = rotate_declared(&record(previous), &record(next), grace, at(100));
    assert_eq!(rotated, record(expected), "{previous} → {next}");
}

#[test]
fn a_changed_secret_is_a_rotation() {
    check("a", "a", 60, "a");
    check("a", "b", 60, "b a@160");
    check("a", "b", 0, "b");
    // Never beyond the old expiry, of the secret or of the token.
    check("a@130", "b", 60, "b a@130");
    check("a !140", "b !900", 60, "b a@140 !900");
    check("a@150 !140", "b", 60, "b a@140");
    check("a@100", "b", 60, "b");
    check("a !99", "b", 60, "b");
    // A grace period that runs survives a reload without a change, and one that is over does not.
    check("b a@160", "b", 60, "b a@160");
    check("b a@100", "b", 60, "b");
    check("b a@160", "b", 0, "b");
    // Never more than two; going back is a rotation too.
    check("b a@160", "c", 60, "c b@160");
    check("b a@160", "a", 60, "a b@160");
    // What is written out is taken as written.
    check("a", "b c@500", 60, "b c@500");
    check("b a@160", "b c", 60, "b c");
}

#[test]
fn only_the_same_active_token_rotates() {
    let mut other = record("a");
    other.id = "copilot".into();
    let mut revoked = record("a");
    revoked.state = State::Revoked { at: None };
    for previous in [other, revoked] {
        let rotated = rotate_declared(&previous, &record("b"), Duration::from_mins(1), at(0));
        assert_eq!(rotated, record("b"));
    }
}

#[test]
fn a_grace_beyond_all_time_ends_with_time() {
    let rotated = rotate_declared(&record("a"), &record("b"), Duration::MAX, at(0));
    assert_eq!(rotated.previous.unwrap().until, Some(Timestamp::MAX));
}

#[test]
fn both_secrets_share_what_outlives_them() {
    let lists = ScopeLists::default();
    let shared = Arc::default();
    let made = entries(&record("b a@160 !900"), &lists, &shared);
    let [(first, current), (second, previous)] = made.as_slice() else {
        panic!("{made:?}")
    };
    assert_eq!((first, second), (&print('b'), &print('a')));
    assert_eq!(
        (current.slot, previous.slot),
        (Slot::Current, Slot::Previous)
    );
    assert_eq!(current.scopes, previous.scopes);
    assert!(Arc::ptr_eq(&current.shared, &shared) && Arc::ptr_eq(&previous.shared, &shared));
    assert_eq!(current.status(at(500)), Status::Live);
    assert_eq!(previous.status(at(159)), Status::Live);
    assert_eq!(
        previous.status(at(160)),
        Status::Ended(Ended::Replaced(at(160)))
    );
    assert_eq!(
        current.status(at(900)),
        Status::Ended(Ended::Expired(at(900)))
    );
}

#[test]
fn a_declared_token_is_a_record() {
    use crate::config::{DeclaredSecret, DeclaredToken, NoSecret, Spanned};
    use crate::problems::Place;
    use crate::tokens::Selector;

    let place = Place {
        source: None,
        span: 0..0,
        key: String::new(),
    };
    let spanned = |text: &str| Spanned {
        value: text.to_owned(),
        at: place.clone(),
    };
    let secret = |letter, until| DeclaredSecret {
        fingerprint: print(letter),
        until,
    };
    let mut declared = DeclaredToken {
        id: "chatgpt".into(),
        at: place.clone(),
        level: Level::Service,
        plugins: vec![spanned("todo"), spanned("*")],
        scopes: vec![Spanned {
            value: Selector::Tag("public".into()),
            at: place.clone(),
        }],
        secrets: vec![secret('b', None), secret('a', Some(at(160)))],
        grace: Duration::ZERO,
        not_before: None,
        expires: Some(at(900)),
        limits: None,
        note: None,
    };
    let mut expected = record("b a@160 !900");
    expected.scopes = Arc::new(ScopeList::new([Selector::Tag("public".into())]));
    assert_eq!(TokenRecord::try_from(&declared), Ok(expected.clone()));
    // The same secret twice is one, with the end that the first has.
    declared.secrets[1].fingerprint = print('b');
    expected.previous = None;
    assert_eq!(TokenRecord::try_from(&declared), Ok(expected));
    declared.secrets.clear();
    assert_eq!(TokenRecord::try_from(&declared), Err(NoSecret));
}

proptest! {
    /// However often secrets change: the current one is what the configuration says, the
    /// previous one is another, alive now, and ends within the grace period.
    #[test]
    fn at_most_two_live(steps in proptest::collection::vec((0..4_u8, 0..50_i64), 1..20)) {
        let grace = Duration::from_mins(1);
        let letter = |number: u8| char::from(b'a' + number).to_string();
        let mut held = record("a");
        let mut now = 0;
        for (secret, pause) in steps {
            now += pause;
            let next = record(&letter(secret));
            let rotated = rotate_declared(&held, &next, grace, at(now));
            prop_assert_eq!(rotated.current, next.current);
            if let Some(previous) = rotated.previous {
                prop_assert_ne!(previous.fingerprint, rotated.current.fingerprint);
                let until = previous.until.unwrap();
                prop_assert!(at(now) < until && until <= at(now + 60));
            }
            let changed = held.current.fingerprint != next.current.fingerprint;
            prop_assert!(!changed || rotated.previous.is_some());
            held = rotated;
        }
    }
}

#[test]
fn secrets_move_to_where_they_are_now() {
    let check = |before: &str, after: &str, expected: Option<[Option<Slot>; 2]>| {
        let moves = record(after).moves_from(&record(before));
        assert_eq!(moves, expected.map(Moves), "{before} → {after}");
    };
    let (current, previous) = (Some(Slot::Current), Some(Slot::Previous));
    check("a", "a", None);
    check("b a@160", "b a@100 !900", None);
    check("a", "a b@160", None);
    check("a", "b a@160", Some([None, current]));
    check("b a@160", "c b@160", Some([None, current]));
    check("b a@160", "a b@100", Some([previous, current]));
    // The previous one is gone, or both are.
    check("b a@160", "b", Some([current, None]));
    check("b a@160", "b c@160", Some([current, None]));
    check("b a@160", "c d@160", Some([None, None]));
}
