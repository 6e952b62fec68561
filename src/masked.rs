//! A response body without the secret that its upstream was told in the address.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::snapshot::Echo;
use crate::upstream::ResponseFault;

/// What is looked through.
type Inner = Pin<Box<dyn Body<Data = Bytes, Error = ResponseFault>>>;

/// Where the secret stood there are as many asterisks: the body is as long as it was.
pub struct MaskedBody {
    inner: Inner,
    echo: Echo,
    /// What may be the beginning of it.
    held: BytesMut,
    /// They came while something was held.
    trailers: Option<HeaderMap>,
}

impl fmt::Debug for MaskedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskedBody(..)")
    }
}

impl MaskedBody {
    /// Looks for a secret in what comes.
    pub fn new(
        inner: Box<impl Body<Data = Bytes, Error = ResponseFault> + 'static>,
        echo: &Echo,
    ) -> Self {
        Self {
            inner: Box::into_pin(inner),
            echo: echo.clone(),
            held: BytesMut::new(),
            trailers: None,
        }
    }

    /// What can go on, of what was held and of what came.
    fn masked(&mut self, data: Bytes, last: bool) -> Bytes {
        let mut text = if self.held.is_empty() {
            data.into()
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.extend_from_slice(&data);
            text
        };
        let left = self.echo.mask(&mut text, last);
        self.held = text.split_off(text.len() - left);
        text.freeze()
    }
}

impl Body for MaskedBody {
    type Data = Bytes;
    type Error = ResponseFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseFault>>> {
        let me = &mut *self;
        loop {
            if let Some(trailers) = me.trailers.take() {
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            let data = match ready!(me.inner.as_mut().poll_frame(cx)).transpose()? {
                None if me.held.is_empty() => return Poll::Ready(None),
                None => me.masked(Bytes::new(), true),
                Some(frame) => match frame.into_data() {
                    Ok(data) => {
                        let last = me.inner.is_end_stream();
                        me.masked(data, last)
                    }
                    Err(frame) => {
                        me.trailers = frame.into_trailers().ok().map(|mut trailers| {
                            remove_telling(&mut trailers, |value| me.echo.is_in(value));
                            trailers
                        });
                        me.masked(Bytes::new(), true)
                    }
                },
            };
            if !data.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.trailers.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.len() as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

/// Takes out the fields with a value that tells something.
pub fn remove_telling(fields: &mut HeaderMap, tells: impl Fn(&[u8]) -> bool) {
    let telling = fields.iter().filter(|(_, value)| tells(value.as_bytes()));
    let telling: Vec<_> = telling.map(|(name, _)| name.clone()).collect();
    for name in telling {
        fields.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use http::HeaderValue;
    use http_body_util::BodyExt;

    use super::*;

    /// Frames as they come.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = ResponseFault;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ResponseFault>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }

        fn size_hint(&self) -> SizeHint {
            let data = self.0.iter().filter_map(Frame::data_ref);
            SizeHint::with_exact(data.map(|data| data.len() as u64).sum())
        }
    }

    async fn through(pieces: &[&'static str], trailers: Option<HeaderMap>) -> (String, HeaderMap) {
        let data = pieces
            .iter()
            .map(|piece| Frame::data(Bytes::from_static(piece.as_bytes())));
        let frames = data.chain(trailers.map(Frame::trailers)).collect();
        let body = MaskedBody::new(Box::new(Frames(frames)), &Echo::new(b"a/secret+x").unwrap());
        let length = body.size_hint().exact();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let text = String::from_utf8(collected.to_bytes().to_vec()).unwrap();
        assert_eq!(length, Some(text.len() as u64));
        (text, trailers)
    }

    #[tokio::test]
    async fn it_is_found_across_pieces_and_the_rest_is_as_it_was() {
        let (text, _) = through(&["/?k=a%2F", "", "secret%2", "Bx&b=a/sec"], None).await;
        assert_eq!(text, format!("/?k={}&b=a/sec", "*".repeat(14)));
        let (text, _) = through(&["a/secret"], None).await;
        assert_eq!(text, "a/secret");
        let (text, _) = through(&[], None).await;
        assert_eq!(text, "");
    }

    #[tokio::test]
    async fn trailers_come_behind_what_was_held_and_do_not_tell_it() {
        let trailers = HeaderMap::from_iter([
            (
                "x-link".parse().unwrap(),
                HeaderValue::from_static("/?k=a%2fsecret%2bx"),
            ),
            ("x-digest".parse().unwrap(), HeaderValue::from_static("1")),
        ]);
        let (text, trailers) = through(&["b a/secret"], Some(trailers)).await;
        assert_eq!(text, "b a/secret");
        assert_eq!(trailers.len(), 1);
        assert_eq!(trailers["x-digest"], "1");
    }
}
