//! Declared tokens, for whoever asks about them.

use std::sync::Arc;

use super::{Entry, Next, Tokens, taken};
use crate::tokens::{ScopeLists, State, Token, TokenRecord, TokenShared, TokenTable, record_of};

/// All of them at one moment, to be gone through elsewhere: there may be a million.
#[derive(Debug)]
pub(in crate::control) struct Shelf {
    declared: Vec<(TokenRecord, Arc<TokenShared>)>,
    blocks: Vec<Arc<[Entry]>>,
}

impl Shelf {
    /// Shows every one.
    pub(in crate::control) fn each(
        &self,
        lists: &ScopeLists,
        mut show: impl FnMut(&TokenRecord, &Arc<TokenShared>),
    ) {
        for (record, shared) in &self.declared {
            show(record, shared);
        }
        for entries in self.blocks.iter().flat_map(|block| of_tokens(block)) {
            if let Some((record, shared)) = whole(entries, lists) {
                show(&record, &shared);
            }
        }
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

impl Next {
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
