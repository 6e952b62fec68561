//! Operations that are not published, and whose requests are those of one that is.

use super::Operation;
use crate::config;
use crate::headers::is_believed;
use crate::openapi::{self, Api};
use crate::problems::Problems;
use crate::route::{Unroutable, Why};

/// The published operations, by index, with an unpublished one of the same method and path.
pub(super) fn shared<'a>(
    unroutable: &[Unroutable],
    api: &'a Api,
) -> Vec<(usize, &'a openapi::Operation)> {
    let pair = |lost: &Unroutable| match lost.why {
        Why::Collides { with } if with < api.operations.len() => {
            let index = lost.operation.checked_sub(api.operations.len())?;
            Some((with, api.unpublished.get(index)?))
        }
        _ => None,
    };
    unroutable.iter().filter_map(pair).collect()
}

/// Has each two told apart by a required header that has one value in both, and not the same one.
/// Where there is none, requests for what is not published go to the upstream: this is said, but
/// for an operation that was to be published, of which the load report tells.
pub(super) fn tell(
    shared: &[(usize, &openapi::Operation)],
    (operations, api): (&mut [Operation], &Api),
    plugin: &config::Plugin,
    problems: &mut Problems,
) {
    for (index, other) in shared {
        let Some(operation) = operations.get_mut(*index) else {
            continue;
        };
        let demanded = |one| openapi::demanded_headers(&api.source, one);
        let mine = demanded(&operation.meaning);
        if operation.fixed.demand(&mine, &demanded(other)) || is_chosen(plugin, other) {
            continue;
        }
        let (hidden, shown) = (&other.id, &operation.meaning.id);
        let message = format!(
            "`{hidden}` is not published, but its requests are those of `{shown}` as well, which is \
             published: they go to the upstream"
        );
        problems.warn(&plugin.openapi.at, message).help(
            "exclude both, or give each of them a required header or query parameter with one \
             value, by an overlay",
        );
    }
}

/// Says which header of a published operation never reaches it: names with underscores are
/// dropped, and what an API would believe of a proxy is, whatever its document says of it.
pub(super) fn check_headers(plugin: &config::Plugin, api: &Api, problems: &mut Problems) {
    let mut tell = |holds: &dyn Fn(&str) -> bool, why: &str, help: &str| {
        let header = |one| Some((one, openapi::header_such_that(&api.source, one, holds)?));
        let Some((operation, name)) = api.operations.iter().find_map(header) else {
            return;
        };
        let message = format!(
            "`{}` takes the header `{name}`, which does not go to the upstream: {why}",
            operation.id
        );
        problems.warn(&plugin.openapi.at, message).help(help);
    };
    let passes = matches!(plugin.upstream.credential, config::Credential::Pass);
    let is_believed = |name: &str| is_believed(&name.to_ascii_lowercase(), passes);
    if !plugin.headers.passes_underscores {
        tell(
            &|name| name.contains('_') && !is_believed(name),
            "its name has an underscore",
            "write headers.underscores = \"pass\" if the API tells `_` and `-` in names of headers apart",
        );
    }
    // The header of the client's credential goes on where the configuration says so.
    let of_credential = |name: &str| name.eq_ignore_ascii_case(plugin.auth.header.as_str());
    tell(
        &|name| is_believed(name) && !of_credential(name),
        "proxies say by it who asks, or what, so that no client may",
        "`headers.request` can set it to one value for all; who asked is in X-Plugway-Principal",
    );
}

/// Whether `include` and `exclude` would have an operation published.
pub(super) fn is_chosen(plugin: &config::Plugin, operation: &openapi::Operation) -> bool {
    let names = |list: &[config::Spanned<config::Selector>]| {
        list.iter()
            .any(|one| openapi::matches(&one.value, operation))
    };
    let openapi = &plugin.openapi;
    (openapi.include.is_empty() || names(&openapi.include)) && !names(&openapi.exclude)
}
