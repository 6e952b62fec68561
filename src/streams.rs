//! Streams that outlive the configuration under which they began: each is asked once a second
//! whether its request would still be let through.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use http::{Method, Uri};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::auth::{AuthError, Policy, Principal};
use crate::snapshot::{Plugin, Snapshot};
use crate::tokens::{Call, Ended, TokenTable};

/// The streams of one worker.
#[derive(Debug, Default)]
pub struct Streams(RefCell<Vec<Weak<Stream>>>);

/// One stream: who has it, and for what.
#[derive(Debug)]
pub struct Stream {
    plugin: Arc<str>,
    method: Method,
    target: Uri,
    principal: Principal,
    /// The operation, and the generation in which it was.
    call: Cell<(u64, Call)>,
    cut: CancellationToken,
    reason: Cell<&'static str>,
}

impl Streams {
    /// A stream begins: it is asked after until it is dropped.
    pub fn begin(
        &self,
        plugin: &Plugin,
        (method, target): (&Method, &Uri),
        principal: &Principal,
        call: (u64, Call),
    ) -> Rc<Stream> {
        let stream = Rc::new(Stream {
            plugin: Arc::clone(&plugin.name),
            method: method.clone(),
            target: target.clone(),
            principal: principal.clone(),
            call: Cell::new(call),
            cut: CancellationToken::new(),
            reason: Cell::new(""),
        });
        self.0.borrow_mut().push(Rc::downgrade(&stream));
        stream
    }

    /// Cuts those that would be refused now. Called once a second.
    pub fn check(&self, snapshot: &Snapshot, tokens: &TokenTable, now: Timestamp) {
        self.0.borrow_mut().retain(|stream| {
            let Some(stream) = stream.upgrade() else {
                return false;
            };
            let Err(reason) = stream.may_go_on(snapshot, tokens, now) else {
                return true;
            };
            stream.reason.set(reason);
            stream.cut.cancel();
            false
        });
    }
}

impl Stream {
    /// Cancelled when the stream has to end.
    pub fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// Why it has to, in a word for log and metrics.
    pub fn reason(&self) -> &'static str {
        self.reason.get()
    }

    /// Otherwise the reason.
    fn may_go_on(
        &self,
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
        let (generation, mut call) = self.call.get();
        if generation != snapshot.generation {
            call = self.call_in(plugin).ok_or("operation")?;
            self.call.set((snapshot.generation, call));
        }
        let allowed = plugin.policy.authorize(&principal, &plugin.scopes, call);
        allowed.map_err(|_| "forbidden")
    }

    /// Which operation its request would be now.
    fn call_in(&self, plugin: &Plugin) -> Option<Call> {
        let (path, query) = (self.target.path(), self.target.query());
        match plugin.router.find(&self.method, path, query) {
            Ok(found) => Some(Call::Operation(found.operation)),
            Err(_) => plugin.forward_unpublished.then_some(Call::Unpublished),
        }
    }
}
