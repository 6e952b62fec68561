//! What is let go of when nothing is done.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use plugway_heap::{gather_large_pages, prefer_small_pages};
use tokio::task::AbortHandle;

use crate::server::Resting;
use crate::telemetry::Counters;

/// How long it has been since the last change. Those that follow each other run the same code.
const QUIET: Duration = Duration::from_secs(2);
/// From a change until large pages are made: a start is over by then, and with it what is only
/// needed once.
const LATER: Duration = Duration::from_secs(30);
/// So many times as long as it took to make a page, nothing is done: who serves needs the processor.
const SHARE: u32 = 9;
/// How long nobody has asked for anything.
const IDLE: Duration = Duration::from_secs(10);
/// Ticks of the processor that an idle gateway takes meanwhile at the most: on a machine that shares its
/// cores with others its timers alone were seen to take three.
const HARDLY: u64 = 5;
/// Pages that came back meanwhile: for fewer it is not worth it.
const FEW: u64 = 64;

/// Lets go of the code that starts, changes and requests have run, and of memory that is free: most of
/// what an idle gateway would be resident with.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Begins anew with each change.
    letting_go: Option<AbortHandle>,
    /// Does not: where something changes every few seconds, its time would never come.
    gathering: Option<AbortHandle>,
}

impl Rest {
    /// A change is over. To be called in the control thread.
    pub(super) fn begin(&mut self, workers: Option<Resting<Counters>>) {
        let task = tokio::task::spawn_local(async move {
            tokio::time::sleep(QUIET).await;
            let_go_of_code();
            let (mut seen, mut rested) = (Usage::now(), Usage::now());
            loop {
                tokio::time::sleep(IDLE).await;
                let now = Usage::now();
                if now.is_idle_since(seen) && now.faults > rested.faults + FEW {
                    if let Some(workers) = &workers {
                        workers.let_go().await;
                    }
                    plugway_heap::let_go_of_free();
                    let_go_of_code();
                    gather();
                    rested = Usage::now();
                }
                seen = now;
            }
        });
        if let Some(before) = self.letting_go.replace(task.abort_handle()) {
            before.abort();
        }
        if self.gathering.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = tokio::task::spawn_local(async {
                tokio::time::sleep(LATER).await;
                gather();
            });
            self.gathering = Some(task.abort_handle());
        }
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        for task in [&self.letting_go, &self.gathering].into_iter().flatten() {
            task.abort();
        }
    }
}

/// Where large pages are what everybody gets, a few MiB would take many times as much.
pub(super) fn small_pages() {
    if let Err(error) = prefer_small_pages() {
        tracing::debug!(%error, "pages are of the size that the system likes");
    }
}

/// Makes large pages for those that have many tokens, in a thread that no end waits for.
fn gather() {
    static UNDER_WAY: AtomicBool = AtomicBool::new(false);
    if UNDER_WAY.swap(true, Relaxed) {
        return;
    }
    let gather = || {
        if let Err(error) = gather_large_pages(|took| thread::sleep(took * SHARE)) {
            tracing::debug!(%error, "pages that are small stay so");
        }
        UNDER_WAY.store(false, Relaxed);
    };
    let begun = thread::Builder::new()
        .name("pages".to_owned())
        .spawn(gather);
    if begun.is_err() {
        UNDER_WAY.store(false, Relaxed);
    }
}

fn let_go_of_code() {
    if let Err(error) = plugway_heap::let_go_of_code() {
        tracing::debug!(%error, "code that is not needed stays resident");
    }
}

/// What the process has used so far (`proc_pid_stat(5)`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Usage {
    /// Pages that were made resident without a read from the disk.
    faults: u64,
    /// Of the processor's time, 10 ms each.
    ticks: u64,
}

impl Usage {
    /// Nothing where there is no such file: no code is let go of there either.
    fn now() -> Self {
        let line = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self::read(&line).unwrap_or_default()
    }

    fn read(line: &str) -> Option<Self> {
        // The name, in brackets, may have spaces and brackets in it.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            faults: number(7)?,
            ticks: number(11)? + number(12)?,
        })
    }

    /// Whether hardly anything was done since.
    fn is_idle_since(self, before: Self) -> bool {
        self.ticks <= before.ticks + HARDLY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_read_off_the_line() {
        let line = "42 (a) b) S 1 42 42 0 -1 4194560 1234 0 5 0 17 25 0 0 20 0 5 0 9 1 2";
        let used = Usage::read(line);
        assert_eq!(
            used,
            Some(Usage {
                faults: 1234,
                ticks: 42
            })
        );
        assert_eq!(Usage::read("42 (a) S 1"), None);
        assert_eq!(Usage::read(""), None);
    }

    #[test]
    fn who_does_something_is_not_idle() {
        let at = |ticks| Usage { faults: 0, ticks };
        assert!(at(12).is_idle_since(at(7)) && !at(13).is_idle_since(at(7)));
        if cfg!(target_os = "linux") {
            assert!(Usage::now().faults > 0);
        }
    }
}
