//! The keys of a plugin.

use super::openapi::{OPENAPI, OPERATION};
use super::root::PATH;
use super::test::TEST;
use super::{Absent, DAY, HOUR, Kind, Table, key, ms};

/// Any string.
pub(super) const STRING: Kind = Kind::Text("a string");
/// `legal`, `logo`
const URL_OR_FILE: Kind = Kind::Url("an http(s) URL or a file");
/// The name of a header.
const HEADER: Kind = Kind::Text("the name of a header");
/// `upstream.url`
const UPSTREAM_URL: Kind = Kind::Url("an http, https or h2c URL, or `unix:PATH`");
/// A URL for browsers.
const URL: Kind = Kind::Url("an http(s) URL");

/// `[plugins.NAME]`
pub(super) static PLUGIN: Table = Table {
    path: "plugins.NAME",
    doc: "A wrapped API.",
    keys: &[
        key("name", STRING, Absent::Unset, "its name, for humans"),
        key(
            "description",
            STRING,
            Absent::Unset,
            "what it does, for humans",
        ),
        key(
            "instructions",
            STRING,
            Absent::Unset,
            "what it does and when to use it, for the model",
        ),
        key(
            "contact",
            Kind::Text("an e-mail address"),
            Absent::Unset,
            "an e-mail address",
        ),
        key(
            "legal",
            URL_OR_FILE,
            Absent::Unset,
            "legal page: a URL, or a file served at /legal",
        ),
        key(
            "logo",
            URL_OR_FILE,
            Absent::Unset,
            "logo: a file, or a URL; a built-in one by default",
        ),
        key(
            "hosts",
            Kind::List(&Kind::Text("a host name without scheme and port")),
            Absent::List(&[]),
            "host names that lead to it; of a single plugin by default `localhost`, the listeners' addresses and the names of the certificates",
        ),
        key(
            "public_url",
            Kind::Url("an origin such as `https://todo.example.com`"),
            Absent::Unset,
            "its public origin; that of the request by default",
        ),
        key(
            "publish",
            Kind::List(&Kind::Choice(&[
                ("manifest", "/.well-known/ai-plugin.json"),
                ("openapi", "/openapi.json, /openapi.yaml and their kin"),
            ])),
            Absent::List(&["manifest", "openapi"]),
            "documents that are served",
        ),
        key(
            "documents",
            Kind::Choice(&[
                ("public", "anyone may read them"),
                ("token", "whoever has a token for the plugin"),
            ]),
            Absent::Text("public"),
            "who may read the documents",
        ),
        key(
            "upstream",
            Kind::Table(&UPSTREAM),
            Absent::Required,
            "the fronted API",
        ),
        key(
            "openapi",
            Kind::Table(&OPENAPI),
            Absent::Unset,
            "its OpenAPI document",
        ),
        key(
            "operations",
            Kind::Named(&OPERATION),
            Absent::Unset,
            "what is said of single operations instead of what the document says",
        ),
        key("auth", Kind::Table(&AUTH), Absent::Required, "who may call"),
        key("cors", Kind::Table(&CORS), Absent::Unset, "browsers"),
        key(
            "headers",
            Kind::Table(&HEADERS),
            Absent::Unset,
            "changes to headers",
        ),
        key(
            "files",
            Kind::Map(&PATH),
            Absent::Unset,
            "further files to serve: path on the host = file",
        ),
        key(
            "tests",
            Kind::Tables(&TEST),
            Absent::Unset,
            "requests that a candidate must answer as expected before it serves",
        ),
    ],
    later: &["mcp"],
};

/// `[plugins.NAME.upstream]`
static UPSTREAM: Table = Table {
    path: "plugins.NAME.upstream",
    doc: "The fronted API.",
    keys: &[
        key(
            "url",
            Kind::OneOrMany(&UPSTREAM_URL),
            Absent::Required,
            "where it is; may have a path; a list: requests are spread over them",
        ),
        key(
            "host",
            Kind::Text("`upstream`, `client` or a host name"),
            Absent::Text("upstream"),
            "the Host sent upstream: its own, \"client\" (what the client sent), or a name",
        ),
        key(
            "credential",
            Kind::Either(
                &Kind::Choice(&[("pass", "the client's own goes on")]),
                &Kind::Table(&CREDENTIAL),
            ),
            Absent::Unset,
            "what replaces the client's credential; nothing by default",
        ),
        key(
            "ca",
            Kind::Text("`system`, `bundled` or a PEM file"),
            Absent::Text("system"),
            "authorities that are believed: the system's, \"bundled\" (in the binary), or a PEM file",
        ),
        key(
            "client_certificate",
            PATH,
            Absent::Unset,
            "certificate chain that is presented to an https upstream, a PEM file",
        ),
        key(
            "client_key",
            PATH,
            Absent::Unset,
            "its private key: a PEM file, or a reference to one",
        ),
        key(
            "timeout",
            Kind::Duration {
                min: ms(10),
                max: HOUR,
            },
            Absent::Text("40s"),
            "until the response head",
        ),
        key(
            "total",
            Kind::Duration {
                min: ms(10),
                max: DAY,
            },
            Absent::Unset,
            "for the whole exchange; unbounded by default",
        ),
        key(
            "resolve",
            Kind::Duration {
                min: ms(1000),
                max: DAY,
            },
            Absent::Text("30s"),
            "how often a name is looked up again",
        ),
        key(
            "health",
            Kind::Table(&HEALTH),
            Absent::Unset,
            "how its URLs are asked for their health; not by default",
        ),
        key(
            "retries",
            Kind::Integer { min: 0, max: 10 },
            Absent::Number(1),
            "how often a request that can not have been acted on is sent again",
        ),
        key(
            "fly_replay",
            Kind::Choice(&[
                ("remove", "they reach nobody"),
                (
                    "pass",
                    "they go on: the upstream may have a request replayed elsewhere",
                ),
            ]),
            Absent::Text("remove"),
            "what becomes of its orders to the proxy of Fly.io (fly-replay and the like)",
        ),
    ],
    later: &[],
};

/// `upstream.health`
static HEALTH: Table = Table {
    path: "plugins.NAME.upstream.health",
    doc: "Health checks.",
    keys: &[
        key(
            "path",
            Kind::Url("a path such as `/health`"),
            Absent::Required,
            "what is asked for, behind the path of the URL; good is a status of 2xx",
        ),
        key(
            "interval",
            Kind::Duration {
                min: ms(100),
                max: HOUR,
            },
            Absent::Text("10s"),
            "between two checks",
        ),
        key(
            "timeout",
            Kind::Duration {
                min: ms(10),
                max: HOUR,
            },
            Absent::Text("2s"),
            "until the response head",
        ),
        key(
            "unhealthy",
            Kind::Integer { min: 1, max: 100 },
            Absent::Number(3),
            "failed checks in a row that make a URL unhealthy",
        ),
        key(
            "healthy",
            Kind::Integer { min: 1, max: 100 },
            Absent::Number(2),
            "good ones in a row that make it healthy again",
        ),
    ],
    later: &[],
};

/// `upstream.credential`
static CREDENTIAL: Table = Table {
    path: "plugins.NAME.upstream.credential",
    doc: "Exactly one of them.",
    keys: &[
        key(
            "bearer",
            Kind::Secret,
            Absent::Unset,
            "Authorization: Bearer",
        ),
        key(
            "basic",
            Kind::Either(&Kind::Secret, &Kind::Table(&BASIC)),
            Absent::Unset,
            "Authorization: Basic; a table, or \"user:password\"",
        ),
        key(
            "header",
            Kind::Table(&HEADER_CREDENTIAL),
            Absent::Unset,
            "a header of its own",
        ),
        key(
            "query",
            Kind::Table(&QUERY_CREDENTIAL),
            Absent::Unset,
            "a query parameter",
        ),
    ],
    later: &[],
};

/// `upstream.credential.basic`
static BASIC: Table = Table {
    path: "plugins.NAME.upstream.credential.basic",
    doc: "User and password.",
    keys: &[
        key("user", STRING, Absent::Required, "the user's name"),
        key(
            "password",
            Kind::Secret,
            Absent::Required,
            "the password, as a reference",
        ),
    ],
    later: &[],
};

/// `upstream.credential.header`
static HEADER_CREDENTIAL: Table = Table {
    path: "plugins.NAME.upstream.credential.header",
    doc: "A header.",
    keys: &[
        key("name", HEADER, Absent::Required, "its name"),
        key(
            "value",
            Kind::Secret,
            Absent::Required,
            "its value, as a reference",
        ),
    ],
    later: &[],
};

/// `upstream.credential.query`
static QUERY_CREDENTIAL: Table = Table {
    path: "plugins.NAME.upstream.credential.query",
    doc: "A query parameter.",
    keys: &[
        key(
            "name",
            Kind::Text("the name of a query parameter"),
            Absent::Required,
            "its name",
        ),
        key(
            "value",
            Kind::Secret,
            Absent::Required,
            "its value, as a reference",
        ),
    ],
    later: &[],
};

/// `[plugins.NAME.auth]`
static AUTH: Table = Table {
    path: "plugins.NAME.auth",
    doc: "Who may call.",
    keys: &[
        key(
            "require",
            Kind::Choice(&[
                ("none", "anyone may call"),
                ("service", "a service token"),
                ("user", "a user token"),
                ("any", "a token of either level"),
                ("upstream", "the API authenticates its callers itself"),
            ]),
            Absent::Required,
            "which token a caller needs",
        ),
        key(
            "header",
            HEADER,
            Absent::Text("Authorization"),
            "header that holds the token, such as X-API-Key",
        ),
        key(
            "verification_tokens",
            Kind::Map(&STRING),
            Absent::Unset,
            "published in the manifest, by platform; no secrets",
        ),
        key(
            "oauth",
            Kind::Table(&OAUTH),
            Absent::Unset,
            "the API's own authorization server, with require = \"upstream\"",
        ),
    ],
    later: &[],
};

/// `auth.oauth`
static OAUTH: Table = Table {
    path: "plugins.NAME.auth.oauth",
    doc: "Fields of the manifest.",
    keys: &[
        key(
            "client_url",
            URL,
            Absent::Required,
            "where the browser goes",
        ),
        key(
            "authorization_url",
            URL,
            Absent::Required,
            "the token endpoint",
        ),
        key("scope", STRING, Absent::Text(""), "scopes to ask for"),
        key(
            "authorization_content_type",
            Kind::Choice(&[
                ("application/json", "JSON"),
                ("application/x-www-form-urlencoded", "a form"),
            ]),
            Absent::Text("application/json"),
            "media type of the token request",
        ),
    ],
    later: &[],
};

/// `[plugins.NAME.cors]`
static CORS: Table = Table {
    path: "plugins.NAME.cors",
    doc: "Browsers.",
    keys: &[key(
        "origins",
        Kind::List(&Kind::Url("an origin such as `https://chatgpt.com`")),
        Absent::List(&["https://chatgpt.com", "https://chat.openai.com"]),
        "origins whose pages may call",
    )],
    later: &[],
};

/// `[plugins.NAME.headers]`
static HEADERS: Table = Table {
    path: "plugins.NAME.headers",
    doc: "Changes to headers.",
    keys: &[
        key(
            "request",
            Kind::Table(&REQUEST_HEADERS),
            Absent::Unset,
            "to the upstream",
        ),
        key(
            "response",
            Kind::Table(&RESPONSE_HEADERS),
            Absent::Unset,
            "to the client",
        ),
        key(
            "underscores",
            Kind::Choice(&[
                ("drop", "they do not go to the upstream"),
                ("pass", "they do"),
            ]),
            Absent::Text("drop"),
            "the client's headers whose names have underscores, which some servers take for others",
        ),
    ],
    later: &[],
};

/// `headers.request`
static REQUEST_HEADERS: Table = Table {
    path: "plugins.NAME.headers.request",
    doc: "Headers to the upstream.",
    keys: &[
        key("set", Kind::Map(&STRING), Absent::Unset, "name = value"),
        key("remove", Kind::List(&HEADER), Absent::List(&[]), "names"),
    ],
    later: &[],
};

/// `headers.response`
static RESPONSE_HEADERS: Table = Table {
    path: "plugins.NAME.headers.response",
    doc: "Headers to the client.",
    keys: &[
        key("set", Kind::Map(&STRING), Absent::Unset, "name = value"),
        key("remove", Kind::List(&HEADER), Absent::List(&[]), "names"),
    ],
    later: &[],
};
