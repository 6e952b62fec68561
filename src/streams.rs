//! Requests that reach the upstream, for as long as they last: each is asked once a second whether
//! it would still be let through, once its head is out or while its body goes up.
//!
//! What lasts outlives the configuration under which it began, so nothing of that is kept.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, Method, Uri, header};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::auth::{AuthError, Policy, Principal};
use crate::body::Upload;
use crate::server::Cut;
use crate::snapshot::{Other, Plugin, Snapshot};
use crate::tokens::{Call, Ended, TokenTable};

/// The streams of one worker. A short response is one as well: it takes a place that is there
/// already and gives it back, which costs neither a lock nor an allocation.
#[derive(Debug, Default)]
pub struct Streams(RefCell<Places>);

#[derive(Debug, Default)]
struct Places {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
}

/// A place among the [`Streams`], left when it is dropped.
#[derive(Debug)]
pub struct Stream {
    streams: Rc<Streams>,
    place: usize,
}

/// What a stream is by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no head of a response yet: the body of the request may be on its way.
    Asked,
    /// A response body.
    Body,
    /// `text/event-stream`
    EventStream,
    /// Another protocol.
    Upgrade,
}

impl Kind {
    /// That of a response whose body is the upstream's.
    pub fn of(headers: &HeaderMap) -> Self {
        const EVENTS: &[u8] = b"text/event-stream";
        let media = headers.get(header::CONTENT_TYPE);
        let start = media.and_then(|media| media.as_bytes().get(..EVENTS.len()));
        match start {
            Some(start) if start.eq_ignore_ascii_case(EVENTS) => Self::EventStream,
            _ => Self::Body,
        }
    }
}

/// One stream: who has it, and for what.
#[derive(Debug)]
struct Entry {
    plugin: Arc<str>,
    method: Method,
    target: Uri,
    principal: Principal,
    /// Where it came from.
    client: IpAddr,
    /// The generation in which it was found to be an operation, which, and what it may be as well
    /// at the upstream.
    call: (u64, Call, Box<[Other]>),
    upload: Rc<Upload>,
    kind: Kind,
    blade: Blade,
    /// Why it was cut.
    reason: Option<&'static str>,
}

/// What cuts it.
#[derive(Debug)]
enum Blade {
    Exchange(Cut),
    Tunnel(CancellationToken),
}

impl Streams {
    /// A request is about to be sent.
    pub fn begin(
        self: &Rc<Self>,
        plugin: &Plugin,
        (method, target): (&Method, &Uri),
        (principal, client): (&Principal, IpAddr),
        call: (u64, Call, Box<[Other]>),
        (upload, cut): (Rc<Upload>, Cut),
    ) -> Stream {
        let entry = Some(Entry {
            plugin: Arc::clone(&plugin.name),
            method: method.clone(),
            target: target.clone(),
            principal: principal.clone(),
            client,
            call,
            upload,
            kind: Kind::Asked,
            blade: Blade::Exchange(cut),
            reason: None,
        });
        let mut places = self.0.borrow_mut();
        let place = if let Some(place) = places.free.pop() {
            places.entries[place] = entry;
            place
        } else {
            places.entries.push(entry);
            places.entries.len() - 1
        };
        Stream {
            streams: Rc::clone(self),
            place,
        }
    }

    /// Cuts those that would be refused now. Called once a second.
    pub fn check(&self, snapshot: &Snapshot, tokens: &TokenTable, now: Timestamp) {
        for entry in self.0.borrow_mut().entries.iter_mut().flatten() {
            if entry.word().is_none() || entry.reason.is_some() {
                continue;
            }
            let Err(reason) = entry.may_go_on(snapshot, tokens, now) else {
                continue;
            };
            entry.reason = Some(reason);
            match &entry.blade {
                Blade::Exchange(cut) => cut.now(),
                Blade::Tunnel(cut) => cut.cancel(),
            }
        }
    }

    /// Tells the kind of each, in a word for metrics.
    pub fn count(&self, tell: impl FnMut(&'static str)) {
        let places = self.0.borrow();
        let entries = places.entries.iter().flatten();
        entries.filter_map(Entry::word).for_each(tell);
    }
}

impl Stream {
    /// The head of a response is there.
    pub fn becomes(&self, kind: Kind) {
        self.change(|entry| entry.kind = kind);
    }

    /// The connection speaks another protocol from now on. What is given is cancelled when it
    /// has to end.
    pub fn switches(&self) -> CancellationToken {
        let cut = CancellationToken::new();
        self.change(|entry| {
            entry.kind = Kind::Upgrade;
            entry.blade = Blade::Tunnel(cut.clone());
        });
        cut
    }

    /// Why it was cut, in a word for log and metrics.
    pub fn reason(&self) -> Option<&'static str> {
        let places = self.streams.0.borrow();
        places.entries[self.place].as_ref()?.reason
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = &mut self.streams.0.borrow_mut().entries[self.place] {
            change(entry);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut places = self.streams.0.borrow_mut();
        let entry = places.entries[self.place].take();
        places.free.push(self.place);
        drop(places);
        drop(entry);
    }
}

impl Entry {
    /// What it is, in a word; `None`: nothing that lasts. A request that was sent whole gets its
    /// answer.
    fn word(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Asked => (!self.upload.ended()).then_some("upload"),
            Kind::Body => Some("body"),
            Kind::EventStream => Some("event_stream"),
            Kind::Upgrade => Some("upgrade"),
        }
    }

    /// Otherwise the reason.
    fn may_go_on(
        &mut self,
        snapshot: &Snapshot,
        tokens: &TokenTable,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        let mut plugins = snapshot.plugins.iter();
        let plugin = plugins.find(|plugin| plugin.name == self.plugin);
        let plugin = plugin.ok_or("plugin")?;
        let principal =
            Policy::again(&self.principal, tokens, now).map_err(|error| match error {
                AuthError::Ended(Ended::Expired(_) | Ended::Replaced(_)) => "expired",
                _ => "revoked",
            })?;
        if self.call.0 != snapshot.generation {
            let (call, others) = self.call_in(plugin).ok_or("operation")?;
            self.call = (snapshot.generation, call, others);
        }
        let (_, call, others) = &self.call;
        let (policy, scopes) = (&plugin.policy, &plugin.scopes);
        let allows = |call| {
            let allowed = policy.authorize(&principal, scopes, call, self.client);
            allowed.is_ok()
        };
        let doubtful = match call {
            Call::Operation(found) => plugin.doubt(*found, others, allows).is_some(),
            Call::Unpublished => false,
        };
        if doubtful || !allows(*call) {
            return Err("forbidden");
        }
        Ok(())
    }

    /// Which operation its request would be now.
    fn call_in(&self, plugin: &Plugin) -> Option<(Call, Box<[Other]>)> {
        let (path, query) = (self.target.path(), self.target.query());
        if let Ok(found) = plugin.router.find(&self.method, path, query) {
            return Some((Call::Operation(found.operation), found.others));
        }
        let unpublished = (Call::Unpublished, Box::default());
        plugin.forward_unpublished.then_some(unpublished)
    }
}
