//! API plugins of Microsoft 365 Copilot, manifest 2.4 (reference §3.3). That manifest is packaged,
//! not served: its texts are taken to be those of the manifest of version 1, which has the same
//! fields, and its functions to be the operations of the 3.0 document.

use crate::openapi::Value;

use super::calls::shown;
use super::report::{At, Fault, Report};
use super::schemas::{Kind, Schemas};
use super::shared::{self, Texts};
use super::{Look, Severity, credential, fields, origin};

/// Characters of a string that has no limit of its own ("4K characters").
const STRING: usize = 4_000;

/// Every rule.
///
/// - 20 characters for the name, 100 and 2,048 for the descriptions; what is beyond may be
///   ignored, so a warning. The namespace has letters and digits alone.
/// - 4,000 characters for any other string.
/// - A function has the name of its operationId, letters, digits and `_`.
/// - More than 10 functions are chosen from worse.
/// - Parameters are strings, lists, booleans, integers and numbers: an object or alternatives can
///   not be filled. An enum has strings alone.
/// - A bearer token, an API key in a header or the query, or OAuth.
pub(super) fn check(look: &Look<'_>, report: &mut Report) {
    if let Some(manifest) = look.input.manifest {
        check_texts(manifest, report);
    }
    origin::check(look, report, None);
    origin::check_server(look, report);
    shared::count(look, report, "10 operations", (Some(10), None));
    shared::operation_ids(look, report, Severity::Error, true);
    let takes = [
        "http bearer",
        "API key in header",
        "API key in query",
        "OAuth",
        "openIdConnect",
    ];
    credential::kinds(look, report, &takes);
    let texts = Texts {
        operation: STRING,
        parameter: STRING,
        severity: Severity::Error,
    };
    shared::texts(look, report, texts);
    let mut schemas = Schemas::new(look.document);
    for call in look.calls {
        check_parameters(look, call, &mut schemas, report);
        check_body(look, call, &mut schemas, report);
    }
}

/// The texts that both manifests have.
fn check_texts(manifest: &Value, report: &mut Report) {
    fields::length(manifest, report, "name_for_human", (20, None));
    fields::length(manifest, report, "description_for_human", (100, None));
    fields::length(manifest, report, "description_for_model", (2_048, None));
    let name = fields::text(manifest, "/name_for_model");
    if !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
        let fault = Fault {
            rule: "namespace",
            severity: Severity::Warning,
            message: format!("{} takes letters and digits alone in a namespace, which is the name for the model", report.reader()),
            limit: "^[A-Za-z0-9]+$".to_owned(),
            actual: shown(name),
            help: "write another `namespace` in the packaged manifest, or give the plugin another name".to_owned(),
        };
        report.add(&At::Manifest("/name_for_model"), fault);
    }
}

/// What a parameter can be.
fn check_parameters<'a>(
    look: &Look<'a>,
    call: &super::calls::Call<'a>,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) {
    for parameter in call.parameters(look.document) {
        let own = parameter.body.get("schema");
        let content = parameter.body.get("content").and_then(Value::as_object);
        let schema = own.or_else(|| content?.values().next()?.get("schema"));
        let Some(kind) = schema.and_then(|schema| schemas.kind(schema)) else {
            continue;
        };
        let at = At::Parameter(call, &parameter, "");
        let fault = fault(report, kind, parameter.required, kind.word().to_owned());
        report.add(&at, fault);
    }
}

/// What the properties of a body can be: each is a parameter of the function.
fn check_body<'a>(
    look: &Look<'a>,
    call: &super::calls::Call<'a>,
    schemas: &mut Schemas<'a>,
    report: &mut Report,
) {
    let Some(request) = call.request(look.document) else {
        return;
    };
    let content = request.get("content").and_then(Value::as_object);
    let is_json = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind == "application/json" || kind.ends_with("+json")
    };
    let json = content
        .into_iter()
        .flatten()
        .find(|(kind, _)| is_json(kind));
    let Some(schema) = json.and_then(|(_, media)| media.get("schema")) else {
        return;
    };
    let needed = request.get("required") == Some(&Value::Bool(true));
    let found = schemas.body(schema);
    for (names, required) in [(&found.required, needed), (&found.optional, false)] {
        if let Some((kind, text)) = names.told() {
            let fault = fault(report, kind, required, text);
            report.add(&At::Call(call, "/requestBody"), fault);
        }
    }
}

/// A value that no function of Copilot takes. `needed`: no call can do without it.
fn fault(report: &Report, kind: Kind, needed: bool, actual: String) -> Fault {
    let reader = report.reader();
    let (rule, severity, message, limit) = match kind {
        Kind::Enum => (
            "parameter-enum",
            Severity::Warning,
            format!("{reader} takes an enum of strings alone"),
            "an enum of strings",
        ),
        Kind::Object | Kind::Objects | Kind::Alternatives => (
            "parameter-type",
            if needed {
                Severity::Error
            } else {
                Severity::Warning
            },
            if needed {
                format!("{reader} can not fill it and a call needs it, so no call can succeed")
            } else {
                format!("{reader} can not fill it")
            },
            "string, array, boolean, integer or number",
        ),
    };
    Fault {
        rule,
        severity,
        message,
        limit: limit.to_owned(),
        actual,
        help: "offer an operation with flat parameters, give it a value in `fixed` of the operation's override, or leave the operation out".to_owned(),
    }
}
