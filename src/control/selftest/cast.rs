//! The tokens of a self-test: made for it, known to it alone, gone with it.

use std::sync::Arc;

use crate::config::{Config, DeclaredToken, TestCaller};
use crate::problems::Place;
use crate::snapshot::{Presentable, Snapshot};
use crate::tokens::{
    Fingerprint, Level, Plugins, ScopeList, ScopeListId, ScopeLists, SecretRecord, Selector, State,
    Token, TokenRecord, entries, generate_from_system,
};

/// Id and name of the tokens that no configuration declares.
const NAME: &str = "self-test";

/// Who asks.
pub(super) struct Cast {
    /// What the table holds.
    pub(super) entries: Vec<(Fingerprint, Arc<Token>)>,
    /// What each caller of a test presents.
    pub(super) secrets: Vec<(TestCaller, String)>,
    /// What is presented to prove that a policy holds.
    pub(super) presentable: Presentable,
    /// The scope lists of declared tokens, each once, and where one of those tokens is written.
    pub(super) lists: Vec<(ScopeListId, Arc<ScopeList>, Place)>,
}

impl Cast {
    /// Those that the candidate needs. Their scope lists are in `lists` from now on.
    pub(super) fn of(snapshot: &Snapshot, lists: &ScopeLists) -> Result<Self, getrandom::Error> {
        let config = &snapshot.config;
        let mut cast = Self {
            entries: Vec::new(),
            secrets: Vec::new(),
            presentable: Presentable {
                unknown: generate_from_system(Level::Service)?.expose().to_owned(),
                known: Vec::new(),
            },
            lists: declared_lists(config, lists),
        };
        let all = Arc::new(ScopeList::new([Selector::All]));
        let nothing = Arc::new(ScopeList::default());
        for (level, caller) in [
            (Level::Service, TestCaller::Service),
            (Level::User, TestCaller::User),
        ] {
            let all = cast.join(made(level, &all), lists)?;
            let nothing = cast.join(made(level, &nothing), lists)?;
            cast.secrets.push((caller, all.clone()));
            cast.presentable.known.push((level, all, nothing));
        }
        for test in config.plugins.iter().flat_map(|plugin| &plugin.tests) {
            let caller = &test.caller.value;
            let TestCaller::Token(key) = caller else {
                continue;
            };
            let known = cast.secrets.iter().any(|(known, _)| known == caller);
            let declared = config.tokens.iter().find(|token| token.id == *key);
            if let Some(declared) = declared.filter(|_| !known)
                && let Ok(record) = TokenRecord::try_from(declared)
            {
                let secret = cast.join(lasting(record), lists)?;
                cast.secrets.push((caller.clone(), secret));
            }
        }
        Ok(cast)
    }

    /// Gives a token a secret of its own, which is returned.
    fn join(
        &mut self,
        record: TokenRecord,
        lists: &ScopeLists,
    ) -> Result<String, getrandom::Error> {
        let secret = generate_from_system(record.level)?.expose().to_owned();
        let record = TokenRecord {
            current: SecretRecord::new(Fingerprint::of(secret.as_bytes())),
            previous: None,
            ..record
        };
        self.entries
            .extend(entries(&record, lists, &Arc::default()));
        Ok(secret)
    }
}

/// A token for every plugin.
fn made(level: Level, scopes: &Arc<ScopeList>) -> TokenRecord {
    TokenRecord {
        id: NAME.into(),
        name: NAME.into(),
        level,
        plugins: Plugins::All,
        scopes: Arc::clone(scopes),
        current: SecretRecord::new(Fingerprint([0; 32])),
        previous: None,
        not_before: None,
        expires: None,
        state: State::Active,
        limits: None,
        note: None,
        made: None,
        ending: None,
    }
}

/// A declared token without what time and other requests make of it: a test that held yesterday
/// holds today.
fn lasting(record: TokenRecord) -> TokenRecord {
    TokenRecord {
        not_before: None,
        expires: None,
        limits: None,
        ..record
    }
}

/// The distinct scope lists of declared tokens.
fn declared_lists(
    config: &Config,
    lists: &ScopeLists,
) -> Vec<(ScopeListId, Arc<ScopeList>, Place)> {
    let mut found: Vec<(ScopeListId, Arc<ScopeList>, Place)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for token in &config.tokens {
        let list = Arc::new(scopes(token));
        let id = lists.intern(&list);
        if seen.insert(id) {
            found.push((id, list, token.at.clone()));
        }
    }
    found
}

fn scopes(token: &DeclaredToken) -> ScopeList {
    ScopeList::new(token.scopes.iter().map(|scope| scope.value.clone()))
}
