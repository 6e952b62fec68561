//! Schemas that are written out where they are referred to.
//!
//! Some clients skip what they can not read without following a reference, so the schemas of
//! parameters and bodies stand where they are used. Not those that are recursive, nor those whose
//! references mean something themselves (`discriminator`), nor more than keeps the document of a
//! sensible size. What is written out does not depend on the order of the document.

use std::collections::{HashMap, HashSet};

use crate::openapi::{Map, Text, Value};

use super::super::Api;
use super::super::operations::Source;
use super::super::pointer::{self, Place};
use super::super::size::text_of;
use super::components::{Renderer, Section};
use super::keywords::{Keyword, is_annotation, keyword};

/// Most values of one schema that is written out.
const MOST: usize = 5_000;
/// Most values that are written out in one document; what is largest is left out first.
const ALTOGETHER: usize = 100_000;
/// Longest texts of one schema that is written out, in bytes.
const MOST_TEXT: usize = 256 << 10;
/// Longest texts that are written out in one document.
const TEXT_ALTOGETHER: usize = 8 << 20;
/// Most levels of what is written out.
const MAX_HEIGHT: usize = 64;
/// Longest chain of references that is looked along.
const MAX_CHAIN: usize = 32;

/// What is written out.
#[derive(Debug, Default)]
pub(super) struct Inlining {
    /// Whether what is being rendered is a parameter or a body.
    active: bool,
    /// Whether the schema of it that is being rendered is small enough; `None`: none is.
    decided: Option<bool>,
    /// The largest schema that is written out.
    largest: usize,
    /// Sizes by pointer.
    sizes: HashMap<String, Option<Size>>,
    /// Schemas that are looked at, to tell recursive ones.
    open: Vec<String>,
}

/// The size of a schema with all that it refers to written out.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Values and keys.
    nodes: usize,
    /// Bytes of them that are texts.
    text: usize,
    /// Levels.
    height: usize,
}

impl<'d> Renderer<'d> {
    /// Finds out how much can be written out.
    pub(super) fn plan_inlining(&mut self, api: &'d Api) {
        let mut sizes: Vec<(usize, usize)> = Vec::new();
        let mut once: HashSet<String> = HashSet::new();
        for operation in &api.operations {
            let Some(source) = Source::find(&api.source, &operation.path_key, &operation.method)
            else {
                continue;
            };
            let sharing = &self.sharing;
            let again = |at: String| sharing.has(&at) && !once.insert(at);
            for value in schemas_of(self.root, &source, again) {
                let size = self.size_of(value, 0).map(|size| (size.nodes, size.text));
                sizes.extend(size.filter(|(nodes, _)| (1..=MOST).contains(nodes)));
            }
        }
        sizes.sort_unstable();
        self.inline.largest = largest(&sizes);
    }

    /// Does something in which schemas are written out.
    pub(super) fn inlining<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = (self.inline.active, self.inline.decided);
        (self.inline.active, self.inline.decided) = (true, None);
        let done = work(self);
        (self.inline.active, self.inline.decided) = before;
        done
    }

    /// Decides for the outermost schema of a parameter or body whether what it refers to is
    /// written out: by its size, as it was planned. True if this is that schema.
    pub(super) fn decide_inlining(&mut self, value: &'d Value) -> bool {
        let outermost = self.inline.active && self.inline.decided.is_none();
        if outermost {
            let size = self.size_of(value, 0);
            let fits = size.is_some_and(|size| size.nodes <= self.inline.largest);
            self.inline.decided = Some(fits);
        }
        outermost
    }

    /// That schema is done.
    pub(super) fn end_inlining(&mut self) {
        self.inline.decided = None;
    }

    /// What a reference stands for, written out, if it is to be.
    pub(super) fn written_out(&mut self, map: &'d Map) -> Option<Value> {
        if !self.inline.active {
            return None;
        }
        let is_reference = |name: &str| keyword(name) == Keyword::Reference;
        let (_, reference) = map.iter().find(|(name, _)| is_reference(name))?;
        // What restricts the value beside a reference would have to be combined with it.
        if !map
            .keys()
            .all(|name| is_reference(name) || is_annotation(name))
        {
            return None;
        }
        let mut written = self.written(reference.as_str()?)?;
        if map.len() > 1 {
            let Value::Object(out) = &mut written else {
                return None;
            };
            let said: Map = map
                .iter()
                .filter(|(name, _)| is_annotation(name))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect();
            let Value::Object(said) = self.finish_schema(said) else {
                return None;
            };
            out.extend(said);
        }
        Some(written)
    }

    /// What a reference stands for, written out, if there may be as much. What restricts the value
    /// beside the reference is another matter.
    pub(super) fn written(&mut self, reference: &str) -> Option<Value> {
        if !self.inline.active || self.inline.decided != Some(true) {
            return None;
        }
        let place = self.find(Section::Schemas, reference)?;
        let size = self.size_at(&place, 0)?;
        if size.nodes > self.inline.largest || self.depth + size.height > MAX_HEIGHT {
            return None;
        }
        Some(self.elsewhere(&place.pointer, |this| this.schema(place.value)))
    }

    /// The size of what stands at a place; `None`: it can not be written out.
    fn size_at(&mut self, place: &Place<'d>, chain: usize) -> Option<Size> {
        if let Some(known) = self.inline.sizes.get(&place.pointer) {
            return *known;
        }
        if chain > MAX_CHAIN || self.inline.open.contains(&place.pointer) {
            return None;
        }
        self.inline.open.push(place.pointer.clone());
        let size = self.elsewhere(&place.pointer, |this| this.size_of(place.value, chain));
        self.inline.open.pop();
        self.inline.sizes.insert(place.pointer.clone(), size);
        size
    }

    /// The size of a schema.
    fn size_of(&mut self, value: &'d Value, chain: usize) -> Option<Size> {
        let mut total = Size::default();
        let mut open = vec![(value, true, 1)];
        while let Some((value, is_schema, level)) = open.pop() {
            total.nodes += 1;
            total.text += text_of(value);
            total.height = total.height.max(level);
            if total.nodes > MOST || total.text > MOST_TEXT || level > MAX_HEIGHT {
                return None;
            }
            match value {
                Value::Object(map) if is_schema => {
                    if map.get("discriminator").is_some_and(is_discriminator) {
                        return None;
                    }
                    for (name, inner) in map {
                        total.nodes += 1;
                        total.text += name.len();
                        match keyword(name) {
                            Keyword::Reference => {
                                let found = inner
                                    .as_str()
                                    .and_then(|reference| self.find(Section::Schemas, reference));
                                // One that leads nowhere is published as any value.
                                if let Some(place) = found {
                                    let size = self.size_at(&place, chain + 1)?;
                                    total.nodes += size.nodes;
                                    total.text += size.text;
                                    total.height = total.height.max(level + size.height);
                                }
                            }
                            Keyword::Named => {
                                for (name, schema) in inner.as_object().into_iter().flatten() {
                                    total.text += name.len();
                                    open.push((schema, true, level + 2));
                                }
                            }
                            Keyword::Schema | Keyword::SchemaOrFlag | Keyword::Schemas => {
                                open.push((inner, true, level + 1));
                            }
                            _ => open.push((inner, false, level + 1)),
                        }
                    }
                }
                Value::Object(map) => {
                    total.text += map.keys().map(Text::len).sum::<usize>();
                    open.extend(map.values().map(|inner| (inner, false, level + 1)));
                }
                Value::Array(list) => {
                    open.extend(list.iter().map(|inner| (inner, is_schema, level + 1)));
                }
                _ => {}
            }
        }
        Some(total)
    }
}

/// The largest size that is written out, of those (values and bytes of text) that are asked for, in order. A size is written
/// out wherever it is asked for or nowhere; that may be twice as much as meant, and no more.
fn largest(sizes: &[(usize, usize)]) -> usize {
    let (mut written, mut text) = (0_usize, 0_usize);
    let mut largest = 0;
    for same in sizes.chunk_by(|(a, _), (b, _)| a == b) {
        let (Some((size, _)), count) = (same.first(), same.len()) else {
            break;
        };
        text += same.iter().map(|(_, text)| text).sum::<usize>();
        let all = written.saturating_add(size.saturating_mul(count));
        // The first of a size decides; the others come with it.
        if written + size > ALTOGETHER || all > 2 * ALTOGETHER || text > TEXT_ALTOGETHER {
            break;
        }
        (written, largest) = (all, *size);
    }
    largest
}

/// Whether it is one that is published.
fn is_discriminator(value: &Value) -> bool {
    value.is_string() || value.get("propertyName").is_some_and(Value::is_string)
}

/// The schemas of an operation's parameters and body, but for those at places that are known
/// already.
fn schemas_of<'d>(
    root: &'d Value,
    source: &Source<'d>,
    mut again: impl FnMut(String) -> bool,
) -> Vec<&'d Value> {
    let shared = source.item.field("parameters").map(|place| place.value);
    let own = source.body.get("parameters");
    let parameters = shared
        .into_iter()
        .chain(own)
        .filter_map(Value::as_array)
        .flatten();
    let carriers = parameters.chain(source.body.get("requestBody"));
    let mut schemas = Vec::new();
    for value in carriers {
        let place = Place {
            pointer: String::new(),
            value,
        };
        let Ok((at, carrier)) = pointer::follow(root, place) else {
            continue;
        };
        if again(at) {
            continue;
        }
        schemas.extend(carrier.get("schema"));
        let content = carrier.get("content").and_then(Value::as_object);
        let types = content.into_iter().flat_map(Map::values);
        schemas.extend(types.filter_map(|media_type| media_type.get("schema")));
    }
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_size_are_written_out_or_none() {
        let check = |sizes: &[usize], expected: usize| {
            let sizes: Vec<(usize, usize)> = sizes.iter().map(|size| (*size, 1)).collect();
            assert_eq!(largest(&sizes), expected);
        };
        check(&[], 0);
        check(&[1, 2, 3], 3);
        check(&[4_000; 25], 4_000);
        check(&[4_000; 50], 4_000);
        check(&[4_000; 51], 0);
        check(&[1, 4_000, 4_000, 100_000], 4_000);
        // A schema that ten thousand operations share is written down once.
        check(&vec![1_000; 10_000], 0);
        // Long texts count as well.
        assert_eq!(largest(&[(1, 1), (2, TEXT_ALTOGETHER - 1)]), 2);
        assert_eq!(largest(&[(1, 1), (2, TEXT_ALTOGETHER)]), 1);
    }
}
