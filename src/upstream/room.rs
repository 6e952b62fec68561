//! How many connections to upstreams the process may have.
//!
//! A client of HTTP/2 has a hundred requests on one connection, and each may need one upstream:
//! the limit of clients' connections says nothing of those. Beyond it descriptors run out, and
//! with them every other client's connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Shared by all workers. What tries a candidate, asks for health or gets a document is not counted.
#[derive(Debug, Clone)]
pub struct Room(Arc<Count>);

#[derive(Debug)]
struct Count {
    taken: AtomicUsize,
    most: AtomicUsize,
}

/// The right to one connection, as long as it is held.
#[derive(Debug)]
pub(super) struct Place(Arc<Count>);

impl Room {
    /// For so many connections.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Count {
            taken: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
        }))
    }

    /// For as many as anybody wants.
    pub fn endless() -> Self {
        Self::new(usize::MAX)
    }

    /// From now on it is for so many. Those that there are stay.
    pub fn resize(&self, most: usize) {
        self.0.most.store(most, Relaxed);
    }

    /// How many connections there are, and how many there may be.
    pub fn taken(&self) -> (usize, usize) {
        (self.0.taken.load(Relaxed), self.0.most.load(Relaxed))
    }

    pub(super) fn take(&self) -> Option<Place> {
        let most = self.0.most.load(Relaxed);
        let more = |taken: usize| (taken < most).then(|| taken + 1);
        let taken = self.0.taken.fetch_update(Relaxed, Relaxed, more);
        taken.is_ok().then(|| Place(Arc::clone(&self.0)))
    }

    /// Whether no more than a quarter is left: then what is idle in one worker is not kept from
    /// another.
    pub(super) fn is_tight(&self) -> bool {
        let (taken, most) = self.taken();
        taken >= most - most / 4
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::endless()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_it_is_for() {
        let room = Room::new(8);
        let mut places: Vec<_> = (0..8).map(|_| room.take().unwrap()).collect();
        assert!(room.take().is_none() && room.is_tight());
        assert_eq!(room.taken(), (8, 8));
        places.truncate(5);
        assert!(!room.is_tight());
        room.resize(5);
        assert!(room.take().is_none() && room.is_tight());
        places.clear();
        assert_eq!(room.taken(), (0, 5));
        assert!(!Room::endless().is_tight());
    }
}
