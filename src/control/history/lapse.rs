//! The end of a rollback: a change on disk that is accepted. One that is refused does not end it.

use std::path::{Path, PathBuf};

use crate::control::attempt::{Candidate, Looked, Manner, whole};
use crate::control::inputs::Inputs;
use crate::control::parts::Aside;
use crate::control::{Control, Edges, Outcome, Trigger};

impl<E: Edges> Control<E> {
    /// Something on disk changed: it is looked at, and the rollback ends if it is accepted.
    pub(in crate::control) fn let_go(&mut self, trigger: Trigger) {
        if trigger != Trigger::Document {
            self.lapsing = self.rolled.take_if(|rolled| rolled.disk.changed());
        }
    }

    /// What came of it.
    pub(in crate::control) fn lapse(&mut self, outcome: &Outcome) {
        let Some(rolled) = self.lapsing.take() else {
            return;
        };
        if matches!(outcome, Outcome::Published(_) | Outcome::Unchanged) {
            tracing::info!(
                to = rolled.to,
                "files changed and are accepted: the rollback ends, and they count again"
            );
        } else {
            self.rolled = Some(rolled);
        }
    }

    /// A change of which nothing would serve is refused as a whole while there is a rollback: else
    /// a mistake in one file would bring back what lies in all others.
    pub(in crate::control) fn unless_refused(
        &self,
        found: Result<Candidate, Outcome>,
        aside: &Aside,
        inputs: &Inputs,
    ) -> Result<Candidate, Outcome> {
        match found {
            Ok(_) | Err(Outcome::Unchanged) if self.nothing_would_serve(aside, inputs) => {
                Err(whole(aside))
            }
            found => found,
        }
    }

    /// Whether all that changed since the rollback belongs to included files that are broken.
    fn nothing_would_serve(&self, aside: &Aside, inputs: &Inputs) -> bool {
        let broken = |path: &Path| aside.get(path).is_some_and(|held| !held.waits);
        let Some(rolled) = &self.lapsing else {
            return false;
        };
        let went = |(pattern, paths): (&String, &Vec<PathBuf>)| {
            let now = inputs.globs().get(pattern);
            now.is_none_or(|now| paths.iter().any(|path| !now.contains(path)))
        };
        if aside.values().all(|held| held.waits) || rolled.disk.globs.iter().any(went) {
            return false;
        }
        let came = inputs.globs().values().flatten();
        let came = came.filter(|path| !rolled.disk.files.contains_key(*path));
        let changed = rolled.disk.changes().chain(came);
        // What nobody asked for any more was of a broken file.
        let mut asked = changed.map(|path| (path, inputs.asked_by(path)));
        asked.all(|(path, mut parts)| broken(path) || parts.all(|part| part.is_some_and(broken)))
    }

    /// A change of files was refused while a rollback may end with it: it goes on, with the secrets
    /// of now. Whether that is so.
    pub(in crate::control) fn holds_on(&mut self, manner: Manner) -> bool {
        if self.published.is_none() {
            return false;
        }
        let Some(rolled) = self.lapsing.take() else {
            return false;
        };
        tracing::debug!(to = rolled.to, "the rollback goes on");
        self.rolled = Some(rolled);
        // What comes of this is published beside the refusal, as it is without a rollback.
        let looked = self.look(Manner {
            hasty: false,
            ..manner
        });
        if let Looked::At(came) = looked {
            self.tell_past(&came);
        }
        true
    }
}
