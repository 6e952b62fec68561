//! Taking up a generation of before.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Rolled, standing_in};
use crate::config::Config;
use crate::control::attempt::{Looked, Manner};
use crate::control::documents::Ask;
use crate::control::state::Generation;
use crate::control::{Control, Edges, OnInvalid, Outcome, Refused, Source, Trigger, declared};
use crate::problems::{Place, Problems};
use crate::tokens::{Fault, Status};

/// What a rollback is asked for.
#[derive(Debug)]
pub struct Rolling {
    /// The generation; `None`: the one before.
    pub to: Option<u64>,
    /// Also when a plugin is guarded less than now.
    pub weaker: bool,
    /// Who asks.
    pub by: Arc<str>,
}

impl<E: Edges> Control<E> {
    /// Publishes the bytes of a generation of before as a new one. From then on files on disk are
    /// not looked at, until they change.
    ///
    /// # Errors
    /// There is no such generation, or not all of it is kept.
    pub fn roll_back(&mut self, rolling: &Rolling, now: Timestamp) -> Result<Outcome, Fault> {
        self.save(now);
        let base = self
            .rolled
            .as_ref()
            .map_or(self.generation, |rolled| rolled.to);
        let generations = self.generations(now)?;
        let older = generations.into_iter().filter(|one| match rolling.to {
            Some(number) => one.number == number,
            None => one.number < base,
        });
        let older: Vec<_> = older.collect();
        let newest = older.first().ok_or(Fault::NoGeneration(rolling.to))?.number;
        for generation in &older {
            // One that differs in nothing that is taken back is not what "the one before" means.
            if let Some(outcome) = self.roll_back_to(generation, rolling, now)? {
                return Ok(outcome);
            }
        }
        Err(Fault::Conflict(format!(
            "generation {newest} differs from what serves in secrets and tokens alone, which are never taken back, or in \
             what can not be made again (the command line, a document that could not be had then); nothing is changed. \
             `plugway diff {newest}` shows it, `plugway history` what else there is"
        )))
    }

    /// The same for one generation; `None`: nothing differs that could be taken back.
    fn roll_back_to(
        &mut self,
        generation: &Generation,
        rolling: &Rolling,
        now: Timestamp,
    ) -> Result<Option<Outcome>, Fault> {
        let mut rolled = self.rolled(generation, now)?;
        rolled.asked = true;
        let before = self.rolled.replace(rolled);
        let documents = self.documents.saved();
        self.rolling = true;
        self.cause = ("rollback", Some(rolling.by.to_string()));
        let trigger = Trigger::Command {
            weaker: rolling.weaker,
        };
        let looked = self.look(Manner {
            trigger,
            ask: Ask::Missing,
            hasty: false,
            idle: false,
        });
        self.rolling = false;
        let outcome = match looked {
            Looked::At(outcome) => outcome,
            Looked::Doubtful => Outcome::Unchanged,
        };
        if let Outcome::Published(_) = &outcome {
            self.conclude(trigger, &outcome);
        } else {
            self.rolled = before;
            self.documents.restore(documents);
        }
        let current = self.published.as_ref().map(|published| published.current());
        if let Outcome::Unchanged = outcome
            && current.is_some_and(|current| current.hash != generation.hash)
        {
            return Ok(None);
        }
        Ok(Some(outcome))
    }

    /// At a start for which there is no last good generation to take up: what is not broken serves.
    pub(in crate::control) fn without_last_good(
        &mut self,
        refused: &Outcome,
        trigger: Trigger,
    ) -> Option<Looked> {
        let wanted = self.published.is_none() && self.on_invalid == OnInvalid::LastGood;
        if !wanted || !matches!(refused, Outcome::Refused(_)) {
            return None;
        }
        self.on_invalid = OnInvalid::Alone;
        Some(self.look(Manner {
            trigger,
            ask: Ask::Missing,
            hasty: false,
            idle: false,
        }))
    }

    /// At a start whose files are refused: what was rolled back to when an earlier process ran, or the
    /// last generation that served, if that is wanted and there is one.
    pub(in crate::control) fn fall_back(&mut self, refused: &Outcome) -> Option<Outcome> {
        let Outcome::Refused(reason) = refused else {
            return None;
        };
        if self.published.is_some() || self.on_invalid == OnInvalid::Fail {
            return None;
        }
        if let Some(rolled) = self.lapsing.take() {
            return self.stand_in(rolled, reason, ("start", None));
        }
        if self.on_invalid != OnInvalid::LastGood {
            return None;
        }
        let now = Timestamp::now();
        if let Source::File(path) = &self.source {
            let directory = crate::control::whereabouts(path).state;
            self.open_state(&directory, now);
        }
        let newest = self.desk.as_mut().and_then(|desk| desk.newest(now))?;
        let rolled = match self.rolled(&newest, now) {
            Ok(rolled) => rolled,
            Err(fault) => {
                tracing::error!(
                    reason = fault.detail(),
                    "the last good generation can not be taken up"
                );
                return None;
            }
        };
        self.stand_in(rolled, reason, ("last-good", None))
    }

    /// Starts with a generation of before, since what lies on disk is refused.
    fn stand_in(
        &mut self,
        rolled: Rolled,
        reason: &Refused,
        cause: (&'static str, Option<String>),
    ) -> Option<Outcome> {
        let documents = self.documents.saved();
        let to = rolled.to;
        self.rolled = Some(Rolled {
            refused: Some(reason.clone()),
            ..rolled
        });
        self.cause = cause;
        let looked = self.look(Manner {
            trigger: Trigger::Start,
            ask: Ask::Missing,
            hasty: false,
            idle: false,
        });
        let Looked::At(outcome @ Outcome::Published(_)) = looked else {
            self.rolled = None;
            self.documents.restore(documents);
            return None;
        };
        tracing::error!(
            generation = to,
            problems = %reason.problems.stopping().render(false).trim_end(),
            "THE CONFIGURATION IS REFUSED: what that generation was serves until the files are mended"
        );
        self.refused = Some(reason.clone());
        Some(outcome)
    }

    /// Once, at a start: looks up what served when an earlier process ran. What was rolled back to
    /// goes on serving while no file changed: a restart must not bring back what was taken away.
    pub(in crate::control) fn recall(&mut self) {
        let Source::File(path) = &self.source else {
            return;
        };
        if self.rehearsal || self.lent || std::mem::replace(&mut self.recalled, true) {
            return;
        }
        let now = Timestamp::now();
        let directory = crate::control::whereabouts(path).state;
        self.before = crate::control::state::newest(&directory, now);
        let Some(generation) = self.before.clone().filter(Generation::is_rolled_back) else {
            return;
        };
        self.open_state(&directory, now);
        let (to, disk) = (generation.rolled_back_to, generation.on_disk());
        match self.rolled(&generation, now) {
            Ok(rolled) => {
                let rolled = Rolled {
                    to: to.unwrap_or(rolled.to),
                    disk,
                    asked: true,
                    ..rolled
                };
                // What changed meanwhile counts if it is accepted.
                if rolled.disk.changed() {
                    self.lapsing = Some(rolled);
                    return;
                }
                tracing::warn!(
                    to = rolled.to,
                    "THE ROLLBACK HOLDS: what was rolled back to serves until a change of files is accepted"
                );
                self.rolled = Some(rolled);
            }
            Err(fault) => tracing::error!(
                reason = fault.detail(),
                "what was rolled back to can not be taken up: the files on disk count"
            ),
        }
    }

    /// What stands in for files when a generation is taken up.
    pub(super) fn rolled(
        &mut self,
        generation: &Generation,
        now: Timestamp,
    ) -> Result<Rolled, Fault> {
        let files = generation.files.iter().filter(|file| !file.private);
        let parts = generation
            .documents
            .iter()
            .flat_map(|document| document.parts.values());
        let wanted: Vec<_> = files
            .map(|file| file.sha256)
            .chain(parts.copied())
            .collect();
        if let Source::File(path) = &self.source
            && !generation.texts.contains(path)
        {
            let message = format!(
                "generation {} was not made of {}: it came from a command line or from another file",
                generation.number,
                path.display()
            );
            return Err(Fault::Conflict(message));
        }
        let contents = self.with_desk(|desk, _| desk.contents(wanted.into_iter(), now))??;
        let (instead, pins) = standing_in(generation, &contents).map_err(|missing| {
            let paths: Vec<String> = missing
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let message = format!(
                "generation {} is not kept whole: {} is missing",
                generation.number,
                paths.join(", ")
            );
            Fault::Conflict(message)
        })?;
        let (disk, refused) = match &self.rolled {
            Some(rolled) if !rolled.disk.changed() => (&rolled.disk, &rolled.refused),
            // What was looked at last, also where that was refused.
            _ => (&self.on_disk, &self.refused),
        };
        let (disk, refused) = (disk.clone(), refused.clone());
        Ok(Rolled {
            to: generation.number,
            instead: Arc::new(instead),
            pins: Arc::new(pins),
            disk,
            refused,
            asked: false,
        })
    }

    /// Every generation that is kept, the newest first.
    pub(in crate::control) fn generations(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<Generation>, Fault> {
        Ok(self.with_desk(|desk, _| desk.generations(now))??)
    }

    /// A rollback brings back what was written, never a secret that was taken away since.
    pub(in crate::control) fn check_revived(
        &self,
        config: &Config,
        tokens: &declared::Next,
        problems: &mut Problems,
    ) {
        if !self.rolling {
            return;
        }
        let now = Timestamp::now();
        let lives = |token: &crate::tokens::Token| matches!(token.status(now), Status::Live);
        let mut named: Vec<&str> = Vec::new();
        for (secret, token) in tokens.added() {
            let known = self.shared.tokens.get(secret);
            let ended = known.is_none_or(|known| !lives(&known));
            if !(ended && lives(token)) || named.contains(&&*token.id) {
                continue;
            }
            named.push(&token.id);
            let written = config
                .tokens
                .iter()
                .find(|written| *written.id == *token.id);
            let place =
                written.map_or_else(|| Place::named("token_files"), |written| written.at.clone());
            let message = format!(
                "the rollback would bring a secret of token {} back to life, which was removed or ended since",
                token.id
            );
            problems.add(&place, message).help(
                "write the configuration that is wanted, without that secret, instead of rolling back",
            );
        }
    }
}
