//! What a command prints: answers on standard output, everything else on standard error.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

use crate::tokens::without_tokens;

/// Where a command prints to.
#[derive(Debug)]
pub(super) struct Output {
    /// Whether `--json` was given.
    pub(super) as_json: bool,
}

impl Output {
    pub(super) fn new(as_json: bool) -> Self {
        Self { as_json }
    }

    /// Text on standard output. A reader that went away is no error.
    #[expect(clippy::unused_self, reason = "who prints has the output")]
    pub(super) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// A secret, alone on its line of standard output.
    pub(super) fn secret(&mut self, secret: &str) -> anyhow::Result<()> {
        self.text(&format!("{secret}\n"))
    }

    /// A value on standard output.
    pub(super) fn json(&mut self, value: &Value) -> anyhow::Result<()> {
        self.text(&format!("{value:#}\n"))
    }

    /// A remark on standard error. It may repeat what was typed, but no secret of it.
    #[expect(clippy::unused_self, reason = "who prints has the output")]
    pub(super) fn remark(&mut self, text: &str) {
        let _ = writeln!(io::stderr(), "{}", without_tokens(text));
    }

    /// Whether standard error is read by a person.
    pub(super) fn color() -> bool {
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }

    /// Why a command failed.
    pub(super) fn error(&mut self, error: &anyhow::Error) {
        if self.as_json {
            let _ = self.json(&json!({"error": without_tokens(&format!("{error:#}"))}));
        } else {
            self.remark(&format!("plugway: {error:#}"));
        }
    }
}

/// Text of a document on one line: what a terminal could act on, or a reader take for another
/// line, is written as `\u{…}`.
pub(super) fn on_one_line(text: &str) -> Cow<'_, str> {
    let active = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(active) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if active(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::on_one_line;

    #[test]
    fn a_document_writes_no_lines_and_moves_no_cursor() {
        assert_eq!(on_one_line("größe"), "größe");
        assert_eq!(on_one_line("a\r\nplugin"), "a\\u{d}\\u{a}plugin");
        assert_eq!(on_one_line("\u{1b}[31m\u{202e}"), "\\u{1b}[31m\\u{202e}");
    }
}
