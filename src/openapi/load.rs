//! A document → the operations that are published, and a report of the rest.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::counted::plural;
use crate::openapi::{Map, Value};

use super::identify::{self, Subject};
use super::operations::{self, Candidate};
use super::publish;
use super::servers::{self, Server};
use super::{
    Action, Api, Finding, Info, LoadError, Operation, Override, Prepared, Selection, overrides,
};
use super::{size, template};

/// What all published operations may weigh together in any document, each reference to a parameter
/// or body counted where it is written out: a short document could otherwise publish a huge one.
const MIN_WEIGHT: usize = 400_000;
/// What they may weigh more in a large document, for each value of it.
const WEIGHT_PER_VALUE: usize = 2;
/// Longest report.
const MAX_FINDINGS: usize = 10_000;

/// What is wanted of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// Which operations are published.
    pub selection: Selection,
    /// What is said of single operations.
    pub overrides: Vec<Override>,
    /// Whether long descriptions are cut.
    pub cut: bool,
    /// Whether schemas that lead back to themselves are published so.
    pub keeps_recursion: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            overrides: Vec::new(),
            cut: true,
            keeps_recursion: false,
        }
    }
}

/// Reads the operations of a document in one piece, and reduces them to those that are published.
pub fn load(document: impl Into<Arc<Value>>, selection: &Selection) -> Result<Api, LoadError> {
    let prepared = Prepared::new(Arc::unwrap_or_clone(document.into()))?;
    let options = LoadOptions {
        selection: selection.clone(),
        ..LoadOptions::default()
    };
    Ok(load_prepared(&prepared, &options))
}

/// Reads the operations of a document, and reduces them to those that are published.
pub fn load_prepared(prepared: &Prepared, options: &LoadOptions) -> Api {
    let document = &*prepared.document;
    let mut report = Vec::new();
    let mut candidates = operations::enumerate(document, &mut report);
    let subjects: Vec<Subject<'_>> = candidates.iter().map(subject).collect();
    let ids = identify::assign(&subjects);
    let numbered = candidates.iter().zip(ids);
    let mut all: Vec<Operation> = numbered.map(|(c, id)| operation(c, id)).collect();
    let faults = overrides::apply(document, &options.overrides, &mut all, &mut candidates);
    let (taken, unmatched) = options.selection.apply(all.clone());
    let by_place: HashMap<_, _> = candidates.iter().map(|c| ((c.key, &c.method), c)).collect();
    let found = |o: &Operation| by_place.get(&(o.path_key.as_str(), &o.method)).copied();
    let mut chosen: Vec<(Operation, &Candidate<'_>)> = taken
        .into_iter()
        .filter_map(|o| found(&o).map(|candidate| (o, candidate)))
        .collect();
    drop_collisions(&mut chosen, &mut report);
    drop_overweight(document, &mut chosen, &mut report);
    place_servers(document, &mut chosen, &mut report);
    report_ids(&chosen, &mut report);
    let operations: Vec<Operation> = chosen.into_iter().map(|(operation, _)| operation).collect();
    let place = |o: &Operation| (o.path_key.clone(), o.method.clone());
    let published: HashSet<_> = operations.iter().map(place).collect();
    let unpublished = all
        .into_iter()
        .filter(|o| !published.contains(&place(o)))
        .collect();
    let mut api = Api {
        info: info(document),
        operations,
        unpublished,
        report: Vec::new(),
        unmatched,
        faults,
        cut: options.cut,
        keeps_recursion: options.keeps_recursion,
        source: Arc::clone(&prepared.document),
    };
    // What publishing repairs and drops is known by publishing.
    report.extend(publish::findings(&api));
    prepared.restore(&mut report);
    api.report.clone_from(&prepared.report);
    api.report.append(&mut report);
    // What is shared is told once, however many operations share it.
    let mut told = HashSet::new();
    api.report
        .retain(|line| told.insert((line.pointer.clone(), line.message.clone())));
    // What is lost comes first.
    api.report.sort_by_key(|line| line.action.rank());
    shorten(&mut api.report);
    api
}

/// The parts of `info` that a manifest can use.
fn info(document: &Value) -> Info {
    let info = document.get("info").unwrap_or(&Value::Null);
    let text = |value: Option<&Value>| match value? {
        Value::String(text) => Some(text.trim())
            .filter(|t| !t.is_empty())
            .map(str::to_owned),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let within = |outer: &str, inner: &str| text(info.get(outer).and_then(|o| o.get(inner)));
    Info {
        title: text(info.get("title")),
        version: text(info.get("version")),
        summary: text(info.get("summary")),
        description: text(info.get("description")),
        contact_email: within("contact", "email"),
        terms_of_service: text(info.get("termsOfService")),
        logo_url: within("x-logo", "url"),
    }
}

/// Its operationId, unless that is empty.
fn operation_id<'d>(candidate: &Candidate<'d>) -> Option<&'d str> {
    let id = candidate.source.body.get("operationId")?.as_str()?;
    (!id.trim().is_empty()).then_some(id)
}

/// What its id is made from.
fn subject<'c>(candidate: &'c Candidate<'_>) -> Subject<'c> {
    Subject {
        original: operation_id(candidate),
        method: candidate.method.as_str(),
        path_key: candidate.key,
    }
}

/// The operation, but for its server.
fn operation(candidate: &Candidate<'_>, id: String) -> Operation {
    let body = candidate.source.body;
    let tags = body.get("tags").and_then(Value::as_array);
    let tags = tags
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    Operation {
        given_id: id.clone(),
        id,
        summary: None,
        description: None,
        consequential: None,
        hidden: Vec::new(),
        original_id: operation_id(candidate).map(str::to_owned),
        method: candidate.method.clone(),
        path: candidate.path.path.clone(),
        path_key: candidate.key.to_owned(),
        fixed_query: candidate.path.fixed_query.clone(),
        tags,
        server_path: String::new(),
        server_host: None,
    }
}

/// Of operations that no request can tell apart only the first stays.
fn drop_collisions(chosen: &mut Vec<(Operation, &Candidate<'_>)>, report: &mut Vec<Finding>) {
    let mut seen: HashMap<_, String> = HashMap::new();
    chosen.retain(|(operation, candidate)| {
        let shape = (operation.method.clone(), candidate.path.shape());
        if let Some(first) = seen.get(&shape) {
            let by_fragment = [first, &operation.path_key]
                .iter()
                .any(|key| key.contains('#'));
            let cause = if by_fragment {
                "; what follows `#` is never sent"
            } else {
                ""
            };
            let reason = format!(
                "on the wire it is the same request as {} {first}, which stands before it{cause}",
                operation.method
            );
            report.push(Finding::new(
                candidate.source.pointer.as_str(),
                Action::Skipped,
                reason,
            ));
            return false;
        }
        seen.insert(shape, operation.path_key.clone());
        true
    });
}

/// Bounds what is published.
fn drop_overweight(
    root: &Value,
    chosen: &mut Vec<(Operation, &Candidate<'_>)>,
    report: &mut Vec<Finding>,
) {
    let own = size::weight(root).saturating_mul(WEIGHT_PER_VALUE);
    let mut left = own.saturating_add(MIN_WEIGHT);
    let sources = chosen.iter().map(|(_, candidate)| &candidate.source);
    let mut scales = publish::Scales::new(root, sources);
    chosen.retain(|(_, candidate)| {
        let names = template::names(&candidate.path.path).count();
        let weight = scales.weigh(&candidate.source, names);
        if let Some(rest) = left.checked_sub(weight) {
            left = rest;
            return true;
        }
        let reason = "what it refers to makes the published document too large";
        report.push(Finding::new(
            candidate.source.pointer.as_str(),
            Action::Skipped,
            reason,
        ));
        false
    });
}

/// Finds the path of each operation's first server.
fn place_servers(
    document: &Value,
    chosen: &mut [(Operation, &Candidate<'_>)],
    report: &mut Vec<Finding>,
) {
    let root: Option<Server> = document.as_object().and_then(servers::first);
    let mut note = |at: &str, server: &Server| {
        let at = format!("{at}/servers/0");
        let home = root.as_ref().and_then(|root| root.host.as_ref());
        let message = match (server.fault, &server.host, home) {
            (Some(fault), ..) => format!("{fault}; no path is put before its operations"),
            (None, Some(host), Some(home)) if host != home => {
                format!("its server is {host}, not {home}; the upstream is called all the same")
            }
            _ => return,
        };
        // Path items are shared by their operations: one line for each list of servers.
        if report
            .iter()
            .rev()
            .take(MAX_NEIGHBOURS)
            .all(|line| line.pointer != at)
        {
            report.push(Finding::new(at, Action::Noted, message));
        }
    };
    if let Some(root) = &root {
        note("#", root);
    }
    for (operation, candidate) in chosen {
        let source = &candidate.source;
        let own = servers::first(source.body).map(|server| (source.pointer.as_str(), server));
        let of_item = || {
            let mut layers = source.item.layers();
            layers.find_map(|(at, map)| Some((at.as_str(), servers::first(map)?)))
        };
        if let Some((at, server)) = own.or_else(of_item) {
            note(at, &server);
            operation.server_path = server.path;
            operation.server_host = server.host;
        } else if let Some(root) = &root {
            operation.server_path.clone_from(&root.path);
            operation.server_host.clone_from(&root.host);
        }
    }
}

/// How far back a line for the same list of servers can stand: one per method.
const MAX_NEIGHBOURS: usize = 8;

/// Says where an operationId is not the one of the document.
fn report_ids(chosen: &[(Operation, &Candidate<'_>)], report: &mut Vec<Finding>) {
    for (operation, candidate) in chosen {
        let at = || candidate.source.pointer.as_str();
        let message = match &operation.original_id {
            Some(original) if *original == operation.given_id => continue,
            Some(original) => {
                format!(
                    "its operationId `{original}` is published as `{}`",
                    operation.id
                )
            }
            None => format!("it has no operationId and is called `{}`", operation.id),
        };
        report.push(Finding::new(at(), Action::Repaired, message));
    }
}

/// Bounds the report.
fn shorten(report: &mut Vec<Finding>) {
    let more = report.len().saturating_sub(MAX_FINDINGS);
    if more > 0 {
        report.truncate(MAX_FINDINGS);
        report.push(Finding::new(
            "#",
            Action::Noted,
            format!("and {more} more {}", plural(more, "finding", "findings")),
        ));
    }
}

/// `info` as an object; an empty one if it is none.
pub(super) fn info_object(document: &Value) -> Option<&Map> {
    document.get("info")?.as_object()
}
