//! The published document: what clients of the gateway are shown.
//!
//! Everything is built anew from the parts of the original that a caller needs; what is not
//! known here is not copied.

mod components;
mod content;
mod info;
mod inline;
mod keywords;
mod operation;
mod parameters;
mod patterns;
mod portable;
mod prune;
mod schema;
mod shapes;
mod shared;
#[cfg(test)]
mod tests;
mod texts;
mod v30;
mod v31;
mod weigh;

use std::collections::{HashMap, HashSet};

use crate::openapi::{Map, Value, json};
use http::Method;

use super::fragment;
use super::operations::Source;
use super::template::{self, PathKey};
use super::{Action, Api, Finding, Operation};
use components::Renderer;
pub(super) use weigh::Scales;

/// Version of the published document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// `OpenAPI` 3.1.0
    V3_1_0,
    /// `OpenAPI` 3.0.1
    V3_0_1,
}

impl Target {
    /// `openapi`
    fn version(self) -> &'static str {
        match self {
            Target::V3_1_0 => "3.1.0",
            Target::V3_0_1 => "3.0.1",
        }
    }
}

/// What the gateway puts into a document.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PublishOptions {
    /// The only server, such as `https://todo.example.com`.
    pub origin: String,
    /// Name and content of the security scheme of every operation; `None`: no security.
    pub security: Option<(String, Value)>,
    /// Replaces parts of `info`.
    pub info: InfoOverrides,
}

/// Replaces parts of `info`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InfoOverrides {
    /// `info.title`
    pub title: Option<String>,
    /// `info.description`
    pub description: Option<String>,
}

/// The document with the published operations.
pub fn publish(api: &Api, version: Target, options: &PublishOptions) -> Value {
    let mut document = render(api, version, options).0;
    document.shrink_to_fit();
    document
}

/// What publishing repairs, simplifies and drops.
pub(super) fn findings(api: &Api) -> Vec<Finding> {
    render(api, Target::V3_1_0, &PublishOptions::default()).1
}

/// The document and the report.
fn render(api: &Api, target: Target, options: &PublishOptions) -> (Value, Vec<Finding>) {
    let mut renderer = Renderer::new(&api.source, target);
    renderer.cut = api.cut;
    renderer.plan_sharing(api);
    renderer.plan_inlining(api);
    let paths = paths(api, options, &mut renderer);
    let (components, mut report) = renderer.finish();
    let (paths, mut components) = make_portable(paths, components, target, api, &mut report);
    if let Some((name, scheme)) = &options.security {
        let schemes = Map::from_iter([(name.clone(), scheme.clone())]);
        components.insert("securitySchemes".to_owned(), Value::Object(schemes));
    }
    let mut document = Map::new();
    document.insert("openapi".to_owned(), target.version().into());
    document.insert(
        "info".to_owned(),
        info::render(&api.source, target, &options.info),
    );
    document.insert("servers".to_owned(), json!([{ "url": options.origin }]));
    document.insert("paths".to_owned(), Value::Object(paths));
    if !components.is_empty() {
        document.insert("components".to_owned(), Value::Object(components));
    }
    if let Some(tags) = info::tags(api) {
        document.insert("tags".to_owned(), tags);
    }
    (Value::Object(document), report)
}

/// Paths and components in the form that most clients read.
fn make_portable(
    paths: Map,
    mut components: Map,
    target: Target,
    api: &Api,
    report: &mut Vec<Finding>,
) -> (Map, Map) {
    prune::prune(&paths, &mut components);
    let mut document = Map::new();
    document.insert("paths".to_owned(), paths.into());
    document.insert("components".to_owned(), components.into());
    let mut document = Value::Object(document);
    portable::flatten(&mut document, target, report);
    if !api.keeps_recursion {
        let before = report.len();
        portable::cycles(&mut document, target, report);
        if report.len() > before {
            // A reference that closed a cycle in `allOf` is none any more.
            portable::flatten(&mut document, target, report);
        }
    }
    portable::parameters::make_plain(&mut document, target, api.cut, report);
    portable::enums::list_null(&mut document, target);
    portable::enums::name_values(&mut document);
    portable::encodings::drop_strays(&mut document, report);
    portable::defaults::drop_unusable(&mut document, target, report);
    portable::titles::keep_unique(&mut document, report);
    let mut take = |name: &str| match document.get_mut(name).map(Value::take) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let paths = take("paths");
    let mut components = take("components");
    // Some of what was referred to is written out now.
    prune::prune(&paths, &mut components);
    (paths, components)
}

/// `paths`, in the order of the document.
fn paths<'d>(api: &'d Api, options: &PublishOptions, renderer: &mut Renderer<'d>) -> Map {
    let crowded = crowded(&api.operations);
    let ids: HashSet<&str> = api.operations.iter().map(|o| o.id.as_str()).collect();
    debug_assert_eq!(ids.len(), api.operations.len(), "ids are unique");
    let mut paths: Map = Map::new();
    for operation in &api.operations {
        let Some(source) = Source::find(&api.source, &operation.path_key, &operation.method) else {
            continue;
        };
        let Ok(mut path) = PathKey::parse(&operation.path_key) else {
            continue;
        };
        fragment::adopt(&api.source, &operation.path_key, &source, &mut path);
        // Hidden parameters of the path have their values there.
        path.path.clone_from(&operation.path);
        let by_query = crowded.contains(&spot(operation)) && !path.query.is_empty();
        let key = if by_query {
            let reason = "it differs from another operation by its query alone, \
                          so the query stays in its published path";
            renderer.note_at(&source.pointer, Action::Noted, reason);
            format!("{}?{}", path.path, path.query)
        } else {
            operation.path.clone()
        };
        let place = operation::Place {
            path: &path,
            by_query,
            hidden: &operation.hidden,
        };
        let mut rendered = operation::render(renderer, operation, &source, &place, options);
        rendered.shrink_to_fit();
        let item = paths
            .entry(key)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(item) = item {
            item.insert(operation.method.as_str().to_ascii_lowercase(), rendered);
        }
    }
    paths
}

/// Method and path of an operation, as far as a path item can tell.
fn spot(operation: &Operation) -> (Method, String) {
    (operation.method.clone(), template::shape(&operation.path))
}

/// Where several operations differ by their query alone: they can not share a path item.
fn crowded(operations: &[Operation]) -> HashSet<(Method, String)> {
    let mut count: HashMap<_, usize> = HashMap::new();
    for operation in operations {
        *count.entry(spot(operation)).or_default() += 1;
    }
    count
        .into_iter()
        .filter(|(_, n)| *n > 1)
        .map(|(spot, _)| spot)
        .collect()
}
