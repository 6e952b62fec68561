//! What the metrics page has from control.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Control, Edges, Platform};
use crate::telemetry::Gauges;

impl<E: Edges> Control<E> {
    /// For the metrics page.
    pub fn gauges(&self) -> Gauges {
        let snapshot = self.published.as_ref().map(|published| published.current());
        let mut certificates = BTreeMap::new();
        for facts in snapshot.iter().flat_map(|snapshot| &snapshot.certificates) {
            for name in &facts.names {
                if let Ok(at) = Timestamp::from_second(facts.not_after) {
                    certificates.insert(Arc::from(name.as_str()), at);
                }
            }
        }
        Gauges {
            version: env!("CARGO_PKG_VERSION"),
            generation: self.generation,
            generations_alive: self.generations_alive() as u64,
            reload_last_success: self.last_success,
            reloads: self.reloads.clone(),
            config_pending_rejected: self.refused.is_some() || !self.held.is_empty(),
            token_expiry: self.token_ends(),
            certificates,
            platform: Platform::read().labels(),
        }
    }
}
