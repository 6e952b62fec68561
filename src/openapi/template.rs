//! Keys of `paths`: template, query, fragment.

use url::form_urlencoded;

/// Longest path template, in bytes: servers refuse longer paths, and reports repeat this one.
const MAX_PATH: usize = 8_192;

/// A key of `paths`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathKey {
    /// The template, with its leading slash.
    pub(super) path: String,
    /// The query as written, without those pairs whose value is a variable.
    pub(super) query: String,
    /// The same, decoded.
    pub(super) fixed_query: Vec<(String, String)>,
    /// Names of the pairs whose value is a variable (`?q={q}`): ordinary query parameters.
    pub(super) variable_query: Vec<String>,
}

impl PathKey {
    /// Takes a key apart. The error is a reason.
    pub(super) fn parse(key: &str) -> Result<Self, &'static str> {
        let key = key.trim();
        let without_fragment = key.split('#').next().unwrap_or_default();
        let (path, query) = without_fragment
            .split_once('?')
            .unwrap_or((without_fragment, ""));
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = format!("{slash}{path}");
        check(&path)?;
        let (variable, fixed): (Vec<_>, Vec<_>) = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .partition(|p| p.contains('{'));
        let query = fixed.join("&");
        let name = |pair: &str| {
            form_urlencoded::parse(pair.as_bytes())
                .next()
                .map(|(name, _)| name.into_owned())
        };
        Ok(Self {
            path,
            fixed_query: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            query,
            variable_query: variable.into_iter().filter_map(name).collect(),
        })
    }

    /// What tells it apart on the wire: the template without its names, and the query.
    pub(super) fn shape(&self) -> (String, Vec<(String, String)>) {
        let mut query = self.fixed_query.clone();
        query.sort();
        (shape(&self.path), query)
    }
}

/// Whether a request for this template could ever be matched: the gateway refuses paths that
/// can be read in two ways.
fn check(path: &str) -> Result<(), &'static str> {
    if path.len() > MAX_PATH {
        return Err("its path is longer than the path of any request");
    }
    let mut open = false;
    let mut empty = false;
    for c in path.chars() {
        match (c, open) {
            ('{', false) => (open, empty) = (true, true),
            ('{', true) => return Err("its path template has a `{` inside braces"),
            ('}', true) if empty => return Err("its path template has a parameter without a name"),
            ('}', true) => open = false,
            ('}', false) => return Err("its path template has a `}` without a `{`"),
            ('/', true) => return Err("its path template has a `{` that is not closed"),
            ('\\', _) => return Err("its path has a backslash, which can be read in two ways"),
            (c, _) if c.is_control() => return Err("its path has a control character"),
            _ => empty = false,
        }
    }
    if open {
        return Err("its path template has a `{` that is not closed");
    }
    let inner = path.strip_suffix('/').unwrap_or(path);
    for segment in inner.split('/').skip(1) {
        match segment {
            "" => return Err("its path has an empty segment"),
            "." | ".." => return Err("its path has a dot segment"),
            _ => {}
        }
    }
    Ok(())
}

/// The template with all its parameters called alike.
pub(super) fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len());
    let mut open = false;
    for c in path.chars() {
        if c == '}' {
            open = false;
        }
        if !open {
            shape.push(c);
        }
        if c == '{' {
            open = true;
        }
    }
    shape
}

/// The names of the template's parameters, in order. The template has passed [`check`].
pub(super) fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, path: &str, fixed: &[(&str, &str)], variable: &[&str]) {
        let parsed = PathKey::parse(key).unwrap();
        assert_eq!(parsed.path, path);
        let pairs: Vec<_> = parsed
            .fixed_query
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(pairs, fixed);
        assert_eq!(parsed.variable_query, variable);
    }

    #[test]
    fn a_key_comes_apart_into_template_query_and_nothing_else() {
        check("/todos", "/todos", &[], &[]);
        check("todos", "/todos", &[], &[]);
        check("/", "/", &[], &[]);
        check("/a/{b}/", "/a/{b}/", &[], &[]);
        check("/files/{file_id}#copy", "/files/{file_id}", &[], &[]);
        check("/r?beta=true", "/r", &[("beta", "true")], &[]);
        check(
            "/i.php?action=a%20b&x#f",
            "/i.php",
            &[("action", "a b"), ("x", "")],
            &[],
        );
        check("/s?q={q}&v=1", "/s", &[("v", "1")], &["q"]);
    }

    #[test]
    fn a_template_that_no_request_can_match_is_refused() {
        for key in [
            "/a/{b", "/a/b}", "/a/{}", "/a/{{b}}", "/a//b", "/a/../b", "//a", "/a\\b",
        ] {
            assert!(PathKey::parse(key).is_err(), "{key}");
        }
    }

    #[test]
    fn a_path_that_no_server_takes_is_refused() {
        assert!(PathKey::parse(&format!("/{}", "a".repeat(MAX_PATH - 1))).is_ok());
        assert!(PathKey::parse(&format!("/{}", "a".repeat(MAX_PATH))).is_err());
        assert!(PathKey::parse(&"/{a}".repeat(20_000)).is_err());
    }

    #[test]
    fn shapes_forget_names() {
        assert_eq!(shape("/a/{b}/c.{d}"), shape("/a/{x}/c.{y}"));
        assert_ne!(shape("/a/{b}"), shape("/a/b"));
        assert_eq!(names("/a/{b}/c.{d}").collect::<Vec<_>>(), ["b", "d"]);
    }
}
