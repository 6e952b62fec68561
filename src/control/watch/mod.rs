//! Tells when a file that matters may have changed. Never what changed: that is decided by
//! content, by whoever reads the files again.
//!
//! Folders are watched rather than files, since editors, `git` and Kubernetes replace files by
//! renaming; so are the folders of every symbolic link on the [way](ways) to one. What is only
//! written in such a folder, and has another name, does not matter: a log may well lie beside the
//! configuration, and a million tokens are not to be read again for each of its lines. A slow poll
//! beside it sees what no event tells of (network mounts, hard links, a lost event).

mod news;
mod pace;
#[cfg(test)]
mod tests;
mod ways;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use news::{Filter, Heeded, News};
use pace::{POLL, Pace};
use ways::Ways;

/// Watches the folders of a changing set of files.
#[derive(Debug)]
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
    events: UnboundedReceiver<News>,
    sender: UnboundedSender<News>,
    /// What happened before it is known which files matter; `None` from then on.
    early: Early,
    /// Since when that is noted.
    since: SystemTime,
    files: BTreeSet<PathBuf>,
    /// Folders in which any file matters.
    open: BTreeSet<PathBuf>,
    /// What is watched.
    folders: BTreeMap<PathBuf, Identity>,
    /// What could not be, as somebody was told.
    unwatched: BTreeSet<PathBuf>,
    heeded: Arc<ArcSwap<Heeded>>,
    /// What files and open folders looked like before they were last read, and when that was seen.
    seen: BTreeMap<PathBuf, Option<Look>>,
    polled: Instant,
    pace: Pace,
}

/// A watch until it is known which files matter. It is told what is about to be read: what is watched
/// before need not be read a second time.
#[derive(Debug, Clone, Default)]
pub struct Foresight(Rc<RefCell<Option<Watch>>>);

impl Foresight {
    /// Of a watch that began [early](Watch::early).
    pub fn of(watch: Watch) -> Self {
        Self(Rc::new(RefCell::new(Some(watch))))
    }

    /// A file is about to be read.
    pub(super) fn file(&self, path: &Path) {
        if let Some(watch) = &mut *self.0.borrow_mut() {
            watch.foresee([absolute(path)].iter(), std::iter::empty());
        }
    }

    /// What is in a folder is about to be listed.
    pub(super) fn folder(&self, path: &Path) {
        if let Some(watch) = &mut *self.0.borrow_mut() {
            watch.foresee(std::iter::empty(), [absolute(path)].iter());
        }
    }

    /// It is known.
    pub fn take(&self) -> Option<Watch> {
        self.0.take()
    }
}

/// Shared with the thread that events come from.
type Early = Arc<Mutex<Option<Vec<notify::Event>>>>;

/// Device and inode; `None`: it is not there.
type Identity = Option<(u64, u64)>;

/// Enough of a file's metadata to suspect a change.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
    /// Of the inode, seconds and nanoseconds: who sets back the other does not set back this one.
    changed: (i64, i64),
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            length: data.len(),
            modified: data.modified().ok(),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }
}

fn identity(path: &Path) -> Identity {
    let data = fs::metadata(path).ok()?;
    Some((data.dev(), data.ino()))
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
            early: Early::default(),
            since: SystemTime::now(),
            files: BTreeSet::new(),
            open: BTreeSet::new(),
            folders: BTreeMap::new(),
            unwatched: BTreeSet::new(),
            heeded: Arc::default(),
            seen: BTreeMap::new(),
            polled: Instant::now(),
            pace: Pace::default(),
        };
        watch.start();
        watch
    }

    fn start(&mut self) {
        let sender = self.sender.clone();
        let mut filter = Filter::new(Arc::clone(&self.heeded));
        let early = Arc::clone(&self.early);
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else {
                let _ = sender.send(News::Written);
                return;
            };
            if let Some(early) = &mut *early.lock().unwrap_or_else(PoisonError::into_inner) {
                early.push(event);
            } else if let Some(news) = filter.news(&event, Instant::now()) {
                let _ = sender.send(news);
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
        *self.early.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
        self.since = SystemTime::now();
        self.files = BTreeSet::from([absolute(file)]);
        self.follow();
    }

    /// Before one of these is read, as long as it is not known which files matter.
    fn foresee<'a>(
        &mut self,
        files: impl Iterator<Item = &'a PathBuf>,
        folders: impl Iterator<Item = &'a PathBuf>,
    ) {
        // Where a link changed before it was watched, its folder is new when this is over.
        for folder in Ways::to(files, folders).folders {
            if !self.folders.contains_key(&folder) {
                self.folders.insert(folder.clone(), identity(&folder));
                self.ask_for(&folder);
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
        let strange = !files.is_subset(&self.files);
        let watched: BTreeSet<PathBuf> = self.folders.keys().cloned().collect();
        self.files = files;
        self.open = folders.map(|folder| absolute(&folder)).collect();
        self.follow();
        let mut dirty = !self.folders.keys().all(|folder| watched.contains(folder));
        let early = self
            .early
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let first = early.is_some();
        dirty |= match early {
            None => strange,
            Some(events) => {
                let mut filter = Filter::new(Arc::clone(&self.heeded));
                events
                    .iter()
                    .any(|event| filter.news(event, Instant::now()).is_some())
            }
        };
        let now = self.looks();
        if first {
            // No event tells of what another machine writes.
            dirty |= self.files.iter().any(|file| {
                let look = now.get(file).and_then(Option::as_ref);
                look.is_some_and(|look| look.modified > Some(self.since))
            });
        }
        let before = std::mem::replace(&mut self.seen, now);
        for (path, look) in before {
            self.seen.entry(path).and_modify(|now| *now = look);
        }
        // What is due already looks at all of it, and may wait for a file that is being written.
        if dirty && self.pace.due().is_none() {
            self.pace.note(News::Whole, Instant::now());
        }
    }

    /// Finds the ways to the files, and asks for events: again of what is watched, since a folder
    /// that was replaced keeps its name and loses its watch.
    fn follow(&mut self) {
        let mut ways = Ways::to(self.files.iter(), self.open.iter());
        // A link or a missing folder may have changed before it was watched: then once more. Who
        // changes them all the time is left to the poll.
        for _ in 0..4 {
            self.heed(&ways);
            self.watch(&ways.folders);
            let now = Ways::to(self.files.iter(), self.open.iter());
            if now == ways {
                break;
            }
            ways = now;
        }
    }

    fn heed(&self, ways: &Ways) {
        let names = ways.paths.iter().flat_map(|path| path.iter());
        self.heeded.store(Arc::new(Heeded {
            names: names.map(OsString::from).collect(),
            open: ways.open.clone(),
        }));
    }

    fn watch(&mut self, folders: &BTreeSet<PathBuf>) {
        let known = |path: &PathBuf| (path.clone(), identity(path));
        let now: BTreeMap<PathBuf, Identity> = folders.iter().map(known).collect();
        let before = std::mem::replace(&mut self.folders, now);
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        // First, since two names of one folder have one watch.
        for (folder, was) in before {
            if self.folders.get(&folder) != Some(&was) {
                let _ = watcher.unwatch(&folder);
            }
        }
        for folder in folders {
            self.ask_for(folder);
        }
    }

    /// Asks for the events of a folder.
    fn ask_for(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.unwatched.remove(folder);
            }
            // It is gone again.
            Err(_) if !folder.exists() => {}
            Err(error) => {
                if self.unwatched.insert(folder.to_owned()) {
                    tracing::warn!(folder = %folder.display(), %error, "can not be watched; it is looked at every few seconds");
                }
            }
        }
    }

    fn looks(&self) -> BTreeMap<PathBuf, Option<Look>> {
        let paths = self.files.iter().chain(&self.open);
        paths.map(|path| (path.clone(), Look::at(path))).collect()
    }

    /// Waits until something may have changed and it is time to read it. Can be dropped and called
    /// again: what was noticed is not forgotten.
    pub async fn changed(&mut self) {
        loop {
            let due = self.pace.due();
            let wake = due.unwrap_or(self.polled + POLL);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(wake) => {
                    // Perhaps a file is being written since.
                    let now = Instant::now();
                    while let Ok(news) = self.events.try_recv() {
                        self.pace.note(news, now);
                    }
                    match self.pace.due() {
                        Some(due) if due <= now => break,
                        Some(_) => continue,
                        None => {}
                    }
                    self.polled = now;
                    if self.looks() != self.seen {
                        // Perhaps it is being written.
                        self.pace.note(News::Written, self.polled);
                    }
                }
                Some(news) = self.events.recv() => self.pace.note(news, Instant::now()),
            }
        }
        self.follow();
        self.seen = self.looks();
        self.polled = Instant::now();
        self.pace.looks(self.polled);
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
