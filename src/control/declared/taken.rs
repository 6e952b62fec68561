//! Which ids and secrets are taken, as a number for each: little memory, and enough to know that
//! nothing is twice. Where two numbers are equal, perhaps something is, and the files are read
//! from scratch to tell.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::tokens::{Fingerprint, Token, TokenRecord};

/// The numbers, sorted. One may be there several times.
#[derive(Debug, Default, Clone)]
pub(super) struct Taken(Arc<Vec<u64>>);

/// What a change takes, and what it gives back.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) new: Vec<u64>,
    pub(super) gone: Vec<u64>,
}

impl Taken {
    /// Whether a number is taken.
    pub(super) fn perhaps(&self, number: u64) -> bool {
        self.0.binary_search(&number).is_ok()
    }

    /// After a change. Whether something new is perhaps taken already.
    pub(super) fn change(&self, claims: Claims) -> (Self, bool) {
        let Claims { mut new, mut gone } = claims;
        if new.is_empty() && gone.is_empty() {
            return (self.clone(), false);
        }
        new.sort_unstable();
        gone.sort_unstable();
        let mut twice = new.windows(2).any(|pair| pair[0] == pair[1]);
        let mut merged = Vec::with_capacity((self.0.len() + new.len()).saturating_sub(gone.len()));
        let (mut new, mut gone) = (new.into_iter().peekable(), gone.into_iter().peekable());
        for old in self.0.iter().copied() {
            while gone.next_if(|gone| *gone < old).is_some() {}
            if gone.next_if_eq(&old).is_some() {
                continue;
            }
            merged.extend(std::iter::from_fn(|| new.next_if(|new| *new < old)));
            twice |= new.peek() == Some(&old);
            merged.push(old);
        }
        merged.extend(new);
        (Self(Arc::new(merged)), twice)
    }
}

/// The numbers of a record.
pub(super) fn of_record(record: &TokenRecord) -> impl Iterator<Item = u64> {
    let secrets = record.secrets().map(|(_, secret)| secret.fingerprint);
    std::iter::once(of_id(&record.id)).chain(secrets.map(of_secret))
}

/// The numbers of the record that these entries came from.
pub(super) fn of_entries(entries: &[(Fingerprint, Arc<Token>)]) -> impl Iterator<Item = u64> {
    let id = entries.first().map(|(_, token)| of_id(&token.id));
    let secrets = entries.iter().map(|(fingerprint, _)| *fingerprint);
    id.into_iter().chain(secrets.map(of_secret))
}

pub(super) fn of_id(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// A digest is as good a number as any.
fn of_secret(fingerprint: Fingerprint) -> u64 {
    fingerprint.prefix()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Numbers come and go; what is there, and what is perhaps twice, is what a list says.
        #[test]
        fn numbers_are_as_in_a_list(changes in proptest::collection::vec(
            (proptest::collection::vec(0..40_u64, 0..6), proptest::collection::vec(0..20_usize, 0..6)), 1..20,
        )) {
            let mut list: Vec<u64> = Vec::new();
            let mut taken = Taken::default();
            for (new, places) in changes {
                let mut gone = Vec::new();
                for place in places {
                    if place < list.len() {
                        gone.push(list.swap_remove(place));
                    }
                }
                let mut twice = false;
                let kept = list.clone();
                for (at, number) in new.iter().enumerate() {
                    twice |= kept.contains(number) || new[..at].contains(number);
                }
                list.extend(&new);
                let (next, perhaps) = taken.change(Claims { new, gone });
                prop_assert_eq!(perhaps, twice);
                taken = next;
                let mut sorted = list.clone();
                sorted.sort_unstable();
                prop_assert_eq!(&*taken.0, &sorted);
            }
        }
    }
}
