//! `JSONPath` (RFC 9535): which places of a document an expression selects.
//!
//! Written here since overlays come from outside: every step of an evaluation is paid from a
//! [`Budget`], and the crates that there are have no bound on time, matches or regular
//! expressions.

mod compare;
mod eval;
mod filter;
mod parse;
mod pattern;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use crate::openapi::Value;

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 4096;
/// Longest list of nodes at any step of an evaluation.
pub(super) const MAX_MATCHES: usize = 500_000;

/// An expression that could be read.
#[derive(Debug, Clone)]
pub(super) struct Path(Query);

/// Why an expression can not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathError {
    /// Where, counted in characters from 1.
    pub(super) column: usize,
    /// What is wrong.
    pub(super) reason: &'static str,
}

/// Why an evaluation was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    /// The budget is used up.
    Work,
    /// More than [`MAX_MATCHES`] nodes.
    Matches,
}

/// How much work may still be done. A step is about one look at one value.
#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    /// So many steps.
    pub(super) fn new(steps: u64) -> Self {
        Self(Cell::new(steps))
    }

    /// Takes steps off.
    pub(super) fn spend(&self, steps: usize) -> Result<(), Exceeded> {
        let steps = u64::try_from(steps).unwrap_or(u64::MAX);
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or(0));
        left.map(drop).ok_or(Exceeded::Work)
    }
}

impl Path {
    /// Reads an expression.
    pub(super) fn parse(text: &str) -> Result<Self, PathError> {
        if text.len() > MAX_LENGTH {
            return Err(PathError {
                column: MAX_LENGTH,
                reason: "it is longer than 4,096 bytes",
            });
        }
        parse::parse(text).map(Self)
    }

    /// JSON pointers (without `#`) to the nodes that it selects, each once, in the order of the
    /// expression.
    pub(super) fn places(&self, root: &Value, budget: &Budget) -> Result<Vec<String>, Exceeded> {
        eval::places(&self.0, root, budget)
    }
}

/// A query, also one within a filter.
#[derive(Debug, Clone)]
struct Query {
    /// Whether it starts at the root (`$`), not at the current node (`@`).
    absolute: bool,
    /// Its segments.
    segments: Vec<Segment>,
}

impl Query {
    /// Whether it selects at most one node by its form (RFC 9535 §2.3.5.1).
    fn is_singular(&self) -> bool {
        self.segments.iter().all(|segment| {
            let one = matches!(
                segment.selectors.as_slice(),
                [Selector::Name(_) | Selector::Index(_)]
            );
            one && !segment.descendant
        })
    }
}

/// A segment.
#[derive(Debug, Clone)]
struct Segment {
    /// Whether it looks at all descendants (`..`).
    descendant: bool,
    /// What it selects of each node.
    selectors: Vec<Selector>,
}

/// What is selected of one node.
#[derive(Debug, Clone)]
enum Selector {
    /// A member.
    Name(String),
    /// All children.
    Wildcard,
    /// An item; negative ones count from the end.
    Index(i64),
    /// Items.
    Slice {
        /// The first.
        start: Option<i64>,
        /// The one after the last.
        end: Option<i64>,
        /// How far apart.
        step: i64,
    },
    /// The children for which it is true.
    Filter(Logical),
}

/// What is true or false of a node.
#[derive(Debug, Clone)]
enum Logical {
    /// One of them.
    Or(Vec<Logical>),
    /// All of them.
    And(Vec<Logical>),
    /// Not.
    Not(Box<Logical>),
    /// Whether a query selects anything.
    Exists(Query),
    /// A comparison.
    Compare(Operand, Operator, Operand),
    /// `match` or `search`.
    Matches {
        /// Whether the whole text has to match.
        whole: bool,
        /// The text.
        text: Operand,
        /// The regular expression.
        pattern: Operand,
    },
}

/// One side of a comparison.
#[derive(Debug, Clone)]
enum Operand {
    /// A text, number, boolean or null.
    Literal(Value),
    /// The node of a singular query.
    Single(Query),
    /// `length`
    Length(Box<Operand>),
    /// `count`
    Count(Query),
    /// `value`
    ValueOf(Query),
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}
