//! Declared tokens, for whoever asks about them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::{Entry, Next, Tokens, taken};
use crate::tokens::{
    Fingerprint, ScopeLists, State, Token, TokenRecord, TokenShared, TokenTable, record_of,
};

/// All of them at one moment, to be gone through elsewhere: there may be a million.
#[derive(Debug)]
pub(in crate::control) struct Shelf {
    declared: Vec<(TokenRecord, Arc<TokenShared>)>,
    blocks: Vec<Arc<[Entry]>>,
}

/// Where one of them stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::control) struct Spot {
    /// `None`: in the configuration.
    block: Option<usize>,
    at: usize,
}

impl Shelf {
    /// Shows every one.
    pub(in crate::control) fn each(
        &self,
        lists: &ScopeLists,
        mut show: impl FnMut(&TokenRecord, &Arc<TokenShared>, Spot),
    ) {
        for (at, (record, shared)) in self.declared.iter().enumerate() {
            show(record, shared, Spot { block: None, at });
        }
        for (block, entries) in self.blocks.iter().enumerate() {
            let mut at = 0;
            for token in of_tokens(entries) {
                if let Some((record, shared)) = whole(token, lists) {
                    let block = Some(block);
                    show(&record, &shared, Spot { block, at });
                }
                at += token.len();
            }
        }
    }

    /// The one that has this secret.
    pub(in crate::control) fn holder(
        &self,
        secret: &Fingerprint,
        lists: &ScopeLists,
    ) -> Option<(TokenRecord, Arc<TokenShared>)> {
        let has = |(record, _): &&(TokenRecord, _)| {
            let mut secrets = record.secrets();
            secrets.any(|(_, own)| own.fingerprint == *secret)
        };
        if let Some(found) = self.declared.iter().find(has) {
            return Some(found.clone());
        }
        let mut tokens = self.blocks.iter().flat_map(|block| of_tokens(block));
        let found = tokens.find(|entries| entries.iter().any(|(own, _)| own == secret));
        whole(found?, lists)
    }

    /// One that was shown.
    pub(in crate::control) fn at(
        &self,
        spot: Spot,
        lists: &ScopeLists,
    ) -> Option<(TokenRecord, Arc<TokenShared>)> {
        let Some(block) = spot.block else {
            return self.declared.get(spot.at).cloned();
        };
        let rest = self.blocks.get(block)?.get(spot.at..)?;
        whole(of_tokens(rest).next()?, lists)
    }
}

impl Tokens {
    /// All of them.
    pub(in crate::control) fn shelf(&self) -> Shelf {
        let declared = self.declared.values();
        Shelf {
            declared: declared
                .filter_map(|known| {
                    let (_, token) = known.entries.first()?;
                    Some((known.record.clone(), Arc::clone(&token.shared)))
                })
                .collect(),
            blocks: self.blocks.values().cloned().collect(),
        }
    }

    /// The one with this id.
    pub(in crate::control) fn find(
        &self,
        id: &str,
        lists: &ScopeLists,
    ) -> Option<(TokenRecord, Arc<TokenShared>)> {
        if let Some(known) = self.declared.get(id) {
            let (_, token) = known.entries.first()?;
            return Some((known.record.clone(), Arc::clone(&token.shared)));
        }
        if !self.taken.perhaps(taken::of_id(id)) {
            return None;
        }
        let mut tokens = self.blocks.values().flat_map(|block| of_tokens(block));
        let found = tokens.find(|entries| entries.iter().any(|(_, token)| *token.id == *id));
        whole(found?, lists)
    }

    /// Those with this name.
    pub(in crate::control) fn named(
        &self,
        name: &str,
        lists: &ScopeLists,
    ) -> Vec<(TokenRecord, Arc<TokenShared>)> {
        let declared = self.declared.values().map(|known| known.entries.as_slice());
        let of_files = self.blocks.values().flat_map(|block| of_tokens(block));
        let named = declared.chain(of_files).filter(|entries| {
            let first = entries.first();
            first.is_some_and(|(_, token)| *token.name == *name)
        });
        named.filter_map(|entries| whole(entries, lists)).collect()
    }
}

/// What became of declared tokens.
#[derive(Debug, Default)]
pub(in crate::control) struct Changes {
    /// Of each.
    pub(in crate::control) of: Vec<DeclaredChange>,
    /// More than can be told one by one.
    pub(in crate::control) more: usize,
    /// Those that are gone.
    pub(in crate::control) ended: Ended,
}

/// Tokens that are gone: how many, and the ids of the first of them.
#[derive(Debug, Default)]
pub(in crate::control) struct Ended {
    pub(in crate::control) count: usize,
    pub(in crate::control) first: Vec<Arc<str>>,
}

/// Tokens that are named when they are gone.
const NAMED: usize = 10;

/// What became of one.
#[derive(Debug)]
pub(in crate::control) struct DeclaredChange {
    /// As it was, if it was.
    pub(in crate::control) before: Option<TokenRecord>,
    /// As it is, if it is.
    pub(in crate::control) after: Option<TokenRecord>,
}

impl DeclaredChange {
    /// Whose.
    pub(in crate::control) fn id(&self) -> &str {
        let record = self.after.as_ref().or(self.before.as_ref());
        record.map_or("", |record| &record.id)
    }

    /// What, in a word.
    pub(in crate::control) fn action(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "create",
            (Some(_), None) => "remove",
            (Some(before), Some(after)) => {
                if before.current.fingerprint == after.current.fingerprint {
                    "set"
                } else {
                    "rotate"
                }
            }
        }
    }
}

/// Changes that are told one by one.
const TOLD: usize = 1000;

impl Next {
    /// The ids of what is new.
    pub(in crate::control) fn ids(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|(_, token)| &*token.id)
    }

    /// What becomes of which token.
    pub(in crate::control) fn changes(&self, lists: &ScopeLists) -> Changes {
        let mut by_id: BTreeMap<&str, [Vec<Entry>; 2]> = BTreeMap::new();
        let ended = self.ended();
        if self.added.len() + self.gone.len() > 4 * TOLD {
            let ids: HashSet<&str> = self
                .added
                .iter()
                .chain(&self.gone)
                .map(|(_, token)| &*token.id)
                .collect();
            return Changes {
                of: Vec::new(),
                more: ids.len(),
                ended,
            };
        }
        for (side, entries) in [&self.gone, &self.added].into_iter().enumerate() {
            for (secret, token) in entries {
                by_id.entry(&token.id).or_default()[side].push((*secret, Arc::clone(token)));
            }
        }
        let of = by_id.into_values().map(|[before, after]| DeclaredChange {
            before: record_of(&before, lists),
            after: record_of(&after, lists),
        });
        Changes {
            of: of.collect(),
            more: 0,
            ended,
        }
    }

    /// The tokens that will be gone.
    fn ended(&self) -> Ended {
        if self.gone.is_empty() {
            return Ended::default();
        }
        let stay: HashSet<&str> = self.ids().collect();
        let gone = self.gone.iter().map(|(_, token)| &token.id);
        let ended: HashSet<&Arc<str>> = gone.filter(|id| !stay.contains(&***id)).collect();
        let mut first = BTreeSet::new();
        for id in &ended {
            first.insert(*id);
            if first.len() > NAMED {
                first.pop_last();
            }
        }
        Ended {
            count: ended.len(),
            first: first.into_iter().cloned().collect(),
        }
    }

    /// Tokens whose secret is that of another one, which commands made and nobody revoked.
    pub(in crate::control) fn clashes(&self, table: &TokenTable) -> Vec<(Arc<str>, Arc<Token>)> {
        let clashes = self.added.iter().filter_map(|(secret, token)| {
            let held = table.get(secret)?;
            let own = Arc::ptr_eq(&held.shared, &token.shared)
                || self.gone.iter().any(|(_, gone)| Arc::ptr_eq(gone, &held))
                || matches!(held.state, State::Revoked { .. });
            (!own).then(|| (Arc::clone(&token.id), held))
        });
        clashes.collect()
    }
}

/// The entries of each token of a block.
fn of_tokens(block: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    block.chunk_by(|(_, one), (_, two)| Arc::ptr_eq(&one.shared, &two.shared))
}

fn whole(entries: &[Entry], lists: &ScopeLists) -> Option<(TokenRecord, Arc<TokenShared>)> {
    let (_, token) = entries.first()?;
    Some((record_of(entries, lists)?, Arc::clone(&token.shared)))
}
