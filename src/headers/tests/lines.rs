//! Heads as lines of HTTP/1.1.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use super::super::{Identity, Outbound, Policy, Rules, outbound_lines};
use super::head;
use super::outbound::{own, policy, view};

/// Lines say the same as a head, in the same order of each name's.
pub(super) fn check(client: &HeaderMap, out: &Outbound<'_>, head: &HeaderMap) {
    if let Some(lines) = outbound_lines(client, out) {
        let mut told: Vec<(String, Vec<u8>)> = Vec::new();
        let mut rest = &lines[..];
        while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
            let colon = rest.iter().position(|byte| *byte == b':').unwrap();
            assert_eq!(rest[colon + 1], b' ');
            let name = String::from_utf8(rest[..colon].to_vec()).unwrap();
            told.push((name, rest[colon + 2..end].to_vec()));
            rest = &rest[end + 2..];
        }
        assert!(rest.is_empty(), "{lines:?}");
        let field = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), value.as_bytes().to_vec())
        };
        let mut meant: Vec<_> = head.iter().map(field).collect();
        for fields in [&mut told, &mut meant] {
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        assert_eq!(told, meant);
    }
}

/// Nothing can be taken back in lines, so that they are for heads of which nothing has to be.
#[test]
fn lines_are_for_heads_that_only_grow() {
    let may_be_lines = |client: &str, rules: Rules| {
        let client = head(client);
        let policy = Policy {
            rules,
            ..policy("authorization", own("authorization"))
        };
        let request_id = HeaderValue::from_static("r1");
        let out = Outbound {
            policy: &policy,
            client: &view(),
            identity: Identity::default(),
            request_id: &request_id,
            streamed: true,
            hops: 0,
            upgrade: None,
        };
        outbound_lines(&client, &out).is_some()
    };
    let plain = Rules::default;
    assert!(may_be_lines("accept: */*\nconnection: Keep-Alive", plain()));
    assert!(!may_be_lines("connection: x-custom", plain()));
    assert!(!may_be_lines("connection: close", plain()));
    assert!(!may_be_lines("trailer: x-end", plain()));
    let set = Rules::compile(&[("x-a".into(), "1".into())], &[]);
    assert!(!may_be_lines("accept: */*", set.unwrap()));
    let removed = Rules::compile(&[], &["accept".into()]);
    assert!(!may_be_lines("accept: */*", removed.unwrap()));
}
