//! The configuration: what was written, proven, with every reference resolved.
//!
//! Pure. Text comes in through [`Inputs`], so that whoever calls decides what a file or an
//! environment variable is (and can hash and watch all of them).
//!
//! TOML text → [`keys`] says which keys exist → [`section`] reads one table of them, every
//! fault with its place → [`read`] makes the validated [`types`] → [`check`] compares what one
//! table can not know of another. Nothing stops at the first fault.

mod check;
mod declared;
mod expand;
mod keys;
mod load;
mod mask;
mod names;
mod parts;
mod read;
mod schema;
mod section;
#[cfg(test)]
mod tests;
mod types;
mod values;
mod whereabouts;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::declared::NoSecret;
pub use self::load::{load, load_parts, load_text, masked, plugin_names};
pub(crate) use self::mask::PRIVATE_KEY;
pub(crate) use self::parts::host_of;
pub use self::parts::{Part, Parts};
pub(crate) use self::read::bare;
pub use self::schema::schema;
pub use self::types::{
    AccessLog, Auth, Certificate, Config, Credential, DeclaredSecret, DeclaredToken,
    DocumentAccess, HeaderChanges, HeaderRules, Health, Limits, Listen, ListenerKind, Log,
    LogFormat, LogLevel, OAuth, OpenApi, OpenApiSource, OperationOverride, Plugin, ProxyProtocol,
    Publish, Reference, Require, Roots, Scheme, Secret, ServedFile, Server, Spanned, Test,
    TestCaller, TokenUrl, Upstream, UpstreamHost,
};
pub use self::whereabouts::{Whereabouts, whereabouts};
pub use crate::tokens::{Rate, Selector, SelectorError};

/// Whether a text of the command line is an address to listen on; else what is wrong and what mends
/// it, to be read on from the text.
pub(crate) fn is_address(text: &str) -> Result<(), String> {
    values::addresses(text).map(|_| ()).map_err(mended)
}

/// The same of where an API is.
pub(crate) fn is_upstream(text: &str) -> Result<(), String> {
    values::upstream_url(text).map(|_| ()).map_err(mended)
}

/// The same of where clients find a plugin.
pub(crate) fn is_public_url(text: &str) -> Result<(), String> {
    values::origin(text).map(|_| ()).map_err(mended)
}

/// The same of a length of time.
pub(crate) fn is_duration(text: &str) -> Result<(), String> {
    values::duration(text).map(|_| ()).map_err(mended)
}

fn mended(fault: values::Fault) -> String {
    match fault.help {
        Some(help) => format!("{}: {help}", fault.what),
        None => fault.what,
    }
}

/// Where text comes from while a configuration is read. Everything that is asked for here
/// goes into the hash of the generation and is watched.
pub trait Inputs {
    /// The bytes of a file, by the path as it was written (relative: to the working directory).
    /// The error is a short reason, such as `No such file or directory`.
    fn file(&mut self, path: &Path) -> Result<Arc<[u8]>, String>;
    /// The same of a file whose bytes are kept nowhere: a secret, a key, a certificate, tokens.
    fn private(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        self.file(path)
    }
    /// What is asked for from now on is asked for an included file, or for the main one.
    fn begin(&mut self, _part: Option<&Path>) {}
    /// The files that match a pattern such as `plugins/*.toml`, sorted. The error says of the pattern
    /// what is wrong: that it is none, or which folder can not be read.
    fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>, String>;
    /// An environment variable.
    fn env(&mut self, name: &str) -> Option<String>;
}
