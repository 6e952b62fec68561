//! From the tables of a configuration to its validated types, one file per part.

mod access;
mod openapi;
mod plugin;
mod public;
mod server;
mod test;
mod token;
mod token_files;
pub(crate) use token_files::bare;
mod upstream;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use self::plugin::plugins;
pub(super) use self::server::server;
pub(super) use self::token::tokens;
use super::expand::{Text, shown, unread};
use super::section::Reading;
use super::{Inputs, ServedFile};
use crate::problems::Place;

/// A file, read; a problem at the place where it is named if that is not possible.
fn served_file(text: &Text, reading: &mut Reading<'_>) -> Option<ServedFile> {
    let path = file_path(&text.value);
    let bytes = read(&path, text, reading, |inputs, path| inputs.file(path))?;
    Some(ServedFile { path, bytes })
}

/// The bytes of a certificate, a key or the like, which no generation keeps; a problem where it
/// is named if it can not be read.
fn private(path: &Path, named: &Text, reading: &mut Reading<'_>) -> Option<Arc<[u8]>> {
    read(path, named, reading, |inputs, path| inputs.private(path))
}

/// The path that a text names; `file:` in front of it is allowed.
fn file_path(text: &str) -> PathBuf {
    PathBuf::from(text.strip_prefix("file:").unwrap_or(text))
}

/// The bytes of a file; a problem where it is named if it can not be read.
fn read(
    path: &Path,
    named: &Text,
    reading: &mut Reading<'_>,
    take: impl FnOnce(&mut dyn Inputs, &Path) -> Result<Arc<[u8]>, String>,
) -> Option<Arc<[u8]>> {
    if path.as_os_str().is_empty() {
        reading.problems.add(&named.at, "the path is empty");
        return None;
    }
    match take(reading.inputs, path) {
        Ok(bytes) => Some(bytes),
        Err(reason) => {
            let message = format!(
                "can not read the file `{}`: {}",
                named.shown,
                shown(&reason)
            );
            reading.problems.add(&named.at, message).help(unread(path));
            None
        }
    }
}

/// Half of a pair is missing.
fn incomplete(missing: &str, at: &Place, reading: &mut Reading<'_>) {
    let message = format!("`{missing}` is missing");
    reading
        .problems
        .add(at, message)
        .help("a certificate and its key are written together");
}

/// Whether a text is a URL rather than a path.
fn is_url(text: &str) -> bool {
    text.contains("://")
}
