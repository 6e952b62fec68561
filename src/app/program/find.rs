//! Whether there is such a program, before anything else is begun.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Looks for a program as `execvp(3)` does. The error says what is wrong with it.
pub(in crate::app) fn find(name: &OsStr, path: Option<&OsStr>) -> anyhow::Result<()> {
    if name.as_encoded_bytes().contains(&b'/') {
        return judge(Path::new(name));
    }
    let folders: Vec<PathBuf> = match path {
        Some(path) => std::env::split_paths(path).collect(),
        None => ["/bin", "/usr/bin"].map(PathBuf::from).to_vec(),
    };
    let mut fault = None;
    for folder in folders {
        match judge(&folder.join(name)) {
            Ok(()) => return Ok(()),
            Err(error) if folder.join(name).exists() => fault = Some(error),
            Err(_) => {}
        }
    }
    Err(fault.unwrap_or_else(|| {
        anyhow::anyhow!(
            "{} can not be started: $PATH has no such program",
            name.display()
        )
    }))
}

fn judge(file: &Path) -> anyhow::Result<()> {
    let shown = file.display();
    let facts = std::fs::metadata(file)
        .map_err(|error| anyhow::anyhow!("{shown} can not be started: {error}"))?;
    anyhow::ensure!(facts.is_file(), "{shown} can not be started: it is no file");
    anyhow::ensure!(
        facts.permissions().mode() & 0o111 != 0,
        "{shown} can not be started: it is not executable"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_or_told_why_not() {
        let folder = tempfile::tempdir().unwrap();
        let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
        for (file, mode) in [(&good, 0o755), (&bad, 0o644)] {
            std::fs::write(file, "").unwrap();
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = std::env::join_paths([Path::new("/nowhere"), folder.path()]).unwrap();
        let told = |name: &OsStr| find(name, Some(&path)).map_err(|error| error.to_string());
        assert_eq!(told("good".as_ref()), Ok(()));
        assert_eq!(told(good.as_os_str()), Ok(()));
        for (name, part) in [
            ("bad".as_ref(), "not executable"),
            ("none".as_ref(), "$PATH has no such program"),
            (folder.path().as_os_str(), "no file"),
            ("./none".as_ref(), "No such file"),
        ] {
            let told = told(name).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
    }
}
