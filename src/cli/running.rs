//! Commands that speak to a running gateway.

use std::fmt::Write as _;

use serde_json::Value;

use super::args::{Gateway, Reload};
use super::output::{Output, on_one_line};
use super::{Exit, client};

/// `plugway reload`: returns when the new generation serves, or has been refused.
pub(super) fn reload(reload: &Reload, output: &mut Output) -> anyhow::Result<Exit> {
    let socket = client::address(&reload.gateway)?;
    let outcome = client::ask(
        &socket,
        "POST",
        &format!("/reload?weaker={}", reload.weaker),
    )?;
    let result = outcome["result"].as_str().unwrap_or_default().to_owned();
    if output.as_json {
        output.json(&outcome)?;
    } else {
        let generation = &outcome["generation"];
        match result.as_str() {
            "published" => output.text(&format!("generation {generation} serves\n"))?,
            "unchanged" => output.text(&format!(
                "nothing changed; generation {generation} serves\n"
            ))?,
            _ => {
                output.remark(outcome["text"].as_str().unwrap_or_default());
                let stage = outcome["stage"].as_str().unwrap_or_default();
                output.remark(&format!(
                    "refused at {stage}; generation {generation} goes on serving"
                ));
            }
        }
        if let Some(warning) = outcome["warnings"].as_str() {
            output.remark(warning);
        }
    }
    Ok(match (result.as_str(), outcome["stage"].as_str()) {
        ("published" | "unchanged", _) => Exit::Done,
        (_, Some("read" | "validate" | "compile")) => Exit::Invalid,
        _ => Exit::Failed,
    })
}

/// `plugway status`
pub(super) fn status(gateway: &Gateway, output: &mut Output) -> anyhow::Result<Exit> {
    let status = client::ask(&client::address(gateway)?, "GET", "/status")?;
    if output.as_json {
        output.json(&status)?;
    } else {
        output.text(&describe(&status))?;
    }
    Ok(if status["pending_rejected"].is_null() {
        Exit::Done
    } else {
        Exit::Partly
    })
}

/// `plugway health`
pub(super) fn health(gateway: &Gateway, output: &mut Output) -> anyhow::Result<Exit> {
    let status = client::ask(&client::address(gateway)?, "GET", "/status")?;
    let ready = status["ready"].as_bool().unwrap_or(false);
    if output.as_json {
        output.json(&serde_json::json!({ "ready": ready }))?;
    } else {
        output.text(if ready { "ready\n" } else { "not ready\n" })?;
    }
    Ok(if ready { Exit::Done } else { Exit::Failed })
}

/// `status` for a person.
fn describe(status: &Value) -> String {
    let mut text = String::new();
    let state = if status["ready"] == true {
        "ready"
    } else {
        "not ready"
    };
    let (version, started) = (word(&status["version"]), word(&status["started"]));
    let _ = writeln!(
        text,
        "plugway {version}, process {}, {state} since {started}",
        status["pid"]
    );
    let generation = &status["generation"];
    let hash: String = word(&generation["hash"]).chars().take(12).collect();
    let (since, config) = (word(&generation["since"]), word(&status["config"]));
    let _ = writeln!(
        text,
        "generation {} ({hash}) since {since}, from {config}",
        generation["number"]
    );
    for listener in each(&status["listeners"]) {
        let (kind, address) = (word(&listener["kind"]), word(&listener["address"]));
        let _ = writeln!(
            text,
            "  {kind:<8} {address}, {} open",
            listener["connections"]
        );
    }
    for plugin in each(&status["plugins"]) {
        describe_plugin(plugin, &mut text);
    }
    for warning in each(&status["warnings"]) {
        let _ = writeln!(
            text,
            "warning: {}: {}",
            word(&warning["key"]),
            word(&warning["message"])
        );
    }
    if let Some(refused) = status["pending_rejected"].as_object() {
        let (since, stage) = (word(&refused["since"]), word(&refused["stage"]));
        let _ = writeln!(
            text,
            "refused since {since} at {stage}:\n{}",
            lines(&refused["text"])
        );
    }
    text
}

fn describe_plugin(plugin: &Value, text: &mut String) {
    let (name, require) = (word(&plugin["name"]), word(&plugin["require"]));
    let (count, upstream) = (&plugin["operations"], word(&plugin["upstream"]));
    let _ = writeln!(
        text,
        "plugin {name}: {count} operations, require = {require}, upstream {upstream}"
    );
    let document = &plugin["document"];
    let _ = writeln!(
        text,
        "  document {} ({})",
        word(&document["source"]),
        word(&document["state"])
    );
    if let Some(error) = document["error"].as_str() {
        let _ = writeln!(text, "  {}", on_one_line(error));
    }
    for finding in each(&plugin["report"]) {
        let (action, pointer) = (word(&finding["action"]), word(&finding["pointer"]));
        let file = finding["file"]
            .as_str()
            .map_or(String::new(), |f| format!("{f} "));
        let line = finding["line"]
            .as_u64()
            .map_or(String::new(), |l| format!(", line {l}"));
        let _ = writeln!(
            text,
            "  {action} {file}{pointer}{line}: {}",
            word(&finding["message"])
        );
    }
}

/// A text of several lines.
fn lines(value: &Value) -> String {
    let lines = value.as_str().unwrap_or_default().lines();
    lines.map(on_one_line).collect::<Vec<_>>().join("\n")
}

/// A string without its quotes; anything else as JSON.
fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), |text| on_one_line(text).into_owned())
}

fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
