//! The operations of a document, and where their parts stand.

use crate::openapi::{Map, Text, Value};
use http::Method;

use super::fragment;
use super::pointer::{self, Place};
use super::template::PathKey;
use super::{Action, Finding};

/// A path item: the one in `paths`, and those that its `$ref` leads to (a field of the first
/// one hides the same field of the others).
#[derive(Debug, Clone)]
pub(super) struct PathItem<'d> {
    /// Pointer and content.
    layers: Vec<(String, &'d Map)>,
}

/// How many references of path items are followed.
const MAX_LAYERS: usize = 8;

impl<'d> PathItem<'d> {
    /// The path item under a key of `paths`. The error is a reason.
    pub(super) fn find(root: &'d Value, key: &str) -> Result<Self, String> {
        let value = root
            .get("paths")
            .and_then(|paths| paths.get(key))
            .unwrap_or(&Value::Null);
        let mut place = Place {
            pointer: pointer::join("#/paths", key),
            value,
        };
        let mut layers = Vec::new();
        loop {
            let Value::Object(map) = place.value else {
                return Err("its path item is not an object".to_owned());
            };
            layers.push((place.pointer, map));
            let Some(reference) = pointer::reference_of(place.value) else {
                return Ok(Self { layers });
            };
            place = pointer::resolve(root, reference)
                .ok_or_else(|| format!("the reference `{reference}` leads nowhere"))?;
            if layers.len() == MAX_LAYERS {
                return Err("its references go in a circle".to_owned());
            }
        }
    }

    /// A field and where it stands.
    pub(super) fn field(&self, name: &str) -> Option<Place<'d>> {
        self.layers.iter().find_map(|(at, map)| {
            Some(Place {
                pointer: pointer::join(at, name),
                value: map.get(name)?,
            })
        })
    }

    /// All fields, each once.
    fn fields(&self) -> impl Iterator<Item = (&'d Text, Place<'d>)> {
        self.layers
            .iter()
            .enumerate()
            .flat_map(move |(depth, (at, map))| {
                map.iter()
                    .filter(move |(name, _)| {
                        !self.layers[..depth]
                            .iter()
                            .any(|(_, upper)| upper.contains_key(name))
                    })
                    .map(move |(name, value)| {
                        (
                            name,
                            Place {
                                pointer: pointer::join(at, name),
                                value,
                            },
                        )
                    })
            })
    }

    /// The layers that hold `servers`, the nearest first.
    pub(super) fn layers(&self) -> impl Iterator<Item = &(String, &'d Map)> {
        self.layers.iter()
    }
}

/// An operation in the document.
#[derive(Debug, Clone)]
pub(super) struct Source<'d> {
    /// Its path item.
    pub(super) item: PathItem<'d>,
    /// Where it stands.
    pub(super) pointer: String,
    /// What stands there.
    pub(super) body: &'d Map,
}

impl<'d> Source<'d> {
    /// Its parameters, its own before those of its path item, references followed. What leads
    /// nowhere is left out.
    pub(super) fn parameters(&self, root: &'d Value) -> impl Iterator<Item = &'d Map> + use<'d> {
        let own = self.body.get("parameters");
        let shared = self.item.field("parameters").map(|place| place.value);
        let lists = own.into_iter().chain(shared).filter_map(Value::as_array);
        lists.flatten().filter_map(move |value| {
            let pointer = String::new();
            let followed = pointer::follow(root, Place { pointer, value });
            followed.ok().map(|(_, parameter)| parameter)
        })
    }

    /// The operation of a method under a key of `paths`.
    pub(super) fn find(root: &'d Value, key: &str, method: &Method) -> Option<Self> {
        let item = PathItem::find(root, key).ok()?;
        let (_, place) = item
            .fields()
            .find(|(name, _)| name.eq_ignore_ascii_case(method.as_str()))?;
        let (pointer, body) = pointer::follow(root, place).ok()?;
        Some(Self {
            item,
            pointer,
            body,
        })
    }
}

/// An operation that could be published.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'d> {
    /// The key of `paths`.
    pub(super) key: &'d str,
    /// The key taken apart.
    pub(super) path: PathKey,
    /// Method.
    pub(super) method: Method,
    /// Where and what.
    pub(super) source: Source<'d>,
}

/// Every operation that could be published, in the order of the document; the others are
/// reported.
pub(super) fn enumerate<'d>(root: &'d Value, report: &mut Vec<Finding>) -> Vec<Candidate<'d>> {
    let mut candidates = Vec::new();
    let Some(paths) = root.get("paths").filter(|paths| !paths.is_null()) else {
        return candidates;
    };
    let Some(paths) = paths.as_object() else {
        report.push(Finding::new(
            "#/paths",
            Action::Skipped,
            "`paths` is not an object",
        ));
        return candidates;
    };
    for key in paths.keys().filter(|key| !key.starts_with("x-")) {
        let at = pointer::join("#/paths", key);
        let path = match PathKey::parse(key) {
            Ok(path) => path,
            Err(reason) => {
                report.push(Finding::new(at, Action::Skipped, reason));
                continue;
            }
        };
        if !key.starts_with('/') {
            report.push(Finding::new(
                at.as_str(),
                Action::Repaired,
                "its path gets a leading slash",
            ));
        }
        match PathItem::find(root, key) {
            Ok(item) => operations_of(root, key, &path, &item, report, &mut candidates),
            Err(reason) => report.push(Finding::new(at, Action::Skipped, reason)),
        }
    }
    candidates
}

/// The operations of one path item.
fn operations_of<'d>(
    root: &'d Value,
    key: &'d str,
    path: &PathKey,
    item: &PathItem<'d>,
    report: &mut Vec<Finding>,
    candidates: &mut Vec<Candidate<'d>>,
) {
    for (name, place) in item.fields() {
        let at = place.pointer.clone();
        let method = match name.to_ascii_uppercase().as_str() {
            "GET" => Method::GET,
            "PUT" => Method::PUT,
            "POST" => Method::POST,
            "DELETE" => Method::DELETE,
            "HEAD" => Method::HEAD,
            "PATCH" => Method::PATCH,
            "OPTIONS" if is_preflight(place.value) => {
                let reason = "preflights (CORS) are answered by the gateway and never forwarded";
                report.push(Finding::new(at, Action::Skipped, reason));
                continue;
            }
            "OPTIONS" => Method::OPTIONS,
            "TRACE" | "CONNECT" => {
                let reason = format!("{} is never forwarded", name.to_ascii_uppercase());
                report.push(Finding::new(at, Action::Skipped, reason));
                continue;
            }
            _ => {
                report
                    .extend(unknown(name).map(|reason| Finding::new(at, Action::Skipped, reason)));
                continue;
            }
        };
        if name.bytes().any(|b| b.is_ascii_uppercase()) {
            let reason = format!("`{name}` is read as the method {method}");
            report.push(Finding::new(at.as_str(), Action::Repaired, reason));
        }
        if candidates
            .iter()
            .rev()
            .take_while(|c| c.key == key)
            .any(|c| c.method == method)
        {
            let reason = format!("the path has {method} already");
            report.push(Finding::new(at, Action::Skipped, reason));
            continue;
        }
        match pointer::follow(root, place) {
            Ok((pointer, body)) => {
                let source = Source {
                    item: item.clone(),
                    pointer,
                    body,
                };
                let mut path = path.clone();
                fragment::adopt(root, key, &source, &mut path);
                candidates.push(Candidate {
                    key,
                    path,
                    method,
                    source,
                });
            }
            Err(reason) => report.push(Finding::new(at, Action::Skipped, reason)),
        }
    }
}

/// Whether an operation is the answer to preflights that exports of Amazon's API Gateway have beside
/// each operation. Preflights are the gateway's own in any case; this has no other use.
fn is_preflight(operation: &Value) -> bool {
    let integration = operation.get("x-amazon-apigateway-integration");
    let kind = integration.and_then(|integration| integration.get("type"));
    let kind = kind.and_then(Value::as_str).unwrap_or_default();
    kind.eq_ignore_ascii_case("mock")
}

/// Why a member of a path item is no operation, if it looks as if it was meant to be one.
fn unknown(name: &str) -> Option<String> {
    const KNOWN: [&str; 5] = ["summary", "description", "servers", "parameters", "$ref"];
    const METHODS: [&str; 7] = ["get", "put", "post", "delete", "head", "patch", "options"];
    if KNOWN.contains(&name) || name.starts_with("x-") {
        return None;
    }
    let near = |method: &&str| strsim::damerau_levenshtein(&name.to_ascii_lowercase(), method) <= 2;
    let meant = METHODS.into_iter().filter(|_| name.len() <= 9).find(near);
    Some(match meant {
        Some(method) => format!("`{name}` is no method; did you mean `{method}`?"),
        None => format!("`{name}` is no method"),
    })
}

impl Finding {
    /// A line of the report.
    pub(super) fn new(
        pointer: impl Into<String>,
        action: Action,
        message: impl Into<String>,
    ) -> Self {
        Self {
            pointer: pointer.into(),
            action,
            message: message.into(),
        }
    }
}
