//! The program that a gateway is in front of, and how this binary becomes it.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::Command;

use super::Exit;
use crate::app::{InFront, Search};

/// `None`: no program was named.
pub(super) fn in_front(command: &[OsString], search: Option<Search>) -> Option<InFront> {
    (!command.is_empty()).then(|| InFront {
        command: command.to_vec(),
        search,
    })
}

/// Between the gateway and the program, in the same process: what only this process can have the
/// system do for it.
#[derive(Debug, clap::Args)]
pub(super) struct Become {
    /// The gateway.
    parent: u32,
    /// The limit of open files that it was given itself.
    descriptors: u64,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Becomes the program. Returns only when that fails, with the code of a shell.
pub(super) fn run(asked: &Become) -> anyhow::Result<Exit> {
    // The program must not outlive the gateway, also when that is killed.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    if parent_id() != asked.parent {
        return Ok(Exit::Failed);
    }
    if let Ok((_, most)) = rlimit::getrlimit(rlimit::Resource::NOFILE) {
        let _ = rlimit::setrlimit(rlimit::Resource::NOFILE, asked.descriptors.min(most), most);
    }
    let Some((name, arguments)) = asked.command.split_first() else {
        return Ok(Exit::Usage);
    };
    let error = Command::new(name).args(arguments).exec();
    super::Output::new(false).remark(&format!(
        "plugway: {} can not be started: {error}",
        name.display()
    ));
    Ok(Exit::Program(if error.kind() == ErrorKind::NotFound {
        127
    } else {
        126
    }))
}
