//! Follows the frames of an HTTP/2 connection, only to know whether one is incomplete.
//!
//! h2 waits without an end for the preface, for the rest of a frame and for the CONTINUATION that
//! closes a header block (h2#928). This reader sits above TLS, counts bytes, and tells
//! [`ConnectionWatch`] when a frame that belongs to no body is open. DATA frames are left to the
//! deadline of the body that they belong to.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::watch::{ConnectionWatch, Phase};

/// RFC 9113 §3.4.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The position in the stream of frames.
#[derive(Debug)]
struct Frames {
    /// Bytes of the preface that have not come yet.
    preface_left: usize,
    /// The frame header being gathered (RFC 9113 §4.1: nine bytes).
    header: [u8; 9],
    header_len: usize,
    payload_left: usize,
    is_data: bool,
    /// HEADERS without `END_HEADERS` came, its last CONTINUATION did not.
    block_open: bool,
}

impl Frames {
    fn new() -> Self {
        Self {
            preface_left: PREFACE.len(),
            header: [0; 9],
            header_len: 0,
            payload_left: 0,
            is_data: false,
            block_open: false,
        }
    }

    /// Takes what was read. True when a whole frame has come in it, or the last one of a header
    /// block.
    fn feed(&mut self, mut bytes: &[u8]) -> bool {
        let mut whole = false;
        let skipped = self.preface_left.min(bytes.len());
        self.preface_left -= skipped;
        bytes = &bytes[skipped..];
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let taken = self.payload_left.min(bytes.len());
                self.payload_left -= taken;
                bytes = &bytes[taken..];
            } else {
                let taken = (9 - self.header_len).min(bytes.len());
                self.header[self.header_len..self.header_len + taken]
                    .copy_from_slice(&bytes[..taken]);
                self.header_len += taken;
                bytes = &bytes[taken..];
                if self.header_len == 9 {
                    self.begin();
                }
            }
            whole |= self.header_len == 0 && self.payload_left == 0 && !self.block_open;
        }
        whole
    }

    fn begin(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.header_len = 0;
        self.payload_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.is_data = kind == DATA;
        if kind == HEADERS || kind == CONTINUATION {
            self.block_open = flags & END_HEADERS == 0;
        }
    }

    fn is_open(&self) -> bool {
        self.preface_left > 0
            || self.header_len > 0
            || self.block_open
            || (self.payload_left > 0 && !self.is_data)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct FrameWatch<T> {
    inner: T,
    frames: Frames,
    watch: Rc<ConnectionWatch>,
}

impl<T> FrameWatch<T> {
    pub(crate) fn new(inner: T, watch: Rc<ConnectionWatch>) -> Self {
        Self {
            inner,
            frames: Frames::new(),
            watch,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FrameWatch<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let me = &mut *self;
        let result = Pin::new(&mut me.inner).poll_read(cx, buf);
        let fresh = &buf.filled()[before..];
        if !fresh.is_empty() {
            let whole = me.frames.feed(fresh);
            if whole {
                // What is open now was begun since: reads end where the network cuts, and that
                // may be within a frame each time.
                me.watch.frame_is_open(false);
            }
            me.watch.frame_is_open(me.frames.is_open());
            // The first frame ends the opening. Later ones that begin no request (PING, SETTINGS)
            // do not begin a head, which the layer below took them for.
            match me.watch.phase() {
                Phase::Opening if whole => me.watch.enter(Phase::Idle),
                Phase::Head => me.watch.back_to_idle(),
                _ => {}
            }
        }
        result
    }
}

crate::layers::pass_writes!(FrameWatch);

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = vec![a, b, c, kind, flags, 0, 0, 0, 1];
        bytes.resize(9 + payload, 0);
        bytes
    }

    #[track_caller]
    fn check(bytes: &[u8], open: bool) {
        let mut at_once = Frames::new();
        at_once.feed(bytes);
        assert_eq!(at_once.is_open(), open, "in one piece");
        let mut dribbled = Frames::new();
        for byte in bytes {
            dribbled.feed(&[*byte]);
        }
        assert_eq!(dribbled.is_open(), open, "byte by byte");
    }

    #[test]
    fn open_frames() {
        let with = |frames: &[Vec<u8>]| [PREFACE.to_vec(), frames.concat()].concat();
        check(b"PRI * HT", true);
        check(&with(&[]), false);
        check(&with(&[frame(4, 0, 18)]), false);
        check(&with(&[frame(4, 0, 18)[..20].to_vec()]), true);
        check(&with(&[frame(HEADERS, END_HEADERS, 30)]), false);
        check(&with(&[frame(HEADERS, 0, 30)]), true);
        check(
            &with(&[frame(HEADERS, 0, 30), frame(CONTINUATION, 0, 5)]),
            true,
        );
        check(
            &with(&[frame(HEADERS, 0, 30), frame(CONTINUATION, END_HEADERS, 0)]),
            false,
        );
        check(&with(&[frame(DATA, 0, 100)[..50].to_vec()]), false);
        check(
            &with(&[frame(DATA, 0, 100), frame(6, 0, 8)[..12].to_vec()]),
            true,
        );
    }
}
