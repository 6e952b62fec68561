//! What must not be published, whoever wrote it into the configuration: `files`, logos and legal pages
//! are read by anybody.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Inputs;
use crate::config::{Config, PRIVATE_KEY, Plugin, Reference, ServedFile};
use crate::problems::{Place, Problems};
use crate::tokens::Scanner;

/// Folders whose files are no files: what they hold is about this process, or a device.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Looks at every file that a plugin publishes as it is.
pub(super) fn check(config: Option<&Config>, inputs: &Inputs, problems: &mut Problems) {
    let Some(config) = config else { return };
    let published = || config.plugins.iter().flat_map(published);
    if published().next().is_none() {
        return;
    }
    let private = inputs.privates().chain(&config.token_files);
    let private: BTreeSet<PathBuf> = private.filter_map(|path| real(path)).collect();
    let state = real(&config.state_directory);
    for (plugin, key, file) in published() {
        let Some(why) = fault(file, &private, state.as_deref()) else {
            continue;
        };
        let place = Place {
            key: format!("plugins.{}.{key}", plugin.name),
            ..plugin.at.clone()
        };
        let message = format!("`{}` would be published: {why}", file.path.display());
        let problem = problems.add(&place, message);
        problem.help(format!(
            "leave `{key}` out, or name a file that anybody may read"
        ));
    }
}

/// Says what others than the gateway's user may do in the state directory, and should not.
pub(super) fn check_state(directory: &Path, problems: &mut Problems) {
    for warning in super::state::open_to_others(directory) {
        problems.warn(&Place::named("state.directory"), warning);
    }
}

/// The files of a plugin, each with its key.
fn published(plugin: &Plugin) -> impl Iterator<Item = (&Plugin, String, &ServedFile)> {
    let named = plugin.files.iter();
    let named = named.map(|(path, file)| (format!("files.\"{path}\""), file));
    let references = [("logo", &plugin.logo), ("legal", &plugin.legal)];
    let references = references
        .into_iter()
        .filter_map(|(key, found)| match found {
            Some(Reference::File(file)) => Some((key.to_owned(), file)),
            _ => None,
        });
    named
        .chain(references)
        .map(move |(key, file)| (plugin, key, file))
}

/// Without symbolic links.
fn real(path: &Path) -> Option<PathBuf> {
    fs::canonicalize(path).ok()
}

/// Why a file is nobody else's to read.
fn fault(file: &ServedFile, private: &BTreeSet<PathBuf>, state: Option<&Path>) -> Option<String> {
    let path = real(&file.path).or_else(|| std::path::absolute(&file.path).ok());
    let path = path.unwrap_or_else(|| file.path.clone());
    let has = |what: &str| memchr::memmem::find(&file.bytes, what.as_bytes()).is_some();
    let mut held = None;
    Scanner::default().feed(&file.bytes, |hit| {
        held.get_or_insert(hit);
    });
    if let Some(system) = SYSTEM.into_iter().find(|system| path.starts_with(system)) {
        Some(format!("it is in {system}"))
    } else if state.is_some_and(|state| path.starts_with(state)) {
        Some("it is in the state directory".to_owned())
    } else if has(PRIVATE_KEY) {
        Some("it holds a private key".to_owned())
    } else if let Some(hit) = held {
        let (id, line, column) = (hit.id, hit.line, hit.column);
        Some(format!(
            "it holds the secret of token {id}, at {line}:{column}"
        ))
    // Certificates are shown in every handshake.
    } else if private.contains(&path) && !has("-----BEGIN CERTIFICATE-----") {
        Some("the configuration uses it as a secret, or as a file of tokens".to_owned())
    } else {
        None
    }
}
