//! JSON: one look for bounds and doubled keys, then `serde_json`.

use std::collections::HashMap;

use super::{Document, Duplicate, ReadError, ReadErrorKind, ReadLimits};

/// Reads JSON. `limits.depth` is below the depth at which `serde_json` itself stops.
pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Document, ReadError> {
    let duplicates = Scan::new(text, limits).run()?;
    match serde_json::from_str(text) {
        Ok(value) => Ok(Document { value, duplicates }),
        Err(error) => {
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or(&words).to_owned();
            Err(ReadError {
                kind: ReadErrorKind::Json(words),
                line: Some(error.line() as u64),
                column: Some(error.column() as u64),
            })
        }
    }
}

/// A look over the bytes that trusts nothing: it counts what the parser would build, before
/// it builds it, and remembers where each key stands.
struct Scan<'t> {
    /// The text.
    text: &'t str,
    /// Bounds.
    limits: &'t ReadLimits,
    /// Where we are.
    at: usize,
    /// Line of `at`.
    line: u64,
    /// Values and keys so far.
    nodes: usize,
    /// Open objects (their keys and lines) and lists (`None`).
    open: Vec<Option<HashMap<&'t str, u64>>>,
    /// What was found.
    duplicates: Vec<Duplicate>,
}

impl<'t> Scan<'t> {
    /// At the beginning.
    fn new(text: &'t str, limits: &'t ReadLimits) -> Self {
        Self {
            text,
            limits,
            at: 0,
            line: 1,
            nodes: 0,
            open: Vec::new(),
            duplicates: Vec::new(),
        }
    }

    /// To the end.
    fn run(mut self) -> Result<Vec<Duplicate>, ReadError> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'\n' => self.line += 1,
                b'"' => {
                    self.count()?;
                    self.string();
                }
                b'{' | b'[' => {
                    self.count()?;
                    if self.open.len() == self.limits.depth {
                        let kind = ReadErrorKind::TooDeep(self.limits.depth);
                        return Err(ReadError::at(kind, bytes, self.at));
                    }
                    self.open.push((*byte == b'{').then(HashMap::new));
                }
                b'}' | b']' => drop(self.open.pop()),
                // One for each number or word at most: strings count by themselves.
                b',' | b':' => self.count()?,
                _ => {}
            }
            self.at += 1;
        }
        Ok(self.duplicates)
    }

    /// Steps over a string, to its closing quote; a key is remembered.
    fn string(&mut self) {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        self.at = start;
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at += 1,
                _ => {}
            }
            self.at += 1;
        }
        let after = bytes.get(self.at + 1..).unwrap_or_default();
        let is_key = after.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':');
        let Some(Some(keys)) = self.open.last_mut().filter(|_| is_key) else {
            return;
        };
        let Some(key) = self.text.get(start..self.at) else {
            return;
        };
        if let Some(first_line) = keys.insert(key, self.line) {
            let (key, line) = (key.to_owned(), self.line);
            self.duplicates.push(Duplicate {
                key,
                first_line,
                line,
            });
        }
    }

    /// One more node.
    fn count(&mut self) -> Result<(), ReadError> {
        self.nodes += 1;
        // Separators are counted beside strings, hence twice the number of nodes at most.
        if self.nodes > self.limits.nodes.saturating_mul(2) {
            return Err(ReadError::of(ReadErrorKind::TooMany(self.limits.nodes)));
        }
        Ok(())
    }
}
