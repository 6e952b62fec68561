//! What a request is sent on: a connection of HTTP/1.1, or a stream of HTTP/2.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::time::timeout;

use super::connect::{Connected, FAREWELL, Speak, connect};
use super::http1::Download;
use super::http2::{self, Stream};
use super::names::Names;
use super::peers::{Dial, Outcome, Search};
use super::room::Room;
use super::{Channel, CodecError, ConnectError, Outgoing, Target, Upstreams};
use crate::alarm::Alarm;

/// See the module.
#[derive(Debug)]
pub(super) enum Line {
    Own(Channel),
    Stream(Stream),
}

/// A request on its way, in either form.
enum Sent<O, S> {
    Own(O),
    Stream(S),
}

/// Why there is no response.
pub(super) struct Unanswered {
    pub(super) error: CodecError,
    /// The request, if nothing of it was sent.
    pub(super) unsent: Option<Box<Outgoing>>,
}

/// The body of a response, in either form.
#[derive(Debug)]
pub(super) enum Incoming {
    Own(Download),
    Stream(hyper::body::Incoming),
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = CodecError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CodecError>>> {
        match &mut *self {
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(CodecError::Http1),
            Self::Stream(body) => Pin::new(body).poll_frame(cx).map_err(CodecError::Http2),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Stream(body) => body.size_hint(),
        }
    }
}

impl From<Connected> for Line {
    fn from(connected: Connected) -> Self {
        match connected {
            Connected::Http1(channel) => Self::Own(channel),
            Connected::Http2(shared) => Self::Stream(shared.open()),
        }
    }
}

impl Line {
    /// A connection for one request, which no pool knows.
    pub(super) async fn alone(target: &Target) -> Result<Self, ConnectError> {
        let connected = connect(target, &Names::default(), &Room::endless(), Speak::Any).await;
        connected.map(Self::from)
    }

    /// Sends a request. The line has to be held as long as anything of the exchange is wanted.
    pub(super) fn send(
        &mut self,
        outgoing: Box<Outgoing>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> + use<> {
        let sent = match self {
            Self::Own(channel) => Sent::Own(channel.connection.clone().send(outgoing)),
            // Boxed, so that requests over HTTP/1.1 have no room for it.
            Self::Stream(stream) => Sent::Stream(Box::pin(stream.send(outgoing))),
        };
        async move {
            match sent {
                Sent::Own(sent) => match sent.await {
                    Ok(response) => Ok(response.map(Incoming::Own)),
                    Err(failed) => Err(Unanswered {
                        error: CodecError::Http1(failed.fault),
                        unsent: failed.unsent,
                    }),
                },
                Sent::Stream(sent) => Ok(sent.await?.map(Incoming::Stream)),
            }
        }
    }

    /// Whether the connection had answered others before.
    pub(super) fn is_proven(&self) -> bool {
        match self {
            Self::Own(channel) => channel.proven,
            Self::Stream(stream) => stream.is_proven(),
        }
    }

    /// What the head of a response is waited for with.
    pub(super) fn alarm(&mut self) -> &mut Alarm {
        match self {
            Self::Own(channel) => &mut channel.alarm,
            Self::Stream(stream) => stream.alarm(),
        }
    }

    /// The head of the response came.
    pub(super) fn answered(&self) {
        if let Self::Stream(stream) = self {
            stream.answered();
        }
    }

    /// The head of the response did not come in time.
    pub(super) fn doubt(&self) {
        if let Self::Stream(stream) = self {
            stream.doubt();
        }
    }

    /// Whether an exchange that failed with `error` ended without a word of the upstream.
    pub(super) fn is_silent(&self, error: &CodecError) -> bool {
        match self {
            Self::Own(channel) => !channel.connection.spoke(),
            Self::Stream(_) => http2::is_lost(error),
        }
    }
}

impl Upstreams {
    /// What a request to `target` can be sent on.
    pub(super) async fn line(
        self: &Rc<Self>,
        target: &Target,
        must_be_sure: bool,
    ) -> Result<Line, ConnectError> {
        if target.may_share() {
            let mut search = self.peers.find(&target.key, &self.names);
            if matches!(search, Search::Unclear) {
                // Those that came before what is waiting for us look at it first.
                tokio::task::yield_now().await;
                search = self.peers.find(&target.key, &self.names);
            }
            if let Search::Found(stream) = search {
                return Ok(Line::Stream(stream));
            }
        }
        if let Some(channel) = self.checkout(&target.key, must_be_sure) {
            return Ok(Line::Own(channel));
        }
        // Boxed, since most requests need no new connection.
        Box::pin(self.connected(target)).await
    }

    /// A new connection, or a stream of one that others wait for as well.
    async fn connected(self: &Rc<Self>, target: &Target) -> Result<Line, ConnectError> {
        // Ends, since each round makes a connection, which has a stream for who made it.
        while target.http2 || self.peers.knows(&target.key) {
            let (dial, first) = self.peers.join(&target.key);
            if first {
                let (upstreams, target) = (Rc::clone(self), target.clone());
                let dial = Rc::clone(&dial);
                tokio::task::spawn_local(async move { upstreams.dial(&target, &dial).await });
            }
            let patience = target.connect + FAREWELL;
            let stream = timeout(patience, dial.wait())
                .await
                .map_err(|_| ConnectError::TimedOut(target.connect))??;
            if let Some(stream) = stream {
                return Ok(Line::Stream(stream));
            }
        }
        let connected = self.connection(target, Speak::Any).await?;
        if let Connected::Http2(shared) = &connected {
            self.peers.add(&target.key, shared);
        }
        Ok(connected.into())
    }

    /// A new connection; one that is idle makes room for it, if there is no other.
    pub(super) async fn connection(
        &self,
        target: &Target,
        speak: Speak,
    ) -> Result<Connected, ConnectError> {
        loop {
            let connected = connect(target, &self.names, &self.room, speak).await;
            match connected {
                Err(error) if error.is_crowded() && self.make_room() => {}
                connected => return connected,
            }
        }
    }

    /// Makes a connection for all that wait for it. In a task of its own, since each of them may
    /// leave.
    async fn dial(&self, target: &Target, dial: &Dial) {
        match self.connection(target, Speak::Any).await {
            Ok(Connected::Http2(shared)) => {
                self.peers.add(&target.key, &shared);
                dial.share(&shared);
            }
            Ok(Connected::Http1(channel)) => {
                self.peers.forget(&target.key);
                self.give_back(&target.key, channel);
                dial.end(Outcome::Http1);
            }
            Err(error) => dial.end(Outcome::Failed(Arc::new(error))),
        }
    }
}
