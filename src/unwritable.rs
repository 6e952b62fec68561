//! What is said to whoever starts plugway where it may not write its state: which folder or file,
//! who it runs as, and what mends it.

use std::io;
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
        _ => return None,
    };
    Some(format!("{what}, or choose another state.directory"))
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
        let said = told("new", io::ErrorKind::ReadOnlyFilesystem);
        assert!(said.contains("mount a volume"), "{said}");
        assert_eq!(told("new", io::ErrorKind::AddrInUse), "");
    }
}
