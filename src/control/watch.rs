//! Tells when a file that matters may have changed. Never what changed: that is decided by
//! content, by whoever reads the files again.
//!
//! Folders are watched rather than files, since editors, `git` and Kubernetes replace files by
//! renaming; so are the folders of what symbolic links lead to. A slow poll beside it sees what
//! no event tells of (network mounts, a lost event).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// What files and folders looked like before they were last read.
    seen: BTreeMap<PathBuf, Look>,
    /// Something may have changed that nobody was told of yet.
    dirty: bool,
}

/// Enough of a file's metadata to suspect a change.
type Look = Option<(u64, u64, Option<std::time::SystemTime>)>;

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
            seen: BTreeMap::new(),
            dirty: false,
        };
        watch.start();
        watch
    }

    fn start(&mut self) {
        let sender = self.sender.clone();
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too, and no change.
            if event.map_or(true, |event| {
                !event.kind.is_access() || is_close_after_write(event.kind)
            }) {
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
    /// loses its watch.
    fn watch(&mut self) {
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

fn is_close_after_write(kind: notify::EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
    )
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The folder of a file, those of every link on the way to what it really is, and the nearest
/// one that exists if none does.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut path = file.to_owned();
    for _ in 0..16 {
        let mut folder = path.parent().map(Path::to_owned);
        while let Some(missing) = folder.clone().filter(|folder| !folder.exists()) {
            folder = missing.parent().map(Path::to_owned);
        }
        folders.extend(folder);
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            Err(_) => break,
        }
    }
    // A folder on the way may be a link as well (Kubernetes: `..data`).
    if let Some(real) = fs::canonicalize(file)
        .ok()
        .and_then(|real| real.parent().map(Path::to_owned))
    {
        folders.push(real);
    }
    if let Some(parent) = file.parent()
        && fs::symlink_metadata(parent).is_ok_and(|data| data.is_symlink())
    {
        folders.extend(parent.parent().map(Path::to_owned));
    }
    folders
}
