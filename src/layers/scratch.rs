//! What all connections of a thread are read into.
//!
//! A buffer of its own would be there while a connection waits: with some hundred exchanges under
//! way these are megabytes that a processor has to fetch again for each. Of what is read into one
//! buffer, a little is copied out; much has the buffer itself, and the thread takes another one.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// Bytes that one read brings at the most: the 64 KiB that many send at a time, with what frames them.
/// What is left of them for a second read costs a second write as well.
pub(crate) const LARGE: usize = 80 << 10;
/// Bytes up to which they are copied: no more than four times as much is held by what is kept.
pub(crate) const LITTLE: usize = LARGE / 4;

/// The buffer of a thread, for one kind of connection: while it is read into, what is read from
/// may use that of another kind.
#[derive(Debug, Default)]
pub(crate) struct Scratch(RefCell<BytesMut>);

impl Scratch {
    /// Reads what is there. `first` is shown it and says how many bytes of it are done with; the
    /// rest is given, with the number of bytes that came. 0: the end.
    pub(crate) fn poll_read<T: AsyncRead + Unpin>(
        &self,
        io: &mut T,
        cx: &mut Context<'_>,
        first: impl FnOnce(&[u8]) -> usize,
    ) -> Poll<io::Result<(usize, Bytes)>> {
        let mut scratch = self.0.borrow_mut();
        scratch.reserve(LARGE);
        let length = ready!(poll_read_buf(Pin::new(io), cx, &mut *scratch))?;
        let done = first(&scratch);
        if length - done > LITTLE {
            let mut rest = scratch.split().freeze();
            rest.advance(done);
            return Poll::Ready(Ok((length, rest)));
        }
        let rest = Bytes::copy_from_slice(&scratch[done..]);
        scratch.clear();
        Poll::Ready(Ok((length, rest)))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_was_read_stays_as_it_is() {
        let scratch = Scratch::default();
        let (mut near, mut far) = tokio::io::duplex(LARGE);
        let mut all = Vec::new();
        // Little and much by turns, all of it kept, but for what is done with at once.
        let lengths = [1, LITTLE, LITTLE + 1, 7, LARGE, LITTLE, LARGE];
        for (number, length) in lengths.into_iter().enumerate() {
            let sent: Vec<u8> = (0..length)
                .map(|at| (at + number).to_le_bytes()[0])
                .collect();
            far.write_all(&sent).await.unwrap();
            let done = if number % 2 == 0 { 0 } else { length / 3 };
            let read = poll_fn(|cx| scratch.poll_read(&mut near, cx, |_| done)).await;
            let (came, rest) = read.unwrap();
            assert_eq!(came, length);
            all.push((rest, sent[done..].to_vec()));
        }
        for (rest, sent) in all {
            assert!(rest == sent);
        }
        drop(far);
        let end = poll_fn(|cx| scratch.poll_read(&mut near, cx, <[u8]>::len)).await;
        assert_eq!(end.unwrap(), (0, Bytes::new()));
    }
}
