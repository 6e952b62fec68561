//! An API's document: what it says, and where that was written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::openapi::{self, Finding, Prepared};

/// An API's document, read, and what it says.
#[derive(Debug, PartialEq, Eq)]
pub struct ApiDocument {
    /// The document.
    pub prepared: Prepared,
    /// The texts that it was made of, by location.
    pub texts: BTreeMap<String, Arc<[u8]>>,
    /// The location of the text that is the document itself.
    pub root: String,
    /// The API's own manifest, if it has one.
    pub manifest: Option<openapi::Value>,
}

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file or URL; `None`: the document itself.
    pub file: Option<String>,
    /// JSON pointer into that.
    pub pointer: String,
    /// Its line, from 1, where it has one.
    pub line: Option<u64>,
}

impl ApiDocument {
    /// Bytes of its texts.
    pub fn bytes(&self) -> usize {
        self.texts.values().map(|text| text.len()).sum()
    }

    /// Where the findings of a report were written. Looks through the texts, so it is for people,
    /// not for requests.
    pub fn written(&self, report: &[Finding]) -> Vec<Written> {
        let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for finding in report {
            let (location, pointer) = split(&finding.pointer);
            wanted.entry(location).or_default().push(pointer);
        }
        let lines: HashMap<&str, HashMap<String, u64>> = wanted
            .into_iter()
            .map(|(location, pointers)| {
                let name = if location.is_empty() {
                    &self.root
                } else {
                    location
                };
                let text = self.texts.get(name);
                let lines = text.map(|text| openapi::lines(text, pointers));
                (location, lines.unwrap_or_default())
            })
            .collect();
        let written = |finding: &Finding| {
            let (location, pointer) = split(&finding.pointer);
            Written {
                file: (!location.is_empty()).then(|| location.to_owned()),
                pointer: pointer.to_owned(),
                line: lines
                    .get(location)
                    .and_then(|lines| lines.get(pointer))
                    .copied()
                    .filter(|_| pointer != "#"),
            }
        };
        report.iter().map(written).collect()
    }
}

/// `file#/a/b` → the file and `#/a/b`; the document itself has no file before its pointer.
fn split(pointer: &str) -> (&str, &str) {
    let at = pointer.find('#').unwrap_or(0);
    pointer.split_at(at)
}
