//! Parameters whose values are fixed: what a request may say of them, and what the upstream gets.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config;
use crate::headers::{Rules, are_twins};
use crate::openapi::{self, Location};
use crate::problems::{Place, Problems};
use crate::route::{Form, Held, METHOD, held, names_method};

/// The fixed parameters of one operation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fixed {
    /// Hidden ones of the query, with what is added for them.
    query: Vec<(String, String, String)>,
    /// Hidden ones among the headers.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Names of all that are in the query: no form may give them again.
    names: Vec<String>,
    /// Headers that tell it apart from an unpublished operation of the same path.
    demanded: Vec<(HeaderName, HeaderValue)>,
    /// The document has a parameter `_method`: what it does is known to its author.
    names_method: bool,
}

impl Fixed {
    /// Compiles. A name or value that can not be a header is a problem.
    pub(super) fn compile(
        operation: &openapi::Operation,
        document: &openapi::Value,
        plugin: &config::Plugin,
        problems: &mut Problems,
    ) -> Self {
        let mut fixed = Self {
            names_method: openapi::has_query_parameter(document, operation, METHOD),
            ..Self::default()
        };
        fixed
            .names
            .extend(operation.fixed_query.iter().map(|(name, _)| name.clone()));
        for hidden in &operation.hidden {
            let (name, value) = (&hidden.name, &hidden.value);
            match hidden.location {
                Location::Query => {
                    let encode =
                        |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
                    let pair = format!("{}={}", encode(name), encode(value));
                    fixed.names.push(name.clone());
                    fixed.query.push((name.clone(), value.clone(), pair));
                }
                Location::Header => match hidden_header(name, value, &plugin.auth.header) {
                    Ok(header) => fixed.headers.push(header),
                    Err(reason) => {
                        let key =
                            format!("plugins.{}.operations.{}.fixed", plugin.name, operation.id);
                        let at = Place {
                            key,
                            ..plugin.at.clone()
                        };
                        problems.add(&at, reason);
                    }
                },
                Location::Path | Location::Cookie => {}
            }
        }
        if !fixed.names.is_empty() && !fixed.names_method {
            fixed.names.push(METHOD.to_owned());
        }
        fixed
    }

    /// A request is this operation only if it has these headers with just these values: those of
    /// `mine` that are other ones in `other`. Whether there are any.
    pub(super) fn demand(&mut self, mine: &[(String, String)], other: &[(String, String)]) -> bool {
        let differs =
            |(name, value): &&(String, String)| other.iter().any(|(n, v)| n == name && v != value);
        let mut found = false;
        for (name, value) in mine.iter().filter(differs) {
            let pair = (HeaderName::try_from(name), HeaderValue::try_from(value));
            if let (Ok(name), Ok(value)) = pair {
                found = true;
                if self.demanded.iter().all(|(known, _)| *known != name) {
                    self.demanded.push((name, value));
                }
            }
        }
        found
    }

    /// Whether a request is this operation: a hidden parameter that it gives all the same has
    /// just the value that it is fixed to, once; what tells it apart from others is there; and
    /// no `_method` in its query makes it another.
    pub fn admits(&self, headers: &HeaderMap, path: &str, query: Option<&str>) -> bool {
        let free = |(name, value): &(HeaderName, HeaderValue)| {
            held_in_head(headers, name, value) != Held::Other
        };
        let there = |(name, value): &(HeaderName, HeaderValue)| {
            held_in_head(headers, name, value) == Held::Same
        };
        self.admits_target(path, query)
            && self.headers.iter().all(free)
            && self.demanded.iter().all(there)
    }

    /// The same without the headers. To some servers (Fastify, up to its version 4) a `;` in the path
    /// begins the query as a `?` does: what is fixed there would stand behind it, and could be given
    /// another value before.
    pub fn admits_target(&self, path: &str, query: Option<&str>) -> bool {
        let in_query =
            |(name, value, _): &(String, String, String)| held(query, name, value) != Held::Other;
        let is_plain = |query| self.names_method || !names_method(query);
        let early = path.split_once(';').map(|(_, query)| query);
        is_plain(query)
            && self.query.iter().all(in_query)
            && early.is_none_or(|query| self.names.is_empty() && is_plain(Some(query)))
    }

    /// What has to be added to a query.
    pub fn missing(&self, query: Option<&str>) -> impl Iterator<Item = &str> {
        self.query
            .iter()
            .filter(move |(name, value, _)| held(query, name, value) == Held::Absent)
            .map(|(_, _, pair)| pair.as_str())
    }

    /// Whether there are hidden headers.
    pub fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Whether one of them has this name, in any case.
    pub fn has_header(&self, name: &[u8]) -> bool {
        let all = self.headers.iter().chain(&self.demanded);
        let mut names = all.map(|(name, _)| name.as_str());
        names.any(|hidden| name.eq_ignore_ascii_case(hidden.as_bytes()))
    }

    /// Puts the hidden headers into a head.
    pub fn apply(&self, head: &mut HeaderMap) {
        for (name, value) in &self.headers {
            head.insert(name, value.clone());
        }
    }

    /// Whether the body of a request with this head has to be looked at, and as what.
    pub fn guards(&self, headers: &HeaderMap) -> Option<Form> {
        if self.names.is_empty() {
            return None;
        }
        let lines = headers.get_all(header::CONTENT_TYPE).iter();
        Form::of(lines.map(HeaderValue::as_bytes))
    }

    /// Whether a form gives one of the parameters again.
    pub fn is_repeated(&self, form: Form, body: &[u8]) -> bool {
        form.names(self.names.iter().map(String::as_str), body)
    }
}

/// How a head stands to a header whose value is given.
fn held_in_head(headers: &HeaderMap, name: &HeaderName, value: &HeaderValue) -> Held {
    // CGI and WSGI read `X_Verbose` as `X-Verbose`.
    let is_twin = |given: &HeaderName| given != name && are_twins(given.as_str(), name.as_str());
    if headers.keys().any(is_twin) {
        return Held::Other;
    }
    let mut given = headers.get_all(name).iter();
    match (given.next(), given.next()) {
        (None, _) => Held::Absent,
        (Some(only), None) if only == value => Held::Same,
        _ => Held::Other,
    }
}

/// A hidden header.
fn hidden_header(
    name: &str,
    value: &str,
    credential: &str,
) -> Result<(HeaderName, HeaderValue), String> {
    let pair = [(name.to_owned(), value.to_owned())];
    Rules::compile(&pair, &[]).map_err(|fault| fault.to_string())?;
    if name.eq_ignore_ascii_case(credential) {
        return Err(format!(
            "`{name}` holds the credential; write upstream.credential"
        ));
    }
    let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header name"))?;
    let value = HeaderValue::try_from(value)
        .map_err(|_| format!("the value of `{name}` can not be sent"))?;
    Ok((name, value))
}
