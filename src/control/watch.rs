//! Tells when a file that matters may have changed. Never what changed: that is decided by
//! content, by whoever reads the files again.
//!
//! Folders are watched rather than files, since editors, `git` and Kubernetes replace files by
//! renaming; so are the folders of what symbolic links lead to. What is only written in such a
//! folder, and has another name, does not matter: a log may well lie beside the configuration, and
//! a million tokens are not to be read again for each of its lines. A slow poll beside it sees what
//! no event tells of (network mounts, hard links, a lost event).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// After the last event, before the files are read: writers write in pieces.
const QUIET: Duration = Duration::from_millis(100);
/// No longer than this after the first event.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at files that told nothing.
const POLL: Duration = Duration::from_secs(3);

/// Watches the folders of a changing set of files.
#[derive(Debug)]
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    events: UnboundedReceiver<()>,
    sender: UnboundedSender<()>,
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    /// What files, their folders, and all that they are links to are called.
    names: Names,
    /// What files and folders looked like before they were last read.
    seen: BTreeMap<PathBuf, Look>,
    /// Something may have changed that nobody was told of yet.
    dirty: bool,
}

/// Enough of a file's metadata to suspect a change.
type Look = Option<(u64, u64, Option<std::time::SystemTime>)>;

/// Shared with the thread that events come from.
type Names = Arc<ArcSwap<BTreeSet<OsString>>>;

impl Watch {
    /// Watches nothing yet.
    #[expect(clippy::new_without_default, reason = "it starts a thread")]
    pub fn new() -> Self {
        let (sender, events) = unbounded_channel();
        let mut watch = Self {
            watcher: None,
            events,
            sender,
            folders: BTreeSet::new(),
            files: BTreeSet::new(),
            names: Names::default(),
            seen: BTreeMap::new(),
            dirty: false,
        };
        watch.start();
        watch
    }

    fn start(&mut self) {
        let (sender, names) = (self.sender.clone(), Arc::clone(&self.names));
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| matters(&event, &names.load_full())) {
                let _ = sender.send(());
            }
        });
        match made {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "files can not be watched; they are looked at every few seconds");
            }
        }
    }

    /// From now on these files and folders matter. What was not watched before is reported as
    /// changed once: it may have changed since it was read.
    pub fn set<'a>(
        &mut self,
        files: impl Iterator<Item = &'a Path>,
        folders: impl Iterator<Item = PathBuf>,
    ) {
        let files: BTreeSet<PathBuf> = files.map(absolute).collect();
        let mut folders: BTreeSet<PathBuf> = folders.map(|folder| absolute(&folder)).collect();
        for file in &files {
            folders.extend(folders_of(file));
        }
        if let Some(watcher) = &mut self.watcher {
            for gone in self.folders.difference(&folders) {
                let _ = watcher.unwatch(gone);
            }
        }
        self.dirty |= !files.is_subset(&self.files) || !folders.is_subset(&self.folders);
        (self.files, self.folders) = (files, folders);
        self.watch();
        let now = self.looks();
        let before = std::mem::replace(&mut self.seen, now);
        for (path, look) in before {
            self.seen.entry(path).and_modify(|now| *now = look);
        }
    }

    /// Asks for events, also of what is watched: a folder that was replaced keeps its name and
    /// loses its watch, and a link may lead elsewhere now.
    fn watch(&mut self) {
        let paths = self.files.iter().flat_map(|file| ways_to(file));
        let paths = paths.chain(self.folders.iter().cloned());
        let names = paths.filter_map(|path| path.file_name().map(OsString::from));
        self.names.store(Arc::new(names.collect()));
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for folder in &self.folders {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %folder.display(), %error, "can not be watched");
            }
        }
    }

    fn looks(&self) -> BTreeMap<PathBuf, Look> {
        use std::os::unix::fs::MetadataExt;
        let mark = |path: &PathBuf| {
            let look = fs::metadata(path)
                .ok()
                .map(|data| (data.ino(), data.len(), data.modified().ok()));
            (path.clone(), look)
        };
        self.files.iter().chain(&self.folders).map(mark).collect()
    }

    /// Waits until something may have changed and nothing more happens for a moment. Can be
    /// dropped and called again: what was noticed is not forgotten.
    pub async fn changed(&mut self) {
        while !self.dirty {
            self.dirty = match tokio::time::timeout(POLL, self.events.recv()).await {
                Ok(_) => true,
                Err(_) => self.looks() != self.seen,
            };
        }
        let quiet = async {
            while tokio::time::timeout(QUIET, self.events.recv())
                .await
                .is_ok()
            {}
        };
        let _ = tokio::time::timeout(PATIENCE, quiet).await;
        self.watch();
        self.seen = self.looks();
        self.dirty = false;
    }
}

/// Whether an event may be of a file that matters. What comes, goes, or gets another name always
/// may: it can be what a link or a pattern leads to. Reading a file is an event too, and no change.
fn matters(event: &notify::Event, names: &BTreeSet<OsString>) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_))
        | EventKind::Access(AccessKind::Close(AccessMode::Write)) => event
            .paths
            .iter()
            .any(|path| path.file_name().is_none_or(|name| names.contains(name))),
        EventKind::Access(_) => false,
        _ => true,
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A file, every link on the way to what it really is, and that.
fn ways_to(file: &Path) -> Vec<PathBuf> {
    let mut ways = vec![file.to_owned()];
    let mut path = file.to_owned();
    for _ in 0..16 {
        let Ok(target) = fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
        ways.push(path.clone());
    }
    ways.extend(fs::canonicalize(file));
    ways
}

/// The folder of a file, those of every link on the way to what it really is, and the nearest
/// one that exists if none does.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    // The last of the ways is the real one: a folder on the way may be a link as well
    // (Kubernetes: `..data`).
    for path in ways_to(file) {
        let mut folder = path.parent().map(Path::to_owned);
        while let Some(missing) = folder.clone().filter(|folder| !folder.exists()) {
            folder = missing.parent().map(Path::to_owned);
        }
        folders.extend(folder);
    }
    if let Some(parent) = file.parent()
        && fs::symlink_metadata(parent).is_ok_and(|data| data.is_symlink())
    {
        folders.extend(parent.parent().map(Path::to_owned));
    }
    folders
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, AccessMode, CreateKind, DataChange, EventKind, ModifyKind};
    use notify::event::{RemoveKind, RenameMode};

    use super::*;

    #[test]
    fn what_is_written_beside_the_files_does_not_matter() {
        let names = BTreeSet::from([OsString::from("plugway.toml")]);
        let heeded = |kind, path: &str| {
            let event = notify::Event::new(kind).add_path(path.into());
            matters(&event, &names)
        };
        let written = [
            EventKind::Modify(ModifyKind::Data(DataChange::Any)),
            EventKind::Access(AccessKind::Close(AccessMode::Write)),
        ];
        for kind in written {
            assert!(heeded(kind, "/etc/plugway.toml"));
            assert!(!heeded(kind, "/etc/access.log"));
        }
        let moved = [
            EventKind::Create(CreateKind::File),
            EventKind::Remove(RemoveKind::File),
            EventKind::Modify(ModifyKind::Name(RenameMode::Any)),
            EventKind::Any,
        ];
        for kind in moved {
            assert!(heeded(kind, "/etc/..data"));
        }
        let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
        assert!(!heeded(read, "/etc/plugway.toml"));
    }

    #[tokio::test]
    async fn a_log_that_grows_beside_the_files() {
        use std::io::Write as _;

        let folder = tempfile::tempdir().unwrap();
        let (file, log) = (folder.path().join("a.toml"), folder.path().join("log"));
        fs::write(&file, "").unwrap();
        let mut log = fs::File::create(log).unwrap();
        let mut watch = Watch::new();
        watch.set([file.as_path()].into_iter(), std::iter::empty());
        watch.changed().await; // what is new is looked at once
        for _ in 0..10 {
            log.write_all(b"line").unwrap();
        }
        // Events come in order, and this makes exactly one.
        fs::create_dir(folder.path().join("last")).unwrap();
        watch.events.recv().await.unwrap();
        assert!(watch.events.try_recv().is_err(), "the log was told of");
    }
}
