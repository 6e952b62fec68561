//! The path that an operation's own first server puts before its template.

use crate::openapi::{Map, Value};
use url::Url;

/// The first server of a `servers` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// Path without trailing slash; empty if it has none that can be used.
    pub(super) path: String,
    /// Host and port; `None` for a relative server.
    pub(super) host: Option<String>,
    /// What keeps its path from being used.
    pub(super) fault: Option<&'static str>,
}

/// Its first server, if the object has a `servers` list with anything in it.
pub(super) fn first(of: &Map) -> Option<Server> {
    let server = of.get("servers")?.as_array()?.first()?;
    let Some(url) = server.get("url").and_then(Value::as_str) else {
        return Some(broken("the first server has no URL"));
    };
    let url = substitute(
        url.trim(),
        server.get("variables").and_then(Value::as_object),
    );
    Some(parse(&url))
}

/// A server whose path can not be used.
fn broken(fault: &'static str) -> Server {
    Server {
        path: String::new(),
        host: None,
        fault: Some(fault),
    }
}

/// The URL with its variables replaced by their defaults (or the first allowed value).
fn substitute(url: &str, variables: Option<&Map>) -> String {
    let mut out = String::new();
    let mut rest = url;
    while let Some((before, (name, after))) = rest
        .split_once('{')
        .and_then(|(b, r)| Some((b, r.split_once('}')?)))
    {
        out.push_str(before);
        let variable = variables.and_then(|variables| variables.get(name));
        let value = variable.and_then(|v| v.get("default").or_else(|| v.get("enum")?.get(0)));
        match value {
            Some(Value::String(text)) => out.push_str(text),
            Some(Value::Number(number)) => out.push_str(&number.to_string()),
            _ => {
                out.push('{');
                out.push_str(name);
                out.push('}');
            }
        }
        rest = after;
    }
    out + rest
}

/// Takes a URL apart, relative ones as if the document stood at the root of its host.
fn parse(url: &str) -> Server {
    if url.is_empty() {
        return Server {
            path: String::new(),
            host: None,
            fault: None,
        };
    }
    let Ok(base) = Url::parse("relative://document/") else {
        return broken("the first server can not be read");
    };
    let Ok(absolute) = base.join(url) else {
        return broken("the URL of the first server can not be read");
    };
    let host = (absolute.scheme() != base.scheme() || url.starts_with("//")).then(|| {
        let port = absolute.port_or_known_default();
        format!(
            "{}:{}",
            absolute.host_str().unwrap_or_default(),
            port.unwrap_or_default()
        )
    });
    // A brace is encoded when the URL is parsed.
    if absolute.path().contains("%7B") || absolute.path().contains('{') {
        let fault = Some("the path of the first server has a variable without a default");
        return Server {
            path: String::new(),
            host,
            fault,
        };
    }
    if absolute.cannot_be_a_base() || absolute.path().contains("//") {
        return Server {
            host,
            ..broken("the URL of the first server has no usable path")
        };
    }
    Server {
        path: absolute.path().trim_end_matches('/').to_owned(),
        host,
        fault: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::json;

    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "literals are written where they are used"
    )]
    fn check(server: Value, path: &str, host: Option<&str>) {
        let document = json!({ "servers": [server] });
        let server = first(document.as_object().unwrap()).unwrap();
        assert_eq!((server.path.as_str(), server.host.as_deref()), (path, host));
    }

    #[test]
    fn the_path_of_a_server() {
        check(json!({ "url": "/" }), "", None);
        check(json!({ "url": "" }), "", None);
        check(json!({ "url": "/v1" }), "/v1", None);
        check(json!({ "url": "v1/" }), "/v1", None);
        check(json!({ "url": "./v1/../v2?x#y" }), "/v2", None);
        check(
            json!({ "url": "https://a.example" }),
            "",
            Some("a.example:443"),
        );
        check(
            json!({ "url": "https://A.example:8443/api/" }),
            "/api",
            Some("a.example:8443"),
        );
        check(
            json!({ "url": "//a.example/api" }),
            "/api",
            Some("a.example:0"),
        );
        check(
            json!({ "url": "{scheme}://a.example/{v}", "variables": {
                "scheme": { "default": "http" }, "v": { "enum": ["v3"] } } }),
            "/v3",
            Some("a.example:80"),
        );
        check(
            json!({ "url": "https://a.example/{v}" }),
            "",
            Some("a.example:443"),
        );
        check(json!({ "url": "{a}" }), "", None);
        check(json!({ "description": "no URL" }), "", None);
        check(json!("https://a.example"), "", None);
    }
}
