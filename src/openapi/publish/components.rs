//! Where rendering stands: the place in the original, the report, and the components that are
//! used and still to be rendered.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::openapi::{Map, Text, Value, json};

use super::super::bundle::FILES;
use super::super::identify;
use super::super::pointer::{self, Place};
use super::super::size;
use super::inline::Inlining;
use super::shared::Sharing;
use super::{Action, Finding, Target};

/// Longest report of one rendering.
const MAX_FINDINGS: usize = 20_000;
/// Longest report of one rendering in bytes of its pointers, which may have keys of any length.
const MAX_POINTERS: usize = 16 << 20;
/// Longest name that is made for a component.
const MAX_NAME: usize = 100;
/// Values that are published as components and are none in the original.
const MAX_COPIES: usize = 500_000;
/// Deepest value that is searched for anchors.
const MAX_DEPTH: usize = 256;

/// A part of `components` that published documents have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Section {
    /// `schemas`
    Schemas,
    /// `responses`
    Responses,
    /// `parameters`
    Parameters,
    /// `examples`
    Examples,
    /// `requestBodies`
    RequestBodies,
    /// `headers`
    Headers,
}

impl Section {
    /// In the order in which they are published.
    const ALL: [Section; 6] = [
        Section::Schemas,
        Section::Responses,
        Section::Parameters,
        Section::Examples,
        Section::RequestBodies,
        Section::Headers,
    ];

    /// Its key in `components`.
    fn key(self) -> &'static str {
        match self {
            Section::Schemas => "schemas",
            Section::Responses => "responses",
            Section::Parameters => "parameters",
            Section::Examples => "examples",
            Section::RequestBodies => "requestBodies",
            Section::Headers => "headers",
        }
    }
}

/// Schemas by anchor, and by anchor and the component that they stand in.
type Anchors<'d> = HashMap<(&'d str, Option<String>), Place<'d>>;

/// Renders parts of one document.
pub(super) struct Renderer<'d> {
    /// The original.
    pub(super) root: &'d Value,
    /// What is made of it.
    pub(super) target: Target,
    /// Whether the original is `OpenAPI` 3.0.
    pub(super) from_3_0: bool,
    /// How deep in a schema we are.
    pub(super) depth: usize,
    /// Whether long descriptions are cut.
    pub(super) cut: bool,
    /// What is written out where it is referred to.
    pub(super) inline: Inlining,
    /// What is published once of what operations refer to.
    pub(super) sharing: Sharing,
    /// Pointer into the original to what is being rendered.
    at: String,
    /// How many values may still be published as components that are none in the original.
    copies: usize,
    /// What was repaired and dropped.
    report: Vec<Finding>,
    /// How many bytes its pointers may still have.
    pointers: usize,
    /// Names given to what is referred to, by section and pointer.
    names: HashMap<(Section, String), String>,
    /// Names that are in use.
    taken: HashSet<(Section, String)>,
    /// What is referred to, in the order of discovery.
    found: Vec<(Section, String)>,
    /// What of that is not rendered yet.
    queue: VecDeque<(Section, String, Place<'d>)>,
    /// `$anchor`, `$dynamicAnchor` and `$id` of the document, once one was asked for.
    anchors: Option<Anchors<'d>>,
    /// Schemas by those that they extend with `allOf`, once asked for.
    heirs: Option<HashMap<String, Vec<&'d str>>>,
}

impl<'d> Renderer<'d> {
    /// At the root of a document.
    pub(super) fn new(root: &'d Value, target: Target) -> Self {
        let components = root.get("components");
        let taken = Section::ALL
            .into_iter()
            .filter_map(|section| Some((section, components?.get(section.key())?.as_object()?)))
            .flat_map(|(section, map)| map.keys().map(move |name| (section, name.to_string())))
            .collect();
        let version = root
            .get("openapi")
            .map(Value::to_string)
            .unwrap_or_default();
        Self {
            root,
            target,
            from_3_0: version.trim_start_matches('"').starts_with("3.0"),
            depth: 0,
            cut: false,
            inline: Inlining::default(),
            sharing: Sharing::default(),
            at: "#".to_owned(),
            copies: MAX_COPIES,
            report: Vec::new(),
            pointers: MAX_POINTERS,
            names: HashMap::new(),
            taken,
            found: Vec::new(),
            queue: VecDeque::new(),
            anchors: None,
            heirs: None,
        }
    }

    /// Notes something about what is being rendered.
    pub(super) fn note(&mut self, action: Action, message: impl Into<String>) {
        let left = self.pointers.checked_sub(self.at.len());
        if let Some(left) = left
            && self.report.len() < MAX_FINDINGS
        {
            self.pointers = left;
            self.report
                .push(Finding::new(self.at.as_str(), action, message));
        }
    }

    /// Notes something about another place.
    pub(super) fn note_at(&mut self, at: &str, action: Action, message: impl Into<String>) {
        self.elsewhere(at, |this| this.note(action, message));
    }

    /// Does something with a member of what is being rendered.
    pub(super) fn within<T>(&mut self, segment: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.at.len();
        pointer::push(&mut self.at, segment);
        let done = work(self);
        self.at.truncate(length);
        done
    }

    /// Does something with an item of what is being rendered.
    pub(super) fn within_item<T>(&mut self, index: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.at.len();
        pointer::push_index(&mut self.at, index);
        let done = work(self);
        self.at.truncate(length);
        done
    }

    /// Does something with another place.
    pub(super) fn elsewhere<T>(&mut self, at: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.at, at.to_owned());
        let done = work(self);
        self.at = before;
        done
    }

    /// The pointer to what holds what is being rendered.
    pub(super) fn parent(&self) -> String {
        self.at
            .rsplit_once('/')
            .map_or_else(|| self.at.clone(), |(parent, _)| parent.to_owned())
    }

    /// A place below the one that is being rendered.
    pub(super) fn place(&self, segment: &str, value: &'d Value) -> Place<'d> {
        Place {
            pointer: pointer::join(&self.at, segment),
            value,
        }
    }

    /// The published form of a reference; what it points to becomes a component. `None`: it
    /// leads nowhere.
    pub(super) fn reference(&mut self, section: Section, reference: &str) -> Option<String> {
        let place = self.find(section, reference)?;
        let usable =
            place.value.is_object() || (section == Section::Schemas && place.value.is_boolean());
        if !usable {
            return None;
        }
        self.component(section, place)
    }

    /// The reference to a place, which becomes a component. `None`: it is too large for one.
    pub(super) fn component(&mut self, section: Section, place: Place<'d>) -> Option<String> {
        let name = self.name(section, place)?;
        Some(format!("#/components/{}/{name}", section.key()))
    }

    /// What a reference leads to.
    pub(super) fn find(&mut self, section: Section, reference: &str) -> Option<Place<'d>> {
        pointer::resolve(self.root, reference).or_else(|| self.guess(section, reference))
    }

    /// The published form of a reference; if it leads nowhere, that is noted.
    pub(super) fn reference_or_note(&mut self, section: Section, reference: &str) -> Option<Value> {
        let published = self.reference(section, reference);
        if published.is_none() {
            self.note(
                Action::Simplified,
                format!("the reference `{reference}` leads nowhere"),
            );
        }
        published.map(|published| json!({ "$ref": published }))
    }

    /// The name of a component, which is queued when it is new.
    fn name(&mut self, section: Section, place: Place<'d>) -> Option<String> {
        let key = (section, place.pointer);
        if let Some(name) = self.names.get(&key) {
            return Some(name.clone());
        }
        let prefix = format!("#/components/{}/", section.key());
        let own = key.1.strip_prefix(&prefix).filter(|name| is_name(name));
        let name = if let Some(name) = own {
            name.to_owned()
        } else {
            // It is published a second time, beside where it stands: that is bounded.
            let left = size::take(place.value, self.copies);
            // Once refused, always refused: no second look at what is too large.
            self.copies = left.unwrap_or_default();
            left?;
            self.new_name(section, &key.1)
        };
        self.found.push((section, name.clone()));
        let place = Place {
            pointer: key.1.clone(),
            value: place.value,
        };
        self.queue.push_back((section, name.clone(), place));
        self.names.insert(key, name.clone());
        Some(name)
    }

    /// A name for what is no component of this section in the original, made of its pointer. In
    /// the content of another file it is the last part alone, if that is free.
    fn new_name(&mut self, section: Section, at: &str) -> String {
        let words = pointer::segments(at).unwrap_or_default();
        let is_section = |word: &str| word == "components" || word == section.key();
        let base = match words.as_slice() {
            [files, file, rest @ ..] if files == FILES => {
                let legacy = |word: &str| matches!(word, "definitions" | "$defs");
                let inner = rest
                    .iter()
                    .map(String::as_str)
                    .filter(|word| !is_section(word) && !legacy(word));
                let inner: Vec<&str> = inner.collect();
                if let [name] = inner.as_slice() {
                    let name = name_of([*name].into_iter());
                    if !name.is_empty() && self.taken.insert((section, name.clone())) {
                        return name;
                    }
                }
                name_of([file.as_str()].into_iter().chain(inner))
            }
            words => name_of(
                words
                    .iter()
                    .map(String::as_str)
                    .filter(|word| !is_section(word)),
            ),
        };
        let base = match base.as_str() {
            "" => section.key(),
            base => base,
        };
        let mut name = base.to_owned();
        let mut salt = at.to_owned();
        while !self.taken.insert((section, name.clone())) {
            name = format!("{base}_{}", identify::hash(&salt));
            salt.push('+');
        }
        name
    }

    /// What a reference may mean that is no pointer from the root: an anchor, a pointer within
    /// its own component, or the bare name of a schema.
    fn guess(&mut self, section: Section, reference: &str) -> Option<Place<'d>> {
        if section != Section::Schemas {
            return None;
        }
        if let Some(inner) = reference.strip_prefix("#/") {
            let within = format!("{}/{inner}", component_of(&self.at));
            let last = inner.rsplit('/').next().unwrap_or_default();
            let definition = format!("#/components/schemas/{last}");
            let legacy = inner.starts_with("definitions/");
            return pointer::resolve(self.root, &within)
                .or_else(|| pointer::resolve(self.root, &definition).filter(|_| legacy));
        }
        if reference == "#" {
            // The root of a schema that stands in a document is its component.
            return pointer::resolve(self.root, &component_of(&self.at));
        }
        let schemas = self.root.get("components").and_then(|c| c.get("schemas"));
        if let Some(value) = schemas.and_then(|schemas| schemas.get(reference)) {
            let pointer = pointer::join("#/components/schemas", reference);
            return Some(Place { pointer, value });
        }
        let anchor = reference.strip_prefix('#').unwrap_or(reference);
        let root = self.root;
        let anchors = self.anchors.get_or_insert_with(|| {
            let mut anchors = HashMap::new();
            collect_anchors(root, &mut "#".to_owned(), 0, &mut anchors);
            anchors
        });
        // The one of the same component, or the first.
        let own = (anchor, Some(component_of(&self.at)));
        anchors
            .get(&own)
            .or_else(|| anchors.get(&(anchor, None)))
            .cloned()
    }

    /// Names of the schemas that extend the component that is being rendered.
    pub(super) fn heirs(&mut self) -> Vec<&'d str> {
        let root = self.root;
        let heirs = self.heirs.get_or_insert_with(|| heirs_of(root));
        heirs.get(&self.at).cloned().unwrap_or_default()
    }

    /// Renders what is used, and gives `components` and the report.
    pub(super) fn finish(mut self) -> (Map, Vec<Finding>) {
        let mut done: HashMap<(Section, String), Value> = HashMap::new();
        while let Some((section, name, place)) = self.queue.pop_front() {
            let value = place.value;
            let mut rendered = self.elsewhere(&place.pointer, |this| match section {
                Section::Schemas => this.schema(value),
                Section::Responses => this.response(value),
                Section::Parameters => this.shared_parameter(&place),
                Section::Examples => this.example(value),
                Section::RequestBodies => this.shared_body(value),
                Section::Headers => this.header(value),
            });
            rendered.shrink_to_fit();
            done.insert((section, name), rendered);
        }
        let mut components = Map::new();
        for section in Section::ALL {
            let original = self
                .root
                .get("components")
                .and_then(|c| c.get(section.key()));
            let original = original
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(Map::keys)
                .map(Text::as_str);
            let found = self
                .found
                .iter()
                .filter(|(s, _)| *s == section)
                .map(|(_, name)| name.as_str());
            let mut out = Map::new();
            for name in original.chain(found) {
                if let Some(value) = done.remove(&(section, name.to_owned())) {
                    out.insert(name, value);
                }
            }
            if !out.is_empty() {
                components.insert(section.key().to_owned(), Value::Object(out));
            }
        }
        (components, self.report)
    }
}

/// The component that a place is in, or the like: the first three segments of its pointer.
fn component_of(at: &str) -> String {
    at.splitn(5, '/').take(4).collect::<Vec<_>>().join("/")
}

/// Words as a name that `components` may have; empty if nothing of them may be in one.
fn name_of<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut name = String::new();
    for c in words.flat_map(|word| word.chars().chain(['_'])) {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
            c
        } else {
            '_'
        };
        if !(c == '_' && (name.is_empty() || name.ends_with('_'))) && name.len() < MAX_NAME {
            name.push(c);
        }
    }
    name.trim_end_matches('_').to_owned()
}

/// Whether a pointer segment is a name that `components` may have.
fn is_name(segment: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !segment.is_empty() && segment.bytes().all(allowed)
}

/// All anchors and ids below a value.
fn collect_anchors<'d>(value: &'d Value, at: &mut String, depth: usize, anchors: &mut Anchors<'d>) {
    if depth > MAX_DEPTH {
        return;
    }
    let length = at.len();
    match value {
        Value::Object(map) => {
            for keyword in ["$anchor", "$dynamicAnchor", "$id"] {
                if let Some(Value::String(anchor)) = map.get(keyword) {
                    let place = Place {
                        pointer: at.clone(),
                        value,
                    };
                    let own = (anchor.as_str(), Some(component_of(at)));
                    anchors
                        .entry((anchor, None))
                        .or_insert_with(|| place.clone());
                    anchors.entry(own).or_insert(place);
                }
            }
            for (key, inner) in map {
                pointer::push(at, key);
                collect_anchors(inner, at, depth + 1, anchors);
                at.truncate(length);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                pointer::push_index(at, index);
                collect_anchors(inner, at, depth + 1, anchors);
                at.truncate(length);
            }
        }
        _ => {}
    }
}

/// Schemas of `components` by the pointer of what their `allOf` refers to.
fn heirs_of(root: &Value) -> HashMap<String, Vec<&str>> {
    let mut heirs: HashMap<String, Vec<&str>> = HashMap::new();
    let schemas = root.get("components").and_then(|c| c.get("schemas"));
    for (name, schema) in schemas.and_then(Value::as_object).into_iter().flatten() {
        let all_of = schema.get("allOf").and_then(Value::as_array);
        for parent in all_of
            .into_iter()
            .flatten()
            .filter_map(pointer::reference_of)
        {
            heirs.entry(parent.to_owned()).or_default().push(name);
        }
    }
    heirs
}
