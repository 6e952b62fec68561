//! What is said to whoever starts plugway where it may not write its state, or not read what it is
//! told to: which folder or file, who it runs as, and what mends it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why a file can not be made or opened, beside what the system says; `None` where that is all.
#[must_use]
pub(crate) fn advice(file: &Path, error: &io::Error) -> Option<String> {
    let uid = rustix::process::geteuid().as_raw();
    advice_for(uid, file, error.kind())
}

fn advice_for(uid: u32, file: &Path, kind: io::ErrorKind) -> Option<String> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().unwrap_or(&file);
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    let there = folder.ancestors().find(is_there).unwrap_or(folder);
    let (shown, above) = (folder.display(), there.display());
    let what = match kind {
        io::ErrorKind::PermissionDenied if is_there(&file.as_path()) => {
            let file = file.display();
            format!("{file} can not be read and written by uid {uid}: `chown {uid} {file}`")
        }
        io::ErrorKind::PermissionDenied if there == folder => {
            format!("the folder {shown} can not be written by uid {uid}: `chown {uid} {shown}`")
        }
        io::ErrorKind::PermissionDenied => format!(
            "the folder {shown} can not be made by uid {uid}, who may not write to {above}: `install -d -o {uid} -m 700 {shown}`"
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            format!(
                "the folder {shown} is on a file system that is read-only: mount a volume there"
            )
        }
        io::ErrorKind::NotADirectory => {
            format!(
                "the folder {shown} can not be made, since {above} is no folder: move that away"
            )
        }
        // A link that leads nowhere is in the way, and nobody who looks through it sees it.
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound if there.metadata().is_err() => {
            format!(
                "the folder {shown} can not be made, since {above} is a link into nothing: remove it"
            )
        }
        _ => return None,
    };
    Some(format!("{what}, or choose another state.directory"))
}

/// Why a file can not be read, and what mends that if it is a matter of rights. It does not repeat the path: that may come from a
/// reference, and whoever names the file knows whether it can be shown.
pub(crate) fn unread(file: &Path, error: &io::Error) -> String {
    let text = error.to_string();
    let (said, _) = text.split_once(" (os error").unwrap_or((&text, ""));
    let advice = reading(file, error).map_or(String::new(), |mend| format!(" ({mend})"));
    said.to_owned() + &advice
}

fn reading(file: &Path, error: &io::Error) -> Option<String> {
    let uid = rustix::process::geteuid().as_raw();
    (error.kind() == io::ErrorKind::PermissionDenied).then(|| reading_for(uid, file))
}

fn reading_for(uid: u32, file: &Path) -> String {
    // Links are followed: the folder of what they lead to may be the one that is closed.
    match file.metadata() {
        Ok(found) if found.uid() == uid => {
            format!("it is that of uid {uid}, who may not read it: `chmod u+r` it")
        }
        Ok(_) => format!("uid {uid} may not read it: `chown {uid}` it, or let its group read it"),
        Err(_) => format!(
            "uid {uid} may not enter its folder, one above, or that of what it is a link to: `chmod +x` that one"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn it_names_the_place_who_it_is_and_what_mends_it() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        fs::write(base.join("file"), "").unwrap();
        fs::write(base.join("db"), "").unwrap();
        let told = |file: &str, kind| advice_for(7, &base.join(file), kind).unwrap_or_default();
        let at = |path: &str| base.join(path).display().to_string();
        let (own, new) = (base.display().to_string(), at("a/b"));
        let denied = io::ErrorKind::PermissionDenied;
        let said = told("new", denied);
        assert!(said.contains(&format!("`chown 7 {own}`")), "{said}");
        assert!(
            said.contains("uid 7") && said.ends_with("another state.directory"),
            "{said}"
        );
        let said = told("a/b/new", denied);
        assert!(
            said.contains(&format!("install -d -o 7 -m 700 {new}`")),
            "{said}"
        );
        assert!(said.contains(&format!("not write to {own}:")), "{said}");
        let said = told("db", denied);
        assert!(said.contains(&format!("`chown 7 {}`", at("db"))), "{said}");
        let said = told("file/b/new", io::ErrorKind::NotADirectory);
        assert!(
            said.contains(&format!("{} is no folder", at("file"))),
            "{said}"
        );
        std::os::unix::fs::symlink(base.join("nowhere"), base.join("link")).unwrap();
        for kind in [io::ErrorKind::AlreadyExists, io::ErrorKind::NotFound] {
            let said = told("link/new", kind);
            assert!(
                said.contains(&format!("{} is a link into nothing", at("link"))),
                "{said}"
            );
            assert_eq!(told("new", kind), "");
        }
        let said = told("new", io::ErrorKind::ReadOnlyFilesystem);
        assert!(said.contains("mount a volume"), "{said}");
        assert_eq!(told("new", io::ErrorKind::AddrInUse), "");
    }

    #[test]
    fn what_can_not_be_read_is_told_with_who_it_is_and_not_with_its_path() {
        let base = tempfile::tempdir().unwrap();
        let key = base.path().join("key");
        fs::write(&key, "").unwrap();
        let owner = key.metadata().unwrap().uid();
        let other = owner + 1;
        let said = reading_for(other, &key);
        let start = format!("uid {other} may not read it: `chown {other}`");
        assert!(said.starts_with(&start), "{said}");
        assert!(reading_for(owner, &key).ends_with("`chmod u+r` it"));
        // As it looks when a folder on the way is closed.
        let hidden = reading_for(7, &base.path().join("closed/key"));
        assert!(
            hidden.starts_with("uid 7 may not enter its folder"),
            "{hidden}"
        );
        assert!(!(said + &hidden).contains("key"));
        let denied = io::Error::from_raw_os_error(13);
        let said = unread(&key, &denied);
        assert!(
            said.starts_with("Permission denied (it is that of uid "),
            "{said}"
        );
        let missing = unread(&key, &io::Error::from_raw_os_error(2));
        assert_eq!(missing, "No such file or directory");
    }
}
