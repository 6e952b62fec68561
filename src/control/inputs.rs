//! Everything that a configuration is made of, read once and remembered: what was read is what is
//! hashed, and what is watched.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config;

/// Bytes of one file that are read at the most.
const LARGEST: u64 = 256 << 20;

/// Reads from the file system and the environment, each thing once.
#[derive(Debug, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, Result<Arc<[u8]>, String>>,
    globs: BTreeMap<String, Vec<PathBuf>>,
    env: BTreeMap<String, Option<String>>,
}

impl Inputs {
    /// What has to be watched: the files that were asked for, also those that could not be read,
    /// and the folders in which a file may appear that a pattern would match.
    pub fn watched(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        (
            self.files.keys().cloned().collect(),
            self.folders().collect(),
        )
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.globs.keys().map(|pattern| {
            let fixed = pattern
                .find(['*', '?', '['])
                .map_or(pattern.as_str(), |at| &pattern[..at]);
            let folder = fixed.rfind('/').map_or(".", |at| &fixed[..=at]);
            PathBuf::from(folder)
        })
    }

    /// SHA-256 over some of the files.
    pub fn digest_of(&self, wanted: impl Fn(&Path) -> bool) -> [u8; 32] {
        let mut all = Sha256::new();
        for (path, content) in self.files.iter().filter(|(path, _)| wanted(path)) {
            all.update(Sha256::digest(path.as_os_str().as_encoded_bytes()));
            all.update(Sha256::digest(content.as_deref().unwrap_or_default()));
        }
        all.finalize().into()
    }

    /// SHA-256 over all that was read, or the reason why it could not be read. Secrets are in it
    /// by their hash only.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        let mut part = |kind: u8, name: &[u8], content: &[u8]| {
            all.update([kind]);
            all.update(Sha256::digest(name));
            all.update(Sha256::digest(content));
        };
        for (path, content) in &self.files {
            let name = path.as_os_str().as_encoded_bytes();
            match content {
                Ok(bytes) => part(1, name, bytes),
                Err(reason) => part(2, name, reason.as_bytes()),
            }
        }
        for (pattern, found) in &self.globs {
            let found: Vec<u8> = found
                .iter()
                .flat_map(|path| [path.as_os_str().as_encoded_bytes(), b"\0"].concat())
                .collect();
            part(3, pattern.as_bytes(), &found);
        }
        for (name, value) in &self.env {
            match value {
                Some(value) => part(4, name.as_bytes(), value.as_bytes()),
                None => part(5, name.as_bytes(), b""),
            }
        }
        all.finalize().into()
    }
}

impl config::Inputs for Inputs {
    fn file(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        self.files
            .entry(path.to_owned())
            .or_insert_with(|| read(path))
            .clone()
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let found = glob::glob(pattern).map_err(|error| error.msg.to_owned())?;
        let mut paths: Vec<PathBuf> = found.filter_map(Result::ok).collect();
        paths.sort();
        self.globs.insert(pattern.to_owned(), paths.clone());
        Ok(paths)
    }

    fn env(&mut self, name: &str) -> Option<String> {
        self.env
            .entry(name.to_owned())
            .or_insert_with(|| std::env::var(name).ok())
            .clone()
    }
}

/// A file's content. Refuses what is no file: a FIFO would never end.
fn read(path: &Path) -> Result<Arc<[u8]>, String> {
    let kind = fs::metadata(path).map_err(|error| plain(&error))?;
    if !kind.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(kind.len().min(LARGEST)).unwrap_or(0));
    let file = fs::File::open(path).map_err(|error| plain(&error))?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| plain(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    Ok(bytes.into())
}

/// Without Rust's `(os error 2)`.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.find(" (os error")
        .map_or(text.clone(), |at| text[..at].to_owned())
}
