//! The program that plugway runs in front of (`plugway serve … -- CMD ARG…`): started when
//! everything listens, told of the signals that end plugway, reaped, and never left behind.
//!
//! It is the leader of a process group of its own, so that Ctrl-C of a terminal does not end it
//! while requests are still under way, and that what it started can be ended with it.

mod environment;
mod find;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, WaitStatus, kill_process, kill_process_group,
    wait, waitid, waitpid,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout_at};

use crate::snapshot::{Snapshot, Target};
use crate::tokens::{Fingerprint, TokenTable};
pub(super) use find::find;

/// The hidden command of this binary that becomes the program (`cli`).
pub const BECOME: &str = "become-program";
/// This binary, also after another was put in its place.
const OURSELVES: &str = "/proc/self/exe";

/// A program that runs.
#[derive(Debug)]
pub(super) struct Program {
    pid: Pid,
    /// A child may have ended.
    changes: tokio::signal::unix::Signal,
    /// Its exit code, or 128 and the signal that it died of.
    ended: Option<u8>,
    /// What loses its parent becomes our child (`pid 1` of a container).
    first: bool,
}

impl Program {
    /// Starts it. `descriptors` is the soft limit of open files that this process was given.
    pub(super) fn start(
        command: &[OsString],
        descriptors: u64,
        snapshot: &Snapshot,
        tokens: &TokenTable,
    ) -> anyhow::Result<Self> {
        let (name, arguments) = command.split_first().context("no program is named")?;
        // Before there is a child that could end.
        let changes = signal(SignalKind::child()).context("signals")?;
        let mut starting = if cfg!(target_os = "linux") && Path::new(OURSELVES).exists() {
            let mut ours = Command::new(OURSELVES);
            ours.arg0("plugway").arg(BECOME);
            ours.arg(std::process::id().to_string());
            ours.arg(descriptors.to_string()).arg("--").arg(name);
            ours
        } else {
            tracing::warn!(
                "without {OURSELVES} the program is not ended when this process is killed (SIGKILL)"
            );
            Command::new(name)
        };
        starting.args(arguments).process_group(0);
        // Of a terminal it is no longer the foreground, and would be stopped when it reads.
        if std::io::stdin().is_terminal() {
            starting.stdin(Stdio::null());
        }
        let known = |value: &[u8]| tokens.get(&Fingerprint::of(value)).is_some();
        for (variable, value) in std::env::vars_os() {
            if environment::is_withheld(&variable, &value, known) {
                starting.env_remove(variable);
            }
        }
        match port(snapshot) {
            Some(port) => _ = starting.env("PORT", port.to_string()),
            None => _ = starting.env_remove("PORT"),
        }
        let child = starting.spawn();
        let child = child.with_context(|| format!("{} can not be started", name.display()))?;
        let pid = Pid::from_child(&child);
        tracing::info!(pid = child.id(), program = %name.display(), "the program is started");
        Ok(Self {
            pid,
            changes,
            ended: None,
            first: std::process::id() == 1,
        })
    }

    /// Waits until it has ended; the code that it ended with.
    pub(super) async fn ended(&mut self) -> u8 {
        loop {
            self.reap();
            if let Some(code) = self.ended {
                return code;
            }
            if self.changes.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Asks it to end; what is there of it at the deadline is killed.
    pub(super) async fn end(&mut self, how: Signal, deadline: Instant) -> u8 {
        if self.ended.is_none() {
            let _ = kill_process(self.pid, how);
        }
        if let Ok(code) = timeout_at(deadline, self.ended()).await {
            return code;
        }
        tracing::warn!("the program does not end: it is killed");
        self.kill().await
    }

    /// Ends it at once, and all of its group.
    pub(super) async fn kill(&mut self) -> u8 {
        if self.ended.is_none() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        self.ended().await
    }

    /// Takes note of who has ended.
    fn reap(&mut self) {
        if self.ended.is_none() {
            // As long as it is not reaped, its number names its group and nobody else's.
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if let Ok(Some(_)) = waitid(WaitId::Pid(self.pid), look) {
                let _ = kill_process_group(self.pid, Signal::KILL);
                if let Ok(Some((_, status))) = waitpid(Some(self.pid), WaitOptions::NOHANG) {
                    self.ended = Some(code(status));
                }
            }
        }
        while self.first
            && let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG)
        {
            if pid == self.pid {
                let _ = kill_process_group(self.pid, Signal::KILL);
                self.ended = Some(code(status));
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.ended.is_none() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

/// As a shell tells it.
fn code(status: WaitStatus) -> u8 {
    let code = match status.terminating_signal() {
        Some(signal) => 128 + signal,
        None => status.exit_status().unwrap_or(1),
    };
    u8::try_from(code & 0xff).unwrap_or(1)
}

/// The upstreams on this machine: what the program is expected to answer at.
pub(super) fn expected(snapshot: &Snapshot) -> Vec<Target> {
    let plugins = snapshot.plugins.iter();
    let targets = plugins.flat_map(|plugin| plugin.targets.all());
    targets.filter(|target| is_here(target)).cloned().collect()
}

fn is_here(target: &Target) -> bool {
    let address = target.host.parse::<std::net::IpAddr>();
    target.socket.is_some()
        || target.host == "localhost"
        || address.is_ok_and(|address| address.is_loopback())
}

/// The port that the program is to listen on, where that is clear. Never `$PORT` as it is here:
/// that one is plugway's.
fn port(snapshot: &Snapshot) -> Option<u16> {
    let expected = expected(snapshot);
    let mut ports = expected.iter().filter(|target| target.socket.is_none());
    let port = ports.next()?.port;
    ports.all(|other| other.port == port).then_some(port)
}
