//! `plugway print`.

use anyhow::bail;
use serde_json::json;

use super::args::{Print, Printed};
use super::output::Output;
use super::served::{document, origin};
use super::{Exit, misuse};
use crate::app;
use crate::config::Require;
use crate::control::Source;
use crate::documents::MANIFEST;
use crate::snapshot::{Plugin, Snapshot};

pub(super) fn run(print: &Print, output: &mut Output) -> anyhow::Result<Exit> {
    let rehearsed = app::rehearse(Source::File(print.config.clone()))?;
    let Some(snapshot) = rehearsed.snapshot else {
        if output.as_json {
            let problems = rehearsed.problems.to_json();
            output
                .json(&json!({ "error": "the configuration is refused", "problems": problems }))?;
        } else {
            output.remark(rehearsed.problems.render(Output::color()).trim_end());
        }
        return Ok(Exit::Invalid);
    };
    let plugin = choose(&snapshot, print.plugin.as_deref())?;
    let origin = origin(&snapshot, plugin);
    match print.what {
        Printed::Manifest => output.text(&document(plugin, MANIFEST, &origin)?)?,
        Printed::Openapi => output.text(&readable(&document(plugin, "/openapi.json", &origin)?))?,
        Printed::Openapi30 => {
            output.text(&readable(&document(plugin, "/openapi-3.0.json", &origin)?))?;
        }
        Printed::Install if output.as_json => output.json(&json!({
            "plugin": &*plugin.name,
            "manifest": format!("{origin}{MANIFEST}"),
            "openapi": format!("{origin}/openapi.json"),
            "openapi_3_0": format!("{origin}/openapi-3.0.json"),
            "require": plugin.require.word(),
        }))?,
        Printed::Install => output.text(&install(plugin, &origin))?,
    }
    Ok(Exit::Done)
}

/// A document with line breaks; it is served without.
fn readable(json: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(json);
    parsed.map_or_else(|_| json.to_owned(), |document| format!("{document:#}\n"))
}

fn choose<'a>(snapshot: &'a Snapshot, name: Option<&str>) -> anyhow::Result<&'a Plugin> {
    let names = || {
        snapshot
            .plugins
            .iter()
            .map(|plugin| &*plugin.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (name, snapshot.plugins.as_slice()) {
        (None, [plugin]) => Ok(plugin),
        (_, []) => bail!("the configuration has no plugin: write a [plugins.NAME]"),
        (None, _) => Err(misuse(format!(
            "there are several plugins: choose one with --plugin ({})",
            names()
        ))),
        (Some(name), plugins) => {
            let found = plugins.iter().find(|plugin| *plugin.name == *name);
            let unknown = || misuse(format!("there is no plugin `{name}`, but {}", names()));
            found.map(|plugin| &**plugin).ok_or_else(unknown)
        }
    }
}

/// What to paste into which client.
fn install(plugin: &Plugin, origin: &str) -> String {
    let credential = match plugin.require {
        Require::None => "none",
        Require::Service => "a service token (pls_…), as bearer token or API key",
        Require::User => "a user token (plu_…), as bearer token",
        Require::Any => "a service token (pls_…) or a user token (plu_…), as bearer token",
        Require::Upstream => "whatever the API itself asks for",
    };
    format!(
        "Plugin {name}\n\
         credential: {credential}\n\n\
         Microsoft Security Copilot   custom plugin, OpenAI format:      {origin}{MANIFEST}\n\
         LobeChat                     custom plugin, manifest:           {origin}{MANIFEST}\n\
         Dify                         custom tool, import from URL:      {origin}/openapi-3.0.json\n\
         GPT Actions (until retired)  Actions, import from URL:          {origin}/openapi.json\n\
         Any OpenAPI client           document:                          {origin}/openapi.json\n\n\
         ChatGPT's new plugins speak MCP with OAuth, which plugway does not serve yet.\n",
        name = plugin.name,
    )
}
