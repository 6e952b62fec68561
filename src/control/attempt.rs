//! One attempt: read → validate → compile → bind → self-test → publish.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::documents::Ask;
use super::{Control, Edges, Inputs, Outcome, Refused, Source, Stage, Trigger, declared};
use crate::config::{self, Config, ListenerKind};
use crate::problems::{Place, Problems};
use crate::snapshot::{Apis, Material, Published, Snapshot};

/// What passed every step up to the listeners.
pub(super) struct Candidate {
    snapshot: Snapshot,
    tokens: declared::Next,
    problems: Problems,
    digest: [u8; 32],
    text: [u8; 32],
}

impl<E: Edges> Control<E> {
    /// All steps, once.
    pub(super) fn look(&mut self, trigger: Trigger, ask: Ask) -> Outcome {
        let candidate = match self.compile(ask) {
            Ok(candidate) => candidate,
            Err(outcome) => return outcome,
        };
        let Candidate {
            snapshot,
            tokens,
            mut problems,
            digest,
            text,
        } = candidate;
        let refuse = |stage, problems| {
            Outcome::Refused(Refused {
                stage,
                problems,
                since: Timestamp::now(),
                digest,
            })
        };
        if !matches!(trigger, Trigger::Command { weaker: true }) {
            self.check_not_weaker(&snapshot, &mut problems);
            if problems.has_problems() {
                return refuse(Stage::SelfTest, problems);
            }
        }
        let Ok(added) = self.bind_added(&snapshot.config, &mut problems) else {
            return refuse(Stage::Bind, problems);
        };
        self.check_fixed(&snapshot.config, &mut problems);
        self.publish(Arc::new(snapshot), tokens, added, text);
        self.digest = digest;
        self.warnings = problems.clone();
        Outcome::Published(problems)
    }

    /// Reads, proves and compiles; binds and publishes nothing.
    fn compile(&mut self, ask: Ask) -> Result<Candidate, Outcome> {
        let now = Timestamp::now();
        let mut inputs = Inputs::default();
        let (config, mut problems) = match &self.source {
            Source::File(path) => config::load(path, &mut inputs, now),
            Source::Text { name, text, .. } => config::load_text(name, text, &mut inputs, now),
        };
        for path in config.iter().flat_map(|config| &config.token_files) {
            // Read, so that it is in the hash and watched; what it says is looked at below.
            let _ = inputs.lines(path);
        }
        let mut written = inputs.digest();
        let text = inputs.digest_of(|path| is_configuration(path, &self.source));
        // Also what was refused is watched: that is where it will be mended.
        self.watched = inputs.watched();
        let refuse = |stage, problems, digest| {
            Err(Outcome::Refused(Refused {
                stage,
                problems,
                since: now,
                digest,
            }))
        };
        let (Some(config), false) = (config, problems.has_problems()) else {
            return refuse(Stage::Validate, problems, written);
        };
        let faults =
            self.documents
                .settle(&config, &mut inputs, &self.edges, &self.roots, (ask, now));
        for (at, error) in faults {
            problems.add(&at, error);
        }
        // Also the files that documents refer to are part of the generation, and watched.
        written = inputs.digest();
        self.watched = inputs.watched();
        if self.documents.awaits(ask == Ask::All) {
            return Err(Outcome::Waiting);
        }
        let digest: [u8; 32] = Sha256::digest([written, self.documents.digest()].concat()).into();
        self.check_documents(&config, &mut problems);
        if problems.has_problems() {
            return refuse(Stage::Compile, problems, digest);
        }
        if self.published.is_some() && digest == self.digest {
            return Err(Outcome::Unchanged);
        }
        let Some(tokens) = self.declared(&config, inputs, now, &mut problems) else {
            return refuse(Stage::Validate, problems, digest);
        };
        let apis = self.documents.apis();
        let directory = config.state_directory.clone();
        let material = self.material(&apis, digest, text, (&directory, now));
        match Snapshot::compile(config, &material, &mut problems) {
            Some(snapshot) => Ok(Candidate {
                snapshot,
                tokens,
                problems,
                digest,
                text,
            }),
            None => refuse(Stage::Compile, problems, digest),
        }
    }

    /// The tokens that a configuration declares. `None`: there are problems.
    fn declared(
        &mut self,
        config: &Config,
        mut inputs: Inputs,
        now: Timestamp,
        problems: &mut Problems,
    ) -> Option<declared::Next> {
        self.open_state(&config.state_directory, now);
        let lists = &self.shared.scopes;
        let tokens = self
            .tokens
            .next(config, &mut inputs, lists, now, problems)?;
        self.is_free(&tokens, config, now, problems)
            .then_some(tokens)
    }

    /// Whether no declared token has the id or the secret of one that commands made.
    fn is_free(
        &mut self,
        tokens: &declared::Next,
        config: &Config,
        now: Timestamp,
        problems: &mut Problems,
    ) -> bool {
        let place = |id: &str| {
            let token = config.tokens.iter().find(|token| *token.id == *id);
            token.map_or_else(|| Place::named("token_files"), |token| token.at.clone())
        };
        for (id, held) in tokens.clashes(&self.shared.tokens) {
            let message = format!(
                "token {id} has the secret of token {}, which is in the state database",
                held.id
            );
            problems.add(&place(&id), message).help(
                "revoke that one first (`plugway token revoke`), or give this one another secret",
            );
        }
        let desk = self.desk.as_mut();
        if let Some(id) = desk.and_then(|desk| desk.first_stored(tokens.ids(), now)) {
            let message = format!("token {id} is in the state database already");
            problems
                .add(&place(&id), message)
                .help("give this one another id, or leave it out here");
        }
        !problems.has_problems()
    }

    /// A plugin that serves goes on doing so until the document that replaces its own can be had.
    fn check_documents(&self, config: &Config, problems: &mut Problems) {
        for (name, error) in self.documents.lost(&self.served()) {
            let plugin = config.plugins.iter().find(|plugin| plugin.name == name);
            if let Some(plugin) = plugin {
                let help = "the document that the plugin has now goes on serving until then";
                problems.add(&plugin.openapi.at, error).help(help);
            }
        }
    }

    /// Plugins that have their document now.
    fn served(&self) -> Vec<String> {
        let running = self.published.as_ref().map(|published| published.current());
        let plugins = running.iter().flat_map(|running| &running.plugins);
        let served = plugins.filter(|plugin| plugin.unavailable.is_none());
        served.map(|plugin| plugin.name.to_string()).collect()
    }

    /// What hides something in the plugins that serve.
    fn hiding(&self) -> HashMap<String, HashSet<String>> {
        let running = self.published.as_ref().map(|published| published.current());
        let plugins = running.iter().flat_map(|running| &running.plugins);
        plugins
            .map(|plugin| (plugin.name.to_string(), plugin.hides.clone()))
            .collect()
    }

    /// What a snapshot is made of beside its configuration.
    fn material<'a>(
        &'a self,
        apis: &'a Apis,
        digest: [u8; 32],
        text: [u8; 32],
        (directory, now): (&Path, Timestamp),
    ) -> Material<'a> {
        Material {
            generation: self.generation + 1,
            hash: hex(digest),
            apis,
            system_roots: &self.roots,
            tickets: &self.tickets,
            scopes: &self.shared.scopes,
            labels: &self.shared.labels,
            origins: &self.shared.origins,
            now,
            fly_app: self.fly_app.clone(),
            dev: matches!(self.source, Source::Text { dev: true, .. }),
            // What did not change is not what is wrong.
            stored_tokens: super::state::exists(directory),
            strict: self.text != Some(text),
            hiding: self.hiding(),
            strict_if_fetched: self.text.is_some_and(|running| running != text) || self.rehearsal,
        }
    }

    /// Reads, proves and compiles as a start would, and binds nothing: for `check` and `print`.
    /// `None`: documents are awaited.
    pub fn rehearse(&mut self) -> Option<(Option<Snapshot>, Problems)> {
        self.rehearsal = true;
        match self.compile(Ask::Missing) {
            Ok(candidate) => Some((Some(candidate.snapshot), candidate.problems)),
            Err(Outcome::Refused(refused)) => Some((None, refused.problems)),
            Err(_) => None,
        }
    }

    /// Binds what is listened on from now on. Nothing accepts from it yet.
    fn bind_added(&self, config: &Config, problems: &mut Problems) -> Result<Vec<E::Bound>, ()> {
        let running = self.edges.listening();
        let mut added = Vec::new();
        for (kind, address) in wanted(config) {
            if running
                .iter()
                .any(|known| known.kind == kind && known.asked == address)
            {
                continue;
            }
            match self.edges.bind(kind, address) {
                Ok(bound) => added.push(bound),
                Err(error) => {
                    problems.add(&Place::named(format!("listen.{}", kind.name())), error);
                }
            }
        }
        if problems.has_problems() {
            Err(())
        } else {
            Ok(added)
        }
    }

    /// The swap. Nothing here can fail.
    fn publish(
        &mut self,
        snapshot: Arc<Snapshot>,
        tokens: declared::Next,
        added: Vec<E::Bound>,
        text: [u8; 32],
    ) {
        self.generation = snapshot.generation;
        self.since = Timestamp::now();
        self.alive
            .retain(|generation| generation.strong_count() > 0);
        self.alive.push(Arc::downgrade(&snapshot));
        // New secrets open before the snapshot that knows their scopes serves, old ones close
        // after: at no moment is a live secret refused.
        self.text = Some(text);
        self.documents.settled();
        let changes = self
            .published
            .is_some()
            .then(|| tokens.changes(&self.shared.scopes));
        let retired = self.tokens.enter(tokens, &self.shared.tokens);
        let wanted = wanted(&snapshot.config);
        self.edges
            .configure(&snapshot.config.limits, snapshot.config.log);
        match &self.published {
            Some(published) => published.publish(snapshot),
            None => self.published = Some(Arc::new(Published::new(snapshot))),
        }
        retired.leave(&self.shared.tokens);
        if let Some(changes) = changes {
            self.note_declared(&changes);
        }
        for bound in added {
            self.edges.listen(bound);
        }
        for gone in self.edges.listening() {
            if !wanted.contains(&(gone.kind, gone.asked)) {
                self.edges.unlisten(gone.kind, gone.asked);
            }
        }
    }
}

/// Whether a file is configuration, and not something that the configuration refers to.
fn is_configuration(path: &Path, source: &Source) -> bool {
    let main = matches!(source, Source::File(main) if main == path);
    main || path.extension().is_some_and(|ending| ending == "toml")
}

/// Which documents are fetched again.
pub(super) fn ask(trigger: Trigger) -> Ask {
    match trigger {
        Trigger::Start | Trigger::File => Ask::Missing,
        Trigger::Document => Ask::Due,
        Trigger::Command { .. } => Ask::All,
    }
}

/// The listeners of a configuration.
fn wanted(config: &Config) -> Vec<(ListenerKind, std::net::SocketAddr)> {
    let listen = &config.listen;
    let https = listen
        .https
        .iter()
        .map(|address| (ListenerKind::Https, *address));
    let http = listen
        .http
        .iter()
        .map(|address| (ListenerKind::Http, *address));
    let metrics = listen
        .metrics
        .iter()
        .map(|address| (ListenerKind::Metrics, *address));
    let admin = listen.admin_addresses.iter();
    let admin = admin.map(|address| (ListenerKind::Admin, *address));
    https.chain(http).chain(metrics).chain(admin).collect()
}

/// Hexadecimal, for people.
fn hex(digest: [u8; 32]) -> String {
    crate::tokens::Fingerprint(digest).to_hex()
}
