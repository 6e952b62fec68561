//! Changes of tokens: what they need, what they write, what is told of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use redb::WriteTransaction;
use serde_json::{Value, json};

use super::audit::{self, Deed};
use super::db::{NAMES, Outcome, SECRETS, TOKENS};
use super::desk::{Desk, Scene, reveal};
use super::find::{Found, MOST_COUNTED, no_plugin};
use super::view::{self, Source};
use super::{place, uses};
use crate::counted::counted;
use crate::tokens::{
    Changed, CreateRequest, Done, Fault, FieldFault, Fingerprint, Level, Making, PlainToken,
    Plugins, RotateRequest, Rotation, ScopeList, SetRequest, State, TokenRecord, Who,
    generate_from_system, note_fault, regenerate_from_system,
};

/// A change on its way.
pub(super) struct Write<'a> {
    pub(super) desk: &'a mut Desk,
    pub(super) who: &'a Who,
    pub(super) scene: &'a Scene<'a>,
    pub(super) now: Timestamp,
}

impl Write<'_> {
    /// The token with this id or name.
    pub(super) fn find(&mut self, key: &str) -> Result<Found, Fault> {
        self.desk.lookup(key, self.who, self.scene, self.now)
    }

    /// As it is.
    pub(super) fn unchanged(&self, found: &Found) -> Done {
        Done {
            value: view::token(
                &found.record,
                found.shared.as_deref(),
                found.source,
                self.now,
            ),
            changed: false,
        }
    }

    /// Makes a token.
    pub(super) fn create(&mut self, request: &CreateRequest) -> Result<Done, Fault> {
        let draft = request.draft(self.now)?;
        let mut record = draft.record.clone();
        self.check_level(record.level)?;
        self.check_reach(&record.plugins, &record.scopes)?;
        self.check_single(&record.plugins, &record.scopes)?;
        self.check_names(&request.plugins)?;
        let secret = if draft.given {
            let secret = record.current.fingerprint;
            if let Some(id) = self.desk.holder(&secret, self.scene, self.now)? {
                return self.given_again(&draft, &id, &secret);
            }
            if self.desk.is_taken(&record.id, self.scene, self.now)? {
                return Err(Fault::Conflict(format!(
                    "the id {} is taken by another token",
                    record.id
                )));
            }
            None
        } else {
            let secret = self.generate(record.level)?;
            record.id = secret.id().into();
            record.current.fingerprint = Fingerprint::of(secret.expose().as_bytes());
            Some(secret)
        };
        record.made = Some(Arc::new(Making {
            at: self.now,
            by: Arc::clone(&self.who.by),
        }));
        check_size(&record)?;
        let namesakes = (self.desk).namesakes(&record.name, self.who, self.scene, self.now)?;
        self.commit("create", None, &record)?;
        let mut done = self.done(&record, secret.as_ref());
        if namesakes > 0 {
            done.value["remark"] = told_apart(namesakes, &record).into();
        }
        Ok(done)
    }

    /// The same create again, with a secret that was made elsewhere.
    fn given_again(
        &mut self,
        draft: &crate::tokens::Draft,
        id: &Arc<str>,
        secret: &Fingerprint,
    ) -> Result<Done, Fault> {
        let found = self.desk.by_id(id, self.scene, self.now)?;
        let theirs = found.filter(|found| self.who.has(&found.record.plugins));
        let Some(found) = theirs else {
            return Err(Fault::Conflict(
                "the secret belongs to another token already".to_owned(),
            ));
        };
        let live = found.record.current.fingerprint == *secret
            && !matches!(found.record.state, State::Revoked { .. });
        if live && found.source == Source::State && draft.is(&found.record) {
            return Ok(self.unchanged(&found));
        }
        let how = if live {
            "with other settings: `plugway token set` changes those"
        } else {
            "and is not its current one, or it is revoked"
        };
        Err(Fault::Conflict(format!(
            "the secret belongs to token {id} already, {how}"
        )))
    }

    /// A secret whose id nobody has.
    fn generate(&mut self, level: Level) -> Result<PlainToken, Fault> {
        for _ in 0..100 {
            let secret = generate_from_system(level).map_err(no_randomness)?;
            if !self.desk.is_taken(secret.id(), self.scene, self.now)? {
                return Ok(secret);
            }
        }
        Err(Fault::Store(
            "no id could be found that is not taken".to_owned(),
        ))
    }

    /// Changes what was said when it was made.
    pub(super) fn set(&mut self, key: &str, request: &SetRequest) -> Result<Done, Fault> {
        if request.is_empty() {
            return Err(Fault::Invalid(vec![FieldFault {
                field: "request",
                message: "says nothing that is to be changed".to_owned(),
            }]));
        }
        let found = self.owned(key, "set")?;
        if matches!(found.record.state, State::Revoked { .. }) {
            return Err(crate::tokens::Refusal::Revoked.into());
        }
        let next = request.apply(&found.record, self.now)?;
        check_size(&next)?;
        if request.plugins.is_some() || request.scopes.is_some() {
            self.check_reach(&next.plugins, &next.scopes)?;
            self.check_names(request.plugins.as_deref().unwrap_or_default())?;
        }
        if request.scopes.is_some() {
            self.check_single(&next.plugins, &next.scopes)?;
        }
        if next == found.record {
            return Ok(self.unchanged(&found));
        }
        self.commit("set", Some(&found.record), &next)?;
        Ok(self.done(&next, None))
    }

    /// Another secret; or, without one, another way for a rotation that is under way to end.
    pub(super) fn rotate(&mut self, key: &str, request: &RotateRequest) -> Result<Done, Fault> {
        let (given, mut grace, idle) = request.read()?;
        let found = self.owned(key, "rotate")?;
        let before = found.record.clone();
        // It is suspended for a reason: the old secret must not come back with it by default.
        if matches!(before.state, State::Suspended) && request.grace.is_none() {
            grace = Duration::ZERO;
        }
        if let (Some(idle), None, None, true) = (
            idle,
            given,
            &request.grace,
            before.live_previous(self.now).is_some(),
        ) {
            return self.changed(
                "finish_when_idle",
                &found,
                before.finish_when_idle(idle, self.now),
            );
        }
        let secret = match given {
            Some(_) => None,
            None => Some(regenerate_from_system(&before.id, before.level).map_err(no_randomness)?),
        };
        let fingerprint = given.unwrap_or_else(|| {
            Fingerprint::of(secret.as_ref().map_or("", PlainToken::expose).as_bytes())
        });
        if let Some(id) = self.desk.holder(&fingerprint, self.scene, self.now)?
            && before
                .secrets()
                .all(|(_, known)| known.fingerprint != fingerprint)
        {
            let whose = if id == before.id {
                "it was the secret of this token before".to_owned()
            } else {
                "it belongs to another token".to_owned()
            };
            return Err(Fault::Conflict(format!(
                "the secret can not be used: {whose}"
            )));
        }
        let rotation = Rotation {
            fingerprint,
            elsewhere: given.is_some(),
            grace,
            finish_when_idle: idle,
        };
        let Some(next) = before.rotate(rotation, self.now)? else {
            return Ok(self.unchanged(&found));
        };
        let cut_short = before.live_previous(self.now).is_some();
        self.commit("rotate", Some(&before), &next)?;
        let mut done = self.done(&next, secret.as_ref());
        if cut_short {
            done.value["remark"] = "the secret before the previous one was still in its grace period and ended now: at most two live".into();
        }
        Ok(done)
    }

    /// Another state.
    pub(super) fn change(
        &mut self,
        key: &str,
        action: &'static str,
        change: impl FnOnce(&TokenRecord, Timestamp) -> Changed,
    ) -> Result<Done, Fault> {
        let found = self.owned(key, action)?;
        let changed = change(&found.record, self.now);
        self.changed(action, &found, changed)
    }

    fn changed(
        &mut self,
        action: &'static str,
        found: &Found,
        changed: Changed,
    ) -> Result<Done, Fault> {
        let Some(next) = changed? else {
            return Ok(self.unchanged(found));
        };
        self.commit(action, Some(&found.record), &next)?;
        Ok(self.done(&next, None))
    }

    /// Why somebody revokes: shown to everybody who may list tokens.
    pub(super) fn check_reason(reason: &str) -> Result<(), Fault> {
        let fault = if reason.trim().is_empty() {
            Some("must be written: whoever looks later has to know why".to_owned())
        } else {
            note_fault(reason)
        };
        fault.map_or(Ok(()), |message| {
            let field = "reason";
            Err(Fault::Invalid(vec![FieldFault { field, message }]))
        })
    }

    /// A token that commands may change.
    fn owned(&mut self, key: &str, action: &str) -> Result<Found, Fault> {
        let found = self.find(key)?;
        if found.source == Source::State {
            self.check_level(found.record.level)?;
            return Ok(found);
        }
        let id = &found.record.id;
        let config = self.scene.snapshot.map(|snapshot| &snapshot.config);
        let declared =
            config.and_then(|config| config.tokens.iter().find(|token| *token.id == **id));
        let (place, how) = match declared {
            Some(token) => (
                format!("declared at {}", token.at),
                "the file or the environment variable that its `secret` refers to, or `secrets`; a changed file is a rotation with the token's `grace`",
            ),
            None => (
                "a line of a token file".to_owned(),
                "that line: with `secrets` it holds the new hash and the old one with its `until`",
            ),
        };
        let what = match action {
            "rotate" | "finish" | "undo" => format!("its secret comes from there. Change {how}"),
            _ => "change it there: the gateway follows within a second".to_owned(),
        };
        Err(Fault::Conflict(format!("token {id} is {place}; {what}")))
    }

    /// Whether tokens of a level are theirs to make and to change: who is bound to some plugins could
    /// otherwise give themselves more time, or another network.
    pub(super) fn check_level(&self, level: Level) -> Result<(), Fault> {
        if level == Level::Admin && !self.who.may_all() {
            return Err(Fault::Forbidden(
                "only an admin for all plugins makes and changes admin tokens",
            ));
        }
        Ok(())
    }

    /// Plugins that exist, as they were asked for: a name beside `*` means nothing, and is a slip all the
    /// same.
    fn check_names(&self, names: &[String]) -> Result<(), Fault> {
        self.known(names.iter().map(String::as_str))
    }

    fn known<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<(), Fault> {
        let Some(snapshot) = self.scene.snapshot else {
            return Ok(());
        };
        let known = snapshot.plugins.iter().map(|plugin| &*plugin.name);
        let known: Vec<&str> = known.collect();
        let unknown = names.filter(|name| *name != "*" && !known.contains(name));
        let fault = |name: &str| no_plugin("plugins", name, &known);
        let faults: Vec<FieldFault> = unknown.map(fault).collect();
        unless_any(faults)
    }

    /// Plugins that exist and are theirs, and scopes that match something there.
    pub(super) fn check_reach(&self, plugins: &Plugins, scopes: &ScopeList) -> Result<(), Fault> {
        if !self.who.has(plugins) {
            return Err(Fault::Forbidden(
                "this admin token is not for all of these plugins",
            ));
        }
        let Some(snapshot) = self.scene.snapshot else {
            return Ok(());
        };
        self.known(plugins.names())?;
        let mut faults = Vec::new();
        for selector in snapshot.unmatched(plugins, scopes) {
            let meant = snapshot.meant(plugins, selector);
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?"));
            let meant = meant.unwrap_or_default();
            let message = format!("`{selector}` matches no operation of these plugins{meant}");
            faults.push(FieldFault {
                field: "scopes",
                message,
            });
        }
        unless_any(faults)
    }

    /// Scopes of which each means one operation, or says that it means more.
    fn check_single(&self, plugins: &Plugins, scopes: &ScopeList) -> Result<(), Fault> {
        let several = self.scene.snapshot.iter();
        let several = several.flat_map(|snapshot| snapshot.several(plugins, scopes));
        let faults: Vec<FieldFault> = several
            .map(|said| FieldFault {
                field: "scopes",
                message: format!("{said}: name those that are meant"),
            })
            .collect();
        unless_any(faults)
    }

    /// Writes a record and its entry of the audit, then brings it into force.
    fn commit(
        &mut self,
        action: &'static str,
        before: Option<&TokenRecord>,
        after: &TokenRecord,
    ) -> Result<(), Fault> {
        let deed = Deed {
            action,
            id: &after.id,
            by: &self.who.by,
            before: before.map_or(Value::Null, view::audited),
            after: view::audited(after),
        };
        let now = self.now;
        // Whose last use it is changes with the secret, in the database as in the table.
        let moved = before.and_then(|before| uses::moved(before, after, self.scene));
        let written = self.desk.db.write(now, |write| {
            put(write, before, after)?;
            if let Some(moved) = &moved {
                uses::put(write, &after.id, moved)?;
            }
            audit::append(write, &deed, now)
        });
        let head = written.inspect_err(|_| self.desk.doubts(&after.id, before))?;
        self.desk.enter(before, after, self.scene, now);
        tracing::info!(action, token = %after.id, by = %self.who.by, audit = head, "token changed");
        Ok(())
    }

    /// What is told of a change. The secret is in it once, here.
    fn done(&self, record: &TokenRecord, secret: Option<&PlainToken>) -> Done {
        let held = self.scene.shared.tokens.get(&record.current.fingerprint);
        let shared = held.map(|token| Arc::clone(&token.shared));
        let mut value = view::token(record, shared.as_deref(), Source::State, self.now);
        if let Some(secret) = secret {
            value["secret"] = reveal(secret);
        }
        if let Some(warning) = place::fleeting(self.desk.directory()) {
            value["warnings"] = json!([warning]);
        }
        Done {
            value,
            changed: true,
        }
    }
}

/// A refusal that names all that is wrong, if anything is.
fn unless_any(faults: Vec<FieldFault>) -> Result<(), Fault> {
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Fault::Invalid(faults))
    }
}

/// What is said of a token whose name others have.
fn told_apart(namesakes: usize, record: &TokenRecord) -> String {
    let (name, id) = (&record.name, &record.id);
    let least = if namesakes == MOST_COUNTED {
        "at least "
    } else {
        ""
    };
    let others = counted(namesakes, "other token has", "other tokens have");
    format!("{least}{others} the name \"{name}\" too: commands know this one by its id, {id}")
}

/// A record in all tables.
pub(super) fn put(
    write: &WriteTransaction,
    before: Option<&TokenRecord>,
    after: &TokenRecord,
) -> Outcome<()> {
    write
        .open_table(TOKENS)?
        .insert(&*after.id, after.to_line().as_bytes())?;
    let mut secrets = write.open_table(SECRETS)?;
    for (_, secret) in after.secrets() {
        secrets.insert(secret.fingerprint.0.as_slice(), &*after.id)?;
    }
    if before.is_none_or(|before| before.name != after.name) {
        let mut names = write.open_multimap_table(NAMES)?;
        if let Some(before) = before {
            names.remove(&*before.name, &*before.id)?;
        }
        names.insert(&*after.name, &*after.id)?;
    }
    Ok(())
}

/// What is stored has to fit into a line of a token file, with room for how it ends.
fn check_size(record: &TokenRecord) -> Result<(), Fault> {
    const MOST: usize = 60 << 10;
    if record.to_line().len() <= MOST {
        return Ok(());
    }
    let message = "are too long together with the other settings: a token has at most 60 KiB; name tags instead of operations";
    Err(Fault::Invalid(vec![FieldFault {
        field: "scopes",
        message: message.to_owned(),
    }]))
}

fn no_randomness(error: getrandom::Error) -> Fault {
    Fault::Store(format!("the system has no randomness to give: {error}"))
}
