//! The composition: makes the parts, hands the edges each other's functions, runs and ends them.

mod answers;
mod attempts;
mod behind;
mod capacity;
mod handover;
mod leaving;
mod notify;
mod program;
mod rehearsal;
mod rest;
mod signals;
mod trial;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Signal;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::access;
use crate::admin;
use crate::config::LogFormat;
use crate::control::{
    Control, Delivery, Edges, Foresight, Listening, OnInvalid, Outcome, Platform, Shared, Source,
    Stage, Trigger, Watch,
};
use crate::gateway::Gateway;
use crate::problems::Problems;
use crate::server::{Handed, UnixName, Workers};
use crate::telemetry::Counters;
use crate::tokens::Token;
use crate::upstream;
use attempts::Waiting;
use behind::{Behind, Event, event};
pub use behind::{InFront, Search};
use capacity::Bounds;
use leaving::Leave;
use notify::Notify;
pub use program::BECOME;
pub use rehearsal::rehearse;
use rest::Rest;
use signals::Signals;
use world::World;

/// What was started, for whoever announces it.
#[derive(Debug)]
pub struct Started {
    /// Listeners with the addresses that were really bound.
    pub listeners: Vec<Listening>,
    /// Plugins.
    pub plugins: Vec<StartedPlugin>,
    /// The admin socket.
    pub admin: PathBuf,
    /// Warnings of the configuration.
    pub warnings: Problems,
    /// What is refused, and what serves in its place: included files, or all of it.
    pub pending: Option<serde_json::Value>,
    /// `log.format`
    pub format: LogFormat,
}

/// A plugin that was started.
#[derive(Debug)]
pub struct StartedPlugin {
    /// Its name for the model.
    pub name: String,
    /// Its name for humans, or the same.
    pub title: String,
    /// `public_url`
    pub public_url: Option<String>,
    /// Published operations.
    pub operations: usize,
    /// How many lines of each kind its load report has.
    pub report: String,
    /// A path that can be tried with GET.
    pub example: Option<String>,
    /// Why it can not serve yet.
    pub unavailable: Option<String>,
}

/// How to start.
#[derive(Debug)]
pub struct Start {
    /// The program that is to be started too.
    pub program: Option<InFront>,
    /// What to serve.
    pub source: Source,
    /// What is done when it is broken.
    pub on_invalid: OnInvalid,
    /// Also when a plugin is guarded less than in the process before.
    pub weaker: bool,
    /// Take over from the gateway that runs on the same state directory.
    pub take_over: bool,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error("the configuration is refused")]
    Configuration(Problems),
    /// An address can not be listened on: which, and why.
    #[error("{0}")]
    Bind(String),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Serves until a signal, a successor or the end of its program ends the process. `announce` is
/// called when everything listens; with a program, when that answers too. Gives the exit code of
/// the program.
pub fn run(mut start: Start, announce: impl FnOnce(&Started)) -> Result<Option<u8>, StartError> {
    // While there is one thread.
    let handed = Handed::activated();
    let program = start.program.take();
    if let Some(program) = &program {
        program.check()?;
    }
    // Those of the program are what this process was given.
    let (descriptors, _) = rlimit::getrlimit(rlimit::Resource::NOFILE).context("limits")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime")?;
    let set = LocalSet::new();
    set.block_on(&runtime, async {
        // Before anybody can know that it serves: whoever does may end it at once.
        let signals = Signals::listen().context("signals")?;
        let (mut app, workers) = App::build(start, handed, program.is_some()).await?;
        tell_platform();
        let Some(program) = program else {
            // What comes meanwhile is queued: whoever reads sees this before the first access line.
            announce(&app.started());
            app.control.edges().begin(workers);
            app.notify.ready(app.control.generation());
            return Ok(Box::pin(app.run(signals, None)).await);
        };
        let behind = app.start_program(program, descriptors, Box::new(announce))?;
        app.control.edges().begin(workers);
        app.tell_addresses();
        Ok(Box::pin(app.run(signals, Some(behind))).await)
    })
}

/// How long a start waits for documents and for tests that ask upstreams. Then what is ready
/// serves, and the rest follows.
const PATIENCE: Duration = Duration::from_secs(5);

/// Once, so that what follows can be told from what other machines say.
fn tell_platform() {
    let Platform {
        app: Some(app),
        region,
        machine,
        process_group,
        image,
    } = Platform::read()
    else {
        return;
    };
    // Fields without a value are left out.
    let shown = |field: Option<String>| field.map(tracing::field::display);
    tracing::info!(
        fly_app = app,
        fly_region = shown(region),
        machine = shown(machine),
        process_group = shown(process_group),
        image = shown(image),
        "this is a Machine of Fly.io"
    );
}

/// Lists, exports and backups at the same time.
const LONG: usize = 8;

/// The parts of a running process.
struct App {
    control: Control<World>,
    commands: mpsc::Receiver<admin::Command>,
    deliveries: (
        mpsc::UnboundedSender<Delivery>,
        mpsc::UnboundedReceiver<Delivery>,
    ),
    stop: CancellationToken,
    /// The name of the socket where a successor asks.
    handover: Option<UnixName>,
    /// What a successor asks for.
    steps: (handover::Steps, mpsc::Receiver<handover::Step>),
    notify: Notify,
    warnings: Problems,
    shared: Arc<Shared>,
    uses: mpsc::UnboundedReceiver<Vec<Arc<Token>>>,
    /// Who may go through all tokens at the same time.
    long: Arc<Semaphore>,
    access: access::Writer,
    /// Until there is somebody to wait for it.
    watch: Foresight,
}

impl App {
    /// In this order: the log and the access writer; control, what a predecessor gives, and the
    /// first attempt; the admin socket; workers with what was published, who accept nothing yet.
    async fn build(
        start: Start,
        handed: Handed,
        with_program: bool,
    ) -> Result<(Self, Workers<Counters>), StartError> {
        let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
        let log = crate::log::start();
        rest::small_pages();
        let access = access::Writer::start().context("the access log")?;
        let (sender, commands) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let (shared, uses) = Shared::new(1024, Instant::now());
        let world = World {
            workers: None,
            early: Vec::new(),
            own: Vec::new(),
            handed,
            copies: Vec::new(),
            admin: None,
            succeeded: Vec::new(),
            access: access.clone(),
            commands: sender,
            log,
            bounds: Bounds::new(usize::try_from(descriptors).unwrap_or(usize::MAX)),
            stop: stop.clone(),
            shared: Arc::clone(&shared),
            failed_auth: Arc::default(),
            tls: Arc::default(),
        };
        let watch = foresight(&start.source);
        let mut control =
            Control::new(start.source, world, Arc::clone(&shared)).map_err(anyhow::Error::msg)?;
        control.starts(start.on_invalid, start.weaker);
        control.foresees(watch.clone());
        // Before `app`: when this start fails, the state is given up before the predecessor knows.
        let mut predecessor = None;
        let mut app = Self {
            control,
            commands,
            deliveries: mpsc::unbounded_channel(),
            stop,
            handover: None,
            steps: mpsc::channel(1),
            notify: Notify::from_environment(),
            warnings: Problems::new(),
            shared,
            uses,
            long: Arc::new(Semaphore::new(LONG)),
            access,
            watch,
        };
        if start.take_over {
            predecessor = app.succeed(start.weaker).await?;
        }
        app.first().await?;
        app.control.edges().settle();
        app.open_names(!with_program)?;
        let workers = app.start_workers()?;
        if let Some(predecessor) = predecessor {
            predecessor.relieve().await?;
            app.control.edges().succeeded.clear();
        }
        Ok((app, workers))
    }

    /// The first generation.
    async fn first(&mut self) -> Result<(), StartError> {
        // What upstreams answered when it was proven before is of use.
        let mut outcome = self.control.resume(Trigger::Start);
        let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
        loop {
            self.deliver_orders();
            match outcome {
                Outcome::Published(warnings) => {
                    self.warnings = warnings;
                    return Ok(());
                }
                // The configuration is right; the machine has something against it.
                Outcome::Refused(refused) if refused.stage == Stage::Bind => {
                    let problems = refused.problems.stopping();
                    let reasons: Vec<&str> = problems.iter().map(|p| &*p.message).collect();
                    return Err(StartError::Bind(reasons.join("; ")));
                }
                Outcome::Refused(refused) => {
                    return Err(StartError::Configuration(refused.problems));
                }
                Outcome::Waiting | Outcome::Unchanged => {}
            }
            tokio::select! {
                Some(delivery) = self.deliveries.1.recv() => drop(self.control.delivered(delivery)),
                () = &mut patience, if !patience.is_elapsed() => self.control.wait_no_longer(),
            }
            outcome = self.control.resume(Trigger::Start);
        }
    }

    fn start_workers(&mut self) -> Result<Workers<Counters>, StartError> {
        let published = self.control.published().context("nothing was published")?;
        let current = published.current();
        let count = current
            .config
            .workers
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let edges = self.control.edges();
        let capacity = edges.capacity(&current.config.limits);
        let limits = (capacity.connections, capacity.per_network);
        let (shared, access) = (Arc::clone(&self.shared), self.access.clone());
        let room = edges.bounds.room.clone();
        let workers = Workers::start(count, limits, move |_| {
            Gateway::new(
                &published,
                Arc::clone(&shared),
                access.clone(),
                room.clone(),
            )
        });
        Ok(workers.context("the workers")?)
    }

    fn started(&mut self) -> Started {
        let snapshot = self
            .control
            .published()
            .map(|published| published.current());
        let plugins = snapshot
            .iter()
            .flat_map(|snapshot| &snapshot.plugins)
            .map(|plugin| StartedPlugin {
                name: plugin.name.to_string(),
                title: plugin.title.clone(),
                public_url: plugin.public.as_ref().map(|public| public.origin.clone()),
                operations: plugin.operations.len(),
                report: plugin.counted(),
                example: plugin.example(),
                unavailable: plugin.unavailable.clone(),
            });
        Started {
            plugins: plugins.collect(),
            listeners: self.control.edges().listening(),
            admin: self.control.edges().admin(),
            warnings: self.warnings.clone(),
            pending: Some(self.control.pending()).filter(|pending| !pending.is_null()),
            format: snapshot
                .as_ref()
                .map_or(LogFormat::Auto, |snapshot| snapshot.config.log.format),
        }
    }

    /// Sends out for what control ordered.
    fn deliver_orders(&mut self) {
        for order in self.control.take_orders() {
            let sender = self.deliveries.0.clone();
            tokio::task::spawn_local(async move {
                let _ = sender.send(order.await);
            });
        }
    }

    /// Control's loop, until a signal or the end of the program, whose exit code it gives; then
    /// the drain.
    async fn run(mut self, mut signals: Signals, mut behind: Option<Behind<'_>>) -> Option<u8> {
        let watch = self.watch.take().unwrap_or_else(Watch::new);
        let (watched, mut changes) = watching(watch);
        let mut waiting = Waiting::default();
        let mut told = None;
        let mut checks = upstream::Checks::default();
        let (mut checked, mut rest) = (None, Rest::default());
        let mut alive = self.notify.watchdog().map(tokio::time::interval);
        let leave = loop {
            self.greet(behind.as_mut());
            if let Some(snapshot) = self
                .control
                .published()
                .map(|published| published.current())
                && checked != Some(snapshot.generation)
            {
                let plugins = snapshot.plugins.iter();
                checks.follow(plugins.flat_map(|plugin| plugin.targets.all()));
                checked = Some(snapshot.generation);
                rest.begin(self.control.edges().resting());
            }
            // Only when it differs: whoever asks for the status a hundred times a second must not
            // keep a change from being noticed.
            let wanted = self.control.watched();
            if told.as_ref() != Some(&wanted) {
                let _ = watched.send(wanted.clone());
                told = Some(wanted);
            }
            self.deliver_orders();
            let _ = self.control.ready_since(jiff::Timestamp::now());
            let (due, tokens) = (self.control.due(), self.control.tokens_due());
            let desk = after(self.control.desk_due(jiff::Timestamp::now()));
            let save = after(self.control.save_due());
            let emptied = after(self.control.emptied_due());
            tokio::select! {
                _ = signals.terminate.recv() => break Leave::Asked(Signal::TERM),
                _ = signals.interrupt.recv() => break Leave::Asked(Signal::INT),
                event = event(behind.as_mut()) => match event {
                    Event::Ended(code) => break Leave::Ended(code),
                    Event::Answers(source) => self.program_answers(source, &mut waiting).await,
                },
                _ = signals.hangup.recv() => self.attempt(Trigger::Command { weaker: false }, None, &mut waiting).await,
                Some(()) = changes.recv() => self.attempt(Trigger::File, None, &mut waiting).await,
                Some(delivery) = self.deliveries.1.recv() => self.delivered(delivery, &mut waiting),
                () = until(desk) => self.control.desk_tick(jiff::Timestamp::now()),
                () = until(tokens) => self.control.ask_for_tokens(false),
                () = until(emptied) => {
                    self.control.believes_emptied(jiff::Timestamp::now());
                    self.attempt(Trigger::File, None, &mut waiting).await;
                }
                () = self.shared.clock.wanted() => self.control.ask_for_tokens(true),
                () = until(due) => self.attempt(Trigger::Document, None, &mut waiting).await,
                Some(command) = self.commands.recv() => self.answer(command, &mut waiting).await,
                Some(tokens) = self.uses.recv() => self.note_uses(&tokens),
                () = until(save) => self.control.save(jiff::Timestamp::now()),
                Some(step) = self.steps.1.recv() => if self.step(step).await { break Leave::Succeeded },
                () = tick(alive.as_mut()) => self.notify.alive(),
            }
        };
        let program = behind.map(|behind| behind.program);
        Box::pin(self.leave(leave, signals, program)).await
    }
}

/// Watches before anything is read.
fn foresight(source: &Source) -> Foresight {
    let mut watch = Watch::new();
    if let Source::File(path) = source {
        watch.early(path);
    }
    Foresight::of(watch)
}

/// The files and folders that matter.
type Watched = (Vec<PathBuf>, Vec<PathBuf>);

/// Watches, until nobody says any more what; tells of changes, several at once as one.
fn watching(mut watch: Watch) -> (mpsc::UnboundedSender<Watched>, mpsc::Receiver<()>) {
    let (changed, changes) = mpsc::channel(1);
    let (watched, mut what) = mpsc::unbounded_channel::<Watched>();
    tokio::task::spawn_local(async move {
        loop {
            tokio::select! {
                biased;
                next = what.recv() => match next {
                    Some((files, folders)) => watch.set(files.iter().map(PathBuf::as_path), folders.into_iter()),
                    None => return,
                },
                () = watch.changed() => { let _ = changed.try_send(()); }
            }
        }
    });
    (watched, changes)
}

/// A moment of the clock as one of the runtime's.
fn after(at: Option<jiff::Timestamp>) -> Option<tokio::time::Instant> {
    let wait = at?.duration_since(jiff::Timestamp::now());
    let wait = Duration::try_from(wait).unwrap_or(Duration::ZERO);
    Some(tokio::time::Instant::now() + wait)
}

async fn tick(interval: Option<&mut tokio::time::Interval>) {
    match interval {
        Some(interval) => _ = interval.tick().await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
