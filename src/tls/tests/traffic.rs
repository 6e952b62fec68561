//! What well-behaved sides say to each other.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::super::records::{DATA, Key};
use super::*;

#[tokio::test]
async fn every_suite_carries_everything_both_ways() {
    for suite in suites() {
        let sides = Sides::of(suite);
        let (mut server, mut client) = sides.meet(1 << 20).await;
        assert_eq!(server.alpn(), Some(&b"h2"[..]));
        for length in [1, 2, 1000, 16_383, 16_384, 16_385, 40_000, 300_000] {
            let sent = bytes(length);
            let (mut up, mut down) = (vec![0; length], vec![0; length]);
            client.write_all(&sent).await.unwrap();
            client.flush().await.unwrap();
            server.read_exact(&mut up).await.unwrap();
            assert!(up == sent, "{suite:?} up {length}");
            server.write_all(&sent).await.unwrap();
            server.flush().await.unwrap();
            client.read_exact(&mut down).await.unwrap();
            assert!(down == sent, "{suite:?} down {length}");
        }
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut [0; 9]).await.unwrap(), 0, "{suite:?}");
        server.write_all(b"still").await.unwrap();
        server.shutdown().await.unwrap();
        let mut last = Vec::new();
        client.read_to_end(&mut last).await.unwrap();
        assert_eq!(last, b"still");
        let after = server.write(b"more").await.unwrap_err();
        assert_eq!(after.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[tokio::test]
async fn a_connection_that_waits_holds_nothing() {
    let (mut server, mut client) = Sides::of(suite_of("TLS13_AES_128_GCM_SHA256"))
        .meet(1 << 20)
        .await;
    client.write_all(&bytes(200_000)).await.unwrap();
    let mut came = vec![0; 200_000];
    server.read_exact(&mut came).await.unwrap();
    server.write_all(&came).await.unwrap();
    assert_eq!(server.held(), 0);
}

#[tokio::test]
async fn what_is_cut_off_is_not_an_end() {
    for suite in suites() {
        let (mut server, client) = Sides::of(suite).meet(1 << 20).await;
        drop(client);
        for _ in 0..2 {
            let error = server.read(&mut [0; 9]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{suite:?}");
        }
    }
}

#[tokio::test]
async fn a_client_may_change_its_keys_and_ask_for_the_same() {
    for suite in suites().filter(|suite| suite.tls13().is_some()) {
        let (mut server, mut client) = Sides::of(suite).meet(1 << 20).await;
        for round in 0..32 {
            client.get_mut().1.refresh_traffic_keys().unwrap();
            let sent = bytes(20_000 + round);
            let mut came = vec![0; sent.len()];
            client.write_all(&sent).await.unwrap();
            client.flush().await.unwrap();
            server.read_exact(&mut came).await.unwrap();
            server.write_all(&came).await.unwrap();
            server.flush().await.unwrap();
            let mut back = vec![0; sent.len()];
            client.read_exact(&mut back).await.unwrap();
            assert!(back == sent, "{suite:?} {round}");
        }
        // What is asked for without end is not granted without end.
        client.get_mut().1.refresh_traffic_keys().unwrap();
        client.write_all(b"once more").await.unwrap();
        let error = server.read(&mut [0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(client.read(&mut [0; 9]).await.is_err());
    }
}

#[tokio::test]
async fn a_key_that_is_worn_is_changed_or_not_used() {
    for suite in suites() {
        let (mut server, mut client) = Sides::of(suite).meet(1 << 20).await;
        server.wear_after(3);
        let sent = bytes(16_384 * 5);
        let written = server.write_all(&sent).await;
        if suite.tls13().is_none() {
            assert!(written.is_err(), "{suite:?} has no way to change it");
            server.shutdown().await.unwrap();
            let mut came = Vec::new();
            client.read_to_end(&mut came).await.unwrap();
            // Of what was written before each record came, and the end was said.
            assert!(came == sent[..came.len()] && !came.is_empty(), "{suite:?}");
            continue;
        }
        server.flush().await.unwrap();
        let mut came = vec![0; sent.len()];
        client.read_exact(&mut came).await.unwrap();
        assert!(came == sent);
    }
}

#[tokio::test]
async fn many_pieces_are_one_message() {
    let (mut server, mut client) = Sides::of(suite_of("TLS13_AES_256_GCM_SHA384"))
        .meet(1 << 20)
        .await;
    let pieces: Vec<Vec<u8>> = [0, 3, 0, 16_380, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 40_000, 0, 7]
        .into_iter()
        .map(bytes)
        .collect();
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let whole = pieces.concat();
    assert!(server.is_write_vectored());
    assert_eq!(server.write_vectored(&slices).await.unwrap(), whole.len());
    let mut came = vec![0; whole.len()];
    client.read_exact(&mut came).await.unwrap();
    assert!(came == whole);
}

#[tokio::test]
async fn no_more_is_taken_than_is_sent_soon() {
    let (mut server, mut client) = Sides::of(suite_of("TLS13_AES_128_GCM_SHA256"))
        .meet(4096)
        .await;
    let sent = bytes(1 << 20);
    let mut taken = 0;
    // Nobody reads: one write is taken, whatever its length, and no second one.
    std::future::poll_fn(|cx| {
        while let Poll::Ready(length) = Pin::new(&mut server).poll_write(cx, &sent[taken..]) {
            taken += length.unwrap();
        }
        Poll::Ready(())
    })
    .await;
    assert_eq!(taken, 256 << 10);
    let mut came = vec![0; sent.len()];
    let rest = async {
        server.write_all(&sent[taken..]).await.unwrap();
        server.flush().await.unwrap();
    };
    let ((), read) = tokio::join!(rest, client.read_exact(&mut came));
    read.unwrap();
    assert!(came == sent);
}

/// The end of the handshake goes with the first answer, or when a client is waited for.
#[tokio::test]
async fn a_client_that_says_nothing_has_its_ticket() {
    for suite in suites() {
        let sides = Sides::of(suite);
        for is_second in [false, true] {
            let (near, far) = duplex(1 << 20);
            let server = async {
                let mut stream = accept(Arc::clone(&sides.server), near).await.unwrap();
                let mut came = Vec::new();
                stream
                    .read_to_end(&mut came)
                    .await
                    .map(|_| came)
                    .unwrap_err();
            };
            let client = async {
                let mut client = sides.connect(far).await;
                // The server sends nothing more: only what belongs to the handshake can come.
                let mut nothing = [0; 1];
                let turns = async {
                    for _ in 0..100 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::select! {
                    biased;
                    read = client.read(&mut nothing) => panic!("{suite:?} {read:?}"),
                    () = turns => {}
                }
                client.get_ref().1.handshake_kind()
            };
            let ((), kind) = tokio::join!(server, client);
            let expected = if is_second {
                rustls::HandshakeKind::Resumed
            } else {
                rustls::HandshakeKind::Full
            };
            assert_eq!(kind, Some(expected), "{suite:?}");
        }
    }
}

#[tokio::test]
async fn a_handshake_that_fails_says_why() {
    let known = Sides::of(suite_of("TLS13_AES_128_GCM_SHA256"));
    let other = Sides::of(suite_of("TLS13_AES_256_GCM_SHA384"));
    let (near, far) = duplex(1 << 20);
    let name = ServerName::try_from("localhost").unwrap();
    let connect = TlsConnector::from(Arc::clone(&other.client)).connect(name, far);
    let (accepted, connected) = tokio::join!(accept(Arc::clone(&known.server), near), connect);
    assert_eq!(accepted.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let told = connected.unwrap_err().to_string();
    assert!(told.contains("HandshakeFailure"), "{told}");
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let sides = Sides::of(suite_of("TLS13_AES_128_GCM_SHA256"));
    for (sent, kind) in [
        (
            &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
            io::ErrorKind::InvalidData,
        ),
        (&[22, 3, 1, 0xff, 0xff, 1], io::ErrorKind::InvalidData),
        (&[22, 3, 1, 0, 100, 1, 0, 0], io::ErrorKind::UnexpectedEof),
        (&[], io::ErrorKind::UnexpectedEof),
    ] {
        let (near, mut far) = duplex(1 << 20);
        far.write_all(sent).await.unwrap();
        far.shutdown().await.unwrap();
        let error = accept(Arc::clone(&sides.server), near).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sent:?}: {error}");
    }
}

/// A message of a handshake that never ends is not kept without end.
#[tokio::test]
async fn a_handshake_holds_no_more_than_it_may() {
    let sides = Sides::of(suite_of("TLS13_AES_128_GCM_SHA256"));
    let (near, mut far) = duplex(1 << 22);
    let server = accept(Arc::clone(&sides.server), near);
    let client = async {
        // A ClientHello of 16 MiB, in records of 16 KiB.
        let mut first = vec![22, 3, 1, 0x40, 0];
        first.extend([1, 0xff, 0xff, 0xff]);
        first.extend(vec![0; 16_380]);
        let mut next = vec![22, 3, 1, 0x40, 0];
        next.extend(vec![0; 16_384]);
        far.write_all(&first).await.unwrap();
        for _ in 0..100 {
            if far.write_all(&next).await.is_err() {
                break;
            }
        }
        far
    };
    let (accepted, _far) = tokio::join!(server, client);
    assert_eq!(accepted.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

/// Gives one prepared piece with each read, and counts them.
struct Prepared(std::vec::IntoIter<Vec<u8>>, usize);

impl AsyncRead for Prepared {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buf.put_slice(&self.0.next().unwrap_or_default());
        self.1 += 1;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prepared {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Empty records cost work, and bring nothing: others have their turn meanwhile.
#[tokio::test]
async fn empty_records_keep_nobody_else_waiting() {
    let sides = Sides::of(suite_of("TLS13_AES_128_GCM_SHA256"));
    let (server, client) = sides.meet(1 << 20).await;
    let secrets = rustls::Connection::Client(client.into_inner().1)
        .dangerous_extract_secrets()
        .unwrap();
    let mut key = Key::new(secrets.tx, rustls::ProtocolVersion::TLSv1_3).unwrap();
    let mut seal = |content: &[u8]| {
        let mut record = vec![0; key.sealed_length(content.len())];
        key.seal(DATA, &[content], &mut record).unwrap();
        record
    };
    let mut records: Vec<_> = (0..10).map(|_| seal(b"")).collect();
    records.push(seal(b"x"));
    let mut server = server.over(Prepared(records.into_iter(), 0));
    let mut turns = 0;
    let mut byte = [0; 1];
    let read = std::future::poll_fn(|cx| {
        turns += 1;
        Pin::new(&mut server).poll_read(cx, &mut ReadBuf::new(&mut byte))
    });
    read.await.unwrap();
    assert_eq!((byte, turns, server.io().1), (*b"x", 3, 11));
}

/// What a client sends with the end of its handshake, in one piece and in two: a new key, that it asks
/// for the same, and a request.
#[tokio::test]
async fn a_key_may_change_as_soon_as_there_is_one() {
    for suite in suites().filter(|suite| suite.tls13().is_some()) {
        let sides = Sides::of(suite);
        for cut in [0, 1, 10, 60, 100, 150] {
            let name = ServerName::try_from("localhost").unwrap();
            let mut client =
                rustls::ClientConnection::new(Arc::clone(&sides.client), name).unwrap();
            let (near, mut far) = duplex(1 << 20);
            let server = async {
                let mut stream = accept(Arc::clone(&sides.server), near).await.unwrap();
                let mut came = [0; 3];
                stream.read_exact(&mut came).await.unwrap();
                stream.write_all(&came).await.unwrap();
                stream.shutdown().await.unwrap();
            };
            let client = async {
                let mut hello = Vec::new();
                client.write_tls(&mut hello).unwrap();
                far.write_all(&hello).await.unwrap();
                let mut piece = [0; 4096];
                while client.is_handshaking() {
                    let length = far.read(&mut piece).await.unwrap();
                    client.read_tls(&mut &piece[..length]).unwrap();
                    client.process_new_packets().unwrap();
                }
                client.refresh_traffic_keys().unwrap();
                io::Write::write_all(&mut client.writer(), b"one").unwrap();
                let mut last = Vec::new();
                while client.wants_write() {
                    client.write_tls(&mut last).unwrap();
                }
                let (first, rest) = last.split_at(last.len().saturating_sub(cut));
                far.write_all(first).await.unwrap();
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                far.write_all(rest).await.unwrap();
                loop {
                    let length = far.read(&mut piece).await.unwrap();
                    if length == 0 {
                        break;
                    }
                    client.read_tls(&mut &piece[..length]).unwrap();
                    client.process_new_packets().unwrap();
                }
                let mut back = Vec::new();
                io::Read::read_to_end(&mut client.reader(), &mut back).unwrap();
                back
            };
            let ((), back) = tokio::join!(server, client);
            assert_eq!(back, b"one", "{suite:?} {cut}");
        }
    }
}

/// A little that is left of much does not keep the room of all.
#[tokio::test]
async fn what_is_left_is_as_large_as_it_is() {
    let sides = Sides::of(suite_of("TLS13_AES_128_GCM_SHA256"));
    let (mut server, mut client) = sides.meet(1 << 20).await;
    client.write_all(&bytes(70_000)).await.unwrap();
    client.flush().await.unwrap();
    let (mut io, _) = client.into_inner();
    io.write_all(&[23, 3, 3, 0, 100, 1, 2]).await.unwrap();
    let (mut came, mut piece) = (0, [0; 10_000]);
    while came < 70_000 {
        came += server.read(&mut piece).await.unwrap();
    }
    assert!(server.held() <= 20 << 10, "{}", server.held());
}
