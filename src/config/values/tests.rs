//! Each kind of value: what it means, and what has no meaning.

use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// `expected`: the Debug form of the meaning, or what the fault says.
#[track_caller]
fn check<T: Debug>(parse: impl Fn(&str) -> Result<T, Fault>, text: &str, expected: &str) {
    let found = match parse(text) {
        Ok(value) => format!("{value:?}"),
        Err(fault) => fault.what,
    };
    assert_eq!(found, expected, "{text:?}");
}

#[test]
fn durations() {
    check(duration, "30s", "30s");
    check(duration, "250ms", "250ms");
    check(duration, "5m", "300s");
    check(duration, "24h", "86400s");
    check(duration, "90d", "7776000s");
    check(duration, "0s", "0ns");
    check(duration, "30 s", "30s");
    check(duration, "30", "is not a duration");
    check(duration, "s", "is not a duration");
    check(duration, "", "is not a duration");
    check(duration, "1h30m", "is not a duration");
    check(duration, "1.5s", "is not a duration");
    check(duration, "-1s", "is not a duration");
    check(duration, "30S", "is not a duration");
    check(duration, "٣s", "is not a duration");
    check(duration, "99999999999999999999s", "is too long");
    check(duration, "9999999999999999d", "is too long");
}

#[test]
fn sizes() {
    check(bytes, "64MiB", "67108864");
    check(bytes, "32KiB", "32768");
    check(bytes, "80KB", "80000");
    check(bytes, "7B", "7");
    check(bytes, "1TiB", "1099511627776");
    check(bytes, "64M", "is not a size");
    check(bytes, "64mib", "is not a size");
    check(bytes, "64", "is not a size");
    check(bytes, "99999999TiB", "is too large");
}

#[test]
fn networks() {
    check(network, "10.0.0.0/8", "10.0.0.0/8");
    check(network, "10.1.2.3/8", "10.1.2.3/8");
    check(network, "192.0.2.1", "192.0.2.1/32");
    check(network, "fd00::/8", "fd00::/8");
    check(network, "::1", "::1/128");
    check(network, "10.0.0.0/33", "is not a network");
    check(network, "example.com", "is not a network");
    // IPv4 in the form of IPv6 is IPv4: that is what a peer is compared as.
    check(network, "::ffff:10.0.0.0/104", "10.0.0.0/8");
    check(network, "::ffff:10.1.2.3/104", "10.1.2.3/8");
    check(network, "::ffff:10.1.2.3", "10.1.2.3/32");
    check(network, "::ffff:0:0/96", "0.0.0.0/0");
    check(
        network,
        "::ffff:10.0.0.0/64",
        "is an IPv4 address in the form of IPv6, of which it takes less than the 96 bits that say so",
    );
    check(network, "::/64", "::/64");
}

#[test]
fn an_upstream_has_a_path_without_dot_segments() {
    let base = |text: &str| upstream_url(text).map(|url| url.base_path);
    for text in [
        "http://a/v1/../admin",
        "http://a/..",
        "http://a/.",
        "http://a/v1/./b",
        "http://a/v1/%2E%2e/b",
        "http://a/v1/.%2e",
        "https://a:8443/%2e",
        "h2c://a/x/..",
        "http://a/v1/..;x/b",
        "unix:/run/api.sock:/v1/../b",
        "unix+h2c:/run/api.sock:/..",
    ] {
        let fault = base(text).err().map(|fault| fault.what);
        assert_eq!(
            fault.as_deref(),
            Some("has a dot segment in its path"),
            "{text}"
        );
    }
    for (text, path) in [
        ("http://a/v1.0/...", "/v1.0/..."),
        ("http://a/.well-known", "/.well-known"),
        ("http://a", ""),
        ("unix:/run/../api.sock:/v1", "/v1"),
    ] {
        assert_eq!(base(text).ok().as_deref(), Some(path), "{text}");
    }
}

#[test]
fn listen_addresses() {
    check(addresses, "0.0.0.0:8443", "[0.0.0.0:8443]");
    check(addresses, "[::]:80", "[[::]:80]");
    check(addresses, "localhost:3333", "[127.0.0.1:3333, [::1]:3333]");
    let fault = "is not an address to listen on";
    check(addresses, "8443", fault);
    check(addresses, ":8443", fault);
    check(addresses, "0.0.0.0", fault);
    check(addresses, "0.0.0.0:99999", fault);
    check(addresses, "localhost:+80", fault);
    check(addresses, "localhost:", fault);
    check(addresses, "example.com:80", fault);
    check(
        addresses,
        "unix:a.sock",
        "is not supported by this version yet",
    );
}

#[test]
fn hosts() {
    check(host, "Todo.Example.COM", "\"todo.example.com\"");
    check(host, "bücher.example", "\"xn--bcher-kva.example\"");
    check(host, "127.0.0.1", "\"127.0.0.1\"");
    check(host, "[::1]", "\"[::1]\"");
    check(host, "my_app.internal", "\"my_app.internal\"");
    check(host, "https://example.com", "has a scheme");
    check(host, "example.com:443", "has a port");
    check(host, "example.com/x", "is more than a host name");
    check(host, "user@example.com", "is more than a host name");
    check(host, "*.example.com", "is a wildcard");
    check(host, "::1", "is an IPv6 address without brackets");
    check(host, "example.com.", "has a dot at its end");
    check(host, "example.com..", "is not a host name");
    check(host, ".", "is not a host name");
    check(host, "exa mple.com", "is not a host name");
    check(host, "-x.example", "is not a host name");
    check(host, "a..b", "is not a host name");
    check(host, "", "is not a host name");
}

#[test]
fn upstream_urls_of_http2() {
    let cut = |text: &str| {
        upstream_url(text).map(|url| (url.scheme.word(), url.server.port, url.base_path))
    };
    check(cut, "h2c://H:50051/v1/", r#"("h2c", 50051, "/v1")"#);
    check(cut, "h2c://h", r#"("h2c", 80, "")"#);
    check(cut, "h2c://user@h", "has a user or a password in it");
    let unix = "unix+h2c:/run/api.sock:/v1";
    check(cut, unix, r#"("h2c", 80, "/v1")"#);
}

#[test]
fn upstream_urls() {
    let cut = |text: &str| {
        upstream_url(text).map(|url| {
            (
                url.scheme.word(),
                url.server.host,
                url.server.port,
                url.base_path,
            )
        })
    };
    check(
        cut,
        "http://127.0.0.1:8000",
        r#"("http", "127.0.0.1", 8000, "")"#,
    );
    check(
        cut,
        "https://API.example.com/v1/",
        r#"("https", "api.example.com", 443, "/v1")"#,
    );
    check(
        cut,
        "http://[::1]/a%20b",
        r#"("http", "::1", 80, "/a%20b")"#,
    );
    check(cut, "http://h/a/../b", "has a dot segment in its path");
    check(cut, "127.0.0.1:8000", "is not a URL");
    check(cut, "localhost:8000", "is not an http(s) URL");
    check(cut, "ftp://h", "is not an http(s) URL");
    let unix = |text: &str| {
        upstream_url(text).map(|url| (url.server.socket, url.server.host, url.base_path))
    };
    check(
        unix,
        "unix:/run/api.sock",
        r#"(Some("/run/api.sock"), "localhost", "")"#,
    );
    check(
        unix,
        "unix:run/my api:1.sock:/v1/",
        r#"(Some("run/my api:1.sock"), "localhost", "/v1")"#,
    );
    check(unix, "unix:", "names no socket");
    check(unix, "unix:/run/", "names no socket");
    check(unix, "unix:///run/api.sock", "names no socket");
    check(
        unix,
        "unix:/run/api.sock:/v1?a=b",
        "has a query or a fragment",
    );
    check(cut, "http://user:pass@h", "has a user or a password in it");
    check(cut, "http://h/?a=b", "has a query or a fragment");
    check(cut, "http://h/#a", "has a query or a fragment");
    check(cut, "http://h/a//b", "has an empty segment in its path");
    check(cut, "http://h:0/", "has a host that can not exist");
    check(cut, "http://h /", "is not a URL");
    check(cut, "http://h/a b", "has white space or a backslash");
    check(cut, "http:\\\\h\\a", "has white space or a backslash");
}

#[test]
fn origins() {
    check(origin, "https://ChatGPT.com", "\"https://chatgpt.com\"");
    check(origin, "https://chatgpt.com/", "\"https://chatgpt.com\"");
    check(origin, "https://chatgpt.com:443", "\"https://chatgpt.com\"");
    check(origin, "http://localhost:3000", "\"http://localhost:3000\"");
    check(origin, "https://chatgpt.com/x", "is more than an origin");
    check(origin, "https://chatgpt.com?x", "is more than an origin");
    check(origin, "chatgpt.com", "is not a URL");
    check(origin, "*", "is not a URL");
}

#[test]
fn loopback_origins() {
    for (text, expected) in [
        ("http://localhost:3333", true),
        ("http://todo.localhost", true),
        ("http://127.9.9.9", true),
        ("http://[::1]:1", true),
        ("http://10.0.0.1", false),
        ("http://example.com", false),
    ] {
        assert_eq!(loopback(text), expected, "{text}");
    }
}

#[test]
fn header_names_and_values() {
    check(header_name, "X-API-Key", "\"x-api-key\"");
    check(header_name, "", "is not the name of a header");
    check(header_name, "X API", "is not the name of a header");
    check(header_name, "X-Ä", "is not the name of a header");
    check(header_value, "a b", "\"a b\"");
    check(header_value, "", "\"\"");
    let fault = header_value("a\r\nb")
        .expect_err("would split the head")
        .what;
    check(header_value, "a\u{0}", &fault);
    check(header_value, " a", &fault);
    check(header_value, "ä", &fault);
}

#[test]
fn emails() {
    check(email, "dev@example.com", "\"dev@example.com\"");
    check(email, "a+b@localhost", "\"a+b@localhost\"");
    for text in ["dev", "dev@", "@x", "a b@x", "a@b@c", "<a@x>", "a@x/"] {
        check(email, text, "is not an e-mail address");
    }
}

#[test]
fn times() {
    check(moment, "2026-12-02T14:00:00Z", "2026-12-02T14:00:00Z");
    check(moment, "2026-12-02T14:00:00+02:00", "2026-12-02T12:00:00Z");
    for text in ["2026-12-02", "2026-12-02T14:00:00", "tomorrow", ""] {
        check(moment, text, "is not a time with its offset");
    }
}

#[test]
fn fingerprints() {
    use crate::tokens::Fingerprint;
    let hello = "2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824";
    assert_eq!(fingerprint(hello), Ok(Fingerprint::of(b"hello")));
    for text in [
        "",
        "2cf2",
        &"g".repeat(64),
        &"ä".repeat(32),
        &"0".repeat(65),
    ] {
        check(fingerprint, text, "is not a SHA-256");
    }
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    check(fingerprint, nothing, "is the SHA-256 of nothing");
}

proptest! {
    #[test]
    fn a_written_duration_reads_the_same(milliseconds in 0..1_000_000_000_000_u64) {
        let value = Duration::from_millis(milliseconds);
        prop_assert_eq!(duration(&write_duration(value)), Ok(value));
    }

    #[test]
    fn a_written_size_reads_the_same(value: u64) {
        prop_assert_eq!(bytes(&write_bytes(value)), Ok(value));
    }

    #[test]
    fn a_host_reads_as_itself_again(text in "[a-zA-Z0-9._:\\[\\]ü-]{0,30}") {
        if let Ok(name) = host(&text) {
            prop_assert_eq!(host(&name), Ok(name));
        }
    }
}

#[test]
fn rates() {
    assert!(rate("off", false).is_err());
    let shown = |text: &str| match rate(text, true) {
        Ok(Some(rate)) => format!("{} in {:?}", rate.count, rate.period),
        Ok(None) => "off".to_owned(),
        Err(fault) => fault.what,
    };
    for (text, expected) in [
        ("10/s", "10 in 1s"),
        ("600/min", "600 in 60s"),
        ("600 / min", "600 in 60s"),
        ("1/h", "1 in 3600s"),
        ("1000000/day", "1000000 in 86400s"),
        ("off", "off"),
        ("0/s", "is out of bounds"),
        ("1000001/s", "is out of bounds"),
        ("99999999999/s", "is out of bounds"),
        ("", "is not a rate"),
        ("/s", "is not a rate"),
        ("10", "is not a rate"),
        ("10/m", "is not a rate"),
        ("+1/s", "is not a rate"),
        ("1.5/s", "is not a rate"),
        ("Off", "is not a rate"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}
