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
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// After a write, before the files are read: writers write in pieces.
const QUIET: Duration = Duration::from_millis(100);
/// The same after a file was closed by its writer, or got its name: it is whole, and only what is
/// replaced together with it is waited for.
const WHOLE: Duration = Duration::from_millis(10);
/// No longer than this after the first event.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at files that told nothing.
const POLL: Duration = Duration::from_secs(3);

/// Watches the folders of a changing set of files.
#[derive(Debug)]
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    /// Something happened, and how long to wait for more.
    events: UnboundedReceiver<Duration>,
    sender: UnboundedSender<Duration>,
    /// Of the last event.
    quiet: Duration,
    /// What happened before it is known which files matter; `None` from then on.
    early: Early,
    /// Since when that is noted.
    since: SystemTime,
    folders: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    /// What is heeded.
    heeded: Arc<ArcSwap<Heeded>>,
    /// What files and folders looked like before they were last read.
    seen: BTreeMap<PathBuf, Look>,
    /// Something may have changed that nobody was told of yet.
    dirty: bool,
}

/// Enough of a file's metadata to suspect a change.
type Look = Option<(u64, u64, Option<SystemTime>)>;

/// Shared with the thread that events come from.
type Early = Arc<Mutex<Option<Vec<notify::Event>>>>;

/// What events may be of.
#[derive(Debug, Default)]
struct Heeded {
    /// What files, all that they are links to, and the folders on the way to them are called.
    names: BTreeSet<OsString>,
    /// Folders in which any file may be one that a pattern matches.
    open: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches nothing yet.
    #[expect(clippy::new_without_default, reason = "it starts a thread")]
    pub fn new() -> Self {
        let (sender, events) = unbounded_channel();
        let mut watch = Self {
            watcher: None,
            events,
            sender,
            quiet: QUIET,
            early: Early::default(),
            since: SystemTime::now(),
            folders: BTreeSet::new(),
            files: BTreeSet::new(),
            heeded: Arc::default(),
            seen: BTreeMap::new(),
            dirty: false,
        };
        watch.start();
        watch
    }

    fn start(&mut self) {
        let (sender, heeded) = (self.sender.clone(), Arc::clone(&self.heeded));
        let early = Arc::clone(&self.early);
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else {
                let _ = sender.send(QUIET);
                return;
            };
            if let Some(early) = &mut *early.lock().unwrap_or_else(PoisonError::into_inner) {
                early.push(event);
            } else if let Some(quiet) = matters(&event, &heeded.load_full()) {
                let _ = sender.send(quiet);
            }
        });
        match made {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "files can not be watched; they are looked at every few seconds");
            }
        }
    }

    /// Before anything is read: watches the folder of the file that names all others. Those of
    /// them that lie there as well, where most do, then need not be read a second time.
    pub fn early(&mut self, file: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        *self.early.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
        self.since = SystemTime::now();
        for folder in folders_of(&absolute(file)) {
            if watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
                self.folders.insert(folder);
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
        let open = folders.clone();
        for file in &files {
            folders.extend(folders_of(file));
        }
        if let Some(watcher) = &mut self.watcher {
            for gone in self.folders.difference(&folders) {
                let _ = watcher.unwatch(gone);
            }
        }
        let strange = !files.is_subset(&self.files);
        self.dirty |= !folders.is_subset(&self.folders);
        (self.files, self.folders) = (files, folders);
        self.watch(open);
        let early = self
            .early
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let first = early.is_some();
        self.dirty |= match early {
            None => strange,
            Some(events) => {
                let heeded = self.heeded.load_full();
                events.iter().any(|event| matters(event, &heeded).is_some())
            }
        };
        let now = self.looks();
        if first {
            // No event tells of what another machine writes.
            let late = |look: &Look| look.is_some_and(|(_, _, at)| at > Some(self.since));
            self.dirty |= self
                .files
                .iter()
                .any(|file| now.get(file).is_some_and(late));
        }
        let before = std::mem::replace(&mut self.seen, now);
        for (path, look) in before {
            self.seen.entry(path).and_modify(|now| *now = look);
        }
    }

    /// Asks for events, also of what is watched: a folder that was replaced keeps its name and
    /// loses its watch, and a link may lead elsewhere now.
    fn watch(&mut self, open: BTreeSet<PathBuf>) {
        let paths = self.files.iter().flat_map(|file| ways_to(file));
        let paths: BTreeSet<PathBuf> = paths.chain(self.folders.iter().cloned()).collect();
        let names = paths.iter().flat_map(|path| path.iter());
        let names = names.map(OsString::from).collect();
        self.heeded.store(Arc::new(Heeded { names, open }));
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
                Ok(quiet) => {
                    self.quiet = quiet.unwrap_or(QUIET);
                    true
                }
                Err(_) => self.looks() != self.seen,
            };
        }
        let Self { events, quiet, .. } = self;
        let silence = async {
            while let Ok(more) = tokio::time::timeout(*quiet, events.recv()).await {
                *quiet = more.unwrap_or(QUIET);
            }
        };
        let _ = tokio::time::timeout(PATIENCE, silence).await;
        self.quiet = QUIET;
        self.watch(self.heeded.load_full().open.clone());
        self.seen = self.looks();
        self.dirty = false;
    }
}

/// Whether an event may be of a file that matters, and how long to wait for more. What goes or gets
/// another name always may: it can be what a link leads to. Reading a file is an event too, and no
/// change.
fn matters(event: &notify::Event, heeded: &Heeded) -> Option<Duration> {
    use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
    let named = event.paths.iter().any(|path| {
        path.file_name()
            .is_none_or(|name| heeded.names.contains(name))
    });
    let matched = || {
        let mut folders = event.paths.iter().filter_map(|path| path.parent());
        folders.any(|folder| heeded.open.contains(folder))
    };
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => named.then_some(QUIET),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => named.then_some(WHOLE),
        EventKind::Access(_) => None,
        EventKind::Create(_) => (named || matched()).then_some(QUIET),
        EventKind::Modify(ModifyKind::Name(_)) if named || matched() => Some(WHOLE),
        _ => Some(QUIET),
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
        let heeded = Heeded {
            names: BTreeSet::from([OsString::from("plugway.toml")]),
            open: BTreeSet::from([PathBuf::from("/etc/plugins")]),
        };
        let quiet = |kind, path: &str| {
            let event = notify::Event::new(kind).add_path(path.into());
            matters(&event, &heeded)
        };
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert_eq!(quiet(written, "/etc/plugway.toml"), Some(QUIET));
        assert_eq!(quiet(written, "/etc/access.log"), None);
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert_eq!(quiet(closed, "/etc/plugway.toml"), Some(WHOLE));
        assert_eq!(quiet(closed, "/etc/access.log"), None);
        let created = EventKind::Create(CreateKind::File);
        assert_eq!(quiet(created, "/etc/plugway.toml"), Some(QUIET));
        assert_eq!(quiet(created, "/etc/plugins/one.toml"), Some(QUIET));
        assert_eq!(quiet(created, "/etc/access.log"), None);
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Any));
        assert_eq!(quiet(renamed, "/etc/plugway.toml"), Some(WHOLE));
        assert_eq!(quiet(renamed, "/etc/plugins/one.toml"), Some(WHOLE));
        for kind in [renamed, EventKind::Remove(RemoveKind::File), EventKind::Any] {
            assert_eq!(quiet(kind, "/etc/..data"), Some(QUIET));
        }
        let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
        assert_eq!(quiet(read, "/etc/plugway.toml"), None);
    }

    /// What lies beside the first file is not read twice at the start, unless it changed.
    #[tokio::test]
    async fn before_it_is_known_what_matters() {
        for (changes, dirty) in [(false, false), (true, true)] {
            let folder = tempfile::tempdir().unwrap();
            let (main, other) = (folder.path().join("a.toml"), folder.path().join("b"));
            fs::write(&main, "").unwrap();
            fs::write(&other, "").unwrap();
            let mut watch = Watch::new();
            watch.early(&main);
            fs::write(folder.path().join("c"), "").unwrap();
            if changes {
                fs::write(&other, "x").unwrap();
            }
            // Events come in order, and this makes one more.
            let told = |watch: &Watch| {
                let early = watch.early.lock().unwrap();
                let last =
                    |event: &notify::Event| event.paths.iter().any(|path| path.ends_with("last"));
                early.as_ref().unwrap().iter().any(last)
            };
            fs::create_dir_all(folder.path().join("last")).unwrap();
            while !told(&watch) {
                tokio::task::yield_now().await;
            }
            watch.set(
                [main.as_path(), other.as_path()].into_iter(),
                std::iter::empty(),
            );
            assert_eq!(watch.dirty, dirty, "changes: {changes}");
        }
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
        fs::write(folder.path().join("first"), "").unwrap();
        fs::remove_file(folder.path().join("first")).unwrap();
        watch.events.recv().await.unwrap();
        assert!(watch.events.try_recv().is_err(), "the log was told of");
    }
}
