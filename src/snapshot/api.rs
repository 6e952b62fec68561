//! What a plugin's document says, with what the configuration says of it.

use std::collections::HashSet;

use super::inputs::Around;
use crate::config;
use crate::openapi::{self, Api, LoadOptions, Override, OverridePart, Selection, Unmatched};
use crate::problems::{Problems, closest};
use crate::tokens::Selector;

/// Whether its document comes over the network, and may change by itself.
pub(super) fn is_fetched(plugin: &config::Plugin) -> bool {
    !matches!(plugin.openapi.source, config::OpenApiSource::File(_))
}

/// What the configuration says of an operation, as the document's reader wants it.
fn overriding(written: &config::OperationOverride) -> Override {
    Override {
        selector: written.selector.clone(),
        id: written.id.as_ref().map(|id| id.value.clone()),
        summary: written.summary.clone(),
        description: written.description.clone(),
        consequential: written.consequential,
        fixed: written
            .fixed
            .iter()
            .map(|(name, value)| (name.value.clone(), value.clone()))
            .collect(),
    }
}

/// What hides something: a document that changed must not undo it.
pub(super) fn hides(plugin: &config::Plugin, api: &Api) -> HashSet<String> {
    let excluded = plugin.openapi.exclude.iter().enumerate();
    let excluded = excluded
        .filter(|(index, _)| !api.unmatched.exclude.contains(index))
        .map(|(_, selector)| selector.value.to_string());
    let unknown = |index: usize| {
        let faults = api.faults.iter();
        faults
            .clone()
            .any(|f| f.index == index && f.part == OverridePart::Selector)
    };
    let fixed = plugin.operations.iter().enumerate();
    let fixed = fixed
        .filter(|(index, written)| !written.fixed.is_empty() && !unknown(*index))
        .map(|(_, written)| written.selector.to_string());
    excluded.chain(fixed).collect()
}

/// Says which of `operations` can not be what was meant.
fn check_overrides(
    plugin: &config::Plugin,
    api: &Api,
    (strict, hidden): (bool, &dyn Fn(&str) -> bool),
    problems: &mut Problems,
) {
    for fault in &api.faults {
        let Some(written) = plugin.operations.get(fault.index) else {
            continue;
        };
        let at = match fault.part {
            OverridePart::Selector => &written.at,
            OverridePart::Id => written.id.as_ref().map_or(&written.at, |id| &id.at),
            OverridePart::Fixed(index) => {
                let parameter = written.fixed.get(index);
                parameter.map_or(&written.at, |(name, _)| &name.at)
            }
        };
        let unknown = fault.part == OverridePart::Selector && !fault.stops;
        if fault.stops || (unknown && (strict || hidden(&written.selector.to_string()))) {
            let problem = problems.add(at, fault.message.clone());
            if unknown {
                problem.help(match meant(&written.selector, api) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "an operationId or `METHOD /path` as the document has it".to_owned(),
                });
            }
        } else {
            problems.warn(at, fault.message.clone());
        }
    }
}

/// Reads what the document says.
pub(super) fn load(
    plugin: &config::Plugin,
    source: &super::ApiDocument,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Api {
    let strict = around.strict.at(&plugin.at, is_fetched(plugin));
    let selection = Selection {
        include: plugin
            .openapi
            .include
            .iter()
            .map(|selector| selector.value.clone())
            .collect(),
        exclude: plugin
            .openapi
            .exclude
            .iter()
            .map(|selector| selector.value.clone())
            .collect(),
    };
    let options = LoadOptions {
        selection,
        overrides: plugin.operations.iter().map(overriding).collect(),
        cut: plugin.openapi.cut,
        keeps_recursion: plugin.openapi.keeps_recursion,
    };
    let loaded = openapi::load_prepared(&source.prepared, &options);
    idle_removals(plugin, &loaded, problems);
    let hidden = |what: &str| {
        let hiding = around.hiding.get(&plugin.name);
        hiding.is_some_and(|hiding| hiding.contains(what))
    };
    check_overrides(plugin, &loaded, (strict, &hidden), problems);
    check_selection(plugin, &loaded, (strict, &hidden), problems);
    if loaded.operations.is_empty() {
        problems.warn(
            &plugin.openapi.at,
            "no operation is published: every request will get 404",
        );
    }
    loaded
}

/// Warns of removals that remove nothing: their author believes something hidden.
fn idle_removals(plugin: &config::Plugin, api: &Api, problems: &mut Problems) {
    let report = api.report.iter();
    for finding in report.filter(|finding| finding.message == openapi::REMOVES_NOTHING) {
        let mut overlays = plugin.openapi.overlays.iter();
        let named = |one: &&config::Spanned<config::ServedFile>| {
            let path = one.value.path.to_string_lossy();
            finding.pointer.starts_with(&*path)
        };
        let at = overlays.find(named);
        let at = at.map_or(&plugin.openapi.at, |one| &one.at);
        let message = format!("overlay {}: {}", finding.pointer, finding.message);
        problems
            .warn(at, message)
            .help("what it was to remove may be published under another name");
    }
}

/// Whether something in it matches nothing: how severe that is depends on what changed last.
pub(super) fn is_judged(api: &Api) -> bool {
    !api.faults.is_empty() || api.unmatched != Unmatched::default()
}

/// What an author may have meant by a selector that names nothing: something of the same kind
/// that the document has.
fn meant(selector: &Selector, api: &Api) -> Option<Selector> {
    nearest(selector, || api.operations.iter().chain(&api.unpublished))
}

/// The same among some operations.
pub(super) fn nearest<'o, O>(selector: &Selector, operations: impl Fn() -> O) -> Option<Selector>
where
    O: Iterator<Item = &'o openapi::Operation> + Clone,
{
    match selector {
        Selector::All => None,
        Selector::OperationId(id) => {
            let ids = operations().map(|o| o.original_id.as_ref().unwrap_or(&o.given_id));
            let found = closest(id, ids.map(String::as_str))?;
            Some(Selector::OperationId(found.to_owned()))
        }
        Selector::Tag(tag) => {
            let tags = operations().flat_map(|o| &o.tags);
            let found = closest(tag, tags.map(String::as_str))?;
            Some(Selector::Tag(found.to_owned()))
        }
        Selector::Route { method, path } => {
            // Another method of the same path is nearer than another path.
            let same = operations().find(|o| o.path == *path || o.path_key == *path);
            let near = || closest(path, operations().map(|o| o.path_key.as_str()));
            let path = same.map(|o| o.path_key.as_str()).or_else(near)?;
            let mut at = operations().filter(|o| o.path_key == path);
            let other = at.clone().next()?;
            let found = at.find(|o| o.method.as_str() == method).unwrap_or(other);
            Some(Selector::Route {
                method: found.method.to_string(),
                path: path.to_owned(),
            })
        }
    }
}

/// Says which selectors name nothing.
fn check_selection(
    plugin: &config::Plugin,
    api: &Api,
    (strict, hidden): (bool, &dyn Fn(&str) -> bool),
    problems: &mut Problems,
) {
    let unmatched = &api.unmatched;
    let idle = (
        &plugin.openapi.include,
        &unmatched.include,
        "it publishes nothing",
    );
    let useless = (
        &plugin.openapi.exclude,
        &unmatched.exclude,
        "it hides nothing",
    );
    for (list, what) in [
        (&plugin.openapi.include, "published"),
        (&plugin.openapi.exclude, "hidden"),
    ] {
        for selector in list {
            let all = api.operations.iter().chain(&api.unpublished);
            if let Some(message) = openapi::several(&selector.value, all) {
                let help = format!("all of them are {what}: name those that are meant");
                problems.warn(&selector.at, message).help(&help);
            }
        }
    }
    for (list, indexes, so) in [idle, useless] {
        for selector in indexes.iter().filter_map(|index| list.get(*index)) {
            let what = &selector.value;
            let message = format!("`{what}` matches no operation of the document: {so}");
            let problem = if strict || hidden(&selector.value.to_string()) {
                problems.add(&selector.at, message)
            } else {
                problems.warn(&selector.at, message)
            };
            problem.help(match meant(what, api) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "an operationId, `tag:NAME`, or `METHOD /path` as the document has it"
                    .to_owned(),
            });
        }
    }
}
