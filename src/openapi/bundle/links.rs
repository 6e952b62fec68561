//! What was found so far: the files, what is still to be read, which references change, and
//! what can not be had.

use std::collections::{HashMap, HashSet};

use crate::counted::plural;
use crate::openapi::{Text, Value};

use super::super::{Action, Finding};
use super::FILES;
use super::content::encode;
use super::kinds::Slot;
use super::location;

/// Files of one document, the root among them.
const MAX_FILES: usize = 500;
/// Longest report.
const MAX_FINDINGS: usize = 1_000;
/// Longest pointer that is kept for the report, one for each reference that waits.
const MAX_PLACE: usize = 400;
/// Longest pointer of an embedded part, and of its place in the root: references to parts of it
/// begin with one.
const MAX_HOME: usize = 512;

/// One file.
#[derive(Debug)]
struct File {
    /// Where it is read.
    location: String,
    /// Its name in the document.
    name: String,
    /// Whether it was read.
    state: State,
    /// Where the first reference to it stands.
    place: String,
    /// References to it.
    references: usize,
}

/// Whether a file was read.
#[derive(Debug)]
enum State {
    /// Not yet.
    Asked,
    /// It is there.
    Had,
    /// It can not be had, and why.
    Missing(String),
}

/// A reference that may have to be changed.
#[derive(Debug)]
pub(super) struct Link {
    /// The file in which it stands.
    pub(super) from: usize,
    /// The address of its text.
    pub(super) address: usize,
    /// Where it stands, for the report: as [`clip`] leaves it.
    pub(super) at: String,
    /// What it refers to.
    pub(super) slot: Slot,
    /// The place in the root that could get what it leads to.
    pub(super) home: Option<String>,
    /// Whether it is replaced by what it leads to in any case.
    pub(super) embedded: bool,
}

/// A part of a file.
#[derive(Debug)]
pub(super) struct Target {
    /// The file.
    pub(super) file: usize,
    /// The pointer in it, escaped, empty for the whole.
    pub(super) pointer: String,
    /// Whether it is named by where the file stands, not by the place in the root that got it.
    pub(super) raw: bool,
}

/// What was found so far.
#[derive(Debug)]
pub(super) struct Links {
    /// Files by number; the root is the first.
    files: Vec<File>,
    /// Their numbers.
    by_location: HashMap<String, usize>,
    /// Names in use.
    names: HashSet<String>,
    /// The root's own `$self`, absolute.
    own: Option<String>,
    /// What was walked: address and meaning.
    pub(super) visited: HashSet<(usize, Slot)>,
    /// References to change, by the address of their text.
    edits: HashMap<usize, Target>,
    /// Parts that the root gets, by file and pointer.
    homes: HashMap<usize, HashMap<String, String>>,
    /// References into files that are not there yet, with their fragments.
    waiting: HashMap<usize, Vec<(Link, String)>>,
    /// Files that came since.
    arrived: Vec<usize>,
    /// Files that were not asked for yet.
    unasked: Vec<String>,
    /// What is to be said of references.
    notes: Vec<Note>,
    /// Positions in that list, by message.
    noted: HashMap<String, usize>,
}

/// Something that is to be said of references, once for all.
#[derive(Debug)]
struct Note {
    /// Where the first of them stands.
    place: String,
    /// What was done.
    action: Action,
    /// What is to be said.
    message: String,
    /// How many there are.
    references: usize,
}

impl Links {
    /// With the root alone. `own` is its `$self`.
    pub(super) fn new(location: &str, own: Option<&str>) -> Self {
        let location = location::normalise(location);
        let own = own.and_then(|own| location::resolve(&location, own));
        let mut by_location = HashMap::from([(location.clone(), 0)]);
        if let Some(own) = &own {
            by_location.entry(own.clone()).or_insert(0);
        }
        let root = File {
            name: String::new(),
            location,
            state: State::Had,
            place: String::new(),
            references: 0,
        };
        Self {
            files: vec![root],
            by_location,
            names: HashSet::new(),
            own,
            visited: HashSet::new(),
            edits: HashMap::new(),
            homes: HashMap::new(),
            waiting: HashMap::new(),
            arrived: Vec::new(),
            unasked: Vec::new(),
            notes: Vec::new(),
            noted: HashMap::new(),
        }
    }

    /// Where a reference stands, in the words of its file.
    fn place(&self, link: &Link) -> String {
        match link.from {
            0 => link.at.clone(),
            file => format!("{}{}", self.files[file].location, link.at),
        }
    }

    /// Where a file is read.
    pub(super) fn location(&self, file: usize) -> &str {
        &self.files[file].location
    }

    /// The files that were read, but the root: number, name, location.
    pub(super) fn files(&self) -> impl Iterator<Item = (usize, &str, &str)> {
        let had = |(_, file): &(usize, &File)| matches!(file.state, State::Had);
        let all = self.files.iter().enumerate().skip(1).filter(had);
        all.map(|(number, file)| (number, file.name.as_str(), file.location.as_str()))
    }

    /// The file that a reference in another one means; it is asked for, if it is new. `None`:
    /// there can be no such file.
    pub(super) fn file(&mut self, link: &Link, reference: &str) -> Option<usize> {
        let base = &self.files[link.from].location;
        let location = location::resolve(base, reference)?;
        let known = self.by_location.get(&location).copied().or_else(|| {
            let own = self.own.as_deref().filter(|_| link.from == 0)?;
            (location::resolve(own, reference)? == own).then_some(0)
        });
        let number = known.unwrap_or_else(|| self.add(location, self.place(link)));
        self.files[number].references += 1;
        Some(number)
    }

    /// A new file.
    fn add(&mut self, location: String, place: String) -> usize {
        let number = self.files.len();
        let state = if number < MAX_FILES {
            self.unasked.push(location.clone());
            State::Asked
        } else {
            State::Missing(format!("a document has at most {MAX_FILES} files"))
        };
        let stem = location::stem(&location);
        let mut name = stem.clone();
        // As many as there are files, at the worst.
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{stem}_{count}");
        }
        self.by_location.insert(location.clone(), number);
        self.files.push(File {
            location,
            name,
            state,
            place,
            references: 0,
        });
        number
    }

    /// The locations that were not asked for yet.
    pub(super) fn take_unasked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unasked)
    }

    /// The file of a location that was asked for and has not come.
    pub(super) fn expected(&self, location: &str) -> Option<usize> {
        let number = *self.by_location.get(location)?;
        matches!(self.files[number].state, State::Asked).then_some(number)
    }

    /// A file came, or will not.
    pub(super) fn had(&mut self, file: usize, missing: Option<String>) {
        self.files[file].state = missing.map_or(State::Had, State::Missing);
        self.arrived.push(file);
    }

    /// The references that waited for what came since, with their files and fragments.
    pub(super) fn arrived(&mut self) -> Vec<(usize, Link, String)> {
        let mut all = Vec::new();
        for file in std::mem::take(&mut self.arrived) {
            let waiting = self.waiting.remove(&file).unwrap_or_default();
            all.extend(
                waiting
                    .into_iter()
                    .map(|(link, fragment)| (file, link, fragment)),
            );
        }
        all
    }

    /// A reference into a file that is not there.
    pub(super) fn wait(&mut self, file: usize, link: Link, fragment: &str) {
        if matches!(self.files[file].state, State::Asked) {
            let waiting = self.waiting.entry(file).or_default();
            waiting.push((link, fragment.to_owned()));
        }
    }

    /// A reference is to lead there. Gives the place in the root that gets what is there, if
    /// this reference decides that; `whole` says that a pointer leads there without detours.
    pub(super) fn lead(
        &mut self,
        link: Link,
        file: usize,
        pointer: String,
        whole: bool,
    ) -> Option<String> {
        let fits = |text: &str| text.len() <= MAX_HOME;
        let home = link
            .home
            .filter(|home| whole && file != 0 && fits(home) && fits(&pointer))
            .filter(|home| {
                let homes = self.homes.entry(file).or_default();
                let free = !homes.contains_key(&pointer);
                if free {
                    homes.insert(pointer.clone(), home.clone());
                }
                free
            });
        let raw = link.embedded || home.is_some();
        self.edits
            .insert(link.address, Target { file, pointer, raw });
        home
    }

    /// Something is to be said of a reference.
    pub(super) fn note(&mut self, link: &Link, action: Action, message: String) {
        if let Some(index) = self.noted.get(&message) {
            self.notes[*index].references += 1;
        } else if self.notes.len() < MAX_FINDINGS {
            self.noted.insert(message.clone(), self.notes.len());
            self.notes.push(Note {
                place: self.place(link),
                action,
                message,
                references: 1,
            });
        }
    }

    /// Whether no reference changes.
    pub(super) fn is_idle(&self) -> bool {
        self.edits.is_empty()
    }

    /// Changes the references in a file. It must not have been moved since it was walked, but
    /// for the outermost value.
    pub(super) fn rewrite(&self, content: &mut Value) {
        let mut open = vec![content];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) => open.extend(map.values_mut()),
                Value::Array(list) => open.extend(list),
                Value::String(text) => {
                    let edit = self.edits.get(&address(text));
                    if let Some(target) = edit {
                        *text = self.written(target).into();
                    }
                }
                _ => {}
            }
        }
    }

    /// A local reference.
    fn written(&self, target: &Target) -> String {
        let Target { file, pointer, raw } = target;
        let whole = |base: &str, rest: &str| encode(&format!("{base}{rest}"));
        if *file == 0 {
            return whole("#", pointer);
        }
        if let Some(homes) = self.homes.get(file).filter(|_| !raw) {
            let mut end = pointer.len();
            loop {
                let home = homes.get(&pointer[..end]).filter(|_| end <= MAX_HOME);
                if let Some(home) = home {
                    return whole(home, &pointer[end..]);
                }
                match pointer[..end].rfind('/') {
                    Some(shorter) => end = shorter,
                    None => break,
                }
            }
        }
        whole(&format!("#/{FILES}/{}", self.files[*file].name), pointer)
    }

    /// What can not be had: one line for each location, and for each way to lead nowhere.
    pub(super) fn report(&self) -> Vec<Finding> {
        let missing = self.files.iter().filter_map(|file| {
            let reason = match &file.state {
                State::Had => return None,
                State::Asked => "it was not read",
                State::Missing(reason) => reason,
            };
            let location = clip(&file.location);
            let message = format!("`{location}` can not be had: {reason}");
            Some((&file.place, Action::Simplified, message, file.references))
        });
        let notes = self.notes.iter().map(|note| {
            let message = note.message.clone();
            (&note.place, note.action, message, note.references)
        });
        let mut report: Vec<Finding> = missing
            .chain(notes)
            .map(|(place, action, message, references)| {
                let message = match references {
                    0 | 1 => message,
                    more => format!("{message} ({more} references)"),
                };
                Finding::new(place.as_str(), action, message)
            })
            .collect();
        let more = report.len().saturating_sub(MAX_FINDINGS);
        if more > 0 {
            report.truncate(MAX_FINDINGS);
            report.push(Finding::new(
                "#",
                Action::Noted,
                format!(
                    "and {more} more {} to what can not be had",
                    plural(more, "reference", "references")
                ),
            ));
        }
        report
    }
}

/// What a text of a document is known by while the document stands still.
pub(super) fn address(text: &Text) -> usize {
    std::ptr::from_ref(text).addr()
}

/// Whether a value of `discriminator.mapping` is a file rather than a name.
pub(super) fn is_file(text: &str) -> bool {
    let endings = [".json", ".yaml", ".yml"];
    !text.starts_with('#')
        && (text.contains(['/', '#', '\\']) || endings.iter().any(|ending| text.ends_with(ending)))
}

/// A text, cut to a part of it (for a pointer: a parent) that fits into a report.
pub(super) fn clip(text: &str) -> &str {
    if text.len() <= MAX_PLACE {
        return text;
    }
    let end = text.floor_char_boundary(MAX_PLACE);
    let end = text[..end].rfind('/').unwrap_or(end);
    &text[..end]
}
