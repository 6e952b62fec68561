//! How a token is written.
//!
//! `pls_` (service), `plu_` (user) or `pla_` (admin), 8 characters of public id, 32 of secret
//! (190 bits), 6 of checksum: CRC-32/ISO-HDLC over all that precedes it. All base62 in the
//! order `0-9A-Za-z`, so that a double-click selects it whole and a scanner finds it with
//! `\bpl[sua]_[0-9A-Za-z]{46}\b`. The checksum tells a token from look-alikes without asking
//! anyone; it protects nothing.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use super::Level;

/// Prefix, id, secret and checksum: 50 bytes.
pub(super) const LENGTH: usize = PREFIX + ID + SECRET + CHECKSUM;
/// `pls_`
const PREFIX: usize = 4;
/// Characters of the public id.
const ID: usize = 8;
/// Characters of the secret.
const SECRET: usize = 32;
/// Characters of the checksum.
const CHECKSUM: usize = 6;

/// Digits by value.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token as it is shown once. Wiped when dropped; no `Display`, and `Debug` is constant.
pub struct PlainToken(Zeroizing<String>);

impl PlainToken {
    /// The text, for the one place that prints it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The public part, such as `pls_ab12cd34`.
    pub fn id(&self) -> &str {
        &self.0[..PREFIX + ID]
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(..)")
    }
}

/// Whether a text is the public part that a token of this level begins with.
pub fn is_public_id(text: &str, level: Level) -> bool {
    let rest = text.strip_prefix(prefix(level));
    rest.is_some_and(|rest| {
        rest.len() == ID && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Why an id can not be that of a token of this level: it is how the secrets of another begin.
pub fn id_fault(id: &str, level: Level) -> Option<String> {
    let of = Level::ALL.into_iter().find(|of| is_public_id(id, *of));
    let of = of.filter(|of| *of != level)?;
    let (of, level) = (of.as_str(), level.as_str());
    Some(format!(
        "the id is that of a {of} token, and the level is {level}"
    ))
}

/// Makes another secret for the token with this public id; with another id where that is none.
/// See [`generate`].
pub(super) fn generate_again(
    id: &str,
    level: Level,
    random: &mut dyn FnMut(&mut [u8]),
) -> PlainToken {
    generate_from(
        if is_public_id(id, level) {
            id
        } else {
            prefix(level)
        },
        random,
    )
}

/// Makes a token. `random` fills what it is given; it is asked again until enough of its bytes
/// were usable, so it must not return the same unusable bytes (248 to 255) for ever.
pub fn generate(level: Level, random: &mut dyn FnMut(&mut [u8])) -> PlainToken {
    generate_from(prefix(level), random)
}

/// Makes what follows on `begin`.
fn generate_from(begin: &str, random: &mut dyn FnMut(&mut [u8])) -> PlainToken {
    // The whole capacity from the start: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LENGTH));
    text.push_str(begin);
    let mut pool = Zeroizing::new([0_u8; 64]);
    while text.len() < PREFIX + ID + SECRET {
        random(pool.as_mut());
        let wanted = PREFIX + ID + SECRET - text.len();
        text.extend(pool.iter().copied().filter_map(digit).take(wanted));
        pool.zeroize();
    }
    let checksum = checksum(text.as_bytes());
    text.extend(checksum.map(char::from));
    PlainToken(text)
}

/// A random byte as a digit. 248 is the largest multiple of 62 in a byte; without refusing the
/// eight values above it the first eight digits would come a fifth more often than the others.
fn digit(byte: u8) -> Option<char> {
    (byte < 248).then(|| char::from(BASE62[usize::from(byte % 62)]))
}

/// What a well-formed token says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<'a> {
    /// By its prefix.
    pub level: Level,
    /// The public part, such as `pls_ab12cd34`.
    pub id: &'a str,
}

/// Reads a token without asking whether it exists.
///
/// # Errors
/// The first fault, in the order of [`FormatError`].
pub fn parse(text: &str) -> Result<Parsed<'_>, FormatError> {
    let bytes = text.as_bytes();
    let level = Level::ALL
        .into_iter()
        .find(|level| bytes.starts_with(prefix(*level).as_bytes()))
        .ok_or(FormatError::Prefix)?;
    if bytes.len() != LENGTH {
        return Err(FormatError::Length);
    }
    if !bytes[PREFIX..].iter().all(u8::is_ascii_alphanumeric) {
        return Err(FormatError::Alphabet);
    }
    let (body, sum) = bytes.split_at(LENGTH - CHECKSUM);
    if sum != checksum(body) {
        return Err(FormatError::Checksum);
    }
    Ok(Parsed {
        level,
        id: &text[..PREFIX + ID],
    })
}

/// The public part of a well-formed token.
pub fn public_id(text: &str) -> Option<&str> {
    parse(text).ok().map(|parsed| parsed.id)
}

/// Whether a token is written anywhere in a text that will be shown.
pub fn contains_token(text: &str) -> bool {
    tokens_in(text).next().is_some()
}

/// The id of the first token that is written in a text.
pub fn first_token(text: &str) -> Option<&str> {
    text.get(tokens_in(text).next()?).and_then(public_id)
}

/// Where the secrets of tokens are written in a text, without their ids.
pub fn secrets_in(text: &str) -> impl Iterator<Item = Range<usize>> {
    let id = prefix(Level::Service).len() + ID;
    tokens_in(text).map(move |token| token.start + id..token.end)
}

/// Where tokens are written in a text.
fn tokens_in(text: &str) -> impl Iterator<Item = Range<usize>> {
    // Most texts are too short for one: a million names that are read need no searcher.
    let possible = (text.len() >= LENGTH).then_some(text.as_bytes());
    let places = possible.map(|text| memchr::memmem::find_iter(text, b"pl"));
    let places = places.into_iter().flatten().map(|at| at..at + LENGTH);
    places.filter(|place| {
        let candidate = text.get(place.clone());
        candidate.is_some_and(|candidate| parse(candidate).is_ok())
    })
}

/// A text without the secrets in it: of each token its id is left.
pub fn without_tokens(text: &str) -> Cow<'_, str> {
    if !contains_token(text) {
        return Cow::Borrowed(text);
    }
    let (mut safe, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("pl") {
        let id = rest.get(at..at + LENGTH).and_then(public_id);
        safe.push_str(&rest[..at]);
        safe.push_str(id.unwrap_or("pl"));
        if id.is_some() {
            safe.push('…');
        }
        rest = &rest[at + if id.is_some() { LENGTH } else { 2 }..];
    }
    safe.push_str(rest);
    Cow::Owned(safe)
}

/// Why a text is no token. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatError {
    /// It begins with none of `pls_`, `plu_`, `pla_`.
    Prefix,
    /// It has not 50 characters.
    Length,
    /// A character after the prefix is not one of `0-9A-Za-z`.
    Alphabet,
    /// The last six characters do not fit the others: a typing error.
    Checksum,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "a token begins with pls_, plu_ or pla_",
            Self::Length => "a token has 50 characters",
            Self::Alphabet => "a token has only letters and digits after its prefix",
            Self::Checksum => "the checksum does not fit: a character is wrong",
        })
    }
}

impl std::error::Error for FormatError {}

/// The four characters that tell the level.
const fn prefix(level: Level) -> &'static str {
    match level {
        Level::Service => "pls_",
        Level::User => "plu_",
        Level::Admin => "pla_",
    }
}

/// Six digits; 62^6 is above 2^32, so every sum has exactly one form.
fn checksum(body: &[u8]) -> [u8; CHECKSUM] {
    base62(u64::from(crc32fast::hash(body)))
}

/// The last `N` digits of a number, most significant first.
pub(super) fn base62<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for place in digits.iter_mut().rev() {
        // The remainder is below 62.
        *place = BASE62[usize::try_from(number % 62).unwrap_or(0)];
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream of bytes that is the same for the same seed (xorshift64*).
    fn bytes_of(seed: u64) -> impl FnMut(&mut [u8]) {
        let mut state = seed | 1;
        move |buffer| {
            for byte in buffer {
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                *byte = state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_be_bytes()[0];
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(Level, &str), FormatError>) {
        assert_eq!(
            parse(text).map(|parsed| (parsed.level, parsed.id)),
            expected
        );
    }

    #[test]
    fn what_is_shown_holds_no_token() {
        let token = super::super::generate_from_system(Level::User).unwrap();
        let text = format!("plain {0}: pl {0}{0}", token.expose());
        let id = token.id();
        assert_eq!(without_tokens(&text), format!("plain {id}…: pl {id}…{id}…"));
        assert_eq!(without_tokens("plain pls_ pl"), "plain pls_ pl");
    }

    #[test]
    fn tokens_as_written() {
        // The checksums are zlib's, written in base62 by another program.
        check(
            "pls_ab12cd340123456789ABCDEFGHIJKLMNOPQRSTUV2Mvk2c",
            Ok((Level::Service, "pls_ab12cd34")),
        );
        check(
            "plu_00000001zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz1IpBwE",
            Ok((Level::User, "plu_00000001")),
        );
        check("", Err(FormatError::Prefix));
        check("sk-0123456789", Err(FormatError::Prefix));
        check(
            "PLS_ab12cd340123456789ABCDEFGHIJKLMNOPQRSTUV2Mvk2c",
            Err(FormatError::Prefix),
        );
        check("pls_", Err(FormatError::Length));
        check(
            "pls_ab12cd340123456789ABCDEFGHIJKLMNOPQRSTUV2Mvk2c0",
            Err(FormatError::Length),
        );
        check(
            "pls_ab12cd34-123456789ABCDEFGHIJKLMNOPQRSTUV2Mvk2c",
            Err(FormatError::Alphabet),
        );
        check(
            "pls_ab12cd34é23456789ABCDEFGHIJKLMNOPQRSTUV2Mvk2c",
            Err(FormatError::Alphabet),
        );
        check(
            "pls_ab12cd340123456789ABCDEFGHIJKLMNOPQRSTUV000000",
            Err(FormatError::Checksum),
        );
        check(
            "plu_ab12cd340123456789ABCDEFGHIJKLMNOPQRSTUV2Mvk2c",
            Err(FormatError::Checksum),
        );
    }

    #[test]
    fn the_checksum_is_iso_hdlc_padded_with_zeros() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(&base62::<6>(0), b"000000");
        assert_eq!(&base62::<6>(61), b"00000z");
        assert_eq!(&base62::<6>(62), b"000010");
        assert_eq!(&base62::<6>(u64::from(u32::MAX)), b"4gfFC3");
    }

    #[test]
    fn every_digit_has_exactly_four_bytes() {
        // No bias, by structure: 248 usable bytes, 4 for each of the 62 digits.
        let mut count = std::collections::BTreeMap::new();
        for byte in 0..=u8::MAX {
            if let Some(digit) = digit(byte) {
                *count.entry(digit).or_insert(0) += 1;
            }
        }
        assert_eq!(count.len(), 62);
        assert!(count.values().all(|uses| *uses == 4), "{count:?}");
    }

    #[test]
    fn unusable_bytes_are_drawn_again() {
        let mut draws = 0;
        let token = generate(Level::Admin, &mut |buffer| {
            draws += 1;
            buffer.fill(if draws < 3 { 255 } else { 61 });
        });
        assert_eq!(draws, 3);
        assert!(token.expose().starts_with("pla_zzzzzzzzzzzz"));
        assert_eq!(token.id(), "pla_zzzzzzzz");
    }

    #[test]
    fn the_system_gives_different_tokens() {
        let make = || super::super::generate_from_system(Level::User).unwrap();
        let (one, two) = (make(), make());
        assert!(parse(one.expose()).is_ok());
        assert_ne!(one.expose(), two.expose());
    }

    #[test]
    fn a_token_is_found_in_a_text() {
        let token = generate(Level::Service, &mut bytes_of(7));
        let text = token.expose();
        for around in [
            text.to_owned(),
            format!("plpl_ é{text}"),
            format!("key={text}, then"),
        ] {
            assert!(contains_token(&around));
        }
        assert!(!contains_token(&text[1..]));
        assert!(!contains_token(&text[..49]));
        assert!(!contains_token("plugway plans: pls_ for services, pl"));
    }

    proptest! {
        #[test]
        fn what_is_made_is_read(seed: u64, level in 0..3_usize) {
            let level = Level::ALL[level];
            let token = generate(level, &mut bytes_of(seed));
            prop_assert_eq!(token.expose().len(), LENGTH);
            prop_assert_eq!(parse(token.expose()), Ok(Parsed { level, id: token.id() }));
            prop_assert_eq!(public_id(token.expose()), Some(token.id()));
        }

        #[test]
        fn any_single_substitution_is_noticed(seed: u64, at in 0..LENGTH, by in 0..62_usize) {
            let token = generate(Level::Service, &mut bytes_of(seed));
            let mut bytes = token.expose().as_bytes().to_vec();
            prop_assume!(bytes[at] != BASE62[by]);
            bytes[at] = BASE62[by];
            prop_assert!(parse(std::str::from_utf8(&bytes).unwrap()).is_err());
        }

        #[test]
        fn two_swapped_neighbours_are_noticed(seed: u64, at in 0..LENGTH - 1) {
            let token = generate(Level::User, &mut bytes_of(seed));
            let mut bytes = token.expose().as_bytes().to_vec();
            prop_assume!(bytes[at] != bytes[at + 1]);
            bytes.swap(at, at + 1);
            prop_assert!(parse(std::str::from_utf8(&bytes).unwrap()).is_err());
        }

        #[test]
        fn parse_never_panics(text in "(pl[sua]_)?\\PC{0,60}") {
            let _ = parse(&text);
            let _ = contains_token(&text);
        }
    }
}
