//! Access lines on their way to standard output: a worker formats its line and hands it over.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use crate::config::{AccessLog, Log, LogFormat};
use crate::lines::Lines;
use crate::telemetry::Record;

/// Where workers hand their lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Writer {
    lines: Lines,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// 0 all, 1 errors, 2 off.
    which: AtomicU8,
    /// 0 JSON, 1 text.
    format: AtomicU8,
}

impl Writer {
    /// Starts the thread that writes to standard output.
    pub fn start() -> std::io::Result<Self> {
        let lines = Lines::start("access", std::io::stdout())?;
        let shared = Shared {
            which: AtomicU8::new(0),
            format: AtomicU8::new(0),
        };
        Ok(Self {
            lines,
            shared: Arc::new(shared),
        })
    }

    /// One that writes nothing.
    pub fn off() -> Self {
        let shared = Shared {
            which: AtomicU8::new(2),
            format: AtomicU8::new(0),
        };
        Self {
            lines: Lines::nowhere(),
            shared: Arc::new(shared),
        }
    }

    /// Takes another `[log]`.
    pub fn configure(&self, log: Log) {
        let which = match log.access {
            AccessLog::All => 0,
            AccessLog::Errors => 1,
            AccessLog::Off => 2,
        };
        let text = match log.format {
            LogFormat::Text => true,
            LogFormat::Json => false,
            LogFormat::Auto => std::io::stdout().is_terminal(),
        };
        self.shared.which.store(which, Relaxed);
        self.shared.format.store(u8::from(text), Relaxed);
    }

    /// Writes the line of a request, if such lines are wanted.
    pub fn write(&self, record: &Record) {
        let wanted = match self.shared.which.load(Relaxed) {
            0 => true,
            1 => record.failed(),
            _ => false,
        };
        if !wanted {
            return;
        }
        let mut line = Vec::with_capacity(640);
        if self.shared.format.load(Relaxed) == 0 {
            record.write_json(&mut line);
        } else {
            record.write_text(&mut line, std::io::stdout().is_terminal());
        }
        self.lines.send(line);
    }

    /// Waits until what was handed over so far has been written, a moment at the most.
    pub fn flush(&self, patience: Duration) {
        self.lines.flush(patience);
    }
}
