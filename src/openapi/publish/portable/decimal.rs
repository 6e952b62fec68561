//! Numbers as they are written, of any length: compared and divided exactly.

use std::cmp::Ordering;

use serde_json::Number;

/// A number: its digits, times a power of ten.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    /// Whether it is less than 0.
    negative: bool,
    /// Digits without zeros at either end; none for 0.
    digits: Vec<u8>,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    /// Reads a number of JSON. `None`: its exponent is out of all proportion.
    pub(super) fn new(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent: i32 = exponent.trim_start_matches('+').parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut exponent = i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
        let mut digits: Vec<u8> = whole
            .bytes()
            .chain(fraction.bytes())
            .map(|b| b.wrapping_sub(b'0'))
            .skip_while(|digit| *digit == 0)
            .collect();
        while digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        if digits.is_empty() {
            exponent = 0;
        }
        Some(Self {
            negative: negative && !digits.is_empty(),
            digits,
            exponent,
        })
    }

    /// Whether it has no fraction.
    pub(super) fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// The places before the point.
    fn places(&self) -> i64 {
        i64::try_from(self.digits.len()).map_or(i64::MAX, |length| length + self.exponent)
    }

    /// Compares without the sign.
    fn compare_size(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        // Without zeros at the ends, digits compare like texts.
        self.places()
            .cmp(&other.places())
            .then_with(|| self.digits.cmp(&other.digits))
    }

    /// Compares.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_size(other),
            (true, true) => other.compare_size(self),
        }
    }

    /// Whether it is a multiple of a number; `None`: that number is 0 or too long.
    pub(super) fn is_multiple_of(&self, other: &Self) -> Option<bool> {
        if self.digits.is_empty() {
            return Some(true);
        }
        if other.digits.is_empty() || other.digits.len() > 18 {
            return None;
        }
        let read = |sum: u128, digit: &u8| sum * 10 + u128::from(*digit);
        let divisor = other.digits.iter().fold(0, read);
        let Ok(shift) = u64::try_from(self.exponent.checked_sub(other.exponent)?) else {
            // The last digit, which is not 0, stands behind all of the multiples.
            return Some(false);
        };
        let rest = self.digits.iter().fold(0, |sum, d| read(sum, d) % divisor);
        Some((rest * power_of_ten(shift, divisor)).is_multiple_of(divisor))
    }
}

/// A power of ten, modulo a number below 2⁶⁴.
fn power_of_ten(mut exponent: u64, modulus: u128) -> u128 {
    let (mut result, mut base) = (1 % modulus, 10 % modulus);
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent /= 2;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::new(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn numbers_are_compared_as_they_are_written() {
        let rising = [
            "-10", "-1.5", "-1e-9", "0", "1e-400", "0.1", "0.11", "1", "9", "1e1", "10.5", "1e400",
        ];
        for (index, left) in rising.iter().enumerate() {
            for (other, right) in rising.iter().enumerate() {
                let found = decimal(left).compare(&decimal(right));
                assert_eq!(found, index.cmp(&other), "{left} and {right}");
            }
        }
        for (left, right) in [("1", "1.0"), ("100", "1e2"), ("-0", "0.0"), ("0.1", "1e-1")] {
            assert_eq!(decimal(left), decimal(right));
        }
    }

    #[test]
    fn multiples_are_exact() {
        for (value, of, expected) in [
            ("0.3", "0.1", Some(true)),
            ("1", "3", Some(false)),
            ("1e300", "7", Some(false)),
            ("7e300", "7", Some(true)),
            ("0.35", "0.1", Some(false)),
            ("-4.5", "1.5", Some(true)),
            ("0", "5", Some(true)),
            ("5", "0", None),
            ("100", "25", Some(true)),
            ("10", "25", Some(false)),
        ] {
            assert_eq!(
                decimal(value).is_multiple_of(&decimal(of)),
                expected,
                "{value} of {of}"
            );
        }
    }
}
