//! Where a configuration has its state and its admin socket, without proving the rest of it: a broken
//! file must not keep its operator from asking what runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::expand::{expand, shown};
use super::load::LARGEST;
use super::{Inputs, keys, mask};
use crate::problems::{Place, Problems, Source};

/// Where the state is, if nothing is written.
const USUAL: &str = "state";

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub struct Whereabouts {
    /// `state.directory`
    pub state: PathBuf,
    /// The admin socket: of `listen.admin`, or in the state directory.
    pub socket: PathBuf,
    /// Why that may not be so, with its place: the file can not be read, or is not TOML, or what it
    /// refers to is not there.
    pub fault: Option<String>,
    /// Whether the state directory is the usual one because of that fault.
    pub assumed: bool,
}

/// Looks it up in a file, as far as that can be read.
pub fn whereabouts(path: &Path, inputs: &mut dyn Inputs) -> Whereabouts {
    let mut problems = Problems::new();
    let at = Place::named(path.display().to_string());
    let bytes = match inputs.file(path) {
        Ok(bytes) => bytes,
        Err(reason) => {
            problems.add(&at, format!("can not be read: {}", shown(&reason)));
            Arc::default()
        }
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_else(|_| {
        problems.add(&at, "is not UTF-8");
        ""
    });
    if text.len() > LARGEST {
        problems.add(&at, "is too large");
    }
    // Being written, or cut: a gateway goes on with what was there before.
    if text.trim_ascii().is_empty() && problems.is_empty() {
        problems.add(&at, "is empty");
    }
    let (parsed, errors) = DeTable::parse_recoverable(text);
    let source = Arc::new(Source {
        path: path.to_owned(),
        text: mask::masked(text, parsed.get_ref(), &keys::ROOT, !errors.is_empty()),
    });
    let place = |span| Place {
        source: Some(Arc::clone(&source)),
        span,
        key: String::new(),
    };
    for error in &errors {
        let at = place(error.span().unwrap_or_default());
        problems.add(&at, format!("this is not TOML: {}", error.message()));
    }
    let mut read = |table, key, problems: &mut Problems| -> Vec<String> {
        let found = written(parsed.get_ref(), table, key).into_iter();
        let found = found.filter_map(|(raw, span)| expand(raw, &place(span), inputs, problems));
        found.map(|text| text.value).collect()
    };
    let state = read("state", "directory", &mut problems);
    let sockets = read("listen", "admin", &mut problems);
    let fault = problems.iter().next();
    let assumed = state.is_empty() && fault.is_some();
    let state = PathBuf::from(state.first().map_or(USUAL, String::as_str));
    let socket = sockets.iter().find_map(|text| text.strip_prefix("unix:"));
    Whereabouts {
        socket: socket.map_or_else(|| state.join("admin.sock"), PathBuf::from),
        state,
        fault: fault.map(|problem| match problem.at.file() {
            Some(_) => format!("{}: {}", problem.at, problem.message),
            None => format!("{} {}", problem.at, problem.message),
        }),
        assumed,
    }
}

/// The texts of a key, which has one or a list of them, and where they are.
fn written<'a>(
    root: &'a DeTable<'_>,
    table: &str,
    key: &str,
) -> Vec<(&'a str, std::ops::Range<usize>)> {
    let table = root.get(table).and_then(|table| table.get_ref().as_table());
    let Some(value) = table.and_then(|table| table.get(key)) else {
        return Vec::new();
    };
    let items = match value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => vec![value],
    };
    let texts = items.into_iter();
    texts
        .filter_map(|item| Some((item.get_ref().as_str()?, item.span())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One file, and one variable.
    struct One(Option<&'static str>);

    impl Inputs for One {
        fn file(&mut self, _: &Path) -> Result<Arc<[u8]>, String> {
            let text = self.0.ok_or("there is none")?;
            Ok(text.as_bytes().into())
        }

        fn glob(&mut self, _: &str) -> Result<Vec<PathBuf>, String> {
            Ok(Vec::new())
        }

        fn env(&mut self, name: &str) -> Option<String> {
            (name == "STDIR").then(|| "/srv/state".to_owned())
        }
    }

    fn look(text: Option<&'static str>) -> (String, String, String, bool) {
        let found = whereabouts(Path::new("p.toml"), &mut One(text));
        (
            found.state.display().to_string(),
            found.socket.display().to_string(),
            found.fault.unwrap_or_default(),
            found.assumed,
        )
    }

    #[track_caller]
    fn check(text: Option<&'static str>, state: &str, socket: &str, fault: &str, assumed: bool) {
        let found = look(text);
        assert_eq!((&*found.0, &*found.1, found.3), (state, socket, assumed));
        assert!(found.2.starts_with(fault), "{}", found.2);
        assert_eq!(found.2.is_empty(), fault.is_empty(), "{}", found.2);
    }

    #[test]
    fn it_is_what_the_gateway_reads() {
        check(
            Some("workers = 1\n"),
            "state",
            "state/admin.sock",
            "",
            false,
        );
        check(
            Some("[state]\ndirectory = \"${env:STDIR}/a\"\n"),
            "/srv/state/a",
            "/srv/state/a/admin.sock",
            "",
            false,
        );
        check(
            Some("[listen]\nadmin = [\"127.0.0.1:1\", \"unix:${env:STDIR}/x.sock\"]\n"),
            "state",
            "/srv/state/x.sock",
            "",
            false,
        );
    }

    #[test]
    fn what_is_broken_is_named() {
        check(
            Some("\n"),
            "state",
            "state/admin.sock",
            "p.toml is empty",
            true,
        );
        check(
            None,
            "state",
            "state/admin.sock",
            "p.toml can not be read: there is none",
            true,
        );
        let elsewhere = "[state]\ndirectory = \"s\"\n[log]\nlevel = = 1\n";
        check(Some(elsewhere), "s", "s/admin.sock", "p.toml:4:", false);
        let unset = "[state]\ndirectory = \"${env:UNSET}\"\n";
        check(Some(unset), "state", "state/admin.sock", "p.toml:2:", true);
    }
}
