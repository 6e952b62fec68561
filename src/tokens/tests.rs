use std::sync::Arc;

use super::*;

#[test]
fn hexadecimal() {
    let digest = Fingerprint::of(b"abc");
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest.to_hex(), text);
    assert_eq!(Fingerprint::from_hex(text), Some(digest));
    assert_eq!(Fingerprint::from_hex(&text.to_uppercase()), Some(digest));
    for wrong in [
        "",
        &text[1..],
        &format!("{text}0"),
        &text.replace('f', "g"),
        &"é".repeat(32),
    ] {
        assert_eq!(Fingerprint::from_hex(wrong), None);
    }
}

#[test]
fn levels_are_words() {
    for level in Level::ALL {
        assert_eq!(Level::from_word(level.as_str()), Some(level));
    }
    assert_eq!(Level::from_word("Service"), None);
    assert_eq!(Level::User.to_string(), "user");
}

/// Neither what a client presents nor its hash is in the `Debug` of anything here.
#[test]
fn no_debug_shows_a_secret() {
    let plain = generate_from_system(Level::Service).unwrap();
    let secret = &plain.expose()[12..44];
    let fingerprint = Fingerprint::of(plain.expose().as_bytes());
    let line = format!(
        r#"{{"level":"service","plugins":["*"],"scopes":["*"],"sha256":"{}"}}"#,
        fingerprint.to_hex(),
    );
    let mut seen = Seen::default();
    let (records, problems) = parse_file(&"f".into(), &line, &mut seen);
    assert_eq!(problems, []);
    let table = TokenTable::with_capacity(1);
    let made = entries(&records[0], &ScopeLists::default(), &Arc::default());
    table.apply(made.clone(), Vec::new());
    let wrong = format!("{}x", &plain.expose()[..49]);
    let shown = [
        format!("{plain:#?}"),
        format!("{fingerprint:#?}"),
        format!("{seen:#?}"),
        format!("{records:#?}"),
        format!("{made:#?}"),
        format!("{table:#?}"),
        format!("{:#?}", parse(plain.expose())),
        format!("{:#?}", parse(&wrong)),
    ];
    let bytes = fingerprint.0.map(|byte| byte.to_string()).join(",");
    for text in shown {
        assert!(!text.contains(secret), "{text}");
        assert!(!text.contains(&fingerprint.to_hex()), "{text}");
        assert!(
            !text.split_whitespace().collect::<String>().contains(&bytes),
            "{text}"
        );
    }
}
