//! Workers: threads with a runtime each, and how connections reach them.
//!
//! One worker accepts for a listener and hands each socket to the worker with the fewest open
//! connections, itself first among equals: sockets queue in one place (nothing is lost when a
//! worker is busy or a listener goes), and few connections spread evenly.

use std::cell::{Cell, OnceCell};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use super::accept::{Counted, LOOK, Vacancy, at_once, is_connection_fault, queued, spare};
use super::connection;
use super::drain::Drain;
use super::linger::{Lingering, Socket, linger};
use super::listener::{Bound, Kind};
use super::networks::{Held, Networks};
use super::{Event, Handler, entrance};

/// Names a listener among those that are open.
pub type ListenerId = (Kind, SocketAddr);

/// A listener as its accept loop and its connections share it.
#[derive(Debug)]
struct Listener {
    kind: Kind,
    /// As configured.
    asked: SocketAddr,
    /// Cancelled when the listener goes.
    stop: CancellationToken,
    /// Connections that it accepted and that are open.
    open: AtomicUsize,
    /// Set when the accept loop has ended and the socket is closed.
    closed: AtomicBool,
}

enum Command<R> {
    /// Accept from it, on this worker.
    Listen(Arc<Listener>, TcpListener),
    /// Serve it, on this worker.
    Serve(Accepted<R>),
    /// Tell what was counted.
    Report(oneshot::Sender<R>),
    /// Let go of memory that is free.
    LetGo(oneshot::Sender<()>),
    /// End: no further connection comes; those that are open have until the token is cancelled.
    Drain(oneshot::Sender<()>),
}

struct Accepted<R> {
    stream: std::net::TcpStream,
    remote: SocketAddr,
    open: Open<R>,
}

/// How a worker is reached, and how busy it is.
struct Post<R> {
    commands: UnboundedSender<Command<R>>,
    connections: AtomicUsize,
    /// A connection or an accept loop ended.
    quiet: Notify,
}

/// What all workers share.
struct Shared<R> {
    posts: Vec<Post<R>>,
    /// Open connections of all.
    open: AtomicUsize,
    /// `limits.connections`.
    limit: AtomicUsize,
    /// Open connections by network.
    networks: Arc<Networks>,
    /// Cancelled when the process drains.
    drain: Drain,
    /// Cancelled when the deadline of the drain has passed.
    abort: CancellationToken,
}

/// The workers and their listeners, held by control.
pub struct Workers<R: Send + 'static> {
    shared: Arc<Shared<R>>,
    threads: Vec<JoinHandle<()>>,
    listeners: Vec<(ListenerId, SocketAddr, Arc<Listener>)>,
    next: usize,
}

impl<R: Send + 'static> std::fmt::Debug for Workers<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers")
            .field("threads", &self.threads.len())
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}

impl<R: Send + 'static> Workers<R> {
    /// Starts `count` threads, for so many connections and so many of one network. `make` is called
    /// on each, with its number.
    pub fn start<H, F>(count: usize, limits: (usize, usize), make: F) -> std::io::Result<Self>
    where
        H: Handler<Report = R>,
        F: Fn(usize) -> H + Send + Clone + 'static,
    {
        let (posts, receivers): (Vec<_>, Vec<_>) = (0..count.max(1))
            .map(|_| {
                let (commands, receiver) = unbounded_channel();
                (
                    Post {
                        commands,
                        connections: AtomicUsize::new(0),
                        quiet: Notify::new(),
                    },
                    receiver,
                )
            })
            .unzip();
        let shared = Arc::new(Shared {
            posts,
            open: AtomicUsize::new(0),
            limit: AtomicUsize::new(limits.0),
            networks: Arc::new(Networks::new(limits.1)),
            drain: Drain::default(),
            abort: CancellationToken::new(),
        });
        let mut threads = Vec::new();
        for (index, receiver) in receivers.into_iter().enumerate() {
            let (shared, make) = (Arc::clone(&shared), make.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            threads.push(
                std::thread::Builder::new()
                    .name(format!("worker-{index}"))
                    .spawn(move || {
                        let set = LocalSet::new();
                        let worker = Rc::new(Worker {
                            index,
                            handler: Rc::new(make(index)),
                            shared,
                        });
                        set.block_on(&runtime, worker.run(receiver));
                    })?,
            );
        }
        Ok(Self {
            shared,
            threads,
            listeners: Vec::new(),
            next: 0,
        })
    }

    /// Begins to accept. Called for a listener that is new; others are left alone.
    pub fn listen(&mut self, bound: Bound) {
        let listener = Arc::new(Listener {
            kind: bound.kind,
            asked: bound.asked,
            stop: self.shared.drain.child(),
            open: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        self.listeners.push((
            (bound.kind, bound.asked),
            bound.address,
            Arc::clone(&listener),
        ));
        let post = &self.shared.posts[self.next % self.shared.posts.len()];
        self.next += 1;
        let _ = post.commands.send(Command::Listen(listener, bound.socket));
    }

    /// Stops to accept from a listener, after what is queued. Its connections go on.
    pub fn unlisten(&mut self, id: ListenerId) {
        self.listeners.retain(|(other, _, listener)| {
            let keep = *other != id;
            if !keep {
                listener.stop.cancel();
            }
            keep
        });
    }

    /// The listeners that are open: as asked for, and the address that each really has.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, SocketAddr, usize)> {
        self.listeners
            .iter()
            .map(|(id, address, listener)| (*id, *address, listener.open.load(Relaxed)))
    }

    /// Worker threads.
    pub fn count(&self) -> usize {
        self.shared.posts.len()
    }

    /// Sets how many connections there may be, and how many of one network whatever
    /// [`Limits::connections_per_network`](crate::config::Limits::connections_per_network) says.
    pub fn limit_connections(&self, connections: usize, per_network: usize) {
        self.shared.limit.store(connections, Relaxed);
        self.shared.networks.resize(per_network);
    }

    /// What each worker has counted; a worker that is too busy to answer in time is left out.
    pub async fn reports(&self, patience: Duration) -> Vec<R> {
        let asked: Vec<_> = self
            .shared
            .posts
            .iter()
            .map(|post| {
                let (answer, receiver) = oneshot::channel();
                let _ = post.commands.send(Command::Report(answer));
                receiver
            })
            .collect();
        let deadline = tokio::time::Instant::now() + patience;
        let mut reports = Vec::new();
        for receiver in asked {
            if let Ok(Ok(report)) = tokio::time::timeout_at(deadline, receiver).await {
                reports.push(report);
            }
        }
        reports
    }

    /// How they are told to rest, also by who does not hold them.
    pub fn resting(&self) -> Resting<R> {
        Resting(Arc::clone(&self.shared))
    }

    /// Stops to accept and waits for what is under way, no longer than `deadline`. True when all
    /// of it ended by itself.
    pub async fn drain(self, deadline: Duration) -> bool {
        self.shared.drain.begin();
        let ends: Vec<_> = self
            .shared
            .posts
            .iter()
            .map(|post| {
                let (done, receiver) = oneshot::channel();
                let _ = post.commands.send(Command::Drain(done));
                receiver
            })
            .collect();
        let all = async {
            for end in ends {
                let _ = end.await;
            }
        };
        let clean = tokio::time::timeout(deadline, all).await.is_ok();
        self.shared.abort.cancel();
        let threads = self.threads;
        let _ = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        })
        .await;
        clean
    }
}

/// For when nothing is done.
pub struct Resting<R>(Arc<Shared<R>>);

impl<R> std::fmt::Debug for Resting<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Resting").finish_non_exhaustive()
    }
}

impl<R> Resting<R> {
    /// Has each worker give back the memory that it holds and does not use. Returns when they have.
    pub async fn let_go(&self) {
        for post in &self.0.posts {
            let (done, gone) = oneshot::channel();
            let _ = post.commands.send(Command::LetGo(done));
            // Its worker may have ended.
            let _ = gone.await;
        }
    }
}

/// One worker, on its thread.
struct Worker<H: Handler> {
    index: usize,
    handler: Rc<H>,
    shared: Arc<Shared<H::Report>>,
}

impl<H: Handler> Worker<H> {
    async fn run(self: Rc<Self>, mut commands: UnboundedReceiver<Command<H::Report>>) {
        let (lingering, mut left) = unbounded_channel();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut drained: Vec<oneshot::Sender<()>> = Vec::new();
        let loops = Rc::new(Cell::new(0_usize));
        loop {
            if !drained.is_empty() && self.post().connections.load(Relaxed) == 0 && loops.get() == 0
            {
                drained.drain(..).for_each(|done| _ = done.send(()));
            }
            tokio::select! {
                () = self.shared.abort.cancelled() => return,
                () = self.post().quiet.notified(), if !drained.is_empty() => {}
                _ = tick.tick() => self.handler.tick(),
                Some(stream) = left.recv() => { tokio::task::spawn_local(linger(stream)); }
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Serve(Accepted { stream, remote, open })) => {
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            self.serve(stream, remote, open, &lingering);
                        }
                    }
                    Some(Command::Report(answer)) => drop(answer.send(self.handler.report())),
                    Some(Command::LetGo(done)) => {
                        plugway_heap::let_go_of_free();
                        let _ = done.send(());
                    }
                    Some(Command::Drain(done)) => drained.push(done),
                    Some(Command::Listen(listener, socket)) => {
                        loops.set(loops.get() + 1);
                        let (worker, lingering, loops) = (Rc::clone(&self), lingering.clone(), Rc::clone(&loops));
                        tokio::task::spawn_local(async move {
                            worker.accept(&listener, socket, &lingering).await;
                            listener.closed.store(true, Relaxed);
                            loops.set(loops.get() - 1);
                            worker.post().quiet.notify_one();
                        });
                    }
                },
            }
        }
    }

    fn post(&self) -> &Post<H::Report> {
        &self.shared.posts[self.index]
    }

    /// Accepts until the listener is stopped, and then what is still queued.
    async fn accept(
        &self,
        listener: &Arc<Listener>,
        socket: TcpListener,
        lingering: &UnboundedSender<Lingering>,
    ) {
        let socket = match tokio::net::TcpListener::from_std(socket) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "a listener can not be watched"),
        };
        // Given up for a moment when descriptors run out, so that a waiting connection can be
        // taken and closed instead of spinning on it (tokio#3529).
        let mut reserve = spare();
        let mut room = Vacancy::new(&self.shared.open, &self.shared.limit);
        loop {
            let has_room = room.is_there(&listener.stop).await;
            let accepted = tokio::select! {
                biased;
                () = listener.stop.cancelled() => break,
                accepted = socket.accept() => accepted,
                () = tokio::time::sleep(LOOK), if !has_room => continue,
            };
            match accepted {
                // Another listener may have taken it meanwhile.
                Ok((stream, _)) if !has_room || !room.is_there(&listener.stop).await => {
                    let (handler, kind) = (&*self.handler, listener.kind);
                    entrance::turn_away(handler, Some(&stream), kind, Event::Full);
                }
                Ok((stream, remote)) => self.place(stream, remote, listener, lingering),
                Err(error) if is_connection_fault(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "accept");
                    drop(reserve.take());
                    let _ = at_once(&socket).await;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    reserve = spare();
                }
            }
        }
        // What is queued was promised an answer: closing the socket would reset it.
        for (stream, remote) in socket.into_std().into_iter().flat_map(queued) {
            self.place(stream, remote, listener, lingering);
        }
    }

    /// Gives a socket to the worker with the fewest connections.
    fn place(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        listener: &Arc<Listener>,
        lingering: &UnboundedSender<Lingering>,
    ) {
        let settings = self.handler.settings();
        let held = match entrance::admit(&settings, &self.shared.networks, remote) {
            Ok(held) => held,
            Err(event) => {
                return entrance::turn_away(&*self.handler, Some(&stream), listener.kind, event);
            }
        };
        self.shared.open.fetch_add(1, Relaxed);
        listener.open.fetch_add(1, Relaxed);
        let listener = Arc::clone(listener);
        let load = |index: usize| self.shared.posts[index].connections.load(Relaxed);
        let least =
            (0..self.shared.posts.len()).min_by_key(|index| (load(*index), *index != self.index));
        let target = least.unwrap_or(self.index);
        self.shared.posts[target].connections.fetch_add(1, Relaxed);
        let open = Open {
            shared: Arc::clone(&self.shared),
            index: target,
            listener,
            _held: held,
        };
        if target == self.index {
            return self.serve(stream, remote, open, lingering);
        }
        // A client that is gone before it is served is counted out when `open` is dropped; so is
        // one whose worker is gone.
        if let Ok(stream) = stream.into_std() {
            let _ = self.shared.posts[target]
                .commands
                .send(Command::Serve(Accepted {
                    stream,
                    remote,
                    open,
                }));
        }
    }

    fn serve(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        open: Open<H::Report>,
        lingering: &UnboundedSender<Lingering>,
    ) {
        let prepared = stream.set_nodelay(true).and_then(|()| stream.local_addr());
        let Ok(local) = prepared else { return };
        crate::congestion::suit(&stream, remote.ip());
        let listener = Arc::clone(&open.listener);
        let (handler, drain) = (Rc::clone(&self.handler), self.shared.drain.clone());
        let networks = Arc::clone(&self.shared.networks);
        // Also while it lingers, when this is over.
        let open = Arc::new(open);
        let socket = Socket::new(stream, open, lingering.clone());
        let counted = Counted::begin(&handler, (listener.kind, listener.asked));
        let task = Rc::new(OnceCell::new());
        let own = Rc::clone(&task);
        let spawned = tokio::task::spawn_local(async move {
            let (kind, ends) = (listener.kind, (remote, local));
            let known = entrance::identify(&*handler, &networks, kind, socket, ends).await;
            if let Some((socket, ends)) = known {
                connection::serve(handler, kind, socket, ends, (drain, own)).await;
            }
            drop(counted);
        });
        let _ = task.set(spawned.abort_handle());
    }
}

/// Counts a connection until it is dropped, wherever it is by then, also by a panic.
struct Open<R> {
    shared: Arc<Shared<R>>,
    index: usize,
    listener: Arc<Listener>,
    /// Its network's count.
    _held: Option<Held>,
}

impl<R> Drop for Open<R> {
    fn drop(&mut self) {
        self.shared.open.fetch_sub(1, Relaxed);
        self.listener.open.fetch_sub(1, Relaxed);
        self.shared.posts[self.index]
            .connections
            .fetch_sub(1, Relaxed);
        self.shared.posts[self.index].quiet.notify_one();
    }
}
