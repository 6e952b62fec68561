//! How callers of the published document authenticate to the gateway.

use crate::openapi::{Map, Value, json};

use crate::config::{OAuth, Plugin, Require};

/// The security scheme of the gateway's own authentication, and its name in
/// `components.securitySchemes`. `None`: no credential is needed.
pub fn security_scheme(plugin: &Plugin) -> Option<(String, Value)> {
    let auth = &plugin.auth;
    let (name, scheme) = match (auth.require, &auth.oauth) {
        (Require::None, _) => return None,
        (Require::Upstream, Some(oauth)) => ("oauth2", authorization_code(oauth)),
        (Require::Service | Require::User | Require::Any | Require::Upstream, _) => {
            if auth.header.eq_ignore_ascii_case("authorization") {
                ("bearerAuth", json!({ "type": "http", "scheme": "bearer" }))
            } else {
                let scheme = json!({ "type": "apiKey", "in": "header", "name": auth.header });
                ("apiKeyAuth", scheme)
            }
        }
    };
    Some((name.to_owned(), scheme))
}

/// The API's own authorization server. The manifest's names mislead: its `client_url` is the
/// authorization endpoint of RFC 6749, its `authorization_url` the token endpoint.
fn authorization_code(oauth: &OAuth) -> Value {
    let scopes: Map = oauth
        .scope
        .split_whitespace()
        .map(|scope| (scope.to_owned(), json!("")))
        .collect();
    json!({
        "type": "oauth2",
        "flows": {
            "authorizationCode": {
                "authorizationUrl": oauth.client_url,
                "tokenUrl": oauth.authorization_url,
                "scopes": scopes,
            },
        },
    })
}
