//! What must hold of a candidate before it serves, beside being valid: nothing lets in more than
//! before, its documents can be read, its guards hold, and the tests that its configuration names
//! are answered as they expect.
//!
//! All of it is done at once, in process and without a socket, but for the tests that want the
//! answer of an upstream. Those are ordered as documents are, so that control goes on meanwhile;
//! when the answers are there, the attempt is made again.

mod cast;
mod judge;
#[cfg(test)]
mod tests;
mod trials;
mod weaker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use jiff::Timestamp;

use super::edges::{Trial, Tried};
use super::{Control, Edges};
use crate::config::{self, Test, TestCaller};
use crate::problems::{Place, Problems};
use crate::snapshot::{Plugin, Snapshot, Strict};
use crate::tokens::TokenTable;
use cast::Cast;
use judge::Judged;
pub(super) use trials::Trials;
pub use trials::Verdict;

/// How far a test has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tested {
    /// To its end; what is wrong is among the problems.
    Done,
    /// The upstreams of these plugins are asked.
    Waits(Vec<String>),
}

/// By plugin: the hash of all that its answers depend on.
pub(super) type Bases = BTreeMap<String, [u8; 32]>;

/// An answer, or a sentence why there is none.
type Answer = Result<Tried, String>;

/// How long an answer may take that no upstream is asked for. It is there at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A request of a self-test, and what it is for.
struct Asked<'a> {
    plugin: &'a config::Plugin,
    /// The test and its number; `None`: a request without a token, which must be refused.
    test: Option<(usize, &'a Test)>,
    shown: String,
    request: Request<Bytes>,
    patience: Duration,
}

/// A candidate under test.
struct Bench<'a> {
    snapshot: &'a Arc<Snapshot>,
    cast: &'a Cast,
    /// Whether a test that matches nothing stops it.
    strict: &'a Strict,
}

impl<E: Edges> Control<E> {
    /// Tests a candidate. A rollback asks no upstream: it is there for when one fails. With `weaker`
    /// it may let in more than what serves. [`Tested::Waits`]: something was ordered
    /// ([`Control::take_orders`]); when it is delivered, this is to be called again.
    pub(super) fn self_test(
        &mut self,
        snapshot: &Arc<Snapshot>,
        (bases, strict): (&Bases, Strict),
        weaker: bool,
        problems: &mut Problems,
    ) -> Tested {
        let begun = Instant::now();
        if !weaker {
            self.check_not_weaker(snapshot, problems);
        }
        let cast = match Cast::of(snapshot, &self.shared.scopes) {
            Ok(cast) => cast,
            Err(error) => {
                let message = format!("the self-test has no random numbers: {error}");
                problems.add(&Place::named("self-test"), message);
                return Tested::Done;
            }
        };
        // Before a token with a scope list asks, the list is known.
        snapshot.learn(&self.shared.scopes);
        let bench = Bench {
            snapshot,
            cast: &cast,
            strict: &strict,
        };
        let changed = self.changed(snapshot);
        bench.prove(&changed, problems);
        let asked = bench.requests(&changed, problems);
        let trial = bench.trial(&asked);
        let tried = self.edges.try_requests(&trial);
        tracing::debug!(requests = tried.len(), took = ?begun.elapsed(), "self-test");
        let open = bench.judge(asked, tried, problems);
        let open: Vec<Asked<'_>> = open
            .into_iter()
            .filter(|asked| changed.contains(&asked.plugin.name))
            .collect();
        if open.is_empty() || problems.has_problems() || self.rehearsal || self.asks_nobody() {
            return Tested::Done;
        }
        let mut waits = Vec::new();
        for open in by_plugin(open) {
            let Some(name) = open.first().map(|asked| asked.plugin.name.as_str()) else {
                continue;
            };
            let basis = bases.get(name).copied().unwrap_or_default();
            if let Some(answers) = self.trials.answers(name, basis, open.len()) {
                judge_upstreams(&open, answers, problems);
                continue;
            }
            let trial = bench.trial(&open);
            self.trials.order(name, basis, trial, &self.edges);
            waits.push(name.to_owned());
        }
        if waits.is_empty() || problems.has_problems() {
            return Tested::Done;
        }
        Tested::Waits(waits)
    }

    /// The plugins that are not just those that serve, with the tests that they had.
    fn changed(&self, next: &Snapshot) -> Vec<String> {
        let running = self.published.as_ref().map(|published| published.current());
        let tests = |snapshot: &Snapshot, name: &str| {
            let plugin = snapshot.config.plugins.iter().find(|p| p.name == name);
            plugin
                .map(|plugin| plugin.tests.clone())
                .unwrap_or_default()
        };
        let is_same = |plugin: &Arc<Plugin>| {
            running.as_ref().is_some_and(|running| {
                let mut known = running.plugins.iter();
                let (was, is) = (tests(running, &plugin.name), tests(next, &plugin.name));
                known.any(|known| Arc::ptr_eq(known, plugin)) && was == is
            })
        };
        let changed = next.plugins.iter().filter(|plugin| !is_same(plugin));
        changed.map(|plugin| plugin.name.to_string()).collect()
    }
}

/// What is asked of each plugin. They come in the order of the plugins.
fn by_plugin(open: Vec<Asked<'_>>) -> Vec<Vec<Asked<'_>>> {
    let mut groups: Vec<Vec<Asked<'_>>> = Vec::new();
    for asked in open {
        match groups.last_mut() {
            Some(group) if group[0].plugin.name == asked.plugin.name => group.push(asked),
            _ => groups.push(vec![asked]),
        }
    }
    groups
}

impl<'a> Bench<'a> {
    /// The plugins, each as it is written and as it is compiled.
    fn plugins(&self) -> impl Iterator<Item = (&'a config::Plugin, &'a Arc<Plugin>)> + use<'a> {
        let snapshot = self.snapshot;
        snapshot.config.plugins.iter().filter_map(|written| {
            let mut compiled = snapshot.plugins.iter();
            let plugin = compiled.find(|plugin| *plugin.name == *written.name)?;
            Some((written, plugin))
        })
    }

    /// What is proven without a request.
    fn prove(&self, changed: &[String], problems: &mut Problems) {
        let table = TokenTable::with_capacity(0);
        for (fingerprint, token) in &self.cast.entries {
            table.insert(*fingerprint, Arc::clone(token));
        }
        for (written, plugin) in self.plugins() {
            let place = |key: &str| Place {
                key: format!("plugins.{}.{key}", written.name),
                ..written.at.clone()
            };
            let require = written.auth.require;
            if let Some(breach) =
                plugin.breach(require, &table, &self.cast.presentable, Timestamp::now())
            {
                problems.add(&place("auth.require"), breach);
            }
            for (id, list, at) in &self.cast.lists {
                if plugin.grants_nothing_for_something(*id, list) {
                    problems.add(at, "scopes that match nothing would open something");
                }
            }
            // What serves already was read before.
            let fresh = changed.contains(&written.name);
            if let Some((path, why)) = fresh.then(|| plugin.unreadable_document()).flatten() {
                let message = format!("{path} can not be read as it would be served: {why}");
                problems.add(&place("publish"), message);
            }
        }
    }

    /// What is asked: of a plugin that changed something without a token, and of each its tests.
    fn requests(&self, changed: &[String], problems: &mut Problems) -> Vec<Asked<'a>> {
        let mut asked = Vec::new();
        for (written, plugin) in self.plugins() {
            if changed.contains(&written.name) && written.auth.require != config::Require::None {
                for (method, target) in plugin.examples() {
                    let request = request(written, plugin, None, (method, &target), None);
                    asked.extend(request.map(|request| Asked {
                        plugin: written,
                        test: None,
                        shown: format!("{} {target}", request.method()),
                        request,
                        patience: AT_ONCE,
                    }));
                }
            }
            if let (Some(_), Some(first)) = (&plugin.unavailable, written.tests.first()) {
                let message = "its tests are left out: the document of its API is not there yet";
                problems.warn(&first.shown.at, message);
                continue;
            }
            for (number, test) in written.tests.iter().enumerate() {
                let secret = match self.cast.secret(&test.caller.value) {
                    Ok(secret) => secret,
                    Err(fault) => {
                        problems.add(&test.caller.at, fault);
                        continue;
                    }
                };
                let line = (test.method.clone(), test.target.as_str());
                let request = request(written, plugin, secret, line, Some(test));
                asked.extend(request.map(|request| Asked {
                    plugin: written,
                    test: Some((number, test)),
                    shown: test.shown.value.clone(),
                    request,
                    patience: test.timeout,
                }));
            }
        }
        asked
    }

    /// All of it, for the edges.
    fn trial(&self, asked: &[Asked<'_>]) -> Trial {
        let requests = asked.iter();
        Trial {
            snapshot: Arc::clone(self.snapshot),
            tokens: self.cast.entries.clone(),
            requests: requests
                .map(|asked| (asked.request.clone(), asked.patience))
                .collect(),
        }
    }

    /// Judges what was answered at once; what is left needs the answer of its upstream.
    fn judge(
        &self,
        asked: Vec<Asked<'a>>,
        answers: Vec<Answer>,
        problems: &mut Problems,
    ) -> Vec<Asked<'a>> {
        let mut open = Vec::new();
        for (asked, answer) in asked.into_iter().zip(answers) {
            let judged = match asked.test {
                None => judge::guard(asked.plugin, &asked.shown, &answer),
                Some((_, test)) => judge::test(test, &answer, self.is_strict(asked.plugin)),
            };
            match judged {
                Judged::Good => {}
                Judged::Open => open.push(asked),
                Judged::Bad(problem) => problems.push(*problem),
            }
        }
        open
    }

    /// Whether a test of this plugin that matches nothing stops the candidate.
    fn is_strict(&self, plugin: &config::Plugin) -> bool {
        let mut plugins = self.snapshot.plugins.iter();
        let compiled = plugins.find(|compiled| *compiled.name == *plugin.name);
        let fetched = compiled.is_some_and(|compiled| compiled.document_is_fetched);
        self.strict.at(&plugin.at, fetched)
    }
}

/// Judges what upstreams answered.
fn judge_upstreams(asked: &[Asked<'_>], answers: Vec<Answer>, problems: &mut Problems) {
    for (asked, answer) in asked.iter().zip(answers) {
        if let Some((_, test)) = asked.test
            && let Some(problem) = judge::upstream(test, &answer)
        {
            problems.push(problem);
        }
    }
}

/// A request as a client would send it. `None`: it can not be written.
fn request(
    written: &config::Plugin,
    plugin: &Plugin,
    secret: Option<&str>,
    (method, target): (http::Method, &str),
    test: Option<&Test>,
) -> Option<Request<Bytes>> {
    let public = written.public_url.as_deref();
    let public = public.and_then(|url| url.split_once("://"));
    let host = written.hosts.first().map(String::as_str);
    let host = host.or(public.map(|(_, host)| host)).unwrap_or("localhost");
    let body = test.and_then(|test| test.body.as_ref());
    let mut request =
        Request::new(body.map_or_else(Bytes::new, |body| Bytes::copy_from_slice(body.expose())));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().ok()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_str(host).ok()?);
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    let agent = concat!("plugway/", env!("CARGO_PKG_VERSION"), " (self-test)");
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    if let (Some(test), Some(_)) = (test, body) {
        headers.insert(header::CONTENT_TYPE, test.content_type.clone());
    }
    if let Some(secret) = secret {
        headers.extend(plugin.presenting(secret));
    }
    Some(request)
}

impl Cast {
    /// What a caller presents; `None`: nothing.
    ///
    /// # Errors
    /// There is no such token: a sentence.
    fn secret(&self, caller: &TestCaller) -> Result<Option<&str>, String> {
        if *caller == TestCaller::Anonymous {
            return Ok(None);
        }
        let mut known = self.secrets.iter();
        match known.find(|(known, _)| known == caller) {
            Some((_, secret)) => Ok(Some(secret)),
            None => Err(format!("there is no token `{}`", caller.word())),
        }
    }
}
