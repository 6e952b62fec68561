//! Reading `JSONPath` expressions: one pass, no step back, bounded depth.

use super::{PathError, Query, Segment, Selector};

/// Deepest nesting of filters, parentheses and functions.
const MAX_DEPTH: usize = 24;
/// Largest index (RFC 9535 §2.1: that of I-JSON).
const MAX_INDEX: i64 = (1 << 53) - 1;

/// A fault and where it is, in bytes.
pub(super) type Result<T> = std::result::Result<T, (usize, &'static str)>;

/// Reads a whole expression. Spaces around it are what YAML leaves of folded lines.
pub(super) fn parse(text: &str) -> std::result::Result<Query, PathError> {
    let mut parser = Parser {
        text,
        at: text.len() - text.trim_start().len(),
        depth: 0,
    };
    let query = parser.whole();
    query.map_err(|(at, reason)| PathError {
        column: text
            .get(..at)
            .map_or(text.len(), |before| before.chars().count())
            + 1,
        reason,
    })
}

/// Where reading stands.
pub(super) struct Parser<'t> {
    /// The expression.
    pub(super) text: &'t str,
    /// In bytes.
    pub(super) at: usize,
    /// Nesting.
    depth: usize,
}

impl Parser<'_> {
    /// What is left.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The next character.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes a text if it is next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Takes a character if it is of a kind.
    pub(super) fn take_if(&mut self, kind: impl Fn(char) -> bool) -> Option<char> {
        let c = self.peek().filter(|c| kind(*c))?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Skips blank space.
    pub(super) fn blank(&mut self) {
        while self
            .take_if(|c| matches!(c, ' ' | '\t' | '\n' | '\r'))
            .is_some()
        {}
    }

    /// A fault here.
    pub(super) fn fail<T>(&self, reason: &'static str) -> Result<T> {
        Err((self.at, reason))
    }

    /// Runs one level deeper.
    pub(super) fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return self.fail("it is nested too deep");
        }
        self.depth += 1;
        let result = run(self);
        self.depth -= 1;
        result
    }

    /// The whole expression.
    fn whole(&mut self) -> Result<Query> {
        if !self.take("$") {
            return self.fail("it does not start with `$`");
        }
        let segments = self.segments()?;
        self.blank();
        if self.rest().is_empty() {
            Ok(Query {
                absolute: true,
                segments,
            })
        } else {
            self.fail("`.`, `..` or `[` is expected")
        }
    }

    /// A query in a filter.
    pub(super) fn query(&mut self) -> Result<Query> {
        let absolute = self.take("$");
        if !absolute && !self.take("@") {
            return self.fail("a query is expected, which starts with `@` or `$`");
        }
        let segments = self.segments()?;
        Ok(Query { absolute, segments })
    }

    /// Segments, with blank space between them.
    fn segments(&mut self) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        loop {
            let before = self.at;
            self.blank();
            let selectors = if self.take("..") {
                match self.peek() {
                    Some('[') => self.brackets()?,
                    _ => vec![self.shorthand()?],
                }
            } else if self.take(".") {
                vec![self.shorthand()?]
            } else if self.peek() == Some('[') {
                self.brackets()?
            } else {
                self.at = before;
                return Ok(segments);
            };
            let descendant = self.text[before..].trim_start().starts_with("..");
            segments.push(Segment {
                descendant,
                selectors,
            });
        }
    }

    /// `*` or a name without quotes. A dash in a name is none of the RFC's, but nothing else
    /// could be meant, and the overlay specification 1.0 writes `x-oai-traits` so itself.
    fn shorthand(&mut self) -> Result<Selector> {
        if self.take("*") {
            return Ok(Selector::Wildcard);
        }
        let start = self.at;
        let first = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        if self.take_if(first).is_none() {
            return self.fail("a name or `*` is expected; other names are written `['…']`");
        }
        while self
            .take_if(|c| first(c) || c.is_ascii_digit() || c == '-')
            .is_some()
        {}
        Ok(Selector::Name(self.text[start..self.at].to_owned()))
    }

    /// `[…]`
    fn brackets(&mut self) -> Result<Vec<Selector>> {
        self.take("[");
        self.deeper(|this| {
            let mut selectors = Vec::new();
            loop {
                this.blank();
                selectors.push(this.selector()?);
                this.blank();
                if this.take("]") {
                    return Ok(selectors);
                }
                if !this.take(",") {
                    return this.fail("`,` or `]` is expected");
                }
            }
        })
    }

    /// One selector in brackets.
    fn selector(&mut self) -> Result<Selector> {
        match self.peek() {
            Some('\'' | '"') => self.string().map(Selector::Name),
            Some('*') => {
                self.at += 1;
                Ok(Selector::Wildcard)
            }
            Some('?') => {
                self.at += 1;
                self.blank();
                self.or().map(Selector::Filter)
            }
            Some(c) if c == '-' || c == ':' || c.is_ascii_digit() => self.index_or_slice(),
            _ => self.fail("a name in quotes, `*`, an index, a slice or `?` is expected"),
        }
    }

    /// `1`, `1:2`, `::-1`
    fn index_or_slice(&mut self) -> Result<Selector> {
        let start = self.optional_integer()?;
        let before = self.at;
        self.blank();
        if !self.take(":") {
            self.at = before;
            return match start {
                Some(index) => Ok(Selector::Index(index)),
                None => self.fail("an index is expected"),
            };
        }
        self.blank();
        let end = self.optional_integer()?;
        let before = self.at;
        self.blank();
        let mut step = None;
        if self.take(":") {
            let colon = self.at;
            self.blank();
            step = self.optional_integer()?;
            if step.is_none() {
                self.at = colon;
            }
        } else {
            self.at = before;
        }
        let step = step.unwrap_or(1);
        Ok(Selector::Slice { start, end, step })
    }

    /// An integer, if one is next.
    fn optional_integer(&mut self) -> Result<Option<i64>> {
        let start = self.at;
        self.take("-");
        let digits = self.at;
        while self.take_if(|c| c.is_ascii_digit()).is_some() {}
        let text = &self.text[digits..self.at];
        let negative = digits > start;
        if text.is_empty() && !negative {
            return Ok(None);
        }
        let odd = text.is_empty() || (text.starts_with('0') && (text.len() > 1 || negative));
        match self.text[start..self.at].parse::<i64>() {
            Ok(number) if !odd && number.abs() <= MAX_INDEX => Ok(Some(number)),
            _ => Err((start, "this is no index")),
        }
    }

    /// A text in quotes.
    pub(super) fn string(&mut self) -> Result<String> {
        let Some(quote) = self.take_if(|c| matches!(c, '\'' | '"')) else {
            return self.fail("a text in quotes is expected");
        };
        let mut out = String::new();
        loop {
            let here = self.at;
            match self.take_if(|_| true) {
                Some(c) if c == quote => return Ok(out),
                Some('\\') => out.push(self.escape(quote)?),
                Some(c) if c >= ' ' => out.push(c),
                Some(_) => return Err((here, "a control character has to be escaped")),
                None => return self.fail("the text has no end"),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, quote: char) -> Result<char> {
        let here = self.at;
        match self.take_if(|_| true) {
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some(c) if c == quote || c == '/' || c == '\\' => Ok(c),
            Some('u') => {
                let mut code = self.hex()?;
                if (0xD800..0xDC00).contains(&code) && self.take("\\u") {
                    let low = self.hex()?;
                    if !(0xDC00..0xE000).contains(&low) {
                        return Err((here, "this escape is no character"));
                    }
                    code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                }
                char::from_u32(code).ok_or((here, "this escape is no character"))
            }
            _ => Err((here, "there is no such escape")),
        }
    }

    /// Four hexadecimal digits.
    fn hex(&mut self) -> Result<u32> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.take_if(|c| c.is_ascii_hexdigit());
            let Some(digit) = digit.and_then(|c| c.to_digit(16)) else {
                return self.fail("four hexadecimal digits are expected");
            };
            code = code * 16 + digit;
        }
        Ok(code)
    }
}
