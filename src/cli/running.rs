//! Commands that speak to a running gateway.

use std::fmt::Write as _;

use serde_json::Value;

use super::args::{Gateway, Reload};
use super::output::Output;
use super::{Exit, client};

/// `plugway reload`: returns when the new generation serves, or has been refused.
pub(super) fn reload(reload: &Reload, output: &mut Output) -> anyhow::Result<Exit> {
    let socket = client::socket(&reload.gateway)?;
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
    let status = client::ask(&client::socket(gateway)?, "GET", "/status")?;
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
    let status = client::ask(&client::socket(gateway)?, "GET", "/status")?;
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
    let word = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let _ = writeln!(
        text,
        "plugway {}, process {}, {} since {}",
        word(&status["version"]),
        status["pid"],
        if status["ready"] == true {
            "ready"
        } else {
            "not ready"
        },
        word(&status["started"]),
    );
    let generation = &status["generation"];
    let _ = writeln!(
        text,
        "generation {} ({}) since {}, from {}",
        generation["number"],
        word(&generation["hash"])
            .chars()
            .take(12)
            .collect::<String>(),
        word(&generation["since"]),
        word(&status["config"]),
    );
    for listener in status["listeners"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "  {:<8} {}, {} open",
            word(&listener["kind"]),
            word(&listener["address"]),
            listener["connections"]
        );
    }
    for plugin in status["plugins"].as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "plugin {}: {} operations, require = {}, upstream {}",
            word(&plugin["name"]),
            plugin["operations"],
            word(&plugin["require"]),
            word(&plugin["upstream"]),
        );
        let document = &plugin["document"];
        let _ = writeln!(
            text,
            "  document {} ({})",
            word(&document["source"]),
            word(&document["state"])
        );
        if let Some(error) = document["error"].as_str() {
            let _ = writeln!(text, "  {error}");
        }
        for finding in plugin["report"].as_array().into_iter().flatten() {
            let _ = writeln!(
                text,
                "  {} {}: {}",
                word(&finding["action"]),
                word(&finding["pointer"]),
                word(&finding["message"])
            );
        }
    }
    if let Some(refused) = status["pending_rejected"].as_object() {
        let _ = writeln!(
            text,
            "refused since {} at {}:",
            word(&refused["since"]),
            word(&refused["stage"])
        );
        let _ = writeln!(text, "{}", word(&refused["text"]));
    }
    text
}
