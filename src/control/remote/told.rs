//! What is told of token files at URLs, and asked of all token files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::attempt::Manner;
use super::super::declared::Rules;
use super::super::status::moment;
use super::super::{Control, Edges, Trigger};
use super::Known;
use crate::config::Config;
use crate::problems::{Place, Problems};

impl<E: Edges> Control<E> {
    /// What is asked of token files. Who asks for a reload means what they hold.
    pub(in crate::control) fn rules(&self, config: &Config, manner: Manner) -> Rules {
        let asked = manner.idle || matches!(manner.trigger, Trigger::Command { .. });
        let lesser = config.token_urls.iter().filter(|entry| !entry.admin);
        Rules {
            filled: if asked {
                BTreeSet::new()
            } else {
                self.tokens.filled.clone()
            },
            lesser: lesser.map(|entry| PathBuf::from(&entry.name)).collect(),
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

impl Known {
    /// Seconds since its server last confirmed what serves.
    fn age(&self, now: Timestamp) -> Option<u64> {
        let confirmed = self.confirmed.filter(|_| self.good.is_some())?;
        u64::try_from(now.duration_since(confirmed).as_secs().max(0)).ok()
    }
}
