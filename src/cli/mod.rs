//! The command line.

mod args;
mod audit;
mod check;
mod client;
mod dev;
mod discover;
mod explain;
mod generations;
mod greeting;
mod linting;
mod options;
mod output;
mod print;
mod program;
mod running;
mod serve;
mod served;
mod state;
mod token;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Args, Command};
use output::Output;

use crate::tokens::contains_token;

/// What a command ends with (DESIGN.md, exit codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// 0
    Done,
    /// 1: no gateway, or what was asked is not so.
    Failed,
    /// 2: wrong usage.
    Usage,
    /// 3: partly (`status`: a refused configuration is pending).
    Partly,
    /// 4: the configuration is invalid.
    Invalid,
    /// 5: something else is in the way.
    Conflict,
    /// That of the program that was started.
    Program(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Partly => 3,
            Exit::Invalid => 4,
            Exit::Conflict => 5,
            Exit::Program(code) => code,
        })
    }
}

/// The configuration does not say where the state is: none is worked on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Unsettled(String);

/// Something was said that can not be meant, which clap does not know: wrong usage.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Misuse(String);

/// Wrong usage, with the sentence that says what is right.
fn misuse(sentence: impl Into<String>) -> anyhow::Error {
    Misuse(sentence.into()).into()
}

/// The values of options that have no type of their own, so that wrong ones are told by the option
/// and not by a place in a configuration that nobody wrote.
fn understood(
    options: &[(&str, Option<&String>)],
    is_good: impl Fn(&str) -> Result<(), String>,
) -> anyhow::Result<()> {
    for (option, text) in options {
        if let Some(text) = text {
            is_good(text).map_err(|why| misuse(format!("{option} `{text}` {why}")))?;
        }
    }
    Ok(())
}

/// What a command ends with that could not be carried out.
fn exit_of(error: &anyhow::Error) -> Exit {
    if error.is::<Misuse>() {
        Exit::Usage
    } else if error.is::<Unsettled>() {
        Exit::Invalid
    } else {
        Exit::Failed
    }
}

/// Where the state is, for who works on it without a gateway. A file that is broken or was misspelt
/// must not make a state of its own.
fn state_of(gateway: &args::Gateway) -> Result<std::path::PathBuf, Unsettled> {
    let found = crate::control::whereabouts(&gateway.config);
    match found.fault {
        Some(fault) if args::config_is_named() || gateway.config.exists() => {
            Err(Unsettled(format!(
                "{fault}: it does not say for certain where the state is, and no gateway answers that would know"
            )))
        }
        _ => Ok(found.state),
    }
}

/// Where `--config`, which nobody typed, is in the way: it stands in the environment.
fn beside_the_environment(error: &clap::Error) -> Option<&'static str> {
    let typed = args::typed("--config");
    let is_set = std::env::var_os("PLUGWAY_CONFIG").is_some();
    let conflicts = error.kind() == clap::error::ErrorKind::ArgumentConflict;
    (conflicts && is_set && !typed && error.to_string().contains("--config")).then_some(
        "plugway: PLUGWAY_CONFIG is set in the environment, which stands for --config FILE, and --upstream serves without a file: unset it (`env -u PLUGWAY_CONFIG plugway serve --upstream …`), or leave --upstream out and serve the file",
    )
}

/// A configuration that is named as other programs take it.
fn named_without_option(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let (ErrorKind::UnknownArgument, Some(ContextValue::String(file))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
    else {
        return None;
    };
    let is_toml = std::path::Path::new(file)
        .extension()
        .is_some_and(|ending| ending == "toml");
    (is_toml && !file.starts_with('-')).then(|| {
        format!("plugway: a configuration is named with --config: write `--config {file}` instead of `{file}`")
    })
}

/// Says what is wrong with the arguments, or what was asked about them.
fn misread(error: &clap::Error) -> ExitCode {
    // Clap repeats what it does not understand.
    if contains_token(&error.to_string()) {
        Output::new(false).remark(
            "plugway: an argument holds a whole secret where none belongs: a token is named by its id, which is the first 12 characters; `plugway token show -` reads a secret from standard input and shows whose it is. Replace the secret if others can read your command history",
        );
        return Exit::Usage.into();
    }
    if let Some(told) = beside_the_environment(error) {
        Output::new(false).remark(told);
        return Exit::Usage.into();
    }
    if let Some(told) = named_without_option(error) {
        Output::new(false).remark(&told);
        return Exit::Usage.into();
    }
    // Help and version are no mistakes; clap knows which stream each belongs on.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage.into()
    } else {
        Exit::Done.into()
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return misread(&error),
    };
    // Secrets are in memory: a crash must not put them on the disk.
    let _ = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0);
    let mut output = Output::new(args.json);
    let result = match args.command {
        Command::Dev(dev) => dev::run(&dev, &mut output),
        Command::Serve(serve) => serve::run(&serve, &mut output),
        Command::Check(check) => check::run(&check, &mut output),
        Command::Print(print) => print::run(&print, &mut output),
        Command::Reload(reload) => running::reload(&reload, &mut output),
        Command::Status(gateway) => running::status(&gateway, &mut output),
        Command::Diff(diff) => generations::diff(&diff, &mut output),
        Command::History(gateway) => generations::history(&gateway, &mut output),
        Command::Rollback(rollback) => generations::roll_back(&rollback, &mut output),
        Command::Health(gateway) => running::health(&gateway, &mut output),
        Command::Token { command } => token::run(command, &mut output),
        Command::Explain(explain) => explain::run(&explain, &mut output),
        Command::Audit { command } => audit::run(command, &mut output),
        Command::State { command } => state::run(command, &mut output),
        Command::Become(become_it) => program::run(&become_it),
        Command::Schema => output.json(&crate::config::schema()).map(|()| Exit::Done),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "plugway", &mut script);
            output
                .text(&String::from_utf8_lossy(&script))
                .map(|()| Exit::Done)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output.error(&error);
            exit_of(&error).into()
        }
    }
}
