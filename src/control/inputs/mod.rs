//! Everything that a configuration is made of, read once and remembered: what was read is what is
//! hashed, and what is watched.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::watch::Foresight;
use crate::config;
use crate::tokens::{Fingerprint, cut, declares};
use read::{Content, FileRead, hash_variable, plain};
pub(super) use read::{Lines, Reads, read_file};

/// Reads from the file system and the environment, each thing once.
#[derive(Debug, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, FileRead>,
    globs: BTreeMap<String, Vec<PathBuf>>,
    env: BTreeMap<String, Option<String>>,
    /// What stands in for files: those of another generation.
    instead: Arc<Instead>,
    /// What the generation that serves was made of.
    seen: Arc<Seen>,
    /// Who is to know of what is read before it is.
    foresight: Foresight,
    /// The included file that is being read, or the main one.
    part: Option<PathBuf>,
    /// What each of them asked for.
    parts: BTreeMap<Option<PathBuf>, Asked>,
    /// Files whose bytes nobody keeps.
    private: BTreeSet<PathBuf>,
    /// Names of what is not on this machine.
    supplied: BTreeSet<PathBuf>,
}

/// What a part of the configuration asked for.
#[derive(Debug, Default)]
struct Asked {
    files: BTreeSet<PathBuf>,
    env: BTreeSet<String>,
}

/// Files as they were read for the generation that serves, with their hashes. One that still holds
/// the same shares its bytes, so that it is neither hashed nor compared again.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<PathBuf, (Arc<[u8]>, [u8; 32])>);

/// Files and patterns that are not looked at on disk.
#[derive(Debug, Default)]
pub(super) struct Instead {
    pub(super) files: BTreeMap<PathBuf, Arc<[u8]>>,
    pub(super) globs: BTreeMap<String, Vec<PathBuf>>,
    /// What is in neither is as if it was not there, but for what is private.
    pub(super) is_all: bool,
}

/// What a generation keeps of a file.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    pub(super) path: &'a Path,
    /// Its bytes, unless nobody keeps them.
    pub(super) bytes: Option<&'a Arc<[u8]>>,
    pub(super) digest: [u8; 32],
    /// Whether the main file asked for it.
    pub(super) by_main: bool,
    /// The included files that asked for it.
    pub(super) parts: Vec<&'a Path>,
}

/// What lies on disk, as far as generations keep it.
#[derive(Debug, Default, Clone)]
pub(super) struct OnDisk {
    /// The digest of each file, also of one that can not be read.
    pub(super) files: BTreeMap<PathBuf, [u8; 32]>,
    /// What each pattern matches.
    pub(super) globs: BTreeMap<String, Vec<PathBuf>>,
}

impl OnDisk {
    /// The files that hold something else now.
    pub(super) fn changes(&self) -> impl Iterator<Item = &PathBuf> {
        let other = |(path, digest): &(&PathBuf, &[u8; 32])| {
            FileRead::whole(read_file(path), None).digest != **digest
        };
        self.files.iter().filter(other).map(|(path, _)| path)
    }

    /// Whether it is something else now.
    pub(super) fn changed(&self) -> bool {
        let others = |(pattern, paths): (&String, &Vec<PathBuf>)| {
            matching(pattern).is_ok_and(|now| now != *paths)
        };
        self.globs.iter().any(others) || self.changes().next().is_some()
    }
}

impl Inputs {
    /// With files of another generation in place of those on disk; private ones are never among
    /// them.
    pub(super) fn with(instead: Arc<Instead>) -> Self {
        Self {
            instead,
            ..Self::default()
        }
    }

    /// Where one of these was read before, its bytes are shared if they are still the same.
    pub(super) fn after(self, seen: &Arc<Seen>) -> Self {
        let seen = Arc::clone(seen);
        Self { seen, ..self }
    }

    /// Whatever is read is told of before.
    pub(super) fn foreseen_by(self, foresight: &Foresight) -> Self {
        let foresight = foresight.clone();
        Self { foresight, ..self }
    }

    /// What was read, for those that read again; nothing that is private.
    pub(super) fn seen(&self) -> Seen {
        let whole = self.files.iter().filter_map(|(path, read)| {
            let Ok(Content::Whole(bytes)) = &read.content else {
                return None;
            };
            let public = !self.private.contains(path);
            public.then(|| (path.clone(), (Arc::clone(bytes), read.digest)))
        });
        Seen(whole.collect())
    }

    /// Every file that could be read.
    pub(super) fn kept(&self) -> impl Iterator<Item = Kept<'_>> {
        self.files.iter().filter_map(|(path, read)| {
            let bytes = match read.content.as_ref().ok()? {
                Content::Whole(bytes) => Some(bytes),
                Content::Lines(_) => None,
            };
            let asked = |part: &Asked| part.files.contains(path);
            let parts = self.parts.iter().filter(|(_, part)| asked(part));
            Some(Kept {
                path,
                by_main: self.parts.get(&None).is_some_and(asked),
                bytes: bytes.filter(|_| !self.private.contains(path)),
                digest: read.digest,
                parts: parts.filter_map(|(part, _)| part.as_deref()).collect(),
            })
        })
    }

    /// What each pattern matched.
    pub(super) fn globs(&self) -> &BTreeMap<String, Vec<PathBuf>> {
        &self.globs
    }

    /// SHA-256 over what a part of the configuration asked for: an included file, or the main one.
    pub(super) fn digest_of_part(&self, part: Option<&Path>) -> [u8; 32] {
        self.reads_of_part(part).digest()
    }

    /// What it asked for, with what was found.
    pub(super) fn reads_of_part(&self, part: Option<&Path>) -> Reads {
        let asked = self.parts.get(&part.map(Path::to_owned));
        let files = asked.iter().flat_map(|asked| &asked.files);
        let env = asked.iter().flat_map(|asked| &asked.env);
        let read = |path: &PathBuf| Some((path.clone(), self.files.get(path)?.known_by()));
        Reads {
            files: files.filter_map(read).collect(),
            env: env
                .map(|name| (name.clone(), self.env.get(name).cloned().flatten()))
                .collect(),
        }
    }

    /// SHA-256 over the private files that an included file asked for.
    pub(super) fn secrets_of_part(&self, part: &Path) -> [u8; 32] {
        let mut all = Sha256::new();
        let asked = self.parts.get(&Some(part.to_owned()));
        let asked = asked.iter().flat_map(|asked| &asked.files);
        for path in asked.filter(|path| self.private.contains(*path)) {
            if let Some(read) = self.files.get(path) {
                read.hash_into(path, &mut all);
            }
        }
        all.finalize().into()
    }

    /// The bytes of a file that was read, if they have this hash.
    pub(super) fn whole(&self, path: &Path, digest: &[u8; 32]) -> Option<Arc<[u8]>> {
        let read = self.files.get(path).filter(|read| read.digest == *digest)?;
        match &read.content {
            Ok(Content::Whole(bytes)) => Some(Arc::clone(bytes)),
            _ => None,
        }
    }

    /// The parts that asked for a file: `None` is the main one.
    pub(super) fn asked_by(&self, path: &Path) -> impl Iterator<Item = Option<&Path>> {
        let asked = self.parts.iter();
        let asked = asked.filter(move |(_, asked)| asked.files.contains(path));
        asked.map(|(part, _)| part.as_deref())
    }

    fn asked(&mut self) -> &mut Asked {
        self.parts.entry(self.part.clone()).or_default()
    }

    /// A file of lines, in blocks. The error is as that of a [file](config::Inputs::file).
    pub(super) fn lines(&mut self, path: &Path) -> Result<Lines, String> {
        self.private.insert(path.to_owned());
        self.asked().files.insert(path.to_owned());
        let foresight = &self.foresight;
        let read = self.files.entry(path.to_owned()).or_insert_with(|| {
            foresight.file(path);
            FileRead::lines(read_file(path))
        });
        match &read.content {
            Ok(Content::Lines(lines)) => Ok(lines.clone()),
            // It is something else as well, and hashed as that.
            Ok(Content::Whole(bytes)) => {
                Ok((Bytes::from_owner(Arc::clone(bytes)), cut(bytes).into()))
            }
            Err(reason) => Err(reason.clone()),
        }
    }

    /// Whether a file that was read declares a token.
    pub(super) fn declares_tokens(&self, path: &Path) -> bool {
        self.read_of(path).is_some_and(declares)
    }

    /// The bytes of a file that was read.
    pub(super) fn read_of(&self, path: &Path) -> Option<&[u8]> {
        match &self.files.get(path)?.content {
            Ok(Content::Lines((bytes, _))) => Some(bytes),
            Ok(Content::Whole(bytes)) => Some(bytes),
            Err(_) => None,
        }
    }

    /// Files whose bytes nobody keeps.
    pub(super) fn privates(&self) -> impl Iterator<Item = &PathBuf> {
        self.private.iter()
    }

    /// Puts a file of lines in place of one on disk.
    pub(super) fn supply(&mut self, path: &Path, bytes: &Arc<[u8]>) {
        let read = FileRead::of_lines(Bytes::from_owner(Arc::clone(bytes)));
        self.files.insert(path.to_owned(), read);
        self.supplied.insert(path.to_owned());
    }

    /// What has to be watched: the files that were asked for, also those that could not be read,
    /// and the folders in which a file may appear that a pattern would match.
    pub fn watched(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        (
            self.files
                .keys()
                .filter(|path| !self.supplied.contains(*path))
                .cloned()
                .collect(),
            self.folders().collect(),
        )
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.globs.keys().map(|pattern| folder_of(pattern))
    }

    /// SHA-256 over all that was read, or the reason why it could not be read. Secrets are in it
    /// by their hash only.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for (path, read) in &self.files {
            read.hash_into(path, &mut all);
        }
        let mut part = |kind: u8, name: &[u8], content: &[u8]| {
            all.update([kind]);
            all.update(Sha256::digest(name));
            all.update(Sha256::digest(content));
        };
        for (pattern, found) in &self.globs {
            let found: Vec<u8> = found
                .iter()
                .flat_map(|path| [path.as_os_str().as_encoded_bytes(), b"\0"].concat())
                .collect();
            part(3, pattern.as_bytes(), &found);
        }
        for (name, value) in &self.env {
            hash_variable(name, value.as_ref(), &mut all);
        }
        all.finalize().into()
    }

    /// What is on disk, as far as a rollback puts something else in its place.
    pub(super) fn on_disk(&self) -> OnDisk {
        let public = self
            .files
            .iter()
            .filter(|(path, _)| !self.private.contains(*path));
        OnDisk {
            files: public
                .map(|(path, read)| (path.clone(), read.digest))
                .collect(),
            globs: self.globs.clone(),
        }
    }

    /// The included files that were asked for.
    pub(super) fn included(&self) -> Vec<PathBuf> {
        self.parts.keys().flatten().cloned().collect()
    }

    /// The hash of a file that was read.
    pub(super) fn hash_of(&self, path: &Path) -> Option<Fingerprint> {
        self.files.get(path).map(|read| Fingerprint(read.digest))
    }
}

impl config::Inputs for Inputs {
    fn file(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        self.asked().files.insert(path.to_owned());
        let instead = self.instead.files.get(path);
        // Secrets are as they are now, whatever generation it is.
        let instead = instead.filter(|_| !self.private.contains(path));
        let public = !self.private.contains(path);
        let content = || match instead {
            Some(bytes) => FileRead::held(bytes),
            None if self.instead.is_all && public && path.exists() => {
                FileRead::whole(Err("it was not there before".to_owned()), None)
            }
            None => {
                self.foresight.file(path);
                FileRead::whole(read_file(path), self.seen.0.get(path))
            }
        };
        let read = self.files.entry(path.to_owned());
        match &read.or_insert_with(content).content {
            Ok(Content::Whole(bytes)) => Ok(Arc::clone(bytes)),
            Ok(Content::Lines((bytes, _))) => Ok(Arc::from(&bytes[..])),
            Err(reason) => Err(reason.clone()),
        }
    }

    fn private(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        self.private.insert(path.to_owned());
        self.file(path)
    }

    fn begin(&mut self, part: Option<&Path>) {
        self.part = part.map(Path::to_owned);
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let paths = if let Some(paths) = self.instead.globs.get(pattern) {
            paths.clone()
        } else {
            self.foresight.folder(&folder_of(pattern));
            matching(pattern)?
        };
        self.globs.insert(pattern.to_owned(), paths.clone());
        Ok(paths)
    }

    fn env(&mut self, name: &str) -> Option<String> {
        self.asked().env.insert(name.to_owned());
        self.env
            .entry(name.to_owned())
            .or_insert_with(|| std::env::var(name).ok())
            .clone()
    }
}

/// The folder in which the files are that a pattern matches.
pub(super) fn folder_of(pattern: &str) -> PathBuf {
    let fixed = pattern
        .find(['*', '?', '['])
        .map_or(pattern, |at| &pattern[..at]);
    let folder = fixed.rfind('/').map_or(".", |at| &fixed[..=at]);
    PathBuf::from(folder)
}

/// A star is no dot at the beginning of a name: what editors put beside a file is not meant.
const AS_IN_A_SHELL: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: true,
};

/// The files that match a pattern, sorted. A folder that can not be read is an error: what is in it
/// is not gone.
pub(super) fn matching(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let found = glob::glob_with(pattern, AS_IN_A_SHELL)
        .map_err(|error| format!("is not a pattern: {}", error.msg))?;
    let found: Result<Vec<PathBuf>, _> = found.collect();
    let mut paths = found.map_err(|error| {
        let folder = error.path().display();
        format!("can not be looked up in {folder}: {}", plain(error.error()))
    })?;
    paths.sort();
    Ok(paths)
}
