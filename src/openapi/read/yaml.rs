//! YAML: the one wrapper around `serde-saphyr`.
//!
//! We use the event parser that it exports rather than its `Deserialize`: that one recurses
//! with some 20 KiB of stack a level, loses digits beyond 64 bits and the lines of keys. The
//! rules are those of its switches for `OpenAPI` (`strict_booleans`,
//! `leading_zero_numbers_as_strings`, `underscored_numbers_as_strings`): YAML 1.2's core schema,
//! and what merely resembles a number stays a text. A `%YAML 1.1` directive changes nothing.

use std::borrow::Cow;

use serde_saphyr::granit_parser::{ErrorKind, Event, Marker, Parser, ScanError, Span, options};

use super::build::Builder;
use super::error::MEND_YAML;
use super::escapes::{self, Language};
use super::tokens::text_end;
use super::{Document, ReadError, ReadErrorKind, ReadLimits, Repair};

/// How many bytes are read once more, all in all, because of escapes that the parser refuses.
const MAX_AGAIN: usize = 32 << 20;

/// Reads YAML by the core rules of 1.2.
pub(super) fn read(text: &str, limits: &ReadLimits) -> Result<Document, ReadError> {
    let mut builder = Builder::new(limits);
    let repairs = parse(text, limits.depth, &mut builder)?;
    let (value, duplicates) = builder.finish()?;
    Ok(Document::new(value, duplicates, repairs))
}

/// Takes the events of a text.
pub(super) trait Sink {
    /// Before the first event, and again when the text was mended: what was taken is void. Texts
    /// are to be unshielded if `shielded` says so.
    fn begin(&mut self, shielded: bool);
    /// The next event.
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), ReadError>;
}

/// What ended the parsing.
#[derive(Debug)]
enum Fault {
    /// The parser did.
    Syntax(ScanError),
    /// The sink did.
    Refused(ReadError),
}

/// Gives the events of a text one by one, and says what had to be repaired for that.
pub(super) fn parse(
    text: &str,
    depth: usize,
    sink: &mut impl Sink,
) -> Result<Vec<Repair>, ReadError> {
    let (mut text, shielded) = shield(text);
    let mut repairs = Vec::new();
    let mut again = 0;
    loop {
        sink.begin(shielded);
        let fault = match parse_once(&text, depth, sink) {
            Ok(()) => return Ok(repairs),
            Err(Fault::Refused(error)) => return Err(error),
            Err(Fault::Syntax(fault)) => fault,
        };
        again += text.len();
        let mended = (again <= MAX_AGAIN).then(|| mend(&text, &fault, &mut repairs));
        match mended.flatten() {
            Some(mended) => text = Cow::Owned(mended),
            None => return Err(explain(&text, &fault, depth)),
        }
    }
}

/// Gives the events until something ends it.
fn parse_once(text: &str, depth: usize, sink: &mut impl Sink) -> Result<(), Fault> {
    let options = options! {
        emit_comments: false,
        flow_nesting_limit: depth,
        block_nesting_limit: depth,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(Fault::Syntax)?;
        sink.take(event, &span).map_err(Fault::Refused)?;
    }
    Ok(())
}

/// The text with the escapes of one string in double quotes mended; `None`: the fault is another.
fn mend(text: &str, fault: &ScanError, repairs: &mut Vec<Repair>) -> Option<String> {
    let of_escape = matches!(
        fault.kind(),
        ErrorKind::UnknownQuotedScalarEscape
            | ErrorKind::InvalidQuotedScalarHexEscape
            | ErrorKind::InvalidLowSurrogateHexEscape
            | ErrorKind::InvalidLowSurrogate
            | ErrorKind::MissingLowSurrogate
            | ErrorKind::UnpairedLowSurrogate
            | ErrorKind::InvalidUnicodeEscape
    );
    let start = fault.marker().byte_offset().filter(|_| of_escape)?;
    let bytes = text.as_bytes();
    if bytes.get(start) != Some(&b'"') {
        return None;
    }
    let end = text_end(bytes, start);
    let line = fault.marker().line() as u64;
    let mut out = Vec::with_capacity(text.len() + 16);
    out.extend_from_slice(&bytes[..start]);
    escapes::mend(&bytes[start..end], Language::Yaml, line, &mut out, repairs);
    let unchanged = out[start..] == bytes[start..end];
    out.extend_from_slice(&bytes[end..]);
    // Else it would be the same fault for ever.
    String::from_utf8(out).ok().filter(|_| !unchanged)
}

/// The parser's error in our words.
fn explain(text: &str, fault: &ScanError, depth: usize) -> ReadError {
    let marker = fault.marker();
    let yaml = |words: String, mend| ReadErrorKind::Yaml { words, mend };
    let kind = match fault.kind() {
        ErrorKind::RecursionLimitExceeded => ReadErrorKind::TooDeep(depth),
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => {
            let words = "a line is indented by a tab".to_owned();
            let kind = yaml(words, "indent by spaces only");
            return tab_after(text, marker.byte_offset()).map_or_else(
                || at(kind.clone(), marker),
                |tab| ReadError::at(kind.clone(), text.as_bytes(), tab),
            );
        }
        ErrorKind::UnexpectedCharacter { character } => yaml(
            format!("no value begins with `{character}`"),
            "put the value into quotes",
        ),
        ErrorKind::UnclosedQuotedScalar => yaml(
            "a quote opens here and does not close".to_owned(),
            "close it; a quote within a text in single quotes is written twice",
        ),
        ErrorKind::InvalidTrailingSingleQuotedScalar => yaml(
            "a text goes on after its closing quote".to_owned(),
            "write a quote within a text in single quotes twice",
        ),
        ErrorKind::MappingValueNotAllowed => yaml(
            "a `: ` stands where no key can be".to_owned(),
            "put the value that holds `: ` into quotes, or mend the indentation of this line",
        ),
        ErrorKind::SimpleKeyExpected => yaml(
            "this line is no entry: it has no `:` after its key".to_owned(),
            "write `:` after the key, or indent the line if it goes on with a text",
        ),
        ErrorKind::UnknownAnchor => yaml(
            "an alias repeats what is not there".to_owned(),
            "put a value that begins with `*` into quotes, or write the `&` before the alias",
        ),
        _ => yaml(fault.info(), MEND_YAML),
    };
    at(kind, marker)
}

/// The first tab in the indentation of the line of a byte or of one after it.
fn tab_after(text: &str, from: Option<usize>) -> Option<usize> {
    let from = from?.min(text.len());
    let mut start = text.get(..from)?.rfind('\n').map_or(0, |at| at + 1);
    for line in text[start..].split_inclusive('\n') {
        let indented = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indented].find('\t') {
            return Some(start + tab);
        }
        start += line.len();
    }
    None
}

/// An error at a place. The parser counts columns from 0.
pub(super) fn at(kind: ReadErrorKind, marker: &Marker) -> ReadError {
    ReadError {
        kind,
        line: Some(marker.line() as u64),
        column: Some(marker.col() as u64 + 1),
    }
}

/// What is added to the code of a control character to shield it.
const SHIELD: u32 = 0x10_FE00;

/// The code, below 0x100, by which a character is shielded that YAML forbids (1.2, §5.1) and that
/// exporters write all the same.
fn code(c: char) -> Option<u32> {
    match c {
        '\0'..='\x08'
        | '\x0b'
        | '\x0c'
        | '\x0e'..='\x1f'
        | '\x7f'..='\u{84}'
        | '\u{86}'..='\u{9f}' => Some(u32::from(c)),
        '\u{fffe}' | '\u{ffff}' => Some(u32::from(c) - 0xff00),
        _ => None,
    }
}

/// The text without what the parser stumbles over. Forbidden characters stand at the end of the
/// private planes while it looks (then the second is true); byte order marks of files that were
/// joined are left out.
fn shield(text: &str) -> (Cow<'_, str>, bool) {
    let text = if text.contains("\n\u{feff}") {
        Cow::Owned(text.replace("\n\u{feff}", "\n"))
    } else {
        Cow::Borrowed(text)
    };
    if !text.contains(|c| code(c).is_some()) {
        return (text, false);
    }
    let shielded = |c: char| code(c).and_then(|code| char::from_u32(code + SHIELD));
    let text = text.chars().map(|c| shielded(c).unwrap_or(c)).collect();
    (Cow::Owned(text), true)
}

/// Undoes [`shield`].
pub(super) fn unshield(text: Cow<'_, str>) -> Cow<'_, str> {
    let original = |c: char| {
        let code = u32::from(c).checked_sub(SHIELD)?;
        match code {
            0xfe | 0xff => char::from_u32(code + 0xff00),
            _ => char::from_u32(code).filter(|c| self::code(*c).is_some()),
        }
    };
    // They all begin with this byte, which hardly a text has.
    if !text.as_bytes().contains(&0xf4) {
        return text;
    }
    Cow::Owned(text.chars().map(|c| original(c).unwrap_or(c)).collect())
}
