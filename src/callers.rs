//! Names for the log: who called, and which request it is.

use std::cell::Cell;
use std::sync::Arc;

use http::HeaderValue;

use crate::telemetry::{Caller, Labels, Named, TokenId};
use crate::tokens::{Level, Token};

/// What a record tells of a token. Made anew for every request, since it allocates nothing: among
/// a million tokens what is kept of the last few thousand helps nobody.
pub fn caller(token: &Arc<Token>, labels: &Labels) -> Caller {
    // One series for each person would grow without end.
    let counted = token.level == Level::Service;
    let number = || labels.token(&token.id).number();
    Caller {
        token: Arc::<Token>::clone(token),
        level: token.level.as_str(),
        series: counted.then(|| TokenId::of_number(token.shared.number(number))),
    }
}

impl Named for Token {
    fn id(&self) -> &str {
        &self.id
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// Request ids: a random part per worker and a count.
#[derive(Debug)]
pub struct RequestIds {
    base: u64,
    next: Cell<u64>,
}

impl Default for RequestIds {
    fn default() -> Self {
        let mut random = [0; 16];
        // Without randomness ids are still distinct within a worker.
        let _ = getrandom::fill(&mut random);
        let [base, next] =
            [0, 8].map(|at| random[at..at + 8].try_into().map_or(0, u64::from_le_bytes));
        Self {
            base,
            next: Cell::new(next),
        }
    }
}

impl RequestIds {
    /// Another one: 32 hexadecimal digits.
    pub fn next(&self) -> HeaderValue {
        let count = self.next.get().wrapping_add(1);
        self.next.set(count);
        let mut id = [0; 32];
        for (half, number) in id.chunks_exact_mut(16).zip([self.base, count]) {
            for (index, digit) in half.iter_mut().enumerate() {
                *digit = DIGITS[(number >> (60 - 4 * index) & 15) as usize];
            }
        }
        HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("0"))
    }
}

/// Written by hand, since it is done for every request.
const DIGITS: &[u8; 16] = b"0123456789abcdef";
