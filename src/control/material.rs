//! What a candidate is compiled from, beside its configuration.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use jiff::Timestamp;
use rustls::RootCertStore;

use super::attempt::hex;
use super::documents::Standins;
use super::guards::{self, Guard};
use super::parts::{Aside, Facts};
use super::{Control, Edges, Inputs, Source};
use crate::config::{self, Config, OpenApiSource, Scheme};
use crate::problems::Problems;
use crate::snapshot::{Apis, Material, Strict};
use crate::tokens::Fingerprint;

impl<E: Edges> Control<E> {
    /// Looks up what served when an earlier process ran.
    pub(super) fn recall_documents(&mut self, config: &Config, now: Timestamp) {
        let Some(desk) = &mut self.desk else {
            return;
        };
        for key in self.documents.strangers(config) {
            if let Some(parts) = desk.document((&key.0, &key.1), now) {
                self.documents.recall(key, parts);
            }
        }
    }

    /// What stands in for the documents of plugins whose file is broken, or that stand apart: those that
    /// serve.
    pub(super) fn standins(&self, aside: &Aside) -> Standins {
        let running = self.published.as_ref().map(|published| published.current());
        let Some(running) = running else {
            return Standins::new();
        };
        let kept = |plugin: &&config::Plugin| {
            let file = plugin.at.file();
            let aside = file.is_some_and(|file| aside.get(file).is_some_and(|held| held.serves));
            aside || self.waits.apart.contains(&plugin.name)
        };
        let kept: HashSet<&str> = running
            .config
            .plugins
            .iter()
            .filter(kept)
            .map(|plugin| plugin.name.as_str())
            .collect();
        let plugins = running
            .plugins
            .iter()
            .filter(|plugin| kept.contains(&*plugin.name));
        let serving = plugins.map(|plugin| {
            let missing = || plugin.unavailable.clone().unwrap_or_default();
            let document = plugin.source.clone().ok_or_else(missing);
            (plugin.name.to_string(), document)
        });
        serving.collect()
    }

    /// Which selectors have to match something.
    pub(super) fn strict(&self, texts: &BTreeMap<PathBuf, Fingerprint>) -> Strict {
        let changed = texts
            .iter()
            .filter(|(path, text)| self.texts.get(*path) != Some(*text));
        Strict {
            first: self.published.is_none(),
            rehearsal: self.rehearsal,
            changed: changed.map(|(path, _)| path.clone()).collect(),
        }
    }

    /// The hashes of the texts of the configuration.
    pub(super) fn texts_of(
        &self,
        inputs: &Inputs,
        facts: &BTreeMap<PathBuf, Facts>,
    ) -> BTreeMap<PathBuf, Fingerprint> {
        let mut texts: BTreeMap<_, _> = facts
            .iter()
            .map(|(path, facts)| (path.clone(), facts.text))
            .collect();
        if let Source::File(path) = &self.source {
            texts.extend(inputs.hash_of(path).map(|hash| (path.clone(), hash)));
        }
        texts
    }

    /// Those that are known from now on. A main file of which a plugin stands apart is not: what is
    /// written of that plugin is new when it is looked at.
    pub(super) fn texts_to_know(
        &self,
        mut texts: BTreeMap<PathBuf, Fingerprint>,
    ) -> BTreeMap<PathBuf, Fingerprint> {
        if let (Source::File(path), false) = (&self.source, self.waits.apart.is_empty()) {
            let known = self.texts.get(path);
            texts.extend(known.map(|known| (path.clone(), *known)));
        }
        texts
    }

    /// A plugin that serves goes on doing so until the document that replaces its own can be had, and so
    /// does one whose place another one takes that has none yet.
    pub(super) fn check_documents(&mut self, config: &Config, problems: &mut Problems) {
        let missing = self.documents.missing();
        if missing.is_empty() {
            return;
        }
        let (served, taken) = (self.served(), self.taken(config));
        for (name, error) in missing {
            let Some(plugin) = config.plugins.iter().find(|plugin| plugin.name == name) else {
                continue;
            };
            let at = &plugin.openapi.at;
            if served.contains(&name) {
                let help = "the document that the plugin has now goes on serving until then";
                problems.add(at, error).help(help);
            } else if let Some(giver) = taken.get(&name).filter(|giver| served.contains(*giver)) {
                let message =
                    format!("`{name}` is to take the place of `{giver}`, which serves: {error}");
                let help = format!("`{giver}` goes on serving until then");
                problems.add(at, message).help(&help);
            } else {
                continue;
            }
            // Asked for again also while its file is put aside for this.
            self.documents.set_apart(&name);
        }
    }

    /// The plugins that would answer in the place of one that serves, under another name, and of which.
    pub(super) fn taken(&self, config: &Config) -> HashMap<String, String> {
        let Some(published) = &self.published else {
            return HashMap::new();
        };
        let before = Guard::of_all(&published.current().config);
        guards::taken(&before, &Guard::of_all(config))
    }

    /// Plugins that have their document now.
    pub fn served(&self) -> Vec<String> {
        let running = self.published.as_ref().map(|published| published.current());
        let plugins = running.iter().flat_map(|running| &running.plugins);
        let served = plugins.filter(|plugin| plugin.unavailable.is_none());
        served.map(|plugin| plugin.name.to_string()).collect()
    }

    /// What hides something in the plugins that serve.
    pub(super) fn hiding(&self) -> HashMap<String, HashSet<String>> {
        let running = self.published.as_ref().map(|published| published.current());
        let plugins = running.iter().flat_map(|running| &running.plugins);
        plugins
            .map(|plugin| (plugin.name.to_string(), plugin.hides.clone()))
            .collect()
    }

    /// What a snapshot is made of beside its configuration.
    pub(super) fn material<'a>(
        &'a self,
        apis: &'a Apis,
        (number, digest): (u64, [u8; 32]),
        strict: Strict,
        now: Timestamp,
    ) -> Material<'a> {
        Material {
            generation: number,
            hash: hex(digest),
            apis,
            system_roots: &self.roots,
            tickets: &self.tickets,
            scopes: &self.shared.scopes,
            labels: &self.shared.labels,
            origins: &self.shared.origins,
            kept: &self.kept,
            now,
            fly_app: self.fly_app.clone(),
            dev: matches!(self.source, Source::Text { dev: true, .. }),
            stored_tokens: self.stored_tokens,
            // What did not change is not what is wrong.
            strict,
            hiding: self.hiding(),
        }
    }
}

/// Whether something is asked over TLS, whose certificates the roots of the operating system vouch
/// for. Documents may refer to anywhere that is allowed.
pub(super) fn wants_roots(config: &Config) -> bool {
    let https = |url: &str| url.starts_with("https:");
    let plugin = |plugin: &config::Plugin| {
        let source = match &plugin.openapi.source {
            OpenApiSource::Url(url) => https(url),
            OpenApiSource::File(_) | OpenApiSource::Upstream(_) => false,
        };
        source
            || plugin.upstream.scheme == Scheme::Https
            || !plugin.openapi.reference_hosts.is_empty()
    };
    config.plugins.iter().any(plugin) || config.token_urls.iter().any(|entry| https(&entry.url))
}

/// The roots of the operating system; what can not be read is left out.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(loaded.certs);
    roots
}
