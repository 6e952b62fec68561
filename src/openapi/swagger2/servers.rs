//! `schemes`, `host` and `basePath` → `servers`.

use crate::openapi::{Map, Value, json};

use super::super::Action;
use super::ledger::Ledger;

/// Where an API is, in the words of Swagger 2.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Servers {
    /// Host and port; empty if there is none.
    host: String,
    /// Begins with a slash and ends without one; may be empty.
    path: String,
    /// The best first.
    schemes: Vec<&'static str>,
}

/// What a caller can use, the best first.
const SCHEMES: [&str; 4] = ["https", "http", "wss", "ws"];

impl Servers {
    /// Takes the three out of a document.
    pub(super) fn take(document: &mut Map, ledger: &mut Ledger) -> Self {
        let mut text = |name: &str| match document.shift_remove(name) {
            Some(Value::String(text)) => text.trim().to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(_) => {
                let at = format!("#/{name}");
                ledger.note(
                    &at,
                    Action::Skipped,
                    format!("`{name}` is no text and is left out"),
                );
                String::new()
            }
        };
        let (mut host, mut path) = (text("host"), text("basePath"));
        let mut schemes = document
            .shift_remove("schemes")
            .map(|s| schemes(&s))
            .unwrap_or_default();
        // A URL, or more of one, where only a part of it belongs.
        for name in ["basePath", "host"] {
            let part = if name == "host" { &host } else { &path };
            let Some((scheme, own, rest)) = take_apart(part, name == "host") else {
                continue;
            };
            let reason = format!("`{name}` holds more of a URL than it should, and is read as one");
            ledger.note(&format!("#/{name}"), Action::Repaired, reason);
            if name == "host" {
                (host, path) = (own, format!("{rest}{}", absolute(&path)));
            } else {
                path = rest;
                if host.is_empty() {
                    host = own;
                }
            }
            if schemes.is_empty() {
                schemes.extend(scheme);
            }
        }
        if path.contains(['?', '#']) {
            let reason = "a query or fragment of `basePath` is left out";
            ledger.note("#/basePath", Action::Simplified, reason);
            path.truncate(path.find(['?', '#']).unwrap_or(path.len()));
        }
        let path = absolute(&path);
        if schemes.is_empty() && !host.is_empty() {
            schemes.push(if is_local(&host) { "http" } else { "https" });
        }
        Self {
            host,
            path,
            schemes,
        }
    }

    /// `servers`; `None` if nothing is known.
    pub(super) fn list(&self) -> Option<Value> {
        self.with(&self.schemes)
    }

    /// `servers` of an operation with schemes of its own.
    pub(super) fn with_schemes(&self, own: &Value) -> Option<Value> {
        let own = schemes(own);
        if own.is_empty() || own == self.schemes || self.host.is_empty() {
            return None;
        }
        self.with(&own)
    }

    /// `servers` with these schemes.
    fn with(&self, schemes: &[&str]) -> Option<Value> {
        let Self { host, path, .. } = self;
        if host.is_empty() {
            return (!path.is_empty()).then(|| json!([{ "url": path }]));
        }
        let url = |scheme: &&str| json!({ "url": format!("{scheme}://{host}{path}") });
        Some(schemes.iter().map(url).collect())
    }
}

/// The schemes that are known, the best first.
fn schemes(written: &Value) -> Vec<&'static str> {
    let list = match written {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let has = |scheme: &&str| {
        let is = |entry: &Value| {
            let text = entry.as_str().unwrap_or_default().trim();
            let text = text.trim_end_matches(['/', ':']);
            text.eq_ignore_ascii_case(scheme)
        };
        list.iter().any(is)
    };
    SCHEMES.into_iter().filter(has).collect()
}

/// Scheme, host and path of a text that is more than a path, or more than a host.
fn take_apart(text: &str, is_host: bool) -> Option<(Option<&'static str>, String, String)> {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => {
            let scheme = SCHEMES
                .into_iter()
                .find(|known| scheme.eq_ignore_ascii_case(known))?;
            (Some(scheme), rest)
        }
        None if is_host && text.contains('/') => (None, text.trim_start_matches('/')),
        None => return None,
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Some((scheme, host.to_owned(), absolute(path)))
}

/// A path with a slash before it and none behind it; empty if there is nothing else.
fn absolute(path: &str) -> String {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return String::new();
    }
    format!("/{path}")
}

/// Whether only this machine can reach the host.
fn is_local(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || name.starts_with("127.") || name == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The URLs of a document's servers.
    fn urls(document: Value) -> Vec<String> {
        let Value::Object(mut map) = document else {
            return Vec::new();
        };
        let mut ledger = Ledger::new(&Value::Null);
        let list = Servers::take(&mut map, &mut ledger).list();
        let list = list.as_ref().and_then(Value::as_array);
        let url = |server: &Value| server["url"].as_str().unwrap().to_owned();
        list.into_iter().flatten().map(url).collect()
    }

    #[test]
    fn servers_are_where_a_caller_finds_the_api() {
        let check = |document: Value, expected: &[&str]| {
            assert_eq!(urls(document.clone()), expected, "{document}");
        };
        check(json!({}), &[]);
        check(json!({ "schemes": ["https"] }), &[]);
        check(json!({ "basePath": "/" }), &[]);
        check(json!({ "basePath": "/api/v2/" }), &["/api/v2"]);
        check(json!({ "basePath": "api" }), &["/api"]);
        check(json!({ "host": "a.example" }), &["https://a.example"]);
        check(
            json!({ "host": "localhost:80", "basePath": "/v1" }),
            &["http://localhost:80/v1"],
        );
        check(
            json!({ "host": "a.example", "basePath": "/v1", "schemes": ["http", "https"] }),
            &["https://a.example/v1", "http://a.example/v1"],
        );
        check(
            json!({ "host": "a.example", "schemes": ["WSS", "HTTP", "ftp"] }),
            &["http://a.example", "wss://a.example"],
        );
        check(
            json!({ "host": "a.example", "schemes": "http" }),
            &["http://a.example"],
        );
        check(
            json!({ "host": "a.example", "schemes": ["https://"] }),
            &["https://a.example"],
        );
        check(
            json!({ "host": "http://a.example/api/", "basePath": "/v1" }),
            &["http://a.example/api/v1"],
        );
        check(
            json!({ "host": "a.example/api" }),
            &["https://a.example/api"],
        );
        check(
            json!({ "basePath": "https://a.example:8443/v1/" }),
            &["https://a.example:8443/v1"],
        );
        check(
            json!({ "basePath": "https://a.example" }),
            &["https://a.example"],
        );
        check(
            json!({ "host": "b.example", "basePath": "https://a.example/v1" }),
            &["https://b.example/v1"],
        );
        check(
            json!({ "host": 1, "basePath": ["/v1"], "schemes": {} }),
            &[],
        );
        check(json!({ "basePath": "/v1?key=1" }), &["/v1"]);
    }
}
