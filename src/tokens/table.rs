//! The one map that every request looks in.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use dashmap::DashMap;

use super::{Fingerprint, Token};

/// Tokens by the fingerprint of what a client presents.
///
/// It changes one entry at a time, so that a rotation costs the same among a million tokens as
/// among ten. An `Arc` is cloned out before a method returns: no guard of a shard ever leaves
/// this file. It is never iterated while it serves; who needs the entries of an id keeps them.
pub struct TokenTable(DashMap<Fingerprint, Arc<Token>, BuildHasherDefault<Prefix>>);

impl TokenTable {
    /// A table with room for `tokens` entries. It grows beyond that, one shard at a time; more
    /// shards for a larger table keep each such step short.
    pub fn with_capacity(tokens: usize) -> Self {
        let shards = (tokens / 1024).next_power_of_two().clamp(64, 1024);
        let hasher = BuildHasherDefault::default();
        Self(DashMap::with_capacity_and_hasher_and_shard_amount(
            tokens, hasher, shards,
        ))
    }

    /// What a presented secret opens.
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<Arc<Token>> {
        self.0
            .get(fingerprint)
            .map(|entry| Arc::clone(entry.value()))
    }

    /// Puts a token in and returns the one whose place it took. For a request there is always
    /// one or the other.
    pub fn insert(&self, fingerprint: Fingerprint, token: Arc<Token>) -> Option<Arc<Token>> {
        self.0.insert(fingerprint, token)
    }

    /// Takes a token out. The next request with its secret is unknown.
    pub fn remove(&self, fingerprint: &Fingerprint) -> Option<Arc<Token>> {
        self.0.remove(fingerprint).map(|(_, token)| token)
    }

    /// Takes a token out unless another one took its place meanwhile; whether it did.
    pub fn remove_if_same(&self, fingerprint: &Fingerprint, token: &Arc<Token>) -> bool {
        self.0
            .remove_if(fingerprint, |_, held| Arc::ptr_eq(held, token))
            .is_some()
    }

    /// Changes many entries: all of `add` first, then out with those of `remove` that are
    /// still there as given, so that what is in both lists never is missing in between.
    pub fn apply(
        &self,
        add: Vec<(Fingerprint, Arc<Token>)>,
        remove: Vec<(Fingerprint, Arc<Token>)>,
    ) -> Applied {
        let mut applied = Applied::default();
        for (fingerprint, token) in add {
            match self.insert(fingerprint, token) {
                None => applied.added += 1,
                Some(_) => applied.replaced += 1,
            }
        }
        for (fingerprint, token) in remove {
            applied.removed += usize::from(self.remove_if_same(&fingerprint, &token));
        }
        applied
    }

    /// How many entries there are. Visits every shard: for status pages, not for requests.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// From so many on a table is larger than the caches of a processor, that of addresses first.
const MANY: usize = 50_000;

/// To be called when so many tokens are read: many are kept in large pages, where the system has
/// them, a moment after. With those a look at one of a million takes a third of the time.
pub fn expect_tokens(count: usize) {
    if count >= MANY {
        plugway_heap::want_large_pages();
    }
}

/// Constant: the entries are many, and nobody should iterate them by accident.
impl fmt::Debug for TokenTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenTable(..)")
    }
}

/// What [`TokenTable::apply`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Entries that are new.
    pub added: usize,
    /// Entries that took the place of another.
    pub replaced: usize,
    /// Entries that are gone.
    pub removed: usize,
}

/// A hasher for what is a digest already: takes the number that [`Fingerprint`] gives.
#[derive(Debug, Clone, Copy, Default)]
struct Prefix(u64);

impl Hasher for Prefix {
    fn write_u64(&mut self, prefix: u64) {
        self.0 = prefix;
    }

    /// Not used by [`Fingerprint`]; correct for anything that is given here by mistake.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::tokens::{Level, Plugins, ScopeList, TokenRecord};
    use crate::tokens::{ScopeLists, SecretRecord, State, entries};

    fn fingerprint(of: u32) -> Fingerprint {
        Fingerprint::of(&of.to_le_bytes())
    }

    fn token(name: &str) -> Arc<Token> {
        let record = TokenRecord {
            id: "t".into(),
            name: name.into(),
            level: Level::Service,
            plugins: Plugins::All,
            scopes: Arc::new(ScopeList::default()),
            current: SecretRecord::new(fingerprint(0)),
            previous: None,
            not_before: None,
            expires: None,
            state: State::Active,
            limits: None,
            note: None,
            made: None,
            ending: None,
        };
        let mut made = entries(&record, &ScopeLists::default(), &Arc::default());
        made.remove(0).1
    }

    #[test]
    fn an_entry_comes_changes_and_goes() {
        let table = TokenTable::with_capacity(0);
        let (one, two) = (token("one"), token("two"));
        assert!(table.is_empty());
        assert!(table.get(&fingerprint(1)).is_none());
        assert!(table.insert(fingerprint(1), Arc::clone(&one)).is_none());
        assert!(Arc::ptr_eq(&table.get(&fingerprint(1)).unwrap(), &one));
        assert!(Arc::ptr_eq(
            &table.insert(fingerprint(1), Arc::clone(&two)).unwrap(),
            &one
        ));
        assert!(
            !table.remove_if_same(&fingerprint(1), &one),
            "another took its place"
        );
        assert_eq!(table.len(), 1);
        assert!(table.remove_if_same(&fingerprint(1), &two));
        assert!(table.remove(&fingerprint(1)).is_none());
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn apply_adds_before_it_removes() {
        let table = TokenTable::with_capacity(10);
        let (one, two) = (token("one"), token("two"));
        table.insert(fingerprint(1), Arc::clone(&one));
        table.insert(fingerprint(2), Arc::clone(&one));
        let applied = table.apply(
            vec![
                (fingerprint(1), Arc::clone(&two)),
                (fingerprint(3), Arc::clone(&two)),
            ],
            vec![(fingerprint(1), Arc::clone(&one)), (fingerprint(2), one)],
        );
        assert_eq!(
            applied,
            Applied {
                added: 1,
                replaced: 1,
                removed: 1
            }
        );
        assert!(Arc::ptr_eq(&table.get(&fingerprint(1)).unwrap(), &two));
        assert!(table.get(&fingerprint(2)).is_none());
        assert!(table.get(&fingerprint(3)).is_some());
    }

    #[test]
    fn digests_spread_over_the_table() {
        let table = TokenTable::with_capacity(0);
        let one = token("one");
        for number in 0..10_000 {
            table.insert(fingerprint(number), Arc::clone(&one));
        }
        assert_eq!(table.len(), 10_000);
        assert!((0..10_000).all(|number| table.get(&fingerprint(number)).is_some()));
        assert!((10_000..20_000).all(|number| table.get(&fingerprint(number)).is_none()));
        // Shards are chosen by high bits, places in a shard by low ones: both must vary.
        let hashes: Vec<u64> = (0..10_000)
            .map(|number| table.0.hasher().hash_one(fingerprint(number)))
            .collect();
        for bits in [|hash: u64| hash << 7 >> 58, |hash: u64| hash & 63] {
            let mut counts = [0; 64];
            for hash in &hashes {
                counts[usize::try_from(bits(*hash)).unwrap()] += 1;
            }
            assert!(
                counts.iter().all(|count| (80..240).contains(count)),
                "{counts:?}"
            );
        }
    }

    /// Readers look for an entry that is replaced all the time, and for entries that come and
    /// go; they find the first always, and of the others only what was put there.
    #[test]
    fn a_reader_never_misses_an_entry_that_is_replaced() {
        let table = TokenTable::with_capacity(0);
        let stop = AtomicBool::new(false);
        table.insert(fingerprint(0), token("0"));
        thread::scope(|scope| {
            let readers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut looks = 0_u32;
                        while !stop.load(Ordering::Relaxed) || looks == 0 {
                            assert!(table.get(&fingerprint(0)).is_some());
                            for number in 1..50 {
                                if let Some(found) = table.get(&fingerprint(number)) {
                                    assert_eq!(*found.name, *number.to_string());
                                }
                            }
                            looks += 1;
                        }
                        looks
                    })
                })
                .collect();
            let writers: Vec<_> = (1..50_u32)
                .collect::<Vec<_>>()
                .chunks(25)
                .map(<[u32]>::to_vec)
                .map(|numbers| {
                    let table = &table;
                    scope.spawn(move || {
                        for _ in 0..40 {
                            for number in &numbers {
                                table.insert(fingerprint(0), token("0"));
                                let mine = token(&number.to_string());
                                table.insert(fingerprint(*number), Arc::clone(&mine));
                                assert!(table.remove_if_same(&fingerprint(*number), &mine));
                            }
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
            stop.store(true, Ordering::Relaxed);
            for reader in readers {
                assert!(reader.join().unwrap() > 0);
            }
        });
        assert_eq!(table.len(), 1);
    }
}
