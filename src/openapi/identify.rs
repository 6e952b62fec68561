//! Names for operations: unique, `[A-Za-z0-9_]{1,64}`, the same whatever the order.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

/// The longest id that every client takes.
const MAX_LENGTH: usize = 64;
/// Hexadecimal digits that tell colliding ids apart.
const HASH_LENGTH: usize = 8;

/// What an id is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'d> {
    /// The operationId of the document.
    pub(super) original: Option<&'d str>,
    /// Method, upper case.
    pub(super) method: &'d str,
    /// The key of `paths`.
    pub(super) path_key: &'d str,
}

impl Subject<'_> {
    /// The id that it would like to have.
    fn wish(&self) -> String {
        let cleaned = clean(self.original.unwrap_or_default());
        let wish = if cleaned.is_empty() {
            self.synthesized()
        } else {
            cleaned
        };
        if wish.len() <= MAX_LENGTH {
            return wish;
        }
        with_hash(&wish, self.original.unwrap_or(&wish))
    }

    /// `get_todos_by_id`
    fn synthesized(&self) -> String {
        let mut id = self.method.to_ascii_lowercase();
        let before = id.len();
        for segment in self.path_key.split(['/', '?', '&', '=', '#']) {
            let mut rest = segment;
            while let Some((literal, name, tail)) = parameter(rest) {
                add(&mut id, literal);
                add(&mut id, "by");
                add(&mut id, name);
                rest = tail;
            }
            add(&mut id, rest);
        }
        if id.len() == before {
            add(&mut id, "root");
        }
        id
    }

    /// What tells it apart from every other operation of the document.
    fn key(&self) -> String {
        format!("{} {}", self.method, self.path_key)
    }
}

/// The literal before the first `{name}`, the name, and the rest.
fn parameter(segment: &str) -> Option<(&str, &str, &str)> {
    let (literal, rest) = segment.split_once('{')?;
    let (name, tail) = rest.split_once('}')?;
    Some((literal, name, tail))
}

/// Adds a word to an id.
fn add(id: &mut String, word: &str) {
    let word = clean(word);
    if !word.is_empty() {
        id.push('_');
        id.push_str(&word);
    }
}

/// The allowed characters; a run of others becomes one `_`, none at the ends that was not there.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            if gap && !cleaned.is_empty() {
                cleaned.push('_');
            }
            gap = false;
            cleaned.push(c);
        } else {
            gap = true;
        }
    }
    cleaned
}

/// A few hexadecimal digits of a hash.
pub(super) fn hash(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let number = digest
        .iter()
        .take(HASH_LENGTH / 2)
        .fold(0_u64, |n, b| (n << 8) | u64::from(*b));
    format!("{number:0HASH_LENGTH$x}")
}

/// The id, cut to make room for a hash of `key`. The id is ASCII.
fn with_hash(id: &str, key: &str) -> String {
    let room = MAX_LENGTH - HASH_LENGTH - 1;
    let id = id.get(..room).unwrap_or(id).trim_end_matches('_');
    format!("{id}_{}", hash(key))
}

/// An id for each subject, in the same order.
///
/// Whoever's operationId is the wish itself keeps it; all others that wish the same get a hash
/// of their method and path, so that no id depends on the order or on what else is selected.
pub(super) fn assign(subjects: &[Subject<'_>]) -> Vec<String> {
    let mut wishes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, subject) in subjects.iter().enumerate() {
        wishes.entry(subject.wish()).or_default().push(index);
    }
    let mut ids = vec![String::new(); subjects.len()];
    let mut taken: HashSet<String> = wishes.keys().cloned().collect();
    for (wish, mut wishers) in wishes {
        let exact = |index: &usize| subjects[*index].original == Some(wish.as_str());
        let exact: Vec<usize> = wishers.iter().copied().filter(exact).collect();
        let keeper = match (wishers.as_slice(), exact.as_slice()) {
            ([only], _) | (_, [only]) => Some(*only),
            _ => None,
        };
        wishers.sort_by_cached_key(|index| subjects[*index].key());
        for index in wishers {
            ids[index] = if Some(index) == keeper {
                wish.clone()
            } else {
                apart(&wish, &subjects[index].key(), &mut taken)
            };
        }
    }
    ids
}

/// The wish with a hash, and with another one as long as that is taken.
fn apart(wish: &str, key: &str, taken: &mut HashSet<String>) -> String {
    let mut key = key.to_owned();
    loop {
        let id = with_hash(wish, &key);
        if taken.insert(id.clone()) {
            return id;
        }
        key.push('+');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(subjects: &[(&str, &str, &str)], expected: &[&str]) {
        let subjects: Vec<_> = subjects.iter().map(|(o, m, p)| subject(o, m, p)).collect();
        assert_eq!(assign(&subjects), expected);
    }

    fn subject<'d>(original: &'d str, method: &'d str, path_key: &'d str) -> Subject<'d> {
        Subject {
            original: (!original.is_empty()).then_some(original),
            method,
            path_key,
        }
    }

    #[test]
    fn a_good_id_stays_and_a_missing_one_is_made() {
        check(&[("listTodos", "GET", "/todos")], &["listTodos"]);
        check(&[("_a__b_", "GET", "/todos")], &["_a__b_"]);
        check(&[("find pet by id", "GET", "/p")], &["find_pet_by_id"]);
        check(&[("perform-search", "POST", "/p")], &["perform_search"]);
        check(&[("", "GET", "/todos/{id}")], &["get_todos_by_id"]);
        check(&[("", "GET", "/")], &["get_root"]);
        check(&[("--", "GET", "/{a}.{b}/c-d")], &["get_by_a_by_b_c_d"]);
        check(&[("", "POST", "/r?beta=true")], &["post_r_beta_true"]);
        check(&[("日本", "DELETE", "/日本")], &["delete_root"]);
    }

    #[test]
    fn collisions_are_told_apart_by_what_they_are() {
        check(
            &[
                ("a-b", "GET", "/1"),
                ("a_b", "GET", "/2"),
                ("a.b", "GET", "/3"),
            ],
            &["a_b_327f6811", "a_b", "a_b_270bef02"],
        );
        check(
            &[("same", "GET", "/1"), ("same", "GET", "/2")],
            &["same_327f6811", "same_7d1cd700"],
        );
    }

    #[test]
    fn a_long_id_is_cut_to_64() {
        let ids = assign(&[
            subject(&"x".repeat(80), "GET", "/a"),
            subject(&"x".repeat(81), "GET", "/b"),
        ]);
        assert!(ids.iter().all(|id| id.len() == 64), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
    }

    proptest! {
        #[test]
        fn ids_are_clean_unique_and_independent_of_order(
            originals in prop::collection::vec("[a-c \\-_é]{0,3}|[ab]{70,72}", 1..12),
            turn in 0usize..12,
        ) {
            let paths: Vec<String> = (0..originals.len()).map(|i| format!("/{}", i % 4)).collect();
            let methods = ["GET", "PUT", "POST"];
            let mut subjects: Vec<Subject<'_>> = originals
                .iter()
                .enumerate()
                .map(|(i, o)| subject(o, methods[i / 4], &paths[i]))
                .collect();
            let ids = assign(&subjects);
            for id in &ids {
                prop_assert!((1..=64).contains(&id.len()), "{}", id);
                prop_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{}", id);
            }
            prop_assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
            let turn = turn % subjects.len();
            subjects.rotate_left(turn);
            let mut again = assign(&subjects);
            again.rotate_right(turn);
            prop_assert_eq!(ids, again);
        }
    }
}
