//! Finds the references of everything that is reachable.

use std::collections::VecDeque;

use crate::openapi::{Map, Text, Value};

use super::super::{Action, pointer};
use super::content::{Content, MAX_DEPTH, encode};
use super::kinds::{Kind, Shape, Slot};
use super::links::{Link, Links, address, clip, is_file};

/// A part of a file that is to be walked.
struct Job<'c> {
    /// The file.
    file: usize,
    /// Where, as `#/…`.
    at: String,
    /// What stands there.
    value: &'c Value,
    /// What it means.
    slot: Slot,
    /// The place in the root that gets it.
    home: Option<String>,
}

/// Where one walk is in the root, once embedded.
struct Home {
    /// The place in the root of where the walk began.
    base: String,
    /// How long the pointer was there.
    skip: usize,
}

/// Walks over the files that are there.
pub(super) struct Walk<'c, 'l> {
    /// The files.
    contents: &'c [Content],
    /// What is found.
    links: &'l mut Links,
    /// What is still to be walked.
    jobs: VecDeque<Job<'c>>,
    /// The file that is being walked.
    file: usize,
    /// Where in it.
    at: String,
    /// Where in the root, if it will stand there.
    home: Option<Home>,
}

impl<'c, 'l> Walk<'c, 'l> {
    /// With nothing to do.
    pub(super) fn new(contents: &'c [Content], links: &'l mut Links) -> Self {
        Self {
            contents,
            links,
            jobs: VecDeque::new(),
            file: 0,
            at: String::new(),
            home: None,
        }
    }

    /// Begins with the whole root.
    pub(super) fn root(&mut self) {
        if let Some(value) = self.contents.first().and_then(|c| c.value.as_deref()) {
            self.jobs.push_back(Job {
                file: 0,
                at: "#".to_owned(),
                value,
                slot: Slot::one(Kind::Document),
                home: Some("#".to_owned()),
            });
        }
    }

    /// Walks all that can be walked.
    pub(super) fn run(&mut self) {
        for (file, link, fragment) in self.links.arrived() {
            self.settle(link, file, &fragment);
        }
        while let Some(job) = self.jobs.pop_front() {
            self.file = job.file;
            self.home = job.home.map(|base| Home {
                base,
                skip: job.at.len(),
            });
            self.at = job.at;
            let top = self.home.is_some();
            self.visit(job.value, job.slot, 0, top);
        }
    }

    /// One value. `top`: it will stand in the root, where references are replaced by what they
    /// lead to.
    fn visit(&mut self, value: &'c Value, slot: Slot, depth: usize, top: bool) {
        let is_new = |this: &mut Self| {
            let address = std::ptr::from_ref(value).addr();
            this.links.visited.insert((address, slot))
        };
        match value {
            Value::Object(map) if depth <= MAX_DEPTH && is_new(self) => match slot.shape {
                Shape::One => self.object(map, slot.kind, depth, top),
                Shape::Named | Shape::Section => self.named(map, slot, depth, top),
                Shape::Each => {}
            },
            Value::Array(list)
                if depth <= MAX_DEPTH
                    && (slot.shape == Shape::Each || slot == Slot::one(Kind::Schema))
                    && is_new(self) =>
            {
                let length = self.at.len();
                for (index, inner) in list.iter().enumerate() {
                    pointer::push_index(&mut self.at, index);
                    self.visit(inner, Slot::one(slot.kind), depth + 1, false);
                    self.at.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// An object of a kind.
    fn object(&mut self, map: &'c Map, kind: Kind, depth: usize, top: bool) {
        // What stands in these stands at the top of the document too.
        let inner_top = top && matches!(kind, Kind::Document | Kind::Components | Kind::Paths);
        let may_refer = top || !matches!(kind, Kind::Components | Kind::Paths);
        for (name, inner) in map {
            let length = self.at.len();
            pointer::push(&mut self.at, name);
            match inner {
                Value::String(text) if kind.refers(name) => {
                    if may_refer {
                        let embedded = top && kind.is_embedded();
                        self.reference(text, Slot::one(kind), top && map.len() == 1, embedded);
                    }
                }
                Value::String(text) if kind == Kind::Discriminator => {
                    if name == "defaultMapping" {
                        self.mapping(text);
                    }
                }
                Value::Object(names) if kind == Kind::Discriminator && name == "mapping" => {
                    for text in names.values() {
                        if let Value::String(text) = text {
                            self.mapping(text);
                        }
                    }
                }
                inner => {
                    if let Some(slot) = kind.member(name) {
                        self.visit(inner, slot, depth + 1, inner_top);
                    }
                }
            }
            self.at.truncate(length);
        }
    }

    /// An object whose keys are names.
    fn named(&mut self, map: &'c Map, slot: Slot, depth: usize, top: bool) {
        let top = top && slot.shape == Shape::Section;
        for (name, inner) in map {
            let length = self.at.len();
            pointer::push(&mut self.at, name);
            match inner {
                // No name: nothing that has one is a text.
                Value::String(text) if top && name == "$ref" => {
                    self.reference(text, slot, map.len() == 1, true);
                }
                inner => self.visit(inner, Slot::one(slot.kind), depth + 1, top),
            }
            self.at.truncate(length);
        }
    }

    /// The reference that stands here. `alone`: nothing stands beside it, and what it leads to
    /// could stand in the root in its place. `embedded`: it will in any case.
    fn reference(&mut self, text: &'c Text, slot: Slot, alone: bool, embedded: bool) {
        let address = address(text);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let (base, fragment) = text.split_once('#').unwrap_or((text, ""));
        let is_schema = slot == Slot::one(Kind::Schema);
        if base.is_empty() {
            self.local(address, fragment, slot);
            return;
        }
        if is_schema && self.by_name(address, text, slot) {
            return;
        }
        if is_schema && self.by_id(address, base, fragment, slot) {
            return;
        }
        if base.starts_with('/') && !text.contains('#') && self.found_here(base) {
            // A pointer that lacks its `#`.
            let link = self.link(address, slot);
            self.settle(link, self.file, base);
            return;
        }
        // A path item is copied for each path: an overlay may change one of them.
        let home = if alone && slot != Slot::one(Kind::PathItem) {
            self.home()
        } else {
            None
        };
        let mut link = self.link(address, slot);
        link.home = home;
        link.embedded = embedded;
        if let Some(file) = self.links.file(&link, base) {
            self.settle(link, file, fragment);
        } else {
            let message = format!("the reference `{}` names no file", clip(text));
            self.links.note(&link, Action::Simplified, message);
        }
    }

    /// The object that holds the reference that stands here, as a place in the root.
    fn home(&self) -> Option<String> {
        let home = self.home.as_ref()?;
        let (object, _) = self.at.rsplit_once('/')?;
        Some(format!("{}{}", home.base, object.get(home.skip..)?))
    }

    /// A reference within its own file.
    fn local(&mut self, address: usize, fragment: &str, slot: Slot) {
        if self.file == 0 {
            // It stays as it is. Anchors are found where they stand.
            let found = self.contents[0].find(fragment);
            if let Some(found) = found.filter(|_| fragment.starts_with('/')) {
                self.push(0, &found.at, found.value, slot, None);
            }
            return;
        }
        let link = self.link(address, slot);
        if self.found_here(fragment) {
            self.settle(link, self.file, fragment);
            return;
        }
        if let Some(found) = self.contents[0]
            .find(fragment)
            .filter(|_| !fragment.is_empty())
        {
            // Left as it is, it means the root.
            let message = format!(
                "`#{}` is not in `{}`; that of the root document is meant",
                clip(fragment),
                clip(self.links.location(self.file))
            );
            self.push(0, &found.at, found.value, slot, None);
            self.links.note(&link, Action::Repaired, message);
            return;
        }
        self.settle(link, self.file, fragment);
    }

    /// A schema by its bare name, as old documents write it. Whether it is one.
    fn by_name(&mut self, address: usize, text: &str, slot: Slot) -> bool {
        if let Some(pointer) = self.contents[self.file].named(text) {
            if self.file != 0 {
                let link = self.link(address, slot);
                self.settle(link, self.file, &encode(&pointer));
            }
            return true;
        }
        let is_bare = !text.contains(['/', '\\', '.', '#', ':']);
        is_bare && self.contents[0].named(text).is_some()
    }

    /// A schema by its `$id`. Whether it is one.
    fn by_id(&mut self, address: usize, base: &str, fragment: &str, slot: Slot) -> bool {
        let is_url = base.contains(':');
        let own = self.contents[self.file].anchor(base);
        let of_root = || self.contents[0].anchor(base).filter(|_| is_url);
        let (file, pointer) = match own {
            Some(pointer) => (self.file, pointer),
            None => match of_root() {
                Some(pointer) => (0, pointer),
                None => return false,
            },
        };
        if file == 0 && fragment.is_empty() {
            // It stays as it is: ids are found where they stand.
            return true;
        }
        let fragment = match fragment.strip_prefix('/') {
            Some(rest) => format!("{}/{rest}", encode(pointer.trim_end_matches('/'))),
            None if fragment.is_empty() => encode(pointer),
            None => fragment.to_owned(),
        };
        let link = self.link(address, slot);
        self.settle(link, file, &fragment);
        true
    }

    /// A value of `discriminator.mapping`: a name or a reference.
    fn mapping(&mut self, text: &'c Text) {
        let is_name = self.contents[self.file].named(text).is_some();
        if is_name || text.starts_with('#') || is_file(text) {
            self.reference(text, Slot::one(Kind::Schema), false, false);
        }
    }

    /// Whether a fragment leads to something in the file that is being walked.
    fn found_here(&self, fragment: &str) -> bool {
        self.contents[self.file].find(fragment).is_some()
    }

    /// The reference that stands here.
    fn link(&self, address: usize, slot: Slot) -> Link {
        Link {
            from: self.file,
            address,
            at: clip(&self.at).to_owned(),
            slot,
            home: None,
            embedded: false,
        }
    }

    /// Decides where a reference leads, or lets it wait for its file.
    fn settle(&mut self, link: Link, file: usize, fragment: &str) {
        let content = self.contents.get(file).filter(|c| c.value.is_some());
        let Some(content) = content else {
            self.links.wait(file, link, fragment);
            return;
        };
        let Some(found) = content.find(fragment) else {
            let message = match file {
                0 => format!("the reference `#{}` leads nowhere", clip(fragment)),
                file => {
                    let location = clip(self.links.location(file));
                    format!(
                        "the reference to `{location}#{}` leads nowhere",
                        clip(fragment)
                    )
                }
            };
            self.links.note(&link, Action::Simplified, message);
            return;
        };
        let slot = link.slot;
        let whole = found.is_there() && found.value.is_object();
        let home = self.links.lead(link, file, found.pointer, whole);
        self.push(file, &found.at, found.value, slot, home);
    }

    /// Notes what is to be walked.
    fn push(&mut self, file: usize, at: &str, value: &'c Value, slot: Slot, home: Option<String>) {
        let address = std::ptr::from_ref(value).addr();
        if !self.links.visited.contains(&(address, slot)) {
            self.jobs.push_back(Job {
                file,
                at: format!("#{at}"),
                value,
                slot,
                home,
            });
        }
    }
}
