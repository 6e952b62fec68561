//! `plugway dev`: a working plugin on localhost, without any file.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, anyhow};
use jiff::Timestamp;
use serde_json::json;

use super::args::{Dev, Level};
use super::client::{self, Address};
use super::output::Output;
use super::serve::{self, leads_back, quoted};
use super::{Exit, discover, misuse, program, understood};
use crate::app::{Start, Started};
use crate::config::{self, ListenerKind};
use crate::control::devcerts::{self, DevTokens};
use crate::control::{OnInvalid, Source};
use crate::counted::counted;
use crate::tokens::{self, Fingerprint};
use crate::{server, todo};

/// Where certificates and tokens are kept.
const CERTS: &str = "certs";
/// Where its state is.
const STATE: &str = "state/dev";

pub(super) fn run(dev: &Dev, output: &mut Output) -> anyhow::Result<Exit> {
    makes_sense(dev)?;
    if let Some((error, exit)) = in_the_way(dev) {
        output.error(&error);
        return Ok(exit);
    }
    let builtin = dev.upstream.is_none();
    let (upstream, openapi) = match (&dev.upstream, &dev.openapi) {
        (None, _) => (start_todo()?, "/openapi.json".to_owned()),
        (Some(upstream), Some(openapi)) => (upstream.clone(), source(openapi)),
        (Some(upstream), None) => (
            upstream.clone(),
            discover::now_or_later(upstream, &dev.program)?,
        ),
    };
    let certs = devcerts::ensure(Path::new(CERTS), &[] as &[&str], Timestamp::now())?;
    let tokens = dev_tokens()?;
    for warning in certs.warnings.iter().chain(&tokens.warnings) {
        output.remark(&format!("plugway: {warning}"));
    }
    let text = configuration(
        dev,
        if builtin { "todo" } else { "api" },
        &upstream,
        &openapi,
        &tokens,
    );
    if let Some(path) = &dev.write_config {
        return write_config(path, &text, (builtin, dev.auth), output);
    }
    let search = dev.openapi.is_none().then(|| {
        let (dev, tokens, url) = (dev.clone(), tokens.clone(), upstream.clone());
        discover::search(upstream.clone(), move |found| {
            source_of(configuration(&dev, "api", &url, found, &tokens))
        })
    });
    let program = program::in_front(&dev.program, search);
    let source = source_of(text);
    // The built-in API is not the reader's to mend.
    serve::start(
        Start {
            source,
            on_invalid: OnInvalid::Alone,
            weaker: false,
            take_over: false,
            program,
        },
        !builtin,
        output,
        |started, output| {
            if output.as_json {
                output.json(&as_json(dev, started, &tokens))
            } else {
                output.text(&welcome(dev, started, &tokens))
            }
        },
    )
}

/// Whether the options can be meant so.
fn makes_sense(dev: &Dev) -> anyhow::Result<()> {
    if dev.auth == Level::None {
        only_loopback(dev)?;
    }
    let addresses = [("--http", Some(&dev.http)), ("--https", Some(&dev.https))];
    understood(&addresses, config::is_address)?;
    // The built-in API has its own document.
    if dev.openapi.is_some() && dev.upstream.is_none() {
        return Err(misuse(
            "--openapi describes an API of yours: add --upstream URL",
        ));
    }
    dev.upstream
        .as_deref()
        .map_or(Ok(()), discover::is_upstream)
}

/// Why it can not start here, or not so.
fn in_the_way(dev: &Dev) -> Option<(anyhow::Error, Exit)> {
    let other = || dev.write_config.is_none().then(runs_here).flatten();
    if let Some(pid) = other() {
        return Some((beside(pid), Exit::Conflict));
    }
    let own = [dev.http.as_str(), &dev.https].into_iter();
    let error = leads_back(dev.upstream.as_deref().unwrap_or_default(), own)?;
    Some((error, Exit::Usage))
}

/// The process that has the state of this folder.
fn runs_here() -> Option<u64> {
    let address = Address::unix(Path::new(STATE).join("admin.sock"));
    let status = client::ask(&address, "GET", "/status").ok()?;
    status["pid"].as_u64()
}

/// What is said beside another one.
fn beside(pid: u64) -> anyhow::Error {
    anyhow!(
        "a `plugway dev` runs in this folder already (process {pid}): end it (Ctrl-C there, or `kill {pid}`), or start this one in another folder, with --http and --https addresses of its own"
    )
}

fn source_of(text: String) -> Source {
    Source::Text {
        name: "plugway dev".into(),
        text,
        dev: true,
    }
}

/// The two tokens of `dev`, kept or made.
fn dev_tokens() -> anyhow::Result<DevTokens> {
    let fresh =
        |level| tokens::generate_from_system(level).context("the system gives no randomness");
    let (service, user) = (fresh(tokens::Level::Service)?, fresh(tokens::Level::User)?);
    let make = |level| {
        if level == tokens::Level::User {
            user.expose().to_owned()
        } else {
            service.expose().to_owned()
        }
    };
    let valid = |level, text: &str| tokens::parse(text).is_ok_and(|parsed| parsed.level == level);
    Ok(devcerts::ensure_tokens(Path::new(CERTS), make, valid)?)
}

/// What `--openapi` names, as `openapi.source` is written: a file that is there is that file,
/// also when its path begins with a slash.
pub(super) fn source(openapi: &str) -> String {
    if openapi.starts_with('/') && Path::new(openapi).is_file() {
        format!("file:{openapi}")
    } else {
        openapi.to_owned()
    }
}

/// A plugin without authentication is for this machine alone.
fn only_loopback(dev: &Dev) -> anyhow::Result<()> {
    for address in [&dev.http, &dev.https] {
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host)
            .trim_matches(['[', ']']);
        let loopback = host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if !loopback {
            return Err(misuse(format!(
                "--auth none lets anyone in who reaches {address}: it is for loopback addresses only; give --auth service, user or any"
            )));
        }
    }
    Ok(())
}

/// Starts the built-in API on a thread of its own and gives its URL.
fn start_todo() -> anyhow::Result<String> {
    let bound = server::bind(
        ListenerKind::Http,
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        &[],
    )?;
    let url = format!("http://{}", bound.address);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("todo".into())
        .spawn(move || {
            runtime.block_on(async {
                match tokio::net::TcpListener::from_std(bound.socket) {
                    Ok(listener) => todo::serve(listener, std::future::pending()).await,
                    Err(error) => tracing::error!(%error, "the built-in API"),
                }
            });
        })?;
    Ok(url)
}

/// The configuration that the arguments amount to.
fn configuration(
    dev: &Dev,
    plugin: &str,
    upstream: &str,
    openapi: &str,
    tokens: &DevTokens,
) -> String {
    let hash = |token: &str| Fingerprint::of(token.as_bytes()).to_hex();
    let mut text = String::new();
    let _ = write!(
        text,
        r#"[listen]
http  = {http}
https = {https}

[tls]
certificate = "{CERTS}/server.pem"
key         = "{CERTS}/server.key"

[state]
directory = "{STATE}"

[limits]
drain = "3s"

[plugins.{plugin}]

[plugins.{plugin}.upstream]
url = {upstream}

[plugins.{plugin}.openapi]
source = {openapi}

[plugins.{plugin}.auth]
require = "{require}"

[plugins.{plugin}.cors]
origins = ["https://chatgpt.com", "https://chat.openai.com"]
"#,
        http = quoted(&dev.http),
        https = quoted(&dev.https),
        upstream = quoted(upstream),
        openapi = quoted(openapi),
        require = dev.auth.word(),
    );
    if dev.auth != Level::None {
        for (level, token) in [("service", &tokens.service), ("user", &tokens.user)] {
            let _ = write!(
                text,
                r#"
[tokens.dev-{level}]
level   = "{level}"
plugins = ["{plugin}"]
scopes  = ["*"]
sha256  = "{hash}"
"#,
                hash = hash(token),
            );
        }
    }
    text
}

fn write_config(
    path: &Path,
    text: &str,
    (builtin, auth): (bool, Level),
    output: &mut Output,
) -> anyhow::Result<Exit> {
    use std::io::Write;
    if builtin {
        return Err(misuse(
            "the built-in API runs only within `plugway dev`, and no file can name it: add --upstream URL, with the address of your API",
        ));
    }
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} can not be made", folder.display()))?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| {
            format!(
                "{} can not be written (it is never overwritten)",
                path.display()
            )
        })?;
    file.write_all(text.as_bytes())?;
    let secrets = match auth {
        Level::None => String::new(),
        _ => format!("The secrets of its tokens are in {CERTS}/dev-tokens.json.\n"),
    };
    output.text(&format!(
        "wrote {0}; serve it with: plugway serve --config {0}\n{secrets}",
        path.display()
    ))?;
    Ok(Exit::Done)
}

/// The addresses as a person types them.
fn addresses(dev: &Dev, started: &Started) -> (String, String) {
    let of = |kind, configured: &str| {
        let real = started
            .listeners
            .iter()
            .find(|listener| listener.kind == kind)
            .map(|listener| listener.address);
        let host = configured
            .rsplit_once(':')
            .map_or("localhost", |(host, _)| host);
        let scheme = if kind == ListenerKind::Https {
            "https"
        } else {
            "http"
        };
        format!(
            "{scheme}://{host}:{}",
            real.map_or(0, |address| address.port())
        )
    };
    (
        of(ListenerKind::Http, &dev.http),
        of(ListenerKind::Https, &dev.https),
    )
}

/// A `curl` line that works when pasted.
fn curl(dev: &Dev, started: &Started, tokens: &DevTokens) -> String {
    let (_, https) = addresses(dev, started);
    let path = started
        .plugins
        .first()
        .and_then(|plugin| plugin.example.clone())
        .unwrap_or_else(|| "/".into());
    let token = match dev.auth {
        Level::None => String::new(),
        Level::User => format!(" -H 'Authorization: Bearer {}'", tokens.user),
        Level::Service | Level::Any => format!(" -H 'Authorization: Bearer {}'", tokens.service),
    };
    format!("curl --cacert {CERTS}/ca.pem{token} '{https}{path}'")
}

/// What a person sees.
fn welcome(dev: &Dev, started: &Started, tokens: &DevTokens) -> String {
    let (http, https) = addresses(dev, started);
    let mut text = String::new();
    let Some(plugin) = started.plugins.first() else {
        return text;
    };
    let _ = writeln!(
        text,
        "{}: {} published{}, require = {}",
        plugin.title,
        counted(plugin.operations, "operation", "operations"),
        plugin.report,
        dev.auth.word()
    );
    if !plugin.report.is_empty() {
        let admin = started.admin.display();
        let _ = writeln!(text, "  what and why: plugway status --admin unix:{admin}");
    }
    text.push('\n');
    if let Some(reason) = &plugin.unavailable {
        let _ = writeln!(text, "  waiting     {reason}; it is asked again\n");
    }
    let _ = writeln!(text, "  plugin      {http}   {https}");
    let _ = writeln!(text, "  manifest    {http}/.well-known/ai-plugin.json");
    let _ = writeln!(text, "  openapi     {http}/openapi.json");
    if dev.auth != Level::None {
        if dev.auth != Level::User {
            let _ = writeln!(text, "  service     {}", tokens.service);
        }
        if dev.auth != Level::Service {
            let _ = writeln!(text, "  user        {}", tokens.user);
        }
    }
    let _ = writeln!(
        text,
        "\nTry it:\n\n  {}\n\nCtrl-C ends it.",
        curl(dev, started, tokens)
    );
    text
}

fn as_json(dev: &Dev, started: &Started, tokens: &DevTokens) -> serde_json::Value {
    let (http, https) = addresses(dev, started);
    json!({
        "http": http,
        "https": https,
        "manifest": format!("{http}/.well-known/ai-plugin.json"),
        "openapi": format!("{http}/openapi.json"),
        "ca": format!("{CERTS}/ca.pem"),
        "service_token": (dev.auth != Level::None).then_some(&tokens.service),
        "user_token": (dev.auth != Level::None).then_some(&tokens.user),
        "curl": curl(dev, started, tokens),
        "listeners": started.listeners.iter().map(|listener| json!({
            "kind": listener.kind.name(), "address": listener.address.to_string(),
        })).collect::<Vec<_>>(),
        "admin": format!("unix:{}", started.admin.display()),
    })
}
