//! What is told of token files at URLs, and asked of all token files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::attempt::Manner;
use super::super::declared::{Emptied, Rules};
use super::super::status::moment;
use super::super::{Control, Edges, Inputs, Trigger};
use super::Known;
use crate::config::Config;
use crate::problems::{Place, Problems};

impl<E: Edges> Control<E> {
    /// What is asked of token files. Who asks for a reload means what they hold. What came from a
    /// URL was looked at before.
    pub(in crate::control) fn rules(&self, config: &Config, manner: Manner) -> Rules {
        let now = Timestamp::now();
        let stays = |file: &Path| {
            let emptied = self.tokens.emptied.get(file);
            emptied.is_some_and(|emptied| believed(emptied.since) <= now)
        };
        // Who rolls back asks for what was, not for what a file holds no more.
        let commanded = matches!(manner.trigger, Trigger::Command { .. }) && !self.rolling;
        let asked = manner.idle || commanded;
        let urls: BTreeSet<&Path> = config
            .token_urls
            .iter()
            .map(|entry| Path::new(&entry.name))
            .collect();
        let lesser = config.token_urls.iter().filter(|entry| !entry.admin);
        Rules {
            filled: if asked {
                BTreeSet::new()
            } else {
                let files = self.tokens.filled.iter();
                files
                    .filter(|file| !urls.contains(file.as_path()) && !stays(file))
                    .cloned()
                    .collect()
            },
            lesser: lesser.map(|entry| PathBuf::from(&entry.name)).collect(),
        }
    }

    /// Notes since when each file that held tokens is empty.
    pub(in crate::control) fn note_emptied(&mut self, inputs: &Inputs) {
        let is_blank = |bytes: &[u8]| bytes.trim_ascii().is_empty();
        let files = self.tokens.filled.iter();
        let blank = files.filter(|file| inputs.read_of(file).is_some_and(is_blank));
        let before = std::mem::take(&mut self.tokens.emptied);
        let emptied = blank.map(|file| {
            let known = before.get(file).copied();
            let emptied = known.unwrap_or_else(|| Emptied {
                since: Timestamp::now(),
                looked: false,
            });
            (file.clone(), emptied)
        });
        self.tokens.emptied = emptied.collect();
    }

    /// When an empty token file is to be believed: the one that is next.
    pub fn emptied_due(&self) -> Option<Timestamp> {
        let emptied = self.tokens.emptied.values();
        let waiting = emptied.filter(|emptied| !emptied.looked);
        waiting.map(|emptied| believed(emptied.since)).min()
    }

    /// Those that are due are looked at for that, once.
    pub fn believes_emptied(&mut self, now: Timestamp) {
        for emptied in self.tokens.emptied.values_mut() {
            emptied.looked |= believed(emptied.since) <= now;
        }
    }

    /// What is said of files that never came.
    pub(in crate::control) fn check_remote(&self, config: &Config, problems: &mut Problems) {
        for entry in &config.token_urls {
            let known = self.remote.known.get(&entry.url);
            let missing = known.filter(|known| known.good.is_none() && known.fresh.is_none());
            if let Some(error) = missing.and_then(|known| known.error.as_ref()) {
                let at = Place {
                    key: "token_files".to_owned(),
                    ..entry.at.clone()
                };
                let message = format!("{} can not be had: {error}", entry.name);
                problems.warn(&at, message);
            }
        }
    }

    /// For `status`.
    pub(in crate::control) fn remote_json(&self) -> Vec<Value> {
        let now = Timestamp::now();
        let told = |(state, known): (&'static str, &Known)| {
            json!({
                "url": known.entry.name,
                "state": state,
                "confirmed": known.confirmed.map(moment),
                "age_seconds": known.age(now),
                "every": known.entry.every.as_secs_f64(),
                "error": known.error,
            })
        };
        self.remote.standing().map(told).collect()
    }

    /// How old each is that came, in seconds.
    pub(in crate::control) fn remote_ages(&self) -> BTreeMap<Arc<str>, u64> {
        let now = Timestamp::now();
        let age = |known: &Known| {
            let age = known.age(now)?;
            Some((Arc::from(known.entry.name.as_str()), age))
        };
        self.remote.known.values().filter_map(age).collect()
    }
}

/// How long an empty token file is taken for one that is being written: who deleted the last line
/// of it means that its token ends.
const WRITING: Duration = Duration::from_secs(10);

/// When it is believed.
fn believed(since: Timestamp) -> Timestamp {
    since.saturating_add(WRITING).unwrap_or(Timestamp::MAX)
}

impl Known {
    /// Seconds since its server last confirmed what serves.
    fn age(&self, now: Timestamp) -> Option<u64> {
        let confirmed = self.confirmed.filter(|_| self.good.is_some())?;
        u64::try_from(now.duration_since(confirmed).as_secs().max(0)).ok()
    }
}
