//! Names to small numbers, for the life of the process.
//!
//! The numbers live outside the snapshot, so that counters survive a swap: a plugin or an
//! operation that comes back after it was gone goes on counting where it stopped, and one that
//! vanished keeps its series until the process ends (a counter must not fall). Names come from
//! the configuration, from documents and from the token table, never from a client; since a
//! fetched document can change its names for ever, each kind is capped, and what comes after
//! that is counted together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::Target;

/// The registry of all names that a metric can carry. One per process.
#[derive(Debug)]
pub struct Labels(Mutex<Names>);

/// A plugin, as counters know it. `default()`: no plugin (an unknown host, say).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginId(pub(super) u32);

/// An operation of a plugin, as counters know it. `default()`: neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeriesId {
    /// The plugin that it belongs to.
    pub(super) plugin: PluginId,
    /// Its place among the operations of all plugins.
    pub(super) operation: u32,
}

impl SeriesId {
    /// The plugin that it belongs to.
    pub fn plugin(self) -> PluginId {
        self.plugin
    }
}

/// A service token, as counters know it. `default()`: `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenId(pub(super) u32);

impl TokenId {
    /// To be kept beside the token.
    pub fn number(self) -> u32 {
        self.0
    }

    /// What was kept.
    pub fn of_number(number: u32) -> Self {
        Self(number)
    }
}

/// A listener, as counters know it. `default()`: `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListenerId(pub(super) u32);

/// A copy of the names, to write a page from.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// Plugin names by [`PluginId`].
    pub(super) plugins: Interner<Arc<str>>,
    /// Plugin and operation id by [`SeriesId`].
    pub(super) operations: Interner<(u32, Arc<str>)>,
    /// Token ids by [`TokenId`].
    pub(super) tokens: Interner<Arc<str>>,
    /// Listener names by [`ListenerId`].
    pub(super) listeners: Interner<Arc<str>>,
}

impl Labels {
    /// With nothing but the names that stand for no name and for all others.
    pub fn new() -> Self {
        let mut names = Names {
            plugins: Interner::new(MAX_PLUGINS),
            operations: Interner::new(MAX_OPERATIONS),
            tokens: Interner::new(MAX_TOKENS),
            listeners: Interner::new(MAX_LISTENERS),
        };
        names.plugin("");
        names.plugin(OTHER);
        names.tokens.add(Arc::from(OTHER));
        names.listeners.add(Arc::from(OTHER));
        Self(Mutex::new(names))
    }

    /// The number of a plugin.
    pub fn plugin(&self, name: &str) -> PluginId {
        self.lock().plugin(name)
    }

    /// The number of an operation of a plugin. An empty operation is what was asked of the
    /// plugin and belongs to none (a document, a path that is not published).
    pub fn operation(&self, plugin: &str, operation: &str) -> SeriesId {
        let mut names = self.lock();
        let plugin = names.plugin(plugin);
        let operation = names.operation(plugin, operation);
        SeriesId { plugin, operation }
    }

    /// The number of a service token. Only service tokens have a series: one for each person
    /// would grow without end.
    pub fn token(&self, id: &str) -> TokenId {
        let place = self.lock().tokens.add(Arc::from(id));
        TokenId(place.unwrap_or_default())
    }

    /// The number of a listener, by a name such as `https:0.0.0.0:8443`.
    pub fn listener(&self, name: &str) -> ListenerId {
        let place = self.lock().listeners.add(Arc::from(name));
        ListenerId(place.unwrap_or_default())
    }

    /// What a request can be recorded under, made once when an operation is compiled. `path` is
    /// the template of the document; both are `None` for what belongs to no operation.
    pub fn target(&self, plugin: &str, operation: Option<&str>, path: Option<&str>) -> Arc<Target> {
        Arc::new(Target {
            plugin: Arc::from(plugin),
            operation: operation.map(Arc::from),
            path: path.map(Arc::from),
            series: self.operation(plugin, operation.unwrap_or_default()),
        })
    }

    /// All names as they are now.
    pub(super) fn names(&self) -> Names {
        self.lock().clone()
    }

    /// A panic can not leave the names half changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::new()
    }
}

impl Names {
    /// Adds a plugin together with its two operations that always exist, so that these are
    /// there however many operations others have brought.
    fn plugin(&mut self, name: &str) -> PluginId {
        let known = self.plugins.values.len();
        let Some(place) = self.plugins.add(Arc::from(name)) else {
            return PluginId(OTHER_PLUGIN);
        };
        if self.plugins.values.len() > known {
            self.operations.add_always((place, Arc::from("")));
            self.operations.add_always((place, Arc::from(OTHER)));
        }
        PluginId(place)
    }

    /// Adds an operation, or finds the one that stands for all others of its plugin.
    fn operation(&mut self, plugin: PluginId, name: &str) -> u32 {
        match self.operations.add((plugin.0, Arc::from(name))) {
            Some(place) => place,
            None => self.operations.add_always((plugin.0, Arc::from(OTHER))),
        }
    }
}

/// Values and their places, append-only.
#[derive(Debug, Clone)]
pub(super) struct Interner<T> {
    /// By place.
    pub(super) values: Vec<T>,
    /// Where each stands.
    places: HashMap<T, u32>,
    /// How many there may be.
    most: usize,
}

impl<T: Clone + Eq + std::hash::Hash> Interner<T> {
    /// With room for so many.
    fn new(most: usize) -> Self {
        Self {
            values: Vec::new(),
            places: HashMap::new(),
            most,
        }
    }

    /// The place of a value; `None` when it is new and there is no room.
    fn add(&mut self, value: T) -> Option<u32> {
        let room = self.values.len() < self.most || self.places.contains_key(&value);
        room.then(|| self.add_always(value))
    }

    /// The place of a value that is in turn bounded by another kind.
    fn add_always(&mut self, value: T) -> u32 {
        if let Some(place) = self.places.get(&value) {
            return *place;
        }
        let place = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        self.values.push(value.clone());
        self.places.insert(value, place);
        place
    }
}

/// Stands for what came after the cap. A name that is really called so is counted with them,
/// since a page must not hold the same series twice.
const OTHER: &str = "other";
/// Where [`Labels::new`] puts it among the plugins (0 is no plugin).
const OTHER_PLUGIN: u32 = 1;
/// Plugins, over the life of the process.
const MAX_PLUGINS: usize = 2_000;
/// Operations of all plugins, over the life of the process: a page of about 6 MB when each has
/// been answered in three ways.
const MAX_OPERATIONS: usize = 20_000;
/// Service tokens.
pub(super) const MAX_TOKENS: usize = 1_000;
/// Listeners, over the life of the process.
const MAX_LISTENERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_has_the_same_number() {
        let labels = Labels::new();
        let first = labels.operation("todo", "listTodos");
        assert_ne!(first, labels.operation("todo", "addTodo"));
        assert_ne!(first, labels.operation("museum", "listTodos"));
        assert_eq!(first, labels.operation("todo", "listTodos"));
        assert_eq!(first.plugin(), labels.plugin("todo"));
        assert_eq!(SeriesId::default(), labels.operation("", ""));
    }

    #[test]
    fn too_many_names_are_counted_together() {
        let labels = Labels::new();
        let early = labels.operation("todo", "early");
        for n in 0..MAX_OPERATIONS {
            labels.operation("flood", &format!("op{n}"));
        }
        assert_eq!(early, labels.operation("todo", "early"));
        let late = labels.operation("todo", "late");
        assert_eq!(late, labels.operation("todo", "later"));
        assert_eq!(late, labels.operation("todo", OTHER));
        assert_ne!(late, labels.operation("flood", "later"));
        assert!(labels.names().operations.values.len() <= MAX_OPERATIONS + 2 * MAX_PLUGINS);

        for n in 0..MAX_TOKENS {
            labels.token(&format!("pls_{n:08}"));
        }
        assert_eq!(TokenId::default(), labels.token("one more"));
        assert_eq!(TokenId::default(), labels.token(OTHER));

        for n in 0..=MAX_PLUGINS {
            labels.plugin(&format!("plugin{n}"));
        }
        assert_eq!(PluginId(OTHER_PLUGIN), labels.plugin("one more"));
        assert_eq!(
            PluginId(OTHER_PLUGIN),
            labels.operation("one more", "x").plugin()
        );
    }
}
