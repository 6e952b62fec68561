//! A connection that speaks another protocol by now, and its record.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::answer::{Body, Recorder};
use crate::server::{End, Peer, Tunnel};
use crate::telemetry::Outcome;
use crate::upstream::Switched;

/// Gives the upstream's end to the server, which connects it with the client once the head is
/// out; `head` is what the client gets. The record is closed when both are done.
pub fn open(
    mut recorder: Box<Recorder>,
    head: Response<()>,
    (upstream, cut): (Box<Switched>, CancellationToken),
    peer: &Peer,
) -> Response<Body> {
    let record = &mut recorder.record;
    record.status = Some(StatusCode::SWITCHING_PROTOCOLS);
    // What it is when nobody tells: its worker is gone.
    record.outcome = Outcome::Cut("shutdown");
    // From here on bytes are counted where they move.
    recorder.upload = None;
    let tunnel = Recorded {
        upstream,
        recorder,
        cut,
    };
    *peer.tunnel.borrow_mut() = Some(Box::new(tunnel));
    head.map(|()| Body::none())
}

/// Counts what moves.
#[derive(Debug)]
struct Recorded {
    upstream: Box<Switched>,
    recorder: Box<Recorder>,
    cut: CancellationToken,
}

impl Recorded {
    /// Counts bytes that the upstream took.
    fn took(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(length)) = result {
            self.recorder.record.request_bytes += length as u64;
        }
        result
    }
}

impl Tunnel for Recorded {
    fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    fn ended(&mut self, end: End) {
        self.recorder.record.outcome = match end {
            End::Complete => Outcome::Complete,
            End::ClientLeft => Outcome::ClientLeft,
            End::UpstreamBroken => Outcome::UpstreamBroken,
            End::HalfClosed => Outcome::Cut("half_closed"),
            // Its record knows why.
            End::Cut => return,
        };
        if end == End::UpstreamBroken {
            self.recorder.upstream_failed("body");
        }
    }
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.upstream).poll_read(cx, buf);
        let length = buf.filled().len() - before;
        if length > 0 {
            let elapsed = self.recorder.elapsed();
            let record = &mut self.recorder.record;
            record.first_byte.get_or_insert(elapsed);
            record.response_bytes += length as u64;
        }
        result
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.upstream).poll_write(cx, buf);
        self.took(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.upstream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.upstream).poll_shutdown(cx)
    }
}
