//! Puts the root and the parts of the other files together.

use std::collections::{HashMap, HashSet};

use crate::openapi::{Map, Text, Value};

use super::super::{Origins, pointer};
use super::content::Content;
use super::kinds::SECTIONS;
use super::links::Links;
use super::{FILES, MAX_NODES, measure};

/// How many references of path items are followed.
const MAX_HOPS: usize = 8;

/// The one document, and where its parts stood.
pub(super) fn assemble(contents: Vec<Content>, links: &Links) -> (Value, Origins) {
    let mut values = contents.into_iter().map(|content| content.value);
    let mut root = values
        .next()
        .flatten()
        .map(|root| *root)
        .unwrap_or_default();
    if links.is_idle() {
        return (root, Origins::default());
    }
    links.rewrite(&mut root);
    let mut values: HashMap<usize, Box<Value>> = values
        .enumerate()
        .filter_map(|(index, value)| Some((index + 1, value?)))
        .collect();
    let mut files = Map::new();
    let mut locations = HashMap::new();
    for (number, name, location) in links.files() {
        if let Some(mut value) = values.remove(&number) {
            links.rewrite(&mut value);
            files.insert(name.to_owned(), *value);
            locations.insert(name, location);
        }
    }
    let mut assembly = Assembly {
        files,
        locations,
        origins: Origins::default(),
        left: MAX_NODES,
    };
    if let Value::Object(map) = &mut root {
        assembly.embed(map);
        let files = assembly.reachable(map);
        if !files.is_empty() {
            map.insert(FILES.to_owned(), Value::Object(files));
        }
    }
    (root, assembly.origins)
}

/// The other files, and what was moved.
struct Assembly<'l> {
    /// By name.
    files: Map,
    /// By name.
    locations: HashMap<&'l str, &'l str>,
    /// What was moved.
    origins: Origins,
    /// Values that may still be copied into the root.
    left: usize,
}

impl Assembly<'_> {
    /// Puts what references at the top of the document lead to in their place.
    fn embed(&mut self, root: &mut Map) {
        for name in ["paths", "components"].iter().chain(SECTIONS) {
            if let Some(section) = root.get_mut(name) {
                self.replace(section, &format!("#/{name}"), MAX_HOPS);
            }
        }
        for name in ["paths"].iter().chain(SECTIONS) {
            let hops = if matches!(*name, "paths" | "webhooks") {
                MAX_HOPS
            } else {
                1
            };
            if let Some(section) = root.get_mut(name) {
                self.replace_members(section, &format!("#/{name}"), hops);
            }
        }
        let components = root.get_mut("components").and_then(Value::as_object_mut);
        for (name, section) in components.into_iter().flatten() {
            let hops = if name == "pathItems" { MAX_HOPS } else { 1 };
            let at = pointer::join("#/components", name);
            if !name.starts_with("x-") {
                self.replace(section, &at, MAX_HOPS);
                self.replace_members(section, &at, hops);
            }
        }
    }

    /// The same for each member of a section. With one hop only a reference that stands alone.
    fn replace_members(&mut self, section: &mut Value, at: &str, hops: usize) {
        for (name, member) in section.as_object_mut().into_iter().flatten() {
            let alone = member.as_object().is_some_and(|map| map.len() == 1);
            if pointer::reference_of(member).is_some() && (alone || hops > 1) {
                self.replace(member, &pointer::join(at, name), hops);
            }
        }
    }

    /// Puts what a reference into another file leads to in its place, and so on for what that
    /// refers to. What is written beside a reference wins.
    fn replace(&mut self, value: &mut Value, at: &str, hops: usize) {
        for _ in 0..hops {
            let Some(reference) = pointer::reference_of(value) else {
                return;
            };
            let Some((origin, target)) = self.find(reference) else {
                return;
            };
            let nodes = measure(target, usize::MAX, self.left);
            let copy = nodes.as_ref().ok().map(|_| target.clone());
            // Once refused, always refused: no second look at what is too large. The reference
            // is as good.
            self.left -= nodes.unwrap_or(self.left);
            let Some(mut target) = copy else {
                return;
            };
            let beside = value
                .as_object_mut()
                .map(std::mem::take)
                .unwrap_or_default();
            let beside = beside.into_iter().filter(|(name, _)| name != "$ref");
            let beside: Vec<(Text, Value)> = beside.collect();
            let places = beside.iter().map(|(name, _)| {
                let place = pointer::join(at, name);
                (self.origins.of(&place), place)
            });
            let places: Vec<(String, String)> = places.collect();
            self.origins.moved(at, origin);
            for (old, place) in places {
                self.origins.moved(place, old);
            }
            if let Value::Object(map) = &mut target {
                map.extend(beside);
            }
            *value = target;
        }
    }

    /// The object that a reference into another file leads to, and where it stood.
    fn find(&self, reference: &str) -> Option<(String, &Value)> {
        let segments = segments(reference)?;
        let (name, rest) = segments.split_first()?;
        let mut value = self.files.get(name)?;
        let mut origin = format!("{}#", self.locations.get(name.as_str())?);
        for segment in rest {
            value = pointer::child(value, segment)?;
            pointer::push(&mut origin, segment);
        }
        value.is_object().then_some((origin, value))
    }

    /// The parts of the other files that the root reaches.
    fn reachable(&mut self, root: &Map) -> Map {
        let mut keep = Keep::default();
        let mut open: Vec<&Value> = root.values().collect();
        let mut seen = HashSet::new();
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) if seen.insert(std::ptr::from_ref(value)) => {
                    open.extend(map.values());
                }
                Value::Array(list) if seen.insert(std::ptr::from_ref(value)) => open.extend(list),
                // Also a text that leads to itself is looked at once.
                Value::String(text) if seen.insert(std::ptr::from_ref(value)) => {
                    let target = segments(text).and_then(|path| keep.mark(&self.files, &path));
                    open.extend(target);
                }
                _ => {}
            }
        }
        drop(seen);
        let files = std::mem::take(&mut self.files);
        let mut kept = Map::new();
        for (name, value) in files {
            let (Some(keep), Some(location)) = (
                keep.inner.get(name.as_str()),
                self.locations.get(name.as_str()),
            ) else {
                continue;
            };
            let at = pointer::join(&format!("#/{FILES}"), &name);
            self.origins.moved(at, format!("{location}#"));
            kept.insert(name, prune(value, keep));
        }
        kept
    }
}

/// The parts of a value that are kept.
#[derive(Default)]
struct Keep {
    /// All of it.
    whole: bool,
    /// Or only some members, and of these some parts.
    inner: HashMap<String, Keep>,
}

impl Keep {
    /// Keeps what a path leads to, or the reference on the way; gives it.
    fn mark<'f>(&mut self, files: &'f Map, path: &[String]) -> Option<&'f Value> {
        let (name, rest) = path.split_first()?;
        let mut value = files.get(name)?;
        let mut depth = 0;
        for segment in rest {
            let Some(inner) = pointer::child(value, segment) else {
                pointer::reference_of(value)?;
                break;
            };
            value = inner;
            depth += 1;
        }
        let mut keep = self.inner.entry(name.clone()).or_default();
        for segment in &rest[..depth] {
            keep = keep.inner.entry(segment.clone()).or_default();
        }
        keep.whole = true;
        Some(value)
    }
}

/// Drops what is not kept. Lists stay whole: their items are known by number.
fn prune(value: Value, keep: &Keep) -> Value {
    match value {
        Value::Object(map) if !keep.whole => map
            .into_iter()
            .filter_map(|(name, inner)| {
                let keep = keep.inner.get(name.as_str())?;
                Some((name, prune(inner, keep)))
            })
            .collect(),
        value => value,
    }
}

/// The segments of a reference into another file: its name first.
fn segments(reference: &str) -> Option<Vec<String>> {
    reference.strip_prefix("#/")?.strip_prefix(FILES)?;
    let mut segments = pointer::segments(reference)?;
    (segments.first()? == FILES).then(|| segments.split_off(1))
}
