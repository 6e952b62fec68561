//! Commands that speak to a running gateway.

use std::fmt::Write as _;

use serde_json::Value;

use super::args::{Gateway, Reload};
use super::output::{Output, on_one_line};
use super::{Exit, client, exit_of};
use crate::counted::counted;

/// `plugway reload`: returns when the new generation serves, or has been refused.
pub(super) fn reload(reload: &Reload, output: &mut Output) -> anyhow::Result<Exit> {
    let path = format!("/reload?weaker={}", reload.weaker);
    change(&reload.gateway, &path, reload.if_match, output)
}

/// Asks for another generation, and says what became of it.
pub(super) fn change(
    gateway: &Gateway,
    path: &str,
    if_match: Option<u64>,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    let address = client::address(gateway)?;
    let reply = client::send_if(&address, ("POST", path), None, if_match)?;
    let outcome: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if !reply.status.is_success() {
        return not_done(&reply, &outcome, output);
    }
    let result = outcome["result"].as_str().unwrap_or_default().to_owned();
    if output.as_json {
        output.json(&outcome)?;
    } else {
        say(&result, &outcome, output)?;
    }
    let held = each(&outcome["held"]).count() > 0;
    let stage = outcome["stage"].as_str();
    let stage = stage.or(outcome["pending_rejected"]["stage"].as_str());
    Ok(match (result.as_str(), stage) {
        (_, Some("read" | "validate" | "compile")) => Exit::Invalid,
        ("published" | "unchanged", None) if held => Exit::Partly,
        ("published" | "unchanged", None) => Exit::Done,
        _ => Exit::Failed,
    })
}

/// What is said where not even secrets are taken as they are on disk.
const HELD: &str = "until it is mended secrets, certificates and token files are not taken either: what was taken out of them still opens";

/// An outcome for a person.
fn say(result: &str, outcome: &Value, output: &mut Output) -> anyhow::Result<()> {
    let generation = &outcome["generation"];
    let back = outcome["rolled_back_to"].as_u64();
    match (result, back) {
        ("published", Some(to)) => output.text(&format!(
            "generation {generation} serves: what generation {to} was, until a change of files is accepted\n"
        ))?,
        ("published", None) => output.text(&format!("generation {generation} serves\n"))?,
        ("unchanged", Some(to)) => output.text(&format!(
            "nothing changed; generation {generation} serves, what generation {to} was: files on disk count again when a change of them is accepted (or `plugway rollback GENERATION`)\n"
        ))?,
        // Of a file that is held below something else is on disk.
        ("unchanged", None) if each(&outcome["held"]).count() > 0 => output.text(&format!(
            "nothing changed; generation {generation} goes on serving\n"
        ))?,
        ("unchanged", None) => output.text(&format!(
            "generation {generation} serves what is on disk already\n"
        ))?,
        _ => {
            output.remark(outcome["text"].as_str().unwrap_or_default().trim_end());
            let stage = outcome["stage"].as_str().unwrap_or_default();
            let back = back.map_or(String::new(), |to| {
                format!(", what generation {to} was: the rollback holds")
            });
            output.remark(&format!(
                "refused at {stage}; generation {generation} goes on serving{back}"
            ));
            if outcome["secrets_held"] == true {
                output.remark(HELD);
            }
        }
    }
    shortfalls(outcome, output);
    if let Some(warning) = outcome["warnings"].as_str() {
        output.remark(warning.trim_end());
    }
    if let Some(count) = outcome["warnings_as_before"].as_u64().filter(|n| *n > 0) {
        let warnings = counted(count, "warning", "warnings");
        output.remark(&format!(
            "{warnings} as before: `plugway status` shows them"
        ));
    }
    Ok(())
}

/// What does not serve as it is meant to, and who is shut out now.
fn shortfalls(outcome: &Value, output: &mut Output) {
    for held in each(&outcome["held"]) {
        output.remark(lines(&held["text"]).trim_end());
        output.remark(&format!(
            "{} is refused at {}: {} of it serves",
            word(&held["file"]),
            word(&held["stage"]),
            word(&held["serves"])
        ));
    }
    if let Some(count) = outcome["tokens_ended"].as_u64().filter(|n| *n > 0) {
        output.remark(&ended(count, &outcome["tokens_ended_ids"]));
    }
    for (key, what) in [
        ("last_good_copies", "renewed, its last good copy serves"),
        ("documents_missing", "had, it answers 503 until it can"),
    ] {
        for (plugin, error) in outcome[key].as_object().into_iter().flatten() {
            output.remark(&format!(
                "the OpenAPI document of `{}` can not be {what}: {}",
                on_one_line(plugin),
                word(error)
            ));
        }
    }
    if let Some(refused) = outcome["pending_rejected"].as_object() {
        output.remark(lines(&refused["text"]).trim_end());
        output.remark(&format!(
            "what lies on disk is refused at {}",
            word(&refused["stage"])
        ));
    }
}

/// That so many declared tokens are no longer declared, and which of them are named.
fn ended(count: u64, ids: &Value) -> String {
    let ids: Vec<&str> = each(ids).filter_map(Value::as_str).collect();
    let rest = count.saturating_sub(ids.len() as u64);
    let rest = if rest > 0 {
        format!(" and {rest} more")
    } else {
        String::new()
    };
    format!(
        "{} ended, since no file declares it any more: {}{rest}",
        counted(count, "token", "tokens"),
        ids.join(", ")
    )
}

/// A gateway said no.
pub(super) fn not_done(
    reply: &client::Reply,
    problem: &Value,
    output: &mut Output,
) -> anyhow::Result<Exit> {
    if output.as_json {
        output.json(problem)?;
    } else {
        let detail = problem["detail"].as_str().unwrap_or("no reason is given");
        output.remark(&format!("plugway: {detail}"));
    }
    Ok(match reply.status.as_u16() {
        400 => Exit::Usage,
        409 | 412 => Exit::Conflict,
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
    let waits = each(&status["waiting"]).next().is_some();
    Ok(if status["pending_rejected"].is_null() && !waits {
        Exit::Done
    } else {
        Exit::Partly
    })
}

/// `plugway health`
pub(super) fn health(gateway: &Gateway, output: &mut Output) -> anyhow::Result<Exit> {
    let address = match client::address(gateway) {
        Ok(address) => address,
        // Whoever asks in a loop, as Docker does, knows ready and not ready.
        Err(error) if exit_of(&error) == Exit::Invalid => {
            output.error(&error);
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(error),
    };
    let status = client::ask(&address, "GET", "/status")?;
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
    let since = word(&status["ready_since"]);
    let _ = writeln!(
        text,
        "plugway {version}, process {} since {started}, {state} since {since}",
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
    let _ = writeln!(
        text,
        "  at most  {} connections of clients, {} of one network, {} to upstreams ({} open)",
        status["connections_limit"],
        status["connections_per_network_limit"],
        status["upstream_connections_limit"],
        status["upstream_connections"],
    );
    for plugin in each(&status["plugins"]) {
        describe_plugin(plugin, &mut text);
    }
    describe_faults(status, &mut text);
    text
}

/// What is wrong, or not as it is on disk.
fn describe_faults(status: &Value, text: &mut String) {
    for warning in each(&status["warnings"]) {
        let _ = writeln!(
            text,
            "warning: {}: {}",
            word(&warning["key"]),
            word(&warning["message"])
        );
    }
    if let Some(to) = status["rolled_back_to"].as_u64() {
        let until = if status["pending_rejected"].is_null() {
            ", until a change of files on disk is accepted"
        } else {
            "; the files on disk are refused, see below: it goes on until a change of them is accepted"
        };
        let _ = writeln!(text, "what generation {to} was serves{until}");
    }
    for error in ["state_error", "clock_error"] {
        if status[error].is_string() {
            let _ = writeln!(text, "{}", word(&status[error]));
        }
    }
    for file in each(&status["token_files"]) {
        let (url, state) = (word(&file["url"]), word(&file["state"]));
        let age = file["age_seconds"].as_u64();
        let age = age.map_or(String::new(), |age| format!(", confirmed {age} s ago"));
        let error = file["error"].as_str();
        let error = error.map_or(String::new(), |error| format!(": {}", on_one_line(error)));
        let _ = writeln!(text, "token file {url}: {state}{age}{error}");
    }
    for wait in each(&status["waiting"]) {
        let _ = writeln!(text, "{}", waiting(wait));
    }
    for held in each(&status["held"]) {
        let (file, serves) = (word(&held["file"]), word(&held["serves"]));
        let _ = writeln!(text, "{file} is refused: {serves} of it serves");
    }
    if let Some(refused) = status["pending_rejected"].as_object() {
        let (since, stage) = (word(&refused["since"]), word(&refused["stage"]));
        let _ = writeln!(
            text,
            "refused since {since} at {stage}:\n{}",
            lines(&refused["text"])
        );
        if status["secrets_held"] == true {
            let _ = writeln!(text, "{HELD}");
        }
    }
}

/// What is on disk and does not serve yet.
pub(super) fn waiting(wait: &Value) -> String {
    let what = word(&wait["for"]);
    let what = wait["plugin"].as_str().map_or_else(
        || format!("for {what}"),
        |plugin| format!("for {what} (plugin {plugin})"),
    );
    let file = wait["file"].as_str().unwrap_or("the change");
    format!("{file} waits since {}: {what}", word(&wait["since"]))
}

/// What is said of a URL of which nothing is known.
const IN_USE: &str = "in use";

/// What is known of one URL of an upstream.
fn health_of(upstream: &Value) -> String {
    let mut known = Vec::new();
    match upstream["healthy"].as_bool() {
        Some(true) => known.push("healthy".to_owned()),
        Some(false) => known.push("unhealthy".to_owned()),
        None => {}
    }
    match upstream["failures"].as_u64().unwrap_or_default() {
        0 => {}
        1 => known.push("failed once".to_owned()),
        failures => known.push(format!("failed {failures} times in a row")),
    }
    if let Some(left) = upstream["ejected_for"].as_f64() {
        known.push(format!("left out for another {left:.1} s"));
    }
    if known.is_empty() {
        IN_USE.to_owned()
    } else {
        known.join(", ")
    }
}

fn describe_plugin(plugin: &Value, text: &mut String) {
    let (name, require) = (word(&plugin["name"]), word(&plugin["require"]));
    let count = plugin["operations"].as_u64().unwrap_or_default();
    let operations = counted(count, "operation", "operations");
    let upstreams: Vec<&Value> = each(&plugin["upstreams"]).collect();
    let upstream = match upstreams.as_slice() {
        [one] => format!("upstream {}", word(&one["url"])),
        several => format!("{} upstreams", several.len()),
    };
    let _ = writeln!(
        text,
        "plugin {name}: {operations}, require = {require}, {upstream}"
    );
    for upstream in &upstreams {
        let state = health_of(upstream);
        if upstreams.len() > 1 || state != IN_USE {
            let _ = writeln!(text, "  upstream {}: {state}", word(&upstream["url"]));
        }
    }
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
pub(super) fn lines(value: &Value) -> String {
    let lines = value.as_str().unwrap_or_default().lines();
    lines.map(on_one_line).collect::<Vec<_>>().join("\n")
}

/// A string without its quotes; anything else as JSON.
pub(super) fn word(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), |text| on_one_line(text).into_owned())
}

pub(super) fn each(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
