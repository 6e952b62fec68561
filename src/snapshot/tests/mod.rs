//! What is compiled again and what is taken over.

mod apart;
mod keys;
mod reuse;
mod tokens;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::server::ProducesTickets;

use super::{ApiDocument, Apis, Kept, Material, Origins, Plugin, Snapshot, Strict, roots_of};
use crate::config::{Inputs, Parts, load_text};
use crate::openapi::{self, Prepared, ReadLimits};
use crate::problems::Problems;
use crate::telemetry::Labels;
use crate::tokens::ScopeLists;

const DOCUMENT: &str = r#"{"openapi":"3.0.3","info":{"title":"T","version":"1"},"paths":{
    "/a":{"get":{"operationId":"a","tags":["x"],"responses":{"200":{"description":"ok"}}}},
    "/b/{id}":{"get":{"operationId":"b","parameters":[{"name":"id","in":"path","required":true,
    "schema":{"type":"string"}}],"responses":{"200":{"description":"ok"}}}}}}"#;

/// Two plugins of which nothing is said that does not have to be; `EXTRA` goes into the first.
const LEAST: &str = r#"[listen]
http = "127.0.0.1:1001"
[plugins.todo]
hosts = ["todo.example"]
upstream.url = "https://api.example"
openapi.source = "openapi.json"
auth = { require = "service" }
EXTRA
[plugins.other]
hosts = ["other.example"]
upstream.url = "https://api.example"
openapi.source = "openapi.json"
auth = { require = "service" }
"#;

/// Files by name.
#[derive(Clone)]
struct Files(BTreeMap<&'static str, Vec<u8>>);

impl Inputs for Files {
    fn file(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        let bytes = path.to_str().and_then(|path| self.0.get(path));
        bytes
            .map(|bytes| bytes.as_slice().into())
            .ok_or_else(|| format!("{} is not there", path.display()))
    }

    fn glob(&mut self, _: &str) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn env(&mut self, name: &str) -> Option<String> {
        Some(format!("secret-of-the-variable-{name}"))
    }
}

impl Files {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = || {
            let params = rcgen::CertificateParams::new(vec!["todo.example".to_owned()]).unwrap();
            params.self_signed(&key).unwrap().pem().into_bytes()
        };
        let secret = || key.serialize_pem().into_bytes();
        let names = ["logo.png", "logo.svg", "legal.html", "served", "o1", "o2"];
        let plain = names.map(|name| (name, name.as_bytes().to_vec()));
        let mut files = BTreeMap::from(plain);
        files.extend([
            ("openapi.json", DOCUMENT.into()),
            ("same.json", DOCUMENT.into()),
        ]);
        files.extend([("one.pem", certificate()), ("two.pem", certificate())]);
        files.extend([("one.key", secret()), ("two.key", secret())]);
        Self(files)
    }
}

/// What lives as long as a process.
struct Scene {
    files: Files,
    kept: Kept,
    scopes: ScopeLists,
    labels: Labels,
    origins: Origins,
    roots: Arc<RootCertStore>,
    tickets: Arc<dyn ProducesTickets>,
    api: Arc<ApiDocument>,
    fly_app: Option<String>,
    dev: bool,
    strict: bool,
    generation: u64,
}

impl Scene {
    fn new() -> Self {
        let files = Files::new();
        Self {
            roots: Arc::new(roots_of(&files.0["one.pem"]).unwrap()),
            files,
            kept: Kept::default(),
            scopes: ScopeLists::default(),
            labels: Labels::new(),
            origins: Origins::default(),
            tickets: rustls::crypto::aws_lc_rs::Ticketer::new().unwrap(),
            api: api(DOCUMENT),
            fly_app: None,
            dev: false,
            strict: true,
            generation: 0,
        }
    }

    /// Compiles, and publishes what came of it.
    #[track_caller]
    fn compile(&mut self, text: &str) -> (Arc<Snapshot>, Problems) {
        let (snapshot, problems) = self.attempt(text);
        let snapshot = snapshot.unwrap_or_else(|| panic!("{}\n{text}", problems.render(false)));
        let snapshot = Arc::new(snapshot);
        self.kept.turn(&snapshot);
        (snapshot, problems)
    }

    fn attempt(&mut self, text: &str) -> (Option<Snapshot>, Problems) {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let (config, mut problems) =
            load_text("p.toml", text, &mut self.files, &Parts::default(), now);
        let config = config.unwrap_or_else(|| panic!("{}\n{text}", problems.render(false)));
        let apis: Apis = ["todo", "other"]
            .map(|name| (name.to_owned(), Ok(Arc::clone(&self.api))))
            .into();
        self.generation += 1;
        let hiding: HashMap<String, HashSet<String>> = HashMap::new();
        let material = Material {
            generation: self.generation,
            hash: String::new(),
            apis: &apis,
            system_roots: &self.roots,
            tickets: &self.tickets,
            scopes: &self.scopes,
            labels: &self.labels,
            origins: &self.origins,
            kept: &self.kept,
            now,
            fly_app: self.fly_app.clone(),
            dev: self.dev,
            stored_tokens: true,
            strict: Strict {
                first: false,
                rehearsal: self.strict,
                changed: HashSet::new(),
            },
            hiding,
        };
        (
            Snapshot::compile(config, &material, &mut problems),
            problems,
        )
    }
}

/// A document as control reads it.
fn api(text: &str) -> Arc<ApiDocument> {
    let value = openapi::read(text.as_bytes(), &ReadLimits::default()).unwrap();
    let bytes: Arc<[u8]> = text.as_bytes().into();
    Arc::new(ApiDocument {
        prepared: Prepared::new(value).unwrap(),
        texts: BTreeMap::from([("openapi.json".to_owned(), bytes)]),
        root: "openapi.json".to_owned(),
        manifest: None,
    })
}

fn with(extra: &str) -> String {
    LEAST.replace("EXTRA", extra)
}

/// Which plugins of two snapshots are the same value.
fn same(one: &Snapshot, two: &Snapshot) -> Vec<bool> {
    let both = |name: &str| {
        let of = |snapshot: &Snapshot| -> Arc<Plugin> {
            let plugins = &mut snapshot.plugins.iter();
            Arc::clone(plugins.find(|plugin| &*plugin.name == name).unwrap())
        };
        Arc::ptr_eq(&of(one), &of(two))
    };
    ["todo", "other"].map(both).to_vec()
}
