//! Files that are mounted by themselves: a container's `-v file:file`, a `subPath` of Kubernetes.
//!
//! Such a mount holds the file that had the name when it was made. What replaces it there (an
//! editor, `sed -i`, a new version of a secret) is not seen inside, by no watch and no poll: the file
//! that is mounted does not change. Only who writes into it in place is seen.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::problems::{Place, Problems};

/// Where the kernel lists the mounts of this process (`proc_pid_mountinfo(5)`).
const MOUNTS: &str = "/proc/self/mountinfo";

const HELP: &str = "mount the folder that it is in: then whatever replaces it is seen";

/// Warns of each of the files that is mounted by itself.
pub(super) fn check(files: &[PathBuf], problems: &mut Problems) {
    // Where there is no such list, there is no such mount either.
    let points = points(&fs::read(MOUNTS).unwrap_or_default());
    for file in files {
        let (Ok(real), Ok(data)) = (fs::canonicalize(file), fs::metadata(file)) else {
            continue;
        };
        if !data.is_file() {
            continue;
        }
        let at = Place::named(file.display().to_string());
        if let Some(message) = fault(&real, data.nlink(), &points) {
            problems.warn(&at, message).help(HELP);
        }
    }
}

/// What is wrong with a file, by its real path and how many names it has.
fn fault(real: &Path, names: u64, points: &BTreeSet<PathBuf>) -> Option<&'static str> {
    if !points.contains(real) {
        return None;
    }
    Some(if names == 0 {
        "this file is mounted by itself, and was replaced where it comes from: what is read is what it was before"
    } else {
        "this file is mounted by itself: if it is replaced where it comes from, nobody can see that here"
    })
}

/// The mount points of a list of mounts.
fn points(list: &[u8]) -> BTreeSet<PathBuf> {
    let lines = list.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(unescaped(field)))
        .collect()
}

/// A field with its octal escapes (space, tab, newline, backslash) as what they stand for.
fn unescaped(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let escaped = match rest {
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                tail @ ..,
            ] => Some(((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), tail)),
            _ => None,
        };
        let (byte, tail) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = tail;
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    const LIST: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
63 43 254:0 /srv/plugway.toml /etc/plugway/plugway.toml rw,relatime - ext4 /dev/vda rw
64 43 254:0 /a\\040b /etc/with\\040a\\011b\\134134\\012 ro - ext4 /dev/vda rw
broken
";

    #[test]
    fn mount_points_of_the_kernels_list() {
        let found = points(LIST.as_bytes());
        let expected = [
            "/",
            "/proc",
            "/etc/plugway/plugway.toml",
            "/etc/with a\tb\\134\n",
        ];
        assert_eq!(found, expected.map(PathBuf::from).into());
        assert_eq!(points(b""), BTreeSet::new());
    }

    #[test]
    fn what_is_no_escape_stays() {
        for plain in [
            "a\\", "a\\0", "a\\04", "a\\08a", "a\\777", "\\x41", "\u{e4}",
        ] {
            assert_eq!(unescaped(plain.as_bytes()), OsStr::new(plain));
        }
        assert_eq!(unescaped(b"\\303\\244"), OsStr::new("\u{e4}"));
        assert_eq!(unescaped(b"\\377"), OsStr::from_bytes(b"\xff"));
    }

    #[test]
    fn only_a_file_that_is_a_mount_point_is_warned_of() {
        let points = points(LIST.as_bytes());
        let of = |path, names| fault(Path::new(path), names, &points);
        let mounted = "/etc/plugway/plugway.toml";
        assert!(of(mounted, 1).is_some_and(|fault| fault.contains("if it is replaced")));
        assert!(of(mounted, 0).is_some_and(|fault| fault.contains("was replaced")));
        assert_eq!(of("/etc/plugway/other.toml", 1), None);
    }

    #[test]
    fn files_that_are_no_mounts_are_not_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        fs::write(&file, "").unwrap();
        let mut problems = Problems::new();
        let missing = folder.path().join("missing");
        check(&[file, missing, PathBuf::from("/proc")], &mut problems);
        assert!(problems.is_empty(), "{problems}");
    }
}
