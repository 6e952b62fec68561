//! The highest number that a generation of a state directory ever had, and its hash, in a file beside the database.
//! Numbers do not go back where that is lost, was restored from before, or is behind a process that
//! was killed.

use std::fs::{self, OpenOptions};
use std::io::{Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::control::inputs::read_file;

/// Its name in the state directory.
const FILE: &str = "generation";

/// The highest number that is believed, of a file or a backup that somebody may have written by hand:
/// more of them can not have been, and readers of JSON know no larger one exactly.
pub(super) const MOST: u64 = 1 << 53;

/// The file, open or not.
#[derive(Debug)]
pub(in crate::control) struct Numbers {
    path: PathBuf,
    file: Option<fs::File>,
}

impl Numbers {
    /// Of this directory; nothing is touched yet.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(FILE),
            file: None,
        }
    }

    /// The number and the hash; 0 where none is known.
    pub(in crate::control) fn highest(&self) -> (u64, String) {
        let text = read_file(&self.path).unwrap_or_default();
        let text = String::from_utf8(text).unwrap_or_default();
        let known = text.trim().split_once(' ');
        let known = known.and_then(|(number, hash)| Some((number.parse().ok()?, hash.to_owned())));
        known.filter(|known| known.0 <= MOST).unwrap_or_default()
    }

    /// A generation has it. That it can not be written is no reason not to serve. It is there for
    /// whoever comes after a kill; on the disk it is when the system puts it there, and the database
    /// has it then as well.
    pub(in crate::control) fn note(&mut self, number: u64, hash: &str) {
        // Nobody but the database makes the directory.
        if number <= self.highest().0 || !self.path.parent().is_some_and(Path::exists) {
            return;
        }
        if self.write(number, hash).is_err() {
            self.file = None;
        }
    }

    fn write(&mut self, number: u64, hash: &str) -> std::io::Result<()> {
        // One that was moved away is not written to.
        if self.file.is_none() || !self.path.exists() {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed())
                .open(&self.path)?;
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.rewind()?;
        // All of it in one piece, and as long as what was there before.
        let line = format!("{number:020} {hash}\n");
        file.write_all(line.as_bytes())?;
        file.set_len(line.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_only_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut numbers = Numbers::new(&path);
        let hash = |number: u64| format!("{number:064x}");
        numbers.note(1, &hash(1));
        assert!(!path.exists() && numbers.highest().0 == 0);
        fs::create_dir(&path).unwrap();
        for (number, highest) in [(1, 1), (12, 12), (3, 12), (13, 13)] {
            numbers.note(number, &hash(number));
            assert_eq!(numbers.highest(), (highest, hash(highest)));
            assert_eq!(Numbers::new(&path).highest(), numbers.highest());
        }
        let mode = fs::metadata(path.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // Gone, it begins anew with what is told.
        fs::remove_file(path.join(FILE)).unwrap();
        numbers.note(5, &hash(5));
        assert_eq!(numbers.highest().0, 5);
        // What is no number is none.
        fs::write(path.join(FILE), "nonsense ".repeat(20)).unwrap();
        assert_eq!(numbers.highest().0, 0);
        // So is one that nothing could follow on.
        fs::write(path.join(FILE), format!("{} {}\n", u64::MAX, hash(1))).unwrap();
        assert_eq!(numbers.highest().0, 0);
        numbers.note(6, &hash(6));
        assert_eq!(Numbers::new(&path).highest(), (6, hash(6)));
    }
}
