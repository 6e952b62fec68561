//! `[plugins.NAME.openapi]`: the document, and what of it is published.

use toml::de::DeValue;

use super::{is_url, served_file};
use crate::config::section::{Reading, Section, understood};
use crate::config::values::{self, Fault};
use crate::config::{
    OpenApi, OpenApiSource, OperationOverride, Selector, SelectorError, ServedFile, Spanned,
};
use crate::problems::Place;

/// Reads the table; `plugin` is the place to name when `source` was not written.
pub(super) fn openapi(section: &Section<'_>, plugin: &Place, reading: &mut Reading<'_>) -> OpenApi {
    if let Some((DeValue::Array(items), at)) = section.find("include")
        && items.is_empty()
    {
        reading
            .problems
            .add(&at, "an empty list would publish nothing")
            .help("leave `include` out to publish all operations");
    }
    OpenApi {
        source: source(section, reading),
        at: section.written("source").unwrap_or_else(|| plugin.clone()),
        include: selectors("include", section, reading),
        exclude: selectors("exclude", section, reading),
        refresh: section.duration("refresh", reading).unwrap_or_default(),
        encoded_slash: operation_ids(section, reading),
        forward_unpublished: section.choice("unpublished", reading) == Some("forward"),
        passes_similar: section.choice("similar_paths", reading) == Some("forward"),
        overlays: overlays(section, reading),
        reference_hosts: reference_hosts(section, reading),
        cut: section.choice("cut", reading) != Some("none"),
        keeps_recursion: section.choice("recursion", reading) == Some("keep"),
    }
}

/// `overlays`
fn overlays(section: &Section<'_>, reading: &mut Reading<'_>) -> Vec<Spanned<ServedFile>> {
    let mut overlays = Vec::new();
    for text in section.texts("overlays", reading) {
        if is_url(&text.value) {
            let message = format!("`{}` is a URL", text.shown);
            reading
                .problems
                .add(&text.at, message)
                .help("an overlay is a file; fetch it and name the copy");
            continue;
        }
        let at = text.at.clone();
        overlays.extend(served_file(&text, reading).map(|value| Spanned { value, at }));
    }
    overlays
}

/// `reference_hosts`
fn reference_hosts(section: &Section<'_>, reading: &mut Reading<'_>) -> Vec<String> {
    let host = |text: &str| {
        let port = text.rsplit_once(':').and_then(|(host, port)| {
            // An address in brackets has colons of its own.
            let whole = !host.contains(':') || host.ends_with(']');
            (whole && port.parse::<u16>().is_ok()).then_some((host, port))
        });
        match port {
            Some((host, port)) => Ok(format!("{}:{port}", values::host(host)?)),
            None => values::host(text),
        }
    };
    let hosts = section.list("reference_hosts", reading, host);
    hosts.into_iter().map(|(host, _)| host).collect()
}

/// `[plugins.NAME.operations.ID]`
pub(super) fn operations(
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Vec<OperationOverride> {
    let mut operations = Vec::new();
    for (name, at, section) in section.named("operations", reading) {
        let Ok(selector @ (Selector::OperationId(_) | Selector::Route { .. })) = name.parse()
        else {
            reading
                .problems
                .add(&at, "the name is not that of one operation")
                .help("write its operationId, or \"GET /todos/{id}\" in quotes");
            continue;
        };
        operations.push(operation(selector, at, &section, reading));
    }
    operations
}

/// One of them.
fn operation(
    selector: Selector,
    at: Place,
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> OperationOverride {
    let id = section.parsed("id", reading, |text| {
        let clean = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if (1..=64).contains(&text.len()) && text.bytes().all(clean) {
            Ok(text.to_owned())
        } else {
            Err(Fault::with(
                "can not be an operationId",
                "1 to 64 letters, digits and `_`: every client takes those",
            ))
        }
    });
    let words = |key, reading: &mut Reading<'_>| {
        section.parsed(key, reading, |text| Ok(text.trim().to_owned()))
    };
    let fixed = section.map("fixed", reading).into_iter();
    let fixed = fixed.map(|(name, value)| {
        let (at, name) = (name.at, name.value);
        (Spanned { value: name, at }, value.value)
    });
    OperationOverride {
        selector,
        id: id
            .zip(section.written("id"))
            .map(|(value, at)| Spanned { value, at }),
        summary: words("summary", reading),
        description: words("description", reading),
        consequential: section.flag("consequential", reading),
        body_bytes: Some(section.size("body_bytes", reading)).filter(|bytes| *bytes > 0),
        fixed: fixed.collect(),
        at,
    }
}

/// `source`: a path on the upstream, a URL, or a file.
fn source(section: &Section<'_>, reading: &mut Reading<'_>) -> OpenApiSource {
    /// Stands in after a problem; it is never published.
    fn none() -> OpenApiSource {
        OpenApiSource::Upstream(String::new())
    }
    let Some(text) = section.text("source", reading) else {
        return none();
    };
    if text.value.starts_with('/') {
        let path = understood(&text, &mut reading.problems, |path| {
            let plain = path.parse::<http::uri::PathAndQuery>().is_ok() && !path.contains('#');
            plain.then(|| path.to_owned()).ok_or_else(|| {
                Fault::with(
                    "is not a path on the upstream",
                    "a file is written as `./x`, `x` or `file:/x`",
                )
            })
        });
        return path.map_or_else(none, OpenApiSource::Upstream);
    }
    if is_url(&text.value) {
        let url = understood(&text, &mut reading.problems, values::web_url);
        return url.map_or_else(none, OpenApiSource::Url);
    }
    served_file(&text, reading).map_or_else(none, OpenApiSource::File)
}

/// `include`, `exclude`; `*` would say nothing in either.
fn selectors(
    name: &str,
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Vec<Spanned<Selector>> {
    let list = section.list(name, reading, |text| match text.parse() {
        Ok(Selector::All) => Err(Fault::with(
            "is only allowed in the scopes of a token",
            "without `include`, all operations of the document are published",
        )),
        Ok(selector) => Ok(selector),
        Err(error) => Err(Fault::with(
            SelectorError::to_string(&error),
            SelectorError::HELP,
        )),
    });
    list.into_iter()
        .map(|(value, at)| Spanned { value, at })
        .collect()
}

/// `encoded_slash`
fn operation_ids(section: &Section<'_>, reading: &mut Reading<'_>) -> Vec<Spanned<String>> {
    let list = section.list("encoded_slash", reading, |text| match text.parse() {
        Ok(Selector::OperationId(id)) => Ok(id),
        _ => Err(Fault::with(
            "is not an operationId",
            "write the operationId of one operation, such as `getFile`",
        )),
    });
    list.into_iter()
        .map(|(value, at)| Spanned { value, at })
        .collect()
}
