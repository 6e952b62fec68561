//! Comparing values (RFC 9535 §2.3.5.2.2).

use std::cmp::Ordering;

use crate::openapi::Value;
use serde_json::Number;

use super::{Budget, Exceeded, Operator};

/// Deepest comparison of lists and objects; deeper ones are not equal.
const MAX_DEPTH: usize = 256;

/// Whether a comparison is true; `None` is nothing.
pub(super) fn compare(
    left: Option<&Value>,
    operator: Operator,
    right: Option<&Value>,
    budget: &Budget,
) -> Result<bool, Exceeded> {
    let equal = |left, right| match (left, right) {
        (None, None) => Ok(true),
        (Some(left), Some(right)) => equal(left, right, 0, budget),
        _ => Ok(false),
    };
    Ok(match operator {
        Operator::Equal => equal(left, right)?,
        Operator::NotEqual => !equal(left, right)?,
        Operator::Less => less(left, right, budget)?,
        Operator::Greater => less(right, left, budget)?,
        Operator::LessOrEqual => less(left, right, budget)? || equal(left, right)?,
        Operator::GreaterOrEqual => less(right, left, budget)? || equal(left, right)?,
    })
}

/// Whether two values are the same.
fn equal(left: &Value, right: &Value, depth: usize, budget: &Budget) -> Result<bool, Exceeded> {
    budget.spend(1)?;
    Ok(match (left, right) {
        (Value::Number(left), Value::Number(right)) => order(left, right) == Some(Ordering::Equal),
        (Value::String(left), Value::String(right)) => {
            budget.spend(left.len().min(right.len()) / 64)?;
            left == right
        }
        (Value::Array(left), Value::Array(right)) => {
            if left.len() != right.len() || depth == MAX_DEPTH {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right) {
                if !equal(left, right, depth + 1, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(left), Value::Object(right)) => {
            if left.len() != right.len() || depth == MAX_DEPTH {
                return Ok(false);
            }
            for (name, left) in left {
                let Some(right) = right.get(name) else {
                    return Ok(false);
                };
                if !equal(left, right, depth + 1, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (left, right) => left == right,
    })
}

/// Whether one is less: only numbers and texts can be.
fn less(left: Option<&Value>, right: Option<&Value>, budget: &Budget) -> Result<bool, Exceeded> {
    budget.spend(1)?;
    Ok(match (left, right) {
        (Some(Value::Number(left)), Some(Value::Number(right))) => {
            order(left, right) == Some(Ordering::Less)
        }
        (Some(Value::String(left)), Some(Value::String(right))) => {
            budget.spend(left.len().min(right.len()) / 64)?;
            left < right
        }
        _ => false,
    })
}

/// Numbers are kept as they are written: integers are compared digit by digit, others as far
/// as a double goes.
fn order(left: &Number, right: &Number) -> Option<Ordering> {
    let (left, right) = (left.as_str(), right.as_str());
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    if left == right {
        return Some(Ordering::Equal);
    }
    let (left, right): (f64, f64) = (left.parse().ok()?, right.parse().ok()?);
    // Beyond the doubles all are alike.
    (left.is_finite() || right.is_finite())
        .then(|| left.partial_cmp(&right))
        .flatten()
}
