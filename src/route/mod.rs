//! Which published operation a request is.
//!
//! Pure. Path templates are compiled into a tree of segments when a snapshot is compiled; a
//! request walks it once. What could be read in two ways is refused, never guessed: whoever
//! stands behind us may read it the other way, and then the operation that was authorized is
//! not the one that runs. The rules for that are in [`check_path`].
//!
//! **Order.** Segment by segment from the left: a literal before one that is mixed of text and
//! parameters (`{name}.json`) before a whole-segment parameter; among mixed ones the one with
//! more literal text. `OpenAPI` says no more than "concrete before templated".
//!
//! **A concrete path that lacks the method does not hide its templated sibling.** With
//! `GET /files/count` and `PUT /files/{id}`, a `PUT /files/count` is the second: it is
//! published, it fits, and what the upstream makes of the id `count` is the upstream's answer
//! to give. Where the document has `PUT /files/count` too but it is not published, the request
//! is refused, since the upstream would run just that operation: this is what
//! [`Spec::published`] is for.
//!
//! **Cost.** The walk does not depend on the number of operations but on the alternatives
//! that a path has: every node of the tree has one path from the root, so none is visited
//! twice, of the literals at most one is followed, and [`Router::build`] refuses a template
//! with which the worst path would take more than [`MAX_STEPS`] steps. A step looks at no
//! more than the path and the query once.

mod build;
mod form;
mod leaf;
mod path;
mod query;
mod search;
mod similar;
mod template;
mod tree;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use http::Method;

pub use form::Form;
pub use path::{MAX_PATH, MAX_SEGMENTS, check_path};
pub use query::{Held, METHOD, held, names_method};
pub use similar::{How, Other};
pub use tree::MAX_STEPS;

use search::Search;
use tree::Tree;

/// One operation, as it is given to [`Router::build`].
#[derive(Debug, Clone)]
pub struct Spec {
    /// Method; one of those in [`Methods`].
    pub method: Method,
    /// Path template without query and fragment, such as `/todos/{id}`,
    /// `/lists/{date}/{list}.json`, `/a/{x}-{y}`. Literals may be percent-encoded or not.
    pub path: String,
    /// Parameters that the query must hold, each exactly once with exactly that value; decoded.
    pub fixed_query: Vec<(String, String)>,
    /// Whether its path parameters may hold `%2F`.
    pub encoded_slash: bool,
    /// Whether it may be called. One that may not is never found, but it keeps its own method
    /// and path from a published sibling whose template covers them too.
    pub published: bool,
}

/// An operation that can not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unroutable {
    /// Its index in the `specs` of [`Router::build`].
    pub operation: usize,
    /// Why.
    pub why: Why,
}

/// Why an operation can not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// An earlier operation has the same method, the same shape up to parameter names, and the
    /// same fixed query. That one is served.
    Collides {
        /// Its index.
        with: usize,
    },
    /// The router does not know the method, see [`Methods`].
    Method,
    /// No request that we would let in has such a path.
    Template(&'static str),
    /// With it some path would have too many alternatives, see [`MAX_STEPS`]. The only reason
    /// that an unpublished operation is returned for: a published one may now cover it.
    Costly,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collides { .. } => f.write_str(
                "an earlier operation has the same method and the same path up to the names of its parameters",
            ),
            Self::Method => f.write_str("its method is not one that is forwarded"),
            Self::Template(reason) => write!(f, "no request can have its path: {reason}"),
            Self::Costly => f.write_str("too many other templates cover the same paths"),
        }
    }
}

/// The published operations of one plugin, ready to be asked.
#[derive(Debug)]
pub struct Router {
    /// Templates by segment.
    tree: Tree,
}

/// The operation that a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'p> {
    /// Index in the `specs` of [`Router::build`].
    pub operation: usize,
    /// A HEAD that is answered by a published GET. The method sent on stays HEAD.
    pub head_of_get: bool,
    /// What goes upstream, behind the base path: static segments as the template has them, in
    /// canonical encoding; all others byte for byte as the client sent them. Borrowed unless
    /// the client wrote a static segment in another way than the template.
    pub upstream_path: Cow<'p, str>,
    /// What it may be as well to a lenient server, see [`Router::refuse_similar`]: whether it is
    /// let in all the same is for the caller to say, who knows whether those would be. Empty, and
    /// not allocated, for nearly every request.
    pub others: Box<[Other]>,
}

/// Why no operation was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// The path can be read in two ways; the reason is fit to be shown (400).
    Ambiguous(&'static str),
    /// It is another operation's but for its spelling (400).
    Another(Other),
    /// Nothing published has this path and query (404).
    NotFound,
    /// Something published has, but not with this method (405).
    MethodNotAllowed {
        /// For the `Allow` field.
        allow: Methods,
    },
}

impl Router {
    /// Compiles. What [`find`](Router::find) gives back is an index in `specs`. Operations
    /// that can not be reached are left out and returned for the caller to report; of those
    /// that collide the first published one stays. Unpublished ones are returned as well where
    /// they collide: their requests are read as the other operation's.
    pub fn build(specs: &[Spec]) -> (Self, Vec<Unroutable>) {
        let (tree, unroutable) = build::build(specs);
        (Self { tree }, unroutable)
    }

    /// From now on [`find`](Self::find) looks at what a path that leads to an operation by a
    /// parameter would be to a lenient server. One that ignores case (Express, ASP.NET), or takes an
    /// ending off (Rails: `/users/export.json`), would take `/users/EXPORT` for another operation's
    /// with the same method beside `/users/export`, published or not: such a path is refused. What
    /// only a server would that ignores the last slash, or dots and spaces at the end of a segment,
    /// or that decodes `%2F`, is told with what was found ([`Found::others`]).
    pub fn refuse_similar(&mut self) {
        self.tree.refuse_similar();
    }

    /// Published operations, each with one that is not and has the same method and path but for a
    /// slash at the end. Such are not told of as others: a document that has both tells them apart.
    pub fn twins(&self) -> Vec<(usize, usize)> {
        self.tree.twins()
    }

    /// The operation that a request is. `path` is raw, as the client sent it, without the
    /// query; `query` is raw, without the `?`. Operations without a fixed query take any.
    pub fn find<'p>(
        &self,
        method: &Method,
        path: &'p str,
        query: Option<&str>,
    ) -> Result<Found<'p>, Miss> {
        let facts = path::read(path)?;
        let wanted = Methods::of(method);
        let mut search = Search::new(&self.tree, &facts, query, wanted);
        let hit = search.run(&facts)?;
        let allowed = hit.as_ref().is_some_and(|hit| hit.candidate.encoded_slash);
        if facts.encoded_slash && !allowed {
            return Err(Miss::Ambiguous(path::ENCODED_SLASH));
        }
        if let Some(hit) = &hit
            && self.tree.heeds_similar
        {
            search.normalized(&facts, hit.candidate.operation)?;
        }
        let mut others = search.others;
        if self.tree.heeds_similar && facts.semicolon {
            let found = hit.as_ref().map(|hit| hit.candidate.operation);
            let ended = self.up_to_semicolon((path, query), wanted, found)?;
            // It is nothing here: nobody is asked whether it may be something there.
            if let (None, Some(other)) = (found, ended.first()) {
                return Err(Miss::Another(*other));
            }
            others.extend(ended);
        }
        match hit {
            Some(hit) => Ok(Found {
                operation: hit.candidate.operation,
                head_of_get: wanted == Methods::HEAD && hit.candidate.method == Methods::GET,
                upstream_path: hit.leaf.upstream_path(path),
                others: others.into(),
            }),
            None if search.allowed.is_empty() => Err(Miss::NotFound),
            None => Err(Miss::MethodNotAllowed {
                allow: search.allowed,
            }),
        }
    }

    /// What a path is up to its first `;`, with what stands behind that as its query.
    fn up_to_semicolon(
        &self,
        (path, query): (&str, Option<&str>),
        wanted: Methods,
        found: Option<usize>,
    ) -> Result<Vec<Other>, Miss> {
        // One that is encoded ends no path.
        let Some((path, behind)) = path.split_once(';') else {
            return Ok(Vec::new());
        };
        let query = match query {
            Some(query) => format!("{behind}?{query}"),
            None => behind.to_owned(),
        };
        let facts = path::read(path)?;
        let mut search = Search::new(&self.tree, &facts, Some(&query), wanted);
        search.up_to_semicolon(&facts, found)?;
        Ok(search.others)
    }

    /// The methods with which a path and query would be found: for the answer to a preflight.
    /// Empty when there is none, and when the path is ambiguous.
    pub fn allowed(&self, path: &str, query: Option<&str>) -> Methods {
        let Ok(facts) = path::read(path) else {
            return Methods::NONE;
        };
        let mut search = Search::new(&self.tree, &facts, query, Methods::NONE);
        match search.run(&facts) {
            Ok(_) => search.allowed,
            Err(_) => Methods::NONE,
        }
    }
}

/// A set of the methods that are forwarded. Its `Display` is the value of an `Allow` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Methods(u8);

impl Methods {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// GET alone.
    pub const GET: Self = Self(1);
    /// HEAD alone.
    pub const HEAD: Self = Self(2);
    /// Their names, in the order of the bits.
    const NAMES: [&'static str; 8] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY",
    ];

    /// The set of this one method; empty if we do not forward it.
    pub fn of(method: &Method) -> Self {
        let place = Self::NAMES.iter().position(|name| *name == method.as_str());
        place.map_or(Self::NONE, |place| Self(1 << place))
    }

    /// Whether it holds none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the two have a method in common.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Every method that we forward, each alone.
    fn all() -> impl Iterator<Item = Self> {
        (0..Self::NAMES.len()).map(|place| Self(1 << place))
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (place, name) in Self::NAMES.iter().enumerate() {
            if self.0 & (1 << place) != 0 {
                write!(f, "{separator}{name}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}
