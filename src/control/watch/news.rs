//! What an event tells: nothing, that a file may be whole now, or that it is being written. Never
//! what changed. So a kind of event that is misread, or that another system tells otherwise, costs a
//! moment and no change.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use notify::Event;
use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use tokio::time::Instant;

use super::pace::UNFINISHED;

/// New files of a folder that are remembered until they are closed.
const MOST_FRESH: usize = 1024;

/// What an event tells of the files that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// A file was closed by its writer, or got its name.
    Whole,
    /// More may follow: a file was made, or something is gone, which an editor puts back.
    Written,
    /// A file is in the middle of being written: what it holds may be half of what it will, and look
    /// whole.
    Open,
}

/// What events may be of.
#[derive(Debug, Default)]
pub(super) struct Heeded {
    /// What files, all that they are links to, and the folders on the way to them are called.
    pub(super) names: BTreeSet<OsString>,
    /// Folders in which any file may be one that a pattern matches.
    pub(super) open: BTreeSet<PathBuf>,
}

/// Tells news from noise: what is written in a watched folder, and has another name, does not
/// matter.
#[derive(Debug)]
pub(super) struct Filter {
    heeded: Arc<ArcSwap<Heeded>>,
    /// Made in an open folder, and not closed yet: nobody knows them by name.
    fresh: HashSet<PathBuf>,
    /// Written and not closed yet, since their last piece.
    writing: HashMap<PathBuf, Instant>,
}

impl Filter {
    pub(super) fn new(heeded: Arc<ArcSwap<Heeded>>) -> Self {
        Self {
            heeded,
            fresh: HashSet::new(),
            writing: HashMap::new(),
        }
    }

    /// What an event tells. `None`: nothing; reading a file is an event too, and no change.
    pub(super) fn news(&mut self, event: &Event, now: Instant) -> Option<News> {
        let news = self.of_event(event)?;
        if news == News::Open {
            if self.writing.len() < MOST_FRESH {
                let written = event.paths.iter().map(|path| (path.clone(), now));
                self.writing.extend(written);
            }
        } else {
            event.paths.iter().for_each(|path| {
                self.writing.remove(path);
            });
        }
        self.writing.retain(|_, last| now < *last + UNFINISHED);
        // What is whole is looked at together with what is not.
        Some(if self.writing.is_empty() {
            news
        } else {
            News::Open
        })
    }

    /// What it tells by itself.
    fn of_event(&mut self, event: &Event) -> Option<News> {
        let heeded = self.heeded.load_full();
        let named = event.paths.iter().any(|path| {
            path.file_name()
                .is_none_or(|name| heeded.names.contains(name))
        });
        let mut paths = event.paths.iter();
        let matched = paths.any(|path| {
            path.parent()
                .is_some_and(|folder| heeded.open.contains(folder))
        });
        let fresh = || event.paths.iter().any(|path| self.fresh.contains(path));
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                let fresh = fresh();
                event.paths.iter().for_each(|path| {
                    self.fresh.remove(path);
                });
                (named || fresh).then_some(News::Whole)
            }
            EventKind::Access(_) => None,
            EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                (named || matched).then_some(News::Whole)
            }
            EventKind::Modify(ModifyKind::Data(_)) => (named || fresh()).then_some(News::Open),
            EventKind::Modify(ModifyKind::Metadata(_)) => {
                (named || fresh()).then_some(News::Written)
            }
            EventKind::Create(kind) => {
                if matched && !named && kind == CreateKind::File && self.fresh.len() < MOST_FRESH {
                    self.fresh.extend(event.paths.iter().cloned());
                }
                (named || matched).then_some(News::Written)
            }
            // Without a path: events were lost.
            _ => (named || matched || event.paths.is_empty()).then_some(News::Written),
        }
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, Flag, RemoveKind};

    use super::*;

    fn filter() -> Filter {
        let heeded = Heeded {
            names: ["plugway.toml", "..data", "etc"].map(OsString::from).into(),
            open: BTreeSet::from([PathBuf::from("/etc/plugins")]),
        };
        Filter::new(Arc::new(ArcSwap::from_pointee(heeded)))
    }

    const WRITTEN: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const CREATED: EventKind = EventKind::Create(CreateKind::File);

    fn renamed(mode: RenameMode) -> EventKind {
        EventKind::Modify(ModifyKind::Name(mode))
    }

    #[test]
    fn what_is_written_beside_the_files_does_not_matter() {
        let mut filter = filter();
        let now = Instant::now();
        let mut news = |kind, path: &str| filter.news(&Event::new(kind).add_path(path.into()), now);
        for (kind, told) in [
            (WRITTEN, News::Open),
            (CREATED, News::Written),
            (EventKind::Remove(RemoveKind::File), News::Written),
            (EventKind::Any, News::Written),
            (CLOSED, News::Whole),
            (renamed(RenameMode::To), News::Whole),
            // Its backup: an editor writes the file anew.
            (renamed(RenameMode::From), News::Written),
        ] {
            assert_eq!(news(kind, "/etc/access.log"), None, "{kind:?}");
            for path in ["/etc/plugway.toml", "/etc/..data"] {
                assert_eq!(news(kind, path), Some(told), "{kind:?}");
                news(CLOSED, path);
            }
        }
        let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
        assert_eq!(news(read, "/etc/plugway.toml"), None);
    }

    #[test]
    fn a_new_file_in_a_folder_of_a_pattern() {
        let mut filter = filter();
        let now = Instant::now();
        let mut news = |kind, path: &str| filter.news(&Event::new(kind).add_path(path.into()), now);
        let (one, log) = ("/etc/plugins/one.toml", "/etc/plugins/log");
        assert_eq!(news(CREATED, one), Some(News::Written));
        assert_eq!(news(WRITTEN, one), Some(News::Open));
        assert_eq!(news(CLOSED, one), Some(News::Whole));
        // From now on it would have a name, were it one that matters.
        assert_eq!(news(WRITTEN, one), None);
        assert_eq!(news(WRITTEN, log), None, "it was there before");
        assert_eq!(news(CLOSED, log), None);
        assert_eq!(news(renamed(RenameMode::To), one), Some(News::Whole));
        let gone = EventKind::Remove(RemoveKind::File);
        assert_eq!(news(gone, one), Some(News::Written));
    }

    #[test]
    fn lost_events_may_have_been_of_anything() {
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(filter().news(&lost, Instant::now()), Some(News::Written));
    }

    #[test]
    fn what_is_whole_waits_for_what_is_being_written_but_not_for_ever() {
        let (mut filter, start) = (filter(), Instant::now());
        let mut news = |kind, path: &str, at: Instant| {
            let event = Event::new(kind).add_path(path.into());
            filter.news(&event, at)
        };
        let (half, other) = ("/etc/plugway.toml", "/etc/etc");
        assert_eq!(news(WRITTEN, half, start), Some(News::Open));
        let soon = start + UNFINISHED / 2;
        assert_eq!(news(CLOSED, other, soon), Some(News::Open));
        assert_eq!(news(CLOSED, half, soon), Some(News::Whole));
        // Its writer went away without a word, or keeps it.
        assert_eq!(news(WRITTEN, half, soon), Some(News::Open));
        assert_eq!(news(CLOSED, other, soon + UNFINISHED), Some(News::Whole));
        // Another file takes its name.
        assert_eq!(news(WRITTEN, half, soon), Some(News::Open));
        assert_eq!(news(renamed(RenameMode::To), half, soon), Some(News::Whole));
    }
}
