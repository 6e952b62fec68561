//! What people write, and what tools write, that is neither plain JSON nor plain YAML.

use super::*;

#[track_caller]
fn reads(text: &[u8], expected: &Value) -> Document {
    let document = read_document(text, &ReadLimits::default());
    let shown = String::from_utf8_lossy(text);
    let document = document.unwrap_or_else(|error| panic!("{shown:?}: {error}"));
    assert_eq!(document.value, *expected, "{shown:?}");
    document
}

#[track_caller]
fn refuses(text: &str, line: u64, words: &str, mend: &str) {
    let error = fails(text.as_bytes(), &ReadLimits::default());
    let shown: String = text.chars().take(80).collect();
    assert_eq!(error.line, Some(line), "{shown:?}: {error}");
    assert!(error.to_string().contains(words), "{text:?}: {error}");
    assert!(error.help().contains(mend), "{text:?}: {}", error.help());
}

/// Plain texts that some reader takes for something else.
const TEXTS: &[&str] = &[
    "y",
    "Y",
    "n",
    "no",
    "No",
    "NO",
    "on",
    "off",
    "yes",
    "tRUE",
    "nULL",
    "09:00",
    "12:30:45",
    "190:20:30",
    "2023-02-31",
    "2023-02-03",
    "2023-02-03T04:05:06Z",
    "2001-12-14 21:59:43.10 -5",
    "007",
    "0123",
    "08",
    "00",
    "1_000",
    "1__0",
    "0b11",
    "0B1",
    "0X1f",
    "-0x1f",
    "0o8",
    "0x",
    ".inf",
    "-.inf",
    "+.inf",
    ".NaN",
    ".nan",
    "nan",
    "inf",
    "=",
    "--1",
    "1e",
    "1e+",
    "e1",
    "1.2.3",
    "1,000",
    "1:2",
    "-",
    "a:b",
    "a#b",
    "a b",
    "$ref",
    "<b>",
    "\\d",
    "1 2",
    ".",
    "..",
    "+",
    "-.",
];

#[test]
fn plain_values_by_the_core_rules() {
    for &text in TEXTS {
        // `-` alone begins a list, in flow style it is refused.
        if text != "-" {
            reads(format!("a: {text}").as_bytes(), &json!({ "a": text }));
        }
        let quoted = serde_json::to_string(text).unwrap();
        reads(
            format!("{quoted}: {quoted}").as_bytes(),
            &json!({ text: text }),
        );
    }
}

#[test]
fn plain_values_and_tags() {
    for (text, value) in [
        ("~", json!(null)),
        ("null", json!(null)),
        ("Null", json!(null)),
        ("", json!(null)),
        ("true", json!(true)),
        ("FALSE", json!(false)),
        ("0x1F", json!(31)),
        ("0o17", json!(15)),
        ("+1", json!(1)),
        ("!!int '3'", json!(3)),
        ("!!null ''", json!(null)),
        ("!!binary aGk=", json!("aGk=")),
        ("!foo x", json!("x")),
        ("!!str 1", json!("1")),
        ("!!timestamp 2020-01-01", json!("2020-01-01")),
        ("! 1", json!("1")),
        ("!!set {x}", json!({ "x": null })),
    ] {
        reads(format!("a: {text}").as_bytes(), &json!({ "a": value }));
    }
}

#[test]
fn numbers_keep_what_can_be_kept() {
    for (text, number) in [
        (".5", "0.5"),
        ("1.", "1.0"),
        ("-.5", "-0.5"),
        ("-0", "-0"),
        ("-0.0", "-0.0"),
        ("1.10", "1.10"),
        ("1e3", "1e+3"),
        ("1E-3", "1e-3"),
        ("1e999", "1e+999"),
        ("12e03", "12e+03"),
        ("9007199254740993", "9007199254740993"),
        ("0xFFFFFFFFFFFFFFFFFF", "4722366482869645213695"),
        (
            "1.00000000000000000000000000001",
            "1.00000000000000000000000000001",
        ),
    ] {
        let document = read(format!("a: {text}").as_bytes(), &ReadLimits::default()).unwrap();
        assert_eq!(document["a"].to_string(), number, "{text}");
    }
}

#[test]
fn keys_are_the_texts_that_are_written() {
    for key in [
        "y",
        "no",
        "on",
        "yes",
        "off",
        "200",
        "0200",
        "2XX",
        "null",
        "true",
        "True",
        "1.10",
        "09:00",
        "2023-02-31",
        "=",
        "0x1F",
        "1e3",
        ".inf",
        "~",
        "+1",
        "/a/{b}",
        "$ref",
        "a:b",
        ":",
        "-1",
    ] {
        reads(format!("{key}: 1").as_bytes(), &json!({ key: 1 }));
        // `? :` is an empty key in a mapping that is a key.
        let long = if key == ":" { "? '%'" } else { "? %" }.replace('%', key);
        reads(format!("{long}\n: 1").as_bytes(), &json!({ key: 1 }));
    }
    reads(b": 1", &json!({ "": 1 }));
    reads(b"{a, b: 1}", &json!({ "a": null, "b": 1 }));
    reads(b"a: &k x\n*k : 1", &json!({ "a": "x", "x": 1 }));
}

#[test]
fn merges() {
    reads(b"<<: {a: 1}\nb: 2", &json!({ "b": 2, "a": 1 }));
    reads(b"<<: [{a: 1}, {a: 2, b: 3}]", &json!({ "a": 1, "b": 3 }));
    reads(b"a: {<<: 1}", &json!({ "a": { "<<": 1 } }));
    reads(b"\"<<\": {a: 1}", &json!({ "<<": { "a": 1 } }));
    let document = reads(
        b"x: &x {a: 1}\ny: {<<: *x, <<: {b: 2}, a: 3}",
        &json!({ "x": { "a": 1 }, "y": { "a": 3, "b": 2 } }),
    );
    assert_eq!(document.duplicates, []);
}

#[test]
fn tabs_and_control_characters() {
    for text in [
        "a:\t1",
        "a: 1\t",
        "a: 1\t# c",
        "a: 1\n\t\n",
        "a: 1\n\t# c\n",
        "{\n\t\"a\": 1\n}",
        "{\n\ta: 1,\n}",
    ] {
        reads(text.as_bytes(), &json!({ "a": 1 }));
    }
    reads(b"-\ta\n-\tb: 1", &json!(["a", { "b": 1 }]));
    reads(
        b"a: b\tc\nd: |\n  x\ty\n  \tz\n",
        &json!({ "a": "b\tc", "d": "x\ty\n\tz\n" }),
    );
    for text in ["a:\n\tb: 1", "a: |\n\tx", "a: x\n\ty"] {
        refuses(text, 2, "indented by a tab", "by spaces");
    }
    refuses("a:\n  b: 1\n\tc: 2", 3, "indented by a tab", "by spaces");
    for c in ('\0'..='\u{9f}').chain(['\u{feff}', '\u{2028}', '\u{fffe}', '\u{ffff}', '\u{10fe00}'])
    {
        if c.is_ascii_graphic() || matches!(c, '\n' | '\r') {
            continue;
        }
        let value = json!({ "a": format!("x{c}y") });
        reads(format!("a: x{c}y").as_bytes(), &value);
        reads(format!("{{\"a\": \"x{c}y\"}}").as_bytes(), &value);
        reads(format!("a: |-\n  x{c}y").as_bytes(), &value);
    }
}

#[test]
fn encodings_marks_and_line_ends() {
    let value = json!({ "a": "é😀", "b": [1, 2] });
    let text = "a: é😀\nb:\n- 1\n- 2\n";
    for text in [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        text.replace('\n', "\r"),
    ] {
        reads(text.as_bytes(), &value);
        reads(format!("\u{feff}\u{feff}{text}").as_bytes(), &value);
        for text in [&text, &value.to_string()] {
            let units: Vec<u16> = text.encode_utf16().collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            reads(&[b"\xff\xfe", &little[..]].concat(), &value);
            reads(&[b"\xfe\xff", &big[..]].concat(), &value);
            reads(&little, &value);
            reads(&big, &value);
        }
    }
    reads(
        b"\xfe\xff\0a\0:\0 \xd8\x00\0x",
        &json!({ "a": "\u{fffd}x" }),
    );
    reads("a: 1\n\u{feff}b: 2".as_bytes(), &json!({ "a": 1, "b": 2 }));
    place(b"a: 1\r\nb: caf\xe9", 2, 7, "not UTF-8");
    place(
        b"{\"a\": 1,\r\"b\": \"\xc3\xa9\" x}",
        2,
        10,
        "not valid JSON",
    );
    let kinds = [
        (&b"\xff\xfe\0\0"[..], ReadErrorKind::Utf32),
        (b"", ReadErrorKind::Empty),
        (b"\xef\xbb\xbf", ReadErrorKind::Empty),
    ];
    for (bytes, kind) in kinds {
        assert_eq!(fails(bytes, &ReadLimits::default()).kind, kind);
    }
}

#[test]
fn empty_documents_do_not_count() {
    for text in [
        "a: 1\n---\n",
        "---\na: 1\n---\n# c\n",
        "---\n---\na: 1",
        "---\n# c\n---\na: 1\n...\n# c\n",
        "%YAML 1.1\n---\na: 1",
        "%FOO x\n---\na: 1",
    ] {
        reads(text.as_bytes(), &json!({ "a": 1 }));
    }
    for text in ["# c", "---", "---\n---\n", "...", "# c\n---\n# d\n"] {
        assert_eq!(
            fails(text.as_bytes(), &ReadLimits::default()).kind,
            ReadErrorKind::Empty,
            "{text}"
        );
    }
    refuses("a: 1\n---\nnull", 2, "more than one", "keep one");
    refuses("a: 1\n...\nb: 2", 3, "more than one", "keep one");
    refuses("---\n---\na: 1\n---\n[]", 4, "more than one", "keep one");
    refuses("a: 1\n... x", 2, "after document end", "");
}

#[test]
fn what_people_take_for_json_is_read() {
    for text in [
        "{\"a\": 1,}",
        "// c\n{\"a\": 1}",
        "/* {\n */ {\"a\": 1 // c\n}",
        "{\"a\": 1 /* \" */}",
        "{\"a\": 1 # c\n}",
        "# c\n{\"a\": 1}",
        "{'a': 1}",
        "{a: 1}",
        "{\"a\": 1,\n// it's\n}",
        "{\"a\": +1}",
    ] {
        reads(text.as_bytes(), &json!({ "a": 1 }));
    }
    for (text, value) in [
        ("[1, 2,]", json!([1, 2])),
        (
            "{\"a\": NaN, \"b\": undefined, \"c\": True, \"d\": 01, \"e\": 'x // y', \"f\": .5}",
            json!({ "a": "NaN", "b": "undefined", "c": true, "d": "01", "e": "x // y", "f": 0.5 }),
        ),
        (
            "{u: http://a/b, 'v': 'http://c'}",
            json!({ "u": "http://a/b", "v": "http://c" }),
        ),
        ("{\"a\": \"x\ny\tz\"}", json!({ "a": "x\ny\tz" })),
        (
            "{\"a\": \"// no comment, ]\"}",
            json!({ "a": "// no comment, ]" }),
        ),
        ("{\"a\": \"\\'\\/\\ud83d\\ude00\"}", json!({ "a": "'/😀" })),
    ] {
        reads(text.as_bytes(), &value);
    }
    place(
        b"{\"a\": [1,\n2,], // c\n\"b\" 1}",
        3,
        5,
        "not valid JSON: expected `:`",
    );
    place(b"{\"a\": 1};", 1, 9, "trailing");
    place(b"{\"a\": 1}\n{\"b\": 2}", 2, 1, "trailing");
}

#[test]
fn a_document_is_not_lost_for_an_escape() {
    for (text, value, line) in [
        ("{\"a\":\n\"\\ud800\"}", "\u{fffd}", 2),
        ("{\"a\": \"\\udc00x\"}", "\u{fffd}x", 1),
        ("{\"a\": \"\\ud800\\u0041\"}", "\u{fffd}A", 1),
        ("{\"a\": \"\\d+\\\\\"}", "\\d+\\", 1),
        ("{\"a\": \"\\u12\"}", "\\u12", 1),
        ("a: \"\\ud800\"", "\u{fffd}", 1),
        ("a: \"\\ud83d\\ude00\\ud83dx\"", "😀\u{fffd}x", 1),
        ("x: {y: 1}\na: \"^\\d+\\.\\x41\\_$\"", "^\\d+\\.A\u{a0}$", 2),
        ("a: \"\\U00110000\"", "\u{fffd}", 1),
        ("a: \"\\xZ\"", "\\xZ", 1),
    ] {
        let document = read_document(text.as_bytes(), &ReadLimits::default()).unwrap();
        assert_eq!(document.value["a"], json!(value), "{text}");
        assert_eq!(document.repairs[0].line, line, "{text}");
    }
    reads(
        b"a: '\\ud800'\nb: \\d",
        &json!({ "a": "\\ud800", "b": "\\d" }),
    );
    // Each is a new beginning in YAML, so there is an end to it.
    let many = "- \"\\d\"\n".repeat(50);
    assert_eq!(
        read_document(many.as_bytes(), &ReadLimits::default())
            .unwrap()
            .repairs
            .len(),
        50
    );
    let many = "- \"\\d\"\n".repeat(100_000);
    refuses(&many, 48, "unknown escape", "");
}

#[test]
fn faults_of_yaml_have_a_place_and_a_mend() {
    for (text, line, words, mend) in [
        ("a: 1\nb: @x", 2, "begins with `@`", "into quotes"),
        ("a: `x`", 1, "begins with `", "into quotes"),
        ("a: %x", 1, "begins with `%`", "into quotes"),
        (
            "a: *x",
            1,
            "an alias repeats what is not there",
            "into quotes",
        ),
        ("a: 1\nb: \"x\nc: 2\n", 2, "does not close", "close it"),
        ("a: 'it's'", 1, "after its closing quote", "twice"),
        ("a: b: c", 1, "no key can be", "into quotes"),
        ("a: 1\nb", 2, "no `:`", "write `:`"),
        ("? [a]\n: b", 1, "a key is a list", "into quotes"),
        ("a: {{x}}", 1, "a key is a list", "into quotes"),
        ("x: &x [1]\n*x : 1", 2, "a key is a list", "into quotes"),
        ("a: &x [*x]", 1, "inside the value", "$ref"),
        ("a: |\n    x\n  y", 3, "expected key", "indentation"),
        ("a: |9\n  x", 2, "wrongly indented", "indentation"),
        ("- a\nb: 1", 2, "'-' indicator", "indentation"),
        ("a: [1,\nb: 2", 1, "unclosed", "indentation"),
        ("a: [x}", 1, "mismatched", "indentation"),
        ("%YAML 2.0\n---\na: 1", 1, "major version", ""),
    ] {
        refuses(text, line, words, mend);
    }
}

#[test]
fn block_texts_and_plain_lines() {
    reads(
        b"a: >-\n  x\n  y\n\n  z\nb: |+\n  x\n\nc: |1\n  x\n",
        &json!({ "a": "x y\nz", "b": "x\n\n", "c": " x\n" }),
    );
    reads(
        b"a: x\n  y\n\n  z\nb: 'x\n\n  y'",
        &json!({ "a": "x y\nz", "b": "x\ny" }),
    );
    reads(
        b"a: b #c\nd: e#f\ng: 'h #i'\nj: \"k: l\"",
        &json!({ "a": "b", "d": "e#f", "g": "h #i", "j": "k: l" }),
    );
    reads(b"? |\n  x\n: b", &json!({ "x\n": "b" }));
}

#[test]
fn many_doubled_keys_are_counted() {
    let yaml = "a: 1\nk: 0\n".to_owned() + &"k: 1\n".repeat(100_000);
    let json = format!(
        "{{\"a\": 1,\n\"k\": 0{}}}",
        ",\n\"\\u006b\": 1".repeat(100_000)
    );
    for text in [yaml, json] {
        let document = reads(text.as_bytes(), &json!({ "a": 1, "k": 1 }));
        assert_eq!(document.duplicates.len(), 1000);
        assert_eq!(document.more_duplicates, 99_000);
        let last = &document.duplicates[999];
        assert_eq!((last.first_line, last.line), (1001, 1002));
    }
    let document = reads(
        b"a: {b: 1, b: 2}\nc: 1\na: 3\nc: 2\nd: 1\nd: 2",
        &json!({ "a": 3, "c": 2, "d": 2 }),
    );
    let lines: Vec<_> = document
        .duplicates
        .iter()
        .map(|d| (d.key.as_str(), d.first_line, d.line))
        .collect();
    assert_eq!(lines, [("b", 1, 1), ("a", 1, 3), ("c", 2, 4), ("d", 5, 6)]);
}

#[test]
fn aliases_that_repeat_long_texts_are_bounded() {
    let limits = ReadLimits {
        bytes: 10_000,
        ..ReadLimits::default()
    };
    let long = "x".repeat(1000);
    for (text, is_read) in [
        (format!("a: &a {long}\nb: [{}]", "*a,".repeat(8)), true),
        (format!("a: &a {long}\nb: [{}]", "*a,".repeat(10)), false),
        (
            format!("a: &a {{{long}: 1}}\nb: [{}]", "*a,".repeat(10)),
            false,
        ),
        (
            format!("a: &a {long}\nb:\n{}", "  ? *a\n  : 1\n".repeat(10)),
            false,
        ),
        (
            format!("a: {}{long}{}", "&a [".repeat(11), "]".repeat(11)),
            false,
        ),
    ] {
        let read = read(text.as_bytes(), &limits);
        let kind = read.as_ref().map_err(|error| &error.kind).map(|_| ());
        let expected = if is_read {
            Ok(())
        } else {
            Err(&ReadErrorKind::TooLong(10_000))
        };
        assert_eq!(kind, expected, "{}", &text[text.len() - 40..]);
    }
}

proptest! {
    /// JSON is read as `serde_json` reads it, whatever it is.
    #[test]
    fn json_is_json(text in "[{\\[]([\"a\\\\,:\\]}{\\[ 0-9/*#'.\n-]|\"[a-c]\":|true|\\\\u[0d]00[08]){0,20}[}\\]]") {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            prop_assert_eq!(read(text.as_bytes(), &ReadLimits::default()), Ok(value));
        }
    }
}
