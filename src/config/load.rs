//! A configuration from its files: the main one, then what `include` names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use toml::de::DeTable;

use super::expand::{Text, shown, unread};
use super::keys::{self, Table};
use super::parts::{Part, Parts};
use super::section::{Reading, Section, Seen};
use super::{Config, Inputs, check, mask, read};
use crate::counted::counted;
use crate::problems::{Place, Problems, Source};
use crate::tokens::Fingerprint;

/// Largest file, in bytes.
pub(super) const LARGEST: usize = 1 << 20;

/// Most files that `include` may name.
const MOST_FILES: usize = 1000;

/// Most syntax errors of one file that are reported: the first ones cause the others.
const MOST_SYNTAX: usize = 10;

/// Reads a configuration from a file and those that it includes. The configuration is there
/// if nothing stops it; the problems may hold warnings beside it. `now` judges what has ended,
/// `parts` says which included files are not taken as they are written.
pub fn load(
    path: &Path,
    inputs: &mut dyn Inputs,
    parts: &Parts,
    now: Timestamp,
) -> (Option<Config>, Problems) {
    let mut problems = Problems::new();
    let at = Place::named(path.display().to_string());
    let bytes = match inputs.file(path) {
        Ok(bytes) => bytes,
        Err(reason) => {
            problems
                .add(
                    &at,
                    format!("can not read the configuration: {}", shown(&reason)),
                )
                .help("`--config` names another file; `plugway dev --write-config` writes one to begin with");
            return (None, problems);
        }
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => load_text(path, text, inputs, parts, now),
        Err(error) => {
            let line = line_of(&bytes, error);
            let message = format!("the configuration is not UTF-8: line {line} has other bytes");
            problems.add(&at, message).help(NOT_UTF8);
            (None, problems)
        }
    }
}

/// What mends a text in another encoding.
const NOT_UTF8: &str = "save it as UTF-8";

/// The line, from 1, in which a text is not UTF-8.
fn line_of(bytes: &[u8], error: std::str::Utf8Error) -> usize {
    let before = &bytes[..error.valid_up_to()];
    1 + memchr::memchr_iter(b'\n', before).count()
}

/// The names of the plugins in a text, as far as it can be read.
pub fn plugin_names(text: &str) -> Vec<String> {
    let (parsed, _) = DeTable::parse_recoverable(text);
    let plugins = parsed.get_ref().get("plugins");
    let plugins = plugins.and_then(|plugins| plugins.get_ref().as_table());
    let names = plugins.into_iter().flat_map(|plugins| plugins.keys());
    names.map(|name| name.get_ref().to_string()).collect()
}

/// A text of a configuration, with what may be a secret masked, comments too: to be shown.
pub fn masked(text: &str) -> String {
    let (parsed, errors) = DeTable::parse_recoverable(text);
    mask::masked_whole(text, parsed.get_ref(), &keys::ROOT, !errors.is_empty())
}

/// Reads a configuration whose main file is `text`; `name` is what problems call it.
pub fn load_text(
    name: impl AsRef<Path>,
    text: &str,
    inputs: &mut dyn Inputs,
    parts: &Parts,
    now: Timestamp,
) -> (Option<Config>, Problems) {
    let (config, problems) = read_text(name.as_ref(), text, inputs, parts, now);
    (config.filter(|_| !problems.has_problems()), problems)
}

/// What included files give, but for those in which something is wrong. What is wrong elsewhere does
/// not matter.
pub fn load_parts(
    path: &Path,
    inputs: &mut dyn Inputs,
    parts: &Parts,
    now: Timestamp,
) -> BTreeMap<PathBuf, Part> {
    let text = inputs.file(path).ok();
    let text = text.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let Some(text) = text else {
        return BTreeMap::new();
    };
    let (config, problems) = read_text(path, &text, inputs, parts, now);
    let stopping = problems.stopping();
    let is_whole = |file: &&PathBuf| stopping.iter().all(|one| one.file() != Some(file));
    let given = config.iter().flat_map(|config| {
        let whole = config.included.iter().filter(is_whole);
        whole.map(|file| (file.clone(), config.part(file)))
    });
    given.collect()
}

/// The configuration, also one in which something is wrong.
fn read_text(
    name: &Path,
    text: &str,
    inputs: &mut dyn Inputs,
    parts: &Parts,
    now: Timestamp,
) -> (Option<Config>, Problems) {
    let mut reading = Reading {
        inputs,
        now,
        problems: Problems::new(),
        seen: Seen::default(),
    };
    let config = document(name, text, &keys::ROOT, &mut reading, |root, reading| {
        main(name, root, parts, reading)
    });
    (config, reading.problems)
}

/// The main file, what it includes, and what only all of them together show.
fn main(name: &Path, root: &Section<'_>, parts: &Parts, reading: &mut Reading<'_>) -> Config {
    let server = read::server(root, reading);
    let mut plugins = read::plugins(root, reading);
    parts.stand_in(&mut plugins, reading);
    let mut tokens = read::tokens(root, reading);
    let files = included(name, root, parts, reading);
    for part in self::parts(&files, parts, reading) {
        plugins.extend(part.plugins);
        tokens.extend(part.tokens);
    }
    let config = Config {
        included: files.into_iter().map(|(path, _)| path).collect(),
        workers: server.workers,
        trusted_proxies: server.trusted_proxies,
        behind_fly: server.behind_fly,
        token_files: server.token_files,
        token_urls: server.token_urls,
        listen: server.listen,
        certificates: server.certificates,
        state_directory: server.state_directory,
        log: server.log,
        plugins,
        tokens,
        limits: server.limits,
    };
    check::check(&config, root.at(), reading);
    config
}

/// What the included files give, in their order. What serves is read first, so that what
/// contradicts it is what has a problem.
fn parts(files: &[(PathBuf, Text)], parts: &Parts, reading: &mut Reading<'_>) -> Vec<Part> {
    let rank = |path: &PathBuf, reading: &mut Reading<'_>| {
        // Its secrets are new: who had them before is right.
        if parts.renewed.contains(path) {
            return 4;
        }
        if parts.kept.contains_key(path) {
            return 0;
        }
        reading.inputs.begin(Some(path));
        let text = reading.inputs.file(path);
        let known = text.is_ok_and(|text| parts.known.get(path) == Some(&Fingerprint::of(&text)));
        match (known, parts.suspect.contains(path)) {
            (true, _) => 1,
            (false, false) => 2,
            (false, true) => 3,
        }
    };
    let mut order: Vec<(u8, usize)> = Vec::new();
    for (index, (path, _)) in files.iter().enumerate() {
        order.push((rank(path, reading), index));
    }
    order.sort_unstable();
    let mut given: Vec<Part> = files.iter().map(|_| Part::default()).collect();
    for (_, index) in order {
        let (path, named) = &files[index];
        if let Some(part) = parts.kept.get(path) {
            Seen::keep(part, parts.renewed.contains(path), reading);
            given[index] = part.clone();
        } else if parts.absent.contains(path) {
            reading.seen.incomplete = true;
        } else {
            reading.inputs.begin(Some(path));
            let filled = !parts.may_vanish && parts.declare.contains(path);
            given[index] = include(path, named, filled, reading).unwrap_or_default();
        }
    }
    reading.inputs.begin(None);
    given
}

/// The files that `include` names, each once, and where.
fn included(
    main: &Path,
    root: &Section<'_>,
    parts: &Parts,
    reading: &mut Reading<'_>,
) -> Vec<(PathBuf, Text)> {
    let mut files: Vec<(PathBuf, Text)> = Vec::new();
    let texts = root.texts("include", reading);
    for text in &texts {
        for path in matches(text, parts, reading) {
            if plain(&path) == plain(main) {
                reading
                    .problems
                    .add(&text.at, format!("`{}` is this file itself", text.shown))
                    .help("give the files of the plugins a folder of their own");
            } else if files.iter().all(|(other, _)| plain(other) != plain(&path)) {
                files.push((path, text.clone()));
            }
            if files.len() > MOST_FILES {
                let message = format!("more than {MOST_FILES} files are included");
                reading.problems.add(&text.at, message);
                return Vec::new();
            }
        }
    }
    // What stands in for a file that is not there any more stands where that was.
    for path in parts.kept.keys() {
        let is_there = files.iter().any(|(other, _)| plain(other) == plain(path));
        if let (false, Some(text)) = (is_there, texts.first()) {
            let before = files.iter().position(|(other, _)| other > path);
            files.insert(before.unwrap_or(files.len()), (path.clone(), text.clone()));
        }
    }
    files
}

/// A path without `./` in front of it.
fn plain(path: &Path) -> &Path {
    path.strip_prefix("./").unwrap_or(path)
}

/// The files of one element of `include`.
fn matches(text: &Text, parts: &Parts, reading: &mut Reading<'_>) -> Vec<PathBuf> {
    if !text.value.contains(['*', '?', '[']) {
        return vec![PathBuf::from(&text.value)];
    }
    match reading.inputs.glob(&text.value) {
        Ok(paths) => {
            if paths.is_empty() {
                none_matches(text, parts, reading);
            }
            paths
        }
        Err(reason) => {
            let message = format!("`{}` {}", text.shown, shown(&reason));
            reading.problems.add(&text.at, message);
            reading.seen.incomplete = true;
            Vec::new()
        }
    }
}

/// A pattern matches no file: perhaps not yet, perhaps no more.
fn none_matches(text: &Text, parts: &Parts, reading: &mut Reading<'_>) {
    let pattern = &text.shown;
    let Some(count) = parts.matched.get(&text.value) else {
        let message = format!("`{pattern}` matches no file");
        reading.problems.warn(&text.at, message);
        return;
    };
    let files = counted(*count, "file", "files");
    let message = format!("`{pattern}` matches no file any more: {files} of it served");
    if parts.may_vanish {
        reading.problems.warn(&text.at, message);
    } else {
        reading
            .problems
            .add(&text.at, message)
            .help("if all of them are to go: plugway reload");
        reading.seen.incomplete = true;
    }
}

/// One included file; `filled`: it is not empty unless it is half written.
fn include(path: &Path, named: &Text, filled: bool, reading: &mut Reading<'_>) -> Option<Part> {
    let shown_path = shown(&path.display().to_string());
    let bytes = reading.inputs.file(path).map_err(|reason| {
        let message = format!("can not read the file `{shown_path}`: {}", shown(&reason));
        (message, unread(path))
    });
    let text = bytes.and_then(|bytes| {
        String::from_utf8(bytes.to_vec()).map_err(|error| {
            let line = line_of(&bytes, error.utf8_error());
            let message =
                format!("the file `{shown_path}` is not UTF-8: line {line} has other bytes");
            (message, NOT_UTF8)
        })
    });
    let parts = match text {
        Ok(text) if filled && text.trim().is_empty() => {
            let message =
                format!("the file `{shown_path}` is empty, though plugins or tokens of it serve");
            reading.problems.add(&named.at, message).about(path).help(
                "if they are to go: remove the file, write a comment into it, or plugway reload",
            );
            None
        }
        Ok(text) => document(path, &text, &keys::INCLUDED, reading, |root, reading| {
            Part {
                plugins: read::plugins(root, reading),
                tokens: read::tokens(root, reading),
            }
        }),
        Err((message, help)) => {
            reading
                .problems
                .add(&named.at, message)
                .about(path)
                .help(help);
            None
        }
    };
    reading.seen.incomplete |= parts.is_none();
    parts
}

/// Parses a text and reads it by its description; `None` if it is not TOML.
fn document<T>(
    path: &Path,
    text: &str,
    table: &'static Table,
    reading: &mut Reading<'_>,
    read: impl FnOnce(&Section<'_>, &mut Reading<'_>) -> T,
) -> Option<T> {
    if text.len() > LARGEST {
        let at = Place::named(path.display().to_string());
        let message = format!("the file is larger than {} KiB", LARGEST >> 10);
        reading.problems.add(&at, message).about(path);
        return None;
    }
    let (parsed, errors) = DeTable::parse_recoverable(text);
    let source = Arc::new(Source {
        path: path.to_owned(),
        text: mask::masked(text, parsed.get_ref(), &keys::ROOT, !errors.is_empty()),
    });
    if errors.is_empty() {
        let root = Section::root(table, parsed.get_ref(), &source, reading);
        return Some(read(&root, reading));
    }
    for error in errors.iter().take(MOST_SYNTAX) {
        let at = Place {
            source: Some(Arc::clone(&source)),
            span: error.span().unwrap_or_default(),
            key: String::new(),
        };
        reading
            .problems
            .add(&at, format!("this is not TOML: {}", error.message()));
    }
    None
}
