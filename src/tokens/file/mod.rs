//! Token files: one token a line, by hash only, as `token export` writes them.
//!
//! Each line is a JSON object; empty lines and lines that begin with `#` are skipped. Every
//! field but these is refused, so that a misspelt `expires` does not make a token eternal.
//!
//! | field | value | if it is absent |
//! |---|---|---|
//! | `id` | 1 to 64 of `A-Z a-z 0-9 _ . -`, unique | `plf_` and 11 characters of the hash |
//! | `name` | text for people, up to 128 bytes | the id |
//! | `level` | `service`, `user` or `admin` | refused |
//! | `plugins` | names, or `["*"]` | refused |
//! | `scopes` | operationIds, `tag:…`, `METHOD /path`, or `["*"]` | refused, but for `admin` |
//! | `sha256` | 64 hexadecimal digits: the hash of the one secret | `secrets` |
//! | `secrets` | one or two of `{"sha256", "until", "slot"}` | `sha256` |
//! | `not_before`, `expires` | RFC 3339 | no bound |
//! | `state` | `active`, `suspended` or `revoked` | `active` |
//! | `revoked_at` | RFC 3339, of a revoked token | not known |
//! | `rate`, `quota` | such as `10/s`, `1000/day` | no bound |
//! | `concurrency` | a whole number above 0 | no bound |
//! | `networks` | from where it may be used, such as `10.0.0.0/8` | from anywhere |
//! | `note` | text for people, up to 1024 bytes | none |
//! | `created_at`, `created_by` | RFC 3339; who made it | not known |
//! | `revoked_by`, `revoked_reason` | of a revoked token | not known |
//!
//! In `secrets`, `until` is the end of that secret and `slot` is `current` or `previous`;
//! where no slot is written the first is the current one. `since` tells when it became the
//! current one, `elsewhere` whether it was made on another machine, and `finish_when_idle_s`
//! after how many seconds without a use a previous one ends, `until_before` which end a previous one
//! had before its rotation.
//!
//! ```json
//! {"id":"pls_ab12cd34","name":"chatgpt","level":"service","plugins":["todo"],"scopes":["*"],"sha256":"9f86…"}
//! ```
//!
//! A message never repeats a value: somebody may have written a secret there.

mod blocks;
mod fields;
mod limits;
mod line;
mod write;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use super::format::{base62, id_fault, is_public_id};
use super::{Fingerprint, Level, NetworkError, TokenRecord};
use crate::network::is_half_mapped;
pub use blocks::{Blocks, Cut, cut};
use line::Reader;
pub(super) use line::{MAX_ID, MAX_LIST, MAX_NAME, MAX_NOTE, label_fault};

/// Most bytes of one line.
const MAX_LINE: usize = 64 << 10;
/// Most problems that are listed of one file.
const MAX_PROBLEMS: usize = 100;

/// One fault of a token file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    /// Number of the line, from 1.
    pub line: usize,
    /// Byte in the line, from 1, where that is known.
    pub column: Option<usize>,
    /// What is wrong, one sentence without a full stop. Holds no value of the line.
    pub message: String,
}

/// Reads a token file. `name` is what messages call it; `seen` holds what other files and the
/// configuration have, and gets what is here. Whoever calls bounds the size of the text.
///
/// The records are those of the good lines; whether they count when others are not is the
/// caller's decision.
pub fn parse_file(
    name: &Arc<str>,
    text: &str,
    seen: &mut Seen,
) -> (Vec<TokenRecord>, Vec<LineProblem>) {
    parse_lines(name, text, seen, |_| None)
}

/// Reads lines of which tokens are to be made: as [`parse_file`], but for what nobody is to be given
/// any more.
pub fn parse_import(text: &str) -> (Vec<TokenRecord>, Vec<LineProblem>) {
    let fault = |record: &TokenRecord| {
        let mut networks = record.limits.iter().flat_map(|limits| &limits.networks);
        if networks.any(|network| is_half_mapped(*network)) {
            return Some(format!("an entry of `networks` {}", NetworkError::MAPPED));
        }
        let name = || {
            let fault = name_fault(&record.name, Some(&record.id));
            fault.map(|why| format!("`name` {why}"))
        };
        id_fault(&record.id, record.level).or_else(name)
    };
    parse_lines(&"the import".into(), text, &mut Seen::default(), fault)
}

/// Reads lines, each of which may have one more `fault`.
fn parse_lines(
    name: &Arc<str>,
    text: &str,
    seen: &mut Seen,
    fault: impl Fn(&TokenRecord) -> Option<String>,
) -> (Vec<TokenRecord>, Vec<LineProblem>) {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    // A line of one secret and one plugin has some 200 bytes.
    let mut records = Vec::with_capacity(text.len() / 200);
    seen.reserve(text.len() / 200);
    let mut problems = Problems::default();
    let mut reader = Reader::default();
    for (number, indent, line) in lines(text) {
        if line.len() > MAX_LINE {
            problems.add(number, None, "has more than 64 KiB".to_owned());
            continue;
        }
        match reader.read(line) {
            Ok(record) => {
                let origin = Origin::Line {
                    file: Arc::clone(name),
                    line: number,
                };
                match fault(&record).map_or_else(|| seen.claim(&record, &origin), Err) {
                    Ok(()) => records.push(record),
                    Err(message) => problems.add(number, None, message),
                }
            }
            Err(faults) => faults.into_iter().for_each(|fault| {
                problems.add(number, fault.at.map(|at| indent + at + 1), fault.message);
            }),
        }
    }
    (records, problems.finish())
}

/// Why a text can not be made the name of a token with this `id`, where that is known. Tokens that
/// have such a name already keep it, here and in the database: it is told to APIs in a form that
/// passes.
pub(super) fn name_fault(text: &str, id: Option<&str>) -> Option<&'static str> {
    let at_ends = |c: char| c.is_whitespace() || is_invisible(c);
    let is_id = || Level::ALL.iter().any(|level| is_public_id(text, *level));
    if text.starts_with(at_ends) || text.ends_with(at_ends) {
        Some("begins or ends with a space, or with what nobody sees: leave that out")
    } else if text.contains(turns_text) {
        Some("holds a character that turns the direction of text: leave that out")
    } else if id != Some(text) && is_id() {
        Some("is what the id of another token may be")
    } else {
        None
    }
}

/// Takes no room: two names that differ in it look alike.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
        || turns_text(c)
}

/// What stands behind it may look as if it stood before it.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether there is a line in a token file that declares something.
pub fn declares(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    lines.next().is_some()
}

/// Reads lines that were compared with all others when they were written.
pub fn parse_records(text: &str) -> (Vec<TokenRecord>, Vec<LineProblem>) {
    let mut records = Vec::new();
    let mut problems = Problems::default();
    let mut reader = Reader::default();
    for (number, line) in (1..).zip(text.lines()) {
        match reader.read(line) {
            Ok(record) => records.push(record),
            Err(faults) => faults.into_iter().for_each(|fault| {
                problems.add(number, fault.at.map(|at| at + 1), fault.message);
            }),
        }
    }
    (records, problems.finish())
}

/// What some editors put in front of a text; nothing else may stand before the first line.
const BOM: char = '\u{feff}';

/// The lines that say something: their number, from 1, the space before them, and what is written.
fn lines(text: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    (1..).zip(text.lines()).filter_map(|(number, whole)| {
        let line = whole.trim();
        let indent = whole.len() - whole.trim_start().len();
        (!line.is_empty() && !line.starts_with('#')).then_some((number, indent, line))
    })
}

/// The first problems, and how many more there are.
#[derive(Default)]
struct Problems {
    /// At most [`MAX_PROBLEMS`].
    listed: Vec<LineProblem>,
    /// Those that did not fit: the first one's line, and their number.
    more: Option<(usize, usize)>,
}

impl Problems {
    /// Lists it or counts it.
    fn add(&mut self, line: usize, column: Option<usize>, message: String) {
        if self.listed.len() < MAX_PROBLEMS {
            self.listed.push(LineProblem {
                line,
                column,
                message,
            });
        } else {
            let (first, count) = self.more.unwrap_or((line, 0));
            self.more = Some((first, count + 1));
        }
    }

    /// The list, and a last entry for what did not fit.
    fn finish(mut self) -> Vec<LineProblem> {
        if let Some((line, count)) = self.more {
            let message = format!("and {count} more from this line on");
            self.listed.push(LineProblem {
                line,
                column: None,
                message,
            });
        }
        self.listed
    }
}

/// The id of a token that was made elsewhere and has none: `plf_` and 64 bits of its
/// fingerprint, the same on every machine.
pub fn foreign_id(fingerprint: &Fingerprint) -> Arc<str> {
    let mut id = String::from("plf_");
    id.extend(base62::<11>(fingerprint.prefix()).map(char::from));
    id.into()
}

/// Which ids and secrets are taken, and by whom: one id is one token, one secret opens one.
#[derive(Debug, Default)]
pub struct Seen {
    /// By id.
    ids: HashMap<Arc<str>, Origin>,
    /// By secret.
    fingerprints: HashMap<Fingerprint, Origin>,
}

/// Where a token stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `[tokens.*]`
    Configuration,
    /// A token file.
    Line {
        /// As messages call it.
        file: Arc<str>,
        /// From 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("in the configuration"),
            Self::Line { file, line } => write!(f, "in {file}, line {line}"),
        }
    }
}

impl Seen {
    /// Takes a record's id and secrets.
    ///
    /// # Errors
    /// One of them is taken: a sentence that says which, and where. Then nothing is changed.
    pub fn claim(&mut self, record: &TokenRecord, origin: &Origin) -> Result<(), String> {
        for (slot, secret) in record.secrets() {
            if let Some(other) = self.fingerprints.get(&secret.fingerprint) {
                return Err(format!("its {slot} secret is also that of a token {other}"));
            }
        }
        match self.ids.entry(Arc::clone(&record.id)) {
            Entry::Occupied(other) => {
                return Err(format!("the id `{}` is also {}", record.id, other.get()));
            }
            Entry::Vacant(place) => place.insert(origin.clone()),
        };
        for (_, secret) in record.secrets() {
            self.fingerprints.insert(secret.fingerprint, origin.clone());
        }
        Ok(())
    }

    /// Makes room.
    fn reserve(&mut self, tokens: usize) {
        self.ids.reserve(tokens);
        self.fingerprints.reserve(tokens);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod written;
