//! The two tokens of `plugway dev`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, files};
use crate::tokens::Level;

/// A service token and a user token, as a client presents them.
#[derive(Clone, PartialEq, Eq)]
pub struct DevTokens {
    /// Of level service.
    pub service: String,
    /// Of level user.
    pub user: String,
    /// What people should know, one sentence each.
    pub warnings: Vec<String>,
}

/// `dev-tokens.json`
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// Of level service.
    #[serde(default)]
    service: String,
    /// Of level user.
    #[serde(default)]
    user: String,
}

/// Finds or makes the two tokens in `dev-tokens.json` of a directory, which is created if it is
/// missing. `make` makes a token, `valid` says whether a kept one is still of the form of its
/// level; one that is not is replaced.
pub fn ensure_tokens(
    directory: &Path,
    make: impl Fn(Level) -> String,
    valid: impl Fn(Level, &str) -> bool,
) -> Result<DevTokens, Error> {
    let _lock = files::prepare(directory)?;
    let path = directory.join("dev-tokens.json");
    let mut warnings = Vec::new();
    let mut kept = match files::read_private(&path, "delete it", &mut warnings)? {
        None => Kept::default(),
        // What serde says of it is dropped: it may quote a token.
        Some(bytes) => serde_json::from_slice(&bytes)
            .map_err(|_| Error::strange(&path, "is not an object with service and user"))?,
    };
    let mut changed = false;
    for (level, token) in [
        (Level::Service, &mut kept.service),
        (Level::User, &mut kept.user),
    ] {
        if !valid(level, token) {
            *token = make(level);
            changed = true;
        }
    }
    if changed {
        // An object of two strings can not be refused.
        let mut bytes = serde_json::to_vec_pretty(&kept).unwrap_or_default();
        bytes.push(b'\n');
        files::write(&path, &bytes, 0o600)?;
    }
    Ok(DevTokens {
        service: kept.service,
        user: kept.user,
        warnings,
    })
}

impl std::fmt::Debug for DevTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DevTokens(..)")
    }
}
