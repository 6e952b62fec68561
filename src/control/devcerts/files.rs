//! Reading and replacing small files, some of which only their owner may read.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use super::Error;

/// Makes the directory if it is missing, for its owner alone, and keeps other starts out while the
/// result lives. Without locks (some network file systems) two first starts at the same time may
/// mix their files, which the next start notices.
pub(super) fn prepare(directory: &Path) -> Result<File, Error> {
    let failed = io(
        directory,
        "made",
        "make the directory above it writable, or start in another one",
    );
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    let failed = io(directory, "read", "give its owner the right to read it");
    let opened = File::open(directory).map_err(failed)?;
    let _ = opened.lock();
    Ok(opened)
}

/// A file's bytes; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    open(path)?.map(|file| content(path, &file)).transpose()
}

/// The bytes of a file that only its owner may read. Where others could, that is mended at once
/// and told: they may know it by now, and only a person can say whether that matters. `renew`
/// says how to have another one, such as `delete it`.
pub(super) fn read_private(
    path: &Path,
    renew: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let failed = || io(path, "protected", "make yourself its owner, or delete it");
    let mode = file.metadata().map_err(failed())?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(failed())?;
        warnings.push(format!(
            "{} was open to others (mode {:04o}) and is no longer; if someone else uses this \
             machine, {renew}, and a new one is made on the next start",
            path.display(),
            mode & 0o7777,
        ));
    }
    content(path, &file).map(Some)
}

/// Replaces a file, whole or not at all. It never has another mode than this one.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let replace = || {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    };
    let failed = io(
        path,
        "written",
        "make its directory writable, or start in another one",
    );
    replace().map(drop).map_err(failed)
}

/// Opens a file if there is one. A pipe would be waited for, so it is looked at first.
fn open(path: &Path) -> Result<Option<File>, Error> {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(Error::strange(path, "is not a file")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    File::open(path).map(Some).map_err(unreadable(path))
}

/// All of a small file.
fn content(path: &Path, file: &File) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable(path))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Error::strange(path, "is far too long"));
    }
    Ok(bytes)
}

/// A file that is there and can not be read.
fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    io(
        path,
        "read",
        "give its owner the right to read it, or delete it and a new one is made",
    )
}

/// An operating system's error, with what was tried and what to do.
fn io(path: &Path, verb: &'static str, mend: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        path,
        verb,
        mend,
        source,
    }
}

/// Bytes of a file.
const MAX_FILE: u64 = 1 << 20;
