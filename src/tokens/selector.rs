//! Which operations are meant: one entry of `include`, `exclude` or a scope list.

use std::fmt;

/// Most bytes of a selector: long paths exist, books do not.
const MAX_BYTES: usize = 1024;

/// Methods that a document can have; the first word of an operationId is none of
/// them in capitals.
const METHODS: [&str; 9] = [
    "GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "QUERY",
];

/// Which operations: of `include`, `exclude` and of scopes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selector {
    /// `*`, only in scopes.
    All,
    /// `listTodos`
    OperationId(String),
    /// `tag:public`
    Tag(String),
    /// `GET /todos/{id}`
    Route {
        /// Upper case.
        method: String,
        /// The template, as in the document.
        path: String,
    },
}

impl Selector {
    /// Reads one of the four forms. Space around it does not count; operationIds and tags may
    /// hold spaces, since those of real documents do.
    ///
    /// # Errors
    /// What is wrong, without the text.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(SelectorError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(SelectorError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(SelectorError::Control);
        }
        if text == "*" {
            return Ok(Self::All);
        }
        if let Some(tag) = text.strip_prefix("tag:") {
            return match tag {
                "" => Err(SelectorError::NoTag),
                "*" => Err(SelectorError::Wildcard),
                _ => Ok(Self::Tag(tag.to_owned())),
            };
        }
        if let Some((word, rest)) = text.split_once(' ') {
            let path = rest.trim_start();
            let is_word = word.bytes().all(|byte| byte.is_ascii_alphabetic());
            if is_word && path.starts_with('/') {
                return Ok(Self::Route {
                    method: word.to_ascii_uppercase(),
                    path: path.to_owned(),
                });
            }
            if METHODS.contains(&word) {
                return Err(SelectorError::NoPath);
            }
        }
        if text.starts_with('/') || METHODS.contains(&text) {
            return Err(SelectorError::NoPath);
        }
        if text.contains('*') {
            return Err(SelectorError::Wildcard);
        }
        Ok(Self::OperationId(text.to_owned()))
    }
}

/// As it is written in a configuration; [`Selector::parse`] reads it back.
impl std::str::FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::OperationId(id) => f.write_str(id),
            Self::Tag(tag) => write!(f, "tag:{tag}"),
            Self::Route { method, path } => write!(f, "{method} {path}"),
        }
    }
}

/// Why a text selects nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectorError {
    /// Nothing is written.
    Empty,
    /// More than 1024 bytes.
    TooLong,
    /// A control character.
    Control,
    /// `tag:` alone.
    NoTag,
    /// A method without a path, or a path without a method.
    NoPath,
    /// `*` as a part of something.
    Wildcard,
}

impl SelectorError {
    /// The three forms.
    pub const HELP: &str =
        "write an operationId, `tag:NAME`, or a method and a path such as `GET /todos/{id}`";
}

impl fmt::Display for SelectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty: write an operationId, `tag:NAME`, `METHOD /path`, or `*`",
            Self::TooLong => "is longer than 1024 bytes",
            Self::Control => "holds a control character",
            Self::NoTag => "has no name after `tag:`",
            Self::NoPath => {
                "must be a method and a path that begins with `/`, such as `GET /todos/{id}`"
            }
            Self::Wildcard => "uses `*` as a pattern, but it only stands alone, for everything",
        })
    }
}

impl std::error::Error for SelectorError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(method: &str, path: &str) -> Selector {
        Selector::Route {
            method: method.to_owned(),
            path: path.to_owned(),
        }
    }

    fn id(text: &str) -> Selector {
        Selector::OperationId(text.to_owned())
    }

    fn tag(text: &str) -> Selector {
        Selector::Tag(text.to_owned())
    }

    #[track_caller]
    fn check(text: &str, expected: impl Into<Result<Selector, SelectorError>>) {
        assert_eq!(Selector::parse(text), expected.into());
    }

    #[test]
    fn forms() {
        check("*", Ok(Selector::All));
        check(" * ", Ok(Selector::All));
        check("listTodos", Ok(id("listTodos")));
        check("todos.list/v1-beta", Ok(id("todos.list/v1-beta")));
        check("List all todos", Ok(id("List all todos")));
        check("Get todos", Ok(id("Get todos")));
        check("GETTodos", Ok(id("GETTodos")));
        check("tag:public", Ok(tag("public")));
        check("tag:Pet store / v1", Ok(tag("Pet store / v1")));
        check("GET /todos/{id}", Ok(route("GET", "/todos/{id}")));
        check("get   /todos", Ok(route("GET", "/todos")));
        check("GET /files/{*path}", Ok(route("GET", "/files/{*path}")));
        check(
            "GET /index.php?action=list",
            Ok(route("GET", "/index.php?action=list")),
        );
        check("", Err(SelectorError::Empty));
        check("  ", Err(SelectorError::Empty));
        check("tag:", Err(SelectorError::NoTag));
        check("tag:*", Err(SelectorError::Wildcard));
        check("list*", Err(SelectorError::Wildcard));
        check("GET todos", Err(SelectorError::NoPath));
        check("GET", Err(SelectorError::NoPath));
        check("/todos", Err(SelectorError::NoPath));
        check("list\nTodos", Err(SelectorError::Control));
        check(&"x".repeat(1025), Err(SelectorError::TooLong));
        check(&"x".repeat(1024), Ok(id(&"x".repeat(1024))));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(text in "(tag:|GET /|get /|)[ -~é]{0,40}") {
            if let Ok(selector) = Selector::parse(&text) {
                prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
            }
        }
    }
}
