//! The fields of one JSON object, unread: what is there, what is twice, what should not be.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What is said of the hash that anybody can present.
pub(super) const OF_NOTHING: &str =
    "`sha256` is that of nothing: the secret was empty when it was hashed";

/// A field of a line, or of one of its secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// `id`
    Id,
    /// `name`
    Name,
    /// `level`
    Level,
    /// `plugins`
    Plugins,
    /// `scopes`
    Scopes,
    /// `sha256`
    Sha256,
    /// `secrets`
    Secrets,
    /// `not_before`
    NotBefore,
    /// `expires`
    Expires,
    /// `state`
    State,
    /// `revoked_at`
    RevokedAt,
    /// `note`
    Note,
    /// `created_at`
    CreatedAt,
    /// `created_by`
    CreatedBy,
    /// `revoked_by`
    RevokedBy,
    /// `revoked_reason`
    RevokedReason,
    /// `rate`
    Rate,
    /// `quota`
    Quota,
    /// `concurrency`
    Concurrency,
    /// `networks`
    Networks,
    /// `until`
    Until,
    /// `slot`
    Slot,
    /// `since`
    Since,
    /// `elsewhere`
    Elsewhere,
    /// `finish_when_idle_s`
    FinishWhenIdle,
    /// `until_before`
    UntilBefore,
}

impl Field {
    /// Those of a line, in the order of the enum.
    pub(super) const OF_LINE: &[Self] = &[
        Self::Id,
        Self::Name,
        Self::Level,
        Self::Plugins,
        Self::Scopes,
        Self::Sha256,
        Self::Secrets,
        Self::NotBefore,
        Self::Expires,
        Self::State,
        Self::RevokedAt,
        Self::Note,
        Self::CreatedAt,
        Self::CreatedBy,
        Self::RevokedBy,
        Self::RevokedReason,
        Self::Rate,
        Self::Quota,
        Self::Concurrency,
        Self::Networks,
    ];
    /// Those of a secret.
    pub(super) const OF_SECRET: &[Self] = &[
        Self::Sha256,
        Self::Until,
        Self::Slot,
        Self::Since,
        Self::Elsewhere,
        Self::FinishWhenIdle,
        Self::UntilBefore,
    ];
    /// How many there are.
    const COUNT: usize = Self::UntilBefore as usize + 1;

    /// As it is written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Level => "level",
            Self::Plugins => "plugins",
            Self::Scopes => "scopes",
            Self::Sha256 => "sha256",
            Self::Secrets => "secrets",
            Self::NotBefore => "not_before",
            Self::Expires => "expires",
            Self::State => "state",
            Self::RevokedAt => "revoked_at",
            Self::Note => "note",
            Self::Until => "until",
            Self::Slot => "slot",
            Self::CreatedAt => "created_at",
            Self::CreatedBy => "created_by",
            Self::RevokedBy => "revoked_by",
            Self::RevokedReason => "revoked_reason",
            Self::Rate => "rate",
            Self::Quota => "quota",
            Self::Concurrency => "concurrency",
            Self::Networks => "networks",
            Self::Since => "since",
            Self::Elsewhere => "elsewhere",
            Self::FinishWhenIdle => "finish_when_idle_s",
            Self::UntilBefore => "until_before",
        }
    }
}

/// What people call a field in which they write a secret.
const CREDENTIALS: [&str; 7] = [
    "token",
    "secret",
    "plaintext",
    "password",
    "key",
    "api_key",
    "bearer",
];

/// Most fields that are not known and are kept for messages.
const MAX_STRANGE: usize = 8;

/// The values of an object by field.
pub(super) struct Fields<'a> {
    /// By the number of the field.
    values: [Option<&'a RawValue>; Field::COUNT],
    /// What does not belong there.
    pub(super) strange: Vec<Strange>,
}

/// A field that does not belong there. A name is kept only if it is a plain short word, since
/// it may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Strange {
    /// A known field for the second time.
    Twice(Field),
    /// One that would hold a secret.
    Credential(&'static str),
    /// One that nobody knows.
    Unknown(Option<String>),
}

impl<'a> Fields<'a> {
    /// Reads an object that may have the fields `known`.
    pub(super) fn read(text: &'a str, known: &'static [Field]) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let fields = Object(known).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(fields)
    }

    /// The value of a field; `null` is none.
    pub(super) fn get(&self, field: Field) -> Option<&'a RawValue> {
        self.values[field as usize].filter(|value| value.get() != "null")
    }

    /// Notes what does not belong there.
    fn note(&mut self, strange: Strange) {
        if self.strange.len() < MAX_STRANGE {
            self.strange.push(strange);
        }
    }
}

/// Reads an object with these fields.
struct Object(&'static [Field]);

impl<'de> DeserializeSeed<'de> for Object {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields {
            values: [None; Field::COUNT],
            strange: Vec::new(),
        };
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            match name {
                Ok(field) => {
                    let value = map.next_value::<Borrowed<'de>>()?.0;
                    if fields.values[field as usize].replace(value).is_some() {
                        fields.note(Strange::Twice(field));
                    }
                }
                Err(strange) => {
                    map.next_value::<IgnoredAny>()?;
                    fields.note(strange);
                }
            }
        }
        Ok(fields)
    }
}

/// A value as it is written.
struct Borrowed<'a>(&'a RawValue);

impl<'de> Deserialize<'de> for Borrowed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(Self)
    }
}

/// Reads a name among these.
struct Name(&'static [Field]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Result<Field, Strange>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Result<Field, Strange>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        if let Some(field) = self.0.iter().find(|field| field.name() == name) {
            return Ok(Ok(*field));
        }
        if let Some(known) = CREDENTIALS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(name))
        {
            return Ok(Err(Strange::Credential(known)));
        }
        let plain = (1..=24).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        Ok(Err(Strange::Unknown(plain.then(|| name.to_owned()))))
    }
}
