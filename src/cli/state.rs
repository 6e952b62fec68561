//! `plugway state`: saves everything that the state database holds, and puts it back.

use std::fs::{File, FileType};
use std::io::{self, BufReader, Read, Write};
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

/// Where a backup goes.
enum Destination {
    /// Into a file beside, which takes the name when it is whole and on the disk.
    File(PathBuf),
    /// Into what the shell has open for us.
    Pipe(File),
}

/// What every backup begins with.
const BEGINNING: &[u8] = b"{\"plugway_backup\"";

/// A backup takes the place of nothing but a backup.
fn destination(path: &Path) -> anyhow::Result<Destination> {
    let shown = path.display();
    let path = if path == Path::new("-") {
        Path::new("/dev/stdout")
    } else {
        path
    };
    if is_given(path, "/dev/stdout") {
        let pipe = File::options().write(true).open(path);
        return Ok(Destination::Pipe(
            pipe.with_context(|| format!("{shown} can not be written to"))?,
        ));
    }
    let kind = match path.metadata() {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            anyhow::ensure!(!path.is_symlink(), "{shown} is a link that leads nowhere");
            return Ok(Destination::File(path.to_owned()));
        }
        Err(error) => return Err(error).with_context(|| format!("{shown} can not be written")),
    };
    anyhow::ensure!(
        kind.is_file(),
        "{shown} can not be written: it is {} and no file",
        described(kind)
    );
    let mut begins = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BEGINNING.len() as u64).read_to_end(&mut begins))
        .with_context(|| format!("{shown} is there, and can not be read"))?;
    anyhow::ensure!(
        begins.is_empty() || begins == BEGINNING,
        "{shown} is there, and is no backup: choose another name, or move it away"
    );
    // A link stays one.
    Ok(Destination::File(path.canonicalize()?))
}

fn backup(asked: &Named, output: &mut Output) -> anyhow::Result<Exit> {
    let shown = asked.file.display();
    let (mut bytes, mut lines) = (0, 0);
    let reach = Reach::new(&asked.gateway)?;
    let mut flow = |out: &mut dyn Write| {
        reach.flow(Flow::Backup, &mut |text| {
            out.write_all(text.as_bytes())?;
            bytes += text.len();
            lines += text.lines().count();
            Ok(())
        })
    };
    match destination(&asked.file)? {
        Destination::Pipe(mut pipe) => {
            if let Err(fault) = flow(&mut pipe)? {
                return refused(&fault, output);
            }
            output.remark(&format!("{shown}: {}", counted(bytes, "byte", "bytes")));
            return Ok(Exit::Done);
        }
        Destination::File(path) => {
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder,
                _ => Path::new("."),
            };
            if !folder.is_dir() {
                let folder = folder.display();
                anyhow::bail!("{shown} can not be written: there is no directory {folder}");
            }
            let mut written = tempfile::Builder::new()
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
                .tempfile_in(folder)
                .map_err(|error| error.kind())
                .map_err(io::Error::from)
                .with_context(|| format!("{} can not be written to", folder.display()))?;
            if let Err(fault) = flow(written.as_file_mut())? {
                return refused(&fault, output);
            }
            written.as_file().sync_all()?;
            written
                .persist(&path)
                .map_err(|error| error.error)
                .with_context(|| format!("{shown} can not be written"))?;
            File::open(folder)?.sync_all()?;
        }
    }
    if output.as_json {
        output.json(&json!({ "file": asked.file, "bytes": bytes, "lines": lines }))?;
    } else {
        output.text(&format!("{shown}: {}\n", counted(bytes, "byte", "bytes")))?;
    }
    Ok(Exit::Done)
}

/// Whether the shell has it open for us.
fn is_given(path: &Path, usual: &str) -> bool {
    let given = [usual, "/dev/fd", "/proc/self/fd"];
    given.iter().any(|begin| path.starts_with(begin))
}

fn described(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// A backup. What is no file is not even opened: a FIFO would be waited for, and a device may do something.
/// What the shell has open for us (`/dev/stdin`, `<(…)`) may be a pipe, since somebody writes into it.
fn opened(path: &Path) -> io::Result<File> {
    let kind = path.metadata()?.file_type();
    if kind.is_file() || (kind.is_fifo() && is_given(path, "/dev/stdin")) {
        return File::open(path);
    }
    let what = described(kind);
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
