//! What a client presents: one header, read strictly.

use std::fmt;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// Most bytes of a header that holds a credential.
const MAX_BYTES: usize = 4096;

/// A credential as the client sent it. No `Display`, and `Debug` is constant.
#[derive(Clone, Copy)]
pub struct Presented<'a>(&'a [u8]);

impl<'a> Presented<'a> {
    /// The bytes, for hashing.
    pub fn expose(&self) -> &'a [u8] {
        self.0
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(..)")
    }
}

/// Reads the credential from the one header that may hold it; `None` if that is not there.
///
/// In `Authorization` it is `Bearer`, in any case, one or more spaces, and the token (RFC 6750
/// §2.1); any other header holds the bare token. A token is visible ASCII without space. What
/// stands in another header, in the query or in the body is not a credential.
///
/// # Errors
/// The header is there and is not that. Two of it are not a choice but an attempt.
pub fn presented<'a>(
    headers: &'a HeaderMap,
    header: &HeaderName,
) -> Result<Option<Presented<'a>>, Malformed> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Malformed::Doubled);
    }
    let value = value.as_bytes();
    if value.len() > MAX_BYTES {
        return Err(Malformed::TooLong);
    }
    let token = if *header == AUTHORIZATION {
        bearer(value)?
    } else {
        value
    };
    if token.is_empty() {
        return Err(Malformed::Empty);
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err(Malformed::Characters);
    }
    Ok(Some(Presented(token)))
}

/// What follows the scheme and its spaces.
fn bearer(value: &[u8]) -> Result<&[u8], Malformed> {
    let scheme_end = value
        .iter()
        .position(|byte| *byte == b' ')
        .unwrap_or(value.len());
    let (scheme, rest) = value.split_at(scheme_end);
    if scheme.eq_ignore_ascii_case(b"bearer") {
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        return Ok(&rest[spaces..]);
    }
    Err(if scheme.is_empty() {
        Malformed::Empty
    } else {
        Malformed::Scheme
    })
}

/// Why a header holds no credential. It never holds the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// The header is there more than once.
    Doubled,
    /// `Authorization` with another scheme than `Bearer`, or with none.
    Scheme,
    /// There is no token in it.
    Empty,
    /// A character that no token has: a space, a control character, one beyond ASCII.
    Characters,
    /// More than 4096 bytes.
    TooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Doubled => "The credential is sent more than once.",
            Self::Scheme => "The Authorization header must be `Bearer` and a token.",
            Self::Empty => "The header for the credential is empty.",
            Self::Characters => "The token holds a space or a character that no token has.",
            Self::TooLong => "The header for the credential has more than 4096 bytes.",
        })
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// Headers from lines such as `authorization: Bearer x`.
    fn headers(lines: &[&str]) -> HeaderMap {
        lines
            .iter()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value))
            .map(|(name, value)| (name, HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect()
    }

    #[track_caller]
    fn check_header(header: &str, lines: &[&str], expected: Result<Option<&str>, Malformed>) {
        let headers = headers(lines);
        let found = presented(&headers, &header.parse().unwrap());
        let found = found.map(|found| found.map(|found| str::from_utf8(found.expose()).unwrap()));
        assert_eq!(found, expected, "{lines:?}");
    }

    #[test]
    fn the_authorization_header() {
        let check = |lines: &[&str], expected| check_header("authorization", lines, expected);
        let most = "x".repeat(4089);
        let long = format!("authorization: Bearer {most}");
        check(&[], Ok(None));
        check(&["authorization: Bearer abc"], Ok(Some("abc")));
        check(&["authorization: bEaReR abc"], Ok(Some("abc")));
        check(
            &["authorization: Bearer    a.b~c+d/e=="],
            Ok(Some("a.b~c+d/e==")),
        );
        check(&[&long], Ok(Some(&most)));
        check(&[&format!("{long}x")], Err(Malformed::TooLong));
        check(
            &["authorization: Bearer a", "authorization: Bearer a"],
            Err(Malformed::Doubled),
        );
        check(
            &["authorization: Bearer a", "authorization: Basic a"],
            Err(Malformed::Doubled),
        );
        check(&["authorization: Basic YTpi"], Err(Malformed::Scheme));
        check(&["authorization: Bearerabc"], Err(Malformed::Scheme));
        check(&["authorization: pls_abc"], Err(Malformed::Scheme));
        check(&["authorization: Bearer,abc def"], Err(Malformed::Scheme));
        check(&["authorization: Bearer\tabc"], Err(Malformed::Scheme));
        check(&["authorization: "], Err(Malformed::Empty));
        check(&["authorization:  Bearer abc"], Err(Malformed::Empty));
        check(&["authorization: Bearer"], Err(Malformed::Empty));
        check(&["authorization: Bearer   "], Err(Malformed::Empty));
        check(&["authorization: Bearer a b"], Err(Malformed::Characters));
        check(
            &["authorization: Bearer a, Bearer b"],
            Err(Malformed::Characters),
        );
        check(&["authorization: Bearer a "], Err(Malformed::Characters));
        check(&["authorization: Bearer a\tb"], Err(Malformed::Characters));
        check(&["authorization: Bearer é"], Err(Malformed::Characters));
        // Other places are no credentials.
        check(
            &[
                "x-api-key: abc",
                "cookie: token=abc",
                "proxy-authorization: Bearer abc",
            ],
            Ok(None),
        );
    }

    #[test]
    fn a_header_of_its_own() {
        let check = |lines: &[&str], expected| check_header("X-API-Key", lines, expected);
        check(&[], Ok(None));
        check(&["x-api-key: abc"], Ok(Some("abc")));
        check(&["authorization: Bearer abc"], Ok(None));
        check(
            &["authorization: Basic x", "x-api-key: abc"],
            Ok(Some("abc")),
        );
        check(&["x-api-key: "], Err(Malformed::Empty));
        check(&["x-api-key: Bearer abc"], Err(Malformed::Characters));
        check(&["x-api-key: ü"], Err(Malformed::Characters));
        check(&["x-api-key: a", "x-api-key: a"], Err(Malformed::Doubled));
        check(
            &[&format!("x-api-key: {}", "x".repeat(4097))],
            Err(Malformed::TooLong),
        );
    }

    proptest! {
        #[test]
        fn reading_a_header_never_panics(
            bytes in proptest::collection::vec(9..=255_u8, 0..60),
            scheme in "([Bb]earer ?)?",
        ) {
            for name in [AUTHORIZATION, HeaderName::from_static("x-api-key")] {
                let mut headers = HeaderMap::new();
                let bytes = [scheme.as_bytes(), &bytes].concat();
                if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                    headers.insert(&name, value);
                }
                if let Ok(Some(found)) = presented(&headers, &name) {
                    prop_assert!(!found.expose().is_empty());
                    prop_assert!(found.expose().iter().all(u8::is_ascii_graphic));
                    prop_assert!(bytes.ends_with(found.expose()));
                }
            }
        }
    }
}
