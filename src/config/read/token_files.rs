//! `token_files`: paths and URLs.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::server::path;
use super::upstream::{bearer, secret};
use crate::config::TokenUrl;
use crate::config::expand::Text;
use crate::config::section::{Reading, Section, understood};
use crate::config::values::Fault;

/// How often a URL is asked that is written as a string.
const EVERY: Duration = Duration::from_secs(15);

/// All entries in their order, as paths; and those that are URLs.
pub(super) fn token_files(
    root: &Section<'_>,
    reading: &mut Reading<'_>,
) -> (Vec<PathBuf>, Vec<TokenUrl>) {
    let (mut files, mut urls) = (Vec::<PathBuf>::new(), Vec::<TokenUrl>::new());
    for entry in root.texts_or_tables("token_files", reading) {
        let url = match entry {
            Err(text) if !text.value.contains("://") => {
                files.extend(understood(&text, &mut reading.problems, path));
                continue;
            }
            Err(text) => checked(&text, reading).map(|url| TokenUrl {
                name: bare(&url),
                url,
                admin: false,
                every: EVERY,
                bearer: None,
                at: text.at,
            }),
            Ok(table) => from_table(&table, reading),
        };
        let Some(mut url) = url else { continue };
        if urls.iter().any(|known| known.url == url.url) {
            let message = format!("`{}` is there twice", url.name);
            reading.problems.add(&url.at, message);
        }
        // Where only the query tells them apart.
        let same = urls.iter().filter(|known| bare(&known.url) == url.name);
        if let number @ 1.. = same.count() {
            url.name = format!("{} ({})", url.name, number + 1);
        }
        in_the_clear(&url, reading);
        files.push(PathBuf::from(&url.name));
        urls.push(url);
    }
    (files, urls)
}

fn from_table(table: &Section<'_>, reading: &mut Reading<'_>) -> Option<TokenUrl> {
    let every = table.duration("every", reading);
    let admin = table.flag("admin", reading);
    let secret = match table.written("bearer") {
        Some(_) => Some(secret(table, "bearer", reading, bearer)?),
        None => None,
    };
    let text = table.text("url", reading)?;
    let url = checked(&text, reading)?;
    Some(TokenUrl {
        name: bare(&url),
        url,
        admin: admin.unwrap_or(false),
        every: every.unwrap_or(EVERY),
        bearer: secret,
        at: text.at,
    })
}

fn checked(text: &Text, reading: &mut Reading<'_>) -> Option<String> {
    let text = Text {
        shown: bare(&text.shown),
        ..text.clone()
    };
    understood(&text, &mut reading.problems, address)
}

/// A URL that can be asked and shown.
fn address(text: &str) -> Result<String, Fault> {
    let parsed = url::Url::parse(text);
    let parsed = parsed.map_err(|error| Fault::new(format!("is no URL: {error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(Fault::new("is neither an http nor an https URL"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        let help = "write `{ url = …, bearer = \"${env:NAME}\" }`";
        return Err(Fault::with("has a user in it, which would be shown", help));
    }
    if parsed.fragment().is_some() {
        return Err(Fault::new("has a fragment, which is never sent"));
    }
    Ok(text.to_owned())
}

/// A URL as it is shown: its query may hold a credential.
pub(crate) fn bare(url: &str) -> String {
    let bare = url.split_once('?');
    bare.map_or_else(|| url.to_owned(), |(bare, _)| format!("{bare}?…"))
}

/// Says what everybody on the way reads, and could write.
fn in_the_clear(entry: &TokenUrl, reading: &mut Reading<'_>) {
    let Ok(url) = url::Url::parse(&entry.url) else {
        return;
    };
    let near = url.host_str().map_or(Near::No, near);
    if url.scheme() != "http" || near == Near::Loopback {
        return;
    }
    if entry.bearer.is_some() {
        let message = format!(
            "`{}` would be asked with its bearer in the clear",
            entry.name
        );
        let problem = reading.problems.add(&entry.at, message);
        problem.help("write https://, or leave `bearer` out");
    } else if near == Near::No {
        let message = format!(
            "`{}` is asked in the clear: whoever is on the way can write tokens into it",
            entry.name
        );
        let warning = reading.problems.warn(&entry.at, message);
        warning.help("write https://");
    }
}

/// How far away a host is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Near {
    /// This machine.
    Loopback,
    /// A private network, or a name that only such networks have.
    Private,
    /// Perhaps anywhere.
    No,
}

fn near(host: &str) -> Near {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    let (loopback, private) = match address.map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(ip)) => (ip.is_loopback(), ip.is_private() || ip.is_link_local()),
        Ok(IpAddr::V6(ip)) => (
            ip.is_loopback(),
            ip.is_unique_local() || ip.is_unicast_link_local(),
        ),
        Err(_) => {
            let host = host.trim_end_matches('.');
            let under = |suffix: &str| host.ends_with(suffix);
            (
                host == "localhost" || under(".localhost"),
                !host.contains('.') || under(".internal") || under(".local"),
            )
        }
    };
    match (loopback, private) {
        (true, _) => Near::Loopback,
        (false, true) => Near::Private,
        (false, false) => Near::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url_has_no_query() {
        assert_eq!(bare("https://a/t?key=s3cret"), "https://a/t?…");
        assert_eq!(bare("https://a/t"), "https://a/t");
    }

    #[test]
    fn how_far_a_host_is() {
        for (host, expected) in [
            ("127.0.0.1", Near::Loopback),
            ("[::1]", Near::Loopback),
            ("localhost", Near::Loopback),
            ("10.1.2.3", Near::Private),
            ("[fd00::1]", Near::Private),
            ("tokens", Near::Private),
            ("tokens.internal", Near::Private),
            ("192.0.2.1", Near::No),
            ("tokens.example.com", Near::No),
        ] {
            assert_eq!(near(host), expected, "{host}");
        }
    }
}
