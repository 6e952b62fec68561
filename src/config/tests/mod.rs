//! The configuration language: every file of `tests/config`, the files of `config`, the
//! schema, and what must never be shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Config, Inputs, Parts, load_text};
use crate::problems::Problems;

mod files;
mod language;
mod never_shown;
mod schema;

/// Files and variables: these, and no others.
struct Fake {
    /// By path.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// By name.
    variables: BTreeMap<&'static str, String>,
}

/// What the files of `config` and of `tests/config` refer to.
impl Default for Fake {
    fn default() -> Self {
        let files = [
            ("certs/server.pem", "chain"),
            ("certs/server.key", "key"),
            ("certs/todo.pem", "chain"),
            ("certs/todo.key", "key"),
            ("certs/ca.pem", "authority"),
            ("logo.png", "png"),
            ("legal.html", "<p>legal</p>"),
            ("openapi.yaml", "openapi: 3.1.0"),
            ("todo.overlay.yaml", "overlay: 1.0.0"),
            ("security.txt", "Contact: mailto:dev@example.com\n"),
            ("instructions.md", "Use it to list to-dos.\r\n"),
            ("/run/secrets/chatgpt", "chatgpt-secret-of-a-file\n"),
            ("/run/secrets/todo", "todo-secret-of-a-file\n"),
            ("/run/secrets/lines", "two\nlines-are-no-secret\n"),
            (
                "plugins/notes.toml",
                include_str!("../../../tests/config/include/notes.toml"),
            ),
            (
                "plugins/todo.toml",
                include_str!("../../../tests/config/include/todo.toml"),
            ),
            (
                "broken/main.toml",
                include_str!("../../../tests/config/include/main.toml"),
            ),
            (
                "broken/syntax.toml",
                include_str!("../../../tests/config/include/syntax.toml"),
            ),
        ];
        let variables = [
            ("PORT", "8443"),
            ("CHATGPT_TOKEN", "chatgpt-secret-of-the-environment"),
            ("OTHER_TOKEN", "other-secret-of-the-environment"),
            ("WEBHOOK_TOKEN", "webhook-secret-of-the-environment"),
            ("TODO_UPSTREAM_TOKEN", "upstream-secret-of-the-environment"),
            ("TODO_UPSTREAM_PASSWORD", "password of the environment"),
            (
                "TODO_UPSTREAM_USER_AND_PASSWORD",
                "user:password of the environment",
            ),
            ("SHORT", "leaked-short"),
            ("SPACE", "leaked secret with spaces"),
            ("EMPTY", ""),
        ];
        let files = files.into_iter();
        Self {
            files: files
                .map(|(path, text)| (path.into(), text.into()))
                .collect(),
            variables: variables.map(|(name, text)| (name, text.into())).into(),
        }
    }
}

impl Inputs for Fake {
    fn file(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        let bytes = self.files.get(path);
        bytes
            .map(|bytes| bytes.as_slice().into())
            .ok_or_else(|| "No such file or directory".to_owned())
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let Some((folder, ending)) = pattern.split_once('*') else {
            return Err("only one `*`".to_owned());
        };
        let matches = |path: &PathBuf| {
            let path = path.to_string_lossy();
            path.starts_with(folder) && path.ends_with(ending)
        };
        Ok(self
            .files
            .keys()
            .filter(|path| matches(path))
            .cloned()
            .collect())
    }

    fn env(&mut self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
}

/// The present of every test.
fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

/// Loads a text with the inputs of [`Fake`].
fn loaded(name: &str, text: &str) -> (Option<Config>, Problems) {
    load_text(
        Path::new(name),
        text,
        &mut Fake::default(),
        &Parts::default(),
        now(),
    )
}

/// A configuration without a fault, into which a case puts its own.
const GOOD: &str = r#"
listen.http = "127.0.0.1:8080"
[plugins.todo]
upstream.url = "http://127.0.0.1:8000"
auth.require = "service"
"#;

/// The problems of a text, one line each: `line:column key: message (help)`.
fn faults(text: &str) -> Vec<String> {
    let (config, problems) = loaded("plugway.toml", text);
    assert_eq!(config.is_some(), !problems.has_problems());
    let lines = problems.iter().map(|problem| {
        let (line, column) = problem.at.position().expect("a text");
        format!("{line}:{column} {}: {}", problem.at.key, problem.message)
    });
    lines.collect()
}
