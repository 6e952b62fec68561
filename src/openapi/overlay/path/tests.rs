use crate::openapi::json;

use super::*;

/// A document to select from.
fn document() -> Value {
    json!({
        "a": [{ "n": 1, "t": "x" }, { "n": 2.0, "t": "yy", "deep": { "n": 3 } }, { "t": null }, 4],
        "b c": { "'": 1, "x-d": [true] },
        "big": [9_007_199_254_740_993_u64, 9_007_199_254_740_992_u64],
        "é": "é\r\n",
    })
}

/// What an expression selects.
#[track_caller]
fn selects(path: &str, expected: &[&str]) {
    let path = Path::parse(path).unwrap_or_else(|e| panic!("{path}: {e:?}"));
    let found = path.places(&document(), &Budget::new(1_000_000)).unwrap();
    assert_eq!(found, expected);
}

/// An expression that can not be read, and where not.
#[track_caller]
fn faulty(path: &str, column: usize) {
    match Path::parse(path) {
        Ok(path) => panic!("{path:?}"),
        Err(error) => assert_eq!(error.column, column, "{path}: {}", error.reason),
    }
}

#[test]
fn segments_and_selectors() {
    selects("$", &[""]);
    selects("$.a[0].n", &["/a/0/n"]);
    selects("$['b c'][\"'\"]", &["/b c/'"]);
    selects("$['b c'] ['\\'']", &["/b c/'"]);
    selects("$['b c'].x-d[0]", &["/b c/x-d/0"]);
    selects("$.é", &["/é"]);
    selects("$['\\u00e9']", &["/é"]);
    selects("$.a[-1]", &["/a/3"]);
    selects("$.a[1:3]", &["/a/1", "/a/2"]);
    selects("$.a[::-2]", &["/a/3", "/a/1"]);
    selects("$.a[ : 1 : ]", &["/a/0"]);
    selects("$.a[::0]", &[]);
    selects("$.a[1, 0, 1]", &["/a/1", "/a/0"]);
    selects("$.big.*", &["/big/0", "/big/1"]);
    selects("$..n", &["/a/0/n", "/a/1/n", "/a/1/deep/n"]);
    selects(
        "$.a[1]..*",
        &["/a/1/n", "/a/1/t", "/a/1/deep", "/a/1/deep/n"],
    );
    selects("$..[0]", &["/a/0", "/b c/x-d/0", "/big/0"]);
    selects("$.nothing..x", &[]);
    // What YAML leaves of a folded line.
    selects(" $.é\n", &["/é"]);
}

#[test]
fn filters() {
    selects("$.a[?@.n]", &["/a/0", "/a/1"]);
    selects("$.a[?!@.n]", &["/a/2", "/a/3"]);
    selects("$.a[?@.n == 2]", &["/a/1"]);
    selects(
        "$.a[?(@.n >= 1 && @.t < 'y') || @ == 4e0]",
        &["/a/0", "/a/3"],
    );
    selects("$.a[?@.t == null]", &["/a/2"]);
    selects("$.a[?@.x == @.y]", &["/a/0", "/a/1", "/a/2", "/a/3"]);
    selects("$.a[?@.n == $.a[0].n]", &["/a/0"]);
    selects("$.a[?count(@..n) == 2]", &["/a/1"]);
    selects("$.a[?value(@.deep.*) == 3]", &["/a/1"]);
    selects("$.a[?length(@.t) == 2]", &["/a/1"]);
    selects("$.a[?length(@) == 3]", &["/a/1"]);
    selects("$.a[?match(@.t, 'y+')]", &["/a/1"]);
    selects("$.a[?!search(@.t, '[xy]')]", &["/a/2", "/a/3"]);
    selects("$[?match(@, '.')]", &[]);
    selects("$[?search(@, '\\\\p{Ll}')]", &["/é"]);
    // A regular expression that is none matches nothing.
    selects("$..[?search(@, '(')]", &[]);
    selects("$..[?search(@, $.é)]", &["/é"]);
    selects("$[?@[?@ == true]]", &[]);
    selects("$[?@.*[?@ == true]]", &["/b c"]);
}

/// Digits beyond a double count.
#[test]
fn numbers_are_compared_as_they_are_written() {
    selects("$.big[?@ == 9007199254740993]", &["/big/0"]);
    selects("$.big[?@ < 9007199254740993]", &["/big/1"]);
    selects("$.a..[?@ == 1.0]", &["/a/0/n"]);
    selects("$.a..[?@ == -0]", &[]);
}

#[test]
fn faults_say_where() {
    faulty("", 1);
    faulty("a", 1);
    faulty("$a", 2);
    faulty("$.", 3);
    faulty("$.paths./pets", 9);
    faulty("$.é['x", 7);
    faulty("$[", 3);
    faulty("$[01]", 3);
    faulty("$[-0]", 3);
    faulty("$[9007199254740992]", 3);
    faulty("$['\\x']", 5);
    faulty("$['\\ud800']", 5);
    faulty("$[?@..a == 1]", 4);
    faulty("$[?@.a == ]", 11);
    faulty("$[?@.a = 1]", 8);
    faulty("$[?1]", 5);
    faulty("$[?foo(@)]", 4);
    faulty("$[?length(@.*) == 1]", 11);
    faulty("$[?match(@.a, 'b') == true]", 20);
    faulty("$[?count(1) == 1]", 10);
    faulty("$[?!@.a == 1]", 9);
    faulty("$[?(@.a]", 8);
    faulty(&format!("${}", ".a".repeat(3000)), 4096);
}

/// No time, memory or stack is spent beyond the budget.
#[test]
fn hostile_expressions_end() {
    for unit in ["[?(", "[?@", "[?!(", "[?length(", "[?@.a && @", "[?count(@"] {
        assert!(Path::parse(&format!("${}", unit.repeat(4096 / unit.len()))).is_err());
    }
    let mut wide = json!(0);
    for _ in 0..40 {
        wide = json!([wide, { "a": "x".repeat(100) }, [1, 2, 3]]);
    }
    let many = Value::Array(vec![wide; 200]);
    let exceeds = |path: &str| {
        let path = Path::parse(path).unwrap();
        path.places(&many, &Budget::new(2_000_000)).err()
    };
    assert!(exceeds("$..*..*..*..*..*..*").is_some());
    assert_eq!(exceeds("$..[?$..[?$..*]]"), Some(Exceeded::Work));
    assert_eq!(
        exceeds("$..[?search(@.a, '(x{50}){50}')]"),
        Some(Exceeded::Work)
    );
    assert_eq!(exceeds("$[?@ == $[0]]"), None);
    let flat = Value::Array(vec![json!(0); MAX_MATCHES + 1]);
    let path = Path::parse("$.*").unwrap();
    assert_eq!(
        path.places(&flat, &Budget::new(2_000_000)),
        Err(Exceeded::Matches)
    );
}
