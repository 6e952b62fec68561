//! `[plugins.NAME.openapi]`: the document, and what of it is published.

use toml::de::DeValue;

use super::{is_url, served_file};
use crate::config::section::{Reading, Section, understood};
use crate::config::values::{self, Fault};
use crate::config::{OpenApi, OpenApiSource, Selector, SelectorError, Spanned};
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
