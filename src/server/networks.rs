//! How many connections each network has open, over all workers.
//!
//! Asked when a connection is accepted and when it ends, never for a request. A network is only
//! known while it has a connection, so there are never more of them than connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dashmap::DashMap;

use crate::network::Network;

/// Connections by network.
#[derive(Debug)]
pub(crate) struct Networks {
    open: DashMap<Network, usize>,
    /// What no limit is above.
    most: AtomicUsize,
}

impl Networks {
    /// With no more of a network than `most`, whatever is configured.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            open: DashMap::new(),
            most: AtomicUsize::new(most),
        }
    }

    /// From now on no network may have more than `most`.
    pub(crate) fn resize(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// Counts one more, until what is returned is dropped. `None`: `limit` of them are open.
    pub(crate) fn enter(self: &Arc<Self>, network: Network, limit: usize) -> Option<Held> {
        let limit = limit.min(self.most.load(Relaxed));
        let mut open = self.open.entry(network).or_insert(0);
        // The limit is at least one, so that an entry without a connection is never left behind.
        if *open >= limit.max(1) {
            return None;
        }
        *open += 1;
        drop(open);
        Some(Held {
            networks: Arc::clone(self),
            network,
        })
    }
}

/// Counts a connection of a network until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    networks: Arc<Networks>,
    network: Network,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.networks.open.remove_if_mut(&self.network, |_, open| {
            *open -= 1;
            *open == 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_known_while_it_has_connections() {
        let networks = Arc::new(Networks::new(2));
        let of = |text: &str| Network::of(text.parse().unwrap());
        let (one, other) = (of("192.0.2.1"), of("2001:db8::1"));
        let first = networks.enter(one, 2).unwrap();
        let second = networks.enter(one, 2).unwrap();
        assert!(networks.enter(one, 2).is_none());
        assert!(networks.enter(other, 2).is_some(), "others are not meant");
        assert_eq!(networks.open.len(), 1, "and it is forgotten at once");
        drop(first);
        assert!(networks.enter(one, 1).is_none(), "the limit was lowered");
        let third = networks.enter(one, 2).unwrap();
        assert!(networks.enter(one, 3).is_none(), "never more than that");
        networks.resize(3);
        drop((second, third, networks.enter(one, 3).unwrap()));
        assert!(networks.open.is_empty());
    }
}
