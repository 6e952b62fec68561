//! The three texts, and how long they may be.

use super::{Found, Sources, written};
use crate::openapi::cut;

/// How long a text of the manifest may be, in characters.
struct Limit {
    /// The key of the configuration.
    field: &'static str,
    /// What `plugin.description` is in a sentence.
    noun: &'static str,
    /// What the last v1 documentation (August 2023) allows.
    advised: usize,
    /// What the most generous reader takes.
    most: usize,
    /// Where the value can come from, for whoever has to write it.
    document_key: &'static str,
}

/// `name_for_human`
const NAME: Limit = Limit {
    field: "name",
    noun: "name for humans",
    advised: 20,
    most: 50,
    document_key: "info.title",
};
/// `description_for_human`
const DESCRIPTION: Limit = Limit {
    field: "description",
    noun: "description for humans",
    advised: 100,
    most: 200,
    document_key: "info.summary",
};
/// `description_for_model`
const INSTRUCTIONS: Limit = Limit {
    field: "instructions",
    noun: "description for the model",
    advised: 8_000,
    most: 16_000,
    document_key: "info.description",
};

impl Sources<'_, '_, '_> {
    /// `name_for_human`
    pub(super) fn name(&mut self) -> String {
        let found = [
            (
                self.info.title.as_deref(),
                "info.title of the OpenAPI document",
            ),
            self.of_upstream("name_for_human"),
        ];
        let cut = |text: &str, limit| cut::at_word(&cut::on_one_line(text), limit).to_owned();
        let plugin = self.plugin;
        self.text(&NAME, plugin.display_name.as_deref(), &found, cut, || {
            plugin.name.clone()
        })
    }

    /// `description_for_human`
    pub(super) fn description(&mut self, name: &str) -> String {
        let found = [
            (
                self.info.summary.as_deref(),
                "info.summary of the OpenAPI document",
            ),
            (
                self.info.description.as_deref(),
                "info.description of the OpenAPI document",
            ),
            self.of_upstream("description_for_human"),
        ];
        let plugin = self.plugin;
        let built_in = || match written(plugin.instructions.as_deref()) {
            Some(instructions) => cut::to_line(instructions, DESCRIPTION.advised),
            None => cut::to_line(&format!("{name}, for AI assistants."), DESCRIPTION.advised),
        };
        self.text(
            &DESCRIPTION,
            plugin.description.as_deref(),
            &found,
            cut::to_line,
            built_in,
        )
    }

    /// `description_for_model`
    pub(super) fn instructions(&mut self, description: &str) -> String {
        let found = [
            (
                self.info.description.as_deref(),
                "info.description of the OpenAPI document",
            ),
            (
                self.info.summary.as_deref(),
                "info.summary of the OpenAPI document",
            ),
            self.of_upstream("description_for_model"),
        ];
        let cut = |text: &str, limit| cut::at_sentence(text, limit).into_owned();
        let built_in = || description.to_owned();
        let plugin = self.plugin;
        self.text(
            &INSTRUCTIONS,
            plugin.instructions.as_deref(),
            &found,
            cut,
            built_in,
        )
    }

    /// The text of the configuration as it is, else the first that is found, cut to what is
    /// advised, else the built-in one.
    fn text(
        &mut self,
        limit: &Limit,
        own: Option<&str>,
        found: &[Found<'_>],
        cut: impl Fn(&str, usize) -> String,
        built_in: impl FnOnce() -> String,
    ) -> String {
        let Limit {
            field,
            noun,
            advised,
            ..
        } = *limit;
        if let Some(own) = written(own) {
            self.check_length(limit, own);
            return own.to_owned();
        }
        let first = found
            .iter()
            .find_map(|(text, place)| Some((written(*text)?, *place)));
        let Some((text, place)) = first else {
            let text = built_in();
            let shown = cut::at_sentence(&text, 60);
            let message = format!("no {noun} is written or found, so the manifest says {shown:?}");
            self.left_out(field, message, "one", limit.document_key);
            return text;
        };
        let short = cut(text, advised);
        let length = text.trim().chars().count();
        if self.is_judged && cut::on_one_line(&short) != cut::on_one_line(text) {
            let shown = cut::at_sentence(&short, 60);
            let message = format!(
                "{place} has {length} characters, and is cut to {} for the {noun} (at most {advised}): {shown:?}",
                short.chars().count(),
            );
            let help = format!("write `{field}` in [plugins.{}]", self.plugin.name);
            self.report.warn(field, message, Some(help));
        }
        short
    }

    /// A text of the configuration is kept as it is, up to what any reader takes.
    fn check_length(&mut self, limit: &Limit, text: &str) {
        let Limit {
            field,
            noun,
            advised,
            most,
            ..
        } = *limit;
        let length = text.chars().count();
        if length > most {
            let message =
                format!("the {noun} has {length} characters, and no reader takes more than {most}");
            let help = format!("a v1 manifest allows {advised}");
            self.report.refuse(field, message, Some(help));
        } else if length > advised {
            let message =
                format!("the {noun} has {length} characters, and a v1 manifest allows {advised}");
            let help =
                format!("some readers cut it or refuse the manifest; none takes more than {most}");
            self.report.warn(field, message, Some(help));
        }
    }
}
