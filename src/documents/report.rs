//! Collects what is wrong with one plugin's documents, each with the precise key.

use crate::config::Plugin;
use crate::problems::{Place, Problem, Severity};

/// The faults found so far.
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// Whose documents they are.
    plugin: &'a Plugin,
    /// In the order in which they were found.
    problems: Vec<Problem>,
}

impl<'a> Report<'a> {
    /// Nothing is wrong yet.
    pub(super) fn new(plugin: &'a Plugin) -> Self {
        Self {
            plugin,
            problems: Vec::new(),
        }
    }

    /// A fault that does not stop the configuration. `field` is relative to the plugin.
    pub(super) fn warn(&mut self, field: &str, message: String, help: Option<String>) {
        self.push(Severity::Warning, field, message, help);
    }

    /// A fault that stops the configuration.
    pub(super) fn refuse(&mut self, field: &str, message: String, help: Option<String>) {
        self.push(Severity::Problem, field, message, help);
    }

    /// All of them.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Adds one at the plugin's place, under its own key.
    fn push(&mut self, severity: Severity, field: &str, message: String, help: Option<String>) {
        let key = format!("plugins.{}.{field}", self.plugin.name);
        let at = Place {
            key,
            ..self.plugin.at.clone()
        };
        let problem = Problem::new(severity, at, message);
        self.problems.push(Problem { help, ..problem });
    }
}
