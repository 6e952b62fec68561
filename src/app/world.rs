//! The real edges, as control sees them.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::capacity::{Bounds, Capacity};
use super::trial;
use crate::access;
use crate::admin;
use crate::config::{Limits, ListenerKind, Log, Rate};
use crate::control::{
    Connections, Edges, Fetched, Fetching, Listening, Order, Shared, Trial, Tried, Trying,
};
use crate::network::Network;
use crate::server::{self, Handed, ListenerId, Passed, Resting, UnixName, Workers};
use crate::telemetry::Counters;
use crate::tokens::{Fingerprint, Level, Status, Who};
use crate::upstream;

/// How long a worker may take to tell what it counted.
const REPORT: Duration = Duration::from_millis(500);

/// The real edges.
pub(super) struct World {
    pub(super) workers: Option<Workers<Counters>>,
    /// Bound before there were workers.
    pub(super) early: Vec<server::Bound>,
    /// Listeners of control itself: as asked and as bound.
    pub(super) own: Vec<(ListenerKind, SocketAddr, SocketAddr, CancellationToken)>,
    /// Sockets that were there before us.
    pub(super) handed: Handed,
    /// What is listened on once more, with its address: for another kind of listener that gets the
    /// same address, and for a successor.
    pub(super) copies: Vec<(ListenerId, SocketAddr, TcpListener)>,
    /// The admin socket's name, and what ends it.
    pub(super) admin: Option<(UnixName, CancellationToken)>,
    /// Unix sockets of a predecessor, by their identity: their names may be taken.
    pub(super) succeeded: Vec<(u64, u64)>,
    pub(super) access: access::Writer,
    pub(super) commands: admin::Commands,
    pub(super) log: Rc<dyn Fn(Log)>,
    pub(super) bounds: Bounds,
    pub(super) stop: CancellationToken,
    pub(super) shared: Arc<Shared>,
    /// How the admin API speaks TLS.
    pub(super) tls: Arc<Mutex<Option<Arc<rustls::ServerConfig>>>>,
    /// `limits.failed_auth` as it holds now, for who speaks to control itself.
    pub(super) failed_auth: Arc<Mutex<Option<Rate>>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl World {
    pub(super) fn begin(&mut self, mut workers: Workers<Counters>) {
        for bound in self.early.drain(..) {
            workers.listen(bound);
        }
        self.workers = Some(workers);
    }

    /// Everything listens: closes what came from outside and is not used.
    pub(super) fn settle(&mut self) {
        for unused in self.handed.settle() {
            tracing::warn!("a socket that was handed over is closed: {unused}");
        }
    }

    /// Where the admin socket is.
    pub(super) fn admin(&self) -> PathBuf {
        let path = self.admin.as_ref().map(|(name, _)| name.path().to_owned());
        path.unwrap_or_default()
    }

    /// Answers commands there, and no longer where they were answered before. What was asked there
    /// is answered yet.
    fn open_admin(&mut self, listener: UnixListener, name: UnixName) {
        let stop = self.stop.child_token();
        let (commands, ended) = (self.commands.clone(), stop.clone().cancelled_owned());
        if let Some((_, before)) = self.admin.replace((name, stop)) {
            before.cancel();
        }
        tokio::task::spawn_local(async move {
            if let Err(error) = admin::serve(listener, commands, ended).await {
                tracing::error!(%error, "the admin socket");
            }
        });
    }

    pub(super) fn end(&mut self) -> Option<Workers<Counters>> {
        // Before the workers close theirs: who is queued in a socket that is closed to the last
        // copy is reset, so that the last has to be that which takes the queue.
        self.copies.clear();
        self.handed.close();
        self.workers.take()
    }

    /// Copies of what listens, for a successor.
    pub(super) fn passed(&self) -> Vec<Passed> {
        let copies = self.copies.iter();
        let passed = copies.filter_map(|(listener, address, socket)| {
            Some(Passed {
                listener: *listener,
                kept: self.handed.keeps(*address),
                socket: socket.try_clone().ok()?,
            })
        });
        passed.collect()
    }

    /// How many connections there may be with these limits.
    pub(super) fn capacity(&self, limits: &Limits) -> Capacity {
        self.bounds.capacity(limits)
    }

    pub(super) fn resting(&self) -> Option<Resting<Counters>> {
        self.workers.as_ref().map(Workers::resting)
    }

    pub(super) async fn reports(&self) -> Vec<Counters> {
        match &self.workers {
            Some(workers) => workers.reports(REPORT).await,
            None => Vec::new(),
        }
    }
}

/// A socket that nobody accepts from yet.
pub(super) enum Bound {
    Tcp(server::Bound),
    Admin(UnixListener, UnixName),
}

impl Edges for World {
    type Bound = Bound;

    fn bind(
        &self,
        kind: ListenerKind,
        address: SocketAddr,
        leaving: &[(ListenerKind, SocketAddr)],
    ) -> Result<Bound, String> {
        let bound = self.handed.adopt(kind, address).unwrap_or_else(|| {
            let copies = self.copies.iter();
            // What somebody else has too does not leave: who connects there would wait for ever.
            let leaving: Vec<_> = copies
                .filter(|(id, known, _)| leaving.contains(id) && !self.handed.keeps(*known))
                .map(|(.., socket)| socket)
                .collect();
            server::bind(kind, address, &leaving)
        });
        bound.map(Bound::Tcp).map_err(|error| error.to_string())
    }

    fn bind_admin(&self, path: &Path) -> Result<Option<Bound>, String> {
        // Another way to write the same is no change.
        if self
            .admin
            .as_ref()
            .is_some_and(|(name, _)| name.is_at(path))
        {
            return Ok(None);
        }
        let bound = server::bind_unix(path, &self.succeeded).map_err(|error| error.to_string());
        bound.map(|(listener, name)| Some(Bound::Admin(listener, name)))
    }

    fn listen(&mut self, bound: Bound) {
        let bound = match bound {
            Bound::Tcp(bound) => bound,
            Bound::Admin(listener, name) => return self.open_admin(listener, name),
        };
        match bound.socket.try_clone() {
            Ok(copy) => {
                let listener = (bound.kind, bound.asked);
                self.copies.push((listener, bound.address, copy));
            }
            Err(error) => tracing::warn!(%error, "a successor will not get {}", bound.address),
        }
        if is_own(bound.kind) {
            let stop = self.stop.child_token();
            let (kind, asked, address) = (bound.kind, bound.asked, bound.address);
            self.own.push((kind, asked, address, stop.clone()));
            let commands = self.commands.clone();
            let authenticate = authenticate(&self.shared, &self.failed_auth);
            let tls = Arc::clone(&self.tls);
            let clear = bound.asked.ip().is_loopback();
            tokio::task::spawn_local(async move {
                let stop = stop.cancelled_owned();
                let served = if kind == ListenerKind::Admin && clear {
                    admin::serve_tcp(bound.socket, commands, authenticate, stop).await
                } else if kind == ListenerKind::Admin {
                    let tls = move || locked(&tls).clone();
                    admin::serve_tls(bound.socket, commands, (authenticate, tls), stop).await
                } else {
                    admin::serve_metrics(bound.socket, commands, stop).await
                };
                if let Err(error) = served {
                    tracing::error!(%error, "the {} listener", kind.name());
                }
            });
            return;
        }
        match &mut self.workers {
            Some(workers) => workers.listen(bound),
            None => self.early.push(bound),
        }
    }

    fn unlisten(&mut self, kind: ListenerKind, asked: SocketAddr) {
        self.copies.retain(|(id, ..)| *id != (kind, asked));
        if is_own(kind) {
            self.own.retain(|(other, address, _, stop)| {
                let keep = (*other, *address) != (kind, asked);
                if !keep {
                    stop.cancel();
                }
                keep
            });
        } else if let Some(workers) = &mut self.workers {
            workers.unlisten((kind, asked));
        }
    }

    fn listening(&self) -> Vec<Listening> {
        let early = self.early.iter().map(|bound| Listening {
            kind: bound.kind,
            asked: bound.asked,
            address: bound.address,
            connections: 0,
        });
        let own = self.own.iter().map(|(kind, asked, address, _)| Listening {
            kind: *kind,
            asked: *asked,
            address: *address,
            connections: 0,
        });
        let workers = self.workers.iter().flat_map(|workers| {
            workers
                .listeners()
                .map(|((kind, asked), address, connections)| Listening {
                    kind,
                    asked,
                    address,
                    connections,
                })
        });
        early.chain(workers).chain(own).collect()
    }

    fn configure(&self, limits: &Limits, log: Log, tls: Option<Arc<rustls::ServerConfig>>) {
        *locked(&self.tls) = tls.map(|tls| admin::tls(&tls));
        (self.log)(log);
        self.access.configure(log);
        *locked(&self.failed_auth) = limits.failed_auth;
        let capacity = self.bounds.configure(limits);
        if let Some(workers) = &self.workers {
            workers.limit_connections(capacity.connections, capacity.per_network);
        }
    }

    fn connections(&self, limits: &Limits) -> Connections {
        let capacity = self.capacity(limits);
        Connections {
            most: capacity.connections,
            per_network: capacity.per_network,
            upstream: self.bounds.room.taken(),
        }
    }

    fn log_as(&self, log: Log) {
        (self.log)(log);
    }

    fn fetch(&self, order: Order) -> Fetching {
        Box::pin(async move {
            let fetched = upstream::fetch(
                &order.targets,
                &order.path,
                &order.headers,
                order.limit,
                order.patience,
            )
            .await;
            match fetched {
                Ok(upstream::Fetched::New {
                    bytes,
                    etag,
                    modified,
                }) => Ok(Fetched::New {
                    bytes: bytes.to_vec(),
                    etag,
                    modified,
                }),
                Ok(upstream::Fetched::Unchanged) => Ok(Fetched::Unchanged),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn try_requests(&self, trial: &Trial) -> Vec<Result<Tried, String>> {
        trial::at_once(trial)
    }

    fn try_upstream(&self, trial: Trial) -> Trying {
        Box::pin(trial::upstream(trial))
    }
}

/// Whether control itself listens, and not the workers.
fn is_own(kind: ListenerKind) -> bool {
    matches!(kind, ListenerKind::Metrics | ListenerKind::Admin)
}

/// One that panicked with it left a rate all the same.
fn locked<T>(rate: &Mutex<T>) -> MutexGuard<'_, T> {
    rate.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who holds a secret, for the admin API over TCP: as seen from the address that it connects from,
/// since no proxy is believed there. Wrong ones are counted with those of the data path; a right one
/// is never refused for them.
fn authenticate(shared: &Arc<Shared>, rate: &Arc<Mutex<Option<Rate>>>) -> admin::Authenticate {
    let (shared, rate) = (Arc::clone(shared), Arc::clone(rate));
    Arc::new(move |secret, from| {
        admin_of(&shared, secret, from).map_err(|reason| {
            let rate = *locked(&rate);
            let network = Network::of(from);
            let count = |rate| shared.failures.count(network, rate, Instant::now());
            match rate.map(count) {
                Some(Err(wait)) => admin::NotAdmin::TooMany {
                    seconds: wait.as_secs() + 1,
                },
                _ => admin::NotAdmin::Refused(reason),
            }
        })
    })
}

/// The admin that a secret belongs to, or why it is none.
fn admin_of(shared: &Shared, secret: &[u8], from: IpAddr) -> Result<Who, String> {
    let now = jiff::Timestamp::now();
    let token = shared.tokens.get(&Fingerprint::of(secret));
    let token = token.ok_or("The token is not known.")?;
    match (token.status(now), token.level) {
        (Status::Ended(reason), _) => Err(format!("The token is not valid: {reason}.")),
        (Status::Live, Level::Admin) => {
            let limits = token.limits.as_ref();
            if limits.is_some_and(|limits| !limits.admit(from)) {
                return Err("The token is not for use from this network.".to_owned());
            }
            if token.shared.used(token.slot, now, Network::of(from)) {
                let _ = shared.uses.send(vec![Arc::clone(&token)]);
            }
            Ok(Who {
                by: Arc::clone(&token.id),
                plugins: token.plugins.clone(),
            })
        }
        (Status::Live, Level::Service | Level::User) => Err(
            "This is no admin token: `plugway token create --level admin` makes one.".to_owned(),
        ),
    }
}
