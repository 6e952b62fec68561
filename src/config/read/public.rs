//! What anybody may read: texts of a plugin that stand in its documents, or in every response.

use crate::config::section::{Reading, Section};
use crate::config::{Plugin, Reference};
use crate::problems::Place;
use crate::tokens::first_token;

/// Refuses a token in one of them. Whoever put it there took it for an example, or pasted more than
/// was meant; it opens this gateway to everybody.
pub(super) fn no_tokens(plugin: &Plugin, section: &Section<'_>, reading: &mut Reading<'_>) {
    let url = |found: &'_ Option<Reference>| match found {
        Some(Reference::Url(url)) => Some(url.clone()),
        _ => None,
    };
    for (key, text) in [
        ("name", plugin.display_name.clone()),
        ("description", plugin.description.clone()),
        ("instructions", plugin.instructions.clone()),
        ("contact", plugin.contact.clone()),
        ("legal", url(&plugin.legal)),
        ("logo", url(&plugin.logo)),
    ] {
        check(text.as_deref(), section.written(key), reading);
    }
    let tokens = plugin.auth.verification_tokens.iter();
    let tokens = tokens.flat_map(|(platform, text)| [platform, text]);
    let at = section.table_written_key("auth", "verification_tokens");
    check(tokens.map(String::as_str), at, reading);
    let oauth = plugin.auth.oauth.iter();
    let oauth = oauth.flat_map(|oauth| {
        [&oauth.client_url, &oauth.authorization_url, &oauth.scope].map(String::as_str)
    });
    check(oauth, section.table_written_key("auth", "oauth"), reading);
    for operation in &plugin.operations {
        let words = [&operation.summary, &operation.description];
        let words = words.into_iter().flatten().map(String::as_str);
        check(words, Some(operation.at.clone()), reading);
    }
    let set = plugin.headers.response.set.iter();
    let set = set.map(|(_, value)| value.as_str());
    check(
        set,
        section.table_written_key("headers", "response"),
        reading,
    );
}

/// The first token in these texts, by its id.
fn check<'t>(
    texts: impl IntoIterator<Item = &'t str>,
    at: Option<Place>,
    reading: &mut Reading<'_>,
) {
    let Some((id, at)) = texts.into_iter().find_map(first_token).zip(at) else {
        return;
    };
    let message = format!("anybody may read this, and it holds the secret of token {id}");
    let problem = reading.problems.add(&at, message);
    problem.help("take it out, and rotate the token if it is a real one");
}
