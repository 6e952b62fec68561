//! The ways to a file: symbolic links, of the file and of the folders that it lies in, and what has
//! to be watched so that a change of any of them is seen.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Links that are followed on the way to one file, as many as Linux does.
const MOST_LINKS: usize = 40;

/// Where files really are, and how one comes there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ways {
    /// Every path on the way: as written, and after each link.
    pub(super) paths: BTreeSet<PathBuf>,
    /// The folders of files and links; where one is missing, the nearest that exists.
    pub(super) folders: BTreeSet<PathBuf>,
    /// What the folders that were asked for really are.
    pub(super) open: BTreeSet<PathBuf>,
}

impl Ways {
    /// The ways to these files and folders, whose paths are absolute. A folder is watched itself.
    pub(super) fn to<'a>(
        files: impl Iterator<Item = &'a PathBuf>,
        folders: impl Iterator<Item = &'a PathBuf>,
    ) -> Self {
        let mut ways = Self::default();
        let mut links = Links::default();
        for file in files {
            ways.follow(file, &mut links);
        }
        for folder in folders {
            // Something in it, whatever its name.
            let real = ways.follow(&folder.join("*"), &mut links);
            ways.open.extend(real.parent().map(Path::to_owned));
        }
        ways
    }

    /// What a file really is.
    fn follow(&mut self, file: &Path, links: &mut Links) -> PathBuf {
        let mut path = file.to_owned();
        for _ in 0..MOST_LINKS {
            self.paths.insert(path.clone());
            match links.first(&path) {
                Ok((link, next)) => {
                    self.folders.extend(link.parent().map(Path::to_owned));
                    path = next;
                }
                Err(plain) => {
                    path = plain;
                    break;
                }
            }
        }
        let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
        self.folders.extend(folder.map(Path::to_owned));
        path
    }
}

/// What was asked of the file system once.
#[derive(Default)]
struct Links(HashMap<PathBuf, Option<PathBuf>>);

impl Links {
    /// The first link of a path, and the path after it was followed. The error is the path without
    /// `..`: it has no link.
    fn first(&mut self, path: &Path) -> Result<(PathBuf, PathBuf), PathBuf> {
        let mut walked = PathBuf::new();
        let mut parts = path.components();
        while let Some(part) = parts.next() {
            if part == Component::ParentDir {
                // What was walked has no link in it.
                walked.pop();
                continue;
            }
            walked.push(part);
            let asked = self.0.entry(walked.clone());
            let target = asked.or_insert_with(|| fs::read_link(&walked).ok());
            if let Some(target) = target {
                let folder = walked.parent().unwrap_or(Path::new("/"));
                let next = folder.join(target.as_path()).join(parts.as_path());
                return Ok((walked, next));
            }
        }
        Err(walked)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder without a link in its own path.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = fs::canonicalize(folder.path()).unwrap();
        (folder, path)
    }

    fn ways(file: &Path) -> Ways {
        Ways::to([file.to_owned()].iter(), std::iter::empty())
    }

    #[test]
    fn the_links_of_kubernetes() {
        let (_held, root) = folder();
        let config = root.join("config");
        fs::create_dir_all(config.join("..2026")).unwrap();
        fs::write(config.join("..2026/a.toml"), "").unwrap();
        symlink("..2026", config.join("..data")).unwrap();
        symlink("..data/a.toml", config.join("a.toml")).unwrap();
        let ways = ways(&config.join("a.toml"));
        let written = ["a.toml", "..data/a.toml", "..2026/a.toml"].map(|path| config.join(path));
        assert_eq!(ways.paths, written.into());
        assert_eq!(ways.folders, [config.clone(), config.join("..2026")].into());
    }

    #[test]
    fn a_link_far_above_the_file() {
        let (_held, root) = folder();
        fs::create_dir_all(root.join("releases/one/config")).unwrap();
        symlink("releases/./one/../one", root.join("current")).unwrap();
        let file = root.join("current/config/a.toml");
        let ways = ways(&file);
        assert!(ways.paths.contains(&file));
        assert_eq!(
            ways.folders,
            [root.clone(), root.join("releases/one/config")].into(),
            "the link's, and where the file would be"
        );
    }

    #[test]
    fn what_is_missing_is_awaited_where_it_would_begin() {
        let (_held, root) = folder();
        symlink("nowhere", root.join("link")).unwrap();
        let ways = Ways::to([root.join("link/a/b")].iter(), [root.join("c/d")].iter());
        assert_eq!(ways.folders, [root].into());
    }

    #[test]
    fn a_folder_is_watched_itself_and_what_it_is_a_link_to() {
        let (_held, root) = folder();
        fs::create_dir(root.join("real")).unwrap();
        symlink("real", root.join("plugins")).unwrap();
        let ways = Ways::to(std::iter::empty(), [root.join("plugins")].iter());
        assert_eq!(ways.folders, [root.clone(), root.join("real")].into());
        assert_eq!(ways.open, [root.join("real")].into());
    }

    #[test]
    fn links_in_a_circle_end() {
        let (_held, root) = folder();
        symlink("two", root.join("one")).unwrap();
        symlink("one", root.join("two")).unwrap();
        assert_eq!(ways(&root.join("one")).folders, [root].into());
    }
}
