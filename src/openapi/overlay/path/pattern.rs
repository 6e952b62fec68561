//! Regular expressions of `match` and `search` (I-Regexp, RFC 9485).

use std::cell::RefCell;

use regex::{Regex, RegexBuilder};

use super::{Budget, Exceeded};

/// Longest expression, in bytes.
const MAX_LENGTH: usize = 1000;
/// Sizes of compiled expressions that are tried, as powers of two, in bytes. Time grows with
/// the size for each byte of a text.
const SIZES: std::ops::RangeInclusive<u32> = 9..=17;
/// Bytes of a compiled expression that cost one step for each byte of a text.
const BYTES_PER_STEP: usize = 256;
/// Steps that compiling costs.
const COMPILING: usize = 100_000;
/// Compiled expressions that are kept.
const MAX_KEPT: usize = 16;

/// The regular expressions of one evaluation. They are compiled when they are first needed and
/// go with the evaluation, since each keeps memory for the texts that it was run on.
#[derive(Debug, Default)]
pub(super) struct Patterns(RefCell<Vec<Pattern>>);

/// A regular expression.
#[derive(Debug)]
struct Pattern {
    /// As it is written.
    text: String,
    /// Whether a whole text has to match.
    whole: bool,
    /// Ready to run; one that can not be read matches nothing (RFC 9535 §2.4.6).
    regex: Option<Regex>,
    /// Steps for each byte of a text.
    price: usize,
}

impl Patterns {
    /// Whether an expression matches a text, or the whole of it.
    pub(super) fn matches(
        &self,
        pattern: &str,
        whole: bool,
        text: &str,
        budget: &Budget,
    ) -> Result<bool, Exceeded> {
        let mut kept = self.0.borrow_mut();
        let known = |p: &Pattern| p.whole == whole && p.text == pattern;
        let index = if let Some(index) = kept.iter().position(known) {
            index
        } else {
            budget.spend(COMPILING)?;
            if kept.len() == MAX_KEPT {
                kept.clear();
            }
            kept.push(Pattern::new(pattern, whole));
            kept.len() - 1
        };
        let pattern = &kept[index];
        budget.spend(1 + text.len().saturating_mul(pattern.price))?;
        let matches = |regex: &Regex| regex.is_match(text);
        Ok(pattern.regex.as_ref().is_some_and(matches))
    }
}

impl Pattern {
    /// Compiles it, to the smallest size that it fits into.
    fn new(text: &str, whole: bool) -> Self {
        // `R`: a dot is no carriage return either (RFC 9485 §5.2).
        let full = if whole {
            format!("(?R)\\A(?:{text})\\z")
        } else {
            format!("(?R)(?:{text})")
        };
        let fits = |size: u32| {
            let mut builder = RegexBuilder::new(&full);
            builder.size_limit(1 << size).nest_limit(32);
            builder.dfa_size_limit(1 << 17);
            Some((size, builder.build().ok()?))
        };
        let compiled = if text.len() <= MAX_LENGTH {
            SIZES.clone().find_map(fits)
        } else {
            None
        };
        let plain = regex::escape(text) == text;
        let price = match &compiled {
            Some((size, _)) if !plain => (1_usize << size) / BYTES_PER_STEP,
            _ => 1,
        };
        Self {
            text: text.to_owned(),
            whole,
            regex: compiled.map(|(_, regex)| regex),
            price,
        }
    }
}
