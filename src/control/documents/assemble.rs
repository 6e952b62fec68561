//! An API's document, put together: its files, its overlays.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::{Config, OpenApiSource, ServedFile, Spanned};
use crate::counted::plural;
use crate::openapi::{self, Action, Bundler, Finding, Overlay, OverlayError, Prepared, ReadLimits};
use crate::problems::Place;

/// Doubled keys that are reported one by one.
const DUPLICATES: usize = 100;

/// Something that a document is made of.
pub(super) enum Part {
    /// It is here.
    Here(Arc<[u8]>),
    /// It has to be fetched.
    Later,
    /// It can not be had; a sentence.
    Refused(String),
}

/// What came of it.
pub(super) enum Assembled {
    /// The document.
    Done(Box<Whole>),
    /// These have to be fetched first.
    Missing(Vec<String>),
}

/// A document, and what it was made of.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) prepared: Prepared,
    /// What each part held, by location; for the lines of a report.
    pub(super) texts: BTreeMap<String, Arc<[u8]>>,
    /// What could not be had.
    pub(super) absent: BTreeSet<String>,
    /// Hash over all of it.
    pub(super) digest: [u8; 32],
}

/// Why there is no document.
pub(super) enum Fault {
    /// The document itself.
    Document(String),
    /// An overlay.
    Overlay(Place, String),
}

/// Puts a document together. `part` gives what a location holds.
pub(super) fn assemble(
    root: &str,
    overlays: &[Spanned<ServedFile>],
    mut part: impl FnMut(&str) -> Part,
) -> Result<Assembled, Fault> {
    let bytes = match part(root) {
        Part::Here(bytes) => bytes,
        Part::Later => return Ok(Assembled::Missing(vec![root.to_owned()])),
        Part::Refused(reason) => return Err(Fault::Document(reason)),
    };
    let mut report = Vec::new();
    let document = read(&bytes, "", &mut report).map_err(Fault::Document)?;
    let mut texts = BTreeMap::from([(root.to_owned(), bytes)]);
    let mut bundler = Bundler::new(document, root);
    let mut missing = Vec::new();
    let mut absent = BTreeSet::new();
    loop {
        let wanted = bundler.wanted();
        if wanted.is_empty() {
            break;
        }
        for location in wanted {
            let content = match part(&location) {
                Part::Here(bytes) => {
                    let content = read(&bytes, &location, &mut report);
                    texts.insert(location.clone(), bytes);
                    match content {
                        // A mistake in a file is the author's to mend, and changes nothing till then.
                        Err(reason) if !location.contains("://") => {
                            return Err(Fault::Document(format!("{location}: {reason}")));
                        }
                        content => content,
                    }
                }
                Part::Refused(reason) => {
                    absent.insert(location.clone());
                    Err(reason)
                }
                Part::Later => {
                    missing.push(location.clone());
                    Err("it has not been fetched yet".to_owned())
                }
            };
            bundler.supply(&location, content);
        }
    }
    if !missing.is_empty() {
        return Ok(Assembled::Missing(missing));
    }
    let mut bundled = bundler.finish();
    report.append(&mut bundled.report);
    bundled.report = report;
    let read = read_overlays(overlays, &mut texts)?;
    let prepared =
        Prepared::bundled(bundled, &read).map_err(|error| Fault::Document(error.to_string()))?;
    Ok(Assembled::Done(Box::new(Whole {
        digest: digest(&texts),
        prepared,
        texts,
        absent,
    })))
}

/// Reads one file. Keys that stand twice are reported, not lost silently.
fn read(bytes: &[u8], location: &str, report: &mut Vec<Finding>) -> Result<openapi::Value, String> {
    let read = openapi::read_document(bytes, &ReadLimits::default());
    let document = read.map_err(|error| match (error.line, error.column) {
        (Some(line), Some(column)) => {
            format!("{error}, line {line}, column {column}; {}", error.help())
        }
        _ => format!("{error}; {}", error.help()),
    })?;
    for repair in &document.repairs {
        report.push(Finding {
            pointer: format!("{location}#"),
            action: Action::Repaired,
            message: format!("line {}: {}", repair.line, repair.message),
        });
    }
    for duplicate in document.duplicates.iter().take(DUPLICATES) {
        report.push(Finding {
            pointer: format!("{location}#"),
            action: Action::Simplified,
            message: format!(
                "the key `{}` stands in line {} and again in line {}, which holds",
                duplicate.key, duplicate.first_line, duplicate.line
            ),
        });
    }
    let more = document.duplicates.len().saturating_sub(DUPLICATES) + document.more_duplicates;
    if more > 0 {
        report.push(Finding {
            pointer: format!("{location}#"),
            action: Action::Simplified,
            message: format!(
                "and {more} more {} twice",
                plural(more, "key stands", "keys stand")
            ),
        });
    }
    Ok(document.value)
}

/// The overlays; a fault of one of them is at the place where it is named.
fn read_overlays(
    overlays: &[Spanned<ServedFile>],
    texts: &mut BTreeMap<String, Arc<[u8]>>,
) -> Result<Vec<(String, Overlay)>, Fault> {
    let mut all = Vec::new();
    for Spanned { value: file, at } in overlays {
        let name = file.path.display().to_string();
        let fault = |message: String| Fault::Overlay(at.clone(), format!("{name}: {message}"));
        let mut unread = Vec::new();
        let document = read(&file.bytes, &name, &mut unread).map_err(fault)?;
        let overlay =
            Overlay::parse(&document).map_err(|errors| fault(with_lines(&errors, &file.bytes)))?;
        texts.insert(name.clone(), Arc::clone(&file.bytes));
        all.push((name, overlay));
    }
    Ok(all)
}

/// Faults of an overlay, each with the line where it is.
fn with_lines(errors: &[OverlayError], text: &[u8]) -> String {
    let lines = openapi::lines(text, errors.iter().map(OverlayError::pointer));
    let told = errors.iter().map(|error| {
        // That it is somewhere in the whole of it is not news.
        let line = lines.get(error.pointer());
        match line.filter(|_| error.pointer() != "#") {
            Some(line) => format!("{error}, line {line}"),
            None => error.to_string(),
        }
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Hash over all parts.
pub(super) fn digest(texts: &BTreeMap<String, Arc<[u8]>>) -> [u8; 32] {
    let mut all = Sha256::new();
    for (location, bytes) in texts {
        all.update(Sha256::digest(location));
        all.update(Sha256::digest(bytes));
    }
    all.finalize().into()
}

/// Files that no document may publish, whatever it refers to: what the configuration itself is
/// made of (secrets, keys, token files), and the state directory.
#[derive(Debug, Default)]
pub(super) struct Private {
    files: BTreeSet<PathBuf>,
    state: Option<PathBuf>,
}

impl Private {
    /// Of a configuration that was read from these files. Documents and overlays are no secrets.
    pub(super) fn of(config: &Config, read: impl Iterator<Item = PathBuf>) -> Self {
        let documents = config.plugins.iter().flat_map(|plugin| {
            let source = match &plugin.openapi.source {
                OpenApiSource::File(file) => Some(&file.path),
                _ => None,
            };
            let overlays = plugin.openapi.overlays.iter();
            overlays.map(|file| &file.value.path).chain(source)
        });
        let documents: BTreeSet<&PathBuf> = documents.collect();
        let files = read.filter(|path| !documents.contains(path));
        Self {
            files: files
                .filter_map(|path| std::fs::canonicalize(path).ok())
                .collect(),
            state: std::fs::canonicalize(&config.state_directory).ok(),
        }
    }

    /// Whether a document may refer to a file: one in its own folder or below it, or, with the
    /// ending of a document, in the folder above that. A document that came from elsewhere must
    /// not publish any file of this machine.
    pub(super) fn allows(&self, root: &Path, target: &Path) -> bool {
        let Ok(target) = std::fs::canonicalize(target) else {
            // Reading it says what is wrong.
            return true;
        };
        let Ok(root) = std::fs::canonicalize(root) else {
            return false;
        };
        if self.files.contains(&target)
            || self
                .state
                .as_ref()
                .is_some_and(|state| target.starts_with(state))
        {
            return false;
        }
        let below = |base: &Path| {
            let rest = target.strip_prefix(base).ok()?;
            let hidden = |part: std::path::Component<'_>| {
                part.as_os_str().as_encoded_bytes().starts_with(b".")
            };
            (!rest.components().any(hidden)).then_some(())
        };
        let Some(folder) = root.parent() else {
            return false;
        };
        if below(folder).is_some() {
            return true;
        }
        let ending = target.extension().and_then(|ending| ending.to_str());
        let is_document = ending.is_some_and(|ending| {
            ["json", "yaml", "yml"].contains(&ending.to_ascii_lowercase().as_str())
        });
        // `/etc`, `/home` and their like are nobody's project.
        let above = folder
            .parent()
            .filter(|above| above.components().count() > 2);
        is_document && above.is_some_and(|above| below(above).is_some())
    }
}

/// Whether the host of a URL is one that references may be fetched from.
pub(super) fn is_named(url: &str, hosts: &[String]) -> bool {
    let Ok(url) = url::Url::parse(url) else {
        return false;
    };
    let Some(host) = url.host_str() else {
        return false;
    };
    let bare = host.trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or_default();
    hosts.iter().any(|named| {
        let (name, wanted) = match named.rsplit_once(':') {
            Some((name, wanted)) if !name.contains(':') || name.ends_with(']') => {
                (name, wanted.parse::<u16>().ok())
            }
            _ => (named.as_str(), None),
        };
        name.trim_matches(['[', ']']).eq_ignore_ascii_case(bare)
            && wanted.is_none_or(|wanted| wanted == port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_with_or_without_its_port() {
        let hosts = |list: &[&str]| list.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>();
        let check = |url: &str, named: &[&str], expected: bool| {
            assert_eq!(is_named(url, &hosts(named)), expected, "{url} {named:?}");
        };
        check("https://a.example/x", &[], false);
        check("https://A.example/x", &["a.example"], true);
        check("https://a.example:8443/x", &["a.example"], true);
        check("https://a.example/x", &["a.example:443"], true);
        check("https://a.example:8443/x", &["a.example:443"], false);
        check("https://a.example.evil/x", &["a.example"], false);
        check("https://a.example@evil/x", &["a.example"], false);
        check("http://[::1]:8000/x", &["[::1]:8000"], true);
        check("http://[::1]:8000/x", &["::1"], true);
        check("file:///etc/passwd", &["etc"], false);
    }

    #[test]
    fn a_document_refers_to_files_around_it_only() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let write = |path: &str| {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), "x").unwrap();
            at(path)
        };
        let root = write("x/api/spec/a.yaml");
        let private = Private {
            files: BTreeSet::from([std::fs::canonicalize(write("x/api/spec/key.yaml")).unwrap()]),
            state: Some(
                std::fs::canonicalize(write("x/api/spec/state/s.yaml").parent().unwrap()).unwrap(),
            ),
        };
        for path in [
            "x/api/spec/parts/b",
            "x/api/spec/../common/c.yaml",
            "x/api/d.JSON",
        ] {
            assert!(private.allows(&root, &write(path)), "{path}");
        }
        for path in [
            "x/api/common/c.pem",
            "x/secret/d.yaml",
            "x/api/spec/key.yaml",
            "x/api/spec/state/s.yaml",
            "x/api/spec/.env",
            "x/api/spec/.git/config.yaml",
            "x/api/.kube/config.yaml",
        ] {
            assert!(!private.allows(&root, &write(path)), "{path}");
        }
        assert!(!private.allows(&root, Path::new("/etc/passwd")));
        std::os::unix::fs::symlink("/etc/passwd", at("x/api/spec/link.yaml")).unwrap();
        assert!(!private.allows(&root, &at("x/api/spec/link.yaml")));
        // What is not there is for the reader to report.
        assert!(private.allows(&root, &at("x/api/spec/missing.yaml")));
    }
}
