//! What tokens reach in a snapshot that serves.

use super::{Plugin, Snapshot, api};
use crate::openapi;
use crate::tokens::{Plugins, ScopeList, ScopeLists, Selector};

impl Snapshot {
    /// Compiles the scope lists that came since: to be called before a token that brings one
    /// enters the table, and by one thread only.
    pub fn learn(&self, lists: &ScopeLists) {
        for plugin in &self.plugins {
            plugin.learn(lists);
        }
    }

    /// The selectors that match no operation of these plugins: most likely a mistake. Where a
    /// document is not there yet nothing can be judged.
    pub fn unmatched<'a>(&self, plugins: &Plugins, scopes: &'a ScopeList) -> Vec<&'a Selector> {
        let reach: Vec<&Plugin> = self.covered(plugins).collect();
        if reach.iter().any(|plugin| plugin.unavailable.is_some()) {
            return Vec::new();
        }
        let matches = |selector: &Selector| {
            *selector == Selector::All
                || reach.iter().any(|plugin| {
                    (0..plugin.operations.len()).any(|index| plugin.means(selector, index))
                })
        };
        let selectors = scopes.selectors().iter();
        selectors.filter(|selector| !matches(selector)).collect()
    }

    /// What is said of selectors that mean several operations where one may be meant.
    pub fn several(&self, plugins: &Plugins, scopes: &ScopeList) -> Vec<String> {
        let plugins = self.covered(plugins);
        let said = plugins.flat_map(|plugin| {
            let meant = || plugin.operations.iter().map(|one| &one.meaning);
            let selectors = scopes.selectors().iter();
            selectors.filter_map(move |selector| openapi::several(selector, meant()))
        });
        said.collect()
    }

    /// What whoever wrote one of those may have meant.
    pub fn meant(&self, plugins: &Plugins, selector: &Selector) -> Option<Selector> {
        let published = || {
            let all = self.covered(plugins).flat_map(|plugin| &plugin.operations);
            all.map(|operation| &operation.meaning)
        };
        api::nearest(selector, published)
    }

    fn covered<'s>(&'s self, plugins: &'s Plugins) -> impl Iterator<Item = &'s Plugin> + Clone {
        let all = self.plugins.iter().map(AsRef::as_ref);
        all.filter(|plugin: &&Plugin| plugins.covers(&plugin.name))
    }
}

impl Plugin {
    /// The same for one of them.
    pub(super) fn learn(&self, lists: &ScopeLists) {
        let new = lists.since(self.scopes.known());
        if !new.is_empty() {
            let means = |selector: &Selector, index| self.means(selector, index);
            self.scopes.learn(&new, self.operations.len(), means);
        }
    }

    /// Whether a selector means one of its operations.
    fn means(&self, selector: &Selector, index: usize) -> bool {
        let operation = self.operations.get(index);
        operation.is_some_and(|operation| openapi::matches(selector, &operation.meaning))
    }
}
