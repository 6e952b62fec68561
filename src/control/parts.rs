//! Included files, each of which fails alone: what is wrong with one keeps its last good part
//! serving, and nothing else from changing. One that waits for something is put aside as well.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::attempt::{Candidate, Manner};
use super::{Control, Edges, Inputs, OnInvalid, Refused, Stage, Trigger};
use crate::config::{Config, Parts};
use crate::counted::counted;
use crate::problems::{Place, Problems, Severity};
use crate::tokens::Fingerprint;

/// What a part of the configuration that serves was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// Of its text.
    pub(super) text: Fingerprint,
    /// Of everything that it asked for.
    pub(super) digest: [u8; 32],
}

/// An included file that is broken.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Where it failed.
    pub(super) stage: Stage,
    /// Why.
    pub(super) problems: Problems,
    /// Since when.
    pub(super) since: Timestamp,
    /// Whether its last good part serves; else nothing of it does.
    pub(super) serves: bool,
    /// Nothing is wrong so far: it waits for something.
    pub(super) waits: bool,
    /// What lies on disk.
    pub(super) digest: [u8; 32],
}

/// What lies on disk of a file that is gone.
const GONE: [u8; 32] = [0; 32];

/// The files that are broken, by path.
pub(super) type Aside = BTreeMap<PathBuf, Held>;

impl<E: Edges> Control<E> {
    /// Whether what is broken fails alone. At a start that is for whoever starts it to say.
    pub(super) fn fails_alone(&self) -> bool {
        let first = self.published.is_none();
        self.rolled.is_none() && !(first && self.on_invalid != OnInvalid::Alone)
    }

    /// There is no plugin. Where some serve it may be half of a file that is read, unless somebody asks.
    pub(super) fn none_left(&self, trigger: Trigger, problems: &mut Problems) {
        let place = Place::named("plugins");
        let serving = self
            .published()
            .map_or(0, |now| now.current().plugins.len());
        if serving == 0 || matches!(trigger, Trigger::Start | Trigger::Command { .. }) {
            problems.warn(&place, "there is no plugin: nothing is served");
            return;
        }
        let message = format!(
            "there is no plugin any more, and {} served",
            counted(serving, "plugin is", "plugins are")
        );
        problems
            .add(&place, message)
            .help("if all of them are to go: plugway reload");
    }

    /// Whether a start would serve nothing, since all that there is is broken.
    pub(super) fn is_nothing(&self, candidate: &Candidate, aside: &Aside) -> bool {
        let plugins = &candidate.snapshot.config.plugins;
        self.published.is_none() && plugins.is_empty() && !aside.is_empty()
    }

    /// What stands in for files that are broken, and what is known of the others.
    pub(super) fn parts(&self, aside: &Aside, manner: Manner) -> Parts {
        let known = self.facts.iter();
        let mut parts = Parts {
            known: known
                .map(|(path, facts)| (path.clone(), facts.text))
                .collect(),
            suspect: self.held.keys().cloned().collect(),
            matched: self.matched(),
            // Who asks for it means it; a comparison shows it.
            may_vanish: manner.idle || matches!(manner.trigger, Trigger::Command { .. }),
            ..Parts::default()
        };
        if let Some(published) = &self.published {
            parts.declare = published.current().config.declaring();
        }
        // At a start: what served when an earlier process ran.
        if let Some(before) = self.before.as_ref().filter(|_| self.published.is_none()) {
            let texts = before.files.iter();
            let texts = texts.filter(|file| before.texts.contains(&file.path));
            let texts = texts.map(|file| (file.path.clone(), file.sha256));
            parts.known.extend(texts);
            parts.suspect.extend(before.held.iter().cloned());
        }
        let running = self.published.as_ref().map(|published| published.current());
        for name in &self.waits.apart {
            let plugins = running.iter().flat_map(|running| &running.config.plugins);
            let serves = plugins.into_iter().find(|plugin| plugin.name == *name);
            parts.apart.insert(name.clone(), serves.cloned());
        }
        for (path, held) in aside {
            match running.as_ref().filter(|_| held.serves) {
                Some(running) => {
                    let renewed = self.good.renewed(path).map(|renewed| renewed.part.clone());
                    parts
                        .renewed
                        .extend(renewed.is_some().then(|| path.clone()));
                    let part = renewed.unwrap_or_else(|| running.config.part(path));
                    parts.kept.insert(path.clone(), part);
                }
                None => {
                    parts.absent.insert(path.clone());
                }
            }
        }
        parts
    }

    /// How many files that serve each pattern of `include` matched.
    fn matched(&self) -> BTreeMap<String, usize> {
        let running = self.record.iter().flat_map(|record| &record.globs);
        let count = running.map(|(pattern, paths)| (pattern.clone(), paths.len()));
        count.filter(|(_, count)| *count > 0).collect()
    }

    /// The included files that a refusal is about, each with its share of it. `None`: it is about
    /// the main file, or about all of them together.
    pub(super) fn blame(
        &self,
        refused: &Refused,
        included: &[PathBuf],
        inputs: &Inputs,
        aside: &Aside,
    ) -> Option<Aside> {
        let mut blamed: Aside = BTreeMap::new();
        for problem in &refused.problems {
            let file = problem
                .file()
                .filter(|file| included.iter().any(|path| path == file));
            let Some(file) = file else {
                if problem.severity == Severity::Problem {
                    return None;
                }
                continue;
            };
            if problem.severity != Severity::Problem {
                continue;
            }
            // With what serves in its place it is no better: what it is put together with is at
            // fault.
            if aside.contains_key(file) {
                return None;
            }
            let (digest, facts) = (inputs.digest_of_part(Some(file)), self.facts.get(file));
            let held = blamed.entry(file.to_owned()).or_insert_with(|| Held {
                stage: refused.stage,
                problems: Problems::new(),
                since: refused.since,
                serves: facts.is_some(),
                waits: false,
                digest,
            });
            held.problems.push(problem.clone());
        }
        (!blamed.is_empty()).then_some(blamed)
    }

    /// Included files that served and are gone while a new one is broken, of which nothing serves: most
    /// likely that is one of them under another name, and what they held goes on until it is known. One
    /// that was broken before keeps nothing from going.
    pub(super) fn perhaps_renamed(&self, blamed: &Aside, included: &[PathBuf]) -> Aside {
        let broken = || blamed.iter().filter(|(_, held)| !held.serves);
        let Some((new, _)) = broken().next() else {
            return Aside::new();
        };
        let is_new = broken().any(|(path, _)| !self.held.contains_key(path));
        let is_kept = |path: &PathBuf| self.held.get(path).is_some_and(|held| held.digest == GONE);
        let gone = self.facts.keys();
        let gone = gone.filter(|path| !included.contains(path) && (is_new || is_kept(path)));
        let held = |path: &PathBuf| {
            let mut problems = Problems::new();
            let message = format!(
                "the file is gone, and {}, which is new, is refused",
                new.display()
            );
            problems
                .add(&Place::named(path.display().to_string()), message)
                .about(path)
                .help("if it is that one under another name: mend that. If what it held is to go: take the new one away first");
            let held = Held {
                stage: Stage::Validate,
                problems,
                since: Timestamp::now(),
                serves: true,
                waits: false,
                digest: GONE,
            };
            (path.clone(), held)
        };
        gone.map(held).collect()
    }

    /// All included files that changed: they contradict each other in more ways than it is worth to
    /// tell apart.
    pub(super) fn all_changed(
        &self,
        refused: &Refused,
        included: &[PathBuf],
        inputs: &Inputs,
        aside: &Aside,
    ) -> Aside {
        let changed = |path: &&PathBuf| {
            let known = self.facts.get(*path).map(|facts| facts.text);
            !aside.contains_key(*path) && known != inputs.hash_of(path)
        };
        let held = |path: &PathBuf| {
            let mut problems = Problems::new();
            let message =
                "too many included files that changed contradict each other: none of them is taken";
            problems.add(&Place::named(path.display().to_string()), message);
            let held = Held {
                stage: refused.stage,
                problems,
                since: refused.since,
                serves: self.facts.contains_key(path),
                waits: false,
                digest: inputs.digest_of_part(Some(path)),
            };
            (path.clone(), held)
        };
        included.iter().filter(changed).map(held).collect()
    }

    /// Whether an included file that serves is gone: perhaps it is being replaced.
    pub(super) fn vanished(&self, config: &Config) -> bool {
        self.facts
            .keys()
            .any(|path| !config.included.contains(path))
    }

    /// Whether what stands aside was known to be broken before.
    pub(super) fn is_known(&self, aside: &Aside) -> bool {
        aside.iter().all(|(path, held)| {
            let known = self.held.get(path);
            held.waits || known.is_some_and(|known| known.digest == held.digest)
        })
    }

    /// From now on these files are broken, and no others. Gives those that are newly so.
    pub(super) fn hold(&mut self, aside: Aside) -> Vec<(PathBuf, Stage)> {
        let before = std::mem::take(&mut self.held);
        let mut new = Vec::new();
        for (path, mut held) in aside {
            let known = before
                .get(&path)
                .filter(|known| known.digest == held.digest);
            if let Some(known) = known.filter(|known| held.waits || !known.waits) {
                // What is tried again is refused until it is better.
                if held.waits {
                    held.clone_from(known);
                }
                held.since = known.since;
            } else if !held.waits {
                tracing::error!(
                    file = %path.display(),
                    stage = held.stage.word(),
                    problems = %held.problems.render(false).trim_end(),
                    "an included file is refused; {}",
                    held.fate()
                );
                new.push((path.clone(), held.stage));
            }
            self.held.insert(path, held);
        }
        let broken = before.iter().filter(|(_, held)| !held.waits);
        for (path, _) in broken.filter(|(path, _)| !self.held.contains_key(*path)) {
            tracing::info!(file = %path.display(), "the included file is whole again");
        }
        new
    }

    /// What the parts of a configuration were made of. A part that is kept is what it was.
    pub(super) fn facts_of(
        &self,
        config: &Config,
        inputs: &Inputs,
        aside: &Aside,
    ) -> BTreeMap<PathBuf, Facts> {
        let mut all = BTreeMap::new();
        for path in &config.included {
            let facts = match aside.get(path) {
                Some(_) => match self.good.renewed(path) {
                    Some(renewed) => Some(renewed.facts),
                    None => self.facts.get(path).copied(),
                },
                None => facts_of(path, inputs),
            };
            all.extend(facts.map(|facts| (path.clone(), facts)));
        }
        all
    }
}

impl Held {
    /// What is there instead.
    pub(super) fn fate(&self) -> &'static str {
        if self.serves {
            "its last good part goes on serving"
        } else {
            "nothing of it serves"
        }
    }
}

/// What a part was made of.
fn facts_of(path: &Path, inputs: &Inputs) -> Option<Facts> {
    Some(Facts {
        text: inputs.hash_of(path)?,
        digest: inputs.digest_of_part(Some(path)),
    })
}
