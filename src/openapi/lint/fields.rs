//! The fields of a manifest of version 1, and rules that several of its readers have.

use crate::openapi::Value;

use super::report::{At, Fault, Report};
use super::{Severity, shared};

/// Fields that have to be there (reference §2.1); `auth` even when nothing is needed.
const REQUIRED: [&str; 10] = [
    "schema_version",
    "name_for_model",
    "name_for_human",
    "description_for_model",
    "description_for_human",
    "auth",
    "api",
    "logo_url",
    "contact_email",
    "legal_info_url",
];

/// The text of a field, by its pointer.
pub(super) fn text<'a>(manifest: &'a Value, pointer: &str) -> &'a str {
    let text = manifest.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// Required fields that are missing.
pub(super) fn required(manifest: &Value, report: &mut Report) {
    for name in REQUIRED {
        let is_there = match manifest.get(name) {
            Some(Value::Object(_)) => matches!(name, "auth" | "api"),
            Some(Value::String(text)) => !matches!(name, "auth" | "api") && !text.is_empty(),
            _ => false,
        };
        if !is_there {
            let kind = if matches!(name, "auth" | "api") {
                "an object"
            } else {
                "a text"
            };
            let fault = Fault {
                rule: "manifest-field",
                severity: Severity::Error,
                message: format!("{} refuses a manifest without it", report.reader()),
                limit: kind.to_owned(),
                actual: if manifest.get(name).is_some() {
                    "something else"
                } else {
                    "nothing"
                }
                .to_owned(),
                help: format!("give the manifest a `{name}`"),
            };
            report.add(&At::Manifest(&format!("/{name}")), fault);
        }
    }
}

/// A text of the manifest that may be too long. `advised`: beyond it some readers cut or refuse
/// it; `most`: beyond it none takes it. The key of the configuration is what mends it.
pub(super) fn length(
    manifest: &Value,
    report: &mut Report,
    name: &'static str,
    (advised, most): (usize, Option<usize>),
) {
    let (rule, key) = match name {
        "name_for_model" => ("name-for-model", "the plugin's name"),
        "name_for_human" => ("name-for-human", "`name`"),
        "description_for_human" => ("description-for-human", "`description`"),
        _ => ("description-for-model", "`instructions`"),
    };
    let pointer = format!("/{name}");
    let text = text(manifest, &pointer);
    let length = text.chars().count();
    let limit = match most.filter(|most| length > *most) {
        Some(most) => (most, Severity::Error),
        None => (advised, Severity::Warning),
    };
    let help = format!("write a shorter text as {key} in the configuration");
    shared::length(
        report,
        &At::Manifest(&pointer),
        (rule, "text"),
        text,
        limit,
        &help,
    );
}

/// A kind of authentication that the reader does not know.
pub(super) fn auth_kind(manifest: &Value, report: &mut Report, takes: &[&str], help: &str) -> bool {
    let kind = text(manifest, "/auth/type");
    let known = takes.contains(&kind);
    if !known && !kind.is_empty() {
        let fault = Fault {
            rule: "auth-kind",
            severity: Severity::Error,
            message: format!(
                "{} does not support this kind of authentication",
                report.reader()
            ),
            limit: takes.join(", "),
            actual: super::calls::shown(kind),
            help: help.to_owned(),
        };
        report.add(&At::Manifest("/auth/type"), fault);
    }
    known
}

/// How the token of `service_http` and `user_http` is sent.
pub(super) fn authorization(manifest: &Value, report: &mut Report, takes: &[&str]) {
    let sends = text(manifest, "/auth/authorization_type");
    let with_token = matches!(text(manifest, "/auth/type"), "service_http" | "user_http");
    if with_token && !takes.contains(&sends) {
        let fault = Fault {
            rule: "authorization-type",
            severity: Severity::Error,
            message: format!("{} does not send a token in this way", report.reader()),
            limit: takes.join(" or "),
            actual: super::calls::shown(sends),
            help: "let `authorization_type` be bearer".to_owned(),
        };
        report.add(&At::Manifest("/auth/authorization_type"), fault);
    }
}

/// There is no manifest to install from.
pub(super) fn missing(report: &mut Report, severity: Severity) {
    let fault = Fault {
        rule: "manifest-missing",
        severity,
        message: format!(
            "{} is given the address of a manifest, and none is published",
            report.reader()
        ),
        limit: "a manifest".to_owned(),
        actual: "none".to_owned(),
        help: "add \"manifest\" to `publish`".to_owned(),
    };
    report.add(&At::Manifest(""), fault);
}
