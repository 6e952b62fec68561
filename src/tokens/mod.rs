//! Tokens: their format, their record and the table that a request looks in. Pure.
//!
//! What a client presents is a *secret*; what is kept of it is its [`Fingerprint`]; what it
//! opens is a [`Token`]. Nothing in here holds a secret except [`PlainToken`], between its
//! making and the one time that it is shown.
//!
//! ```text
//! TokenRecord   as declared, or as a line of a token file: for people and for storage
//!   │ entries()
//! (Fingerprint, Arc<Token>)   one per live secret: for the request path
//!   │ TokenTable::insert
//! TokenTable    the one map that requests look in
//! ```
//!
//! A token names its scopes by the id of a list ([`ScopeListId`]); each snapshot compiles
//! every list for its own operations ([`CompiledScopes`]).

mod file;
mod filter;
mod format;
mod lifecycle;
mod limits;
mod order;
mod random;
mod reading;
mod record;
mod request;
mod scan;
mod scopes;
mod selector;
mod shared;
mod table;
mod token;
mod usage;

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

pub use file::{
    Blocks, Cut, LineProblem, Origin, Seen, cut, declares, foreign_id, parse_file, parse_import,
    parse_records,
};
pub use filter::{Filter, SORTS, Wanted};
pub use format::{
    FormatError, Parsed, PlainToken, contains_token, first_token, generate, id_fault, is_public_id,
    parse, public_id, secrets_in, without_tokens,
};
pub use lifecycle::{Changed, Phase, Refusal, Rotation};
pub use limits::{NetworkError, Rate, RateError, TokenLimits, parse_network};
pub use order::{Done, Fault, Flow, Look, Order, Question, Who};
pub use random::{generate_from_system, regenerate_from_system};
pub use reading::{duration, note_fault};
pub use record::{
    Ending, Making, SecretRecord, TokenRecord, entries, record_of, rotate_declared, same_entries,
};
pub use request::{CreateRequest, Draft, FieldFault, RotateRequest, SetRequest};
pub use scan::{Hit, Scanner};
pub use scopes::{Call, CompiledScopes, ScopeList, ScopeListId, ScopeLists};
pub use selector::{Selector, SelectorError};
pub use shared::{Moves, TokenShared, Use};
pub use table::{Applied, TokenTable, expect_tokens};
pub use token::{Ended, Plugins, Slot, State, Status, Token};
pub use usage::{Exceeded, Place};

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// A platform or a program.
    Service,
    /// A person.
    User,
    /// The admin API.
    Admin,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Service, Self::User, Self::Admin];

    /// The word for it in configuration, files, headers and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// The level that a word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// SHA-256 of what a client presents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

/// As 64 hexadecimal digits.
impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> serde::Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("no SHA-256 in hexadecimal digits");
        Self::from_hex(&text).ok_or_else(wrong)
    }
}

impl Fingerprint {
    /// Whether it is that of no bytes at all: of a secret that was not there when it was hashed.
    pub fn is_of_nothing(&self) -> bool {
        *self == Self::of(b"")
    }

    /// Of a presented secret.
    pub fn of(presented: &[u8]) -> Self {
        Self(Sha256::digest(presented).into())
    }

    /// From 64 hexadecimal digits of either case; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let (mut bytes, mut strange) = ([0; 32], 0);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (HEX[usize::from(pair[0])], HEX[usize::from(pair[1])]);
            strange |= high | low;
            *byte = high << 4 | low & 15;
        }
        (strange <= 15).then_some(Self(bytes))
    }

    /// 64 lower-case hexadecimal digits, as token files and exports hold it.
    pub fn to_hex(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.0
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
            .collect()
    }

    /// The first eight bytes, which are as random as any: a hash for tables.
    pub(crate) fn prefix(&self) -> u64 {
        u64::from_le_bytes(*self.0.first_chunk().unwrap_or(&[0; 8]))
    }
}

/// A digest needs no further mixing; equal digests have equal prefixes.
impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.prefix());
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

/// Values of hexadecimal digits by character; above 15 for any other one.
static HEX: [u8; 256] = {
    let (mut values, mut value) = ([0xff; 256], 0);
    while value < 16 {
        let digit = b"0123456789abcdef"[value as usize];
        values[digit as usize] = value;
        values[digit.to_ascii_uppercase() as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests;
