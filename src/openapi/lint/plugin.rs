//! What reads a manifest of version 1 and the 3.0 document that it names: `ChatGPT`'s plugins of
//! 2023 (closed since), and what still takes them: Dify, `LobeChat` (reference §2, §3.4).

use crate::openapi::Value;

use super::calls::shown;
use super::origin::{self, host_of};
use super::report::{At, Fault, Report};
use super::shared::{self, Texts};
use super::{Look, Severity, credential, fields};

/// Every rule.
///
/// - Texts of an operation and of a parameter have 200 characters (§2.4). A warning: the readers
///   that are left do not count.
/// - About 4 operations are best (§3.5); more than 10 is a warning, more than 30 an error.
/// - An operationId is recommended (§2.5: Dify makes one up).
/// - Header and cookie parameters: `ChatGPT` dropped them (§3.1), Dify sends them. A warning.
/// - A parameter by reference: Dify looks for a name beside `$ref` and gives the document up.
pub(super) fn check(look: &Look<'_>, report: &mut Report) {
    match look.input.manifest {
        Some(manifest) => check_manifest(look, manifest, report),
        None => fields::missing(report, Severity::Error),
    }
    shared::guarded(look, report, Severity::Error);
    origin::check(look, report, Some(Severity::Warning));
    origin::check_server(look, report);
    check_version(look, report);
    shared::count(
        look,
        report,
        "10 operations, about 4 are best",
        (Some(10), Some(30)),
    );
    shared::operation_ids(look, report, Severity::Warning, false);
    let texts = Texts {
        operation: 200,
        parameter: 200,
        severity: Severity::Warning,
    };
    shared::texts(look, report, texts);
    shared::dropped(look, report, Severity::Warning);
    shared::references(look, report, "skips it or refuses the document");
}

/// Version 3.0 is what these clients were made for (§3.5).
fn check_version(look: &Look<'_>, report: &mut Report) {
    let version = shared::version(look.document);
    if !version.starts_with("3.0.") {
        let fault = Fault {
            rule: "openapi-version",
            severity: Severity::Error,
            message: format!("{} reads OpenAPI 3.0", report.reader()),
            limit: "3.0.x".to_owned(),
            actual: shown(version),
            help: "let `api.url` name /openapi-3.0.json".to_owned(),
        };
        report.add(&At::Document("/openapi"), fault);
    }
}

/// Limits of August 2023 are advice, those of spring 2023 are hard (§2.1).
fn check_manifest(look: &Look<'_>, manifest: &Value, report: &mut Report) {
    fields::required(manifest, report);
    check_names(manifest, report);
    fields::length(manifest, report, "name_for_model", (50, Some(50)));
    fields::length(manifest, report, "name_for_human", (20, Some(50)));
    fields::length(manifest, report, "description_for_human", (100, Some(120)));
    fields::length(
        manifest,
        report,
        "description_for_model",
        (8_000, Some(8_000)),
    );
    let takes = ["none", "service_http", "user_http", "oauth"];
    fields::auth_kind(manifest, report, &takes, "let `auth.type` be one of these");
    fields::authorization(manifest, report, &["bearer", "basic"]);
    check_auth(manifest, report);
    credential::not_by_header(look, report);
    check_api(look, manifest, report);
    if !look.origin.is_local() {
        check_domains(look, manifest, report);
    }
}

/// The fixed words of a manifest, and the letters of its name (§2.1).
fn check_names(manifest: &Value, report: &mut Report) {
    let version = fields::text(manifest, "/schema_version");
    if !version.is_empty() && version != "v1" {
        let fault = Fault {
            rule: "manifest-version",
            severity: Severity::Error,
            message: format!("{} reads version 1 alone", report.reader()),
            limit: "v1".to_owned(),
            actual: shown(version),
            help: "let `schema_version` be v1".to_owned(),
        };
        report.add(&At::Manifest("/schema_version"), fault);
    }
    let name = fields::text(manifest, "/name_for_model");
    if name.chars().any(|c| !c.is_ascii_alphanumeric() && c != '_') {
        let fault = Fault {
            rule: "name-for-model",
            severity: Severity::Error,
            message: format!(
                "{} takes letters, digits and `_` in a name for the model",
                report.reader()
            ),
            limit: "[A-Za-z0-9_]".to_owned(),
            actual: shown(name),
            help: "give the plugin another name".to_owned(),
        };
        report.add(&At::Manifest("/name_for_model"), fault);
    }
    if fields::text(manifest, "/logo_url")
        .to_ascii_lowercase()
        .ends_with(".gif")
    {
        let fault = Fault {
            rule: "logo",
            severity: Severity::Warning,
            message: format!("{} does not show a GIF", report.reader()),
            limit: "a picture of about 512 by 512 pixels, no GIF".to_owned(),
            actual: "GIF".to_owned(),
            help: "write a PNG as `logo`".to_owned(),
        };
        report.add(&At::Manifest("/logo_url"), fault);
    }
}

/// The fields of each kind of authentication (§2.2).
fn check_auth(manifest: &Value, report: &mut Report) {
    let kind = fields::text(manifest, "/auth/type");
    if kind == "service_http"
        && fields::text(manifest, "/auth/verification_tokens/openai").is_empty()
    {
        let fault = Fault {
            rule: "verification-token",
            severity: Severity::Warning,
            message: "the installer of ChatGPT's plugins looks for its verification token; other readers do without".to_owned(),
            limit: "a token for openai".to_owned(),
            actual: "none".to_owned(),
            help: "write what the installer shows in `auth.verification_tokens.openai`".to_owned(),
        };
        report.add(&At::Manifest("/auth/verification_tokens"), fault);
    }
    if kind != "oauth" {
        return;
    }
    let missing = |field: &'static str, limit: &'static str, actual: &str| Fault {
        rule: "oauth-field",
        severity: Severity::Error,
        message: format!("without `{field}` no user can log in"),
        limit: limit.to_owned(),
        actual: shown(actual),
        help: format!("write `{field}` in `auth.oauth`"),
    };
    for field in ["client_url", "authorization_url"] {
        let pointer = format!("/auth/{field}");
        let url = fields::text(manifest, &pointer);
        if host_of(url).is_none() {
            report.add(&At::Manifest(&pointer), missing(field, "a URL", url));
        }
    }
    let field = "authorization_content_type";
    let pointer = format!("/auth/{field}");
    let sent = fields::text(manifest, &pointer);
    if !matches!(
        sent,
        "application/json" | "application/x-www-form-urlencoded"
    ) {
        let limit = "application/json or application/x-www-form-urlencoded";
        report.add(&At::Manifest(&pointer), missing(field, limit, sent));
    }
}

/// Where the document is (§2.1: Dify refuses every type but `openapi`; §2.3: its host is the root
/// domain or below it).
fn check_api(look: &Look<'_>, manifest: &Value, report: &mut Report) {
    let kind = fields::text(manifest, "/api/type");
    if manifest.get("api").is_some() && kind != "openapi" {
        let fault = Fault {
            rule: "api-type",
            severity: Severity::Error,
            message: format!("{} reads OpenAPI documents alone", report.reader()),
            limit: "openapi".to_owned(),
            actual: shown(kind),
            help: "let `api.type` be openapi".to_owned(),
        };
        report.add(&At::Manifest("/api/type"), fault);
    }
    let url = fields::text(manifest, "/api/url");
    let host = host_of(url);
    if manifest.get("api").is_some()
        && !host.as_deref().is_some_and(|host| look.origin.covers(host))
    {
        let fault = Fault {
            rule: "api-domain",
            severity: Severity::Error,
            message: format!(
                "{} fetches the document from the manifest's own host or below it",
                report.reader()
            ),
            limit: "the host of the manifest or one below it".to_owned(),
            actual: shown(url),
            help: "let `api.url` name the plugin's own origin".to_owned(),
        };
        report.add(&At::Manifest("/api/url"), fault);
    }
}

/// The second-level domain of legal page and contact (§2.3). A warning: only `ChatGPT`'s installer
/// compared them.
fn check_domains(look: &Look<'_>, manifest: &Value, report: &mut Report) {
    let legal = fields::text(manifest, "/legal_info_url");
    let contact = fields::text(manifest, "/contact_email");
    let at = contact
        .rsplit_once('@')
        .map(|(_, domain)| domain.to_owned());
    let places = [
        (
            "legal-domain",
            "/legal_info_url",
            legal,
            host_of(legal),
            "`legal`",
        ),
        ("contact-domain", "/contact_email", contact, at, "`contact`"),
    ];
    for (rule, pointer, text, host, key) in places {
        if text.is_empty() || host.is_some_and(|host| look.origin.is_kin(&host)) {
            continue;
        }
        let fault = Fault {
            rule,
            severity: Severity::Warning,
            message:
                "the installer of ChatGPT's plugins refuses another domain than the manifest's"
                    .to_owned(),
            limit: "the domain of the manifest".to_owned(),
            actual: shown(text),
            help: format!("write one of the plugin's own domain as {key}"),
        };
        report.add(&At::Manifest(pointer), fault);
    }
}
