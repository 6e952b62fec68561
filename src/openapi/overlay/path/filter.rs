//! Reading what stands behind `?`: logical expressions, comparisons, functions.

use crate::openapi::Value;

use super::parse::{Parser, Result};
use super::{Logical, Operand, Operator, Query};

impl Parser<'_> {
    /// `a || b`
    pub(super) fn or(&mut self) -> Result<Logical> {
        let mut all = vec![self.and()?];
        while self.operator("||") {
            all.push(self.and()?);
        }
        Ok(if all.len() == 1 {
            all.remove(0)
        } else {
            Logical::Or(all)
        })
    }

    /// `a && b`
    fn and(&mut self) -> Result<Logical> {
        let mut all = vec![self.basic()?];
        while self.operator("&&") {
            all.push(self.basic()?);
        }
        Ok(if all.len() == 1 {
            all.remove(0)
        } else {
            Logical::And(all)
        })
    }

    /// Takes an operator between expressions, with the space around it.
    fn operator(&mut self, text: &str) -> bool {
        let before = self.at;
        self.blank();
        if self.take(text) {
            self.blank();
            return true;
        }
        self.at = before;
        false
    }

    /// A part in parentheses, a comparison or a test.
    fn basic(&mut self) -> Result<Logical> {
        let not = self.take("!");
        self.blank();
        let start = self.at;
        let mut found = if self.take("(") {
            self.deeper(|this| {
                this.blank();
                let inner = this.or()?;
                this.blank();
                if this.take(")") {
                    Ok(inner)
                } else {
                    this.fail("`)` is expected")
                }
            })?
        } else if let Some(whole) = self.pattern_function() {
            self.matches(whole)?
        } else {
            let query = matches!(self.peek(), Some('@' | '$'));
            let left = if query {
                let query = self.query()?;
                let before = self.at;
                self.blank();
                if not || !self.rest().starts_with(['=', '!', '<', '>']) {
                    self.at = before;
                    return Ok(negate(not, Logical::Exists(query)));
                }
                singular(query, start)?
            } else {
                self.operand()?
            };
            if not {
                return Err((start, "`!` stands before a query, `match`, `search` or `(`"));
            }
            self.comparison(left)?
        };
        found = negate(not, found);
        Ok(found)
    }

    /// An operator and the right side.
    fn comparison(&mut self, left: Operand) -> Result<Logical> {
        const OPERATORS: &[(&str, Operator)] = &[
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        self.blank();
        let Some((_, operator)) = OPERATORS.iter().find(|(text, _)| self.take(text)) else {
            return self.fail("a comparison such as `==` is expected");
        };
        self.blank();
        let right = self.operand()?;
        Ok(Logical::Compare(left, *operator, right))
    }

    /// One side of a comparison, or an argument that is a value.
    fn operand(&mut self) -> Result<Operand> {
        let start = self.at;
        match self.peek() {
            Some('@' | '$') => {
                let query = self.query()?;
                singular(query, start)
            }
            Some('\'' | '"') => Ok(Operand::Literal(Value::from(self.string()?))),
            Some(c) if c == '-' || c.is_ascii_digit() => self.number(),
            Some(c) if c.is_ascii_lowercase() => self.word(),
            _ => self.fail("a value is expected: a query, text, number or function"),
        }
    }

    /// A number.
    fn number(&mut self) -> Result<Operand> {
        let start = self.at;
        let sign = |c: char| matches!(c, '-' | '+' | '.' | 'e' | 'E');
        while self.take_if(|c| c.is_ascii_digit() || sign(c)).is_some() {}
        // What is a number in JSON is one here (RFC 9535 §2.3.5.1).
        serde_json::from_str(&self.text[start..self.at])
            .map(|number| Operand::Literal(Value::Number(number)))
            .map_err(|_| (start, "this is no number"))
    }

    /// `true`, `false`, `null` or a function that gives a value.
    fn word(&mut self) -> Result<Operand> {
        let start = self.at;
        while self
            .take_if(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            .is_some()
        {}
        let name = &self.text[start..self.at];
        let literal = match name {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        };
        if let Some(literal) = literal {
            return Ok(Operand::Literal(literal));
        }
        let function = match name {
            "length" | "count" | "value" => name.to_owned(),
            "match" | "search" => {
                return Err((start, "`match` and `search` can not be compared"));
            }
            _ => return Err((start, "there is no such function; texts stand in quotes")),
        };
        self.arguments(|this| {
            Ok(match function.as_str() {
                "length" => Operand::Length(Box::new(this.operand()?)),
                "count" => Operand::Count(this.query()?),
                _ => Operand::ValueOf(this.query()?),
            })
        })
    }

    /// Takes `match` or `search`; whether it is `match`.
    fn pattern_function(&mut self) -> Option<bool> {
        let (name, whole) =
            [("match", true), ("search", false)]
                .into_iter()
                .find(|(name, _)| {
                    self.rest()
                        .strip_prefix(name)
                        .is_some_and(|r| r.starts_with('('))
                })?;
        self.at += name.len();
        Some(whole)
    }

    /// The arguments of `match` or `search`.
    fn matches(&mut self, whole: bool) -> Result<Logical> {
        let (text, pattern) = self.arguments(|this| {
            let text = this.operand()?;
            this.blank();
            if !this.take(",") {
                return this.fail("`,` and a regular expression are expected");
            }
            this.blank();
            Ok((text, this.operand()?))
        })?;
        Ok(Logical::Matches {
            whole,
            text,
            pattern,
        })
    }

    /// `(…)` behind the name of a function.
    fn arguments<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if !self.take("(") {
            return self.fail("`(` is expected");
        }
        self.deeper(|this| {
            this.blank();
            let arguments = run(this)?;
            this.blank();
            if this.take(")") {
                Ok(arguments)
            } else {
                this.fail("`)` is expected")
            }
        })
    }
}

/// The opposite, if it is wanted.
fn negate(not: bool, logical: Logical) -> Logical {
    if not {
        Logical::Not(Box::new(logical))
    } else {
        logical
    }
}

/// A query that selects at most one node.
fn singular(query: Query, start: usize) -> Result<Operand> {
    if query.is_singular() {
        Ok(Operand::Single(query))
    } else {
        Err((start, "only a query for one node can be compared"))
    }
}
