//! Tests that ask upstreams: those under way, and what came of the last. Each plugin has its own, so
//! that an upstream which does not answer keeps nobody else.

use std::collections::{HashMap, HashSet};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::Answer;
use crate::control::edges::Trial;
use crate::control::{Delivering, Delivery, Edges};

/// See the module.
#[derive(Default)]
pub(in crate::control) struct Trials {
    ordered: u64,
    /// By plugin.
    under_way: HashMap<String, UnderWay>,
    /// By plugin.
    came: HashMap<String, Came>,
    /// Plugins that the look which is under way has tests of.
    wanted: HashSet<String>,
    orders: Vec<Delivering>,
}

/// What came.
struct Came {
    basis: [u8; 32],
    answers: Vec<Answer>,
    /// A look made use of it.
    used: bool,
}

/// Dropped, it is called off.
struct UnderWay {
    number: u64,
    basis: [u8; 32],
    _called_off: DropGuard,
}

impl std::fmt::Debug for Trials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trials")
            .field("under_way", &self.under_way.len())
            .finish_non_exhaustive()
    }
}

/// What an upstream answered to the tests of a candidate.
#[derive(Debug)]
pub struct Verdict {
    plugin: String,
    number: u64,
    answers: Vec<Answer>,
}

impl Trials {
    pub(in crate::control) fn take_orders(&mut self) -> Vec<Delivering> {
        std::mem::take(&mut self.orders)
    }

    pub(in crate::control) fn are_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Takes what came, unless it was called off.
    pub(in crate::control) fn delivered(&mut self, verdict: Verdict) {
        let Verdict {
            plugin,
            number,
            answers,
        } = verdict;
        let known = self.under_way.get(&plugin);
        if let Some(basis) = known
            .filter(|known| known.number == number)
            .map(|known| known.basis)
        {
            self.under_way.remove(&plugin);
            let came = Came {
                basis,
                answers,
                used: false,
            };
            self.came.insert(plugin, came);
        }
    }

    /// What was looked at is not looked at again: upstreams may answer something else by now.
    pub(in crate::control) fn forget(&mut self) {
        self.came.retain(|_, came| !came.used);
    }

    /// A look begins.
    pub(in crate::control) fn begin(&mut self) {
        self.wanted.clear();
    }

    /// It is over, and got as far as the tests: what it has no use for is called off.
    pub(in crate::control) fn end(&mut self) {
        let wanted = &self.wanted;
        self.under_way.retain(|plugin, _| wanted.contains(plugin));
        self.came.retain(|plugin, _| wanted.contains(plugin));
    }

    /// The answers to the tests of a plugin.
    pub(super) fn answers(
        &mut self,
        plugin: &str,
        basis: [u8; 32],
        count: usize,
    ) -> Option<Vec<Answer>> {
        self.wanted.insert(plugin.to_owned());
        let came = self.came.get_mut(plugin)?;
        if came.basis != basis || came.answers.len() != count {
            return None;
        }
        came.used = true;
        Some(came.answers.clone())
    }

    /// Sends the tests of a plugin out, unless they are under way.
    pub(super) fn order<E: Edges>(
        &mut self,
        plugin: &str,
        basis: [u8; 32],
        trial: Trial,
        edges: &E,
    ) {
        let known = self.under_way.get(plugin);
        if known.is_some_and(|known| known.basis == basis) {
            return;
        }
        self.ordered += 1;
        let number = self.ordered;
        let called_off = CancellationToken::new();
        let end = called_off.clone();
        let under_way = UnderWay {
            number,
            basis,
            _called_off: called_off.drop_guard(),
        };
        self.under_way.insert(plugin.to_owned(), under_way);
        let (trying, plugin) = (edges.try_upstream(trial), plugin.to_owned());
        self.orders.push(Box::pin(async move {
            let answers = tokio::select! {
                answers = trying => answers,
                () = end.cancelled() => Vec::new(),
            };
            Delivery::Trial(Verdict {
                plugin,
                number,
                answers,
            })
        }));
    }
}
