//! The log: what happened to the gateway, on standard error. (What happened to a request is an
//! access line, on standard output.)

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tracing_subscriber::filter::{DynFilterFn, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{Log, LogFormat, LogLevel};
use crate::lines::Lines;

/// Whether lines are for people; before a configuration says so, as `auto` would have it.
static AS_TEXT: AtomicBool = AtomicBool::new(true);

/// Whether a configuration says that every line is an object.
static OBJECTS: AtomicBool = AtomicBool::new(false);

/// How long whoever ends waits until what it said is written.
const LAST_WORDS: Duration = Duration::from_secs(1);

type Handle = reload::Handle<Targets, Registry>;

/// Starts the log and gives the function that changes it. Once per process; later calls give a
/// function for the same log.
pub fn start() -> Rc<dyn Fn(Log)> {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    let handle = HANDLE.get_or_init(|| {
        AS_TEXT.store(std::io::stderr().is_terminal(), Relaxed);
        let (filter, handle) = reload::Layer::new(targets(LogLevel::Info));
        let text = tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_target(false)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(DynFilterFn::new(|_, _| AS_TEXT.load(Relaxed)));
        let json = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer)
            .with_filter(DynFilterFn::new(|_, _| !AS_TEXT.load(Relaxed)));
        // Another subscriber is there already only in tests.
        let _ = tracing_subscriber::registry()
            .with(filter)
            .with(text)
            .with(json)
            .try_init();
        log_panics();
        handle
    });
    Rc::new(|log: Log| {
        let text = match log.format {
            LogFormat::Text => true,
            LogFormat::Json => false,
            LogFormat::Auto => std::io::stderr().is_terminal(),
        };
        AS_TEXT.store(text, Relaxed);
        OBJECTS.store(log.format == LogFormat::Json, Relaxed);
        let _ = handle.modify(|filter| *filter = targets(log.level));
    })
}

/// Whether a configuration was read that says of every line that it is to be an object.
pub(crate) fn is_of_objects() -> bool {
    OBJECTS.load(Relaxed)
}

/// Where lines are objects, a panic is one as well.
fn log_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if AS_TEXT.load(Relaxed) {
            usual(panic);
            return;
        }
        let message = panic.payload_as_str().unwrap_or("without a word");
        let at = panic.location().map(tracing::field::display);
        let backtrace = Backtrace::capture();
        let traced = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = traced.then(|| tracing::field::display(&backtrace));
        tracing::error!(at, backtrace, "panicked: {message}");
        // It may be the last that this process says.
        flush();
    }));
}

/// Standard error, through a thread: whoever does not read it must not stop a worker.
fn lines() -> Option<&'static Lines> {
    static LINES: OnceLock<Option<Lines>> = OnceLock::new();
    LINES
        .get_or_init(|| Lines::start("log", std::io::stderr()).ok())
        .as_ref()
}

/// Where an event is written to; nowhere if there could be no thread.
fn writer() -> Box<dyn std::io::Write> {
    match lines() {
        Some(lines) => Box::new(lines.clone()),
        None => Box::new(std::io::sink()),
    }
}

/// Waits until what was said so far has been written, no longer than a second.
pub fn flush() {
    if let Some(lines) = lines() {
        lines.flush(LAST_WORDS);
    }
}

/// What is written: our own events. What libraries say is for the debugging of plugway itself.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_target("plugway", level)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::config::AccessLog;

    /// Says to this test that it is the process that panics.
    const PANICS: &str = "PLUGWAY_TEST_PANICS";

    #[test]
    fn a_panic_is_an_object_among_objects() {
        if std::env::var_os(PANICS).is_some() {
            start()(Log {
                level: LogLevel::Error,
                format: LogFormat::Json,
                access: AccessLog::Off,
            });
            panic!("of {}", 7);
        }
        let own = std::env::current_exe().unwrap();
        let name = "log::tests::a_panic_is_an_object_among_objects";
        let ran = Command::new(own)
            .args(["--exact", name, "--nocapture"])
            .env(PANICS, "1")
            .output()
            .unwrap();
        assert!(!ran.status.success(), "it did not panic");
        let said = String::from_utf8(ran.stderr).unwrap();
        let line: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!(line["message"], "panicked: of 7", "{said}");
        assert!(line["at"].as_str().unwrap().contains("log.rs:"), "{said}");
    }
}
