//! What a request is sent on: a connection of HTTP/1.1, or a stream of HTTP/2.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::connect::{Connected, FAREWELL, Speak, connect};
use super::http2::{self, Stream, Unanswered};
use super::names::Names;
use super::peers::{Dial, Outcome, Search};
use super::{Channel, ConnectError, Target, Upstreams};
use crate::body::RequestBody;

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
        let connected = connect(target, &Names::default(), Speak::Any).await;
        connected.map(Self::from)
    }

    /// Sends a request. The line has to be held as long as anything of the exchange is wanted.
    pub(super) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> + use<> {
        let sent = match self {
            Self::Own(channel) => {
                channel.traffic.expect_head();
                Sent::Own(channel.sender.try_send_request(request))
            }
            Self::Stream(stream) => Sent::Stream(stream.send(request)),
        };
        async move {
            match sent {
                Sent::Own(sent) => sent.await.map_err(|mut failed| Unanswered {
                    unsent: failed.take_message().map(Box::new),
                    error: failed.into_error(),
                }),
                Sent::Stream(sent) => sent.await,
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

    /// The head of the response came.
    pub(super) fn answered(&self) {
        match self {
            Self::Own(channel) => channel.traffic.head_came(),
            Self::Stream(stream) => stream.answered(),
        }
    }

    /// The head of the response did not come in time.
    pub(super) fn doubt(&self) {
        if let Self::Stream(stream) = self {
            stream.doubt();
        }
    }

    /// Whether an exchange that failed with `error` ended without a word of the upstream.
    pub(super) fn is_silent(&self, error: &hyper::Error) -> bool {
        match self {
            Self::Own(channel) => !channel.traffic.spoke(),
            Self::Stream(_) => http2::is_lost(error),
        }
    }
}

impl Upstreams {
    /// What a request to `target` can be sent on.
    pub(super) async fn line(self: &Rc<Self>, target: &Target) -> Result<Line, ConnectError> {
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
        if let Some(channel) = self.checkout(&target.key).await {
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
        let connected = connect(target, &self.names, Speak::Any).await?;
        if let Connected::Http2(shared) = &connected {
            self.peers.add(&target.key, shared);
        }
        Ok(connected.into())
    }

    /// Makes a connection for all that wait for it. In a task of its own, since each of them may
    /// leave.
    async fn dial(&self, target: &Target, dial: &Dial) {
        match connect(target, &self.names, Speak::Any).await {
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
