//! `plugway serve`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::{Invalid, Serve};
use super::output::Output;
use super::running::{each, lines, waiting, word};
use super::{Exit, dev};
use crate::app::{self, Start, StartError, Started};
use crate::config::ListenerKind;
use crate::control::Listening;
use crate::control::{OnInvalid, Source};

pub(super) fn run(serve: &Serve, output: &mut Output) -> anyhow::Result<Exit> {
    let source = match &serve.upstream {
        None => Source::File(serve.config.clone()),
        Some(upstream) => from_arguments(serve, upstream)?,
    };
    let on_invalid = match serve.on_invalid {
        None => OnInvalid::Alone,
        Some(Invalid::Fail) => OnInvalid::Fail,
        Some(Invalid::LastGood) => OnInvalid::LastGood,
    };
    let how = Start {
        source,
        on_invalid,
        take_over: serve.take_over,
    };
    start(how, true, output, |started, output| {
        if output.as_json {
            output.json(&ready(started))
        } else {
            output.text(&ready_line(started))
        }
    })
}

/// Runs until a signal; prints what stops the start, and warnings if `warn`.
pub(super) fn start(
    how: Start,
    warn: bool,
    output: &mut Output,
    announce: impl FnOnce(&Started, &mut Output) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let result = app::run(how, |started| {
        if let Some(pending) = &started.pending {
            output.remark(&standing_in(pending));
        }
        if warn && !started.warnings.is_empty() {
            output.remark(started.warnings.render(Output::color()).trim_end());
        }
        for plugin in &started.plugins {
            if let Some(reason) = &plugin.unavailable {
                output.remark(&format!(
                    "plugin {} waits for its document: {reason}; it is asked again",
                    plugin.name
                ));
            }
        }
        // Whoever started us does not read: not a reason to end.
        let _ = announce(started, output);
    });
    match result {
        Ok(()) => Ok(Exit::Done),
        Err(StartError::Other(error)) => Err(error),
        Err(StartError::Configuration(problems)) => {
            if output.as_json {
                output.json(&json!({ "error": "the configuration is refused", "problems": problems.stopping().to_json() }))?;
            } else {
                output.remark(problems.stopping().render(Output::color()).trim_end());
            }
            Ok(Exit::Invalid)
        }
    }
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
    let mut line = "plugway is ready:".to_owned();
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
            None => format!("{} ({} operations)", plugin.name, plugin.operations),
            Some(_) => format!("{} (waiting for its OpenAPI document)", plugin.name),
        })
        .collect();
    let _ = writeln!(
        line,
        " · {} · admin unix:{}",
        plugins.join(", "),
        started.admin.display()
    );
    line
}

/// The same as an object.
fn ready(started: &Started) -> Value {
    json!({
        "ready": started.plugins.iter().all(|plugin| plugin.unavailable.is_none()),
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

/// The configuration that the arguments amount to.
fn from_arguments(serve: &Serve, upstream: &str) -> anyhow::Result<Source> {
    let require = serve.require.map_or("service", super::args::Level::word);
    let openapi = match &serve.openapi {
        Some(openapi) => dev::source(openapi),
        None => dev::probe(upstream)?,
    };
    let mut text = String::new();
    let http = serve.http.clone().or_else(|| {
        std::env::var("PORT")
            .ok()
            .map(|port| format!("0.0.0.0:{port}"))
    });
    let _ = writeln!(text, "[listen]");
    match (&http, &serve.https) {
        (None, None) => text.push_str("http = \"127.0.0.1:8080\"\n"),
        (http, https) => {
            for (key, address) in [("http", http), ("https", https)] {
                if let Some(address) = address {
                    let _ = writeln!(text, "{key} = {}", quoted(address));
                }
            }
        }
    }
    if serve.https.is_some() {
        text.push_str("[tls]\ncertificate = \"certs/server.pem\"\nkey = \"certs/server.key\"\n");
    }
    let _ = write!(
        text,
        "[plugins.api]\n[plugins.api.upstream]\nurl = {}\n[plugins.api.openapi]\nsource = {}\n[plugins.api.auth]\nrequire = {}\n",
        quoted(upstream),
        quoted(&openapi),
        quoted(require),
    );
    text.push_str(&declared_from_environment(if require == "user" {
        "user"
    } else {
        "service"
    }));
    Ok(Source::Text {
        name: "<command line>".into(),
        text,
        dev: false,
    })
}

/// Without a file, a token comes from the environment: by hash.
fn declared_from_environment(level: &str) -> String {
    match std::env::var("PLUGWAY_TOKEN_SHA256") {
        Ok(hash) => format!(
            "[tokens.environment]\nlevel = \"{level}\"\nplugins = [\"*\"]\nscopes = [\"*\"]\nsha256 = {}\n",
            quoted(&hash)
        ),
        Err(_) => String::new(),
    }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    // What JSON escapes, TOML's basic strings escape in the same way.
    Value::from(text).to_string()
}
