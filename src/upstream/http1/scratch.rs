//! What a connection is read into.
//!
//! A buffer of its own would be there while it waits: with some hundred exchanges under way these
//! are megabytes that a processor has to fetch again for each. So all connections of a thread are
//! read into one; a little is copied out of it, and much has the buffer itself, and the thread
//! takes another one.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// Bytes that one read brings.
pub(super) const LARGE: usize = 64 << 10;
/// Bytes up to which they are copied: no more than this is held by a piece of one byte.
const LITTLE: usize = LARGE / 4;

thread_local! {
    static SCRATCH: RefCell<BytesMut> = RefCell::default();
}

/// Reads what is there. Ready with nothing at the end.
pub(super) fn poll_read<T: AsyncRead + Unpin>(
    io: &mut T,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Bytes>> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.reserve(LARGE);
        let length = ready!(poll_read_buf(Pin::new(io), cx, scratch))?;
        if length > LITTLE {
            return Poll::Ready(Ok(scratch.split().freeze()));
        }
        let read = Bytes::copy_from_slice(scratch);
        scratch.clear();
        Poll::Ready(Ok(read))
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_was_read_stays_as_it_is() {
        let (mut near, mut far) = tokio::io::duplex(LARGE);
        let mut all = Vec::new();
        // Little and much by turns, all of it kept.
        for (number, length) in [1, LITTLE, LITTLE + 1, 7, LARGE, LITTLE, LARGE]
            .into_iter()
            .enumerate()
        {
            let sent = vec![u8::try_from(number).unwrap(); length];
            far.write_all(&sent).await.unwrap();
            let read = poll_fn(|cx| poll_read(&mut near, cx)).await.unwrap();
            all.push((read, sent));
        }
        for (read, sent) in all {
            assert!(read == sent);
        }
        drop(far);
        assert!(
            poll_fn(|cx| poll_read(&mut near, cx))
                .await
                .unwrap()
                .is_empty()
        );
    }
}
