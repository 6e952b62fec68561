//! What the configuration sets and removes.

use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use super::fields::set;
use super::names::is_reserved;

/// Changes to a head, compiled. Both directions have the same.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Set in place of what is there, after the removals.
    set: Vec<(HeaderName, HeaderValue)>,
    /// Removed.
    remove: Vec<HeaderName>,
}

/// Why a rule can not be compiled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleFault {
    /// Not a field name.
    #[error("`{0}` is not a header name")]
    Name(String),
    /// The value of this name is not one.
    #[error("the value of `{0}` holds a control character")]
    Value(String),
    /// The gateway alone decides about this name.
    #[error("`{0}` is set by the gateway and can not be changed")]
    Reserved(String),
}

impl Rules {
    /// Compiles; the first fault is returned.
    pub fn compile(set: &[(String, String)], remove: &[String]) -> Result<Self, RuleFault> {
        let mut rules = Self::default();
        for (text, value) in set {
            let value = HeaderValue::from_str(value).map_err(|_| RuleFault::Value(text.clone()));
            rules.set.push((name(text)?, secret(value?)));
        }
        for text in remove {
            rules.remove.push(name(text)?);
        }
        Ok(rules)
    }

    /// Whether nothing is changed.
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// Whether a header of this name is set, so that the client's own does not matter.
    pub(super) fn sets(&self, is_name: impl Fn(&HeaderName) -> bool) -> bool {
        self.set.iter().any(|(name, _)| is_name(name))
    }

    /// Changes a head.
    pub(super) fn apply(&self, head: &mut HeaderMap) {
        for name in &self.remove {
            head.remove(name);
        }
        for (name, value) in &self.set {
            set(head, name, value.clone());
        }
    }
}

/// A name that rules may change.
fn name(text: &str) -> Result<HeaderName, RuleFault> {
    let name: HeaderName = text.parse().map_err(|_| RuleFault::Name(text.to_owned()))?;
    if is_reserved(name.as_str()) {
        return Err(RuleFault::Reserved(text.to_owned()));
    }
    Ok(name)
}

/// Values may have come from a secret: their `Debug` shows nothing.
fn secret(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
