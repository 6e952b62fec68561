//! A look at the whole document before anything in it is moved: where its references lead, and
//! what is used from elsewhere.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use crate::openapi::{Map, Value};

use super::super::pointer;
use super::kinds::{Kind, is_method};
use super::ledger::Ledger;
use super::parameters::{self, In, Parsed};

/// How many references are followed in a row.
const MAX_HOPS: usize = 32;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Where references lead that are not written as the pointer of their place.
    aliases: HashMap<String, String>,
    /// Places that are used as something although they do not stand where such things stand.
    pub(super) roots: Vec<(String, Kind)>,
    /// By the references to parameters and responses: the places that they lead to in the end.
    ends: HashMap<String, String>,
    /// Bodies and form fields that are referred to, by place.
    shared: HashMap<String, Rc<Parsed>>,
    /// Bodies and form fields that the path item around it brings, by the place of a path item
    /// or operation that is referred to.
    inherited: HashMap<String, Vec<Rc<Parsed>>>,
    /// Responses with a schema that operations with media types of their own refer to, by place.
    responses: HashMap<String, Rc<Value>>,
}

impl Survey {
    /// Looks at a document.
    pub(super) fn of(document: &Value, ledger: &mut Ledger) -> Self {
        let mut survey = Self::default();
        survey.collect_references(document, ledger);
        let mut walk = Walk {
            root: document,
            ledger,
            survey,
            open: VecDeque::new(),
            seen: HashSet::new(),
            ends: HashMap::new(),
        };
        walk.document();
        let mut survey = walk.survey;
        survey.drop_covered();
        survey
    }

    /// Resolves all references, and whatever looks like one.
    fn collect_references(&mut self, document: &Value, ledger: &mut Ledger) {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut open = vec![document];
        while let Some(value) = open.pop() {
            let map = match value {
                Value::Object(map) => map,
                Value::Array(list) => {
                    open.extend(list);
                    continue;
                }
                _ => continue,
            };
            open.extend(map.values());
            let mapping = map.get("mapping").and_then(Value::as_object);
            let mapped = mapping.into_iter().flat_map(Map::values);
            for text in map
                .get("$ref")
                .into_iter()
                .chain(mapped)
                .filter_map(Value::as_str)
            {
                if !text.starts_with("#/") || !seen.insert(text) {
                    continue;
                }
                let Some(place) = resolve(document, text) else {
                    continue;
                };
                ledger.target(place.pointer.clone());
                if place.pointer != text {
                    self.aliases.insert(text.to_owned(), place.pointer);
                }
            }
        }
    }

    /// The old place that a reference leads to, if it is not what is written there.
    pub(super) fn alias<'a>(&'a self, reference: &'a str) -> &'a str {
        self.aliases
            .get(reference)
            .map_or(reference, String::as_str)
    }

    /// The body or form field that a reference in a list of parameters leads to.
    pub(super) fn shared(&self, reference: &str) -> Option<Rc<Parsed>> {
        self.shared_at(self.ends.get(reference)?)
    }

    /// The body or form field at a place that is referred to.
    pub(super) fn shared_at(&self, at: &str) -> Option<Rc<Parsed>> {
        self.shared.get(at).map(Rc::clone)
    }

    /// What the path item around a place brings.
    pub(super) fn inherited(&self, at: &str) -> Vec<Rc<Parsed>> {
        self.inherited.get(at).cloned().unwrap_or_default()
    }

    /// A response that may have to be written for other media types, and its place.
    pub(super) fn response(&self, reference: &str) -> Option<(&str, Rc<Value>)> {
        let at = self.ends.get(reference)?;
        Some((at, Rc::clone(self.responses.get(at)?)))
    }

    /// Drops the roots that stand in others, where the walk over those comes to them.
    fn drop_covered(&mut self) {
        let all: HashMap<String, Kind> = self.roots.iter().cloned().collect();
        self.roots.retain(|(at, kind)| !covered(at, *kind, &all));
    }
}

/// Where a reference leads. The names of sections may be those of 3.0, or the other way round.
fn resolve<'d>(root: &'d Value, reference: &str) -> Option<pointer::Place<'d>> {
    /// What is called differently.
    const SECTIONS: [(&str, &str); 5] = [
        ("#/definitions/", "#/components/schemas/"),
        ("#/parameters/", "#/components/parameters/"),
        ("#/parameters/", "#/components/requestBodies/"),
        ("#/responses/", "#/components/responses/"),
        ("#/securityDefinitions/", "#/components/securitySchemes/"),
    ];
    pointer::resolve(root, reference).or_else(|| {
        SECTIONS.iter().find_map(|(old, new)| {
            let other = |from: &str, to: &str| {
                let rest = reference.strip_prefix(from)?;
                pointer::resolve(root, &format!("{to}{rest}"))
            };
            other(new, old).or_else(|| other(old, new))
        })
    })
}

/// Whether a walk comes to a place as something of this kind: from the root of the document, or
/// from one of these roots.
pub(super) fn covered(at: &str, kind: Kind, roots: &HashMap<String, Kind>) -> bool {
    let Some(segments) = pointer::segments(&at.replace('%', "%25")) else {
        return at == "#" && kind == Kind::Document;
    };
    let mut here = Some(Kind::Document);
    // A root may stand in another: each of them is followed.
    let mut from_roots: Vec<Kind> = Vec::new();
    let mut length = 1;
    for segment in &segments {
        here = here.and_then(|kind| kind.child(segment));
        from_roots = from_roots
            .iter()
            .filter_map(|kind| kind.child(segment))
            .collect();
        let next = at[length + 1..].find('/');
        length = next.map_or(at.len(), |next| length + 1 + next);
        if length < at.len()
            && let Some(root) = roots.get(&at[..length])
            && !from_roots.contains(root)
        {
            from_roots.push(*root);
        }
    }
    here == Some(kind) || from_roots.contains(&kind)
}

/// A list of parameters that a path item brings to operations that stand elsewhere.
type Brought = Rc<Vec<Rc<Parsed>>>;

/// The walk over what has structure in Swagger 2.0.
struct Walk<'d, 'l> {
    /// The document.
    root: &'d Value,
    /// Where findings go.
    ledger: &'l mut Ledger,
    /// What was seen.
    survey: Survey,
    /// What is referred to and not looked at yet.
    open: VecDeque<(String, Kind, &'d Value, Brought)>,
    /// What was referred to.
    seen: HashSet<(String, Kind)>,
    /// Where chains of references end, and after how many: each is gone along once, however many
    /// begin in the middle of it.
    ends: HashMap<(&'d str, Kind), End<'d>>,
}

/// Where a chain of references ends, if it does soon enough.
type End<'d> = Option<(pointer::Place<'d>, usize)>;

impl<'d> Walk<'d, '_> {
    /// Everything that is reached from the root.
    fn document(&mut self) {
        let root = self.root;
        let nothing: Brought = Rc::default();
        let entries = |section: &str| root.get(section).and_then(Value::as_object);
        for (key, item) in entries("paths").into_iter().flatten() {
            let at = pointer::join("#/paths", key);
            self.item(&at, item, &nothing);
        }
        for parameter in entries("parameters").into_iter().flat_map(Map::values) {
            self.parameter(parameter);
        }
        for response in entries("responses").into_iter().flat_map(Map::values) {
            self.response(response, false);
        }
        while let Some((at, kind, value, brought)) = self.open.pop_front() {
            match kind {
                Kind::PathItem => self.item(&at, value, &brought),
                Kind::Operation => self.operation(value, &brought),
                Kind::Parameter => {
                    self.parameter(value);
                }
                Kind::Response => self.response(value, false),
                _ => {}
            }
        }
    }

    /// Something is used as something of this kind. Gives its place.
    fn target(
        &mut self,
        reference: &str,
        kind: Kind,
        brought: &Brought,
    ) -> Option<pointer::Place<'d>> {
        let place = resolve(self.root, reference)?;
        if self.seen.insert((place.pointer.clone(), kind)) {
            if !brought.is_empty() {
                let inherited = brought.as_ref().clone();
                self.survey
                    .inherited
                    .insert(place.pointer.clone(), inherited);
            }
            let at = place.pointer.clone();
            if !covered(&at, kind, &HashMap::new()) {
                self.survey.roots.push((at.clone(), kind));
                self.open
                    .push_back((at, kind, place.value, Rc::clone(brought)));
            }
        }
        Some(place)
    }

    /// A path item.
    fn item(&mut self, at: &str, value: &'d Value, around: &Brought) {
        let Some(map) = value.as_object() else {
            return;
        };
        for parameter in items(map.get("parameters")) {
            self.parameter(parameter);
        }
        let mut brought = Rc::clone(around);
        let refers = |value: &Value| pointer::reference_of(value).is_some();
        let needed = refers(value)
            || map
                .iter()
                .any(|(name, value)| is_method(name) && refers(value));
        if let (true, Some(list)) = (needed, map.get("parameters")) {
            let at = pointer::join(at, "parameters");
            let list = parameters::shared_list(list, &at, &self.survey, self.ledger);
            brought = Rc::new(list);
        }
        if let Some(reference) = pointer::reference_of(value) {
            self.target(reference, Kind::PathItem, &brought);
        }
        for (_, operation) in map.iter().filter(|(name, _)| is_method(name)) {
            match pointer::reference_of(operation) {
                Some(reference) => {
                    self.target(reference, Kind::Operation, &brought);
                }
                None => self.operation(operation, &brought),
            }
        }
    }

    /// An operation.
    fn operation(&mut self, value: &'d Value, brought: &Brought) {
        let Some(map) = value.as_object() else {
            return;
        };
        if let Some(reference) = pointer::reference_of(value) {
            self.target(reference, Kind::Operation, brought);
        }
        for parameter in items(map.get("parameters")) {
            self.parameter(parameter);
        }
        let own_types = map.contains_key("produces");
        let responses = map.get("responses").and_then(Value::as_object);
        for response in responses.into_iter().flat_map(Map::values) {
            self.response(response, own_types);
        }
    }

    /// A parameter.
    fn parameter(&mut self, value: &'d Value) {
        let Some(written) = pointer::reference_of(value) else {
            return;
        };
        if self.survey.ends.contains_key(written) {
            return;
        }
        let Some(place) = self.end(written, Kind::Parameter) else {
            return;
        };
        if let Value::Object(map) = place.value
            && matches!(parameters::location(map), In::Body | In::Form)
            && !self.survey.shared.contains_key(&place.pointer)
        {
            let parsed = parameters::parse(map.clone(), &place.pointer, self.ledger);
            if !matches!(parsed, Parsed::Other(_)) {
                self.survey
                    .shared
                    .insert(place.pointer.clone(), Rc::new(parsed));
            }
        }
        self.survey.ends.insert(written.to_owned(), place.pointer);
    }

    /// Where a chain of references ends; all that it leads through is used as something of this
    /// kind.
    fn end(&mut self, written: &'d str, kind: Kind) -> Option<pointer::Place<'d>> {
        let mut chain = Vec::new();
        let mut reference = written;
        let mut end = loop {
            if let Some(known) = self.ends.get(&(reference, kind)) {
                break known.clone();
            }
            // One that comes back to itself has no end.
            self.ends.insert((reference, kind), None);
            chain.push(reference);
            let Some(place) = self.target(reference, kind, &Rc::default()) else {
                break None;
            };
            match pointer::reference_of(place.value) {
                Some(next) => reference = next,
                None => break Some((place, 0)),
            }
        };
        for reference in chain.into_iter().rev() {
            end = end
                .map(|(place, hops)| (place, hops + 1))
                .filter(|(_, hops)| *hops <= MAX_HOPS);
            self.ends.insert((reference, kind), end.clone());
        }
        end.map(|(place, _)| place)
    }

    /// A response, and whether it is used where other media types may hold.
    fn response(&mut self, value: &'d Value, own_types: bool) {
        let headers = value.get("headers").and_then(Value::as_object);
        for header in headers.into_iter().flat_map(Map::values) {
            if let Some(reference) = pointer::reference_of(header) {
                self.target(reference, Kind::Header, &Rc::default());
            }
        }
        let Some(written) = pointer::reference_of(value) else {
            return;
        };
        let Some(place) = self.end(written, Kind::Response) else {
            return;
        };
        if own_types && place.value.get("schema").is_some() {
            let responses = &mut self.survey.responses;
            if !responses.contains_key(&place.pointer) {
                let copy = Rc::new(place.value.clone());
                responses.insert(place.pointer.clone(), copy);
            }
            self.survey.ends.insert(written.to_owned(), place.pointer);
        }
    }
}

/// The values of a list, or of an object that stands for one.
fn items(value: Option<&Value>) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Some(Value::Array(list)) => Box::new(list.iter()),
        Some(Value::Object(map)) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}
