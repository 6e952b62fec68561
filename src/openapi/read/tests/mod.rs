mod lines;
mod quirks;

use crate::openapi::{Value, json};
use proptest::prelude::*;

use super::*;
use crate::openapi::tests::specs;

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "literals are written where they are used"
)]
fn check(text: &str, expected: Value) {
    assert_eq!(
        read(text.as_bytes(), &ReadLimits::default()).unwrap(),
        expected,
        "{text}"
    );
}

#[track_caller]
fn fails(text: &[u8], limits: &ReadLimits) -> ReadError {
    let error = read(text, limits).unwrap_err();
    assert!(!error.to_string().is_empty() && !error.help().is_empty());
    error
}

#[test]
fn texts_stay_texts() {
    check(
        "a: y\nb: no\nc: on\nd: Off",
        json!({ "a": "y", "b": "no", "c": "on", "d": "Off" }),
    );
    check("y: 1\nno: 2\non: 3", json!({ "y": 1, "no": 2, "on": 3 }));
    check(
        "a: 09:00\nb: 1:30\nc: 2020-02-31",
        json!({ "a": "09:00", "b": "1:30", "c": "2020-02-31" }),
    );
    check(
        "a: 0123\nb: 1_000\nc: 08",
        json!({ "a": "0123", "b": "1_000", "c": "08" }),
    );
    check(
        "a: =\nb: <<\nc: .",
        json!({ "a": "=", "b": "<<", "c": "." }),
    );
    check(
        "a: 0b11\nb: -0x1\nc: .inf\nd: .NaN",
        json!({ "a": "0b11", "b": "-0x1", "c": ".inf", "d": ".NaN" }),
    );
    check(
        "a: !!str 12\nb: '12'\nc: \"no\"",
        json!({ "a": "12", "b": "12", "c": "no" }),
    );
    check("a: |\n  x\ty\n  \tz\n", json!({ "a": "x\ty\n\tz\n" }));
    check("a: \"\u{85}\u{9f}\"", json!({ "a": "\u{85}\u{9f}" }));
}

#[test]
fn core_values_are_read() {
    check(
        "a: true\nb: False\nc: ~\nd:\ne: null",
        json!({ "a": true, "b": false, "c": null, "d": null, "e": null }),
    );
    check(
        "a: 0x1F\nb: 0o17\nc: +12",
        json!({ "a": 31, "b": 15, "c": 12 }),
    );
    check("a: .5\nb: +1.0", json!({ "a": 0.5, "b": 1.0 }));
}

#[test]
fn numbers_keep_their_digits() {
    let big = "123456789012345678901234567890";
    for text in [
        format!(
            "a: {big}\nb: -{big}\nc: 1.10\nd: 1e400\ne: 9223372036854775807\nf: &x 18446744073709551616\n"
        ),
        format!(
            "{{\"a\": {big}, \"b\": -{big}, \"c\": 1.10, \"d\": 1e400, \"e\": 9223372036854775807, \"f\": 18446744073709551616}}"
        ),
    ] {
        let value = read(text.as_bytes(), &ReadLimits::default()).unwrap();
        let digits: Vec<String> = value
            .as_object()
            .unwrap()
            .values()
            .map(Value::to_string)
            .collect();
        let expected = [
            big,
            &format!("-{big}"),
            "1.10",
            "1e+400",
            "9223372036854775807",
            "18446744073709551616",
        ];
        assert_eq!(digits, expected);
    }
}

#[test]
fn keys_become_texts() {
    check(
        "200: a\n1.10: b\ntrue: c\n09: d",
        json!({ "200": "a", "1.10": "b", "true": "c", "09": "d" }),
    );
    check(
        "null: a\n~: b\n'': c",
        json!({ "null": "a", "~": "b", "": "c" }),
    );
    check("? long\n: a", json!({ "long": "a" }));
}

#[test]
fn outer_forms_are_read() {
    check(
        "\u{feff}a: 1\r\nb:\r\n  - x\r\n",
        json!({ "a": 1, "b": ["x"] }),
    );
    check("---\na: 1\n...\n", json!({ "a": 1 }));
    check("\u{feff}{\"a\": 1}\r\n", json!({ "a": 1 }));
}

#[test]
fn flow_style_that_is_not_json_is_read_all_the_same() {
    check(
        "{\"a\": [1, 2,], # a comment\n b: 'c'}",
        json!({ "a": [1, 2], "b": "c" }),
    );
    check("# {\nopenapi: 3.1.0", json!({ "openapi": "3.1.0" }));
}

#[test]
fn aliases_and_merges_are_expanded() {
    check(
        "a: &x {k: 1, l: 2}\nb: *x\nc: {<<: *x, k: 3}",
        json!({
        "a": { "k": 1, "l": 2 }, "b": { "k": 1, "l": 2 }, "c": { "k": 3, "l": 2 } }),
    );
    let document = read_document(
        b"a: &x {k: 1}\nc:\n  <<: *x\n  k: 3\n",
        &ReadLimits::default(),
    )
    .unwrap();
    assert_eq!(
        (document.value["c"]["k"].clone(), document.duplicates),
        (json!(3), vec![])
    );
}

#[test]
fn a_doubled_key_is_noted_with_both_lines_and_the_last_one_holds() {
    let note = |key: &str, first_line, line| Duplicate {
        key: key.to_owned(),
        first_line,
        line,
    };
    for text in [
        "a:\n  b: 1\n  c: 2\n  b: 3\n",
        "{\"a\":\n {\"b\": 1,\n\"c\": 2,\n\"b\"  : 3}}",
    ] {
        let document = read_document(text.as_bytes(), &ReadLimits::default()).unwrap();
        assert_eq!(document.value, json!({ "a": { "b": 3, "c": 2 } }));
        assert_eq!(document.duplicates, [note("b", 2, 4)]);
    }
    let text = br#"{"a": {"a": "a"}, "b": [{"a": 1}, {"a": ":\""}], "c": "b"}"#;
    assert_eq!(
        read_document(text, &ReadLimits::default())
            .unwrap()
            .duplicates,
        []
    );
}

#[track_caller]
fn place(text: &[u8], line: u64, column: u64, words: &str) {
    let error = fails(text, &ReadLimits::default());
    assert_eq!(
        (error.line, error.column),
        (Some(line), Some(column)),
        "{error}"
    );
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn errors_name_the_place_and_the_mend() {
    place(
        b"{\"a\": 1,\n \"b\" 2}",
        2,
        6,
        "not valid JSON: expected `:`",
    );
    place(b"a: 1\nb: [1, 2\nc: 3\n", 3, 2, "not valid YAML");
    place(b"a: 1\n\xff: 2", 2, 1, "not UTF-8");
    place(b"a: 1\n---\nb: 2\n", 2, 1, "more than one YAML document");
    let limits = ReadLimits::default();
    assert_eq!(fails(b" \n\t", &limits).kind, ReadErrorKind::Empty);
    assert_eq!(
        fails(b"\xff\xfe\0\0a\0\0\0", &limits).kind,
        ReadErrorKind::Utf32
    );
    assert_eq!(
        fails(b"<!DOCTYPE html>", &limits).kind,
        ReadErrorKind::Markup
    );
}

#[test]
fn sizes_are_bounded() {
    let limits = ReadLimits {
        bytes: 1000,
        depth: 10,
        nodes: 50,
    };
    assert!(matches!(
        fails(&[b' '; 1001], &limits).kind,
        ReadErrorKind::TooLarge { .. }
    ));
    assert_eq!(
        fails("[".repeat(11).as_bytes(), &limits).kind,
        ReadErrorKind::TooDeep(10)
    );
    assert_eq!(
        fails(format!("a: {}", "[".repeat(11)).as_bytes(), &limits).kind,
        ReadErrorKind::TooDeep(10)
    );
    let steps: String = (0..11).fold(String::new(), |all, i| all + &" ".repeat(i) + "a:\n");
    assert_eq!(
        fails(steps.as_bytes(), &limits).kind,
        ReadErrorKind::TooDeep(10)
    );
    assert_eq!(
        fails(format!("[{}1]", "1,".repeat(200)).as_bytes(), &limits).kind,
        ReadErrorKind::TooMany(50)
    );
    assert_eq!(
        fails(format!("a: [{}1]", "1,".repeat(200)).as_bytes(), &limits).kind,
        ReadErrorKind::TooMany(50)
    );
    assert_eq!(
        fails(format!("[{}1]", "\"a\",".repeat(50)).as_bytes(), &limits).kind,
        ReadErrorKind::TooMany(50)
    );
    let bomb = "a: &a [1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b]\n";
    assert_eq!(
        fails(bomb.as_bytes(), &limits).kind,
        ReadErrorKind::TooMany(50)
    );
}

#[test]
fn the_deepest_document_is_read_and_a_deeper_one_refused() {
    let limits = ReadLimits {
        depth: usize::MAX,
        ..ReadLimits::default()
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("- ", "")] {
        let nested = |n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
        assert!(
            read(nested(MAX_DEPTH).as_bytes(), &limits).is_ok(),
            "{open}"
        );
        for n in [MAX_DEPTH + 1, 10_000] {
            let kind = fails(nested(n).as_bytes(), &limits).kind;
            assert_eq!(kind, ReadErrorKind::TooDeep(MAX_DEPTH), "{open}");
        }
    }
}

#[test]
fn every_document_is_read() {
    for spec in specs() {
        assert!(spec.value.is_object(), "{}", spec.name);
    }
    let museum = specs()
        .iter()
        .find(|spec| spec.name == "museum.yaml")
        .unwrap();
    let hours = museum
        .value
        .pointer("/components/schemas/MuseumDailyHours/properties/timeOpen/example");
    assert_eq!(hours, Some(&json!("09:00")));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, &ReadLimits::default());
    }

    #[test]
    fn nothing_that_looks_like_a_document_makes_it_panic(text in "[-{}\\[\\]:,\"'&*!|>?#%@ \na-c0-9~.<]{0,80}") {
        let _ = read(text.as_bytes(), &ReadLimits::default());
    }
}
