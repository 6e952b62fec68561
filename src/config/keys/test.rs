//! The keys of a test that a plugin has to pass before it serves.

use super::plugin::STRING;
use super::{Absent, Kind, Table, key, ms, secs};

/// `[[plugins.NAME.tests]]`
pub(super) static TEST: Table = Table {
    path: "plugins.NAME.tests",
    doc: "A request that a candidate must answer as expected before it serves.",
    keys: &[
        key(
            "request",
            Kind::Url("a method and a path such as `GET /todos?limit=1`"),
            Absent::Required,
            "method, path and query: of an operation, a document or any other path",
        ),
        key(
            "as",
            Kind::Text("`service`, `user`, `anonymous` or the key of a [tokens.KEY]"),
            Absent::Required,
            "who asks: a token of this level with all scopes, nobody, or a declared token",
        ),
        key(
            "expect",
            Kind::Integer { min: 200, max: 599 },
            Absent::Required,
            "status of the answer; what would be forwarded counts as any of 200 to 299",
        ),
        key(
            "upstream",
            Kind::Flag,
            Absent::Unset,
            "whether it is really sent to the upstream, at each swap that changes the plugin",
        ),
        key("body", STRING, Absent::Unset, "body of the request"),
        key(
            "content_type",
            Kind::Text("a media type"),
            Absent::Text("application/json"),
            "media type of the body",
        ),
        key(
            "timeout",
            Kind::Duration {
                min: ms(10),
                max: secs(30),
            },
            Absent::Text("5s"),
            "until the answer of the upstream",
        ),
    ],
    later: &[],
};
