//! What was read: a file in the form in which it was asked for first, and what it is known by.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::tokens::{Cut, Fingerprint, cut, expect_tokens};
use crate::unwritable::unread;

/// Bytes of one file that are read at the most.
const LARGEST: u64 = 256 << 20;
/// Bytes that a token has in a file, about.
const TOKEN: usize = 200;

/// A file, and what its bytes are known by: they may be many, and are hashed once.
#[derive(Debug)]
pub(super) struct FileRead {
    pub(super) content: Result<Content, String>,
    /// Of all bytes, or of the reason why there are none.
    pub(super) digest: [u8; 32],
}

/// What a file holds, in the form in which it was asked for first.
#[derive(Debug)]
pub(super) enum Content {
    Whole(Arc<[u8]>),
    /// In blocks, which then have been hashed instead. A large file stays where it was read to.
    Lines(Lines),
}

/// A file of lines: its bytes, and the blocks of them.
pub(in crate::control) type Lines = (Bytes, Arc<[Cut]>);

/// What a part of the configuration asked for, with what was found.
#[derive(Debug, Clone, Default)]
pub(in crate::control) struct Reads {
    /// Of each file whether it could be read, and its digest.
    pub(super) files: BTreeMap<PathBuf, (bool, [u8; 32])>,
    pub(super) env: BTreeMap<String, Option<String>>,
}

impl Reads {
    /// SHA-256 over all of it.
    pub(in crate::control) fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for (path, read) in &self.files {
            hash_file(path, *read, &mut all);
        }
        for (name, value) in &self.env {
            hash_variable(name, value.as_ref(), &mut all);
        }
        all.finalize().into()
    }

    /// What was read since, over what was read before.
    pub(in crate::control) fn renewed(&self, since: Self) -> Self {
        let mut all = self.clone();
        all.files.extend(since.files);
        all.env.extend(since.env);
        all
    }

    /// The digest of a file.
    pub(in crate::control) fn of(&self, path: &Path) -> Option<Fingerprint> {
        self.files.get(path).map(|(_, digest)| Fingerprint(*digest))
    }
}

/// The name of a file, whether it could be read, and what it holds.
fn hash_file(path: &Path, (is_there, digest): (bool, [u8; 32]), all: &mut Sha256) {
    all.update([if is_there { 1 } else { 2 }]);
    all.update(Sha256::digest(path.as_os_str().as_encoded_bytes()));
    all.update(digest);
}

/// A variable of the environment, set or not.
pub(super) fn hash_variable(name: &str, value: Option<&String>, all: &mut Sha256) {
    all.update([if value.is_some() { 4 } else { 5 }]);
    all.update(Sha256::digest(name));
    all.update(Sha256::digest(value.map_or("", String::as_str)));
}

/// A file's content. Refuses what is no file: a FIFO would never end.
pub(in crate::control) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut options = fs::OpenOptions::new();
    // What is opened is what is looked at: a FIFO in its place would be waited for.
    options
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path).map_err(|error| unread(path, &error))?;
    let kind = file.metadata().map_err(|error| plain(&error))?;
    if !kind.is_file() {
        return Err("it is not a file".to_owned());
    }
    let too_large = || format!("it is larger than {} MiB", LARGEST >> 20);
    if kind.len() > LARGEST {
        return Err(too_large());
    }
    // It may have another length by now.
    let length = usize::try_from(kind.len()).unwrap_or(0);
    let mut bytes = Vec::with_capacity(length);
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| plain(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large());
    }
    Ok(bytes)
}

impl FileRead {
    pub(super) fn hash_into(&self, path: &Path, all: &mut Sha256) {
        hash_file(path, self.known_by(), all);
    }

    /// Whether it could be read, and what it holds.
    pub(super) fn known_by(&self) -> (bool, [u8; 32]) {
        (self.content.is_ok(), self.digest)
    }

    /// What was read before.
    pub(super) fn held(bytes: &Arc<[u8]>) -> Self {
        Self {
            digest: Sha256::digest(bytes).into(),
            content: Ok(Content::Whole(Arc::clone(bytes))),
        }
    }

    /// What was read now. `seen`: what was there before, and its hash.
    pub(super) fn whole(
        content: Result<Vec<u8>, String>,
        seen: Option<&(Arc<[u8]>, [u8; 32])>,
    ) -> Self {
        if let (Ok(bytes), Some((before, digest))) = (&content, seen)
            && bytes[..] == before[..]
        {
            return Self {
                content: Ok(Content::Whole(Arc::clone(before))),
                digest: *digest,
            };
        }
        let digest = match &content {
            Ok(bytes) => Sha256::digest(bytes).into(),
            Err(reason) => Sha256::digest(reason).into(),
        };
        Self {
            content: content.map(|bytes| Content::Whole(bytes.into())),
            digest,
        }
    }

    pub(super) fn lines(content: Result<Vec<u8>, String>) -> Self {
        match content {
            Ok(bytes) => Self::of_lines(bytes.into()),
            Err(_) => Self::whole(content, None),
        }
    }

    pub(super) fn of_lines(bytes: Bytes) -> Self {
        expect_tokens(bytes.len() / TOKEN);
        let blocks = cut(&bytes);
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
            content: Ok(Content::Lines((bytes, blocks.into()))),
        }
    }
}

/// Without Rust's `(os error 2)`.
pub(super) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.find(" (os error")
        .map_or(text.clone(), |at| text[..at].to_owned())
}
