//! Every way to be refused here, and what is said about it.

use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, StatusCode};

use super::Malformed;
use crate::tokens::Ended;

/// Nobody was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthError {
    /// No credential.
    Missing,
    /// A header that holds none.
    Malformed(Malformed),
    /// One that opens nothing.
    Unknown,
    /// A real one whose time is over or has not come. Only its holder learns why.
    Ended(Ended),
}

/// Somebody was authenticated who may not do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The plugin wants the other level, or it is an admin token, which never calls an API.
    Level,
    /// The token is not for this plugin.
    Plugin,
    /// The token may not be used from the client's address.
    Network,
    /// The token's scopes do not cover the operation.
    Scope,
}

/// Either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthFailure {
    /// 401
    Unauthenticated(AuthError),
    /// 403
    Denied(Denied),
}

impl AuthFailure {
    /// The status of the answer.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Denied(_) => StatusCode::FORBIDDEN,
        }
    }

    /// The code in the answer, in logs and in metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unauthenticated(AuthError::Missing) => "missing_token",
            Self::Unauthenticated(AuthError::Malformed(_)) => "malformed_token",
            Self::Unauthenticated(AuthError::Unknown | AuthError::Ended(_)) => "invalid_token",
            Self::Denied(Denied::Level) => "wrong_level",
            Self::Denied(Denied::Plugin) => "wrong_plugin",
            Self::Denied(Denied::Network) => "wrong_network",
            Self::Denied(Denied::Scope) => "insufficient_scope",
        }
    }

    /// The `error` of RFC 6750 §3.1; a request without a credential gets none.
    const fn error(self) -> Option<&'static str> {
        match self {
            Self::Unauthenticated(AuthError::Missing) => None,
            Self::Unauthenticated(AuthError::Malformed(_)) => Some("invalid_request"),
            Self::Unauthenticated(AuthError::Unknown | AuthError::Ended(_)) => {
                Some("invalid_token")
            }
            Self::Denied(Denied::Level | Denied::Plugin | Denied::Network | Denied::Scope) => {
                Some("insufficient_scope")
            }
        }
    }
}

impl From<AuthError> for AuthFailure {
    fn from(error: AuthError) -> Self {
        Self::Unauthenticated(error)
    }
}

impl From<Denied> for AuthFailure {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl From<Malformed> for AuthError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// The `detail` of the answer.
impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("This needs a token."),
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Unknown => f.write_str("The token is not known."),
            Self::Ended(reason) => write!(f, "The token is not valid: {reason}."),
        }
    }
}

/// The `detail` of the answer.
impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Level => "This plugin wants a token of another level.",
            Self::Plugin => "The token is not for this plugin.",
            Self::Network => "The token may not be used from this network address.",
            Self::Scope => "The token's scopes do not cover this operation.",
        })
    }
}

/// The `detail` of the answer.
impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated(error) => error.fmt(f),
            Self::Denied(denied) => denied.fmt(f),
        }
    }
}

impl std::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(malformed) => Some(malformed),
            Self::Missing | Self::Unknown | Self::Ended(_) => None,
        }
    }
}

impl std::error::Error for Denied {}

impl std::error::Error for AuthFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unauthenticated(error) => Some(error),
            Self::Denied(denied) => Some(denied),
        }
    }
}

/// The `WWW-Authenticate` of a 401 or 403 (RFC 6750 §3).
///
/// `realm` is the plugin's name, `header` where it wants the credential, and `scope` what a
/// token would need for this call: the operationId, `*` for a path that is not published,
/// `None` for a document. It is said in a 403 only.
pub fn challenge(
    realm: &str,
    header: &HeaderName,
    failure: AuthFailure,
    scope: Option<&str>,
) -> HeaderValue {
    let mut text = String::with_capacity(96);
    text.push_str("Bearer");
    parameter(&mut text, "realm", realm);
    if *header != AUTHORIZATION {
        parameter(&mut text, "header", header.as_str());
    }
    if let Some(error) = failure.error() {
        parameter(&mut text, "error", error);
    }
    match (failure, scope) {
        (AuthFailure::Unauthenticated(AuthError::Ended(reason)), _) => {
            parameter(&mut text, "error_description", &reason.to_string());
        }
        (AuthFailure::Denied(Denied::Network), _) => {
            let reason = "not for use from this network";
            parameter(&mut text, "error_description", reason);
        }
        (AuthFailure::Denied(_), Some(scope)) => parameter(&mut text, "scope", scope),
        (AuthFailure::Unauthenticated(_), _) | (AuthFailure::Denied(_), None) => {}
    }
    // It has visible ASCII and spaces only, so this does not fail.
    HeaderValue::try_from(text).unwrap_or(const { HeaderValue::from_static("Bearer") })
}

/// Writes one parameter. The grammar of RFC 6750 §3 has neither quotes nor backslashes in a
/// value, not even escaped: they, and all that is not ASCII, become `?`.
fn parameter(text: &mut String, name: &str, value: &str) {
    text.push_str(if text.ends_with('"') { ", " } else { " " });
    text.push_str(name);
    text.push_str("=\"");
    let allowed = |char: char| matches!(char, ' '..='~') && !matches!(char, '"' | '\\');
    // Without an early end many bytes are looked at in one step.
    if value
        .bytes()
        .fold(true, |all, byte| all & allowed(byte.into()))
    {
        text.push_str(value);
    } else {
        let chars = value.chars();
        text.extend(chars.map(|char| if allowed(char) { char } else { '?' }));
    }
    text.push('"');
}
