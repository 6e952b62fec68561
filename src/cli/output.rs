//! What a command prints: answers on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

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

    /// A value on standard output.
    pub(super) fn json(&mut self, value: &Value) -> anyhow::Result<()> {
        self.text(&format!("{value:#}\n"))
    }

    /// A remark on standard error.
    #[expect(clippy::unused_self, reason = "who prints has the output")]
    pub(super) fn remark(&mut self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Whether standard error is read by a person.
    pub(super) fn color() -> bool {
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }

    /// Why a command failed.
    pub(super) fn error(&mut self, error: &anyhow::Error) {
        if self.as_json {
            let _ = self.json(&json!({"error": format!("{error:#}")}));
        } else {
            self.remark(&format!("plugway: {error:#}"));
        }
    }
}
