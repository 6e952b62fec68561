//! The last good copies, in the state directory: for the next start.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::inputs::read_file;
use super::Copy;
use crate::tokens::Fingerprint;

/// In the state directory.
const FOLDER: &str = "token-files";

/// Where the last good copy is kept.
pub(super) fn path(state: &Path, url: &str) -> PathBuf {
    let name = Fingerprint::of(url.as_bytes()).to_hex();
    state.join(FOLDER).join(format!("{name}.jsonl"))
}

/// The copy of an earlier process.
pub(super) fn stored(state: &Path, url: &str) -> Option<Copy> {
    let path = path(state, url);
    let at = fs::metadata(&path).and_then(|kept| kept.modified()).ok()?;
    let bytes = read_file(&path).ok()?;
    Some(Copy {
        digest: Fingerprint::of(&bytes).0,
        bytes: bytes.into(),
        etag: None,
        modified: None,
        at: Timestamp::try_from(at).ok()?,
    })
}

/// Keeps a copy, whole or not at all.
pub(super) fn store(state: &Path, url: &str, bytes: &[u8]) -> std::io::Result<()> {
    let path = path(state, url);
    let folder = path.parent().unwrap_or(state);
    fs::create_dir_all(folder)?;
    // What others put here would be believed at a start.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    // Always the same name, so that what a kill leaves is written over; readable for nobody else from its
    // first byte on.
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_nobody_elses() {
        let state = tempfile::tempdir().unwrap();
        let url = "https://example.com/tokens";
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        // Also in a folder that was there before.
        fs::create_dir(state.path().join(FOLDER)).unwrap();
        for text in ["one", "another"] {
            store(state.path(), url, text.as_bytes()).unwrap();
            assert_eq!(*stored(state.path(), url).unwrap().bytes, *text.as_bytes());
        }
        assert_eq!(mode(&path(state.path(), url)), 0o600);
        assert_eq!(mode(&state.path().join(FOLDER)), 0o700);
        let all = fs::read_dir(state.path().join(FOLDER)).unwrap();
        assert_eq!(all.count(), 1);
    }
}
