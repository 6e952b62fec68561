//! Components that nothing refers to any more.
//!
//! What is rendered is what the original refers to; some of these references stand in keywords
//! that a version does not have, and go with them.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Drops the components that the paths do not reach.
pub(super) fn prune(paths: &Map<String, Value>, components: &mut Map<String, Value>) {
    let mut used: HashSet<(String, String)> = HashSet::new();
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
                    let target = components
                        .get(&key.0)
                        .and_then(|section| section.get(&key.1));
                    if let Some(target) = target.filter(|_| used.insert(key)) {
                        open.push(target);
                    }
                }
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    for (section, map) in components.iter_mut() {
        if let Value::Object(map) = map {
            map.retain(|name, _| used.contains(&(section.clone(), name.clone())));
        }
    }
    components.retain(|_, map| map.as_object().is_some_and(|map| !map.is_empty()));
}

/// Section and name of a published reference.
fn component(reference: &str) -> Option<(String, String)> {
    let (section, name) = reference.strip_prefix("#/components/")?.split_once('/')?;
    Some((section.to_owned(), name.to_owned()))
}
