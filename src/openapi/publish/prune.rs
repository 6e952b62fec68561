//! Components that nothing refers to any more.
//!
//! What is rendered is what the original refers to; some of these references stand in keywords
//! that a version does not have, and go with them.

use std::collections::HashSet;

use crate::openapi::{Map, Value};

/// Drops the components that the paths do not reach.
pub(super) fn prune(paths: &Map, components: &mut Map) {
    let mut used: HashSet<(&str, &str)> = HashSet::new();
    let mut open: Vec<&Value> = paths.values().collect();
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                open.extend(map.values());
                let mapping = map.get("mapping").and_then(Value::as_object);
                let named = mapping
                    .into_iter()
                    .flat_map(Map::values)
                    .chain(map.get("$ref"));
                for key in named.filter_map(Value::as_str).filter_map(component) {
                    let target = components.get(key.0).and_then(|section| section.get(key.1));
                    if let Some(target) = target.filter(|_| used.insert(key)) {
                        open.push(target);
                    }
                }
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    let sections = components.iter().map(|(section, map)| {
        let names = map.as_object().into_iter().flat_map(Map::keys);
        names
            .map(|name| used.contains(&(section, name)))
            .collect::<Vec<bool>>()
    });
    let kept: Vec<Vec<bool>> = sections.collect();
    for (map, kept) in components.values_mut().zip(kept) {
        if let Value::Object(map) = map {
            let mut kept = kept.into_iter();
            map.retain(|_, _| kept.next() == Some(true));
        }
    }
    components.retain(|_, map| map.as_object().is_some_and(|map| !map.is_empty()));
}

/// Section and name of a published reference.
fn component(reference: &str) -> Option<(&str, &str)> {
    reference.strip_prefix("#/components/")?.split_once('/')
}
