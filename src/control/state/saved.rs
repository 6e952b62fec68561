//! Generations in a backup: their records, the last copies of fetched documents, and what they were
//! made of, in pieces that fit on a line. Of secrets there are hashes, as in the database.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::db::{META, Outcome};
use super::history::{CONTENTS, DOCUMENTS, GENERATIONS, Generation, HELD, KeptDocument, there};
use super::numbers::MOST;
use crate::tokens::Fingerprint;

/// Bytes of a content on one line.
const PIECE: usize = 384 << 10;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Saved {
    /// A number, and the record as it is stored.
    Generation(u64, String),
    /// A plugin, a source, and the record as it is stored.
    Document(String, String, String),
    /// The SHA-256 of a content, and its next piece, base64.
    Content(String, String),
}

/// Shows all that is kept.
pub(super) fn each(read: &ReadTransaction, mut show: impl FnMut(Saved)) -> Outcome<()> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if let Some(table) = there(read.open_table(GENERATIONS))? {
        for entry in table.iter()? {
            let (number, body) = entry?;
            show(Saved::Generation(number.value(), text(body.value())));
        }
    }
    if let Some(table) = there(read.open_table(DOCUMENTS))? {
        for entry in table.iter()? {
            let (key, body) = entry?;
            let (plugin, source) = key.value();
            let (plugin, source) = (plugin.to_owned(), source.to_owned());
            show(Saved::Document(plugin, source, text(body.value())));
        }
    }
    if let Some(table) = there(read.open_table(CONTENTS))? {
        for entry in table.iter()? {
            let (_, bytes) = entry?;
            let hash = Fingerprint::of(bytes.value()).to_hex();
            let pieces = bytes.value().chunks(PIECE);
            let none = bytes.value().is_empty().then_some(&[][..]);
            for piece in pieces.chain(none) {
                show(Saved::Content(hash.clone(), STANDARD.encode(piece)));
            }
        }
    }
    Ok(())
}

/// A content whose pieces come.
#[derive(Debug, Default)]
struct Pieces(Option<(String, Vec<u8>)>);

impl Pieces {
    /// The next piece; gives the content before, if that is whole now.
    fn next(&mut self, hash: &str, piece: &[u8]) -> Option<(String, Vec<u8>)> {
        if let Some((_, bytes)) = self.0.as_mut().filter(|(known, _)| known == hash) {
            bytes.extend_from_slice(piece);
            return None;
        }
        self.0.replace((hash.to_owned(), piece.to_vec()))
    }
}

/// What one line does not show.
#[derive(Debug, Default)]
pub(super) struct Told {
    number: u64,
    pieces: Pieces,
}

impl Told {
    /// What is wrong with a line after those before it.
    pub(super) fn fault(&mut self, line: &Saved) -> Option<String> {
        match line {
            Saved::Generation(number, body) => {
                let known = serde_json::from_str::<Generation>(body);
                let fits = known.is_ok_and(|known| known.number == *number && *number <= MOST);
                let follows = std::mem::replace(&mut self.number, *number) < *number;
                (!(fits && follows)).then(|| format!("is not the record of generation {number}"))
            }
            Saved::Document(plugin, source, body) => {
                let known = serde_json::from_str::<KeptDocument>(body);
                let fits = known.is_ok_and(|one| one.plugin == *plugin && one.source == *source);
                (!fits).then(|| format!("is not the record of the document of plugin {plugin}"))
            }
            Saved::Content(hash, piece) => match STANDARD.decode(piece) {
                Ok(piece) => self
                    .pieces
                    .next(hash, &piece)
                    .and_then(|one| fault_of(&one)),
                Err(_) => Some("is not base64".to_owned()),
            },
        }
    }

    /// What is wrong at the end.
    pub(super) fn end(&mut self) -> Option<String> {
        self.pieces.0.take().and_then(|one| fault_of(&one))
    }
}

/// Whether a content is what its hash says.
fn fault_of((hash, bytes): &(String, Vec<u8>)) -> Option<String> {
    let whole = Fingerprint::of(bytes).to_hex() == *hash;
    (!whole).then(|| format!("the content {hash} before it is not whole"))
}

/// Puts lines back that were proven whole.
pub(super) struct Restoring<'w> {
    write: &'w WriteTransaction,
    pieces: Pieces,
    /// Bytes of all contents.
    held: u64,
    /// How many generations there were.
    pub(super) generations: u64,
}

impl<'w> Restoring<'w> {
    pub(super) fn new(write: &'w WriteTransaction) -> Self {
        Self {
            write,
            pieces: Pieces::default(),
            held: 0,
            generations: 0,
        }
    }

    pub(super) fn put(&mut self, line: &Saved) -> Outcome<()> {
        match line {
            Saved::Generation(number, body) => {
                let mut table = self.write.open_table(GENERATIONS)?;
                table.insert(*number, body.as_bytes())?;
                self.generations += 1;
            }
            Saved::Document(plugin, source, body) => {
                let mut table = self.write.open_table(DOCUMENTS)?;
                table.insert((&**plugin, &**source), body.as_bytes())?;
            }
            Saved::Content(hash, piece) => {
                let piece = STANDARD.decode(piece).unwrap_or_default();
                if let Some((_, bytes)) = self.pieces.next(hash, &piece) {
                    self.content(&bytes)?;
                }
            }
        }
        Ok(())
    }

    /// The last content; gives how many generations there were.
    pub(super) fn end(mut self) -> Outcome<u64> {
        if let Some((_, bytes)) = self.pieces.0.take() {
            self.content(&bytes)?;
        }
        self.write.open_table(META)?.insert(HELD, self.held)?;
        Ok(self.generations)
    }

    fn content(&mut self, bytes: &[u8]) -> Outcome<()> {
        let mut table = self.write.open_table(CONTENTS)?;
        table.insert(&Fingerprint::of(bytes).0[..], bytes)?;
        self.held += bytes.len() as u64;
        Ok(())
    }
}
