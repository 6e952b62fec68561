//! The pages that are built in. Every value in them is escaped.

use std::fmt::Write as _;

use super::facts::{Facts, Legal, Logo};
use super::{MANIFEST, ORIGIN, catalog};
use crate::config::Plugin;

/// The built-in logo: PNG, 512 by 512 pixels.
pub(super) const LOGO: &[u8] = include_bytes!("logo.png");

/// The built-in legal page. It promises nothing, and says whom to ask.
pub(super) fn legal(facts: &Facts<'_>) -> String {
    let values = [
        ("name", escaped(&facts.name)),
        ("description", escaped(&facts.description)),
        ("contact", escaped(&facts.contact)),
    ];
    filled(include_str!("legal.html"), &values)
}

/// The page of links that `dev` shows at `/`.
pub(super) fn links(plugin: &Plugin, facts: &Facts<'_>) -> String {
    let logo = match &facts.logo {
        // The page may load nothing from elsewhere.
        Logo::Url(_) => String::new(),
        ours => format!(
            "<img src=\"{}\" alt=\"\">",
            escaped(&ours.path().unwrap_or_default())
        ),
    };
    let values = [
        ("name", escaped(&facts.name)),
        ("description", escaped(&facts.description)),
        ("plugin", escaped(&plugin.name)),
        ("origin", ORIGIN.to_owned()),
        ("logo", logo),
        ("links", rows(plugin, facts)),
    ];
    filled(include_str!("links.html"), &values)
}

/// One row of the table for each document.
fn rows(plugin: &Plugin, facts: &Facts<'_>) -> String {
    let mut links: Vec<(String, &str)> = Vec::new();
    if plugin.publish.manifest {
        links.push((MANIFEST.to_owned(), "manifest"));
    }
    if plugin.publish.openapi {
        links.push(("/openapi.json".to_owned(), "OpenAPI 3.1"));
        links.push(("/openapi.yaml".to_owned(), "the same as YAML"));
        links.push(("/openapi-3.0.json".to_owned(), "OpenAPI 3.0"));
        links.push(("/openapi-3.0.yaml".to_owned(), "the same as YAML"));
    }
    if plugin.publish.manifest || plugin.publish.openapi {
        links.push((catalog::PATH.to_owned(), "API catalog"));
    }
    links.push(match &facts.logo {
        Logo::Url(url) => (url.clone(), "logo"),
        ours => (ours.path().unwrap_or_default(), "logo"),
    });
    links.push(match &facts.legal {
        Legal::Url(url) => (url.clone(), "legal information"),
        Legal::File(_) | Legal::BuiltIn => ("/legal".to_owned(), "legal information"),
    });
    links.extend(plugin.files.keys().map(|path| (path.clone(), "file")));
    links.push(("/healthz".to_owned(), "alive"));
    links.push(("/readyz".to_owned(), "willing to serve"));
    let mut rows = String::new();
    for (href, what) in links {
        let href = escaped(&href);
        let _ = writeln!(
            rows,
            "<tr><td><a href=\"{href}\"><code>{href}</code></a></td><td>{what}</td></tr>"
        );
    }
    rows
}

/// A template with its `{{slots}}` filled, in one pass: a value that looks like a slot stays
/// what it is.
fn filled(template: &str, values: &[(&str, String)]) -> String {
    let mut page = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (slot, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        if let Some((_, value)) = values.iter().find(|(name, _)| *name == slot) {
            page.push_str(value);
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// A text that is only a text, also inside a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_not_filled_again() {
        let values = [("a", "{{b}}".to_owned()), ("b", "x".to_owned())];
        assert_eq!(filled("<{{a}}|{{b}}>", &values), "<{{b}}|x>");
    }

    #[test]
    fn texts_stay_texts() {
        assert_eq!(
            escaped("<a href='x'>\"&</a>"),
            "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&lt;/a&gt;"
        );
        assert_eq!(escaped("Grüße"), "Grüße");
    }

    #[test]
    fn the_logo_is_a_png_of_512_by_512() {
        assert!(LOGO.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert_eq!(LOGO[16..24], [0, 0, 2, 0, 0, 0, 2, 0]);
        assert!(LOGO.len() < 10_000);
    }
}
