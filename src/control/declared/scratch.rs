//! Token files read from the first line to the last: what finds each fault and names its place, and
//! what the faster way has to agree with.

use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, Inputs as _};
use crate::counted::plural;
use crate::problems::{Place, Problems, Source};
use crate::tokens::{Level, Origin, Seen, TokenRecord, parse_file};

use super::super::Inputs;
use super::Rules;

/// Problems of one token file that are listed; a file of a million lines can be wrong in each.
const LISTED: usize = 20;

/// Reads the token files of a configuration, checked against its declared tokens.
pub(super) fn read_files(
    config: &Config,
    rules: &Rules,
    inputs: &mut Inputs,
    problems: &mut Problems,
) -> Vec<TokenRecord> {
    let mut seen = Seen::default();
    let mut records = Vec::new();
    for token in &config.tokens {
        // Among themselves they were compared when the configuration was read.
        if let Ok(record) = TokenRecord::try_from(token) {
            let _ = seen.claim(&record, &Origin::Configuration);
        }
    }
    for path in &config.token_files {
        match inputs.private(path) {
            Err(reason) => {
                let place = Place::named("token_files");
                problems.add(
                    &place,
                    format!("{} can not be read: {reason}", path.display()),
                );
            }
            Ok(bytes) if rules.filled.contains(path) && bytes.trim_ascii().is_empty() => {
                let message = format!(
                    "{} is empty, which would end all of its tokens: perhaps it is being written",
                    path.display()
                );
                let problem = problems.add(&line_place(path, 1, None), message);
                problem.help("left empty for ten seconds it is believed; if they are to end now: write a comment into it (a line that begins with #), or plugway reload");
            }
            Ok(bytes) => {
                let from = records.len();
                read_file(path, &bytes, &mut seen, &mut records, problems);
                if rules.lesser.contains(path) {
                    refuse_admins(path, &bytes, &records[from..], problems);
                }
            }
        }
    }
    records
}

fn read_file(
    path: &Path,
    bytes: &[u8],
    seen: &mut Seen,
    records: &mut Vec<TokenRecord>,
    problems: &mut Problems,
) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        problems.add(
            &Place::named("token_files"),
            format!("{} is not UTF-8", path.display()),
        );
        return;
    };
    let name: Arc<str> = Arc::from(path.display().to_string());
    let (read, faults) = parse_file(&name, text, seen);
    records.extend(read);
    for fault in faults.iter().take(LISTED) {
        let place = line_place(path, fault.line, fault.column);
        problems.add(&place, fault.message.clone());
    }
    let more = faults.len().saturating_sub(LISTED);
    if more > 0 {
        let place = Place::named("token_files");
        problems.add(
            &place,
            format!(
                "{} has {more} more {}",
                path.display(),
                plural(more, "problem", "problems")
            ),
        );
    }
}

/// Whoever can write what a URL gives may not make admins of this gateway, unless its entry says so.
fn refuse_admins(path: &Path, bytes: &[u8], records: &[TokenRecord], problems: &mut Problems) {
    let admins = records.iter().filter(|one| one.level == Level::Admin);
    for record in admins.take(LISTED) {
        let id = format!("\"{}\"", record.id);
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let line = lines.position(|line| memchr::memmem::find(line, id.as_bytes()).is_some());
        let place = line_place(path, line.map_or(1, |line| line + 1), None);
        let message = format!(
            "token {} is an admin token, which does not come from a URL",
            record.id
        );
        let problem = problems.add(&place, message);
        problem.help("if that is meant: admin = true in the entry of `token_files`");
    }
}

/// A place in a token file. Only its line is kept, and without its content: it may hold a hash
/// that belongs in no report.
fn line_place(path: &Path, line: usize, column: Option<usize>) -> Place {
    let text = "\n".repeat(line.saturating_sub(1)) + &" ".repeat(column.unwrap_or(1));
    let start = text.len().saturating_sub(1);
    Place {
        source: Some(Arc::new(Source {
            path: path.to_owned(),
            text,
        })),
        span: start..start,
        key: "token_files".to_owned(),
    }
}
