//! Access lines on their way to standard output.
//!
//! A worker formats its line and hands it over; one thread writes. When the reader of our output
//! does not read, lines are dropped and counted: a full pipe must not stop the gateway.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::config::{AccessLog, Log, LogFormat};
use crate::telemetry::Record;

/// Lines that may wait to be written.
const WAITING: usize = 16 << 10;

/// Where workers hand their lines. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Writer {
    lines: SyncSender<Line>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// 0 all, 1 errors, 2 off.
    which: AtomicU8,
    /// 0 JSON, 1 text.
    format: AtomicU8,
    dropped: AtomicU64,
}

impl Writer {
    /// Starts the thread that writes to standard output.
    pub fn start() -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        std::thread::Builder::new()
            .name("access".into())
            .spawn(move || write(&waiting))?;
        let shared = Shared {
            which: AtomicU8::new(0),
            format: AtomicU8::new(0),
            dropped: AtomicU64::new(0),
        };
        Ok(Self {
            lines,
            shared: Arc::new(shared),
        })
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
        self.send(line);
    }

    /// Writes any other line to the same place, in order.
    pub fn send(&self, line: Vec<u8>) {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Line::Text(line)) {
            self.shared.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Lines that were dropped because nobody read.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Relaxed)
    }

    /// Waits until what was handed over so far has been written, a moment at the most.
    pub fn flush(&self, patience: std::time::Duration) {
        let (written, done) = sync_channel(1);
        if self.lines.try_send(Line::Flush(written)).is_ok() {
            let _ = done.recv_timeout(patience);
        }
    }
}

enum Line {
    Text(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Writes what has gathered in one call.
fn write(waiting: &Receiver<Line>) {
    let mut out = std::io::stdout();
    let mut buffer = Vec::new();
    while let Ok(first) = waiting.recv() {
        let mut flushed = Vec::new();
        let mut next = Some(first);
        while let Some(line) = next {
            match line {
                Line::Text(text) => buffer.extend_from_slice(&text),
                Line::Flush(done) => flushed.push(done),
            }
            next = if buffer.len() < 64 << 10 {
                waiting.try_recv().ok()
            } else {
                None
            };
        }
        // When nobody reads any more, nothing can be done about it here.
        let _ = out.write_all(&buffer).and_then(|()| out.flush());
        buffer.clear();
        for done in flushed {
            let _ = done.try_send(());
        }
    }
}
