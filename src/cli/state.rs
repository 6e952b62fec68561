//! `plugway state`: saves everything that the state database holds, and puts it back.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::Exit;
use super::args::Gateway;
use super::client::{self, NoReply};
use super::output::Output;
use super::token::reach::Reach;
use super::token::refused;
use crate::control;
use crate::counted::counted;
use crate::tokens::Flow;

/// What to do with the state.
#[derive(Debug, Subcommand)]
pub(super) enum StateCommand {
    /// Write tokens (hashes only), last uses, the audit and the generations into a file.
    Backup(Named),
    /// Fill an empty state directory from such a file. No gateway may run on it.
    Restore(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    gateway: Gateway,
}

/// Runs one of them.
pub(super) fn run(command: StateCommand, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        StateCommand::Backup(asked) => backup(&asked, output),
        StateCommand::Restore(asked) => restore(&asked, output),
    }
}

/// Into a file beside, which takes the name when it is whole and on the disk.
fn backup(asked: &Named, output: &mut Output) -> anyhow::Result<Exit> {
    let shown = asked.file.display();
    let folder = match asked.file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut written = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .tempfile_in(folder)
        .with_context(|| format!("{} can not be written to", folder.display()))?;
    let (mut bytes, mut lines) = (0, 0);
    let reach = Reach::new(&asked.gateway)?;
    let taken = reach.flow(Flow::Backup, &mut |text| {
        written.write_all(text.as_bytes())?;
        bytes += text.len();
        lines += text.lines().count();
        Ok(())
    })?;
    if let Err(fault) = taken {
        return refused(&fault, output);
    }
    written.as_file().sync_all()?;
    written
        .persist(&asked.file)
        .with_context(|| format!("{shown} can not be written"))?;
    File::open(folder)?.sync_all()?;
    if output.as_json {
        output.json(&json!({ "file": asked.file, "bytes": bytes, "lines": lines }))?;
    } else {
        output.text(&format!("{shown}: {}\n", counted(bytes, "byte", "bytes")))?;
    }
    Ok(Exit::Done)
}

/// A backup. What is no file is not even opened: a FIFO would be waited for, and a device may do something.
/// What the shell has open for us (`/dev/stdin`, `<(…)`) may be a pipe, since somebody writes into it.
fn opened(path: &Path) -> io::Result<File> {
    let kind = path.metadata()?.file_type();
    let given = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];
    let is_given = given.iter().any(|begin| path.starts_with(begin));
    if kind.is_file() || (kind.is_fifo() && is_given) {
        return File::open(path);
    }
    let what = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::other(format!("it is {what} and no file")))
}

fn restore(asked: &Named, output: &mut Output) -> anyhow::Result<Exit> {
    let address = client::address(&asked.gateway)?;
    match client::send(&address, "GET", "/healthz", None) {
        Err(NoReply::NoGateway(_)) => {}
        Ok(_) => {
            anyhow::bail!("a gateway runs on this state: end it first, and start it again after")
        }
        Err(reason) => return Err(reason.into()),
    }
    let directory = super::state_of(&asked.gateway)?;
    let file =
        opened(&asked.file).with_context(|| format!("{} can not be read", asked.file.display()))?;
    let restored = control::restore(&directory, BufReader::new(file), Timestamp::now());
    let (tokens, audit, generations) = match restored {
        Ok(counts) => counts,
        Err(error) => {
            let conflict = matches!(error, control::BackupError::Occupied(_));
            output.error(&anyhow::Error::new(error).context(asked.file.display().to_string()));
            return Ok(if conflict {
                Exit::Conflict
            } else {
                Exit::Failed
            });
        }
    };
    if output.as_json {
        output.json(&json!({
            "directory": directory, "tokens": tokens, "audit": audit, "generations": generations,
        }))?;
    } else {
        output.text(&format!(
            "{}: {}, {} of the audit, {}\n",
            directory.display(),
            counted(tokens, "token", "tokens"),
            counted(audit, "entry", "entries"),
            counted(generations, "generation", "generations")
        ))?;
    }
    Ok(Exit::Done)
}
