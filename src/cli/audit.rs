//! `plugway audit`: who changed which token, when and how.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::Exit;
use super::args::Gateway;
use super::output::{Output, on_one_line};
use super::token::reach::Reach;
use super::token::{answer, refused};
use crate::counted::counted;
use crate::tokens::{Fault, Flow, Look, Order};

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List changes, the newest first.
    List(List),
    /// Print all entries, the oldest first, one JSON object a line.
    Export(Export),
    /// Say whether an entry is missing or altered; exit with 1 if so.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Of this token.
    #[arg(long, value_name = "ID")]
    token: Option<String>,
    /// So many at the most, up to 10,000; `audit export` gives all.
    #[arg(long, default_value_t = 100, value_name = "N")]
    most: usize,
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    gateway: Gateway,
}

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A hash that a log line carried (`audit=…`): an entry must have it.
    #[arg(long, value_name = "HASH")]
    head: Option<String>,
    #[command(flatten)]
    gateway: Gateway,
}

/// Runs one of them.
pub(super) fn run(command: AuditCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        AuditCommand::List(list) => {
            let look = Look::Audit(list.token.clone(), list.most);
            let reach = Reach::new(&list.gateway)?;
            let entries = reach.look(&look)?;
            let none = entries
                .as_ref()
                .is_ok_and(|found| found.as_array().is_some_and(Vec::is_empty));
            if let Some(token) = list.token.filter(|_| none && list.most > 0) {
                // One that is declared may well have none.
                if let Err(fault @ Fault::Unknown) = reach.order(&Order::Show(token))? {
                    return refused(&fault, output);
                }
            }
            answer(entries, output, |entries, output| {
                output.text(&table(entries))
            })
        }
        AuditCommand::Export(export) => {
            let reach = Reach::new(&export.gateway)?;
            match reach.flow(Flow::Audit, &mut |line| output.text(line))? {
                Ok(()) => Ok(Exit::Done),
                Err(fault) => refused(&fault, output),
            }
        }
        AuditCommand::Verify(verify) => {
            let verdict = Reach::new(&verify.gateway)?.look(&Look::Verify(verify.head))?;
            let whole = verdict
                .as_ref()
                .is_ok_and(|verdict| verdict["whole"] == true);
            let exit = answer(verdict, output, |verdict, output| {
                let (entries, head) = (verdict["entries"].as_u64(), word(verdict, "head"));
                let entries = counted(entries.unwrap_or_default(), "entry", "entries");
                match verdict["fault"].as_str() {
                    None => output.text(&format!("whole: {entries}, head {head}\n")),
                    Some(fault) => output.text(&format!("not whole: {fault}\n")),
                }
            })?;
            Ok(if exit == Exit::Done && !whole {
                Exit::Failed
            } else {
                exit
            })
        }
    }
}

fn word(value: &Value, name: &str) -> String {
    on_one_line(value[name].as_str().unwrap_or("-")).into_owned()
}

fn table(entries: &Value) -> String {
    let mut text = String::new();
    for entry in entries.as_array().into_iter().flatten() {
        let _ = writeln!(
            text,
            "{}  {:<8} {}  by {}{}",
            word(entry, "at"),
            word(entry, "action"),
            word(entry, "id"),
            word(entry, "by"),
            changes(entry)
        );
    }
    if text.is_empty() {
        "nothing was changed yet\n".to_owned()
    } else {
        text
    }
}

/// What is different after it.
fn changes(entry: &Value) -> String {
    let (before, after) = (&entry["before"], &entry["after"]);
    let mut text = String::new();
    for (name, value) in after.as_object().into_iter().flatten() {
        let skip = ["id", "created_at", "created_by", "revoked_at", "revoked_by"];
        if skip.contains(&&**name) || before[name] == *value {
            continue;
        }
        if before.is_null() && !["name", "level", "plugins", "scopes", "expires"].contains(&&**name)
        {
            continue;
        }
        let _ = write!(text, "\n    {name}: {}", on_one_line(&value.to_string()));
    }
    for (name, _) in before.as_object().into_iter().flatten() {
        if after[name].is_null() {
            let _ = write!(text, "\n    {name}: none");
        }
    }
    text
}
