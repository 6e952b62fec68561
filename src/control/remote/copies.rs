//! The last good copies, in the state directory: for the next start.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
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
    // Readable for nobody else from its first byte on.
    let mut new = tempfile::Builder::new().prefix(".").tempfile_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}
