//! A start that binds and publishes nothing: for `check` and `print`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attempt::Manner;
use super::documents::Ask;
use super::parts::Aside;
use super::{Control, Edges, Inputs, Outcome, Trigger};
use crate::config::{self, Inputs as _};
use crate::problems::{Place, Problems};
use crate::snapshot::Snapshot;

/// What came of it.
#[derive(Debug)]
pub struct Rehearsed {
    /// `None`: it is refused.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Faults and warnings.
    pub problems: Problems,
    /// Where all that is refused is in included files, which fail alone: those.
    pub alone: Vec<Alone>,
}

/// An included file that is broken.
#[derive(Debug)]
pub struct Alone {
    /// The file.
    pub file: PathBuf,
    /// The plugins that it has, as far as it can be read.
    pub plugins: Vec<String>,
}

impl<E: Edges> Control<E> {
    /// Reads, proves, compiles and tests as a start would. Tests that ask the upstream are not sent.
    /// `None`: documents are awaited.
    pub fn rehearse(&mut self) -> Option<Rehearsed> {
        self.rehearsal = true;
        let manner = Manner {
            trigger: Trigger::Start,
            ask: Ask::Missing,
            hasty: false,
            idle: false,
        };
        let mut inputs = Inputs::default();
        let aside = Aside::new();
        let (included, found) = self.compile(manner, &mut inputs, &aside);
        let refused = match found {
            Ok(candidate) => {
                let mut problems = candidate.problems;
                unseen(&candidate.snapshot, &mut problems);
                return Some(Rehearsed {
                    snapshot: Some(candidate.snapshot),
                    problems,
                    alone: Vec::new(),
                });
            }
            Err(Outcome::Refused(refused)) => refused,
            Err(_) => return None,
        };
        let blamed = self.blame(&refused, &included, &inputs, &aside);
        let alone = blamed.into_iter().flatten().map(|(file, _)| Alone {
            plugins: plugins_of(&mut inputs, &file),
            file,
        });
        Some(Rehearsed {
            alone: alone.collect(),
            snapshot: None,
            problems: refused.problems,
        })
    }
}

fn plugins_of(inputs: &mut Inputs, file: &Path) -> Vec<String> {
    let bytes = inputs.file(file).unwrap_or_default();
    config::plugin_names(&String::from_utf8_lossy(&bytes))
}

/// Documents that could not be looked at, so that nobody knows whether they are as they should be.
fn unseen(snapshot: &Snapshot, problems: &mut Problems) {
    for plugin in &snapshot.plugins {
        let mut written = snapshot.config.plugins.iter();
        let written = written.find(|written| *written.name == *plugin.name);
        let (Some(reason), Some(written)) = (&plugin.unavailable, written) else {
            continue;
        };
        let at = Place {
            key: format!("plugins.{}.openapi.source", plugin.name),
            ..written.at.clone()
        };
        let message = format!(
            "the OpenAPI document of plugin {} could not be looked at, so neither could what refers to its operations: {reason}",
            plugin.name
        );
        problems.warn(&at, message).help(what_helps(reason));
    }
}

/// What may have the document come, by the words that say why it did not.
fn what_helps(reason: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if says(&["UnknownIssuer"]) {
        "name the authority that issued its certificate in upstream.ca, or name a file in openapi.source"
    } else if says(&["answered 401", "answered 403"]) {
        "write what the API wants to see in upstream.credential, or name a file in openapi.source"
    } else if says(&["InvalidContentType"]) {
        "nothing speaks TLS there: write http instead of https in upstream.url"
    } else if says(&["answered 404"]) {
        "name the path or the URL where the API has its document, or a file, in openapi.source"
    } else {
        "start the API and check again, or name a file in openapi.source"
    }
}
