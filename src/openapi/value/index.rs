//! Where the members of a large object stand.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

/// Places by key. The keys themselves stand in the object.
#[derive(Clone)]
pub(super) struct Index {
    /// A place and the hash of its key.
    places: HashTable<(u32, u64)>,
    /// With a secret of its own: keys come from strangers.
    hasher: RandomState,
}

impl Index {
    /// Of keys that are all different.
    pub(super) fn of<'k>(keys: impl ExactSizeIterator<Item = &'k str>) -> Self {
        let mut index = Self {
            places: HashTable::with_capacity(keys.len()),
            hasher: RandomState::new(),
        };
        for (at, key) in keys.enumerate() {
            index.insert(key, at);
        }
        index
    }

    /// Where a key stands. `at` gives the key of a place.
    pub(super) fn find<'k>(&self, key: &str, at: impl Fn(usize) -> &'k str) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        let same = |place: &(u32, u64)| place.1 == hash && at(place.0 as usize) == key;
        let found = self.places.find(hash, same)?;
        Some(found.0 as usize)
    }

    /// A key that is not there yet comes to a place.
    pub(super) fn insert(&mut self, key: &str, at: usize) {
        let hash = self.hasher.hash_one(key);
        // Documents are bounded far below.
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        self.places.insert_unique(hash, (at, hash), |place| place.1);
    }

    /// A key is no longer there, and those behind it moved up.
    pub(super) fn remove(&mut self, key: &str, at: usize) {
        let hash = self.hasher.hash_one(key);
        if let Ok(found) = self.places.find_entry(hash, |place| place.0 as usize == at) {
            found.remove();
        }
        for place in &mut self.places {
            if place.0 as usize > at {
                place.0 -= 1;
            }
        }
    }
}
