//! Attempts, and who waits to hear what came of them.

use tokio::sync::oneshot;

use super::App;
use crate::control::{Delivery, Outcome, Trigger};
use crate::problems::Problems;
use crate::tokens::Fault;

pub(super) type Answer = oneshot::Sender<Result<serde_json::Value, Fault>>;

/// An attempt that waits for documents, and who waits for it.
#[derive(Default)]
pub(super) struct Waiting {
    trigger: Option<Trigger>,
    answers: Vec<Answer>,
    /// Something was published since, with these warnings.
    published: Option<Problems>,
}

impl App {
    pub(super) async fn attempt(
        &mut self,
        trigger: Trigger,
        answer: Option<Answer>,
        waiting: &mut Waiting,
    ) {
        if trigger != Trigger::Document {
            self.notify.reloading();
        }
        if answer.is_none() {
            self.control.asked_by(None);
        }
        let outcome = self.control.attempt(trigger).await;
        self.concluded(trigger, &outcome, answer, waiting);
    }

    pub(super) fn delivered(&mut self, delivery: Delivery, waiting: &mut Waiting) {
        let mut new = self.control.delivered(delivery);
        // Others may be there as well by now.
        while let Ok(delivery) = self.deliveries.1.try_recv() {
            new |= self.control.delivered(delivery);
        }
        if !new {
            self.control.settle_clock();
            return;
        }
        let trigger = waiting.trigger.unwrap_or(Trigger::Document);
        if matches!(trigger, Trigger::Command { .. }) && self.control.fetching() {
            return;
        }
        let outcome = self.control.resume(trigger);
        self.control.settle_clock();
        self.concluded(trigger, &outcome, None, waiting);
    }

    /// Answers whoever waits, unless documents have to be waited for.
    fn concluded(
        &mut self,
        trigger: Trigger,
        outcome: &Outcome,
        answer: Option<Answer>,
        waiting: &mut Waiting,
    ) {
        waiting.answers.extend(answer);
        let asked = |trigger| matches!(trigger, Some(Trigger::Command { .. }));
        // Who asked is told when all is known, also of an included file that waits by itself.
        let refused = matches!(outcome, Outcome::Refused(_));
        let open = asked(Some(trigger)) && !refused && self.control.waits();
        if let Outcome::Published(warnings) = outcome {
            waiting.published = Some(warnings.clone());
        }
        if matches!(outcome, Outcome::Waiting) || open {
            // A command stays a command, whatever else is noticed meanwhile.
            if !asked(waiting.trigger) {
                waiting.trigger = Some(trigger);
            }
            return;
        }
        // A file that changed meanwhile is no answer to who asked for the documents.
        if asked(waiting.trigger) && self.control.fetching() {
            return;
        }
        waiting.trigger = None;
        let published = std::mem::take(&mut waiting.published);
        // What came last changed nothing any more.
        let unchanged = matches!(outcome, Outcome::Unchanged);
        let before = published.filter(|_| unchanged).map(Outcome::Published);
        let outcome = before.as_ref().unwrap_or(outcome);
        self.notify.concluded(outcome, self.control.generation());
        let described = self.control.describe(outcome);
        for answer in waiting.answers.drain(..) {
            let _ = answer.send(Ok(described.clone()));
        }
    }
}
