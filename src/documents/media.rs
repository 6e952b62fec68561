//! Media types by the ending of a name, and paths as clients send them.

use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Pages.
pub(super) const HTML: &str = "text/html; charset=utf-8";
/// RFC 9512.
pub(super) const YAML: &str = "application/yaml";
/// Pictures that may hold scripts.
pub(super) const SVG: &str = "image/svg+xml";

/// The media type of a picture that can be a logo.
pub(super) fn of_image(ending: &str) -> Option<&'static str> {
    Some(match ending {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "svg" => SVG,
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "gif" => "image/gif",
        _ => return None,
    })
}

/// The media type of a file: the first of its names with a known ending says it, else whether
/// the content is UTF-8.
pub(super) fn of_file(names: &[&str], bytes: &[u8]) -> &'static str {
    let is_text = std::str::from_utf8(bytes).is_ok();
    match names.iter().find_map(|name| of_ending(&ending(name)?)) {
        // A charset that is not true turns every umlaut into rubbish.
        Some("text/plain; charset=utf-8") if !is_text => "text/plain",
        Some(HTML) if !is_text => "text/html",
        Some(known) => known,
        None if is_text => "text/plain; charset=utf-8",
        None => "application/octet-stream",
    }
}

/// The ending of a name, lower case, without its dot.
pub(super) fn ending(name: &str) -> Option<String> {
    Some(Path::new(name).extension()?.to_str()?.to_ascii_lowercase())
}

/// The path as a client would have to send it, if that differs from how it is written
/// (RFC 3986 §3.3: what may stand in a path).
pub(super) fn as_sent(path: &str) -> Option<String> {
    /// What a URL parser encodes in a path, or takes for its end.
    const ENCODED: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'[')
        .add(b'\\')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}');
    let sent = utf8_percent_encode(path, ENCODED).to_string();
    (sent != path).then_some(sent)
}

/// What is known about endings.
fn of_ending(ending: &str) -> Option<&'static str> {
    Some(match ending {
        "html" | "htm" => HTML,
        "txt" | "text" => "text/plain; charset=utf-8",
        "md" | "markdown" => "text/markdown; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "jsonl" => "application/jsonl",
        "webmanifest" => "application/manifest+json",
        "yaml" | "yml" => YAML,
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "avif" => "image/avif",
        "woff2" => "font/woff2",
        "zip" => "application/zip",
        image => return of_image(image),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(names: &[&str], bytes: &[u8], expected: &str) {
        assert_eq!(of_file(names, bytes), expected, "{names:?}");
    }

    #[test]
    fn the_ending_says_what_a_file_is() {
        check(&["/a.txt"], b"a", "text/plain; charset=utf-8");
        check(&["/legal.HTML"], b"a", "text/html; charset=utf-8");
        check(&["/llms.md"], b"a", "text/markdown; charset=utf-8");
        check(&["/a.json"], b"a", "application/json");
        check(&["/a.yml"], b"a", "application/yaml");
        check(&["/favicon.ico"], b"a", "image/x-icon");
        check(&["/a.b.svg"], b"a", "image/svg+xml");
    }

    #[test]
    fn the_served_path_comes_before_the_file() {
        check(
            &["/page.html", "page.txt"],
            b"a",
            "text/html; charset=utf-8",
        );
        check(
            &["/.well-known/challenge", "challenge.json"],
            b"a",
            "application/json",
        );
    }

    #[test]
    fn without_a_known_ending_the_content_decides() {
        check(
            &["/.well-known/challenge", "challenge"],
            b"abc",
            "text/plain; charset=utf-8",
        );
        check(&["/x.unknown", ".txt"], b"", "text/plain; charset=utf-8");
        check(&["/x", "x"], &[0xff, 0xfe], "application/octet-stream");
    }

    #[test]
    fn no_charset_is_claimed_that_the_bytes_deny() {
        check(&["/x.txt"], &[0xe4], "text/plain");
        check(&["/x.html"], &[0xe4], "text/html");
    }

    #[test]
    fn paths_are_written_as_they_are_sent() {
        assert_eq!(as_sent("/.well-known/security.txt"), None);
        assert_eq!(as_sent("/a%20b;c=1,2@(d)"), None);
        assert_eq!(as_sent("/a b"), Some("/a%20b".to_owned()));
        assert_eq!(as_sent("/ä?x"), Some("/%C3%A4%3Fx".to_owned()));
    }
}
