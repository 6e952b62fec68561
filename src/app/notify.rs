//! What the service manager is told (`sd_notify(3)`): datagrams to `$NOTIFY_SOCKET`. Without that
//! nothing is told.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::control::Outcome;

/// How long a message may wait for a manager that does not read.
const PATIENCE: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// Between two signs of life: half of what the manager allows.
    watchdog: Option<Duration>,
    /// It was told that a reload is under way.
    reloading: bool,
}

impl Notify {
    /// As the environment has it.
    pub(super) fn from_environment() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let Some(path) = variable("NOTIFY_SOCKET") else {
            return Self::default();
        };
        let to = match open(&path) {
            Ok(to) => to,
            Err(error) => {
                tracing::warn!(%error, socket = %path.display(), "NOTIFY_SOCKET");
                return Self::default();
            }
        };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0);
        Self {
            to: Some(to),
            watchdog: watchdog.map(|micros| Duration::from_micros(micros) / 2),
            reloading: false,
        }
    }

    /// Everything listens. The manager may know another process as the main one by now.
    pub(super) fn ready(&self, generation: u64) {
        let id = std::process::id();
        self.send(&format!(
            "READY=1\nMAINPID={id}\nSTATUS=generation {generation} serves"
        ));
    }

    /// A reload begins.
    pub(super) fn reloading(&mut self) {
        if self.to.is_none() || self.reloading {
            return;
        }
        self.reloading = true;
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// An attempt is over, whether it was announced or not. None that waits.
    pub(super) fn concluded(&mut self, outcome: &Outcome, generation: u64) {
        let told = std::mem::take(&mut self.reloading);
        let status = match outcome {
            Outcome::Unchanged if !told => return,
            Outcome::Waiting | Outcome::Published(_) | Outcome::Unchanged => {
                format!("generation {generation} serves")
            }
            Outcome::Refused(refused) => format!(
                "refused at {}; generation {generation} serves",
                refused.stage.word()
            ),
        };
        let ready = if told { "READY=1\n" } else { "" };
        self.send(&format!("{ready}STATUS={status}"));
    }

    /// The process ends.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=draining");
    }

    /// A sign of life of control's loop.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// How often that is due; `None`: nobody watches.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Whether the manager is there is its own affair.
    fn send(&self, text: &str) {
        if let Some((socket, to)) = &self.to
            && let Err(error) = socket.send_to_addr(text.as_bytes(), to)
        {
            tracing::debug!(%error, "the service manager");
        }
    }
}

fn open(path: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let to = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => hidden(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    Ok((socket, to))
}

/// An address without a file.
#[cfg(target_os = "linux")]
fn hidden(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn hidden(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}
