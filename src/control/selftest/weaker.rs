//! What a change may not do by itself: let in more than before, or what only a restart does.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::guards::{self, Guard, Weaker};
use super::super::parts::Aside;
use super::super::state::Deed;
use super::super::{Control, Edges, RELOAD};
use crate::config::Config;
use crate::problems::{Place, Problems};
use crate::snapshot::Snapshot;

impl<E: Edges> Control<E> {
    /// What only a restart can change is reported, and goes on as it was.
    pub(in crate::control) fn check_fixed(&self, next: &Config, problems: &mut Problems) {
        let Some(published) = &self.published else {
            return;
        };
        let running = &published.current().config;
        if running.workers != next.workers {
            let show = |workers: Option<usize>| {
                workers.map_or("one per core".to_owned(), |count| count.to_string())
            };
            let message = format!(
                "workers changes from {} to {} at the next start",
                show(running.workers),
                show(next.workers)
            );
            problems.warn(&Place::named("workers"), message);
        }
        let (was, is) = (&running.state_directory, &next.state_directory);
        if was != is {
            let message = format!(
                "state.directory changes from {} to {} at the next start",
                was.display(),
                is.display()
            );
            problems.warn(&Place::named("state.directory"), message);
        }
    }

    /// A plugin that lets in more than before is most likely a mistake, whether the one before is of
    /// this process or of an earlier one.
    pub(super) fn check_not_weaker(&self, next: &Snapshot, problems: &mut Problems) {
        let help = format!("if that is meant: {}", self.weaker_command());
        for weaker in guards::weaker(self.guards(), &Guard::of_all(&next.config)) {
            let mut plugins = next.config.plugins.iter();
            let written = plugins.find(|plugin| plugin.name == weaker.plugin);
            let key = format!("plugins.{}.{}", weaker.plugin, weaker.key);
            let place = match written {
                Some(plugin) => Place {
                    key,
                    ..plugin.at.clone()
                },
                None => Place::named(key),
            };
            let message = format!("the plugin {}", weaker.what);
            problems.add(&place, message).help(help.clone());
        }
    }

    /// Who asks for the reloads that follow; `None`: nobody that is known.
    pub fn asked_by(&mut self, who: Option<Arc<str>>) {
        self.asker = who;
    }

    /// What serves now lets in more than what served before, since somebody asked for it: that is
    /// noted, with who it was.
    pub(in crate::control) fn note_weaker(&mut self, weaker: &[Weaker]) {
        let (cause, by) = &self.cause;
        let by = by.clone().unwrap_or_else(|| (*cause).to_owned());
        let deeds: Vec<Deed<'_>> = weaker
            .iter()
            .map(|one| Deed {
                action: "weaken",
                id: "*",
                by: &by,
                before: Value::Null,
                after: json!({
                    "plugin": one.plugin, "key": one.key, "generation": self.generation,
                }),
            })
            .collect();
        if deeds.is_empty() {
            return;
        }
        let desk = self.desk.as_mut();
        let head = desk.and_then(|desk| desk.note_declared(&deeds, Timestamp::now()));
        for one in weaker {
            tracing::warn!(
                plugin = one.plugin,
                key = one.key,
                by,
                audit = head,
                "the plugin lets in more than before, as was asked"
            );
        }
    }

    /// What a configuration lets in that what serves refuses.
    pub(in crate::control) fn weaker_than_now(&self, next: &Config) -> Vec<Weaker> {
        guards::weaker(self.guards(), &Guard::of_all(next))
    }

    /// How the plugins are guarded that serve; before the first generation, those of the newest one
    /// of an earlier process.
    pub fn guards(&self) -> &[Guard] {
        let generation = self.record.as_deref().or(self.before.as_ref());
        generation.map_or(&[], |generation| &generation.guards)
    }

    /// What is to be kept of a generation: how its plugins are guarded, and how those were that are
    /// gone, until somebody asks for a reload: a file that is written in place, or removed and put
    /// back, must not come back with less. They stay while an included file is held of which nothing
    /// serves, or a plugin of the main file waits that did not: they may be in it.
    pub(in crate::control) fn guards_of(&self, next: &Config, aside: &Aside) -> Vec<Guard> {
        let mut guards = Guard::of_all(next);
        let meant = self.record.is_none() && self.weaker;
        // A rollback that lets in more was asked to.
        let back = || self.rolling && !guards::weaker(self.guards(), &guards).is_empty();
        let said = self.cause.0.starts_with(RELOAD) || back();
        let whole = aside.values().all(|held| held.serves) && self.apart_serve();
        let asked = said && whole;
        if !(meant || asked) {
            let known = self.guards().iter();
            let gone: Vec<Guard> = known.filter_map(|known| known.beside(&guards)).collect();
            guards.extend(gone);
        }
        guards
    }

    /// Somebody asked for a reload, and there was nothing to take: plugins that are gone are meant to
    /// be, and so are their guards.
    pub(in crate::control) fn forget_guards(&mut self, aside: &Aside) {
        let Some(published) = self.published.as_ref() else {
            return;
        };
        let guards = self.guards_of(&published.current().config, aside);
        if let Some(record) = self.record.as_mut().filter(|one| one.guards != guards) {
            Arc::make_mut(record).guards.clone_from(&guards);
            self.keep_record();
        }
    }

    /// What takes a candidate that lets in more.
    fn weaker_command(&self) -> String {
        match &self.rolled {
            Some(rolled) if self.rolling => format!("plugway rollback {} --weaker", rolled.to),
            _ if self.published.is_none() => "plugway serve --weaker".to_owned(),
            _ => "plugway reload --weaker".to_owned(),
        }
    }
}
