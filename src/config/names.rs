//! Names that a configuration may not use: headers of the gateway and of the connection, and
//! paths that it answers itself.

use super::values::Fault;

/// Headers of one connection (RFC 9110 7.6.1), and those that frame a message: a rule that
/// touches them breaks it.
const CONNECTION: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Paths that the gateway answers on every plugin's host.
const OWN_PATHS: [&str; 14] = [
    "/.well-known/ai-plugin.json",
    "/.well-known/api-catalog",
    "/.well-known/openapi-3.0.json",
    "/.well-known/openapi-3.0.yaml",
    "/.well-known/openapi.json",
    "/.well-known/openapi.yaml",
    "/healthz",
    "/legal",
    "/mcp",
    "/openapi-3.0.json",
    "/openapi-3.0.yaml",
    "/openapi.json",
    "/openapi.yaml",
    "/readyz",
];

/// Which headers a rule changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the upstream.
    Request,
    /// To the client.
    Response,
}

/// Refuses the name (lower case) of a header that belongs to the connection or the gateway.
pub(super) fn not_the_gateways(name: &str) -> Result<(), Fault> {
    if CONNECTION.contains(&name) {
        let help = match name {
            "host" => "`upstream.host` says which Host is sent upstream",
            _ => "it belongs to each connection",
        };
        return Err(Fault::with("is a header that HTTP itself sets", help));
    }
    let gateways = name.starts_with("x-plugway-") || name.starts_with("x-forwarded-");
    if gateways || matches!(name, "forwarded" | "x-request-id") {
        return Err(Fault::with(
            "is a header that the gateway sets",
            "it can be neither set nor removed",
        ));
    }
    Ok(())
}

/// Refuses a header (lower case) that no rule may set or remove.
pub(super) fn changeable(name: &str, direction: Direction) -> Result<(), Fault> {
    not_the_gateways(name)?;
    match direction {
        Direction::Request if name == "authorization" => Err(Fault::with(
            "is the header of the credential",
            "write `upstream.credential`, which also keeps the secret out of sight",
        )),
        Direction::Response if name.starts_with("access-control-") => Err(Fault::with(
            "is a header that the gateway sets",
            "`cors.origins` says which browsers' pages may call",
        )),
        _ => Ok(()),
    }
}

/// A path under which a file can be served: plain, and not one of the gateway's own.
pub(super) fn served_path(path: &str) -> Result<(), Fault> {
    let segment = |ok: fn(char) -> bool| path.chars().all(ok);
    if !path.starts_with('/') {
        return Err(Fault::with(
            "does not begin with `/`",
            "write the path on the plugin's host, such as `/.well-known/security.txt`",
        ));
    }
    if !segment(|c| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,=:@".contains(c)) {
        return Err(Fault::with(
            "is not a plain path",
            "without query, fragment, white space, `%`, `;` and backslash",
        ));
    }
    let odd = |part: &str| matches!(part, "" | "." | "..");
    if path.len() > 1 && path[1..].split('/').any(odd) {
        return Err(Fault::new("has an empty or a dot segment"));
    }
    let logo = path.strip_prefix("/.well-known").unwrap_or(path);
    if logo.starts_with("/logo.") {
        return Err(Fault::with("is where the logo is served", "write `logo`"));
    }
    if OWN_PATHS.contains(&path) {
        let help = match path {
            "/legal" => "write `legal`",
            _ => "take another path",
        };
        return Err(Fault::with("is a path that the gateway answers", help));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(result: Result<(), Fault>, expected: &str) {
        let found = result.map_or_else(|fault| fault.what, |()| "fine".to_owned());
        assert_eq!(found, expected);
    }

    #[test]
    fn headers() {
        let request = |name| changeable(name, Direction::Request);
        let response = |name| changeable(name, Direction::Response);
        check(request("x-api-version"), "fine");
        check(request("access-control-request-method"), "fine");
        check(response("authorization"), "fine");
        check(request("authorization"), "is the header of the credential");
        check(request("host"), "is a header that HTTP itself sets");
        check(response("te"), "is a header that HTTP itself sets");
        check(
            request("x-plugway-level"),
            "is a header that the gateway sets",
        );
        check(
            request("x-forwarded-for"),
            "is a header that the gateway sets",
        );
        check(
            response("x-request-id"),
            "is a header that the gateway sets",
        );
        check(
            response("access-control-allow-origin"),
            "is a header that the gateway sets",
        );
    }

    #[test]
    fn paths() {
        check(served_path("/"), "fine");
        check(served_path("/.well-known/security.txt"), "fine");
        check(served_path("/logos/a.png"), "fine");
        check(served_path("security.txt"), "does not begin with `/`");
        check(served_path("/a?b"), "is not a plain path");
        check(served_path("/a%2fb"), "is not a plain path");
        check(served_path("/a//b"), "has an empty or a dot segment");
        check(served_path("/a/"), "has an empty or a dot segment");
        check(served_path("/a/../b"), "has an empty or a dot segment");
        check(
            served_path("/.well-known/logo.svg"),
            "is where the logo is served",
        );
        check(served_path("/legal"), "is a path that the gateway answers");
        check(
            served_path("/openapi.json"),
            "is a path that the gateway answers",
        );
        check(served_path("/readyz"), "is a path that the gateway answers");
    }
}
