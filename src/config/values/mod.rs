//! What single values mean: text in, meaning or [`Fault`] out.

mod amounts;
mod http;

use std::fmt;

pub(super) use self::amounts::{
    bytes, duration, fingerprint, moment, rate, write_bytes, write_duration,
};
pub(super) use self::http::{
    UpstreamUrl, addresses, email, header_name, header_value, host, loopback, network, origin,
    upstream_url, web_url,
};

/// Why a text has no meaning. Reads on from the text ("`x` …") and never repeats any of it,
/// since the text may come from a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Such as "is no duration".
    pub what: String,
    /// What to do.
    pub help: Option<String>,
}

impl Fault {
    /// Without help.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: None,
        }
    }

    /// With help.
    pub(super) fn with(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: Some(help.into()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

#[cfg(test)]
mod tests;
