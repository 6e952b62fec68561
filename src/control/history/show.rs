//! What is told of generations, and of what two of them have not in common.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use similar::{DiffableStr, TextDiff};

use crate::config;
use crate::control::attempt::Manner;
use crate::control::documents::Ask;
use crate::control::inputs::Inputs;
use crate::control::parts::Aside;
use crate::control::state::Generation;
use crate::control::{Control, Edges, Outcome, Refused, Side, Trigger};
use crate::snapshot::{Operation, Plugin, Snapshot};
use crate::tokens::{Fault, Fingerprint};

/// Lines around what differs.
const AROUND: usize = 3;

/// One side of a comparison.
struct Compared {
    /// What it is: a noun phrase.
    is: String,
    /// Texts of the configuration.
    texts: BTreeMap<PathBuf, Text>,
    /// Every file: its hash.
    files: BTreeMap<PathBuf, Fingerprint>,
    snapshot: Option<Arc<Snapshot>>,
    refused: Option<Refused>,
    /// Included files that would be refused alone.
    held: Aside,
}

/// A text of the configuration.
struct Text {
    /// With what may be a secret masked.
    shown: String,
    /// As it was written, which is shown nowhere.
    whole: String,
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        let whole = String::from_utf8_lossy(bytes).into_owned();
        Self {
            shown: config::masked(&whole),
            whole,
        }
    }

    /// Whether lines that look the same are not.
    fn hides(&self, other: &Self) -> bool {
        let diff = TextDiff::from_lines(&self.shown, &other.shown);
        let (old, new) = (self.whole.tokenize_lines(), other.whole.tokenize_lines());
        // A line of what is shown is the same line of the whole: no line end is masked.
        diff.iter_all_changes().any(|change| {
            let (one, two) = (change.old_index(), change.new_index());
            one.zip(two)
                .is_some_and(|(one, two)| old.get(one) != new.get(two))
        })
    }
}

impl<E: Edges> Control<E> {
    /// For `plugway history`: every generation that is kept, the newest first.
    ///
    /// # Errors
    /// The state database can not be read.
    pub fn history(&mut self, now: Timestamp) -> Result<Value, Fault> {
        self.save(now);
        let running = self.generation;
        // A rollback is in force: what lies on disk does not count.
        let holds = self.rolled.is_some();
        let line = |generation: &Generation| {
            json!({
                "number": generation.number,
                "hash": generation.hash,
                "at": format!("{:.3}", generation.at),
                "cause": generation.cause,
                "by": generation.by,
                "rolled_back_to": generation.rolled_back_to,
                "plugins": generation.plugins,
                "held": generation.broken().collect::<Vec<_>>(),
                "waits": generation.waits,
                "serves": generation.number == running,
                "holds": generation.number == running && holds,
            })
        };
        Ok(self.generations(now)?.iter().map(line).collect())
    }

    /// For `plugway diff`: what is not the same in two generations. Secrets are never shown, only
    /// that their files changed.
    ///
    /// # Errors
    /// There is no such generation, or its documents are still being fetched.
    pub fn diff(&mut self, from: Side, to: Side, now: Timestamp) -> Result<Value, Fault> {
        self.save(now);
        let (before, after) = (self.side(from, now)?, self.side(to, now)?);
        let plugins = |side: &Compared| -> BTreeMap<String, Arc<Plugin>> {
            let plugins = side.snapshot.iter().flat_map(|snapshot| &snapshot.plugins);
            plugins
                .map(|plugin| (plugin.name.to_string(), Arc::clone(plugin)))
                .collect()
        };
        let refused = |side: &Compared| {
            side.refused.as_ref().map(|refused| {
                json!({
                    "stage": refused.stage.word(),
                    "problems": refused.problems.stopping().to_json(),
                    "text": refused.problems.stopping().render(false),
                })
            })
        };
        let known = before.snapshot.is_some() && after.snapshot.is_some();
        let changed = |(before, after): (&BTreeMap<_, _>, &BTreeMap<_, _>)| {
            if known {
                of_plugins(before, after)
            } else {
                Vec::new()
            }
        };
        Ok(json!({
            "from": from.to_json(),
            "to": to.to_json(),
            "from_is": before.is,
            "to_is": after.is,
            "configuration": texts(&before.texts, &after.texts),
            "files": files(&before, &after),
            "plugins": changed((&plugins(&before), &plugins(&after))),
            "from_refused": refused(&before),
            "to_refused": refused(&after),
            "from_held": crate::control::status::held_of(&before.held),
            "to_held": crate::control::status::held_of(&after.held),
        }))
    }

    fn side(&mut self, side: Side, now: Timestamp) -> Result<Compared, Fault> {
        let running = self.generation;
        match side {
            Side::Disk => self.on_disk_now(),
            Side::Running => self.of_generation(running, now),
            Side::Generation(number) => self.of_generation(number, now),
        }
    }

    /// What lies on disk, compiled as if it was to serve.
    fn on_disk_now(&mut self) -> Result<Compared, Fault> {
        let rolled = self.rolled.take();
        let (watched, waits) = (self.watched.clone(), std::mem::take(&mut self.waits));
        let trials = std::mem::take(&mut self.trials);
        let mut inputs = Inputs::default();
        let (found, mut held) = self.candidate(IDLE, &mut inputs);
        let mut refusal = None;
        if found.is_ok() {
            (refusal, held) = self.judged(held);
        }
        self.rolled = rolled;
        (self.watched, self.waits, self.trials) = (watched, waits, trials);
        let (snapshot, refused) = self.outcome_of(found)?;
        let texts = self.texts_read(&inputs);
        let files = inputs
            .kept()
            .map(|kept| (kept.path.to_owned(), Fingerprint(kept.digest)));
        Ok(Compared {
            is: "the files on disk".to_owned(),
            files: files.collect(),
            texts,
            snapshot,
            refused: refused.or(refusal),
            held,
        })
    }

    /// Whether what can be compiled would be refused all the same, in whole or in part: for less
    /// guard, for a test that asks no upstream, for a pattern that matches nothing any more.
    fn judged(&mut self, held: Aside) -> (Option<Refused>, Aside) {
        let manner = Manner {
            trigger: Trigger::File,
            idle: false,
            ..IDLE
        };
        match self.without_upstreams(manner) {
            (Err(Outcome::Refused(refused)), _) => (Some(refused), held),
            (Ok(_) | Err(Outcome::Unchanged), held) => (None, held),
            (Err(_), _) => (None, held),
        }
    }

    /// A generation that is kept, compiled again unless it serves.
    fn of_generation(&mut self, number: u64, now: Timestamp) -> Result<Compared, Fault> {
        let found = self
            .generations(now)?
            .into_iter()
            .find(|one| one.number == number);
        let generation = found.ok_or(Fault::NoGeneration(Some(number)))?;
        let rolled = self.rolled(&generation, now)?;
        let instead = Arc::clone(&rolled.instead);
        let (snapshot, refused) = if number == self.generation {
            (self.published().map(|published| published.current()), None)
        } else {
            let before = self.rolled.replace(rolled);
            let library = std::mem::take(&mut self.documents);
            let (watched, waits) = (self.watched.clone(), std::mem::take(&mut self.waits));
            let trials = std::mem::take(&mut self.trials);
            self.rolling = true;
            let mut inputs = self.inputs();
            let (found, _) = self.candidate(IDLE, &mut inputs);
            self.rolling = false;
            (self.rolled, self.documents) = (before, library);
            (self.watched, self.waits, self.trials) = (watched, waits, trials);
            self.outcome_of(found)?
        };
        let text = |path: &PathBuf| {
            let bytes = instead.files.get(path)?;
            Some((path.clone(), Text::of(bytes)))
        };
        let texts: BTreeMap<_, _> = generation.texts.iter().filter_map(text).collect();
        let files = generation
            .files
            .iter()
            .map(|file| (file.path.clone(), file.sha256));
        Ok(Compared {
            is: generation.is(number == self.generation),
            files: files.collect(),
            texts,
            snapshot,
            refused,
            held: Aside::new(),
        })
    }

    /// What was compiled, or why it was not.
    fn outcome_of(
        &self,
        found: Result<crate::control::attempt::Candidate, Outcome>,
    ) -> Result<(Option<Arc<Snapshot>>, Option<Refused>), Fault> {
        match found {
            Ok(candidate) => Ok((Some(candidate.snapshot), None)),
            Err(Outcome::Refused(refused)) => Ok((None, Some(refused))),
            Err(Outcome::Waiting) => Err(Fault::Conflict(
                "a document is still being fetched: ask again".to_owned(),
            )),
            Err(_) => Ok((self.published().map(|published| published.current()), None)),
        }
    }

    /// The texts of the configuration that were read.
    fn texts_read(&self, inputs: &Inputs) -> BTreeMap<PathBuf, Text> {
        let main = self.main_file();
        let included = inputs.included();
        let is_text = |path: &Path| {
            main.as_deref() == Some(path) || included.iter().any(|included| included == path)
        };
        let texts = inputs.kept().filter(|kept| is_text(kept.path));
        texts
            .filter_map(|kept| Some((kept.path.to_owned(), Text::of(kept.bytes?))))
            .collect()
    }
}

/// Compiles, and nothing more.
const IDLE: Manner = Manner {
    trigger: Trigger::Document,
    ask: Ask::Missing,
    hasty: false,
    idle: true,
};

/// The files that are not the same, but for the texts whose whole difference is shown.
fn files(before: &Compared, after: &Compared) -> Vec<Value> {
    let shown = |path: &PathBuf| match (before.texts.get(path), after.texts.get(path)) {
        (Some(before), Some(after)) => before.shown != after.shown && !before.hides(after),
        (before, after) => before.is_some() || after.is_some(),
    };
    let of = |side: &Compared| -> BTreeMap<PathBuf, Fingerprint> {
        let files = side.files.iter().filter(|(path, _)| !shown(path));
        files.map(|(path, hash)| (path.clone(), *hash)).collect()
    };
    let mut all = changes(&of(before), &of(after), |one, two| one == two);
    for file in &mut all {
        let path = file["file"].as_str().map(PathBuf::from).unwrap_or_default();
        if before.texts.contains_key(&path) {
            // A comment, or another value where secrets stand.
            file["masked"] = true.into();
        }
    }
    all
}

impl Generation {
    /// What it is, for whoever compares it.
    fn is(&self, serves: bool) -> String {
        let serves = if serves { ", which serves" } else { "" };
        let back = match (&*self.cause, self.rolled_back_to) {
            ("last-good", _) => {
                ": the last good one, taken up at a start whose files were refused".to_owned()
            }
            (_, Some(to)) => format!(": what generation {to} was, rolled back to"),
            (_, None) => String::new(),
        };
        format!("generation {}{serves}{back}", self.number)
    }
}

/// What became of named things: `added`, `removed` or `changed`.
fn changes<K: Ord + AsRef<Path>, V>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
    same: impl Fn(&V, &V) -> bool,
) -> Vec<Value> {
    let names: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
    let change = |name: &K| {
        let change = match (before.get(name), after.get(name)) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(before), Some(after)) if same(before, after) => return None,
            _ => "changed",
        };
        Some(json!({ "file": name.as_ref().display().to_string(), "change": change }))
    };
    names.into_iter().filter_map(change).collect()
}

/// What differs in the texts, as a unified diff for each.
fn texts(before: &BTreeMap<PathBuf, Text>, after: &BTreeMap<PathBuf, Text>) -> Vec<Value> {
    let names: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
    let differing = names.into_iter().filter_map(|name| {
        let (one, two) = (before.get(name), after.get(name));
        let old = one.map_or("", |text| text.shown.as_str());
        let new = two.map_or("", |text| text.shown.as_str());
        if old == new && one.is_some() == two.is_some() {
            return None;
        }
        let path = name.display().to_string();
        let diff = TextDiff::from_lines(old, new);
        let text = diff
            .unified_diff()
            .context_radius(AROUND)
            .header(&path, &path)
            .to_string();
        Some(json!({ "file": path, "diff": text }))
    });
    differing.collect()
}

/// What differs in plugins, in their operations, and in the documents that they serve.
fn of_plugins(
    before: &BTreeMap<String, Arc<Plugin>>,
    after: &BTreeMap<String, Arc<Plugin>>,
) -> Vec<Value> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut all = Vec::new();
    for name in names {
        let (one, two) = (before.get(name), after.get(name));
        let change = match (one, two) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(one), Some(two)) if Arc::ptr_eq(one, two) => continue,
            _ => "changed",
        };
        let operations = operations(one.map(AsRef::as_ref), two.map(AsRef::as_ref));
        let documents = documents(one.map(AsRef::as_ref), two.map(AsRef::as_ref));
        let guarded = |plugin: Option<&Arc<Plugin>>| plugin.map(|plugin| plugin.require.word());
        let require = (guarded(one), guarded(two));
        if change == "changed"
            && operations.is_empty()
            && documents.is_empty()
            && require.0 == require.1
        {
            continue;
        }
        all.push(json!({
            "plugin": name,
            "change": change,
            "require": (require.0 != require.1).then(|| json!([require.0, require.1])),
            "operations": operations,
            "documents": documents,
        }));
    }
    all
}

/// The operations that came, went, or are something else.
fn operations(before: Option<&Plugin>, after: Option<&Plugin>) -> Vec<Value> {
    let by_id = |plugin: Option<&Plugin>| -> BTreeMap<String, (String, String)> {
        let said = plugin.map(said).unwrap_or_default();
        let operations = plugin.into_iter().flat_map(|plugin| &plugin.operations);
        let operation = |operation: &Operation| {
            let meaning = &operation.meaning;
            let request = format!("{} {}", meaning.method, meaning.path);
            let said = said
                .get(&meaning.id)
                .map(String::as_str)
                .unwrap_or_default();
            (meaning.id.clone(), (request, format!("{meaning:?} {said}")))
        };
        operations.map(operation).collect()
    };
    let (before, after) = (by_id(before), by_id(after));
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut all = Vec::new();
    for id in ids {
        let (change, request) = match (before.get(id), after.get(id)) {
            (None, Some((request, _))) => ("added", request),
            (Some((request, _)), None) => ("removed", request),
            (Some(one), Some(two)) if one != two => ("changed", &two.0),
            _ => continue,
        };
        all.push(json!({ "id": id, "request": request, "change": change }));
    }
    all
}

/// What the published document says of each operation, by its id.
fn said(plugin: &Plugin) -> BTreeMap<String, String> {
    let document = plugin.shown("/openapi.json").unwrap_or_default();
    let document: Value = serde_json::from_slice(&document).unwrap_or_default();
    let items = document["paths"].as_object().into_iter().flatten();
    let operations = items.flat_map(|(_, item)| item.as_object().into_iter().flatten());
    let said = |(_, operation): (&String, &Value)| {
        let id = operation["operationId"].as_str()?.to_owned();
        Some((id, operation.to_string()))
    };
    operations.filter_map(said).collect()
}

/// The documents that came, went, or say something else.
fn documents(before: Option<&Plugin>, after: Option<&Plugin>) -> Vec<Value> {
    let by_path = |plugin: Option<&Plugin>| -> BTreeMap<String, [u8; 32]> {
        let all = plugin
            .into_iter()
            .flat_map(|plugin| plugin.documents.hashes());
        all.collect()
    };
    let (before, after) = (by_path(before), by_path(after));
    changes(&before, &after, |one, two| one == two)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_what_is_masked_is_told_beside_one_that_is_shown() {
        let text = |first: &str, body: &str| {
            let text = format!("{first}[[plugins.a.tests]]\nbody = \"{body}\"\n");
            Text::of(text.as_bytes())
        };
        let before = text("workers = 1\n", "one");
        let told = |after: &Text| (before.shown != after.shown, before.hides(after));
        assert_eq!(told(&text("workers = 1\n", "two")), (false, true));
        assert_eq!(told(&text("workers = 2\n", "two")), (true, true));
        assert_eq!(told(&text("workers = 2\n", "one")), (true, false));
        assert_eq!(told(&text("", "one")), (true, false));
        // The lines that differ are shown.
        assert_eq!(told(&text("workers = 1\n", "three")), (true, false));
    }
}
