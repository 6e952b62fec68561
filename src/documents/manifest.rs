//! The manifest, version 1: what `ai-plugin.json` was in 2023 and is for those who still read it.

use crate::openapi::{Value, json};

use super::ORIGIN;
use super::facts::Facts;
use super::report::Report;
use crate::config::{Auth, OAuth, Plugin, Require};

/// How a v1 client authenticates.
enum Scheme<'a> {
    /// Not at all.
    None,
    /// The platform holds one token for all its users.
    Service,
    /// Each user pastes a token.
    User,
    /// The API's own authorization server.
    OAuth(&'a OAuth),
}

/// The manifest, with [`ORIGIN`] where the origin goes.
pub(super) fn manifest(plugin: &Plugin, facts: &Facts<'_>) -> Value {
    let scheme = scheme(&plugin.auth);
    let is_user_authenticated = matches!(scheme, Scheme::User | Scheme::OAuth(_));
    json!({
        "schema_version": "v1",
        "name_for_model": plugin.name,
        "name_for_human": facts.name,
        "description_for_model": facts.instructions,
        "description_for_human": facts.description,
        "auth": auth(&plugin.auth, &scheme),
        "api": {
            "type": "openapi",
            "url": format!("{ORIGIN}/openapi-3.0.json"),
            "is_user_authenticated": is_user_authenticated,
        },
        "logo_url": facts.logo.url(),
        "contact_email": facts.contact,
        "legal_info_url": facts.legal.url(),
    })
}

/// Warns of what the configuration says and a v1 manifest can not.
pub(super) fn check(plugin: &Plugin, report: &mut Report<'_>) {
    let auth = &plugin.auth;
    let scheme = scheme(auth);
    if !plugin.publish.openapi {
        report.warn(
            "publish",
            "the manifest names /openapi-3.0.json, which is not published".to_owned(),
            Some("add \"openapi\" to `publish`, or leave \"manifest\" out".to_owned()),
        );
    }
    if !matches!(scheme, Scheme::None) && !auth.header.eq_ignore_ascii_case("authorization") {
        report.warn(
            "auth.header",
            format!(
                "a v1 manifest can not name a header, so its readers will not send {}",
                auth.header
            ),
            Some("leave `header` out, or \"manifest\" out of `publish`".to_owned()),
        );
    }
    if matches!(scheme, Scheme::None | Scheme::User) && !auth.verification_tokens.is_empty() {
        let type_name = if matches!(scheme, Scheme::None) {
            "none"
        } else {
            "user_http"
        };
        report.warn(
            "auth.verification_tokens",
            format!("verification tokens have no place in a manifest with auth type {type_name}"),
            Some("they belong to `require` \"service\" or \"any\", or to `oauth`".to_owned()),
        );
    }
}

/// Which scheme a configuration comes to.
fn scheme(auth: &Auth) -> Scheme<'_> {
    match (auth.require, &auth.oauth) {
        (Require::None, _) => Scheme::None,
        (Require::Service, _) => Scheme::Service,
        (Require::Any, _) if !auth.verification_tokens.is_empty() => Scheme::Service,
        (Require::Upstream, Some(oauth)) => Scheme::OAuth(oauth),
        (Require::User | Require::Any | Require::Upstream, _) => Scheme::User,
    }
}

/// The `auth` object. It must be there even when nothing is needed.
fn auth(auth: &Auth, scheme: &Scheme<'_>) -> Value {
    match scheme {
        Scheme::None => json!({ "type": "none" }),
        Scheme::Service => json!({
            "type": "service_http",
            "authorization_type": "bearer",
            "verification_tokens": auth.verification_tokens,
        }),
        Scheme::User => json!({ "type": "user_http", "authorization_type": "bearer" }),
        Scheme::OAuth(oauth) => json!({
            "type": "oauth",
            "client_url": oauth.client_url,
            "scope": oauth.scope,
            "authorization_url": oauth.authorization_url,
            "authorization_content_type": oauth.authorization_content_type,
            "verification_tokens": auth.verification_tokens,
        }),
    }
}
