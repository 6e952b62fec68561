//! Which version of which format a document is.

use crate::openapi::Value;

use super::{Action, Finding};

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Swagger 2.0
    Swagger2,
    /// `OpenAPI` 3.0 and 3.1
    V30OrV31,
    /// `OpenAPI` 3.2
    V32,
}

/// Why a document is none that can be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A version of `OpenAPI` that this version of plugway does not read.
    #[error("{0} is not supported; Swagger 2.0 and OpenAPI 3.0, 3.1 and 3.2 are")]
    Version(String),
    /// `openapi` is there, but no version.
    #[error("`openapi` is {0}, which is no version of OpenAPI; write \"3.0.3\" or \"3.1.0\"")]
    NoVersion(String),
    /// Not `OpenAPI`.
    #[error(
        "this is no OpenAPI document: it has neither `openapi` nor `swagger` at the top; it seems to be {0}"
    )]
    Other(&'static str),
}

/// The version of a document, and what had to be guessed. A document that says nothing, or
/// nothing sensible, and has `paths` is taken for what its other members show.
pub(super) fn dialect(document: &Value) -> Result<(Dialect, Option<Finding>), LoadError> {
    let written = |name| document.get(name).filter(|value| !value.is_null());
    let openapi = written("openapi").map(|version| ("OpenAPI", version));
    let swagger = || written("swagger").map(|version| ("Swagger", version));
    let Some((format, version)) = openapi.or_else(swagger) else {
        let nothing = document.get("openapi").map(Value::to_string);
        return guess(document).ok_or_else(|| match nothing {
            Some(nothing) => LoadError::NoVersion(nothing),
            None => LoadError::Other(seems(document)),
        });
    };
    let text = plain(version);
    let mut parts = text.trim().trim_start_matches('v').split('.');
    match (parts.next().unwrap_or_default(), parts.next()) {
        // `swagger: 2` and `openapi: 3` are what careless authors write.
        ("2", Some("0") | None) => Ok((Dialect::Swagger2, None)),
        ("3", Some("0" | "1") | None) => Ok((Dialect::V30OrV31, None)),
        ("3", Some("2")) => Ok((Dialect::V32, None)),
        (major, _) if major.parse::<u32>().is_ok() => {
            Err(LoadError::Version(format!("{format} {}", text.trim())))
        }
        _ => guess(document)
            .ok_or_else(|| LoadError::NoVersion(version.to_string().chars().take(40).collect())),
    }
}

/// The version that the members of a document show.
fn guess(document: &Value) -> Option<(Dialect, Option<Finding>)> {
    document.get("paths")?.as_object()?;
    let has = |names: &[&str]| names.iter().any(|name| document.get(*name).is_some());
    let (dialect, version) = if !has(&["components", "servers"])
        && has(&[
            "definitions",
            "basePath",
            "host",
            "schemes",
            "securityDefinitions",
        ]) {
        (Dialect::Swagger2, "Swagger 2.0")
    } else {
        (Dialect::V30OrV31, "OpenAPI 3.0")
    };
    let message = format!("it does not say which version it is, and is read as {version}");
    Some((dialect, Some(Finding::new("#", Action::Repaired, message))))
}

/// A string without quotes, anything else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// What a file without `openapi` is.
fn seems(document: &Value) -> &'static str {
    /// Members that give a format away.
    const SIGNS: &[(&[&str], &str)] = &[
        (
            &["schema_version", "api"],
            "a plugin manifest; give what its `api.url` names",
        ),
        (
            &["swaggerVersion"],
            "Swagger 1.x; convert it to OpenAPI 3 first",
        ),
        (
            &["overlay"],
            "an OpenAPI overlay; it belongs into `overlays`",
        ),
        (&["arazzo"], "an Arazzo description"),
        (&["asyncapi"], "an AsyncAPI document"),
        (
            &["item", "info"],
            "a Postman collection; export it as OpenAPI first",
        ),
        (&["log"], "a HAR file"),
        (&["data"], "the answer of an API"),
        (&["plugins"], "a configuration of plugway"),
        (&["services"], "a Compose file"),
        (&["$schema"], "a JSON Schema"),
        (&["properties"], "a JSON Schema"),
        (&["error"], "an error that the server answered"),
        (&["detail"], "an error that the server answered"),
        (&["message"], "an error that the server answered"),
    ];
    match document {
        Value::Object(map) => SIGNS
            .iter()
            .find(|(members, _)| members.iter().all(|member| map.contains_key(member)))
            .map_or("another kind of JSON or YAML", |(_, what)| *what),
        Value::Array(_) => "a list",
        Value::String(_) => "plain text",
        _ => "a single value",
    }
}
