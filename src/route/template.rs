//! Path templates, segment by segment.

use super::path::{MAX_PATH, MAX_SEGMENTS, SLASH, encoded_byte, without_parameters};

/// One segment of a template. Two templates have the same shape when these are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// These bytes, decoded. Empty for the end of a path with a trailing slash.
    Literal(Box<[u8]>),
    /// Text and parameters.
    Mixed(Pattern),
    /// One parameter.
    Parameter,
}

/// Text and parameters: `{name}.json`, `{x}-{y}`. Every parameter takes at least one byte.
///
/// Since nobody asks which byte belongs to which parameter, a match only has to exist, and the
/// leftmost place for each text in turn leaves the most room for the rest: no backtracking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Its bytes, decoded, with [`SLASH`] for each parameter.
    shape: Box<[u8]>,
    /// Text in front of the first parameter.
    prefix: Box<[u8]>,
    /// Parameters and the text behind them, but for the last.
    infixes: Box<[(usize, Box<[u8]>)]>,
    /// How many parameters stand in front of the suffix, one beside the other.
    last: usize,
    /// Text behind the last parameter.
    suffix: Box<[u8]>,
}

impl Pattern {
    /// Whether these decoded bytes are an instance.
    pub(super) fn matches(&self, segment: &[u8]) -> bool {
        let inner = segment
            .strip_prefix(&*self.prefix)
            .and_then(|rest| rest.strip_suffix(&*self.suffix));
        let Some(mut rest) = inner else { return false };
        for (parameters, text) in &self.infixes {
            let Some(room) = rest.get(*parameters..) else {
                return false;
            };
            let Some(place) = room
                .windows(text.len())
                .position(|window| window == &**text)
            else {
                return false;
            };
            rest = &room[place + text.len()..];
        }
        rest.len() >= self.last
    }

    /// The same with its text in lower case.
    pub(super) fn to_lower_case(&self) -> Self {
        Self::new(lower_case(&self.shape))
    }

    /// How often [`matches`](Self::matches) may look at one byte of a segment.
    pub(super) fn weight(&self) -> usize {
        1 + self
            .infixes
            .iter()
            .map(|(_, text)| text.len())
            .sum::<usize>()
    }

    /// What comes first when several fit: more text, then fewer parameters; the rest only makes
    /// the order independent of the document's.
    pub(super) fn rank(&self) -> impl Ord + use<'_> {
        let infixes = self.infixes.iter().map(|(before, _)| before);
        let parameters = infixes.sum::<usize>() + self.last;
        let text = self.shape.len() - parameters;
        (std::cmp::Reverse(text), parameters, &*self.shape)
    }

    /// From the shape of a segment that is neither a literal nor one parameter.
    fn new(shape: Vec<u8>) -> Self {
        // Texts between parameters; an empty one stands between two that touch.
        let mut texts = shape.split(|byte| *byte == SLASH);
        let prefix = texts.next().unwrap_or_default().into();
        let mut infixes = Vec::new();
        let mut parameters = 0;
        let mut suffix: &[u8] = &[];
        let mut texts = texts.peekable();
        while let Some(text) = texts.next() {
            parameters += 1;
            if texts.peek().is_none() {
                suffix = text;
            } else if !text.is_empty() {
                infixes.push((parameters, text.into()));
                parameters = 0;
            }
        }
        Self {
            prefix,
            infixes: infixes.into(),
            last: parameters,
            suffix: suffix.into(),
            shape: shape.into(),
        }
    }
}

/// Reads a template; the error says why no request can have such a path.
pub(super) fn parse(template: &str) -> Result<Vec<Segment>, &'static str> {
    let Some(inner) = template.strip_prefix('/') else {
        return Err("it does not begin with a slash");
    };
    if template.len() > MAX_PATH {
        return Err("it is too long");
    }
    let mut segments = Vec::new();
    let mut shape = Vec::new();
    let mut rest = inner.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'/' if shape.is_empty() => return Err("it has an empty segment"),
            b'/' => segments.push(segment(std::mem::take(&mut shape))?),
            b'{' => {
                rest = after_parameter(tail)?;
                shape.push(SLASH);
            }
            b'}' => return Err("a brace is not opened"),
            b'%' => {
                // Documents are written by hand: a percent sign that encodes nothing is itself.
                let (byte, tail) = encoded_byte(tail).unwrap_or((b'%', tail));
                shape.push(literal(byte)?);
                rest = tail;
            }
            byte => shape.push(literal(byte)?),
        }
    }
    segments.push(segment(shape)?);
    if segments.len() > MAX_SEGMENTS {
        return Err("it has too many segments");
    }
    Ok(segments)
}

/// What follows the brace that closes a parameter.
fn after_parameter(name: &[u8]) -> Result<&[u8], &'static str> {
    let end = name
        .iter()
        .position(|byte| matches!(byte, b'}' | b'{' | b'/'));
    match end.map(|end| (name[end], &name[end + 1..])) {
        Some((b'}', rest)) => Ok(rest),
        Some((b'/', _)) => Err("the name of a parameter holds a slash"),
        _ => Err("a brace is not closed"),
    }
}

/// A decoded byte of a literal, if a request may hold it.
fn literal(byte: u8) -> Result<u8, &'static str> {
    match byte {
        b'/' => Err("it has an encoded slash"),
        b'\\' => Err("it has a backslash"),
        0..0x20 | 0x7F => Err("it has a control character"),
        byte => Ok(byte),
    }
}

/// A segment of its shape.
fn segment(shape: Vec<u8>) -> Result<Segment, &'static str> {
    match &*shape {
        [SLASH] => Ok(Segment::Parameter),
        [b';', ..] => Err("it has an empty segment with parameters"),
        bytes if matches!(without_parameters(bytes), b"." | b"..") => Err("it has a dot segment"),
        bytes if bytes.contains(&SLASH) => Ok(Segment::Mixed(Pattern::new(shape))),
        _ => Ok(Segment::Literal(shape.into())),
    }
}

/// A literal in canonical encoding: unreserved characters, sub-delimiters, `:` and `@` as they
/// are (RFC 3986 §3.3, `pchar`), all else as upper-case `%XX`.
pub(super) fn encode(literal: &[u8]) -> Box<str> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(literal.len());
    for &byte in literal {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'='
            | b':'
            | b'@' => {
                text.push(char::from(byte));
            }
            _ => {
                text.push('%');
                text.push(char::from(DIGITS[usize::from(byte >> 4)]));
                text.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
    text.into()
}

/// Text in lower case, beyond ASCII too where it is UTF-8: servers that ignore case do that.
pub(super) fn lower_case(text: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(text) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().into_bytes(),
        _ => text.to_ascii_lowercase(),
    }
}
