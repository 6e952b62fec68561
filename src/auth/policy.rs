//! What a plugin demands, and the principals that only a policy can make.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use http::header::InvalidHeaderName;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::{AuthError, AuthFailure, Denied, Presented, challenge, presented};
use crate::config::{Auth, Require};
use crate::tokens::{Call, CompiledScopes, Fingerprint, Level, Status, Token, TokenTable};

/// What one plugin demands of who calls it. Compiled once for each generation.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The plugin's name.
    plugin: Arc<str>,
    /// Who may call.
    require: Require,
    /// Where the credential is.
    header: HeaderName,
}

impl Policy {
    /// For the plugin of this name.
    ///
    /// # Errors
    /// `auth.header` is not the name of a header, which a validated configuration does not have.
    pub fn new(plugin: &str, auth: &Auth) -> Result<Self, InvalidHeaderName> {
        let header = HeaderName::try_from(auth.header.as_str())?;
        Ok(Self {
            plugin: plugin.into(),
            require: auth.require,
            header,
        })
    }

    /// The header that holds the client's credential: the one to strip.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Who asks. The only source of principals for calls.
    ///
    /// # Errors
    /// There must be a credential and is none, or what is there opens nothing. A wrong
    /// credential is refused also where none is needed: whoever sends one means to be somebody.
    pub fn admit(
        &self,
        headers: &HeaderMap,
        table: &TokenTable,
        now: Timestamp,
    ) -> Result<Principal, AuthError> {
        if self.require == Require::Upstream {
            // Whatever it is, it is the API's to read: any scheme, any number.
            let sent = headers
                .get_all(&self.header)
                .iter()
                .any(|value| !value.is_empty());
            return if sent {
                Ok(Principal::Upstream(ByUpstream(())))
            } else {
                Err(AuthError::Missing)
            };
        }
        match presented(headers, &self.header)? {
            Some(presented) => {
                let token = authenticate(&presented, table, now)?;
                Ok(Principal::Token(token))
            }
            None if self.require == Require::None => Ok(Principal::Anonymous(Anonymous(()))),
            None => Err(AuthError::Missing),
        }
    }

    /// Who that is by now: what a secret opens changes while a stream lasts. No use of the secret.
    ///
    /// # Errors
    /// The secret opens nothing any more.
    pub fn again(
        principal: &Principal,
        table: &TokenTable,
        now: Timestamp,
    ) -> Result<Principal, AuthError> {
        let Principal::Token(Authenticated { fingerprint, .. }) = principal else {
            return Ok(principal.clone());
        };
        let token = table.get(fingerprint).ok_or(AuthError::Unknown)?;
        match token.status(now) {
            Status::Live => Ok(Principal::Token(Authenticated {
                token,
                fingerprint: *fingerprint,
            })),
            Status::Ended(reason) => Err(AuthError::Ended(reason)),
        }
    }

    /// Whether a principal may make a call from an address: its level, its plugins, its networks,
    /// its scopes.
    ///
    /// # Errors
    /// The first of them that says no.
    pub fn authorize(
        &self,
        principal: &Principal,
        scopes: &CompiledScopes,
        call: Call,
        client: IpAddr,
    ) -> Result<(), Denied> {
        match (principal, self.require) {
            (Principal::Anonymous(_), Require::None)
            | (Principal::Upstream(_), Require::Upstream) => Ok(()),
            // One that another plugin's policy made, or that came for the documents.
            (Principal::Anonymous(_) | Principal::Upstream(_), _)
            | (Principal::Token(_), Require::Upstream) => Err(Denied::Level),
            (Principal::Token(token), _) => {
                self.covers(token, client)?;
                if scopes.allows(token.scopes, call) {
                    Ok(())
                } else {
                    Err(Denied::Scope)
                }
            }
        }
    }

    /// Who may read the documents of a plugin that hides them (`documents = "token"`): whoever
    /// has a token of the right level and network for it, of any scope. Where calls need no token of ours
    /// (`none`, `upstream`) documents still do, of either level: nothing else could hide them.
    ///
    /// # Errors
    /// Nobody was authenticated, or somebody else.
    pub fn admit_to_documents(
        &self,
        headers: &HeaderMap,
        table: &TokenTable,
        now: Timestamp,
        client: IpAddr,
    ) -> Result<Principal, AuthFailure> {
        let presented = presented(headers, &self.header)
            .map_err(AuthError::from)?
            .ok_or(AuthError::Missing)?;
        let token = authenticate(&presented, table, now)?;
        self.covers(&token, client)?;
        Ok(Principal::Token(token))
    }

    /// The `WWW-Authenticate` of a refusal; `scope` is what the call would need.
    pub fn challenge(&self, failure: AuthFailure, scope: Option<&str>) -> HeaderValue {
        challenge(&self.plugin, &self.header, failure, scope)
    }

    /// Level, plugin and networks of a token.
    fn covers(&self, token: &Token, client: IpAddr) -> Result<(), Denied> {
        let level = match (self.require, token.level) {
            (_, Level::Admin)
            | (Require::Service, Level::User)
            | (Require::User, Level::Service) => false,
            (Require::None | Require::Any | Require::Upstream, Level::Service | Level::User)
            | (Require::Service, Level::Service)
            | (Require::User, Level::User) => true,
        };
        if !level {
            return Err(Denied::Level);
        }
        if !token.plugins.covers(&self.plugin) {
            return Err(Denied::Plugin);
        }
        match &token.limits {
            Some(limits) if !limits.admit(client) => Err(Denied::Network),
            _ => Ok(()),
        }
    }
}

/// The live token that a presented secret opens. Whoever asks on behalf of a client notes the use
/// ([`TokenShared::used`](crate::tokens::TokenShared::used)).
///
/// # Errors
/// It opens none, or one that has ended.
pub fn authenticate(
    presented: &Presented<'_>,
    table: &TokenTable,
    now: Timestamp,
) -> Result<Authenticated, AuthError> {
    let fingerprint = Fingerprint::of(presented.expose());
    let token = table.get(&fingerprint).ok_or(AuthError::Unknown)?;
    match token.status(now) {
        Status::Live => Ok(Authenticated { token, fingerprint }),
        Status::Ended(reason) => Err(AuthError::Ended(reason)),
    }
}

/// Who was authenticated.
#[derive(Debug, Clone)]
pub enum Principal {
    /// The holder of a token.
    Token(Authenticated),
    /// Nobody in particular, where nobody has to be.
    Anonymous(Anonymous),
    /// Whoever the API takes the credential for.
    Upstream(ByUpstream),
}

impl Principal {
    /// The token, if it is one.
    pub fn token(&self) -> Option<&Arc<Token>> {
        match self {
            Self::Token(Authenticated { token, .. }) => Some(token),
            Self::Anonymous(_) | Self::Upstream(_) => None,
        }
    }
}

/// A token that was live when it was presented. Made by a [`Policy`].
#[derive(Debug, Clone)]
pub struct Authenticated {
    token: Arc<Token>,
    /// Of the secret that was presented.
    fingerprint: Fingerprint,
}

impl Deref for Authenticated {
    type Target = Token;

    fn deref(&self) -> &Token {
        &self.token
    }
}

/// Proof that a plugin asks for no token. Made by a [`Policy`] with `require = "none"`.
#[derive(Debug, Clone, Copy)]
pub struct Anonymous(());

/// Proof that a plugin's API authenticates. Made by a [`Policy`] with `require = "upstream"`.
#[derive(Debug, Clone, Copy)]
pub struct ByUpstream(());
