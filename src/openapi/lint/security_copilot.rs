//! Microsoft Security Copilot, which takes a manifest of version 1 and the 3.0 document that it
//! names, and makes its own of them (reference §2.1, §3.4).

use crate::openapi::Value;

use super::calls::shown;
use super::report::{At, Fault, Report};
use super::{Look, Severity, credential, fields, origin, shared};

/// Every rule.
///
/// - `OpenAPI` 3.0 or 3.0.1, nothing later (§3.4).
/// - 40, 100, 200 and 16,000 characters for the four texts of the manifest, and no `/`, `\`, `?`,
///   `#` in the name for the model (§2.1).
/// - Of a manifest it takes `none`, `service_http` and `oauth`, tokens as bearer tokens (§2.1,
///   §3.4).
/// - An operationId is as good as required (§3.5).
pub(super) fn check(look: &Look<'_>, report: &mut Report) {
    match look.input.manifest {
        Some(manifest) => check_manifest(look, manifest, report),
        // It also takes a manifest of its own kind, which names the document.
        None => fields::missing(report, Severity::Warning),
    }
    shared::guarded(look, report, Severity::Error);
    origin::check(look, report, None);
    origin::check_server(look, report);
    check_version(look, report);
    shared::count(look, report, "", (None, None));
    shared::operation_ids(look, report, Severity::Warning, false);
}

/// The texts and the authentication.
fn check_manifest(look: &Look<'_>, manifest: &Value, report: &mut Report) {
    fields::required(manifest, report);
    fields::length(manifest, report, "name_for_model", (100, Some(100)));
    fields::length(manifest, report, "name_for_human", (40, Some(40)));
    fields::length(manifest, report, "description_for_human", (200, Some(200)));
    fields::length(
        manifest,
        report,
        "description_for_model",
        (16_000, Some(16_000)),
    );
    let name = fields::text(manifest, "/name_for_model");
    if name.contains(['/', '\\', '?', '#']) {
        let fault = Fault {
            rule: "name-for-model",
            severity: Severity::Error,
            message: format!(
                "{} does not take these characters in a name for the model",
                report.reader()
            ),
            limit: "no / \\ ? #".to_owned(),
            actual: shown(name),
            help: "give the plugin another name".to_owned(),
        };
        report.add(&At::Manifest("/name_for_model"), fault);
    }
    let help = "write `require = \"service\"`, or \"any\" with `auth.verification_tokens`, so that the manifest says service_http";
    fields::auth_kind(manifest, report, &["none", "service_http", "oauth"], help);
    fields::authorization(manifest, report, &["bearer"]);
    credential::not_by_header(look, report);
}

/// 3.0 or 3.0.1.
fn check_version(look: &Look<'_>, report: &mut Report) {
    let version = shared::version(look.document);
    if !matches!(version, "3.0" | "3.0.0" | "3.0.1") {
        let fault = Fault {
            rule: "openapi-version",
            severity: Severity::Error,
            message: format!("{} reads no other version", report.reader()),
            limit: "3.0.0 or 3.0.1".to_owned(),
            actual: shown(version),
            help: "give it /openapi-3.0.json".to_owned(),
        };
        report.add(&At::Document("/openapi"), fault);
    }
}
