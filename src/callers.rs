//! Names for the log and for the upstream: who called, and which request it is.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

use crate::headers;
use crate::telemetry::{Caller, Labels};
use crate::tokens::Token;

/// Tokens whose facts a worker remembers.
const REMEMBERED: usize = 4096;

/// What is told of tokens, made once per token and worker.
#[derive(Debug, Default)]
pub struct Callers(RefCell<HashMap<*const Token, Rc<CallerFacts>>>);

/// What records and the upstream are told of a token.
#[derive(Debug)]
pub struct CallerFacts {
    /// For the record.
    pub caller: Arc<Caller>,
    /// `X-Plugway-Principal`
    pub name: HeaderValue,
    /// `X-Plugway-Token`
    pub id: HeaderValue,
    /// `X-Plugway-Level`
    pub level: HeaderValue,
    /// Keeps its address from becoming another's.
    _token: Arc<Token>,
}

impl Callers {
    /// What is told of a token.
    pub fn facts(&self, token: &Arc<Token>, labels: &Labels) -> Rc<CallerFacts> {
        let mut known = self.0.borrow_mut();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let facts = known.entry(Arc::as_ptr(token)).or_insert_with(|| {
            let level = token.level.as_str();
            Rc::new(CallerFacts {
                caller: labels.caller(Some(&token.id), Some(&token.name), level),
                name: headers::text_value(&token.name),
                id: headers::text_value(&token.id),
                level: HeaderValue::from_static(level),
                _token: Arc::clone(token),
            })
        });
        Rc::clone(facts)
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
