//! What stands where: the grammar of Swagger 2.0 and of `OpenAPI` 3.0 in one table. Where it
//! names nothing there is data, in which `$ref` is a word like others.

/// What a value is, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The whole document.
    Document,
    /// `components`
    Components,
    /// Path items by path.
    Paths,
    /// A path item.
    PathItem,
    /// An operation.
    Operation,
    /// Parameters, as a list or by name.
    Parameters,
    /// A parameter.
    Parameter,
    /// Request bodies by name.
    RequestBodies,
    /// A request body (3.0).
    RequestBody,
    /// Responses by status or by name.
    Responses,
    /// A response.
    Response,
    /// Headers by name.
    Headers,
    /// A header of a response.
    Header,
    /// Media types by name (3.0).
    MediaTypes,
    /// A media type (3.0).
    MediaType,
    /// Encodings by property (3.0).
    Encodings,
    /// An encoding (3.0).
    Encoding,
    /// Examples by name (3.0).
    Examples,
    /// An example (3.0), or a reference to one.
    Example,
    /// Schemas by name.
    Schemas,
    /// A schema, or a list of schemas.
    Schema,
}

impl Kind {
    /// What stands under a key or an index.
    pub(super) fn child(self, name: &str) -> Option<Self> {
        let extension = name.starts_with("x-");
        Some(match (self, name) {
            (
                Self::Document | Self::Components | Self::PathItem | Self::Operation,
                "parameters",
            ) => Self::Parameters,
            (Self::Document | Self::Components | Self::Operation, "responses") => Self::Responses,
            (Self::Document, "paths") | (Self::Components, "pathItems") => Self::Paths,
            (Self::Document, "components") => Self::Components,
            (Self::Document, "definitions") | (Self::Components, "schemas") => Self::Schemas,
            (Self::Components, "requestBodies") => Self::RequestBodies,
            (Self::Components | Self::Response | Self::Encoding, "headers") => Self::Headers,
            (Self::Components | Self::MediaType | Self::Parameter | Self::Header, "examples") => {
                Self::Examples
            }
            (Self::PathItem, method) if is_method(method) => Self::Operation,
            (Self::Parameter | Self::Header | Self::RequestBody | Self::Response, "content") => {
                Self::MediaTypes
            }
            (Self::MediaType, "encoding") => Self::Encodings,
            (Self::Parameter | Self::Header | Self::Response | Self::MediaType, "schema")
            | (Self::Parameter | Self::Header, "items")
            | (Self::Schemas, _) => Self::Schema,
            (Self::Schema, keyword) => return schema_child(keyword),
            (Self::Paths, _) if !extension => Self::PathItem,
            (Self::Responses, _) if !extension => Self::Response,
            (Self::Parameters, _) => Self::Parameter,
            (Self::Operation, "requestBody") | (Self::RequestBodies, _) => Self::RequestBody,
            (Self::Headers, _) => Self::Header,
            (Self::MediaTypes, _) => Self::MediaType,
            (Self::Encodings, _) => Self::Encoding,
            (Self::Examples, _) => Self::Example,
            _ => return None,
        })
    }

    /// Whether `$ref` is a reference there.
    pub(super) fn refers(self) -> bool {
        matches!(
            self,
            Self::PathItem
                | Self::Operation
                | Self::Parameter
                | Self::RequestBody
                | Self::Response
                | Self::Header
                | Self::Example
                | Self::Schema
        )
    }
}

/// What stands under a keyword of a schema, or at an index of a list of schemas.
fn schema_child(keyword: &str) -> Option<Kind> {
    match keyword {
        "properties" | "patternProperties" | "dependentSchemas" | "definitions" | "$defs" => {
            Some(Kind::Schemas)
        }
        "items"
        | "additionalItems"
        | "additionalProperties"
        | "allOf"
        | "anyOf"
        | "oneOf"
        | "not"
        | "prefixItems"
        | "contains"
        | "propertyNames"
        | "if"
        | "then"
        | "else" => Some(Kind::Schema),
        index if index.bytes().all(|b| b.is_ascii_digit()) => Some(Kind::Schema),
        _ => None,
    }
}

/// Whether a key of a path item is a method, in any case.
pub(super) fn is_method(name: &str) -> bool {
    const METHODS: [&str; 8] = [
        "get", "put", "post", "delete", "options", "head", "patch", "trace",
    ];
    METHODS
        .iter()
        .any(|method| name.eq_ignore_ascii_case(method))
}
