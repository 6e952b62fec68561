//! The tokens that the configuration and its files declare, and how a change of them reaches the
//! table: what is new opens before the snapshot that knows it serves, what is gone closes after.
//!
//! Files are remembered in blocks of lines by the hash of their bytes. Of a file that changed only
//! the blocks that are new are read, and only what stood in blocks that are no more is compared
//! with it. That way sees files without a fault only: as soon as a line is wrong, or an id or a
//! secret perhaps is there twice, everything is read [from scratch](scratch), which tells what is
//! wrong and where.

mod scratch;
mod shelf;
mod taken;
#[cfg(test)]
mod tests;

use std::collections::hash_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::{Config, DeclaredToken};
use crate::problems::Problems;
use crate::tokens::{
    self, Fingerprint, Level, Moves, Plugins, ScopeList, ScopeLists, Slot, Token, TokenRecord,
    TokenShared, TokenTable, entries, record_of, rotate_declared, same_entries,
};

use super::Inputs;
pub(super) use shelf::{Changes, Ended, Shelf, Spot};
use taken::{Claims, Taken};

/// What one secret is in the table.
type Entry = (Fingerprint, Arc<Token>);
/// Blocks of files by their hash, which is all that is kept of their text. The entries of one token
/// stand together, the current secret first.
type Blocks = HashMap<Fingerprint, Arc<[Entry]>>;

/// Where tokens of a file are valid and for what, and one that is.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    pub(super) id: Arc<str>,
    pub(super) plugins: Plugins,
    pub(super) scopes: Arc<ScopeList>,
}

/// Notes what a token is for, unless the one before was for the same.
fn note(aims: &mut Vec<Aim>, record: &TokenRecord) {
    let same = |aim: &Aim| aim.plugins == record.plugins && aim.scopes == record.scopes;
    if !aims.iter().rev().take(AIMS).any(same) {
        aims.push(Aim {
            id: Arc::clone(&record.id),
            plugins: record.plugins.clone(),
            scopes: Arc::clone(&record.scopes),
        });
    }
}

/// Aims that a token's is compared with; more than that differ seldom in one block.
const AIMS: usize = 8;

/// What is asked of token files beside that they can be read.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// These held tokens: an empty one is being written, or was cut.
    pub(super) filled: BTreeSet<PathBuf>,
    /// From these no admin token may come.
    pub(super) lesser: BTreeSet<PathBuf>,
}

/// The tokens that are in the table because the configuration or a file says so.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    declared: HashMap<Arc<str>, Known>,
    blocks: Blocks,
    /// Those of them that have an admin token.
    admin: HashSet<Fingerprint>,
    /// What the tokens of each block are for.
    aims: HashMap<Fingerprint, Arc<[Aim]>>,
    /// The files that hold tokens.
    pub(super) filled: BTreeSet<PathBuf>,
    /// Since when some of them are empty, each by itself.
    pub(super) emptied: BTreeMap<PathBuf, Emptied>,
    taken: Taken,
}

/// A token file that held tokens is empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Emptied {
    pub(super) since: Timestamp,
    /// It was looked at once more for that alone.
    pub(super) looked: bool,
}

/// A token of the configuration.
#[derive(Debug)]
struct Known {
    record: TokenRecord,
    entries: Vec<Entry>,
    /// Of what is written, without what a grace period adds.
    claims: Vec<u64>,
}

/// What the table will hold.
#[derive(Debug)]
pub(super) struct Next {
    tokens: Tokens,
    added: Vec<Entry>,
    gone: Vec<Entry>,
    moved: Vec<(Arc<TokenShared>, Moves)>,
}

/// What the table no longer has to hold.
#[derive(Debug)]
#[must_use]
pub(super) struct Retired(Vec<Entry>);

impl Tokens {
    /// What the table will hold under this configuration. Interns the scope lists, so that the
    /// snapshot can be compiled with them. `None`: there are problems.
    pub(super) fn next(
        &self,
        (config, rules): (&Config, &Rules),
        inputs: &mut Inputs,
        lists: &ScopeLists,
        now: Timestamp,
        problems: &mut Problems,
    ) -> Option<Next> {
        if let Some(next) = self.by_blocks((config, rules), inputs, lists, now) {
            return Some(next);
        }
        let files = scratch::read_files(config, rules, inputs, problems);
        if problems.has_problems() {
            return None;
        }
        Some(self.by_records(config, &files, lists, now))
    }

    /// By what is new. `None`: something is wrong, or perhaps is.
    fn by_blocks(
        &self,
        (config, rules): (&Config, &Rules),
        inputs: &mut Inputs,
        lists: &ScopeLists,
        now: Timestamp,
    ) -> Option<Next> {
        let (mut files, mut lesser) = (Vec::new(), Vec::new());
        for path in &config.token_files {
            let (bytes, cuts) = inputs.lines(path).ok()?;
            if rules.filled.contains(path) && bytes.trim_ascii().is_empty() {
                return None;
            }
            if rules.lesser.contains(path) {
                lesser.extend(cuts.iter().map(|cut| cut.digest));
            }
            files.push((bytes, cuts));
        }
        let (mut stay, mut fresh) = (Blocks::new(), HashMap::new());
        let mut repeated = Vec::new();
        for (bytes, cuts) in &files {
            for cut in cuts.iter() {
                if let Some(known) = self.blocks.get(&cut.digest) {
                    if stay.insert(cut.digest, Arc::clone(known)).is_some() {
                        repeated.push(cut.digest);
                    }
                    continue;
                }
                match fresh.entry(cut.digest) {
                    Place::Vacant(place) => drop(place.insert(&bytes[cut.range.clone()])),
                    Place::Occupied(_) => repeated.push(cut.digest),
                }
            }
        }
        let mut change = Change::new(self, stay, lists);
        config
            .tokens
            .iter()
            .for_each(|token| change.declared(token, now));
        let mut reader = tokens::Blocks::default();
        for (digest, block) in fresh {
            let (mut entries, mut aims) = (Vec::new(), Vec::new());
            let line = |record: TokenRecord| {
                note(&mut aims, &record);
                change.line(&record, &mut entries);
            };
            if !reader.read(block, line) {
                return None;
            }
            change.next.tokens.aims.insert(digest, aims.into());
            change.next.tokens.take(digest, entries);
        }
        if change.next.tokens.has_admin(&lesser) {
            return None;
        }
        let (next, twice) = change.finish();
        // Without tokens (a comment, say) a block may well be there again.
        let twice = twice
            || repeated.iter().any(|digest| {
                next.tokens
                    .blocks
                    .get(digest)
                    .is_some_and(|block| !block.is_empty())
            });
        (!twice).then_some(next)
    }

    /// Takes a block that was read.
    fn take(&mut self, digest: Fingerprint, entries: Vec<Entry>) {
        let admin = |(_, token): &Entry| token.level == Level::Admin;
        if entries.iter().any(admin) {
            self.admin.insert(digest);
        }
        self.blocks.insert(digest, entries.into());
    }

    /// Whether there is an admin token in one of these blocks.
    fn has_admin(&self, blocks: &[Fingerprint]) -> bool {
        blocks.iter().any(|digest| self.admin.contains(digest))
    }

    /// By records that are known to be right. What they stand in is not known: the next time they
    /// are all new.
    fn by_records(
        &self,
        config: &Config,
        records: &[TokenRecord],
        lists: &ScopeLists,
        now: Timestamp,
    ) -> Next {
        let mut change = Change::new(self, Blocks::new(), lists);
        config
            .tokens
            .iter()
            .for_each(|token| change.declared(token, now));
        let (mut entries, mut aims) = (Vec::new(), Vec::new());
        for record in records {
            note(&mut aims, record);
            change.line(record, &mut entries);
        }
        let unknown = Fingerprint::of(b"");
        change.next.tokens.aims.insert(unknown, aims.into());
        change.next.tokens.blocks.insert(unknown, entries.into());
        change.finish().0
    }

    /// Puts what is new into the table; gives what has to leave it.
    pub(super) fn enter(&mut self, next: Next, table: &TokenTable) -> Retired {
        next.moved
            .iter()
            .for_each(|(shared, moves)| shared.moved(*moves));
        *self = next.tokens;
        table.apply(next.added, Vec::new());
        Retired(next.gone)
    }

    /// When service tokens end.
    pub(super) fn expiry(&self) -> BTreeMap<Arc<str>, Timestamp> {
        let declared = self.declared.values().flat_map(|known| &known.entries);
        let of_files = self.blocks.values().flat_map(|block| block.iter());
        let service = declared
            .chain(of_files)
            .map(|(_, token)| token)
            .filter(|token| token.level == Level::Service && token.slot == Slot::Current);
        service
            .filter_map(|token| Some((Arc::clone(&token.id), token.expires?)))
            .collect()
    }
}

impl Next {
    /// Whether it changes nothing.
    pub(super) fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.gone.is_empty()
    }

    /// What the tokens of files are for.
    pub(super) fn aims(&self) -> impl Iterator<Item = &Aim> {
        self.tokens.aims.values().flat_map(|aims| aims.iter())
    }

    /// What is not in the table yet, or otherwise.
    pub(super) fn added(&self) -> &[Entry] {
        &self.added
    }
}

impl Retired {
    /// Takes it out of the table, unless something else is in its place by now.
    pub(super) fn leave(self, table: &TokenTable) {
        table.apply(Vec::new(), self.0);
    }
}

/// On the way from what was to what will be.
struct Change<'a> {
    before: &'a Tokens,
    lists: &'a ScopeLists,
    /// By id: what stood in blocks that are no more. What stays need not be looked at.
    left: HashMap<&'a str, &'a [Entry]>,
    /// Whose entries stay, though their block does not.
    kept: HashSet<Arc<str>>,
    claims: Claims,
    next: Next,
}

impl<'a> Change<'a> {
    fn new(before: &'a Tokens, stay: Blocks, lists: &'a ScopeLists) -> Self {
        let mut claims = Claims::default();
        let mut left = HashMap::new();
        for (digest, block) in &before.blocks {
            if stay.contains_key(digest) {
                continue;
            }
            for token in block.chunk_by(|(_, one), (_, two)| Arc::ptr_eq(&one.shared, &two.shared))
            {
                claims.gone.extend(taken::of_entries(token));
                left.extend(token.first().map(|(_, first)| (&*first.id, token)));
            }
        }
        for known in before.declared.values() {
            claims.gone.extend(&known.claims);
        }
        let admin = before.admin.iter().copied();
        let tokens = Tokens {
            admin: admin.filter(|digest| stay.contains_key(digest)).collect(),
            aims: before
                .aims
                .iter()
                .filter(|(digest, _)| stay.contains_key(*digest))
                .map(|(digest, aims)| (*digest, Arc::clone(aims)))
                .collect(),
            blocks: stay,
            ..Tokens::default()
        };
        Self {
            before,
            lists,
            left,
            kept: HashSet::new(),
            claims,
            next: Next {
                tokens,
                added: Vec::new(),
                gone: Vec::new(),
                moved: Vec::new(),
            },
        }
    }

    /// A token of the configuration.
    fn declared(&mut self, token: &DeclaredToken, now: Timestamp) {
        let Ok(written) = TokenRecord::try_from(token) else {
            return;
        };
        let claims: Vec<u64> = taken::of_record(&written).collect();
        self.claims.new.extend(&claims);
        let before = match self.before.declared.get(&written.id) {
            Some(known) => Some(known.record.clone()),
            // It stood in a file.
            None => self
                .left
                .get(&*written.id)
                .and_then(|entries| record_of(entries, self.lists)),
        };
        let record = match before {
            Some(before) => rotate_declared(&before, &written, token.grace, now),
            None => written,
        };
        let mut entries = Vec::new();
        self.settle(&record, &mut entries);
        let id = Arc::clone(&record.id);
        let known = Known {
            record,
            entries,
            claims,
        };
        self.next.tokens.declared.insert(id, known);
    }

    /// A token of a file.
    fn line(&mut self, record: &TokenRecord, into: &mut Vec<Entry>) {
        self.claims.new.extend(taken::of_record(record));
        self.settle(record, into);
    }

    /// The entries of a token: those that it has in the table already, if they say the same.
    fn settle(&mut self, record: &TokenRecord, into: &mut Vec<Entry>) {
        let declared = self.before.declared.get(&record.id);
        let before: Option<&[Entry]> = match declared {
            Some(known) => Some(&known.entries),
            None => self.left.get(&*record.id).copied(),
        };
        let Some((before, (_, first))) = before.and_then(|before| Some((before, before.first()?)))
        else {
            let made = entries(record, self.lists, &Arc::default());
            self.next.added.extend(made.iter().cloned());
            into.extend(made);
            return;
        };
        let made = entries(record, self.lists, &first.shared);
        if same_entries(before, &made) {
            self.kept.insert(Arc::clone(&record.id));
            into.extend(before.iter().cloned());
            return;
        }
        let stood = before.iter().map(|(secret, token)| (token.slot, *secret));
        if let Some(moves) = record.moves(stood) {
            self.next.moved.push((Arc::clone(&first.shared), moves));
        }
        self.next.added.extend(made.iter().cloned());
        into.extend(made);
    }

    /// What becomes of all, and whether an id or a secret perhaps is there twice.
    fn finish(mut self) -> (Next, bool) {
        let declared = self.before.declared.iter();
        let declared = declared.map(|(id, known)| (&**id, &*known.entries));
        let gone = self.left.into_iter().chain(declared);
        let gone = gone.filter(|(id, _)| !self.kept.contains(*id));
        self.next
            .gone
            .extend(gone.flat_map(|(_, entries)| entries.iter().cloned()));
        let (taken, twice) = self.before.taken.change(self.claims);
        self.next.tokens.taken = taken;
        (self.next, twice)
    }
}
