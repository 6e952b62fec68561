//! Arguments of `plugway token`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::super::args::Gateway;
use crate::tokens::{CreateRequest, Filter, RotateRequest, SetRequest};

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Print a new secret and its hash, and touch nothing.
    Generate(Generate),
    /// Make a token; its secret is printed once, alone on standard output.
    Create(Create),
    /// Change what was said when a token was made.
    Set(Set),
    /// List tokens: when each was last used, from which network, and when it ends.
    List(List),
    /// Show all that is known of one token, or whose a secret is.
    Show(Show),
    /// Replace the secret of a token; the old one stays valid for a grace period.
    Rotate(Rotate),
    /// Let a token open nothing until it is resumed.
    Suspend(One),
    /// Take a suspension back.
    Resume(One),
    /// End a token for ever, and cut the streams that it holds.
    Revoke(Revoke),
    /// Take tokens that were made elsewhere.
    Import(Import),
    /// Print all tokens of the state database as lines of a token file (hashes only).
    Export(Export),
    /// Find tokens in files or in text; exit with 1 if there is one.
    Scan(Scan),
}

/// A level, as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Level {
    /// For a platform or a program.
    Service,
    /// For a person.
    User,
    /// For the admin API.
    Admin,
}

impl Level {
    pub(in crate::cli) fn level(self) -> crate::tokens::Level {
        match self {
            Self::Service => crate::tokens::Level::Service,
            Self::User => crate::tokens::Level::User,
            Self::Admin => crate::tokens::Level::Admin,
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Generate {
    /// For what.
    #[arg(long, value_enum, default_value = "service")]
    pub(in crate::cli) level: Level,
    /// The id that it begins with, such as `pls_ab12cd34`: for the next secret of a token.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) id: Option<String>,
}

/// What bounds a token, and what is known of it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Settings {
    /// Its end: `90d`, `2027-01-31`, or a time (RFC 3339).
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
    /// Its begin, written alike.
    #[arg(long, value_name = "WHEN")]
    not_before: Option<String>,
    /// Requests in a time, such as `10/s`; as many may come at once.
    #[arg(long, value_name = "RATE")]
    rate: Option<String>,
    /// Requests in each second, minute, hour or day of the clock (UTC), such as `1000/day`.
    #[arg(long, value_name = "RATE")]
    quota: Option<String>,
    /// Requests at the same time, streams included.
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// From where it may be used, such as `10.0.0.0/8`; may be given several times.
    #[arg(long, value_name = "CIDR")]
    network: Vec<String>,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

/// What a new token is for.
#[derive(Debug, Args)]
pub(in crate::cli) struct Purpose {
    /// What it is for.
    #[arg(long, value_enum)]
    pub(in crate::cli) level: Level,
    /// For people, such as the platform that gets it.
    #[arg(long)]
    pub(in crate::cli) name: String,
    /// Where it is valid: a plugin's name, or `*`; may be given several times.
    #[arg(long, value_name = "NAME", required = true)]
    pub(in crate::cli) plugin: Vec<String>,
    /// What it may call: an operationId, `tag:NAME`, `METHOD /path`, or `*`; may be given several
    /// times.
    #[arg(long, value_name = "SCOPE")]
    pub(in crate::cli) scope: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) settings: Settings,
}

impl Purpose {
    /// As the admin API takes it.
    pub(in crate::cli) fn request(
        &self,
        sha256: Option<String>,
        id: Option<String>,
    ) -> CreateRequest {
        CreateRequest {
            name: self.name.clone(),
            level: self.level.level().as_str().to_owned(),
            plugins: self.plugin.clone(),
            scopes: self.scope.clone(),
            sha256,
            id,
            ..self.settings.request()
        }
    }
}

impl Settings {
    /// The part of a request that they are.
    fn request(&self) -> CreateRequest {
        CreateRequest {
            expires: self.expires.clone(),
            not_before: self.not_before.clone(),
            rate: self.rate.clone(),
            quota: self.quota.clone(),
            concurrency: self.concurrency,
            networks: self.network.clone(),
            note: self.note.clone(),
            ..CreateRequest::default()
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    #[command(flatten)]
    pub(in crate::cli) purpose: Purpose,
    /// The hash of a secret that was made elsewhere (`token generate`): the same call twice
    /// changes nothing, so one secret can be given to many machines.
    #[arg(long, value_name = "HEX")]
    pub(in crate::cli) sha256: Option<String>,
    /// With --sha256: the id that the secret begins with, such as `pls_ab12cd34`.
    #[arg(long, value_name = "ID", requires = "sha256")]
    pub(in crate::cli) id: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Set {
    /// Its id, or its name where only one has it.
    pub(in crate::cli) token: String,
    /// Another name.
    #[arg(long)]
    name: Option<String>,
    /// Where it is valid instead; may be given several times.
    #[arg(long, value_name = "NAME")]
    plugin: Vec<String>,
    /// What it may call instead; may be given several times.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// `never`, `off`, `0` and `any` take a bound away.
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

impl Set {
    /// As the admin API takes it.
    pub(in crate::cli) fn request(&self) -> SetRequest {
        let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
        let settings = &self.settings;
        let networks = some(&settings.network);
        SetRequest {
            name: self.name.clone(),
            plugins: some(&self.plugin),
            scopes: some(&self.scope),
            expires: settings.expires.clone(),
            not_before: settings.not_before.clone(),
            rate: settings.rate.clone(),
            quota: settings.quota.clone(),
            concurrency: settings.concurrency,
            networks: networks.map(|list| {
                let all = list == ["any"] || list.iter().all(|network| network.trim().is_empty());
                if all { Vec::new() } else { list }
            }),
            note: settings.note.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Of this level.
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// Valid in this plugin.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// In this state: active, rotating, suspended, expired or revoked.
    #[arg(long)]
    state: Option<String>,
    /// With this in its name or note.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Not used for so long, such as `30d`.
    #[arg(long, value_name = "TIME")]
    idle: Option<String>,
    /// Ends within this time, such as `7d`.
    #[arg(long, value_name = "TIME")]
    ends_within: Option<String>,
    /// By name, id, created, ends, used or state.
    #[arg(long, default_value = "name")]
    sort: String,
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

impl List {
    /// As the admin API takes it.
    pub(in crate::cli) fn filter(&self) -> Filter {
        Filter {
            level: self.level.map(|level| level.level().as_str().to_owned()),
            plugin: self.plugin.clone(),
            state: self.state.clone(),
            text: self.text.clone(),
            idle: self.idle.clone(),
            ends_within: self.ends_within.clone(),
            sha256: None,
            sort: Some(self.sort.clone()),
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// Its id, or its name where only one has it; `-`: whose the secret on standard input is, of which
    /// only the hash is sent.
    pub(in crate::cli) token: String,
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct One {
    /// Its id, or its name where only one has it.
    pub(in crate::cli) token: String,
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    /// Its id, or its name where only one has it.
    pub(in crate::cli) token: String,
    /// The hash of the new secret, made elsewhere (`token generate`); the same call twice changes
    /// nothing.
    #[arg(long, value_name = "HEX", conflicts_with_all = ["finish", "undo", "status"])]
    sha256: Option<String>,
    /// How long the old secret stays valid (default: 24h; `0s` ends it now).
    #[arg(long, value_name = "TIME", conflicts_with_all = ["finish", "undo", "status"])]
    grace: Option<String>,
    /// End the old secret as soon as nobody used it for so long, such as `2h`. While a rotation
    /// is under way: of that one.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["finish", "undo", "status"])]
    finish_when_idle: Option<String>,
    /// End the old secret now.
    #[arg(long, conflicts_with_all = ["undo", "status"])]
    pub(in crate::cli) finish: bool,
    /// Take the old secret back and end the new one.
    #[arg(long, conflicts_with = "status")]
    pub(in crate::cli) undo: bool,
    /// Show who still uses the old secret.
    #[arg(long)]
    pub(in crate::cli) status: bool,
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

impl Rotate {
    /// As the admin API takes it.
    pub(in crate::cli) fn request(&self) -> RotateRequest {
        RotateRequest {
            sha256: self.sha256.clone(),
            grace: self.grace.clone(),
            finish_when_idle: self.finish_when_idle.clone(),
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Revoke {
    /// Its id, or its name where only one has it.
    pub(in crate::cli) token: String,
    /// Why, for whoever looks later.
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: String,
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// `-`: read one secret from standard input; only its hash is kept.
    #[arg(value_name = "-", conflicts_with_all = ["sha256", "jsonl"])]
    pub(in crate::cli) value: Option<String>,
    /// The hash of a secret that somebody has already.
    #[arg(long, value_name = "HEX", conflicts_with = "jsonl")]
    pub(in crate::cli) sha256: Option<String>,
    /// Take all lines of a token file (`token export`); `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) jsonl: Option<PathBuf>,
    /// With --jsonl: replace tokens that are there already.
    #[arg(long, requires = "jsonl")]
    pub(in crate::cli) replace: bool,
    /// Take a secret also if it is easy to guess.
    #[arg(long)]
    pub(in crate::cli) weak: bool,
    /// What it is for.
    #[arg(long, value_enum, required_unless_present = "jsonl")]
    level: Option<Level>,
    /// For people.
    #[arg(long, required_unless_present = "jsonl")]
    name: Option<String>,
    /// Where it is valid; may be given several times.
    #[arg(long, value_name = "NAME", required_unless_present = "jsonl")]
    plugin: Vec<String>,
    /// What it may call; may be given several times.
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

impl Import {
    /// As the admin API takes it, for a secret with this hash.
    pub(in crate::cli) fn request(&self, sha256: String) -> CreateRequest {
        let level = self.level.map(|level| level.level().as_str().to_owned());
        CreateRequest {
            name: self.name.clone().unwrap_or_default(),
            level: level.unwrap_or_default(),
            plugins: self.plugin.clone(),
            scopes: self.scope.clone(),
            sha256: Some(sha256),
            ..self.settings.request()
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    pub(in crate::cli) gateway: Gateway,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Scan {
    /// Files and folders; `-` is standard input.
    #[arg(value_name = "PATH", required = true)]
    pub(in crate::cli) paths: Vec<PathBuf>,
}
