//! Lines, and what can not be forged in them.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use serde_json::Value;

use super::super::Labels;
use super::*;

/// A token that is called so.
impl Named for (String, String) {
    fn id(&self) -> &str {
        &self.0
    }

    fn name(&self) -> &str {
        &self.1
    }
}

fn caller(id: &str, name: &str, level: &'static str) -> Caller {
    Caller {
        token: Arc::new((id.to_owned(), name.to_owned())),
        level,
        series: None,
    }
}

/// A request that has everything.
fn full() -> Record {
    let labels = Labels::new();
    let mut record = bare("GET");
    record.tls = true;
    record.target = Some(labels.target("todo", Some("getTodo"), Some("/todos/{id}")));
    record.caller = Some(caller("pls_ab12cd34", "chatgpt", "service"));
    record.slot = Some("previous");
    record.status = Some(StatusCode::OK);
    record.upstream_status = Some(StatusCode::OK);
    record.outcome = Outcome::Complete;
    record.total = Duration::from_micros(12_345);
    record.upstream = Some(Duration::from_micros(9_001));
    record.first_byte = Some(Duration::from_millis(10));
    record.request_bytes = 12;
    record.response_bytes = 3_456;
    record.generation = 7;
    record
}

/// A request that nobody completed.
fn bare(method: &str) -> Record {
    Record::new(
        "2026-11-22T14:02:11.123456Z".parse().unwrap(),
        HeaderValue::from_static("0f3a"),
        Ipv4Addr::LOCALHOST.into(),
        Method::from_bytes(method.as_bytes()).unwrap(),
        Version::HTTP_2,
    )
}

fn json(record: &Record) -> String {
    let mut out = Vec::new();
    record.write_json(&mut out);
    String::from_utf8(out).unwrap()
}

fn line(record: &Record, colour: bool) -> String {
    let mut out = Vec::new();
    record.write_text(&mut out, colour);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_complete_line() {
    insta::assert_snapshot!(json(&full()), @r#"{"time":"2026-11-22T14:02:11.123Z","message":"request","request_id":"0f3a","client":"127.0.0.1","protocol":"HTTP/2","tls":true,"plugin":"todo","method":"GET","path":"/todos/{id}","operation":"getTodo","token":"pls_ab12cd34","principal":"chatgpt","level":"service","slot":"previous","status":200,"upstream_status":200,"outcome":"complete","duration_ms":12.345,"upstream_ms":9.001,"first_byte_ms":10.000,"request_bytes":12,"response_bytes":3456,"generation":7}"#);
    insta::assert_snapshot!(line(&full(), false), @"2026-11-22T14:02:11.123Z 200 GET     /todos/{id}                         12.3ms   3.3KiB todo.getTodo service:chatgpt 127.0.0.1 HTTP/2 0f3a");
    assert!(!full().failed());
}

#[test]
fn a_client_that_left_before_the_head_is_499() {
    let record = bare("GET");
    insta::assert_snapshot!(json(&record), @r#"{"time":"2026-11-22T14:02:11.123Z","message":"request","request_id":"0f3a","client":"127.0.0.1","protocol":"HTTP/2","tls":false,"method":"GET","status":499,"outcome":"client_left","duration_ms":0.000,"request_bytes":0,"response_bytes":0,"generation":0}"#);
    insta::assert_snapshot!(line(&record, false), @"2026-11-22T14:02:11.123Z 499 GET     -                                    0.0ms       0B client_left 127.0.0.1 HTTP/2 0f3a");
    assert!(record.failed());
}

#[test]
fn a_refusal_and_a_cut() {
    let mut record = full();
    record.status = Some(StatusCode::UNAUTHORIZED);
    record.code = Some("invalid_token");
    assert!(
        json(&record)
            .contains(r#""status":401,"upstream_status":200,"code":"invalid_token","outcome""#)
    );
    assert!(record.failed());

    let mut record = full();
    record.outcome = Outcome::Cut("revoked");
    assert!(json(&record).contains(r#""outcome":"cut","cut":"revoked","duration_ms""#));
    assert!(line(&record, false).contains(" cut:revoked "));
    assert!(record.failed());
}

#[test]
fn colour_only_where_it_is_wanted() {
    let mut record = full();
    for (status, sequence) in [
        (204, "\x1b[32m204"),
        (304, "\x1b[36m304"),
        (404, "\x1b[33m404"),
        (502, "\x1b[31m502"),
    ] {
        record.status = StatusCode::from_u16(status).ok();
        assert!(line(&record, true).contains(sequence));
        assert!(!line(&record, false).contains('\x1b'));
    }
}

#[test]
fn sizes() {
    for (bytes, expected) in [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.0KiB"),
        (1 << 30, "1.0GiB"),
        (5 << 19, "2.5MiB"),
    ] {
        assert_eq!(size(bytes), expected);
    }
}

#[test]
fn names_cannot_forge_a_line() {
    let hostile = "x\"}\n{\"status\":200,\"a\":\"\u{2028}\x1b[2J\u{9b}";
    let labels = Labels::new();
    let mut record = full();
    record.method = Method::from_bytes(b"G|'`~!#$%&*+-.^_").unwrap();
    record.target = Some(labels.target(hostile, Some(hostile), Some(hostile)));
    record.caller = Some(caller(hostile, hostile, "service"));
    record.request_id = HeaderValue::from_bytes(b"\"},{\"\xff\xc2\x9b").unwrap();
    check_one_line(&record);
    let read: Value = serde_json::from_str(&json(&record)).unwrap();
    for key in ["plugin", "path", "operation", "token", "principal"] {
        assert_eq!(read[key], hostile, "{key}");
    }
}

#[test]
fn a_method_as_long_as_a_head_is_cut() {
    let record = bare(&"X".repeat(30_000));
    assert!(json(&record).len() < 1_000);
    assert!(line(&record, false).len() < 1_000);
}

/// One object or one line, and nothing that a terminal acts on.
#[track_caller]
fn check_one_line(record: &Record) {
    for out in [json(record), line(record, false)] {
        let line = out.strip_suffix('\n').unwrap();
        assert!(
            !line
                .chars()
                .any(|c| c.is_control() || c == '\u{2028}' || c == '\u{202e}'),
            "{line:?}"
        );
    }
    assert_eq!(keys(&json(record)), keys(&json(&full())));
}

/// The keys in their order.
fn keys(line: &str) -> Vec<String> {
    let object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    object.into_iter().map(|(key, _)| key).collect()
}

proptest! {
    #[test]
    fn no_name_forges_a_line(name in any::<String>(), id in proptest::collection::vec(0x20u8..0x7f, 0..20)) {
        let labels = Labels::new();
        let mut record = full();
        record.target = Some(labels.target(&name, Some(&name), Some(&name)));
        record.caller = Some(caller(&name, &name, "user"));
        record.request_id = HeaderValue::from_bytes(&id).unwrap();
        check_one_line(&record);
    }
}
