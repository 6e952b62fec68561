//! `[plugins.NAME.auth]`, `.cors`, `.headers`: who may call, and what is changed on the way.

use std::collections::BTreeMap;

use crate::config::names::{self, Direction};
use crate::config::section::{Reading, Section, understood};
use crate::config::values::{self, Fault};
use crate::config::{Auth, HeaderChanges, HeaderRules, OAuth, Require};

/// Reads `[plugins.NAME.auth]`.
pub(super) fn auth(section: &Section<'_>, reading: &mut Reading<'_>) -> Auth {
    let written = section.choice("require", reading);
    let require = match written {
        Some("service") => Require::Service,
        Some("user") => Require::User,
        Some("any") => Require::Any,
        Some("upstream") => Require::Upstream,
        _ => Require::None,
    };
    if let (Some("none"), Some(at)) = (written, section.written("require")) {
        reading.seen.unguarded.push(at);
    }
    let header = section.parsed("header", reading, |text| {
        let name = values::header_name(text)?;
        names::not_the_gateways(&name).map(|()| name)
    });
    let oauth = section
        .written_table("oauth", reading)
        .map(|table| oauth(&table, reading));
    if let (Some(choice), Some(at)) = (written, section.written("oauth"))
        && require != Require::Upstream
    {
        let message = format!("`oauth` has no meaning with `require = \"{choice}\"`");
        reading.problems.add(&at, message).help(
            "it names the API's own authorization server, which needs `require = \"upstream\"`",
        );
    }
    let verification_tokens = verification_tokens(section, reading);
    let published =
        matches!(require, Require::Service | Require::Any) || section.written("oauth").is_some();
    if let (Some(choice), Some(at), false) =
        (written, section.written("verification_tokens"), published)
    {
        let message =
            format!("the verification tokens are not published with `require = \"{choice}\"`");
        reading.problems.warn(&at, message).help(
            "the manifest has a place for them with `require` service or any, and with `oauth`",
        );
    }
    Auth {
        require,
        header: header.unwrap_or_default(),
        verification_tokens,
        oauth: oauth.flatten(),
    }
}

/// `verification_tokens`: platform and text.
fn verification_tokens(
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> BTreeMap<String, String> {
    let mut tokens = BTreeMap::new();
    for (platform, token) in section.map("verification_tokens", reading) {
        let token = understood(&token, &mut reading.problems, |value| {
            if value.trim().is_empty() || value.chars().any(char::is_control) {
                return Err(Fault::new("is empty, or has a control character"));
            }
            Ok(value.to_owned())
        });
        tokens.extend(token.map(|token| (platform.value, token)));
    }
    tokens
}

/// `oauth`
fn oauth(table: &Section<'_>, reading: &mut Reading<'_>) -> Option<OAuth> {
    let client_url = table.parsed("client_url", reading, values::web_url);
    let authorization_url = table.parsed("authorization_url", reading, values::web_url);
    let scope = table.text("scope", reading);
    let content_type = table.choice("authorization_content_type", reading);
    Some(OAuth {
        client_url: client_url?,
        authorization_url: authorization_url?,
        scope: scope?.value,
        authorization_content_type: content_type?.to_owned(),
    })
}

/// `cors.origins`
pub(super) fn cors_origins(section: &Section<'_>, reading: &mut Reading<'_>) -> Vec<String> {
    let origins = section.list("origins", reading, |text| match text {
        "*" | "null" => Err(Fault::with(
            "is not one origin",
            "write every origin whose pages may call, such as `https://chatgpt.com`",
        )),
        _ => values::origin(text),
    });
    origins.into_iter().map(|(origin, _)| origin).collect()
}

/// `[plugins.NAME.headers]`
pub(super) fn headers(section: &Section<'_>, reading: &mut Reading<'_>) -> HeaderRules {
    let request = section.table("request", reading);
    let response = section.table("response", reading);
    HeaderRules {
        request: header_changes(&request, Direction::Request, reading),
        response: header_changes(&response, Direction::Response, reading),
        passes_underscores: section.choice("underscores", reading) == Some("pass"),
    }
}

/// `set` and `remove` of one direction; a name occurs once.
fn header_changes(
    section: &Section<'_>,
    direction: Direction,
    reading: &mut Reading<'_>,
) -> HeaderChanges {
    let changeable = |text: &str| {
        let name = values::header_name(text)?;
        names::changeable(&name, direction).map(|()| name)
    };
    let mut changes = HeaderChanges::default();
    for (name, value) in section.map("set", reading) {
        let at = name.at.clone();
        let name = understood(&name, &mut reading.problems, changeable);
        let value = understood(&value, &mut reading.problems, values::header_value);
        let (Some(name), Some(value)) = (name, value) else {
            continue;
        };
        if changes.set.iter().any(|(other, _)| *other == name) {
            let message = format!("the header `{name}` is set twice");
            reading.problems.add(&at, message);
        }
        changes.set.push((name, value));
    }
    for (name, at) in section.list("remove", reading, changeable) {
        if changes.set.iter().any(|(other, _)| *other == name) {
            let message = format!("the header `{name}` is both set and removed");
            reading
                .problems
                .add(&at, message)
                .help("`set` replaces what is there");
        }
        changes.remove.push(name);
    }
    changes
}
