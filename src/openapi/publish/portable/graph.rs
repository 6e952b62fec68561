//! Which schemas of `components` refer to which.

use std::collections::HashMap;

use crate::openapi::{Map, Text, Value};

use super::walk::{inner, schema_name};

/// Not seen yet.
const UNSEEN: usize = usize::MAX;

/// Schemas by number, in the order of their names, so that nothing depends on the order of the
/// document.
#[derive(Debug)]
pub(super) struct Graph {
    /// Their names.
    pub(super) names: Vec<String>,
    /// What each refers to, each once, in order.
    pub(super) edges: Vec<Vec<usize>>,
    /// The group of each: those that lead to each other. What a group leads to has smaller
    /// numbers.
    pub(super) groups: Vec<usize>,
    /// Whether each leads back to itself.
    pub(super) recursive: Vec<bool>,
    /// Numbers by name.
    numbers: HashMap<String, usize>,
}

impl Graph {
    /// Of the schemas of a document.
    pub(super) fn new(schemas: &Map) -> Self {
        let mut names: Vec<String> = schemas.keys().map(Text::to_string).collect();
        names.sort_unstable();
        let numbers: HashMap<String, usize> = names.iter().cloned().zip(0..).collect();
        let mut edges = Vec::with_capacity(names.len());
        for name in &names {
            let found = schemas.get(name).map(references).unwrap_or_default();
            let mut found: Vec<usize> = found
                .into_iter()
                .filter_map(|name| numbers.get(name).copied())
                .collect();
            found.sort_unstable();
            found.dedup();
            edges.push(found);
        }
        let groups = groups(&edges);
        let mut sizes: HashMap<usize, usize> = HashMap::new();
        for group in &groups {
            *sizes.entry(*group).or_default() += 1;
        }
        let alone = |number: usize| sizes.get(&groups[number]) == Some(&1);
        let recursive = (0..names.len())
            .map(|number| !alone(number) || edges[number].binary_search(&number).is_ok())
            .collect();
        Self {
            names,
            edges,
            groups,
            recursive,
            numbers,
        }
    }

    /// The number of a schema.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }
}

/// The names of the schemas that a schema refers to, at any depth.
pub(super) fn references(schema: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open = vec![schema];
    while let Some(schema) = open.pop() {
        if let Value::Object(map) = schema {
            let reference = map.get("$ref").and_then(Value::as_str);
            found.extend(reference.and_then(schema_name));
            open.extend(inner(map));
        }
    }
    found
}

/// The strongly connected components (Tarjan 1972, without recursion).
fn groups(edges: &[Vec<usize>]) -> Vec<usize> {
    let mut groups = vec![UNSEEN; edges.len()];
    let mut seen_at = vec![UNSEEN; edges.len()];
    let mut low = vec![UNSEEN; edges.len()];
    let mut stack = Vec::new();
    let (mut clock, mut group) = (0, 0);
    for start in 0..edges.len() {
        if seen_at[start] != UNSEEN {
            continue;
        }
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            if *next == 0 {
                seen_at[node] = clock;
                low[node] = clock;
                clock += 1;
                stack.push(node);
            }
            if let Some(&target) = edges[node].get(*next) {
                *next += 1;
                if seen_at[target] == UNSEEN {
                    path.push((target, 0));
                } else if groups[target] == UNSEEN {
                    low[node] = low[node].min(seen_at[target]);
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
            if low[node] == seen_at[node] {
                while let Some(member) = stack.pop() {
                    groups[member] = group;
                    if member == node {
                        break;
                    }
                }
                group += 1;
            }
        }
    }
    groups
}
