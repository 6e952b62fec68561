//! What each keyword of a schema holds: schemas, data, or nothing that is published.

use crate::openapi::{Map, Text, Value};

/// What stands under a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    /// A reference to another schema.
    Reference,
    /// A schema; `items` may be a list of schemas in old drafts.
    Schema,
    /// A schema, or a boolean that is kept as it is.
    SchemaOrFlag,
    /// A list of schemas.
    Schemas,
    /// Schemas by name.
    Named,
    /// Data of a kind.
    Data(Kind),
    /// `type`
    Type,
    /// `discriminator`
    Discriminator,
    /// Known, but of no use once references are local.
    Dropped,
    /// Not known; not published.
    Unknown,
}

/// A kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A number.
    Number,
    /// A number above 0.
    Positive,
    /// A number, or a boolean as in 3.0.
    Bound,
    /// A number from 0 without fraction.
    Count,
    /// A boolean.
    Flag,
    /// A list of strings, not empty.
    Names,
    /// A list, not empty.
    List,
    /// An object.
    Object,
    /// An XML object.
    Xml,
    /// Lists of strings by name.
    NamesByName,
    /// Whatever it is: a value of the API.
    Any,
}

/// What stands under a keyword.
pub(super) fn keyword(name: &str) -> Keyword {
    match name {
        "$ref" | "$dynamicRef" | "$recursiveRef" => Keyword::Reference,
        "not" | "items" | "contains" | "propertyNames" | "if" | "then" | "else"
        | "contentSchema" => Keyword::Schema,
        "additionalProperties"
        | "unevaluatedProperties"
        | "unevaluatedItems"
        | "additionalItems" => Keyword::SchemaOrFlag,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Keyword::Schemas,
        "properties" | "patternProperties" | "dependentSchemas" => Keyword::Named,
        "type" => Keyword::Type,
        "discriminator" => Keyword::Discriminator,
        "title" | "description" | "format" | "pattern" | "contentEncoding" | "contentMediaType" => {
            Keyword::Data(Kind::Text)
        }
        "multipleOf" => Keyword::Data(Kind::Positive),
        "maximum" | "minimum" => Keyword::Data(Kind::Number),
        "exclusiveMaximum" | "exclusiveMinimum" => Keyword::Data(Kind::Bound),
        "maxLength" | "minLength" | "maxItems" | "minItems" | "maxProperties" | "minProperties"
        | "minContains" | "maxContains" => Keyword::Data(Kind::Count),
        "uniqueItems" | "nullable" | "readOnly" | "writeOnly" | "deprecated" => {
            Keyword::Data(Kind::Flag)
        }
        "required" => Keyword::Data(Kind::Names),
        "enum" | "examples" => Keyword::Data(Kind::List),
        "externalDocs" => Keyword::Data(Kind::Object),
        "xml" => Keyword::Data(Kind::Xml),
        "dependentRequired" => Keyword::Data(Kind::NamesByName),
        "default" | "example" | "const" => Keyword::Data(Kind::Any),
        "$defs" | "definitions" | "$id" | "$schema" | "$anchor" | "$dynamicAnchor"
        | "$recursiveAnchor" | "$vocabulary" | "$comment" => Keyword::Dropped,
        _ if is_extension(name) => Keyword::Data(Kind::Any),
        _ => Keyword::Unknown,
    }
}

/// Whether a keyword says something about the value without restricting it.
pub(super) fn is_annotation(name: &str) -> bool {
    matches!(
        name,
        "title"
            | "description"
            | "default"
            | "example"
            | "examples"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "externalDocs"
            | "xml"
    ) || name.starts_with("x-")
}

/// The types of instance that a keyword restricts; empty: all of them.
pub(super) fn types_of(name: &str) -> &'static [&'static str] {
    match name {
        "minLength" | "maxLength" | "pattern" | "contentEncoding" | "contentMediaType"
        | "contentSchema" => &["string"],
        "multipleOf" | "maximum" | "minimum" | "exclusiveMaximum" | "exclusiveMinimum" => {
            &["number", "integer"]
        }
        "items" | "prefixItems" | "contains" | "minContains" | "maxContains" | "minItems"
        | "maxItems" | "uniqueItems" | "unevaluatedItems" | "additionalItems" => &["array"],
        "properties"
        | "patternProperties"
        | "additionalProperties"
        | "propertyNames"
        | "required"
        | "minProperties"
        | "maxProperties"
        | "unevaluatedProperties"
        | "dependentRequired"
        | "dependentSchemas"
        | "discriminator" => &["object"],
        _ => &[],
    }
}

/// The value as the kind that its keyword wants; `None`: it is not of that kind.
pub(super) fn coerce(kind: Kind, value: &Value) -> Option<Value> {
    let fits = match kind {
        Kind::Text => return text(value).map(Value::from),
        Kind::Number | Kind::Positive | Kind::Count | Kind::Bound if value.is_string() => {
            let number: serde_json::Number = value.as_str()?.trim().parse().ok()?;
            return coerce(kind, &Value::Number(number));
        }
        Kind::Flag if value.is_string() => match value.as_str()? {
            "true" => return Some(Value::Bool(true)),
            "false" => return Some(Value::Bool(false)),
            _ => false,
        },
        Kind::Number => value.is_number(),
        Kind::Positive => value.as_f64().is_some_and(|number| number > 0.0),
        Kind::Bound => value.is_number() || value.is_boolean(),
        Kind::Count => {
            // 10.0 is 10; digits beyond u64 are kept.
            let digits = value.as_number()?.to_string();
            let whole = digits.strip_suffix(".0").unwrap_or(&digits);
            if whole.bytes().all(|b| b.is_ascii_digit()) {
                return whole.parse().ok().map(Value::Number);
            }
            false
        }
        Kind::Flag => value.is_boolean(),
        Kind::Names => {
            let mut seen = std::collections::HashSet::new();
            let names: Vec<Value> = value
                .as_array()?
                .iter()
                .filter(|name| name.as_str().is_some_and(|name| seen.insert(name)))
                .cloned()
                .collect();
            return (!names.is_empty()).then_some(Value::Array(names));
        }
        Kind::List => value.as_array().is_some_and(|list| !list.is_empty()),
        Kind::Object => value.is_object(),
        Kind::Xml => return xml(value.as_object()?),
        Kind::NamesByName => {
            let lists = value.as_object()?.iter();
            let usable =
                |(name, list): (&Text, &Value)| Some((name.clone(), coerce(Kind::Names, list)?));
            return Some(Value::Object(lists.filter_map(usable).collect()));
        }
        Kind::Any => true,
    };
    fits.then(|| value.clone())
}

/// How a value is written in XML.
fn xml(xml: &Map) -> Option<Value> {
    let mut out = Map::new();
    for (name, kind) in [
        ("name", Kind::Text),
        ("namespace", Kind::Text),
        ("prefix", Kind::Text),
        ("attribute", Kind::Flag),
        ("wrapped", Kind::Flag),
    ] {
        if let Some(value) = xml.get(name).and_then(|value| coerce(kind, value)) {
            out.insert(name.to_owned(), value);
        }
    }
    out.extend(extensions(xml).map(|(name, value)| (name.clone(), value.clone())));
    (!out.is_empty()).then_some(Value::Object(out))
}

/// A text; numbers and booleans as they are written (YAML makes them of unquoted texts).
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// The `x-` fields, which are data. One with a `$ref` in it is left out: what it names may not
/// be published, and tools that follow references everywhere would stop there.
pub(super) fn extensions(map: &Map) -> impl Iterator<Item = (&Text, &Value)> {
    map.iter()
        .filter(|(name, value)| is_extension(name) && !has_reference(value))
}

/// Whether it is the name of an extension that is published: one that clients know. What a vendor
/// notes for its own tools (addresses of gateways, names of functions, samples of code) is no
/// caller's business, and tools refuse some of it.
pub(super) fn is_extension(name: &str) -> bool {
    const KNOWN: [&str; 8] = [
        "x-openai-",
        "x-ai-",
        "x-ms-",
        "x-enum",
        "x-nullable",
        "x-example",
        "x-deprecat",
        "x-sunset",
    ];
    KNOWN.iter().any(|known| name.starts_with(known))
}

/// Whether there is a `$ref` anywhere in it.
pub(super) fn has_reference(value: &Value) -> bool {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) if map.contains_key("$ref") => return true,
            Value::Object(map) => open.extend(map.values()),
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    false
}
