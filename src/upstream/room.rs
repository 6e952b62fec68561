//! How many connections to upstreams the process may have.
//!
//! A client of HTTP/2 has a hundred requests on one connection, and each may need one upstream:
//! the limit of clients' connections says nothing of those. Beyond it descriptors run out, and
//! with them every other client's connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An upstream may have so many times what is left free. Alone it gets three quarters, two that
/// want all get three sevenths each: whoever comes next finds a place, however slow the others
/// are.
const SHARE: usize = 3;

/// Shared by all workers. What tries a candidate, asks for health or gets a document is not counted.
#[derive(Debug, Clone)]
pub struct Room(Arc<Count>);

#[derive(Debug)]
struct Count {
    taken: AtomicUsize,
    most: AtomicUsize,
    /// Of these, by upstream; asked for a new connection, never for a request.
    shares: Mutex<HashMap<Arc<str>, usize>>,
}

/// The right to one connection, as long as it is held.
#[derive(Debug)]
pub(super) struct Place {
    count: Arc<Count>,
    upstream: Arc<str>,
}

impl Room {
    /// For so many connections.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Count {
            taken: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
            shares: Mutex::default(),
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

    /// A place, unless all are taken or this upstream has its share.
    pub(super) fn take(&self, upstream: &Arc<str>) -> Option<Place> {
        let mut shares = self.0.shares();
        let (taken, most) = self.taken();
        let mine = shares.get(upstream).copied().unwrap_or_default();
        if mine >= most.saturating_sub(taken).saturating_mul(SHARE) {
            return None;
        }
        self.0.taken.store(taken + 1, Relaxed);
        shares.insert(Arc::clone(upstream), mine + 1);
        Some(Place {
            count: Arc::clone(&self.0),
            upstream: Arc::clone(upstream),
        })
    }

    /// Whether no more than a quarter is left: then what is idle in one worker is not kept from
    /// another.
    pub(super) fn is_tight(&self) -> bool {
        let (taken, most) = self.taken();
        taken >= most - most / 4
    }
}

impl Count {
    /// `taken` changes only while this is held.
    fn shares(&self) -> MutexGuard<'_, HashMap<Arc<str>, usize>> {
        // Nothing panics while it is held.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::endless()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut shares = self.count.shares();
        self.count.taken.fetch_sub(1, Relaxed);
        match shares.get_mut(&self.upstream) {
            Some(mine) if *mine > 1 => *mine -= 1,
            _ => drop(shares.remove(&self.upstream)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many as it gets.
    fn all(room: &Room, upstream: &str) -> Vec<Place> {
        let upstream = upstream.into();
        std::iter::from_fn(|| room.take(&upstream)).collect()
    }

    #[test]
    fn there_are_never_more_than_it_is_for() {
        let room = Room::new(8);
        let mut places: Vec<_> = (0..8)
            .map(|number| room.take(&number.to_string().into()).unwrap())
            .collect();
        assert!(all(&room, "another").is_empty() && room.is_tight());
        assert_eq!(room.taken(), (8, 8));
        places.truncate(5);
        assert!(!room.is_tight());
        room.resize(5);
        assert!(all(&room, "another").is_empty() && room.is_tight());
        places.clear();
        assert_eq!(room.taken(), (0, 5));
        assert!(room.0.shares().is_empty());
        let room = Room::endless();
        assert!(!room.is_tight() && room.take(&"one".into()).is_some());
    }

    #[test]
    fn no_upstream_takes_what_others_need() {
        let room = Room::new(400);
        let mut first = all(&room, "first");
        assert_eq!(first.len(), 300);
        let second = all(&room, "second");
        assert_eq!(second.len(), 75);
        assert_eq!(all(&room, "third").len(), 19);
        // It gives back what is above its share of what is left, if others want it.
        first.truncate(100);
        assert_eq!(all(&room, "first").len(), 144);
        assert_eq!(room.taken().0, 175);
        // One place is for whoever comes first.
        assert_eq!(all(&Room::new(1), "only").len(), 1);
        assert!(all(&Room::new(0), "only").is_empty());
    }
}
