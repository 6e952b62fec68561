//! `plugway serve`.

use std::fmt::Write as _;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::args::{Invalid, Serve};
use super::options::Made;
use super::output::Output;
use super::{Exit, dev, discover, exit_of, greeting, misuse, program, understood};
use crate::app::{self, Search, Start, StartError, Started};
use crate::config;
use crate::control::{OnInvalid, Source};
use crate::log;
use crate::snapshot;

pub(super) fn run(serve: &Serve, output: &mut Output) -> anyhow::Result<Exit> {
    if serve.take_over && !serve.program.is_empty() {
        return Err(misuse(
            "--take-over can not be used with a program: the one of the running gateway can not be handed over",
        ));
    }
    // An image whose entrypoint ends so, and whose command was forgotten.
    if serve.program.is_empty()
        && std::env::args_os()
            .next_back()
            .is_some_and(|last| last == "--")
    {
        return Err(misuse(
            "there is no program behind `--`: name the one that the gateway is in front of",
        ));
    }
    goes_with_upstream(serve)?;
    let upstream = serve.upstream.as_deref().unwrap_or_default();
    let from = Environment::read();
    let addresses = [
        ("--http", serve.http.as_ref()),
        ("--https", serve.https.as_ref()),
    ];
    understood(&addresses, config::is_address)?;
    understood(&[("--drain", serve.drain.as_ref())], config::is_duration)?;
    serve
        .upstream
        .as_deref()
        .map_or(Ok(()), discover::is_upstream)?;
    let url = [("--public-url", serve.public_url.as_ref())];
    understood(&url, config::is_public_url)?;
    if let Some(hashes) = from.hashes.as_ref().filter(|_| serve.upstream.is_some()) {
        // Before anybody is asked for a document.
        declared("service", hashes)?;
    }
    if serve.upstream.is_some() && serve.http.is_none() {
        understood(&[("$PORT", from.port.as_ref())], is_port)?;
    }
    let plain = plain_address(serve, &from);
    let own = [&plain, &serve.https].into_iter().flatten();
    if let Some(error) = leads_back(upstream, own.map(String::as_str)) {
        output.error(&error);
        return Ok(Exit::Usage);
    }
    let (source, search) = match &serve.upstream {
        None => (Source::File(serve.config.clone()), None),
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
        weaker: serve.weaker,
        take_over: serve.take_over,
        program: program::in_front(&serve.program, search),
    };
    start(how, true, output, |started, output| {
        greeting::say(started, output)
    })
}

/// What says something of an API without a file goes with none.
fn goes_with_upstream(serve: &Serve) -> anyhow::Result<()> {
    let options = [
        ("--require", serve.require.is_some(), "auth.require"),
        ("--openapi", serve.openapi.is_some(), "openapi.source"),
        ("--public-url", serve.public_url.is_some(), "public_url"),
        ("--http", serve.http.is_some(), "listen.http"),
        ("--https", serve.https.is_some(), "listen.https"),
        ("--drain", serve.drain.is_some(), "limits.drain"),
    ];
    let given = options.iter().find(|(_, given, _)| *given);
    match given.filter(|_| serve.upstream.is_none()) {
        Some((option, _, key)) => Err(misuse(format!(
            "{option} goes with --upstream URL; in a configuration file it is `{key}`"
        ))),
        None => Ok(()),
    }
}

/// Runs until a signal; prints what stops the start, and warnings if `warn`.
pub(super) fn start(
    how: Start,
    warn: bool,
    output: &mut Output,
    announce: impl FnOnce(&Started, &mut Output) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let chosen = match how.source {
        Source::File(_) => "addresses are chosen in [listen]",
        Source::Text { .. } => "addresses are chosen with --http and --https",
    };
    let made = Made::of(&how.source);
    let result = app::run(how, |started| {
        let warnings = made.told(&started.warnings);
        greeting::remark(started, Some(&warnings).filter(|_| warn), output);
        // Whoever started us does not read: not a reason to end.
        let _ = announce(started, output);
    });
    match result {
        Ok(None) => Ok(Exit::Done),
        Ok(Some(code)) => Ok(Exit::Program(code)),
        Err(StartError::Bind(reasons)) => stopped(anyhow!("{reasons}; {chosen}"), output),
        Err(StartError::Other(error)) => stopped(error, output),
        Err(StartError::Configuration(problems)) => {
            let problems = made.told(&problems.stopping());
            if output.as_json {
                output.json(&json!({ "error": "the configuration is refused", "problems": problems.to_json() }))?;
            } else if log::is_of_objects() {
                greeting::log_problems(&problems);
            } else {
                output.remark(problems.render(Output::color()).trim_end());
            }
            Ok(Exit::Invalid)
        }
    }
}

/// What stops a start, in a log of objects as one of them.
fn stopped(error: anyhow::Error, output: &Output) -> anyhow::Result<Exit> {
    if output.as_json || !log::is_of_objects() {
        return Err(error);
    }
    greeting::log_error(&error);
    Ok(exit_of(&error))
}

/// The configuration that the arguments amount to, and how its document is looked for when the
/// program answers.
fn from_arguments(serve: &Serve, upstream: &str) -> anyhow::Result<(Source, Option<Search>)> {
    let from = Environment::read();
    let openapi = match &serve.openapi {
        Some(openapi) => dev::source(openapi),
        None => discover::now_or_later(upstream, &serve.program)?,
    };
    let source = |text| Source::Text {
        name: "<command line>".into(),
        text,
        dev: false,
    };
    let text = configuration(serve, upstream, &openapi, &from)?;
    let search = serve.openapi.is_none().then(|| {
        let (serve, url) = (serve.clone(), upstream.to_owned());
        discover::search(upstream.to_owned(), move |found| {
            // What is wrong with the rest was told before.
            source(configuration(&serve, &url, found, &from).unwrap_or_default())
        })
    });
    Ok((source(text), search))
}

/// What the environment says of a gateway without a file.
#[derive(Debug, Default)]
struct Environment {
    /// `$PORT`, where the platform sends its requests.
    port: Option<String>,
    /// `$PLUGWAY_TOKEN_SHA256`
    hashes: Option<String>,
    /// It is a Fly Machine.
    on_fly: bool,
}

impl Environment {
    fn read() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            port: variable("PORT"),
            hashes: variable("PLUGWAY_TOKEN_SHA256"),
            on_fly: variable("FLY_APP_NAME").is_some(),
        }
    }
}

/// `listen.http` of a gateway without a file.
fn plain_address(serve: &Serve, from: &Environment) -> Option<String> {
    match (&serve.http, &from.port, from.on_fly) {
        (Some(http), ..) => Some(http.clone()),
        (None, Some(port), _) => Some(format!("0.0.0.0:{port}")),
        (None, None, _) if serve.https.is_some() => None,
        // Where its proxy looks for it; on any other machine, whoever wants more says so.
        (None, None, true) => Some("0.0.0.0:8080".to_owned()),
        (None, None, false) => Some("127.0.0.1:8080".to_owned()),
    }
}

/// What is said when `--upstream` is one of the addresses that the gateway listens on itself.
pub(super) fn leads_back<'a>(
    upstream: &str,
    mut own: impl Iterator<Item = &'a str>,
) -> Option<anyhow::Error> {
    let uri: http::Uri = upstream.parse().ok()?;
    let usual = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let (host, port) = (uri.host()?, uri.port_u16().unwrap_or(usual));
    let address = own.find(|address| {
        let numbers = address.replacen("localhost:", "127.0.0.1:", 1);
        numbers
            .parse()
            .is_ok_and(|at| snapshot::listens(at, host, port))
    })?;
    Some(anyhow!(
        "--upstream {upstream} is the gateway itself, which listens on {address}: give the API's address, or another one to the gateway with --http or --https"
    ))
}

fn is_port(text: &str) -> Result<(), String> {
    let wrong = |_| "is no port: set it to a number up to 65535, or give --http".to_owned();
    text.parse::<u16>().map(|_| ()).map_err(wrong)
}

fn configuration(
    serve: &Serve,
    upstream: &str,
    openapi: &str,
    from: &Environment,
) -> anyhow::Result<String> {
    let require = serve.require.map_or("service", super::args::Level::word);
    let mut text = String::new();
    let plain = plain_address(serve, from);
    if from.on_fly {
        text.push_str("trusted_proxies = \"fly\"\n");
    }
    let _ = writeln!(text, "[listen]");
    for (key, address) in [("http", &plain), ("https", &serve.https)] {
        if let Some(address) = address {
            let _ = writeln!(text, "{key} = {}", quoted(address));
        }
    }
    if serve.https.is_some() {
        text.push_str("[tls]\ncertificate = \"certs/server.pem\"\nkey = \"certs/server.key\"\n");
    }
    if let Some(drain) = &serve.drain {
        let _ = writeln!(text, "[limits]\ndrain = {}", quoted(drain));
    }
    let public = serve.public_url.as_ref();
    let public = public.map_or(String::new(), |url| {
        format!("public_url = {}\n", quoted(url))
    });
    let _ = write!(
        text,
        "[plugins.api]\n{public}[plugins.api.upstream]\nurl = {}\n[plugins.api.openapi]\nsource = {}\n[plugins.api.auth]\nrequire = {}\n",
        quoted(upstream),
        quoted(openapi),
        quoted(require),
    );
    let level = if require == "user" { "user" } else { "service" };
    if let Some(hashes) = &from.hashes {
        text.push_str(&declared(level, hashes)?);
    }
    Ok(text)
}

/// Without a file, a token comes from the environment: by hash. During a rotation there are two,
/// the new one first.
fn declared(level: &str, hashes: &str) -> anyhow::Result<String> {
    let all: Vec<&str> = hashes.split(',').map(str::trim).collect();
    let is_hash = |text: &&str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    // What is no hash may be the secret itself: it is not repeated.
    if !all.iter().all(is_hash) {
        return Err(misuse(
            "PLUGWAY_TOKEN_SHA256 must be the SHA-256 of a token in 64 hexadecimal digits (`plugway token generate` gives both), or two with a comma between them",
        ));
    }
    if all.len() > 2 {
        return Err(misuse(format!(
            "PLUGWAY_TOKEN_SHA256 has {} hashes: at most two may be valid at the same time, the new one and the one before",
            all.len()
        )));
    }
    let secrets: Vec<String> = all
        .iter()
        .map(|hash| format!("{{ sha256 = \"{}\" }}", hash.to_ascii_lowercase()))
        .collect();
    Ok(format!(
        "[tokens.environment]\nlevel = \"{level}\"\nplugins = [\"*\"]\nscopes = [\"*\"]\nsecrets = [{}]\n",
        secrets.join(", ")
    ))
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    // What JSON escapes, TOML's basic strings escape in the same way.
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_that_is_the_gateway() {
        let told = |upstream: &str, own: &str| leads_back(upstream, [own].into_iter()).is_some();
        assert!(told("http://localhost:8080/v1", "127.0.0.1:8080"));
        assert!(told("http://127.0.0.1:8080", "localhost:8080"));
        assert!(told("http://127.0.0.1", "0.0.0.0:80"));
        assert!(told("https://[::1]", "[::]:443"));
        assert!(!told("http://localhost:8000", "127.0.0.1:8080"));
        assert!(!told("http://api:8080", "127.0.0.1:8080"));
        assert!(!told("unix:/run/api", "127.0.0.1:8080"));
    }

    #[test]
    fn hashes_of_the_environment() {
        let (one, two) = ("AB".repeat(32), "cd".repeat(32));
        let text = declared("service", &one).unwrap();
        assert!(text.contains(&format!(
            "secrets = [{{ sha256 = \"{}\" }}]",
            "ab".repeat(32)
        )));
        let text = declared("user", &format!("{one}, {two}")).unwrap();
        assert!(
            text.contains(&two) && text.contains("level = \"user\""),
            "{text}"
        );
        for wrong in [
            "pls_secret".to_owned(),
            one[1..].to_owned(),
            format!("{one},"),
            format!("{one},{two},{one}"),
        ] {
            let told = declared("service", &wrong).unwrap_err().to_string();
            assert!(
                told.contains("PLUGWAY_TOKEN_SHA256") && !told.contains(&wrong),
                "{told}"
            );
        }
    }
}
