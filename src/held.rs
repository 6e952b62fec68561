//! A response body that is looked at before its head goes out, so that another answer can take its
//! place.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::body::Share;
use crate::upstream::{ResponseBody, ResponseFault};

/// What the size of a body is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Characters of UTF-8: the bytes that begin one. Which is also right for a character in two
    /// frames.
    Characters,
    /// Bytes.
    Bytes,
}

impl Unit {
    /// How many there are.
    pub fn count(self, bytes: &[u8]) -> u64 {
        let begins = |byte: &&u8| **byte & 0xC0 != 0x80;
        match self {
            Self::Characters => bytes.iter().filter(begins).count() as u64,
            Self::Bytes => bytes.len() as u64,
        }
    }

    /// Most bytes that one of it has (RFC 3629 §3).
    pub fn bytes(self) -> u64 {
        match self {
            Self::Characters => 4,
            Self::Bytes => 1,
        }
    }
}

/// Why a body is not let through.
#[derive(Debug)]
pub enum Unfit {
    /// It has more than it may have.
    TooLarge,
    /// It ended early.
    Broken(ResponseFault),
}

/// A body of which at least a part is here.
#[derive(Debug)]
pub struct HeldBody {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
    /// What is not here.
    rest: Option<Box<ResponseBody>>,
    /// What it has of the memory for that, which bodies of requests have a part of, too.
    _share: Share,
}

/// Takes a body from the upstream, up to `limit`. When all that are held have as much memory as
/// they may together, the rest of this one goes on unseen: a guard must not break what is well.
///
/// # Errors
/// It has more, or ends early.
pub async fn hold(mut body: Box<ResponseBody>, unit: Unit, limit: u64) -> Result<HeldBody, Unfit> {
    let mut share = Share::default();
    let mut bytes = BytesMut::new();
    let mut trailers = None;
    let mut count = 0;
    let rest = loop {
        let frame = match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
            None => break None,
            Some(frame) => frame.map_err(Unfit::Broken)?,
        };
        match frame.into_data() {
            Ok(data) => {
                count += unit.count(&data);
                if count > limit {
                    return Err(Unfit::TooLarge);
                }
                let room = share.grow(data.len());
                bytes.extend_from_slice(&data);
                if !room {
                    break Some(body);
                }
            }
            Err(frame) => {
                trailers = frame.into_trailers().ok();
                break None;
            }
        }
    };
    Ok(HeldBody {
        bytes: bytes.freeze(),
        trailers,
        rest,
        _share: share,
    })
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = ResponseFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseFault>>> {
        if !self.bytes.is_empty() {
            let bytes = std::mem::take(&mut self.bytes);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if let Some(rest) = &mut self.rest {
            return Pin::new(rest.as_mut()).poll_frame(cx);
        }
        Poll::Ready(self.trailers.take().map(|map| Ok(Frame::trailers(map))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.bytes.len() as u64;
        let Some(rest) = &self.rest else {
            // Behind a known length HTTP/1.1 has no place for trailers.
            return if self.trailers.is_none() {
                SizeHint::with_exact(held)
            } else {
                SizeHint::default()
            };
        };
        let (hint, mut whole) = (rest.size_hint(), SizeHint::new());
        whole.set_lower(hint.lower().saturating_add(held));
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper.saturating_add(held));
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_wherever_frames_begin() {
        let text = "a ü € 😀 ✓".as_bytes();
        assert_eq!(Unit::Characters.count(text), 9);
        assert_eq!(Unit::Bytes.count(text), text.len() as u64);
        for cut in 0..=text.len() {
            let (one, two) = text.split_at(cut);
            let sum = Unit::Characters.count(one) + Unit::Characters.count(two);
            assert_eq!(sum, 9, "cut at {cut}");
        }
    }
}
