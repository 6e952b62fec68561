//! Durations, sizes, times and fingerprints.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::Fault;
use crate::config::Rate;
use crate::tokens::{Fingerprint, RateError};

/// Units of a duration, in milliseconds, greatest first.
const DURATIONS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Units of a size, in bytes, greatest first.
const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1000),
    ("B", 1),
];

/// `30s`, `250ms`, `5m`, `24h`, `90d`: a whole number and one unit.
pub(in crate::config) fn duration(text: &str) -> Result<Duration, Fault> {
    amount(text, &DURATIONS)
        .map(Duration::from_millis)
        .map_err(|reason| match reason {
            Reason::Great => Fault::new("is too long"),
            Reason::Form => Fault::with(
                "is not a duration",
                "write a whole number and a unit: `250ms`, `30s`, `5m`, `24h`, `90d`",
            ),
        })
}

/// `64MiB`, `80KB`, `512B`: a whole number and one unit.
pub(in crate::config) fn bytes(text: &str) -> Result<u64, Fault> {
    amount(text, &SIZES).map_err(|reason| match reason {
        Reason::Great => Fault::new("is too large"),
        Reason::Form => Fault::with(
            "is not a size",
            "write a whole number and a unit: `64MiB`, `32KiB`, `80KB`, or a number of bytes",
        ),
    })
}

/// `10/s`, `600/min`, `1000/h`, `1000/day`, and where it may be `off`, `None` for that.
pub(in crate::config) fn rate(text: &str, off: bool) -> Result<Option<Rate>, Fault> {
    if off && text == "off" {
        return Ok(None);
    }
    match Rate::parse(text) {
        Ok(rate) => Ok(Some(rate)),
        Err(RateError::Form) => Err(Fault::with(
            "is not a rate",
            format!(
                "write a whole number and a time: `10/s`, `600/min`, `1000/h`, `1000/day`{}",
                if off { "; or `off`" } else { "" }
            ),
        )),
        Err(RateError::Bounds) => Err(Fault::with(
            "is out of bounds",
            format!("at least 1 and at most {} in this time", Rate::MOST),
        )),
    }
}

/// Why a text is no amount.
enum Reason {
    /// It is none.
    Form,
    /// More than 64 bits.
    Great,
}

/// A whole number and one of the units; the product is in the smallest.
fn amount(text: &str, units: &[(&str, u64)]) -> Result<u64, Reason> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(Reason::Form);
    }
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(Reason::Form);
    };
    let number: u64 = number.parse().map_err(|_| Reason::Great)?;
    number.checked_mul(*factor).ok_or(Reason::Great)
}

/// A duration as it is written, in the greatest unit that leaves nothing over.
pub(in crate::config) fn write_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    write_amount(milliseconds, &DURATIONS)
}

/// A size as it is written, in the greatest unit that leaves nothing over.
pub(in crate::config) fn write_bytes(bytes: u64) -> String {
    write_amount(bytes, &SIZES)
}

/// The inverse of [`amount`].
fn write_amount(amount: u64, units: &[(&str, u64)]) -> String {
    let mut text = String::new();
    for (unit, factor) in units {
        if amount.is_multiple_of(*factor) && (amount > 0 || *factor == 1) {
            // Writing to a string can not fail.
            let _ = write!(text, "{}{unit}", amount / factor);
            break;
        }
    }
    text
}

/// RFC 3339 with its offset: a time without one is another moment on another machine.
pub(in crate::config) fn moment(text: &str) -> Result<Timestamp, Fault> {
    // jiff also reads a space for the `T`, and seconds left out; both are plain to people.
    text.parse::<Timestamp>().map_err(|_| {
        Fault::with(
            "is not a time with its offset",
            "write it as RFC 3339, such as `2026-12-02T14:00:00Z`",
        )
    })
}

/// SHA-256, 64 hexadecimal digits in any case.
pub(in crate::config) fn fingerprint(text: &str) -> Result<Fingerprint, Fault> {
    let fault = || {
        Fault::with(
            "is not a SHA-256",
            "write its 64 hexadecimal digits, as `printf %s \"$SECRET\" | sha256sum` prints them",
        )
    };
    if text.len() != 64 || !text.is_ascii() {
        return Err(fault());
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |index: usize| char::from(digits[index]).to_digit(16);
        let (Some(high), Some(low)) = (digit(0), digit(1)) else {
            return Err(fault());
        };
        *byte = u8::try_from(high << 4 | low).map_err(|_| fault())?;
    }
    let read = Fingerprint(bytes);
    if read.is_of_nothing() {
        return Err(Fault::with(
            "is the SHA-256 of nothing",
            "the secret was empty when it was hashed: look at the variable or file that it came from, or let `plugway token generate` make one",
        ));
    }
    Ok(read)
}
