//! Everything that a configuration is made of, read once and remembered: what was read is what is
//! hashed, and what is watched.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config;
use crate::tokens::{Cut, cut};

/// Bytes of one file that are read at the most.
const LARGEST: u64 = 256 << 20;

/// Reads from the file system and the environment, each thing once.
#[derive(Debug, Default)]
pub struct Inputs {
    files: BTreeMap<PathBuf, FileRead>,
    globs: BTreeMap<String, Vec<PathBuf>>,
    env: BTreeMap<String, Option<String>>,
}

/// A file, and what its bytes are known by: they may be many, and are hashed once.
#[derive(Debug)]
struct FileRead {
    content: Result<Arc<[u8]>, String>,
    /// Of all bytes, or of the reason why there are none.
    digest: [u8; 32],
    /// Of a file of lines: its blocks, which then have been hashed instead.
    blocks: Option<Arc<[Cut]>>,
}

/// A file of lines: its bytes, and the blocks of them.
pub(super) type Lines = (Arc<[u8]>, Arc<[Cut]>);

impl Inputs {
    /// A file of lines, in blocks. The error is as that of a [file](config::Inputs::file).
    pub(super) fn lines(&mut self, path: &Path) -> Result<Lines, String> {
        let read = self
            .files
            .entry(path.to_owned())
            .or_insert_with(|| FileRead::lines(read(path)));
        let bytes = read.content.clone()?;
        let blocks = match &read.blocks {
            Some(blocks) => Arc::clone(blocks),
            // It is something else as well, and hashed as that.
            None => cut(&bytes).into(),
        };
        Ok((bytes, blocks))
    }

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
        for (path, read) in self.files.iter().filter(|(path, _)| wanted(path)) {
            all.update(Sha256::digest(path.as_os_str().as_encoded_bytes()));
            all.update(read.digest);
        }
        all.finalize().into()
    }

    /// SHA-256 over all that was read, or the reason why it could not be read. Secrets are in it
    /// by their hash only.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for (path, read) in &self.files {
            all.update([if read.content.is_ok() { 1 } else { 2 }]);
            all.update(Sha256::digest(path.as_os_str().as_encoded_bytes()));
            all.update(read.digest);
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
            .or_insert_with(|| FileRead::whole(read(path)))
            .content
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
    let mut file = fs::File::open(path).map_err(|error| plain(&error))?;
    let length = usize::try_from(kind.len().min(LARGEST)).unwrap_or(0);
    // In its last place at once: a large file is not to be copied.
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
    let filled = match Arc::get_mut(&mut bytes) {
        Some(place) => fill(&mut file, place).map_err(|error| plain(&error))?,
        None => 0,
    };
    // It may have another length by now.
    let mut more = Vec::new();
    file.take(LARGEST + 1 - filled as u64)
        .read_to_end(&mut more)
        .map_err(|error| plain(&error))?;
    if (filled + more.len()) as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    if filled < bytes.len() || !more.is_empty() {
        bytes = [&bytes[..filled], &more].concat().into();
    }
    Ok(bytes)
}

/// Reads until the place is full or the file is at its end; how much that was.
fn fill(file: &mut fs::File, place: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < place.len() {
        match file.read(&mut place[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl FileRead {
    fn whole(content: Result<Arc<[u8]>, String>) -> Self {
        let digest = match &content {
            Ok(bytes) => Sha256::digest(bytes).into(),
            Err(reason) => Sha256::digest(reason).into(),
        };
        Self {
            content,
            digest,
            blocks: None,
        }
    }

    fn lines(content: Result<Arc<[u8]>, String>) -> Self {
        let Ok(bytes) = &content else {
            return Self::whole(content);
        };
        let blocks = cut(bytes);
        let mut all = Sha256::new();
        // The bytes that are in no block are a mark of fixed length.
        all.update([u8::from(
            blocks.iter().map(|block| block.range.len()).sum::<usize>() < bytes.len(),
        )]);
        for block in &blocks {
            all.update(block.digest.0);
        }
        Self {
            digest: all.finalize().into(),
            blocks: Some(blocks.into()),
            content,
        }
    }
}

/// Without Rust's `(os error 2)`.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.find(" (os error")
        .map_or(text.clone(), |at| text[..at].to_owned())
}
