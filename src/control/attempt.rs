//! One attempt: read → validate → compile → self-test → bind → publish.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::documents::Ask;
use super::material;
use super::parts::{Aside, Facts};
use super::selftest::Tested;
use super::{Control, Edges, Inputs, Outcome, Refused, Source, Stage, Trigger, declared};
use crate::config::{self, Config};
use crate::problems::{Place, Problems};
use crate::snapshot::{Published, Snapshot};
use crate::tokens::Fingerprint;

/// What passed every step up to the listeners.
pub(super) struct Candidate {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) tokens: declared::Next,
    pub(super) problems: Problems,
    digest: [u8; 32],
    /// Of the texts of the configuration, by path.
    texts: BTreeMap<PathBuf, Fingerprint>,
    facts: BTreeMap<PathBuf, Facts>,
}

/// Rounds in which included files are put aside for what is wrong with them.
const ROUNDS: usize = 8;

/// What came of a look.
pub(super) enum Looked {
    /// That.
    At(Outcome),
    /// Something is wrong that was not before: perhaps it is half written.
    Doubtful,
}

/// What is not the same in every look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) trigger: Trigger,
    pub(super) ask: Ask,
    /// What is newly wrong is looked at once more before it is believed.
    pub(super) hasty: bool,
    /// Nothing is going to serve: it need not pass the self-test.
    pub(super) idle: bool,
}

impl<E: Edges> Control<E> {
    /// All steps, once.
    pub(super) fn look(&mut self, manner: Manner) -> Looked {
        let (found, aside, inputs) = self.accepted(manner, Self::inputs);
        let found = self.unless_refused(found, &aside, &inputs);
        if let Some(on_disk) = self.rolled.is_none().then(|| inputs.on_disk()) {
            self.on_disk = on_disk;
        }
        let doubtful = match &found {
            Err(Outcome::Refused(refused)) => {
                let known = self.refused.as_ref();
                known.is_none_or(|known| known.digest != refused.digest)
            }
            Err(Outcome::Waiting) => false,
            Ok(candidate) => self.vanished(&candidate.snapshot.config) || !self.is_known(&aside),
            Err(_) => !self.is_known(&aside),
        };
        if manner.hasty && doubtful {
            return Looked::Doubtful;
        }
        let outcome = match found {
            Ok(candidate) => self.serve(candidate, &aside, Aside::new(), &inputs),
            Err(outcome) => {
                if matches!(outcome, Outcome::Unchanged) {
                    if matches!(manner.trigger, Trigger::Command { .. }) {
                        self.forget_guards(&aside);
                    }
                    self.note_held(aside);
                }
                outcome
            }
        };
        self.note_emptied(&inputs);
        if matches!(outcome, Outcome::Refused(_)) {
            self.look_past(manner);
        }
        Looked::At(outcome)
    }

    /// Binds what is new, and publishes. `aside` is not in it as it lies on disk; what is broken
    /// `beside` it was not looked at.
    pub(super) fn serve(
        &mut self,
        candidate: Candidate,
        aside: &Aside,
        beside: Aside,
        inputs: &Inputs,
    ) -> Outcome {
        let Candidate {
            snapshot,
            tokens,
            mut problems,
            digest,
            texts,
            facts,
        } = candidate;
        let Ok(added) = self.bind_added(&snapshot.config, &mut problems) else {
            return Outcome::Refused(Refused {
                stage: Stage::Bind,
                problems,
                since: Timestamp::now(),
                digest,
            });
        };
        self.check_fixed(&snapshot.config, &mut problems);
        super::mounts::check(&self.watched().0, &mut problems);
        let weaker = self.weaker_than_now(&snapshot.config);
        self.publish(Arc::clone(&snapshot), tokens, added);
        self.note_weaker(&weaker);
        self.accept_remote(&snapshot.config);
        let files = snapshot.config.token_files.iter();
        self.tokens.filled = files
            .filter(|path| inputs.declares_tokens(path))
            .cloned()
            .collect();
        self.digest = digest;
        (self.texts, self.facts) = (texts, facts);
        let mut held = beside;
        held.extend(
            aside
                .iter()
                .map(|(path, held)| (path.clone(), held.clone())),
        );
        self.remember(&snapshot, inputs, (aside, &held));
        self.note_good(inputs, aside);
        let new = problems.beside(&self.warnings);
        self.warned_before = problems.len() - new.len();
        self.warnings = problems;
        self.note_held(held);
        Outcome::Published(new)
    }

    /// A candidate, or why there is none; and the included files that are broken.
    pub(super) fn candidate(
        &mut self,
        manner: Manner,
        inputs: &mut Inputs,
    ) -> (Result<Candidate, Outcome>, Aside) {
        self.begin_waits();
        let (found, aside) = self.rounds(manner, inputs);
        let found = (self.unless_all_waits(found), aside);
        // One that waits for documents does not know what will be tested.
        if !matches!(found.0, Err(Outcome::Waiting)) {
            self.trials.end();
        }
        found
    }

    /// [`Self::candidate`], with fewer included files each time.
    fn rounds(
        &mut self,
        manner: Manner,
        inputs: &mut Inputs,
    ) -> (Result<Candidate, Outcome>, Aside) {
        let mut aside = Aside::new();
        let (mut round, mut old) = (0, BTreeSet::new());
        loop {
            self.renew(&aside, &old);
            let (included, found) = self.compile(manner, inputs, &aside);
            let refused = match &found {
                Err(Outcome::Refused(refused)) => refused,
                Err(Outcome::Waiting) => match self.waiting_parts(inputs, &aside) {
                    Some(more) => {
                        aside.extend(more);
                        continue;
                    }
                    None if self.good.renews() => {
                        old.extend(self.good.doubted(&Problems::new()));
                        continue;
                    }
                    None => return (found, aside),
                },
                Ok(candidate) if self.is_nothing(candidate, &aside) => {
                    return (Err(whole(&aside)), Aside::new());
                }
                _ => return (found, aside),
            };
            let blamed = self.blame(refused, &included, inputs, &aside);
            let blamed = match blamed.filter(|_| self.fails_alone()) {
                // Each round reads all files, and nobody else is answered meanwhile.
                Some(_) if round == ROUNDS => self.all_changed(refused, &included, inputs, &aside),
                Some(more) => more,
                // What stands in is refused as well, for its new secrets: the old ones, then, so that
                // they keep nobody else from changing.
                None if self.good.renews() => {
                    old.extend(self.good.doubted(&refused.problems));
                    continue;
                }
                None => return (found, Aside::new()),
            };
            if blamed.is_empty() || round > ROUNDS {
                return (found, Aside::new());
            }
            aside.extend(self.perhaps_renamed(&blamed, &included));
            aside.extend(blamed);
            round += 1;
        }
    }

    /// Reads, proves, compiles and tests; binds and publishes nothing. Gives the included files as
    /// well, as far as they are known.
    pub(super) fn compile(
        &mut self,
        manner: Manner,
        inputs: &mut Inputs,
        aside: &Aside,
    ) -> (Vec<PathBuf>, Result<Candidate, Outcome>) {
        let now = Timestamp::now();
        let parts = self.parts(aside, manner);
        let (config, mut problems) = match &self.source {
            Source::File(path) => config::load(path, inputs, &parts, now),
            Source::Text { name, text, .. } => config::load_text(name, text, inputs, &parts, now),
        };
        let included = inputs.included();
        if self.roots.is_empty() && config.as_ref().is_some_and(material::wants_roots) {
            self.roots = Arc::new(super::system_roots());
        }
        let awaited = config
            .as_ref()
            .is_some_and(|config| self.settle_remote(config, inputs));
        for path in config.iter().flat_map(|config| &config.token_files) {
            // Read, so that it is in the hash and watched; what it says is looked at below.
            let _ = inputs.lines(path);
        }
        self.check_exposed(config.as_ref(), inputs, &mut problems);
        // Also what was refused is watched: that is where it will be mended.
        self.watched = inputs.watched();
        if config.as_ref().is_some_and(|one| one.plugins.is_empty()) {
            self.none_left(manner.trigger, &mut problems);
        }
        let (Some(config), false) = (config, problems.has_problems()) else {
            let refused = refused(Stage::Validate, problems, inputs.digest());
            return (included, Err(refused));
        };
        if self.published().is_none() {
            self.edges.log_as(config.log);
        }
        if awaited {
            return (included, Err(Outcome::Waiting));
        }
        self.check_remote(&config, &mut problems);
        self.open_state(&config.state_directory, now);
        super::exposed::check_state(&config.state_directory, self.rehearsal, &mut problems);
        self.recall_documents(&config, now);
        let standins = self.standins(aside);
        let pins = self.rolled.as_ref().map(|rolled| Arc::clone(&rolled.pins));
        let faults = self.documents.settle(
            &config,
            inputs,
            (&self.edges, &self.roots),
            (standins, pins.as_deref()),
            (manner.ask, now),
        );
        for (at, error) in faults {
            problems.add(&at, error);
        }
        // Also the files that documents refer to are part of the generation, and watched.
        self.watched = inputs.watched();
        if self.awaits_documents(&config, manner) {
            return (included, Err(Outcome::Waiting));
        }
        self.check_documents(&config, &mut problems);
        if problems.has_problems() {
            let read = [inputs.digest(), self.documents.digest()].concat();
            let refused = refused(Stage::Compile, problems, Sha256::digest(read).into());
            return (included, Err(refused));
        }
        let found = self.prove(config, (manner, now), inputs, aside, problems);
        (included, found)
    }

    /// Compiles and tests what was read.
    fn prove(
        &mut self,
        config: Config,
        (manner, now): (Manner, Timestamp),
        inputs: &mut Inputs,
        aside: &Aside,
        mut problems: Problems,
    ) -> Result<Candidate, Outcome> {
        let facts = self.facts_of(&config, inputs, aside);
        let digest = self.digest_of(&config, inputs, &facts);
        if self.published.is_some() && digest == self.digest {
            return Err(Outcome::Unchanged);
        }
        let read = [inputs.digest(), self.documents.digest()].concat();
        let read: [u8; 32] = Sha256::digest(read).into();
        let Some(tokens) = self.declared(&config, manner, inputs, now, &mut problems) else {
            return Err(refused(Stage::Validate, problems, read));
        };
        let apis = self.documents.apis();
        self.stored_tokens = self.has_stored_tokens(&config.state_directory, now);
        let texts = self.texts_of(inputs, &facts);
        let strict = self.strict(&texts);
        let number = self.next_number(&hex(digest), now);
        let material = self.material(&apis, (number, digest), strict, now);
        let Some(snapshot) = Snapshot::compile(config, &material, &mut problems) else {
            return Err(refused(Stage::Compile, problems, read));
        };
        let strict = material.strict;
        let snapshot = Arc::new(snapshot);
        super::aims::check(&tokens, &snapshot, &mut problems);
        if !manner.idle {
            let weaker = match manner.trigger {
                Trigger::Command { weaker } => weaker,
                Trigger::Start => self.weaker,
                Trigger::File | Trigger::Document => false,
            };
            self.check_revived(&snapshot.config, &tokens, &mut problems);
            if !weaker {
                self.check_not_wider(&snapshot.config, &mut problems);
            }
            let bases = self.bases(&snapshot.config, inputs);
            let tested = self.self_test(&snapshot, (&bases, strict), weaker, &mut problems);
            if let Tested::Waits(plugins) = tested {
                self.wait_for_tests(&snapshot.config, &plugins);
                return Err(Outcome::Waiting);
            }
        }
        if problems.has_problems() {
            return Err(refused(Stage::SelfTest, problems, read));
        }
        Ok(Candidate {
            snapshot,
            tokens,
            problems,
            digest,
            texts: self.texts_to_know(texts),
            facts,
        })
    }

    /// The hash of a generation: over every byte that goes into it. What is broken on disk is not
    /// part of it, what serves in its place is.
    fn digest_of(
        &self,
        config: &Config,
        inputs: &Inputs,
        facts: &BTreeMap<PathBuf, Facts>,
    ) -> [u8; 32] {
        let mut all = Sha256::new();
        all.update(inputs.digest_of_part(None));
        // A file of which nothing serves is as if it was not there.
        let parts = config.included.iter();
        for (path, facts) in parts.filter_map(|path| Some((path, facts.get(path)?))) {
            all.update(Sha256::digest(path.as_os_str().as_encoded_bytes()));
            all.update(facts.digest);
        }
        all.update(self.documents.digest());
        // What stands in for a plugin of the main file is not what is written there.
        for name in &self.waits.apart {
            all.update(Sha256::digest(name));
        }
        all.finalize().into()
    }

    /// The tokens that a configuration declares. `None`: there are problems.
    fn declared(
        &mut self,
        config: &Config,
        manner: Manner,
        inputs: &mut Inputs,
        now: Timestamp,
        problems: &mut Problems,
    ) -> Option<declared::Next> {
        let lists = &self.shared.scopes;
        let rules = self.rules(config, manner);
        let read = (config, &rules);
        let tokens = self.tokens.next(read, inputs, lists, now, problems)?;
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

    /// The swap. Nothing here can fail.
    fn publish(&mut self, snapshot: Arc<Snapshot>, tokens: declared::Next, added: Vec<E::Bound>) {
        self.take_number(&snapshot);
        self.generation = snapshot.generation;
        self.kept.turn(&snapshot);
        self.since = Timestamp::now();
        self.alive
            .retain(|generation| generation.strong_count() > 0);
        self.alive.push(Arc::downgrade(&snapshot));
        // New secrets open before the snapshot that knows their scopes serves, old ones close
        // after: at no moment is a live secret refused.
        self.documents.settled();
        let changes = self
            .published
            .is_some()
            .then(|| tokens.changes(&self.shared.scopes));
        let retired = self.tokens.enter(tokens, &self.shared.tokens);
        let wanted = super::listeners::wanted(&snapshot.config);
        self.edges.configure(
            &snapshot.config.limits,
            snapshot.config.log,
            snapshot.tls.clone(),
        );
        match &self.published {
            Some(published) => published.publish(snapshot),
            None => self.published = Some(Arc::new(Published::new(snapshot))),
        }
        retired.leave(&self.shared.tokens);
        let changes = changes.unwrap_or_default();
        self.note_declared(&changes);
        self.ended = changes.ended;
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

/// What is wrong with all files that are broken, unless it is not known yet.
pub(super) fn whole(aside: &Aside) -> Outcome {
    if aside.values().any(|held| held.waits) {
        return Outcome::Waiting;
    }
    let (mut stage, mut problems, mut digest) = (Stage::Validate, Problems::new(), [0; 32]);
    for held in aside.values() {
        (stage, digest) = (held.stage, held.digest);
        problems.append(held.problems.clone());
    }
    refused(stage, problems, digest)
}

/// A refusal, from now on.
fn refused(stage: Stage, problems: Problems, digest: [u8; 32]) -> Outcome {
    Outcome::Refused(Refused {
        stage,
        problems,
        since: Timestamp::now(),
        digest,
    })
}

/// Hexadecimal, for people.
pub(super) fn hex(digest: [u8; 32]) -> String {
    Fingerprint(digest).to_hex()
}
