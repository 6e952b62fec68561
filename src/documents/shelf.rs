//! Which document is at which path.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::document::Document;

/// The documents of one plugin, by path.
#[derive(Debug, Default)]
pub struct Documents {
    /// Each once, however many paths it has.
    documents: Vec<Document>,
    /// Index into `documents`; `None`: ours, but not available.
    paths: BTreeMap<String, Option<usize>>,
}

/// What is at a path of ours.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// This.
    Document(&'a Document),
    /// It needs the API's document, which is not available: 503, to be tried again.
    Unavailable,
}

impl Documents {
    /// What is at this path, if it is one of ours: an exact match on the path as it was sent.
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let place = self.paths.get(path)?;
        Some(match place.and_then(|index| self.documents.get(index)) {
            Some(document) => Found::Document(document),
            None => Found::Unavailable,
        })
    }

    /// Every path of ours, sorted: an operation published at one of them is never reached.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }

    /// What each path shows, by its SHA-256: to be compared with what another generation shows.
    pub fn hashes(&self) -> impl Iterator<Item = (String, [u8; 32])> {
        let shown = |(path, index): (&String, &Option<usize>)| {
            let document = self.documents.get((*index)?)?;
            Some((path.clone(), Sha256::digest(document.content("")).into()))
        };
        self.paths.iter().filter_map(shown)
    }

    /// Renders every document for these origins (`https://todo.example.com`), the canonical one
    /// first, instead of those of an earlier call.
    pub fn prepare(&mut self, origins: &[String]) {
        for document in &mut self.documents {
            document.prepare(origins);
        }
    }

    /// Puts a document at paths, in place of what was there.
    pub(super) fn add<const N: usize>(&mut self, paths: [&str; N], document: Document) {
        let index = self.documents.len();
        self.documents.push(document);
        self.paths
            .extend(paths.map(|path| (path.to_owned(), Some(index))));
    }

    /// Says that these paths are ours and have nothing to show yet.
    pub(super) fn withhold<const N: usize>(&mut self, paths: [&str; N]) {
        self.paths.extend(paths.map(|path| (path.to_owned(), None)));
    }
}
