//! A body of many lines that are not there yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::Lines;

/// See the module. An error breaks the answer off, so that nobody takes a part for the whole.
#[derive(Debug)]
pub(super) struct Flowing(pub(super) Lines);

impl Body for Flowing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0
            .poll_recv(context)
            .map(|piece| piece.map(|piece| piece.map(Frame::data).map_err(io::Error::other)))
    }
}
