//! GPT Actions, which import the 3.1 document (reference §3.1). What only a call shows, such as
//! payloads of 100,000 characters and 45 seconds, no document tells.

use crate::openapi::{Map, Value};

use super::calls::{Call, shown, target};
use super::report::{At, Fault, Report};
use super::shared::{self, Texts};
use super::{Look, Severity, credential, origin};

/// Most bytes of a document: the editor says "1MB", of the document as it indents it.
const BYTES: usize = 1_000_000;

/// Most media types of a body that are looked at: a response may be shared by all operations.
const KINDS: usize = 64;

/// Every rule.
///
/// - 300 characters for an operation, 700 for a parameter: the editor refuses more.
/// - About 30 operations, 1 MB.
/// - An operation without operationId is skipped, and so is a parameter that is a reference.
/// - Custom headers are not supported: header parameters are dropped. One header may carry an API
///   key. Nothing sends a cookie.
/// - One kind of authentication, said on each operation; OAuth by authorization code, on the API's
///   own domain.
/// - Requests and responses hold text only.
/// - TLS on port 443.
pub(super) fn check(look: &Look<'_>, report: &mut Report) {
    shared::guarded(look, report, Severity::Warning);
    origin::check(look, report, Some(Severity::Error));
    origin::check_server(look, report);
    check_size(look, report);
    shared::count(look, report, "", (None, Some(30)));
    shared::operation_ids(look, report, Severity::Error, false);
    let takes = ["http bearer", "http basic", "API key in header", "OAuth"];
    credential::kinds(look, report, &takes);
    credential::oauth_domains(look, report);
    credential::requirements(look, report);
    let texts = Texts {
        operation: 300,
        parameter: 700,
        severity: Severity::Error,
    };
    shared::texts(look, report, texts);
    shared::dropped(look, report, Severity::Error);
    shared::references(look, report, "skips it, since a reference has no name");
    for call in look.calls {
        check_request(look, call, report);
        check_responses(look, call, report);
    }
}

/// The document as it is served is indented, as the editor keeps it.
fn check_size(look: &Look<'_>, report: &mut Report) {
    let bytes = look.input.v31_bytes;
    if bytes > BYTES {
        let fault = Fault {
            rule: "document-size",
            severity: Severity::Error,
            message: format!("the editor of {} refuses it", report.reader()),
            limit: format!("{BYTES} bytes"),
            actual: format!("{bytes} bytes"),
            help: "publish fewer operations: name them in `openapi.include`".to_owned(),
        };
        report.add(&At::Document(""), fault);
    }
}

/// A body that can only be sent as something else than text.
fn check_request(look: &Look<'_>, call: &Call<'_>, report: &mut Report) {
    let Some(request) = call.request(look.document) else {
        return;
    };
    let Some(kinds) = only_bytes(request) else {
        return;
    };
    let required = request.get("required") == Some(&Value::Bool(true));
    let (severity, consequence) = if required {
        (Severity::Error, ", so no call can succeed")
    } else {
        (Severity::Warning, "")
    };
    let fault = Fault {
        rule: "request-media-type",
        severity,
        message: format!(
            "its body is no text, and {} sends text only{consequence}",
            report.reader()
        ),
        limit: "a media type of text".to_owned(),
        actual: kinds,
        help: "leave the operation out, or offer one that takes a URL or JSON".to_owned(),
    };
    report.add(&At::Call(call, "/requestBody/content"), fault);
}

/// Answers of a call that went well that are something else than text.
fn check_responses(look: &Look<'_>, call: &Call<'_>, report: &mut Report) {
    let responses = call.body.get("responses").and_then(Value::as_object);
    for (code, response) in responses.into_iter().flatten() {
        if !code.starts_with('2') && code != "default" {
            continue;
        }
        let kinds = target(look.document, response).and_then(only_bytes);
        let Some(kinds) = kinds else { continue };
        let fault = Fault {
            rule: "response-media-type",
            severity: Severity::Warning,
            message: format!(
                "its answer {} is no text, and {} reads text only",
                shown(code),
                report.reader()
            ),
            limit: "a media type of text".to_owned(),
            actual: kinds,
            help: "leave the operation out, or offer one that answers with a URL".to_owned(),
        };
        report.add(&At::Call(call, "/responses"), fault);
    }
}

/// The media types, if there are some and none of them is text.
fn only_bytes(holder: &Map) -> Option<String> {
    let content = holder.get("content")?.as_object()?;
    let none_is_text = !content.is_empty() && content.keys().take(KINDS).all(|kind| is_bytes(kind));
    none_is_text.then(|| {
        let kinds: Vec<_> = content.keys().take(3).map(|kind| shown(kind)).collect();
        kinds.join(", ")
    })
}

/// Whether a media type is known to be something else than text.
fn is_bytes(kind: &str) -> bool {
    const FAMILIES: [&str; 5] = ["image/", "audio/", "video/", "font/", "multipart/"];
    const SINGLE: [&str; 9] = [
        "application/octet-stream",
        "application/pdf",
        "application/zip",
        "application/gzip",
        "application/x-tar",
        "application/x-protobuf",
        "application/wasm",
        "application/msword",
        "application/java-archive",
    ];
    const BEGINNINGS: [&str; 2] = ["application/vnd.openxmlformats", "application/vnd.ms-"];
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let is_text = kind.ends_with("+xml") || kind.ends_with("+json");
    let begins = |list: &[&str]| list.iter().any(|start| kind.starts_with(start));
    !is_text && (begins(&FAMILIES) || begins(&BEGINNINGS) || SINGLE.contains(&kind.as_str()))
}
