//! `securityDefinitions` → `components.securitySchemes`.

use crate::openapi::{Map, Value};

use super::super::Action;
use super::super::pointer;
use super::ledger::Ledger;

/// Rewrites the schemes in place.
pub(super) fn convert(schemes: &mut Map, ledger: &mut Ledger) {
    for (name, value) in schemes.iter_mut() {
        let at = pointer::join("#/securityDefinitions", name);
        let Value::Object(scheme) = value else {
            ledger.note(&at, Action::Skipped, "the security scheme is no object");
            continue;
        };
        let kind = scheme
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        match kind.to_ascii_lowercase().as_str() {
            "basic" => {
                scheme.insert("type".to_owned(), "http".into());
                scheme.entry("scheme").or_insert_with(|| "basic".into());
            }
            "oauth2" if !scheme.contains_key("flows") => oauth(scheme, &at, ledger),
            "apikey" => {
                scheme.insert("type".to_owned(), "apiKey".into());
            }
            // What only 3.0 knows.
            "oauth2" | "http" | "openidconnect" => {}
            _ if pointer::is_reference(scheme) => {}
            other => {
                let reason = format!("`{other}` is no type of security scheme");
                ledger.note(&at, Action::Simplified, reason);
            }
        }
    }
}

/// The only flow that an `oauth2` scheme has in 2.0.
fn oauth(scheme: &mut Map, at: &str, ledger: &mut Ledger) {
    let written = scheme.shift_remove("flow");
    let written = written.as_ref().and_then(Value::as_str).unwrap_or_default();
    let mut flow = Map::new();
    for name in ["authorizationUrl", "tokenUrl", "refreshUrl"] {
        if let Some(url) = scheme.shift_remove(name) {
            flow.insert(name.to_owned(), url);
        }
    }
    let scopes = match scheme.shift_remove("scopes") {
        Some(Value::Object(scopes)) => scopes,
        Some(Value::Array(names)) => {
            ledger.note(
                at,
                Action::Repaired,
                "its scopes are a list and get no descriptions",
            );
            let name = |name: &Value| Some((name.as_str()?.to_owned(), "".into()));
            names.iter().filter_map(name).collect()
        }
        _ => Map::new(),
    };
    flow.insert("scopes".to_owned(), Value::Object(scopes));
    let name = match written.to_ascii_lowercase().as_str() {
        "implicit" => "implicit",
        "password" => "password",
        "application" | "clientcredentials" => "clientCredentials",
        "accesscode" | "authorizationcode" => "authorizationCode",
        _ => {
            let guess = match (flow.get("authorizationUrl"), flow.get("tokenUrl")) {
                (Some(_), Some(_)) => "authorizationCode",
                (Some(_), None) => "implicit",
                _ => "clientCredentials",
            };
            let reason = format!("its flow is none that Swagger 2.0 knows, and is read as {guess}");
            ledger.note(at, Action::Repaired, reason);
            guess
        }
    };
    let flows = Map::from_iter([(name.to_owned(), Value::Object(flow))]);
    scheme.insert("flows".to_owned(), Value::Object(flows));
}
