//! One published operation.

use crate::openapi::{Map, Value, json};
use http::Method;

use super::super::Hidden;
use super::super::operations::Source;
use super::super::pointer;
use super::components::{Renderer, Section};
use super::keywords::{extensions, is_extension, text};
use super::texts::Told;
use super::{Action, Operation, PathKey, PublishOptions, info};

/// Where an operation is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its key in the original.
    pub(super) path: &'a PathKey,
    /// Whether the fixed query stays in the published path (else it becomes parameters).
    pub(super) by_query: bool,
    /// Parameters that are not shown.
    pub(super) hidden: &'a [Hidden],
}

/// Whether a call changes something, for clients that ask before such calls.
const CONSEQUENTIAL: &str = "x-openai-isConsequential";

/// The published operation.
pub(super) fn render<'d>(
    renderer: &mut Renderer<'d>,
    operation: &Operation,
    source: &Source<'d>,
    place: &Place<'_>,
    options: &PublishOptions,
) -> Value {
    let body = source.body;
    let mut out = Map::new();
    out.insert("operationId".to_owned(), operation.id.as_str().into());
    let said = [
        (Told::Summary, operation.summary.as_deref()),
        (Told::Description, operation.description.as_deref()),
    ];
    for (told, instead) in said {
        let text = match instead {
            Some(text) => Some(text.to_owned()),
            None => body.get(told.key()).and_then(text),
        };
        let text = text.filter(|text| instead.is_none() || !text.is_empty());
        if let Some(text) = text {
            let text = renderer.short(&source.pointer, told, text);
            out.insert(told.key().to_owned(), text.into());
        }
    }
    if !operation.tags.is_empty() {
        let mut tags = operation.tags.clone();
        let mut seen = std::collections::HashSet::new();
        tags.retain(|tag| seen.insert(tag.clone()));
        out.insert("tags".to_owned(), tags.into());
    }
    if body.get("deprecated") == Some(&Value::Bool(true)) {
        out.insert("deprecated".to_owned(), true.into());
    }
    if let Some(docs) = info::external_docs(body.get("externalDocs")) {
        out.insert("externalDocs".to_owned(), docs);
    }
    let parameters = renderer.parameters(source, place);
    if !parameters.is_empty() {
        out.insert("parameters".to_owned(), parameters.into());
    }
    renderer.elsewhere(&source.pointer, |renderer| {
        if let Some(request) = body.get("requestBody") {
            out.insert("requestBody".to_owned(), renderer.request_body(request));
        }
        let responses = renderer.within("responses", |r| r.responses(body.get("responses")));
        out.insert("responses".to_owned(), responses);
    });
    if let Some((name, _)) = &options.security {
        let requirement = Map::from_iter([(name.clone(), json!([]))]);
        out.insert("security".to_owned(), json!([requirement]));
    }
    let own = operation
        .consequential
        .or_else(|| body.get(CONSEQUENTIAL).and_then(Value::as_bool));
    let consequential = own.unwrap_or(operation.method != Method::GET);
    out.insert(CONSEQUENTIAL.to_owned(), consequential.into());
    for (name, value) in extensions(body).filter(|(name, _)| *name != CONSEQUENTIAL) {
        out.insert(name.clone(), value.clone());
    }
    Value::Object(out)
}

impl<'d> Renderer<'d> {
    /// `requestBody`, inline unless that is too much.
    fn request_body(&mut self, value: &'d Value) -> Value {
        let (at, body) = match pointer::follow(self.root, self.place("requestBody", value)) {
            Ok(found) => found,
            Err(reason) => {
                let message = format!("its body is published as one of any kind: {reason}");
                self.within("requestBody", |this| this.note(Action::Simplified, message));
                return json!({ "content": { "*/*": {} } });
            }
        };
        if let Some(shared) = self.shared(Section::RequestBodies, &at) {
            return shared;
        }
        self.elsewhere(&at, |this| this.body(body))
    }

    /// A request body that several operations refer to.
    pub(super) fn shared_body(&mut self, value: &'d Value) -> Value {
        let body = value.as_object().map(|body| self.body(body));
        body.unwrap_or_else(|| json!({ "content": { "*/*": {} } }))
    }

    /// A request body.
    fn body(&mut self, body: &'d Map) -> Value {
        let mut out = Map::new();
        if let Some(text) = body.get("description").and_then(text) {
            out.insert("description".to_owned(), text.into());
        }
        let content = match body.get("content") {
            Some(content) => {
                self.inlining(|this| this.within("content", |this| this.content(content)))
            }
            None => None,
        };
        let content = content.unwrap_or_else(|| {
            self.note(
                Action::Repaired,
                "its body has no media types and is published as one of any kind",
            );
            json!({ "*/*": {} })
        });
        out.insert("content".to_owned(), content);
        if let Some(required) = body.get("required").and_then(Value::as_bool) {
            out.insert("required".to_owned(), required.into());
        }
        out.extend(extensions(body).map(|(k, v)| (k.clone(), v.clone())));
        Value::Object(out)
    }

    /// `responses`, at least one.
    fn responses(&mut self, responses: Option<&'d Value>) -> Value {
        let mut out = Map::new();
        for (code, response) in responses.and_then(Value::as_object).into_iter().flatten() {
            if code.starts_with("x-") {
                if is_extension(code) {
                    out.insert(code.clone(), response.clone());
                }
                continue;
            }
            self.within(code, |this| {
                let Some(status) = status(code) else {
                    this.note(Action::Simplified, format!("`{code}` is no status code"));
                    return;
                };
                if status != *code {
                    this.note(
                        Action::Repaired,
                        format!("`{code}` is published as `{status}`"),
                    );
                }
                let rendered = this.response(response);
                out.entry(status).or_insert(rendered);
            });
        }
        if out.keys().all(|code| code.starts_with("x-")) {
            self.note(
                Action::Repaired,
                "it has no responses and gets a default one",
            );
            out.insert(
                "default".to_owned(),
                json!({ "description": "The response." }),
            );
        }
        Value::Object(out)
    }

    /// A response object or a reference to one.
    pub(super) fn response(&mut self, value: &'d Value) -> Value {
        let mut out = Map::new();
        if let Some(reference) = pointer::reference_of(value) {
            let published = self.reference_or_note(Section::Responses, reference);
            return published.unwrap_or_else(|| json!({ "description": "" }));
        }
        let Value::Object(response) = value else {
            return json!({ "description": "" });
        };
        let description = response
            .get("description")
            .and_then(text)
            .unwrap_or_default();
        out.insert("description".to_owned(), description.into());
        if let Some(headers) = response.get("headers").and_then(Value::as_object) {
            let headers = self.within("headers", |this| this.headers(headers));
            out.insert("headers".to_owned(), headers);
        }
        let content = response.get("content");
        if let Some(content) = content.and_then(|c| self.within("content", |this| this.content(c)))
        {
            out.insert("content".to_owned(), content);
        }
        out.extend(extensions(response).map(|(k, v)| (k.clone(), v.clone())));
        Value::Object(out)
    }
}

/// A status code as the specification wants it.
fn status(code: &str) -> Option<String> {
    if code == "default" {
        return Some(code.to_owned());
    }
    let upper = code.trim().to_ascii_uppercase();
    if upper == "DEFAULT" {
        return Some("default".to_owned());
    }
    let head = upper.get(..3)?;
    let digits = head.as_bytes();
    let class = matches!(digits[0], b'1'..=b'5');
    let rest = digits[1..].iter().all(u8::is_ascii_digit) || &digits[1..] == b"XX";
    let ends = upper[3..]
        .chars()
        .next()
        .is_none_or(|c| !c.is_ascii_alphanumeric());
    (class && rest && ends).then(|| head.to_owned())
}
