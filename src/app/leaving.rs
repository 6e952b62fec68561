//! The end of the process: the drain, and that of the program behind.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::App;
use super::program::Program;
use super::signals::Signals;
use crate::control::Platform;

/// What answers that are under way get when the program has ended, which they came from.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leave {
    /// A signal came.
    Asked(Signal),
    /// A successor serves.
    Succeeded,
    /// The program has ended, with this code.
    Ended(u8),
}

impl App {
    /// The drain, and then the end of the program; a second signal cuts both. Gives the code of
    /// the program.
    pub(super) async fn leave(
        self,
        leave: Leave,
        mut signals: Signals,
        mut program: Option<Program>,
    ) -> Option<u8> {
        // The service goes on, where a successor has it.
        if !matches!(leave, Leave::Succeeded) {
            self.notify.stopping();
        }
        let ended = tokio::select! {
            code = self.end(leave, program.as_mut()) => Some(code),
            _ = signals.terminate.recv() => None,
            _ = signals.interrupt.recv() => None,
        };
        let code = match (ended, &mut program) {
            (Some(code), _) => code,
            (None, program) => {
                // Who asks twice does not want to wait.
                tracing::warn!("ended at once: a second signal came");
                match program {
                    Some(program) => Some(program.kill().await),
                    None => None,
                }
            }
        };
        crate::log::flush();
        code
    }

    /// Both within `limits.drain`. The program answers to the last request: of the time, requests
    /// get three quarters at the most, so that some is left for the program.
    async fn end(self, leave: Leave, program: Option<&mut Program>) -> Option<u8> {
        let drain = self.patience();
        let all = Instant::now() + drain;
        match (leave, program) {
            (Leave::Ended(code), _) => {
                tracing::warn!(code, "the program has ended");
                self.drain(drain.min(LAST_WORDS)).await;
                Some(code)
            }
            (Leave::Asked(how), Some(program)) => {
                self.drain(drain.mul_f32(0.75)).await;
                Some(program.end(how, all).await)
            }
            _ => {
                self.drain(drain).await;
                None
            }
        }
    }

    fn patience(&self) -> Duration {
        let published = self.control.published();
        let written = published.and_then(|published| published.current().limits.drain);
        written.unwrap_or_else(|| Platform::read().drain())
    }

    async fn drain(mut self, patience: Duration) {
        tracing::info!(deadline_s = patience.as_secs_f32(), "draining");
        self.collect_uses().await;
        self.stop.cancel();
        // A successor may wait for it.
        self.control.close_state(jiff::Timestamp::now());
        // Now, and not at the end: a successor may have its own there by then.
        self.control.edges().admin = None;
        self.handover = None;
        if let Some(workers) = self.control.edges().end()
            && !workers.drain(patience).await
        {
            tracing::warn!("the drain's deadline has passed: connections were cut");
        }
        self.access.flush(Duration::from_secs(1));
        tracing::info!("ended");
    }
}
