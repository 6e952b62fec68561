//! Layers between a socket and what speaks on it: they look at what is read, and pass on what is
//! written as it is.

pub(crate) mod intake;
pub(crate) mod scratch;

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;

/// Gives of what was read before as much as there is room for: how many bytes that is.
pub(crate) fn give(bytes: &[u8], buf: &mut ReadBuf<'_>) -> usize {
    let length = bytes.len().min(buf.remaining());
    buf.put_slice(&bytes[..length]);
    length
}

/// The same of what is kept, which is let go of with its last byte.
pub(crate) fn give_kept(kept: &mut Bytes, buf: &mut ReadBuf<'_>) {
    let length = give(kept, buf);
    kept.advance(length);
    if kept.is_empty() {
        *kept = Bytes::new();
    }
}

/// Implements `AsyncWrite` for a layer by its field `inner`.
macro_rules! pass_writes {
    ($layer:ident) => {
        impl<T: tokio::io::AsyncWrite + Unpin> tokio::io::AsyncWrite for $layer<T> {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.inner).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                std::pin::Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                self.inner.is_write_vectored()
            }

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.inner).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::pin::Pin::new(&mut self.inner).poll_shutdown(cx)
            }
        }
    };
}
pub(crate) use pass_writes;
