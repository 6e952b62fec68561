//! `${env:NAME}` and `${file:PATH}` inside string values.
//!
//! What a reference gives goes into [`Text::value`] and nowhere else: problems show what was
//! written.

use std::fmt;
use std::path::Path;

use super::Inputs;
use super::mask;
use crate::problems::{Place, Problems};
use crate::tokens::without_tokens;

/// Most bytes of a file that a string refers to.
const LARGEST: usize = 64 << 10;

/// Most references in one string.
const MOST: usize = 16;

/// Most characters of a value that a message shows.
const SHOWN: usize = 60;

/// A string value with its references resolved.
#[derive(Clone)]
pub(super) struct Text {
    /// What it means.
    pub value: String,
    /// What a message may say of it: as it was written, never what a reference gave.
    pub shown: String,
    /// Where it was written.
    pub at: Place,
    /// Whether there is a reference in it.
    pub referenced: bool,
}

/// What may be shown.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({})", self.shown)
    }
}

impl Text {
    /// A text without references, such as a default.
    pub(super) fn literal(value: &str, at: &Place) -> Self {
        Self {
            value: value.to_owned(),
            shown: shown(value),
            at: at.clone(),
            referenced: false,
        }
    }
}

/// Resolves the references of a string. A problem with one of them is reported at `at`.
pub(super) fn expand(
    raw: &str,
    at: &Place,
    inputs: &mut dyn Inputs,
    problems: &mut Problems,
) -> Option<Text> {
    let mut text = Text {
        value: String::with_capacity(raw.len()),
        shown: shown(&mask::told(raw, at)),
        at: at.clone(),
        referenced: false,
    };
    let mut count = 0;
    let mut whole = true;
    let mut rest = raw;
    while let Some(dollar) = rest.find("${") {
        if rest[..dollar].ends_with('$') {
            text.value.push_str(&rest[..dollar]);
            text.value.push('{');
            rest = &rest[dollar + 2..];
            continue;
        }
        text.value.push_str(&rest[..dollar]);
        let Some(length) = rest[dollar..].find('}') else {
            problems
                .add(at, "a reference has no end")
                .help("write `}` behind it, or `$${` for a `${` that is none");
            return None;
        };
        count += 1;
        if count > MOST {
            problems.add(at, format!("more than {MOST} references in one string"));
            return None;
        }
        let reference = &rest[dollar + 2..dollar + length];
        match resolve(reference, inputs) {
            Ok(value) => text.value.push_str(&value),
            Err((message, help)) => {
                problems.add(at, message).help(help);
                whole = false;
            }
        }
        text.referenced = true;
        rest = &rest[dollar + length + 1..];
    }
    text.value.push_str(rest);
    whole.then_some(text)
}

/// What one reference gives, or what is wrong and what to do.
fn resolve(reference: &str, inputs: &mut dyn Inputs) -> Result<String, (String, String)> {
    match reference.split_once(':') {
        Some(("env", name)) if variable(name) => inputs.env(name).ok_or_else(|| {
            (
                format!("the environment variable {name} is not set"),
                format!("set {name} before the start, or refer to a file: `${{file:PATH}}`"),
            )
        }),
        Some(("file", path)) if !path.is_empty() => file(path, inputs),
        _ => Err((
            format!("`${{{}}}` is not a reference", shown(reference)),
            "write `${env:NAME}` or `${file:PATH}`, or `$${` for a `${` that is none".to_owned(),
        )),
    }
}

/// Whether it can be the name of an environment variable.
fn variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What helps with a file that can not be read.
pub(super) fn unread(path: &Path) -> &'static str {
    if path.is_absolute() {
        "it has to be there when the configuration is read"
    } else {
        "a relative path is relative to the working directory"
    }
}

/// A file's text without the newline at its end, which editors and `echo` leave there.
fn file(path: &str, inputs: &mut dyn Inputs) -> Result<String, (String, String)> {
    let bytes = inputs.private(Path::new(path)).map_err(|reason| {
        (
            format!("can not read the file `{}`: {reason}", shown(path)),
            unread(Path::new(path)).to_owned(),
        )
    })?;
    if bytes.len() > LARGEST {
        return Err((
            format!("the file `{}` is too large for a reference", shown(path)),
            format!("at most {} KiB", LARGEST >> 10),
        ));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        (
            format!("the file `{}` is not UTF-8", shown(path)),
            "a reference stands for text".to_owned(),
        )
    })?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// A text for a message: one line, not too long, without what may be a password.
pub(super) fn shown(text: &str) -> String {
    let text = mask::without_userinfo(text);
    let text = without_tokens(&text);
    if text.contains(mask::PRIVATE_KEY) {
        return "…".to_owned();
    }
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
