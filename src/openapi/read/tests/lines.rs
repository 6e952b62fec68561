use std::fmt::Write as _;

use super::*;
use crate::openapi::to_yaml;

#[track_caller]
fn check(text: &str, expected: &[(&str, u64)]) {
    let found = lines(
        text.as_bytes(),
        expected.iter().map(|(pointer, _)| *pointer),
    );
    for (pointer, line) in expected {
        assert_eq!(
            found.get(*pointer).copied().unwrap_or(0),
            *line,
            "{pointer} in\n{text}"
        );
    }
}

#[test]
fn places_of_yaml() {
    let text = "# c\nopenapi: 3.1.0\npaths:\n  /todos/{a~b}:\n    get:\n      tags: [x,\n        y]\n      parameters:\n        - name: a\n        -\n          name: b\n    put: {}\n";
    let expected = [
        ("#", 2),
        ("#/openapi", 2),
        ("#/paths", 3),
        ("#/paths/~1todos~1{a~0b}", 4),
        ("#/paths/~1todos~1{a~0b}/get", 5),
        ("#/paths/~1todos~1{a~0b}/get/tags/0", 6),
        ("#/paths/~1todos~1{a~0b}/get/tags/1", 7),
        ("#/paths/~1todos~1{a~0b}/get/parameters/0", 9),
        ("#/paths/~1todos~1{a~0b}/get/parameters/1/name", 11),
        ("#/paths/~1todos~1{a~0b}/get/parameters/01", 8),
        ("#/paths/~1todos~1{a~0b}/get/parameters/7/x", 8),
        ("#/paths/~1todos~1{a~0b}/get/responses/200", 5),
        ("#/paths/~1todos~1{a~0b}/put", 12),
        ("#/paths/~1other/get", 3),
        ("#/components/x", 0),
        ("", 0),
        ("x", 0),
        ("#x", 0),
        ("file.yaml#/paths", 0),
    ];
    check(text, &expected);
    check(&text.replace('\n', "\r\n"), &expected);
    check(&text.replace('\n', "\r"), &expected);
    check(&format!("\u{feff}{text}"), &expected);
    check(&format!("{text}... \n"), &expected);
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(lines(&units, ["#/paths"])["#/paths"], 3);
}

#[test]
fn places_of_json() {
    let text =
        "{\n\"a\": {\"b\": [1,\n{\"c\": \"x\\\"{\", // ,\n\"\\u0064\"\n:\n2},\n],\n},\n\"e\": 1}";
    check(
        text,
        &[
            ("#", 1),
            ("#/a", 2),
            ("#/a/b", 2),
            ("#/a/b/0", 2),
            ("#/a/b/1", 3),
            ("#/a/b/1/c", 3),
            ("#/a/b/1/d", 4),
            ("#/e", 9),
            ("#/a/b/2", 2),
            ("#/a/b/1/c/0", 3),
            ("#/x", 0),
        ],
    );
    check("{'a': 1,\n'b': {c: 2}}", &[("#/b", 2), ("#/b/c", 2)]);
    check(
        "x:\n  {\"a\": 1,\n   \"b\": 2}",
        &[("#/x", 1), ("#/x/b", 3)],
    );
}

#[test]
fn the_last_of_doubled_keys_counts() {
    for text in [
        "a:\n  b: 1\n  c: 2\na:\n  c: 3\n",
        "{\"a\": {\n\"b\": 1,\n\"c\": 2},\n\"a\": {\n\"c\": 3}}",
    ] {
        check(text, &[("#/a", 4), ("#/a/b", 4), ("#/a/c", 5)]);
    }
    check("a: [1,\n 2]\na:\n - 3\n", &[("#/a/0", 4), ("#/a/1", 3)]);
}

#[test]
fn what_is_repeated_or_merged_is_where_that_is_said() {
    let text = "a: &x\n  k: 1\n  m: [1]\nb: *x\nc:\n  <<: *x\n  k: 2\nd: [0,\n  *x]\n";
    check(
        text,
        &[
            ("#/a/k", 2),
            ("#/b", 4),
            ("#/b/k", 4),
            ("#/c/k", 7),
            ("#/c/m", 5),
            ("#/c/m/0", 5),
            ("#/d/1/k", 9),
        ],
    );
}

#[test]
fn faults_do_not_hide_what_stands_before_them() {
    check("a: 1\nb: \"\\d\"\nc: 1", &[("#/c", 3)]);
    check("a: 1\nb: @\nc: 1", &[("#/a", 1), ("#/c", 0)]);
    check(
        &format!("{{\"a\": 1,\n\"b\": {}", "[".repeat(100_000)),
        &[("#/a", 1), ("#/b/0/0", 2)],
    );
    assert!(lines(b"\xff", ["#"]).is_empty());
    assert!(lines(b"", ["#"]).is_empty());
}

/// All pointers of a value, in the order of the text.
fn pointers(value: &Value, pointer: &str, all: &mut Vec<String>) {
    all.push(pointer.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| {
            let key = key.as_str().replace('~', "~0").replace('/', "~1");
            pointers(inner, &format!("{pointer}/{key}"), all);
        }),
        Value::Array(list) => list.iter().enumerate().for_each(|(at, inner)| {
            pointers(inner, &format!("{pointer}/{at}"), all);
        }),
        _ => {}
    }
}

/// Each place of a value that is written by `serde_json` in its own line.
fn pretty(value: &Value) -> (String, Vec<String>) {
    let mut all = Vec::new();
    pointers(value, "#", &mut all);
    (serde_json::to_string_pretty(value).unwrap(), all)
}

#[test]
fn places_of_real_documents() {
    for spec in specs() {
        let (json, all) = pretty(&spec.value);
        let yaml = to_yaml(spec.value.clone());
        let (in_json, in_yaml) = (
            lines(json.as_bytes(), all.iter().map(String::as_str)),
            lines(yaml.as_bytes(), all.iter().map(String::as_str)),
        );
        assert_eq!(
            (in_json.len(), in_yaml.len()),
            (all.len(), all.len()),
            "{}",
            spec.name
        );
        // A place has a line of its own in JSON; what it closes has one as well.
        let ascending = |lines: &std::collections::HashMap<String, u64>| {
            all.windows(2)
                .all(|pair| lines[&pair[0]] <= lines[&pair[1]])
        };
        assert!(ascending(&in_json) && ascending(&in_yaml), "{}", spec.name);
        let text: Vec<&str> = json.lines().collect();
        for pointer in all.iter().skip(1).step_by(97) {
            let line = text[usize::try_from(in_json[pointer]).unwrap() - 1].trim();
            let key = pointer
                .rsplit('/')
                .next()
                .unwrap()
                .replace("~1", "/")
                .replace("~0", "~");
            let is_index = key.parse::<usize>().is_ok();
            let quoted = format!("{}:", serde_json::to_string(&key).unwrap());
            assert!(is_index || line.starts_with(&quoted), "{pointer}: {line}");
        }
    }
}

#[test]
fn the_time_is_linear() {
    let mut text = String::from("a:\n");
    for i in 0..20_000 {
        let _ = writeln!(text, "  k{i}: {{x: 1}}");
    }
    text.push_str(&"a: []\n".repeat(20_000));
    let wanted: Vec<String> = (0..20_000)
        .flat_map(|i| [format!("#/a/k{i}/x"), format!("#/a/{i}")])
        .collect();
    // Work that grew with the square of the lines would take minutes.
    let found = lines(text.as_bytes(), wanted.iter().map(String::as_str));
    assert!(found.values().all(|line| *line == 40_001));
    let deep = format!("#{}", "/0".repeat(100_000));
    assert_eq!(lines(b"[[1]]", [deep.as_str()])[&deep], 1);
}
