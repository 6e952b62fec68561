//! Parameters: merged, inline, and only those that a caller can give.

use std::collections::{HashMap, HashSet};

use crate::openapi::{Map, Value, json};

use super::super::Hidden;
use super::super::location::Location;
use super::super::operations::Source;
use super::super::pointer::{self, Place};
use super::super::template;
use super::components::{Renderer, Section};
use super::keywords::{extensions, has_reference, text};
use super::operation;
use super::texts::Told;
use super::{Action, Target, info};

/// Whether a parameter may have this style there.
fn allows(location: Location, style: &str) -> bool {
    match location {
        Location::Path => matches!(style, "matrix" | "label" | "simple"),
        Location::Query => matches!(
            style,
            "form" | "spaceDelimited" | "pipeDelimited" | "deepObject"
        ),
        Location::Header => style == "simple",
        Location::Cookie => style == "form",
    }
}

/// A parameter that was found.
struct Found<'d> {
    /// `in`
    location: Location,
    /// `name`
    name: &'d str,
    /// Where it stands.
    pointer: String,
    /// What stands there.
    body: &'d Map,
}

impl Found<'_> {
    /// What makes it one parameter; header names have no case.
    fn key(&self) -> (Location, String) {
        let name = match self.location {
            Location::Header => self.name.to_ascii_lowercase(),
            _ => self.name.to_owned(),
        };
        (self.location, name)
    }
}

impl<'d> Renderer<'d> {
    /// The parameters of an operation: those of the path, overridden by its own.
    pub(super) fn parameters(
        &mut self,
        source: &Source<'d>,
        at: &operation::Place<'_>,
    ) -> Vec<Value> {
        let mut all: Vec<Found<'d>> = Vec::new();
        let mut known: HashMap<(Location, String), usize> = HashMap::new();
        let own = source.body.get("parameters").map(|value| Place {
            pointer: pointer::join(&source.pointer, "parameters"),
            value,
        });
        for list in [source.item.field("parameters"), own].into_iter().flatten() {
            let shared = all.len();
            let mut overridden = HashSet::new();
            for found in self.usable(&list) {
                match known.get(&found.key()) {
                    // The operation's own takes the place of the path's.
                    Some(upper) if *upper < shared && overridden.insert(*upper) => {
                        all[*upper] = found;
                    }
                    Some(_) => {
                        let message = format!("the parameter `{}` stands twice", found.name);
                        self.note_at(&found.pointer, Action::Simplified, message);
                    }
                    None => {
                        known.insert(found.key(), all.len());
                        all.push(found);
                    }
                }
            }
        }
        self.keep_reachable(&mut all, at);
        let mut out: Vec<Value> = all.iter().map(|found| self.in_place(found, at)).collect();
        self.add_missing(&mut out, &all, source, at);
        out
    }

    /// The usable parameters of a list.
    fn usable(&mut self, list: &Place<'d>) -> Vec<Found<'d>> {
        let mut all = Vec::new();
        for (index, value) in list.value.as_array().into_iter().flatten().enumerate() {
            let mut here = list.pointer.clone();
            pointer::push_index(&mut here, index);
            let place = Place {
                pointer: here.clone(),
                value,
            };
            match self.found(place) {
                Ok(found) => all.push(found),
                Err(reason) => {
                    self.note_at(
                        &here,
                        Action::Simplified,
                        format!("a parameter is left out: {reason}"),
                    );
                }
            }
        }
        all
    }

    /// The parameter at a place; the error is a reason.
    fn found(&self, place: Place<'d>) -> Result<Found<'d>, String> {
        let (pointer, body) = pointer::follow(self.root, place)?;
        let name = body
            .get("name")
            .and_then(Value::as_str)
            .filter(|n| !n.is_empty());
        let name = name.ok_or_else(|| "it has no name".to_owned())?;
        let written = body.get("in").and_then(Value::as_str).unwrap_or_default();
        let location = Location::parse(written)
            .ok_or_else(|| format!("`in` is `{written}`, not path, query, header or cookie"))?;
        Ok(Found {
            location,
            name,
            pointer,
            body,
        })
    }

    /// Drops what no caller can give.
    fn keep_reachable(&mut self, all: &mut Vec<Found<'d>>, at: &operation::Place<'_>) {
        let names: HashSet<&str> = template::names(&at.path.path).collect();
        all.retain(|found| {
            if is_hidden(found.location, found.name, at) {
                return false;
            }
            let reason = match found.location {
                Location::Path if !names.contains(found.name) => {
                    "is not in the path template and is left out"
                }
                Location::Header if is_reserved(found.name) => {
                    "is a header that OpenAPI describes elsewhere, and is left out"
                }
                // It is in the published path already, and must not be given twice.
                Location::Query if at.by_query && is_fixed(found.name, at) => return false,
                _ => return true,
            };
            let message = format!("the parameter `{}` {reason}", found.name);
            self.note_at(&found.pointer, Action::Simplified, message);
            false
        });
    }

    /// A parameter where an operation has it.
    fn in_place(&mut self, found: &Found<'d>, at: &operation::Place<'_>) -> Value {
        let fixed = match found.location {
            Location::Query => fixed(found.name, at),
            _ => None,
        };
        let Some(value) = fixed else {
            let shared = self.shared(Section::Parameters, &found.pointer);
            return shared.unwrap_or_else(|| Value::Object(self.parameter(found)));
        };
        let mut out = self.parameter(found);
        out.shift_remove("content");
        out.insert("required".to_owned(), true.into());
        out.insert(
            "schema".to_owned(),
            json!({ "type": "string", "enum": [value] }),
        );
        Value::Object(out)
    }

    /// A parameter that several operations refer to.
    pub(super) fn shared_parameter(&mut self, place: &Place<'d>) -> Value {
        // Only what was found is shared.
        let found = self.found(place.clone());
        found.map_or_else(|_| json!({}), |found| Value::Object(self.parameter(&found)))
    }

    /// One parameter.
    fn parameter(&mut self, found: &Found<'d>) -> Map {
        let body = found.body;
        let mut out = Map::new();
        out.insert("name".to_owned(), found.name.into());
        out.insert("in".to_owned(), found.location.as_str().into());
        if let Some(text) = body.get("description").and_then(text) {
            let text = self.short(&found.pointer, Told::Parameter(found.name), text);
            out.insert("description".to_owned(), text.into());
        }
        let required = body.get("required").and_then(Value::as_bool);
        if found.location == Location::Path {
            if required != Some(true) {
                let message = format!("the path parameter `{}` is required", found.name);
                self.note_at(&found.pointer, Action::Repaired, message);
            }
            out.insert("required".to_owned(), true.into());
        } else if let Some(required) = required {
            out.insert("required".to_owned(), required.into());
        }
        self.elsewhere(&found.pointer, |this| {
            this.inlining(|this| this.describe(&mut out, body, found.location));
        });
        out
    }

    /// What parameters and headers have in common: how the value is written.
    pub(super) fn describe_value(&mut self, out: &mut Map, body: &'d Map) {
        if body.get("deprecated") == Some(&Value::Bool(true)) {
            out.insert("deprecated".to_owned(), true.into());
        }
        if let Some(explode) = body.get("explode").and_then(Value::as_bool) {
            out.insert("explode".to_owned(), explode.into());
        }
        let content = body.get("content").filter(|content| {
            // Exactly one media type, and no schema beside it.
            content.as_object().is_some_and(|c| c.len() == 1) && !body.contains_key("schema")
        });
        if let Some(content) = content.and_then(|c| self.within("content", |this| this.content(c)))
        {
            out.shift_remove("explode");
            out.insert("content".to_owned(), content);
        } else {
            let schema = match body.get("schema") {
                Some(schema) => self.within("schema", |this| this.schema(schema)),
                None => self.bare_schema(body),
            };
            out.insert("schema".to_owned(), schema);
            self.examples(out, body);
        }
        out.extend(extensions(body).map(|(k, v)| (k.clone(), v.clone())));
    }

    /// The fields that only parameters have, and the rest.
    fn describe(&mut self, out: &mut Map, body: &'d Map, location: Location) {
        if let Some(style) = body.get("style").and_then(Value::as_str) {
            if allows(location, style) {
                out.insert("style".to_owned(), style.into());
            } else {
                self.note(
                    Action::Simplified,
                    format!("the style `{style}` is not allowed here"),
                );
            }
        }
        if location == Location::Query {
            for name in ["allowEmptyValue", "allowReserved"] {
                if let Some(flag) = body.get(name).and_then(Value::as_bool) {
                    out.insert(name.to_owned(), flag.into());
                }
            }
        }
        self.describe_value(out, body);
        if out.contains_key("content") {
            for name in ["style", "allowReserved", "allowEmptyValue"] {
                out.shift_remove(name);
            }
        }
    }

    /// The schema of a parameter without one: its type stands beside its name, as in Swagger 2.0,
    /// or any text will do.
    fn bare_schema(&mut self, body: &'d Map) -> Value {
        /// Fields that a schema shares with a parameter of Swagger 2.0.
        const SHARED: [&str; 8] = [
            "type", "format", "items", "enum", "default", "minimum", "maximum", "pattern",
        ];
        if !body.contains_key("type") {
            self.note(
                Action::Repaired,
                "it has no schema and is published as text",
            );
            return json!({ "type": "string" });
        }
        self.note(Action::Repaired, "its type becomes a schema");
        let mut out = Map::new();
        for name in SHARED {
            match body.get(name) {
                // References inside are rendered where they stand.
                Some(items) if name == "items" => {
                    out.insert(
                        name.to_owned(),
                        self.within(name, |this| this.schema(items)),
                    );
                }
                Some(value) => {
                    out.insert(name.to_owned(), value.clone());
                }
                None => {}
            }
        }
        self.finish_schema(out)
    }

    /// Parameters that the path asks for and the document does not have.
    fn add_missing(
        &mut self,
        out: &mut Vec<Value>,
        all: &[Found<'_>],
        source: &Source<'_>,
        at: &operation::Place<'_>,
    ) {
        let all: HashSet<_> = all
            .iter()
            .map(|found| (found.location, found.name))
            .collect();
        let declared = |location: Location, name: &str| all.contains(&(location, name));
        let mut added: HashSet<&str> = HashSet::new();
        for name in template::names(&at.path.path) {
            if !declared(Location::Path, name) && added.insert(name) {
                let message = format!("the path parameter `{name}` is described nowhere");
                self.note_at(&source.pointer, Action::Repaired, message);
                out.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
            }
        }
        for name in &at.path.variable_query {
            if !declared(Location::Query, name) && !is_hidden(Location::Query, name, at) {
                let message =
                    format!("the query parameter `{name}` of its path is described nowhere");
                self.note_at(&source.pointer, Action::Repaired, message);
                out.push(json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
            }
        }
        if at.by_query {
            return;
        }
        for (name, value) in &at.path.fixed_query {
            if !declared(Location::Query, name) {
                let message =
                    format!("`{name}={value}` of its path becomes a parameter with this one value");
                self.note_at(&source.pointer, Action::Repaired, message);
                let schema = json!({ "type": "string", "enum": [value] });
                out.push(
                    json!({ "name": name, "in": "query", "required": true, "schema": schema }),
                );
            }
        }
    }

    /// `example` or `examples`; the specification allows one of them.
    pub(super) fn examples(&mut self, out: &mut Map, body: &'d Map) {
        match (body.get("example"), body.get("examples")) {
            (Some(example), _) => {
                let example = self.within("example", |this| this.data(example));
                out.extend(example.map(|example| ("example".to_owned(), example)));
            }
            (None, Some(Value::Object(examples))) => {
                let mut rendered = Map::new();
                for (name, example) in examples {
                    let example = self.within("examples", |this| {
                        this.within(name, |this| this.example(example))
                    });
                    if example
                        .as_object()
                        .is_some_and(|example| !example.is_empty())
                    {
                        rendered.insert(name.clone(), example);
                    }
                }
                if !rendered.is_empty() {
                    out.insert("examples".to_owned(), Value::Object(rendered));
                }
            }
            // A list is what schemas have.
            (None, Some(Value::Array(list))) => {
                let first = list.first().and_then(|first| self.data(first));
                out.extend(first.map(|first| ("example".to_owned(), first)));
            }
            _ => {}
        }
    }

    /// An example's value. A `$ref` in it is data, but tools that follow references everywhere
    /// stop there, and refuse the document with it.
    pub(super) fn data(&mut self, value: &Value) -> Option<Value> {
        if has_reference(value) {
            let reason =
                "an example that holds a `$ref` is left out: tools take it for a reference";
            self.note(Action::Simplified, reason);
            return None;
        }
        Some(value.clone())
    }

    /// An example object or a reference to one; its value is data.
    pub(super) fn example(&mut self, value: &'d Value) -> Value {
        if let Some(reference) = pointer::reference_of(value) {
            let published = self.reference_or_note(Section::Examples, reference);
            return published.unwrap_or_else(|| json!({}));
        }
        let Value::Object(example) = value else {
            let value = self.data(value);
            return value.map_or_else(|| json!({}), |value| json!({ "value": value }));
        };
        let mut out = Map::new();
        for name in ["summary", "description"] {
            if let Some(text) = example.get(name).and_then(text) {
                out.insert(name.to_owned(), text.into());
            }
        }
        if let Some(value) = example.get("value") {
            out.extend(self.data(value).map(|value| ("value".to_owned(), value)));
        } else if let Some(url) = example
            .get("externalValue")
            .and_then(text)
            .filter(|u| info::is_link(u))
        {
            out.insert("externalValue".to_owned(), url.into());
        } else if self.target == Target::V3_1_0 || out.is_empty() {
            // A bare value where an example object belongs.
            if out.is_empty() && !example.is_empty() {
                out.extend(self.data(value).map(|value| ("value".to_owned(), value)));
            }
        }
        Value::Object(out)
    }
}

/// Header parameters that the specification ignores.
fn is_reserved(name: &str) -> bool {
    ["accept", "content-type", "authorization"]
        .iter()
        .any(|r| name.eq_ignore_ascii_case(r))
}

/// Whether clients do not see it.
fn is_hidden(location: Location, name: &str, at: &operation::Place<'_>) -> bool {
    let same = |hidden: &Hidden| hidden.location == location && location.same(&hidden.name, name);
    at.hidden.iter().any(same)
}

/// The value that the path fixes for a query parameter.
fn fixed<'a>(name: &str, at: &operation::Place<'a>) -> Option<&'a str> {
    at.path
        .fixed_query
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, value)| value.as_str())
}

/// Whether the path fixes a query parameter.
fn is_fixed(name: &str, at: &operation::Place<'_>) -> bool {
    fixed(name, at).is_some()
}
