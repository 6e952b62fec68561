//! What is known of one plugin's document: what it is made of, and its last good copy.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::openapi::Value;
use http::HeaderValue;
use jiff::Timestamp;

use super::assemble::{self, Assembled, Fault, Part, Private, Whole};
use super::{Ask, Inputs};
use crate::config::{self, Inputs as _, OpenApiSource};
use crate::control::edges::Fetched;
use crate::problems::Place;
use crate::snapshot::ApiDocument;

/// Until an upstream that could not give its document is asked again: at first, and at the most.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_mins(1);
/// Attempts for a document that never came before they become rarer.
const EARLY: u32 = 60;

/// What is known of one plugin's document.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The last good copy.
    pub(super) good: Option<Good>,
    /// Where it is, as people are told.
    pub(super) shown: String,
    /// What went wrong since.
    pub(super) error: Option<String>,
    /// When it is to be asked again.
    pub(super) due: Option<tokio::time::Instant>,
    pub(super) failures: u32,
    pub(super) in_flight: bool,
    /// `openapi.refresh`
    pub(super) refresh: Duration,
    /// What was fetched, by URL.
    pub(super) copies: BTreeMap<String, Copy>,
    /// They are those of another generation.
    pinned: bool,
    /// What served when an earlier process ran: used when nothing else can be had.
    pub(super) stored: Option<BTreeMap<String, Arc<[u8]>>>,
    manifest: Option<Value>,
    /// Hash of a text that is no document, and why.
    refused: Option<([u8; 32], String)>,
}

#[derive(Debug, Clone)]
pub(super) struct Good {
    pub(super) digest: [u8; 32],
    /// `openapi.reference_hosts` when it was put together.
    hosts: Vec<String>,
    /// `openapi.overlays` then, in their order.
    overlays: Vec<PathBuf>,
    /// What could not be had then.
    absent: BTreeSet<String>,
    pub(super) document: Arc<ApiDocument>,
    pub(super) at: Timestamp,
}

/// Something that was fetched, or that could not be.
#[derive(Debug, Default, Clone)]
pub(super) struct Copy {
    bytes: Option<Arc<[u8]>>,
    /// `ETag`
    pub(super) etag: Option<HeaderValue>,
    /// `Last-Modified`
    pub(super) modified: Option<HeaderValue>,
    /// Why there is no newer one.
    error: Option<String>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self {
            good: None,
            shown: String::new(),
            error: None,
            due: None,
            failures: 0,
            in_flight: false,
            refresh: Duration::MAX,
            copies: BTreeMap::new(),
            pinned: false,
            stored: None,
            manifest: None,
            refused: None,
        }
    }

    /// What was fetched for the last good copy.
    pub(super) fn fetched(&self) -> Vec<(&str, &Arc<[u8]>)> {
        let texts = self.good.iter().flat_map(|good| &good.document.texts);
        let fetched = texts.filter(|(location, _)| self.copies.contains_key(*location));
        fetched
            .map(|(location, bytes)| (location.as_str(), bytes))
            .collect()
    }

    /// What was fetched for another generation holds, and is not asked for again; `None`: from now
    /// on it is.
    pub(super) fn pin(&mut self, pinned: Option<&BTreeMap<String, Arc<[u8]>>>) {
        let Some(pinned) = pinned else {
            let fetched = !self.copies.is_empty() && !self.in_flight;
            if std::mem::take(&mut self.pinned) || (fetched && self.due.is_none()) {
                self.due = Some(tokio::time::Instant::now());
            }
            return;
        };
        self.pinned = true;
        self.due = None;
        self.refused = None;
        self.copies = copies_of(pinned);
    }

    /// Nothing can be had: what served when an earlier process ran is better than nothing. Whether
    /// there is such a thing.
    fn recalls(&mut self) -> bool {
        let stored = self.stored.take().filter(|_| self.good.is_none());
        if let Some(stored) = &stored {
            self.copies = copies_of(stored);
        }
        stored.is_some()
    }

    /// Whether the document itself was fetched and can not be used: that is known already.
    fn is_hopeless(&mut self, root: &str) -> bool {
        let Some(copy) = self.copies.get(root) else {
            return false;
        };
        let Some(bytes) = &copy.bytes else {
            return true;
        };
        let again = self
            .refused
            .as_ref()
            .filter(|(hash, _)| *hash == hash_of(bytes));
        let Some(message) = again.map(|(_, message)| message.clone()) else {
            return false;
        };
        // Asked for again, and no better.
        if self.error.is_none() {
            self.failed(message);
        }
        true
    }

    /// What is to be fetched because it was asked for.
    pub(super) fn asks(&self, plugin: &config::Plugin, root: &str, ask: Ask) -> BTreeSet<String> {
        let due = |at: tokio::time::Instant| at <= tokio::time::Instant::now();
        let wants = match ask {
            _ if self.pinned => false,
            Ask::All => true,
            Ask::Missing => false,
            Ask::Due => self.due.is_some_and(due),
        };
        let mut asked = BTreeSet::new();
        if wants {
            asked.extend(self.copies.keys().cloned());
            if !matches!(plugin.openapi.source, OpenApiSource::File(_)) {
                asked.insert(root.to_owned());
            }
        }
        asked
    }

    /// What is ordered of that, and of what is missing; nothing while something is on its way.
    pub(super) fn order(
        &mut self,
        mut asked: BTreeSet<String>,
        missing: Vec<String>,
    ) -> BTreeSet<String> {
        if self.in_flight {
            return BTreeSet::new();
        }
        asked.extend(missing);
        self.in_flight = !asked.is_empty();
        asked
    }

    /// Puts the document together, if anything changed. What is returned has to be fetched first;
    /// the fault is the configuration's.
    pub(super) fn assemble(
        &mut self,
        plugin: &config::Plugin,
        root: &str,
        (inputs, private): (&mut Inputs, &Private),
        now: Timestamp,
    ) -> Result<Vec<String>, (Place, String)> {
        if self.is_hopeless(root) {
            return Ok(Vec::new());
        }
        let openapi = &plugin.openapi;
        let copies = &self.copies;
        let mut used: BTreeSet<String> = BTreeSet::new();
        let mut part = |location: &str| match &openapi.source {
            OpenApiSource::File(file) if location == root => Part::Here(Arc::clone(&file.bytes)),
            source if !location.contains("://") => {
                from_file(source, root, location, (inputs, private))
            }
            _ if location != root && !assemble::is_named(location, &openapi.reference_hosts) => {
                Part::Refused("its host is not one of openapi.reference_hosts".to_owned())
            }
            _ => {
                used.insert(location.to_owned());
                fetched(copies.get(location))
            }
        };
        if let Some(good) = &self.good
            && good.hosts == openapi.reference_hosts
            // One that is no longer named may still be there to be read.
            && good.overlays.iter().eq(overlays(openapi))
            && is_same(&good.document, openapi, &mut part)
            && !good
                .absent
                .iter()
                .any(|location| matches!(part(location), Part::Here(_)))
        {
            return Ok(Vec::new());
        }
        let assembled = assemble::assemble(root, &openapi.overlays, &mut part);
        let file = matches!(openapi.source, OpenApiSource::File(_));
        match assembled {
            Ok(Assembled::Missing(missing)) => return Ok(missing),
            Ok(Assembled::Done(whole)) => {
                if let Some(gone) = self.gone(&whole) {
                    let message = format!("{root} refers to {gone}, which is not there any more");
                    return Err((openapi.at.clone(), message));
                }
                self.copies.retain(|location, _| used.contains(location));
                self.take(*whole, root, openapi, now);
            }
            Err(Fault::Overlay(at, message)) => return Err((at, message)),
            Err(Fault::Document(message)) if file => {
                return Err((openapi.at.clone(), format!("{root}: {message}")));
            }
            // An upstream that says nonsense is no fault of the configuration.
            Err(Fault::Document(message)) => {
                let bytes = self.copies.get(root).and_then(|copy| copy.bytes.as_ref());
                // Whoever meant a file of that name sees what was asked instead.
                let asked = config::bare(root);
                let named = |_| format!("{asked} gives something else: {message}");
                let message = bytes.map_or_else(|| message.clone(), named);
                self.refused = bytes.map(|bytes| (hash_of(bytes), message.clone()));
                self.failed(message);
                if self.recalls() {
                    return self.assemble(plugin, root, (inputs, private), now);
                }
            }
        }
        Ok(Vec::new())
    }

    /// It is the last good copy now.
    fn take(&mut self, whole: Whole, root: &str, openapi: &config::OpenApi, now: Timestamp) {
        let document = Arc::new(ApiDocument {
            prepared: whole.prepared,
            texts: whole.texts,
            root: root.to_owned(),
            manifest: self.manifest.clone(),
        });
        self.good = Some(Good {
            digest: whole.digest,
            hosts: openapi.reference_hosts.clone(),
            overlays: overlays(openapi).cloned().collect(),
            absent: whole.absent,
            document,
            at: now,
        });
    }

    /// A file that the last good copy was made of too, is still referred to, and can not be had:
    /// without it something else would be published in its place.
    fn gone<'w>(&self, whole: &'w Whole) -> Option<&'w String> {
        let before = &self.good.as_ref()?.document.texts;
        let mut absent = whole.absent.iter();
        absent.find(|location| !location.contains("://") && before.contains_key(*location))
    }

    /// Takes what came.
    pub(super) fn came(
        &mut self,
        results: Vec<(String, Result<Fetched, String>)>,
        manifest: Option<Value>,
    ) {
        self.in_flight = false;
        if manifest.is_some() {
            self.manifest = manifest;
        }
        let mut failed = None;
        for (location, result) in results {
            let copy = self.copies.entry(location).or_default();
            match result {
                Ok(Fetched::New {
                    bytes,
                    etag,
                    modified,
                }) => {
                    *copy = Copy {
                        bytes: Some(bytes.into()),
                        etag,
                        modified,
                        error: None,
                    };
                }
                Ok(Fetched::Unchanged) => copy.error = None,
                Err(error) => {
                    copy.error = Some(error.clone());
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failed {
            self.failed(error);
            self.recalls();
        } else {
            self.error = None;
            self.failures = 0;
            self.due = Some(tokio::time::Instant::now() + self.refresh);
        }
    }

    /// It is due, and the back-off begins anew.
    pub(super) fn hurry(&mut self) {
        self.failures = 0;
        self.due = Some(tokio::time::Instant::now());
    }

    /// It is asked again, with back-off.
    fn failed(&mut self, error: String) {
        self.error = Some(error);
        self.failures = self.failures.saturating_add(1);
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(10).saturating_sub(1));
        let wait = if self.good.is_some() {
            wait.max(RETRY_FIRST * 5).min(RETRY_LAST)
        } else if self.failures <= EARLY {
            // Most often an upstream that starts beside us, and nothing works without it.
            RETRY_FIRST
        } else {
            wait.min(RETRY_LAST / 4)
        };
        self.due = Some(tokio::time::Instant::now() + wait);
    }
}

/// What was fetched before.
fn copies_of(parts: &BTreeMap<String, Arc<[u8]>>) -> BTreeMap<String, Copy> {
    let copy = |(location, bytes): (&String, &Arc<[u8]>)| {
        let copy = Copy {
            bytes: Some(Arc::clone(bytes)),
            ..Copy::default()
        };
        (location.clone(), copy)
    };
    parts.iter().map(copy).collect()
}

/// SHA-256
fn hash_of(bytes: &[u8]) -> [u8; 32] {
    crate::tokens::Fingerprint::of(bytes).0
}

/// Whether what a document was made of is still the same. Bytes that are shared need no comparing.
fn is_same(
    document: &ApiDocument,
    openapi: &config::OpenApi,
    part: &mut impl FnMut(&str) -> Part,
) -> bool {
    let overlay = |location: &str| {
        let named = |file: &&config::Spanned<config::ServedFile>| {
            file.value.path.display().to_string() == location
        };
        openapi.overlays.iter().find(named)
    };
    document.texts.iter().all(|(location, bytes)| {
        if let Some(file) = overlay(location) {
            return file.value.bytes == *bytes;
        }
        // One that is not there any more, or not yet, makes another document.
        matches!(part(location), Part::Here(now) if now == *bytes)
    })
}

/// The files of `openapi.overlays`.
fn overlays(openapi: &config::OpenApi) -> impl Iterator<Item = &PathBuf> {
    openapi.overlays.iter().map(|file| &file.value.path)
}

/// A file that a document refers to.
fn from_file(
    source: &OpenApiSource,
    root: &str,
    location: &str,
    (inputs, private): (&mut Inputs, &Private),
) -> Part {
    if !matches!(source, OpenApiSource::File(_)) {
        return Part::Refused("a fetched document can not refer to a file".to_owned());
    }
    if !private.allows(Path::new(root), Path::new(location)) {
        return Part::Refused(
            "a document refers to files of its own folder and of the one above it, and to none \
             that the configuration itself reads"
                .to_owned(),
        );
    }
    match inputs.file(Path::new(location)) {
        Ok(bytes) => Part::Here(bytes),
        Err(reason) => Part::Refused(reason),
    }
}

/// Something that was fetched.
fn fetched(copy: Option<&Copy>) -> Part {
    match copy {
        None => Part::Later,
        Some(Copy {
            bytes: Some(bytes), ..
        }) => Part::Here(Arc::clone(bytes)),
        Some(Copy { error, .. }) => {
            Part::Refused(error.clone().unwrap_or_else(|| "nothing came".to_owned()))
        }
    }
}
