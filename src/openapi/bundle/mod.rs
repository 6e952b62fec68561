//! Several files → one document. Pure: the caller does the reading.
//!
//! Everything that is reachable is walked by what it means ([`kinds`]), so that a `$ref` in an
//! example stays data. What other files hold comes under one member of the root, [`FILES`], and
//! each reference to it becomes a local one. Where the root says nothing but a reference (a path
//! item in `paths`, a schema in `components`), it gets what the reference leads to instead, so
//! that later steps see it where they expect it.

mod assemble;
mod content;
mod kinds;
mod links;
mod location;
#[cfg(test)]
mod tests;
mod walk;

use crate::openapi::Value;

use super::pointer;
use super::read::MAX_DEPTH;
use super::{Finding, Origins};
use content::Content;
use links::Links;
use walk::Walk;

/// The member of the root under which the content of other files stands, by a name for each
/// file.
pub(super) const FILES: &str = "x-plugway-files";
/// Values of all files together.
const MAX_NODES: usize = 2_000_000;
/// Deepest content of another file: it comes to stand at most three levels below the root.
const MAX_FILE_DEPTH: usize = MAX_DEPTH - 3;

/// Puts the files of a description together: ask what is [`wanted`](Self::wanted), give it
/// ([`supply`](Self::supply)), until nothing is; then [`finish`](Self::finish).
#[derive(Debug)]
pub struct Bundler {
    /// Of each file; the root is the first.
    contents: Vec<Content>,
    /// What was found in them.
    links: Links,
    /// Values that files may still have.
    left: usize,
    /// What is to be done next.
    stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The root refers to nothing else: there is nothing to do.
    Alone,
    /// Nothing was walked yet.
    New,
    /// The root was walked.
    Begun,
}

/// One document.
#[derive(Debug)]
pub struct Bundled {
    /// It.
    pub value: Value,
    /// Where its parts stood: `paths/todo.yaml#/get`.
    pub origins: Origins,
    /// What could not be had, by the places of the files themselves.
    pub report: Vec<Finding>,
}

impl Bundler {
    /// Starts with the root document. `location` is where it was read: a path such as
    /// `specs/todo.yaml`, or a URL; without either, references are relative to nothing.
    pub fn new(mut root: Value, location: &str) -> Self {
        if let Value::Object(map) = &mut root {
            // Ours.
            map.shift_remove(FILES);
            // A description is no reference: pointers that lead nowhere must not go through it.
            map.shift_remove("$ref");
        }
        let alone = !refers_elsewhere(&root);
        if !alone {
            disown(&mut root);
        }
        let left = if alone {
            0
        } else {
            MAX_NODES - measure(&root, usize::MAX, MAX_NODES).unwrap_or(MAX_NODES)
        };
        let own = root.get("$self").and_then(Value::as_str);
        let links = Links::new(location, own.filter(|_| !alone));
        Self {
            contents: vec![Content::new(root)],
            links,
            left,
            stage: if alone { Stage::Alone } else { Stage::New },
        }
    }

    /// The locations that have to be read next, each once: paths relative to where the root's
    /// location is, without `.` and inner `..`; or absolute URLs. Never a fragment. The caller
    /// decides which of them it reads.
    pub fn wanted(&mut self) -> Vec<String> {
        self.run();
        self.links.take_unasked()
    }

    /// What a wanted location holds, or why it can not be had: a sentence without a full stop.
    /// A location that was not wanted is ignored.
    pub fn supply(&mut self, location: &str, content: Result<Value, String>) {
        let Some(file) = self.links.expected(location) else {
            return;
        };
        let fits = content.and_then(|mut value| {
            disown(&mut value);
            let nodes = measure(&value, MAX_FILE_DEPTH, self.left)?;
            Ok((value, nodes))
        });
        match fits {
            Ok((value, nodes)) => {
                self.left -= nodes;
                if self.contents.len() <= file {
                    self.contents.resize_with(file + 1, Content::default);
                }
                self.contents[file] = Content::new(value);
                self.links.had(file, None);
            }
            Err(reason) => self.links.had(file, Some(reason)),
        }
    }

    /// The document. What was not supplied is missing.
    pub fn finish(mut self) -> Bundled {
        self.run();
        let report = self.links.report();
        let (value, origins) = assemble::assemble(self.contents, &self.links);
        Bundled {
            value,
            origins,
            report,
        }
    }

    /// Walks what is there and was not walked yet.
    fn run(&mut self) {
        if self.stage == Stage::Alone {
            return;
        }
        let mut walk = Walk::new(&self.contents, &mut self.links);
        if self.stage == Stage::New {
            walk.root();
        }
        walk.run();
        self.stage = Stage::Begun;
    }
}

/// Whether anything looks like a reference to another file. Only a look: what it means is found
/// by walking.
fn refers_elsewhere(root: &Value) -> bool {
    let mut open = vec![root];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    match (key.as_str(), inner) {
                        ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(text)) => {
                            if !text.starts_with('#') {
                                return true;
                            }
                        }
                        ("defaultMapping", Value::String(text)) if links::is_file(text) => {
                            return true;
                        }
                        ("mapping", Value::Object(names)) => {
                            let mut texts = names.values().filter_map(Value::as_str);
                            if texts.any(links::is_file) {
                                return true;
                            }
                            open.push(inner);
                        }
                        _ => open.push(inner),
                    }
                }
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    false
}

/// Makes what refers to [`FILES`] dangle, as it does before that is there: nobody but us may know
/// what comes to stand in it.
fn disown(value: &mut Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    match inner {
                        Value::String(text) if key.starts_with('$') && names_files(text) => {
                            text.insert_str("#/".len(), "not-");
                        }
                        inner => open.push(inner),
                    }
                }
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
}

/// Whether a reference leads into [`FILES`], however it is written.
fn names_files(reference: &str) -> bool {
    reference.starts_with("#/")
        && pointer::segments(reference).is_some_and(|path| path.first().is_some_and(|s| s == FILES))
}

/// How many values there are, if they are not too many and not nested too deep. The error is a
/// reason.
fn measure(value: &Value, depth: usize, most: usize) -> Result<usize, String> {
    let mut nodes = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, level)) = open.pop() {
        nodes += 1;
        if nodes > most {
            return Err(format!(
                "the files of this document have more than {MAX_NODES} values together"
            ));
        }
        let deeper = level > depth;
        match value {
            Value::Object(_) | Value::Array(_) if deeper => {
                return Err(format!("it is nested deeper than {depth} levels"));
            }
            Value::Object(map) => open.extend(map.values().map(|inner| (inner, level + 1))),
            Value::Array(list) => open.extend(list.iter().map(|inner| (inner, level + 1))),
            _ => {}
        }
    }
    Ok(nodes)
}
