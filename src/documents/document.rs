//! One document: prepared for the origins that are known, joined for any other.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use sha2::{Digest, Sha256};

use super::ORIGIN;

/// What `Allow` says in the 405 that a caller answers to any other method.
pub const ALLOW: &str = "GET, HEAD";

/// Something that is served from memory.
#[derive(Debug)]
pub struct Document {
    /// `Content-Type`
    media_type: HeaderValue,
    /// A browser shows it as a page, so it gets a `Content-Security-Policy`.
    is_page: bool,
    /// It points to the API catalog with a `Link` (RFC 9727 §2).
    names_catalog: bool,
    /// Its content.
    body: Body,
}

/// The content of a document.
#[derive(Debug)]
enum Body {
    /// The same for every origin: a file, a picture.
    Fixed(Rendered),
    /// Names the origin.
    Template(Template),
}

/// Bytes that can be sent.
#[derive(Debug)]
struct Rendered {
    /// Them.
    bytes: Bytes,
    /// Their entity tag, strong.
    etag: HeaderValue,
    /// Their number.
    length: HeaderValue,
}

/// A text with gaps for the origin.
#[derive(Debug)]
struct Template {
    /// What stands around the gaps; one more than there are gaps.
    parts: Vec<Bytes>,
    /// SHA-256 of the text with its placeholders.
    digest: [u8; 32],
    /// By origin, the canonical one first.
    prepared: Vec<(String, Rendered)>,
    /// The canonical origin.
    canonical: String,
}

/// Bytes of the largest text that is kept once more for each origin; a larger one is put together
/// when it is asked for.
const KEPT: usize = 256 << 10;

impl Document {
    /// One that is the same for every origin.
    pub(super) fn fixed(media_type: &'static str, bytes: &[u8]) -> Self {
        let etag = etag(&Sha256::digest(bytes).into());
        let bytes = Bytes::copy_from_slice(bytes);
        let length = HeaderValue::from(bytes.len());
        Self::new(
            media_type,
            Body::Fixed(Rendered {
                bytes,
                etag,
                length,
            }),
        )
    }

    /// One with [`ORIGIN`] where the origin goes.
    pub(super) fn template(media_type: &'static str, text: &str) -> Self {
        Self::large(media_type, &Bytes::copy_from_slice(text.as_bytes()))
    }

    /// The same from bytes of UTF-8 that are shared, not copied.
    pub(super) fn large(media_type: &'static str, text: &Bytes) -> Self {
        let mut parts = Vec::new();
        let mut rest = text.clone();
        let gap = ORIGIN.as_bytes();
        while let Some(at) = memchr::memmem::find(&rest, gap) {
            parts.push(rest.split_to(at));
            let _ = rest.split_to(gap.len());
        }
        parts.push(rest);
        Self::new(
            media_type,
            Body::Template(Template {
                parts,
                digest: Sha256::digest(text).into(),
                prepared: Vec::new(),
                canonical: String::new(),
            }),
        )
    }

    /// A browser shows it as a page.
    pub(super) fn page(self) -> Self {
        Self {
            is_page: true,
            ..self
        }
    }

    /// It points to the API catalog.
    pub(super) fn naming_the_catalog(self) -> Self {
        Self {
            names_catalog: true,
            ..self
        }
    }

    /// Renders it for these origins.
    pub(super) fn prepare(&mut self, origins: &[String]) {
        if let Body::Template(template) = &mut self.body {
            template.prepared.clear();
            let origins = || origins.iter().filter(|origin| is_origin(origin));
            template.canonical = origins().next().cloned().unwrap_or_default();
            if template.length("") <= KEPT {
                let of = |origin: &String| (origin.clone(), template.rendered(origin));
                template.prepared = origins().map(of).collect();
            }
        }
    }

    /// The media type, as in `Content-Type`.
    pub fn media_type(&self) -> &HeaderValue {
        &self.media_type
    }

    /// Whether it has no content, for whatever origin.
    pub fn is_empty(&self) -> bool {
        match &self.body {
            Body::Fixed(rendered) => rendered.bytes.is_empty(),
            Body::Template(template) => template.length("") == 0,
        }
    }

    /// The content for an origin, such as `https://todo.example.com`.
    pub fn content(&self, origin: &str) -> Bytes {
        match &self.body {
            Body::Fixed(rendered) => rendered.bytes.clone(),
            Body::Template(template) => match template.prepared(origin) {
                Ok(rendered) => rendered.bytes.clone(),
                Err(origin) => template.render(origin),
            },
        }
    }

    /// The answer to a GET or HEAD: 200, or 304 when the client has it already. Any other
    /// method is the caller's to refuse, with [`ALLOW`].
    ///
    /// `origin` is the public one of this request, as `scheme://host[:port]`. One that was not
    /// prepared costs a copy of the text; one that is no plain origin is never written into a
    /// document, the canonical one stands in for it.
    pub fn respond(&self, method: &Method, headers: &HeaderMap, origin: &str) -> Response<Bytes> {
        match &self.body {
            Body::Fixed(rendered) => self.answer_rendered(method, headers, rendered),
            Body::Template(template) => match template.prepared(origin) {
                Ok(rendered) => self.answer_rendered(method, headers, rendered),
                Err(origin) => {
                    let (etag, length) = (template.etag(origin), template.length(origin));
                    self.answer(method, headers, etag, length.into(), || {
                        template.render(origin)
                    })
                }
            },
        }
    }

    /// What both kinds start from.
    fn new(media_type: &'static str, body: Body) -> Self {
        let media_type = HeaderValue::from_static(media_type);
        Self {
            media_type,
            is_page: false,
            names_catalog: false,
            body,
        }
    }

    /// The answer from bytes that are there: no allocation but the header map's.
    fn answer_rendered(
        &self,
        method: &Method,
        headers: &HeaderMap,
        rendered: &Rendered,
    ) -> Response<Bytes> {
        let Rendered {
            bytes,
            etag,
            length,
        } = rendered;
        self.answer(method, headers, etag.clone(), length.clone(), || {
            bytes.clone()
        })
    }

    /// 304, or 200 with or without a body. `content` is called only if its bytes are sent.
    fn answer(
        &self,
        method: &Method,
        headers: &HeaderMap,
        etag: HeaderValue,
        length: HeaderValue,
        content: impl FnOnce() -> Bytes,
    ) -> Response<Bytes> {
        let is_known = is_known(headers, &etag);
        let mut head = HeaderMap::with_capacity(8);
        head.insert(header::ETAG, etag);
        head.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        head.insert(
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            HeaderValue::from_static("*"),
        );
        head.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        let mut response = Response::new(Bytes::new());
        if is_known {
            // RFC 9110 §15.4.5: nothing about the representation that is not sent.
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            self.describe(&mut head, length);
            if method != Method::HEAD {
                *response.body_mut() = content();
            }
        }
        *response.headers_mut() = head;
        response
    }

    /// The headers that say what a 200 holds.
    fn describe(&self, head: &mut HeaderMap, length: HeaderValue) {
        head.insert(header::CONTENT_TYPE, self.media_type.clone());
        head.insert(header::CONTENT_LENGTH, length);
        if self.is_page {
            let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
            head.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(policy),
            );
        }
        if self.names_catalog {
            let link = "</.well-known/api-catalog>; rel=\"api-catalog\"";
            head.insert(header::LINK, HeaderValue::from_static(link));
        }
    }
}

impl Template {
    /// What was rendered for this origin, else the origin to render for.
    fn prepared<'a>(&'a self, origin: &'a str) -> Result<&'a Rendered, &'a str> {
        match self.prepared.iter().find(|(known, _)| known == origin) {
            Some((_, rendered)) => Ok(rendered),
            None if is_origin(origin) => Err(origin),
            // Without one, the URLs become relative to the document.
            None => match self.prepared.first() {
                Some((_, canonical)) => Ok(canonical),
                None => Err(&self.canonical),
            },
        }
    }

    /// All that is sent for an origin.
    fn rendered(&self, origin: &str) -> Rendered {
        Rendered {
            bytes: self.render(origin),
            etag: self.etag(origin),
            length: HeaderValue::from(self.length(origin)),
        }
    }

    /// The text with the origin in its gaps.
    fn render(&self, origin: &str) -> Bytes {
        let mut text = Vec::with_capacity(self.length(origin));
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                text.extend_from_slice(origin.as_bytes());
            }
            text.extend_from_slice(part);
        }
        text.into()
    }

    /// Bytes of the rendered text.
    fn length(&self, origin: &str) -> usize {
        let gaps = self.parts.len().saturating_sub(1);
        self.parts.iter().map(Bytes::len).sum::<usize>() + gaps * origin.len()
    }

    /// The entity tag of the rendered text: text and origin determine every byte of it, so
    /// neither a HEAD nor a 304 has to render anything.
    fn etag(&self, origin: &str) -> HeaderValue {
        etag(
            &Sha256::new()
                .chain_update(self.digest)
                .chain_update(origin)
                .finalize()
                .into(),
        )
    }
}

/// A strong entity tag from half of a SHA-256.
fn etag(digest: &[u8; 32]) -> HeaderValue {
    let mut text = String::with_capacity(34);
    text.push('"');
    for byte in &digest[..16] {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('"');
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether it can stand in JSON, YAML and HTML as it is: `http(s)://` and what host names,
/// addresses and ports are written with. It comes from a header of the request.
fn is_origin(origin: &str) -> bool {
    let authority = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    authority.is_some_and(|authority| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        !authority.is_empty() && authority.bytes().all(is_plain)
    })
}

/// Whether the client has this already: `If-None-Match` (RFC 9110 §13.1.2) on all its lines.
fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let lines = headers.get_all(header::IF_NONE_MATCH);
    lines
        .iter()
        .any(|line| names(line.as_bytes(), etag.as_bytes()))
}

/// Whether a list of entity tags names this one, by weak comparison (RFC 9110 §8.8.3.2). What
/// follows something that is no entity tag does not count.
fn names(list: &[u8], etag: &[u8]) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        let start = rest
            .iter()
            .position(|b| !b" \t,".contains(b))
            .unwrap_or(rest.len());
        rest = &rest[start..];
        rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        let Some(quoted) = rest.strip_prefix(b"\"") else {
            return false;
        };
        let Some(end) = quoted.iter().position(|b| *b == b'"') else {
            return false;
        };
        let (tag, after) = rest.split_at(end + 2);
        if tag == etag {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, expected: bool) {
        assert_eq!(names(list.as_bytes(), b"\"abc\""), expected, "{list}");
    }

    #[test]
    fn lists_of_entity_tags() {
        check("\"abc\"", true);
        check("W/\"abc\"", true);
        check("*", true);
        check(" * ", true);
        check("\"x\", \"abc\"", true);
        check("\"x\",W/\"abc\" , \"y\"", true);
        check(", \"abc\"", true);
        check("\"x,\", \"abc\"", true);
        check("\"*\"", false);
        check("*, \"x\"", false);
        check("\"x\", *", false);
        check("\"ABC\"", false);
        check("\"x\", \"y\"", false);
        check("\"x, \"abc", false);
        check("abc", false);
        check("w/\"abc\"", false);
        check("\"abc", false);
        check("W/", false);
        check("", false);
    }

    #[test]
    fn origins_are_plain() {
        for good in [
            "https://a.example",
            "http://localhost:3333",
            "https://[::1]:3443",
            "http://a_b",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "ftp://a",
            "https://a/",
            "https://a\"b",
            "https://a b",
            "https://ä",
            "https://a\\",
            "https://<a>",
            "https://a@b",
            "https://a\n",
            "https://a,b",
            "https://{a}",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_text() {
        let text = format!("a {ORIGIN} b {ORIGIN}/c");
        let Body::Template(template) = Document::template("text/plain", &text).body else {
            panic!()
        };
        for origin in ["https://a.example", "http://localhost:3333", ""] {
            assert_eq!(template.render(origin), format!("a {origin} b {origin}/c"));
            assert_eq!(template.length(origin), template.render(origin).len());
        }
    }
}
