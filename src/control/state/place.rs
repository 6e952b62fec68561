//! Whether what is written in a directory is still there after the next deploy.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::db::FILE;
use crate::unwritable::advice;

/// File systems that live as long as the machine or the container does.
const FLEETING: [&str; 4] = ["tmpfs", "ramfs", "overlay", "aufs"];

/// A warning if the directory will be gone with the next deploy, and what to do instead.
pub fn fleeting(directory: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let on_fly = std::env::var_os("FLY_MACHINE_ID").is_some_and(|id| !id.is_empty());
    warning(&real(directory), &mounts, on_fly)
}

/// What others than the gateway's user may do in a state directory, and should not.
pub(in crate::control) fn open_to_others(directory: &Path) -> Vec<String> {
    let mode = |path: &Path| fs::metadata(path).ok().map(|kept| kept.mode() & 0o777);
    let mut found = Vec::new();
    if let Some(mode) = mode(directory).filter(|mode| mode & 0o022 != 0) {
        let shown = directory.display();
        found.push(format!(
            "others can write into the state directory {shown} (mode {mode:o}), and so put another database there: chmod 700 {shown}"
        ));
    }
    let database = directory.join(FILE);
    if let Some(mode) = mode(&database).filter(|mode| mode & 0o077 != 0) {
        let shown = database.display();
        found.push(format!(
            "others can open the state database {shown} (mode {mode:o}): chmod 600 {shown}"
        ));
    }
    found
}

/// What is in the way where a directory is, or should be made: a file, or a link that leads nowhere.
pub(in crate::control) fn no_directory(directory: &Path) -> Option<PathBuf> {
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    let path = directory.ancestors().find(is_there)?;
    (!path.is_dir()).then(|| path.to_owned())
}

/// Why a gateway with such a state directory does not start: a file is in its place, or above it. A link
/// that leads nowhere may be to a volume that comes late.
pub fn in_the_way(directory: &Path) -> Option<String> {
    no_directory(directory).filter(|path| path.exists())?;
    let none = io::Error::from(io::ErrorKind::NotADirectory);
    advice(&directory.join(FILE), &none)
}

/// The directory, or the nearest above it that exists.
fn real(directory: &Path) -> PathBuf {
    let whole = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let known = whole
        .ancestors()
        .find_map(|above| fs::canonicalize(above).ok());
    known.unwrap_or(whole)
}

/// See [`fleeting`]; `mounts` is as in `/proc/self/mountinfo` (proc(5)).
fn warning(directory: &Path, mounts: &str, on_fly: bool) -> Option<String> {
    let (point, kind) = mounts
        .lines()
        .filter_map(|line| {
            let (mount, rest) = line.split_once(" - ")?;
            let point = PathBuf::from(unescape(mount.split(' ').nth(4)?));
            let kind = rest.split(' ').next()?;
            directory.starts_with(&point).then_some((point, kind))
        })
        .max_by_key(|(point, _)| point.as_os_str().len())?;
    let root = point == Path::new("/");
    let why = if FLEETING.contains(&kind) {
        format!("it is on {kind}")
    } else if on_fly && root {
        "no volume of this Fly Machine is mounted there".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "the state directory {} does not outlive the next deploy: {why}. Mount a volume there, or \
         declare the token in the configuration: [tokens.NAME] with `secrets = [{{ sha256 = \"…\" }}]` \
         (`plugway token generate` prints a secret and its hash)",
        directory.display()
    ))
}

/// Spaces and the like are written as `\040`.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            out.push(char::from(code));
            out.push_str(&part[3..]);
        } else {
            out.push('\\');
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 0:21 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
23 22 8:1 / /data rw,relatime shared:2 - ext4 /dev/vdb rw
24 22 0:22 / /run rw,nosuid - tmpfs tmpfs rw
25 23 0:23 / /data/my\\040cache rw - tmpfs tmpfs rw
";

    #[track_caller]
    fn check(directory: &str, on_fly: bool, expected: Option<&str>) {
        let found = warning(Path::new(directory), MOUNTS, on_fly);
        match expected {
            None => assert_eq!(found, None),
            Some(part) => assert!(
                found.as_ref().is_some_and(|text| text.contains(part)),
                "{found:?}"
            ),
        }
    }

    #[test]
    fn what_a_deploy_takes_away() {
        check("/srv/state", false, Some("it is on overlay"));
        check("/data/state", false, None);
        check("/data/state", true, None);
        check("/run/plugway", false, Some("it is on tmpfs"));
        check("/data/my cache/state", false, Some("it is on tmpfs"));
        check("/database", false, Some("it is on overlay"));
        let disk = MOUNTS.replace("overlay overlay", "ext4 /dev/vda");
        let on_fly = warning(Path::new("/srv/state"), &disk, true);
        assert!(on_fly.is_some_and(|text| text.contains("no volume")));
        assert_eq!(warning(Path::new("/srv/state"), &disk, false), None);
    }
}
