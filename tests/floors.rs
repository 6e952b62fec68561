//! The floors of ARCHITECTURE.md, held by a test: what a module may import, what a pure module may
//! not name, and how long a file may be.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can not read the sources has to fail"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A module and the modules that it may name. A module without a row is an error, so that a new
/// one has to choose its floor.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // words
    ("counted", &[]),
    ("problems", &[]),
    ("network", &[]),
    ("tokens", &["counted", "network"]),
    ("headers", &["network"]),
    ("route", &[]),
    ("telemetry", &[]),
    ("config", &["counted", "problems", "tokens"]),
    ("openapi", &["config", "counted"]),
    ("pace", &["config"]),
    ("auth", &["config", "network", "tokens"]),
    ("alarm", &[]),
    ("body", &["alarm", "config", "headers", "pace"]),
    // meaning
    ("documents", &["config", "openapi", "problems"]),
    (
        "snapshot",
        &[
            "auth",
            "config",
            "documents",
            "headers",
            "openapi",
            "problems",
            "route",
            "telemetry",
            "tokens",
        ],
    ),
    (
        "rejection",
        &["auth", "body", "counted", "headers", "late", "tokens"],
    ),
    // edges: none of them names another
    ("lines", &[]),
    ("unwritable", &[]),
    ("access", &["config", "lines", "telemetry"]),
    ("admin", &["network", "tokens"]),
    (
        "control",
        &[
            "auth",
            "config",
            "counted",
            "openapi",
            "problems",
            "route",
            "snapshot",
            "telemetry",
            "tokens",
            "unwritable",
        ],
    ),
    ("log", &["config", "lines"]),
    ("congestion", &[]),
    ("late", &[]),
    ("layers", &[]),
    ("http1", &["layers"]),
    ("tls", &["layers"]),
    (
        "server",
        &[
            "alarm",
            "body",
            "config",
            "congestion",
            "headers",
            "http1",
            "layers",
            "network",
            "tls",
            "unwritable",
        ],
    ),
    ("todo", &[]),
    (
        "upstream",
        &[
            "alarm",
            "body",
            "congestion",
            "headers",
            "http1",
            "late",
            "layers",
            "snapshot",
        ],
    ),
    // the life of a request
    ("held", &["body", "upstream"]),
    ("masked", &["snapshot", "upstream"]),
    ("streams", &["auth", "body", "server", "snapshot", "tokens"]),
    (
        "answer",
        &[
            "access",
            "body",
            "held",
            "masked",
            "rejection",
            "server",
            "streams",
            "telemetry",
            "tokens",
            "upstream",
        ],
    ),
    ("callers", &["telemetry", "tokens"]),
    ("local", &["answer", "documents", "snapshot"]),
    (
        "outbound",
        &[
            "answer",
            "body",
            "headers",
            "masked",
            "rejection",
            "route",
            "snapshot",
            "tokens",
            "upstream",
        ],
    ),
    ("tunnel", &["answer", "server", "telemetry", "upstream"]),
    (
        "gateway",
        &[
            "access",
            "answer",
            "auth",
            "body",
            "callers",
            "control",
            "documents",
            "headers",
            "held",
            "local",
            "network",
            "outbound",
            "rejection",
            "route",
            "server",
            "snapshot",
            "telemetry",
            "streams",
            "tokens",
            "tunnel",
            "upstream",
        ],
    ),
    // composition and process
    (
        "app",
        &[
            "access",
            "admin",
            "auth",
            "config",
            "control",
            "gateway",
            "log",
            "network",
            "problems",
            "server",
            "snapshot",
            "telemetry",
            "tokens",
            "upstream",
        ],
    ),
    (
        "cli",
        &[
            "admin",
            "app",
            "config",
            "control",
            "counted",
            "documents",
            "log",
            "openapi",
            "problems",
            "server",
            "snapshot",
            "todo",
            "tokens",
            "unwritable",
            "upstream",
        ],
    ),
    // what the fuzzer is offered
    (
        "fuzzing",
        &[
            "auth",
            "body",
            "config",
            "headers",
            "http1",
            "openapi",
            "outbound",
            "problems",
            "route",
            "server",
            "snapshot",
            "telemetry",
            "tokens",
            "upstream",
        ],
    ),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// Modules that take time, texts and bytes as arguments.
const PURE: &[&str] = &[
    "problems",
    "tokens",
    "headers",
    "network",
    "pace",
    "route",
    "telemetry",
    "config",
    "openapi",
    "auth",
    "documents",
    "snapshot",
];

/// What they may not name.
const IMPURE: &[&str] = &[
    "tokio::",
    "hyper::",
    "hyper_util::",
    "std::fs",
    "std::env::",
    "TcpStream",
    "TcpListener",
    "::now()",
];

/// Who makes listening sockets, and who dials.
const SOCKETS: &[(&str, &[&str])] = &[
    ("TcpListener::bind", &["server"]),
    ("UnixListener::bind", &["server"]),
    ("Socket::new(Domain", &["server"]),
    // The command line, to a gateway's admin address.
    ("TcpStream::connect", &["upstream", "cli"]),
    ("std::fs::", &["control", "server", "app", "cli"]),
];

/// Lines of a file without its tests.
const LONGEST: usize = 500;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The top module that a file belongs to.
fn module(path: &str) -> String {
    let first = path.trim_start_matches("src/").split('/').next().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The text before its tests, without comments.
fn code(text: &str) -> String {
    let text = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default();
    let bare = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(bare).collect::<Vec<_>>().join("\n")
}

/// Every module that is named after `crate::` (or `plugway::`), also within `crate::{a, b::C}`.
fn imports(code: &str) -> Vec<String> {
    let word = |text: &str| -> String {
        text.chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect()
    };
    let mut named = Vec::new();
    let begins = |prefix: &'static str| {
        code.match_indices(prefix)
            .map(move |(at, _)| at + prefix.len())
    };
    for at in begins("crate::").chain(begins("plugway::")) {
        let rest = &code[at..];
        let Some(group) = rest.strip_prefix('{') else {
            named.push(word(rest));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (place, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                letter if start && depth == 0 && letter.is_alphabetic() => {
                    named.push(word(&group[place..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    named
}

fn faults(path: &str, text: &str) -> Vec<String> {
    let module = module(path);
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{path}: `{module}` has no floor; give it a row in tests/floors.rs"
        )];
    };
    if path.ends_with("/tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let code = code(text);
    let mut faults = Vec::new();
    for import in imports(&code) {
        let is_module = MAY_IMPORT.iter().any(|(name, _)| *name == import);
        if is_module && import != module && !allowed.contains(&import.as_str()) {
            faults.push(format!("{path}: `{module}` may not name `{import}`"));
        }
    }
    if PURE.contains(&module.as_str()) {
        for word in IMPURE.iter().filter(|word| code.contains(**word)) {
            faults.push(format!("{path}: pure, but names `{word}`"));
        }
    }
    for (word, who) in SOCKETS {
        if code.contains(word) && !who.contains(&module.as_str()) {
            faults.push(format!("{path}: only {who:?} may name `{word}`"));
        }
    }
    let lines = code.lines().count();
    if lines > LONGEST {
        faults.push(format!("{path}: {lines} lines; has it grown two subjects?"));
    }
    faults
}

#[test]
fn floors() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join("src"), &mut found);
    assert!(found.len() > 100, "the sources were not found");
    let mut all = Vec::new();
    for path in &found {
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        all.extend(faults(&name, &fs::read_to_string(path).unwrap()));
    }
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

/// The test itself can fail.
#[test]
fn planted_faults_are_found() {
    let planted = "use crate::{config::{A, B}, server};\n\
                   fn f() { tokio::spawn(a()); let t = Instant::now(); TcpListener::bind(x); }\n";
    let found = faults("src/headers/planted.rs", planted).join("\n");
    for expected in [
        "may not name `config`",
        "may not name `server`",
        "names `tokio::`",
        "names `::now()`",
        "only [\"server\"]",
    ] {
        assert!(
            found.contains(expected),
            "{expected} was not found in:\n{found}"
        );
    }
    assert!(
        faults("src/fresh/mod.rs", "")
            .join("")
            .contains("has no floor")
    );
    assert!(
        faults("src/headers/long.rs", &"fn f() {}\n".repeat(501))
            .join("")
            .contains("two subjects")
    );
}
