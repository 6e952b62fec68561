//! How callers authenticate, as the published document and the manifest say it.

use std::collections::BTreeSet;

use crate::openapi::{Map, Text, Value};

use super::calls::{shown, target, text};
use super::origin::host_of;
use super::report::{At, Fault, Report};
use super::{Look, Severity, shared};
use crate::openapi::pointer;

/// The security schemes of a document, by name.
fn schemes(document: &Value) -> impl Iterator<Item = (&str, &Map)> {
    let schemes = document.pointer("/components/securitySchemes");
    let schemes = schemes.and_then(Value::as_object).into_iter().flatten();
    schemes.filter_map(|(name, scheme)| Some((name.as_str(), target(document, scheme)?)))
}

/// The header that carries the credential, if it is not `Authorization`.
pub(super) fn header(document: &Value) -> Option<&str> {
    let in_header =
        |scheme: &&Map| text(scheme, "type") == "apiKey" && text(scheme, "in") == "header";
    let mut all = schemes(document).map(|(_, scheme)| scheme);
    all.find(in_header).map(|scheme| text(scheme, "name"))
}

/// What a scheme is, in words that limits are told in.
fn kind(scheme: &Map) -> String {
    let word = |name| shown(text(scheme, name));
    match text(scheme, "type") {
        "http" => format!("http {}", word("scheme").to_ascii_lowercase()),
        "apiKey" => format!("API key in {}", word("in")),
        "oauth2" if code_flow(scheme).is_none() => "OAuth without authorization code".to_owned(),
        "oauth2" => "OAuth".to_owned(),
        _ => word("type"),
    }
}

/// The flow by authorization code.
fn code_flow(scheme: &Map) -> Option<&Map> {
    let flows = scheme.get("flows")?;
    flows.get("authorizationCode")?.as_object()
}

/// Schemes that the client can not use; `takes` are the kinds that it can.
pub(super) fn kinds(look: &Look<'_>, report: &mut Report, takes: &[&str]) {
    for (name, scheme) in schemes(look.document) {
        let kind = kind(scheme);
        if !takes.contains(&kind.as_str()) {
            let fault = Fault {
                rule: "auth-kind",
                severity: Severity::Error,
                message: format!("{} can not authenticate in this way", report.reader()),
                limit: takes.join(", "),
                actual: kind,
                help: "leave `auth.header` out for a bearer token, or describe the API's own authorization server in `auth.oauth`".to_owned(),
            };
            let pointer = pointer::join("/components/securitySchemes", name);
            report.add(&At::Document(&pointer), fault);
        }
    }
}

/// One kind of authentication for the whole document, and its requirement on each operation, since
/// that of the root is imported inconsistently (reference §3.1).
pub(super) fn requirements(look: &Look<'_>, report: &mut Report) {
    let root = look.document.get("security");
    let mut used = BTreeSet::new();
    for call in look.calls {
        let own = call.body.get("security");
        let list = own.or(root).and_then(Value::as_array);
        let named = list.into_iter().flatten().filter_map(Value::as_object);
        used.extend(named.flat_map(Map::keys).map(Text::as_str));
        if own.is_none() && schemes(look.document).next().is_some() {
            let fault = Fault {
                rule: "security-missing",
                severity: Severity::Warning,
                message: format!(
                    "it does not say its security itself, and what the root says is not imported reliably by {}",
                    report.reader()
                ),
                limit: "`security` on each operation".to_owned(),
                actual: "none".to_owned(),
                help: "write `security` on the operation".to_owned(),
            };
            report.add(&At::Call(call, ""), fault);
        }
    }
    if used.len() > 1 {
        let names: Vec<_> = used.iter().take(5).map(|name| shown(name)).collect();
        let fault = Fault {
            rule: "auth-mixed",
            severity: Severity::Error,
            message: format!(
                "{} uses one kind of authentication for all operations",
                report.reader()
            ),
            limit: "1 security scheme".to_owned(),
            actual: format!("{} ({})", used.len(), names.join(", ")),
            help: "publish the operations as several plugins, one for each kind".to_owned(),
        };
        report.add(&At::Document("/components/securitySchemes"), fault);
    }
}

/// The addresses of an OAuth flow have to belong to the API's domain (reference §3.1).
pub(super) fn oauth_domains(look: &Look<'_>, report: &mut Report) {
    /// Whose authorization servers are taken all the same.
    const EXEMPT: [&str; 9] = [
        "google.com",
        "googleapis.com",
        "microsoft.com",
        "microsoftonline.com",
        "live.com",
        "windows.net",
        "adobe.com",
        "adobelogin.com",
        "adobe.io",
    ];
    if look.origin.is_local() {
        return;
    }
    for (name, scheme) in schemes(look.document) {
        let Some(flow) = code_flow(scheme) else {
            continue;
        };
        for field in ["authorizationUrl", "tokenUrl"] {
            let Some(host) = host_of(text(flow, field)) else {
                continue;
            };
            let below = |root: &&str| {
                let sub = host.strip_suffix(*root);
                sub.is_some_and(|sub| sub.is_empty() || sub.ends_with('.'))
            };
            if look.origin.is_kin(&host) || EXEMPT.iter().any(below) {
                continue;
            }
            let fault = Fault {
                rule: "oauth-domain",
                severity: Severity::Error,
                message: format!(
                    "{} refuses an authorization server on another domain",
                    report.reader()
                ),
                limit: "the API's domain, or Google, Microsoft, Adobe".to_owned(),
                actual: shown(&host),
                help: "let the authorization server be reached under the plugin's domain"
                    .to_owned(),
            };
            let pointer = pointer::join("/components/securitySchemes", name);
            let pointer = format!("{pointer}/flows/authorizationCode/{field}");
            report.add(&At::Document(&pointer), fault);
        }
    }
}

/// A manifest of version 1 can not name a header: its readers send `Authorization: Bearer`.
pub(super) fn not_by_header(look: &Look<'_>, report: &mut Report) {
    let kind = look
        .input
        .manifest
        .and_then(|manifest| manifest.pointer("/auth/type"));
    let with_token = matches!(
        kind.and_then(Value::as_str),
        Some("service_http" | "user_http")
    );
    let needed = !look.calls.iter().all(shared::is_open);
    if let Some(name) = header(look.document)
        && with_token
        && needed
    {
        let fault = Fault {
            rule: "auth-header",
            severity: Severity::Error,
            message: format!(
                "{} sends its token as bearer token and in no other header, so every call is refused",
                report.reader()
            ),
            limit: "Authorization".to_owned(),
            actual: shown(name),
            help: "leave `auth.header` out, or \"manifest\" out of `publish`".to_owned(),
        };
        report.add(&At::Manifest("/auth"), fault);
    }
}
