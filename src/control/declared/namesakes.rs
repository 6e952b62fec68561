//! Tokens of one name: what the API is told of a caller, and commands take for a token, is not clear
//! then. That is a warning, since both work.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use crate::config::{Config, Inputs as _};
use crate::problems::{Place, Problems};
use crate::tokens::{Seen, State, Token, parse_file};

use super::super::Inputs;
use super::scratch::line_place;
use super::shelf::of_tokens;
use super::{Tokens, taken};

/// Names that are told. Their lines are looked for in files of perhaps a million.
const TOLD: usize = 5;

/// Warns of names that several tokens bear which are good for something.
pub(super) fn warn(
    tokens: &Tokens,
    config: &Config,
    inputs: &mut Inputs,
    now: Timestamp,
    problems: &mut Problems,
) {
    let twice = tokens.names.twice();
    if twice.is_empty() {
        return;
    }
    let declared = tokens.declared.values().map(|known| &*known.entries);
    let of_files = tokens.blocks.values().flat_map(|block| of_tokens(block));
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, token) in declared.chain(of_files).filter_map(<[_]>::first) {
        if twice.binary_search(&taken::of_name(&token.name)).is_ok() && is_live(token, now) {
            names.entry(&token.name).or_default().push(&token.id);
        }
    }
    let names = names.into_iter().filter(|(_, ids)| ids.len() > 1);
    for (name, mut ids) in names.take(TOLD) {
        ids.sort_unstable();
        let places = places(name, &ids, config, inputs);
        let which: Vec<String> = places
            .iter()
            .map(|(id, place)| format!("{id} ({place})"))
            .collect();
        let Some((_, last)) = places.last() else {
            continue;
        };
        let message = format!(
            "the name `{name}` is that of several tokens: {}",
            which.join(", ")
        );
        problems.warn(last, message).help(
            "the API is told the name (X-Plugway-Principal), and commands take it for the token: give each a name of its own",
        );
    }
}

fn is_live(token: &Token, now: Timestamp) -> bool {
    let revoked = matches!(token.state, State::Revoked { .. });
    !revoked && token.expires.is_none_or(|end| now < end)
}

/// Where tokens of a name stand. Where a line is not found, which key names the files.
fn places<'a>(
    name: &str,
    ids: &[&'a str],
    config: &Config,
    inputs: &mut Inputs,
) -> Vec<(&'a str, Place)> {
    let lines = lines_of(name, config, inputs);
    let place = |id: &&'a str| {
        let written = config.tokens.iter().find(|token| *token.id == **id);
        let line = || lines.iter().find(|(of, _)| **of == **id);
        let place = match written {
            Some(token) => token.at.clone(),
            None => line().map_or_else(|| Place::named("token_files"), |(_, at)| at.clone()),
        };
        (*id, place)
    };
    ids.iter().map(place).collect()
}

/// The lines of token files in which a name is, and whose they are.
fn lines_of(name: &str, config: &Config, inputs: &mut Inputs) -> Vec<(Arc<str>, Place)> {
    let quoted = Value::from(name).to_string();
    let mut places = Vec::new();
    for path in &config.token_files {
        let Ok(bytes) = inputs.private(path) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        let file: Arc<str> = Arc::from(path.display().to_string());
        for (number, line) in text.lines().enumerate() {
            if !line.contains(&quoted) {
                continue;
            }
            let (records, _) = parse_file(&file, line, &mut Seen::default());
            let bears = records.into_iter().find(|record| *record.name == *name);
            places.extend(bears.map(|record| (record.id, line_place(path, number + 1, None))));
        }
    }
    places
}
