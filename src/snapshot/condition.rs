//! Whether an upstream's URL is well, as its health checks say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::config::Health;

/// How a URL is asked for its health, and what was found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// `upstream.health`; its path is the whole path at the upstream.
    pub settings: Health,
    /// Shared by whatever asks the same URL in the same way, over generations.
    pub condition: Arc<Condition>,
}

/// What was found. Well until something else is known.
#[derive(Debug, Default)]
pub struct Condition {
    ill: AtomicBool,
    /// Answers in a row that say otherwise.
    contrary: AtomicU32,
}

impl Condition {
    /// Whether it gets no requests as long as another URL is well.
    pub fn is_ill(&self) -> bool {
        self.ill.load(Relaxed)
    }

    /// Nothing is known any more.
    pub(super) fn forget(&self) {
        self.contrary.store(0, Relaxed);
        self.ill.store(false, Relaxed);
    }

    /// Notes the outcome of a check. Whether it changed what is known.
    pub fn found(&self, good: bool, settings: &Health) -> bool {
        let ill = self.is_ill();
        if good != ill {
            self.contrary.store(0, Relaxed);
            return false;
        }
        let enough = if ill {
            settings.healthy
        } else {
            settings.unhealthy
        };
        if self.contrary.fetch_add(1, Relaxed) + 1 < enough {
            return false;
        }
        self.contrary.store(0, Relaxed);
        self.ill.store(!ill, Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_takes_several_answers_in_a_row() {
        let settings = Health {
            path: "/".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            unhealthy: 3,
            healthy: 2,
        };
        let condition = Condition::default();
        let mut told = String::new();
        for good in "110010001101110".chars() {
            condition.found(good == '1', &settings);
            told.push(if condition.is_ill() { 'i' } else { 'w' });
        }
        assert_eq!(told, "wwwwwwwiiwwwwww");
    }
}
