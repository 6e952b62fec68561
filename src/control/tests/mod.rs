//! The life of a configuration, with edges that only take notes.

mod documents;
mod guards;
mod lent;
mod remote;
mod renewal;
mod saving;
mod vanishing;
mod wider;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use super::{
    Connections, Control, Edges, Fetched, Fetching, Listening, Order, Outcome, Shared, Source,
    Stage, Trial, Tried, Trigger, Trying,
};
use crate::config::{Limits, ListenerKind, Log};
use crate::tokens::Fingerprint;

/// What the edges were asked, and what they answer.
#[derive(Debug, Default)]
pub(super) struct Notes {
    listening: Vec<(ListenerKind, SocketAddr)>,
    bound: Vec<SocketAddr>,
    taken: Vec<SocketAddr>,
    /// By path; what is not there can not be fetched.
    documents: HashMap<String, String>,
    /// A request without a token gets through.
    pub(super) open: bool,
    /// Requests of self-tests that went upstream, and what is answered there.
    pub(super) asked: Vec<String>,
    pub(super) upstream: u16,
}

#[derive(Debug, Clone, Default)]
pub(super) struct FakeEdges(pub(super) Rc<RefCell<Notes>>);

impl Edges for FakeEdges {
    type Bound = (ListenerKind, SocketAddr);

    fn bind(
        &self,
        kind: ListenerKind,
        address: SocketAddr,
        _leaving: &[(ListenerKind, SocketAddr)],
    ) -> Result<Self::Bound, String> {
        let mut notes = self.0.borrow_mut();
        if notes.taken.contains(&address) {
            return Err(format!("can not listen on {address}: taken"));
        }
        notes.bound.push(address);
        Ok((kind, address))
    }

    fn bind_admin(&self, _path: &Path) -> Result<Option<Self::Bound>, String> {
        Ok(None)
    }

    fn listen(&mut self, bound: Self::Bound) {
        self.0.borrow_mut().listening.push(bound);
    }

    fn unlisten(&mut self, kind: ListenerKind, asked: SocketAddr) {
        self.0
            .borrow_mut()
            .listening
            .retain(|known| *known != (kind, asked));
    }

    fn listening(&self) -> Vec<Listening> {
        let notes = self.0.borrow();
        let listening = |(kind, asked): &(ListenerKind, SocketAddr)| Listening {
            kind: *kind,
            asked: *asked,
            address: *asked,
            connections: 0,
        };
        notes.listening.iter().map(listening).collect()
    }

    fn configure(&self, _limits: &Limits, _log: Log, _tls: Option<Arc<rustls::ServerConfig>>) {}

    fn connections(&self, limits: &Limits) -> Connections {
        Connections {
            most: limits.connections,
            per_network: limits.connections_per_network,
            upstream: (0, 1),
        }
    }

    fn log_as(&self, _log: Log) {}

    fn fetch(&self, order: Order) -> Fetching {
        let found = self.0.borrow().documents.get(&order.path).cloned();
        Box::pin(async move {
            let found = found.ok_or("it answered 404")?;
            Ok(Fetched::New {
                bytes: found.into_bytes(),
                etag: None,
                modified: None,
            })
        })
    }

    fn try_requests(&self, trial: &Trial) -> Vec<Result<Tried, String>> {
        let open = self.0.borrow().open;
        let answer = |(request, _): &(http::Request<_>, _)| {
            let lets_in = open || request.headers().contains_key("authorization");
            Ok(tried(if lets_in { 200 } else { 401 }, lets_in))
        };
        trial.requests.iter().map(answer).collect()
    }

    fn try_upstream(&self, trial: Trial) -> Trying {
        let mut notes = self.0.borrow_mut();
        for (request, _) in &trial.requests {
            notes.asked.push(request.uri().to_string());
        }
        let answer = Ok(tried(notes.upstream, false));
        Box::pin(async move { vec![answer; trial.requests.len()] })
    }
}

fn tried(status: u16, forwarded: bool) -> Tried {
    Tried {
        status: http::StatusCode::from_u16(status).unwrap(),
        forwarded,
        code: None,
    }
}

/// A folder with a configuration, and control over it.
pub(super) struct Scene {
    folder: TempDir,
    pub(super) edges: FakeEdges,
    pub(super) shared: Arc<Shared>,
    pub(super) control: Control<FakeEdges>,
}

pub(super) const DOCUMENT: &str = r#"{"openapi":"3.0.3","info":{"title":"T","version":"1"},"paths":{
    "/a":{"get":{"operationId":"a","responses":{"200":{"description":"ok"}}}},
    "/b":{"get":{"operationId":"b","responses":{"200":{"description":"ok"}}}}}}"#;

impl Scene {
    /// With its document as a file.
    pub(super) fn new(extra: &str) -> Self {
        let scene = Self::empty();
        scene.write("openapi.json", DOCUMENT);
        scene.configure(r#""file:FOLDER/openapi.json""#, "service", extra);
        scene
    }

    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let edges = FakeEdges::default();
        let (shared, _) = Shared::new(16, Instant::now());
        let source = Source::File(folder.path().join("p.toml"));
        let control = Control::new(source, edges.clone(), Arc::clone(&shared)).unwrap();
        Self {
            folder,
            edges,
            shared,
            control,
        }
    }

    /// Another process on the same files and the same state.
    fn restart(&mut self) {
        let now = jiff::Timestamp::now();
        self.control.save(now);
        self.control.close_state(now);
        (self.shared, _) = Shared::new(16, Instant::now());
        let source = Source::File(self.path("p.toml"));
        let (edges, shared) = (self.edges.clone(), Arc::clone(&self.shared));
        self.control = Control::new(source, edges, shared).unwrap();
    }

    /// The names of the plugins that there are.
    fn plugins(&self) -> Vec<String> {
        let running = self.control.published().unwrap().current();
        let plugins = running.plugins.iter();
        plugins.map(|plugin| plugin.name.to_string()).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(super) fn configure(&self, source: &str, require: &str, extra: &str) {
        let text = format!(
            "[listen]\nhttp = \"127.0.0.1:1001\"\n[state]\ndirectory = \"FOLDER/state\"\n[plugins.p]\nhosts = [\"p.example\"]\n\
             upstream.url = \"http://127.0.0.1:9\"\nopenapi.source = {source}\n\
             auth.require = \"{require}\"\n{extra}"
        );
        self.write(
            "p.toml",
            &text.replace("FOLDER", &self.folder.path().display().to_string()),
        );
    }

    /// What can be fetched at a path.
    pub(super) fn serves(&self, path: &str, text: &str) {
        let mut notes = self.edges.0.borrow_mut();
        notes.documents.insert(path.to_owned(), text.to_owned());
    }

    /// One attempt, with every document that it orders.
    pub(super) async fn attempt(&mut self, trigger: Trigger) -> Outcome {
        let mut outcome = self.control.attempt(trigger).await;
        while matches!(outcome, Outcome::Waiting) {
            for order in self.control.take_orders() {
                let delivery = order.await;
                self.control.delivered(delivery);
            }
            outcome = self.control.resume(trigger);
        }
        outcome
    }

    fn operations(&self) -> usize {
        self.control.published().unwrap().current().plugins[0]
            .operations
            .len()
    }

    fn opens(&self, secret: &str) -> bool {
        self.shared
            .tokens
            .get(&Fingerprint::of(secret.as_bytes()))
            .is_some()
    }
}

#[track_caller]
pub(super) fn published(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Published(_)), "{outcome:?}");
}

#[track_caller]
pub(super) fn refused(outcome: &Outcome, stage: Stage, word: &str) {
    let Outcome::Refused(refused) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(refused.stage, stage);
    let text = refused.problems.render(false);
    assert!(text.contains(word), "no `{word}` in:\n{text}");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_until_it_is_mended() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    assert!(matches!(
        scene.attempt(Trigger::File).await,
        Outcome::Unchanged
    ));

    scene.configure("\"file:FOLDER/openapi.json\"", "servce", "");
    refused(
        &scene.attempt(Trigger::File).await,
        Stage::Validate,
        "require",
    );
    assert_eq!(scene.control.published().unwrap().current().generation, 1);
    assert!(
        scene.control.status()["pending_rejected"]["text"]
            .as_str()
            .unwrap()
            .contains("p.toml:9")
    );

    scene.configure(
        "\"file:FOLDER/openapi.json\"",
        "service",
        "publish = [\"openapi\"]\n",
    );
    scene.configure("\"file:FOLDER/openapi.json\"", "any", "");
    refused(
        &scene.attempt(Trigger::File).await,
        Stage::SelfTest,
        "--weaker",
    );
    published(&scene.attempt(Trigger::Command { weaker: true }).await);
    assert!(scene.control.status()["pending_rejected"].is_null());
    assert_eq!(scene.control.published().unwrap().current().generation, 2);
}

#[tokio::test]
async fn a_file_put_back_as_it_was_clears_the_refusal() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    let good = fs::read_to_string(scene.path("p.toml")).unwrap();
    scene.write("p.toml", "[");
    refused(&scene.attempt(Trigger::File).await, Stage::Validate, "TOML");
    scene.write("p.toml", &good);
    assert!(matches!(
        scene.attempt(Trigger::File).await,
        Outcome::Unchanged
    ));
    assert!(scene.control.status()["pending_rejected"].is_null());
}

#[tokio::test]
async fn listeners_that_did_not_change_are_never_bound_again() {
    let mut scene = Scene::new("");
    published(&scene.attempt(Trigger::Start).await);
    let text = fs::read_to_string(scene.path("p.toml")).unwrap();
    let with = |list: &str| text.replace("\"127.0.0.1:1001\"", list);

    scene.write("p.toml", &with("[\"127.0.0.1:1001\", \"127.0.0.1:1002\"]"));
    published(&scene.attempt(Trigger::File).await);
    let ports = |scene: &Scene| -> Vec<u16> {
        scene
            .edges
            .0
            .borrow()
            .bound
            .iter()
            .map(SocketAddr::port)
            .collect()
    };
    assert_eq!(ports(&scene), [1001, 1002]);

    scene
        .edges
        .0
        .borrow_mut()
        .taken
        .push("127.0.0.1:1003".parse().unwrap());
    scene.write("p.toml", &with("[\"127.0.0.1:1002\", \"127.0.0.1:1003\"]"));
    refused(&scene.attempt(Trigger::File).await, Stage::Bind, "taken");
    assert_eq!(scene.edges.listening().len(), 2);

    scene.write("p.toml", &with("\"127.0.0.1:1002\""));
    published(&scene.attempt(Trigger::File).await);
    assert_eq!(ports(&scene), [1001, 1002]);
    assert_eq!(scene.edges.listening().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_can_not_give_its_document_is_asked_again() {
    let mut scene = Scene::empty();
    scene.configure("\"/openapi.json\"", "service", "");
    published(&scene.attempt(Trigger::Start).await);
    assert!(!scene.control.ready());
    assert_eq!(scene.operations(), 0);
    assert!(scene.control.due().is_some());

    scene
        .edges
        .0
        .borrow_mut()
        .documents
        .insert("/openapi.json".into(), DOCUMENT.into());
    published(&scene.attempt(Trigger::Command { weaker: false }).await);
    assert!(scene.control.ready());
    assert_eq!(scene.operations(), 2);

    // What it gives later and is no document replaces nothing.
    scene
        .edges
        .0
        .borrow_mut()
        .documents
        .insert("/openapi.json".into(), "<html>".into());
    assert!(matches!(
        scene.attempt(Trigger::Command { weaker: false }).await,
        Outcome::Unchanged
    ));
    assert_eq!(scene.operations(), 2);
    let status = scene.control.status();
    assert_eq!(status["plugins"][0]["document"]["state"], "last good copy");
}

#[tokio::test]
async fn a_selector_that_matches_nothing_is_a_problem_where_it_is_written() {
    let token = "[tokens.t]\nlevel = \"service\"\nplugins = [\"p\"]\nscopes = [\"a\", \"gone\"]\n\
                 sha256 = \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"\n";
    let mut scene = Scene::new(token);
    refused(
        &scene.attempt(Trigger::Start).await,
        Stage::Compile,
        "`gone` matches no published",
    );
}

#[tokio::test]
async fn a_document_that_changes_under_a_scope_is_a_warning() {
    let token = "[tokens.t]\nlevel = \"service\"\nplugins = [\"p\"]\nscopes = [\"a\", \"b\"]\n\
                 sha256 = \"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"\n";
    let mut scene = Scene::empty();
    scene
        .edges
        .0
        .borrow_mut()
        .documents
        .insert("/openapi.json".into(), DOCUMENT.into());
    scene.configure("\"/openapi.json\"", "service", token);
    published(&scene.attempt(Trigger::Start).await);
    let fewer = DOCUMENT
        .replace("\"/b\"", "\"/c\"")
        .replace("\"b\"", "\"c\"");
    scene
        .edges
        .0
        .borrow_mut()
        .documents
        .insert("/openapi.json".into(), fewer);
    let outcome = scene.attempt(Trigger::Command { weaker: false }).await;
    let Outcome::Published(warnings) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        warnings
            .render(false)
            .contains("`b` matches no published operation")
    );
}

#[tokio::test]
async fn a_changed_secret_file_is_a_rotation_with_grace() {
    let token = |grace: &str| {
        format!(
            "[tokens.t]\nlevel = \"service\"\nplugins = [\"p\"]\nscopes = [\"*\"]\n\
             secret = \"${{file:FOLDER/secret}}\"\n{grace}"
        )
    };
    let mut scene = Scene::new(&token("grace = \"1h\"\n"));
    scene.write("secret", "the-first-secret-of-all");
    published(&scene.attempt(Trigger::Start).await);
    scene.write("secret", "the-second-secret-of-all\n");
    published(&scene.attempt(Trigger::File).await);
    assert!(scene.opens("the-first-secret-of-all") && scene.opens("the-second-secret-of-all"));
    scene.write("secret", "the-third-secret-of-all");
    published(&scene.attempt(Trigger::File).await);
    assert!(
        !scene.opens("the-first-secret-of-all"),
        "never more than two live"
    );
    assert!(scene.opens("the-second-secret-of-all") && scene.opens("the-third-secret-of-all"));

    scene.configure("\"file:FOLDER/openapi.json\"", "service", &token(""));
    published(&scene.attempt(Trigger::File).await);
    assert!(
        !scene.opens("the-second-secret-of-all"),
        "without grace the previous one ends"
    );
    assert!(scene.opens("the-third-secret-of-all"));
}
