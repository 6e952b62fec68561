//! A gateway in front of a program that it started: it listens at once, and is ready when the
//! program answers.

use std::ffi::OsString;
use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;

use super::program::{self, Program};
use super::{App, Started, Trigger, Waiting};
use crate::control::{Edges, Source};
use crate::snapshot::Target;
use crate::upstream;

/// Between two looks whether the program answers: at first, and at the most.
const LOOK_FIRST: Duration = Duration::from_millis(10);
const LOOK_LAST: Duration = Duration::from_millis(250);
/// After so long without an answer it is said where it is looked for.
const LOOK_LONG: Duration = Duration::from_secs(3);
/// Between two searches for its document: at first, and at the most.
const SEARCH_FIRST: Duration = Duration::from_secs(1);
const SEARCH_LAST: Duration = Duration::from_secs(15);

/// Looks for the document of the program, which answers by now, and gives the configuration with
/// it. The error says where it was looked for.
pub type Search = Box<dyn Fn() -> Pin<Box<dyn Future<Output = anyhow::Result<Source>>>>>;

/// What is to be in front of.
pub struct InFront {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// `None`: where the document is, is known.
    pub search: Option<Search>,
}

impl std::fmt::Debug for InFront {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InFront").finish_non_exhaustive()
    }
}

impl InFront {
    /// What can be known before anything listens.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let name = self.command.first().context("no program is named")?;
        program::find(name, std::env::var_os("PATH").as_deref())
    }
}

/// The program, and what waits for it.
pub(super) struct Behind<'a> {
    pub(super) program: Program,
    /// Ends when it answers, with the configuration if that was found out now.
    answers: Option<Pin<Box<dyn Future<Output = Option<Source>>>>>,
    announce: Option<Announce<'a>>,
    /// It was said why plugins wait still.
    told: bool,
}

/// Says that everything is ready.
type Announce<'a> = Box<dyn FnOnce(&Started) + 'a>;

/// What can happen to a program.
pub(super) enum Event {
    /// It has ended with this code.
    Ended(u8),
    /// It answers.
    Answers(Option<Source>),
}

/// The next that happens.
pub(super) async fn event(behind: Option<&mut Behind<'_>>) -> Event {
    let Some(behind) = behind else {
        return pending().await;
    };
    let answers = async {
        match &mut behind.answers {
            Some(answers) => answers.await,
            None => pending().await,
        }
    };
    let event = tokio::select! {
        code = behind.program.ended() => Event::Ended(code),
        source = answers => Event::Answers(source),
    };
    if let Event::Answers(_) = event {
        behind.answers = None;
    }
    event
}

impl App {
    /// Starts the program. Nobody is served before this.
    pub(super) fn start_program<'a>(
        &mut self,
        program: InFront,
        descriptors: u64,
        announce: Announce<'a>,
    ) -> anyhow::Result<Behind<'a>> {
        let published = self.control.published().context("nothing was published")?;
        let snapshot = published.current();
        let expected = program::expected(&snapshot);
        if expected.is_empty() {
            tracing::warn!(
                "no upstream is on this machine: whether the program answers is not known"
            );
        }
        self.shared.starting.store(true, Ordering::Relaxed);
        let tokens = &self.shared.tokens;
        let started = Program::start(&program.command, descriptors, &snapshot, tokens)?;
        Ok(Behind {
            program: started,
            answers: Some(Box::pin(answer(expected, program.search))),
            announce: Some(announce),
            told: false,
        })
    }

    /// For whoever wants to know before the program answers.
    pub(super) fn tell_addresses(&mut self) {
        for listening in self.control.edges().listening() {
            let (kind, address) = (listening.kind.name(), listening.address);
            tracing::info!(kind, %address, "listening; waits for the program");
        }
    }

    /// It answers: documents that could not be had are fetched.
    pub(super) async fn program_answers(&mut self, source: Option<Source>, waiting: &mut Waiting) {
        tracing::info!("the program answers");
        if let Some(source) = source {
            self.control.set_source(source);
        }
        self.control.hurry();
        self.attempt(Trigger::Document, None, waiting).await;
    }

    /// Says that all is ready, once: the program answers, and its document came.
    pub(super) fn greet(&mut self, behind: Option<&mut Behind<'_>>) {
        let Some(behind) = behind.filter(|behind| behind.announce.is_some()) else {
            return;
        };
        if behind.answers.is_some() || self.control.fetching() {
            return;
        }
        self.shared.starting.store(false, Ordering::Relaxed);
        if self.control.ready() {
            if let Some(announce) = behind.announce.take() {
                announce(&self.started());
            }
            self.notify.ready(self.control.generation());
        } else if !std::mem::replace(&mut behind.told, true) {
            for plugin in self.started().plugins {
                if let Some(reason) = plugin.unavailable {
                    let plugin = plugin.name;
                    tracing::warn!(
                        plugin,
                        reason,
                        "waits for its document, which is asked for again"
                    );
                }
            }
        }
    }
}

/// Waits until all of them answer, and the document is found.
async fn answer(expected: Vec<Target>, search: Option<Search>) -> Option<Source> {
    for target in expected {
        let (mut wait, mut waited) = (LOOK_FIRST, Duration::ZERO);
        while !upstream::answers(&target).await {
            sleep(wait).await;
            if waited < LOOK_LONG && waited + wait >= LOOK_LONG {
                tracing::warn!(
                    upstream = target.url(""),
                    "the program does not answer yet: it has to listen where `upstream.url` says"
                );
            }
            waited += wait;
            wait = (wait * 2).min(LOOK_LAST);
        }
    }
    let search = search?;
    let (mut wait, mut told) = (SEARCH_FIRST, false);
    loop {
        match search().await {
            Ok(source) => return Some(source),
            Err(error) if !told => {
                told = true;
                tracing::warn!("{error:#}; it is looked for again");
            }
            Err(_) => {}
        }
        sleep(wait).await;
        wait = (wait * 2).min(SEARCH_LAST);
    }
}
