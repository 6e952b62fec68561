//! Parameters whose type every client can tell. Name, place, style, and whether they are required
//! stay as they are.

use crate::counted::{counted, plural};
use crate::openapi::{Map, Value, json};

use super::super::super::{cut, pointer};
use super::super::content::is_json;
use super::super::texts::Told;
use super::super::{Action, Finding, Target};
use super::plain::{Kind, Planer, retype, written};
use super::visit;

/// Longest list of values that is told in a description. In characters.
const MAX_TOLD: usize = 120;
/// Longest example that is told as JSON. In bytes.
const MAX_EXAMPLE: usize = 1_000;

/// Makes the schemas of all parameters plain. Descriptions stay as short as they have to be if
/// `shorten`.
pub(in super::super) fn make_plain(
    document: &mut Value,
    target: Target,
    shorten: bool,
    report: &mut Vec<Finding>,
) {
    let Some(mut paths) = document.get_mut("paths").map(Value::take) else {
        return;
    };
    let mut shared = document
        .pointer_mut("/components/parameters")
        .map(Value::take);
    let mut pass = Pass {
        planer: Planer::new(document),
        target,
        shorten,
        nulls: 0,
        report,
    };
    for (path, item) in paths.as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let Some(Value::Array(list)) = operation.get_mut("parameters") else {
                continue;
            };
            let operation = pointer::join(&pointer::join("#/paths", path), method);
            for (index, parameter) in list.iter_mut().enumerate() {
                if let Value::Object(parameter) = parameter {
                    pass.parameter(parameter, &|| format!("{operation}/parameters/{index}"));
                }
            }
        }
    }
    let parameters = shared.as_mut().and_then(Value::as_object_mut);
    for (name, parameter) in parameters.into_iter().flatten() {
        if let Value::Object(parameter) = parameter {
            pass.parameter(parameter, &|| {
                pointer::join("#/components/parameters", name)
            });
        }
    }
    if pass.nulls > 0 {
        let message = format!(
            "{} null, which can not be sent, and {} published without it",
            counted(pass.nulls, "parameter allows", "parameters allow"),
            plural(pass.nulls, "is", "are")
        );
        visit::note(pass.report, Finding::new("#/paths", Action::Noted, message));
    }
    if let Some(place) = document.get_mut("paths") {
        *place = paths;
    }
    let place = document.pointer_mut("/components/parameters");
    if let Some((place, shared)) = place.zip(shared) {
        *place = shared;
    }
}

/// What one pass over a document knows.
struct Pass<'d, 'r> {
    /// Makes schemas plain.
    planer: Planer<'d>,
    /// What is made.
    target: Target,
    /// Whether long descriptions are cut.
    shorten: bool,
    /// Parameters that allowed null.
    nulls: usize,
    /// What is lost.
    report: &'r mut Vec<Finding>,
}

impl Pass<'_, '_> {
    /// One parameter.
    fn parameter(&mut self, parameter: &mut Map, at: &dyn Fn() -> String) {
        if parameter.contains_key("content") {
            self.content(parameter, at);
            return;
        }
        let structured = parameter.get("style") == Some(&json!("deepObject"));
        let Some(Value::Object(before)) = parameter.get("schema") else {
            return;
        };
        if let Some(plain) = self.planer.plain(before, structured) {
            self.nulls += usize::from(plain.null);
            if let Some(lost) = plain.lost {
                self.lost(at(), lost);
            }
            parameter.insert("schema".to_owned(), plain.schema.into());
            tell_alike(parameter);
        }
        if parameter.get("in") == Some(&json!("header")) {
            self.header_list(parameter, at);
        }
    }

    /// A list in a header is one text, which is all that some clients can send.
    fn header_list(&mut self, parameter: &mut Map, at: &dyn Fn() -> String) {
        let Some(Value::Object(schema)) = parameter.get("schema") else {
            return;
        };
        let list = self.planer.behind(schema);
        if Kind::of(list) != Some(Kind::Array) {
            return;
        }
        let items = list.get("items").and_then(Value::as_object);
        let values = items.and_then(|items| self.planer.behind(items).get("enum"));
        let values = values
            .and_then(written)
            .map(|values| values.replace(',', ", "))
            .filter(|values| values.chars().count() <= MAX_TOLD);
        let told = match values {
            Some(values) => format!("Values separated by commas, each one of: {values}."),
            None => "Values separated by commas.".to_owned(),
        };
        let mut text = Map::from_iter([("type".to_owned(), Value::from("string"))]);
        for name in [
            "title",
            "description",
            "deprecated",
            "default",
            "example",
            "examples",
        ] {
            if let Some(value) = list.get(name) {
                text.insert(name.to_owned(), value.clone());
            }
        }
        retype(&mut text);
        parameter.insert("schema".to_owned(), text.into());
        tell_alike(parameter);
        self.tell(parameter, &told);
        self.lost(
            at(),
            "its list is published as text, because some clients have no lists in headers",
        );
    }

    /// A value of a media type is a text as well.
    fn content(&mut self, parameter: &mut Map, at: &dyn Fn() -> String) {
        let content = parameter.shift_remove("content");
        let types = content.as_ref().and_then(Value::as_object);
        let Some((name, media)) = types.and_then(|types| types.iter().next()) else {
            parameter.insert("schema".to_owned(), json!({ "type": "string" }));
            return;
        };
        let json = is_json(name);
        let mut schema = Map::from_iter([("type".to_owned(), Value::from("string"))]);
        if self.target == Target::V3_1_0 {
            schema.insert("contentMediaType".to_owned(), name.as_str().into());
            if let Some(inner) = media.get("schema") {
                schema.insert("contentSchema".to_owned(), inner.clone());
            }
        }
        parameter.insert("schema".to_owned(), schema.into());
        let example = media.get("example").and_then(|example| match example {
            Value::String(text) if !json => Some(text.to_string()),
            example if json => Some(example.to_string()),
            _ => None,
        });
        if let Some(example) = example.filter(|text| text.len() <= MAX_EXAMPLE) {
            parameter.insert("example".to_owned(), example.into());
        }
        let told = if json {
            "A text that is JSON.".to_owned()
        } else {
            format!("A text of the media type {name}.")
        };
        self.tell(parameter, &told);
        self.lost(
            at(),
            "its media type is published as one of its schema, because some clients know no other parameters",
        );
    }

    /// Adds a sentence to the description, which has to be as short as before.
    fn tell(&self, parameter: &mut Map, told: &str) {
        let limit = Told::Parameter("").limit(self.target);
        let before = parameter.get("description").and_then(Value::as_str);
        let before = before.unwrap_or_default().trim();
        let room = limit.saturating_sub(told.chars().count() + 2);
        let before = if self.shorten {
            cut::at_sentence(before, room)
        } else {
            before.into()
        };
        let text = match before.chars().last() {
            None => told.to_owned(),
            Some('.' | '!' | '?' | '…' | ':') => format!("{before} {told}"),
            Some(_) => format!("{before}. {told}"),
        };
        parameter.insert("description".to_owned(), text.into());
    }

    /// Reports what is lost.
    fn lost(&mut self, at: String, what: &str) {
        visit::note(self.report, Finding::new(at, Action::Simplified, what));
    }
}

/// The example of a parameter, of the type that its schema has now.
fn tell_alike(parameter: &mut Map) {
    let kind = parameter
        .get("schema")
        .and_then(|schema| schema.get("type"));
    let Some(example) = parameter.get("example").zip(kind) else {
        return;
    };
    let (example, kind) = (example.0.clone(), example.1.clone());
    let mut told = Map::from_iter([("type".to_owned(), kind), ("example".to_owned(), example)]);
    retype(&mut told);
    if let Some(example) = told.shift_remove("example") {
        parameter.insert("example".to_owned(), example);
    }
}
