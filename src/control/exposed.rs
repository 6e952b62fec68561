//! What must not be published, whoever wrote it into the configuration: `files`, logos and legal pages
//! are read by anybody.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Control, Edges, Inputs, Source};
use crate::config::{Config, PRIVATE_KEY, Plugin, Reference, ServedFile};
use crate::problems::{Place, Problems};
use crate::tokens::Scanner;

/// How a certificate begins.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Folders whose files are no files: what they hold is about this process, or a device.
const SYSTEM: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Why nobody may read what published files hold. Files that did not change share their bytes
/// (`inputs::Seen`), by which they are known here: what is held can not be other bytes at the same
/// place.
#[derive(Debug, Default)]
pub(super) struct Scanned(HashMap<*const u8, (Arc<[u8]>, Option<String>)>);

impl Scanned {
    /// Looks through what was not there the last time.
    fn of(&mut self, bytes: &Arc<[u8]>) -> Option<String> {
        let known = self.0.entry(bytes.as_ptr());
        let known = known.or_insert_with(|| (Arc::clone(bytes), secret_in(bytes)));
        known.1.clone()
    }
}

impl<E: Edges> Control<E> {
    /// Looks at every file that a plugin publishes as it is.
    pub(super) fn check_exposed(
        &mut self,
        config: Option<&Config>,
        inputs: &Inputs,
        problems: &mut Problems,
    ) {
        let main = match &self.source {
            Source::File(path) => Some(path.as_path()),
            Source::Text { .. } => None,
        };
        check((config, main), inputs, &mut self.scanned, problems);
    }
}

/// The same of a main file, if it is one.
fn check(
    (config, main): (Option<&Config>, Option<&Path>),
    inputs: &Inputs,
    scanned: &mut Scanned,
    problems: &mut Problems,
) {
    let Some(config) = config else { return };
    let published = || config.plugins.iter().flat_map(published);
    if published().next().is_none() {
        return;
    }
    let private = inputs.privates().chain(&config.token_files);
    let private: BTreeSet<PathBuf> = private.filter_map(|path| real(path)).collect();
    let own = config.included.iter().map(PathBuf::as_path).chain(main);
    let own: BTreeSet<PathBuf> = own.filter_map(real).collect();
    let state = real(&config.state_directory);
    let files = published().map(|(_, _, file)| file.bytes.as_ptr());
    let files: HashSet<*const u8> = files.collect();
    scanned.0.retain(|bytes, _| files.contains(bytes));
    for (plugin, key, file) in published() {
        let held = scanned.of(&file.bytes);
        let Some(why) = fault(file, held, (&own, &private), state.as_deref()) else {
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

/// Says what others than the gateway's user may do in the state directory, and should not. One that
/// can be none is a problem of a `rehearsal`; a gateway serves without, and says so.
pub(super) fn check_state(directory: &Path, rehearsal: bool, problems: &mut Problems) {
    if rehearsal && let Some(file) = super::state::no_directory(directory) {
        let what = if file.exists() {
            "is no directory"
        } else {
            "is a link into nothing"
        };
        let message = format!("`{}` {what}", file.display());
        problems.add(&Place::named("state.directory"), message);
    }
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

/// Why bytes are nobody else's to read, wherever they lie.
fn secret_in(bytes: &[u8]) -> Option<String> {
    if memchr::memmem::find(bytes, PRIVATE_KEY.as_bytes()).is_some() {
        return Some("it holds a private key".to_owned());
    }
    let mut held = None;
    Scanner::default().feed(bytes, |hit| {
        held.get_or_insert(hit);
    });
    let hit = held?;
    let (id, line, column) = (hit.id, hit.line, hit.column);
    Some(format!(
        "it holds the secret of token {id}, at {line}:{column}"
    ))
}

/// Why a file is nobody else's to read; `held`: for the sake of its bytes.
fn fault(
    file: &ServedFile,
    held: Option<String>,
    (own, private): (&BTreeSet<PathBuf>, &BTreeSet<PathBuf>),
    state: Option<&Path>,
) -> Option<String> {
    let path = real(&file.path).or_else(|| std::path::absolute(&file.path).ok());
    let path = path.unwrap_or_else(|| file.path.clone());
    let certificate = || memchr::memmem::find(&file.bytes, CERTIFICATE).is_some();
    if let Some(system) = SYSTEM.into_iter().find(|system| path.starts_with(system)) {
        Some(format!("it is in {system}"))
    } else if state.is_some_and(|state| path.starts_with(state)) {
        Some("it is in the state directory".to_owned())
    } else if own.contains(&path) {
        Some("it is the configuration itself, or a part of it".to_owned())
    } else if held.is_some() {
        held
    // Certificates are shown in every handshake.
    } else if private.contains(&path) && !certificate() {
        Some("the configuration uses it as a secret, or as a file of tokens".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{Level, generate_from_system};

    #[test]
    fn what_did_not_change_is_not_looked_through_again() {
        let mut scanned = Scanned::default();
        let bytes: Arc<[u8]> = b"nothing".as_slice().into();
        assert_eq!(scanned.of(&bytes), None);
        let known = scanned.0.get_mut(&bytes.as_ptr()).unwrap();
        known.1 = Some("it was looked at before".to_owned());
        let again = scanned.of(&Arc::clone(&bytes));
        assert_eq!(again.as_deref(), Some("it was looked at before"));
        let token = generate_from_system(Level::Service).unwrap();
        let other: Arc<[u8]> = format!("key {}", token.expose()).into_bytes().into();
        let found = scanned.of(&other).unwrap();
        assert!(
            found.contains(token.id()) && found.contains("1:5"),
            "{found}"
        );
    }
}
