//! `plugway token scan`: finds tokens where they should not be.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::Exit;
use super::super::output::{Output, on_one_line};
use crate::counted::{counted, plural};
use crate::tokens::Scanner;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 18;

/// How gzip begins: its two bytes, and the one method that there is.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// Looks through all of them. Exit 1 when there is a token, else 3 when something could not be
/// looked through: nobody knows then whether there is one.
pub(super) fn run(paths: &[PathBuf], output: &mut Output) -> anyhow::Result<Exit> {
    let mut found = Vec::new();
    let (mut unread, mut skipped) = (false, 0_usize);
    for path in paths {
        let mut fail = |path: &Path, error: &io::Error, output: &mut Output| {
            output.remark(&format!(
                "plugway: {}: {error}",
                on_one_line(&path.display().to_string())
            ));
            unread = true;
        };
        if path == Path::new("-") {
            if let Err(error) = through(path, io::stdin().lock(), &mut found) {
                fail(path, &error, output);
            }
            continue;
        }
        let mut waiting = vec![path.clone()];
        while let Some(path) = waiting.pop() {
            let named = paths.contains(&path);
            if let Err(error) = visit(&path, named, &mut waiting, &mut found, &mut skipped) {
                fail(&path, &error, output);
            }
        }
    }
    if output.as_json {
        output.json(&Value::Array(found.clone()))?;
    } else {
        for hit in &found {
            let word = |name: &str| hit[name].as_str().unwrap_or_default();
            output.text(&format!(
                "{}:{}:{}: {} ({} token)\n",
                on_one_line(word("path")),
                hit["line"],
                hit["column"],
                word("id"),
                word("level"),
            ))?;
        }
        if !found.is_empty() {
            output.remark("replace what is found: `plugway token rotate ID --grace 0s`, or `plugway token revoke ID --reason leaked`; where ID is not known the configuration may declare it by another: `plugway token show - < FILE-WITH-THE-SECRET` tells which, and it is replaced where it is declared");
        }
    }
    if skipped > 0 {
        output.remark(&format!(
            "{} inside of folders {} not read",
            counted(
                skipped,
                "symbolic link or special file",
                "symbolic links and special files"
            ),
            plural(skipped, "was", "were")
        ));
    }
    Ok(match (found.is_empty(), unread) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::Partly,
        (true, false) => Exit::Done,
    })
}

/// A file is looked through, a folder's entries are put on the list. What is named is read whatever
/// it is, but for devices, which may never end. Symbolic links and special files inside of folders
/// are counted and not read.
fn visit(
    path: &Path,
    named: bool,
    waiting: &mut Vec<PathBuf>,
    found: &mut Vec<Value>,
    skipped: &mut usize,
) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    let stream = named && kind.is_fifo();
    if kind.is_file() || stream {
        return through(path, File::open(path)?, found);
    }
    if !kind.is_dir() {
        return Err(io::Error::other(
            "is neither a file nor a folder, and is not read",
        ));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() || kind.is_dir() {
            entries.push(entry.path());
        } else {
            *skipped += 1;
        }
    }
    entries.sort_by(|one, other| other.cmp(one));
    waiting.extend(entries);
    Ok(())
}

fn through(path: &Path, mut from: impl Read, found: &mut Vec<Value>) -> io::Result<()> {
    let mut scanner = Scanner::default();
    let mut piece = vec![0; PIECE];
    // However little a pipe gives at once.
    let mut begin = Vec::new();
    from.by_ref()
        .take(GZIP.len() as u64)
        .read_to_end(&mut begin)?;
    if begin == GZIP {
        // What is in it can not be seen from outside: to say that nothing was found would be wrong.
        return Err(io::Error::other(
            "is compressed (gzip) and was not looked through: `zcat FILE | plugway token scan -` does",
        ));
    }
    let mut from = begin.as_slice().chain(from);
    loop {
        let got = match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        scanner.feed(&piece[..got], |hit| {
            found.push(json!({
                "path": path.display().to_string(), "line": hit.line, "column": hit.column,
                "id": hit.id, "level": hit.level.as_str(),
            }));
        });
    }
}
