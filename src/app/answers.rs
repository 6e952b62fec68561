//! What the admin API asks, handed to control, and control's answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{App, Trigger, Waiting};
use crate::admin::{Command, Lines};
use crate::control::{Rolling, Side, View};
use crate::telemetry::{self, Counters};
use crate::tokens::{Fault, FieldFault, Flow, Look, Token, Who};

/// Pieces of a long answer that wait for their reader.
const PIECES: usize = 16;
/// How long a piece waits for its reader.
const STALL: Duration = Duration::from_secs(30);
/// Bytes of a piece.
const PIECE: usize = 64 << 10;

impl App {
    /// Answers, now or from another thread.
    pub(super) async fn answer(&mut self, command: Command, waiting: &mut Waiting) {
        match command {
            Command::Status(answer) => drop(answer.send(self.control.status())),
            Command::Ready(answer) => drop(answer.send(self.control.ready())),
            Command::Generation(_)
            | Command::Reload { .. }
            | Command::RollBack { .. }
            | Command::History(_)
            | Command::Diff { .. } => self.answer_of_generations(command, waiting).await,
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
            Command::Look { look, who, answer } => {
                let begun = self
                    .permit()
                    .and_then(|permit| Ok((self.view(who)?, permit)));
                match begun {
                    Err(fault) => drop(answer.send(Err(fault))),
                    // A million tokens take their time, which others need not wait for.
                    Ok((view, permit)) => drop(tokio::task::spawn_blocking(move || {
                        let _permit = permit;
                        answer.send(view.look(&look))
                    })),
                }
            }
            Command::Flow { flow, who, answer } => {
                if flow == Flow::Backup {
                    self.collect_uses().await;
                    self.control.flush_uses(Timestamp::now());
                    self.control.save(Timestamp::now());
                }
                let begun = self.permit().and_then(|permit| {
                    let view = self.view(who)?;
                    view.check(&flow)?;
                    Ok(lines(view, flow, permit))
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

    /// What is asked of generations.
    async fn answer_of_generations(&mut self, command: Command, waiting: &mut Waiting) {
        match command {
            Command::Generation(answer) => drop(answer.send(self.control.generation())),
            Command::Reload {
                weaker,
                expected,
                who,
                answer,
            } => match self.serves(expected.as_deref()) {
                Ok(()) => {
                    self.control.asked_by(Some(who.by));
                    let trigger = Trigger::Command { weaker };
                    self.attempt(trigger, Some(answer), waiting).await;
                }
                Err(fault) => drop(answer.send(Err(fault))),
            },
            Command::RollBack {
                to,
                weaker,
                expected,
                who,
                answer,
            } => {
                let by = who.by;
                let rolling = Rolling { to, weaker, by };
                let rolled = self.serves(expected.as_deref());
                let rolled =
                    rolled.and_then(|()| self.control.roll_back(&rolling, Timestamp::now()));
                drop(answer.send(rolled.map(|outcome| self.control.describe(&outcome))));
            }
            Command::History(answer) => {
                drop(answer.send(self.control.history(Timestamp::now())));
            }
            Command::Diff { from, to, answer } => drop(answer.send(self.diff(&from, &to))),
            _ => {}
        }
    }

    /// Whether one of the generations serves that somebody expects.
    fn serves(&self, expected: Option<&[u64]>) -> Result<(), Fault> {
        let serves = self.control.generation();
        match expected {
            Some(expected) if !expected.contains(&serves) => Err(Fault::Changed { serves }),
            _ => Ok(()),
        }
    }

    /// What two sides have not in common.
    fn diff(&mut self, from: &str, to: &str) -> Result<serde_json::Value, Fault> {
        let side = |field, text: &str| {
            Side::parse(text).ok_or_else(|| {
                let message = "must be the number of a generation, `running` or `disk`".to_owned();
                Fault::Invalid(vec![FieldFault { field, message }])
            })
        };
        let (from, to) = (side("from", from)?, side("to", to)?);
        self.control.diff(from, to, Timestamp::now())
    }

    /// Notes that secrets were used.
    pub(super) fn note_uses(&mut self, tokens: &[Arc<Token>]) {
        let now = Timestamp::now();
        for token in tokens {
            self.control.used(token, now);
        }
    }

    /// The uses that workers have not told of yet. Whoever had an answer was noted before it.
    pub(super) async fn collect_uses(&mut self) {
        self.control.edges().reports().await;
        while let Ok(tokens) = self.uses.try_recv() {
            self.note_uses(&tokens);
        }
    }

    /// One of the few that may go through all tokens at the same time.
    fn permit(&self) -> Result<OwnedSemaphorePermit, Fault> {
        let permit = Arc::clone(&self.long).try_acquire_owned();
        permit.map_err(|_| {
            Fault::Store("too many lists, exports and backups are under way: try again".to_owned())
        })
    }

    fn view(&mut self, who: Who) -> Result<View, Fault> {
        self.control.view(who, Timestamp::now())
    }
}

/// Takes the lines on another thread, as fast as they are read. Who does not read gets no more.
fn lines(view: View, flow: Flow, permit: OwnedSemaphorePermit) -> Lines {
    let (sender, receiver) = mpsc::channel(PIECES);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut gone = false;
        let mut give = |piece: Result<Bytes, String>| {
            if !gone {
                let sent = tokio::time::timeout(STALL, sender.send(piece));
                gone = !matches!(runtime.block_on(sent), Ok(Ok(())));
            }
        };
        let mut piece = String::with_capacity(PIECE);
        let taken = view.flow(flow, |line| {
            piece.push_str(&line);
            if piece.len() >= PIECE {
                give(Ok(Bytes::from(std::mem::take(&mut piece))));
            }
        });
        give(match taken {
            Ok(()) => Ok(Bytes::from(piece)),
            Err(fault) => Err(fault.detail()),
        });
    });
    receiver
}
