//! How many connections there may be, as far as the process may open descriptors.

use std::cell::RefCell;

use crate::config::Limits;
use crate::upstream::Room;

/// Descriptors that are not for connections of the data path: listeners, files, the admin socket,
/// health checks and documents that are fetched, a reserve.
const OTHER_DESCRIPTORS: usize = 128;
/// Connections of clients that are few for a gateway.
const FEW: usize = 1000;

/// What bounds connections.
#[derive(Debug)]
pub(super) struct Bounds {
    /// That the process may open.
    descriptors: usize,
    /// Of the connections to upstreams.
    pub(super) room: Room,
    /// What was said last of there being few.
    said: RefCell<Option<String>>,
}

impl Bounds {
    /// With so many descriptors.
    pub(super) fn new(descriptors: usize) -> Self {
        Self {
            descriptors,
            room: Room::endless(),
            said: RefCell::default(),
        }
    }

    /// How many connections there may be with these limits.
    pub(super) fn capacity(&self, limits: &Limits) -> Capacity {
        Capacity::of(self.descriptors, limits)
    }

    /// From now on these limits hold. What there is to say of them is said once.
    pub(super) fn configure(&self, limits: &Limits) -> Capacity {
        let capacity = self.capacity(limits);
        let complaint = capacity.complaint(self.descriptors, limits);
        let mut said = self.said.borrow_mut();
        if let Some(complaint) = &complaint
            && said.as_ref() != Some(complaint)
        {
            tracing::warn!("{complaint}");
        }
        *said = complaint;
        self.room.resize(capacity.upstream);
        capacity
    }
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    /// From clients.
    pub(super) connections: usize,
    /// Of these, from one network.
    pub(super) per_network: usize,
    /// To upstreams.
    pub(super) upstream: usize,
}

impl Capacity {
    /// With so many descriptors. Clients get no more than half of them, since each may need one to
    /// an upstream; upstreams get what is left, since a client of HTTP/2 may need a hundred. Where
    /// clients get fewer than is configured, a network gets no more than half of those.
    pub(super) fn of(descriptors: usize, limits: &Limits) -> Self {
        let free = descriptors.saturating_sub(OTHER_DESCRIPTORS);
        let connections = limits.connections.min(free / 2).max(1);
        let per_network = if connections < limits.connections {
            limits.connections_per_network.min(connections / 2).max(1)
        } else {
            limits.connections_per_network
        };
        Self {
            connections,
            per_network,
            upstream: free.saturating_sub(connections).max(1),
        }
    }

    /// What to say where it is less than somebody wrote, or little.
    pub(super) fn complaint(&self, descriptors: usize, limits: &Limits) -> Option<String> {
        let said = limits.connections != Limits::default().connections;
        let is_less = self.connections < limits.connections;
        (is_less && (said || self.connections < FEW)).then(|| {
            format!(
                "limits.connections is {}, but with {descriptors} descriptors (`ulimit -n`; \
                 LimitNOFILE in systemd) {} connections of clients are accepted, {} of one network, \
                 and {} to upstreams made",
                limits.connections, self.connections, self.per_network, self.upstream,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(connections: usize, connections_per_network: usize) -> Limits {
        Limits {
            connections,
            connections_per_network,
            ..Limits::default()
        }
    }

    #[test]
    fn all_of_it_together_is_what_there_is() {
        let few = Capacity::of(1024, &limits(20_000, 1000));
        assert_eq!(
            (few.connections, few.per_network, few.upstream),
            (448, 224, 448)
        );
        let said = few.complaint(1024, &limits(20_000, 1000)).unwrap();
        assert!(said.contains("with 1024 descriptors"), "{said}");
        assert!(said.contains("448 connections of clients"), "{said}");

        let several = Capacity::of(8192, &limits(20_000, 1000));
        assert_eq!(several.connections, 4032);
        assert_eq!(several.complaint(8192, &limits(20_000, 1000)), None);
        assert!(several.complaint(8192, &limits(20_001, 1000)).is_some());

        let many = limits(20_000, 1000);
        let capacity = Capacity::of(1 << 20, &many);
        assert_eq!((capacity.connections, capacity.per_network), (20_000, 1000));
        assert_eq!(capacity.upstream, (1 << 20) - 128 - 20_000);
        assert_eq!(capacity.complaint(1 << 20, &many), None);

        // As configured, be it as it may.
        let odd = Capacity::of(1 << 20, &limits(10, 1000));
        assert_eq!((odd.connections, odd.per_network), (10, 1000));
        let none = Capacity::of(64, &many);
        assert_eq!(
            (none.connections, none.per_network, none.upstream),
            (1, 1, 1)
        );
        assert_eq!(Capacity::of(usize::MAX, &many).connections, 20_000);
    }
}
