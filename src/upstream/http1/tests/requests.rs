//! What is sent of a request, against what it was.

use http::{HeaderMap, HeaderName};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::http1::grammar::{Cuts, cases, cuts};

/// A request's body, as the client sends it.
#[derive(Debug, Clone)]
enum Content {
    Nothing,
    Exactly(Vec<u8>),
    Chunks(Vec<Vec<u8>>, Vec<(&'static str, &'static str)>),
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Exactly(data) => data.clone(),
            Self::Chunks(chunks, _) => chunks.concat(),
        }
    }

    /// The client's request.
    fn head(&self) -> String {
        let framing = match self {
            Self::Nothing => "content-length: 0".into(),
            Self::Exactly(data) => format!("content-length: {}", data.len()),
            Self::Chunks(..) => "transfer-encoding: chunked".to_owned(),
        };
        format!("POST / HTTP/1.1\r\nhost: x\r\n{framing}\r\n\r\n")
    }

    /// What follows on it.
    fn wire(&self) -> Vec<u8> {
        let Self::Chunks(chunks, trailers) = self else {
            return self.bytes();
        };
        let mut wire = Vec::new();
        for chunk in chunks {
            wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            wire.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        [wire, b"\r\n".to_vec()].concat()
    }
}

fn content() -> impl Strategy<Value = Content> {
    let data = prop_oneof![
        6 => vec(any::<u8>(), 1..50),
        2 => (1000usize..1050, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        1 => (1usize..300_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    let trailer = (
        select(&["x-a", "X-B", "x-c", "Content-Length", "Host"][..]),
        select(&["1", "", "two words"][..]),
    );
    prop_oneof![
        2 => Just(Content::Nothing),
        3 => data.clone().prop_map(Content::Exactly),
        5 => (vec(data, 0..5), vec(trailer, 0..4))
            .prop_map(|(chunks, trailers)| Content::Chunks(chunks, trailers)),
    ]
}

fn fields() -> impl Strategy<Value = HeaderMap> {
    let name = select(
        &[
            "host",
            "x-a",
            "cookie",
            "trailer",
            "content-length",
            "transfer-encoding",
            "te",
        ][..],
    );
    let value = prop_oneof![
        2 => "[!-~]([ -~]{0,20}[!-~])?".prop_map(String::into_bytes),
        1 => Just(Vec::new()),
        1 => Just(b"\xe4".to_vec()),
        3 => select(&["x-a", "x-b", "X-A ,x-b", "x-ab, x", "chunked", "3"][..])
            .prop_map(|value| value.as_bytes().to_vec()),
    ];
    vec((name, value), 0..8).prop_map(|lines| {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            let value = HeaderValue::from_bytes(&value).unwrap();
            fields.append(HeaderName::from_static(name), value);
        }
        fields
    })
}

/// A request, read back.
#[derive(Debug, PartialEq)]
struct Wire {
    line: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
}

impl Wire {
    /// `None`: there is more to come. Nothing may stand behind it.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 2;
        let mut lines = lines(&bytes[..end]);
        let line = String::from_utf8(lines.remove(0).to_vec()).unwrap();
        let fields: Vec<_> = lines.into_iter().map(field).collect();
        let mut rest = &bytes[end + 2..];
        let said = |name| {
            let mut lines = fields.iter().filter(|(said, _)| said == name);
            let first = lines
                .next()
                .map(|(_, value)| str::from_utf8(value).unwrap());
            assert!(lines.next().is_none(), "{fields:?}");
            first
        };
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        match (said("content-length"), said("transfer-encoding")) {
            (Some(length), None) => body = take(&mut rest, length.parse().unwrap())?.to_vec(),
            (None, Some("chunked")) => loop {
                let size = take_line(&mut rest)?;
                let size = usize::from_str_radix(str::from_utf8(size).unwrap(), 16).unwrap();
                if size == 0 {
                    break;
                }
                body.extend_from_slice(take(&mut rest, size)?);
                assert_eq!(take(&mut rest, 2)?, b"\r\n");
            },
            (None, None) => {}
            other => panic!("{other:?}"),
        }
        while said("transfer-encoding").is_some() {
            match take_line(&mut rest)? {
                b"" => break,
                line => trailers.push(field(line)),
            }
        }
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
        Some(Self {
            line,
            fields,
            body,
            trailers,
        })
    }
}

fn lines(mut section: &[u8]) -> Vec<&[u8]> {
    std::iter::from_fn(|| take_line(&mut section)).collect()
}

fn take_line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = memchr::memmem::find(rest, b"\r\n")?;
    let line = take(rest, end)?;
    take(rest, 2)?;
    Some(line)
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

fn field(line: &[u8]) -> (String, Vec<u8>) {
    let at = memchr::memmem::find(line, b": ").unwrap();
    (
        str::from_utf8(&line[..at]).unwrap().to_owned(),
        line[at + 2..].to_vec(),
    )
}

fn listed(fields: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let lines = fields.iter();
    lines
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}

/// What has to be sent.
fn expected<B>(request: &Request<B>, content: &Content) -> Wire {
    let fields = request.headers();
    let announced: Vec<_> = fields
        .get_all("trailer")
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(|name| String::from_utf8_lossy(name).trim().to_lowercase())
        .collect();
    let body = content.bytes();
    let has_content = ["POST", "PUT", "PATCH"].contains(&request.method().as_str());
    let mut fields = listed(fields);
    fields.retain(|(name, _)| name != "content-length" && name != "transfer-encoding");
    fields.insert(0, ("host".into(), b"upstream".to_vec()));
    let mut trailers = HeaderMap::new();
    if let Content::Chunks(_, client) = content {
        fields.push(("transfer-encoding".into(), b"chunked".to_vec()));
        for (name, value) in client {
            let name: HeaderName = name.parse().unwrap();
            // The two that would say something of the message itself.
            let is_clean = name != "content-length" && name != "host";
            if is_clean && announced.contains(&name.to_string()) {
                trailers.append(name, HeaderValue::from_static(value));
            }
        }
    } else if has_content || !body.is_empty() {
        let length = body.len().to_string().into_bytes();
        fields.push(("content-length".into(), length));
    }
    let target = request.uri().path_and_query().unwrap();
    Wire {
        line: format!("{} {target} HTTP/1.1", request.method()),
        fields,
        body,
        trailers: listed(&trailers),
    }
}

async fn check(parts: http::request::Parts, content: Content, cuts: Cuts) {
    let (incoming, mut client) = incoming(&content.head()).await;
    let body = match content {
        Content::Nothing => RequestBody::none(),
        _ => body_of(incoming),
    };
    let request = Request::from_parts(parts, body);
    let expected = expected(&request, &content);
    let (connection, mut upstream) = pair();
    let exchange = spawn_local(connection.clone().send(outgoing(request)));
    let wire = content.wire();
    let client = spawn_local(async move {
        for piece in cuts.pieces(&wire) {
            client.write_all(piece).await.unwrap();
            yield_now().await;
        }
        client
    });
    let mut bytes = BytesMut::new();
    let read = loop {
        if let Some(read) = Wire::read(&bytes) {
            break read;
        }
        assert_ne!(upstream.read_buf(&mut bytes).await.unwrap(), 0);
    };
    assert!(read == expected, "sent: {read:?}\nmeant: {expected:?}");
    let _client = client.await.unwrap();
    settle().await;
    assert!(upstream.try_read(&mut [0]).is_err());
    upstream
        .write_all(b"HTTP/1.1 204 None\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(exchange.await.unwrap().unwrap().status(), 204);
    assert!(connection.is_free() && connection.is_quiet());
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn differential_of_requests(
        method in select(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X-OWN"][..]),
        target in select(&["/", "/a/b?c=d&e", "/?", "*", "http://other/x?y", "//a", "/%00\"{|}"][..]),
        fields in fields(),
        content in content(),
        cuts in cuts(),
    ) {
        let mut request = Request::builder().method(method).uri(target).body(()).unwrap();
        *request.headers_mut() = fields;
        run(check(request.into_parts().0, content, cuts));
    }
}

/// A body that is not as long as it was said to be ends the exchange: what is on the wire is no
/// request that another one could follow on.
#[test]
fn a_request_that_ends_early_is_no_request() {
    run(async {
        for head in ["content-length: 5", "transfer-encoding: chunked"] {
            let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
            let (body, mut client) = upload(&head).await;
            let (connection, mut upstream) = pair();
            let exchange = spawn_local(connection.clone().send(request(&Method::POST, body)));
            client.write_all(b"1\r\nx").await.unwrap();
            drop(client);
            let failed = exchange.await.unwrap().unwrap_err();
            assert!(matches!(failed.fault, Fault::Request));
            drop(connection);
            let mut bytes = Vec::new();
            let _ = upstream.read_to_end(&mut bytes).await;
            let begun = bytes.is_empty() || Wire::read(&bytes).is_none();
            assert!(begun, "{}", bytes.escape_ascii());
        }
    });
}
