//! A declared token as the record that fills the table.

use std::sync::Arc;

use super::DeclaredToken;
use crate::tokens::{Plugins, ScopeList, SecretRecord, State, TokenRecord};

/// Without the places. The first secret is the current one; its name is its id.
impl TryFrom<&DeclaredToken> for TokenRecord {
    /// There is no secret, which a validated configuration does not have.
    type Error = NoSecret;

    fn try_from(declared: &DeclaredToken) -> Result<Self, NoSecret> {
        let mut secrets = declared.secrets.iter().map(|secret| SecretRecord {
            until: secret.until,
            ..SecretRecord::new(secret.fingerprint)
        });
        let current = secrets.next().ok_or(NoSecret)?;
        let id: Arc<str> = declared.id.as_str().into();
        Ok(Self {
            name: Arc::clone(&id),
            id,
            level: declared.level,
            plugins: Plugins::new(declared.plugins.iter().map(|plugin| &*plugin.value)),
            scopes: Arc::new(ScopeList::new(
                declared.scopes.iter().map(|scope| scope.value.clone()),
            )),
            current,
            previous: secrets.find(|secret| secret.fingerprint != current.fingerprint),
            not_before: declared.not_before,
            expires: declared.expires,
            state: State::Active,
            limits: declared.limits.clone(),
            note: declared.note.as_deref().map(Arc::from),
            made: None,
            ending: None,
        })
    }
}

/// A declared token without a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoSecret;
