//! What the pieces of a request cost: `cargo bench --bench micro [-- NAME]`.
//!
//! Times of a busy machine say little; compare two versions on the same one, in turn. For what a
//! change costs a whole request see `benches/instructions`.

#![expect(
    clippy::unwrap_used,
    reason = "what does not compile its own material has to fail"
)]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use http::header::{AUTHORIZATION, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use plugway::auth;
use plugway::config::{self, Inputs};
use plugway::documents::{self, Found, Material, OpenApiTexts};
use plugway::headers::{
    ClientView, Credential, Identity, Outbound, Policy, ResponseContext, Rewrite, Rules,
    check_request, outbound, parse_authority, response,
};
use plugway::network::Network;
use plugway::route::{Router, Spec};
use plugway::tokens::{
    Fingerprint, Level, Plugins, Rate, ScopeList, ScopeLists, SecretRecord, State, TokenLimits,
    TokenRecord, TokenShared, TokenTable, entries,
};

fn main() {
    divan::main();
}

/// How many different tokens or paths one iteration asks for: more than the nearest caches hold
/// of a large table, and all of a small one.
const SPREAD: usize = 4096;

/// `SPREAD` numbers below `size`, far from each other.
fn spread(size: usize) -> impl Iterator<Item = usize> {
    (0..SPREAD).map(move |number| number.wrapping_mul(0x9E37_79B9) % size)
}

// --- tokens ---

fn secret(number: usize) -> String {
    format!("pls_{number:046}")
}

fn table(size: usize) -> TokenTable {
    let (table, lists) = (TokenTable::with_capacity(size), ScopeLists::default());
    let scopes = Arc::new(ScopeList::default());
    for number in 0..size {
        let record = TokenRecord {
            id: format!("pls_{number:08}").into(),
            name: "somebody".into(),
            level: Level::Service,
            plugins: Plugins::All,
            scopes: Arc::clone(&scopes),
            current: SecretRecord::new(Fingerprint::of(secret(number).as_bytes())),
            previous: None,
            not_before: None,
            expires: None,
            state: State::Active,
            limits: None,
            note: None,
            made: None,
            ending: None,
        };
        for (fingerprint, token) in entries(&record, &lists, &Arc::default()) {
            table.insert(fingerprint, token);
        }
    }
    table
}

/// From the header to the live token: read, hashed, looked up, noted.
#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn token_check(bencher: Bencher<'_, '_>, size: usize) {
    let (table, now) = (table(size), Timestamp::UNIX_EPOCH);
    let network = Network::of(IpAddr::from([192, 0, 2, 7]));
    let requests: Vec<HeaderMap> = spread(size)
        .map(|number| {
            let value = HeaderValue::try_from(format!("Bearer {}", secret(number))).unwrap();
            HeaderMap::from_iter([(AUTHORIZATION, value)])
        })
        .collect();
    bencher.counter(ItemsCount::new(SPREAD)).bench_local(|| {
        for request in &requests {
            let presented = auth::presented(request, &AUTHORIZATION).unwrap().unwrap();
            let token = auth::authenticate(&presented, &table, now).unwrap();
            token.shared.used(token.slot, now, network);
            black_box(token);
        }
    });
}

/// A token that has every limit, none of which is met.
#[divan::bench]
fn token_limits(bencher: Bencher<'_, '_>) {
    let limits = TokenLimits {
        rate: Some(Rate::parse("1000000/s").unwrap()),
        quota: Some(Rate::parse("1000000/s").unwrap()),
        concurrency: Some(5.try_into().unwrap()),
        networks: vec!["192.0.2.0/24".parse().unwrap()],
    };
    let (shared, mut now) = (Arc::new(TokenShared::default()), Timestamp::UNIX_EPOCH);
    let client = IpAddr::from([192, 0, 2, 7]);
    bencher.bench_local(|| {
        now += std::time::Duration::from_micros(10);
        assert!(limits.admit(client));
        black_box(shared.enter(&limits, now).unwrap())
    });
}

// --- routes ---

/// Ten to a resource, and most of them with parameters, as APIs have them.
fn specs(operations: usize) -> Vec<Spec> {
    (0..operations)
        .map(|number| Spec {
            method: [Method::GET, Method::POST][number % 2].clone(),
            path: format!("/v1/resource{}/{{id}}/part{}", number / 10, number % 10 / 2),
            fixed_query: Vec::new(),
            encoded_slash: false,
            published: true,
        })
        .collect()
}

#[divan::bench(args = [10, 1_000, 10_000])]
fn route(bencher: Bencher<'_, '_>, operations: usize) {
    let (router, unroutable) = Router::build(&specs(operations));
    assert!(unroutable.is_empty());
    let asked: Vec<(Method, String)> = spread(operations)
        .map(|number| {
            let path = format!("/v1/resource{}/42/part{}", number / 10, number % 10 / 2);
            ([Method::GET, Method::POST][number % 2].clone(), path)
        })
        .collect();
    bencher.counter(ItemsCount::new(SPREAD)).bench_local(|| {
        for (method, path) in &asked {
            black_box(router.find(method, path, None).unwrap());
        }
    });
}

// --- heads ---

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let typed = |(name, value): &(&'static str, &'static str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    fields.iter().map(typed).collect()
}

/// The head of a call as an assistant makes it, built anew for the upstream.
#[divan::bench]
fn request_head(bencher: Bencher<'_, '_>) {
    let client = map(&[
        ("host", "todo.example.com"),
        (
            "authorization",
            "Bearer pls_0000000000000000000000000000000000000000000000",
        ),
        ("accept", "*/*"),
        ("accept-encoding", "gzip, br"),
        ("content-type", "application/json"),
        ("user-agent", "Mozilla/5.0 (compatible; ChatGPT-User/1.0)"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ]);
    let policy = Policy {
        plugin: HeaderValue::from_static("todo"),
        auth_header: AUTHORIZATION,
        credential: Credential::Nothing,
        rules: Rules::default(),
        underscores: false,
    };
    let ip = "203.0.113.7".parse().unwrap();
    let view = ClientView {
        ip,
        peer: ip,
        hops: Vec::new(),
        https: true,
        authority: parse_authority("todo.example.com").unwrap(),
        request_id: None,
    };
    let id = HeaderValue::from_static("0123456789abcdef0123456789abcdef");
    let known = Outbound {
        policy: &policy,
        client: &view,
        identity: Identity {
            principal: Some("chatgpt"),
            token: Some("pls_00000000"),
            level: Some("service"),
        },
        request_id: &id,
        streamed: false,
        hops: 0,
        upgrade: None,
    };
    bencher.bench_local(|| outbound(black_box(&client), &known));
}

/// The head of an upstream's answer, cleaned for the client; with a redirect, its address too.
#[divan::bench(args = [false, true])]
fn response_head(bencher: Bencher<'_, '_>, redirect: bool) {
    let mut upstream = map(&[
        ("date", "Tue, 02 Jun 2026 09:00:00 GMT"),
        ("server", "uvicorn"),
        ("content-type", "application/json"),
        ("content-length", "1024"),
        ("connection", "keep-alive"),
        ("cache-control", "no-store"),
        ("etag", "\"33a64df551425fcc\""),
        ("vary", "Accept-Encoding"),
    ]);
    if redirect {
        let location = HeaderValue::from_static("http://127.0.0.1:8000/todos/1");
        upstream.insert(http::header::LOCATION, location);
    }
    let authorities =
        ["127.0.0.1:8000", "todo.example.com"].map(|text| parse_authority(text).unwrap());
    let (id, rules) = (
        HeaderValue::from_static("0123456789abcdef0123456789abcdef"),
        Rules::default(),
    );
    let context = ResponseContext {
        fly_replay: false,
        request_id: &id,
        rewrite: Rewrite {
            upstream_https: false,
            upstream: &authorities[0],
            host_sent: "127.0.0.1:8000",
            prefix: "",
            public_https: true,
            public: &authorities[1],
        },
        rules: &rules,
        content_length: true,
        trailers: false,
        upgrade: None,
    };
    bencher.bench_local(|| response(black_box(&upstream), &context));
}

/// What tells whether a head can be read in one way only.
#[divan::bench]
fn head_checked(bencher: Bencher<'_, '_>) {
    let request = http::Request::builder()
        .uri("https://todo.example.com/todos/1?done=false")
        .header("host", "todo.example.com")
        .header("authorization", "Bearer pls_0000")
        .header("accept", "*/*")
        .body(())
        .unwrap();
    let (parts, ()) = request.into_parts();
    bencher.bench_local(|| {
        let parts = black_box(&parts);
        check_request(&parts.method, &parts.uri, &parts.headers, parts.version).is_ok()
    });
}

// --- documents ---

/// A configuration that reads nothing.
struct Nothing;

impl Inputs for Nothing {
    fn file(&mut self, _: &Path) -> Result<Arc<[u8]>, String> {
        Err("there are no files".to_owned())
    }

    fn glob(&mut self, _: &str) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn env(&mut self, _: &str) -> Option<String> {
        None
    }
}

const CONFIG: &str = r#"
[listen]
http = "127.0.0.1:0"
[plugins.todo]
hosts = ["todo.example.com"]
[plugins.todo.upstream]
url = "http://127.0.0.1:8000"
[plugins.todo.auth]
require = "none"
"#;

/// A document of 64 KiB from memory, and the 304 of who has it already.
#[divan::bench(args = [false, true])]
fn document(bencher: Bencher<'_, '_>, known: bool) {
    let (config, _) = config::load_text(
        "bench",
        CONFIG,
        &mut Nothing,
        &config::Parts::default(),
        Timestamp::UNIX_EPOCH,
    );
    let text = Bytes::from(format!("{{\"x\":\"{}\"}}", "y".repeat(64 << 10)));
    let texts = OpenApiTexts {
        json_3_1: text.clone(),
        yaml_3_1: text.clone(),
        json_3_0: text.clone(),
        yaml_3_0: text,
    };
    let (mut documents, _) = documents::compile(&Material {
        plugin: &config.unwrap().plugins[0],
        info: None,
        upstream_manifest: None,
        openapi: Some(&texts),
        links_page: false,
    });
    let origin = "https://todo.example.com";
    documents.prepare(&[origin.to_owned()]);
    let answer = |asked: &HeaderMap| match documents.find("/openapi.json") {
        Some(Found::Document(document)) => document.respond(&Method::GET, asked, origin),
        _ => unreachable!("it was compiled in"),
    };
    let mut asked = HeaderMap::new();
    if known {
        let etag = answer(&asked).headers()["etag"].clone();
        asked.insert(IF_NONE_MATCH, etag);
    }
    let expected = if known { 304 } else { 200 };
    assert_eq!(answer(&asked).status(), expected);
    bencher.bench_local(|| answer(black_box(&asked)));
}
