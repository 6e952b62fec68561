//! What stands where in a description: which member of which object holds what.
//!
//! A `$ref` is a reference only in an object that is known by this table. Everything else
//! (`example`, `default`, `enum`, `const`, `x-…`) is data, whatever it looks like. The table is
//! of Swagger 2.0 and `OpenAPI` 3.0 to 3.2 at once: no member means two things in two of them.

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The whole document.
    Document,
    /// `components`
    Components,
    /// `paths`
    Paths,
    /// A path item.
    PathItem,
    /// An operation.
    Operation,
    /// A parameter.
    Parameter,
    /// A request body.
    RequestBody,
    /// Responses by status.
    Responses,
    /// A response.
    Response,
    /// A header.
    Header,
    /// A media type of a body.
    MediaType,
    /// How a part of a body is encoded.
    Encoding,
    /// A schema.
    Schema,
    /// The discriminator of a schema.
    Discriminator,
    /// An example: its value is data, but it may be a reference itself.
    Example,
    /// A link.
    Link,
    /// Path items by runtime expression.
    Callback,
    /// A security scheme.
    SecurityScheme,
}

/// How many of a kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    /// One. A list of schemas in the place of a schema (`items` of old drafts) is read as such.
    One,
    /// A list.
    Each,
    /// An object whose keys are names.
    Named,
    /// The same, at the top of a document, where people write a reference to all of it.
    Section,
}

/// What stands in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    /// How many.
    pub(super) shape: Shape,
    /// Of what.
    pub(super) kind: Kind,
}

impl Slot {
    /// One of a kind.
    pub(super) const fn one(kind: Kind) -> Self {
        Self {
            shape: Shape::One,
            kind,
        }
    }

    /// So many of a kind.
    const fn of(shape: Shape, kind: Kind) -> Self {
        Self { shape, kind }
    }
}

impl Kind {
    /// What a member holds; `None`: data.
    pub(super) fn member(self, name: &str) -> Option<Slot> {
        match self {
            Self::Document => document(name),
            Self::Components => components(name),
            Self::Paths | Self::Callback => {
                (!name.starts_with("x-")).then_some(Slot::one(Self::PathItem))
            }
            Self::PathItem => path_item(name),
            Self::Operation => operation(name),
            Self::Parameter | Self::Header => parameter(name),
            Self::RequestBody => (name == "content").then_some(NAMED_MEDIA_TYPES),
            Self::Responses => (!name.starts_with("x-")).then_some(Slot::one(Self::Response)),
            Self::Response => response(name),
            Self::MediaType | Self::Encoding => media_type(name),
            Self::Schema => schema(name),
            Self::Discriminator | Self::Example | Self::Link | Self::SecurityScheme => None,
        }
    }

    /// Whether a member refers to another one of the kind.
    pub(super) fn refers(self, name: &str) -> bool {
        match self {
            // These have no `$ref`, nor do people write one.
            Self::Document | Self::Responses | Self::Discriminator => false,
            Self::Schema => matches!(name, "$ref" | "$dynamicRef" | "$recursiveRef"),
            _ => name == "$ref",
        }
    }

    /// Whether a reference at the top of the document is replaced by what it leads to, also
    /// when that is used elsewhere, or has something written beside it.
    pub(super) fn is_embedded(self) -> bool {
        matches!(self, Self::PathItem | Self::Paths | Self::Components)
    }
}

/// `content`
const NAMED_MEDIA_TYPES: Slot = Slot::of(Shape::Named, Kind::MediaType);

/// Members of the document. 2.0 has the sections that 3.x has in `components`.
fn document(name: &str) -> Option<Slot> {
    Some(match name {
        "paths" => Slot::one(Kind::Paths),
        "components" => Slot::one(Kind::Components),
        "webhooks" => Slot::of(Shape::Section, Kind::PathItem),
        "definitions" => Slot::of(Shape::Section, Kind::Schema),
        "parameters" => Slot::of(Shape::Section, Kind::Parameter),
        "responses" => Slot::of(Shape::Section, Kind::Response),
        "securityDefinitions" => Slot::of(Shape::Section, Kind::SecurityScheme),
        _ => return None,
    })
}

/// The sections at the top of a document whose members are what these references lead to.
pub(super) const SECTIONS: &[&str] = &[
    "webhooks",
    "definitions",
    "parameters",
    "responses",
    "securityDefinitions",
];

/// Members of `components`.
fn components(name: &str) -> Option<Slot> {
    let kind = match name {
        "schemas" => Kind::Schema,
        "responses" => Kind::Response,
        "parameters" => Kind::Parameter,
        "examples" => Kind::Example,
        "requestBodies" => Kind::RequestBody,
        "headers" => Kind::Header,
        "securitySchemes" => Kind::SecurityScheme,
        "links" => Kind::Link,
        "callbacks" => Kind::Callback,
        "pathItems" => Kind::PathItem,
        "mediaTypes" => Kind::MediaType,
        _ => return None,
    };
    Some(Slot::of(Shape::Section, kind))
}

/// Methods of a path item; also in capitals, as they are read elsewhere.
const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "options", "head", "patch", "trace", "query",
];

/// Members of a path item.
fn path_item(name: &str) -> Option<Slot> {
    match name {
        "parameters" => Some(Slot::of(Shape::Each, Kind::Parameter)),
        "additionalOperations" => Some(Slot::of(Shape::Named, Kind::Operation)),
        _ => METHODS
            .iter()
            .any(|method| name.eq_ignore_ascii_case(method))
            .then_some(Slot::one(Kind::Operation)),
    }
}

/// Members of an operation.
fn operation(name: &str) -> Option<Slot> {
    Some(match name {
        "parameters" => Slot::of(Shape::Each, Kind::Parameter),
        "requestBody" => Slot::one(Kind::RequestBody),
        "responses" => Slot::one(Kind::Responses),
        "callbacks" => Slot::of(Shape::Named, Kind::Callback),
        _ => return None,
    })
}

/// Members of a parameter or a header; `items` is 2.0's.
fn parameter(name: &str) -> Option<Slot> {
    Some(match name {
        "schema" | "items" => Slot::one(Kind::Schema),
        "content" => NAMED_MEDIA_TYPES,
        "examples" => Slot::of(Shape::Named, Kind::Example),
        _ => return None,
    })
}

/// Members of a response; `schema` is 2.0's, whose `examples` are data.
fn response(name: &str) -> Option<Slot> {
    Some(match name {
        "schema" => Slot::one(Kind::Schema),
        "headers" => Slot::of(Shape::Named, Kind::Header),
        "content" => NAMED_MEDIA_TYPES,
        "links" => Slot::of(Shape::Named, Kind::Link),
        _ => return None,
    })
}

/// Members of a media type, and of an encoding.
fn media_type(name: &str) -> Option<Slot> {
    Some(match name {
        "schema" | "itemSchema" => Slot::one(Kind::Schema),
        "examples" => Slot::of(Shape::Named, Kind::Example),
        "headers" => Slot::of(Shape::Named, Kind::Header),
        "encoding" => Slot::of(Shape::Named, Kind::Encoding),
        "prefixEncoding" => Slot::of(Shape::Each, Kind::Encoding),
        "itemEncoding" => Slot::one(Kind::Encoding),
        _ => return None,
    })
}

/// Keywords of a schema.
fn schema(name: &str) -> Option<Slot> {
    Some(match name {
        "not"
        | "items"
        | "contains"
        | "propertyNames"
        | "if"
        | "then"
        | "else"
        | "contentSchema"
        | "additionalProperties"
        | "unevaluatedProperties"
        | "unevaluatedItems"
        | "additionalItems" => Slot::one(Kind::Schema),
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Slot::of(Shape::Each, Kind::Schema),
        "properties" | "patternProperties" | "dependentSchemas" | "dependencies"
        | "definitions" | "$defs" => Slot::of(Shape::Named, Kind::Schema),
        "discriminator" => Slot::one(Kind::Discriminator),
        _ => return None,
    })
}
