//! What did not change is not compiled again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::inputs::{Around, Inputs};
use super::{Plugin, Snapshot, plugin, tls};
use crate::config;
use crate::problems::{Place, Problem, Problems};

/// A plugin, and what it was compiled from.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) plugin: Arc<Plugin>,
    inputs: Inputs,
    /// What was said of it; `None`: how severe that was depends on more than the inputs, so that
    /// it has to be compiled again.
    warnings: Option<Problems>,
}

/// The compiled plugins and certificates of what serves, and of each plugin that changed the one
/// before: a rollback is as quick as any other change. Held by whoever publishes.
#[derive(Debug, Default)]
pub struct Kept {
    running: HashMap<Arc<str>, Arc<Made>>,
    before: HashMap<Arc<str>, Arc<Made>>,
    pub(super) served: tls::Served,
}

impl Kept {
    /// A snapshot serves from now on.
    pub fn turn(&mut self, snapshot: &Snapshot) {
        let name = |made: &Arc<Made>| (Arc::clone(&made.plugin.name), Arc::clone(made));
        let running: HashMap<_, _> = snapshot.made.iter().map(name).collect();
        let last = std::mem::replace(&mut self.running, running);
        self.served = snapshot.served.clone();
        let mut replaced = Vec::new();
        for (name, made) in &last {
            let now = self.running.get(name);
            if now.is_none_or(|now| !Arc::ptr_eq(&now.plugin, &made.plugin)) {
                replaced.push(Arc::clone(made));
            }
        }
        // What is gone for longer than one generation is forgotten: names may come and go for ever.
        let running = &self.running;
        self.before
            .retain(|name, _| running.contains_key(name) || last.contains_key(name));
        self.forget(&replaced);
        for made in replaced {
            self.before.insert(Arc::clone(&made.plugin.name), made);
        }
    }

    /// Nobody looks after upstreams that no plugin names any more: what was found there is
    /// forgotten, as it would be with the plugins.
    fn forget(&self, replaced: &[Arc<Made>]) {
        let (mut named, mut asked) = (HashSet::new(), HashSet::new());
        let running = self.running.values();
        for target in running.flat_map(|made| made.plugin.targets.all()) {
            named.insert(Arc::as_ptr(&target.origin));
            asked.extend(target.checked.as_ref().map(|c| Arc::as_ptr(&c.condition)));
        }
        for target in replaced.iter().flat_map(|made| made.plugin.targets.all()) {
            if !named.contains(&Arc::as_ptr(&target.origin)) {
                target.origin.succeeded();
            }
            if let Some(checked) = &target.checked
                && !asked.contains(&Arc::as_ptr(&checked.condition))
            {
                checked.condition.forget();
            }
        }
    }

    /// The plugin that comes of these inputs: one that was compiled from the same, or a new one.
    pub(super) fn make(
        &self,
        inputs: Inputs,
        around: &Around<'_>,
        problems: &mut Problems,
    ) -> Option<Made> {
        let name = inputs.plugin.name.as_str();
        let known = [self.running.get(name), self.before.get(name)];
        let same = known.into_iter().flatten().find_map(|made| {
            let warnings = made.warnings.as_ref()?;
            let same = made.inputs == inputs;
            let warnings = same.then(|| moved(warnings, &made.inputs.plugin, &inputs.plugin))?;
            Some((Arc::clone(&made.plugin), warnings?))
        });
        if let Some((plugin, warnings)) = same {
            plugin.learn(around.scopes);
            problems.append(warnings.clone());
            return Some(Made {
                plugin,
                inputs,
                warnings: Some(warnings),
            });
        }
        let mut found = Problems::new();
        let compiled = plugin::compile(&inputs, around, &mut found);
        problems.append(found.clone());
        let (plugin, judged) = compiled?;
        Some(Made {
            plugin: Arc::new(plugin),
            inputs,
            warnings: (!judged).then_some(found),
        })
    }
}

/// Warnings where their plugin stands now. `None`: one of them stands somewhere else.
fn moved(warnings: &Problems, before: &config::Plugin, now: &config::Plugin) -> Option<Problems> {
    let mut all = Problems::new();
    for problem in warnings {
        let is_at =
            |place: &Place| problem.at.span == place.span && problem.at.file() == place.file();
        let at = if problem.at.key == before.openapi.at.key && is_at(&before.openapi.at) {
            now.openapi.at.clone()
        } else if is_at(&before.at) {
            Place {
                key: problem.at.key.clone(),
                ..now.at.clone()
            }
        } else {
            return None;
        };
        all.push(Problem {
            at,
            ..problem.clone()
        });
    }
    Some(all)
}
