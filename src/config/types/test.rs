//! `[[plugins.NAME.tests]]`, validated.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};

use super::{Secret, Spanned};

/// A request that a candidate must answer as expected before it serves.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// The request, as a message may show it.
    pub shown: Spanned<String>,
    /// Its method.
    pub method: Method,
    /// Its path and query, begins with `/`.
    pub target: String,
    /// Who asks.
    pub caller: Spanned<TestCaller>,
    /// The status of the answer.
    pub expect: Spanned<StatusCode>,
    /// Whether it is really sent to the upstream.
    pub upstream: bool,
    /// The body, if it has one. It may come from a reference.
    pub body: Option<Secret>,
    /// The body's media type.
    pub content_type: HeaderValue,
    /// Until the answer of the upstream.
    pub timeout: Duration,
}

/// `as`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestCaller {
    /// Nobody.
    Anonymous,
    /// A service token with all scopes.
    Service,
    /// A user token with all scopes.
    User,
    /// The declared token with this key.
    Token(String),
}

impl TestCaller {
    /// As it is written.
    pub fn word(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Service => "service",
            Self::User => "user",
            Self::Token(key) => key,
        }
    }
}

impl Test {
    /// Tests that a plugin may have.
    pub const MOST: usize = 100;
}
