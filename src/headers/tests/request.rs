//! Which requests are let in, and whom they are meant for; which responses are believed.

use http::{HeaderMap, Method, Uri, Version};

use super::super::{FramingError, RequestFault, check_request, framing, parse_authority};
use super::head;

/// `host` or `host port` or the fault of a request.
#[track_caller]
fn check(version: Version, line: &str, fields: &str, expected: Result<&str, RequestFault>) {
    let (method, target) = line.split_once(' ').unwrap();
    let (method, uri): (Method, Uri) = (method.parse().unwrap(), target.parse().unwrap());
    let fields = head(fields);
    let host = check_request(&method, &uri, &fields, version);
    let host = host.map(|authority| authority.to_string());
    assert_eq!(
        host.as_deref().map_err(|fault| *fault),
        expected,
        "{line} {fields:?}"
    );
}

#[test]
fn hosts() {
    use RequestFault::{HostMismatch, InvalidHost, MissingHost, Scheme, SeveralHosts};
    let http1 = |line, fields, expected| check(Version::HTTP_11, line, fields, expected);
    http1("GET /", "Host: a.example", Ok("a.example"));
    http1("GET /", "Host: A.Example.:8443", Ok("a.example:8443"));
    http1("GET /", "", Err(MissingHost));
    http1("GET /", "Host: a\nHost: a", Err(SeveralHosts));
    http1("GET /", "Host: a\nHost: b", Err(SeveralHosts));
    http1("GET /", "Host:", Err(InvalidHost));
    http1("GET /", "Host: caf\\xE9", Err(InvalidHost));
    http1("OPTIONS *", "Host: a", Ok("a"));
    http1(
        "GET http://a.example/x",
        "Host: A.example:80",
        Ok("a.example"),
    );
    http1(
        "GET https://a.example/x",
        "Host: a.example:443",
        Ok("a.example"),
    );
    http1(
        "GET http://a.example/x",
        "Host: b.example",
        Err(HostMismatch),
    );
    http1(
        "GET http://a.example:8080/x",
        "Host: a.example",
        Err(HostMismatch),
    );
    http1("GET http://a.example/x", "", Err(MissingHost));
    http1(
        "GET http://a@b.example/x",
        "Host: b.example",
        Err(InvalidHost),
    );
    http1("GET ftp://a.example/x", "Host: a.example", Err(Scheme));
    let http10 = |line, fields, expected| check(Version::HTTP_10, line, fields, expected);
    http10("GET /", "", Ok(""));
    http10("GET /", "Host: a", Ok("a"));
    http10("GET /", "Host: a\nHost: a", Err(SeveralHosts));
    http10("GET http://a/", "", Ok("a"));
    let http2 = |line, fields, expected| check(Version::HTTP_2, line, fields, expected);
    http2("GET https://a.example/", "", Ok("a.example"));
    http2("GET https://a.example/", "Host: a.example", Ok("a.example"));
    http2(
        "GET https://a.example/",
        "Host: b.example",
        Err(HostMismatch),
    );
    http2(
        "GET https://a.example/",
        "Host: a.example\nHost: a.example",
        Err(SeveralHosts),
    );
    http2("GET /", "Host: a.example", Ok("a.example"));
    http2("GET /", "", Err(MissingHost));
}

#[test]
fn methods() {
    for (method, expected) in [
        ("GET", Ok("a")),
        ("HEAD", Ok("a")),
        ("POST", Ok("a")),
        ("PUT", Ok("a")),
        ("PATCH", Ok("a")),
        ("DELETE", Ok("a")),
        ("OPTIONS", Ok("a")),
        ("QUERY", Ok("a")),
        ("CONNECT", Err(RequestFault::Connect)),
        ("TRACE", Err(RequestFault::Method)),
        ("get", Err(RequestFault::Method)),
        ("PROPFIND", Err(RequestFault::Method)),
    ] {
        check(
            Version::HTTP_11,
            &format!("{method} /"),
            "Host: a",
            expected,
        );
    }
}

#[test]
fn request_lengths() {
    use RequestFault::{ContentLength, TransferEncoding, TwoLengths, UnexpectedTransferEncoding};
    for (fields, expected) in [
        ("Content-Length: 0", Ok("a")),
        ("Content-Length: 18446744073709551615", Ok("a")),
        ("Content-Length: 18446744073709551616", Err(ContentLength)),
        ("Content-Length: 5\nContent-Length: 5", Err(ContentLength)),
        ("Content-Length: 5, 5", Err(ContentLength)),
        ("Content-Length: +5", Err(ContentLength)),
        ("Content-Length: -0", Err(ContentLength)),
        ("Content-Length: 0x5", Err(ContentLength)),
        ("Content-Length:", Err(ContentLength)),
        ("Transfer-Encoding: chunked", Ok("a")),
        ("Transfer-Encoding: Chunked", Ok("a")),
        ("Transfer-Encoding: gzip, chunked", Err(TransferEncoding)),
        (
            "Transfer-Encoding: identity, chunked",
            Err(TransferEncoding),
        ),
        ("Transfer-Encoding: chunked, chunked", Err(TransferEncoding)),
        (
            "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
            Err(TransferEncoding),
        ),
        ("Transfer-Encoding: chunked;q=1", Err(TransferEncoding)),
        ("Transfer-Encoding: xchunked", Err(TransferEncoding)),
        ("Transfer-Encoding:", Err(TransferEncoding)),
        (
            "Transfer-Encoding: chunked\nContent-Length: 5",
            Err(TwoLengths),
        ),
    ] {
        check(
            Version::HTTP_11,
            "POST /",
            &format!("Host: a\n{fields}"),
            expected,
        );
    }
    let chunked = "Host: a\nTransfer-Encoding: chunked";
    for version in [Version::HTTP_10, Version::HTTP_2] {
        check(version, "POST /", chunked, Err(UnexpectedTransferEncoding));
    }
}

#[test]
fn response_lengths() {
    use FramingError::{ContentLength, TransferEncoding, TwoLengths};
    #[track_caller]
    fn check(fields: &str, version: Version, expected: Result<(), FramingError>) {
        assert_eq!(framing(&head(fields), version), expected, "{fields}");
    }
    for (fields, expected) in [
        ("", Ok(())),
        ("Content-Length: 5", Ok(())),
        ("Content-Length: 5\nContent-Length: 5", Ok(())),
        ("Content-Length: 5, 5", Ok(())),
        ("Content-Length: 5\nContent-Length: 6", Err(ContentLength)),
        ("Content-Length: 5, 6", Err(ContentLength)),
        ("Content-Length: 5,", Err(ContentLength)),
        ("Content-Length:", Err(ContentLength)),
        ("Content-Length: +5", Err(ContentLength)),
        ("Transfer-Encoding: chunked", Ok(())),
        ("Transfer-Encoding: CHUNKED", Ok(())),
        ("Transfer-Encoding: gzip, chunked", Err(TransferEncoding)),
        (
            "Transfer-Encoding: chunked\nTransfer-Encoding: chunked",
            Err(TransferEncoding),
        ),
        ("Transfer-Encoding: gzip", Err(TransferEncoding)),
        (
            "Transfer-Encoding: chunked\nContent-Length: 5",
            Err(TwoLengths),
        ),
    ] {
        check(fields, Version::HTTP_11, expected);
    }
    check(
        "Transfer-Encoding: chunked",
        Version::HTTP_10,
        Err(TransferEncoding),
    );
}

#[test]
fn authorities() {
    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<u16>)>) {
        let authority = parse_authority(text);
        let parts = authority.as_ref().map(|one| (&*one.host, one.port));
        assert_eq!(parts, expected, "{text}");
    }
    check("a", Some(("a", None)));
    check("a:", Some(("a", None)));
    check("a.b-c_d~e:0", Some(("a.b-c_d~e", Some(0))));
    check("EXAMPLE.com.", Some(("example.com", None)));
    check("127.0.0.1:65535", Some(("127.0.0.1", Some(65_535))));
    check("[::1]", Some(("::1", None)));
    check("[2001:DB8:0::1]:443", Some(("2001:db8::1", Some(443))));
    check("a%20b", Some(("a%20b", None)));
    check("a!$&'()*+,;=b", Some(("a!$&'()*+,;=b", None)));
    for text in [
        "",
        "..",
        "a..",
        ".",
        ":80",
        "a:65536",
        "a:+80",
        "a:8x",
        "a:80:80",
        "::1",
        "[::1",
        "[::1]x",
        "[::1]:x",
        "[127.0.0.1]",
        "[fe80::1%25eth0]",
        "[v1.a]",
        "[]",
        "u@a",
        "u:p@a",
        "a/b",
        "a b",
        "a\tb",
        "a\"b",
        "a<b",
        "a\\b",
        "a#b",
        "a?b",
        "a%2",
        "a%zz",
        "[::1]]",
        "a^b",
        "{a}",
        "é",
    ] {
        check(text, None);
    }
    check(&"a".repeat(255), Some((&"a".repeat(255), None)));
    check(&"a".repeat(256), None);
    assert_eq!(parse_authority("[::1]:80").unwrap().to_string(), "[::1]:80");
    let owned = parse_authority("a:1").unwrap().into_owned();
    assert_eq!(
        (owned.to_string().as_str(), owned.port_or_default(true)),
        ("a:1", 1)
    );
}

#[test]
fn heads_without_fields_have_no_length() {
    assert_eq!(framing(&HeaderMap::new(), Version::HTTP_10), Ok(()));
}
