//! What a change may not do by itself: let in more than before, or what only a restart does.

use super::super::guards::{self, Guard};
use super::super::parts::Aside;
use super::super::{Control, Edges};
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

    /// How the plugins are guarded that serve; before the first generation, those of the newest one
    /// of an earlier process.
    pub fn guards(&self) -> &[Guard] {
        let generation = self.record.as_deref().or(self.before.as_ref());
        generation.map_or(&[], |generation| &generation.guards)
    }

    /// What is to be kept of a generation: how its plugins are guarded, and, while an included file
    /// is held of which nothing serves, how those were that may be in it. Else the next start, or the
    /// next touch of that file, would know nothing of them.
    pub(in crate::control) fn guards_of(&self, next: &Config, aside: &Aside) -> Vec<Guard> {
        let mut guards = Guard::of_all(next);
        let meant = self.record.is_none() && self.weaker;
        if meant || aside.values().all(|held| held.serves) {
            return guards;
        }
        let gone = |known: &&Guard| !guards.iter().any(|guard| guard.stands_for(known));
        let gone: Vec<Guard> = self.guards().iter().filter(gone).cloned().collect();
        guards.extend(gone);
        guards
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
