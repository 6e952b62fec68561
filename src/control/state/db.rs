//! The state database: one file, one process at a time, every commit durable before it is told.
//!
//! `redb` refuses all work after an I/O error until it is opened again; that is done here, with
//! back-off, and what an error left in the dark is looked up then.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, Durability, MultimapTableDefinition, ReadTransaction,
    ReadableDatabase, StorageError, TableDefinition, WriteTransaction,
};

use crate::unwritable::advice;

/// Tokens by id, as lines of a token file.
pub(super) const TOKENS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tokens");
/// Ids by the fingerprint of a secret, live or not.
pub(super) const SECRETS: TableDefinition<'_, &[u8], &str> = TableDefinition::new("secrets");
/// Ids by name.
pub(super) const NAMES: MultimapTableDefinition<'_, &str, &str> =
    MultimapTableDefinition::new("names");
/// Last uses and used quotas by id.
pub(super) const USES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("uses");
/// The audit, by number from 1.
pub(super) const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("audit");
/// What the file is.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Its name in the state directory.
pub(super) const FILE: &str = "plugway.redb";
/// The form of what is stored.
const FORMAT: u64 = 1;
/// Memory that `redb` may fill with pages: an eighth of the file, within these bounds. A million
/// tokens need no more to be written to. It fills them with whatever it touched last, as long as the
/// process lives: of a MiB a gateway that changes its tokens and its configuration grew for an hour.
const CACHE: (usize, usize) = (1 << 18, 16 << 20);
/// The first and the longest pause between two attempts to open it again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// Why the database can not be used now.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the state database {path} {reason}")]
pub struct StoreError {
    path: String,
    reason: String,
}

/// The file, open or not.
#[derive(Debug)]
pub(super) struct Db {
    path: PathBuf,
    open: Option<Database>,
    /// Which file it is that was opened first (device and inode): another is not taken for it.
    identity: Option<(u64, u64)>,
    /// Why it is not open, and when it is tried again.
    broken: Option<(StoreError, Timestamp, Duration)>,
    /// The last that was to be written had no room. That it can be read says nothing of that.
    unwritten: Option<StoreError>,
}

/// What went wrong in a transaction.
pub(super) type Outcome<T> = Result<T, redb::Error>;

impl Db {
    /// Whether there is one in this directory.
    pub(super) fn is_in(directory: &Path) -> bool {
        may_be(&directory.join(FILE))
    }

    /// In this directory; nothing is touched yet.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE),
            open: None,
            identity: None,
            broken: None,
            unwritten: None,
        }
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Whether there is a file, as far as can be seen: where nothing can be seen, there may be one.
    pub(super) fn exists(&self) -> bool {
        self.identity.is_some() || may_be(&self.path)
    }

    /// Whether it can be used, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Why not.
    pub(super) fn error(&self) -> Option<&StoreError> {
        self.broken.as_ref().map(|(error, ..)| error)
    }

    /// Why nothing can be written, as far as is known.
    pub(super) fn unwritten(&self) -> Option<&StoreError> {
        self.error().or(self.unwritten.as_ref())
    }

    /// When it should be tried again.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.broken.as_ref().map(|(_, at, _)| *at)
    }

    /// Gives the file up.
    pub(super) fn close(&mut self) {
        // Also what still reads from it lets the file go.
        if let Some(database) = self.open.take() {
            let _ = database.close();
        }
        (self.broken, self.unwritten) = (None, None);
    }

    /// One under another name, which takes this one's [with it](Self::takes_name).
    pub(super) fn beside(&self) -> Self {
        let name = format!(".{FILE}.{}", std::process::id());
        Self {
            path: self.directory().join(name),
            open: None,
            identity: None,
            broken: None,
            unwritten: None,
        }
    }

    /// Gives what was filled its name, unless somebody has it by now; whether it has it.
    pub(super) fn takes_name(mut self, of: &Self) -> io::Result<bool> {
        self.close();
        let linked = fs::hard_link(&self.path, &of.path);
        fs::remove_file(&self.path)?;
        let _ = fs::File::open(of.directory()).and_then(|folder| folder.sync_all());
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what was made and could not be filled.
    pub(super) fn discard(mut self) {
        self.close();
        let _ = fs::remove_file(&self.path);
    }

    /// Opens it unless it is open; makes it if `create`. Whether it was opened just now.
    pub(super) fn open(&mut self, create: bool, now: Timestamp) -> Result<bool, StoreError> {
        if self.open.is_some() {
            return Ok(false);
        }
        if let Some((error, at, _)) = &self.broken
            && now < *at
        {
            return Err(error.clone());
        }
        match self.opened(create) {
            Ok(database) => {
                self.open = Some(database);
                self.broken = None;
                Ok(true)
            }
            Err(reason) => Err(self.breaks(reason, now)),
        }
    }

    /// What the system says, and what mends it.
    fn explained(&self, error: &io::Error) -> String {
        let advice = advice(&self.path, error).map(|advice| format!(" ({advice})"));
        plain(error) + advice.as_deref().unwrap_or_default()
    }

    fn opened(&mut self, create: bool) -> Result<Database, String> {
        if create && self.identity.is_none() && !self.exists() {
            self.make()?;
        }
        let unopened = |error: io::Error| format!("can not be opened: {}", self.explained(&error));
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if self.identity.is_some() => self.another(),
            io::ErrorKind::NotFound if self.path.is_symlink() => LOOSE.to_owned(),
            _ => unopened(error),
        })?;
        // One that is new is whole when it gets its name, see `make`.
        if file.metadata().map_err(unopened)?.len() == 0 {
            return Err(DAMAGED.to_owned());
        }
        let identity = identity_of(&file.metadata().map_err(unopened)?);
        if self.identity.is_some_and(|known| known != identity) {
            return Err(ANOTHER.to_owned());
        }
        let database = Self::database(file)?;
        check_format(&database)?;
        self.identity = Some(identity);
        Ok(database)
    }

    /// Whether the file that is open has another in its place by now, or none. Then it is closed:
    /// what would be written to it is not there after a restart.
    pub(super) fn is_another(&mut self, now: Timestamp) -> Option<StoreError> {
        self.open.as_ref()?;
        let found = fs::metadata(&self.path).ok().as_ref().map(identity_of);
        (found != self.identity).then(|| self.breaks(self.another(), now))
    }

    /// Why the file is not the one that was open.
    fn another(&self) -> String {
        if self.directory().exists() {
            ANOTHER.to_owned()
        } else {
            GONE.to_owned()
        }
    }

    /// Something in it made `redb` give up.
    pub(super) fn is_damaged(&mut self, now: Timestamp) {
        self.breaks(DAMAGED.to_owned(), now);
    }

    /// Makes an empty one under another name, which it gets when it is whole: an empty file in its
    /// place is damage, not a beginning. If somebody else was faster, theirs it is.
    fn make(&self) -> Result<(), String> {
        let unmade = |error: io::Error| format!("can not be made: {}", self.explained(&error));
        let directory = self.directory();
        if !directory.exists() {
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory);
            made.map_err(unmade)?;
        }
        let file = tempfile::Builder::new()
            .prefix(".plugway")
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(directory)
            .map_err(unmade)?;
        let database = Self::database(file.reopen().map_err(unmade)?)?;
        fill(&database).map_err(|error| describe(&error))?;
        drop(database);
        match file.persist_noclobber(&self.path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(unmade(error.error));
            }
            _ => {}
        }
        // The name of a new file has to last as well.
        let _ = fs::File::open(directory).and_then(|folder| folder.sync_all());
        Ok(())
    }

    fn database(file: fs::File) -> Result<Database, String> {
        let length = file.metadata().map_or(0, |file| file.len());
        let eighth = usize::try_from(length / 8).unwrap_or(usize::MAX);
        let backend = FileBackend::new(file).map_err(|error| describe_open(&error))?;
        let mut builder = Database::builder();
        builder.set_cache_size(eighth.clamp(CACHE.0, CACHE.1));
        // A damaged file must not take the process with it.
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            builder.create_with_backend(backend)
        }));
        opened
            .map_err(|_| DAMAGED.to_owned())?
            .map_err(|error| describe_open(&error))
    }

    /// Reads.
    pub(super) fn read(&mut self, now: Timestamp) -> Result<ReadTransaction, StoreError> {
        let Some(database) = &self.open else {
            return Err(self.closed());
        };
        match database.begin_read() {
            Ok(read) => Ok(read),
            Err(error) => Err(self.breaks(describe(&error.into()), now)),
        }
    }

    /// Changes, all or nothing; durable when it returns. After an error nobody knows whether it
    /// was done: the file is closed, and opened again later.
    pub(super) fn write<T>(
        &mut self,
        now: Timestamp,
        change: impl FnOnce(&WriteTransaction) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        self.write_as(begin, now, change)
    }

    /// The same, durable when the next [`write`](Self::write) is: for what may be lost until then.
    /// Costs a tenth, since nothing waits for the disk.
    pub(super) fn write_on<T>(
        &mut self,
        now: Timestamp,
        change: impl FnOnce(&WriteTransaction) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        self.write_as(begin_lightly, now, change)
    }

    fn write_as<T>(
        &mut self,
        begin: fn(&Database) -> Outcome<WriteTransaction>,
        now: Timestamp,
        change: impl FnOnce(&WriteTransaction) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        if let Some(error) = self.is_another(now) {
            return Err(error);
        }
        let Some(database) = &self.open else {
            return Err(self.closed());
        };
        let done: Outcome<T> = (|| {
            let write = begin(database)?;
            let result = change(&write)?;
            write.commit()?;
            Ok(result)
        })();
        let done = done.map_err(|error| self.breaks(describe(&error), now));
        let full = done.as_ref().err().filter(|error| error.reason == FULL);
        self.unwritten = full.cloned();
        done
    }

    /// For a result of reading.
    pub(super) fn checked<T>(&mut self, done: Outcome<T>, now: Timestamp) -> Result<T, StoreError> {
        done.map_err(|error| self.breaks(describe(&error), now))
    }

    fn closed(&self) -> StoreError {
        self.error().cloned().unwrap_or_else(|| StoreError {
            path: self.path.display().to_string(),
            reason: "is not open".to_owned(),
        })
    }

    /// Closes it for a while.
    fn breaks(&mut self, reason: String, now: Timestamp) -> StoreError {
        self.open = None;
        let error = StoreError {
            path: self.path.display().to_string(),
            reason,
        };
        let pause = self
            .broken
            .as_ref()
            .map_or(PAUSES.0, |(.., pause)| (*pause * 2).min(PAUSES.1));
        let at = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
        self.broken = Some((error.clone(), at, pause));
        error
    }
}

/// What is said where the file is not the one that was open.
const ANOTHER: &str = "was moved away or replaced while it was in use: put it back, or restart plugway \
                       to go on with what is there";

/// What is said where not even its directory is there any more.
const GONE: &str = "went away with its directory while it was in use, and with it the admin socket, if \
                    that was there: commands do not find this gateway, and would begin another \
                    database beside it. Put the directory back, or restart plugway";

/// What is said of a link into nothing, such as a volume that is not mounted.
const LOOSE: &str = "is a symbolic link to a file that is not there: what it should lead to is not mounted, \
                     or was moved";

/// Whether there is something at a path, as far as can be seen: where nothing can be seen, there may be
/// one, and what a link should lead to may be there tomorrow.
fn may_be(path: &Path) -> bool {
    path.is_symlink()
        || path.try_exists().unwrap_or(true)
        || path
            .parent()
            .is_some_and(|above| above.is_symlink() && !above.exists())
}

fn identity_of(facts: &fs::Metadata) -> (u64, u64) {
    (facts.dev(), facts.ino())
}

/// Makes the tables of a new file.
fn fill(database: &Database) -> Outcome<()> {
    let write = begin(database)?;
    write.open_table(META)?.insert("format", FORMAT)?;
    write.open_table(TOKENS)?;
    write.open_table(SECRETS)?;
    write.open_multimap_table(NAMES)?;
    write.open_table(USES)?;
    write.open_table(AUDIT)?;
    write.commit()?;
    Ok(())
}

/// That the file is ours, and not one of a newer plugway.
fn check_format(database: &Database) -> Result<(), String> {
    let format: Outcome<Option<u64>> = (|| {
        let meta = database.begin_read()?.open_table(META)?;
        Ok(meta.get("format")?.map(|value| value.value()))
    })();
    match format.map_err(|error| describe(&error))? {
        Some(FORMAT) => Ok(()),
        Some(other) => Err(format!(
            "was written by a newer plugway (format {other}, this one knows {FORMAT}): use that one, or `plugway state restore` a backup into another directory"
        )),
        None => Err("is no state database of plugway".to_owned()),
    }
}

/// A write that survives a kill at any moment, and after which a million tokens open as quickly
/// as ten.
fn begin(database: &Database) -> Outcome<WriteTransaction> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    Ok(write)
}

/// A write that is there for who reads, and on the disk with the next one that is durable.
fn begin_lightly(database: &Database) -> Outcome<WriteTransaction> {
    let mut write = database.begin_write()?;
    // Refused only where several processes write.
    let _ = write.set_durability(Durability::None);
    Ok(write)
}

/// What is said of a file that does not hold what it should.
const DAMAGED: &str = "is damaged or is no database: put it aside and `plugway state restore` a \
                       backup, or restore the file itself";

/// What is said of a disk without room.
const FULL: &str = "can not be written: the disk is full";

fn describe_open(error: &DatabaseError) -> String {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            "is in use by another process: one plugway at a time can have it".to_owned()
        }
        DatabaseError::UpgradeRequired(_) => {
            "has an old file format that this plugway can not read".to_owned()
        }
        DatabaseError::Storage(error) => describe_storage(error),
        other => format!("can not be opened: {other}"),
    }
}

fn describe(error: &redb::Error) -> String {
    match error {
        redb::Error::Io(error) => io_reason(error),
        redb::Error::PreviousIo => "failed before and is opened again".to_owned(),
        redb::Error::Corrupted(_) | redb::Error::TableTypeMismatch { .. } => DAMAGED.to_owned(),
        redb::Error::TableDoesNotExist(_) => "is no state database of plugway".to_owned(),
        other => format!("failed: {other}"),
    }
}

fn describe_storage(error: &StorageError) -> String {
    match error {
        StorageError::Io(error) => io_reason(error),
        StorageError::Corrupted(_) => DAMAGED.to_owned(),
        other => format!("failed: {other}"),
    }
}

fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FULL.to_owned(),
        io::ErrorKind::InvalidData => DAMAGED.to_owned(),
        _ => format!("can not be read or written: {}", plain(error)),
    }
}

/// Without Rust's `(os error 2)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.find(" (os error")
        .map_or(text.clone(), |at| text[..at].to_owned())
}
