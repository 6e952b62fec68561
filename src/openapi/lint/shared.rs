//! Rules that several clients have, each with numbers of its own.

use crate::openapi::Value;

use super::calls::{Call, shown};
use super::report::{At, Fault, Report};
use super::{Look, Severity};

/// How long the texts of an operation may be, in characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Texts {
    /// `summary` and `description` of an operation.
    pub(super) operation: usize,
    /// `description` of a parameter.
    pub(super) parameter: usize,
    /// How bad more is.
    pub(super) severity: Severity,
}

/// Texts of operations and parameters that are longer than the client takes.
pub(super) fn texts(look: &Look<'_>, report: &mut Report, texts: Texts) {
    for call in look.calls {
        for name in ["summary", "description"] {
            let below = format!("/{name}");
            let most = (texts.operation, texts.severity);
            let help = format!(
                "write a shorter `{name}` in its `operations` override, or leave `openapi.cut` as it is by default"
            );
            length(
                report,
                &At::Call(call, &below),
                ("operation-text", name),
                call.text(name),
                most,
                &help,
            );
        }
        for parameter in call.parameters(look.document) {
            let at = At::Parameter(call, &parameter, "/description");
            let most = (texts.parameter, texts.severity);
            let text = super::calls::text(parameter.body, "description");
            let help = "shorten it in the API's document or in an overlay, or leave `openapi.cut` as it is by default";
            length(
                report,
                &at,
                ("parameter-text", "description"),
                text,
                most,
                help,
            );
        }
    }
}

/// One text that may be too long: its rule and what it is called; how long it may be and how bad
/// more is.
pub(super) fn length(
    report: &mut Report,
    at: &At<'_>,
    (rule, name): (&'static str, &str),
    text: &str,
    (most, severity): (usize, Severity),
    help: &str,
) {
    let length = text.chars().count();
    if length > most {
        let fault = Fault {
            rule,
            severity,
            message: format!("its {name} is longer than {} takes", report.reader()),
            limit: format!("{most} characters"),
            actual: format!("{length} characters"),
            help: help.to_owned(),
        };
        report.add(at, fault);
    }
}

/// How many operations there may be: `good` is a number that works well, in words, `many` is more
/// than that, `most` is what is taken at all.
pub(super) fn count(
    look: &Look<'_>,
    report: &mut Report,
    good: &str,
    (many, most): (Option<usize>, Option<usize>),
) {
    let count = look.calls.len();
    let reader = report.reader();
    let beyond = |limit: Option<usize>| limit.filter(|limit| count > *limit);
    let (severity, message, limit) = if count == 0 {
        let message = format!("it has no operation that {reader} could call");
        (Severity::Error, message, "at least 1 operation".to_owned())
    } else if let Some(most) = beyond(most) {
        let message = format!("{reader} does not take as many operations");
        (Severity::Error, message, format!("{most} operations"))
    } else if beyond(many).is_some() {
        let message = format!("{reader} chooses worse among as many operations");
        (Severity::Warning, message, good.to_owned())
    } else {
        return;
    };
    let fault = Fault {
        rule: "operations",
        severity,
        message,
        limit,
        actual: format!("{count} operations"),
        help: "name those that are needed in `openapi.include`, or the others in `openapi.exclude`"
            .to_owned(),
    };
    report.add(&At::Document("/paths"), fault);
}

/// An operation has to have an operationId; `plain`: of letters, digits and `_` alone.
pub(super) fn operation_ids(look: &Look<'_>, report: &mut Report, severity: Severity, plain: bool) {
    let reader = report.reader();
    let is_plain = |id: &str| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    for call in look.calls {
        let (message, actual) = match call.id() {
            Some(id) if !plain || is_plain(id) => continue,
            Some(id) => (
                format!("{reader} does not take this operationId"),
                shown(id),
            ),
            None => (
                format!("{reader} calls operations by their operationId, and it has none"),
                "none".to_owned(),
            ),
        };
        let fault = Fault {
            rule: "operation-id",
            severity,
            message,
            limit: if plain {
                "^[A-Za-z0-9_]+$"
            } else {
                "an operationId"
            }
            .to_owned(),
            actual,
            help: "write an `id` in its `operations` override".to_owned(),
        };
        report.add(&At::Call(call, "/operationId"), fault);
    }
}

/// Parameters that the client drops: headers (but the one that carries the credential) and
/// cookies. `worst`: how bad that is when a call needs one.
pub(super) fn dropped(look: &Look<'_>, report: &mut Report, worst: Severity) {
    let credential = super::credential::header(look.document);
    let is_credential = |name: &str| credential.is_some_and(|own| own.eq_ignore_ascii_case(name));
    for call in look.calls {
        for parameter in call.parameters(look.document) {
            let is_dropped = match parameter.location {
                "header" => !is_credential(parameter.name),
                "cookie" => true,
                _ => false,
            };
            if !is_dropped {
                continue;
            }
            let reader = report.reader();
            let (severity, message) = match (worst, parameter.required) {
                (Severity::Error, true) => (
                    Severity::Error,
                    format!("{reader} drops it and a call needs it, so no call can succeed"),
                ),
                (Severity::Error, false) => (Severity::Warning, format!("{reader} drops it")),
                (Severity::Warning, true) => (
                    Severity::Warning,
                    format!("{reader} may drop it and a call needs it"),
                ),
                (Severity::Warning, false) => (Severity::Warning, format!("{reader} may drop it")),
            };
            let fault = Fault {
                rule: "parameter-dropped",
                severity,
                message,
                limit: "path and query parameters".to_owned(),
                actual: dropped_actual(parameter.location, parameter.required),
                help: "give it a value in `fixed` of the operation's override, set it for all requests in `headers.request.set`, or leave the operation out".to_owned(),
            };
            report.add(&At::Parameter(call, &parameter, ""), fault);
        }
    }
}

/// What is there instead of a path or query parameter.
fn dropped_actual(location: &str, required: bool) -> String {
    let need = if required { "required" } else { "optional" };
    format!("{need} {location} parameter")
}

/// Parameters that are given as a reference, which the client does not follow.
pub(super) fn references(look: &Look<'_>, report: &mut Report, consequence: &str) {
    for call in look.calls {
        for parameter in call.parameters(look.document) {
            if parameter.by_reference {
                let fault = Fault {
                    rule: "parameter-reference",
                    severity: if parameter.required {
                        Severity::Error
                    } else {
                        Severity::Warning
                    },
                    message: format!("{} {consequence}", report.reader()),
                    limit: "parameters inline".to_owned(),
                    actual: "a $ref".to_owned(),
                    help: "write the parameter where the reference stands".to_owned(),
                };
                report.add(&At::Parameter(call, &parameter, ""), fault);
            }
        }
    }
}

/// A document that asks for a token can not be fetched by an installer (reference §3.1).
pub(super) fn guarded(look: &Look<'_>, report: &mut Report, severity: Severity) {
    if look.input.guarded {
        let fault = Fault {
            rule: "documents-guarded",
            severity,
            message: format!("{} fetches documents without a credential", report.reader()),
            limit: "documents for everyone".to_owned(),
            actual: "documents for holders of a token".to_owned(),
            help: "write `documents = \"public\"`, or paste the document where the client lets you"
                .to_owned(),
        };
        report.add(&At::Document(""), fault);
    }
}

/// The version that a document says.
pub(super) fn version(document: &Value) -> &str {
    let version = document.get("openapi").and_then(Value::as_str);
    version.unwrap_or_default()
}

/// Whether an operation can be called without any credential: it says so itself.
pub(super) fn is_open(call: &Call<'_>) -> bool {
    let own = call.body.get("security").and_then(Value::as_array);
    own.is_some_and(|list| {
        list.is_empty()
            || list
                .iter()
                .any(|one| one.as_object().is_some_and(super::super::Map::is_empty))
    })
}
