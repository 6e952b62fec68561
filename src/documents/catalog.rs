//! The API catalog: RFC 9727, a link set (RFC 9264) of one API.

use crate::openapi::{Map, Value, json};

use super::facts::Facts;
use super::{MANIFEST, ORIGIN, media};
use crate::config::Plugin;

/// Where it is.
pub(super) const PATH: &str = "/.well-known/api-catalog";
/// RFC 9727 §4.
pub(super) const MEDIA_TYPE: &str =
    "application/linkset+json; profile=\"https://www.rfc-editor.org/info/rfc9727\"";

/// The catalog, with [`ORIGIN`] where the origin goes.
pub(super) fn catalog(plugin: &Plugin, facts: &Facts<'_>) -> Value {
    let mut context = Map::new();
    let mut relate = |relation: &str, targets: Value| {
        context.insert(relation.to_owned(), targets);
    };
    relate("anchor", json!(format!("{ORIGIN}/")));
    if plugin.publish.openapi {
        let description =
            |path: &str, kind: &str| json!({ "href": format!("{ORIGIN}{path}"), "type": kind });
        relate(
            "service-desc",
            json!([
                description("/openapi.json", "application/json"),
                description("/openapi.yaml", media::YAML),
                description("/openapi-3.0.json", "application/json"),
                description("/openapi-3.0.yaml", media::YAML),
            ]),
        );
    }
    if plugin.publish.manifest {
        let href = format!("{ORIGIN}{MANIFEST}");
        relate(
            "service-meta",
            json!([{ "href": href, "type": "application/json" }]),
        );
    }
    relate("status", json!([{ "href": format!("{ORIGIN}/healthz") }]));
    relate("terms-of-service", json!([{ "href": facts.legal.url() }]));
    json!({ "linkset": [context] })
}
