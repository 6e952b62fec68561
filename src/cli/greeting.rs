//! What is said when it has started: where it serves, what it was warned of, and what is refused.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::output::Output;
use super::running::{each, lines, waiting, word};
use crate::app::Started;
use crate::config::{ListenerKind, LogFormat};
use crate::control::Listening;
use crate::counted::counted;
use crate::log;
use crate::problems::{Problem, Problems};
use crate::tokens::without_tokens;

/// Logs a problem of the configuration with the place where it is, at the level that is named.
macro_rules! log_problem {
    ($level:ident, $problem:expr) => {{
        let problem: &Problem = $problem;
        let (line, column) = problem.at.position().unzip();
        let file = problem.at.file().map(|path| path.display().to_string());
        let help = problem.help.as_deref().map(without_tokens);
        tracing::$level!(
            key = problem.at.key,
            file,
            line,
            column,
            help = help.as_deref(),
            "{}",
            without_tokens(&problem.message)
        );
    }};
}

/// Says that it serves: a line for people or an object, and in a log of objects one on one line.
pub(super) fn say(started: &Started, output: &mut Output) -> anyhow::Result<()> {
    if started.format == LogFormat::Json {
        output.text(&format!("{}\n", as_log_line(started, Timestamp::now())))
    } else if output.as_json {
        output.json(&ready(started))
    } else {
        output.text(&ready_line(started))
    }
}

/// What else there is to say: for people, or as lines of the log where those are objects, since
/// whoever collects them reads nothing else. `warnings`: those of the configuration, if they are told.
pub(super) fn remark(started: &Started, warnings: Option<&Problems>, output: &mut Output) {
    if started.format == LogFormat::Json {
        log_remarks(started, warnings);
        return;
    }
    if let Some(pending) = &started.pending {
        output.remark(&standing_in(pending));
    }
    if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
        output.remark(warnings.render(Output::color()).trim_end());
    }
    for plugin in &started.plugins {
        if let Some(reason) = &plugin.unavailable {
            output.remark(&format!(
                "plugin {} waits for its document: {reason}; it is asked again",
                plugin.name
            ));
        }
    }
}

/// [`remark`] in the log.
fn log_remarks(started: &Started, warnings: Option<&Problems>) {
    if let Some(pending) = &started.pending {
        tracing::error!("{}", without_tokens(&standing_in(pending)));
    }
    for warning in warnings.into_iter().flatten() {
        log_problem!(warn, warning);
    }
    for plugin in &started.plugins {
        if let Some(reason) = &plugin.unavailable {
            let reason = &*without_tokens(reason);
            tracing::warn!(
                plugin = plugin.name,
                reason,
                "waits for its document; it is asked again"
            );
        }
    }
}

/// What stops a start.
pub(super) fn log_problems(problems: &Problems) {
    for problem in problems {
        log_problem!(error, problem);
    }
    log::flush();
}

/// The same of what is no fault of a configuration.
pub(super) fn log_error(error: &anyhow::Error) {
    tracing::error!("{}", without_tokens(&format!("{error:#}")));
    log::flush();
}

/// [`ready`] as the first line of a log, beside access lines.
fn as_log_line(started: &Started, now: Timestamp) -> Value {
    let mut object = ready(started);
    object["time"] = format!("{now:.3}").into();
    object["message"] = state(started).into();
    object
}

/// What is refused, and what serves in its place.
fn standing_in(pending: &Value) -> String {
    let mut text = lines(&pending["text"]);
    if let Some(to) = pending["rolled_back_to"].as_u64() {
        let _ = write!(
            text,
            "\nTHE CONFIGURATION IS REFUSED: what generation {to} was serves, until the files are mended"
        );
    }
    for wait in each(&pending["waiting"]) {
        let _ = write!(text, "\n{}", waiting(wait));
    }
    for held in each(&pending["held"]) {
        let (file, serves) = (word(&held["file"]), word(&held["serves"]));
        let _ = write!(text, "\n{file} IS REFUSED: {serves} of it serves");
    }
    text.trim_start().to_owned()
}

/// The one line that says that it serves, and where.
fn ready_line(started: &Started) -> String {
    let nothing = started.plugins.is_empty();
    let mut line = format!("{}:", state(started));
    let shown = |listener: &&Listening| listener.kind != ListenerKind::Admin;
    for listener in started.listeners.iter().filter(shown) {
        let scheme = if listener.kind == ListenerKind::Https {
            "https"
        } else {
            "http"
        };
        let what = if listener.kind == ListenerKind::Metrics {
            "/metrics"
        } else {
            ""
        };
        let _ = write!(line, " {scheme}://{}{what}", listener.address);
    }
    let plugins: Vec<String> = started
        .plugins
        .iter()
        .map(|plugin| match plugin.unavailable {
            None => format!(
                "{} ({})",
                plugin.name,
                counted(plugin.operations, "operation", "operations")
            ),
            Some(_) => format!("{} (waiting for its OpenAPI document)", plugin.name),
        })
        .collect();
    let _ = writeln!(
        line,
        " · {} · admin unix:{}{}",
        if nothing {
            "there is no plugin, nothing is served".to_owned()
        } else {
            plugins.join(", ")
        },
        started.admin.display(),
        further_admin(&started.listeners)
    );
    line
}

/// The addresses of the admin API beside its socket, as `--admin` takes them.
fn further_admin(listeners: &[Listening]) -> String {
    let addresses = listeners
        .iter()
        .filter(|listener| listener.kind == ListenerKind::Admin);
    let shown = addresses.map(|listener| {
        let address = listener.address;
        let scheme = if address.ip().is_loopback() {
            "http"
        } else {
            "https"
        };
        format!(", {scheme}://{address}")
    });
    shown.collect()
}

/// Whether it is ready, as the first words.
fn state(started: &Started) -> &'static str {
    let mut plugins = started.plugins.iter();
    let waits = plugins.any(|plugin| plugin.unavailable.is_some());
    match (started.plugins.is_empty(), waits) {
        (true, _) => "plugway is not ready",
        (false, true) => "plugway has started and is not ready yet",
        (false, false) => "plugway is ready",
    }
}

/// The same as an object.
fn ready(started: &Started) -> Value {
    json!({
        "ready": !started.plugins.is_empty() && started.plugins.iter().all(|plugin| plugin.unavailable.is_none()),
        "listeners": started.listeners.iter().map(|listener| json!({
            "kind": listener.kind.name(), "address": listener.address.to_string(),
        })).collect::<Vec<_>>(),
        "plugins": started.plugins.iter().map(|plugin| json!({
            "name": plugin.name,
            "public_url": plugin.public_url,
            "operations": plugin.operations,
            "unavailable": plugin.unavailable,
        })).collect::<Vec<_>>(),
        "admin": format!("unix:{}", started.admin.display()),
    })
}
