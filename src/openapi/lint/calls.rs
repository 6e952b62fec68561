//! The operations of a published document, as a client meets them.

use crate::openapi::{Map, Value};

use super::super::pointer;

/// The keys of a path item that are operations.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Most characters of a text of the document that is shown.
const SHOWN: usize = 80;

/// One operation.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// Key of `paths`.
    pub(super) path: &'a str,
    /// Key of the path item.
    pub(super) method: &'a str,
    /// What stands there.
    pub(super) body: &'a Map,
}

/// One of its parameters.
#[derive(Debug)]
pub(super) struct Parameter<'a> {
    /// Its place in `parameters`.
    pub(super) index: usize,
    /// Whether only a reference stands there.
    pub(super) by_reference: bool,
    /// `in`
    pub(super) location: &'a str,
    /// `name`
    pub(super) name: &'a str,
    /// Whether a call needs it.
    pub(super) required: bool,
    /// The parameter.
    pub(super) body: &'a Map,
}

/// All operations, in the order of the document. Parameters of path items are not looked for: a
/// published document has none.
pub(super) fn calls(document: &Value) -> Vec<Call<'_>> {
    let paths = document.get("paths").and_then(Value::as_object);
    let mut all = Vec::new();
    for (path, item) in paths.into_iter().flatten() {
        for (method, body) in item.as_object().into_iter().flatten() {
            if let Some(body) = body.as_object()
                && METHODS.contains(&method.as_str())
            {
                all.push(Call { path, method, body });
            }
        }
    }
    all
}

impl<'a> Call<'a> {
    /// `operationId`, if there is one.
    pub(super) fn id(&self) -> Option<&'a str> {
        let id = self.body.get("operationId").and_then(Value::as_str);
        id.filter(|id| !id.trim().is_empty())
    }

    /// A text of the operation.
    pub(super) fn text(&self, name: &str) -> &'a str {
        text(self.body, name)
    }

    /// Such as `GET /todos (listTodos)`.
    pub(super) fn place(&self) -> String {
        let route = format!("{} {}", self.method.to_ascii_uppercase(), shown(self.path));
        match self.id() {
            Some(id) => format!("{route} ({})", shown(id)),
            None => route,
        }
    }

    /// Such as `#/paths/~1todos/get`.
    pub(super) fn pointer(&self) -> String {
        pointer::join(&pointer::join("#/paths", self.path), self.method)
    }

    /// Those of its parameters that have a name and a place.
    pub(super) fn parameters(&self, root: &'a Value) -> Vec<Parameter<'a>> {
        let list = self.body.get("parameters").and_then(Value::as_array);
        let usable = |(index, value): (usize, &'a Value)| {
            let body = target(root, value)?;
            Some(Parameter {
                index,
                by_reference: pointer::reference_of(value).is_some(),
                location: body.get("in")?.as_str()?,
                name: body.get("name")?.as_str()?,
                required: body.get("required") == Some(&Value::Bool(true)),
                body,
            })
        };
        let list = list.into_iter().flatten().enumerate();
        list.filter_map(usable).collect()
    }

    /// Its request body.
    pub(super) fn request(&self, root: &'a Value) -> Option<&'a Map> {
        target(root, self.body.get("requestBody")?)
    }
}

/// The object that stands there, or that its references lead to.
pub(super) fn target<'a>(root: &'a Value, value: &'a Value) -> Option<&'a Map> {
    let pointer = String::new();
    let place = pointer::Place { pointer, value };
    pointer::follow(root, place).ok().map(|(_, object)| object)
}

/// A text of an object, or nothing.
pub(super) fn text<'a>(object: &'a Map, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A text of a document on one line, cut if it is long: it may hold anything.
pub(super) fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut line: String = text.chars().take(SHOWN).map(plain).collect();
    if text.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    line
}
