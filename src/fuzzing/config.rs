//! A configuration of any bytes, and what is told of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{Inputs, Parts, load, load_parts, masked, plugin_names, whereabouts};
use crate::problems::{Problem, Problems};

/// The main file, as it is called.
const MAIN: &str = "plugway.toml";
/// The one that every pattern finds.
const INCLUDED: &str = "plugins/a.toml";
/// What a variable holds, and what a file of secrets does.
const REFERRED: &str = "secret-behind-a-reference";
/// A secret that is written out, where one is looked for.
const LITERAL: &str = "secret-of-a-literal";

/// Both files, and whatever they refer to.
struct Files {
    main: Arc<[u8]>,
    included: Arc<[u8]>,
}

impl Files {
    fn bytes(&self, path: &Path) -> Result<Arc<[u8]>, String> {
        match path.to_str().unwrap_or_default() {
            MAIN => Ok(Arc::clone(&self.main)),
            INCLUDED => Ok(Arc::clone(&self.included)),
            path if path.starts_with("/run/secrets/") => Ok(REFERRED.as_bytes().into()),
            path if path.contains("none") => Err("No such file or directory".to_owned()),
            _ => Ok(b"text".as_slice().into()),
        }
    }
}

impl Inputs for Files {
    fn file(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        self.bytes(path)
    }

    fn glob(&mut self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        if pattern.contains("none") {
            return Ok(Vec::new());
        }
        Ok(vec![PathBuf::from(INCLUDED)])
    }

    fn env(&mut self, name: &str) -> Option<String> {
        match name {
            "PORT" => Some("8443".to_owned()),
            "NONE" => None,
            _ => Some(REFERRED.to_owned()),
        }
    }
}

/// Any bytes as the main file; behind a NUL, which TOML does not know, as an included one.
///
/// # Panics
/// A problem has no place in a file, or a secret is shown.
pub fn config(made: &[u8]) {
    let (main, included) = match memchr::memchr(0, made) {
        Some(at) => (&made[..at], &made[at + 1..]),
        None => (made, &[][..]),
    };
    let mut files = Files {
        main: with_secret(main, made.len() % 3).into(),
        included: included.into(),
    };
    let (main, now) = (Path::new(MAIN), Timestamp::UNIX_EPOCH);
    let parts = Parts::default();
    let (config, problems) = load(main, &mut files, &parts, now);
    assert_eq!(config.is_none(), problems.has_problems(), "{problems}");
    told(&problems, &files, made);
    let where_ = whereabouts(main, &mut files);
    let fault = where_.fault.unwrap_or_default();
    assert!(!is_told(&fault, made), "{fault}");
    let given = load_parts(main, &mut files, &parts, now);
    assert!(
        config
            .as_ref()
            .is_none_or(|config| given.keys().all(|file| config.included.contains(file))),
        "{given:?}"
    );
    if let Ok(text) = std::str::from_utf8(&files.main) {
        let named = plugin_names(text);
        let known = |plugin: &crate::config::Plugin| {
            let file = plugin.at.file();
            file != Some(main) || named.contains(&plugin.name)
        };
        assert!(
            config.is_none_or(|config| config.plugins.iter().all(known)),
            "{named:?}"
        );
        let whole = masked(text);
        kept(text, &whole);
        assert!(!is_told(&whole, made), "{whole}");
    }
}

/// A file with a secret at its beginning or its end, or as it is. Whatever stands beside it: what
/// breaks the file leaves a line that looks like one with a secret.
fn with_secret(main: &[u8], place: usize) -> Vec<u8> {
    match place {
        0 => [format!("tokens.zz.secret = '{LITERAL}'\n").as_bytes(), main].concat(),
        1 => [
            main,
            format!("\n[tokens.zz]\nsecret = '{LITERAL}'\n").as_bytes(),
        ]
        .concat(),
        _ => main.to_vec(),
    }
}

/// Whether a text tells a secret that was not made into it.
fn is_told(text: &str, made: &[u8]) -> bool {
    let mut secrets = [LITERAL, REFERRED].into_iter();
    secrets.any(|secret| text.contains(secret) && !is_in(made, secret))
}

fn is_in(made: &[u8], secret: &str) -> bool {
    memchr::memmem::find(made, secret.as_bytes()).is_some()
}

/// What is told of a configuration, in every form.
fn told(problems: &Problems, files: &Files, made: &[u8]) {
    for problem in problems {
        placed(problem, files);
    }
    let shown = format!(
        "{}{}{problems:?}",
        problems.render(false),
        problems.to_json()
    );
    // A file is called by its name, also where a reference gave that.
    let mut names = problems.iter().filter_map(Problem::file);
    let is_name = names.any(|name| name.to_string_lossy().contains(REFERRED));
    assert!(is_name || !is_told(&shown, made), "{shown}");
    assert!(!shown.contains(LITERAL) || is_in(made, LITERAL), "{shown}");
}

/// It is within the file that it is of.
fn placed(problem: &Problem, files: &Files) {
    let whole = [
        "can not read the configuration",
        "not UTF-8",
        "is larger than",
    ];
    let Some(source) = &problem.at.source else {
        assert!(
            whole.iter().any(|one| problem.message.contains(one)),
            "{problem:?}"
        );
        return;
    };
    let written = files.bytes(&source.path).expect("it was read");
    let span = &problem.at.span;
    assert!(source.text.get(span.clone()).is_some(), "{problem:?}");
    let (line, column) = problem.at.position().expect("it has a text");
    let lines = memchr::memchr_iter(b'\n', &written).count() + 1;
    assert!(
        (1..=lines).contains(&line) && (1..=written.len() + 1).contains(&column),
        "{problem:?}"
    );
    kept(
        std::str::from_utf8(&written).expect("it was read"),
        &source.text,
    );
}

/// Places are where they were: nothing but stars came into a text.
fn kept(text: &str, masked: &str) {
    assert_eq!(text.len(), masked.len());
    let mut pairs = text.bytes().zip(masked.bytes());
    assert!(
        pairs.all(|(was, is)| is == was || (is == b'*' && was != b'\n')),
        "{masked}"
    );
}
