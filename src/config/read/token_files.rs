//! `token_files`: paths and URLs.

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
                url,
                every: EVERY,
                bearer: None,
                at: text.at,
            }),
            Ok(table) => from_table(&table, reading),
        };
        let Some(url) = url else { continue };
        if urls.iter().any(|known| known.url == url.url) {
            let message = format!("`{}` is there twice", url.url);
            reading.problems.add(&url.at, message);
        }
        files.push(PathBuf::from(&url.url));
        urls.push(url);
    }
    (files, urls)
}

fn from_table(table: &Section<'_>, reading: &mut Reading<'_>) -> Option<TokenUrl> {
    let every = table.duration("every", reading);
    let secret = match table.written("bearer") {
        Some(_) => Some(secret(table, "bearer", reading, bearer)?),
        None => None,
    };
    let text = table.text("url", reading)?;
    let url = checked(&text, reading)?;
    Some(TokenUrl {
        url,
        every: every.unwrap_or(EVERY),
        bearer: secret,
        at: text.at,
    })
}

fn checked(text: &Text, reading: &mut Reading<'_>) -> Option<String> {
    understood(text, &mut reading.problems, address)
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
