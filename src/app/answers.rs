//! What the admin API asks, handed to control, and control's answers.

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{App, Trigger, Waiting};
use crate::admin::{Command, Lines};
use crate::control::View;
use crate::telemetry::{self, Counters};
use crate::tokens::{Fault, Flow, Look, Who};

/// Pieces of a long answer that wait for their reader.
const PIECES: usize = 16;
/// Bytes of a piece.
const PIECE: usize = 64 << 10;

impl App {
    /// Answers, now or from another thread.
    pub(super) async fn answer(&mut self, command: Command, waiting: &mut Waiting) {
        match command {
            Command::Status(answer) => drop(answer.send(self.control.status())),
            Command::Ready(answer) => drop(answer.send(self.control.ready())),
            Command::Reload { weaker, answer } => {
                let trigger = Trigger::Command { weaker };
                self.attempt(trigger, Some(answer), waiting).await;
            }
            Command::Order { order, who, answer } => {
                drop(answer.send(self.control.order(&order, &who, Timestamp::now())));
            }
            Command::Look {
                look: Look::Explain(question),
                who,
                answer,
            } => {
                let explained = self.control.explain(&question, &who, Timestamp::now());
                drop(answer.send(explained));
            }
            Command::Look { look, who, answer } => match self.view(who) {
                Err(fault) => drop(answer.send(Err(fault))),
                // A million tokens take their time, which others need not wait for.
                Ok(view) => drop(tokio::task::spawn_blocking(move || {
                    answer.send(view.look(&look))
                })),
            },
            Command::Flow { flow, who, answer } => {
                if flow == Flow::Backup {
                    self.control.flush_uses(Timestamp::now());
                }
                let begun = self.view(who).and_then(|view| {
                    view.check(&flow)?;
                    Ok(lines(view, flow))
                });
                drop(answer.send(begun));
            }
            Command::Metrics(answer) => {
                let mut counters = Counters::default();
                for report in self.control.edges().reports().await {
                    counters.merge(&report);
                }
                let gauges = self.control.gauges();
                let _ = answer.send(telemetry::encode(&counters, &self.shared.labels, &gauges));
            }
        }
    }

    fn view(&mut self, who: Who) -> Result<View, Fault> {
        self.control.view(who, Timestamp::now())
    }
}

/// Takes the lines on another thread, as fast as they are read.
fn lines(view: View, flow: Flow) -> Lines {
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut piece = String::with_capacity(PIECE);
        let taken = view.flow(flow, |line| {
            piece.push_str(&line);
            if piece.len() >= PIECE {
                // Nobody reads on: the rest is made for nothing, and let go of.
                let _ = sender.blocking_send(Ok(Bytes::from(std::mem::take(&mut piece))));
            }
        });
        let last = match taken {
            Ok(()) => Ok(Bytes::from(piece)),
            Err(fault) => Err(fault.detail()),
        };
        let _ = sender.blocking_send(last);
    });
    receiver
}
