//! Texts about operations and parameters, as long as clients take them.

use super::super::cut;
use super::components::Renderer;
use super::{Action, Target};

/// What a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told<'a> {
    /// `summary` of an operation.
    Summary,
    /// `description` of an operation.
    Description,
    /// `description` of a parameter.
    Parameter(&'a str),
}

impl Told<'_> {
    /// The key that it stands under.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Description | Self::Parameter(_) => "description",
        }
    }

    /// Characters that the readers of a version take: those of 3.0 have the limits of the v1
    /// plugin, those of 3.1 the ones of GPT Actions.
    pub(super) fn limit(self, target: Target) -> usize {
        match (self, target) {
            (Self::Summary | Self::Description, Target::V3_1_0) => 300,
            (Self::Parameter(_), Target::V3_1_0) => 700,
            (_, Target::V3_0_1) => 200,
        }
    }

    /// As a message calls it.
    fn noun(self) -> String {
        match self {
            Self::Summary => "its summary".to_owned(),
            Self::Description => "its description".to_owned(),
            Self::Parameter(name) => format!("the description of the parameter `{name}`"),
        }
    }
}

impl Renderer<'_> {
    /// The text, cut to its limit unless it is to be kept whole. What is cut in either version is
    /// reported once.
    pub(super) fn short(&mut self, at: &str, told: Told<'_>, text: String) -> String {
        if !self.cut {
            return text;
        }
        let length = text.trim().chars().count();
        let limit = |target| told.limit(target);
        let cuts: Vec<String> = [(Target::V3_1_0, "3.1"), (Target::V3_0_1, "3.0")]
            .into_iter()
            .filter(|(target, _)| length > limit(*target))
            .map(|(target, name)| format!("{} in the {name} document", limit(target)))
            .collect();
        if !cuts.is_empty() {
            let message = format!(
                "{} has {length} characters and is cut to {}; openapi.cut = \"none\" keeps it",
                told.noun(),
                cuts.join(" and ")
            );
            self.note_at(at, Action::Simplified, message);
        }
        if length > limit(self.target) {
            cut::at_sentence(&text, limit(self.target)).into_owned()
        } else {
            text
        }
    }
}
