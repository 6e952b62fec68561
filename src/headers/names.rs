//! What becomes of a header, by its name. Names are lower case, as [`http::HeaderName`] has them.

/// What becomes of a client's header on its way upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inbound {
    /// It goes on.
    Pass,
    /// It does not.
    Drop,
    /// It does not, and neither does what it names.
    Connection,
    /// All lines become one.
    Cookie,
    /// Only `trailers` goes on.
    Te,
    /// Only names of allowed trailers go on.
    Trailer,
    /// It goes on only where the configuration passes credentials.
    Authorization,
    /// The same: whom who holds a credential speaks for.
    Impersonation,
}

/// For a header of the client. Twins of what is not passed are not passed either: CGI and WSGI
/// read `X_Plugway_Principal` as `X-Plugway-Principal`, and PHP so reads `X.Plugway.Principal`.
/// Of other names with underscores servers make what no one foresees (gunicorn takes
/// `SCRIPT_NAME` from a proxy on the same host): they go on only where the configuration says so.
pub(super) fn inbound(name: &str, underscores: bool) -> Inbound {
    if name.bytes().all(is_plain) {
        return inbound_hyphened(name);
    }
    if !underscores && name.contains('_') {
        return Inbound::Drop;
    }
    let mut folded = [0; LONGEST];
    match inbound_hyphened(fold(name, &mut folded)) {
        Inbound::Pass => Inbound::Pass,
        _ => Inbound::Drop,
    }
}

/// [`inbound`] for a name of letters, digits and hyphens.
fn inbound_hyphened(name: &str) -> Inbound {
    // By the first letter, since most names of a browser are decided by it.
    let dropped = match name.as_bytes().first() {
        Some(b'a') if name == "authorization" => return Inbound::Authorization,
        Some(b'c') => match name {
            "connection" => return Inbound::Connection,
            "cookie" => return Inbound::Cookie,
            _ => {
                matches!(
                    name,
                    "content-length"
                        | "client-ip"
                        | "cluster-client-ip"
                        | "cf-connecting-ip"
                        | "cf-connecting-ipv6"
                        | "cf-pseudo-ipv4"
                ) || says_who(name)
            }
        },
        Some(b'd') => name == "daphne-root-path",
        Some(b'e') => name == "expect",
        Some(b'f') => {
            matches!(
                name,
                "forwarded" | "fly-client-ip" | "fastly-client-ip" | "front-end-https"
            ) || name.starts_with("fly-forwarded-")
                || says_who(name)
        }
        Some(b'h') => matches!(name, "host" | "http2-settings"),
        Some(b'k') => name == "keep-alive",
        // `Proxy` itself becomes HTTP_PROXY in a CGI environment ("httpoxy").
        Some(b'p') => matches!(name, "proxy" | "path-info") || name.starts_with("proxy-"),
        Some(b'i') if impersonates(name) => return Inbound::Impersonation,
        Some(b'i' | b'o' | b'r') => says_who(name),
        Some(b's') => name == "script-name" || says_who(name),
        Some(b't') => match name {
            "te" => return Inbound::Te,
            "trailer" => return Inbound::Trailer,
            _ => matches!(name, "transfer-encoding" | "true-client-ip") || says_who(name),
        },
        Some(b'u') => name == "upgrade",
        Some(b'w') => name.starts_with("wl-proxy-"),
        Some(b'x') => {
            is_ours(name) || is_x_forwarding(name) || changes_the_operation(name) || says_who(name)
        }
        _ => false,
    };
    if dropped {
        Inbound::Drop
    } else {
        Inbound::Pass
    }
}

/// Headers that the gateway itself sets.
fn is_ours(name: &str) -> bool {
    name.starts_with("x-plugway-") || matches!(name, "x-plugway" | "x-request-id")
}

/// The `X-` part of the forwarding family: who the client is, and how it addressed us. Those of
/// trusted peers are dropped too: what is believed of them is in the
/// [`ClientView`](super::ClientView), and a proxy that sets one of them passes the others on
/// as its client sent them.
fn is_x_forwarding(name: &str) -> bool {
    name.starts_with("x-forwarded-")
        || name.starts_with("x-envoy-")
        || matches!(
            name,
            "x-forwarded"
                | "x-real-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                | "x-remote-ip"
                | "x-remote-addr"
                | "x-originating-ip"
                | "x-proxyuser-ip"
                | "x-azure-clientip"
                | "x-azure-socketip"
                | "x-host"
                | "x-scheme"
                | "x-url-scheme"
                | "x-original-forwarded-for"
                | "x-original-host"
        )
}

/// Who asks, as proxies that authenticate say it to the API behind them, which believes it: the
/// gateway is that proxy here, and says it in a header of its own. Only names that are nothing
/// else to anybody: many an API takes `X-Auth-Token` or `X-User-Id` from its clients.
fn says_who(name: &str) -> bool {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    match name.as_bytes().first() {
        // RFC 9440, Cloudflare Access, and Cloudflare with certificates of clients.
        Some(b'c') => {
            matches!(name, "client-cert" | "client-cert-chain")
                || begins(&["cf-access-", "cf-client-cert-"])
        }
        // Signed by Fly's proxy: which machine asks. `fly-replay-src` says nothing of that kind.
        Some(b'f') => name.starts_with("fly-src"),
        // IBM's WebSEAL, Apache and Authelia.
        Some(b'i') => matches!(
            name,
            "iv-user" | "iv-user-l" | "iv-groups" | "iv-creds" | "iv-remote-address"
        ),
        // mod_auth_openidc, and Oracle's Access Manager.
        Some(b'o') => name.starts_with("oidc-") || name == "oam-remote-user",
        Some(b'r') => matches!(
            name,
            "remote-user" | "remote-groups" | "remote-name" | "remote-email"
        ),
        // nginx and Apache with certificates of clients, Shibboleth, SiteMinder.
        Some(b's') => {
            name == "smuser" || begins(&["ssl-client-", "shib-", "sm-user", "sm-universalid"])
        }
        Some(b't') => name.starts_with("tailscale-"),
        Some(b'x') => x_says_who(name),
        _ => false,
    }
}

/// The `X-` part of that, by the letter behind it.
fn x_says_who(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("x-") else {
        return false;
    };
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| rest.starts_with(prefix));
    match rest.as_bytes().first() {
        // oauth2-proxy, authentik, load balancers of AWS; Azure's with certificates of clients;
        // Kong without a consumer, and Google's API gateway and App Engine.
        Some(b'a') => {
            matches!(rest, "anonymous-consumer" | "apigateway-api-userinfo")
                || begins(&[
                    "auth-request-",
                    "authenticated-",
                    "authentik-",
                    "amzn-oidc-",
                    "amzn-mtls-",
                    "appengine-",
                    "arr-",
                ])
        }
        // Kong, where `X-Consumer-Key` is something that clients have.
        Some(b'c') => {
            matches!(
                rest,
                "consumer-id"
                    | "consumer-username"
                    | "consumer-custom-id"
                    | "consumer-groups"
                    | "credential-identifier"
                    | "credential-username"
            ) || rest.strip_prefix("client-").is_some_and(is_of_certificate)
        }
        Some(b'e') => rest == "endpoint-api-userinfo",
        Some(b'g') => begins(&["goog-authenticated-user-", "goog-iap-"]),
        // WSO2.
        Some(b'j') => rest == "jwt-assertion",
        // App Service.
        Some(b'm') => begins(&["ms-client-principal", "ms-token-"]),
        Some(b'p') => rest.starts_with("pomerium-"),
        // Kubernetes has four of these; Apache and nginx by habit.
        Some(b'r') => {
            matches!(
                rest,
                "remote-user"
                    | "remote-group"
                    | "remote-groups"
                    | "remote-uid"
                    | "remote-name"
                    | "remote-email"
            ) || rest.starts_with("remote-extra-")
        }
        Some(b's') => rest.starts_with("ssl-"),
        Some(b't') => rest == "token-subject" || begins(&["token-user-", "tls-client-"]),
        Some(b'u') => rest == "userinfo",
        Some(b'v') => rest == "verified-user" || rest.starts_with("vouch-"),
        // Grafana's, and whose else takes them.
        Some(b'w') => rest.starts_with("webauth-"),
        _ => false,
    }
}

/// What proxies tell of the certificate of a client in `X-Client-…`, by habit.
fn is_of_certificate(what: &str) -> bool {
    let own = [
        "dn",
        "cn",
        "s-dn",
        "i-dn",
        "verify",
        "verified",
        "serial",
        "fingerprint",
    ];
    let begins = ["cert", "subject", "issuer"];
    own.contains(&what) || begins.iter().any(|prefix| what.starts_with(prefix))
}

/// Whether a header (lower case) never goes to the upstream because an API would believe of it
/// who asks, or take the request for another operation. `passes`: the client's own credential does.
pub(crate) fn is_believed(name: &str, passes: bool) -> bool {
    let mut folded = [0; LONGEST];
    let name = fold(name, &mut folded);
    says_who(name) || changes_the_operation(name) || (impersonates(name) && !passes)
}

/// Whom who has a credential speaks for, to Kubernetes: with the gateway's own it would be the gateway that
/// speaks for somebody.
fn impersonates(name: &str) -> bool {
    name.starts_with("impersonate-")
}

/// Headers that make some frameworks run another operation than the one of the request line,
/// which is the one that was published and authorized, or take it for one that was let through
/// already (Next.js by `X-Middleware-Subrequest`). Those without `X-` are
/// [`inbound_hyphened`]'s: where gunicorn and Daphne take an application's root from.
fn changes_the_operation(name: &str) -> bool {
    matches!(
        name,
        "x-original-url"
            | "x-original-uri"
            | "x-original-path"
            | "x-rewrite-url"
            | "x-override-url"
            | "x-script-name"
            | "x-http-method"
            | "x-http-method-override"
            | "x-http-methodoverride"
            | "x-method-override"
            | "x-original-method"
    ) || name.starts_with("x-middleware-")
}

/// What becomes of an upstream's header on its way to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Returned {
    /// It goes on.
    Pass,
    /// It does not.
    Drop,
    /// It does not, and neither does what it names.
    Connection,
    /// It goes on if the caller says so.
    ContentLength,
    /// It may point to the upstream.
    Location,
    /// It may be for a path of the upstream.
    SetCookie,
    /// An order to Fly's proxy: it goes on if the configuration says so.
    Replay,
    /// Only names of allowed trailers go on.
    Trailer,
}

/// For a header of the upstream.
pub(super) fn returned(name: &str) -> Returned {
    let dropped = match name.as_bytes().first() {
        // The gateway answers CORS, and `Alt-Svc` names other doors of the upstream.
        Some(b'a') => name == "alt-svc" || name.starts_with("access-control-"),
        Some(b'c') => match name {
            "connection" => return Returned::Connection,
            "content-length" => return Returned::ContentLength,
            "content-location" => return Returned::Location,
            _ => false,
        },
        // Fly's proxy acts on it: an upstream could send an authenticated request elsewhere.
        Some(b'f') if name.starts_with("fly-replay") => return Returned::Replay,
        Some(b'h') => name == "http2-settings",
        Some(b'k') => name == "keep-alive",
        Some(b'l') if name == "location" => return Returned::Location,
        Some(b's') if name == "set-cookie" => return Returned::SetCookie,
        Some(b'p') => matches!(
            name,
            "proxy-authenticate"
                | "proxy-authentication-info"
                | "proxy-authorization"
                | "proxy-connection"
        ),
        Some(b't') => match name {
            "trailer" => return Returned::Trailer,
            _ => matches!(name, "te" | "transfer-encoding"),
        },
        Some(b'u') => name == "upgrade",
        _ => false,
    };
    if dropped {
        Returned::Drop
    } else {
        Returned::Pass
    }
}

/// Whether a field may stand in trailers (RFC 9110 §6.5.1): not what frames or routes a message,
/// authenticates it, controls a request or a response, or says how the content is to be read;
/// and nothing that [`inbound`] or [`returned`] would not let through in a head. Digests may
/// (RFC 9530 §2 and §3).
pub(super) fn is_trailer(name: &str) -> bool {
    let forbidden = match name.as_bytes().first() {
        Some(b'a') => matches!(name, "age" | "authentication-info"),
        Some(b'c') => {
            (name.starts_with("content-") && name != "content-digest")
                || matches!(name, "cache-control" | "clear-site-data")
        }
        Some(b'd') => name == "date",
        Some(b'e') => name == "expires",
        Some(b'i') => name.starts_with("if-"),
        Some(b'm') => name == "max-forwards",
        Some(b'p') => name == "pragma",
        Some(b'r') => matches!(name, "range" | "retry-after" | "refresh"),
        Some(b's') => matches!(name, "set-cookie" | "strict-transport-security"),
        Some(b'v') => name == "vary",
        Some(b'w') => matches!(name, "warning" | "www-authenticate"),
        _ => false,
    };
    !forbidden && inbound(name, true) == Inbound::Pass && returned(name) == Returned::Pass
}

/// Whether the configuration must not set or remove a header: what frames a message or belongs
/// to one connection, the host (which has a key of its own), and what the gateway says of itself.
pub(super) fn is_reserved(name: &str) -> bool {
    let mut folded = [0; LONGEST];
    let name = fold(name, &mut folded);
    is_ours(name)
        || matches!(
            name,
            "connection"
                | "content-length"
                | "expect"
                | "host"
                | "http2-settings"
                | "keep-alive"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
}

/// Whether two names are the same to a server that tells only letters and digits apart.
pub(crate) fn are_twins(one: &str, other: &str) -> bool {
    let pairs = || one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs().all(|(one, other)| folded(one) == folded(other))
}

/// Longer than every name in this file: what is cut off a longer one makes it equal to none.
const LONGEST: usize = 64;

/// What stands for itself in every server.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// What does not is a hyphen.
fn folded(byte: u8) -> u8 {
    if is_plain(byte) { byte } else { b'-' }
}

/// A name with hyphens for all that is not plain, or as much of it as matters.
fn fold<'b>(name: &str, buffer: &'b mut [u8; LONGEST]) -> &'b str {
    let length = name.len().min(LONGEST);
    for (to, from) in buffer.iter_mut().zip(name.bytes()) {
        *to = folded(from);
    }
    // Names are ASCII, so this never fails.
    std::str::from_utf8(&buffer[..length]).unwrap_or_default()
}
