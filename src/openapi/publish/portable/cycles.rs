//! Schemas that lead back to themselves, for clients that write out what is referred to and refuse
//! a document in which that has no end.
//!
//! Where a cycle closes, a schema stands that accepts all that was accepted, and says whose place
//! it has. `discriminator.mapping` is no reference in this sense: nobody writes it out.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::openapi::{Map, Text, Value, json};

use super::super::{Action, Finding, Target};
use super::graph::{Graph, references};
use super::walk::{each_inner, referred, schema_name};

/// Deepest schema. What is published is less deep.
const MAX_DEPTH: usize = 256;
/// Longest chain of references that is followed to a type.
const MAX_CHAIN: usize = 8;

/// Replaces the references that close a cycle; each is reported. What is described whole does not
/// depend on the order of the document.
pub(in super::super) fn cycles(document: &mut Value, _target: Target, report: &mut Vec<Finding>) {
    circles(document, report);
    let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") else {
        return;
    };
    let mut schemas = std::mem::take(schemas);
    let graph = Graph::new(&schemas);
    if graph.recursive.contains(&true) {
        let closings = closings(&graph, &entered(&graph, document));
        let targets: HashSet<usize> = closings.iter().map(|(_, to)| *to).collect();
        let says: HashMap<usize, Said> = targets
            .into_iter()
            .map(|number| (number, said(&schemas, &graph.names[number])))
            .collect();
        let mut by_source: HashMap<usize, HashMap<&str, &Said>> = HashMap::new();
        for (from, to) in &closings {
            let names = by_source.entry(*from).or_default();
            names.extend(says.get(to).map(|said| (graph.names[*to].as_str(), said)));
        }
        for (name, schema) in &mut schemas {
            let number = graph.number(name);
            if let Some(closed) = number.and_then(|number| by_source.get(&number)) {
                let mut at = format!("#/components/schemas/{name}");
                close(schema, &mut at, 0, closed, report);
            }
        }
    }
    if let Some(place) = document.pointer_mut("/components/schemas") {
        *place = Value::Object(schemas);
    }
}

/// Which schemas are referred to from outside of their group: there a reader comes in.
fn entered(graph: &Graph, document: &Value) -> Vec<bool> {
    let mut entered = vec![false; graph.names.len()];
    let mut open = vec![document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                let reference = map.get("$ref").and_then(Value::as_str);
                let number = reference
                    .and_then(schema_name)
                    .and_then(|name| graph.number(name));
                if let Some(number) = number {
                    entered[number] = true;
                }
                open.extend(map.values());
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    for (from, targets) in graph.edges.iter().enumerate() {
        for to in targets {
            entered[*to] |= graph.groups[from] != graph.groups[*to];
        }
    }
    entered
}

/// The references that lead back, in a walk that begins where a reader comes in.
fn closings(graph: &Graph, entered: &[bool]) -> Vec<(usize, usize)> {
    let all = 0..graph.names.len();
    let first = all.clone().filter(|number| entered[*number]);
    let starts: Vec<usize> = first.chain(all).collect();
    let mut seen = vec![false; graph.names.len()];
    let mut on_path = vec![false; graph.names.len()];
    let mut found = Vec::new();
    for start in starts {
        if seen[start] || !graph.recursive[start] {
            continue;
        }
        seen[start] = true;
        on_path[start] = true;
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(&target) = graph.edges[node].get(*next) else {
                on_path[node] = false;
                path.pop();
                continue;
            };
            *next += 1;
            if graph.groups[target] != graph.groups[node] {
                continue;
            }
            if on_path[target] {
                found.push((node, target));
            } else if !seen[target] {
                seen[target] = true;
                on_path[target] = true;
                path.push((target, 0));
            }
        }
    }
    found
}

/// What a schema says of itself that holds for all that it accepts.
#[derive(Debug, Default)]
struct Said {
    /// `type`
    kind: Option<String>,
    /// Whether null is allowed as well, as 3.0 says it.
    nullable: bool,
}

/// The type of a schema, or of the one that it refers to.
fn said(schemas: &Map, name: &str) -> Said {
    let mut said = Said::default();
    let mut next = schemas.get(name);
    for _ in 0..MAX_CHAIN {
        let Some(schema) = next.and_then(Value::as_object) else {
            break;
        };
        said.nullable |= schema.get("nullable") == Some(&Value::Bool(true));
        if let Some(kind) = schema.get("type").and_then(Value::as_str) {
            said.kind = Some(kind.to_owned());
            break;
        }
        next = referred(schema).and_then(|to| schemas.get(to.name));
    }
    said
}

/// Replaces references to these schemas in a schema.
fn close(
    schema: &mut Value,
    at: &mut String,
    depth: usize,
    closed: &HashMap<&str, &Said>,
    report: &mut Vec<Finding>,
) {
    let Value::Object(map) = schema else {
        return;
    };
    if depth > MAX_DEPTH {
        return;
    }
    let target = match referred(map) {
        Some(to) => Some(to.name),
        None => map
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(schema_name),
    };
    if let Some((name, said)) = target.and_then(|name| closed.get_key_value(name)) {
        let what = said.kind.as_deref().map_or_else(
            || "any value".to_owned(),
            |kind| format!("any value of the type `{kind}`"),
        );
        let message = format!(
            "the reference to `{name}` closes a cycle, which some clients refuse; {what} is \
             published in its place"
        );
        report.push(Finding::new(at.as_str(), Action::Simplified, message));
        replace(map, name, said);
    }
    loosen(map, closed);
    each_inner(map, at, &mut |schema, at| {
        close(schema, at, depth + 1, closed, report);
    });
}

/// Drops what would refuse more once a reference in it accepts more.
fn loosen(map: &mut Map, closed: &HashMap<&str, &Said>) {
    let closes = |schema: &Value| {
        let found = references(schema);
        found.iter().any(|name| closed.contains_key(name))
    };
    if map.get("not").is_some_and(closes) {
        map.shift_remove("not");
    }
    if map.get("if").is_some_and(closes) {
        for name in ["if", "then", "else"] {
            map.shift_remove(name);
        }
    }
    let alternatives = map.get("oneOf").and_then(Value::as_array);
    if alternatives.is_some_and(|list| list.iter().any(closes)) && !map.contains_key("anyOf") {
        // An alternative that accepts more may accept what another does.
        let renamed = |name: Text| {
            if name == "oneOf" {
                "anyOf".into()
            } else {
                name
            }
        };
        let all = std::mem::take(map).into_iter();
        *map = all.map(|(name, value)| (renamed(name), value)).collect();
    }
}

/// Puts what is known of a schema in the place of the reference to it.
fn replace(map: &mut Map, name: &str, said: &Said) {
    let lone = referred(map).is_some();
    let mut rest = std::mem::take(map);
    rest.shift_remove("$ref");
    if lone {
        rest.shift_remove("allOf");
    }
    if let Some(kind) = &said.kind
        && !rest.contains_key("type")
    {
        map.insert("type".to_owned(), kind.as_str().into());
        if kind == "array" && !rest.contains_key("items") {
            // 3.0 wants them, and so do readers of 3.1.
            map.insert("items".to_owned(), json!({}));
        }
        if said.nullable && lone {
            map.insert("nullable".to_owned(), true.into());
        }
    }
    let article = if name.starts_with(['A', 'E', 'I', 'O', 'a', 'e', 'i', 'o']) {
        "An"
    } else {
        "A"
    };
    let mut text = match rest.shift_remove("description") {
        Some(Value::String(own)) => own.trim_end().to_owned(),
        _ => String::new(),
    };
    if text.ends_with(char::is_alphanumeric) {
        text.push('.');
    }
    if !text.is_empty() {
        text.push(' ');
    }
    // Writing to a String can not fail.
    let _ = write!(text, "{article} {name} again, as described above.");
    map.insert("description".to_owned(), text.into());
    map.extend(rest);
    if !map.contains_key("type") {
        // Beside nothing that would refuse null it says nothing.
        if lone {
            map.shift_remove("nullable");
        }
    }
}

/// Other components that are nothing but references in a circle mean nothing.
fn circles(document: &mut Value, report: &mut Vec<Finding>) {
    for (section, nothing) in [
        ("responses", json!({ "description": "" })),
        ("headers", json!({ "schema": {} })),
        ("examples", json!({})),
    ] {
        let at = format!("/components/{section}");
        let Some(Value::Object(parts)) = document.pointer_mut(&at) else {
            continue;
        };
        let prefix = format!("#{at}/");
        let next = |name: &str| {
            let reference = parts.get(name)?.get("$ref")?.as_str()?;
            reference.strip_prefix(&prefix)
        };
        // Each is asked once: a walk stops at what an earlier one has seen.
        let mut walks: HashMap<&str, usize> = HashMap::new();
        let mut lost: Vec<String> = Vec::new();
        for (walk, start) in parts.keys().enumerate() {
            let mut here = Some(start.as_str());
            while let Some(name) = here {
                match walks.get(name) {
                    None => {
                        walks.insert(name, walk);
                        here = next(name);
                    }
                    Some(seen) if *seen == walk => {
                        let mut member = name;
                        loop {
                            lost.push(member.to_owned());
                            match next(member) {
                                Some(following) if following != name => member = following,
                                _ => break,
                            }
                        }
                        break;
                    }
                    Some(_) => break,
                }
            }
        }
        for name in lost {
            let message = "its references go in a circle; it is published empty";
            let pointer = format!("{prefix}{name}");
            report.push(Finding::new(pointer, Action::Simplified, message));
            parts.insert(name, nothing.clone());
        }
    }
}
