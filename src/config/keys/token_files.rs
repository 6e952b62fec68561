//! The keys of an entry of `token_files`.

use super::{Absent, DAY, Kind, Table, key, ms};

/// An entry of `token_files` that is a URL.
pub(super) static TOKEN_URL: Table = Table {
    path: "token_files",
    doc: "Where tokens are asked for, one a line, as `token export` writes them.",
    keys: &[
        key(
            "url",
            Kind::Url("an http or https URL"),
            Absent::Required,
            "where they are",
        ),
        key(
            "every",
            Kind::Duration {
                min: ms(1000),
                max: DAY,
            },
            Absent::Text("15s"),
            "how often it is asked, by ETag where there is one",
        ),
        key(
            "bearer",
            Kind::Secret,
            Absent::Unset,
            "a token that it is asked with",
        ),
        key(
            "admin",
            Kind::Flag,
            Absent::Unset,
            "whether tokens from there may be of the level admin; no by default",
        ),
    ],
    later: &[],
};
