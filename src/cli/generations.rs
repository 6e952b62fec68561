//! `plugway history`, `diff` and `rollback`.

use std::fmt::Write as _;

use serde_json::Value;

use super::args::{Diff, Gateway, Rollback};
use super::output::Output;
use super::running::{change, each, lines, not_done, word};
use super::{Exit, client};
use crate::counted::counted;

/// Takes up a generation of before.
pub(super) fn roll_back(rollback: &Rollback, output: &mut Output) -> anyhow::Result<Exit> {
    let mut path = format!("/rollback?weaker={}", rollback.weaker);
    if let Some(generation) = rollback.generation {
        let _ = write!(path, "&generation={generation}");
    }
    change(&rollback.gateway, &path, rollback.if_match, output)
}

/// Lists the generations that are kept.
pub(super) fn history(gateway: &Gateway, output: &mut Output) -> anyhow::Result<Exit> {
    shown(gateway, "/history", output, (generations, |_| Exit::Done))
}

fn generations(history: &Value) -> String {
    let mut text = String::new();
    for generation in each(history) {
        describe(generation, &mut text);
    }
    if text.is_empty() {
        text.push_str("no generation is kept\n");
    }
    let mut holding = each(history).filter(|generation| generation["holds"] == true);
    if let Some(generation) = holding.next() {
        let (number, to) = (&generation["number"], &generation["rolled_back_to"]);
        let what = if number == to || to.is_null() {
            String::new()
        } else {
            format!(", what generation {to} was")
        };
        let _ = writeln!(
            text,
            "generation {number} serves{what}: files on disk count again when a change of them is accepted"
        );
    }
    text
}

fn describe(generation: &Value, text: &mut String) {
    let mark = if generation["serves"] == true {
        "*"
    } else {
        " "
    };
    let hash: String = word(&generation["hash"]).chars().take(12).collect();
    let by = generation["by"]
        .as_str()
        .map(|_| format!(" by {}", word(&generation["by"])));
    let back = generation["rolled_back_to"].as_u64();
    let back = match generation["cause"].as_str() {
        // Most often it is that very generation.
        Some("last-good") => Some(" (the files were refused)".to_owned()),
        Some("rollback") => back.map(|to| format!(" to {to}")),
        _ => back.map(|to| format!(" (what {to} was)")),
    };
    let plugins = generation["plugins"].as_object();
    let plugins: Vec<String> = plugins
        .into_iter()
        .flatten()
        .map(|(name, operations)| format!("{name} ({operations})"))
        .collect();
    let files = |list: &str, what: &str| {
        let files: Vec<String> = each(&generation[list]).map(word).collect();
        if files.is_empty() {
            return String::new();
        }
        format!("; {what}: {}", files.join(", "))
    };
    let held = files("held", "held back") + &files("waits", "waiting");
    let _ = writeln!(
        text,
        "{mark} {:>5}  {}  {hash}  {}{}{}: {}{held}",
        generation["number"].as_u64().unwrap_or_default(),
        word(&generation["at"]),
        word(&generation["cause"]),
        back.unwrap_or_default(),
        by.unwrap_or_default(),
        plugins.join(", "),
    );
}

/// Says what changes. Exit 0 whether something does or not.
pub(super) fn diff(diff: &Diff, output: &mut Output) -> anyhow::Result<Exit> {
    let (from, to) = match (&diff.from, &diff.to) {
        (None, _) => ("running", "disk"),
        (Some(from), None) => (from.as_str(), "running"),
        (Some(from), Some(to)) => (from.as_str(), to.as_str()),
    };
    let encode = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let path = format!("/diff?from={}&to={}", encode(from), encode(to));
    let verdict = if diff.exit_code {
        verdict_of
    } else {
        |_: &Value| Exit::Done
    };
    shown(&diff.gateway, &path, output, (differences, verdict))
}

/// What a script wants to know: whether the second is as good as the first, and the same.
fn verdict_of(diff: &Value) -> Exit {
    let parts = ["configuration", "files", "plugins"];
    if !diff["to_refused"].is_null() {
        Exit::Invalid
    } else if each(&diff["to_held"]).count() > 0 {
        Exit::Partly
    } else if parts.iter().any(|part| each(&diff[*part]).count() > 0) {
        Exit::Failed
    } else {
        Exit::Done
    }
}

fn differences(diff: &Value) -> String {
    let mut text = changes(diff);
    if text.is_empty() {
        text.push_str("nothing differs\n");
    }
    for (side, name, held) in [
        ("from", "from_refused", "from_held"),
        ("to", "to_refused", "to_held"),
    ] {
        refusals(&word(&diff[side]), &diff[name], &diff[held], &mut text);
    }
    let refused = if diff["to_refused"].is_null() {
        ""
    } else {
        ", which would be refused"
    };
    let (from, to) = (word(&diff["from_is"]), word(&diff["to_is"]));
    format!("from {from}\nto   {to}{refused}\n\n{text}")
}

/// What is not the same.
fn changes(diff: &Value) -> String {
    let mut text = String::new();
    for file in each(&diff["configuration"]) {
        text.push_str(&lines(&file["diff"]));
        text.push('\n');
    }
    for file in each(&diff["files"]) {
        let masked = if file["masked"] == true {
            " in a comment or in what may be a secret"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "file {} {}{masked}",
            word(&file["file"]),
            word(&file["change"])
        );
    }
    for plugin in each(&diff["plugins"]) {
        of_plugin(plugin, &mut text);
    }
    text
}

/// What would not serve of one side, and why.
fn refusals(side: &str, refused: &Value, held: &Value, text: &mut String) {
    let problems = |of: &Value| counted(each(&of["problems"]).count(), "problem", "problems");
    // What was compared with what serves, no check of files knows.
    let also = |of: &Value| match of["stage"].as_str() {
        Some("read" | "validate" | "compile") => " (see also `plugway check`)",
        _ => "",
    };
    if !refused.is_null() {
        let _ = writeln!(
            text,
            "{side} would be refused at {}, {}{}:",
            word(&refused["stage"]),
            problems(refused),
            also(refused)
        );
        text.push_str(&lines(&refused["text"]));
        text.push('\n');
    }
    for held in each(held) {
        let _ = writeln!(
            text,
            "{} would be refused at {}, {}{}: {} of it serves",
            word(&held["file"]),
            word(&held["stage"]),
            problems(held),
            also(held),
            word(&held["serves"])
        );
        text.push_str(&lines(&held["text"]));
        text.push('\n');
    }
}

/// What changes in a plugin.
fn of_plugin(plugin: &Value, text: &mut String) {
    let _ = write!(
        text,
        "plugin {} {}",
        word(&plugin["plugin"]),
        word(&plugin["change"])
    );
    if let Some([was, is]) = plugin["require"].as_array().map(Vec::as_slice) {
        let _ = write!(text, ", require {} -> {}", word(was), word(is));
    }
    text.push('\n');
    for operation in each(&plugin["operations"]) {
        let sign = match operation["change"].as_str() {
            Some("added") => '+',
            Some("removed") => '-',
            _ => '~',
        };
        let _ = writeln!(
            text,
            "  {sign} {} ({})",
            word(&operation["id"]),
            word(&operation["request"])
        );
    }
    for document in each(&plugin["documents"]) {
        let _ = writeln!(
            text,
            "  document {} {}",
            word(&document["file"]),
            word(&document["change"])
        );
    }
}

/// What an answer says to a person, and to a script.
type Reading = (fn(&Value) -> String, fn(&Value) -> Exit);

/// Asks, and shows the answer.
fn shown(
    gateway: &Gateway,
    path: &str,
    output: &mut Output,
    (describe, verdict): Reading,
) -> anyhow::Result<Exit> {
    let reply = client::send(&client::address(gateway)?, "GET", path, None)?;
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    if !reply.status.is_success() {
        return not_done(&reply, &answer, output);
    }
    if output.as_json {
        output.json(&answer)?;
    } else {
        output.text(&describe(&answer))?;
    }
    Ok(verdict(&answer))
}
