//! The keys of a plugin's OpenAPI document, and of its operations.

use super::plugin::STRING;
use super::root::TIB;
use super::{Absent, Kind, Table, key, secs};

/// A selector.
const SELECTOR: Kind = Kind::Text("an operationId, `tag:NAME` or `METHOD /path`");

/// `[plugins.NAME.openapi]`
pub(super) static OPENAPI: Table = Table {
    path: "plugins.NAME.openapi",
    doc: "The OpenAPI document of the API, and what of it is published.",
    keys: &[
        key(
            "source",
            Kind::Url("a path on the upstream, an http(s) URL or a file"),
            Absent::Text("/openapi.json"),
            "where it is: /path on the upstream, a URL, or a file (./x, x, file:/x)",
        ),
        key(
            "include",
            Kind::List(&SELECTOR),
            Absent::Unset,
            "operations that are published; all by default",
        ),
        key(
            "exclude",
            Kind::List(&SELECTOR),
            Absent::List(&[]),
            "operations that are not",
        ),
        key(
            "refresh",
            Kind::Duration {
                min: secs(1),
                max: secs(30 * 86_400),
            },
            Absent::Text("5m"),
            "how often a fetched document is fetched again",
        ),
        key(
            "encoded_slash",
            Kind::List(&Kind::Text("an operationId")),
            Absent::List(&[]),
            "operations whose path parameters may hold %2F",
        ),
        key(
            "unpublished",
            Kind::Choice(&[
                ("refuse", "every other path is answered with 404"),
                (
                    "forward",
                    "every other path goes to the upstream too, still behind the token",
                ),
            ]),
            Absent::Text("refuse"),
            "what becomes of every other path",
        ),
        key(
            "similar_paths",
            Kind::Choice(&[
                (
                    "refuse",
                    "they are answered with 400, since many servers take them for the other operation",
                ),
                (
                    "forward",
                    "they go to the upstream, which tells such paths apart",
                ),
            ]),
            Absent::Text("refuse"),
            "paths with parameters that are another operation's but for case or an ending \
             (/users/EXPORT, /users/export.json), and for who may not call that, but for a slash, dots \
             or spaces at an end, or with %2F decoded",
        ),
        key(
            "overlays",
            Kind::List(&Kind::Text("a file")),
            Absent::List(&[]),
            "OpenAPI overlays that change the document before anything else is done with it",
        ),
        key(
            "reference_hosts",
            Kind::List(&Kind::Text("a host name, or `host:port`")),
            Absent::List(&[]),
            "hosts that a $ref of the document may be fetched from",
        ),
        key(
            "cut",
            Kind::Choice(&[
                ("limits", "descriptions are cut to what clients take"),
                ("none", "descriptions are published whole"),
            ]),
            Absent::Text("limits"),
            "whether long descriptions are cut",
        ),
        key(
            "recursion",
            Kind::Choice(&[
                (
                    "cut",
                    "a schema is described once, and again as any value of its type",
                ),
                (
                    "keep",
                    "a schema may refer to itself, which some clients refuse",
                ),
            ]),
            Absent::Text("cut"),
            "schemas that lead back to themselves",
        ),
    ],
    later: &[],
};

/// `[plugins.NAME.operations.ID]`
pub(super) static OPERATION: Table = Table {
    path: "plugins.NAME.operations.NAME",
    doc: "One operation, named by its operationId or as `METHOD /path`.",
    keys: &[
        key(
            "id",
            Kind::Text("an operationId: letters, digits and `_`, at most 64"),
            Absent::Unset,
            "its published operationId",
        ),
        key("summary", STRING, Absent::Unset, "its published summary"),
        key(
            "description",
            STRING,
            Absent::Unset,
            "its published description",
        ),
        key(
            "consequential",
            Kind::Flag,
            Absent::Unset,
            "whether clients ask before they call it; GET false, others true by default",
        ),
        key(
            "fixed",
            Kind::Map(&Kind::Scalar),
            Absent::Unset,
            "parameters that are hidden from clients and always sent with this value",
        ),
        key(
            "body_bytes",
            Kind::Size { min: 1, max: TIB },
            Absent::Unset,
            "bytes of a request body, more or less than `limits.body_bytes`",
        ),
    ],
    later: &["tool"],
};
