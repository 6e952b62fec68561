//! Where a file is, as a path or a URL, and where a reference in it leads.

use percent_encoding::percent_decode_str;
use url::Url;

/// Longest location, in bytes: no system has longer paths.
const MAX_LOCATION: usize = 4_096;
/// Longest name that is made of a file's.
const MAX_NAME: usize = 60;

/// The location of the root document in the form that [`resolve`] gives.
pub(super) fn normalise(location: &str) -> String {
    if let Some(url) = url(location) {
        return without_fragment(url);
    }
    clean(local(location).unwrap_or(location))
}

/// The location that a reference leads to, without its fragment: relative to the location of
/// the file in which it stands (RFC 3986 §5, as far as paths go). `None`: none that can be.
pub(super) fn resolve(base: &str, reference: &str) -> Option<String> {
    // What Windows writes. No file of a description has a backslash in its name.
    let reference = reference.replace('\\', "/");
    let location = match url(base) {
        Some(base) => from_url(&base, &reference),
        None => from_path(base, &reference),
    };
    location.filter(|location| location.len() <= MAX_LOCATION)
}

/// A reference in a document that was fetched.
fn from_url(base: &Url, reference: &str) -> Option<String> {
    // The path of a file must not become one of the server's.
    let relative = local(reference).filter(|path| !path.starts_with('/'));
    let joined = base.join(relative.unwrap_or(reference)).ok()?;
    Some(without_fragment(joined))
}

/// A reference in a file.
fn from_path(base: &str, reference: &str) -> Option<String> {
    let Some(path) = local(reference) else {
        return Url::parse(reference).ok().map(without_fragment);
    };
    // A query means nothing to a file.
    let path = path.split('?').next().unwrap_or_default();
    let path = percent_decode_str(path).decode_utf8().ok()?;
    if path.chars().any(char::is_control) {
        return None;
    }
    let folder = base.rfind('/').map_or("", |slash| &base[..=slash]);
    // Decoded first: an encoded `..` is one.
    Some(if path.starts_with('/') {
        clean(&path)
    } else {
        clean(&format!("{folder}{path}"))
    })
}

/// The path of what names a local file; `None`: another scheme, or another host.
fn local(reference: &str) -> Option<&str> {
    let Some((scheme, rest)) = reference.split_once(':') else {
        return Some(reference);
    };
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-');
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(letters);
    if !is_scheme {
        return Some(reference);
    }
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    match rest.strip_prefix("//") {
        Some(rest) => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            path.starts_with('/').then_some(path)
        }
        None => Some(rest),
    }
}

/// A location that is a URL of something other than a file.
fn url(location: &str) -> Option<Url> {
    if local(location).is_some() {
        return None;
    }
    Url::parse(location)
        .ok()
        .filter(|url| !url.cannot_be_a_base())
}

/// The text of a URL without its fragment.
fn without_fragment(mut url: Url) -> String {
    url.set_fragment(None);
    url.into()
}

/// A path without `.`, `..` (but at the start of a relative one) and empty segments.
fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&"..") | None if !absolute => parts.push(".."),
                _ => {
                    parts.pop();
                }
            },
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if absolute {
        format!("/{joined}")
    } else {
        joined
    }
}

/// A name for a file, of letters, digits and `.-_`: that of the file without its ending, or of
/// the folder of an `index.yaml`.
pub(super) fn stem(location: &str) -> String {
    let path = location.split('?').next().unwrap_or_default();
    let mut parts = path.rsplit('/').map(|part| {
        let part = percent_decode_str(part).decode_utf8_lossy();
        let end = [".yaml", ".yml", ".json"]
            .iter()
            .find_map(|ending| part.strip_suffix(ending));
        let end = end.map(|name| name.strip_suffix(".schema").unwrap_or(name));
        letters(end.unwrap_or(&part))
    });
    let own = parts.next().unwrap_or_default();
    let name = match own.as_str() {
        "index" => parts.next().filter(|folder| !folder.is_empty()),
        _ => None,
    };
    match name.unwrap_or(own) {
        name if name.is_empty() => "file".to_owned(),
        name => name,
    }
}

/// Only what a component may be called, cut.
fn letters(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
            c
        } else {
            '_'
        };
        if !(c == '_' && (name.is_empty() || name.ends_with('_'))) && name.len() < MAX_NAME {
            name.push(c);
        }
    }
    name.trim_matches(|c| matches!(c, '_' | '.')).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_where_their_writer_meant() {
        let rows = [
            ("specs/todo.yaml", "Pet.yaml", "specs/Pet.yaml"),
            ("specs/todo.yaml", "./a/../Pet.yaml", "specs/Pet.yaml"),
            ("specs/todo.yaml", "../../Pet.yaml", "../Pet.yaml"),
            (
                "specs/todo.yaml",
                "..\\common\\Error.yaml",
                "common/Error.yaml",
            ),
            ("specs/todo.yaml", "file:./Pet.yaml", "specs/Pet.yaml"),
            ("specs/todo.yaml", "file:///a/Pet.yaml", "/a/Pet.yaml"),
            ("specs/todo.yaml", "my%20pet.yaml", "specs/my pet.yaml"),
            ("specs/todo.yaml", "%2e%2e/%2e%2e%2fPet.yaml", "../Pet.yaml"),
            ("specs/todo.yaml", "menu_{id}.yaml", "specs/menu_{id}.yaml"),
            ("specs/todo.yaml", "Pet.yaml/", "specs/Pet.yaml"),
            ("specs/todo.yaml", "Pet.yaml?raw=1", "specs/Pet.yaml"),
            ("specs/100%20.yaml", "Pet.yaml", "specs/Pet.yaml"),
            ("/a/todo.yaml", "../../../Pet.yaml", "/Pet.yaml"),
            ("", "Pet.yaml", "Pet.yaml"),
            ("todo.yaml", "C:\\x\\Pet.yaml", "C:/x/Pet.yaml"),
            ("todo.yaml", "https://h/a/../b.yaml#x", "https://h/b.yaml"),
            ("https://h/s/todo.yaml", "../Pet.yaml", "https://h/Pet.yaml"),
            (
                "https://h/s/todo.yaml",
                "a\\Pet.yaml",
                "https://h/s/a/Pet.yaml",
            ),
            (
                "https://h/s/todo.yaml",
                "//other/x.yaml",
                "https://other/x.yaml",
            ),
            (
                "https://h/s/todo.yaml",
                "a {b}.yaml?c",
                "https://h/s/a%20%7Bb%7D.yaml?c",
            ),
            (
                "https://h/s/todo.yaml",
                "file:Pet.yaml",
                "https://h/s/Pet.yaml",
            ),
            ("https://h/s/todo.yaml", "file:///etc/x", "file:///etc/x"),
        ];
        for (base, reference, expected) in rows {
            let base = normalise(base);
            assert_eq!(
                resolve(&base, reference).as_deref(),
                Some(expected),
                "{reference}"
            );
        }
    }

    #[test]
    fn what_no_file_can_be_called_is_none() {
        for reference in ["http://[", "a%00b", "a%ffb"] {
            assert_eq!(resolve("todo.yaml", reference), None, "{reference}");
        }
        // A file on another host stays what it is: nobody reads it.
        let other = "file://host/x";
        assert_eq!(resolve("todo.yaml", other).as_deref(), Some(other));
    }

    #[test]
    fn files_have_short_names() {
        let rows = [
            ("schemas/Pet.yaml", "Pet"),
            ("Pet.schema.json", "Pet"),
            ("paths/menu_{menuItemId}.yaml", "menu_menuItemId"),
            ("https://h/a/b%20c.yml?x=/y.json", "b_c"),
            ("schemas/_index.yaml", "schemas"),
            ("index.yaml", "index"),
            ("v1.2/Acme.Pet", "Acme.Pet"),
            ("é", "file"),
            ("", "file"),
        ];
        for (location, expected) in rows {
            assert_eq!(stem(location), expected, "{location}");
        }
        assert_eq!(stem(&"x".repeat(1000)).len(), MAX_NAME);
    }
}
