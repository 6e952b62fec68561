//! Problems for people (source line, caret, help) and for programs (JSON).

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::{Place, Problem, Problems, Severity, floor_char_boundary};

/// How much of a source line is shown before and after its caret, in bytes: a line may be as
/// long as its file.
const AROUND: usize = 400;

impl Problems {
    /// Each with `path:line:column`, its source line, a caret, and the help; with `color`,
    /// in the colours of a terminal.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        }
        .decor_style(DecorStyle::Ascii);
        let mut text = String::new();
        for problem in self {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&renderer.render(&[group(problem)]));
            text.push('\n');
        }
        text
    }

    /// An array of `{severity, file, line, column, key, message, help}`; what does not apply
    /// is `null`.
    pub fn to_json(&self) -> Value {
        self.iter().map(Problem::to_json).collect()
    }
}

impl Problem {
    /// One element of [`Problems::to_json`].
    fn to_json(&self) -> Value {
        let position = self.at.position();
        json!({
            "severity": self.severity.as_str(),
            "file": self.at.file().map(|path| path.display().to_string()),
            "line": position.map(|(line, _)| line),
            "column": position.map(|(_, column)| column),
            "key": self.at.key,
            "message": self.message,
            "help": self.help,
        })
    }
}

/// The parts of one rendered problem.
fn group(problem: &Problem) -> Group<'_> {
    let level = match problem.severity {
        Severity::Problem => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .with_name(problem.severity.as_str())
        .primary_title(problem.message.as_str());
    let group = match snippet(&problem.at) {
        Some(snippet) => title.element(snippet),
        None => title.element(Origin::path(problem.at.key.as_str())),
    };
    match &problem.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The line where the place begins; what a span covers beyond that line is not news.
fn snippet(at: &Place) -> Option<Snippet<'_, annotate_snippets::Annotation<'_>>> {
    let source = at.source.as_deref()?;
    let text = source.text.as_str();
    let start = floor_char_boundary(text, at.span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..]
        .find(['\n', '\r'])
        .map_or(text.len(), |length| start + length);
    // A window of the line, whole when it has a sane length; the column is then the window's.
    let from = if start - line_start > AROUND {
        floor_char_boundary(text, start - AROUND)
    } else {
        line_start
    };
    let to = floor_char_boundary(text, line_end.min(start + AROUND));
    let end = floor_char_boundary(text, at.span.end).clamp(start, to);
    let (line, _) = at.position()?;
    Some(
        Snippet::source(&text[from..to])
            .path(source.path.display().to_string())
            .line_start(line)
            .annotation(AnnotationKind::Primary.span(start - from..end - from)),
    )
}
