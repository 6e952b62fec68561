//! Regular expressions of `match` and `search` (I-Regexp, RFC 9485).

use regex::{Regex, RegexBuilder};

use super::{Budget, Exceeded};

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 1000;
/// Largest compiled expression, in bytes.
const MAX_COMPILED: usize = 1 << 17;
/// Steps that compiling costs.
const COMPILING: usize = 100_000;

/// A regular expression; none that can not be read matches anything (RFC 9535 §2.4.6).
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// Ready to run.
    regex: Option<Regex>,
    /// Steps for each byte of a text: time grows with the expression where it has repeats.
    price: usize,
}

impl Pattern {
    /// Compiles it. `whole`: a whole text has to match.
    pub(super) fn new(text: &str, whole: bool) -> Self {
        let price = if text.contains(['{', '\\']) { 16 } else { 1 };
        let price = price + text.len() / 32;
        if text.len() > MAX_LENGTH {
            return Self { regex: None, price };
        }
        // `R`: a dot is no carriage return either (RFC 9485 §5.2).
        let text = match whole {
            true => format!("(?R)\\A(?:{text})\\z"),
            false => format!("(?R)(?:{text})"),
        };
        let regex = RegexBuilder::new(&text)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(32)
            .build()
            .ok();
        Self { regex, price }
    }

    /// Compiles one that stands in the document.
    pub(super) fn compile(text: &str, whole: bool, budget: &Budget) -> Result<Self, Exceeded> {
        budget.spend(COMPILING)?;
        Ok(Self::new(text, whole))
    }

    /// Whether a text matches.
    pub(super) fn matches(&self, text: &str, budget: &Budget) -> Result<bool, Exceeded> {
        budget.spend(1 + text.len().saturating_mul(self.price) / 4)?;
        let matches = |regex: &Regex| regex.is_match(text);
        Ok(self.regex.as_ref().is_some_and(matches))
    }
}
