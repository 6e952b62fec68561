//! What nobody should send. The same records are sent to rustls on the server's side: what comes
//! of them has to be the same.

use std::io;

use rustls::{Connection, ExtractedSecrets};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::super::records::{ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, Key, LONGEST};
use super::*;

/// What is sent.
#[derive(Debug, Clone)]
enum Record {
    /// Sealed as it should be: content type and content.
    Sealed(u8, Vec<u8>),
    /// TLS 1.3: with these bytes behind the content, where its type belongs.
    Inner(Vec<u8>),
    /// Sealed, and then one bit is another.
    Damaged,
    /// As it is.
    Plain(Vec<u8>),
}

use Record::{Damaged, Inner, Plain, Sealed};

/// What comes of it.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// What the server read.
    read: Vec<u8>,
    /// How its reading ended: nothing is the end that the client has said.
    end: Option<io::ErrorKind>,
    /// Alerts that the client was sent.
    alerts: Vec<[u8; 2]>,
}

fn data(text: &str) -> Record {
    Sealed(DATA, text.as_bytes().to_vec())
}

fn alert(level: u8, what: u8) -> Record {
    Sealed(ALERT, vec![level, what])
}

fn message(bytes: &[u8]) -> Record {
    Sealed(HANDSHAKE, bytes.to_vec())
}

/// What is sent, and the alert that it is answered with.
type Script = (Vec<Record>, Option<u8>);

fn scripts(is_13: bool) -> Vec<Script> {
    let close = || alert(1, 0);
    let mut scripts = vec![
        (vec![data("one"), data("two"), close()], None),
        (vec![data("one"), close(), data("after the end")], None),
        (vec![], None),
        (vec![data("one")], None),
        (
            vec![data(""), data(""), data("one"), data(""), close()],
            None,
        ),
        (vec![alert(2, 40), data("one")], None),
        (
            [vec![data(""); 32], vec![data("one"), close()]].concat(),
            None,
        ),
        (vec![data("one"), alert(2, 0)], None),
        (vec![Sealed(ALERT, vec![]), data("one")], Some(50)),
        (vec![Sealed(ALERT, vec![1]), data("one")], Some(50)),
        (vec![Sealed(ALERT, vec![1, 0, 0]), data("one")], Some(50)),
        (vec![Sealed(DATA, vec![b'x'; 16_384]), close()], None),
        (vec![Damaged, data("two")], Some(20)),
        (vec![Plain(vec![23, 3, 3, 0, 3, 1, 2, 3])], Some(20)),
        (vec![Plain(vec![77, 3, 3, 0, 1, 0])], Some(50)),
        (vec![Plain(vec![23, 2, 0, 0, 1, 0])], Some(50)),
        (
            vec![
                Plain(vec![23, 3, 3, 0, 40]),
                data("within what is announced"),
            ],
            Some(20),
        ),
        (
            vec![Sealed(CHANGE_CIPHER_SPEC, vec![1]), data("one")],
            Some(10),
        ),
    ];
    scripts.extend(if is_13 { of_13() } else { of_12() });
    scripts
}

fn of_12() -> Vec<Script> {
    let warned = |times| [vec![alert(1, 90); times], vec![data("one"), alert(1, 0)]].concat();
    vec![
        (
            vec![alert(1, 90), data("one"), alert(1, 41), alert(1, 0)],
            None,
        ),
        (warned(4), None),
        (warned(5), Some(10)),
        (vec![Sealed(99, vec![1]), data("one")], Some(50)),
    ]
}

fn of_13() -> Vec<Script> {
    let close = || alert(1, 0);
    let inner = |parts: &[&[u8]]| Inner(parts.concat());
    vec![
        (vec![inner(&[b"padded", &[23, 0, 0, 0]]), close()], None),
        (vec![inner(&[b"\0", &[23], &[0; 300]]), close()], None),
        (vec![Sealed(99, vec![1]), data("one")], Some(10)),
        (vec![Inner(vec![0; 9]), data("one")], Some(10)),
        (vec![Inner(vec![]), data("one")], Some(10)),
        (vec![inner(&[&[b'x'; 16_385], &[23]]), close()], Some(22)),
        (
            vec![inner(&[&[b'x'; 16_384], &[23], &[0; 200]]), close()],
            Some(22),
        ),
        (vec![alert(1, 90), data("one"), close()], None),
        (vec![alert(1, 40), data("one")], None),
        (vec![alert(2, 90), data("one"), close()], None),
        (vec![Plain(vec![20, 3, 3, 0, 1, 1]), data("one")], Some(10)),
        (
            vec![Plain(vec![21, 3, 3, 0, 2, 1, 0]), data("one")],
            Some(10),
        ),
        (vec![message(&[24, 0, 0, 1, 2])], Some(47)),
        (vec![message(&[24, 0, 0, 2, 0, 0])], Some(50)),
        (vec![message(&[24, 0, 0, 0])], Some(50)),
        (vec![message(&[24, 0, 0, 1, 0, 24, 0, 0, 1, 0])], Some(10)),
        (vec![message(&[24, 0, 0, 1, 0, 24])], Some(10)),
        (
            vec![message(&[24, 0, 0]), data("between"), message(&[1, 0])],
            Some(10),
        ),
        (vec![message(&[24, 0, 0]), close()], Some(10)),
        (vec![message(&[1, 0, 0, 0])], Some(10)),
        (vec![message(&[4, 0, 0, 0])], Some(10)),
        (vec![message(&[20, 0, 0, 0])], Some(10)),
    ]
}

fn seal(script: &[Record], key: &mut Key) -> Vec<u8> {
    let mut out = Vec::new();
    for record in script {
        let (kind, content) = match record {
            Sealed(kind, content) => (*kind, content.clone()),
            Inner(inner) => {
                key.seal_inner(inner, &mut out);
                continue;
            }
            Damaged => (DATA, b"damaged".to_vec()),
            Plain(bytes) => {
                out.extend(bytes);
                continue;
            }
        };
        let from = out.len();
        out.resize(from + key.sealed_length(content.len()), 0);
        key.seal(kind, &[&content], &mut out[from..]).unwrap();
        if matches!(record, Damaged) {
            *out.last_mut().unwrap() ^= 1;
        }
    }
    out
}

/// The alerts among what a server sent.
fn alerts(mut bytes: &mut [u8], key: &mut Key) -> Vec<[u8; 2]> {
    let mut alerts = Vec::new();
    while let Some(length) = key.whole(bytes).unwrap() {
        let (record, rest) = bytes.split_at_mut(length);
        let (kind, at) = key.open(record).unwrap();
        if kind == ALERT {
            alerts.push(record[at].try_into().unwrap());
        }
        bytes = rest;
    }
    assert!(bytes.is_empty());
    alerts
}

/// Sends it to a server that has shaken hands and reads so much at once, and says what came of it.
async fn play<S: AsyncRead + AsyncWrite + Unpin>(
    script: &[Record],
    mut server: S,
    client: client::TlsStream<DuplexStream>,
    at_once: usize,
) -> Outcome {
    let (mut io, connection) = client.into_inner();
    let version = connection.protocol_version().unwrap();
    let ExtractedSecrets { tx, rx } = Connection::Client(connection)
        .dangerous_extract_secrets()
        .unwrap();
    let sent = seal(script, &mut Key::new(tx, version).unwrap());
    io.write_all(&sent).await.unwrap();
    io.shutdown().await.unwrap();
    let (mut read, mut piece) = (Vec::new(), vec![0; at_once]);
    let end = loop {
        match server.read(&mut piece).await {
            Ok(0) => break None,
            Ok(length) => read.extend(&piece[..length]),
            Err(error) => break Some(error.kind()),
        }
    };
    drop(server);
    let mut back = Vec::new();
    io.read_to_end(&mut back).await.unwrap();
    let alerts = alerts(&mut back, &mut Key::new(rx, version).unwrap());
    Outcome { read, end, alerts }
}

/// What comes of it here: the same whether there is room for all that a record says, so that it is
/// opened there, or not.
async fn play_here(sides: &Sides, script: &[Record]) -> Outcome {
    let (server, client) = sides.meet(1 << 20).await;
    let in_place = play(script, server, client, 1).await;
    let (server, client) = sides.meet(1 << 20).await;
    let direct = play(script, server, client, LONGEST + 256).await;
    assert_eq!(direct, in_place);
    direct
}

#[tokio::test]
async fn what_is_refused_is_refused_as_rustls_does() {
    let mut differences = Vec::new();
    for suite in suites() {
        let sides = Sides::of(suite);
        for (script, answer) in scripts(suite.tls13().is_some()) {
            let here = play_here(&sides, &script).await;
            let (near, far) = duplex(1 << 20);
            let accepting = async {
                let acceptor = TlsAcceptor::from(Arc::clone(&sides.server));
                let mut stream = acceptor.accept(near).await.unwrap();
                stream.flush().await.unwrap();
                stream
            };
            let (server, client) = tokio::join!(accepting, sides.connect(far));
            let there = play(&script, server, client, 1000).await;
            let script = format!("{script:?}").chars().take(200).collect::<String>();
            let answer: Vec<_> = answer.map(|alert| [2, alert]).into_iter().collect();
            // rustls says other things, or none.
            if (&here.read, here.end, &here.alerts) != (&there.read, there.end, &answer) {
                differences.push(format!(
                    "{suite:?} {script}\n  here {here:?}\n there {there:?}"
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// rustls loses it, if it came together.
#[tokio::test]
async fn what_came_before_is_given() {
    for suite in suites() {
        let outcome = play_here(&Sides::of(suite), &[data("one"), Damaged, data("two")]).await;
        let expected = Outcome {
            read: b"one".to_vec(),
            end: Some(io::ErrorKind::InvalidData),
            alerts: vec![[2, 20]],
        };
        assert_eq!(outcome, expected, "{suite:?}");
    }
}

/// RFC 8446 §5.2; rustls calls it malformed.
#[tokio::test]
async fn a_record_that_is_too_long_is_refused_by_its_header() {
    for suite in suites() {
        let most: u16 = if suite.tls13().is_some() {
            16_640
        } else {
            18_432
        };
        let [high, low] = (most + 1).to_be_bytes();
        let outcome = play_here(&Sides::of(suite), &[Plain(vec![23, 3, 3, high, low])]).await;
        assert_eq!(outcome.end, Some(io::ErrorKind::InvalidData), "{suite:?}");
        assert_eq!(outcome.alerts, [[2, 22]], "{suite:?}");
    }
}

/// RFC 8446 §5.1; rustls looks past them.
#[tokio::test]
async fn a_message_has_no_empty_pieces() {
    for suite in suites().filter(|suite| suite.tls13().is_some()) {
        let outcome = play_here(&Sides::of(suite), &[message(&[]), data("one")]).await;
        let expected = Outcome {
            read: Vec::new(),
            end: Some(io::ErrorKind::InvalidData),
            alerts: vec![[2, 10]],
        };
        assert_eq!(outcome, expected, "{suite:?}");
    }
}

/// rustls bears one, and says so; here it ends the connection.
#[tokio::test]
async fn there_is_no_second_handshake() {
    for suite in suites().filter(|suite| suite.tls13().is_none()) {
        let script = [data("one"), message(&[1, 0, 0, 0]), data("two")];
        let outcome = play_here(&Sides::of(suite), &script).await;
        let expected = Outcome {
            read: b"one".to_vec(),
            end: Some(io::ErrorKind::InvalidData),
            alerts: vec![[1, 100]],
        };
        assert_eq!(outcome, expected, "{suite:?}");
    }
}
