//! An object.

use super::index::Index;
use super::{Text, Value};

/// Members of the largest object that is looked through from its start.
const SEARCHED: usize = 16;

/// The members of an object, in the order in which they came. A key stands once.
#[derive(Clone, Default)]
pub struct Map {
    entries: Vec<Member>,
    /// Where each key stands, once there are more than [`SEARCHED`].
    index: Option<Box<Index>>,
}

/// A member.
type Member = (Text, Value);

/// Members, in their order.
pub(super) type Iter<'m> =
    std::iter::Map<std::slice::Iter<'m, Member>, fn(&'m Member) -> (&'m Text, &'m Value)>;

/// Members whose values can be changed, in their order.
pub(super) type IterMut<'m> = std::iter::Map<
    std::slice::IterMut<'m, Member>,
    fn(&'m mut Member) -> (&'m Text, &'m mut Value),
>;

/// Names or values, in their order.
pub(super) type Parts<'m, T> =
    std::iter::Map<std::slice::Iter<'m, Member>, fn(&'m Member) -> &'m T>;

/// Members by value, in their order.
pub(super) type IntoIter = std::vec::IntoIter<Member>;

impl Map {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one with room for so many members.
    pub fn with_capacity(members: usize) -> Self {
        Self {
            entries: Vec::with_capacity(members),
            index: None,
        }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The member of this name.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let at = self.position(key)?;
        Some(&self.entries[at].1)
    }

    /// The member of this name, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let at = self.position(key)?;
        Some(&mut self.entries[at].1)
    }

    /// The member of this name, with the name as it is kept here.
    pub fn get_key_value(&self, key: &str) -> Option<(&Text, &Value)> {
        let (key, value) = &self.entries[self.position(key)?];
        Some((key, value))
    }

    /// Whether it has such a member.
    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Adds a member at the end, or replaces the value of the one that has this name, which is
    /// returned.
    pub fn insert(&mut self, key: impl Into<Text>, value: Value) -> Option<Value> {
        let key = key.into();
        if let Some(at) = self.position(&key) {
            return Some(std::mem::replace(&mut self.entries[at].1, value));
        }
        self.push(key, value);
        None
    }

    /// Puts a member at a place (at the end, if that is before it); one of this name is moved
    /// there, and its value returned.
    pub fn shift_insert(&mut self, at: usize, key: impl Into<Text>, value: Value) -> Option<Value> {
        let key = key.into();
        let old = self.shift_remove(&key);
        let at = at.min(self.len());
        self.entries.insert(at, (key, value));
        self.index_again();
        old
    }

    /// Takes a member out; those behind it move up.
    pub fn shift_remove(&mut self, key: &str) -> Option<Value> {
        self.shift_remove_entry(key).map(|(_, value)| value)
    }

    /// Takes a member out, with its name; those behind it move up.
    pub fn shift_remove_entry(&mut self, key: &str) -> Option<(Text, Value)> {
        let at = self.position(key)?;
        let entry = self.entries.remove(at);
        if let Some(index) = &mut self.index {
            index.remove(&entry.0, at);
        }
        Some(entry)
    }

    /// The member of this name, to be made if it is not there.
    pub fn entry(&mut self, key: impl Into<Text>) -> Entry<'_> {
        let key = key.into();
        match self.position(&key) {
            Some(at) => Entry::Occupied(Occupied { map: self, at }),
            None => Entry::Vacant(Vacant { map: self, key }),
        }
    }

    /// Keeps the members that `keep` approves of, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text, &mut Value) -> bool) {
        let before = self.len();
        self.entries.retain_mut(|(key, value)| keep(key, value));
        if self.len() < before {
            self.index_again();
        }
    }

    /// Takes everything out of another one, as by [`Self::insert`].
    pub fn append(&mut self, other: &mut Self) {
        self.extend(std::mem::take(other));
    }

    /// The members.
    pub fn iter(&self) -> Iter<'_> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The members, with values that can be changed.
    pub fn iter_mut(&mut self) -> IterMut<'_> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// The names.
    pub fn keys(&self) -> Parts<'_, Text> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values.
    pub fn values(&self) -> Parts<'_, Value> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(
        &mut self,
    ) -> impl DoubleEndedIterator<Item = &mut Value> + ExactSizeIterator {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Gives back the room that it grew into.
    pub(super) fn shrink_to_fit(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Where a member stands.
    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.find(key, |at| self.entries[at].0.as_str()),
            None => self.entries.iter().position(|(known, _)| known == key),
        }
    }

    /// Adds a member whose name is not there yet.
    fn push(&mut self, key: Text, value: Value) {
        let at = self.entries.len();
        if let Some(index) = &mut self.index {
            index.insert(&key, at);
        }
        // From one member on, not from four: most objects have few.
        if at == self.entries.capacity() {
            self.entries.reserve_exact(at.max(1));
        }
        self.entries.push((key, value));
        if self.index.is_none() {
            self.index_again();
        }
    }

    /// Makes the index anew, where there is to be one.
    fn index_again(&mut self) {
        self.index = (self.entries.len() > SEARCHED)
            .then(|| Box::new(Index::of(self.entries.iter().map(|(key, _)| key.as_str()))));
    }
}

/// A member that is there or not.
#[derive(Debug)]
pub enum Entry<'m> {
    /// It is there.
    Occupied(Occupied<'m>),
    /// It is not.
    Vacant(Vacant<'m>),
}

/// A member that is there.
#[derive(Debug)]
pub struct Occupied<'m> {
    map: &'m mut Map,
    at: usize,
}

/// One that is not.
#[derive(Debug)]
pub struct Vacant<'m> {
    map: &'m mut Map,
    key: Text,
}

impl<'m> Entry<'m> {
    /// Its value; the default becomes it if there is none.
    pub fn or_insert(self, default: impl Into<Value>) -> &'m mut Value {
        self.or_insert_with(|| default.into())
    }

    /// Its value; what `make` says becomes it if there is none.
    pub fn or_insert_with(self, make: impl FnOnce() -> Value) -> &'m mut Value {
        match self {
            Self::Occupied(entry) => &mut entry.map.entries[entry.at].1,
            Self::Vacant(entry) => entry.insert(make()),
        }
    }
}

impl Occupied<'_> {
    /// Puts another value in its place.
    pub fn insert(&mut self, value: Value) -> Value {
        std::mem::replace(&mut self.map.entries[self.at].1, value)
    }

    /// Its name.
    pub fn key(&self) -> &Text {
        &self.map.entries[self.at].0
    }

    /// Its value.
    pub fn get(&self) -> &Value {
        &self.map.entries[self.at].1
    }
}

impl<'m> Vacant<'m> {
    /// Makes it.
    pub fn insert(self, value: Value) -> &'m mut Value {
        let at = self.map.len();
        self.map.push(self.key, value);
        &mut self.map.entries[at].1
    }

    /// Its name.
    pub fn key(&self) -> &Text {
        &self.key
    }
}

/// The order of members says nothing.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        let same = |(key, value): (&Text, &Value)| other.get(key) == Some(value);
        self.len() == other.len() && self.iter().all(same)
    }
}

impl Eq for Map {}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Into<Text>> Extend<(K, Value)> for Map {
    fn extend<I: IntoIterator<Item = (K, Value)>>(&mut self, members: I) {
        for (key, value) in members {
            self.insert(key, value);
        }
    }
}

impl<K: Into<Text>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(members: I) -> Self {
        let members = members.into_iter();
        let mut map = Self::with_capacity(members.size_hint().0);
        map.extend(members);
        map
    }
}

impl<K: Into<Text>, const N: usize> From<[(K, Value); N]> for Map {
    fn from(members: [(K, Value); N]) -> Self {
        members.into_iter().collect()
    }
}

impl IntoIterator for Map {
    type Item = (Text, Value);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        self.entries.into_iter()
    }
}

impl<'m> IntoIterator for &'m Map {
    type Item = (&'m Text, &'m Value);
    type IntoIter = Iter<'m>;

    fn into_iter(self) -> Iter<'m> {
        self.iter()
    }
}

impl<'m> IntoIterator for &'m mut Map {
    type Item = (&'m Text, &'m mut Value);
    type IntoIter = IterMut<'m>;

    fn into_iter(self) -> IterMut<'m> {
        self.iter_mut()
    }
}
