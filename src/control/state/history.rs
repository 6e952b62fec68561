//! Generations that served, in the state database: which files each was made of, and their bytes,
//! each content once. And of each document that was fetched the last copy that served.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use redb::{
    ReadTransaction, ReadableTable, ReadableTableMetadata, StorageError, TableDefinition,
    TableError, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::StoreError;
use super::db::{Db, META, Outcome};
use super::desk::{Desk, Scene};
use crate::control::guards::Guard;
use crate::tokens::Fingerprint;

/// Generations by number.
pub(super) const GENERATIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("generations");
/// Contents by their SHA-256.
pub(super) const CONTENTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("contents");
/// Fetched documents by plugin and source.
pub(super) const DOCUMENTS: TableDefinition<'_, (&str, &str), &[u8]> =
    TableDefinition::new("documents");

/// Key of how many bytes the contents have.
pub(super) const HELD: &str = "content_bytes";
/// Generations that are kept.
const MOST: usize = 100;
/// Beyond them, before the oldest go: forgetting takes a look at all.
const SLACK: usize = 20;
/// Bytes of all contents that are kept, of which the newest generation may need more.
const BYTES: u64 = 256 << 20;

/// A generation, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::control) struct Generation {
    /// Its number.
    pub(in crate::control) number: u64,
    /// Over every byte that went in, hexadecimal.
    pub(in crate::control) hash: String,
    /// When it was published.
    pub(in crate::control) at: Timestamp,
    /// Why: `start`, `file`, `reload`, `rollback`, `document`.
    pub(in crate::control) cause: String,
    /// By whom, if a command did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::control) by: Option<String>,
    /// The generation that was rolled back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::control) rolled_back_to: Option<u64>,
    /// What lay on disk, where somebody rolled back to this and files on disk do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::control) disk: Option<Disk>,
    /// The files that the configuration is written in.
    pub(in crate::control) texts: Vec<PathBuf>,
    /// Every file.
    pub(in crate::control) files: Vec<KeptFile>,
    /// What each pattern of `include` matched.
    pub(in crate::control) globs: BTreeMap<String, Vec<PathBuf>>,
    /// Every document that was fetched.
    pub(in crate::control) documents: Vec<KeptDocument>,
    /// The plugins, with their number of operations.
    pub(in crate::control) plugins: BTreeMap<String, usize>,
    /// How they are guarded.
    #[serde(default)]
    pub(in crate::control) guards: Vec<Guard>,
    /// Included files that were held back: broken, or waiting for something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::control) held: Vec<PathBuf>,
    /// Those of them that only waited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::control) waits: Vec<PathBuf>,
}

/// What lay on disk.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::control) struct Disk {
    /// The digest of each file, also of one that could not be read.
    pub(in crate::control) files: BTreeMap<PathBuf, Fingerprint>,
    /// What each pattern matched.
    pub(in crate::control) globs: BTreeMap<String, Vec<PathBuf>>,
}

/// The newest generation in the state of a directory that nobody has open; `None`: there is none,
/// or it can not be read.
pub(in crate::control) fn newest(
    directory: &std::path::Path,
    now: Timestamp,
) -> Option<Generation> {
    let mut db = Db::new(directory);
    if !db.exists() {
        return None;
    }
    db.open(false, now).ok()?;
    let newest = db.read(now).ok().map(|read| last(&read));
    db.close();
    newest?.ok().flatten()
}

/// A file of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control) struct KeptFile {
    /// As it was asked for.
    pub(in crate::control) path: PathBuf,
    /// SHA-256 of its bytes; of a private one of this and nothing else.
    pub(in crate::control) sha256: Fingerprint,
    /// Whether its bytes are kept nowhere: a secret, a key, a certificate, tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::control) private: bool,
    /// The included files that asked for it; none: the main one did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::control) parts: Vec<PathBuf>,
}

/// A document that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::control) struct KeptDocument {
    /// Whose.
    pub(in crate::control) plugin: String,
    /// From where.
    pub(in crate::control) source: String,
    /// The SHA-256 of what each location held.
    pub(in crate::control) parts: BTreeMap<String, Fingerprint>,
}

/// Contents by their hash.
pub(in crate::control) type Contents = BTreeMap<Fingerprint, Arc<[u8]>>;

impl Generation {
    /// Everything whose bytes are kept.
    fn contents(&self) -> impl Iterator<Item = Fingerprint> {
        let files = self.files.iter().filter(|file| !file.private);
        let parts = self
            .documents
            .iter()
            .flat_map(|document| document.parts.values());
        files.map(|file| file.sha256).chain(parts.copied())
    }
}

impl Desk {
    /// The number and the hash of the newest generation; `None`: there is none, or nobody can tell.
    pub(in crate::control) fn newest(&mut self, now: Timestamp) -> Option<Generation> {
        let read = self
            .db
            .is_open()
            .then(|| self.db.read(now).ok())
            .flatten()?;
        let newest = last(&read);
        self.db.checked(newest, now).ok().flatten()
    }

    /// Every generation that is kept, the newest first.
    ///
    /// # Errors
    /// The database can not be read.
    pub(in crate::control) fn generations(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<Generation>, StoreError> {
        if !self.db.is_open() {
            return self.db.error().cloned().map_or(Ok(Vec::new()), Err);
        }
        let read = self.db.read(now)?;
        self.db.checked(all(&read), now)
    }

    /// Contents, as far as they are kept.
    ///
    /// # Errors
    /// The database can not be read.
    pub(in crate::control) fn contents(
        &mut self,
        wanted: impl Iterator<Item = Fingerprint>,
        now: Timestamp,
    ) -> Result<Contents, StoreError> {
        let read = self.db.read(now)?;
        let found: Outcome<Contents> = (|| {
            let mut found = Contents::new();
            let Some(table) = there(read.open_table(CONTENTS))? else {
                return Ok(found);
            };
            for hash in wanted {
                if let Some(bytes) = table.get(&hash.0[..])? {
                    found.insert(hash, bytes.value().into());
                }
            }
            Ok(found)
        })();
        self.db.checked(found, now)
    }

    /// The last copy of a fetched document that served.
    pub(in crate::control) fn document(
        &mut self,
        (plugin, source): (&str, &str),
        now: Timestamp,
    ) -> Option<BTreeMap<String, Arc<[u8]>>> {
        if !self.db.is_open() {
            return None;
        }
        let read = self.db.read(now).ok()?;
        let found: Outcome<Option<KeptDocument>> = (|| {
            let Some(table) = there(read.open_table(DOCUMENTS))? else {
                return Ok(None);
            };
            let Some(body) = table.get((plugin, source))? else {
                return Ok(None);
            };
            Ok(serde_json::from_slice(body.value()).ok())
        })();
        drop(read);
        let kept = self.db.checked(found, now).ok().flatten()?;
        let contents = self.contents(kept.parts.values().copied(), now).ok()?;
        let parts = kept.parts.iter();
        parts
            .map(|(location, hash)| Some((location.clone(), Arc::clone(contents.get(hash)?))))
            .collect()
    }

    /// Keeps generations and what they were made of, all or nothing.
    ///
    /// # Errors
    /// The database can not be written.
    pub(in crate::control) fn keep(
        &mut self,
        kept: &[(&Generation, &Contents)],
        scene: &Scene<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.ready(true, scene, now)?;
        self.db.write(now, |write| {
            for one in kept {
                put(write, *one)?;
            }
            forget(write)
        })
    }
}

/// Writes a generation, and of what it was made what is not there yet.
fn put(write: &WriteTransaction, (generation, contents): (&Generation, &Contents)) -> Outcome<()> {
    let body = serde_json::to_vec(generation).unwrap_or_default();
    write
        .open_table(GENERATIONS)?
        .insert(generation.number, &*body)?;
    let (mut table, mut added) = (write.open_table(CONTENTS)?, 0);
    for (hash, bytes) in contents {
        if table.get(&hash.0[..])?.is_none() {
            table.insert(&hash.0[..], &**bytes)?;
            added += bytes.len() as u64;
        }
    }
    drop(table);
    let mut meta = write.open_table(META)?;
    let held = meta.get(HELD)?.map_or(0, |bytes| bytes.value());
    meta.insert(HELD, held + added)?;
    drop(meta);
    let mut table = write.open_table(DOCUMENTS)?;
    for document in &generation.documents {
        let body = serde_json::to_vec(document).unwrap_or_default();
        table.insert((&*document.plugin, &*document.source), &*body)?;
    }
    Ok(())
}

/// Forgets the oldest generations beyond what is kept, and the contents that nothing is made of.
fn forget(write: &WriteTransaction) -> Outcome<()> {
    let mut generations = write.open_table(GENERATIONS)?;
    let mut contents = write.open_table(CONTENTS)?;
    let mut meta = write.open_table(META)?;
    let many = generations.len()? > (MOST + SLACK) as u64;
    let bytes = meta.get(HELD)?.map_or(0, |bytes| bytes.value());
    if !many && bytes <= BYTES {
        return Ok(());
    }
    let mut kept = Vec::new();
    for entry in generations.iter()? {
        let (_, body) = entry?;
        kept.extend(serde_json::from_slice::<Generation>(body.value()).ok());
    }
    let mut sizes = BTreeMap::new();
    for entry in contents.iter()? {
        let (hash, bytes) = entry?;
        sizes.insert(hash.value().to_vec(), bytes.value().len() as u64);
    }
    // From the newest on, as long as there is room; what is shared is counted once.
    let (mut wanted, mut room) = (BTreeSet::new(), BYTES / 4 * 3);
    let mut documents = write.open_table(DOCUMENTS)?;
    let newest = kept.last().map(|generation| generation.number);
    let plugins: BTreeSet<String> = kept
        .iter()
        .flat_map(|generation| generation.plugins.keys().cloned())
        .collect();
    documents.retain(|(plugin, _), _| plugins.contains(plugin))?;
    for entry in documents.iter()? {
        let (_, body) = entry?;
        if let Ok(document) = serde_json::from_slice::<KeptDocument>(body.value()) {
            wanted.extend(document.parts.values().map(|hash| hash.0.to_vec()));
        }
    }
    for (index, generation) in kept.iter().rev().enumerate() {
        let hashes = generation.contents().map(|hash| hash.0.to_vec());
        let new: BTreeSet<Vec<u8>> = hashes.filter(|hash| !wanted.contains(hash)).collect();
        let size: u64 = new.iter().filter_map(|hash| sizes.get(hash)).sum();
        if Some(generation.number) != newest && (index >= MOST || size > room) {
            generations.remove(generation.number)?;
            continue;
        }
        room = room.saturating_sub(size);
        wanted.extend(new);
    }
    contents.retain(|hash, _| wanted.contains(hash))?;
    let left: u64 = wanted.iter().filter_map(|hash| sizes.get(hash)).sum();
    meta.insert(HELD, left)?;
    Ok(())
}

fn last(read: &ReadTransaction) -> Outcome<Option<Generation>> {
    let Some(table) = there(read.open_table(GENERATIONS))? else {
        return Ok(None);
    };
    let Some((_, body)) = table.last()? else {
        return Ok(None);
    };
    parse(body.value()).map(Some)
}

fn all(read: &ReadTransaction) -> Outcome<Vec<Generation>> {
    let Some(table) = there(read.open_table(GENERATIONS))? else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for entry in table.iter()?.rev() {
        all.push(parse(entry?.1.value())?);
    }
    Ok(all)
}

fn parse(body: &[u8]) -> Outcome<Generation> {
    let broken = |_| StorageError::Corrupted("a generation's record".to_owned()).into();
    serde_json::from_slice(body).map_err(broken)
}

/// A table; `None` in a database of before there were generations.
pub(super) fn there<T>(table: Result<T, TableError>) -> Outcome<Option<T>> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::control::Shared;
    use crate::control::declared::Tokens;

    fn generation(number: u64, texts: &[(&str, &str)]) -> (Generation, Contents) {
        let mut contents = Contents::new();
        let files = texts.iter().map(|(path, text)| {
            let bytes: Arc<[u8]> = text.as_bytes().into();
            let sha256 = Fingerprint::of(&bytes);
            contents.insert(sha256, bytes);
            KeptFile {
                path: path.into(),
                sha256,
                private: false,
                parts: Vec::new(),
            }
        });
        let generation = Generation {
            number,
            hash: format!("{number:064x}"),
            at: Timestamp::UNIX_EPOCH,
            cause: "file".to_owned(),
            by: None,
            rolled_back_to: None,
            disk: None,
            texts: Vec::new(),
            files: files.collect(),
            globs: BTreeMap::new(),
            documents: Vec::new(),
            plugins: BTreeMap::new(),
            guards: Vec::new(),
            held: Vec::new(),
            waits: Vec::new(),
        };
        (generation, contents)
    }

    #[test]
    fn the_oldest_are_forgotten_with_what_only_they_were_made_of() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let (shared, _) = Shared::new(1, Instant::now());
        let declared = Tokens::default();
        let scene = Scene {
            shared: &shared,
            snapshot: None,
            declared: &declared,
        };
        let mut desk = Desk::new(folder.path(), now);
        assert!(desk.newest(now).is_none() && desk.generations(now).unwrap().is_empty());
        let last = (MOST + SLACK + 1) as u64;
        let text = |number: u64| format!("text of {number}");
        for number in 1..=last {
            let (one, contents) = generation(number, &[("a", &text(number)), ("b", "the same")]);
            desk.keep(&[(&one, &contents)], &scene, now).unwrap();
        }
        let kept = desk.generations(now).unwrap();
        assert_eq!(kept.len(), MOST);
        assert_eq!(desk.newest(now).unwrap().number, last);
        assert!(
            kept.iter()
                .map(|one| one.number)
                .eq((last - MOST as u64 + 1..=last).rev())
        );
        let hashes = [text(1), text(last), "the same".to_owned()];
        let hashes = hashes.map(|text| Fingerprint::of(text.as_bytes()));
        let found = desk.contents(hashes.into_iter(), now).unwrap();
        assert!(found.keys().eq(hashes[1..].iter().collect::<BTreeSet<_>>()));
    }
}
