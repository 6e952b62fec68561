//! The properties hold of what is usual, and can be missed.

use super::*;

#[test]
fn messages_are_messages_from_their_first_byte() {
    let made = Made::read(b"GET / HTTP/1.1\r\n\r\n\x04\x00\x09");
    assert_eq!(made.bytes, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(made.pieces, [&b"GET "[..], b"/ HTTP/1.1\r\n\r\n"]);
    assert_eq!(made.choice, 1);
    assert_eq!(Made::read(b"abc\x07").pieces, [b"a", b"b", b"c"]);
    assert_eq!(Made::read(b"ab\xff\xff\x01").pieces.concat(), b"ab");
    assert_eq!(Made::read(b"c\x06").pieces, [b"c"]);
    assert!(Made::read(b"").pieces.is_empty());
}

#[test]
fn messages_are_read_as_hyper_reads_them() {
    for request in [
        "\r\n\r\nQ/\x07",
        "\rPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n\0",
        "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n\x07",
    ] {
        requests(request.as_bytes());
    }
    for response in [
        "HTTP/1.1 200 OK\r\n\r\nx\0",
        "HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nabcd\x0f",
    ] {
        responses(response.as_bytes());
    }
}

/// Whether such a request is let in; what is written of it is looked at.
fn is_written(way: u8, request: &str) -> bool {
    targets(&[&[way], request.as_bytes()].concat())
}

#[test]
fn requests_of_every_kind_are_written() {
    for request in [
        "GET\n/todos\ntodo.example",
        "GET\n/todos/%2e%2E%2e?a=b\ntodo.example:80\naccept: */*\nx-a: b",
        "GET\n/raw/a%2Fb\ntodo.example",
        "PUT\n/a%20b/1-2\nopen.example\nauthorization: Bearer x\nconnection: x-a, close\nx-a: b",
        "GET\n/any/Thing%41?x#y\nopen.example\nx_y: z\ncookie: a\ncookie: b",
        "GET\n/search?mode=safe&key=theirs\nother.example\nx-api-key: theirs\nte: trailers",
        "GET\n/search\nother.example\nx-removed: 1\nx-set: 2\nx-plugway-hops: 2",
        "POST\n/todos\ntodo.example\ntransfer-encoding: chunked\ntrailer: x-end",
    ] {
        for way in [2, 2 | 1 << 2, 2 | 2 << 2, 2 | 3 << 2, 2 | 16 | 32] {
            assert!(is_written(way, request), "{way} {request}");
        }
    }
    assert!(is_written(
        2,
        "GET\n/todos\ntodo.example\nupgrade: websocket\nconnection: upgrade"
    ));
    assert!(is_written(0, "GET\n/todos\ntodo.example"));
    assert!(is_written(1, "GET\n/todos\ntodo.example"));
    for refused in [
        "GET\n/none\ntodo.example",
        "GET\n/todos\nelse.example",
        "GET\n/\r\ntodo.example",
        "",
    ] {
        assert!(!is_written(2, refused), "{refused}");
    }
}

#[test]
fn configurations_are_told_of_with_their_places() {
    for text in [
        "",
        "listen.http = 1\n\0",
        "include = ['*.toml']\n\0[plugins.a]\nupstream.url = '${env:X}'\nauth.require = 'any'\n",
        "include = ['${env:X}.toml']\n",
        "[plugins.a]\nhosts = ['ä'] x",
        "description = \"\"\"",
        "\u{feff}tokens = 'x'",
    ] {
        for behind in ["", " ", "  "] {
            config(format!("{text}{behind}").as_bytes());
        }
    }
    config(b"\xff");
}

#[test]
fn tokens_come_back() {
    let token = crate::tokens::generate_from_system(crate::tokens::Level::User).unwrap();
    let token = token.expose();
    let hash = "5c3de08f9d0ddd716978fc8b228caa82b0e67ab88234e39082a82f58f7ce3ea5";
    let line = format!(
        r#"{{"id":"a","level":"service","plugins":["*"],"scopes":["*"],"sha256":"{hash}"}}"#
    );
    for text in [
        format!("Bearer {token}\0"),
        format!("{token}\n {token}x{token}\x07"),
        format!("# {token}\n{line}\n\0"),
        format!("{line}\n{line}\n\0"),
        line.replace('a', token),
    ] {
        tokens(text.as_bytes());
    }
    tokens(b"\xef\xbb\xbf\n\0");
}
