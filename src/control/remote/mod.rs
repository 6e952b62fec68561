//! Token files at URLs: asked for on an interval, by `ETag` where there is one. The last good copy is
//! kept, in memory and in the state directory, whatever becomes of the server.

mod copies;
mod told;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use rustls::RootCertStore;
use tokio::time::Instant;

use super::attempt::{Candidate, Manner};
use super::edges::{Fetched, Order, newer_than};
use super::parts::Aside;
use super::{Control, Delivering, Delivery, Edges, Inputs, Outcome};
use crate::config::{Config, Limits, TokenUrl};
use crate::problems::{Problem, Problems, Severity};
use crate::snapshot;
use crate::tokens::{Fingerprint, declares};
use copies::{path, store, stored};

/// Bytes of a token file from a URL.
const LARGEST: usize = 64 << 20;
/// Why an empty one is not taken where there were tokens.
const EMPTIED: &str = "it is empty, which would end all of its tokens; coming so once more it is believed; if they are to end now, let it be a comment: a line that begins with #";
/// How long it may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Default)]
pub(super) struct Remote {
    known: HashMap<String, Known>,
    orders: Vec<Delivering>,
    ordered: u64,
    /// Of the configuration that was looked at last.
    limits: Option<Limits>,
    state: PathBuf,
    /// The clock jumped: when nothing is on its way any more, everything is as new as can be.
    waking: bool,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote")
            .field("known", &self.known.len())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Known {
    entry: TokenUrl,
    /// What serves.
    good: Option<Copy>,
    /// What came, and is not proven yet.
    fresh: Option<Copy>,
    /// What came and was refused, by its hash: it is not tried again.
    refused: Option<[u8; 32]>,
    /// When its server last said that what serves is the newest.
    confirmed: Option<Timestamp>,
    error: Option<String>,
    /// It was asked for at least once, whatever came of it.
    asked: bool,
    in_flight: Option<u64>,
    due: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Copy {
    bytes: Arc<[u8]>,
    digest: [u8; 32],
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
    at: Timestamp,
}

/// A token file that came, or did not.
#[derive(Debug)]
pub struct Came {
    url: String,
    number: u64,
    result: Result<Fetched, String>,
}

impl Remote {
    pub(super) fn take_orders(&mut self) -> Vec<Delivering> {
        std::mem::take(&mut self.orders)
    }

    /// When one is to be asked for again.
    pub(super) fn due(&self) -> Option<Instant> {
        let idle = self
            .known
            .values()
            .filter(|known| known.in_flight.is_none());
        idle.filter_map(|known| known.due).min()
    }

    /// The files that a configuration names, as they are known now, instead of files on disk.
    fn settle<E: Edges>(
        &mut self,
        config: &Config,
        inputs: &mut Inputs,
        (edges, roots): (&E, &Arc<RootCertStore>),
    ) {
        self.limits = Some(config.limits.clone());
        self.state.clone_from(&config.state_directory);
        for entry in &config.token_urls {
            if !self.known.contains_key(&entry.url) {
                let known = Known::new(entry.clone(), &self.state);
                self.known.insert(entry.url.clone(), known);
            }
            if let Some(known) = self.known.get_mut(&entry.url) {
                known.entry = entry.clone();
            }
            let fresh = self.known.get(&entry.url).is_some_and(|known| !known.asked);
            if fresh {
                self.order(&entry.url, (edges, roots));
            }
            let known = self.known.get(&entry.url);
            let copy = known.and_then(|known| known.fresh.as_ref().or(known.good.as_ref()));
            let bytes = copy.map_or_else(|| Arc::from([]), |copy| Arc::clone(&copy.bytes));
            inputs.supply(Path::new(&entry.name), &bytes);
        }
    }

    /// Asks for one, unless it is on its way.
    fn order<E: Edges>(&mut self, url: &str, (edges, roots): (&E, &Arc<RootCertStore>)) {
        let (Some(known), Some(limits)) = (self.known.get_mut(url), &self.limits) else {
            return;
        };
        if known.in_flight.is_some() {
            return;
        }
        self.ordered += 1;
        let number = self.ordered;
        known.in_flight = Some(number);
        let order = snapshot::dial_url(url, limits, roots).map(|(target, path)| Order {
            targets: vec![target],
            path,
            headers: known.headers(),
            limit: LARGEST,
            patience: PATIENCE,
        });
        let fetching = order.map(|order| edges.fetch(order));
        let url = url.to_owned();
        self.orders.push(Box::pin(async move {
            let result = match fetching {
                Ok(fetching) => fetching.await,
                Err(error) => Err(error),
            };
            Delivery::Tokens(Came {
                url,
                number,
                result,
            })
        }));
    }

    /// Takes what came. Whether there is something new to look at.
    pub(super) fn delivered(&mut self, came: Came, now: Timestamp) -> bool {
        let Some(known) = self.known.get_mut(&came.url) else {
            return false;
        };
        if known.in_flight != Some(came.number) {
            return false;
        }
        known.in_flight = None;
        known.due = Some(Instant::now() + known.entry.every);
        let first = !std::mem::replace(&mut known.asked, true);
        let new = known.came(came.result, now);
        if !new && known.error.is_none() {
            known.touch(&self.state, now);
        }
        first || new
    }

    /// Whether one is on its way that never came, and nothing is there in its place.
    fn awaited(&self, config: &Config) -> Vec<String> {
        let unknown = |entry: &&TokenUrl| {
            let known = self.known.get(&entry.url);
            known.is_some_and(|known| !known.asked && known.in_flight.is_some())
        };
        let awaited = config.token_urls.iter().filter(unknown);
        awaited.map(|entry| entry.name.clone()).collect()
    }

    /// How each stands.
    fn standing(&self) -> impl Iterator<Item = (&'static str, &Known)> {
        let mut all: Vec<_> = self.known.iter().collect();
        all.sort_by_key(|(url, _)| url.as_str());
        all.into_iter().map(|(_, known)| {
            let state = match (&known.good, &known.error) {
                (Some(_), None) => "current",
                (Some(_), Some(_)) => "last good copy",
                (None, _) => "unavailable",
            };
            (state, known)
        })
    }
}

impl Known {
    fn new(entry: TokenUrl, state: &Path) -> Self {
        let stored = stored(state, &entry.url);
        Self {
            entry,
            confirmed: stored.as_ref().map(|copy| copy.at),
            good: stored,
            fresh: None,
            refused: None,
            error: None,
            asked: false,
            in_flight: None,
            due: None,
        }
    }

    /// Only a newer one is wanted (RFC 9110 §13.1).
    fn headers(&self) -> HeaderMap {
        let copy = self.fresh.as_ref().or(self.good.as_ref());
        let mut headers = newer_than(
            "application/jsonl, application/x-ndjson, */*;q=0.5",
            copy.and_then(|copy| copy.etag.as_ref()),
            copy.and_then(|copy| copy.modified.as_ref()),
        );
        if let Some(bearer) = &self.entry.bearer
            && let Ok(mut value) = HeaderValue::from_bytes(&[b"Bearer ", bearer.expose()].concat())
        {
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        headers
    }

    /// Whether it is something new.
    fn came(&mut self, result: Result<Fetched, String>, now: Timestamp) -> bool {
        let (bytes, etag, modified) = match result {
            Ok(Fetched::New {
                bytes,
                etag,
                modified,
            }) => (bytes, etag, modified),
            Ok(Fetched::Unchanged) => {
                self.confirmed = Some(now);
                self.error = None;
                return false;
            }
            Err(error) => {
                if self.error.as_ref() != Some(&error) {
                    tracing::warn!(
                        url = self.entry.name,
                        error,
                        "a token file can not be fetched"
                    );
                }
                self.error = Some(error);
                return false;
            }
        };
        let digest = Fingerprint::of(&bytes).0;
        let again = self.refused == Some(digest);
        let had = self.good.as_ref().is_some_and(|good| declares(&good.bytes));
        let emptied = had && bytes.trim_ascii().is_empty();
        if again && !emptied {
            return false;
        }
        if emptied && !again {
            tracing::error!(
                url = self.entry.name,
                "a token file came empty; the last good copy goes on"
            );
            (self.fresh, self.refused) = (None, Some(digest));
            self.error = Some(format!("what came is refused: {EMPTIED}"));
            return false;
        }
        if let Some(good) = self.good.as_mut().filter(|good| good.digest == digest) {
            (good.etag, good.modified) = (etag, modified);
            self.confirmed = Some(now);
            (self.error, self.refused) = (None, None);
            return self.fresh.take().is_some();
        }
        self.fresh = Some(Copy {
            bytes: bytes.into(),
            digest,
            etag,
            modified,
            at: now,
        });
        true
    }

    /// What came serves.
    fn accept(&mut self, state: &Path) {
        let Some(fresh) = self.fresh.take() else {
            return;
        };
        self.confirmed = Some(fresh.at);
        self.error = None;
        if let Err(error) = store(state, &self.entry.url, &fresh.bytes) {
            tracing::warn!(%error, url = self.entry.name, "the copy of a token file can not be kept for the next start");
        }
        self.good = Some(fresh);
    }

    /// What came can not be used: what served before goes on.
    fn reject(&mut self, reason: &str) {
        let Some(fresh) = self.fresh.take() else {
            return;
        };
        tracing::error!(
            url = self.entry.name,
            problems = reason,
            "a token file is refused; the last good copy goes on"
        );
        self.refused = Some(fresh.digest);
        self.error = Some(format!("what came is refused: {reason}"));
    }

    /// The copy that is kept is as new as this.
    fn touch(&self, state: &Path, now: Timestamp) {
        if self.good.is_some()
            && let Ok(file) = File::options()
                .append(true)
                .open(path(state, &self.entry.url))
        {
            // Else it looks older than it is.
            let _ = file.set_modified(SystemTime::from(now));
        }
    }
}

impl<E: Edges> Control<E> {
    /// Supplies the token files that are at URLs; whether one of them is awaited.
    pub(super) fn settle_remote(&mut self, config: &Config, inputs: &mut Inputs) -> bool {
        self.remote
            .settle(config, inputs, (&self.edges, &self.roots));
        let hurried = self.published.is_none() && self.waits.hurried;
        if self.rehearsal || hurried {
            return false;
        }
        let awaited = self.remote.awaited(config);
        for url in &awaited {
            let what = format!("the token file {url}");
            self.waits.add(None, None, (what, true, false));
        }
        !awaited.is_empty()
    }

    /// When a token file is to be asked for again.
    pub fn tokens_due(&self) -> Option<Instant> {
        self.remote.due()
    }

    /// Asks for the token files that are due; when the clock jumped, for all.
    pub fn ask_for_tokens(&mut self, all: bool) {
        // What everybody waits for is on its way.
        if all && self.remote.waking {
            return;
        }
        let now = Instant::now();
        let due = |known: &Known| known.due.is_some_and(|due| due <= now);
        let known = self.remote.known.iter_mut();
        let mut urls = Vec::new();
        for (url, known) in known.filter(|(_, known)| all || due(known)) {
            if all {
                // Its connection may be dead.
                known.in_flight = None;
            }
            urls.push(url.clone());
        }
        self.remote.waking |= all;
        for url in urls {
            self.remote.order(&url, (&self.edges, &self.roots));
        }
        self.settle_clock();
    }

    /// Everything that was asked for came, or will not: whoever waits goes on.
    pub fn settle_clock(&mut self) {
        let under_way = self
            .remote
            .known
            .values()
            .any(|known| known.in_flight.is_some());
        if self.remote.waking && !under_way {
            self.remote.waking = false;
            let (now, wall) = (std::time::Instant::now(), Timestamp::now());
            self.shared.clock.settle(now, wall);
        }
    }

    /// A candidate without what is wrong with token files at URLs: they are refused one after the
    /// other, as they are named.
    pub(super) fn accepted(
        &mut self,
        manner: Manner,
        inputs: impl Fn(&Self) -> Inputs,
    ) -> (Result<Candidate, Outcome>, Aside, Inputs) {
        loop {
            let mut inputs = inputs(self);
            let (found, aside) = self.candidate(manner, &mut inputs);
            if !self.rejects_remote(found.as_ref().err()) {
                return (found, aside, inputs);
            }
        }
    }

    /// After a look: whether what came is at fault, and another look without it is worth it.
    fn rejects_remote(&mut self, found: Option<&Outcome>) -> bool {
        let Some(Outcome::Refused(refused)) = found else {
            return false;
        };
        // Nobody else's copy is at fault for what is wrong with a file of this machine.
        let of_url = |file: &Path| {
            let mut known = self.remote.known.values();
            known.any(|known| Path::new(&known.entry.name) == file)
        };
        let at_fault = |problem: &&Problem| {
            problem.severity == Severity::Problem
                && problem.at.key.starts_with("token_files")
                && problem.at.file().is_none_or(of_url)
        };
        let at_fault: Vec<&Problem> = refused.problems.iter().filter(at_fault).collect();
        let fresh = self.remote.known.values_mut();
        let mut fresh: Vec<&mut Known> = fresh.filter(|known| known.fresh.is_some()).collect();
        if at_fault.is_empty() || fresh.is_empty() {
            return false;
        }
        // Where it is not said which (what they have in common, say), it may be any.
        let is_named = |known: &Known| {
            let url = Path::new(&known.entry.name);
            at_fault.iter().any(|problem| problem.file() == Some(url))
        };
        if fresh.iter().any(|known| is_named(known)) {
            fresh.retain(|known| is_named(known));
        }
        let mut reason = Problems::new();
        for problem in &at_fault {
            reason.push((*problem).clone());
        }
        let reason = reason.render(false);
        for known in fresh {
            known.reject(reason.trim());
        }
        true
    }

    /// What came serves, and what no configuration names is forgotten.
    pub(super) fn accept_remote(&mut self, config: &Config) {
        let wanted = |url: &String| config.token_urls.iter().any(|entry| entry.url == *url);
        self.remote.known.retain(|url, _| wanted(url));
        let state = self.remote.state.clone();
        for known in self.remote.known.values_mut() {
            known.accept(&state);
            // It may go together with what serves now.
            known.refused = None;
        }
        let untold = self.remote.known.values().any(|known| known.good.is_none());
        self.shared.untold.store(untold, Ordering::Relaxed);
        self.shared.clock.watch(!self.remote.known.is_empty());
    }
}
