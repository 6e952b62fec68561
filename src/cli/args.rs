//! Arguments, as typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::openapi::lint;

/// A plugin gateway: puts any HTTP API behind bearer tokens and TLS, and serves the documents
/// that AI assistants install it from.
#[derive(Debug, Parser)]
#[command(name = "plugway", version, about, max_term_width = 100)]
pub(super) struct Args {
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve a working plugin on localhost, without any file.
    Dev(Dev),
    /// Serve what a configuration says.
    Serve(Serve),
    /// Say what is wrong with a configuration, and change nothing.
    Check(Check),
    /// Print a generated document.
    Print(Print),
    /// Make the running gateway read everything again.
    Reload(Reload),
    /// Say what runs, and what lies on disk refused.
    Status(Gateway),
    /// Say what changes between two generations, or with what lies on disk; never a secret.
    Diff(Diff),
    /// List the generations that served, the newest first.
    History(Gateway),
    /// Take up a generation of before, until a change of files on disk is accepted.
    Rollback(Rollback),
    /// Exit with 0 when the running gateway is ready to serve, else with 1.
    Health(Gateway),
    /// Make, rotate, end and find tokens.
    Token {
        #[command(subcommand)]
        command: super::token::TokenCommand,
    },
    /// Say which operation a request is, who may call it, and why a token may not.
    Explain(super::explain::Explain),
    /// Who changed which token, when and how.
    Audit {
        #[command(subcommand)]
        command: super::audit::AuditCommand,
    },
    /// Save everything that the state database holds, or put it back.
    State {
        #[command(subcommand)]
        command: super::state::StateCommand,
    },
    /// Become the program that a gateway is in front of.
    #[command(name = crate::app::BECOME, hide = true)]
    Become(super::program::Become),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Print a completion script.
    Completions {
        /// For this shell.
        shell: clap_complete::Shell,
    },
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Level {
    /// Anyone.
    None,
    /// Whoever holds a service token.
    Service,
    /// Whoever holds a user token.
    User,
    /// Whoever holds either.
    Any,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Service => "service",
            Self::User => "user",
            Self::Any => "any",
        }
    }
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Dev {
    /// The API to put the gateway in front of; without it, a to-do API that is built in.
    #[arg(long, value_name = "URL")]
    pub(super) upstream: Option<String>,
    /// Its OpenAPI document; without it, the usual places on the upstream are asked.
    #[arg(long, value_name = "FILE|URL")]
    pub(super) openapi: Option<String>,
    /// Who may call; `none` is the classic localhost plugin.
    #[arg(long, value_enum, default_value = "any")]
    pub(super) auth: Level,
    /// Plain HTTP.
    #[arg(long, value_name = "ADDR", default_value = "localhost:3333")]
    pub(super) http: String,
    /// HTTPS.
    #[arg(long, value_name = "ADDR", default_value = "localhost:3443")]
    pub(super) https: String,
    /// Write the configuration that this amounts to, for `plugway serve`, and exit.
    #[arg(long, value_name = "FILE", conflicts_with = "program")]
    pub(super) write_config: Option<PathBuf>,
    /// Start this program too: the API that --upstream names.
    #[arg(last = true, value_name = "CMD", requires = "upstream")]
    pub(super) program: Vec<OsString>,
}

#[derive(Debug, Clone, ClapArgs)]
pub(super) struct Serve {
    /// The configuration.
    #[arg(
        long,
        value_name = "FILE",
        env = "PLUGWAY_CONFIG",
        default_value = "config/plugway.toml",
        conflicts_with = "upstream"
    )]
    pub(super) config: PathBuf,
    /// What to do when files are broken at the start, included ones too: refuse whatever is broken,
    /// or take up the last generation that served, if there is one. Without it a broken main file is
    /// refused, and of a broken included file nothing serves.
    #[arg(long, value_enum, value_name = "WHAT", conflicts_with = "upstream")]
    pub(super) on_invalid: Option<Invalid>,
    /// Take over from the gateway that runs on the same state directory: its sockets, its tokens,
    /// and no request is lost. Where none runs, just start.
    #[arg(long)]
    pub(super) take_over: bool,
    /// Also when a plugin is guarded less than when it last served.
    #[arg(long)]
    pub(super) weaker: bool,
    /// Serve one API without a configuration file.
    #[arg(long, value_name = "URL", requires = "require")]
    pub(super) upstream: Option<String>,
    /// Who may call.
    #[arg(long, value_enum)]
    pub(super) require: Option<Level>,
    /// Its OpenAPI document; without it, the usual places on the upstream are asked.
    #[arg(long, value_name = "FILE|URL")]
    pub(super) openapi: Option<String>,
    /// Where clients find it, such as `https://api.example.com`: a request for any other host gets
    /// 421. Without it localhost and the gateway's own addresses are answered.
    #[arg(long, value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// Plain HTTP, behind an edge that terminates TLS.
    #[arg(long, value_name = "ADDR")]
    pub(super) http: Option<String>,
    /// HTTPS with certs/server.pem and certs/server.key.
    #[arg(long, value_name = "ADDR")]
    pub(super) https: Option<String>,
    /// `limits.drain`: how long the end may take, that of the program included.
    #[arg(long, value_name = "DURATION")]
    pub(super) drain: Option<String>,
    /// Start this program too, be ready when it answers, and end with it.
    #[arg(last = true, value_name = "CMD")]
    pub(super) program: Vec<OsString>,
}

/// What to do when files are broken at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Invalid {
    /// Refuse.
    Fail,
    /// Take up the last generation that served.
    LastGood,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Check {
    /// The configuration.
    #[arg(
        long,
        value_name = "FILE",
        env = "PLUGWAY_CONFIG",
        default_value = "config/plugway.toml"
    )]
    pub(super) config: PathBuf,
    /// Say also what goes beyond the limits of these clients, in the documents as they are served.
    #[arg(long, value_enum, value_name = "CLIENT", value_delimiter = ',')]
    pub(super) profile: Vec<Profile>,
    /// Fail also when there are only warnings, breaches of a profile, or items of a document that
    /// are skipped; what it fails for is said.
    #[arg(long)]
    pub(super) strict: bool,
}

/// Whose limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Profile {
    /// Readers of `ai-plugin.json`, such as Dify.
    Plugin,
    /// GPT Actions.
    Actions,
    /// Microsoft 365 Copilot.
    Copilot,
    /// Microsoft Security Copilot.
    SecurityCopilot,
    /// Every one.
    All,
}

impl Profile {
    /// The profiles that it stands for.
    pub(super) fn profiles(self) -> Vec<lint::Profile> {
        match self {
            Self::Plugin => vec![lint::Profile::Plugin],
            Self::Actions => vec![lint::Profile::Actions],
            Self::Copilot => vec![lint::Profile::Copilot],
            Self::SecurityCopilot => vec![lint::Profile::SecurityCopilot],
            Self::All => lint::Profile::ALL.to_vec(),
        }
    }
}

/// What can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Printed {
    /// `/.well-known/ai-plugin.json`
    Manifest,
    /// `/openapi.json`
    Openapi,
    /// `/openapi-3.0.json`
    #[value(name = "openapi-3.0")]
    Openapi30,
    /// What to paste into which client.
    Install,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Print {
    /// Which.
    #[arg(value_enum)]
    pub(super) what: Printed,
    /// Of which plugin; may be left out when there is one.
    #[arg(long, value_name = "NAME")]
    pub(super) plugin: Option<String>,
    /// The configuration.
    #[arg(
        long,
        value_name = "FILE",
        env = "PLUGWAY_CONFIG",
        default_value = "config/plugway.toml"
    )]
    pub(super) config: PathBuf,
}

/// Which running gateway.
#[derive(Debug, ClapArgs)]
pub(super) struct Gateway {
    /// The configuration that it runs, for where its admin socket is.
    #[arg(
        long,
        value_name = "FILE",
        env = "PLUGWAY_CONFIG",
        default_value = "config/plugway.toml"
    )]
    pub(super) config: PathBuf,
    /// Its admin address, such as `unix:state/admin.sock`, or `127.0.0.1:9091` or
    /// `https://HOST:PORT` (then with an admin token in `$PLUGWAY_ADMIN_TOKEN`). The variable does
    /// not count where --config is typed.
    #[arg(long, value_name = "ADDR", env = "PLUGWAY_ADMIN")]
    pub(super) admin: Option<String>,
    /// Who vouches for an admin address with https: certificates in PEM; else the system's roots.
    #[arg(long, value_name = "FILE", env = "PLUGWAY_ADMIN_CA")]
    pub(super) admin_ca: Option<PathBuf>,
}

impl Gateway {
    /// The admin address that was said, and whether it was typed: what is typed counts before what
    /// stands in the environment.
    pub(super) fn admin(&self) -> Option<(&str, bool)> {
        let is_typed = typed("--admin");
        let admin = self.admin.as_deref()?;
        (is_typed || !typed("--config")).then_some((admin, is_typed))
    }
}

/// Whether somebody named the configuration.
pub(super) fn config_is_named() -> bool {
    typed("--config") || std::env::var_os("PLUGWAY_CONFIG").is_some()
}

/// Whether an option was typed.
pub(super) fn typed(option: &str) -> bool {
    let arguments = std::env::args_os().take_while(|argument| argument != "--");
    arguments.skip(1).any(|argument| {
        let argument = argument.to_string_lossy();
        let rest = argument.strip_prefix(option);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

#[derive(Debug, ClapArgs)]
pub(super) struct Diff {
    /// A generation, `running` or `disk`. Without it: what serves.
    pub(super) from: Option<String>,
    /// The same. Without it: what lies on disk; or, if only one is given, what serves.
    pub(super) to: Option<String>,
    /// Exit with 1 if something differs, with 4 if the second would be refused, with 3 if a part of it would.
    #[arg(long)]
    pub(super) exit_code: bool,
    #[command(flatten)]
    pub(super) gateway: Gateway,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Rollback {
    /// Which; without it, the one before.
    pub(super) generation: Option<u64>,
    /// Also when a plugin is guarded less than now.
    #[arg(long)]
    pub(super) weaker: bool,
    /// Only if this generation serves now.
    #[arg(long, value_name = "GENERATION")]
    pub(super) if_match: Option<u64>,
    #[command(flatten)]
    pub(super) gateway: Gateway,
}

#[derive(Debug, ClapArgs)]
pub(super) struct Reload {
    /// Also when a plugin is guarded less than before.
    #[arg(long)]
    pub(super) weaker: bool,
    /// Only if this generation serves now.
    #[arg(long, value_name = "GENERATION")]
    pub(super) if_match: Option<u64>,
    #[command(flatten)]
    pub(super) gateway: Gateway,
}
