//! From one process to the next without a lost connection (`plugway serve --take-over`).
//!
//! Over a unix socket beside the admin socket, in lines of JSON. The successor has proven its
//! configuration before it says the first word; whatever goes wrong before its last one, the
//! predecessor goes on as if nothing had been.
//!
//! | successor | predecessor |
//! |---|---|
//! | `{"take_over":{"version":1,"pid":…}}` | `{"socket":{…}}` with each socket, then `{"runs":{…}}` |
//! | `"want_state"` | gives the state database up: `"gave_state"` |
//! | `"serves"` | `"leaves"`, and drains; or, whenever it goes on after all, `{"over":"why"}` |
//!
//! The predecessor accepts until the successor is about to, from the same sockets: what comes in
//! between is queued in them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::App;
use crate::config::ListenerKind;
use crate::control::{Edges as _, Guard, Proven, in_the_way, weaker};
use crate::server::{self, Channel, ListenerId, Passed, UnixName};

/// The socket's name in the state directory.
const NAME: &str = "handover.sock";
/// The protocol.
const VERSION: u32 = 1;
/// How long the predecessor waits for a word of a successor that is at work: it reads, compiles,
/// and loads tokens.
const WORK: Duration = Duration::from_secs(30);
/// How long either waits for a word that costs no work.
const WORD: Duration = Duration::from_secs(5);
/// How long the successor waits for the state database: last uses are written before.
const STATE: Duration = Duration::from_secs(20);

/// What a process that runs tells its successor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Runs {
    pid: u32,
    /// Its unix sockets, by device and inode: these names may be taken.
    names: Vec<(u64, u64)>,
    /// Plugins that serve.
    plugins: Vec<String>,
    /// How plugins are guarded; an older one does not say.
    #[serde(default)]
    guards: Vec<Guard>,
    /// Its main file, absolute; none: it has none, or is an older one.
    #[serde(default)]
    main: Option<PathBuf>,
}

/// What comes with a socket.
#[derive(Debug, Serialize, Deserialize)]
struct Socket {
    kind: String,
    asked: SocketAddr,
    kept: bool,
}

/// A line of either side.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    TakeOver {
        version: u32,
        pid: u32,
    },
    Socket(Socket),
    Runs(Runs),
    WantState,
    GaveState,
    Serves,
    Leaves,
    /// The predecessor goes on, and why.
    Over(String),
}

/// What a successor asks of control's loop.
#[derive(Debug)]
pub(super) enum Step {
    /// The listening sockets, and what runs.
    Sockets(oneshot::Sender<(Vec<Passed>, Runs)>),
    /// The state database.
    State(oneshot::Sender<()>),
    /// It is gone, or was too slow: everything is as before.
    Failed(String),
    /// It failed, and its process is gone.
    Gone,
    /// It serves.
    Served(u32, oneshot::Sender<()>),
}

/// Steps, in the order in which they are asked.
pub(super) type Steps = mpsc::Sender<Step>;

/// The gateway that runs, seen by its successor.
#[derive(Debug)]
pub(super) struct Predecessor {
    channel: Channel,
    runs: Runs,
}

impl Predecessor {
    /// Whether one runs on this state directory, and its sockets.
    async fn find(
        directory: &Path,
    ) -> anyhow::Result<Option<(Self, Vec<(OwnedFd, ListenerId, bool)>)>> {
        let path = directory.join(NAME);
        let Ok(stream) = UnixStream::connect(&path).await else {
            return Ok(None);
        };
        let mut channel = Channel::new(stream);
        let pid = std::process::id();
        say(
            &channel,
            &Word::TakeOver {
                version: VERSION,
                pid,
            },
        )
        .await?;
        let mut sockets = Vec::new();
        loop {
            match hear(&mut channel, WORD).await? {
                Word::Socket(socket) => {
                    let kind = kind(&socket.kind).context("a kind of listener")?;
                    let came = channel.socket().context("a line without its socket")?;
                    sockets.push((came, (kind, socket.asked), socket.kept));
                }
                Word::Runs(runs) => return Ok(Some((Self { channel, runs }, sockets))),
                word => return Err(unexpected(word)),
            }
        }
    }

    /// Has it give the state database up.
    async fn ask_for_state(&mut self) -> anyhow::Result<()> {
        say(&self.channel, &Word::WantState).await?;
        match hear(&mut self.channel, STATE).await? {
            Word::GaveState => Ok(()),
            word => Err(unexpected(word)),
        }
    }

    /// Tells it that it may leave. An error: it does not, and this process has to.
    pub(super) async fn relieve(mut self) -> anyhow::Result<()> {
        let said = say(&self.channel, &Word::Serves).await;
        match hear(&mut self.channel, WORD).await {
            Ok(Word::Leaves) => Ok(()),
            Ok(word) => Err(unexpected(word)),
            // It is gone without a word: somebody has to serve.
            Err(error) => {
                tracing::warn!(%error, said = said.is_ok(), pid = self.runs.pid, "the gateway before this one left without a farewell");
                Ok(())
            }
        }
    }
}

/// From the root on; `None`: the working directory is gone.
fn absolute(path: PathBuf) -> Option<PathBuf> {
    std::path::absolute(path).ok()
}

fn unexpected(word: Word) -> anyhow::Error {
    match word {
        Word::Over(reason) => anyhow!("the running gateway goes on: {reason}"),
        word => anyhow!("the running gateway said {word:?}"),
    }
}

async fn say(channel: &Channel, word: &Word) -> anyhow::Result<()> {
    let line = serde_json::to_string(word)?;
    timeout(WORD, channel.say(&line, None)).await??;
    Ok(())
}

async fn hear(channel: &mut Channel, patience: Duration) -> anyhow::Result<Word> {
    let line = timeout(patience, channel.hear()).await;
    let line = line.map_err(|_| anyhow!("no word within {} s", patience.as_secs()))??;
    let line = line.context("the other process is gone")?;
    Ok(serde_json::from_str(&line)?)
}

fn kind(name: &str) -> Option<ListenerKind> {
    let all = [
        ListenerKind::Https,
        ListenerKind::Http,
        ListenerKind::Metrics,
        ListenerKind::Admin,
    ];
    all.into_iter().find(|kind| kind.name() == name)
}

/// Answers successors, one after the other.
async fn offer(listener: UnixListener, steps: Steps) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut channel = Channel::new(stream);
        // Else it only looks whether somebody is there.
        if let Ok(Word::TakeOver { version, pid }) = hear(&mut channel, WORD).await {
            answer(channel, (version, pid), &steps).await;
        }
    }
}

async fn answer(mut channel: Channel, (version, pid): (u32, u32), steps: &Steps) {
    tracing::info!(pid, "a successor asks to take over");
    let handed = if version == VERSION {
        hand_over(&mut channel, pid, steps).await
    } else {
        Err(anyhow!("it speaks version {version}, and not {VERSION}"))
    };
    let Err(error) = handed else { return };
    let reason = format!("{error:#}");
    let _ = say(&channel, &Word::Over(reason.clone())).await;
    let _ = steps.send(Step::Failed(reason)).await;
    // One that was only slow may take the names before it hears that it is over.
    let steps = steps.clone();
    tokio::task::spawn_local(async move {
        while let Ok(Some(_)) = channel.hear().await {}
        let _ = steps.send(Step::Gone).await;
    });
}

async fn hand_over(channel: &mut Channel, pid: u32, steps: &Steps) -> anyhow::Result<()> {
    let (answer, came) = oneshot::channel();
    steps.send(Step::Sockets(answer)).await?;
    let (sockets, runs) = came.await?;
    for passed in sockets {
        let word = Word::Socket(Socket {
            kind: passed.listener.0.name().to_owned(),
            asked: passed.listener.1,
            kept: passed.kept,
        });
        let line = serde_json::to_string(&word)?;
        timeout(WORD, channel.say(&line, Some(&passed.socket))).await??;
    }
    say(channel, &Word::Runs(runs)).await?;
    let Word::WantState = hear(channel, WORD).await? else {
        bail!("it did not ask for the state database");
    };
    let (answer, came) = oneshot::channel();
    steps.send(Step::State(answer)).await?;
    came.await?;
    say(channel, &Word::GaveState).await?;
    let Word::Serves = hear(channel, WORK).await? else {
        bail!("it did not say that it serves");
    };
    let (answer, came) = oneshot::channel();
    steps.send(Step::Served(pid, answer)).await?;
    came.await?;
    // From here it leaves, whether that is heard or not.
    let _ = say(channel, &Word::Leaves).await;
    Ok(())
}

impl App {
    /// Proves the configuration, and has the gateway that runs on its state give what this one
    /// needs. `None`: none runs.
    pub(super) async fn succeed(
        &mut self,
        may_be_weaker: bool,
    ) -> Result<Option<Predecessor>, super::StartError> {
        let proven = loop {
            if let Some(proven) = self.control.prove_start() {
                break proven.map_err(super::StartError::Configuration)?;
            }
            self.deliver_orders();
            if let Some(delivery) = self.deliveries.1.recv().await {
                self.control.delivered(delivery);
            }
        };
        let found = Predecessor::find(&proven.state).await;
        let Some((mut predecessor, sockets)) = found.context("the take-over")? else {
            tracing::info!(
                state = %proven.state.display(),
                "there is no gateway to take over from: this one just starts"
            );
            return Ok(None);
        };
        predecessor.is_another(&proven)?;
        predecessor.is_not_better(&proven, may_be_weaker)?;
        let (old, new) = (&predecessor.runs.main, self.control.main_file());
        if let Some((old, new)) = old.as_ref().zip(new.and_then(absolute))
            && *old != new
        {
            tracing::warn!(before = %old.display(), now = %new.display(), "the gateway before this one has another configuration file");
        }
        self.control
            .edges()
            .succeeded
            .clone_from(&predecessor.runs.names);
        for (socket, listener, kept) in sockets {
            let passed = self.control.edges().handed.pass(socket, listener, kept);
            passed.context("a socket of the running gateway")?;
        }
        let gave = predecessor.ask_for_state().await;
        gave.context("the take-over")?;
        Ok(Some(predecessor))
    }

    /// The names under which this process can be reached. Not by a successor, where that could not
    /// have the program.
    pub(super) fn open_names(&mut self, to_successors: bool) -> anyhow::Result<()> {
        let published = self.control.published().context("nothing was published")?;
        let config = &published.current().config;
        self.open_admin(&config.listen.admin)?;
        // The admin socket says the same if it lies there; elsewhere the first token would.
        if let Some(why) = in_the_way(&config.state_directory) {
            bail!("there can be no state: {why}");
        }
        if to_successors {
            self.open_handover(&config.state_directory.join(NAME));
        }
        Ok(())
    }

    fn open_admin(&mut self, path: &Path) -> anyhow::Result<()> {
        let edges = self.control.edges();
        if let Some(bound) = edges.bind_admin(path).map_err(anyhow::Error::msg)? {
            edges.listen(bound);
        }
        Ok(())
    }

    /// Without it the gateway serves, and has to be stopped before the next one can start.
    fn open_handover(&mut self, path: &Path) {
        let bound = server::bind_unix(path, &self.control.edges().succeeded);
        let bound = bound.map_err(anyhow::Error::msg);
        let listener = bound.and_then(|(listener, name)| {
            let listener = UnixListener::from_std(listener)?;
            self.handover = Some(name);
            Ok(listener)
        });
        match listener {
            Ok(listener) => {
                let (stop, steps) = (self.stop.clone(), self.steps.0.clone());
                tokio::task::spawn_local(async move {
                    // What was begun when the process ends is seen by the successor as its end.
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = offer(listener, steps) => {}
                    }
                });
            }
            Err(error) => tracing::warn!(%error, "no successor can take over"),
        }
    }

    /// Does what a successor asks; true: it serves, and this process ends.
    pub(super) async fn step(&mut self, step: Step) -> bool {
        match step {
            Step::Sockets(answer) => {
                let admin = self.control.edges().admin.as_ref();
                let names = admin
                    .map(|(name, _)| name)
                    .into_iter()
                    .chain(&self.handover);
                let runs = Runs {
                    pid: std::process::id(),
                    names: names.filter_map(UnixName::identity).collect(),
                    plugins: self.control.served(),
                    guards: self.control.guards().to_vec(),
                    main: self.control.main_file().and_then(absolute),
                };
                let _ = answer.send((self.control.edges().passed(), runs));
            }
            Step::State(answer) => {
                self.collect_uses().await;
                self.control.lend_state(Timestamp::now());
                let _ = answer.send(());
            }
            Step::Failed(reason) => {
                tracing::error!(%reason, "the successor did not take over: this gateway goes on");
                self.control.take_state_back(Timestamp::now());
                self.take_names_back();
            }
            Step::Gone => self.take_names_back(),
            Step::Served(pid, answer) => {
                tracing::info!(pid, "the successor serves");
                return answer.send(()).is_ok();
            }
        }
        false
    }

    /// A successor may have had them for a moment.
    fn take_names_back(&mut self) {
        let admin = self.control.edges().admin();
        if let Err(error) = self.open_admin(&admin) {
            tracing::error!(%error, "the admin socket");
        }
        let lost = self.handover.as_ref();
        let lost = lost.filter(|name| !name.is_at(name.path()));
        if let Some(path) = lost.map(|name| name.path().to_owned()) {
            self.open_handover(&path);
        }
    }
}

impl Predecessor {
    /// Where nothing of what serves now would go on, it is the configuration of another gateway, or
    /// one that lost its files.
    fn is_another(&self, proven: &Proven) -> anyhow::Result<()> {
        let served = &self.runs.plugins;
        if served.is_empty() || served.iter().any(|name| proven.plugins.contains(name)) {
            return Ok(());
        }
        let (old, new) = (served.join(", "), proven.plugins.join(", "));
        let new = if new.is_empty() { "none" } else { &new };
        bail!(
            "the running gateway goes on: of its plugins ({old}) this configuration has none (it has: {new}). If that is meant, end the running gateway first, or have it reload that configuration"
        );
    }

    /// A plugin that serves now and would not, since its document or its file can not be had, is a
    /// reason not to. One that the configuration no longer has is none. Neither is it taken over from
    /// by less guard that nobody asked for.
    fn is_not_better(&self, proven: &Proven, may_be_weaker: bool) -> anyhow::Result<()> {
        let mut worse = proven.unavailable.iter();
        if let Some((name, reason)) = worse.find(|(name, _)| self.runs.plugins.contains(name)) {
            bail!(
                "the running gateway serves plugin {name} and goes on: here it would wait for its document ({reason})"
            );
        }
        let mut served = self.runs.plugins.iter();
        if let Some(file) = proven.broken.first()
            && let Some(name) = served.find(|name| !proven.plugins.contains(*name))
        {
            bail!(
                "the running gateway serves plugin {name} and goes on: here it would be missing, and {} is refused (`plugway check` says why)",
                file.display()
            );
        }
        let less = weaker(&self.runs.guards, &proven.guards);
        if let Some(less) = less.first().filter(|_| !may_be_weaker) {
            bail!(
                "the running gateway goes on: plugin {} {} ({}). If that is meant: plugway serve --take-over --weaker",
                less.plugin,
                less.what,
                less.key
            );
        }
        Ok(())
    }
}
