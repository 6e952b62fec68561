//! From one process to the next: a configuration is proven while another gateway serves, and the
//! state database is lent to it.

use std::path::PathBuf;

use jiff::Timestamp;

use super::attempt::Manner;
use super::documents::Ask;
use super::guards::Guard;
use super::{Control, Edges, Inputs, Outcome, Trigger};
use crate::problems::Problems;

/// What can be said of a configuration before anything is taken from who serves.
#[derive(Debug)]
pub struct Proven {
    /// Where its state is.
    pub state: PathBuf,
    /// Plugins that could not serve, by name, and why.
    pub unavailable: Vec<(String, String)>,
    /// Plugins that there are.
    pub plugins: Vec<String>,
    /// How they are guarded.
    pub guards: Vec<Guard>,
    /// Included files that are broken: the plugins in them are not there.
    pub broken: Vec<PathBuf>,
}

impl<E: Edges> Control<E> {
    /// Reads, proves, compiles and tests as the start will, without the state, which another gateway
    /// has; binds and publishes nothing. `None`: documents are awaited, or tests that ask upstreams.
    pub fn prove_start(&mut self) -> Option<Result<Proven, Problems>> {
        self.lent = true;
        let manner = Manner {
            trigger: Trigger::Start,
            ask: Ask::Missing,
            hasty: false,
            idle: false,
        };
        let (found, aside) = self.candidate(manner, &mut Inputs::default());
        self.lent = false;
        let candidate = match found {
            Ok(candidate) => candidate,
            Err(Outcome::Refused(refused)) => return Some(Err(refused.problems)),
            Err(_) => return None,
        };
        let plugins = candidate.snapshot.plugins.iter();
        let unavailable = plugins.filter_map(|plugin| {
            let reason = plugin.unavailable.clone()?;
            Some((plugin.name.to_string(), reason))
        });
        let names = candidate.snapshot.plugins.iter();
        Some(Ok(Proven {
            plugins: names.map(|plugin| plugin.name.to_string()).collect(),
            guards: Guard::of_all(&candidate.snapshot.config),
            broken: aside.into_keys().collect(),
            unavailable: unavailable.collect(),
            state: candidate.snapshot.config.state_directory.clone(),
        }))
    }

    /// Gives the state database up to a successor that may fail: nothing opens it until
    /// [`Self::take_state_back`].
    pub fn lend_state(&mut self, now: Timestamp) {
        let desk = self.desk.as_ref();
        self.home = desk.map(|desk| desk.directory().to_owned());
        self.close_state(now);
        self.lent = true;
    }

    /// The successor failed.
    pub fn take_state_back(&mut self, now: Timestamp) {
        self.lent = false;
        // Not where the configuration has it by now: another directory needs a restart.
        if let Some(directory) = self.home.take() {
            self.open_state(&directory, now);
        }
    }
}
