//! The HTTP/2 connections of a worker, and who waits for one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::http2::{STREAMS, Shared, Stream};
use super::names::Names;
use super::{ConnectError, IDLE, IDLE_PER_UPSTREAM};

/// By upstream. There is an entry for each of which is known that it speaks HTTP/2.
#[derive(Debug, Default)]
pub(super) struct Peers {
    known: RefCell<HashMap<Arc<str>, Peer>>,
}

#[derive(Debug)]
struct Peer {
    connections: Vec<Rc<Shared>>,
    /// The last one, while it is not done.
    dial: Option<Rc<Dial>>,
    /// Streams that a connection had when it was made.
    streams: usize,
}

/// What came of a look for a stream.
pub(super) enum Search {
    Found(Stream),
    /// There is none, and a connection has to be polled before more is known of it.
    Unclear,
    Nothing,
}

/// A connection that is being made, and the requests that will share it.
#[derive(Debug)]
pub(super) struct Dial {
    waiting: Cell<usize>,
    most: usize,
    outcome: RefCell<Option<Outcome>>,
    done: Notify,
}

#[derive(Debug)]
pub(super) enum Outcome {
    /// A stream for each that waits, as far as there are any.
    Streams(Vec<Stream>),
    /// It speaks HTTP/1.1 now.
    Http1,
    Failed(Arc<ConnectError>),
}

impl Peers {
    /// A stream of the first connection that has room.
    pub(super) fn find(&self, key: &Arc<str>, names: &Names) -> Search {
        let mut known = self.known.borrow_mut();
        let Some(peer) = known.get_mut(key) else {
            return Search::Nothing;
        };
        let (mut index, mut result) = (0, Search::Nothing);
        while let Some(connection) = peer.connections.get(index) {
            let moved = |peer| !names.lead_to(key, peer);
            if connection.is_over()
                || connection.is_idle(IDLE)
                || connection.peer.is_some_and(moved)
            {
                peer.connections.remove(index);
                continue;
            }
            if connection.has_room() {
                if !connection.has_news() {
                    return Search::Found(connection.open());
                }
                result = Search::Unclear;
            }
            index += 1;
        }
        result
    }

    /// Whether an upstream is known to speak HTTP/2.
    pub(super) fn knows(&self, key: &Arc<str>) -> bool {
        self.known.borrow().contains_key(key)
    }

    /// A new connection.
    pub(super) fn add(&self, key: &Arc<str>, connection: &Rc<Shared>) {
        let mut known = self.known.borrow_mut();
        let peer = known.entry(Arc::clone(key)).or_insert_with(Peer::new);
        peer.streams = connection.limit();
        // One that is not kept serves who waits for it, and is closed then.
        if peer.connections.len() < IDLE_PER_UPSTREAM {
            peer.connections.push(Rc::clone(connection));
        }
    }

    /// Waits with others for a connection that is being made and has a stream left, or for a new
    /// one: `true`, if it has to be made.
    pub(super) fn join(&self, key: &Arc<str>) -> (Rc<Dial>, bool) {
        let mut known = self.known.borrow_mut();
        let peer = known.entry(Arc::clone(key)).or_insert_with(Peer::new);
        if let Some(dial) = &peer.dial
            && dial.waiting.get() < dial.most
            && dial.outcome.borrow().is_none()
        {
            dial.waiting.set(dial.waiting.get() + 1);
            return (Rc::clone(dial), false);
        }
        let dial = Rc::new(Dial {
            waiting: Cell::new(1),
            most: peer.streams.max(1),
            outcome: RefCell::default(),
            done: Notify::new(),
        });
        peer.dial = Some(Rc::clone(&dial));
        (dial, true)
    }

    /// Forgets an upstream that no longer speaks HTTP/2.
    pub(super) fn forget(&self, key: &Arc<str>) {
        self.known.borrow_mut().remove(key);
    }

    /// Closes what has been idle for so long. Called once a second.
    pub(super) fn tick(&self, time: Duration) {
        self.known.borrow_mut().retain(|_, peer| {
            let lasts = |it: &Rc<Shared>| !it.is_over() && !it.is_idle(time);
            peer.connections.retain(lasts);
            if let Some(dial) = &peer.dial
                && dial.outcome.borrow().is_some()
            {
                peer.dial = None;
            }
            !peer.connections.is_empty() || peer.dial.is_some()
        });
    }
}

impl Peer {
    fn new() -> Self {
        Self {
            connections: Vec::new(),
            dial: None,
            streams: STREAMS,
        }
    }
}

impl Dial {
    /// A connection was made: a stream for each that waits.
    pub(super) fn share(&self, connection: &Rc<Shared>) {
        let count = self.waiting.get().min(connection.limit());
        let streams = (0..count).map(|_| connection.open()).collect();
        self.end(Outcome::Streams(streams));
    }

    /// It is over.
    pub(super) fn end(&self, outcome: Outcome) {
        *self.outcome.borrow_mut() = Some(outcome);
        self.done.notify_waiters();
    }

    /// Waits for its end, and takes a stream: `None` if there is none left, or never was.
    pub(super) async fn wait(&self) -> Result<Option<Stream>, ConnectError> {
        loop {
            match &mut *self.outcome.borrow_mut() {
                Some(Outcome::Streams(streams)) => return Ok(streams.pop()),
                Some(Outcome::Http1) => return Ok(None),
                Some(Outcome::Failed(error)) => {
                    return Err(ConnectError::Shared(Arc::clone(error)));
                }
                None => {}
            }
            // Nothing can happen between the look above and this.
            self.done.notified().await;
        }
    }
}
