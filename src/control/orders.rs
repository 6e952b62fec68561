//! Orders about tokens and looks at them, as the admin API and the command line give them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::declared::{Changes, Tokens};
use super::state::{Deed, Desk, Reader, Scene, StoreError, audited, no_plugin};
use super::{Control, Edges, Shared, explain};
use crate::snapshot::Snapshot;
use crate::tokens::{
    Done, Fault, FieldFault, Fingerprint, Flow, Look, Order, Plugins, Token, TokenRecord, Who,
    parse,
};

/// A look or a flow that is ready to be taken on another thread: it may go through a million
/// tokens.
#[derive(Debug)]
pub struct View {
    reader: Reader,
    shared: Arc<Shared>,
    /// What serves; `None` where no gateway runs.
    snapshot: Option<Arc<Snapshot>>,
    who: Who,
    now: Timestamp,
}

impl View {
    /// What is looked at.
    pub fn look(&self, look: &Look) -> Result<Value, Fault> {
        catch_unwind(AssertUnwindSafe(|| self.seen(look))).unwrap_or_else(|_| Err(damaged()))
    }

    fn seen(&self, look: &Look) -> Result<Value, Fault> {
        match look {
            Look::Audit(id, most) => {
                self.of_all()?;
                if id.as_deref().is_some_and(|id| parse(id).is_ok()) {
                    return Err(Fault::secret_for_id("token"));
                }
                Ok(self
                    .reader
                    .audit(id.as_deref(), (*most).min(ENTRIES))?
                    .into())
            }
            Look::Verify(head) => {
                self.of_all()?;
                let head = head.as_deref().map(as_hash).transpose()?;
                let verdict = self.reader.verify(head.as_deref())?;
                Ok(json!({
                    "whole": verdict.fault.is_none(),
                    "entries": verdict.entries,
                    "head": verdict.head,
                    "fault": verdict.fault,
                }))
            }
            Look::Explain(_) => Err(Fault::Forbidden("is explained where it is routed")),
        }
    }

    /// Whether it can be given: once it has begun, it can only be broken off.
    pub fn check(&self, flow: &Flow) -> Result<(), Fault> {
        match flow {
            Flow::List(filter) => {
                filter.read(self.now)?;
                let Some(plugin) = &filter.plugin else {
                    return Ok(());
                };
                catch_unwind(AssertUnwindSafe(|| self.is_plugin(plugin)))
                    .unwrap_or_else(|_| Err(damaged()))
            }
            Flow::Export => self.reader.is_there(),
            Flow::Audit | Flow::Backup => {
                self.of_all()?;
                self.reader.is_there()
            }
        }
    }

    /// Whether there is such a plugin, for whoever asks. One that is gone may still be named by tokens,
    /// which have to be found; a token for all is none that names it.
    fn is_plugin(&self, name: &str) -> Result<(), Fault> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(());
        };
        let theirs = |name: &&str| self.who.has(&Plugins::new([*name]));
        let plugins = snapshot.plugins.iter().map(|plugin| &*plugin.name);
        let plugins: Vec<&str> = plugins.filter(theirs).collect();
        if plugins.contains(&name) {
            return Ok(());
        }
        let mut named = false;
        let to = (&self.who, &self.shared.scopes);
        self.reader.each_visible(to, |record| {
            named = named || record.plugins.names().any(|one| one == name);
        })?;
        if named {
            return Ok(());
        }
        Err(Fault::Invalid(vec![no_plugin("plugin", name, &plugins)]))
    }

    /// Line by line, each with its end.
    pub fn flow(&self, flow: Flow, line: impl FnMut(String)) -> Result<(), Fault> {
        self.check(&flow)?;
        catch_unwind(AssertUnwindSafe(|| self.flows(flow, line))).unwrap_or_else(|_| Err(damaged()))
    }

    fn flows(&self, flow: Flow, mut line: impl FnMut(String)) -> Result<(), Fault> {
        match flow {
            Flow::List(filter) => {
                self.reader
                    .list(&filter, &self.who, &self.shared, self.now, line)
            }
            Flow::Export => self.reader.export(&self.who, |text| line(text + "\n")),
            Flow::Audit => self.reader.audit_lines(line),
            Flow::Backup => self.reader.backup(self.now, line),
        }
    }

    /// The audit and the backup hold what other plugins' tokens are.
    fn of_all(&self) -> Result<(), Fault> {
        if self.who.may_all() {
            Ok(())
        } else {
            Err(FOR_ALL)
        }
    }
}

/// A hash as the chain has it.
fn as_hash(text: &str) -> Result<String, Fault> {
    let bare = text.trim().trim_start_matches("audit=").trim_matches('"');
    let hash = Fingerprint::from_hex(bare).ok_or_else(|| {
        Fault::Invalid(vec![FieldFault {
            field: "head",
            message: "must be 64 hexadecimal digits, as a log line has them in `audit`".to_owned(),
        }])
    })?;
    Ok(hash.to_hex())
}

/// Entries of the audit that are held at a time; its export has no bound, since it holds none.
const ENTRIES: usize = 10_000;

/// What is said where `redb` gave up.
fn damaged() -> Fault {
    Fault::Store(
        "the state database is damaged: put it aside and `plugway state restore` a backup, or restore the file itself"
            .to_owned(),
    )
}

/// What is said while a successor has the database.
const LENT: &str = "another plugway is taking over (`serve --take-over`) and has the state database: ask again in a few seconds, when it serves or this gateway has the database back";

/// What is said when nobody has it any more.
const ENDING: &str = "the gateway is ending and has given the state database up";

/// Of an admin token that is for some plugins only.
pub const FOR_ALL: Fault =
    Fault::Forbidden("this needs an admin token for all plugins (`--plugin '*'`)");

impl<E: Edges> Control<E> {
    /// Does what is asked of a token.
    ///
    /// # Errors
    /// Why nothing changed.
    pub fn order(&mut self, order: &Order, who: &Who, now: Timestamp) -> Result<Done, Fault> {
        self.with_desk(|desk, scene| desk.perform(order, who, scene, now))?
    }

    /// For whoever looks at many tokens.
    pub fn view(&mut self, who: Who, now: Timestamp) -> Result<View, Fault> {
        let reader = self.with_desk(|desk, scene| desk.reader(scene, now))??;
        let shared = Arc::clone(&self.shared);
        let snapshot = self.published.as_ref().map(|published| published.current());
        Ok(View {
            reader,
            shared,
            snapshot,
            who,
            now,
        })
    }

    /// What becomes of a request.
    pub fn explain(
        &mut self,
        question: &crate::tokens::Question,
        who: &Who,
        now: Timestamp,
    ) -> Result<Value, Fault> {
        let snapshot = self.published.as_ref().map(|published| published.current());
        let snapshot =
            snapshot.ok_or_else(|| Fault::Conflict("nothing is published yet".to_owned()))?;
        let view = self.view(who.clone(), now)?;
        let token = match &question.token {
            Some(key) => Some(self.with_desk(|desk, scene| desk.record(key, who, scene, now))??),
            None => None,
        };
        explain::explain(
            question,
            &snapshot,
            token.as_ref(),
            &view.reader,
            (who, &self.shared, now),
        )
    }

    /// When the desk has something to do by itself.
    pub fn desk_due(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.desk.as_mut().and_then(|desk| desk.due(now))
    }

    /// Does it.
    pub fn desk_tick(&mut self, now: Timestamp) {
        let _ = self.with_desk(|desk, scene| desk.tick(scene, now));
    }

    /// Notes that a secret is in use.
    pub fn used(&mut self, token: &Arc<Token>, now: Timestamp) {
        if let Some(desk) = &mut self.desk {
            desk.used(token, now);
        }
    }

    /// When service tokens end, declared ones and others.
    pub(super) fn token_ends(&self) -> BTreeMap<Arc<str>, Timestamp> {
        let mut ends = self.tokens.expiry();
        ends.extend(self.desk.iter().flat_map(Desk::ends));
        ends
    }

    /// Reports what became of declared tokens: a line for each, and an entry of the audit.
    pub(super) fn note_declared(&mut self, changes: &Changes) {
        let by = format!("configuration, generation {}", self.generation);
        let mut deeds = Vec::new();
        let audited = |record: &Option<TokenRecord>| record.as_ref().map_or(Value::Null, audited);
        for change in &changes.of {
            deeds.push(Deed {
                action: change.action(),
                id: change.id(),
                by: &by,
                before: audited(&change.before),
                after: audited(&change.after),
            });
        }
        if changes.more > 0 {
            deeds.push(Deed {
                action: "declare",
                id: "*",
                by: &by,
                before: Value::Null,
                after: json!({ "tokens": changes.more }),
            });
        }
        let now = Timestamp::now();
        let head = self
            .desk
            .as_mut()
            .and_then(|desk| desk.note_declared(&deeds, now));
        for deed in &deeds {
            tracing::info!(
                action = deed.action,
                token = deed.id,
                by,
                audit = head,
                "declared token changed"
            );
        }
    }

    /// Writes the last uses that are not written yet.
    pub fn flush_uses(&mut self, now: Timestamp) {
        let _ = self.with_desk(|desk, _| desk.flush(now));
    }

    /// Gives the state database up, with all that is to be kept in it: a successor may want it.
    pub fn close_state(&mut self, now: Timestamp) {
        self.save(now);
        let _ = self.with_desk(|desk, _| desk.close(now));
        self.desk = None;
    }

    /// Opens the state of a directory, once: another one needs a restart.
    pub(super) fn open_state(&mut self, directory: &Path, now: Timestamp) {
        if self.desk.is_some() || self.rehearsal || self.lent {
            return;
        }
        self.desk = Some(Desk::new(directory, now));
        let opened = self.with_desk(|desk, scene| desk.open(scene, now));
        if let Ok(Err(error)) = opened {
            tracing::error!(%error, "the tokens in it can not be judged until it is there: requests with them get 503");
        }
    }

    /// Why tokens can not be changed, if they can not.
    pub(super) fn state_error(&self) -> Option<String> {
        if self.lent {
            return Some(LENT.to_owned());
        }
        self.desk.as_ref()?.error().map(ToString::to_string)
    }

    /// Why times may be judged wrongly, if they may.
    pub(super) fn clock_error(&self) -> Option<String> {
        self.desk.as_ref().and_then(Desk::clock_error)
    }

    /// Whether commands made tokens that are kept in this directory, as far as is known.
    pub(super) fn has_stored_tokens(&mut self, directory: &Path, now: Timestamp) -> bool {
        match &mut self.desk {
            Some(desk) => desk.has_tokens(now),
            None => super::state::exists(directory),
        }
    }

    /// Whether every token that is stored is known.
    pub(super) fn knows_tokens(&self) -> bool {
        let untold = self
            .shared
            .untold
            .load(std::sync::atomic::Ordering::Relaxed);
        !untold && self.desk.as_ref().is_none_or(Desk::is_complete)
    }

    pub(super) fn with_desk<T>(
        &mut self,
        work: impl FnOnce(&mut Desk, &Scene<'_>) -> T,
    ) -> Result<T, Fault> {
        let snapshot = self.published.as_ref().map(|published| published.current());
        let scene = Scene {
            shared: &self.shared,
            snapshot: snapshot.as_deref(),
            declared: &self.tokens,
        };
        let given_up = if self.lent { LENT } else { ENDING };
        let desk = self.desk.as_mut();
        let desk = desk.ok_or_else(|| Fault::Store(given_up.to_owned()))?;
        // A damaged page makes `redb` panic, and must not take the process with it.
        let done = catch_unwind(AssertUnwindSafe(|| work(desk, &scene)));
        done.map_err(|_| {
            desk.is_damaged(&scene, Timestamp::now());
            damaged()
        })
    }
}

/// The desk without a gateway: for the command line, where none runs.
#[derive(Debug)]
pub struct Offline {
    desk: Desk,
    shared: Arc<Shared>,
    declared: Tokens,
}

impl Offline {
    /// The state database in this directory. Made when something is to be written.
    ///
    /// # Errors
    /// It is there and can not be used.
    pub fn open(directory: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let (shared, _) = Shared::new(16, std::time::Instant::now());
        let mut offline = Self {
            desk: Desk::new(directory, now),
            shared,
            declared: Tokens::default(),
        };
        let (desk, scene) = offline.parts();
        desk.open(&scene, now)?;
        Ok(offline)
    }

    /// Does what is asked of a token.
    ///
    /// # Errors
    /// Why nothing changed.
    pub fn order(&mut self, order: &Order, who: &Who, now: Timestamp) -> Result<Done, Fault> {
        let (desk, scene) = self.parts();
        desk.perform(order, who, &scene, now)
    }

    /// For whoever looks at many tokens.
    ///
    /// # Errors
    /// The database can not be read.
    pub fn view(&mut self, who: Who, now: Timestamp) -> Result<View, Fault> {
        let shared = Arc::clone(&self.shared);
        let (desk, scene) = self.parts();
        let reader = desk.reader(&scene, now)?;
        Ok(View {
            reader,
            shared,
            snapshot: None,
            who,
            now,
        })
    }

    fn parts(&mut self) -> (&mut Desk, Scene<'_>) {
        let scene = Scene {
            shared: &self.shared,
            snapshot: None,
            declared: &self.declared,
        };
        (&mut self.desk, scene)
    }
}
