//! The life of a configuration: read, prove, compile, bind, test, publish, retire. One path for
//! the start and for every change; a failure at any step changes nothing.

mod aims;
mod attempt;
mod clock;
mod declared;
pub mod devcerts;
mod documents;
mod edges;
mod explain;
mod exposed;
mod gauges;
mod good;
mod guards;
mod hand;
mod history;
mod inputs;
mod late;
mod listeners;
mod material;
mod mounts;
mod orders;
mod parts;
mod platform;
mod readiness;
mod rehearse;
mod remote;
mod selftest;
mod shared;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod waits;
mod watch;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::server::ProducesTickets;
use serde_json::Value;

pub use edges::{Connections, Edges, Fetched, Fetching, Listening, Order, Trial, Tried, Trying};
pub use guards::{Guard, weaker};
pub use hand::Proven;
pub use history::Rolling;
pub use inputs::Inputs;
pub use material::system_roots;
pub use platform::Platform;
pub use rehearse::{Alone, Rehearsed};
pub use watch::{Foresight, Watch};
pub use words::{Delivering, Delivery, OnInvalid, Outcome, Refused, Side, Stage, Trigger};

use crate::config;
use crate::problems::Problems;
use crate::snapshot::{Kept, Published, Snapshot};
use crate::tokens::Fingerprint;
use attempt::{Looked, Manner};
pub use clock::Clock;
use declared::Tokens;
pub use documents::Arrival;
use documents::{Ask, Library};
pub use orders::{FOR_ALL, Offline, View};
pub use remote::Came;
pub use selftest::Verdict;
pub use shared::Shared;
pub use state::{BackupError, StoreError, exists, fleeting, in_the_way, restore};

/// Where the configuration is.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Made from the command line.
    Text {
        /// What problems name it.
        name: String,
        /// TOML.
        text: String,
        /// `plugway dev`
        dev: bool,
    },
}

/// See the module.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub struct Control<E: Edges> {
    edges: E,
    source: Source,
    shared: Arc<Shared>,
    tickets: Arc<dyn ProducesTickets>,
    /// Those of the operating system; read when something is asked over TLS, since that takes time.
    roots: Arc<RootCertStore>,
    fly_app: Option<String>,
    documents: Library,
    /// What published files were found to hold.
    scanned: exposed::Scanned,
    /// Token files at URLs.
    remote: remote::Remote,
    /// Tests of a candidate that ask its upstreams.
    trials: selftest::Trials,
    tokens: Tokens,
    /// The state database; `None` before the first configuration, and when the process ends.
    desk: Option<state::Desk>,
    /// Another gateway has the state database: it is not opened.
    lent: bool,
    /// Where it was when it was lent.
    home: Option<PathBuf>,
    published: Option<Arc<Published>>,
    /// Hash of what the running generation was made of.
    digest: [u8; 32],
    /// Of its texts, by path.
    texts: BTreeMap<PathBuf, Fingerprint>,
    /// What it was made of.
    good: good::Good,
    /// Of its included files.
    facts: BTreeMap<PathBuf, parts::Facts>,
    /// Who is told of what is read, before, as long as nothing serves.
    foresight: Foresight,
    /// Included files that are broken.
    held: parts::Aside,
    /// What the last look waits for.
    waits: waits::Waits,
    /// What was on disk when it was last looked at.
    on_disk: inputs::OnDisk,
    /// A generation of before serves.
    rolled: Option<history::Rolled>,
    /// The same while an edit is looked at, with which it ends if that is accepted.
    lapsing: Option<history::Rolled>,
    /// It is being taken up.
    rolling: bool,
    /// Who asked for a reload.
    asker: Option<Arc<str>>,
    /// Why something is published, and by whom.
    cause: (&'static str, Option<String>),
    /// What is kept of the running generation, and what is to be.
    record: Option<Arc<state::Generation>>,
    unsaved: Vec<history::Unsaved>,
    /// It was told that nothing can be kept.
    unkept: bool,
    on_invalid: OnInvalid,
    /// What lay on disk when somebody said that it may be weaker, while that waits.
    weaker_on: Option<inputs::OnDisk>,
    /// This start may let in more than an earlier process did.
    weaker: bool,
    /// What served when an earlier process ran.
    before: Option<state::Generation>,
    recalled: bool,
    /// Nothing is going to be published (`check`, `print`).
    rehearsal: bool,
    /// Commands made tokens, which are in the state database.
    stored_tokens: bool,
    warnings: Problems,
    /// How many of them the generation before had as well.
    warned_before: usize,
    /// The declared tokens that ended with it.
    ended: declared::Ended,
    refused: Option<Refused>,
    started: Timestamp,
    readiness: readiness::Readiness,
    since: Timestamp,
    generation: u64,
    alive: Vec<Weak<Snapshot>>,
    /// What does not have to be compiled again.
    kept: Kept,
    reloads: BTreeMap<(&'static str, &'static str), u64>,
    last_success: bool,
    /// What has to be watched.
    watched: (Vec<PathBuf>, Vec<PathBuf>),
}

impl<E: Edges> Control<E> {
    /// Nothing is read yet. The error is a sentence.
    pub fn new(source: Source, edges: E, shared: Arc<Shared>) -> Result<Self, String> {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new()
            .map_err(|error| format!("TLS tickets: {error}"))?;
        let now = Timestamp::now();
        Ok(Self {
            edges,
            source,
            shared,
            tickets,
            roots: Arc::new(RootCertStore::empty()),
            fly_app: Platform::read().app,
            documents: Library::default(),
            scanned: exposed::Scanned::default(),
            remote: remote::Remote::default(),
            trials: selftest::Trials::default(),
            tokens: Tokens::default(),
            desk: None,
            lent: false,
            home: None,
            published: None,
            digest: [0; 32],
            texts: BTreeMap::new(),
            good: good::Good::default(),
            facts: BTreeMap::new(),
            foresight: Foresight::default(),
            held: BTreeMap::new(),
            waits: waits::Waits::default(),
            on_disk: inputs::OnDisk::default(),
            rolled: None,
            lapsing: None,
            rolling: false,
            asker: None,
            cause: ("start", None),
            record: None,
            unsaved: Vec::new(),
            unkept: false,
            on_invalid: OnInvalid::default(),
            weaker_on: None,
            weaker: false,
            before: None,
            recalled: false,
            rehearsal: false,
            stored_tokens: false,
            warnings: Problems::new(),
            warned_before: 0,
            ended: declared::Ended::default(),
            refused: None,
            started: now,
            readiness: readiness::Readiness::not_yet(now),
            since: now,
            generation: 0,
            alive: Vec::new(),
            kept: Kept::default(),
            reloads: BTreeMap::new(),
            last_success: false,
            watched: Default::default(),
        })
    }

    /// What is done at a start whose files are broken, and whether it may let in more than what served
    /// before.
    pub fn starts(&mut self, on_invalid: OnInvalid, weaker: bool) {
        self.on_invalid = on_invalid;
        self.weaker = weaker;
    }

    /// Who is told of what is about to be read.
    pub fn foresees(&mut self, foresight: Foresight) {
        self.foresight = foresight;
    }

    /// The number of the generation that serves; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The file that names all others; `None`: there is none.
    pub fn main_file(&self) -> Option<PathBuf> {
        match &self.source {
            Source::File(path) => Some(path.clone()),
            Source::Text { .. } => None,
        }
    }

    /// The handle to what serves; `None` before the first generation.
    pub fn published(&self) -> Option<Arc<Published>> {
        self.published.clone()
    }

    /// The edges.
    pub fn edges(&mut self) -> &mut E {
        &mut self.edges
    }

    /// When a document is to be asked for again.
    pub fn due(&self) -> Option<tokio::time::Instant> {
        self.documents.due()
    }

    /// One attempt, from reading to publishing. [`Outcome::Waiting`]: something was ordered
    /// ([`Self::take_orders`]); when it is [delivered](Self::delivered) it is time for another.
    pub async fn attempt(&mut self, trigger: Trigger) -> Outcome {
        // What upstreams answered before is not what they answer now.
        self.trials.forget();
        self.begin(trigger);
        let manner = |ask, hasty| Manner {
            trigger,
            ask,
            hasty,
            idle: false,
        };
        let mut looked = self.look(manner(Ask::from(trigger), trigger == Trigger::File));
        if matches!(looked, Looked::Doubtful) {
            // Perhaps it was half written: a second look before it is believed.
            tokio::time::sleep(SECOND_LOOK).await;
            looked = self.look(manner(Ask::Missing, false));
        }
        if trigger == (Trigger::Command { weaker: true }) && self.fetching() {
            self.weaker_on = Some(self.on_disk.clone());
        }
        self.looked(trigger, looked)
    }

    /// An attempt that waited goes on, now that something came.
    pub fn resume(&mut self, trigger: Trigger) -> Outcome {
        self.begin(trigger);
        let trigger = match trigger {
            // What changed since is not what was meant.
            Trigger::Command { weaker: true } => Trigger::Command {
                weaker: self.weaker_on.as_ref().is_some_and(|then| !then.changed()),
            },
            other => other,
        };
        let looked = self.look(Manner {
            trigger,
            ask: Ask::Missing,
            hasty: false,
            idle: false,
        });
        self.looked(trigger, looked)
    }

    /// Before an attempt.
    fn begin(&mut self, trigger: Trigger) {
        self.let_go(trigger);
        if trigger == Trigger::Start {
            self.recall();
        }
        let cause = match trigger {
            Trigger::Start => "start",
            Trigger::File => "file",
            Trigger::Command { weaker: true } => "reload --weaker",
            Trigger::Command { weaker: false } => RELOAD,
            Trigger::Document => "document",
        };
        let by = self.asker.as_deref().map(str::to_owned);
        self.cause = (cause, by.filter(|_| cause.starts_with(RELOAD)));
    }

    /// After one.
    fn looked(&mut self, trigger: Trigger, looked: Looked) -> Outcome {
        let outcome = match looked {
            Looked::At(outcome) => outcome,
            // Nobody is hasty twice.
            Looked::Doubtful => Outcome::Unchanged,
        };
        if let Some(outcome) = self.fall_back(&outcome) {
            self.last_success = false;
            return outcome;
        }
        if let Some(looked) = self.without_last_good(&outcome, trigger) {
            return self.looked(trigger, looked);
        }
        self.lapse(&outcome);
        if trigger == Trigger::Document {
            self.documents.put_off();
        }
        self.conclude(trigger, &outcome);
        self.documents.tell_stale();
        outcome
    }

    /// What was ordered: to be awaited by the caller and [delivered](Self::delivered).
    pub fn take_orders(&mut self) -> Vec<Delivering> {
        let mut orders = self.trials.take_orders();
        orders.extend(self.remote.take_orders());
        for arriving in self.documents.take_orders() {
            orders.push(Box::pin(async { Delivery::Document(arriving.await) }));
        }
        orders
    }

    /// Whether something is on its way.
    pub fn fetching(&self) -> bool {
        self.documents.are_under_way() || self.trials.are_under_way()
    }

    /// Takes what came; whether there is anything to look at.
    pub fn delivered(&mut self, delivery: Delivery) -> bool {
        match delivery {
            Delivery::Document(arrival) => self.documents.delivered(arrival),
            Delivery::Trial(verdict) => self.trials.delivered(verdict),
            Delivery::Tokens(came) => return self.remote.delivered(came, Timestamp::now()),
        }
        true
    }

    /// Notes and reports how an attempt ended.
    fn conclude(&mut self, trigger: Trigger, outcome: &Outcome) {
        let (result, stage) = match outcome {
            Outcome::Published(_) => ("published", "publish"),
            Outcome::Unchanged => ("unchanged", "read"),
            Outcome::Waiting => return,
            Outcome::Refused(refused) => ("refused", refused.stage.word()),
        };
        let known = matches!(outcome, Outcome::Refused(refused) if self.refused.as_ref().is_some_and(|known| known.digest == refused.digest));
        // Nobody asked, and nothing came of it.
        let unasked =
            trigger == Trigger::Document || (trigger == Trigger::File && self.refused.is_none());
        let silent = unasked && matches!(outcome, Outcome::Unchanged);
        let repeated = known && trigger == Trigger::File;
        if !(silent || repeated) {
            *self.reloads.entry((result, stage)).or_default() += 1;
        }
        match outcome {
            Outcome::Refused(refused) => {
                self.last_success = false;
                if !known && trigger != Trigger::Start {
                    tracing::error!(
                        stage,
                        generation = self.generation,
                        problems = %refused.problems.stopping().render(false).trim_end(),
                        "the configuration is refused; what served before goes on"
                    );
                }
                let since = self
                    .refused
                    .as_ref()
                    .filter(|_| known)
                    .map_or(refused.since, |known| known.since);
                self.refused = Some(Refused {
                    since,
                    ..refused.clone()
                });
            }
            Outcome::Published(warnings) => {
                self.last_success = !self.is_broken();
                self.is_mended(trigger);
                tracing::info!(
                    generation = self.generation,
                    warnings = self.warnings.len(),
                    cause = self.cause.0,
                    "configuration published"
                );
                // At the start they are shown by whoever started us.
                for warning in warnings.iter().filter(|_| trigger != Trigger::Start) {
                    tracing::warn!(key = warning.at.key, "{}", warning.message);
                }
            }
            Outcome::Unchanged => {
                self.is_mended(trigger);
                self.last_success = !self.is_broken() && self.refused.is_none();
            }
            Outcome::Waiting => {}
        }
    }

    /// Nothing on disk is refused any more, unless a generation of before stands in for it.
    fn is_mended(&mut self, trigger: Trigger) {
        match &self.rolled {
            None => self.refused = None,
            // What lies on disk is what lay there when that one was taken up.
            Some(rolled) if trigger != Trigger::Document => {
                self.refused.clone_from(&rolled.refused);
            }
            Some(_) => {}
        }
    }

    /// These included files are broken, and no others.
    fn note_held(&mut self, aside: parts::Aside) {
        for (_, stage) in self.hold(aside) {
            *self.reloads.entry(("refused", stage.word())).or_default() += 1;
        }
    }

    /// For `plugway status`.
    pub fn status(&self) -> Value {
        status::status(self)
    }

    /// What lies on disk and does not serve, and what does in its place; null: all serves.
    pub fn pending(&self) -> Value {
        status::standing_in(self)
    }

    /// An outcome as `plugway reload` gives it.
    pub fn describe(&self, outcome: &Outcome) -> Value {
        status::outcome(self, outcome)
    }
}

/// The cause of what somebody asked for.
const RELOAD: &str = "reload";
/// Before a candidate with problems is reported, it is looked at once more.
const SECOND_LOOK: Duration = Duration::from_millis(250);

/// Where a configuration has its state and its admin socket.
pub fn whereabouts(path: &Path) -> config::Whereabouts {
    config::whereabouts(path, &mut Inputs::default())
}
