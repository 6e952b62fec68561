//! The keys outside of a plugin.

use super::plugin::PLUGIN;
use super::{Absent, DAY, HOUR, Key, Kind, Table, key, ms, secs};

/// A path of a file.
pub(super) const PATH: Kind = Kind::Text("a path");
/// `include`: a path or a pattern.
const PATTERN: Kind = Kind::Text("a path or a pattern such as `plugins/*.toml`");
/// A network.
const NETWORK: Kind = Kind::Text("a network such as `10.0.0.0/8`");
/// The one word that stands for networks.
const FLY: Kind = Kind::Choice(&[("fly", "the proxy of Fly.io")]);
/// An address to listen on.
const ADDRESS: Kind = Kind::Text("an address such as `0.0.0.0:8443`");
/// The most that a size may say: 1 TiB.
pub(super) const TIB: u64 = 1 << 40;

/// The whole file.
const TOKEN_FILE: Kind = Kind::Url("a path, or an http or https URL");

pub(in crate::config) static ROOT: Table = Table {
    path: "",
    doc: "A plugway configuration.",
    keys: &[
        key(
            "include",
            Kind::List(&PATTERN),
            Absent::List(&[]),
            "files with [plugins.NAME] and [tokens.KEY], one per plugin",
        ),
        key(
            "workers",
            Kind::Integer { min: 1, max: 1024 },
            Absent::Unset,
            "worker threads; one per core by default",
        ),
        key(
            "trusted_proxies",
            Kind::Either(&FLY, &Kind::List(&NETWORK)),
            Absent::List(&[]),
            "peers whose Forwarded, X-Forwarded-* and X-Request-Id are believed; or \"fly\", the proxy of Fly.io and its Fly-Client-IP",
        ),
        key(
            "token_files",
            Kind::List(&Kind::Either(
                &TOKEN_FILE,
                &Kind::Table(&super::token_files::TOKEN_URL),
            )),
            Absent::List(&[]),
            "watched files with one token a line, as `token export` writes them; or URLs that are asked for them",
        ),
        key("listen", Kind::Table(&LISTEN), Absent::Unset, "addresses"),
        key("tls", Kind::Table(&TLS), Absent::Unset, "certificates"),
        key("state", Kind::Table(&STATE), Absent::Unset, "what is kept"),
        key("log", Kind::Table(&LOG), Absent::Unset, "what is logged"),
        key(
            "plugins",
            Kind::Named(&PLUGIN),
            Absent::Unset,
            "the wrapped APIs, by the name that the model sees",
        ),
        key(
            "tokens",
            Kind::Named(&TOKEN),
            Absent::Unset,
            "declared tokens, by their id",
        ),
        key("limits", Kind::Table(&LIMITS), Absent::Unset, "bounds"),
    ],
    later: &[],
};

/// A file that `include` names.
pub(in crate::config) static INCLUDED: Table = Table {
    path: "",
    doc: "A file that `include` names.",
    keys: &[
        key(
            "plugins",
            Kind::Named(&PLUGIN),
            Absent::Unset,
            "the wrapped APIs, by the name that the model sees",
        ),
        key(
            "tokens",
            Kind::Named(&TOKEN),
            Absent::Unset,
            "declared tokens, by their id",
        ),
    ],
    later: &[],
};

/// `[listen]`
static LISTEN: Table = Table {
    path: "listen",
    doc: "Where to listen; at least one of `https` and `http`.",
    keys: &[
        key(
            "https",
            Kind::OneOrMany(&ADDRESS),
            Absent::Unset,
            "TLS, HTTP/1.1 and HTTP/2",
        ),
        key(
            "http",
            Kind::OneOrMany(&ADDRESS),
            Absent::Unset,
            "plain HTTP/1.1 and h2c, behind an edge that terminates TLS",
        ),
        key("metrics", ADDRESS, Absent::Unset, "Prometheus"),
        key(
            "admin",
            Kind::OneOrMany(&Kind::Text(
                "a socket such as `unix:state/admin.sock`, or an address",
            )),
            Absent::Unset,
            "the admin socket (`admin.sock` in the state directory by default), and addresses for \
             holders of an admin token: with TLS where it is not a loopback address",
        ),
        key(
            "proxy_protocol",
            Kind::Choice(&[
                ("off", "there are no headers of it"),
                (
                    "optional",
                    "connections of trusted_proxies may begin with one",
                ),
                ("required", "all do, and come from trusted_proxies"),
            ]),
            Absent::Text("off"),
            "whether `https` and `http` read the PROXY protocol, version 1 or 2",
        ),
    ],
    later: &[],
};

/// `[tls]`
static TLS: Table = Table {
    path: "tls",
    doc: "The certificate, or with [[tls.certificates]] several for several names.",
    keys: &[
        key(
            "certificate",
            PATH,
            Absent::Unset,
            "certificate chain, a PEM file",
        ),
        key("key", PATH, Absent::Unset, "its private key, a PEM file"),
        key(
            "certificates",
            Kind::Tables(&CERTIFICATE),
            Absent::Unset,
            "further pairs; the names come from the certificates",
        ),
    ],
    later: &[],
};

/// `[[tls.certificates]]`
static CERTIFICATE: Table = Table {
    path: "tls.certificates",
    doc: "A certificate chain and its key.",
    keys: &[
        key(
            "certificate",
            PATH,
            Absent::Required,
            "certificate chain, a PEM file",
        ),
        key("key", PATH, Absent::Required, "its private key, a PEM file"),
    ],
    later: &[],
};

/// `[state]`
static STATE: Table = Table {
    path: "state",
    doc: "What is kept between starts.",
    keys: &[key(
        "directory",
        PATH,
        Absent::Text("state"),
        "where the state database and the admin socket live",
    )],
    later: &[],
};

/// `[log]`
static LOG: Table = Table {
    path: "log",
    doc: "What is logged.",
    keys: &[
        key(
            "level",
            Kind::Choice(&[
                ("error", "what went wrong"),
                ("warn", "and what may go wrong"),
                ("info", "and what an operator wants to see"),
                ("debug", "and what helps to find a fault"),
                ("trace", "and everything else"),
            ]),
            Absent::Text("info"),
            "least severe level that is written",
        ),
        key(
            "format",
            Kind::Choice(&[
                ("auto", "text on a terminal, else JSON"),
                ("text", "for people"),
                ("json", "one object a line"),
            ]),
            Absent::Text("auto"),
            "how lines look",
        ),
        key(
            "access",
            Kind::Choice(&[
                ("all", "every request"),
                ("errors", "those answered with 4xx or 5xx, or cut short"),
                ("off", "none"),
            ]),
            Absent::Text("all"),
            "which requests get a line",
        ),
    ],
    later: &[],
};

/// `[tokens.KEY]`
static TOKEN: Table = Table {
    path: "tokens.NAME",
    doc: "A declared token. Exactly one of `secret`, `sha256` and `secrets`.",
    keys: &[
        key(
            "level",
            Kind::Choice(&[
                ("service", "a platform or a program"),
                ("user", "a person"),
                ("admin", "the admin API"),
            ]),
            Absent::Required,
            "what it is for",
        ),
        key(
            "plugins",
            Kind::List(&Kind::Text("the name of a plugin, or `*`")),
            Absent::Required,
            "plugins that it may call; [\"*\"] is all",
        ),
        key(
            "scopes",
            Kind::List(&Kind::Text(
                "an operationId, `tag:NAME`, `METHOD /path` or `*`",
            )),
            Absent::Required,
            "operations that it may call; [\"*\"] is all",
        ),
        key(
            "secret",
            Kind::Secret,
            Absent::Unset,
            "what the client presents, as a reference",
        ),
        key(
            "sha256",
            Kind::Fingerprint,
            Absent::Unset,
            "or its SHA-256, which is no secret",
        ),
        key(
            "secrets",
            Kind::Tables(&SECRET),
            Absent::Unset,
            "or at most two of them, the current one first, for a rotation",
        ),
        key(
            "grace",
            Kind::Duration {
                min: secs(0),
                max: secs(90 * 86_400),
            },
            Absent::Text("0s"),
            "how long the previous secret stays valid when a referenced one changes",
        ),
        key(
            "expires",
            Kind::Time,
            Absent::Unset,
            "not valid from then on",
        ),
        key("not_before", Kind::Time, Absent::Unset, "not valid before"),
        key(
            "rate",
            Kind::Rate { off: false },
            Absent::Unset,
            "requests in a time, evenly; as many as it names may come at once",
        ),
        key(
            "quota",
            Kind::Rate { off: false },
            Absent::Unset,
            "requests in each second, minute, hour or day of the clock (UTC)",
        ),
        key(
            "concurrency",
            Kind::Integer {
                min: 1,
                max: 1_000_000,
            },
            Absent::Unset,
            "requests at the same time, streams included",
        ),
        key(
            "networks",
            Kind::List(&NETWORK),
            Absent::Unset,
            "where its requests may come from, as `trusted_proxies` name the client; anywhere by default",
        ),
        key("note", Kind::Text("a string"), Absent::Unset, "for people"),
    ],
    later: &[],
};

/// One of `secrets`
static SECRET: Table = Table {
    path: "tokens.NAME.secrets",
    doc: "One of the secrets of a token: `secret` or `sha256`.",
    keys: &[
        key(
            "secret",
            Kind::Secret,
            Absent::Unset,
            "what the client presents, as a reference",
        ),
        key(
            "sha256",
            Kind::Fingerprint,
            Absent::Unset,
            "or its SHA-256, which is no secret",
        ),
        key("until", Kind::Time, Absent::Unset, "not valid from then on"),
    ],
    later: &[],
};

/// A wait of the data path: none is without an end, none too short to work.
const fn wait(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    let kind = Kind::Duration {
        min: ms(10),
        max: HOUR,
    };
    key(name, kind, Absent::Text(default), doc)
}

/// `[limits]`
static LIMITS: Table = Table {
    path: "limits",
    doc: "Bounds; the defaults suit the internet.",
    keys: &[
        wait(
            "request_head",
            "10s",
            "TLS handshake, HTTP/2 preface, request line and headers",
        ),
        wait("body_idle", "30s", "between two reads of a request body"),
        wait(
            "write_stall",
            "30s",
            "the client takes no byte of the response; an upgrade: either side",
        ),
        wait(
            "idle",
            "60s",
            "keep-alive; an upgrade of which one side is done",
        ),
        key(
            "drain",
            Kind::Duration {
                min: ms(10),
                max: HOUR,
            },
            Absent::Unset,
            "for what is in flight at shutdown, and for the program behind; 25s by default, on Fly.io 4s",
        ),
        wait(
            "upstream_connect",
            "5s",
            "name look-up, TCP and TLS to the upstream",
        ),
        key(
            "upstream_idle",
            Kind::Duration {
                min: ms(10),
                max: DAY,
            },
            Absent::Text("60s"),
            "between two reads of a response body; no limit for event streams, gRPC, upgrades",
        ),
        key(
            "head_bytes",
            Kind::Size {
                min: 8 << 10, // the least that hyper takes for its buffer
                max: 1 << 20,
            },
            Absent::Text("32KiB"),
            "bytes of a request head",
        ),
        key(
            "headers",
            Kind::Integer { min: 16, max: 1000 },
            Absent::Number(100),
            "header fields of a request",
        ),
        key(
            "body_bytes",
            Kind::Size { min: 1, max: TIB },
            Absent::Text("64MiB"),
            "bytes of a request body",
        ),
        key(
            "streams",
            Kind::Integer {
                min: 1,
                max: 10_000,
            },
            Absent::Number(100),
            "concurrent streams of an HTTP/2 connection",
        ),
        key(
            "connections",
            Kind::Integer {
                min: 1,
                max: 10_000_000,
            },
            Absent::Number(20_000),
            "connections overall",
        ),
        key(
            "connections_per_network",
            Kind::Integer {
                min: 1,
                max: 10_000_000,
            },
            Absent::Number(1000),
            "connections of one network (IPv4 /24, IPv6 /64) that is not in trusted_proxies",
        ),
        key(
            "failed_auth",
            Kind::Rate { off: true },
            Absent::Text("600/min"),
            "wrong credentials of one network (IPv4 /24, IPv6 /64)",
        ),
        key(
            "requests_per_connection",
            Kind::Integer {
                min: 1,
                max: 1_000_000_000,
            },
            Absent::Number(1_000_000),
            "requests of a connection, which then ends after what is under way",
        ),
        key(
            "body_rate",
            Kind::Rate { off: true },
            Absent::Text("100/s"),
            "least bytes of a request body that is waited for; `body_idle` is given in advance",
        ),
        key(
            "response_chars",
            Kind::Integer {
                min: 0,
                max: 10_000_000,
            },
            Absent::Number(0),
            "characters of an answer; beyond it the answer is to ask for less; 0: no bound (v1 plugins and Actions take 100000)",
        ),
    ],
    later: &[],
};
