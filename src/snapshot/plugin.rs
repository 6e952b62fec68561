//! One plugin, compiled.

use std::collections::HashSet;
use std::sync::Arc;

use super::inputs::{Around, Inputs};
use super::{Credential, Fixed, Targets, Written, apart, api, dial, papers, prefix, similar};
use crate::auth::Policy;
use crate::config::{self, DocumentAccess, Require};
use crate::documents::{Documents, Found};
use crate::headers::{self, Authority, Cors, Rules};
use crate::openapi::{self, Api, Finding};
use crate::problems::{Place, Problems};
use crate::route::{Router, Spec};
use crate::telemetry;
use crate::tokens::{CompiledScopes, without_tokens};

/// A plugin as a request finds it.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct Plugin {
    /// Its name for the model.
    pub name: Arc<str>,
    /// Its name for humans, or the same.
    pub title: String,
    /// Who may call.
    pub policy: Policy,
    /// `auth.require`
    pub require: Require,
    /// Whether its documents ask for a token too.
    pub documents_need_token: bool,
    /// Paths of `files`, which never do: challenges and the like are there to be read.
    pub open_paths: HashSet<String>,
    /// What it serves by itself.
    pub documents: Documents,
    /// Which operation a request is.
    pub router: Router,
    /// By the index that the router gives; published ones only are ever found.
    pub operations: Vec<Operation>,
    /// Those that are not published, for people: what a lenient upstream may take a request for.
    pub withheld: Box<[Box<str>]>,
    /// Whether every other path is forwarded too.
    pub forward_unpublished: bool,
    /// What requests that belong to no operation are recorded under.
    pub record: Arc<telemetry::Target>,
    /// What each scope list may call.
    pub scopes: CompiledScopes,
    /// Which web pages may call.
    pub cors: Cors,
    /// Whether a request of a page that may not call is refused (`dev --auth none`).
    pub refuse_foreign_origins: bool,
    /// Whether pages of the internet may reach it in a private network (`dev`).
    pub private_network: bool,
    /// What is the same in the head of every request that goes upstream.
    pub outbound: headers::Policy,
    /// `limits.response_chars`; 0: as many as there are.
    pub response_chars: u64,
    /// Changes to the headers of responses.
    pub response_rules: Rules,
    /// Where its requests go.
    pub targets: Targets,
    /// What is presented there.
    pub credential: Credential,
    /// Path of `upstream.url`, without trailing slash.
    pub base_path: String,
    /// `upstream.fly_replay`
    pub passes_fly_replay: bool,
    /// `public_url`, or what Fly.io gives where neither that nor `hosts` is written.
    pub public: Option<Public>,
    /// The ports of `listen.http` and `listen.https`, and that of `public_url`.
    pub ports: Vec<u16>,
    /// The name that Fly.io gives.
    pub fly_host: Option<String>,
    /// Whether its API's document comes over the network, and may change by itself.
    pub document_is_fetched: bool,
    /// What hides operations and parameters in it: selectors of `exclude`, and operations with
    /// fixed parameters.
    pub hides: HashSet<String>,
    /// Its API's document, as it was read.
    pub source: Option<Arc<super::ApiDocument>>,
    /// Why its API's document is not there.
    pub unavailable: Option<String>,
    /// What was repaired, simplified or skipped in the document.
    pub report: Vec<Finding>,
}

impl Plugin {
    /// A path that can be tried with GET and nothing else.
    pub fn example(&self) -> Option<String> {
        let plain = |operation: &&Operation| {
            operation.meaning.method == http::Method::GET
                && !operation.meaning.path.contains('{')
                && operation.meaning.fixed_query.is_empty()
        };
        self.operations
            .iter()
            .find(plain)
            .map(|operation| operation.meaning.path.clone())
    }

    /// What it serves by itself at a path, without an origin: to be compared.
    pub fn shown(&self, path: &str) -> Option<bytes::Bytes> {
        match self.documents.find(path)? {
            Found::Document(document) => Some(document.content("")),
            Found::Unavailable => None,
        }
    }

    /// The load report, each line with where that was written.
    pub fn reported(&self) -> Vec<(&Finding, Written)> {
        let written = match &self.source {
            Some(source) => source.written(&self.report),
            None => Vec::new(),
        };
        self.report.iter().zip(written).collect()
    }

    /// How many lines of each kind the load report has, such as `; 2 skipped, 1 repaired`.
    pub fn counted(&self) -> String {
        openapi::counted(&self.report)
    }

    /// The load report as JSON: the first `most` lines.
    pub fn report_json(&self, most: usize) -> Vec<serde_json::Value> {
        let line = |(finding, written): (&Finding, Written)| {
            serde_json::json!({
                "action": finding.action.as_str(),
                "file": written.file,
                "line": written.line,
                "pointer": written.pointer,
                "message": finding.message,
            })
        };
        self.reported().into_iter().take(most).map(line).collect()
    }
}

fn public(inputs: &Inputs) -> Option<Public> {
    let plugin = &inputs.plugin;
    let given = || {
        let app = inputs.fly_app.as_ref()?;
        plugin
            .hosts
            .is_empty()
            .then(|| format!("https://{app}.fly.dev"))
    };
    Public::of(&plugin.public_url.clone().or_else(given)?)
}

/// Ports under which clients may know the plugin.
fn ports(inputs: &Inputs) -> Vec<u16> {
    let public = public(inputs).map(|public| public.authority.port_or_default(public.https));
    let listen = inputs.https.iter().chain(&inputs.http);
    listen.copied().chain(public).collect()
}

/// A plugin's `public_url`.
#[derive(Debug, Clone)]
pub struct Public {
    /// Such as `https://todo.example.com`.
    pub origin: String,
    /// Its host, lower case.
    pub host: String,
    /// Host and port.
    pub authority: Authority<'static>,
    /// Whether it is an `https` one.
    pub https: bool,
}

impl Public {
    pub(super) fn of(origin: &str) -> Option<Self> {
        let (scheme, rest) = origin.split_once("://")?;
        let authority = headers::parse_authority(rest)?.into_owned();
        Some(Self {
            origin: origin.to_owned(),
            host: authority.host.to_string(),
            authority,
            https: scheme == "https",
        })
    }
}

/// Changes to headers, compiled.
fn rules(
    plugin: &config::Plugin,
    side: &str,
    changes: &config::HeaderChanges,
    problems: &mut Problems,
) -> Option<Rules> {
    match Rules::compile(&changes.set, &changes.remove) {
        Ok(rules) => Some(rules),
        Err(fault) => {
            let at = Place {
                key: format!("plugins.{}.headers.{side}", plugin.name),
                ..plugin.at.clone()
            };
            problems.add(&at, fault.to_string());
            None
        }
    }
}

/// A published operation.
#[derive(Debug)]
pub struct Operation {
    /// What scopes and selectors see.
    pub meaning: openapi::Operation,
    /// The path that is put before its own upstream.
    pub prefix: String,
    /// Its parameters with fixed values.
    pub fixed: Fixed,
    /// Most bytes of a request's body, if it is not `limits.body_bytes`.
    pub body_bytes: Option<u64>,
    /// Parameters by which its answer gets smaller, where answers have a limit.
    pub narrowing: Vec<String>,
    /// What its requests are recorded under.
    pub record: Arc<telemetry::Target>,
}

/// Bytes of a document that counts as large.
const LARGE: usize = 256 << 10;

/// Compiles a plugin, its problems beside it. With it comes whether one of them would be of
/// another severity at another time.
pub(super) fn compile(
    inputs: &Inputs,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Option<(Plugin, bool)> {
    let plugin = &inputs.plugin;
    let known = (&inputs.system_roots.0, around.origins);
    let targets = dial::targets(plugin, inputs.patience, known, problems)?;
    let (source, unavailable) = match &inputs.api {
        Ok(document) => (Some(document), None),
        Err(reason) => (None, Some(reason.clone())),
    };
    // What a large document takes for a while is more than it keeps.
    let large = source.is_some_and(|source| source.bytes() > LARGE);
    let _at_once = large.then(plugway_heap::AtOnce::begin);
    let loaded = source.map(|source| api::load(plugin, source, around, problems));
    let judged = loaded.as_ref().is_some_and(api::is_judged);
    let hides = loaded.as_ref().map(|api| api::hides(plugin, api));
    let name: Arc<str> = Arc::from(plugin.name.as_str());
    let callable = loaded.as_ref().map_or_else(Callable::nothing, |api| {
        let guarded = inputs.response_chars > 0;
        callable((plugin, guarded), api, around, problems)
    });
    let manifest = source.and_then(|source| source.manifest.as_ref());
    let documents = papers::documents(inputs, loaded.as_ref(), manifest, problems);
    papers::shadowed(plugin, &documents, &callable.operations, problems);
    let credential = credential(plugin);
    let policy = policy(plugin, problems)?;
    let said = loaded.and_then(|api| api.info.title);
    let title = title(plugin, said);
    let compiled = Plugin {
        require: plugin.auth.require,
        documents_need_token: plugin.documents == DocumentAccess::Token,
        open_paths: plugin.files.keys().cloned().collect(),
        documents,
        router: callable.router,
        operations: callable.operations,
        withheld: callable.withheld,
        forward_unpublished: plugin.openapi.forward_unpublished,
        record: around.labels.target(&name, None, None),
        scopes: callable.scopes,
        cors: Cors::new(&plugin.cors_origins),
        refuse_foreign_origins: inputs.dev && plugin.auth.require == Require::None,
        private_network: inputs.dev,
        outbound: outbound(plugin, &policy, &credential, problems)?,
        response_chars: inputs.response_chars,
        response_rules: rules(plugin, "response", &plugin.headers.response, problems)?,
        credential,
        base_path: plugin.upstream.base_path.clone(),
        passes_fly_replay: plugin.upstream.passes_fly_replay,
        ports: ports(inputs),
        public: public(inputs),
        fly_host: inputs.fly_app.as_ref().map(|app| format!("{app}.fly.dev")),
        document_is_fetched: api::is_fetched(plugin),
        hides: hides.unwrap_or_default(),
        source: source.cloned(),
        unavailable,
        report: callable.report,
        targets,
        policy,
        title,
        name,
    };
    Some((compiled, judged))
}

/// What people call it: as configured, or as its document says, or by its name.
fn title(plugin: &config::Plugin, said: Option<String>) -> String {
    let title = plugin.display_name.clone().or(said);
    let shown = title.map(|title| without_tokens(&title).into_owned());
    shown.unwrap_or_else(|| plugin.name.clone())
}

/// What is the same in the head of every request that goes upstream.
fn outbound(
    plugin: &config::Plugin,
    policy: &Policy,
    credential: &Credential,
    problems: &mut Problems,
) -> Option<headers::Policy> {
    Some(headers::Policy {
        plugin: headers::text_value(&plugin.name),
        auth_header: policy.header().clone(),
        credential: presented(credential),
        rules: rules(plugin, "request", &plugin.headers.request, problems)?,
        underscores: plugin.headers.passes_underscores,
    })
}

/// What is presented upstream. Where the API asks for a credential itself, the client's is what
/// it wants.
fn credential(plugin: &config::Plugin) -> Credential {
    match plugin.auth.require {
        Require::Upstream => Credential {
            pass: true,
            ..Credential::default()
        },
        _ => dial::credential(&plugin.upstream.credential),
    }
}

/// The same, as the head wants it.
fn presented(credential: &Credential) -> headers::Credential {
    match &credential.header {
        _ if credential.pass => headers::Credential::Pass,
        Some((name, value)) => headers::Credential::Header(name.clone(), value.clone()),
        None => headers::Credential::Nothing,
    }
}

/// Who may call.
fn policy(plugin: &config::Plugin, problems: &mut Problems) -> Option<Policy> {
    let policy = Policy::new(&plugin.name, &plugin.auth).ok();
    if policy.is_none() {
        let key = format!("plugins.{}.auth.header", plugin.name);
        let message = format!("`{}` is no header name", plugin.auth.header);
        problems.add(
            &Place {
                key,
                ..plugin.at.clone()
            },
            message,
        );
    }
    policy
}

/// What can be called, and by whom.
struct Callable {
    router: Router,
    operations: Vec<Operation>,
    withheld: Box<[Box<str>]>,
    scopes: CompiledScopes,
    report: Vec<Finding>,
}

impl Callable {
    /// Without a document nothing is published.
    fn nothing() -> Self {
        Self {
            router: Router::build(&[]).0,
            operations: Vec::new(),
            withheld: Box::default(),
            scopes: CompiledScopes::default(),
            report: Vec::new(),
        }
    }
}

fn callable(
    (plugin, guarded): (&config::Plugin, bool),
    api: &Api,
    around: &Around<'_>,
    problems: &mut Problems,
) -> Callable {
    let specs = specs(plugin, api);
    let (mut router, unroutable) = Router::build(&specs);
    if !plugin.openapi.passes_similar {
        router.refuse_similar();
        similar::tell(&router, api, plugin, problems);
    }
    let mut report = api.report.clone();
    let shared = apart::shared(&unroutable, api);
    report.extend(unroutable.iter().filter_map(|lost| {
        let operation = api.operations.get(lost.operation)?;
        let key = operation.path_key.replace('~', "~0").replace('/', "~1");
        Some(Finding {
            pointer: format!("#/paths/{key}/{}", operation.method.as_str().to_lowercase()),
            action: openapi::Action::Skipped,
            message: format!("{} can not be called: {}", operation.id, lost.why),
        })
    }));
    let lists = around.scopes.all();
    let matches = |selector: &_, index: usize| openapi::matches(selector, &api.operations[index]);
    let scopes = CompiledScopes::compile(&lists, api.operations.len(), matches);
    report.extend(prefix::report(&plugin.upstream, &api.operations));
    let mut operation = |operation: &openapi::Operation| Operation {
        fixed: Fixed::compile(operation, &api.source, plugin, problems),
        prefix: prefix::prefix(&plugin.upstream, operation).to_owned(),
        body_bytes: body_bytes(plugin, operation),
        narrowing: if guarded {
            openapi::narrowing(&api.source, operation)
        } else {
            Vec::new()
        },
        // As they stand in logs and metrics.
        record: around.labels.target(
            &plugin.name,
            Some(&without_tokens(&operation.id)),
            Some(&without_tokens(&operation.path)),
        ),
        meaning: operation.clone(),
    };
    let mut operations: Vec<_> = api.operations.iter().map(&mut operation).collect();
    apart::check_headers(plugin, api, problems);
    apart::tell(&shared, (&mut operations, api), plugin, problems);
    Callable {
        router,
        operations,
        withheld: similar::withheld(plugin, api),
        scopes,
        report,
    }
}

/// `body_bytes` of an operation.
fn body_bytes(plugin: &config::Plugin, operation: &openapi::Operation) -> Option<u64> {
    let mut tables = plugin.operations.iter();
    tables.find_map(|table| {
        let bytes = table.body_bytes?;
        openapi::matches(&table.selector, operation).then_some(bytes)
    })
}

/// What the router has to know: also of what is not published, so that no template of a
/// published operation stands in for it.
fn specs(plugin: &config::Plugin, api: &Api) -> Vec<Spec> {
    let slashes = |operation: &openapi::Operation| {
        let named = |id: &str| id == operation.id || operation.original_id.as_deref() == Some(id);
        plugin
            .openapi
            .encoded_slash
            .iter()
            .any(|id| named(&id.value))
    };
    let spec = |operation: &openapi::Operation, published| Spec {
        method: operation.method.clone(),
        path: operation.path.clone(),
        fixed_query: operation.fixed_query.clone(),
        encoded_slash: slashes(operation),
        published,
    };
    let published = api.operations.iter().map(|operation| spec(operation, true));
    published
        .chain(
            api.unpublished
                .iter()
                .map(|operation| spec(operation, false)),
        )
        .collect()
}
