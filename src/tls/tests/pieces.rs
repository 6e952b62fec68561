//! However the bytes come, and however they are asked for.

use std::pin::Pin;
use std::task::{Context, Poll};

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::*;

/// Gives and takes pieces of these lengths, one after the other, and then all.
struct Pieces<T> {
    inner: T,
    reads: Vec<usize>,
    writes: Vec<usize>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Pieces<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let most = self.reads.pop().unwrap_or(usize::MAX).min(buf.remaining());
        let mut piece = vec![0; most];
        let mut part = ReadBuf::new(&mut piece);
        let read = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        buf.put_slice(part.filled());
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Pieces<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let most = self.writes.pop().unwrap_or(usize::MAX).min(buf.len());
        Pin::new(&mut self.inner).poll_write(cx, &buf[..most])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// Lengths of records, of reads, and of what is asked for.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![1_usize..40, 1_usize..3000, 10_000_usize..90_000];
    prop::collection::vec(length, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn pieces_are_what_the_whole_is(
        records in lengths(),
        reads in lengths(),
        writes in lengths(),
        asked in lengths(),
        held in 100_usize..200_000,
        number in 0_usize..6,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sides = Sides::of(suites().nth(number).unwrap());
        runtime.block_on(async {
            let (near, far) = duplex(held);
            let near = Pieces { inner: near, reads, writes };
            let sent: Vec<Vec<u8>> = records.iter().map(|length| bytes(*length)).collect();
            let whole = sent.concat();
            let server = async {
                let mut stream = accept(Arc::clone(&sides.server), near).await.unwrap();
                let mut came: Vec<u8> = Vec::new();
                for most in asked.iter().cycle() {
                    let mut piece = vec![0; *most];
                    let length = stream.read(&mut piece).await.unwrap();
                    if length == 0 {
                        break;
                    }
                    stream.write_all(&piece[..length]).await.unwrap();
                    stream.flush().await.unwrap();
                    came.extend(&piece[..length]);
                }
                stream.shutdown().await.unwrap();
                came
            };
            let client = async {
                let (mut reader, mut writer) = tokio::io::split(sides.connect(far).await);
                let mut back = Vec::new();
                let write = async {
                    for record in &sent {
                        writer.write_all(record).await.unwrap();
                        writer.flush().await.unwrap();
                    }
                    writer.shutdown().await.unwrap();
                };
                let ((), read) = tokio::join!(write, reader.read_to_end(&mut back));
                read.unwrap();
                back
            };
            let (came, back) = tokio::join!(server, client);
            assert!(came == whole, "up");
            assert!(back == whole, "down");
        });
    }
}
